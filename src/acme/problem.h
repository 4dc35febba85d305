/* Problem documents of CAs (RFC 7807 as used by RFC 8555 section 6.7): what each means, who
 * must act, and what becomes of the request. */
#ifndef CH_ACME_PROBLEM_H
#define CH_ACME_PROBLEM_H

#include <jansson.h>

#include "base/err.h"

/* What an answer means for whoever asked. */
/* X(name, word for people)
 *   SIGN_AGAIN  badNonce: only inside a call
 *   OUTAGE      nobody answered, or the CA is overloaded: no word on the request
 *   LATER       a passing error of the CA: the same request again at retry_at
 *   LIMITED     rate limit: again at retry_at
 *   PAUSED      never again until a person has visited the URL in the detail, which unpauses
 *   GONE        the object is not there (any more)
 *   NOT_READY   orderNotReady: look at the order again
 *   NAME        names are refused: their verdicts follow from the problem
 *   ACCOUNT     the account may not: no name is at fault
 *   NO_ACCOUNT  accountDoesNotExist
 *   REFUSED     our request is at fault */
#define CH_ACME_FATE_LIST(X)                                                                   \
	X(CH_ACME_OK, "ok")                                                                    \
	X(CH_ACME_SIGN_AGAIN, "sign-again")                                                    \
	X(CH_ACME_OUTAGE, "outage")                                                            \
	X(CH_ACME_LATER, "later")                                                              \
	X(CH_ACME_LIMITED, "limited")                                                          \
	X(CH_ACME_PAUSED, "paused")                                                            \
	X(CH_ACME_GONE, "gone")                                                                \
	X(CH_ACME_NOT_READY, "not-ready")                                                      \
	X(CH_ACME_NAME, "name-refused")                                                        \
	X(CH_ACME_ACCOUNT, "account-refused")                                                  \
	X(CH_ACME_NO_ACCOUNT, "no-account")                                                    \
	X(CH_ACME_REFUSED, "refused")

enum ch_acme_fate {
#define X(name, word) name,
	CH_ACME_FATE_LIST(X)
#undef X
		CH_ACME_FATE_COUNT
};

/* The same error type means other things in an answer than in a challenge or an order: an
 * "unauthorized" challenge is the customer's to mend, an "unauthorized" request ours. */
enum ch_acme_where { CH_ACME_IN_ANSWER, CH_ACME_IN_VALIDATION };

/* Fills *ret_err (rc CH_EPROTO, problem: our stable code, detail: a sentence and the CA's own
 * words, actor; retry_at_ms 0) and returns the fate.  doc may be NULL or anything. */
enum ch_acme_fate ch_acme_problem_read(
	const json_t *doc, enum ch_acme_where where, struct ch_err *ret_err);

/* The subproblem whose identifier is name (any case), read as the above.  CH_ENOTFOUND. */
CH_MUST int ch_acme_problem_for_name(const json_t *doc, enum ch_acme_where where,
	const char *name, enum ch_acme_fate *ret_fate, struct ch_err *ret_err);
/* True when doc has a subproblem with an identifier. */
int ch_acme_problem_has_names(const json_t *doc);

/* Which limit a rateLimited problem is about, by the words of the CA. */
enum ch_acme_limit {
	CH_ACME_LIMIT_UNKNOWN,
	CH_ACME_LIMIT_ACCOUNT, /* new orders of the account */
	CH_ACME_LIMIT_DOMAIN,  /* certificates of a registered domain */
	CH_ACME_LIMIT_SET,     /* certificates for these very names */
	CH_ACME_LIMIT_NAME,    /* failures of one name */
};
enum ch_acme_limit ch_acme_problem_limit(const json_t *doc);

/* The ACME error type without its URN prefix ("badNonce"); "" when there is none; borrowed. */
const char *ch_acme_problem_type(const json_t *doc);

#endif
