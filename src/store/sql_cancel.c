#include <string.h>

#include "store/sql_ahead.h"
#include "store/sql_pace.h"

/* The name that stays begins again: at once, or at its renewal when a certificate is live. */
static int release(struct ch_work *w, const char *name, uint64_t order_id)
{
	int64_t next_at;
	int rc = ch_db_run(w->db,
		"UPDATE name SET order_id = NULL, updated_at = ?1, "
		"state = iif(cert IS NULL, 'pending', 'active'), "
		"next_at = iif(cert IS NULL, ?1, next_at) WHERE name = ?2 AND order_id = ?3",
		"iti", w->now, name, order_id);

	ch_ahead_changed(w, CH_AHEAD_NAME, name);
	if (rc)
		return rc;
	rc = ch_db_get_i64(
		w->db, &next_at, "SELECT next_at FROM name WHERE name = ?", "t", name);
	if (!rc)
		ch_work_due(w, next_at);
	rc = rc == CH_ENOTFOUND ? CH_OK : rc;
	return rc ? rc : ch_work_settle(w, name);
}

/* A higher fence: whoever holds the lease learns it at his next write. */
static int cancel(struct ch_work *w, uint64_t order_id, const struct ch_order_names *names)
{
	int rc = ch_db_run(w->db,
		"UPDATE orders SET state = 'failed', code = 'canceled', actor = 'nobody', "
		"detail = 'A name of the order was removed, moved, paused or rolled back.', "
		"fence = fence + 1, next_at = NULL, lease_issuer = NULL, lease_until = NULL, "
		"acme = NULL, csr = NULL, sealed = NULL, updated_at = ?1, ended_at = ?1 "
		"WHERE id = ?2",
		"ii", w->now, order_id);

	for (size_t i = 0; !rc && i < names->n; i++)
		if (!names->rows[i].gone)
			rc = release(w, names->rows[i].name, order_id);
	return rc;
}

int ch_work_detach(struct ch_work *w, const char *name, uint64_t order_id)
{
	struct ch_order_row order;
	struct ch_order_names names;
	bool others = false;
	int rc = ch_pace_forget(w, name);

	if (rc || !order_id)
		return rc;
	rc = ch_order_row_load(w->db, order_id, &order);
	if (!rc)
		rc = ch_order_names_load(w->db, order_id, &names);
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE order_name SET gone = 1 WHERE order_id = ? AND name = ?", "it",
			order_id, name);
	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET order_id = NULL, solo = 0 WHERE name = ?", "t", name);
	/* Of the name that leaves too: one that is paused stays with the edges. */
	if (!rc && ch_work_is_validated(order.state))
		rc = ch_work_end_challenges(w, order.pool, &names);
	if (rc)
		return rc == CH_ENOTFOUND ? CH_ECORRUPT : rc;
	for (size_t i = 0; i < names.n; i++) {
		if (strcmp(names.rows[i].name, name) == 0)
			names.rows[i].gone = true;
		others |= !names.rows[i].gone;
	}
	if (others && order.state >= CH_ORDER_FINALIZING)
		return CH_OK;
	return cancel(w, order_id, &names);
}
