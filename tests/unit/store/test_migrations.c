/* A database of an earlier version of the schema is brought to this one's, with all it holds.
 */
#include "fixture.h"

#include <sqlite3.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/migrations.h"
#include "wire/record.h"

#define TABLES_MAX 32

/* What version 1 had. */
struct tables {
	char name[TABLES_MAX][32];
	char columns[TABLES_MAX][512];
	size_t n;
};

static const char *file_of(const struct fixture *fx)
{
	return fx->database + strlen("sqlite:");
}

static sqlite3 *open_file(const char *path)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

static void run(sqlite3 *db, const char *fmt, ...)
{
	va_list args;
	char *sql;

	va_start(args, fmt);
	sql = sqlite3_vmprintf(fmt, args);
	va_end(args);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_free(sql);
}

static int64_t number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t value;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

/* The counters last: triggers change them while other tables are filled. */
static void read_tables(sqlite3 *db, struct tables *ret_tables)
{
	sqlite3_stmt *stmt;

	memset(ret_tables, 0, sizeof(*ret_tables));
	assert_int_equal(sqlite3_prepare_v2(db,
				 "SELECT s.name, (SELECT group_concat(c.name, ', ') "
				 "FROM pragma_table_info(s.name) c) FROM sqlite_schema s "
				 "WHERE s.type = 'table' ORDER BY s.name = 'counter', s.name",
				 -1, &stmt, NULL),
		SQLITE_OK);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		size_t i = ret_tables->n++;

		assert_true(i < TABLES_MAX);
		snprintf(ret_tables->name[i], 32, "%s", sqlite3_column_text(stmt, 0));
		snprintf(ret_tables->columns[i], 512, "%s", sqlite3_column_text(stmt, 1));
	}
	sqlite3_finalize(stmt);
	assert_true(ret_tables->n >= 10);
}

/* Makes the store's database what a program of version 1 would have left: the same rows in the
 * tables of version 1. */
static void as_version_1(struct fixture *fx, struct tables *ret_tables)
{
	char path[160];
	sqlite3 *db;

	ch_store_close(fx->store);
	fx->store = NULL;
	snprintf(path, sizeof(path), "%s.old", file_of(fx));
	db = open_file(path);
	run(db, "%s", ch_migrations_sqlite[0]);
	read_tables(db, ret_tables);
	run(db, "ATTACH %Q AS new", file_of(fx));
	for (size_t i = 0; i < ret_tables->n; i++) {
		run(db, "DELETE FROM main.%s", ret_tables->name[i]);
		run(db, "INSERT INTO main.%s (%s) SELECT %s FROM new.%s", ret_tables->name[i],
			ret_tables->columns[i], ret_tables->columns[i], ret_tables->name[i]);
	}
	run(db, "DETACH new");
	run(db, "DELETE FROM edge_record WHERE kind = %d", CH_RECORD_POLICY);
	run(db, "PRAGMA user_version = 1; PRAGMA application_id = %d", 0x43525448);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(rename(path, file_of(fx)), 0);
}

/* All that version 1 knew; of the row of numbers, which goes on, only the epoch. */
static void dump(struct fixture *fx, const struct tables *tables, struct ch_buf *out)
{
	sqlite3 *db = open_file(file_of(fx));

	for (size_t i = 0; i < tables->n; i++) {
		bool is_meta = strcmp(tables->name[i], "meta") == 0;
		bool is_feed = strcmp(tables->name[i], "edge_record") == 0;
		char *sql = sqlite3_mprintf("SELECT %s FROM %s%s ORDER BY 1, 2",
			is_meta ? "one, epoch" : tables->columns[i], tables->name[i],
			is_feed ? " WHERE kind <> 4" : "");
		sqlite3_stmt *stmt;

		assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
		assert_ok(ch_buf_addf(out, "\n%s", tables->name[i]));
		while (sqlite3_step(stmt) == SQLITE_ROW) {
			for (int c = 0; c < sqlite3_column_count(stmt); c++) {
				const void *bytes = sqlite3_column_blob(stmt, c);
				int len = sqlite3_column_bytes(stmt, c);

				assert_ok(ch_buf_addf(out, "|%d:", len));
				assert_ok(ch_buf_add(out, len ? bytes : "", (size_t)len));
			}
		}
		sqlite3_finalize(stmt);
		sqlite3_free(sql);
	}
	sqlite3_close(db);
}

