/* Counts for monitoring that no counter is kept of: each looks at a bounded number of rows. */
#include "base/clock.h"
#include "store/sqlite_read.h"

#define ENDED_MS (7 * CH_DAY_MS)
/* Names that moved away keep their certificate until it ends, and are passed over. */
#define LOOK_MAX 100000

static int read_actors(struct ch_sq *sq, struct ch_store_figures *figures)
{
	int rc = CH_OK;

	/* "actor <> 'nobody'" is for SQLite, which would not use the index of such names. */
	for (int i = 0; !rc && i < CH_STORE_ACTORS; i++) {
		int64_t n = 0;

		rc = ch_sq_get_i64(sq, &n,
			"SELECT count(*) FROM (SELECT 1 FROM name WHERE actor = ? "
			"AND actor <> 'nobody' LIMIT ?)",
			"ti", ch_actor_str((enum ch_actor)i), (int64_t)CH_STORE_FIGURE_MAX);
		figures->actors[i] = (uint64_t)n;
	}
	return rc;
}

static int read_ending(struct ch_sq *sq, struct ch_store_figures *figures)
{
	int64_t now = ch_now_ms();
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < CH_STORE_ENDING_N; i++) {
		int64_t n = 0;

		rc = ch_sq_get_i64(sq, &n,
			"SELECT count(*) FROM (SELECT 1 FROM (SELECT state FROM name "
			"WHERE not_after > ? AND not_after <= ? LIMIT ?) "
			"WHERE state NOT IN ('paused', 'moved') LIMIT ?)",
			"iiii", now - ENDED_MS, now + ch_store_ending_ms[i], (int64_t)LOOK_MAX,
			(int64_t)CH_STORE_FIGURE_MAX);
		figures->ending[i] = (uint64_t)n;
	}
	return rc;
}

int ch_sqlite_get_figures(struct ch_store *base, struct ch_store_figures *ret_figures)
{
	struct ch_sqlite *store = ch_sqlite_of(base);
	struct ch_store_figures figures = {0};
	struct ch_sq *sq;
	int rc = ch_sqlite_read_begin(store, &sq);

	if (rc)
		return rc;
	rc = read_actors(sq, &figures);
	if (!rc)
		rc = read_ending(sq, &figures);
	ch_sqlite_read_end(store, sq);
	if (!rc)
		*ret_figures = figures;
	return rc;
}
