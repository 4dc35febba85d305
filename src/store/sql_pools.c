/* CH_OP_POOL, and what there is to tell of pools. */
#include <string.h>

#include "base/clock.h"
#include "store/sql_read.h"
#include "store/sql_work.h"

/* A freeze of a pool that was misspelt would stop nothing and say that it had. */
static int check_pool(struct ch_work *w, const char *pool)
{
	int64_t one;
	int rc;

	if (strcmp(pool, CH_STORE_LABEL_DEFAULT) == 0)
		return CH_OK;
	rc = ch_db_get_i64(w->db, &one,
		"SELECT 1 WHERE EXISTS (SELECT 1 FROM edge WHERE pool = ?1) "
		"OR EXISTS (SELECT 1 FROM edge_record WHERE pool = ?1) "
		"OR EXISTS (SELECT 1 FROM pool WHERE pool = ?1)",
		"t", pool);
	if (rc == CH_ENOTFOUND)
		return ch_err_set(&w->op->err, rc, "pool-not-found",
			"no name and no edge was ever in a pool %s", pool);
	return rc;
}

static int has_room(struct ch_work *w, const char *pool)
{
	int64_t n;
	int rc = ch_db_get_i64(
		w->db, &n, "SELECT count(*) FROM pool WHERE pool <> ?", "t", pool);

	if (!rc && n >= CH_STORE_POOLS_MAX)
		return ch_err_set(&w->op->err, CH_ETOOBIG, "bad-field",
			"at most %d pools can have rules", CH_STORE_POOLS_MAX);
	return rc;
}

static int make_row(struct ch_work *w, const char *pool)
{
	int rc = check_pool(w, pool);

	if (!rc)
		rc = has_room(w, pool);
	return rc ? rc
		  : ch_db_run(w->db,
			    "INSERT INTO pool (pool, frozen_seq, soak, release_seq) "
			    "VALUES (?, 0, 0, 0) ON CONFLICT DO NOTHING",
			    "t", pool);
}

static int freeze(struct ch_work *w, const struct ch_op_pool *op)
{
	return ch_db_run(w->db,
		"UPDATE pool SET frozen_at = ?1, frozen_by = ?2, frozen_why = ?3, "
		"frozen_seq = ?4 WHERE pool = ?5 AND frozen_at IS NULL",
		"ittit", w->now, w->op->who, ch_work_cut(w, op->why, CH_STORE_WHY_MAX),
		w->tx.head, op->pool);
}

static int thaw(struct ch_work *w, const struct ch_op_pool *op)
{
	return ch_db_run(w->db,
		"UPDATE pool SET frozen_at = NULL, frozen_by = NULL, frozen_why = NULL "
		"WHERE pool = ? AND frozen_at IS NOT NULL",
		"t", op->pool);
}

/* The new canary may have read past what the one before was given: number that anew. */
static int renumber(struct ch_work *w, const char *pool)
{
	int64_t first;
	int64_t last;
	int64_t up;
	int rc = ch_db_get_i64(
		w->db, &first, "SELECT min(seq) FROM held WHERE pool = ?", "t", pool);

	if (!rc)
		rc = ch_db_get_i64(
			w->db, &last, "SELECT max(seq) FROM held WHERE pool = ?", "t", pool);
	if (rc)
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	up = (int64_t)w->tx.head + 1 - first;
	w->tx.head = (uint64_t)(last + up);
	return ch_db_run(w->db, "UPDATE held SET seq = seq + ? WHERE pool = ?", "it", up, pool);
}

static int forget_marks(struct ch_work *w, const char *pool)
{
	return ch_db_run(w->db, "DELETE FROM canary_mark WHERE pool = ?", "t", pool);
}

static int set_canary(struct ch_work *w, const struct ch_op_pool *op)
{
	struct ch_hold_rules rules;
	int64_t one;
	int rc = ch_db_get_i64(w->db, &one, "SELECT 1 FROM edge WHERE pool = ? AND id = ?",
		"tt", op->pool, op->edge);

	if (rc == CH_ENOTFOUND)
		return ch_err_set(&w->op->err, rc, "edge-not-found",
			"no edge/%s/%s has ever reported", op->pool, op->edge);
	if (!rc)
		rc = ch_hold_rules_load(w->db, op->pool, &rules);
	if (rc)
		return rc;
	if (strcmp(rules.canary, op->edge) != 0) {
		rc = forget_marks(w, op->pool);
		if (!rc)
			rc = renumber(w, op->pool);
	}
	return rc ? rc
		  : ch_db_run(w->db,
			    "UPDATE pool SET canary = ?1, soak = ?2 WHERE pool = ?3 "
			    "AND (canary IS NULL OR canary <> ?1 OR soak <> ?2)",
			    "tit", op->edge, op->soak_ms, op->pool);
}

static int no_canary(struct ch_work *w, const struct ch_op_pool *op)
{
	int rc = forget_marks(w, op->pool);

	return rc ? rc
		  : ch_db_run(w->db,
			    "UPDATE pool SET canary = NULL, soak = 0 "
			    "WHERE pool = ? AND canary IS NOT NULL",
			    "t", op->pool);
}

static int release_held(struct ch_work *w, const struct ch_op_pool *op)
{
	return ch_db_run(w->db,
		"UPDATE pool SET release_seq = ?1 WHERE pool = ?2 "
		"AND EXISTS (SELECT 1 FROM held WHERE pool = ?2 AND seq > release_seq)",
		"it", w->tx.head, op->pool);
}