static void assert_policy(
	struct fixture *fx, const char *name, enum ch_policy_tag tag, const char *want)
{
	const char *got = fx_get(fx, name).policy[tag];

	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
}

static int count_tenants(const struct ch_store_feed_row *row, void *arg)
{
	struct ch_record r;

	assert_ok(ch_record_decode(row->record, row->record_len, &r));
	if (r.kind != CH_RECORD_POLICY)
		return 0;
	assert_int_equal(r.name_len, strlen("tenant.example"));
	assert_memory_equal(r.name, "tenant.example", r.name_len);
	assert_int_equal(r.policy[CH_POLICY_TENANT].len, 2);
	assert_memory_equal(r.policy[CH_POLICY_TENANT].text, "t1", 2);
	++*(int *)arg;
	return 0;
}

static void fill(struct fixture *fx)
{
	struct ch_store_order *order;
	size_t n;

	fx_add_pair(fx, "pair.example");
	order = fx_lease_one(fx);
	fx_issue(fx, order);
	assert_ok(fx_put(fx, "tenant.example", CH_TRI_KEEP, "t1", NULL, NULL));
	assert_ok(fx_put(fx, "far.example", CH_TRI_KEEP, NULL, "p2", NULL));
	fx_add(fx, "gone.example");
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "gone.example"));
	fx_add(fx, "paused.example");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "paused.example"));
	assert_ok(fx_ack(fx, "default", "e1", fx_feed_info(fx).head));
	order = fx_lease(fx, 1, &n);
	assert_int_equal(n, 1);
	fx_seal(fx, order);
}

static void version_1_is_brought_to_the_newest_with_all_it_holds(void **state)
{
	struct fixture *fx = *state;
	CH_CLEANUP(ch_buf_done) struct ch_buf before;
	CH_CLEANUP(ch_buf_done) struct ch_buf after;
	struct ch_store_feed_info info;
	struct tables tables;
	uint64_t head;
	int tenants = 0;
	sqlite3 *db;

	ch_buf_init(&before, 1 << 20);
	ch_buf_init(&after, 1 << 20);
	fill(fx);
	as_version_1(fx, &tables);
	dump(fx, &tables, &before);
	assert_true(before.len > 2000);
	fx_reopen(fx);
	dump(fx, &tables, &after);
	assert_int_equal(after.len, before.len);
	assert_memory_equal(after.data, before.data, before.len);
	db = open_file(file_of(fx));
	assert_int_equal(number(db, "PRAGMA user_version"), ch_migrations_sqlite_n);
	assert_int_equal(number(db, "SELECT count(*) FROM pragma_integrity_check "
				    "WHERE integrity_check <> 'ok'"),
		0);
	sqlite3_close(db);
	assert_string_equal(fx_get(fx, "tenant.example").tenant, "t1");
	assert_policy(fx, "tenant.example", CH_POLICY_UPSTREAM, NULL);
	assert_policy(fx, "pair.example", CH_POLICY_HSTS, NULL);
	assert_policy(fx, "www.pair.example", CH_POLICY_REDIRECT, NULL);
	/* Edges are told the tenant, once. */
	head = fx_feed_info(fx).head;
	assert_ok(ch_store_read_feed(fx->store, "default", 0, count_tenants, &tenants, &info));
	assert_int_equal(tenants, 1);
	fx_reopen(fx);
	assert_int_equal(fx_feed_info(fx).head, head);
}

