/* Which name of an order is validated how, and the dns-01 part of it: TXT records before the
 * challenge is answered and after. */
#ifndef CH_ISSUERD_STEP_DNS_H
#define CH_ISSUERD_STEP_DNS_H

#include "issuerd/step.h"

/* How this name of the order is validated; wildcards by the DNS always. */
enum ch_acme_challenge_type ch_step_challenge(const struct ch_step *step, size_t name);
/* Whether some name of the order is validated so. */
bool ch_step_uses(const struct ch_step *step, enum ch_acme_challenge_type type);

/* What is noted for the order is being written: true when all of it can be seen, or when there
 * is none.  Else step->out says what now. */
bool ch_step_dns_is_visible(struct ch_step *step);

struct ch_step_token {
	size_t name; /* index into work->names */
	const char *token;
};
/* After ch_step_dns_is_visible: true when that was all that these challenges need.  Else it is
 * noted, for it must not be written before; step->out says what now. */
bool ch_step_dns_is_ready(struct ch_step *step, const struct ch_step_token *items, size_t n);

/* What a CA says of a name that it has validated is read as if it had been to an edge. */
void ch_step_dns_reword(const json_t *problem, struct ch_err *err);
void ch_step_persist_reword(const json_t *problem, struct ch_err *err); /* dns-persist-01 */

/* step_preflight.c: whether a record for our CA is one that this challenge of dns-persist-01 is
 * met by. */
bool ch_step_persist_fits(
	const struct ch_step *step, const json_t *issuers, struct ch_err *ret_err);

/* The order has no more use for its records; what step->out is filled with comes after. */
void ch_step_dns_release(struct ch_step *step);

#endif
