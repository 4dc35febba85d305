/* CH_OP_WANTED, and what it would do: store/store_wanted.h. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/counters.h"
#include "store/sql_pace.h"

/* A clock that was wrong is not wrong by less. */
#define FUTURE_MS CH_DAY_MS
/* What is looked at by itself within this need not be before. */
#define SOON_MS (5 * CH_MINUTE_MS)
#define SPAN "3600000"
_Static_assert(CH_STORE_LOOK_AGAIN_MS == 3600000, "as it is in statements");

enum fate { PASSED_OVER, COUNTS, IS_NEW };

struct candidate {
	const char *name; /* of the caller's */
	char tenant[CH_STORE_LABEL_MAX + 1];
	bool in_line;
	bool again; /* new, and to be looked at before its time */
	enum fate fate;
};

/* The names in their order, each once. */
struct judging {
	struct ch_db *db;
	const char *pool;
	int64_t now;
	struct candidate *list;
	size_t n;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct candidate *)a)->name, ((const struct candidate *)b)->name);
}

static int list_names(
	struct judging *j, const struct ch_op_wanted *wanted, struct ch_arena *arena)
{
	struct candidate *list = ch_arena_array(arena, wanted->n_names, sizeof(*list));

	if (!list)
		return CH_ENOMEM;
	for (size_t i = 0; i < wanted->n_names; i++)
		list[i].name = wanted->names[i];
	qsort(list, wanted->n_names, sizeof(*list), by_name);
	for (size_t i = 0; i < wanted->n_names; i++)
		if (!j->n || strcmp(list[i].name, list[j->n - 1].name) != 0)
			list[j->n++].name = list[i].name;
	j->list = list;
	return CH_OK;
}

static const char candidate_sql[] =
	"SELECT n.tenant, n.next_at, n.wanted_at, coalesce((SELECT 1 FROM waiting w "
	"WHERE w.name = n.name), 0), n.failures, n.checks_failed, n.code, n.looked_again_at "
	"FROM name n WHERE n.name = ? AND n.pool = ? AND n.cert IS NULL "
	"AND n.order_id IS NULL AND n.next_at IS NOT NULL AND n.state <> 'paused'";

/* Only the preflight has found fault with it, and with what a visitor's coming puts in doubt:
 * where its DNS leads.  What the CA has refused, or takes only later, is left alone. */
static bool may_be_mended(const struct judging *j, struct ch_stmt *stmt)
{
	uint64_t failures = ch_db_u64(stmt, 4);
	const char *code = ch_db_col_text(stmt, 6);
	int64_t again_at = ch_db_i64(stmt, 7);

	return failures && failures == ch_db_u64(stmt, 5) && code &&
	       (strncmp(code, "dns-", 4) == 0 || strncmp(code, "self-check-", 11) == 0) &&
	       (again_at <= j->now - CH_STORE_LOOK_AGAIN_MS || again_at > j->now);
}

/* New is what is due, is looked at or stands in line: what waits for another reason than that
 * it has no turn yet gains nothing. */
static int read_candidate(struct judging *j, struct candidate *c)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(j->db, &stmt, candidate_sql, "tt", c->name, j->pool);
	int64_t next_at;

	c->fate = PASSED_OVER;
	if (!rc)
		rc = ch_db_step(j->db, stmt);
	if (rc <= 0)
		return rc;
	rc = CH_OK;
	ch_db_copy(stmt, 0, c->tenant, sizeof(c->tenant), &rc);
	next_at = ch_db_i64(stmt, 1);
	c->in_line = ch_db_i64(stmt, 3) != 0;
	c->again = !c->in_line && next_at > j->now + SOON_MS && may_be_mended(j, stmt);
	if (ch_db_i64(stmt, 2))
		c->fate = COUNTS;
	else if (c->in_line || c->again || next_at <= j->now + CH_STORE_LOOK_MS)
		c->fate = IS_NEW;
	return rc;
}

/* How many there may be of all and of one tenant, and how many there are. */
struct limit {
	const char *all;
	const char *of_tenant;
	int64_t all_max;
	int64_t tenant_max;
	int64_t span_ms; /* not those of before; 0: all */
	bool again;	 /* of those that are to be looked at again */
};

static const struct limit limits[] = {
	{.all = "SELECT count(*) FROM name INDEXED BY name_wanted WHERE wanted_at > ? "
		"AND pool = ?",
		.of_tenant = "SELECT count(*) FROM name INDEXED BY name_wanted_of "
			     "WHERE wanted_at > ? AND tenant = ?",
		.all_max = CH_STORE_WANTED_ALL_MAX,
		.tenant_max = CH_STORE_WANTED_TENANT_MAX},
	/* What a clock that was ahead has written counts no longer when it is right again. */
	{.all = "SELECT count(*) FROM name INDEXED BY name_looked_again "
		"WHERE looked_again_at > ?1 AND looked_again_at <= ?1 + " SPAN " AND pool = ?2",
		.of_tenant = "SELECT count(*) FROM name INDEXED BY name_looked_again "
			     "WHERE looked_again_at > ?1 AND looked_again_at <= ?1 + " SPAN " "
			     "AND tenant = ?2",
		.all_max = CH_STORE_WANTED_ALL_MAX,
		.tenant_max = CH_STORE_WANTED_TENANT_MAX,
		.span_ms = CH_STORE_LOOK_AGAIN_MS,
		.again = true},
};

