/* What the edges of a pool do not get yet: a frozen pool's changes, and what waits for a
 * canary.
 *
 * Such records lie in the table `held`, at most one for each key; edge_record keeps what the
 * edges have.  So all reads for edges are the same as ever, an edge that begins while a pool is
 * frozen gets what the others have, and only a canary's reads look into both. */
#ifndef CH_STORE_SQL_HOLD_H
#define CH_STORE_SQL_HOLD_H

#include "store/db.h"
#include "store/store.h"

/* Reasons of orders that wait for something to be released. */
#define CH_HELD_CODES "('feed-frozen', 'canary-soak', 'canary-stuck')"

struct ch_hold_rules { /* all zero: none */
	bool frozen;
	uint64_t frozen_seq;
	char canary[CH_STORE_LABEL_MAX + 1]; /* "": none */
	int64_t soak_ms;
	uint64_t release_seq;
};
CH_MUST int ch_hold_rules_ask(struct ch_db *db, const char *pool);
CH_MUST int ch_hold_rules_load(
	struct ch_db *db, const char *pool, struct ch_hold_rules *ret_rules);

/* What one edge gets of its pool. */
struct ch_hold_view {
	bool canary;	   /* what is held up to head_max too */
	uint64_t head_max; /* CH_STORE_ID_MAX unless the pool is frozen */
};
/* edge NULL: any but a canary. */
CH_MUST int ch_hold_view_load(
	struct ch_db *db, const char *pool, const char *edge, struct ch_hold_view *ret_view);

struct ch_canary_health {
	enum ch_canary_state state; /* SILENT, TROUBLE, BEHIND (another epoch), else IDLE */
	int64_t seen_at;
	const char *trouble; /* in the arena */
};
CH_MUST int ch_hold_canary_health(struct ch_db *db, const char *pool, const char *canary,
	const uint8_t epoch[CH_EPOCH_B], int64_t live_since, struct ch_arena *arena,
	struct ch_canary_health *ret_health);

#endif
