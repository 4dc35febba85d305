/* CH_OP_DELETE, CH_OP_RETRY, CH_OP_PAUSE, CH_OP_RESUME. */
#include "store/sql_work.h"

static int load(struct ch_work *w, const char *name, struct ch_name_row *ret_row)
{
	int rc = ch_name_row_load(w->db, name, ret_row);

	if (rc == CH_ENOTFOUND)
		return ch_err_set(
			&w->op->err, rc, "domain-not-found", "%s is not registered here", name);
	return rc;
}

static int remove_name(struct ch_work *w, const struct ch_name_row *row)
{
	uint64_t version;
	int rc = ch_work_detach(w, row->name, row->order_id);

	if (!rc)
		rc = ch_work_emit_plain(w, row->pool, row->name, CH_RECORD_TOMBSTONE, &version);
	if (!rc)
		rc = ch_work_forget_certs(w, row->name);
	if (!rc)
		rc = ch_work_note_holder(w, row->name, row->tenant);
	if (!rc)
		rc = ch_db_run(w->db, "DELETE FROM name WHERE name = ?", "t", row->name);
	if (!rc)
		rc = ch_work_history(w, row->name, "deleted", "Removed.", CH_ACTOR_NOBODY);
	return rc;
}

int ch_work_delete(struct ch_work *w, const char *name)
{
	char mate[CH_NAME_MAX + 1];
	struct ch_name_row row;
	int rc = load(w, name, &row);

	if (rc)
		return rc;
	ch_name_row_mate(&row, mate);
	rc = remove_name(w, &row);
	if (!rc)
		rc = ch_work_audit(w, "domain.delete", name);
	if (rc || !mate[0])
		return rc;
	if (row.www_of[0])
		return ch_db_run(w->db,
			"UPDATE name SET www = 0, updated_at = ? WHERE name = ?", "it", w->now,
			mate);
	rc = ch_name_row_load(w->db, mate, &row);
	return rc ? rc : remove_name(w, &row);
}

/* An order that another issuer holds goes on at its own pace. */
static int hurry_order(struct ch_work *w, uint64_t order_id)
{
	ch_work_due(w, w->now);
	return ch_db_run(w->db,
		"UPDATE orders SET next_at = ?1 WHERE id = ?2 AND ended_at IS NULL "
		"AND next_at > ?1 AND lease_issuer IS NULL",
		"ii", w->now, order_id);
}

/* What failed; when nothing did, everything. */
static int retry_now(struct ch_work *w, const struct ch_name_row *row)
{
	bool first = row->failures || !row->second_failures;
	bool second = row->second_failures || !row->failures;
	int rc = ch_db_run(w->db,
		"UPDATE name SET failures = 0, second_failures = 0, updated_at = ?1, "
		"next_at = iif(?2, ?1, next_at), "
		"second_at = iif(?3 AND second_at IS NOT NULL, ?1, second_at), "
		"standby_at = iif(standby_failures > 0, ?1, standby_at), standby_failures = 0, "
		"second_standby_at = iif(second_standby_failures > 0 AND second_standby_at IS "
		"NOT NULL, ?1, second_standby_at), second_standby_failures = 0, "
		"state = iif(cert IS NULL, 'pending', 'active') WHERE name = ?4",
		"illt", w->now, (int64_t)first, (int64_t)second, row->name);

	return rc ? rc : ch_work_settle(w, row->name);
}

/* Its order would keep the one that is asked for waiting. */
static int leave_standby(struct ch_work *w, struct ch_name_row *row)
{
	struct ch_order_row order;
	int rc = row->order_id ? ch_order_row_load(w->db, row->order_id, &order) : CH_OK;

	if (rc || !row->order_id || !order.standby)
		return rc;
	rc = ch_work_detach(w, row->name, row->order_id);
	return rc ? rc : ch_name_row_load(w->db, row->name, row);
}

int ch_work_retry(struct ch_work *w, const char *name)
{
	struct ch_name_row row;
	int rc = load(w, name, &row);

	if (rc)
		return rc;
	if (row.state == CH_NAME_PAUSED)
		return ch_err_set(&w->op->err, CH_ECONFLICT, "domain-paused",
			"%s is paused; resume it first", name);
	rc = leave_standby(w, &row);
	if (!rc && row.order_id)
		rc = ch_db_run(w->db,
			"UPDATE name SET failures = 0, second_failures = 0, updated_at = ? "
			"WHERE name = ?",
			"it", w->now, name);
	else if (!rc)
		rc = retry_now(w, &row);
	if (!rc)
		rc = hurry_order(w, row.order_id);
	if (!rc)
		rc = ch_work_history(w, name, "retry", "The next try is now.", CH_ACTOR_NOBODY);
	return rc ? rc : ch_work_audit(w, "domain.retry", name);
}

int ch_work_pause(struct ch_work *w, const char *name)
{
	struct ch_name_row row;
	int rc = load(w, name, &row);

	if (rc || row.state == CH_NAME_PAUSED)
		return rc;
	rc = ch_work_detach(w, name, row.order_id);
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET state = 'paused', next_at = NULL, second_at = NULL, "
			"solo = 0, "
			"code = 'paused', detail = 'Paused on request.', actor = 'nobody', "
			"updated_at = ? WHERE name = ?",
			"it", w->now, name);
	if (!rc)
		rc = ch_work_history(w, name, "paused", "Paused on request.", CH_ACTOR_NOBODY);
	return rc ? rc : ch_work_audit(w, "domain.pause", name);
}

int ch_work_resume(struct ch_work *w, const char *name)
{
	struct ch_name_row row;
	int64_t next_at = w->now;
	int rc = load(w, name, &row);

	if (rc || row.state != CH_NAME_PAUSED)
		return rc;
	if (row.cert)
		rc = ch_db_get_i64(w->db, &next_at,
			"SELECT renew_at FROM cert WHERE version = ?", "i", row.cert);
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET state = iif(cert IS NULL, 'pending', 'active'), "
			"next_at = ?1, failures = 0, actor = 'nobody', updated_at = ?2, "
			"code = iif(cert IS NULL, 'queued', 'ok'), "
			"detail = iif(cert IS NULL, 'Waits for its next order.', "
			"'Served by the edges.'), second_failures = 0, "
			"second_at = iif(keys LIKE '%+rsa', coalesce((SELECT renew_at FROM "
			"cert WHERE version = second_cert), ?2), NULL) WHERE name = ?3",
			"iit", next_at, w->now, name);
	if (!rc)
		rc = ch_work_settle(w, name);
	if (!rc)
		rc = ch_work_history(w, name, "resumed", "Resumed.", CH_ACTOR_NOBODY);
	ch_work_due(w, ch_keys_both(row.keys) ? w->now : next_at);
	return rc ? rc : ch_work_audit(w, "domain.resume", name);
}