static bool concerns(const struct limit *limit, const struct candidate *c)
{
	return c->fate == IS_NEW && (c->again || !limit->again);
}

/* The first of its tenant. */
static size_t first_of(const struct judging *j, const struct limit *limit, size_t at)
{
	size_t i = 0;

	while (!concerns(limit, &j->list[i]) ||
		strcmp(j->list[i].tenant, j->list[at].tenant) != 0)
		i++;
	return i;
}

/* Of each tenant, at its first: how many more there may be. */
static int find_room(struct judging *j, const struct limit *limit, int64_t since,
	int64_t left[CH_STORE_WANTED_MAX])
{
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < j->n; i++)
		if (concerns(limit, &j->list[i]) && first_of(j, limit, i) == i)
			rc = ch_db_ask(j->db, limit->of_tenant, "it", since, j->list[i].tenant);
	for (size_t i = 0; !rc && i < j->n; i++) {
		int64_t n = 0;

		if (!concerns(limit, &j->list[i]) || first_of(j, limit, i) != i)
			continue;
		rc = ch_db_get_i64(j->db, &n, limit->of_tenant, "it", since, j->list[i].tenant);
		left[i] = limit->tenant_max - n;
	}
	return rc;
}

/* Of what is new only as much as there is room for. */
static int keep_to(struct judging *j, const struct limit *limit)
{
	int64_t since = limit->span_ms ? j->now - limit->span_ms : 0;
	int64_t left[CH_STORE_WANTED_MAX] = {0};
	int64_t n = 0;
	int rc = ch_db_get_i64(j->db, &n, limit->all, "it", since, j->pool);

	if (!rc && n < limit->all_max)
		rc = find_room(j, limit, since, left);
	/* From the end, so that the first of a tenant is there for the others. */
	for (size_t i = j->n; !rc && i-- > 0;) {
		int64_t *of_tenant;

		if (!concerns(limit, &j->list[i]))
			continue;
		of_tenant = &left[first_of(j, limit, i)];
		if (n >= limit->all_max || *of_tenant <= 0) {
			j->list[i].fate = PASSED_OVER;
			continue;
		}
		n++;
		--*of_tenant;
	}
	return rc;
}

static int judge(struct judging *j, const struct ch_op_wanted *wanted, struct ch_arena *arena)
{
	int rc = list_names(j, wanted, arena);

	for (size_t i = 0; !rc && i < j->n; i++)
		rc = ch_db_ask(j->db, candidate_sql, "tt", j->list[i].name, j->pool);
	for (size_t i = 0; !rc && i < j->n; i++)
		rc = read_candidate(j, &j->list[i]);
	for (size_t k = 0; !rc && k < CH_ARRAY_LEN(limits); k++) {
		bool any = false;

		for (size_t i = 0; i < j->n; i++)
			any |= concerns(&limits[k], &j->list[i]);
		if (any)
			rc = keep_to(j, &limits[k]);
	}
	return rc;
}

static size_t count(const struct judging *j, enum fate fate)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n; i++)
		n += j->list[i].fate == fate;
	return n;
}

static int take(struct ch_work *w, const struct candidate *c)
{
	int rc;

	if (c->again)
		rc = ch_db_run(w->db,
			"UPDATE name SET wanted_at = ?1, looked_again_at = ?1, "
			"look_was_at = next_at, next_at = ?1 WHERE name = ?2",
			"it", w->now, c->name);
	else
		rc = ch_db_run(w->db, "UPDATE name SET wanted_at = ? WHERE name = ?", "it",
			w->now, c->name);
	if (!rc && c->in_line)
		return ch_pace_reclass(w, c->name, CH_CLASS_VISITOR, w->now);
	ch_work_due(w, w->now);
	return rc;
}

/* What is looked at before its time goes without its mate that is not: that would fail with it,
 * for a visitor who did not come to it. */
static int part_from_mate(struct ch_work *w, const char *name)
{
	char mate[CH_NAME_MAX + 1];
	struct ch_name_row row;
	int rc = ch_name_row_load(w->db, name, &row);

	if (rc)
		return rc;
	ch_name_row_mate(&row, mate);
	rc = mate[0] ? ch_name_row_load(w->db, mate, &row) : CH_ENOTFOUND;
	if (rc)
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	if (!row.failures || row.look_was_at || row.next_at <= w->now)
		return CH_OK;
	return ch_db_run(w->db, "UPDATE name SET solo = 1 WHERE name = ?", "t", name);
}