static void what_came_with_version_2_works_afterwards(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {.name = "pair.example"};
	struct ch_store_op op = {.type = CH_OP_PUT};
	struct tables tables;

	fill(fx);
	as_version_1(fx, &tables);
	fx_reopen(fx);
	item.policy[CH_POLICY_UPSTREAM] = "eu-1";
	op.u.put.items = &item;
	op.u.put.n_items = 1;
	assert_ok(fx_run(fx, &op));
	assert_int_equal(item.result, CH_PUT_EXISTS);
	fx_reopen(fx);
	assert_policy(fx, "pair.example", CH_POLICY_UPSTREAM, "eu-1");
	assert_policy(fx, "www.pair.example", CH_POLICY_UPSTREAM, "eu-1");
	fx_add(fx, "new.example");
}

static void what_came_with_version_5_works_afterwards(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {
		.name = "pair.example", .has_keys = true, .keys = CH_KEYS_BOTH};
	struct ch_store_op op = {.type = CH_OP_PUT};
	struct tables tables;

	fill(fx);
	as_version_1(fx, &tables);
	fx_reopen(fx);
	assert_int_equal(fx_get(fx, "pair.example").keys, CH_KEYS_ECDSA);
	assert_null(fx_get(fx, "pair.example").second);
	op.u.put.items = &item;
	op.u.put.n_items = 1;
	assert_ok(fx_run(fx, &op));
	assert_int_equal(fx_get(fx, "www.pair.example").keys, CH_KEYS_BOTH);
	assert_int_equal(fx_get(fx, "pair.example").state, CH_NAME_RENEWING);
	assert_int_equal(fx_get(fx, "pair.example").next_at_ms, test_now_ms);
}

#define OF_NAME " FROM name WHERE name = 'a.example'"

/* As a program of version 14 has left it: what version 15 brought is not there. */
static void as_version_14(struct fixture *fx)
{
	static const char *const columns[] = {
		"cert", "at", "failures", "code", "detail", "actor"};
	sqlite3 *db;

	ch_store_close(fx->store);
	fx->store = NULL;
	db = open_file(file_of(fx));
	run(db, "DROP TRIGGER name_second_standby; DROP TRIGGER cert_name_second_standby; "
		"DROP TRIGGER name_second_standby_gone; "
		"DROP TRIGGER name_standby_is_of_first; DROP TRIGGER name_certs; "
		"DROP TRIGGER name_certs_gone; DROP INDEX name_second_standby_own; "
		"DROP INDEX name_second_standby_default; DROP TRIGGER name_wanted_ends; "
		"DROP INDEX name_wanted; DROP INDEX name_wanted_of; "
		"DROP INDEX name_looked_again; DROP TRIGGER name_look_ends; "
		"ALTER TABLE name DROP COLUMN wanted_at; "
		"ALTER TABLE name DROP COLUMN look_was_at; "
		"ALTER TABLE name DROP COLUMN looked_again_at; "
		"DELETE FROM cert_name WHERE version = (SELECT second_standby_cert" OF_NAME
		")");
	for (size_t i = 0; i < CH_ARRAY_LEN(columns); i++)
		run(db, "ALTER TABLE name DROP COLUMN second_standby_%s", columns[i]);
	run(db, "ALTER TABLE orders DROP COLUMN rollback_second; "
		"ALTER TABLE standby_default DROP COLUMN second_hold; "
		"DROP INDEX name_failed; ALTER TABLE issuer DROP COLUMN software; "
		"ALTER TABLE issuer DROP COLUMN software_at; "
		"CREATE TRIGGER name_certs AFTER UPDATE OF cert ON name BEGIN SELECT 1; END; "
		"CREATE TRIGGER name_certs_gone AFTER DELETE ON name BEGIN SELECT 1; END; "
		"PRAGMA user_version = 14");
	sqlite3_close(db);
}

static void issuer_says(struct fixture *fx, const char *software)
{
	struct ch_store_op op = {.type = CH_OP_ISSUER};

	op.u.issuer = (struct ch_op_issuer){
		.id = "issuer/default/i1", .says = "{}", .software = software};
	assert_ok(fx_run(fx, &op));
}

