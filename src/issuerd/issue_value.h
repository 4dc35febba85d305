/* The value of a CAA property "issue" (RFC 8659 section 4.2), of which the records of
 * dns-persist-01 have the form too: "ca.example; key=value; key=value".  Blanks around each
 * part do not count. */
#ifndef CH_ISSUERD_ISSUE_VALUE_H
#define CH_ISSUERD_ISSUE_VALUE_H

#include <stdbool.h>
#include <stddef.h>

struct ch_span { /* borrows from the value; not terminated */
	const char *at;
	size_t len;
};

struct ch_span ch_span_trim(const char *at, size_t len);
bool ch_span_is(struct ch_span span, const char *text);
bool ch_span_is_any_case(struct ch_span span, const char *text);

/* What stands before the first semicolon; may be empty. */
struct ch_span ch_issue_domain(const char *value);
/* How often the parameter is there; *ret_first is written to when it is.  Keys are the same in
 * any case of their letters. */
size_t ch_issue_parameter(const char *value, const char *key, struct ch_span *ret_first);

#endif
