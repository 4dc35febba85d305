/* Standby certificates: store_standby.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/sql_work.h"

/* Names that are told of a new default by one lease. */
#define MARK_MAX 2000
/* After an order that came to nothing through no fault of the name. */
#define AGAIN_MS CH_MINUTE_MS
/* The CA has stopped the name for the account. */
#define STOPPED_MS CH_DAY_MS

struct setting {
	char ca[CH_STORE_CA_NAME_MAX + 1];
	char marked[CH_NAME_MAX + 1];
	bool marking;
	int64_t hold;
};

static int load_setting(struct ch_db *db, struct setting *setting)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt,
		"SELECT ca, coalesce(marked, ''), iif(marked IS NULL, 0, 1), hold FROM "
		"standby_default",
		"");

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	rc = CH_OK;
	ch_db_copy(stmt, 0, setting->ca, sizeof(setting->ca), &rc);
	ch_db_copy(stmt, 1, setting->marked, sizeof(setting->marked), &rc);
	setting->marking = ch_db_i64(stmt, 2);
	setting->hold = ch_db_i64(stmt, 3);
	return rc;
}

int ch_db_standby_wanted(
	struct ch_db *db, const char *own, char ret_ca[CH_STORE_CA_NAME_MAX + 1])
{
	struct setting setting;
	int rc = own[0] ? CH_OK : load_setting(db, &setting);

	if (!rc)
		strcpy(ret_ca, !own[0]					 ? setting.ca
			       : strcmp(own, CH_STORE_STANDBY_NONE) == 0 ? ""
									 : own);
	return rc;
}

static int min_at(struct ch_db *db, const char *sql, int64_t *at_ms)
{
	int64_t one;
	int rc = ch_db_get_i64(db, &one, sql, "");

	/* min() of nothing is NULL, which is read as 0. */
	if (!rc && one && one < *at_ms)
		*at_ms = one;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

int ch_db_standby_due(struct ch_db *db, int64_t *ret_at_ms)
{
	struct setting setting;
	int64_t at_ms = INT64_MAX;
	int rc = load_setting(db, &setting);

	if (!rc)
		rc = min_at(
			db, "SELECT min(standby_at) FROM name WHERE " CH_STANDBY_OWN, &at_ms);
	if (!rc && setting.ca[0])
		rc = min_at(db, "SELECT min(standby_at) FROM name WHERE " CH_STANDBY_DEFAULT,
			&at_ms);
	if (at_ms < setting.hold)
		at_ms = setting.hold;
	if (setting.marking && setting.ca[0])
		at_ms = 0;
	if (!rc)
		*ret_at_ms = at_ms;
	return rc;
}

int ch_work_hold_standbys(struct ch_work *w, int64_t until_ms)
{
	return ch_db_run(w->db, "UPDATE standby_default SET hold = ?", "i", until_ms);
}

static int note_ca(struct ch_work *w, const struct ch_store_pace *pace)
{
	if (!pace->ca || !pace->account)
		return CH_OK;
	return ch_db_run(w->db,
		"INSERT INTO ca (name, host) SELECT ?1, substr(?2, 1, instr(?2, '/') - 1) "
		"WHERE true ON CONFLICT (name) DO UPDATE SET host = excluded.host "
		"WHERE ca.host <> excluded.host",
		"tt", pace->ca, pace->account);
}

/* Some of the names that have a certificate and say nothing of a standby. */
static int mark_some(struct ch_work *w, const struct setting *setting)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	char last[CH_NAME_MAX + 1];
	int rc = ch_db_query(w->db, &stmt,
		"SELECT name FROM name WHERE name > ? ORDER BY name LIMIT 1 OFFSET ?", "ti",
		setting->marked, (int64_t)MARK_MAX - 1);
	bool more;

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc < 0)
		return rc;
	more = rc == 1;
	rc = CH_OK;
	if (more)
		ch_db_copy(stmt, 0, last, sizeof(last), &rc);
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET standby_at = ?1 WHERE name > ?2 AND (?3 IS NULL OR "
			"name <= ?3) AND standby = '' AND standby_at IS NULL AND cert IS NOT "
			"NULL",
			"itt", w->now, setting->marked, more ? last : NULL);
	w->tx.changed = true;
	return rc ? rc
		  : ch_db_run(w->db, "UPDATE standby_default SET marked = ?", "t",
			    more ? last : NULL);
}