static const char *software_of_issuer(struct fixture *fx)
{
	struct ch_store_issuer *issuers;
	size_t n;

	assert_ok(ch_store_list_issuers(fx->store, fx->arena, &issuers, &n));
	assert_int_equal(n, 1);
	return issuers[0].software;
}

/* A store of version 15 confirms what the issuer says, and knows nothing of its version. */
static void what_stores_of_version_15_confirm_is_of_no_version(void **state)
{
	struct fixture *fx = *state;
	sqlite3 *db;

	issuer_says(fx, "certherd/1.0.0");
	assert_string_equal(software_of_issuer(fx), "certherd/1.0.0");
	db = open_file(file_of(fx));
	run(db, "UPDATE issuer SET confirmed_at = confirmed_at + 1");
	assert_string_equal(software_of_issuer(fx), "");
	run(db,
		"DELETE FROM issuer; INSERT INTO issuer (id, says, changed_at, confirmed_at) "
		"VALUES ('issuer/default/i1', '{}', %lld, %lld)",
		(long long)test_now_ms, (long long)test_now_ms);
	sqlite3_close(db);
	assert_string_equal(software_of_issuer(fx), "");
	/* The next lease from a store that knows it tells. */
	issuer_says(fx, "certherd/1.0.0");
	assert_string_equal(software_of_issuer(fx), "certherd/1.0.0");
}

static void what_came_with_version_15_reaches_names_that_are_there(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain domain;
	int64_t due;

	fx_issue_four(fx, "a.example");
	fx_add(fx, "b.example");
	as_version_14(fx);
	fx_reopen(fx);
	domain = fx_get(fx, "a.example");
	assert_true(domain.standby->ready);
	assert_null(domain.second->standby->cert);
	assert_string_equal(domain.second->standby->wanted, "backup");
	assert_ok(ch_store_next_due(fx->store, &due));
	assert_true(due <= test_now_ms);
	assert_null(fx_get(fx, "b.example").second);
}

/* Its stores may go on beside newer ones, and do not know of the columns. */
static void what_stores_of_version_14_do_is_carried_over(void **state)
{
	struct fixture *fx = *state;
	char *err = NULL;
	sqlite3 *db;

	fx_issue_four(fx, "a.example");
	assert_true(fx_get(fx, "a.example").second->standby->ready);
	ch_store_close(fx->store);
	fx->store = NULL;
	db = open_file(file_of(fx));
	assert_int_equal(number(db, "SELECT live FROM cert WHERE version = "
				    "(SELECT second_standby_cert" OF_NAME ")"),
		1);
	/* It is not the first one's. */
	assert_int_not_equal(
		sqlite3_exec(db, "UPDATE name SET standby_cert = second_standby_cert", NULL,
			NULL, &err),
		SQLITE_OK);
	assert_non_null(strstr(err, "newer store"));
	sqlite3_free(err);
	/* They forget what they do not know of a name: nothing of this. */
	run(db, "DELETE FROM cert_name WHERE name = 'a.example' AND version NOT IN (SELECT "
		"cert" OF_NAME ") AND version NOT IN (SELECT second_cert" OF_NAME ")");
	assert_int_equal(number(db, "SELECT count(*) FROM cert"), 4);
	/* It goes with what it stands by for … */
	run(db, "UPDATE name SET second_cert = NULL");
	assert_int_equal(number(db, "SELECT count(*) FROM cert"), 3);
	assert_int_equal(number(db, "SELECT second_standby_at IS NULL AND second_standby_cert "
				    "IS NULL" OF_NAME),
		1);
	assert_int_equal(number(db, "SELECT count(*) FROM cert_name WHERE name LIKE '%/6'"), 0);
	/* … and is due when that is back. */
	run(db, "UPDATE name SET second_cert = cert WHERE keys LIKE '%%+rsa'");
	assert_int_equal(number(db, "SELECT second_standby_at" OF_NAME), 1);
	sqlite3_close(db);
}

