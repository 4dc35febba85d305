/* Status, edges, audit log, and when there is work again. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/counters.h"
#include "store/sql_pace.h"
#include "store/sql_read.h"
#include "wire/record.h"

#define EDGES_MAX 100000

static const char names_due[] =
	"SELECT min(next_at) FROM name WHERE order_id IS NULL AND next_at IS NOT NULL";
static const char seconds_due[] =
	"SELECT min(second_at) FROM name WHERE order_id IS NULL AND second_at IS NOT "
	"NULL AND cert IS NOT NULL AND failures = 0";
static const char orders_due[] = "SELECT min(next_at) FROM orders WHERE ended_at IS NULL";

static int next_due_ask(struct ch_db *db)
{
	int rc = ch_db_ask(db, names_due, "");

	if (!rc)
		rc = ch_db_ask(db, seconds_due, "");
	if (!rc)
		rc = ch_db_ask(db, orders_due, "");
	if (!rc)
		rc = ch_db_standby_due_ask(db);
	return rc ? rc : ch_pace_next_ask(db);
}

/* INT64_MAX: never. */
static int next_due(struct ch_db *db, int64_t *ret_at_ms)
{
	int64_t names = INT64_MAX;
	int64_t seconds = INT64_MAX;
	int64_t orders = INT64_MAX;
	int64_t standbys;
	int rc = next_due_ask(db);

	if (!rc)
		rc = ch_db_get_i64(db, &names, names_due, "");
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	rc = ch_db_get_i64(db, &seconds, seconds_due, "");
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	names = seconds < names ? seconds : names;
	rc = ch_db_get_i64(db, &orders, orders_due, "");
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	names = names < orders ? names : orders;
	rc = ch_db_standby_due(db, &standbys);
	if (rc)
		return rc;
	names = names < standbys ? names : standbys;
	rc = ch_pace_next(db, ch_now_ms(), ret_at_ms);
	if (!rc && names < *ret_at_ms)
		*ret_at_ms = names;
	return rc;
}

int ch_sql_next_due(struct ch_store *base, int64_t *ret_at_ms)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = next_due(db, ret_at_ms);
	ch_sql_read_end(store, db);
	return rc;
}

static void take_counter(struct ch_store_status *status, const char *key, uint64_t n)
{
	const struct {
		const char *key;
		uint64_t *n;
	} counts[] = {
		{"orders-open", &status->orders_open},
		{"waiting", &status->in_line},
		{CH_COUNTER_WANTED, &status->wanted_taken},
		{CH_COUNTER_PRUNED "history", &status->pruned.history},
		{CH_COUNTER_PRUNED "orders", &status->pruned.orders},
		{CH_COUNTER_PRUNED "audit", &status->pruned.audit},
	};
	const struct {
		const char *key;
		int64_t *ms;
		bool may_be_over;
	} times[] = {
		{CH_COUNTER_PRUNED "at", &status->pruned.at_ms, false},
		{CH_COUNTER_ORDERING_FROM, &status->ordering_from_ms, true},
		{CH_COUNTER_HANDBACK_UNTIL, &status->handback_until_ms, true},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(counts); i++)
		if (strcmp(key, counts[i].key) == 0)
			*counts[i].n = n;
	for (size_t i = 0; i < CH_ARRAY_LEN(times); i++)
		if (strcmp(key, times[i].key) == 0 &&
			(!times[i].may_be_over || (int64_t)n > ch_now_ms()))
			*times[i].ms = (int64_t)n;
}

static int read_counters(struct ch_db *db, struct ch_store_status *status)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt, "SELECT key, n FROM counter", "");

	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		enum ch_name_state state;
		char key[32];

		rc = CH_OK;
		ch_db_copy(stmt, 0, key, sizeof(key), &rc);
		take_counter(status, key, ch_db_u64(stmt, 1));
		if (ch_name_state_parse(key, &state) == 0) {
			status->names[state] = ch_db_u64(stmt, 1);
			status->names_total += status->names[state];
		}
	}
	return rc;
}

/* By an index of those that have failed: no others are looked at. */
static int read_failed(struct ch_db *db, struct ch_store_status *status)
{
	int rc = CH_OK;

	for (int i = 0; !rc && status->names[CH_NAME_FAILED] && i < CH_STORE_ACTORS; i++) {
		int64_t n = 0;

		if (i == CH_ACTOR_NOBODY)
			continue;
		rc = ch_db_get_i64(db, &n,
			"SELECT count(*) FROM (SELECT 1 FROM name INDEXED BY name_failed "
			"WHERE actor = ? AND state = 'failed' LIMIT ?) AS few",
			"ti", ch_actor_str((enum ch_actor)i), (int64_t)CH_STORE_FIGURE_MAX);
		status->failed[i] = (uint64_t)n;
	}
	return rc;
}

