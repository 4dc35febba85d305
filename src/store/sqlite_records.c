/* Reads of the edge records in the order of their names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite_hold.h"
#include "store/sqlite_read.h"

#define NAME_HIGHEST "\x7f" /* above every name */

enum { COL_NAME, COL_POOL, COL_KIND, COL_RECORD, COL_CHAIN };

struct records {
	const struct ch_store_records_filter *filter;
	struct ch_hold_view view;
	int (*row)(const struct ch_store_feed_row *row, void *arg);
	void *arg;
	struct ch_sq_handed handed;
};

/* The text is valid until the next step. */
static const char *column_name(sqlite3_stmt *stmt)
{
	const char *name = (const char *)sqlite3_column_text(stmt, COL_NAME);

	return name && strlen(name) < CH_RECORD_KEY_B ? name : NULL;
}

static int hand_record(struct ch_sq *sq, sqlite3_stmt *stmt, struct records *r)
{
	const char *its_pool = (const char *)sqlite3_column_text(stmt, COL_POOL);
	struct ch_store_feed_row record = {0};
	struct ch_sq_view chain_id = {0};

	if (!its_pool)
		return CH_ENOMEM;
	if (strcmp(its_pool, r->filter->pool) != 0 ||
		sqlite3_column_int(stmt, COL_KIND) == CH_RECORD_TOMBSTONE)
		return CH_OK;
	record.record = sqlite3_column_blob(stmt, COL_RECORD);
	record.record_len = (size_t)sqlite3_column_bytes(stmt, COL_RECORD);
	if (r->filter->chains)
		chain_id = ch_sq_view(stmt, COL_CHAIN);
	return ch_sq_hand_row(sq, &record, &chain_id, &r->handed, r->row, r->arg);
}

/* A canary's: what is held back for it in the place of what the others have. */
static int query_both(
	struct ch_sq *sq, const struct records *r, const char *after, sqlite3_stmt **ret_stmt)
{
	const char *until = r->filter->until;

	return ch_sq_query(sq, ret_stmt,
		"SELECT name, pool, kind, record, chain_id FROM edge_record e "
		"WHERE name > ?1 AND name <= ?2 AND NOT EXISTS (SELECT 1 FROM held h "
		"WHERE h.name = e.name AND h.pool = e.pool AND h.pool = ?3 AND h.seq <= ?4) "
		"UNION ALL SELECT name, pool, kind, record, chain_id FROM held "
		"INDEXED BY held_name WHERE name > ?1 AND name <= ?2 AND pool = ?3 AND seq <= "
		"?4 ORDER BY 1, 2",
		"ttti", after ? after : "", until ? until : NAME_HIGHEST, r->filter->pool,
		r->view.head_max);
}

static int query_records(
	struct ch_sq *sq, const struct records *r, const char *after, sqlite3_stmt **ret_stmt)
{
	const char *until = r->filter->until;

	if (r->view.canary)
		return query_both(sq, r, after, ret_stmt);
	return ch_sq_query(sq, ret_stmt,
		"SELECT name, pool, kind, record, chain_id FROM edge_record "
		"WHERE name > ? AND name <= ? ORDER BY name, pool",
		"tt", after ? after : "", until ? until : NAME_HIGHEST);
}

/* The limit counts names, in whatever pools they are, so that the work has a bound; a name that
 * moved is there once for each pool it was in. */
static int hand_records(struct ch_sq *sq, struct records *r, struct ch_store_records_info *info)
{
	CH_AUTO_STMT sqlite3_stmt *stmt = NULL;
	const char *after = r->filter->after;
	char before[CH_RECORD_KEY_B]; /* the name before the last */
	size_t seen = 0;
	int rc = query_records(sq, r, after, &stmt);

	snprintf(info->last, sizeof(info->last), "%s", after ? after : "");
	while (!rc && (rc = ch_sq_step(sq, stmt)) == 1) {
		const char *name = column_name(stmt);

		if (!name)
			return CH_ECORRUPT;
		if (seen == 0 || strcmp(name, info->last) != 0) {
			if (seen == r->filter->limit) {
				info->more = true;
				return CH_OK;
			}
			seen++;
			memcpy(before, info->last, sizeof(before));
			snprintf(info->last, sizeof(info->last), "%s", name);
		}
		rc = hand_record(sq, stmt, r);
		if (rc == 1) {
			memcpy(info->last, before, sizeof(before));
			info->more = true;
			return CH_OK;
		}
	}
	return rc;
}

static int pool_head(struct ch_sq *sq, const char *pool, struct ch_store_pool_head *ret_head)
{
	struct ch_store_pool_head head = {.seq = 0};
	struct ch_hold_rules rules;
	int64_t seq = 0;
	int64_t tickets = 0;
	int64_t held = 0;
	uint64_t head_max;
	int rc = ch_hold_rules_load(sq, pool, &rules);

	if (rc)
		return rc;
	head_max = rules.frozen ? rules.frozen_seq : CH_STORE_ID_MAX;
	rc = ch_sq_get_i64(
		sq, &seq, "SELECT max(seq) FROM edge_record WHERE pool = ?", "t", pool);
	if (!rc || rc == CH_ENOTFOUND)
		rc = ch_sq_get_i64(sq, &tickets,
			"SELECT seq FROM ticket_set WHERE pool = ? AND seq <= ? "
			"AND length(record) > 0",
			"ti", pool, head_max);
	if ((!rc || rc == CH_ENOTFOUND) && rules.canary[0])
		rc = ch_sq_get_i64(sq, &held,
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

int ch_sqlite_pool_head(
	struct ch_store *base, const char *pool, struct ch_store_pool_head *ret_head)
{
	struct ch_sqlite *store = ch_sqlite_of(base);
	struct ch_sq *sq;
	int rc = ch_sqlite_read_begin(store, &sq);

	if (rc)
		return rc;
	rc = pool_head(sq, pool, ret_head);
	ch_sqlite_read_end(store, sq);
	return rc;
}

/* Not one of the keys that `after` goes by: they come before the first of all. */
static int hand_tickets(struct ch_sq *sq, const struct records *r)
{
	CH_CLEANUP(ch_buf_done) struct ch_buf record;
	struct ch_store_feed_row tickets;
	int rc;

	ch_buf_init(&record, CH_RECORD_MAX_B);
	rc = ch_sq_tickets_load(sq, r->filter->pool, r->view.head_max, &record, &tickets);
	if (rc)
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	tickets.seq = 0;
	return r->row(&tickets, r->arg);
}

int ch_sqlite_read_records(struct ch_store *base, const struct ch_store_records_filter *filter,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_records_info *ret_info)
{
	struct ch_sqlite *store = ch_sqlite_of(base);
	struct records records = {.filter = filter, .row = row, .arg = arg};
	struct ch_store_records_info info = {.more = false};
	struct ch_store_pool_head head;
	struct ch_sq_meta meta;
	struct ch_sq *sq;
	int rc = ch_sqlite_read_begin(store, &sq);

	if (rc)
		return rc;
	rc = ch_sq_meta_load(sq, &meta);
	if (!rc)
		rc = ch_hold_view_load(sq, filter->pool, filter->edge, &records.view);
	if (!rc)
		rc = pool_head(sq, filter->pool, &head);
	if (!rc && filter->tickets && !filter->after)
		rc = hand_tickets(sq, &records);
	if (!rc)
		rc = hand_records(sq, &records, &info);
	ch_sqlite_read_end(store, sq);
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
