#include "store/sql_hold.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/sql_ahead.h"

/* More marks than so many in one soak say nothing more. */
#define MARKS_PER_SOAK 1000

static const char rules_sql[] =
	"SELECT frozen_at IS NOT NULL, frozen_seq, canary, soak, release_seq FROM pool "
	"WHERE pool = ?";

int ch_hold_rules_ask(struct ch_db *db, const char *pool)
{
	return ch_db_ask(db, rules_sql, "t", pool);
}

int ch_hold_rules_load(struct ch_db *db, const char *pool, struct ch_hold_rules *ret_rules)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_hold_rules rules = {.frozen = false};
	int rc = ch_db_query(db, &stmt, rules_sql, "t", pool);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		rc = CH_OK;
		rules.frozen = (int)ch_db_i64(stmt, 0);
		rules.frozen_seq = ch_db_u64(stmt, 1);
		ch_db_copy(stmt, 2, rules.canary, sizeof(rules.canary), &rc);
		rules.soak_ms = ch_db_i64(stmt, 3);
		rules.release_seq = ch_db_u64(stmt, 4);
	}
	if (!rc)
		*ret_rules = rules;
	return rc;
}

int ch_work_hold_rules(struct ch_work *w, const char *pool, struct ch_hold_rules *ret_rules)
{
	int rc = CH_OK;

	if (strcmp(w->ruled, pool) != 0) {
		w->ruled[0] = '\0';
		rc = ch_hold_rules_load(w->db, pool, &w->rules);
		if (!rc)
			snprintf(w->ruled, sizeof(w->ruled), "%s", pool);
	}
	if (!rc)
		*ret_rules = w->rules;
	return rc;
}

int ch_hold_view_load(
	struct ch_db *db, const char *pool, const char *edge, struct ch_hold_view *ret_view)
{
	struct ch_hold_rules rules;
	int rc = ch_hold_rules_load(db, pool, &rules);

	if (rc)
		return rc;
	ret_view->canary = edge && rules.canary[0] && strcmp(edge, rules.canary) == 0;
	ret_view->head_max = rules.frozen ? rules.frozen_seq : CH_STORE_ID_MAX;
	return CH_OK;
}

int ch_hold_canary_health(struct ch_db *db, const char *pool, const char *canary,
	const uint8_t epoch[CH_EPOCH_B], int64_t live_since, struct ch_arena *arena,
	struct ch_canary_health *ret_health)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_canary_health health = {.state = CH_CANARY_SILENT};
	uint8_t its_epoch[CH_EPOCH_B];
	int rc = ch_db_query(db, &stmt,
		"SELECT epoch, error, seen_at FROM edge WHERE pool = ? AND id = ?", "tt", pool,
		canary);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		rc = CH_OK;
		ch_db_bytes(stmt, 0, its_epoch, sizeof(its_epoch), &rc);
		health.trouble = ch_db_text(arena, stmt, 1, &rc);
		health.seen_at = ch_db_i64(stmt, 2);
		if (rc)
			return rc;
		if (health.seen_at >= live_since)
			health.state = health.trouble ? CH_CANARY_TROUBLE
				       : memcmp(epoch, its_epoch, CH_EPOCH_B) != 0
					       ? CH_CANARY_BEHIND
					       : CH_CANARY_IDLE;
	}
	*ret_health = health;
	return CH_OK;
}

int ch_work_hold(struct ch_work *w, const char *pool, const char *name, uint64_t version,
	enum ch_record_kind kind, const uint8_t *record, size_t record_len,
	const uint8_t *chain_id)
{
	int rc = ch_ahead_lacks(w, CH_AHEAD_RECORD, name)
			 ? CH_OK
			 : ch_db_run(w->db, "DELETE FROM held WHERE name = ? AND pool = ?",
				   "tt", name, pool);

	ch_ahead_changed(w, CH_AHEAD_RECORD, name);
	w->tx.change.held = true;
	return rc ? rc
		  : ch_db_run(w->db,
			    "INSERT INTO held (seq, pool, name, version, kind, record, "
			    "chain_id, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			    "ittiibbi", w->tx.head, pool, name, version, (int64_t)kind, record,
			    record_len, chain_id, (size_t)CH_CHAIN_ID_B, w->now);
}

static int frozen_reason(
	struct ch_work *w, const char *pool, struct ch_store_reason *ret_reason)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_store_reason reason = {.code = "feed-frozen", .actor = CH_ACTOR_OPERATOR};
	char since[CH_TIME_STR_B];
	const char *by;
	const char *why;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT frozen_at, frozen_by, frozen_why FROM pool WHERE pool = ?", "t", pool);

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	by = (const char *)ch_db_col_text(stmt, 1);
	why = (const char *)ch_db_col_text(stmt, 2);
	reason.detail = ch_arena_fmt(w->op->arena,
		"The feed of pool %s is frozen since %s%s%s (%s): edges get no changes. It "
		"goes on with `certherd feed thaw --pool %s`.",
		pool, ch_time_str(ch_db_i64(stmt, 0), since), by ? " by " : "", by ? by : "",
		why ? why : "", pool);
	if (!reason.detail)
		return CH_ENOMEM;
	*ret_reason = reason;
	return CH_OK;
}

