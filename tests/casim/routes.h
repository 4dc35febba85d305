/* What the CA answers, request by request. */
#ifndef CASIM_ROUTES_H
#define CASIM_ROUTES_H

#include "reply.h"

/* Handlers run with the lock held, after signature and nonce were found good. */
typedef void sim_handler(struct sim_req *req, struct sim_reply *reply);

enum sim_auth { SIM_PLAIN, SIM_BY_KID, SIM_BY_JWK, SIM_BY_EITHER };

struct sim_route {
	const char *name; /* in the management interface */
	const char *path;
	enum sim_auth auth; /* SIM_PLAIN: GET and HEAD; otherwise a signed POST */
	const char *rate;   /* the limit on its requests */
	sim_handler *handler;
	bool has_rest; /* something follows the path */
};

/* NULL: there is no such path.  Sets req->rest. */
const struct sim_route *sim_route_find(struct sim_req *req);
/* Everything: route, signature, nonce, handler.  Takes the lock. */
void sim_answer(struct sim_req *req, const struct sim_route *route, struct sim_reply *reply);

sim_handler sim_directory, sim_new_nonce, sim_new_account, sim_account_update, sim_key_change;
sim_handler sim_new_order, sim_get_order, sim_finalize, sim_get_authz, sim_challenge_answer;
sim_handler sim_get_cert, sim_get_alternate, sim_revoke, sim_renewal_info;

#endif
