/* CH_OP_ALERTS, and the reads that go with it. */
#include <string.h>

#include "base/clock.h"
#include "pace/retry.h"
#include "store/sql_read.h"
#include "store/sql_work.h"

#define RETRY_LEAST_MS CH_MINUTE_MS
#define RETRY_MOST_MS CH_HOUR_MS
#define ENDED_MS (7 * CH_DAY_MS)
/* A tenth of the longest lifetime that any CA gives, and more. */
#define LONGEST_DANGER_MS (40 * CH_DAY_MS)

#define LATELY_MS (7 * CH_DAY_MS)
/* A name that has been due for longer failed before: a customer who has left, say. */
#define FRESH_MS CH_DAY_MS

#define COLUMNS                                                                                \
	"id, kind, subject, source, severity, detail, opened_at, seen_at, closed_at, tries"

static int read_alert(
	struct ch_arena *arena, struct ch_stmt *stmt, struct ch_store_alert *alert)
{
	int rc = CH_OK;

	*alert = (struct ch_store_alert){.id = ch_db_u64(stmt, 0),
		.kind = ch_db_text(arena, stmt, 1, &rc),
		.subject = ch_db_text(arena, stmt, 2, &rc),
		.source = ch_db_text(arena, stmt, 3, &rc),
		.severity = ch_db_text(arena, stmt, 4, &rc),
		.detail = ch_db_text(arena, stmt, 5, &rc),
		.opened_ms = ch_db_i64(stmt, 6),
		.seen_ms = ch_db_i64(stmt, 7),
		.closed_ms = ch_db_i64(stmt, 8),
		.tries = ch_db_u64(stmt, 9)};
	return rc;
}

/* What looks less bad is believed when it has for as long as what looks over: so one that
 * changes between the two, or that stores of two versions judge each in its way, is told once.
 */
static int see(struct ch_work *w, const struct ch_store_trouble *trouble)
{
	return ch_db_run(w->db,
		"INSERT INTO alert (kind, subject, source, severity, detail, opened_at, "
		"seen_at, "
		"tell_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6) "
		"ON CONFLICT (kind, subject) WHERE closed_at IS NULL "
		"DO UPDATE SET source = ?3, severity = ?4, detail = ?5, seen_at = ?6, "
		/* What has become worse is told again. */
		"tell_at = iif(alert.severity = 'warning' AND ?4 = 'critical', ?6, "
		"alert.tell_at), "
		"tries = iif(alert.severity = 'warning' AND ?4 = 'critical', 0, alert.tries) "
		"WHERE alert.severity = 'warning' OR ?4 = 'critical' OR alert.seen_at < ?7",
		"tttttii", trouble->kind, trouble->subject, trouble->source,
		trouble->critical ? "critical" : "warning", trouble->detail, w->now,
		w->now - CH_STORE_ALERT_HOLD_MS);
}

static int close_unseen(struct ch_work *w, const char *source)
{
	return ch_db_run(w->db,
		/* Of what nobody began to tell of, nobody has to hear that it is over. */
		"UPDATE alert SET closed_at = ?1, tries = 0, "
		"tell_at = iif(tell_at = opened_at, NULL, ?1) WHERE closed_at IS NULL "
		"AND (source = ?2 OR ?2 IS NULL) AND seen_at < ?3",
		"iti", w->now, source,
		w->now - (source ? CH_STORE_ALERT_HOLD_MS : CH_STORE_ALERT_STALE_MS));
}

/* What has changed since then is told all the same, but for what has become less bad: who heard
 * the worse need not hear of that. */
static int note_told(struct ch_work *w, const struct ch_store_told *told)
{
	const char *severity = told->critical ? "critical" : "warning";
	int64_t again_ms = 0;
	int64_t tries;
	int rc;

	if (!told->failed)
		return ch_db_run(w->db,
			"UPDATE alert SET tell_at = NULL WHERE id = ? "
			"AND (closed_at IS NOT NULL) = ? AND severity IN ('warning', ?)",
			"ilt", told->id, (int64_t)told->closed, severity);
	rc = ch_db_get_i64(
		w->db, &tries, "SELECT tries FROM alert WHERE id = ?", "i", told->id);
	if (rc)
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	/* 0 is bound as NULL: it is not told any more. */
	if (tries + 1 < CH_STORE_ALERT_TRIES_MAX)
		again_ms =
			w->now + ch_doubling_ms(RETRY_LEAST_MS, (uint64_t)tries, RETRY_MOST_MS);
	return ch_db_run(w->db,
		"UPDATE alert SET tell_at = ?, tries = tries + 1 WHERE id = ? "
		"AND (closed_at IS NOT NULL) = ? AND severity IN ('warning', ?)",
		"zilt", again_ms, told->id, (int64_t)told->closed, severity);
}

static int lease(struct ch_work *w, struct ch_op_alerts *in)
{
	int rc = CH_OK;

	in->tell = ch_arena_array(w->op->arena, CH_STORE_TELL_MAX, sizeof(*in->tell));
	if (!in->tell)
		return CH_ENOMEM;
	{
		CH_AUTO_STMT struct ch_stmt *stmt = NULL;

		rc = ch_db_query(w->db, &stmt,
			"SELECT " COLUMNS
			" FROM alert WHERE tell_at IS NOT NULL AND tell_at <= ? "
			"ORDER BY tell_at, id LIMIT ?",
			"ii", w->now, (int64_t)CH_STORE_TELL_MAX);
		while (!rc && (rc = ch_db_step(w->db, stmt)) == 1)
			rc = read_alert(w->op->arena, stmt, &in->tell[in->n_tell++]);
	}
	for (size_t i = 0; !rc && i < in->n_tell; i++)
		rc = ch_db_run(w->db, "UPDATE alert SET tell_at = ? WHERE id = ?", "ii",
			w->now + in->lease_ms, in->tell[i].id);
	return rc;
}

