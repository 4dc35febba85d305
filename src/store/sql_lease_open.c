/* CH_OP_LEASE: orders that are open. */
#include <stdio.h>

#include "base/clock.h"
#include "store/sql_work.h"

/* So long an order waits for an issuer that can carry it out. */
#define WITHHELD_MS (2 * CH_MINUTE_MS)
/* One that the CA knows of is worth a longer wait: its issuer may be busy, or be upgraded. */
#define WITHHELD_BEGUN_MS CH_HOUR_MS
/* A lease looks at no more, however many are withheld. */
#define LOOK_MAX 2000

static int load_answerers(struct ch_work *w, struct ch_store_order *order)
{
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < order->n_names; i++)
		if (!order->names[i].gone)
			rc = ch_work_answerer(w, order->pool, order->names[i].name,
				&order->names[i].account_hint);
	return rc;
}

/* What was put live with the first, unless a name has another one by now, or none. */
static int load_second_leaf(struct ch_work *w, struct ch_store_order *order)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT leaf_sha256 FROM cert WHERE version = ?2 AND NOT EXISTS (SELECT 1 "
		"FROM order_name o LEFT JOIN name n ON n.name = o.name WHERE o.order_id = ?1 "
		"AND o.gone = 0 AND (n.second_cert IS NULL OR n.second_cert <> ?2))",
		"ii", order->id, order->id + 1);

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc;
	rc = CH_OK;
	order->has_second_leaf = true;
	ch_db_bytes(stmt, 0, order->second_leaf_sha256, sizeof(order->second_leaf_sha256), &rc);
	return rc;
}

static int load_leased(struct ch_work *w, uint64_t id, struct ch_store_order *ret_order)
{
	struct ch_order_names names;
	int rc = ch_db_order_load(w->db, id, w->now, true, w->op->arena, ret_order);

	if (!rc && ret_order->old.version && !ret_order->has_leaf)
		rc = ch_db_rollback_load(w->db, w->op->arena, ret_order);
	if (!rc && ret_order->old_second.version && ret_order->has_leaf)
		rc = load_second_leaf(w, ret_order);
	if (!rc && ret_order->state == CH_ORDER_NEW)
		rc = load_answerers(w, ret_order);
	if (!rc)
		rc = ch_order_names_load(w->db, id, &names);
	return rc ? rc : ch_work_edges_state(w, ret_order->pool, &names, &ret_order->edges);
}

static int names_of(
	struct ch_work *w, const struct ch_store_order *order, struct ch_order_names *ret_names)
{
	ret_names->n = order->n_names;
	for (size_t i = 0; i < order->n_names; i++) {
		ret_names->rows[i].gone = false;
		snprintf(ret_names->rows[i].name, sizeof(ret_names->rows[i].name), "%s",
			order->names[i].name);
	}
	return order->n_names ? CH_OK : ch_order_names_load(w->db, order->id, ret_names);
}

/* All that load_leased reads of it, but what only few have. */
static int ask_leased(struct ch_work *w, const struct ch_store_order *order)
{
	struct ch_order_names names;
	int rc = names_of(w, order, &names);

	if (!rc)
		rc = ch_order_names_ask(w->db, order->id);
	if (!rc)
		rc = ch_db_order_ask(w->db, order->id, order->second, order->standby);
	for (size_t i = 0; !rc && i < names.n; i++)
		if (!names.rows[i].gone)
			rc = ch_work_answerer_ask(w, order->pool, names.rows[i].name);
	return rc ? rc : ch_work_edges_ask(w, order->pool, &names);
}

int ch_work_lease_load(struct ch_work *w, struct ch_op_lease *lease)
{
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < lease->n_orders; i++)
		if (!lease->orders[i].n_names)
			rc = ch_order_names_ask(w->db, lease->orders[i].id);
	for (size_t i = 0; !rc && i < lease->n_orders; i++)
		rc = ask_leased(w, &lease->orders[i]);
	for (size_t i = 0; !rc && i < lease->n_orders; i++)
		rc = load_leased(w, lease->orders[i].id, &lease->orders[i]);
	return rc;
}

int ch_work_lease_order(
	struct ch_work *w, struct ch_op_lease *lease, const struct ch_store_order *order)
{
	int rc = ch_db_run(w->db,
		"UPDATE orders SET fence = fence + 1, lease_issuer = ?1, lease_until = ?2, "
		"next_at = ?2, updated_at = ?3 WHERE id = ?4",
		"tiii", lease->issuer, w->now + lease->lease_ms, w->now, order->id);

	ch_work_due(w, w->now + lease->lease_ms);
	if (!rc)
		lease->orders[lease->n_orders++] = *order;
	return rc;
}

