/* What is particular to the SQLite backend: the file, its lock, its schema, a full disk. */
#include "fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/migrations.h"
#include "store/sql_work.h"

static const char *file_of(const struct fixture *fx)
{
	return fx->database + strlen("sqlite:");
}

static int open_again(struct fixture *fx)
{
	struct ch_store_options options = {.database = fx->database};

	return ch_store_open(&options, &fx->store, &fx->err);
}

static void close_store(struct fixture *fx)
{
	ch_store_close(fx->store);
	fx->store = NULL;
}

static void run_sql(struct fixture *fx, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(file_of(fx), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void files_are_private(void **state)
{
	struct fixture *fx = *state;
	static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};

	fx_add(fx, "a.example");
	for (size_t i = 0; i < CH_ARRAY_LEN(suffixes); i++) {
		struct stat st;
		char path[256];

		snprintf(path, sizeof(path), "%s%s", file_of(fx), suffixes[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	close_store(fx);
	assert_int_equal(chmod(file_of(fx), 0644), 0);
	assert_ok(open_again(fx));
	fx_add(fx, "b.example");
	for (size_t i = 0; i < CH_ARRAY_LEN(suffixes); i++) {
		struct stat st;
		char path[256];

		snprintf(path, sizeof(path), "%s%s", file_of(fx), suffixes[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
}

static void a_second_process_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_options options = {.database = fx->database};
	struct ch_store *second;

	assert_refused(fx, ch_store_open(&options, &second, &fx->err), CH_ECONFLICT,
		"database-in-use");
	fx_add(fx, "a.example");
}

static void only_one_of_two_that_start_at_once_makes_the_schema(void **state)
{
	struct fixture *fx = *state;
	pid_t children[4];
	int fds[2], served = 0;
	char go;

	close_store(fx);
	assert_int_equal(unlink(file_of(fx)), 0);
	assert_int_equal(pipe(fds), 0);
	for (size_t i = 0; i < CH_ARRAY_LEN(children); i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i])
			continue;
		close(fds[1]);
		if (read(fds[0], &go, 1) != 0)
			_exit(9);
		_exit(open_again(fx) == CH_OK ? 0 : fx->err.rc == CH_ECONFLICT ? 1 : 2);
	}
	close(fds[1]);
	close(fds[0]);
	for (size_t i = 0; i < CH_ARRAY_LEN(children); i++) {
		int status;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status));
		assert_true(WEXITSTATUS(status) <= 1);
		served += WEXITSTATUS(status) == 0;
	}
	assert_true(served >= 1);
	assert_ok(open_again(fx));
	fx_add(fx, "a.example");
}

static void a_newer_schema_is_refused_with_a_reason(void **state)
{
	struct fixture *fx = *state;
	char sql[64];

	close_store(fx);
	run_sql(fx,
		"PRAGMA user_version = 999; UPDATE certherd_schema SET compatible_from = 998");
	assert_refused(fx, open_again(fx), CH_EUNSUPPORTED, "schema-newer");
	assert_non_null(strstr(fx->err.detail, "998"));
	run_sql(fx, "DROP TABLE certherd_schema"); /* as programs left it that knew no rule */
	assert_refused(fx, open_again(fx), CH_EUNSUPPORTED, "schema-newer");
	assert_non_null(strstr(fx->err.detail, "999"));
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %u", ch_migrations_sqlite_n + 1);
	run_sql(fx, sql);
	assert_refused(fx, open_again(fx), CH_EUNSUPPORTED, "schema-newer");
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %u", ch_migrations_sqlite_n);
	run_sql(fx, sql);
	assert_ok(open_again(fx));
}

static void a_newer_schema_that_allows_it_is_worked_with_and_stays(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_status status;
	char sql[96];

	fx_add(fx, "a.example");
	close_store(fx);
	snprintf(sql, sizeof(sql),
		"PRAGMA user_version = %u; ALTER TABLE name ADD COLUMN next TEXT",
		ch_migrations_sqlite_n + 2);
	run_sql(fx, sql);
	assert_ok(open_again(fx));
	fx_get(fx, "a.example");
	fx_add(fx, "b.example");
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.schema, ch_migrations_sqlite_n + 2);
	close_store(fx);
	assert_ok(open_again(fx));
	fx_get(fx, "b.example");
}

/* So that it starts on a full disk, and answers what is asked. */
static void a_start_writes_nothing_to_a_schema_that_is_there(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "a.example");
	close_store(fx);
	run_sql(fx, "CREATE TRIGGER u BEFORE UPDATE ON certherd_schema BEGIN "
		    "SELECT RAISE(ABORT, 'written'); END");
	assert_ok(open_again(fx));
	fx_get(fx, "a.example");
}

