/* What is particular to the PostgreSQL backend: several stores on one database, lost
 * connections, its URL and its schema. */
#include "fixture.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <time.h>

#include "store/db_postgres.h"
#include "store/db_postgres_wait.h"
#include "store/migrations.h"
#include "store/sql_work.h"

static void run(struct fixture *fx, const char *sql)
{
	PGconn *conn = PQconnectdb(fx->database);
	PGresult *result = PQexec(conn, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK &&
		PQresultStatus(result) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(conn));
	PQclear(result);
	PQfinish(conn);
}

static struct ch_store *open_another(struct fixture *fx)
{
	struct ch_store_options options = {
		.database = fx->database, .edge_timeout_ms = EDGE_TIMEOUT_MS, .readers = 2};
	struct ch_store *store;

	assert_ok(ch_store_open(&options, &store, &fx->err));
	return store;
}

struct heard {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	uint64_t feed_head;
};

static void hear(const struct ch_store_change *change, void *arg)
{
	struct heard *heard = arg;

	pthread_mutex_lock(&heard->lock);
	if (change->feed && change->feed_head > heard->feed_head)
		heard->feed_head = change->feed_head;
	pthread_cond_signal(&heard->cond);
	pthread_mutex_unlock(&heard->lock);
}

static bool hears_of(struct heard *heard, uint64_t head)
{
	struct timespec until;
	bool good;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&heard->lock);
	while (heard->feed_head < head &&
		pthread_cond_timedwait(&heard->cond, &heard->lock, &until) == 0)
		;
	good = heard->feed_head >= head;
	pthread_mutex_unlock(&heard->lock);
	return good;
}

static uint64_t head_of(struct ch_store *store)
{
	struct ch_store_feed_info info;

	assert_ok(ch_store_read_feed(store, "default", 0, NULL, NULL, &info));
	return info.head;
}

/* Each store has read where the feed is, and hears what comes after that. */
static void await_listeners(struct fixture *fx)
{
	run(fx, "DO $$ BEGIN FOR i IN 1 .. 200 LOOP PERFORM pg_stat_clear_snapshot(); "
		"EXIT WHEN (SELECT count(*) FROM pg_stat_activity WHERE "
		"datname = current_database() AND query LIKE 'SELECT head FROM meta%') >= 2; "
		"ASSERT i < 200, 'a store does not listen'; PERFORM pg_sleep(0.1); "
		"END LOOP; END $$");
}

static void a_store_hears_of_what_another_commits(void **state)
{
	struct heard heard = {
		.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
	struct fixture *fx = *state;
	struct ch_store *other = open_another(fx);

	ch_store_on_commit(other, hear, &heard);
	await_listeners(fx);
	fx_add(fx, "a.example");
	assert_true(hears_of(&heard, head_of(fx->store)));
	assert_int_equal(head_of(other), head_of(fx->store));
	/* And not only of what was there when it began to listen. */
	fx_add(fx, "b.example");
	assert_true(hears_of(&heard, head_of(fx->store)));
	ch_store_close(other);
}

static void note_text(const char *text, void *arg)
{
	snprintf(arg, 32, "%s", text);
}

/* It must not need the look every two seconds: here, what waits for a notification waits for
 * ten times that, and after a query, which the server answers within a transaction. */
static void a_notification_comes_by_itself(void **state)
{
	struct fixture *fx = *state;
	struct ch_db *db;
	int64_t head;
	char text[32] = "";

	assert_ok(ch_db_postgres_open(fx->database, "SET jit = off", &db, &fx->err));
	assert_ok(ch_db_script(db, "LISTEN certherd"));
	assert_ok(ch_db_get_i64(db, &head, "SELECT head FROM meta", ""));
	assert_ok(ch_db_postgres_notified(db, 0, -1, note_text, text));
	assert_string_equal(text, "");
	run(fx, "NOTIFY certherd, 'news'");
	assert_ok(ch_db_postgres_notified(db, 20000, -1, note_text, text));
	assert_string_equal(text, "news");
	ch_db_close(db);
}

#define STORES 4
#define EACH 200

struct adder {
	struct ch_store *store;
	int number;
	int failures;
	pthread_t thread;
};

static void *add_names(void *arg)
{
	struct adder *adder = arg;

	for (int i = 0; i < EACH; i++) {
		char name[64];
		struct ch_store_put_item item = {.name = name};
		struct ch_store_op op = {
			.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};

		snprintf(name, sizeof(name), "n%d-%d.example", adder->number, i);
		if (ch_arena_new(0, &op.arena))
			abort();
		adder->failures += ch_store_run(adder->store, &op) != CH_OK;
		ch_arena_free(op.arena);
	}
	return NULL;
}

struct follower {
	uint64_t after;
	uint64_t rows;
	bool gap;
};

static int follow(const struct ch_store_feed_row *row, void *arg)
{
	struct follower *follower = arg;

	follower->gap |= row->seq != follower->after + 1;
	follower->after = row->seq;
	follower->rows++;
	return 0;
}

/* Names are only added, so each number of the feed has its row: whoever reads what is there and
 * later what came after it must see all of them. */
static void the_feed_has_no_gap_with_many_writers(void **state)
{
	struct fixture *fx = *state;
	struct adder adders[STORES];
	struct follower follower = {.after = 0};
	struct ch_store_feed_info info;

	for (int i = 0; i < STORES; i++) {
		adders[i] = (struct adder){.store = open_another(fx), .number = i};
		assert_int_equal(
			pthread_create(&adders[i].thread, NULL, add_names, &adders[i]), 0);
	}
	while (follower.rows < STORES * EACH && !follower.gap)
		assert_ok(ch_store_read_feed(
			fx->store, "default", follower.after, follow, &follower, &info));
	assert_false(follower.gap);
	for (int i = 0; i < STORES; i++) {
		pthread_join(adders[i].thread, NULL);
		assert_int_equal(adders[i].failures, 0);
		ch_store_close(adders[i].store);
	}
	assert_int_equal(follower.rows, STORES * EACH);
	assert_int_equal(head_of(fx->store), STORES * EACH);
}

static void an_order_is_leased_by_one_of_two_stores(void **state)
{
	struct fixture *fx = *state;
	struct ch_store *other = open_another(fx);
	struct ch_store *first = fx->store;

	fx_add(fx, "a.example");
	fx_lease_one(fx);
	fx->store = other;
	fx_lease_none(fx);
	fx->store = first;
	ch_store_close(other);
}

static void a_lost_connection_is_made_anew(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "a.example");
	/* Waits until the last of them is gone. */
	run(fx, "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity "
		"WHERE datname = current_database() AND pid <> pg_backend_pid()");
	fx_add(fx, "b.example");
	fx_get(fx, "a.example");
	fx_get(fx, "b.example");
}

