/* CH_OP_RELEASE. */
#include <stdio.h>
#include <string.h>

#include "store/sql_hold.h"
#include "store/sql_work.h"

#define DEFAULT_ROWS 1000

struct row {
	uint64_t seq;
	enum ch_record_kind kind;
	const char *name;
};

struct rows {
	struct row *list; /* room for max of them */
	size_t n;
	size_t max;
};

static int take_rows(struct ch_work *w, struct ch_stmt *stmt, struct rows *rows)
{
	int rc = CH_OK;

	while (rows->n < rows->max && (rc = ch_db_step(w->db, stmt)) == 1) {
		struct row *row = &rows->list[rows->n++];

		rc = CH_OK;
		row->seq = ch_db_u64(stmt, 0);
		row->kind = (enum ch_record_kind)(int)ch_db_i64(stmt, 1);
		row->name = ch_db_text(w->op->arena, stmt, 2, &rc);
		if (rc)
			return rc;
	}
	return rc;
}

static int list_up_to(struct ch_work *w, const char *pool, uint64_t seq, struct rows *rows)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT seq, kind, name FROM held WHERE pool = ? AND seq <= ? ORDER BY seq "
		"LIMIT ?",
		"tii", pool, seq, (int64_t)(rows->max - rows->n));

	return rc ? rc : take_rows(w, stmt, rows);
}

/* Above what goes anyway. */
static int list_plain(struct ch_work *w, const char *pool, uint64_t above, struct rows *rows)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT seq, kind, name FROM held WHERE pool = ? AND seq > ? "
		"AND kind NOT IN (2, 4, 6) ORDER BY seq LIMIT ?",
		"tii", pool, above, (int64_t)(rows->max - rows->n));

	return rc ? rc : take_rows(w, stmt, rows);
}

/* Whoever waits for the edges to have it need not wait for his next look. */
static int hurry(struct ch_work *w, const char *key)
{
	char name[CH_NAME_MAX + 1];
	int rc;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(key, "/"), key);
	rc = ch_db_run(w->db,
		"UPDATE orders SET next_at = ?1 WHERE id = (SELECT order_id FROM name "
		"WHERE name = ?2) AND ended_at IS NULL AND next_at > ?1 "
		"AND lease_issuer IS NULL AND code IN " CH_HELD_CODES,
		"it", w->now, name);

	if (!rc && ch_db_changes(w->db))
		ch_work_due(w, w->now);
	return rc;
}

/* What has gone along with its name already is not taken away again. */
static int release_row(struct ch_work *w, const char *pool, const struct row *row)
{
	int rc = ch_db_run(w->db,
		"DELETE FROM edge_record WHERE name = ? AND pool = ? "
		"AND EXISTS (SELECT 1 FROM held WHERE seq = ?)",
		"tti", row->name, pool, row->seq);

	w->tx.head++;
	w->tx.changed = true;
	w->tx.change.feed = true;
	w->tx.change.feed_head = w->tx.head;
	if (!rc)
		rc = ch_db_run(w->db,
			"INSERT INTO edge_record (seq, pool, name, version, kind, record, "
			"chain_id, at) SELECT ?1, pool, name, version, kind, record, chain_id, "
			"?2 FROM held WHERE seq = ?3",
			"iii", w->tx.head, w->now, row->seq);
	if (!rc)
		rc = ch_db_run(w->db, "DELETE FROM held WHERE seq = ?", "i", row->seq);
	if (!rc && row->kind == CH_RECORD_TOMBSTONE)
		rc = ch_work_drop_extras(w, pool, row->name);
	return rc ? rc : hurry(w, row->name);
}

/* A name that was removed and is back: what its edges still have of it before may be another
 * tenant's, so what is there now goes along, without waiting for the canary. */
static int release_extras(struct ch_work *w, const char *pool, const char *name)
{
	static const enum ch_record_kind extras[] = {
		CH_RECORD_POLICY, CH_RECORD_SECOND, CH_RECORD_CHALLENGE};
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < CH_ARRAY_LEN(extras); i++) {
		char key[CH_RECORD_KEY_B];
		struct row row = {.kind = extras[i], .name = key};
		int64_t seq;

		ch_record_key(extras[i], name, strlen(name), key);
		rc = ch_db_get_i64(w->db, &seq,
			"SELECT seq FROM held WHERE name = ? AND pool = ?", "tt", key, pool);
		row.seq = (uint64_t)seq;
		if (!rc)
			rc = release_row(w, pool, &row);
		else if (rc == CH_ENOTFOUND)
			rc = CH_OK;
	}
	return rc;
}

