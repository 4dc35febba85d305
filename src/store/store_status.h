/* Counts and figures of all that is kept: part of store/store.h. */
#ifndef CH_STORE_STORE_STATUS_H
#define CH_STORE_STORE_STATUS_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/store_house.h"
#include "wire/feed.h"
#include "wire/state.h"

struct ch_store;

#define CH_STORE_FIGURE_MAX 10000 /* counts that no counter is kept of go up to here */
#define CH_STORE_ONE_ACTOR(id, word) +1
#define CH_STORE_ACTORS (0 CH_ACTOR_LIST(CH_STORE_ONE_ACTOR))

struct ch_store_status {
	uint64_t names[CH_NAME_STATE_COUNT];
	uint64_t names_total;
	/* The failed ones by who must act, up to CH_STORE_FIGURE_MAX each; that of `nobody`
	 * is 0. */
	uint64_t failed[CH_STORE_ACTORS];
	int64_t next_due_ms;	 /* 0: nothing */
	const char *expiry_name; /* the live certificate that ends first; NULL: none is live */
	int64_t expiry_ms;
	uint64_t orders_open;
	uint64_t orders_waiting; /* open, not leased, not due yet */
	uint64_t in_line;	 /* names that wait for an account's next order */
	uint64_t wanted_taken;	 /* by CH_OP_WANTED, all stores together, for ever */
	uint8_t epoch[CH_EPOCH_B];
	uint64_t head;
	unsigned schema;
	struct ch_store_pruned pruned;
	/* After a restore: until when no waiting order and no renewal is begun, and until when
	 * edges may hand back what the store has forgotten; 0: over, or never. */
	int64_t ordering_from_ms;
	int64_t handback_until_ms;
};
CH_MUST int ch_store_get_status(
	struct ch_store *store, struct ch_arena *arena, struct ch_store_status *ret_status);

#define CH_STORE_ENDING_N 3

struct ch_store_figures {
	uint64_t actors[CH_STORE_ACTORS]; /* names by who must act; that of `nobody` is 0 */
	/* Names that an operator must act for one by one: not those that wait for what is known
	 * of their pool, a feed that he has frozen or a canary, among the first 100,000 that
	 * wait for him. */
	uint64_t operators_own;
	/* Live certificates that end within ch_store_ending_ms, those that ended in the last
	 * seven days included; not those of names that are paused or moved. */
	uint64_t ending[CH_STORE_ENDING_N];
};
extern const int64_t ch_store_ending_ms[CH_STORE_ENDING_N]; /* ascending */
/* Figures that no counter is kept of: looks at a bounded number of rows. */
CH_MUST int ch_store_get_figures(struct ch_store *store, struct ch_store_figures *ret_figures);

#endif
