/* What holds changes back from the edges of a pool: part of store/store.h. */
#ifndef CH_STORE_STORE_POOL_H
#define CH_STORE_STORE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct ch_store;

enum ch_canary_state {
	CH_CANARY_IDLE,	   /* nothing is held back for it */
	CH_CANARY_BEHIND,  /* it does not have all of it yet */
	CH_CANARY_SOAKING, /* it has */
	CH_CANARY_SILENT,  /* not seen within edge_timeout, or forgotten: all waits */
	CH_CANARY_TROUBLE, /* it reports an error: all waits */
};

/* What holds changes back from the edges of a pool. */
struct ch_store_pool {
	const char *pool;
	int64_t frozen_at_ms;  /* 0: not frozen */
	const char *frozen_by; /* NULL: nobody said */
	const char *frozen_why;
	const char *canary; /* "edge/<pool>/<id>", NULL: none */
	int64_t soak_ms;
	enum ch_canary_state state;
	const char *trouble; /* in that state: what it reports */
	uint64_t held;	     /* records held back, counted up to CH_STORE_LAG_MAX */
	int64_t held_since_ms;
};

enum ch_pool_action {
	CH_POOL_FREEZE, /* a pool that is frozen stays so as it was, by whom and why included */
	CH_POOL_THAW,
	CH_POOL_CANARY, /* edge and soak_ms */
	CH_POOL_NO_CANARY,
	CH_POOL_RELEASE, /* what is held back for the canary now need not wait for it */
};

/* CH_OP_POOL.  While a pool is frozen its edges get nothing: what changes is held back.  With a
 * canary, certificates and policies are held back from the other edges until the canary has
 * acknowledged them, and `soak_ms` later has been seen, all the while without an error; names
 * and removals are not.  A record that is held back takes its place in the feed, with a number
 * of its own, when CH_OP_RELEASE finds that it may go on.  All succeed when there is nothing to
 * do.  CH_ENOTFOUND "pool-not-found" (no name and no edge was ever in it;
 * CH_STORE_LABEL_DEFAULT is always there), "edge-not-found". */
struct ch_op_pool {
	const char *pool;
	enum ch_pool_action action;
	const char *why;  /* FREEZE */
	const char *edge; /* CANARY: without "edge/<pool>/" */
	int64_t soak_ms;  /* CANARY: 0 … CH_STORE_SOAK_MAX_MS */
};

/* CH_OP_RELEASE: gives edges what need not be held back any longer, about max_rows records,
 * shared between the pools. */
struct ch_op_release {
	size_t max_rows; /* 0: 1,000 */
	/* out: */
	size_t released;
	bool more;  /* call again soon */
	bool waits; /* for a canary: call again in a while */
};

struct ch_store_tickets {
	const char *pool;
	uint64_t version;      /* 0: no set yet, */
	const uint8_t *record; /* and NULL */
	size_t record_len;
};
/* Each pool that edges have reported from, or that has a set; at most CH_STORE_POOLS_MAX, in
 * the order of their names. */
CH_MUST int ch_store_list_tickets(struct ch_store *store, struct ch_arena *arena,
	struct ch_store_tickets **ret_list, size_t *ret_n);

#endif
