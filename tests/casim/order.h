/* Orders and authorizations. */
#ifndef CASIM_ORDER_H
#define CASIM_ORDER_H

#include "reply.h"
#include "sim.h"

/* Brings status up to date: ready when all authorizations are valid, invalid when one is lost,
 * valid when the processing is over. */
void sim_order_refresh(struct sim *sim, struct sim_order *order);
void sim_order_show(struct sim *sim, struct sim_order *order, struct sim_reply *reply);

/* A usable authorization of this account, or a new one.  valid_only: no pending one. */
struct sim_authz *sim_authz_get(
	struct sim *sim, struct sim_account *account, const char *name, const json_t *profile);
void sim_authz_refresh(struct sim *sim, struct sim_authz *authz);
/* Ends a validation; error NULL: it is valid.  Owns error. */
void sim_authz_decide(struct sim *sim, struct sim_authz *authz, struct sim_challenge *challenge,
	json_t *error);

/* What tests have ordered for a name: a JSON object, or NULL. */
json_t *sim_name_settings(const struct sim *sim, const char *name);
json_t *sim_profile(const struct sim *sim, const char *name);

#endif
