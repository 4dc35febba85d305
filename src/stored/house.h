/* Housekeeping: a thread that has the store forget what is too old. */
#ifndef CH_STORED_HOUSE_H
#define CH_STORED_HOUSE_H

#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

struct ch_house;

/* tombstone_keep_ms: how long removals are remembered for absent edges.  store outlives it. */
CH_MUST int ch_house_start(struct ch_store *store, int64_t tombstone_keep_ms,
	struct ch_house **ret_house, struct ch_err *err);
/* NULL allowed. */
void ch_house_stop(struct ch_house *house);

#endif