/* Those of version 16 make orders of such names, and bury, pause and move them. */
static void what_stores_of_version_16_do_ends_what_visitors_want(void **state)
{
	static const char *const done[] = {"order_id = 7", "failures = failures + 1",
		"state = 'paused', next_at = NULL", "pool = 'other'", "cert = 7"};
	struct fixture *fx = *state;
	sqlite3 *db;

	fx_add(fx, "a.example");
	db = open_file(file_of(fx));
	for (size_t i = 0; i < CH_ARRAY_LEN(done); i++) {
		run(db, "UPDATE name SET order_id = NULL, cert = NULL, state = 'pending', "
			"pool = 'default', next_at = 1");
		run(db, "UPDATE name SET wanted_at = 5, next_at = 2");
		assert_int_equal(number(db, "SELECT wanted_at" OF_NAME), 5);
		run(db, "UPDATE name SET %s", done[i]);
		assert_int_equal(number(db, "SELECT wanted_at IS NULL" OF_NAME), 1);
	}
	/* What they have looked at before its time counts, once. */
	run(db, "UPDATE name SET cert = NULL, look_was_at = 9");
	run(db, "UPDATE name SET order_id = 7");
	assert_int_equal(number(db, "SELECT look_was_at" OF_NAME), 9);
	run(db, "UPDATE name SET order_id = NULL, failures = failures + 1");
	assert_int_equal(number(db, "SELECT look_was_at IS NULL" OF_NAME), 1);
	sqlite3_close(db);
}

static void with_a_name_goes_its_second_standby(void **state)
{
	struct fixture *fx = *state;
	sqlite3 *db;

	fx_issue_four(fx, "a.example");
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	fx_issue_four(fx, "b.example");
	ch_store_close(fx->store);
	fx->store = NULL;
	db = open_file(file_of(fx));
	assert_int_equal(number(db, "SELECT count(*) FROM cert"), 4);
	assert_int_equal(number(db, "SELECT count(*) FROM cert_name"), 4);
	/* As such a store does it. */
	run(db, "DELETE FROM name");
	assert_int_equal(number(db, "SELECT count(*) FROM cert"), 3);
	assert_int_equal(number(db, "SELECT count(*) FROM renewal_slot"), 0);
	sqlite3_close(db);
}

static void a_migration_that_fails_changes_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_options options = {.database = fx->database};
	struct tables tables;
	sqlite3 *db;

	fill(fx);
	as_version_1(fx, &tables);
	db = open_file(file_of(fx));
	run(db, "ALTER TABLE name ADD COLUMN redirect TEXT"); /* stands in the way */
	sqlite3_close(db);
	assert_int_equal(ch_store_open(&options, &fx->store, &fx->err), CH_EIO);
	assert_non_null(strstr(fx->err.detail, "redirect"));
	db = open_file(file_of(fx));
	assert_int_equal(number(db, "PRAGMA user_version"), 1);
	assert_int_equal(number(db, "SELECT count(*) FROM pragma_table_info('name') "
				    "WHERE name IN ('upstream', 'hsts')"),
		0);
	run(db, "ALTER TABLE name DROP COLUMN redirect");
	sqlite3_close(db);
	fx_reopen(fx);
	fx_get(fx, "pair.example");
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(version_1_is_brought_to_the_newest_with_all_it_holds),
		T(what_came_with_version_2_works_afterwards),
		T(what_came_with_version_5_works_afterwards),
		T(what_came_with_version_15_reaches_names_that_are_there),
		T(what_stores_of_version_14_do_is_carried_over),
		T(what_stores_of_version_15_confirm_is_of_no_version),
		T(what_stores_of_version_16_do_ends_what_visitors_want),
		T(with_a_name_goes_its_second_standby),
		T(a_migration_that_fails_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
