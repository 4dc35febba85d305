/* CH_OP_HOUSEKEEP: a bounded share of what is older than it must be kept, or no longer true. */
#include <stdio.h>

#include "store/counters.h"
#include "store/sql_pace.h"
#include "store/sql_work.h"

#define DEFAULT_ROWS 1000

/* An edge whose cursor is below the highest pruned removal can no longer learn of it: those of
 * a frozen pool stand where it was frozen. */
static int prune_tombstones(
	struct ch_work *w, int64_t before, int64_t max_rows, int64_t *ret_removed)
{
	int64_t most = (int64_t)CH_STORE_ID_MAX;
	int64_t top;
	int rc = ch_db_get_i64(w->db, &most,
		"SELECT min(frozen_seq) FROM pool WHERE frozen_at IS NOT NULL", "");

	if (!rc || rc == CH_ENOTFOUND)
		rc = ch_db_get_i64(w->db, &top,
			"SELECT max(seq) FROM (SELECT seq FROM edge_record WHERE kind = 3 "
			"AND at < ? AND seq <= ? ORDER BY at LIMIT ?) AS few",
			"iii", before, most, max_rows);
	if (rc) {
		*ret_removed = 0;
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	}
	rc = ch_db_run(w->db,
		"DELETE FROM edge_record WHERE seq IN (SELECT seq FROM edge_record "
		"WHERE kind = 3 AND at < ? AND seq <= ? ORDER BY at LIMIT ?)",
		"iii", before, most, max_rows);
	if (rc)
		return rc;
	*ret_removed = ch_db_changes(w->db);
	if ((uint64_t)top > w->tx.floor)
		w->tx.floor = (uint64_t)top;
	return CH_OK;
}

/* The newest one stays: SQLite would give its id out again, and who is told of alerts knows
 * them by their ids. */
static int prune_alerts(
	struct ch_work *w, int64_t before, int64_t max_rows, int64_t *ret_removed)
{
	int rc = ch_db_run(w->db,
		"DELETE FROM alert WHERE id IN (SELECT id FROM alert WHERE closed_at IS NOT "
		"NULL "
		"AND closed_at < ? ORDER BY closed_at LIMIT ?) "
		"AND id < (SELECT max(id) FROM alert)",
		"ii", before, max_rows);

	*ret_removed = ch_db_changes(w->db);
	return rc;
}

static int prune_orders(
	struct ch_work *w, int64_t before, int64_t max_rows, int64_t *ret_removed)
{
	int rc = ch_db_run(w->db,
		"DELETE FROM order_name WHERE order_id IN (SELECT id FROM orders "
		"WHERE ended_at IS NOT NULL AND ended_at < ? ORDER BY ended_at, id LIMIT ?)",
		"ii", before, max_rows);

	if (!rc)
		rc = ch_db_run(w->db,
			"DELETE FROM orders WHERE id IN (SELECT id FROM orders "
			"WHERE ended_at IS NOT NULL AND ended_at < ? ORDER BY ended_at, id "
			"LIMIT ?)",
			"ii", before, max_rows);
	*ret_removed = ch_db_changes(w->db);
	return rc;
}

/* An order does not wait for ever for an edge that does not get on, and the name keeps saying
 * so after it.  "actor <> 'nobody'" is for SQLite, which would not use the index of such names.
 */
static int settle_edges(struct ch_work *w, int64_t max_rows, int64_t *ret_settled)
{
	int rc = ch_db_run(w->db,
		"UPDATE name SET code = 'ok', detail = 'Served by all edges.', "
		"actor = 'nobody', updated_at = ?1, "
		"second_detail = iif(second_code = 'edges-behind', 'Served by all edges.', "
		"second_detail), "
		"second_actor = iif(second_code = 'edges-behind', 'nobody', second_actor), "
		"second_code = iif(second_code = 'edges-behind', 'ok', second_code) "
		"WHERE name IN (SELECT n.name FROM name n "
		"WHERE n.actor = 'platform' AND n.actor <> 'nobody' "
		"AND n.code = 'edges-behind' AND n.state = 'active' AND n.order_id IS NULL "
		"AND EXISTS (SELECT 1 FROM edge e WHERE e.pool = n.pool AND e.seen_at >= ?2) "
		"AND NOT EXISTS (SELECT 1 FROM edge e WHERE e.pool = n.pool "
		"AND e.seen_at >= ?2 AND (e.epoch <> ?3 OR e.seq < (SELECT max(r.seq) "
		"FROM edge_record r WHERE r.name IN (n.name, n.name || '/6', n.name || '/7') "
		"AND r.pool = n.pool))) LIMIT ?4)",
		"iibi", w->now, w->now - w->edge_timeout_ms, w->epoch, sizeof(w->epoch),
		max_rows);

	*ret_settled = ch_db_changes(w->db);
	return rc;
}

