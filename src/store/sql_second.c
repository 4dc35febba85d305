/* The second certificate of a name (src/wire/record.h): when one is wanted, and what becomes of
 * a name that has, or lacks, its certificates. */
#include <string.h>

#include "pace/calendar.h"
#include "store/sql_work.h"

#define STILL_TO_COME "Served; a certificate that is asked for is still to come."
/* So many names are looked at for each that may be settled: of housekeeping's 250 some
 * milliseconds. */
#define LOOK_EACH 20
#define COMES_IN_TIME                                                                          \
	"Served by the edges; its next renewal brings the key that its \"keys\" want."

static bool wants_second(const struct ch_name_row *row)
{
	return ch_keys_both(row->keys);
}

bool ch_work_second_goes_first(const struct ch_work *w, const struct ch_name_row *row)
{
	return wants_second(row) && row->cert && !row->second_cert && !row->failures &&
	       row->cert_key == CH_KEY_RSA && row->second_at && row->second_at <= w->now;
}

int ch_work_second_waits(struct ch_work *w, const struct ch_name_row *row, bool *ret_waits)
{
	int64_t waits = 0;
	int rc = CH_OK;

	/* A first one that is due goes before. */
	if (row->second_at && row->next_at > w->now + CH_STORE_LOOK_MS)
		rc = ch_db_get_i64(w->db, &waits,
			"SELECT 1 FROM name WHERE name = ? AND second_code = "
			"'ca-limit-account' AND code <> 'ca-limit-account'",
			"t", row->name);
	*ret_waits = waits;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

static bool is_complete(const struct ch_name_row *row)
{
	return row->cert_key == ch_keys_first(row->keys) &&
	       (!wants_second(row) || row->second_cert);
}

/* What is adopted, handed back or put back is served as it is, and what takes its place comes
 * when it would be renewed anyhow: nothing is on its way until then.  Looked at it may have
 * been a moment ago. */
static bool waits_for_renewal(const struct ch_work *w, const struct ch_name_row *row)
{
	return row->cert_key != ch_keys_first(row->keys) &&
	       (!wants_second(row) || row->second_cert) &&
	       row->next_at > w->now + CH_STORE_LOOK_MS;
}

int ch_work_settle(struct ch_work *w, const char *name)
{
	struct ch_name_row row;
	int rc = ch_name_row_load(w->db, name, &row);

	if (rc || row.state != CH_NAME_ACTIVE)
		return rc;
	if (wants_second(&row) && row.second_failures)
		return ch_db_run(w->db,
			"UPDATE name SET state = 'failed', code = second_code, "
			"detail = second_detail, actor = second_actor WHERE name = ?",
			"t", name);
	if (is_complete(&row))
		return CH_OK;
	if (waits_for_renewal(w, &row))
		return ch_db_run(w->db,
			"UPDATE name SET detail = ? WHERE name = ? AND code = 'ok'", "tt",
			COMES_IN_TIME, name);
	return ch_db_run(w->db,
		"UPDATE name SET state = 'renewing', code = 'queued', detail = ?, "
		"actor = 'nobody' WHERE name = ?",
		"tt", STILL_TO_COME, name);
}

int ch_work_settle_renewing(struct ch_work *w, int64_t max_rows, int64_t *ret_settled)
{
	int rc = ch_db_run(w->db,
		"UPDATE name SET state = 'active', code = 'ok', detail = ?1, updated_at = ?2 "
		"WHERE name IN (SELECT n.name FROM (SELECT name, keys, cert_key, code, detail, "
		"order_id, next_at, failures, second_cert, second_failures FROM name "
		"WHERE state = 'renewing' LIMIT ?3) AS n "
		"WHERE n.code = 'queued' AND n.detail = ?4 AND n.order_id IS NULL "
		"AND n.next_at > ?5 AND n.failures = 0 AND n.second_failures = 0 "
		"AND n.keys NOT LIKE n.cert_key || '%' "
		"AND (n.keys NOT LIKE '%+rsa' OR n.second_cert IS NOT NULL) LIMIT ?6)",
		"tiitii", COMES_IN_TIME, w->now, LOOK_EACH * max_rows, STILL_TO_COME,
		w->now + CH_STORE_LOOK_MS, max_rows);

	*ret_settled = ch_db_changes(w->db);
	return rc;
}

int ch_work_settle_paused(struct ch_work *w, int64_t max_rows, int64_t *ret_settled)
{
	int rc = ch_db_run(w->db,
		"UPDATE name SET actor = 'nobody' WHERE name IN (SELECT n.name FROM "
		"(SELECT name, state, code FROM name WHERE actor = 'platform' "
		"AND actor <> 'nobody' LIMIT ?1) AS n "
		"WHERE n.state = 'paused' AND n.code = 'paused' LIMIT ?2)",
		"ii", LOOK_EACH * max_rows, max_rows);

	*ret_settled = ch_db_changes(w->db);
	return rc;
}

static int emit_withdrawal(struct ch_work *w, const struct ch_name_row *row)
{
	struct ch_record record = {.kind = CH_RECORD_SECOND,
		.withdrawn = true,
		.version = ch_work_id(w),
		.name = row->name,
		.name_len = strlen(row->name)};
	CH_CLEANUP(ch_buf_done) struct ch_buf buf;
	char key[CH_RECORD_KEY_B];
	int rc;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	ch_record_key(record.kind, record.name, record.name_len, key);
	rc = ch_record_encode(&record, &buf);
	return rc ? rc
		  : ch_work_emit(w, row->pool, key, record.version, record.kind, buf.data,
			    buf.len, NULL);
}

int ch_work_both_end(struct ch_work *w, const char *name)
{
	return ch_db_run(w->db,
		"UPDATE name SET danger_at = (SELECT min(c.not_after - "
		"(c.not_after - c.not_before) / 100 * ?1) FROM cert c "
		"WHERE c.version IN (name.cert, name.second_cert)), not_after = (SELECT "
		"min(c.not_after) FROM cert c WHERE c.version IN (name.cert, "
		"name.second_cert)) WHERE name = ?2",
		"it", (int64_t)CH_CALENDAR_DANGER_PERCENT, name);
}

int ch_work_withdraw_second(struct ch_work *w, const struct ch_name_row *row)
{
	int rc;

	if (!row->second_cert)
		return CH_OK;
	rc = emit_withdrawal(w, row);
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET second_cert = NULL, second_prev = NULL, "
			"second_standby_cert = NULL, second_standby_at = NULL, "
			"second_standby_failures = 0, second_standby_code = '' WHERE name = ?",
			"t", row->name);
	if (!rc)
		rc = ch_work_both_end(w, row->name);
	if (!rc)
		rc = ch_work_trim_certs(w, row->name,
			(const uint64_t[CH_KEPT_CERTS]){
				row->cert, row->prev_cert, row->standby_cert});
	if (!rc)
		rc = ch_work_trim_second_standbys(w, row->name, 0);
	return rc ? rc
		  : ch_work_history(w, row->name, "withdrawn",
			    "The second certificate is no longer served.", CH_ACTOR_NOBODY);
}

