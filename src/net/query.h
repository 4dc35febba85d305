/* Percent-decoding and query strings, strictly: what is not understood is refused. */
#ifndef CH_NET_QUERY_H
#define CH_NET_QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CH_QUERY_MAX 12
#define CH_QUERY_TEXT_B 2048

/* Decodes %XX; plus_is_space as in forms.  The result has no NUL inside and is at most
 * text_b - 1 bytes long.  CH_EINVAL, CH_ETOOBIG. */
CH_MUST int ch_percent_decode(
	const char *from, size_t len, int plus_is_space, char *ret_text, size_t text_b);

struct ch_query {
	struct {
		const char *name; /* in the allowed list: ends at a space or NUL */
		const char *value;
	} params[CH_QUERY_MAX];
	size_t n;
	char text[CH_QUERY_TEXT_B]; /* what the values point into */
};

/* raw: the part after '?', NULL when there is none.  allowed: names separated by spaces; must
 * outlive query. Refuses parameters that are unknown or given twice: problem `bad-query`. */
CH_MUST int ch_query_parse(
	struct ch_query *query, const char *raw, const char *allowed, struct ch_err *err);
/* NULL when it was not given. */
const char *ch_query_get(const struct ch_query *query, const char *name);
/* An integer in a range, in plain decimal; fallback when it was not given. */
CH_MUST int ch_query_int(const struct ch_query *query, const char *name, int64_t fallback,
	int64_t least, int64_t most, int64_t *ret_value, struct ch_err *err);

#endif
