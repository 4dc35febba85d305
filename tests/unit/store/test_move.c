/* From SQLite to PostgreSQL while the store runs. */
#include "fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#include "store/db_postgres.h"
#include "store/db_sqlite.h"
#include "store/sqlite_migrate.h"
#include "store/tables.h"
#include "store/transfer.h"

/* The fixture's database is PostgreSQL; this is the store that is moved. */
struct old_store {
	struct fixture *fx;
	struct ch_store *postgres; /* the fixture's, meanwhile */
	char path[FX_URL_B];
	struct ch_store_feed_info last; /* when it was stopped */
	unsigned waits;
	bool give_up;
	const char *die_at; /* what is being done when the process is killed */
};

static void open_old(struct fixture *fx, struct old_store *old)
{
	char database[FX_URL_B + 8];
	struct ch_store_options options = {
		.database = database, .edge_timeout_ms = EDGE_TIMEOUT_MS, .readers = 2};

	*old = (struct old_store){.fx = fx};
	snprintf(old->path, sizeof(old->path), "%s/old.db", fx->dir);
	snprintf(database, sizeof(database), "sqlite:%s", old->path);
	ch_store_close(fx->store);
	fx->store = NULL;
	assert_ok(ch_store_open(&options, &fx->store, &fx->err));
}

/* All that a store can do to a row between the copy and the stop: add, change, remove. */
static int change_then_stop(const char *doing, uint64_t rows, uint64_t all_rows, void *arg)
{
	struct old_store *old = arg;
	struct fixture *fx = old->fx;

	if (strcmp(doing, "wait") != 0 || !fx->store)
		return CH_OK;
	old->waits++;
	if (old->give_up)
		return CH_ECANCELED;
	fx_add(fx, "late.example");
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "gone.example"));
	fx_issue(fx, fx_lease_one(fx));
	old->last = fx_feed_info(fx);
	ch_store_close(fx->store);
	fx->store = NULL;
	return CH_OK;
}

static void names_move_while_the_store_runs(void **state)
{
	struct fixture *fx = *state;
	struct old_store old;
	struct ch_transfer how = {.progress = change_then_stop, .arg = &old};
	struct ch_store_feed_info info;
	struct ch_store_domain domain;
	struct ch_store_status status;
	struct ch_move_info moved;
	struct ch_store *store;
	char database[FX_URL_B + 8];
	struct ch_store_options again = {.database = database};
	struct ch_store_op said = {.type = CH_OP_ISSUER};
	struct ch_store_issuer *issuers;
	size_t n;

	open_old(fx, &old);
	said.u.issuer = (struct ch_op_issuer){.id = "issuer/default/i1", .says = "{}"};
	assert_ok(fx_run(fx, &said));
	fx_add(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	fx_add(fx, "gone.example");
	fx_issue(fx, fx_lease_one(fx));
	if (ch_move_to_postgres(old.path, fx->database, &how, &moved, &fx->err))
		fail_msg("%s", fx->err.detail);
	assert_int_equal(old.waits, 1);
	assert_true(moved.changed_rows > 0);
	fx_reopen(fx);
	info = fx_feed_info(fx);
	assert_memory_equal(info.epoch, old.last.epoch, sizeof(info.epoch));
	assert_int_equal(info.head, old.last.head);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
	assert_int_equal(fx_get(fx, "late.example").state, CH_NAME_ACTIVE);
	assert_int_equal(ch_store_get_domain(fx->store, "gone.example", fx->arena, &domain),
		CH_ENOTFOUND);
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.names[CH_NAME_ACTIVE], 2);
	assert_ok(ch_store_list_issuers(fx->store, fx->arena, &issuers, &n));
	assert_int_equal(n, 1);
	/* It goes on: ids, history and counters behind those that came along. */
	fx_add(fx, "new.example");
	fx_issue(fx, fx_lease_one(fx));
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.names[CH_NAME_ACTIVE], 3);
	snprintf(database, sizeof(database), "sqlite:%s", old.path);
	assert_refused(
		fx, ch_store_open(&again, &store, &fx->err), CH_EUNSUPPORTED, "database-moved");
}

static bool file_contains(const char *path, const char *text)
{
	CH_AUTO_FREE char *content = NULL;
	size_t len = 0;
	FILE *file = fopen(path, "rb");
	FILE *copy = open_memstream(&content, &len);
	int c;

	assert_non_null(file);
	assert_non_null(copy);
	while ((c = fgetc(file)) != EOF)
		fputc(c, copy);
	fclose(file);
	fclose(copy);
	return memmem(content, len, text, strlen(text)) != NULL;
}