/* What puts two certificates back goes on with the first alone, whoever has it now. */
static int put_back_first_only(struct ch_work *w, uint64_t id)
{
	ch_work_due(w, w->now);
	return ch_db_run(w->db,
		"UPDATE orders SET rollback_second = NULL, fence = fence + 1, "
		"lease_issuer = NULL, lease_until = NULL, next_at = ?1, updated_at = ?1 "
		"WHERE id = ?2",
		"ii", w->now, id);
}

/* An order for a key that is no longer wanted is not gone on with. */
static int stop_order(struct ch_work *w, const struct ch_name_row *row, enum ch_keys keys)
{
	struct ch_order_row order;
	int rc;

	if (!row->order_id)
		return CH_OK;
	rc = ch_order_row_load(w->db, row->order_id, &order);
	if (rc)
		return rc == CH_ENOTFOUND ? CH_ECORRUPT : rc;
	if (order.rollback_second && order.state == CH_ORDER_NEW && !ch_keys_both(keys) &&
		order.key == ch_keys_first(keys))
		return put_back_first_only(w, row->order_id);
	if (order.second ? ch_keys_both(keys) : order.key == ch_keys_first(keys))
		return CH_OK;
	return ch_work_detach(w, row->name, row->order_id);
}

/* A name between orders, after its keys were changed. */
static int rest(struct ch_work *w, const struct ch_name_row *row)
{
	/* The order of a standby leaves a name active. */
	if (row->state == CH_NAME_PAUSED || (row->order_id && row->state != CH_NAME_ACTIVE))
		return CH_OK;
	if (!row->failures && row->cert) {
		int rc = ch_db_run(w->db,
			"UPDATE name SET state = 'active', code = 'ok', "
			"detail = 'Served by the edges.', actor = 'nobody' WHERE name = ?",
			"t", row->name);

		return rc ? rc : ch_work_settle(w, row->name);
	}
	if (row->failures || row->cert)
		return CH_OK;
	return ch_db_run(w->db,
		"UPDATE name SET state = 'pending', code = 'queued', "
		"detail = 'Waits for its first order.', actor = 'nobody' WHERE name = ?",
		"t", row->name);
}

