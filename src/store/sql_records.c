/* Reads of the edge records in the order of their names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/sql_hold.h"
#include "store/sql_read.h"

#define NAME_HIGHEST "\x7f" /* above every name */
#define POOL_HIGHEST "\x7f" /* and every pool */
/* Rows that a query fetches at once: a driver may hold them all. */
#define CHUNK 1000

enum { COL_NAME, COL_POOL, COL_KIND, COL_RECORD, COL_CHAIN };

struct records {
	const struct ch_store_records_filter *filter;
	struct ch_hold_view view;
	int (*row)(const struct ch_store_feed_row *row, void *arg);
	void *arg;
	struct ch_db_handed handed;
	size_t seen;		      /* names */
	char before[CH_RECORD_KEY_B]; /* the name before the last */
	char name[CH_RECORD_KEY_B];   /* the row that was last */
	char pool[CH_STORE_LABEL_MAX + 1];
};

/* The text is valid until the next step. */
static const char *column_name(struct ch_stmt *stmt)
{
	const char *name = (const char *)ch_db_col_text(stmt, COL_NAME);

	return name && strlen(name) < CH_RECORD_KEY_B ? name : NULL;
}

static int hand_record(struct ch_db *db, struct ch_stmt *stmt, struct records *r)
{
	const char *its_pool = (const char *)ch_db_col_text(stmt, COL_POOL);
	struct ch_store_feed_row record = {0};
	struct ch_db_view chain_id = {0};

	if (!its_pool)
		return CH_ENOMEM;
	if (strcmp(its_pool, r->filter->pool) != 0 ||
		(int)ch_db_i64(stmt, COL_KIND) == CH_RECORD_TOMBSTONE)
		return CH_OK;
	record.record = ch_db_col_blob(stmt, COL_RECORD);
	record.record_len = (size_t)ch_db_col_len(stmt, COL_RECORD);
	if (r->filter->chains)
		chain_id = ch_db_view(stmt, COL_CHAIN);
	return ch_db_hand_row(db, &record, &chain_id, &r->handed, r->row, r->arg);
}

/* A canary's: what is held back for it in the place of what the others have. */
static int query_both(
	struct ch_db *db, const struct records *r, const char *until, struct ch_stmt **ret_stmt)
{
	return ch_db_query(db, ret_stmt,
		"SELECT name, pool, kind, record, chain_id FROM edge_record e "
		"WHERE (name, pool) > (?1, ?2) AND name <= ?3 AND NOT EXISTS (SELECT 1 FROM "
		"held h WHERE h.name = e.name AND h.pool = e.pool AND h.pool = ?4 AND h.seq <= "
		"?5) UNION ALL SELECT name, pool, kind, record, chain_id FROM held "
		"INDEXED BY held_name WHERE (name, pool) > (?1, ?2) AND name <= ?3 AND pool = "
		"?4 "
		"AND seq <= ?5 ORDER BY 1, 2 LIMIT ?6",
		"ttttii", r->name, r->pool, until, r->filter->pool, r->view.head_max,
		(int64_t)CHUNK);
}

static int query_records(struct ch_db *db, const struct records *r, struct ch_stmt **ret_stmt)
{
	const char *until = r->filter->until ? r->filter->until : NAME_HIGHEST;

	if (r->view.canary)
		return query_both(db, r, until, ret_stmt);
	return ch_db_query(db, ret_stmt,
		"SELECT name, pool, kind, record, chain_id FROM edge_record "
		"WHERE (name, pool) > (?, ?) AND name <= ? ORDER BY name, pool LIMIT ?",
		"ttti", r->name, r->pool, until, (int64_t)CHUNK);
}

/* The next name: whether it is one too many. */
static bool is_beyond(struct records *r, const char *name, struct ch_store_records_info *info)
{
	if (r->seen > 0 && strcmp(name, info->last) == 0)
		return false;
	if (r->seen == r->filter->limit)
		return true;
	r->seen++;
	memcpy(r->before, info->last, sizeof(r->before));
	snprintf(info->last, sizeof(info->last), "%s", name);
	return false;
}