int ch_work_note_cas(struct ch_work *w, const struct ch_op_lease *lease)
{
	const char *wanted = lease->standby ? lease->standby : "";
	struct setting setting;
	int rc = load_setting(w->db, &setting);

	if (!rc)
		rc = note_ca(w, &lease->pace);
	for (size_t i = 0; !rc && i < lease->n_fallback; i++)
		rc = note_ca(w, &lease->fallback[i]);
	if (!rc && strcmp(setting.ca, wanted) != 0) {
		rc = ch_db_run(w->db,
			"UPDATE standby_default SET ca = ?, marked = '', hold = 0", "t",
			wanted);
		w->tx.changed = true;
		setting.marking = true;
		setting.marked[0] = '\0';
	}
	return rc || !setting.marking || !*wanted ? rc : mark_some(w, &setting);
}

/* Its record is needed until that is done. */
static int is_being_put_live(struct ch_work *w, const struct ch_name_row *row, bool *ret_is)
{
	struct ch_order_row order = {.rollback = 0};
	int rc = row->order_id ? ch_order_row_load(w->db, row->order_id, &order) : CH_OK;

	*ret_is = order.rollback && order.rollback == row->standby_cert;
	return rc;
}

int ch_work_change_standby(
	struct ch_work *w, const struct ch_name_row *row, const char *standby)
{
	char wanted[CH_STORE_CA_NAME_MAX + 1];
	bool keep = false;
	int rc;

	if (strcmp(row->standby, standby) == 0)
		return CH_OK;
	rc = ch_db_standby_wanted(w->db, standby, wanted);
	if (!rc)
		rc = is_being_put_live(w, row, &keep);
	keep |= wanted[0] != '\0';
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET standby = ?1, standby_failures = 0, "
			"standby_code = '', standby_detail = '', standby_actor = 'nobody', "
			"standby_cert = iif(?5, standby_cert, NULL), "
			"standby_at = iif(?2 AND cert IS NOT NULL, ?3, NULL), updated_at = ?3 "
			"WHERE name = ?4",
			"tliti", standby, (int64_t)(wanted[0] != '\0'), w->now, row->name,
			(int64_t)keep);
	ch_work_due(w, w->now);
	if (rc || keep)
		return rc;
	return ch_work_trim_certs(w, row->name,
		(const uint64_t[]){
			row->cert, row->prev_cert, row->second_cert, row->second_prev, 0});
}

int ch_work_standby_reason(
	struct ch_work *w, const char *name, uint64_t id, const struct ch_store_reason *reason)
{
	return ch_db_run(w->db,
		"UPDATE name SET standby_code = ?1, standby_detail = ?2, standby_actor = ?3 "
		"WHERE name = ?4 AND order_id = ?5",
		"tttti", ch_work_cut(w, reason->code, CH_STORE_CODE_MAX),
		ch_work_cut(w, reason->detail, CH_STORE_DETAIL_MAX),
		ch_actor_str(reason->actor), name, id);
}

/* Nothing becomes of what is live. */
int ch_work_fail_standby(struct ch_work *w, const struct ch_name_row *row,
	const struct ch_store_outcome *outcome)
{
	int64_t at = outcome->next_at_ms;
	int rc;
	int64_t least = w->now + (outcome->state == CH_NAME_PAUSED ? STOPPED_MS : AGAIN_MS);

	if (!outcome->failed || outcome->state == CH_NAME_PAUSED)
		at = at > least ? at : least;
	if (!at)
		at = w->now;
	ch_work_due(w, at);
	rc = ch_db_run(w->db,
		"UPDATE name SET order_id = NULL, standby_at = ?1, state = 'active', "
		"standby_failures = standby_failures + ?2, updated_at = ?3 WHERE name = ?4",
		"iiit", at, (int64_t)outcome->failed, w->now, row->name);
	return rc ? rc : ch_work_served(w, row->name);
}

int ch_work_served(struct ch_work *w, const char *name)
{
	return ch_db_run(w->db,
		"UPDATE name SET code = 'ok', detail = 'Served by the edges.', "
		"actor = 'nobody' WHERE name = ? AND code = 'queued'",
		"t", name);
}