/* The order of a standby does not keep a name waiting that is due: *ret_gone. */
static int give_way(struct ch_work *w, uint64_t id, bool *ret_gone)
{
	struct ch_order_names names;
	int rc = ch_order_names_load(w->db, id, &names);

	*ret_gone = false;
	for (size_t i = 0; !rc && !*ret_gone && i < names.n; i++) {
		struct ch_name_row row;

		rc = ch_name_row_load(w->db, names.rows[i].name, &row);
		if (rc == CH_ENOTFOUND || (!rc && row.order_id != id)) {
			rc = CH_OK;
			continue;
		}
		if (rc || !row.next_at || row.next_at > w->now)
			continue;
		*ret_gone = true;
		rc = ch_work_detach(w, row.name, id);
	}
	return rc;
}

/* All issuers that there are now cannot read it: without it the name's other orders go on. */
static int drop(struct ch_work *w, uint64_t id)
{
	struct ch_order_names names;
	int rc = ch_order_names_load(w->db, id, &names);

	for (size_t i = 0; !rc && i < names.n; i++)
		if (!names.rows[i].gone)
			rc = ch_work_detach(w, names.rows[i].name, id);
	return rc;
}

struct open_order {
	uint64_t id;
	bool standby;
	bool second;
	char pool[CH_STORE_LABEL_MAX + 1];
};

/* What an issuer of before could not bring, or only the first half of, is left to others for a
 * while. */
static const char open_sql[] =
	"SELECT o.id, o.standby, o.second, o.pool FROM (SELECT id, standby, second, pool, "
	"state, next_at, rollback, rollback_second FROM orders WHERE ended_at IS NULL AND "
	"next_at <= ?1 ORDER BY next_at LIMIT ?7) o WHERE ?3 = 1 "
	"OR (o.next_at <= ?4 AND (o.state = ?6 OR o.second = 0 OR o.standby = 0)) "
	"OR o.next_at <= ?5 OR (o.rollback_second IS NULL AND "
	"(o.second = 0 OR (o.standby = 0 AND o.rollback IS NULL))) "
	"ORDER BY o.next_at LIMIT ?2";

int ch_work_lease_open_ask(struct ch_work *w, const struct ch_op_lease *lease, size_t most)
{
	return ch_db_ask(w->db, open_sql, "iiiiiti", w->now, (int64_t)most,
		(int64_t)lease->second_standbys, w->now - WITHHELD_MS,
		w->now - WITHHELD_BEGUN_MS, ch_order_state_str(CH_ORDER_NEW),
		(int64_t)LOOK_MAX);
}

static int find_open(struct ch_work *w, const struct ch_op_lease *lease, size_t most,
	struct open_order *list, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt, open_sql, "iiiiiti", w->now, (int64_t)most,
		(int64_t)lease->second_standbys, w->now - WITHHELD_MS,
		w->now - WITHHELD_BEGUN_MS, ch_order_state_str(CH_ORDER_NEW),
		(int64_t)LOOK_MAX);
	size_t n = 0;

	while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
		struct open_order *order = &list[n++];

		rc = CH_OK;
		order->id = ch_db_u64(stmt, 0);
		order->standby = ch_db_i64(stmt, 1);
		order->second = ch_db_i64(stmt, 2);
		ch_db_copy(stmt, 3, order->pool, sizeof(order->pool), &rc);
		if (rc)
			break;
	}
	*ret_n = n;
	return rc;
}

int ch_work_lease_open_ask_names(
	struct ch_work *w, const struct ch_op_lease *lease, size_t most)
{
	struct open_order list[CH_STORE_LEASE_MAX];
	size_t n = 0;
	int rc = find_open(w, lease, most, list, &n);

	for (size_t i = 0; !rc && i < n; i++)
		rc = ch_order_names_ask(w->db, list[i].id);
	return rc;
}

static int lease_one(
	struct ch_work *w, struct ch_op_lease *lease, const struct open_order *open)
{
	const struct ch_store_order order = {.id = open->id,
		.standby = open->standby,
		.second = open->second,
		.pool = ch_arena_str(w->op->arena, open->pool)};

	return order.pool ? ch_work_lease_order(w, lease, &order) : CH_ENOMEM;
}

/* Ids first, changes afterwards: an update would move the row under the running query. */
int ch_work_lease_open(struct ch_work *w, struct ch_op_lease *lease, size_t most)
{
	struct open_order list[CH_STORE_LEASE_MAX];
	size_t n = 0;
	int rc = find_open(w, lease, most - lease->n_orders, list, &n);

	for (size_t i = 0; !rc && i < n; i++) {
		bool gone = false;

		if (list[i].standby)
			rc = give_way(w, list[i].id, &gone);
		if (rc || gone)
			continue;
		if (list[i].standby && list[i].second && !lease->second_standbys)
			rc = drop(w, list[i].id);
		else
			rc = lease_one(w, lease, &list[i]);
	}
	return rc;
}
