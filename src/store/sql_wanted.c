/* CH_OP_WANTED, and what it would do: store/store_wanted.h. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/counters.h"
#include "store/sql_pace.h"

/* A clock that was wrong is not wrong by less. */
#define FUTURE_MS CH_DAY_MS

enum fate { PASSED_OVER, COUNTS, IS_NEW };

struct candidate {
	const char *name; /* of the caller's */
	char tenant[CH_STORE_LABEL_MAX + 1];
	bool in_line;
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

/* What is due, is looked at or stands in line.  What waits for another reason than that it has
 * no turn yet gains nothing. */
static const char candidate_sql[] =
	"SELECT n.tenant, n.next_at, n.wanted_at, coalesce((SELECT 1 FROM waiting w "
	"WHERE w.name = n.name), 0) FROM name n WHERE n.name = ? AND n.pool = ? "
	"AND n.cert IS NULL AND n.order_id IS NULL AND n.next_at IS NOT NULL "
	"AND n.state <> 'paused'";

static int read_candidate(struct judging *j, struct candidate *c)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(j->db, &stmt, candidate_sql, "tt", c->name, j->pool);

	c->fate = PASSED_OVER;
	if (!rc)
		rc = ch_db_step(j->db, stmt);
	if (rc <= 0)
		return rc;
	rc = CH_OK;
	ch_db_copy(stmt, 0, c->tenant, sizeof(c->tenant), &rc);
	c->in_line = ch_db_i64(stmt, 3) != 0;
	if (ch_db_i64(stmt, 2))
		c->fate = COUNTS;
	else if (c->in_line || ch_db_i64(stmt, 1) <= j->now + CH_STORE_LOOK_MS)
		c->fate = IS_NEW;
	return rc;
}

static const char all_sql[] =
	"SELECT count(*) FROM name INDEXED BY name_wanted WHERE wanted_at IS NOT NULL";
static const char tenant_sql[] =
	"SELECT count(*) FROM name INDEXED BY name_wanted_of WHERE wanted_at IS NOT NULL "
	"AND tenant = ?";

/* The first of them that is new and of this tenant. */
static size_t first_of(const struct judging *j, const char *tenant)
{
	size_t i = 0;

	while (j->list[i].fate != IS_NEW || strcmp(j->list[i].tenant, tenant) != 0)
		i++;
	return i;
}

/* Of what is new only as much as there is room for: all_left, and of one tenant. */
static int limit_tenants(struct judging *j, int64_t all_left)
{
	int64_t left[CH_STORE_WANTED_MAX] = {0};
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < j->n; i++)
		if (j->list[i].fate == IS_NEW && first_of(j, j->list[i].tenant) == i)
			rc = ch_db_ask(j->db, tenant_sql, "t", j->list[i].tenant);
	for (size_t i = 0; !rc && i < j->n; i++) {
		if (j->list[i].fate != IS_NEW || first_of(j, j->list[i].tenant) != i)
			continue;
		rc = ch_db_get_i64(j->db, &left[i], tenant_sql, "t", j->list[i].tenant);
		left[i] = CH_STORE_WANTED_TENANT_MAX - left[i];
	}
	/* From the end, so that the first of a tenant is there for the others. */
	for (size_t i = j->n; !rc && i-- > 0;) {
		int64_t *of_tenant;

		if (j->list[i].fate != IS_NEW)
			continue;
		of_tenant = &left[first_of(j, j->list[i].tenant)];
		if (all_left <= 0 || *of_tenant <= 0) {
			j->list[i].fate = PASSED_OVER;
			continue;
		}
		all_left--;
		--*of_tenant;
	}
	return rc;
}

static int judge(struct judging *j, const struct ch_op_wanted *wanted, struct ch_arena *arena)
{
	bool any_new = false;
	int64_t all = 0;
	int rc = list_names(j, wanted, arena);

	for (size_t i = 0; !rc && i < j->n; i++)
		rc = ch_db_ask(j->db, candidate_sql, "tt", j->list[i].name, j->pool);
	if (!rc)
		rc = ch_db_ask(j->db, all_sql, "");
	for (size_t i = 0; !rc && i < j->n; i++) {
		rc = read_candidate(j, &j->list[i]);
		any_new |= j->list[i].fate == IS_NEW;
	}
	if (rc || !any_new)
		return rc;
	rc = ch_db_get_i64(j->db, &all, all_sql, "");
	return rc ? rc : limit_tenants(j, CH_STORE_WANTED_ALL_MAX - all);
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
	int rc = ch_db_run(
		w->db, "UPDATE name SET wanted_at = ? WHERE name = ?", "it", w->now, c->name);

	if (!rc && c->in_line)
		return ch_pace_reclass(w, c->name, CH_CLASS_VISITOR);
	ch_work_due(w, w->now);
	return rc;
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
	bool in_line;
};

/* What stands in line goes back to where it would have been. */
static int let_go(struct ch_work *w, const struct past *past)
{
	int rc = ch_db_run(
		w->db, "UPDATE name SET wanted_at = NULL WHERE name = ?", "t", past->name);

	return rc || !past->in_line ? rc : ch_pace_reclass(w, past->name, past->class);
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
			"waiting w WHERE w.name = n.name), 0) FROM name n INDEXED BY "
			"name_wanted WHERE n.wanted_at IS NOT NULL AND (n.wanted_at < ? OR "
			"n.wanted_at > ?) LIMIT ?",
			"iii", before, w->now + FUTURE_MS, max_rows);
		while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
			rc = CH_OK;
			list[n++] =
				(struct past){.name = ch_db_text(w->op->arena, stmt, 0, &rc),
					.class = ch_pace_class_of_first(
						false, ch_db_i64(stmt, 1), ch_db_u64(stmt, 2)),
					.in_line = ch_db_i64(stmt, 3) != 0};
		}
	}
	for (size_t i = 0; !rc && i < n; i++)
		rc = let_go(w, &list[i]);
	*ret_removed = (int64_t)n;
	return rc;
}
