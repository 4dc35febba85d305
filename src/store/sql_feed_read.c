#include <string.h>

#include "store/sql_hold.h"
#include "store/sql_read.h"

/* Rows that a query fetches at once: a driver may hold them all. */
#define CHUNK 1000

int ch_db_meta_load(struct ch_db *db, struct ch_db_meta *ret_meta)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_db_meta meta;
	int rc =
		ch_db_query(db, &stmt, "SELECT epoch, head, floor FROM meta WHERE one = 1", "");

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	rc = CH_OK;
	ch_db_bytes(stmt, 0, meta.epoch, sizeof(meta.epoch), &rc);
	meta.head = ch_db_u64(stmt, 1);
	meta.floor = ch_db_u64(stmt, 2);
	if (!rc)
		*ret_meta = meta;
	return rc;
}

static bool was_handed(const struct ch_db_handed *handed, const uint8_t *id)
{
	for (size_t i = 0; i < handed->n; i++)
		if (memcmp(handed->ids[i], id, CH_CHAIN_ID_B) == 0)
			return true;
	return false;
}

static int note_handed(struct ch_db_handed *handed, const uint8_t *id)
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
static int hand_with_chain(struct ch_db *db, struct ch_store_feed_row *feed_row,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt, "SELECT block FROM chain WHERE id = ?", "b",
		feed_row->chain_id, (size_t)CH_CHAIN_ID_B);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	feed_row->chain = ch_db_col_blob(stmt, 0);
	feed_row->chain_len = (size_t)ch_db_col_len(stmt, 0);
	return row(feed_row, arg);
}

int ch_db_hand_row(struct ch_db *db, struct ch_store_feed_row *feed_row,
	const struct ch_db_view *chain_id, struct ch_db_handed *handed,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg)
{
	int rc;

	if (chain_id->bytes && chain_id->len != CH_CHAIN_ID_B)
		return CH_ECORRUPT;
	if (!chain_id->bytes || was_handed(handed, chain_id->bytes))
		return row(feed_row, arg);
	feed_row->chain_id = chain_id->bytes;
	rc = hand_with_chain(db, feed_row, row, arg);
	return rc ? rc : note_handed(handed, chain_id->bytes);
}

struct rows {
	uint64_t after;
	struct ch_hold_view view;
	int (*row)(const struct ch_store_feed_row *row, void *arg);
	void *arg;
	struct ch_db_handed handed;
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

static int query_rows(struct ch_db *db, const char *pool, const struct ch_hold_view *view,
	uint64_t after, struct ch_stmt **ret_stmt)
{
	if (!view->canary)
		return ch_db_query(db, ret_stmt,
			"SELECT seq, record, chain_id FROM edge_record INDEXED BY "
			"edge_record_pool WHERE pool = ? AND seq > ? ORDER BY seq LIMIT ?",
			"tii", pool, after, (int64_t)CHUNK);
	return ch_db_query(db, ret_stmt,
		"SELECT seq, record, chain_id FROM edge_record INDEXED BY edge_record_pool "
		"WHERE pool = ?1 AND seq > ?2 UNION ALL "
		"SELECT seq, record, chain_id FROM held INDEXED BY held_pool "
		"WHERE pool = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY 1 LIMIT ?4",
		"tiii", pool, after, view->head_max, (int64_t)CHUNK);
}

/* *at goes along; *ret_n: how many there were. */
static int hand_chunk(
	struct ch_db *db, const char *pool, struct rows *r, uint64_t *at, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = query_rows(db, pool, &r->view, *at, &stmt);

	*ret_n = 0;
	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		struct ch_store_feed_row feed_row = {.seq = ch_db_u64(stmt, 0)};
		struct ch_db_view chain_id = ch_db_view(stmt, 2);

		feed_row.record = ch_db_col_blob(stmt, 1);
		feed_row.record_len = ch_db_col_len(stmt, 1);
		rc = hand_tickets(r, feed_row.seq);
		if (!rc)
			rc = ch_db_hand_row(
				db, &feed_row, &chain_id, &r->handed, r->row, r->arg);
		*at = feed_row.seq;
		++*ret_n;
	}
	return rc;
}

static int hand_rows(struct ch_db *db, const char *pool, struct rows *r, bool *ret_more)
{
	uint64_t at = r->after;
	size_t n;
	int rc;

	do
		rc = hand_chunk(db, pool, r, &at, &n);
	while (!rc && n == CHUNK);
	if (!rc)
		rc = hand_tickets(r, UINT64_MAX);
	*ret_more = rc == 1;
	return rc == 1 ? CH_OK : rc;
}

static int read_rows(struct ch_db *db, const char *pool, struct rows *r, bool *ret_more)
{
	int rc;

	ch_buf_init(&r->tickets_record, CH_RECORD_MAX_B);
	rc = ch_db_tickets_load(db, pool, r->view.head_max, &r->tickets_record, &r->tickets);
	if (!rc || rc == CH_ENOTFOUND)
		rc = hand_rows(db, pool, r, ret_more);
	ch_buf_done(&r->tickets_record);
	free(r->handed.ids);
	return rc;
}

int ch_sql_read_feed(struct ch_store *base, const char *pool, const char *edge, uint64_t after,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_feed_info *ret_info)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct rows rows = {.after = after, .row = row, .arg = arg};
	struct ch_db_meta meta;
	struct ch_db *db;
	bool more = false;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = ch_hold_rules_ask(db, pool);
	if (!rc)
		rc = ch_db_meta_load(db, &meta);
	if (!rc)
		rc = ch_hold_view_load(db, pool, edge, &rows.view);
	if (!rc && row && after < CH_STORE_ID_MAX)
		rc = read_rows(db, pool, &rows, &more);
	ch_sql_read_end(store, db);
	if (rc)
		return rc;
	memcpy(ret_info->epoch, meta.epoch, sizeof(ret_info->epoch));
	ret_info->head = meta.head < rows.view.head_max ? meta.head : rows.view.head_max;
	ret_info->floor = meta.floor;
	ret_info->more = more;
	return CH_OK;
}