static void a_database_of_another_program_is_refused(void **state)
{
	struct fixture *fx = *state;

	close_store(fx);
	assert_int_equal(unlink(file_of(fx)), 0);
	run_sql(fx, "CREATE TABLE cooking (recipe TEXT)");
	assert_refused(fx, open_again(fx), CH_EUNSUPPORTED, "bad-database");
	run_sql(fx, "SELECT recipe FROM cooking");
}

static void another_kind_of_database_is_refused(void **state)
{
	struct fixture *fx = *state;
	static const char *const urls[] = {
		"", "sqlite:", "postgresql://", "mysql://db/x", "test.db"};

	close_store(fx);
	for (size_t i = 0; i < CH_ARRAY_LEN(urls); i++) {
		struct ch_store_options options = {.database = urls[i]};

		assert_refused(fx, ch_store_open(&options, &fx->store, &fx->err),
			CH_EUNSUPPORTED, "bad-database");
	}
	snprintf(fx->database, sizeof(fx->database), "sqlite:%s/none/test.db", fx->dir);
	assert_refused(fx, open_again(fx), CH_EIO, "internal");
}

static void overwrite(struct fixture *fx, off_t from, size_t len)
{
	int fd = open(file_of(fx), O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(pwrite(fd, "\xa5", 1, from + (off_t)i), 1);
	close(fd);
}

static void a_file_that_is_no_database_is_called_corrupt(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "a.example");
	close_store(fx);
	overwrite(fx, 0, 4096);
	assert_int_equal(open_again(fx), CH_ECORRUPT);
	assert_string_not_equal(fx->err.detail, "");
}

static void damage_inside_is_called_corrupt(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain_filter filter = {.limit = 1000};
	struct ch_store_domain_page page;
	struct stat st;

	for (int i = 0; i < 1000; i++)
		fx_add(fx, ch_arena_fmt(fx->arena, "n%d.example", i));
	close_store(fx);
	assert_int_equal(stat(file_of(fx), &st), 0);
	overwrite(fx, 327680, (size_t)st.st_size - 327680);
	assert_ok(open_again(fx));
	assert_int_equal(
		ch_store_list_domains(fx->store, &filter, fx->arena, &page), CH_ECORRUPT);
	assert_int_equal(fx_put(fx, "new.example", CH_TRI_KEEP, NULL, NULL, NULL), CH_ECORRUPT);
}

/* The limit on the size of files stands in for a full disk. */
static int fill_up(struct fixture *fx)
{
	struct rlimit small = {.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY};
	struct rlimit large = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
	int rc = CH_OK;
	int added = 0;
	struct ch_store_domain domain;
	char name[32];

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &small))
		return 10;
	while (!rc && added < 100000) {
		snprintf(name, sizeof(name), "n%d.example", added);
		rc = fx_put(fx, name, CH_TRI_KEEP, NULL, NULL, NULL);
		added += rc == CH_OK;
	}
	if (rc != CH_EFULL)
		return 11;
	if (ch_store_get_domain(fx->store, "n0.example", fx->arena, &domain))
		return 12;
	if (ch_store_get_domain(fx->store, name, fx->arena, &domain) != CH_ENOTFOUND)
		return 13;
	if (setrlimit(RLIMIT_FSIZE, &large))
		return 14;
	if (fx_put(fx, name, CH_TRI_KEEP, NULL, NULL, NULL))
		return 15;
	ch_store_close(fx->store);
	return 0;
}

static void a_full_disk_refuses_writes_and_keeps_reading(void **state)
{
	struct fixture *fx = *state;
	int status;
	pid_t child;

	close_store(fx);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(open_again(fx) ? 9 : fill_up(fx));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_ok(open_again(fx));
	fx_get(fx, "n0.example");
}

