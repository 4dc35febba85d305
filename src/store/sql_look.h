/* Parts of CH_OP_LEASE for an issuer that looks at names before there is an order. */
#ifndef CH_STORE_SQL_LOOK_H
#define CH_STORE_SQL_LOOK_H

#include "store/sql_pace.h"

/* Hands names out that are due: their next_at is ahead then. */
CH_MUST int ch_work_hand_out(struct ch_work *w, const struct ch_op_lease *lease);
/* *ret_still: nothing else has happened to the name since it was handed out. */
CH_MUST int ch_work_looked_at(
	struct ch_work *w, const struct ch_store_look_key *key, bool *ret_still);
/* Those that are dead have failed. */
CH_MUST int ch_work_bury(struct ch_work *w, const struct ch_store_looking *looking);

#endif
