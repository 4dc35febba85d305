/* Renewal information: RFC 9773. */
#ifndef CASIM_ARI_H
#define CASIM_ARI_H

#include "reply.h"

/* Takes `replaces` of a new order over.  False: the reply says what is against it. */
bool sim_ari_replaces(struct sim_req *req, struct sim_order *order, struct sim_reply *reply);
void sim_ari_window(const struct sim *sim, const struct sim_cert *cert, int64_t *ret_start_ms,
	int64_t *ret_end_ms);
/* The certificate's id; owned by the caller. */
char *sim_ari_id(const struct sim *sim, const struct sim_cert *cert);

#endif
