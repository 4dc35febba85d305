/* Reading the store's answers, for all who show them to people. */
#ifndef CH_NET_ANSWER_H
#define CH_NET_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* The store counts no further: so many or more. */
#define CH_ANSWER_COUNTED_MAX 10000
#define CH_ANSWER_UNCOUNTED_MAX                                                                \
	100000 /* the same of names that a forecast does not know yet                          \
		*/

/* Members of an answer, "" or 0 when they are missing or of another type.  The text is borrowed
 * and is shown to nobody as it is: what the store says may have come from strangers. */
const char *ch_json_str(const json_t *object, const char *key);
int64_t ch_json_int(const json_t *object, const char *key);
/* A time of the API, in ms; 0 when null. */
int64_t ch_json_time(const json_t *object, const char *key);

/* "in 3d 4h", "12m 5s ago", "now", "-" for 0. */
const char *ch_when_str(int64_t at_ms, char ret_text[64]);

/* When a name of a list has its next step, 0: nothing is planned; where a turn is foreseen,
 * that: next_at says only when the store looks at the name again.  False: it waits in line, and
 * for when is not known. */
bool ch_answer_next(const json_t *domain, int64_t *ret_at_ms);

/* Of a limit that a name waits for ("account", "domain", "set"): "the account", … */
const char *ch_answer_limit_str(const char *limit);
/* Of a canary's state: why it lets nothing through; NULL: it keeps nobody waiting for longer
 * than the soak. */
const char *ch_answer_canary_stuck(const char *state);
/* Whether an issuer that was heard of at that time should have been heard of since.  Stores
 * tell each other after ten minutes. */
bool ch_answer_issuer_silent(int64_t heard_ms, int64_t now_ms);
/* What a program's version ("certherd/0.2.0") is beside its store's ("0.2.1"), for people:
 * "older than the store", …; NULL: the same, or one of them is not known. */
const char *ch_answer_beside_store(const char *software, const char *store_version);
/* The owner of the CAA records of a name, which has none for a wildcard. */
const char *ch_answer_caa_owner(const char *name);

/* What to do about a store that did not answer, or refused us; NULL: nothing that is known. */
const char *ch_answer_advice(const struct ch_err *err);

#endif
