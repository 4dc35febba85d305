#include "net/query.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"

int ch_percent_decode(
	const char *from, size_t len, int plus_is_space, char *ret_text, size_t text_b)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = from[i];

		if (n + 1 >= text_b)
			return CH_ETOOBIG;
		if (c == '%') {
			char hex[3] = {0};
			uint8_t byte;

			if (len - i < 3)
				return CH_EINVAL;
			memcpy(hex, from + i + 1, 2);
			if (ch_hex_decode(hex, &byte, 1))
				return CH_EINVAL;
			c = (char)byte;
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		if (c == 0)
			return CH_EINVAL;
		ret_text[n++] = c;
	}
	ret_text[n] = 0;
	return CH_OK;
}

/* Where text stands in the allowed list, or NULL. */
static const char *find_allowed(const char *allowed, const char *text)
{
	size_t len = strlen(text);

	for (const char *at = allowed; *at;) {
		size_t n = strcspn(at, " ");

		if (len && n == len && strncmp(at, text, n) == 0)
			return at;
		at += n;
		at += strspn(at, " ");
	}
	return NULL;
}

static int add_param(struct ch_query *query, const char *item, size_t len, size_t *used,
	const char *allowed, struct ch_err *err)
{
	const char *equals = memchr(item, '=', len);
	size_t name_len = equals ? (size_t)(equals - item) : len;
	char *value = query->text + *used;
	char name[64];
	int rc = ch_percent_decode(item, name_len, 1, name, sizeof(name));

	if (rc || !find_allowed(allowed, name))
		return ch_err_set(err, CH_EINVAL, "bad-query",
			"\"%.*s\" is not a parameter here%s%s.",
			(int)(name_len < 64 ? name_len : 64), item, *allowed ? "; known: " : "",
			allowed);
	if (ch_query_get(query, name))
		return ch_err_set(err, CH_EINVAL, "bad-query", "\"%s\" is given twice.", name);
	rc = ch_percent_decode(equals ? equals + 1 : "", equals ? len - name_len - 1 : 0, 1,
		value, CH_QUERY_TEXT_B - *used);
	if (rc || query->n == CH_QUERY_MAX)
		return ch_err_set(err, CH_EINVAL, "bad-query",
			"\"%s\" is too long or not encoded correctly.", name);
	query->params[query->n].name = find_allowed(allowed, name);
	query->params[query->n++].value = value;
	*used += strlen(value) + 1;
	return CH_OK;
}

int ch_query_parse(
	struct ch_query *query, const char *raw, const char *allowed, struct ch_err *err)
{
	size_t used = 0;

	query->n = 0;
	while (raw && *raw) {
		size_t len = strcspn(raw, "&");
		int rc = len ? add_param(query, raw, len, &used, allowed, err) : CH_OK;

		if (rc)
			return rc;
		raw += len;
		raw += *raw == '&';
	}
	return CH_OK;
}

const char *ch_query_get(const struct ch_query *query, const char *name)
{
	size_t len = strlen(name);

	/* The names lie in the allowed list, each followed by a space or the end. */
	for (size_t i = 0; i < query->n; i++)
		if (strcspn(query->params[i].name, " ") == len &&
			strncmp(query->params[i].name, name, len) == 0)
			return query->params[i].value;
	return NULL;
}

int ch_query_int(const struct ch_query *query, const char *name, int64_t fallback,
	int64_t least, int64_t most, int64_t *ret_value, struct ch_err *err)
{
	const char *text = ch_query_get(query, name);
	int64_t v = 0;
	size_t n;

	if (!text) {
		*ret_value = fallback;
		return CH_OK;
	}
	n = strspn(text, "0123456789");
	for (size_t i = 0; i < n && n <= 18; i++)
		v = v * 10 + (text[i] - '0');
	if (n == 0 || n > 18 || text[n] || v < least || v > most)
		return ch_err_set(err, CH_EINVAL, "bad-query",
			"\"%s\" must be an integer from %" PRId64 " to %" PRId64 ".", name,
			least, most);
	*ret_value = v;
	return CH_OK;
}
