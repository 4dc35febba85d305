#include "issuerd/issue_value.h"

#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct ch_span ch_span_trim(const char *at, size_t len)
{
	while (len && is_blank(*at)) {
		at++;
		len--;
	}
	while (len && is_blank(at[len - 1]))
		len--;
	return (struct ch_span){at, len};
}

bool ch_span_is(struct ch_span span, const char *text)
{
	return strlen(text) == span.len && memcmp(span.at, text, span.len) == 0;
}

bool ch_span_is_any_case(struct ch_span span, const char *text)
{
	return strlen(text) == span.len && strncasecmp(span.at, text, span.len) == 0;
}

struct ch_span ch_issue_domain(const char *value)
{
	return ch_span_trim(value, strcspn(value, ";"));
}

size_t ch_issue_parameter(const char *value, const char *key, struct ch_span *ret_first)
{
	const char *at = value + strcspn(value, ";");
	size_t n = 0;

	while (*at == ';') {
		const char *part = at + 1;
		size_t len = strcspn(part, ";");
		const char *equals = memchr(part, '=', len);

		at = part + len;
		if (!equals ||
			!ch_span_is_any_case(ch_span_trim(part, (size_t)(equals - part)), key))
			continue;
		if (n++ == 0)
			*ret_first = ch_span_trim(equals + 1, (size_t)(at - equals - 1));
	}
	return n;
}
