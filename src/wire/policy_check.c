/* The syntax of a policy, apart from wire/policy.c so that the nginx module can have it without
 * the tables of IDNA and public suffixes. */
#include <string.h>
#include <strings.h>

#include "wire/policy.h"

#define WORD_MAX 63
#define LABEL_MAX 63
#define MAX_AGE_DIGITS 10

static const char digits[] = "0123456789";

static bool consists_of(const char *text, size_t len, const char *characters)
{
	for (size_t i = 0; i < len; i++)
		if (!text[i] || !strchr(characters, text[i]))
			return false;
	return true;
}

static bool is_word(const char *text, size_t len)
{
	return len <= WORD_MAX &&
	       consists_of(text, len, "abcdefghijklmnopqrstuvwxyz0123456789._-");
}

/* The directives of HSTS, each at most once. */
enum { MAX_AGE = 1, SUB_DOMAINS = 2, PRELOAD = 4 };

/* 0: not a directive. */
static int directive(const char *text, size_t len)
{
	static const char max_age[] = "max-age=";
	size_t n = sizeof(max_age) - 1;

	if (len > n && len - n <= MAX_AGE_DIGITS && strncasecmp(text, max_age, n) == 0 &&
		consists_of(text + n, len - n, digits))
		return MAX_AGE;
	if (len == 17 && strncasecmp(text, "includeSubDomains", len) == 0)
		return SUB_DOMAINS;
	if (len == 7 && strncasecmp(text, "preload", len) == 0)
		return PRELOAD;
	return 0;
}

static bool is_hsts(const char *text, size_t len)
{
	const char *end = text + len;
	int seen = 0;

	for (;;) {
		const char *semicolon = memchr(text, ';', (size_t)(end - text));
		const char *last = semicolon ? semicolon : end;
		int which;

		while (text < last && *text == ' ')
			text++;
		while (last > text && last[-1] == ' ')
			last--;
		which = directive(text, (size_t)(last - text));
		if (!which || (seen & which))
			return false;
		seen |= which;
		if (!semicolon)
			return seen & MAX_AGE;
		text = semicolon + 1;
	}
}

static bool is_label(const char *text, size_t len)
{
	return len >= 1 && len <= LABEL_MAX && text[0] != '-' && text[len - 1] != '-' &&
	       consists_of(text, len, "abcdefghijklmnopqrstuvwxyz0123456789-");
}

/* Of two labels at least, the last of which is no number, as that of an address is. */
static bool is_host(const char *text, size_t len)
{
	const char *end = text + len;
	const char *dot;

	if (len > CH_NAME_MAX || !memchr(text, '.', len))
		return false;
	for (; (dot = memchr(text, '.', (size_t)(end - text))); text = dot + 1)
		if (!is_label(text, (size_t)(dot - text)))
			return false;
	len = (size_t)(end - text);
	return is_label(text, len) && !consists_of(text, len, digits);
}

bool ch_policy_is_normal(enum ch_policy_tag tag, const char *text, size_t len)
{
	if (len == 0)
		return true;
	switch (tag) {
	case CH_POLICY_TENANT:
	case CH_POLICY_UPSTREAM:
		return is_word(text, len);
	case CH_POLICY_HSTS:
		return len < CH_POLICY_TEXT_B && is_hsts(text, len);
	case CH_POLICY_REDIRECT:
		return (len == 4 && memcmp(text, "none", len) == 0) || is_host(text, len);
	case CH_POLICY_TAG_COUNT:
		break;
	}
	return false;
}