/* Else every visitor would begin anew at once; but the old file is no place to keep them. */
static void ticket_keys_come_along_and_do_not_stay(void **state)
{
	static const char marker[] = "sealed-ticket-keys-of-today";
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_TICKETS,
		.u.tickets = {.pool = "default",
			.version = 7,
			.until_s = test_now_ms / 1000 + 3600,
			.record = (const uint8_t *)marker,
			.record_len = sizeof(marker) - 1}};
	struct old_store old;
	struct ch_move_info moved;
	struct ch_store_tickets *sets;
	size_t n;

	open_old(fx, &old);
	assert_ok(fx_run(fx, &op));
	ch_store_close(fx->store);
	fx->store = NULL;
	assert_true(file_contains(old.path, marker));
	if (ch_move_to_postgres(old.path, fx->database, NULL, &moved, &fx->err))
		fail_msg("%s", fx->err.detail);
	assert_false(file_contains(old.path, marker));
	fx_reopen(fx);
	assert_ok(ch_store_list_tickets(fx->store, fx->arena, &sets, &n));
	assert_int_equal(n, 1);
	assert_int_equal(sets[0].version, 7);
	assert_int_equal(sets[0].record_len, sizeof(marker) - 1);
	assert_memory_equal(sets[0].record, marker, sizeof(marker) - 1);
}

static bool old_contains(const struct old_store *old, const char *text)
{
	char log[FX_URL_B + 8];

	snprintf(log, sizeof(log), "%s-wal", old->path);
	return file_contains(old->path, text) ||
	       (access(log, F_OK) == 0 && file_contains(log, text));
}

/* As a process leaves them that is killed then: SQLite has its files open still. */
static void nothing_of_ticket_keys_waits_for_a_checkpoint(void **state)
{
	static const char *const markers[] = {
		"sealed-keys-of-yesterday", "sealed-keys-of-today"};
	struct ch_db *reader;
	struct ch_db *db;
	struct fixture *fx = *state;
	struct old_store old;
	char long_record[20000];
	int64_t n;

	open_old(fx, &old);
	/* The first is longer than a page, the second not: what it had are free pages. */
	for (size_t i = 0; i < sizeof(long_record); i++)
		long_record[i] = markers[0][i % strlen(markers[0])];
	for (uint64_t i = 0; i < 2; i++) {
		const char *record = i ? markers[1] : long_record;
		struct ch_op_tickets set = {.pool = "default",
			.replaces = i,
			.version = i + 1,
			.until_s = test_now_ms / 1000 + 3600,
			.record = (const uint8_t *)record,
			.record_len = i ? strlen(record) : sizeof(long_record)};
		struct ch_store_op op = {.type = CH_OP_TICKETS, .u.tickets = set};

		assert_ok(fx_run(fx, &op));
	}
	ch_store_close(fx->store);
	fx->store = NULL;
	for (size_t i = 0; i < CH_ARRAY_LEN(markers); i++)
		assert_true(old_contains(&old, markers[i]));

	assert_ok(ch_db_sqlite_open(old.path, SQLITE_OPEN_READWRITE, &db, &fx->err));
	assert_ok(ch_sqlite_mark_moving(db, fx->database));
	/* Who reads it keeps what he reads in the file: then it has not arrived. */
	assert_ok(ch_db_sqlite_open(old.path, SQLITE_OPEN_READONLY, &reader, &fx->err));
	assert_ok(ch_db_script(reader, "BEGIN; SELECT count(*) FROM ticket_set"));
	assert_ok(ch_db_script(db, "PRAGMA busy_timeout = 1"));
	assert_int_equal(ch_sqlite_mark_moved(db), CH_EAGAIN);
	assert_true(old_contains(&old, markers[1]));
	ch_db_close(reader);
	assert_ok(ch_db_get_i64(db, &n, "PRAGMA application_id", ""));
	assert_int_equal(n, 0x43525457);

	assert_ok(ch_sqlite_mark_moved(db));
	for (size_t i = 0; i < CH_ARRAY_LEN(markers); i++)
		assert_false(old_contains(&old, markers[i]));
	assert_ok(ch_db_get_i64(db, &n, "PRAGMA application_id", ""));
	assert_int_equal(n, 0x4352544d);
	ch_db_close(db);
	fx_reopen(fx);
}