static void a_statement_that_fails_fails_its_operation_alone(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {.name = "b.example"};
	struct ch_store_op op = {.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};

	fx_add(fx, "a.example");
	run(fx, "ALTER TABLE audit RENAME TO elsewhere");
	op.who = "operator";
	assert_int_not_equal(fx_run(fx, &op), CH_OK);
	run(fx, "ALTER TABLE elsewhere RENAME TO audit");
	assert_ok(fx_run(fx, &op));
	fx_get(fx, "b.example");
}

static void another_timeline_has_another_epoch(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item;
	struct ch_store_feed_info before;
	struct ch_store_feed_info after;

	fx_add(fx, "a.example");
	assert_ok(ch_store_read_feed(fx->store, "default", 0, NULL, NULL, &before));
	fx_reopen(fx);
	fx_add(fx, "b.example");
	assert_ok(ch_store_read_feed(fx->store, "default", 0, NULL, NULL, &after));
	assert_memory_equal(before.epoch, after.epoch, sizeof(before.epoch));
	run(fx, "UPDATE meta SET timeline = 'FFFFFFFF'");
	run(fx, "ALTER TABLE name ADD CHECK (name <> 'refused.example')");
	fx_reopen(fx);
	/* What finds it out is undone with the transaction. */
	assert_int_equal(fx_put(fx, "refused.example", CH_TRI_KEEP, NULL, NULL, &item), CH_EIO);
	fx_add(fx, "c.example");
	assert_ok(ch_store_read_feed(fx->store, "default", 0, NULL, NULL, &after));
	assert_memory_not_equal(before.epoch, after.epoch, sizeof(before.epoch));
}

/* from: the oldest version that may go on, less what this program knows; NULL: as left by a
 * program from before it was told. */
static void as_newer(struct fixture *fx, const char *from)
{
	char sql[128];

	snprintf(sql, sizeof(sql),
		"UPDATE certherd_schema SET version = %u + 2, compatible_from = %u + %s",
		ch_migrations_postgres_n, ch_migrations_postgres_n, from);
	run(fx, sql);
}

static void newer_schemas_that_do_not_allow_it_are_refused(void **state)
{
	static const char *const froms[] = {"1", "2", "NULL"};
	struct fixture *fx = *state;
	struct ch_store_options options = {.database = fx->database};

	ch_store_close(fx->store);
	fx->store = NULL;
	for (size_t i = 0; i < CH_ARRAY_LEN(froms); i++) {
		as_newer(fx, froms[i]);
		assert_int_equal(
			ch_store_open(&options, &fx->store, &fx->err), CH_EUNSUPPORTED);
		assert_string_equal(fx->err.problem, "schema-newer");
		assert_non_null(strstr(fx->err.detail, "start the newer program"));
	}
	as_newer(fx, "0");
	assert_ok(ch_store_open(&options, &fx->store, &fx->err));
}

