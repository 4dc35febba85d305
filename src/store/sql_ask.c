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
