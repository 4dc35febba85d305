/* Operations that share a transaction on PostgreSQL, and how often each waits for the server.
 */
#include "fixture.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <time.h>

#include "store/db_postgres.h"
#include "store/postgres_migrate.h"
#include "store/sql_store.h"

#define COMPANY 4

#define NAMES_MAX 6

struct comrade {
	struct fixture *fx;
	const char *tenant; /* NULL: the default one, which need not prove anything */
	size_t n;	    /* names */
	char names[NAMES_MAX][64];
	int rc;
	struct ch_err err;
	enum ch_store_put_result result; /* of the first */
	pthread_t thread;
};

static void *put_some(void *arg)
{
	struct comrade *comrade = arg;
	struct ch_store_put_item items[NAMES_MAX] = {0};
	struct ch_store_op op = {
		.type = CH_OP_PUT, .u.put = {.items = items, .n_items = comrade->n}};

	for (size_t i = 0; i < comrade->n; i++) {
		items[i].name = comrade->names[i];
		items[i].tenant = comrade->tenant;
		items[i].ask_proof = comrade->tenant != NULL;
	}
	if (ch_arena_new(0, &op.arena))
		abort();
	comrade->rc = ch_store_run(comrade->fx->store, &op);
	comrade->err = op.err;
	comrade->result = items[0].result;
	ch_arena_free(op.arena);
	return NULL;
}

static size_t queued(struct ch_sql_store *store)
{
	size_t n;

	pthread_mutex_lock(&store->lock);
	n = store->queue_len;
	pthread_mutex_unlock(&store->lock);
	return n;
}

static bool answers_yes(PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);
	bool yes = PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), "t") == 0;

	PQclear(result);
	return yes;
}

