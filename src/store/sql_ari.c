/* CH_OP_ASK_LEASE, CH_OP_ASK_WRITE: what a CA says of when to renew. */
#include <string.h>

#include "store/sql_calendar.h"

#define NEXT_MOST_MS (7 * CH_DAY_MS)

static int read_ask(struct ch_work *w, struct ch_stmt *stmt, struct ch_store_ask *ask)
{
	int rc = CH_OK;

	*ask = (struct ch_store_ask){.version = ch_db_u64(stmt, 0),
		.ari_id = ch_db_text(w->op->arena, stmt, 1, &rc),
		.not_before_ms = ch_db_i64(stmt, 2),
		.not_after_ms = ch_db_i64(stmt, 3),
		.published_at_ms = ch_db_i64(stmt, 4),
		.failures = ch_db_u64(stmt, 5)};
	return rc;
}

int ch_work_ask_lease(struct ch_work *w, struct ch_op_ask_lease *lease)
{
	int rc = CH_OK;

	if (!lease->max || lease->max > CH_STORE_ASK_MAX || lease->lease_ms <= 0)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-field",
			"max must be 1 to %d and lease_ms above 0", CH_STORE_ASK_MAX);
	lease->n_asks = 0;
	lease->asks = ch_arena_array(w->op->arena, lease->max, sizeof(*lease->asks));
	if (!lease->asks)
		return CH_ENOMEM;
	{
		CH_AUTO_STMT struct ch_stmt *stmt = NULL;

		rc = ch_db_query(w->db, &stmt,
			"SELECT version, ari_id, not_before, not_after, published_at, "
			"ari_fails FROM cert WHERE ari_ca = ? AND ari_next IS NOT NULL "
			"AND ari_next <= ? ORDER BY ari_next LIMIT ?",
			"tii", lease->ca, w->now, (int64_t)lease->max);
		while (!rc && (rc = ch_db_step(w->db, stmt)) == 1)
			rc = read_ask(w, stmt, &lease->asks[lease->n_asks++]);
	}
	for (size_t i = 0; !rc && i < lease->n_asks; i++)
		rc = ch_db_run(w->db, "UPDATE cert SET ari_next = ? WHERE version = ?", "ii",
			w->now + lease->lease_ms, lease->asks[i].version);
	return rc;
}

/* Names at rest that wait for this renewal; those that have begun, or failed, or were told to
 * begin, go on as they do. */
static int move_names(struct ch_work *w, uint64_t version, int64_t old_ms, int64_t at_ms)
{
	int rc = ch_db_run(w->db,
		"UPDATE name SET next_at = ?1, updated_at = ?4 WHERE name IN "
		"(SELECT name FROM cert_name WHERE version = ?2) AND cert = ?2 "
		"AND next_at = ?3 AND order_id IS NULL AND failures = 0",
		"iiii", at_ms, version, old_ms, w->now);

	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET second_at = ?1, updated_at = ?4 WHERE name IN "
			"(SELECT name FROM cert_name WHERE version = ?2) AND second_cert = ?2 "
			"AND second_at = ?3 AND order_id IS NULL AND second_failures = 0",
			"iiii", at_ms, version, old_ms, w->now);
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET standby_at = ?1, updated_at = ?4 WHERE name IN "
			"(SELECT name FROM cert_name WHERE version = ?2) AND standby_cert = ?2 "
			"AND standby_at = ?3 AND order_id IS NULL AND standby_failures = 0",
			"iiii", at_ms, version, old_ms, w->now);
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET second_standby_at = ?1, updated_at = ?4 WHERE name IN "
			"(SELECT substr(name, 1, length(name) - 2) FROM cert_name "
			"WHERE version = ?2 AND name LIKE '%/6') "
			"AND second_standby_cert = ?2 AND second_standby_at = ?3 "
			"AND order_id IS NULL AND second_standby_failures = 0",
			"iiii", at_ms, version, old_ms, w->now);
	ch_work_due(w, at_ms);
	return rc;
}