/* One that is of the same CA as what is live now is none. */
int ch_work_plan_standby(struct ch_work *w, const char *name, uint64_t version)
{
	char wanted[CH_STORE_CA_NAME_MAX + 1];
	struct ch_name_row row;
	int rc = ch_name_row_load(w->db, name, &row);

	if (!rc)
		rc = ch_db_standby_wanted(w->db, row.standby, wanted);
	if (rc || !wanted[0])
		return rc;
	ch_work_due(w, w->now);
	return ch_db_run(w->db,
		"UPDATE name SET standby_at = iif(standby_cert IS NULL OR "
		"(SELECT ari_ca FROM cert WHERE version = standby_cert) = "
		"(SELECT ari_ca FROM cert WHERE version = ?1), "
		"iif(standby_failures > 0, coalesce(standby_at, ?2), ?2), standby_at) "
		"WHERE name = ?3",
		"iit", version, w->now, name);
}

/* ---- putting it live ---- */

enum outcome {
	BEGUN,
	NOT_READY,
	PASSED_OVER, /* paused, or a roll-back is under way */
};

struct attempt {
	enum outcome outcome;
	size_t names; /* BEGUN: with its www name */
	const char *code;
	const char *why;
};

static void refuse(struct attempt *a, enum outcome outcome, const char *code, const char *why)
{
	*a = (struct attempt){.outcome = outcome, .code = code, .why = why};
}

/* host: the CA that has failed; NULL: none in particular. */
static int judge(
	struct ch_work *w, const struct ch_name_row *row, const char *host, struct attempt *a)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc;

	if (!row->standby_cert) {
		refuse(a, NOT_READY, "standby-not-ready",
			"has no standby certificate that could be put live; `certherd domain "
			"show` says why");
		return CH_OK;
	}
	rc = ch_db_query(w->db, &stmt,
		"SELECT c.not_after, iif(x.record IS NULL, 0, 1), "
		"iif(c.ari_ca = ?3, 1, 0) "
		"FROM cert c JOIN cert_name x ON x.version = c.version AND x.name = ?2 "
		"WHERE c.version = ?1",
		"itt", row->standby_cert, row->name, host);
	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	if (ch_db_i64(stmt, 0) <= w->now || !ch_db_i64(stmt, 1))
		refuse(a, NOT_READY, "standby-not-ready",
			"has a standby certificate that has expired");
	else if (ch_db_i64(stmt, 2))
		refuse(a, NOT_READY, "standby-not-ready", "has a standby of the same CA");
	else
		*a = (struct attempt){.outcome = BEGUN, .names = 1, .code = "ok"};
	return CH_OK;
}

/* One that asks a CA for something is given up: it may be the CA that has failed. */
static int look_at_order(struct ch_work *w, const struct ch_name_row *row, struct attempt *a)
{
	struct ch_order_row order;
	int rc;

	if (!row->order_id)
		return CH_OK;
	rc = ch_order_row_load(w->db, row->order_id, &order);
	if (rc)
		return rc;
	if (order.rollback && order.state == CH_ORDER_NEW)
		refuse(a, PASSED_OVER,
			order.rollback == row->standby_cert ? NULL : "order-open",
			"has a roll-back under way: wait for its end");
	return CH_OK;
}

static int detach(struct ch_work *w, const struct ch_name_row *row)
{
	return row->order_id ? ch_work_detach(w, row->name, row->order_id) : CH_OK;
}

static int put_live(struct ch_work *w, const struct ch_name_row *row, const char *host,
	bool dry_run, struct attempt *a)
{
	struct ch_name_row mate;
	bool has_mate;
	int rc;

	if (row->state == CH_NAME_PAUSED) {
		refuse(a, PASSED_OVER, "domain-paused", "is paused; resume it first");
		return CH_OK;
	}
	rc = judge(w, row, host, a);
	if (!rc && a->outcome == BEGUN)
		rc = look_at_order(w, row, a);
	if (rc || a->outcome != BEGUN)
		return rc;
	rc = ch_work_shares(w, row, row->standby_cert, &mate);
	has_mate = !rc && mate.standby_cert == row->standby_cert;
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	a->names += has_mate;
	if (dry_run)
		return CH_OK;
	rc = detach(w, row);
	/* Its order may have been the same one. */
	if (!rc && has_mate)
		rc = ch_name_row_load(w->db, mate.name, &mate);
	if (!rc && has_mate)
		rc = detach(w, &mate);
	return rc ? rc
		  : ch_work_put_back(
			    w, row, has_mate ? &mate : NULL, row->standby_cert, "standby");
}

