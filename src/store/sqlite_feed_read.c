#include <string.h>

#include "store/sqlite_hold.h"
#include "store/sqlite_read.h"

int ch_sq_meta_load(struct ch_sq *sq, struct ch_sq_meta *ret_meta)
{
	CH_AUTO_STMT sqlite3_stmt *stmt = NULL;
	struct ch_sq_meta meta;
	int rc =
		ch_sq_query(sq, &stmt, "SELECT epoch, head, floor FROM meta WHERE one = 1", "");

	if (!rc)
		rc = ch_sq_step(sq, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	rc = CH_OK;
	ch_sq_bytes(stmt, 0, meta.epoch, sizeof(meta.epoch), &rc);
	meta.head = ch_sq_u64(stmt, 1);
	meta.floor = ch_sq_u64(stmt, 2);
	if (!rc)
		*ret_meta = meta;
	return rc;
}

static bool was_handed(const struct ch_sq_handed *handed, const uint8_t *id)
{
	for (size_t i = 0; i < handed->n; i++)
		if (memcmp(handed->ids[i], id, CH_CHAIN_ID_B) == 0)
			return true;
	return false;
}

static int note_handed(struct ch_sq_handed *handed, const uint8_t *id)
{
	if (handed->n == handed->room) {
		size_t room = handed->room ? handed->room * 2 : 16;
		void *ids = reallocarray(handed->ids, room, CH_CHAIN_ID_B);

		if (!ids)
			return CH_ENOMEM;
		handed->ids = ids;
		handed->room = room;
	}
	memcpy(handed->ids[handed->n++], id, CH_CHAIN_ID_B);
	return CH_OK;
}

/* Calls row() with the chain block, which is borrowed from the statement here. */
static int hand_with_chain(struct ch_sq *sq, struct ch_store_feed_row *feed_row,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg)
{
	CH_AUTO_STMT sqlite3_stmt *stmt = NULL;
	int rc = ch_sq_query(sq, &stmt, "SELECT block FROM chain WHERE id = ?", "b",
		feed_row->chain_id, (size_t)CH_CHAIN_ID_B);

	if (!rc)
		rc = ch_sq_step(sq, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	feed_row->chain = sqlite3_column_blob(stmt, 0);
	feed_row->chain_len = (size_t)sqlite3_column_bytes(stmt, 0);
	return row(feed_row, arg);
}

int ch_sq_hand_row(struct ch_sq *sq, struct ch_store_feed_row *feed_row,
	const struct ch_sq_view *chain_id, struct ch_sq_handed *handed,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg)
{
	int rc;

	if (chain_id->bytes && chain_id->len != CH_CHAIN_ID_B)
		return CH_ECORRUPT;
	if (!chain_id->bytes || was_handed(handed, chain_id->bytes))
		return row(feed_row, arg);
	feed_row->chain_id = chain_id->bytes;
	rc = hand_with_chain(sq, feed_row, row, arg);
	return rc ? rc : note_handed(handed, chain_id->bytes);
}

struct rows {
	uint64_t after;
	struct ch_hold_view view;
	int (*row)(const struct ch_store_feed_row *row, void *arg);
	void *arg;
	struct ch_sq_handed handed;
	struct ch_buf tickets_record;
	struct ch_store_feed_row tickets; /* seq 0: handed out already, or none */
};

/* They lie apart, and come where their number says.  before: the next row's. */
static int hand_tickets(struct rows *r, uint64_t before)
{
	struct ch_store_feed_row tickets = r->tickets;

	if (tickets.seq <= r->after || tickets.seq >= before)
		return CH_OK;
	r->tickets.seq = 0;
	return r->row(&tickets, r->arg);
}

static int query_rows(struct ch_sq *sq, const char *pool, const struct ch_hold_view *view,
	uint64_t after, sqlite3_stmt **ret_stmt)
{
	if (!view->canary)
		return ch_sq_query(sq, ret_stmt,
			"SELECT seq, record, chain_id FROM edge_record INDEXED BY "
			"edge_record_pool WHERE pool = ? AND seq > ? ORDER BY seq",
			"ti", pool, after);
	return ch_sq_query(sq, ret_stmt,
		"SELECT seq, record, chain_id FROM edge_record INDEXED BY edge_record_pool "
		"WHERE pool = ?1 AND seq > ?2 UNION ALL "
		"SELECT seq, record, chain_id FROM held INDEXED BY held_pool "
		"WHERE pool = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY 1",
		"tii", pool, after, view->head_max);
}

static int hand_rows(struct ch_sq *sq, const char *pool, struct rows *r, bool *ret_more)
{
	CH_AUTO_STMT sqlite3_stmt *stmt = NULL;
	int rc = query_rows(sq, pool, &r->view, r->after, &stmt);

	while (!rc && (rc = ch_sq_step(sq, stmt)) == 1) {
		struct ch_store_feed_row feed_row = {.seq = ch_sq_u64(stmt, 0)};
		struct ch_sq_view chain_id = ch_sq_view(stmt, 2);

		feed_row.record = sqlite3_column_blob(stmt, 1);
		feed_row.record_len = (size_t)sqlite3_column_bytes(stmt, 1);
		rc = hand_tickets(r, feed_row.seq);
		if (!rc)
			rc = ch_sq_hand_row(
				sq, &feed_row, &chain_id, &r->handed, r->row, r->arg);
	}
	if (!rc)
		rc = hand_tickets(r, UINT64_MAX);
	*ret_more = rc == 1;
	return rc == 1 ? CH_OK : rc;
}

static int read_rows(struct ch_sq *sq, const char *pool, struct rows *r, bool *ret_more)
{
	int rc;

	ch_buf_init(&r->tickets_record, CH_RECORD_MAX_B);
	rc = ch_sq_tickets_load(sq, pool, r->view.head_max, &r->tickets_record, &r->tickets);
	if (!rc || rc == CH_ENOTFOUND)
		rc = hand_rows(sq, pool, r, ret_more);
	ch_buf_done(&r->tickets_record);
	free(r->handed.ids);
	return rc;
}

int ch_sqlite_read_feed(struct ch_store *base, const char *pool, const char *edge,
	uint64_t after, int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_feed_info *ret_info)
{
	struct ch_sqlite *store = ch_sqlite_of(base);
	struct rows rows = {.after = after, .row = row, .arg = arg};
	struct ch_sq_meta meta;
	struct ch_sq *sq;
	bool more = false;
	int rc = ch_sqlite_read_begin(store, &sq);

	if (rc)
		return rc;
	rc = ch_sq_meta_load(sq, &meta);
	if (!rc)
		rc = ch_hold_view_load(sq, pool, edge, &rows.view);
	if (!rc && row && after < CH_STORE_ID_MAX)
		rc = read_rows(sq, pool, &rows, &more);
	ch_sqlite_read_end(store, sq);
	if (rc)
		return rc;
	memcpy(ret_info->epoch, meta.epoch, sizeof(ret_info->epoch));
	ret_info->head = meta.head < rows.view.head_max ? meta.head : rows.view.head_max;
	ret_info->floor = meta.floor;
	ret_info->more = more;
	return CH_OK;
}