/* A plan that reads a whole table of a million rows must not creep in. */
static void assert_by_indexes(struct fixture *fx, const char *const *queries, size_t n)
{
	sqlite3 *db;

	close_store(fx);
	assert_int_equal(sqlite3_open(file_of(fx), &db), SQLITE_OK);
	for (size_t i = 0; i < n; i++) {
		char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", queries[i]);
		sqlite3_stmt *stmt;

		assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &stmt, NULL), SQLITE_OK);
		while (sqlite3_step(stmt) == SQLITE_ROW) {
			const char *plan = (const char *)sqlite3_column_text(stmt, 3);

			if (strstr(plan, "TEMP B-TREE") ||
				(strstr(plan, "SCAN") && !strstr(plan, "USING")))
				fail_msg("%s: %s", queries[i], plan);
		}
		sqlite3_finalize(stmt);
		sqlite3_free(explain);
	}
	sqlite3_close(db);
}

static void no_frequent_query_scans_a_table(void **state)
{
	struct fixture *fx = *state;
	static const char *const queries[] = {
		"SELECT id FROM orders WHERE ended_at IS NULL AND next_at <= 1 ORDER BY "
		"next_at "
		"LIMIT 5",
		"SELECT name FROM name WHERE order_id IS NULL AND next_at IS NOT NULL "
		"AND next_at <= 1 ORDER BY next_at LIMIT 5",
		"SELECT name, state, actor, pool FROM name INDEXED BY name_state "
		"WHERE state = 'x' AND name >= 'b' ORDER BY name",
		"SELECT name, state, actor, pool FROM name INDEXED BY name_tenant "
		"WHERE tenant = 'x' AND name >= 'b' ORDER BY name",
		"SELECT name, state, actor, pool FROM name INDEXED BY name_actor "
		"WHERE actor = ? AND actor <> 'nobody' AND name >= 'b' ORDER BY name",
		"SELECT 1 FROM name INDEXED BY name_failed WHERE actor = 'x' AND state = "
		"'failed' "
		"LIMIT 9",
		"SELECT seq, record, chain_id FROM edge_record INDEXED BY edge_record_pool "
		"WHERE pool = 'x' AND seq > 1 ORDER BY seq",
		"SELECT max(seq) FROM edge_record WHERE pool = 'x'",
		"SELECT min(next_at) FROM orders WHERE ended_at IS NULL",
		"SELECT min(next_at) FROM name WHERE order_id IS NULL AND next_at IS NOT NULL",
		"SELECT count(*) FROM orders WHERE lease_until IS NOT NULL AND lease_until > 1",
		"SELECT name, not_after FROM name WHERE not_after IS NOT NULL "
		"ORDER BY not_after LIMIT 1",
		"SELECT id FROM orders WHERE state = 'x' AND id < 9 ORDER BY id DESC LIMIT 1",
		"SELECT order_id FROM order_name WHERE name = 'x' AND order_id < 9 "
		"ORDER BY order_id DESC LIMIT 1",
		"SELECT seq FROM edge_record WHERE kind = 3 AND at < 1 ORDER BY at LIMIT 1",
		"SELECT at, event FROM history WHERE name = 'x' ORDER BY id DESC LIMIT 1",
		"SELECT seq, record, chain_id FROM edge_record INDEXED BY edge_record_pool "
		"WHERE pool = 'x' AND seq > 1 UNION ALL "
		"SELECT seq, record, chain_id FROM held INDEXED BY held_pool "
		"WHERE pool = 'x' AND seq > 1 AND seq <= 9 ORDER BY 1",
		"SELECT name, pool, kind, record, chain_id FROM edge_record e "
		"WHERE name > 'a' AND name <= 'b' AND NOT EXISTS (SELECT 1 FROM held h "
		"WHERE h.name = e.name AND h.pool = e.pool AND h.pool = 'x' AND h.seq <= 9) "
		"UNION ALL SELECT name, pool, kind, record, chain_id FROM held "
		"INDEXED BY held_name WHERE name > 'a' AND name <= 'b' AND pool = 'x' AND seq "
		"<= 9 ORDER BY 1, 2",
		"SELECT seq, kind, name FROM held WHERE pool = 'x' AND seq <= 9 ORDER BY seq",
		"SELECT seq, kind, name FROM held WHERE pool = 'x' AND seq > 9 "
		"AND kind NOT IN (2, 4) ORDER BY seq",
		"SELECT max(seq) FROM canary_mark WHERE pool = 'x'",
		"SELECT seq FROM edge_record WHERE kind = 3 AND at < 1 AND seq <= 9 ORDER BY "
		"at LIMIT 1",
		"SELECT version FROM cert WHERE ari_ca = 'x' AND ari_next IS NOT NULL "
		"AND ari_next <= 1 ORDER BY ari_next LIMIT 5",
		"SELECT name, not_after FROM name WHERE danger_at IS NOT NULL "
		"AND state NOT IN ('paused', 'moved') AND danger_at > 1 AND danger_at < 9 "
		"AND (not_after > 1 OR second_cert IS NOT NULL) LIMIT 5",
		"SELECT name FROM name WHERE state = 'paused' AND code = 'ca-paused' "
		"ORDER BY name LIMIT 5",
		"SELECT state FROM name WHERE actor = 'x' AND actor <> 'nobody' LIMIT 9",
		"SELECT slot, n FROM renewal_slot WHERE slot >= 1 AND slot < 9",
	};

	assert_by_indexes(fx, queries, CH_ARRAY_LEN(queries));
}