static int canary_reason(struct ch_work *w, const char *pool, const struct ch_hold_rules *rules,
	struct ch_store_reason *ret_reason)
{
	struct ch_canary_health health;
	struct ch_store_reason reason = {.code = "canary-soak", .actor = CH_ACTOR_NOBODY};
	char soak[CH_TIME_STR_B];
	int rc = ch_hold_canary_health(w->db, pool, rules->canary, w->epoch,
		w->now - w->edge_timeout_ms, w->op->arena, &health);

	if (rc)
		return rc;
	if (health.state == CH_CANARY_SILENT || health.state == CH_CANARY_TROUBLE) {
		reason.code = "canary-stuck";
		reason.actor = CH_ACTOR_OPERATOR;
		reason.detail = ch_arena_fmt(w->op->arena,
			"The canary edge/%s/%s %s%s, so the other edges wait. `certherd "
			"feed canary --release --pool %s` lets what waits through.",
			pool, rules->canary,
			health.trouble ? "reports trouble: " : "does not report",
			health.trouble ? ch_work_cut(w, health.trouble, 300) : "", pool);
	} else {
		reason.detail = ch_arena_fmt(w->op->arena,
			"The canary edge/%s/%s gets it first, the other edges when it has had "
			"it for %s.",
			pool, rules->canary, ch_duration_str(rules->soak_ms, soak));
	}
	if (!reason.detail)
		return CH_ENOMEM;
	*ret_reason = reason;
	return CH_OK;
}

static const char held_sql[] =
	"SELECT 1 FROM held WHERE name IN (?1, ?1 || '/6', ?1 || '/7') AND pool = ?2";

int ch_work_held_ask(struct ch_work *w, const char *pool, const char *name)
{
	return ch_db_ask(w->db, held_sql, "tt", name, pool);
}

int ch_work_held_reason(struct ch_work *w, const char *pool, const char *name, bool *ret_held,
	struct ch_store_reason *ret_reason)
{
	struct ch_hold_rules rules;
	int64_t one;
	int rc = ch_db_get_i64(w->db, &one, held_sql, "tt", name, pool);

	*ret_held = rc == CH_OK;
	if (rc)
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	rc = ch_hold_rules_load(w->db, pool, &rules);
	if (!rc && rules.frozen)
		rc = frozen_reason(w, pool, ret_reason);
	else if (!rc && rules.canary[0])
		rc = canary_reason(w, pool, &rules, ret_reason);
	return rc;
}

static int forget_marks(struct ch_work *w, const char *pool)
{
	return ch_db_run(w->db, "DELETE FROM canary_mark WHERE pool = ?", "t", pool);
}

/* A soak is of one piece: whoever was away or in trouble begins it again. */
static int was_well(struct ch_work *w, const struct ch_op_edge_ack *ack, bool *ret_well)
{
	struct ch_canary_health health;
	int rc = ch_hold_canary_health(w->db, ack->pool, ack->id, w->epoch,
		w->now - w->edge_timeout_ms, w->op->arena, &health);

	*ret_well = !rc && health.state == CH_CANARY_IDLE;
	return rc;
}

static int mark(struct ch_work *w, const struct ch_op_edge_ack *ack, int64_t soak_ms)
{
	int64_t newest = 0;
	int64_t marked = 0;
	int64_t marked_at = 0;
	int rc = ch_db_get_i64(w->db, &newest,
		"SELECT max(seq) FROM held WHERE pool = ? AND seq <= ?", "ti", ack->pool,
		ack->seq);

	if (!rc)
		rc = ch_db_get_i64(w->db, &marked,
			"SELECT max(seq) FROM canary_mark WHERE pool = ?", "t", ack->pool);
	if (!rc)
		rc = ch_db_get_i64(w->db, &marked_at,
			"SELECT at FROM canary_mark WHERE pool = ? AND seq = ?", "ti",
			ack->pool, marked);
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	if (newest <= marked || marked_at > w->now - soak_ms / MARKS_PER_SOAK)
		return CH_OK;
	return ch_db_run(w->db, "INSERT INTO canary_mark (pool, seq, at) VALUES (?, ?, ?)",
		"tii", ack->pool, newest, w->now);
}

int ch_work_canary_ack(struct ch_work *w, const struct ch_op_edge_ack *ack)
{
	struct ch_hold_rules rules;
	bool well = false;
	int rc = ch_hold_rules_load(w->db, ack->pool, &rules);

	if (rc || !rules.canary[0] || strcmp(rules.canary, ack->id) != 0)
		return rc;
	rc = was_well(w, ack, &well);
	if (!rc && !well)
		rc = forget_marks(w, ack->pool);
	if (rc)
		return rc;
	if (ack->error || memcmp(ack->epoch, w->epoch, CH_EPOCH_B) != 0)
		return forget_marks(w, ack->pool);
	return mark(w, ack, rules.soak_ms);
}