int ch_work_change_keys(struct ch_work *w, const char *name, enum ch_keys keys)
{
	struct ch_name_row row;
	bool begin;
	int rc = ch_name_row_load(w->db, name, &row);

	if (rc || row.keys == keys)
		return rc;
	rc = stop_order(w, &row, keys);
	if (rc)
		return rc;
	/* What is served goes on being served until there is something in its place. */
	begin = ch_keys_first(keys) != (row.cert ? row.cert_key : ch_keys_first(row.keys));
	/* Who can use RSA only has the second until the first can do. */
	if (!ch_keys_both(keys) && (keys != CH_KEYS_RSA || row.cert_key == CH_KEY_RSA))
		rc = ch_work_withdraw_second(w, &row);
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET keys = ?1, "
			"next_at = iif(?2 AND state <> 'paused', ?3, next_at), "
			"failures = iif(?2, 0, failures), "
			"second_at = iif(?4 AND state <> 'paused', coalesce(second_at, ?3), "
			"NULL), "
			"standby_at = iif(?2 AND standby_cert IS NOT NULL, ?3, standby_at), "
			"second_failures = 0, updated_at = ?3 WHERE name = ?5",
			"tlilt", ch_keys_str(keys), (int64_t)begin, w->now,
			(int64_t)ch_keys_both(keys), name);
	ch_work_due(w, w->now);
	if (!rc)
		rc = ch_name_row_load(w->db, name, &row);
	return rc ? rc : rest(w, &row);
}

int ch_work_second_reason(
	struct ch_work *w, const char *name, uint64_t id, const struct ch_store_reason *reason)
{
	return ch_db_run(w->db,
		"UPDATE name SET second_code = ?1, second_detail = ?2, second_actor = ?3 "
		"WHERE name = ?4 AND order_id = ?5",
		"tttti", ch_work_cut(w, reason->code, CH_STORE_CODE_MAX),
		ch_work_cut(w, reason->detail, CH_STORE_DETAIL_MAX),
		ch_actor_str(reason->actor), name, id);
}

/* Goes on as the first certificate's outcome does (sql_patch.c), which is left alone. */
int ch_work_fail_second(struct ch_work *w, const struct ch_name_row *row,
	const struct ch_store_outcome *outcome, bool another_failed)
{
	bool paused = outcome->state == CH_NAME_PAUSED;
	bool due = !row->second_cert || (row->second_at && row->second_at <= w->now);
	int64_t at = outcome->next_at_ms ? outcome->next_at_ms : w->now;
	/* A name that has a first certificate live has not left. */
	enum ch_name_state state = paused ? CH_NAME_PAUSED : CH_NAME_FAILED;
	bool solo = false;

	if (!paused && !outcome->failed && !due) {
		at = row->second_at;
		state = CH_NAME_ACTIVE;
	} else if (!paused && !outcome->failed && another_failed) {
		at = w->now;
		solo = true;
		state = CH_NAME_ACTIVE;
	}
	if (!paused)
		ch_work_due(w, at);
	return ch_db_run(w->db,
		"UPDATE name SET state = ?1, second_at = iif(?2, NULL, ?3), "
		"next_at = iif(?2, NULL, next_at), second_failures = second_failures + ?4, "
		"solo = ?5, order_id = NULL, updated_at = ?6 WHERE name = ?7",
		"tiiiiit", ch_name_state_str(state), (int64_t)paused, at,
		(int64_t)outcome->failed, (int64_t)solo, w->now, row->name);
}
