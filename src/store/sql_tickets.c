/* The pools' ticket keys: one set each, replaced as a whole. */
#include <string.h>

#include "store/sql_read.h"
#include "store/sql_work.h"

struct row {
	uint64_t version; /* 0: there is none */
	bool same;	  /* it is this very record */
};

static int load_row(struct ch_work *w, const struct ch_op_tickets *tickets, struct row *ret_row)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct row row = {.version = 0};
	int rc = ch_db_query(w->db, &stmt,
		"SELECT version, record FROM ticket_set WHERE pool = ?", "t", tickets->pool);

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		struct ch_db_view record = ch_db_view(stmt, 1);

		row.version = ch_db_u64(stmt, 0);
		row.same = record.bytes && record.len == tickets->record_len &&
			   memcmp(record.bytes, tickets->record, record.len) == 0;
	}
	*ret_row = row;
	return CH_OK;
}

static int put_row(struct ch_work *w, const struct ch_op_tickets *tickets)
{
	w->tx.head++;
	w->tx.changed = true;
	w->tx.change.feed = true;
	w->tx.change.feed_head = w->tx.head;
	return ch_db_run(w->db,
		"INSERT INTO ticket_set (pool, seq, version, until_s, record) "
		"VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (pool) "
		"DO UPDATE SET seq = ?2, version = ?3, until_s = ?4, record = ?5",
		"tiiib", tickets->pool, w->tx.head, tickets->version, tickets->until_s,
		tickets->record, tickets->record_len);
}

int ch_work_tickets(struct ch_work *w, const struct ch_op_tickets *tickets)
{
	struct row row;
	int rc = load_row(w, tickets, &row);

	if (rc || row.same)
		return rc;
	if (row.version != tickets->replaces)
		return ch_err_set(&w->op->err, CH_ECONFLICT, "tickets-changed",
			"The pool has another set of ticket keys than the one to be replaced.");
	if (tickets->version <= row.version)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-record",
			"The version must be above that of the set to be replaced.");
	return put_row(w, tickets);
}

int ch_work_tickets_back(
	struct ch_work *w, const struct ch_op_tickets *tickets, bool *ret_taken)
{
	struct row row;
	int rc = load_row(w, tickets, &row);

	*ret_taken = !rc && tickets->version > row.version;
	return *ret_taken ? put_row(w, tickets) : rc;
}

int ch_work_prune_tickets(struct ch_work *w, int64_t *ret_removed)
{
	/* The version stays: edges take only a higher one, and a clock that was ahead once may
	 * have made it high. */
	int rc = ch_db_run(w->db,
		"UPDATE ticket_set SET record = ?2 WHERE until_s <= ?1 AND length(record) > 0",
		"ib", w->now / 1000, "", (size_t)0);

	*ret_removed = rc ? 0 : ch_db_changes(w->db);
	return rc;
}

int ch_db_tickets_load(struct ch_db *db, const char *pool, uint64_t head_max,
	struct ch_buf *record, struct ch_store_feed_row *ret_row)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_db_view bytes;
	int rc = ch_db_query(db, &stmt,
		"SELECT seq, record FROM ticket_set WHERE pool = ? AND seq <= ? "
		"AND length(record) > 0",
		"ti", pool, head_max);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	bytes = ch_db_view(stmt, 1);
	rc = ch_buf_add(record, bytes.bytes, bytes.len);
	if (rc)
		return rc;
	*ret_row = (struct ch_store_feed_row){
		.seq = ch_db_u64(stmt, 0), .record = record->data, .record_len = record->len};
	return CH_OK;
}

static int read_row(struct ch_stmt *stmt, struct ch_arena *arena, struct ch_store_tickets *ret)
{
	int rc = CH_OK;

	ret->pool = ch_db_text(arena, stmt, 0, &rc);
	ret->version = ch_db_u64(stmt, 1);
	ret->record = ch_db_blob(arena, stmt, 2, &ret->record_len, &rc);
	return rc;
}

int ch_sql_list_tickets(struct ch_store *base, struct ch_arena *arena,
	struct ch_store_tickets **ret_list, size_t *ret_n)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_tickets *list =
		ch_arena_array(arena, CH_STORE_POOLS_MAX, sizeof(*list));
	struct ch_db *db;
	size_t n = 0;
	int rc;

	if (!list)
		return CH_ENOMEM;
	rc = ch_sql_read_begin(store, &db);
	if (rc)
		return rc;
	{
		CH_AUTO_STMT struct ch_stmt *stmt = NULL;

		rc = ch_db_query(db, &stmt,
			"SELECT p.pool, t.version, t.record FROM (SELECT pool FROM edge UNION "
			"SELECT pool FROM ticket_set) p LEFT JOIN ticket_set t USING (pool) "
			"ORDER BY p.pool LIMIT ?",
			"i", (int64_t)CH_STORE_POOLS_MAX);
		while (!rc && (rc = ch_db_step(db, stmt)) == 1)
			rc = read_row(stmt, arena, &list[n++]);
	}
	ch_sql_read_end(store, db);
	if (rc)
		return rc;
	*ret_list = list;
	*ret_n = n;
	return CH_OK;
}
