/* Limits as token buckets, with the texts and numbers of the big public CA. */
#ifndef CASIM_LIMITS_H
#define CASIM_LIMITS_H

#include "reply.h"

/* Each returns false when a limit stands against it; the reply is the CA's answer then. */
bool sim_limits_rate(
	struct sim *sim, const char *name, const char *ip, struct sim_reply *reply);
bool sim_limits_new_account(struct sim *sim, const char *ip, struct sim_reply *reply);
bool sim_limits_new_order(
	struct sim *sim, const struct sim_order *order, struct sim_reply *reply);
/* What is only counted when it has happened. */
void sim_limits_issued(struct sim *sim, const struct sim_order *order);
void sim_limits_validated(struct sim *sim, const struct sim_authz *authz, bool good);
/* All are full again. */
void sim_limits_forget(struct sim *sim);
/* How full each bucket is: [{"bucket", "tokens", "size"}]. */
json_t *sim_limits_show(struct sim *sim);

#endif