/* Waiting: open, less what is due, less what somebody holds. */
static int read_waiting(struct ch_db *db, struct ch_store_status *status)
{
	int64_t now = ch_now_ms();
	int64_t due;
	int64_t held;
	int rc = ch_db_get_i64(db, &due,
		"SELECT count(*) FROM orders WHERE ended_at IS NULL AND next_at <= ?", "i",
		now);

	if (!rc)
		rc = ch_db_get_i64(db, &held,
			"SELECT count(*) FROM orders WHERE lease_until IS NOT NULL "
			"AND lease_until > ?",
			"i", now);
	if (!rc && status->orders_open > (uint64_t)(due + held))
		status->orders_waiting = status->orders_open - (uint64_t)(due + held);
	return rc;
}

static int read_expiry(struct ch_db *db, struct ch_arena *arena, struct ch_store_status *status)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt,
		"SELECT name, not_after FROM name WHERE not_after IS NOT NULL "
		"ORDER BY not_after LIMIT 1",
		"");

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc;
	rc = CH_OK;
	status->expiry_name = ch_db_text(arena, stmt, 0, &rc);
	status->expiry_ms = ch_db_i64(stmt, 1);
	return rc;
}

static int read_status(struct ch_db *db, const struct ch_sql_kind *kind, struct ch_arena *arena,
	struct ch_store_status *status)
{
	struct ch_db_meta meta;
	int64_t schema;
	int64_t due;
	int rc = ch_db_meta_load(db, &meta);

	if (!rc)
		rc = read_counters(db, status);
	if (!rc)
		rc = read_waiting(db, status);
	if (!rc)
		rc = read_failed(db, status);
	if (!rc)
		rc = read_expiry(db, arena, status);
	if (!rc)
		rc = next_due(db, &due);
	if (!rc)
		rc = ch_db_get_i64(db, &schema, kind->schema, "");
	if (rc)
		return rc;
	memcpy(status->epoch, meta.epoch, sizeof(status->epoch));
	status->head = meta.head;
	status->schema = (unsigned)schema;
	status->next_due_ms = due == INT64_MAX ? 0 : due;
	return CH_OK;
}

int ch_sql_get_status(
	struct ch_store *base, struct ch_arena *arena, struct ch_store_status *ret_status)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_status status = {0};
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = read_status(db, store->kind, arena, &status);
	ch_sql_read_end(store, db);
	if (!rc)
		*ret_status = status;
	return rc;
}

/* The newest sequence numbers of one pool, descending, and read only as far as its slowest edge
 * makes necessary: many edges far behind cost no more than one. */
struct lag {
	const char *pool; /* NULL: none yet */
	uint64_t *seqs;	  /* CH_STORE_LAG_MAX of them have room */
	size_t n;
	bool is_all; /* the pool has no more */
	struct ch_stmt *stmt;
};

static int lag_begin(struct ch_db *db, struct lag *lag, const char *pool)
{
	ch_db_reset_p(&lag->stmt);
	lag->pool = pool;
	lag->n = 0;
	lag->is_all = false;
	return ch_db_query(db, &lag->stmt,
		"SELECT seq FROM edge_record WHERE pool = ? ORDER BY seq DESC LIMIT ?", "ti",
		pool, (int64_t)CH_STORE_LAG_MAX);
}

static void lag_done(struct lag *lag)
{
	ch_db_reset_p(&lag->stmt);
}

static int lag_read_down_to(struct ch_db *db, struct lag *lag, uint64_t seq)
{
	while (!lag->is_all && (lag->n == 0 || lag->seqs[lag->n - 1] > seq)) {
		int rc = ch_db_step(db, lag->stmt);

		if (rc < 0)
			return rc;
		if (rc == 0)
			lag->is_all = true;
		else
			lag->seqs[lag->n++] = ch_db_u64(lag->stmt, 0);
	}
	return CH_OK;
}

/* How many records of the pool are newer than seq. */
static int lag_count(
	struct ch_db *db, struct lag *lag, const char *pool, uint64_t seq, uint64_t *ret_lag)
{
	size_t newer = 0;
	size_t end;
	int rc = CH_OK;

	if (!lag->pool || strcmp(lag->pool, pool) != 0)
		rc = lag_begin(db, lag, pool);
	if (!rc)
		rc = lag_read_down_to(db, lag, seq);
	if (rc)
		return rc;
	for (end = lag->n; newer < end;) {
		size_t mid = newer + (end - newer) / 2;

		if (lag->seqs[mid] > seq)
			newer = mid + 1;
		else
			end = mid;
	}
	*ret_lag = newer;
	return CH_OK;
}

static int read_edge(struct ch_stmt *stmt, struct ch_arena *arena, struct ch_store_edge *edge)
{
	int rc = CH_OK;

	edge->pool = ch_db_text(arena, stmt, 0, &rc);
	edge->id = ch_arena_fmt(arena, "edge/%s/%s", (const char *)ch_db_col_text(stmt, 0),
		(const char *)ch_db_col_text(stmt, 1));
	if (!edge->id)
		rc = CH_ENOMEM;
	ch_db_bytes(stmt, 2, edge->epoch, sizeof(edge->epoch), &rc);
	edge->seq = ch_db_u64(stmt, 3);
	edge->names = ch_db_u64(stmt, 4);
	edge->software = ch_db_text(arena, stmt, 5, &rc);
	edge->error = ch_db_text(arena, stmt, 6, &rc);
	edge->seen_at_ms = ch_db_i64(stmt, 7);
	return rc;
}