static int count_taken(struct ch_work *w, size_t n)
{
	return ch_db_run(w->db,
		"INSERT INTO counter (key, n) VALUES ('" CH_COUNTER_WANTED "', ?) "
		"ON CONFLICT (key) DO UPDATE SET n = counter.n + excluded.n",
		"i", (int64_t)n);
}

int ch_work_wanted(struct ch_work *w, struct ch_op_wanted *wanted)
{
	struct judging j = {.db = w->db, .pool = wanted->pool, .now = w->now};
	size_t n;
	int rc;

	wanted->n_taken = 0;
	if (!wanted->n_names || wanted->n_names > CH_STORE_WANTED_MAX)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-field", "1 to %d names",
			CH_STORE_WANTED_MAX);
	rc = judge(&j, wanted, w->op->arena);
	if (rc)
		return rc;
	n = count(&j, IS_NEW);
	for (size_t i = 0; !rc && i < j.n; i++)
		if (j.list[i].fate == IS_NEW)
			rc = take(w, &j.list[i]);
	for (size_t i = 0; !rc && i < j.n; i++)
		if (j.list[i].fate == IS_NEW && j.list[i].again)
			rc = part_from_mate(w, j.list[i].name);
	if (!rc && n)
		rc = count_taken(w, n);
	wanted->n_taken = count(&j, COUNTS) + n;
	return rc;
}

static int see(struct judging *j, const struct ch_op_wanted *wanted, struct ch_arena *arena,
	struct ch_store_wanted *ret)
{
	const char **new = ch_arena_array(arena, wanted->n_names, sizeof(*new));
	size_t n = 0;
	int rc = new ? judge(j, wanted, arena) : CH_ENOMEM;

	for (size_t i = 0; !rc && i < j->n; i++)
		if (j->list[i].fate == IS_NEW)
			new[n++] = j->list[i].name;
	*ret = (struct ch_store_wanted){
		.n_counted = rc ? 0 : count(j, COUNTS), .new = new, .n_new = n};
	return rc;
}

int ch_sql_see_wanted(struct ch_store *base, const struct ch_op_wanted *wanted,
	struct ch_arena *arena, struct ch_store_wanted *ret_wanted)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct judging j = {.pool = wanted->pool, .now = ch_now_ms()};
	struct ch_store_wanted found;
	int rc = ch_sql_read_begin(store, &j.db);

	if (rc)
		return rc;
	rc = see(&j, wanted, arena, &found);
	ch_sql_read_end(store, j.db);
	if (!rc)
		*ret_wanted = found;
	return rc;
}

struct past {
	const char *name;
	enum ch_class class;
	int64_t since_ms;
	bool in_line;
};

/* What stands in line goes back to where it would have been. */
static int let_go(struct ch_work *w, const struct past *past)
{
	int rc = ch_db_run(
		w->db, "UPDATE name SET wanted_at = NULL WHERE name = ?", "t", past->name);

	return rc || !past->in_line
		       ? rc
		       : ch_pace_reclass(w, past->name, past->class, past->since_ms);
}

int ch_work_prune_wanted(
	struct ch_work *w, int64_t before, int64_t max_rows, int64_t *ret_removed)
{
	struct past *list;
	size_t n = 0;
	int rc = CH_OK;

	*ret_removed = 0;
	if (max_rows > CH_STORE_WANTED_ALL_MAX)
		max_rows = CH_STORE_WANTED_ALL_MAX;
	list = ch_arena_array(w->op->arena, (size_t)max_rows, sizeof(*list));
	if (!list)
		return CH_ENOMEM;
	{
		CH_AUTO_STMT struct ch_stmt *stmt = NULL;

		rc = ch_db_query(w->db, &stmt,
			"SELECT n.name, n.imported, n.failures, coalesce((SELECT 1 FROM "
			"waiting w WHERE w.name = n.name), 0), n.created_at FROM name n "
			"INDEXED BY "
			"name_wanted WHERE n.wanted_at IS NOT NULL AND (n.wanted_at < ? OR "
			"n.wanted_at > ?) LIMIT ?",
			"iii", before, w->now + FUTURE_MS, max_rows);
		while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
			rc = CH_OK;
			list[n++] =
				(struct past){.name = ch_db_text(w->op->arena, stmt, 0, &rc),
					.class = ch_pace_class_of_first(
						false, ch_db_i64(stmt, 1), ch_db_u64(stmt, 2)),
					.in_line = ch_db_i64(stmt, 3) != 0,
					.since_ms = ch_db_i64(stmt, 4)};
		}
	}
	for (size_t i = 0; !rc && i < n; i++)
		rc = let_go(w, &list[i]);
	*ret_removed = (int64_t)n;
	return rc;
}