/* What monitoring and `certherd status` tell of it: over all stores, for ever. */
static int count_pruned(struct ch_work *w, const char *kind, int64_t removed)
{
	char key[32];
	int rc;

	if (!removed)
		return CH_OK;
	snprintf(key, sizeof(key), CH_COUNTER_PRUNED "%s", kind);
	rc = ch_db_run(w->db,
		"INSERT INTO counter (key, n) VALUES (?1, ?2) "
		"ON CONFLICT (key) DO UPDATE SET n = counter.n + excluded.n",
		"ti", key, removed);
	if (rc)
		return rc;
	return ch_db_run(w->db,
		"INSERT INTO counter (key, n) VALUES ('" CH_COUNTER_PRUNED "at', ?) "
		"ON CONFLICT (key) DO UPDATE SET n = excluded.n",
		"i", w->now);
}

static int prune_kinds(struct ch_work *w, struct ch_op_housekeep *house, int64_t max_rows)
{
	const struct {
		int (*prune)(struct ch_work *w, int64_t before, int64_t max_rows,
			int64_t *ret_removed);
		int64_t keep_ms;
		const char *counted; /* NULL: not */
	} kinds[] = {
		{prune_tombstones, house->tombstone_keep_ms, NULL},
		{prune_orders, house->orders_keep_ms, "orders"},
		{prune_alerts, CH_STORE_ALERTS_KEEP_MS, NULL},
		{ch_work_prune_holders, CH_STORE_HOLDERS_KEEP_MS, NULL},
		{ch_work_prune_issuers, CH_STORE_ISSUER_KEEP_MS, NULL},
		{ch_work_prune_wanted, CH_STORE_WANTED_KEEP_MS, NULL},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(kinds); i++) {
		int64_t removed;
		int rc = kinds[i].prune(w, w->now - kinds[i].keep_ms, max_rows, &removed);

		if (!rc && kinds[i].counted)
			rc = count_pruned(w, kinds[i].counted, removed);
		if (rc)
			return rc;
		house->removed += (size_t)removed;
		house->more |= removed == max_rows;
	}
	return CH_OK;
}

static int sweep(struct ch_work *w, struct ch_op_housekeep *house, int64_t max_rows)
{
	const struct {
		int (*sweep)(struct ch_work *w, struct ch_sweep *sweep);
		int64_t keep_ms;
		const char *counted;
	} kinds[] = {
		{ch_work_sweep_history, house->history_keep_ms, "history"},
		{ch_work_sweep_audit, house->audit_keep_ms, "audit"},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(kinds); i++) {
		struct ch_sweep turn = {.before_ms = w->now - kinds[i].keep_ms,
			.least = (int64_t)house->history_least,
			.max_rows = max_rows};
		int rc = kinds[i].sweep(w, &turn);

		if (!rc)
			rc = count_pruned(w, kinds[i].counted, turn.removed);
		if (rc)
			return rc;
		house->removed += (size_t)turn.removed;
		house->more |= turn.more;
	}
	return CH_OK;
}

int ch_work_housekeep(struct ch_work *w, struct ch_op_housekeep *house)
{
	int64_t max_rows = house->max_rows ? (int64_t)house->max_rows : DEFAULT_ROWS;
	int64_t ticket_sets;
	int64_t buckets = 0;
	int64_t settled;
	int64_t renewing;
	int64_t paused;
	int rc = settle_edges(w, max_rows, &settled);

	if (!rc)
		rc = ch_work_settle_renewing(w, max_rows, &renewing);
	if (!rc)
		rc = ch_work_settle_paused(w, max_rows, &paused);
	if (!rc)
		rc = ch_work_prune_tickets(w, &ticket_sets);
	if (!rc)
		rc = ch_pace_prune(w, max_rows, &buckets);
	if (rc)
		return rc;
	house->caught_up = (size_t)settled;
	house->removed = (size_t)(ticket_sets + buckets);
	house->more = settled == max_rows || renewing == max_rows || paused == max_rows ||
		      buckets == max_rows;
	rc = sweep(w, house, max_rows);
	return rc ? rc : prune_kinds(w, house, max_rows);
}
