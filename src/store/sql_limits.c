/* What is left of the limits: ch_store_get_limits. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/sql_pace.h"
#include "store/sql_read.h"

static void present(struct ch_stmt *stmt, int64_t now_ms, struct ch_arena *arena,
	struct ch_store_bucket *b, int *rc)
{
	const char *key = ch_db_text(arena, stmt, 0, rc);
	struct ch_bucket bucket = {.tat_us = ch_db_i64(stmt, 1)};
	const char *colon = key ? strchr(key, ':') : NULL;
	char word[16];

	b->limit.size = (uint32_t)ch_db_i64(stmt, 2);
	b->limit.refill_us = ch_db_i64(stmt, 3);
	if (!colon || (size_t)(colon - key) >= sizeof(word)) {
		*rc = *rc ? *rc : CH_ECORRUPT;
		return;
	}
	snprintf(word, sizeof(word), "%.*s", (int)(colon - key), key);
	if (ch_paced_parse(word, &b->paced))
		*rc = CH_ECORRUPT;
	b->of = colon + 1;
	b->left = ch_bucket_level(&bucket, &b->limit, now_ms);
	b->next_at_ms = ch_bucket_ready_at_ms(&bucket, &b->limit, 1, now_ms);
	b->tail_ms = ch_db_i64(stmt, 4);
	b->full_at_ms = (bucket.tat_us + 999) / 1000;
}

static int read_waiting(struct ch_db *db, int64_t *ret_n)
{
	return ch_db_get_i64(db, ret_n, "SELECT n FROM counter WHERE key = 'waiting'", "");
}

static int list_limits(struct ch_db *db, struct ch_arena *arena, struct ch_store_limits *limits)
{
	struct ch_store_bucket *list =
		ch_arena_array(arena, CH_STORE_BUCKETS_MAX, sizeof(*list));
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int64_t now_ms = ch_now_ms();
	int64_t waiting = 0;
	size_t n = 0;
	int rc = list ? read_waiting(db, &waiting) : CH_ENOMEM;

	/* What a CA has taught is in the buckets too. */
	if (!rc)
		rc = ch_db_query(db, &stmt,
			"SELECT key, tat, size, refill, tail FROM bucket WHERE tat > ? "
			"AND key NOT LIKE 'set:=%' ORDER BY key LIMIT ?",
			"ii", now_ms * 1000, (int64_t)CH_STORE_BUCKETS_MAX + 1);
	limits->more = false;
	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		rc = CH_OK;
		if (n == CH_STORE_BUCKETS_MAX) {
			limits->more = true;
			break;
		}
		present(stmt, now_ms, arena, &list[n++], &rc);
	}
	limits->buckets = list;
	limits->n_buckets = n;
	limits->waiting = (uint64_t)waiting;
	return rc;
}

int ch_sql_get_limits(
	struct ch_store *base, struct ch_arena *arena, struct ch_store_limits *ret_limits)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_limits limits;
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = list_limits(db, arena, &limits);
	ch_sql_read_end(store, db);
	if (!rc)
		*ret_limits = limits;
	return rc;
}

/* Those in line are due only for the moment in which they are looked at again; while nobody
 * asks for work, they may be very many. */
static int read_unseen(struct ch_db *db, int64_t *ret_n)
{
	return ch_db_get_i64(db, ret_n,
		"SELECT count(*) FROM (SELECT name FROM name WHERE order_id IS NULL AND "
		"next_at IS NOT NULL AND next_at <= ? ORDER BY next_at DESC LIMIT ?) AS n "
		"WHERE (SELECT 1 FROM waiting AS w WHERE w.name = n.name) IS NULL",
		"ii", ch_now_ms(), (int64_t)CH_STORE_UNSEEN_MAX);
}

int ch_sql_get_line(struct ch_store *base, struct ch_store_line *ret_line)
{
	struct ch_sql_store *store = ch_sql_of(base);
	int64_t waiting = 0;
	int64_t unseen = 0;
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = read_waiting(db, &waiting);
	if (!rc)
		rc = read_unseen(db, &unseen);
	ch_sql_read_end(store, db);
	if (!rc)
		*ret_line = (struct ch_store_line){
			.waiting = (uint64_t)waiting, .unseen = (uint64_t)unseen};
	return rc;
}
