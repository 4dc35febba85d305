#include "edge/namelist.h"

#include <stdio.h>
#include <string.h>

#define FIRST_LINE "certherd names 1\n"
#define LAST_WORD "end "

int ch_namelist_open(const char *text, size_t len, struct ch_namelist *ret_list)
{
	const size_t head = sizeof(FIRST_LINE) - 1;
	char expected[CH_NAMELIST_FRAME_B];
	size_t n = 0;
	size_t at;
	int last;

	if (len <= head || memcmp(text, FIRST_LINE, head) != 0 || text[len - 1] != '\n')
		return CH_EPROTO;
	at = len - 1;
	while (at > head && text[at - 1] != '\n' && len - at < sizeof(expected))
		at--;
	for (size_t i = at + sizeof(LAST_WORD) - 1; i < len - 1; i++) {
		if (text[i] < '0' || text[i] > '9' || n > CH_NAMELIST_MAX)
			return CH_EPROTO;
		n = n * 10 + (size_t)(text[i] - '0');
	}
	/* One way to write a number only. */
	last = snprintf(expected, sizeof(expected), LAST_WORD "%zu\n", n);
	if ((size_t)last != len - at || memcmp(text + at, expected, (size_t)last) != 0 ||
		n > CH_NAMELIST_MAX)
		return CH_EPROTO;
	*ret_list = (struct ch_namelist){.text = text, .len = at, .at = head, .n = n};
	return CH_OK;
}

int ch_namelist_next(struct ch_namelist *list, const char **ret_name, size_t *ret_len)
{
	const char *name = list->text + list->at;
	const char *end;

	if (list->at == list->len)
		return list->taken == list->n ? CH_ENOTFOUND : CH_EPROTO;
	end = memchr(name, '\n', list->len - list->at);
	if (!end || list->taken == list->n ||
		ch_record_check_name(name, (size_t)(end - name)) != CH_OK)
		return CH_EPROTO;
	list->at += (size_t)(end - name) + 1;
	list->taken++;
	*ret_name = name;
	*ret_len = (size_t)(end - name);
	return CH_OK;
}

void ch_namelist_begin(struct ch_buf *out)
{
	(void)ch_buf_add_str(out, FIRST_LINE);
}

void ch_namelist_add(struct ch_buf *out, const char *name, size_t len)
{
	(void)ch_buf_add(out, name, len);
	(void)ch_buf_add_str(out, "\n");
}

void ch_namelist_end(struct ch_buf *out, size_t n)
{
	(void)ch_buf_addf(out, LAST_WORD "%zu\n", n);
}
