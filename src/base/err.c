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

int ch_err_set(struct ch_err *err, int rc, const char *problem, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return rc;
	memset(err, 0, sizeof(*err));
	err->rc = rc;
	snprintf(err->problem, sizeof(err->problem), "%s", problem);
	va_start(args, fmt);
	vsnprintf(err->detail, sizeof(err->detail), fmt, args);
	va_end(args);
	return rc;
}

void ch_err_prefix(struct ch_err *err, const char *fmt, ...)
{
	char prefix[256];
	char rest[sizeof(err->detail)];
	va_list args;

	if (!err)
		return;
	va_start(args, fmt);
	vsnprintf(prefix, sizeof(prefix), fmt, args);
	va_end(args);
	memcpy(rest, err->detail, sizeof(rest));
	snprintf(err->detail, sizeof(err->detail), "%s: %.*s", prefix,
		(int)(sizeof(rest) - sizeof(prefix) - 3), rest);
}