static void newer_schemas_that_allow_it_are_worked_with_and_stay(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_status status;

	fx_add(fx, "a.example");
	as_newer(fx, "0");
	fx_add(fx, "b.example");
	fx_reopen(fx);
	fx_get(fx, "a.example");
	fx_add(fx, "c.example");
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.schema, ch_migrations_postgres_n + 2);
	/* Nor does it forbid what it has not brought. */
	run(fx, "SELECT 1 / (compatible_from = version - 2)::int FROM certherd_schema");
}

static void a_database_from_before_the_rule_is_brought_to_it(void **state)
{
	struct fixture *fx = *state;

	ch_store_close(fx->store);
	fx->store = NULL;
	run(fx, "ALTER TABLE certherd_schema DROP COLUMN compatible_from");
	fx_reopen(fx);
	fx_add(fx, "a.example");
	as_newer(fx, "0");
	fx_reopen(fx);
	fx_get(fx, "a.example");
}

/* Another session's lock does for a server that is stopped. */
#define A_SECOND "(SELECT second_standby_cert FROM name WHERE name = 'a.example')"
/* Divides by zero unless the row of the name is such. */
#define ASSERT_NAME(condition)                                                                 \
	"SELECT 1 / count(*) FROM name WHERE name = 'a.example' AND " condition

/* What stores that do not know of a second standby do beside it. */
static void second_standbys_stand_older_stores(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_second *second;

	fx_issue_four(fx, "a.example");
	second = fx_get(fx, "a.example").second;
	assert_true(second->standby->ready);
	run(fx, "DO $$ BEGIN UPDATE name SET standby_cert = " A_SECOND
		" WHERE name = 'a.example'; RAISE 'taken'; EXCEPTION WHEN OTHERS THEN "
		"IF SQLERRM NOT LIKE '%newer store%' THEN RAISE; END IF; END $$");
	run(fx, ASSERT_NAME("standby_cert <> second_standby_cert"));
	/* They forget what they do not know of a name: nothing of this. */
	run(fx, "DELETE FROM cert_name WHERE name = 'a.example' AND version NOT IN (SELECT "
		"cert "
		"FROM name) AND version NOT IN (SELECT second_cert FROM name)");
	assert_non_null(fx_get(fx, "a.example").second->standby->cert);
	run(fx, "SELECT 1 / count(*) FROM cert WHERE version = " A_SECOND);
	/* It goes with what it stands by for, and is due when that is back. */
	run(fx, "UPDATE name SET second_cert = NULL");
	run(fx, ASSERT_NAME("second_standby_at IS NULL AND second_standby_cert IS NULL"));
	run(fx, "SELECT 1 / (count(*) = 2)::int FROM cert_name");
	run(fx, "UPDATE name SET second_cert = cert");
	run(fx, ASSERT_NAME("second_standby_at = 1"));
}

/* With a condition quoted in a string of SQL: '' for each '. */
static const char *quoted(char *out, const char *text)
{
	char *at = out;

	for (; *text; text++) {
		*at++ = *text;
		if (*text == '\'')
			*at++ = '\'';
	}
	*at = '\0';
	return out;
}

/* A plan that reads a whole table of a million rows must not creep in. */
static void due_standbys_are_found_by_indexes(void **state)
{
	static const struct {
		const char *condition;
		const char *at;
		const char *index;
	} cases[] = {{CH_STANDBY_OWN, "standby_at", "name_standby_own"},
		{CH_STANDBY_DEFAULT, "standby_at", "name_standby_default"},
		{CH_SECOND_STANDBY_OWN, "second_standby_at", "name_second_standby_own"},
		{CH_SECOND_STANDBY_DEFAULT, "second_standby_at",
			"name_second_standby_default"}};
	struct fixture *fx = *state;

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++) {
		char condition[600];
		char sql[1500];

		/* What it could do, not what it finds cheap for so few. */
		snprintf(sql, sizeof(sql),
			"DO $$ DECLARE plan json; BEGIN "
			"PERFORM set_config('enable_seqscan', 'off', true); "
			"PERFORM set_config('enable_sort', 'off', true); "
			"EXECUTE 'EXPLAIN (FORMAT JSON) SELECT name FROM name WHERE %s AND %s "
			"<= 5 ORDER BY %s LIMIT 5' INTO plan; "
			"IF plan::text NOT LIKE '%%\"%s\"%%' OR plan::text LIKE "
			"'%%\"Sort\"%%' THEN RAISE '%%', plan; END IF; END $$",
			quoted(condition, cases[i].condition), cases[i].at, cases[i].at,
			cases[i].index);
		run(fx, sql);
	}
}

