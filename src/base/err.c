#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ch_rc_str(int rc)
{
	switch (rc) {
#define X(name, number, sentence)                                                              \
	case number:                                                                           \
		return sentence;
		CH_RC_LIST(X)
#undef X
	}
	return "unknown error";
}

static const char *const actor_words[] = {
#define X(name, text) text,
	CH_ACTOR_LIST(X)
#undef X
};

const char *ch_actor_str(enum ch_actor actor)
{
	if ((unsigned)actor >= sizeof(actor_words) / sizeof(actor_words[0]))
		return "nobody";
	return actor_words[actor];
}

int ch_actor_parse(const char *text, enum ch_actor *ret_actor)
{
	for (unsigned i = 0; i < sizeof(actor_words) / sizeof(actor_words[0]); i++) {
		if (strcmp(text, actor_words[i]) == 0) {
			*ret_actor = (enum ch_actor)i;
			return CH_OK;
		}
	}
	return CH_EINVAL;
}

/* Text that was cut to its size ends with a whole character all the same: it may go into JSON.
 */
static void mend_cut(char *text, size_t size_b, int wanted_b)
{
	size_t len = size_b - 1;
	size_t at = len;
	unsigned char lead;

	if (wanted_b < 0 || (size_t)wanted_b < size_b)
		return;
	while (at > 0 && len - at < 3 && ((unsigned char)text[at - 1] & 0xC0) == 0x80)
		at--;
	lead = at > 0 ? (unsigned char)text[at - 1] : 0;
	if (lead >= 0xC0 && len - at < (lead >= 0xF0 ? 3u : lead >= 0xE0 ? 2u : 1u))
		text[at - 1] = 0;
}

int ch_err_set(struct ch_err *err, int rc, const char *problem, const char *fmt, ...)
{
	va_list args;
	int wanted_b;

	if (!err)
		return rc;
	memset(err, 0, sizeof(*err));
	err->rc = rc;
	wanted_b = snprintf(err->problem, sizeof(err->problem), "%s", problem);
	mend_cut(err->problem, sizeof(err->problem), wanted_b);
	va_start(args, fmt);
	wanted_b = vsnprintf(err->detail, sizeof(err->detail), fmt, args);
	va_end(args);
	mend_cut(err->detail, sizeof(err->detail), wanted_b);
	return rc;
}

void ch_err_prefix(struct ch_err *err, const char *fmt, ...)
{
	char prefix[256];
	char rest[sizeof(err->detail)];
	va_list args;
	int wanted_b;

	if (!err)
		return;
	va_start(args, fmt);
	wanted_b = vsnprintf(prefix, sizeof(prefix), fmt, args);
	va_end(args);
	mend_cut(prefix, sizeof(prefix), wanted_b);
	memcpy(rest, err->detail, sizeof(rest));
	wanted_b = snprintf(err->detail, sizeof(err->detail), "%s: ", prefix);
	wanted_b += snprintf(
		err->detail + wanted_b, sizeof(err->detail) - (size_t)wanted_b, "%s", rest);
	mend_cut(err->detail, sizeof(err->detail), wanted_b);
}