static int put_one(struct ch_work *w, struct ch_op_standby *op)
{
	struct ch_name_row row;
	struct attempt a;
	int rc = ch_name_row_load(w->db, op->name, &row);

	if (rc == CH_ENOTFOUND)
		return ch_err_set(&w->op->err, rc, "domain-not-found",
			"%s is not registered here", op->name);
	if (!rc)
		rc = put_live(w, &row, NULL, false, &a);
	if (rc)
		return rc;
	if (a.outcome != BEGUN && a.code)
		return ch_err_set(&w->op->err, CH_ECONFLICT, a.code, "%s %s", op->name, a.why);
	op->begun = a.outcome == BEGUN ? a.names : 0;
	return ch_work_audit(w, "cert.standby", op->name);
}

static int load_host(struct ch_work *w, const char *ca, char ret_host[CH_STORE_ACCOUNT_MAX + 1])
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt, "SELECT host FROM ca WHERE name = ?", "t", ca);

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return ch_err_set(&w->op->err, CH_ENOTFOUND, "ca-not-found",
			"no issuer has a CA that it calls \"%s\": main, or NAME of a section "
			"[ca NAME]",
			ca);
	rc = CH_OK;
	ch_db_copy(stmt, 0, ret_host, CH_STORE_ACCOUNT_MAX + 1, &rc);
	return rc;
}

struct found {
	const char *name;
	bool meant;
};

/* The next names, whatever is live for them: so that no call looks at more than these. */
static int find(struct ch_work *w, struct ch_op_standby *op, const char *host,
	struct found *list, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	size_t n = 0;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT n.name, iif(c.ari_ca = ?1, 1, 0) FROM name n LEFT JOIN cert c ON "
		"c.version = n.cert WHERE n.name > ?2 ORDER BY n.name LIMIT ?3",
		"tti", host, op->after ? op->after : "", (int64_t)op->max);

	while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
		rc = CH_OK;
		list[n].name = ch_db_text(w->op->arena, stmt, 0, &rc);
		list[n++].meant = ch_db_i64(stmt, 1);
	}
	*ret_n = n;
	return rc;
}

static int put_some(struct ch_work *w, struct ch_op_standby *op)
{
	char host[CH_STORE_ACCOUNT_MAX + 1];
	struct found *list = ch_arena_array(w->op->arena, op->max, sizeof(*list));
	size_t n = 0;
	int rc = list ? load_host(w, op->ca, host) : CH_ENOMEM;

	if (!rc)
		rc = find(w, op, host, list, &n);
	for (size_t i = 0; !rc && i < n; i++) {
		struct ch_name_row row;
		struct attempt a;

		if (!list[i].meant)
			continue;
		rc = ch_name_row_load(w->db, list[i].name, &row);
		if (!rc)
			rc = put_live(w, &row, host, op->dry_run, &a);
		if (rc)
			break;
		/* Without a code: it is on its way already, by an earlier call or with its
		 * other name. */
		op->begun += a.outcome == BEGUN || !a.code;
		op->not_ready += a.outcome == NOT_READY;
		op->passed_over += a.outcome == PASSED_OVER && a.code;
	}
	if (!rc && n == op->max)
		op->last = list[n - 1].name;
	if (!rc && !op->after && !op->dry_run)
		rc = ch_work_audit(w, "cert.standby-all", op->ca);
	return rc;
}

int ch_work_standby(struct ch_work *w, struct ch_op_standby *op)
{
	op->begun = op->not_ready = op->passed_over = 0;
	op->last = NULL;
	if (op->name)
		return put_one(w, op);
	if (!op->max || op->max > CH_STORE_STANDBY_MAX)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-field", "max must be 1 to %d",
			CH_STORE_STANDBY_MAX);
	return put_some(w, op);
}