/* 1: there is more, for another time.  *ret_n: how many rows there were. */
static int hand_chunk(
	struct ch_db *db, struct records *r, struct ch_store_records_info *info, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = query_records(db, r, &stmt);

	*ret_n = 0;
	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		const char *name = column_name(stmt);

		if (!name)
			return CH_ECORRUPT;
		if (is_beyond(r, name, info))
			return 1;
		rc = CH_OK;
		ch_db_copy(stmt, COL_NAME, r->name, sizeof(r->name), &rc);
		ch_db_copy(stmt, COL_POOL, r->pool, sizeof(r->pool), &rc);
		if (!rc)
			rc = hand_record(db, stmt, r);
		if (rc == 1) {
			memcpy(info->last, r->before, sizeof(r->before));
			return 1;
		}
		++*ret_n;
	}
	return rc;
}

/* The limit counts names, in whatever pools they are, so that the work has a bound; a name that
 * moved is there once for each pool it was in. */
static int hand_records(struct ch_db *db, struct records *r, struct ch_store_records_info *info)
{
	const char *after = r->filter->after ? r->filter->after : "";
	size_t n;
	int rc;

	snprintf(info->last, sizeof(info->last), "%s", after);
	snprintf(r->name, sizeof(r->name), "%s", after);
	snprintf(r->pool, sizeof(r->pool), "%s", POOL_HIGHEST);
	do
		rc = hand_chunk(db, r, info, &n);
	while (!rc && n == CHUNK);
	info->more = rc == 1;
	return rc == 1 ? CH_OK : rc;
}

static int pool_head(struct ch_db *db, const char *pool, struct ch_store_pool_head *ret_head)
{
	struct ch_store_pool_head head = {.seq = 0};
	struct ch_hold_rules rules;
	int64_t seq = 0;
	int64_t tickets = 0;
	int64_t held = 0;
	uint64_t head_max;
	int rc = ch_hold_rules_load(db, pool, &rules);

	if (rc)
		return rc;
	head_max = rules.frozen ? rules.frozen_seq : CH_STORE_ID_MAX;
	rc = ch_db_get_i64(
		db, &seq, "SELECT max(seq) FROM edge_record WHERE pool = ?", "t", pool);
	if (!rc || rc == CH_ENOTFOUND)
		rc = ch_db_get_i64(db, &tickets,
			"SELECT seq FROM ticket_set WHERE pool = ? AND seq <= ? "
			"AND length(record) > 0",
			"ti", pool, head_max);
	if ((!rc || rc == CH_ENOTFOUND) && rules.canary[0])
		rc = ch_db_get_i64(db, &held,
			"SELECT max(seq) FROM held WHERE pool = ? AND seq <= ?", "ti", pool,
			head_max);
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	if (tickets > seq)
		seq = tickets;
	head.seq = (uint64_t)seq;
	head.canary_seq = (uint64_t)(held > seq ? held : seq);
	memcpy(head.canary, rules.canary, sizeof(head.canary));
	*ret_head = head;
	return CH_OK;
}

int ch_sql_pool_head(
	struct ch_store *base, const char *pool, struct ch_store_pool_head *ret_head)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = pool_head(db, pool, ret_head);
	ch_sql_read_end(store, db);
	return rc;
}

/* Not one of the keys that `after` goes by: they come before the first of all. */
static int hand_tickets(struct ch_db *db, const struct records *r)
{
	CH_CLEANUP(ch_buf_done) struct ch_buf record;
	struct ch_store_feed_row tickets;
	int rc;

	ch_buf_init(&record, CH_RECORD_MAX_B);
	rc = ch_db_tickets_load(db, r->filter->pool, r->view.head_max, &record, &tickets);
	if (rc)
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	tickets.seq = 0;
	return r->row(&tickets, r->arg);
}

int ch_sql_read_records(struct ch_store *base, const struct ch_store_records_filter *filter,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_records_info *ret_info)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct records records = {.filter = filter, .row = row, .arg = arg};
	struct ch_store_records_info info = {.more = false};
	struct ch_store_pool_head head;
	struct ch_db_meta meta;
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = ch_db_meta_load(db, &meta);
	if (!rc)
		rc = ch_hold_view_load(db, filter->pool, filter->edge, &records.view);
	if (!rc)
		rc = pool_head(db, filter->pool, &head);
	if (!rc && filter->tickets && !filter->after)
		rc = hand_tickets(db, &records);
	if (!rc)
		rc = hand_records(db, &records, &info);
	ch_sql_read_end(store, db);
	free(records.handed.ids);
	if (rc)
		return rc;
	info.head = records.view.canary ? head.canary_seq : head.seq;
	info.feed_head = meta.head < records.view.head_max ? meta.head : records.view.head_max;
	info.floor = meta.floor;
	memcpy(info.epoch, meta.epoch, sizeof(info.epoch));
	*ret_info = info;
	return CH_OK;
}