/* What the canary has had for the soak's time, and has been seen well after: noted, so that it
 * goes on even if that takes several calls and the canary is gone at the next. */
static int pass_soaked(struct ch_work *w, const char *pool, struct ch_hold_rules *rules)
{
	struct ch_canary_health health;
	int64_t soaked;
	int rc = ch_hold_canary_health(w->db, pool, rules->canary, w->epoch,
		w->now - w->edge_timeout_ms, w->op->arena, &health);

	if (rc || health.state != CH_CANARY_IDLE)
		return rc;
	rc = ch_db_get_i64(w->db, &soaked,
		"SELECT max(seq) FROM canary_mark WHERE pool = ? AND at <= ?", "ti", pool,
		health.seen_at - rules->soak_ms);
	if (rc)
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	rc = ch_db_run(w->db, "DELETE FROM canary_mark WHERE pool = ? AND seq <= ?", "ti", pool,
		soaked);
	if (rc || (uint64_t)soaked <= rules->release_seq)
		return rc;
	rules->release_seq = (uint64_t)soaked;
	return ch_db_run(
		w->db, "UPDATE pool SET release_seq = ? WHERE pool = ?", "it", soaked, pool);
}

/* At most `most` rows, and the extras of the names among them. */
static int release_pool(
	struct ch_work *w, const char *pool, size_t most, struct ch_op_release *release)
{
	struct rows rows = {.max = most};
	struct ch_hold_rules rules;
	uint64_t up_to = CH_STORE_ID_MAX;
	int rc = ch_hold_rules_load(w->db, pool, &rules);

	if (rc || rules.frozen)
		return rc;
	if (rules.canary[0]) {
		rc = pass_soaked(w, pool, &rules);
		up_to = rules.release_seq;
	}
	rows.list = ch_arena_array(w->op->arena, rows.max, sizeof(*rows.list));
	if (!rc && !rows.list)
		rc = CH_ENOMEM;
	if (!rc)
		rc = list_up_to(w, pool, up_to, &rows);
	if (!rc && rules.canary[0])
		rc = list_plain(w, pool, up_to, &rows);
	for (size_t i = 0; !rc && i < rows.n; i++) {
		rc = release_row(w, pool, &rows.list[i]);
		if (!rc && rows.list[i].seq > up_to && rows.list[i].kind == CH_RECORD_NAME)
			rc = release_extras(w, pool, rows.list[i].name);
	}
	release->released += rows.n;
	release->more |= rows.n == rows.max;
	release->waits |= rules.canary[0] != 0;
	return rc;
}

static int list_pools(struct ch_work *w, const char **pools, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	size_t n = 0;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT p.pool FROM pool p WHERE EXISTS "
		"(SELECT 1 FROM held h WHERE h.pool = p.pool) LIMIT ?",
		"i", (int64_t)CH_STORE_POOLS_MAX);

	while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
		rc = CH_OK;
		pools[n++] = ch_db_text(w->op->arena, stmt, 0, &rc);
	}
	*ret_n = n;
	return rc;
}

int ch_work_release(struct ch_work *w, struct ch_op_release *release)
{
	const char **pools = ch_arena_array(w->op->arena, CH_STORE_POOLS_MAX, sizeof(*pools));
	size_t n = 0;
	size_t share;
	int rc = pools ? list_pools(w, pools, &n) : CH_ENOMEM;

	if (!release->max_rows)
		release->max_rows = DEFAULT_ROWS;
	release->released = 0;
	release->waits = false;
	release->more = false;
	/* Each its share, so that none waits until another's million is through. */
	share = n && release->max_rows > n ? release->max_rows / n : 1;
	for (size_t i = 0; !rc && i < n; i++)
		rc = release_pool(w, pools[i], share, release);
	return rc;
}
