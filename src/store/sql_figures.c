/* Counts for monitoring that no counter is kept of: each looks at a bounded number of rows. */
#include "base/clock.h"
#include "store/sql_hold.h"
#include "store/sql_read.h"

#define ENDED_MS (7 * CH_DAY_MS)
/* Names that are passed over: those that moved away keep their certificate until it ends, and
 * very many may wait for a frozen feed. */
#define LOOK_MAX 100000

static int read_actors(struct ch_db *db, struct ch_store_figures *figures)
{
	int rc = CH_OK;

	/* "actor <> 'nobody'" is for SQLite, which would not use the index of such names. */
	for (int i = 0; !rc && i < CH_STORE_ACTORS; i++) {
		int64_t n = 0;

		rc = ch_db_get_i64(db, &n,
			"SELECT count(*) FROM (SELECT 1 FROM name WHERE actor = ? "
			"AND actor <> 'nobody' LIMIT ?) AS few",
			"ti", ch_actor_str((enum ch_actor)i), (int64_t)CH_STORE_FIGURE_MAX);
		figures->actors[i] = (uint64_t)n;
	}
	return rc;
}

static int read_operators_own(struct ch_db *db, struct ch_store_figures *figures)
{
	int64_t n = 0;
	int rc = ch_db_get_i64(db, &n,
		"SELECT count(*) FROM (SELECT 1 FROM (SELECT code, pool FROM name WHERE actor "
		"= ? "
		"AND actor <> 'nobody' LIMIT ?) AS his WHERE code NOT IN " CH_HELD_CODES
		" OR NOT EXISTS (SELECT 1 FROM pool p WHERE p.pool = his.pool "
		"AND (p.frozen_at IS NOT NULL OR p.canary IS NOT NULL)) LIMIT ?) AS few",
		"tii", ch_actor_str(CH_ACTOR_OPERATOR), (int64_t)LOOK_MAX,
		(int64_t)CH_STORE_FIGURE_MAX);

	figures->operators_own = (uint64_t)n;
	return rc;
}

static int read_ending(struct ch_db *db, struct ch_store_figures *figures)
{
	int64_t now = ch_now_ms();
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < CH_STORE_ENDING_N; i++) {
		int64_t n = 0;

		rc = ch_db_get_i64(db, &n,
			"SELECT count(*) FROM (SELECT 1 FROM (SELECT state FROM name "
			"WHERE not_after > ? AND not_after <= ? LIMIT ?) AS near "
			"WHERE state NOT IN ('paused', 'moved') LIMIT ?) AS few",
			"iiii", now - ENDED_MS, now + ch_store_ending_ms[i], (int64_t)LOOK_MAX,
			(int64_t)CH_STORE_FIGURE_MAX);
		figures->ending[i] = (uint64_t)n;
	}
	return rc;
}

int ch_sql_get_figures(struct ch_store *base, struct ch_store_figures *ret_figures)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_figures figures = {0};
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = read_actors(db, &figures);
	if (!rc)
		rc = read_operators_own(db, &figures);
	if (!rc)
		rc = read_ending(db, &figures);
	ch_sql_read_end(store, db);
	if (!rc)
		*ret_figures = figures;
	return rc;
}
