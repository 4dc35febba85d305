/* Errors of the API: RFC 9457 problem documents with a stable code. */
#ifndef CH_STORED_PROBLEM_H
#define CH_STORED_PROBLEM_H

#include <jansson.h>

#include "base/err.h"

#define CH_PROBLEM_FIELD_B 96

struct ch_problem_kind { /* static texts */
	const char *code;
	int status;
	const char *title;
};
/* The i-th kind of problem that the API knows, besides those of name validation, whose codes
 * are wire/name.h's.  CH_ENOTFOUND after the last. */
CH_MUST int ch_problem_kind(size_t i, struct ch_problem_kind *ret_kind);

/* The HTTP status for an error: by its problem code where that is one of the API's, else by
 * its rc (whose details stay inside: 500 `internal`). */
int ch_problem_status(const struct ch_err *err);

/* An error's text as JSON.  It may quote a part of a request, cut anywhere or never UTF-8 at
 * all: then what is not ASCII becomes '?'.  NULL when out of memory. */
json_t *ch_problem_text_json(const char *text);

/* The document; field NULL or "" where no field is at fault.  NULL when out of memory. */
json_t *ch_problem_json(const struct ch_err *err, const char *field);

#endif