static void no_query_for_standbys_scans_a_table(void **state)
{
	static const char *const queries[] = {
		"SELECT name FROM name WHERE " CH_STANDBY_OWN
		" AND standby_at <= 1 ORDER BY standby_at LIMIT 5",
		"SELECT name FROM name WHERE " CH_STANDBY_DEFAULT
		" AND standby_at <= 1 ORDER BY standby_at DESC LIMIT 5",
		"SELECT name FROM name WHERE " CH_SECOND_STANDBY_OWN
		" AND second_standby_at <= 1 ORDER BY second_standby_at LIMIT 5",
		"SELECT name FROM name WHERE " CH_SECOND_STANDBY_DEFAULT
		" AND second_standby_at <= 1 ORDER BY second_standby_at DESC LIMIT 5",
		"SELECT min(second_standby_at) FROM name WHERE " CH_SECOND_STANDBY_OWN,
		"SELECT min(second_standby_at) FROM name WHERE " CH_SECOND_STANDBY_DEFAULT,
		"SELECT id, standby, second FROM orders WHERE ended_at IS NULL AND "
		"next_at <= 9 AND (0 = 1 OR next_at <= 5 OR (rollback_second IS NULL AND "
		"(second = 0 OR (standby = 0 AND rollback IS NULL)))) "
		"ORDER BY next_at LIMIT 5",
	};

	assert_by_indexes(*state, queries, CH_ARRAY_LEN(queries));
}

static void issue_for(struct fixture *fx, const char *name, int64_t lifetime_ms)
{
	struct ch_store_order *order;
	struct ch_op_publish *publication;

	fx_add(fx, name);
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	publication = fx_publication(fx, order, 1);
	publication->not_before_ms = test_now_ms;
	publication->not_after_ms = publication->renew_at_ms = test_now_ms + lifetime_ms;
	assert_ok(fx_publish(fx, publication));
	fx_finish(fx, order);
}

static void who_is_in_danger_is_seen_behind_many_that_end_sooner_and_are_healthy(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_danger danger;

	issue_for(fx, "long.example", 90 * CH_DAY_MS);
	test_now_ms += 82 * CH_DAY_MS;
	issue_for(fx, "short.example", 6 * CH_DAY_MS);
	close_store(fx);
	run_sql(fx, "CREATE TEMP TABLE many AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
		    "SELECT i + 1 FROM n WHERE i < 10001) SELECT name.*, i FROM name, n "
		    "WHERE name = 'short.example'; "
		    "UPDATE many SET name = 'short' || i || '.example'; "
		    "ALTER TABLE many DROP COLUMN i; INSERT INTO name SELECT * FROM many");
	assert_ok(open_again(fx));
	assert_ok(ch_store_get_danger(fx->store, fx->arena, &danger));
	assert_int_equal(danger.n, 1);
	assert_string_equal(danger.name, "long.example");
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(files_are_private),
		T(who_is_in_danger_is_seen_behind_many_that_end_sooner_and_are_healthy),
		T(a_second_process_is_refused),
		T(only_one_of_two_that_start_at_once_makes_the_schema),
		T(a_newer_schema_is_refused_with_a_reason),
		T(a_newer_schema_that_allows_it_is_worked_with_and_stays),
		T(a_start_writes_nothing_to_a_schema_that_is_there),
		T(a_database_of_another_program_is_refused),
		T(another_kind_of_database_is_refused),
		T(a_file_that_is_no_database_is_called_corrupt),
		T(damage_inside_is_called_corrupt),
		T(a_full_disk_refuses_writes_and_keeps_reading),
		T(no_frequent_query_scans_a_table),
		T(no_query_for_standbys_scans_a_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
