#include "store/sql_work.h"

int ch_work_ask_order(struct ch_db *db, uint64_t id)
{
	int rc = ch_order_row_ask(db, id);

	return rc ? rc : ch_order_names_ask(db, id);
}

int ch_work_ask_op(struct ch_work *w, const struct ch_store_op *op)
{
	switch (op->type) {
	case CH_OP_PATCH:
		return ch_work_ask_order(w->db, op->u.patch.id);
	case CH_OP_PUBLISH:
		return ch_work_ask_order(w->db, op->u.publish.id);
	case CH_OP_LEASE:
		return ch_work_lease_ask(w, &op->u.lease);
	case CH_OP_EDGE_ACK:
		return ch_hold_rules_ask(w->db, op->u.edge_ack.pool);
	default:
		return CH_OK;
	}
}

/* publish: a certificate comes; else a step is written. */
static int ask_of_names(struct ch_work *w, uint64_t id, bool publish)
{
	struct ch_order_names names;
	struct ch_order_row order;
	int rc = ch_order_row_load(w->db, id, &order);

	if (rc)
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	rc = ch_order_names_load(w->db, id, &names);
	if (rc || order.ended_at)
		return rc;
	if (!publish) {
		rc = ch_work_edges_ask(w, order.pool, &names);
		return rc || !ch_work_is_validated(order.state)
			       ? rc
			       : ch_work_end_challenges_ask(w, order.pool, &names);
	}
	rc = ch_hold_rules_ask(w->db, order.pool);
	if (!rc)
		rc = ch_db_standby_setting_ask(w->db);
	for (size_t i = 0; !rc && i < names.n; i++)
		rc = ch_name_row_ask(w->db, names.rows[i].name);
	return rc;
}

int ch_work_ask_more(struct ch_work *w, const struct ch_store_op *op)
{
	switch (op->type) {
	case CH_OP_PATCH:
		return ask_of_names(w, op->u.patch.id, false);
	case CH_OP_PUBLISH:
		return ask_of_names(w, op->u.publish.id, true);
	case CH_OP_LEASE:
		return ch_work_lease_ask_more(w, &op->u.lease);
	default:
		return CH_OK;
	}
}
