/* What is forgotten in time: part of store/store.h. */
#ifndef CH_STORE_STORE_HOUSE_H
#define CH_STORE_STORE_HOUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define CH_STORE_ALERTS_KEEP_MS (90 * CH_DAY_MS)   /* closed ones */
#define CH_STORE_HOLDERS_KEEP_MS (400 * CH_DAY_MS) /* whose a removed name was */
#define CH_STORE_HISTORY_LEAST_MAX 1000

/* CH_OP_HOUSEKEEP: removes what is older, and ticket keys that are of no use any more, and
 * takes "edges-behind" back from active names whose edges have caught up since; at most
 * max_rows of each kind per call.  An entry of a name's history that was kept as one of its
 * last goes when later ones are too old themselves. */
struct ch_op_housekeep {
	int64_t tombstone_keep_ms; /* removing one raises the floor of the feed */
	int64_t history_keep_ms;
	size_t history_least; /* entries of a registered name that stay however old they are */
	int64_t orders_keep_ms; /* done and failed ones */
	int64_t audit_keep_ms;
	size_t max_rows; /* 0: 1,000 */
	/* out: */
	size_t removed;
	size_t caught_up; /* names that are "ok" again */
	bool more;	  /* call again soon */
};

/* Rows that this has removed, all stores together, since the database was made. */
struct ch_store_pruned {
	uint64_t history;
	uint64_t orders;
	uint64_t audit;
	int64_t at_ms; /* the last of them; 0: none was */
};

#endif