static void who_gives_up_has_changed_nothing(void **state)
{
	struct fixture *fx = *state;
	struct old_store old;
	struct ch_transfer how = {.progress = change_then_stop, .arg = &old};
	struct ch_store_domain domain;
	struct ch_move_info moved;
	char path[FX_URL_B + 16];

	open_old(fx, &old);
	old.give_up = true;
	fx_add(fx, "a.example");
	assert_refused(fx, ch_move_to_postgres(old.path, fx->database, &how, &moved, &fx->err),
		CH_ECANCELED, "canceled");
	fx_add(fx, "b.example");
	snprintf(path, sizeof(path), "%s.moving", old.path);
	assert_int_equal(access(path, F_OK), -1);
	fx_reopen(fx);
	assert_int_equal(
		ch_store_get_domain(fx->store, "a.example", fx->arena, &domain), CH_ENOTFOUND);
}

static void a_database_with_names_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct old_store old;
	struct ch_move_info moved;

	fx_add(fx, "mine.example");
	open_old(fx, &old);
	assert_refused(fx, ch_move_to_postgres(old.path, fx->database, NULL, &moved, &fx->err),
		CH_ECONFLICT, "database-not-empty");
	fx_reopen(fx);
	fx_get(fx, "mine.example");
}

/* ---- kills ---- */

static int die(const char *doing, uint64_t rows, uint64_t all_rows, void *arg)
{
	const struct old_store *old = arg;

	if (strcmp(doing, old->die_at) == 0)
		_exit(9);
	return CH_OK;
}

/* The old store has one name, and is stopped; a process moves it, up to there. */
static void move_and_die(struct fixture *fx, struct old_store *old, const char *die_at)
{
	struct ch_transfer how = {.progress = die, .arg = old};
	struct ch_move_info moved;
	int status = 0;
	pid_t pid;

	old->die_at = die_at;
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(ch_move_to_postgres(old->path, fx->database, &how, &moved, &fx->err) ? 1
											   : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 9);
}