/* Until the first waits for the lock. */
static void await_wait(PGconn *conn)
{
	while (!answers_yes(conn,
		"SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() "
		"AND wait_event_type = 'Lock'"))
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* While the writer waits with the first for another store's lock, the others come into its
 * queue, one after the other; they share the transaction after that. */
static void run_in_company(struct fixture *fx, struct comrade *comrades)
{
	PGconn *other = PQconnectdb(fx->database);

	PQclear(PQexec(other, "SELECT pg_advisory_lock(" CH_POSTGRES_WRITER_LOCK ")"));
	for (size_t i = 0; i < COMPANY; i++) {
		comrades[i].fx = fx;
		assert_int_equal(
			pthread_create(&comrades[i].thread, NULL, put_some, &comrades[i]), 0);
		if (i == 0)
			await_wait(other);
		while (queued(ch_sql_of(fx->store)) < i)
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	/* Its transaction has lasted for too long to take others in. */
	__atomic_fetch_add(&test_now_ms, CH_SECOND_MS, __ATOMIC_RELAXED);
	PQclear(PQexec(other, "SELECT pg_advisory_unlock(" CH_POSTGRES_WRITER_LOCK ")"));
	PQfinish(other);
	for (int i = 0; i < COMPANY; i++)
		pthread_join(comrades[i].thread, NULL);
}

static void put_in_company(struct fixture *fx, struct comrade *comrades, const char *of)
{
	for (int i = 0; i < COMPANY; i++) {
		comrades[i] = (struct comrade){.n = 1};
		snprintf(comrades[i].names[0], sizeof(comrades[i].names[0]), "%s%d.example", of,
			i);
	}
	run_in_company(fx, comrades);
}

/* What the names of a few are asked about together holds until one of the others, who asks for
 * himself, has changed it. */
static void what_was_gathered_does_not_outlive_a_change(void **state)
{
	struct fixture *fx = *state;
	struct comrade comrades[COMPANY] = {
		{.n = 1, .names = {"first.example"}},
		{.n = 1, .names = {"second.example"}},
		{.n = NAMES_MAX,
			.tenant = "a",
			.names = {"*.shop.example", "b.example", "c.example", "d.example",
				"e.example", "f.example"}},
		{.n = 1, .tenant = "b", .names = {"x.shop.example"}},
	};
	struct ch_store_domain domain;

	run_in_company(fx, comrades);
	for (int i = 0; i < COMPANY; i++)
		assert_int_equal(comrades[i].rc, CH_OK);
	assert_int_equal(comrades[2].result, CH_PUT_CREATED);
	assert_int_equal(comrades[3].result, CH_PUT_REJECTED);
	assert_int_equal(ch_store_get_domain(fx->store, "x.shop.example", fx->arena, &domain),
		CH_ENOTFOUND);
	/* The same name of both. */
	comrades[2] = (struct comrade){.n = NAMES_MAX,
		.names = {"g.example", "h.example", "i.example", "j.example", "k.example",
			"l.example"}};
	comrades[3] = (struct comrade){.n = 1, .names = {"l.example"}};
	run_in_company(fx, comrades);
	for (int i = 0; i < COMPANY; i++)
		assert_int_equal(comrades[i].rc, CH_OK);
	assert_int_equal(comrades[3].result, CH_PUT_EXISTS);
}

/* Whose it was is not known at first: then they are told to come again. */
static void what_the_database_refuses_of_one_the_others_can_do(void **state)
{
	struct fixture *fx = *state;
	struct comrade comrades[COMPANY];

	fx_rewrite(fx, "ALTER TABLE name ADD CHECK (name <> 'n2.example')");
	put_in_company(fx, comrades, "n");
	assert_ok(comrades[0].rc);
	for (int i = 1; i < COMPANY; i++) {
		assert_int_equal(comrades[i].rc, CH_EAGAIN);
		assert_string_equal(comrades[i].err.problem, "store-busy");
	}
	put_in_company(fx, comrades, "n");
	for (int i = 0; i < COMPANY; i++)
		assert_int_equal(comrades[i].rc, i == 2 ? CH_EIO : CH_OK);
	put_in_company(fx, comrades, "m");
	for (int i = 0; i < COMPANY; i++)
		assert_int_equal(comrades[i].rc, CH_OK);
}

static uint64_t trips(struct fixture *fx)
{
	return ch_db_postgres_trips(ch_sql_of(fx->store)->writer);
}

/* Each of them takes as long as the way to a database on another host. */
static void answers_are_seldom_waited_for(void **state)
{
	struct fixture *fx = *state;
	struct comrade comrades[COMPANY];
	struct ch_store_order *order;
	struct ch_op_patch patch = {.has_state = true,
		.state = CH_ORDER_ORDERED,
		.acme = "{}",
		.next_at_ms = START_MS + CH_HOUR_MS};
	uint64_t before;

	/* The first one looks at the server, too. */
	fx_add(fx, "a.example");
	before = trips(fx);
	order = fx_lease_one(fx);
	assert_true(trips(fx) - before <= 6);
	patch.id = order->id;
	patch.fence = order->fence;
	before = trips(fx);
	assert_ok(fx_patch(fx, &patch));
	assert_true(trips(fx) - before <= 3);
	before = trips(fx);
	fx_add(fx, "b.example");
	assert_true(trips(fx) - before <= 3);
	before = trips(fx);
	put_in_company(fx, comrades, "n");
	assert_true(trips(fx) - before <= 6);
}

/* How often three readings of so many names wait for the server. */
static uint64_t trips_of_readings(struct fixture *fx, int64_t most)
{
	static const char sql[] = "SELECT name FROM name ORDER BY name LIMIT ?";
	struct ch_db *db;
	uint64_t n;

	assert_ok(ch_db_postgres_open(fx->database, "SET jit = off", &db, &fx->err));
	assert_ok(ch_db_run(db, "BEGIN", ""));
	n = ch_db_postgres_trips(db);
	for (int i = 0; i < 3; i++) {
		CH_AUTO_STMT struct ch_stmt *stmt = NULL;
		int64_t rows = 0;

		assert_ok(ch_db_query(db, &stmt, sql, "i", most));
		while (ch_db_step(db, stmt) == 1)
			rows++;
		assert_int_equal(rows, most);
	}
	n = ch_db_postgres_trips(db) - n;
	ch_db_close(db);
	return n;
}

/* Whoever goes through a million rows must not keep them all. */
static void only_short_answers_are_remembered(void **state)
{
	struct fixture *fx = *state;

	fx_rewrite(fx,
		"INSERT INTO name (name, tenant, pool, www, state, code, detail, actor, "
		"failures, version, solo, created_at, updated_at) SELECT 'n' || i, 'default', "
		"'default', 0, 'pending', '', '', 'nobody', 0, i, 0, 0, 0 "
		"FROM generate_series(1, 200) AS i");
	assert_int_equal(trips_of_readings(fx, 100), 1);
	assert_int_equal(trips_of_readings(fx, 101), 3);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(what_the_database_refuses_of_one_the_others_can_do),
		T(what_was_gathered_does_not_outlive_a_change),
		T(answers_are_seldom_waited_for),
		T(only_short_answers_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