static void a_server_that_does_not_answer_is_not_waited_for_for_ever(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {.name = "b.example"};
	struct ch_store_op op = {.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};
	int64_t usual_ms = ch_db_postgres_answer_ms;
	PGconn *other = PQconnectdb(fx->database);

	fx_add(fx, "a.example");
	PQclear(PQexec(other, "BEGIN; LOCK TABLE name IN ACCESS EXCLUSIVE MODE"));
	assert_int_equal(PQtransactionStatus(other), PQTRANS_INTRANS);
	ch_db_postgres_answer_ms = 200;
	assert_int_equal(fx_run(fx, &op), CH_EAGAIN);
	assert_string_equal(op.err.problem, "store-busy");
	ch_db_postgres_answer_ms = usual_ms;
	PQfinish(other);
	op.err = (struct ch_err){0};
	assert_ok(fx_run(fx, &op));
	assert_int_equal(item.result, CH_PUT_CREATED);
	fx_get(fx, "a.example");
}

static void note_outdated(const struct ch_store_change *change, void *arg)
{
	if (change->is_outdated)
		++*(int *)arg;
}

static void a_store_that_became_too_old_writes_no_more(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {.name = "b.example"};
	struct ch_store_op op = {.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};
	int told = 0;

	fx_add(fx, "a.example");
	ch_store_on_commit(fx->store, note_outdated, &told);
	fx_add(fx, "c.example");
	assert_int_equal(told, 0);
	as_newer(fx, "1");
	assert_int_equal(fx_run(fx, &op), CH_EUNSUPPORTED);
	assert_string_equal(op.err.problem, "store-busy");
	assert_int_equal(told, 1);
	as_newer(fx, "0");
	assert_ok(fx_run(fx, &op));
	assert_int_equal(item.result, CH_PUT_CREATED);
}

/* One that stays open keeps old rows from being cleaned up, tables from being changed, and its
 * connection from hearing of what others commit. */
static void no_transaction_stays_open(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_status status;
	struct heard heard = {
		.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
	struct ch_store *other = open_another(fx);

	ch_store_on_commit(other, hear, &heard);
	fx_add(fx, "a.example");
	assert_true(hears_of(&heard, head_of(fx->store)));
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	/* What is under way just now may end. */
	run(fx, "DO $$ BEGIN FOR i IN 1 .. 200 LOOP PERFORM pg_stat_clear_snapshot(); "
		"EXIT WHEN NOT EXISTS (SELECT 1 FROM pg_stat_activity "
		"WHERE datname = current_database() AND pid <> pg_backend_pid() "
		"AND xact_start IS NOT NULL); "
		"ASSERT i < 200, 'a transaction stays open'; PERFORM pg_sleep(0.1); "
		"END LOOP; END $$");
	ch_store_close(other);
}

static void a_bad_url_is_refused(void **state)
{
	static const struct {
		const char *url;
		const char *says;
	} cases[] = {
		{"postgresql://u:secret@127.0.0.1/x", "passfile"},
		{"postgresql://h/x?password=secret", "passfile"},
		{"postgresql://h/x?nonsense=1", "nonsense"},
		{"postgresql://h:port/x", "port"},
	};
	struct fixture *fx = *state;

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++) {
		struct ch_store_options options = {.database = cases[i].url};
		struct ch_store *store = NULL;
		int rc = ch_store_open(&options, &store, &fx->err);

		assert_true(rc == CH_EINVAL || rc == CH_EAGAIN);
		assert_non_null(strstr(fx->err.detail, cases[i].says));
		assert_null(strstr(fx->err.detail, "secret"));
	}
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_store_hears_of_what_another_commits),
		T(a_notification_comes_by_itself),
		T(the_feed_has_no_gap_with_many_writers),
		T(an_order_is_leased_by_one_of_two_stores),
		T(a_lost_connection_is_made_anew),
		T(a_statement_that_fails_fails_its_operation_alone),
		T(another_timeline_has_another_epoch),
		T(newer_schemas_that_do_not_allow_it_are_refused),
		T(newer_schemas_that_allow_it_are_worked_with_and_stay),
		T(a_database_from_before_the_rule_is_brought_to_it),
		T(a_store_that_became_too_old_writes_no_more),
		T(no_transaction_stays_open),
		T(second_standbys_stand_older_stores),
		T(due_standbys_are_found_by_indexes),
		T(a_server_that_does_not_answer_is_not_waited_for_for_ever),
		T(a_bad_url_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