static void begin_old(struct fixture *fx, struct old_store *old)
{
	open_old(fx, old);
	fx_add(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	ch_store_close(fx->store);
	fx->store = NULL;
}

static bool has_name(struct fixture *fx, const char *database)
{
	struct ch_store_options options = {
		.database = database, .edge_timeout_ms = EDGE_TIMEOUT_MS, .readers = 2};
	struct ch_store_domain domain;
	struct ch_store *store = NULL;
	bool has;

	if (ch_store_open(&options, &store, &fx->err))
		return false;
	has = ch_store_get_domain(store, "a.example", fx->arena, &domain) == CH_OK;
	ch_store_close(store);
	return has;
}

static bool old_is_usable(struct fixture *fx, const struct old_store *old)
{
	char database[FX_URL_B + 8];

	snprintf(database, sizeof(database), "sqlite:%s", old->path);
	return has_name(fx, database);
}

/* A copy of all, ticket keys too. */
static bool snapshot_is_left(const struct old_store *old)
{
	char path[FX_URL_B + 8];

	snprintf(path, sizeof(path), "%s.moving", old->path);
	return access(path, F_OK) == 0;
}

static const char *const steps[] = {"snapshot", "copied", "compared", "indexes", "wait",
	"changes", "handing over", "handed over"};

static void at_no_moment_are_there_two(void **state)
{
	struct fixture *fx = *state;
	struct old_store old;
	struct ch_move_info moved;

	begin_old(fx, &old);
	for (size_t i = 0; i < CH_ARRAY_LEN(steps); i++) {
		if (strcmp(steps[i], "wait") == 0)
			continue; /* nobody has it open */
		move_and_die(fx, &old, steps[i]);
		assert_false(old_is_usable(fx, &old) && has_name(fx, fx->database));
		if (strcmp(steps[i], "handing over") == 0)
			assert_refused(fx, old_is_usable(fx, &old), false, "database-moving");
	}
	assert_false(old_is_usable(fx, &old));
	assert_string_equal(fx->err.problem, "database-moving");
	if (ch_move_to_postgres(old.path, fx->database, NULL, &moved, &fx->err))
		fail_msg("%s", fx->err.detail);
	assert_int_equal(moved.rows, 0);
	assert_false(snapshot_is_left(&old));
	assert_false(old_is_usable(fx, &old));
	assert_string_equal(fx->err.problem, "database-moved");
	fx_reopen(fx);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
}

static void what_was_killed_before_the_commit_begins_anew(void **state)
{
	struct fixture *fx = *state;
	struct old_store old;
	struct ch_move_info moved;

	begin_old(fx, &old);
	move_and_die(fx, &old, "handing over");
	if (ch_move_to_postgres(old.path, fx->database, NULL, &moved, &fx->err))
		fail_msg("%s", fx->err.detail);
	assert_true(moved.rows > 0);
	assert_false(old_is_usable(fx, &old));
	assert_true(has_name(fx, fx->database));
}

static void before_the_commit_it_can_be_abandoned(void **state)
{
	struct fixture *fx = *state;
	struct old_store old;
	struct ch_move_info moved;
	const char *url;

	begin_old(fx, &old);
	assert_refused(fx, ch_move_abandon(old.path, &url, fx->arena, &fx->err), CH_ENOTFOUND,
		"not-moving");
	move_and_die(fx, &old, "handing over");
	assert_true(snapshot_is_left(&old));
	assert_ok(ch_move_abandon(old.path, &url, fx->arena, &fx->err));
	assert_string_equal(url, fx->database);
	assert_false(snapshot_is_left(&old));
	assert_true(old_is_usable(fx, &old));
	assert_false(has_name(fx, fx->database));
	/* It can be moved as if nothing had been. */
	if (ch_move_to_postgres(old.path, fx->database, NULL, &moved, &fx->err))
		fail_msg("%s", fx->err.detail);
	assert_true(has_name(fx, fx->database));
}

static void after_the_commit_it_cannot_be_abandoned(void **state)
{
	struct fixture *fx = *state;
	struct old_store old;
	const char *url;

	begin_old(fx, &old);
	move_and_die(fx, &old, "handed over");
	assert_refused(fx, ch_move_abandon(old.path, &url, fx->arena, &fx->err), CH_ECONFLICT,
		"database-moved");
	assert_false(old_is_usable(fx, &old));
	assert_string_equal(fx->err.problem, "database-moved");
	assert_true(has_name(fx, fx->database));
}

static void what_is_on_its_way_goes_nowhere_else(void **state)
{
	struct fixture *fx = *state;
	struct old_store old;
	struct ch_move_info moved;
	char elsewhere[FX_URL_B];

	begin_old(fx, &old);
	fx_other_database(fx, elsewhere);
	move_and_die(fx, &old, "handed over");
	assert_refused(fx, ch_move_to_postgres(old.path, elsewhere, NULL, &moved, &fx->err),
		CH_ECONFLICT, "moving-elsewhere");
	assert_false(has_name(fx, elsewhere));
	assert_true(has_name(fx, fx->database));
}

/* The copies rest on it. */
static void both_databases_have_the_same_columns(void **state)
{
	struct fixture *fx = *state;
	CH_AUTO_FREE struct ch_tables *tables = malloc(sizeof(*tables));
	struct old_store old;
	struct ch_db *sqlite;
	struct ch_db *postgres;

	open_old(fx, &old);
	assert_ok(ch_db_sqlite_open(old.path, SQLITE_OPEN_READONLY, &sqlite, &fx->err));
	assert_ok(ch_tables_load(sqlite, CH_TABLES_OF_STORE, fx->arena, tables));
	assert_ok(ch_db_postgres_open(fx->database, "SET jit = off", &postgres, &fx->err));
	assert_true(tables->n > 20);
	for (size_t i = 0; i < tables->n; i++) {
		const struct ch_table *t = &tables->list[i];
		int64_t n;

		assert_ok(ch_db_get_i64(postgres, &n,
			"SELECT count(*) FROM pg_attribute a WHERE a.attrelid = to_regclass(?) "
			"AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'timeline'",
			"t", t->name));
		assert_int_equal(n, t->n_cols);
		assert_ok(ch_db_get_i64(postgres, &n, t->count, ""));
	}
	ch_db_close(postgres);
	ch_db_close(sqlite);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(names_move_while_the_store_runs),
		T(ticket_keys_come_along_and_do_not_stay),
		T(nothing_of_ticket_keys_waits_for_a_checkpoint),
		T(who_gives_up_has_changed_nothing),
		T(a_database_with_names_is_refused),
		T(at_no_moment_are_there_two),
		T(what_was_killed_before_the_commit_begins_anew),
		T(before_the_commit_it_can_be_abandoned),
		T(after_the_commit_it_cannot_be_abandoned),
		T(what_is_on_its_way_goes_nowhere_else),
		T(both_databases_have_the_same_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