int ch_work_pool(struct ch_work *w, const struct ch_op_pool *op)
{
	static const struct {
		int (*run)(struct ch_work *w, const struct ch_op_pool *op);
		const char *action; /* in the audit log */
	} actions[] = {
		[CH_POOL_FREEZE] = {freeze, "feed.freeze"},
		[CH_POOL_THAW] = {thaw, "feed.thaw"},
		[CH_POOL_CANARY] = {set_canary, "feed.canary"},
		[CH_POOL_NO_CANARY] = {no_canary, "feed.canary-off"},
		[CH_POOL_RELEASE] = {release_held, "feed.release"},
	};
	int rc = make_row(w, op->pool);

	if (!rc)
		rc = actions[op->action].run(w, op);
	if (rc || !ch_db_changes(w->db))
		return rc;
	w->tx.changed = true;
	w->tx.change.held = true;
	/* For a canary that waits: what it gets is another now. */
	w->tx.change.feed = true;
	w->tx.change.feed_head = w->tx.head;
	return ch_work_audit(w, actions[op->action].action, op->pool);
}

static int read_rules(
	struct ch_db *db, struct ch_arena *arena, struct ch_store_pool *pool, char *ret_canary)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt,
		"SELECT frozen_at, frozen_by, frozen_why, canary, soak FROM pool "
		"WHERE pool = ?",
		"t", pool->pool);

	ret_canary[0] = 0;
	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc;
	rc = CH_OK;
	pool->frozen_at_ms = ch_db_i64(stmt, 0);
	pool->frozen_by = ch_db_text(arena, stmt, 1, &rc);
	pool->frozen_why = ch_db_text(arena, stmt, 2, &rc);
	ch_db_copy(stmt, 3, ret_canary, CH_STORE_LABEL_MAX + 1, &rc);
	pool->soak_ms = ch_db_i64(stmt, 4);
	if (!rc && ret_canary[0]) {
		pool->canary = ch_arena_fmt(arena, "edge/%s/%s", pool->pool, ret_canary);
		rc = pool->canary ? CH_OK : CH_ENOMEM;
	}
	return rc;
}

static int read_held(struct ch_db *db, struct ch_store_pool *pool)
{
	int64_t n;
	int rc = ch_db_get_i64(db, &n,
		"SELECT count(*) FROM (SELECT 1 FROM held WHERE pool = ? LIMIT ?) AS few", "ti",
		pool->pool, (int64_t)CH_STORE_LAG_MAX);

	if (rc)
		return rc;
	pool->held = (uint64_t)n;
	rc = ch_db_get_i64(db, &pool->held_since_ms,
		"SELECT at FROM held WHERE pool = ? ORDER BY seq LIMIT 1", "t", pool->pool);
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

/* Of a canary that is well. */
static int read_soak(struct ch_db *db, struct ch_store_pool *pool)
{
	int64_t newest;
	int64_t marked = 0;
	int rc = ch_db_get_i64(
		db, &newest, "SELECT max(seq) FROM held WHERE pool = ?", "t", pool->pool);

	if (rc)
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	rc = ch_db_get_i64(db, &marked, "SELECT max(seq) FROM canary_mark WHERE pool = ?", "t",
		pool->pool);
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	pool->state = marked >= newest ? CH_CANARY_SOAKING : CH_CANARY_BEHIND;
	return CH_OK;
}

static int read_pool(struct ch_db *db, const struct ch_db_meta *meta, int64_t live_since,
	struct ch_arena *arena, struct ch_store_pool *pool)
{
	struct ch_canary_health health;
	char canary[CH_STORE_LABEL_MAX + 1];
	int rc = read_rules(db, arena, pool, canary);

	if (!rc)
		rc = read_held(db, pool);
	if (rc || !canary[0])
		return rc;
	rc = ch_hold_canary_health(
		db, pool->pool, canary, meta->epoch, live_since, arena, &health);
	if (rc)
		return rc;
	pool->state = health.state;
	if (health.state == CH_CANARY_TROUBLE)
		pool->trouble = health.trouble;
	return health.state == CH_CANARY_IDLE ? read_soak(db, pool) : CH_OK;
}

static int list_names(
	struct ch_db *db, struct ch_arena *arena, struct ch_store_pool *pools, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	size_t n = 0;
	int rc = ch_db_query(db, &stmt,
		"SELECT pool FROM pool UNION SELECT pool FROM edge ORDER BY 1 LIMIT ?", "i",
		(int64_t)CH_STORE_POOLS_MAX);

	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		rc = CH_OK;
		pools[n++].pool = ch_db_text(arena, stmt, 0, &rc);
	}
	*ret_n = n;
	return rc;
}

static int list_pools(struct ch_db *db, const char *one, int64_t live_since,
	struct ch_arena *arena, struct ch_store_pool *pools, size_t *ret_n)
{
	struct ch_db_meta meta;
	size_t n = 1;
	int rc = ch_db_meta_load(db, &meta);

	if (one)
		pools[0].pool = one;
	else if (!rc)
		rc = list_names(db, arena, pools, &n);
	for (size_t i = 0; !rc && i < n; i++)
		rc = read_pool(db, &meta, live_since, arena, &pools[i]);
	*ret_n = n;
	return rc;
}

int ch_sql_list_pools(struct ch_store *base, const char *pool, struct ch_arena *arena,
	struct ch_store_pool **ret_pools, size_t *ret_n)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_pool *pools =
		ch_arena_array(arena, pool ? 1 : CH_STORE_POOLS_MAX, sizeof(*pools));
	struct ch_db *db;
	size_t n;
	int rc;

	if (!pools)
		return CH_ENOMEM;
	rc = ch_sql_read_begin(store, &db);
	if (rc)
		return rc;
	rc = list_pools(db, pool, ch_now_ms() - store->edge_timeout_ms, arena, pools, &n);
	ch_sql_read_end(store, db);
	if (rc)
		return rc;
	*ret_pools = pools;
	*ret_n = n;
	return CH_OK;
}
