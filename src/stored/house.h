/* Housekeeping: a thread that has the store forget what is too old, and looks for troubles. */
#ifndef CH_STORED_HOUSE_H
#define CH_STORED_HOUSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

struct ch_house;

/* For how long; as in struct ch_op_housekeep. */
struct ch_house_keep {
	int64_t tombstone_ms;
	int64_t history_ms;
	size_t history_least;
	int64_t orders_ms;
	int64_t audit_ms;
};

/* store outlives it.  look_every_ms: over 0; [alerts] look_every. */
CH_MUST int ch_house_start(struct ch_store *store, const struct ch_house_keep *keep,
	int64_t look_every_ms, struct ch_house **ret_house, struct ch_err *err);
/* NULL allowed. */
void ch_house_stop(struct ch_house *house);

#endif
