#include <string.h>

#include "base/clock.h"
#include "store/sql_work.h"

int ch_sql_get_order(struct ch_store *base, uint64_t id, struct ch_arena *arena,
	struct ch_store_order *ret_order)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = ch_db_order_load(db, id, ch_now_ms(), false, arena, ret_order);
	ch_sql_read_end(store, db);
	return rc;
}

static int query_ids(struct ch_db *db, const struct ch_store_order_filter *filter,
	uint64_t before, size_t limit, struct ch_stmt **ret_stmt)
{
	if (filter->name && filter->has_state)
		return ch_db_query(db, ret_stmt,
			"SELECT x.order_id FROM order_name x JOIN orders o ON o.id = "
			"x.order_id "
			"WHERE x.name = ? AND x.order_id < ? AND o.state = ? "
			"ORDER BY x.order_id DESC LIMIT ?",
			"titi", filter->name, before, ch_order_state_str(filter->state),
			(int64_t)limit);
	if (filter->name)
		return ch_db_query(db, ret_stmt,
			"SELECT order_id FROM order_name WHERE name = ? AND order_id < ? "
			"ORDER BY order_id DESC LIMIT ?",
			"tii", filter->name, before, (int64_t)limit);
	if (filter->has_state)
		return ch_db_query(db, ret_stmt,
			"SELECT id FROM orders WHERE state = ? AND id < ? ORDER BY id DESC "
			"LIMIT ?",
			"tii", ch_order_state_str(filter->state), before, (int64_t)limit);
	return ch_db_query(db, ret_stmt,
		"SELECT id FROM orders WHERE id < ? ORDER BY id DESC LIMIT ?", "ii", before,
		(int64_t)limit);
}

static int scan_ids(struct ch_db *db, const struct ch_store_order_filter *filter, uint64_t *ids,
	size_t limit, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	uint64_t before = filter->before ? filter->before : CH_STORE_ID_MAX;
	size_t n = 0;
	int rc = query_ids(db, filter, before, limit, &stmt);

	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		ids[n++] = ch_db_u64(stmt, 0);
		rc = CH_OK;
	}
	if (!rc)
		*ret_n = n;
	return rc;
}

/* One id more than the page holds tells whether there is a next one. */
static int list_orders(struct ch_db *db, const struct ch_store_order_filter *filter,
	struct ch_arena *arena, struct ch_store_order_page *page)
{
	uint64_t *ids = ch_arena_array(arena, filter->limit + 1, sizeof(*ids));
	int64_t now = ch_now_ms();
	size_t n = 0;
	int rc;

	page->orders = ch_arena_array(arena, filter->limit, sizeof(*page->orders));
	if (!ids || !page->orders)
		return CH_ENOMEM;
	rc = scan_ids(db, filter, ids, filter->limit + 1, &n);
	if (!rc && n > filter->limit) {
		n = filter->limit;
		page->before = ids[n - 1];
	}
	for (size_t i = 0; !rc && i < n; i++)
		rc = ch_db_order_load(db, ids[i], now, false, arena, &page->orders[i]);
	page->n_orders = n;
	return rc;
}

int ch_sql_list_orders(struct ch_store *base, const struct ch_store_order_filter *filter,
	struct ch_arena *arena, struct ch_store_order_page *ret_page)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_order_page page = {0};
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = list_orders(db, filter, arena, &page);
	ch_sql_read_end(store, db);
	if (!rc)
		*ret_page = page;
	return rc;
}
