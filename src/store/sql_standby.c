/* Standby certificates: store_standby.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/sql_pace.h"

/* Names that are told of a new default by one lease. */
#define MARK_MAX 2000
/* After an order that came to nothing through no fault of the name. */
#define AGAIN_MS CH_MINUTE_MS
/* Issuers are being upgraded, or taken back. */
#define SECOND_HOLD_MS (10 * CH_MINUTE_MS)
/* The CA has stopped the name for the account. */
#define STOPPED_MS CH_DAY_MS

struct setting {
	char ca[CH_STORE_CA_NAME_MAX + 1];
	char marked[CH_NAME_MAX + 1];
	bool marking;
	int64_t hold;
	int64_t second_hold; /* of those of second certificates; not before hold */
};

static const char setting_sql[] =
	"SELECT ca, coalesce(marked, ''), iif(marked IS NULL, 0, 1), hold, "
	"second_hold FROM standby_default";
static const char own_sql[] = "SELECT min(standby_at) FROM name WHERE " CH_STANDBY_OWN;
static const char second_own_sql[] =
	"SELECT min(second_standby_at) FROM name WHERE " CH_SECOND_STANDBY_OWN;

int ch_db_standby_setting_ask(struct ch_db *db)
{
	return ch_db_ask(db, setting_sql, "");
}

int ch_db_standby_due_ask(struct ch_db *db)
{
	int rc = ch_db_standby_setting_ask(db);

	if (!rc)
		rc = ch_db_ask(db, own_sql, "");
	return rc ? rc : ch_db_ask(db, second_own_sql, "");
}

static int load_setting(struct ch_db *db, struct setting *setting)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt, setting_sql, "");

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	rc = CH_OK;
	ch_db_copy(stmt, 0, setting->ca, sizeof(setting->ca), &rc);
	ch_db_copy(stmt, 1, setting->marked, sizeof(setting->marked), &rc);
	setting->marking = ch_db_i64(stmt, 2);
	setting->hold = ch_db_i64(stmt, 3);
	setting->second_hold = ch_db_i64(stmt, 4);
	if (setting->second_hold < setting->hold)
		setting->second_hold = setting->hold;
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

static int first_due(struct ch_db *db, const struct setting *setting, int64_t *ret_at_ms)
{
	int rc = min_at(db, own_sql, ret_at_ms);

	return rc || !setting->ca[0]
		       ? rc
		       : min_at(db,
				 "SELECT min(standby_at) FROM name WHERE " CH_STANDBY_DEFAULT,
				 ret_at_ms);
}

static int second_due(struct ch_db *db, const struct setting *setting, int64_t *ret_at_ms)
{
	int rc = min_at(db, second_own_sql, ret_at_ms);

	return rc || !setting->ca[0] ? rc
				     : min_at(db,
					       "SELECT min(second_standby_at) FROM name "
					       "WHERE " CH_SECOND_STANDBY_DEFAULT,
					       ret_at_ms);
}

