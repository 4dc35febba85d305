#include <string.h>

#include "base/clock.h"
#include "store/sqlite_work.h"

int ch_sqlite_get_order(struct ch_store *base, uint64_t id, struct ch_arena *arena,
	struct ch_store_order *ret_order)
{
	struct ch_sqlite *store = ch_sqlite_of(base);
	struct ch_sq *sq;
	int rc = ch_sqlite_read_begin(store, &sq);

	if (rc)
		return rc;
	rc = ch_sq_order_load(sq, id, ch_now_ms(), false, arena, ret_order);
	ch_sqlite_read_end(store, sq);
	return rc;
}

static int query_ids(struct ch_sq *sq, const struct ch_store_order_filter *filter,
	uint64_t before, size_t limit, sqlite3_stmt **ret_stmt)
{
	if (filter->name && filter->has_state)
		return ch_sq_query(sq, ret_stmt,
			"SELECT x.order_id FROM order_name x JOIN orders o ON o.id = "
			"x.order_id "
			"WHERE x.name = ? AND x.order_id < ? AND o.state = ? "
			"ORDER BY x.order_id DESC LIMIT ?",
			"titi", filter->name, before, ch_order_state_str(filter->state),
			(int64_t)limit);
	if (filter->name)
		return ch_sq_query(sq, ret_stmt,
			"SELECT order_id FROM order_name WHERE name = ? AND order_id < ? "
			"ORDER BY order_id DESC LIMIT ?",
			"tii", filter->name, before, (int64_t)limit);
	if (filter->has_state)
		return ch_sq_query(sq, ret_stmt,
			"SELECT id FROM orders WHERE state = ? AND id < ? ORDER BY id DESC "
			"LIMIT ?",
			"tii", ch_order_state_str(filter->state), before, (int64_t)limit);
	return ch_sq_query(sq, ret_stmt,
		"SELECT id FROM orders WHERE id < ? ORDER BY id DESC LIMIT ?", "ii", before,
		(int64_t)limit);
}

static int scan_ids(struct ch_sq *sq, const struct ch_store_order_filter *filter, uint64_t *ids,
	size_t limit, size_t *ret_n)
{
	CH_AUTO_STMT sqlite3_stmt *stmt = NULL;
	uint64_t before = filter->before ? filter->before : CH_STORE_ID_MAX;
	size_t n = 0;
	int rc = query_ids(sq, filter, before, limit, &stmt);

	while (!rc && (rc = ch_sq_step(sq, stmt)) == 1) {
		ids[n++] = ch_sq_u64(stmt, 0);
		rc = CH_OK;
	}
	if (!rc)
		*ret_n = n;
	return rc;
}

/* One id more than the page holds tells whether there is a next one. */
static int list_orders(struct ch_sq *sq, const struct ch_store_order_filter *filter,
	struct ch_arena *arena, struct ch_store_order_page *page)
{
	uint64_t *ids = ch_arena_array(arena, filter->limit + 1, sizeof(*ids));
	int64_t now = ch_now_ms();
	size_t n = 0;
	int rc;

	page->orders = ch_arena_array(arena, filter->limit, sizeof(*page->orders));
	if (!ids || !page->orders)
		return CH_ENOMEM;
	rc = scan_ids(sq, filter, ids, filter->limit + 1, &n);
	if (!rc && n > filter->limit) {
		n = filter->limit;
		page->before = ids[n - 1];
	}
	for (size_t i = 0; !rc && i < n; i++)
		rc = ch_sq_order_load(sq, ids[i], now, false, arena, &page->orders[i]);
	page->n_orders = n;
	return rc;
}

int ch_sqlite_list_orders(struct ch_store *base, const struct ch_store_order_filter *filter,
	struct ch_arena *arena, struct ch_store_order_page *ret_page)
{
	struct ch_sqlite *store = ch_sqlite_of(base);
	struct ch_store_order_page page = {0};
	struct ch_sq *sq;
	int rc = ch_sqlite_read_begin(store, &sq);

	if (rc)
		return rc;
	rc = list_orders(sq, filter, arena, &page);
	ch_sqlite_read_end(store, sq);
	if (!rc)
		*ret_page = page;
	return rc;
}