struct planned {
	int64_t not_before;
	int64_t not_after;
	int64_t renew_at;
};

/* CH_ENOTFOUND: it is gone, or not asked about any more. */
static int load_planned(struct ch_work *w, uint64_t version, struct planned *ret_planned)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT not_before, not_after, renew_at FROM cert "
		"WHERE version = ? AND ari_next IS NOT NULL",
		"i", version);

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	*ret_planned =
		(struct planned){ch_db_i64(stmt, 0), ch_db_i64(stmt, 1), ch_db_i64(stmt, 2)};
	return CH_OK;
}

/* Whatever is asked for: a certificate is not forgotten. */
static int64_t next_ask(const struct ch_work *w, const struct ch_store_heard *heard)
{
	int64_t most_ms = w->now + NEXT_MOST_MS;

	return heard->next_at_ms < most_ms ? heard->next_at_ms : most_ms;
}

static int write_failure(struct ch_work *w, const struct ch_store_heard *heard)
{
	return ch_db_run(w->db,
		"UPDATE cert SET ari_next = ?2, ari_fails = ari_fails + ?3 "
		"WHERE version = ?1 AND ari_next IS NOT NULL",
		"iii", heard->version, next_ask(w, heard), (int64_t)!heard->put_off);
}

static int write_window(struct ch_work *w, const struct ch_store_heard *heard, int64_t at_ms)
{
	return ch_db_run(w->db,
		"UPDATE cert SET ari_start = ?2, ari_end = ?3, ari_url = ?4, ari_asked = ?5, "
		"ari_fails = 0, ari_next = ?6, renew_at = ?7 WHERE version = ?1",
		"iiitiii", heard->version, heard->start_ms, heard->end_ms,
		heard->explanation && strlen(heard->explanation) <= CH_STORE_ARI_URL_MAX
			? heard->explanation
			: NULL,
		w->now, next_ask(w, heard), at_ms);
}

static int write_one(
	struct ch_work *w, const struct ch_store_heard *heard, struct ch_op_ask_write *write)
{
	struct planned planned;
	int64_t at_ms;
	int rc;

	if (heard->failed || heard->put_off)
		return write_failure(w, heard);
	rc = load_planned(w, heard->version, &planned);
	if (rc)
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	/* What is due goes on, and a plan that is still good stays. */
	at_ms = planned.renew_at;
	if (at_ms > w->now && (at_ms < heard->from_ms || at_ms > heard->until_ms))
		rc = ch_work_plan(w, heard->from_ms, heard->until_ms, planned.not_before,
			planned.not_after, heard->version, &at_ms);
	if (!rc)
		rc = write_window(w, heard, at_ms);
	if (rc || at_ms == planned.renew_at)
		return rc;
	write->moved++;
	w->tx.changed = true;
	return move_names(w, heard->version, planned.renew_at, at_ms);
}

int ch_work_ask_write(struct ch_work *w, struct ch_op_ask_write *write)
{
	int rc = CH_OK;

	if (!write->n_heard || write->n_heard > CH_STORE_ASK_MAX)
		return ch_err_set(&w->op->err, CH_ETOOBIG, "batch-too-large",
			"1 to %d certificates at a time", CH_STORE_ASK_MAX);
	write->moved = 0;
	for (size_t i = 0; !rc && i < write->n_heard; i++)
		rc = write_one(w, &write->heard[i], write);
	return rc;
}

int ch_sql_next_ask(struct ch_store *base, const char *ca, int64_t *ret_at_ms)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = ch_db_get_i64(db, ret_at_ms,
		"SELECT ari_next FROM cert WHERE ari_ca = ? AND ari_next IS NOT NULL "
		"ORDER BY ari_next LIMIT 1",
		"t", ca);
	ch_sql_read_end(store, db);
	if (rc == CH_ENOTFOUND) {
		*ret_at_ms = INT64_MAX;
		return CH_OK;
	}
	return rc;
}