/* Among the newest that it has acknowledged: behind so many removals it may be as it says. */
static int read_empty(struct ch_db *db, struct ch_store_edge *edge)
{
	int64_t one;
	int rc = ch_db_get_i64(db, &one,
		"SELECT 1 FROM (SELECT kind FROM edge_record WHERE pool = ? AND seq <= ? "
		"ORDER BY seq DESC LIMIT ?) AS newest WHERE kind IN (?, ?) LIMIT 1",
		"tiiii", edge->pool, edge->seq, (int64_t)CH_STORE_LAG_MAX,
		(int64_t)CH_RECORD_NAME, (int64_t)CH_RECORD_CERT);

	edge->empty = rc == CH_OK;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

/* Sets lag, live and empty of edges that are sorted by pool. */
static int judge_edges(struct ch_db *db, struct ch_arena *arena, int64_t live_since,
	struct ch_store_edge *edges, size_t n)
{
	CH_CLEANUP(lag_done)
	struct lag lag = {.seqs = ch_arena_array(arena, CH_STORE_LAG_MAX, sizeof(*lag.seqs))};
	struct ch_db_meta meta;
	int rc = lag.seqs ? ch_db_meta_load(db, &meta) : CH_ENOMEM;

	for (size_t i = 0; !rc && i < n; i++) {
		struct ch_store_edge *edge = &edges[i];
		bool same_epoch = memcmp(edge->epoch, meta.epoch, sizeof(meta.epoch)) == 0;

		edge->live = edge->seen_at_ms >= live_since;
		rc = lag_count(db, &lag, edge->pool, same_epoch ? edge->seq : 0, &edge->lag);
		if (!rc && same_epoch && edge->live && !edge->names)
			rc = read_empty(db, edge);
	}
	return rc;
}

static int read_edges(struct ch_db *db, struct ch_arena *arena, int64_t live_since,
	struct ch_store_edge **ret_edges, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_store_edge *edges;
	int64_t total;
	size_t n = 0;
	int rc = ch_db_get_i64(db, &total, "SELECT count(*) FROM edge", "");

	if (rc)
		return rc;
	total = total < EDGES_MAX ? total : EDGES_MAX;
	edges = ch_arena_array(arena, (size_t)total, sizeof(*edges));
	if (!edges)
		return CH_ENOMEM;
	rc = ch_db_query(db, &stmt,
		"SELECT pool, id, epoch, seq, names, software, error, seen_at FROM edge "
		"ORDER BY pool, id LIMIT ?",
		"i", total);
	while (!rc && (rc = ch_db_step(db, stmt)) == 1)
		rc = read_edge(stmt, arena, &edges[n++]);
	if (!rc)
		rc = judge_edges(db, arena, live_since, edges, n);
	if (rc)
		return rc;
	*ret_edges = edges;
	*ret_n = n;
	return CH_OK;
}

int ch_sql_list_edges(struct ch_store *base, struct ch_arena *arena,
	struct ch_store_edge **ret_edges, size_t *ret_n)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = read_edges(db, arena, ch_now_ms() - store->edge_timeout_ms, ret_edges, ret_n);
	ch_sql_read_end(store, db);
	return rc;
}

/* One row more than the page holds tells whether there is a next one. */
static int read_audit(struct ch_db *db, uint64_t before, size_t limit, struct ch_arena *arena,
	struct ch_store_audit *entries, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	size_t n = 0;
	int rc = ch_db_query(db, &stmt,
		"SELECT id, at, who, action, target FROM audit WHERE id < ? "
		"ORDER BY id DESC LIMIT ?",
		"ii", before ? before : CH_STORE_ID_MAX, (int64_t)limit + 1);

	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		struct ch_store_audit *entry = &entries[n++];

		rc = CH_OK;
		entry->id = ch_db_u64(stmt, 0);
		entry->at_ms = ch_db_i64(stmt, 1);
		entry->who = ch_db_text(arena, stmt, 2, &rc);
		entry->action = ch_db_text(arena, stmt, 3, &rc);
		entry->target = ch_db_text(arena, stmt, 4, &rc);
	}
	if (!rc)
		*ret_n = n;
	return rc;
}

int ch_sql_list_audit(struct ch_store *base, uint64_t before, size_t limit,
	struct ch_arena *arena, struct ch_store_audit **ret_entries, size_t *ret_n,
	uint64_t *ret_before)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_audit *entries = ch_arena_array(arena, limit + 1, sizeof(*entries));
	struct ch_db *db;
	size_t n;
	int rc;

	if (!entries)
		return CH_ENOMEM;
	rc = ch_sql_read_begin(store, &db);
	if (rc)
		return rc;
	rc = read_audit(db, before, limit, arena, entries, &n);
	ch_sql_read_end(store, db);
	if (rc)
		return rc;
	*ret_before = n > limit ? entries[limit - 1].id : 0;
	*ret_n = n > limit ? limit : n;
	*ret_entries = entries;
	return CH_OK;
}