int ch_work_alerts(struct ch_work *w, struct ch_op_alerts *in)
{
	int rc = CH_OK;

	in->n_tell = 0;
	for (size_t i = 0; !rc && i < in->n_troubles; i++)
		rc = see(w, &in->troubles[i]);
	if (!rc)
		rc = close_unseen(w, in->source);
	if (!rc)
		rc = close_unseen(w, NULL);
	for (size_t i = 0; !rc && i < in->n_told; i++)
		rc = note_told(w, &in->told[i]);
	if (!rc && in->lease_ms > 0)
		rc = lease(w, in);
	return rc;
}

int ch_sql_list_alerts(struct ch_store *base, bool closed_too, size_t limit,
	struct ch_arena *arena, struct ch_store_alert **ret_alerts, size_t *ret_n)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_alert *alerts = ch_arena_array(arena, limit, sizeof(*alerts));
	struct ch_db *db;
	size_t n = 0;
	int rc;

	if (!alerts)
		return CH_ENOMEM;
	rc = ch_sql_read_begin(store, &db);
	if (rc)
		return rc;
	{
		CH_AUTO_STMT struct ch_stmt *stmt = NULL;

		rc = ch_db_query(db, &stmt,
			closed_too ? "SELECT " COLUMNS
				     " FROM alert ORDER BY closed_at IS NOT NULL, "
				     "id DESC LIMIT ?"
				   : "SELECT " COLUMNS " FROM alert WHERE closed_at IS NULL "
				     "ORDER BY id DESC LIMIT ?",
			"i", (int64_t)limit);
		while (!rc && (rc = ch_db_step(db, stmt)) == 1)
			rc = read_alert(arena, stmt, &alerts[n++]);
	}
	ch_sql_read_end(store, db);
	*ret_alerts = alerts;
	*ret_n = n;
	return rc;
}

/* By a danger time of each: those of short lifetimes, which end sooner, stand before none.  Of
 * two certificates the one counts that ends first. */
static int read_danger(
	struct ch_db *db, struct ch_arena *arena, int64_t now, struct ch_store_danger *danger)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt,
		"SELECT name, iif(second_cert IS NULL, not_after, (SELECT min(c.not_after) "
		"FROM cert c WHERE c.version IN (name.cert, name.second_cert))) "
		"FROM name WHERE danger_at IS NOT NULL "
		"AND state NOT IN ('paused', 'moved') AND danger_at > ?1 AND danger_at < ?2 "
		"AND (not_after > ?3 OR second_cert IS NOT NULL) LIMIT ?4",
		"iiii", now - ENDED_MS - LONGEST_DANGER_MS, now, now - ENDED_MS,
		(int64_t)CH_STORE_DANGER_MAX);

	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		int64_t ends_ms = ch_db_i64(stmt, 1);

		rc = CH_OK;
		if (danger->n++ && ends_ms >= danger->ends_ms)
			continue;
		danger->name = ch_db_text(arena, stmt, 0, &rc);
		danger->ends_ms = ends_ms;
	}
	return rc;
}

static int read_paused(struct ch_db *db, struct ch_arena *arena, struct ch_store_danger *danger)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt,
		"SELECT p.n, n.name, n.detail FROM (SELECT count(*) AS n, min(name) AS least "
		"FROM (SELECT name FROM name WHERE state = 'paused' AND code = 'ca-paused' "
		"ORDER BY name LIMIT ?) l) p JOIN name n ON n.name = p.least",
		"i", (int64_t)CH_STORE_DANGER_MAX);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc;
	rc = CH_OK;
	danger->paused = ch_db_u64(stmt, 0);
	danger->paused_name = ch_db_text(arena, stmt, 1, &rc);
	danger->paused_detail = ch_db_text(arena, stmt, 2, &rc);
	return rc;
}

#define LATEST "(SELECT name, at, event FROM history ORDER BY id DESC LIMIT ?1) AS h "

static int read_failing(struct ch_db *db, int64_t now, struct ch_store_danger *danger)
{
	int64_t failing = 0;
	int64_t published = 0;
	int rc = ch_db_get_i64(db, &failing,
		"SELECT count(*) FROM (SELECT DISTINCT h.name FROM " LATEST
		"WHERE h.event = 'failed' AND h.at > ?2 AND (SELECT c.renew_at FROM cert AS c "
		"WHERE c.version = (SELECT n.cert FROM name AS n WHERE n.name = h.name "
		"AND n.failures > 0)) >= h.at - ?3) AS fresh",
		"iii", (int64_t)CH_STORE_LATELY_MAX, now - LATELY_MS, (int64_t)FRESH_MS);

	if (!rc)
		rc = ch_db_get_i64(db, &published,
			"SELECT count(*) FROM " LATEST
			"WHERE h.event = 'published' AND h.at > ?2 AND (SELECT n.prev_cert "
			"FROM name AS n WHERE n.name = h.name) IS NOT NULL",
			"ii", (int64_t)CH_STORE_LATELY_MAX, now - LATELY_MS);
	danger->failing = (uint64_t)failing;
	danger->published = (uint64_t)published;
	return rc;
}

int ch_sql_get_danger(
	struct ch_store *base, struct ch_arena *arena, struct ch_store_danger *ret_danger)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	memset(ret_danger, 0, sizeof(*ret_danger));
	rc = read_danger(db, arena, ch_now_ms(), ret_danger);
	if (!rc)
		rc = read_paused(db, arena, ret_danger);
	if (!rc)
		rc = read_failing(db, ch_now_ms(), ret_danger);
	ch_sql_read_end(store, db);
	return rc;
}
