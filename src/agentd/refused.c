#include "agentd/refused.h"

#include <inttypes.h>
#include <string.h>

#define NAMED_MAX 3

static size_t find(const struct ch_refused *refused, const char *key, size_t key_len)
{
	size_t i;

	for (i = 0; i < refused->n; i++)
		if (strlen(refused->list[i].key) == key_len &&
			memcmp(refused->list[i].key, key, key_len) == 0)
			break;
	return i;
}

void ch_refused_add(
	struct ch_refused *refused, const char *key, size_t key_len, const char *why)
{
	size_t i = find(refused, key, key_len);

	if (key_len >= CH_RECORD_KEY_B)
		return;
	if (i == CH_REFUSED_MAX) {
		refused->more++;
		return;
	}
	if (i == refused->n)
		refused->n++;
	memcpy(refused->list[i].key, key, key_len);
	refused->list[i].key[key_len] = 0;
	refused->list[i].why = why;
}

void ch_refused_drop(struct ch_refused *refused, const char *key, size_t key_len)
{
	size_t i = find(refused, key, key_len);

	if (i < refused->n)
		refused->list[i] = refused->list[--refused->n];
}

void ch_refused_count(struct ch_refused *refused, uint64_t seq)
{
	if (seq && seq <= refused->in_row_seq)
		return;
	refused->in_row++;
	if (seq)
		refused->in_row_seq = seq;
}

void ch_refused_taken(struct ch_refused *refused)
{
	refused->in_row = 0;
}

bool ch_refused_is_all(const struct ch_refused *refused, uint64_t certs)
{
	return refused->in_row >= CH_REFUSED_ALL || (refused->in_row && !certs);
}

void ch_refused_describe(const struct ch_refused *refused, struct ch_buf *out)
{
	uint64_t total = refused->n + refused->more;

	if (total) {
		ch_buf_addf(out, "%" PRIu64 " record%s refused:", total, total == 1 ? "" : "s");
		for (size_t i = 0; i < refused->n && i < NAMED_MAX; i++)
			ch_buf_addf(out, "%s %.*s (%s)", i ? "," : "",
				(int)strcspn(refused->list[i].key, "/"), refused->list[i].key,
				refused->list[i].why);
		ch_buf_add_str(out, total > NAMED_MAX ? ", and others. " : ". ");
	}
	if (refused->unsupported)
		ch_buf_addf(out,
			"%" PRIu64 " records of a newer kind skipped: upgrade certherd here. ",
			refused->unsupported);
}