int ch_db_standby_due(struct ch_db *db, int64_t *ret_at_ms)
{
	struct setting setting;
	int64_t at_ms = INT64_MAX;
	int64_t second_ms = INT64_MAX;
	int rc = load_setting(db, &setting);

	if (!rc)
		rc = first_due(db, &setting, &at_ms);
	if (!rc)
		rc = second_due(db, &setting, &second_ms);
	if (at_ms < setting.hold)
		at_ms = setting.hold;
	if (second_ms < setting.second_hold)
		second_ms = setting.second_hold;
	if (second_ms < at_ms)
		at_ms = second_ms;
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

int ch_work_pass_over_seconds(struct ch_work *w)
{
	struct setting setting;
	int64_t at_ms = INT64_MAX;
	int rc = load_setting(w->db, &setting);

	if (!rc && setting.second_hold <= w->now)
		rc = second_due(w->db, &setting, &at_ms);
	if (rc || at_ms > w->now)
		return rc;
	return ch_db_run(w->db, "UPDATE standby_default SET second_hold = ?", "i",
		w->now + SECOND_HOLD_MS);
}

static int note_ca(struct ch_work *w, const struct ch_store_pace *pace)
{
	if (!pace->ca || !pace->account)
		return CH_OK;
	return ch_db_run(w->db,
		"INSERT INTO ca (name, host) "
		"SELECT ?1, substr(?2, 1, instr(?2 || '/', '/') - 1) "
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

	*ret_is = order.rollback && (order.rollback == row->standby_cert ||
					    order.rollback == row->second_standby_cert);
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
			"standby_at = iif(?2 AND cert IS NOT NULL, ?3, NULL), updated_at = ?3, "
			"second_standby_failures = 0, second_standby_code = '', "
			"second_standby_detail = '', second_standby_actor = 'nobody', "
			"second_standby_cert = iif(?5, second_standby_cert, NULL), "
			"second_standby_at = iif(second_standby_at IS NULL, NULL, ?3) "
			"WHERE name = ?4",
			"tliti", standby, (int64_t)(wanted[0] != '\0'), w->now, row->name,
			(int64_t)keep);
	ch_work_due(w, w->now);
	if (rc || keep)
		return rc;
	rc = ch_work_trim_second_standbys(w, row->name, 0);
	return rc ? rc
		  : ch_work_trim_certs(w, row->name,
			    (const uint64_t[CH_KEPT_CERTS]){row->cert, row->prev_cert,
				    row->second_cert, row->second_prev});
}

int ch_work_standby_reason(struct ch_work *w, const char *name,
	const struct ch_order_row *order, const struct ch_store_reason *reason)
{
	static const char first[] =
		"UPDATE name SET standby_code = ?1, standby_detail = ?2, standby_actor = ?3 "
		"WHERE name = ?4 AND order_id = ?5";
	static const char second[] =
		"UPDATE name SET second_standby_code = ?1, second_standby_detail = ?2, "
		"second_standby_actor = ?3 WHERE name = ?4 AND order_id = ?5";

	return ch_db_run(w->db, order->second ? second : first, "tttti",
		ch_work_cut(w, reason->code, CH_STORE_CODE_MAX),
		ch_work_cut(w, reason->detail, CH_STORE_DETAIL_MAX),
		ch_actor_str(reason->actor), name, order->id);
}

/* Nothing becomes of what is live. */
int ch_work_fail_standby(struct ch_work *w, const struct ch_name_row *row, bool second,
	const struct ch_store_outcome *outcome)
{
	static const char of_first[] =
		"UPDATE name SET order_id = NULL, standby_at = ?1, state = 'active', "
		"standby_failures = standby_failures + ?2, updated_at = ?3 WHERE name = ?4";
	static const char of_second[] =
		"UPDATE name SET order_id = NULL, state = 'active', "
		"second_standby_at = ?1, "
		"second_standby_failures = second_standby_failures + ?2, updated_at = ?3 "
		"WHERE name = ?4";
	int64_t at = outcome->next_at_ms;
	int rc;
	int64_t least = w->now + (outcome->state == CH_NAME_PAUSED ? STOPPED_MS : AGAIN_MS);

	if (!outcome->failed || outcome->state == CH_NAME_PAUSED)
		at = at > least ? at : least;
	if (!at)
		at = w->now;
	ch_work_due(w, at);
	rc = ch_db_run(w->db, second ? of_second : of_first, "iiit", at,
		(int64_t)outcome->failed, w->now, row->name);
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
int ch_work_plan_standby(
	struct ch_work *w, const struct ch_name_row *row, bool second, uint64_t version)
{
	static const char of_first[] =
		"UPDATE name SET standby_at = iif(standby_cert IS NULL OR "
		"(SELECT ari_ca FROM cert WHERE version = standby_cert) = "
		"(SELECT ari_ca FROM cert WHERE version = ?1), "
		"iif(standby_failures > 0, coalesce(standby_at, ?2), ?2), standby_at) "
		"WHERE name = ?3";
	static const char of_second[] =
		"UPDATE name SET second_standby_at = iif(second_standby_cert IS NULL OR "
		"(SELECT ari_ca FROM cert WHERE version = second_standby_cert) = "
		"(SELECT ari_ca FROM cert WHERE version = ?1), "
		"iif(second_standby_failures > 0, coalesce(second_standby_at, ?2), ?2), "
		"second_standby_at) WHERE name = ?3";
	char wanted[CH_STORE_CA_NAME_MAX + 1];
	int rc = ch_db_standby_wanted(w->db, row->standby, wanted);

	if (rc || !wanted[0])
		return rc;
	ch_work_due(w, w->now);
	return ch_db_run(
		w->db, second ? of_second : of_first, "iit", version, w->now, row->name);
}

/* Unknown is another one: nothing is lost by one standby too many. */
static bool is_of_host(const struct ch_store_pace *pace, const char *host)
{
	size_t len = strlen(host);

	return pace->account && len && strncmp(pace->account, host, len) == 0 &&
	       pace->account[len] == '/';
}

static const struct ch_store_pace *choose_standby(const struct ch_op_lease *lease,
	const struct ch_name_row *row, const char *wanted, const char *live_host,
	const char **ret_code)
{
	const struct ch_store_pace *pace = ch_pace_of(lease, wanted, strlen(wanted));
	struct ch_pace_list list;

	*ret_code = pace ? "standby-no-ca" : "ca-unknown";
	if (!pace || !is_of_host(pace, live_host))
		return pace;
	ch_pace_list(lease, row->cas, &list);
	for (size_t i = 0; i < list.n; i++)
		if (!is_of_host(list.list[i], live_host))
			return list.list[i];
	return NULL;
}

static int live_host(
	struct ch_work *w, uint64_t version, char ret_host[CH_STORE_ACCOUNT_MAX + 1])
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT coalesce(ari_ca, '') FROM cert WHERE version = ?", "i", version);

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	rc = CH_OK;
	ch_db_copy(stmt, 0, ret_host, CH_STORE_ACCOUNT_MAX + 1, &rc);
	return rc;
}

int ch_pace_standby(struct ch_work *w, const struct ch_op_lease *lease,
	const struct ch_name_row *row, uint64_t live, const struct ch_store_pace **ret_pace,
	const char **ret_code)
{
	char host[CH_STORE_ACCOUNT_MAX + 1];
	char wanted[CH_STORE_CA_NAME_MAX + 1];
	int rc = live_host(w, live, host);

	if (!rc)
		rc = ch_db_standby_wanted(w->db, row->standby, wanted);
	if (!rc)
		*ret_pace = choose_standby(lease, row, wanted, host, ret_code);
	return rc;
}
