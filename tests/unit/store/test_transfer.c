/* Backups: what is in them, what is refused, and what a restore makes of them. */
#include "fixture.h"

#include <sqlite3.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/transfer.h"

static void file_in(struct fixture *fx, const char *name, char ret_path[FX_URL_B])
{
	snprintf(ret_path, FX_URL_B, "%s/%s", fx->dir, name);
}

static void back_up(
	struct fixture *fx, char ret_path[FX_URL_B], struct ch_backup_info *ret_info)
{
	file_in(fx, "backup", ret_path);
	assert_ok(ch_backup_write(fx->database, ret_path, NULL, ret_info, &fx->err));
}

/* Opens what was restored in place of the store that was there. */
static void go_on_with(struct fixture *fx, const char *database)
{
	struct ch_store_options options = {
		.database = database, .edge_timeout_ms = EDGE_TIMEOUT_MS, .readers = 2};

	ch_store_close(fx->store);
	fx->store = NULL;
	assert_ok(ch_store_open(&options, &fx->store, &fx->err));
}

static void a_live_stores_backup_says_what_is_in_it(void **state)
{
	struct fixture *fx = *state;
	struct ch_backup_info info;
	struct ch_backup_info checked;
	char path[FX_URL_B];
	struct stat st;

	fx_add(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	fx_add(fx, "b.example");
	fx_lease_one(fx);
	back_up(fx, path, &info);
	assert_int_equal(info.names, 2);
	assert_int_equal(info.certs, 1);
	assert_int_equal(info.open_orders, 1);
	assert_int_equal(info.made_at_ms, START_MS);
	assert_string_equal(info.source, fx_is_postgres() ? "postgresql" : "sqlite");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(info.size_b, st.st_size);
	assert_ok(ch_backup_check(path, NULL, &checked, &fx->err));
	assert_int_equal(checked.rows, info.rows);
	/* The store goes on. */
	fx_add(fx, "c.example");
}

static void nothing_is_overwritten(void **state)
{
	struct fixture *fx = *state;
	struct ch_backup_info info;
	char path[FX_URL_B];

	back_up(fx, path, &info);
	assert_refused(fx, ch_backup_write(fx->database, path, NULL, &info, &fx->err),
		CH_EEXIST, "file-exists");
}

static void a_database_in_use_is_not_restored_into(void **state)
{
	struct fixture *fx = *state;
	struct ch_backup_info info;
	char path[FX_URL_B];

	fx_add(fx, "a.example");
	back_up(fx, path, &info);
	assert_refused(fx, ch_backup_restore(path, fx->database, NULL, &info, &fx->err),
		CH_ECONFLICT, "database-not-empty");
	fx_get(fx, "a.example");
}

static void ticket_keys_stay_out(void **state)
{
	static const char marker[] = "sealed-ticket-keys-of-today";
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_TICKETS,
		.u.tickets = {.pool = "default",
			.version = 1,
			.until_s = START_MS / 1000 + 100,
			.record = (const uint8_t *)marker,
			.record_len = sizeof(marker)}};
	struct ch_store_tickets *sets;
	struct ch_backup_info info;
	char path[FX_URL_B];
	char other[FX_URL_B];
	char *bytes;
	size_t n;
	FILE *f;

	assert_ok(fx_run(fx, &op));
	assert_ok(ch_store_list_tickets(fx->store, fx->arena, &sets, &n));
	assert_int_equal(n, 1);
	back_up(fx, path, &info);
	bytes = malloc(info.size_b);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fread(bytes, 1, info.size_b, f), info.size_b);
	fclose(f);
	assert_null(memmem(bytes, info.size_b, marker, strlen(marker)));
	free(bytes);
	fx_other_database(fx, other);
	assert_ok(ch_backup_restore(path, other, NULL, &info, &fx->err));
	go_on_with(fx, other);
	assert_ok(ch_store_list_tickets(fx->store, fx->arena, &sets, &n));
	assert_int_equal(n, 0);
}

static void check_restored(struct fixture *fx, const char *database, uint64_t order_id,
	const struct ch_store_feed_info *before)
{
	struct ch_store_certs certs;
	struct ch_store_feed_info info;
	struct ch_store_order *order;

	go_on_with(fx, database);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
	assert_ok(ch_store_get_certs(fx->store, "a.example", fx->arena, &certs));
	assert_non_null(certs.current);
	assert_ok(ch_store_read_feed(fx->store, "default", 0, NULL, NULL, &info));
	assert_int_equal(info.head, before->head);
	assert_memory_not_equal(info.epoch, before->epoch, sizeof(info.epoch));
	/* Nothing begins before edges had time to say what they have. */
	fx_add(fx, "new.example");
	order = fx_lease_one(fx);
	assert_string_equal(order->names[0].name, "new.example");
	assert_true(order->id > CH_RESTORE_IDS);
	fx_issue(fx, order);
	fx_lease_none(fx);
	test_now_ms += CH_RESTORE_GRACE_MS;
	order = fx_lease_one(fx);
	assert_int_equal(order->id, order_id);
	assert_true(order->fence > 1000000);
}

static void a_restored_store_goes_on(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_feed_info before;
	struct ch_backup_info info;
	struct ch_store_order *order;
	char path[FX_URL_B];
	char other[FX_URL_B];
	char file[FX_URL_B];

	fx_add(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	fx_add(fx, "b.example");
	order = fx_lease_one(fx);
	before = fx_feed_info(fx);
	back_up(fx, path, &info);
	fx_other_database(fx, other);
	assert_ok(ch_backup_restore(path, other, NULL, &info, &fx->err));
	check_restored(fx, other, order->id, &before);
	/* And into a file, of whichever database it was. */
	test_now_ms = START_MS;
	snprintf(file, sizeof(file), "sqlite:%s/file.db", fx->dir);
	assert_ok(ch_backup_restore(path, file, NULL, &info, &fx->err));
	check_restored(fx, file, order->id, &before);
}

/* It was of then: an issuer says it anew with its first lease. */
static void what_issuers_said_is_not_restored(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_ISSUER};
	struct ch_store_issuer *issuers;
	struct ch_store_audit *entries;
	struct ch_backup_info info;
	uint64_t before;
	char path[FX_URL_B];
	char other[FX_URL_B];
	size_t n;

	op.u.issuer = (struct ch_op_issuer){.id = "issuer/default/i1", .says = "{}"};
	assert_ok(fx_run(fx, &op));
	back_up(fx, path, &info);
	fx_other_database(fx, other);
	assert_ok(ch_backup_restore(path, other, NULL, &info, &fx->err));
	go_on_with(fx, other);
	assert_ok(ch_store_list_issuers(fx->store, fx->arena, &issuers, &n));
	assert_int_equal(n, 0);
	/* Nor do the ids of the log go on from where they were then. */
	assert_ok(ch_store_list_audit(fx->store, 0, 9, fx->arena, &entries, &n, &before));
	assert_int_equal(n, 1);
	assert_int_equal(entries[0].id, test_now_ms / CH_SECOND_MS * CH_RESTORE_IDS_PER_S);
	assert_string_equal(entries[0].action, "store.restore");
	assert_ok(fx_run(fx, &op));
	assert_ok(ch_store_list_issuers(fx->store, fx->arena, &issuers, &n));
	assert_int_equal(n, 1);
}

static void account_tokens_are_gone_after_a_restore(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = {
		.account = "ca/1", .limits[CH_PACED_ACCOUNT] = {10, 60 * 1000000}};
	struct ch_store_op op = {.type = CH_OP_LEASE};
	struct ch_store_limits limits;
	struct ch_backup_info info;
	char path[FX_URL_B];
	char other[FX_URL_B];

	fx_add(fx, "a.example");
	op.u.lease = (struct ch_op_lease){
		.issuer = "i", .max = 1, .lease_ms = LEASE_MS, .pace = pace};
	assert_ok(fx_run(fx, &op));
	assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
	assert_int_equal(limits.n_buckets, 1);
	assert_int_equal(limits.buckets[0].left, limits.buckets[0].limit.size - 1);
	back_up(fx, path, &info);
	fx_other_database(fx, other);
	assert_ok(ch_backup_restore(path, other, NULL, &info, &fx->err));
	go_on_with(fx, other);
	assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
	assert_int_equal(limits.buckets[0].left, 0);
	assert_int_equal(limits.buckets[0].full_at_ms,
		START_MS + limits.buckets[0].limit.size * CH_MINUTE_MS);
}

static void flip(const char *path, long at)
{
	FILE *f = fopen(path, "r+");
	int c;

	assert_non_null(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	c = fgetc(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	assert_int_not_equal(fputc(c ^ 1, f), EOF);
	assert_int_equal(fclose(f), 0);
}

/* A byte within the row of a name, which is nowhere else. */
static long find_in(const char *path, const char *text)
{
	FILE *f = fopen(path, "r");
	char *bytes = malloc(1 << 24);
	size_t len = fread(bytes, 1, 1 << 24, f);
	char *at = memmem(bytes, len, text, strlen(text));
	long offset = at ? at - bytes : -1;

	fclose(f);
	free(bytes);
	return offset;
}

static void damage_is_found(void **state)
{
	struct fixture *fx = *state;
	struct ch_backup_info info;
	char path[FX_URL_B];
	char other[FX_URL_B];
	char file[FX_URL_B];

	fx_add(fx, "one-of-a-kind.example");
	back_up(fx, path, &info);
	flip(path, find_in(path, "Registered."));
	assert_refused(
		fx, ch_backup_check(path, NULL, &info, &fx->err), CH_ECORRUPT, "bad-backup");
	fx_other_database(fx, other);
	assert_refused(fx, ch_backup_restore(path, other, NULL, &info, &fx->err), CH_ECORRUPT,
		"bad-backup");
	if (!fx_is_postgres())
		assert_int_equal(access(other + strlen("sqlite:"), F_OK), -1);
	/* One that ends too soon. */
	file_in(fx, "short", file);
	assert_ok(ch_backup_write(fx->database, file, NULL, &info, &fx->err));
	assert_int_equal(truncate(file, (off_t)info.size_b / 2), 0);
	assert_refused(
		fx, ch_backup_check(file, NULL, &info, &fx->err), CH_ECORRUPT, "bad-backup");
}

static void other_files_are_no_backups(void **state)
{
	struct fixture *fx = *state;
	struct ch_backup_info info;
	char path[FX_URL_B];
	FILE *f;

	file_in(fx, "absent", path);
	assert_refused(
		fx, ch_backup_check(path, NULL, &info, &fx->err), CH_ENOTFOUND, "no-backup");
	file_in(fx, "text", path);
	f = fopen(path, "w");
	assert_int_not_equal(fputs("not a database at all", f), EOF);
	assert_int_equal(fclose(f), 0);
	assert_refused(
		fx, ch_backup_check(path, NULL, &info, &fx->err), CH_ECORRUPT, "bad-backup");
	if (!fx_is_postgres()) {
		file_in(fx, "test.db", path);
		assert_refused(fx, ch_backup_check(path, NULL, &info, &fx->err), CH_ECORRUPT,
			"bad-backup");
	}
}

/* A store is not to open a backup as its database: edges would believe it. */
static void a_backup_is_no_database(void **state)
{
	struct fixture *fx = *state;
	struct ch_backup_info info;
	struct ch_store *store;
	char path[FX_URL_B];
	char database[FX_URL_B + 8];
	struct ch_store_options options = {.database = database};

	back_up(fx, path, &info);
	snprintf(database, sizeof(database), "sqlite:%s", path);
	assert_refused(
		fx, ch_store_open(&options, &store, &fx->err), CH_EUNSUPPORTED, "bad-database");
}

static void alter_backup(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Names of tables and columns become a part of SQL. */
static void names_in_a_backup_run_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ch_backup_info info;
	char path[FX_URL_B];
	char other[FX_URL_B];
	char target[FX_URL_B];
	char sql[4 * FX_URL_B];

	fx_add(fx, "a.example");
	back_up(fx, path, &info);
	file_in(fx, "target", target);
	snprintf(sql, sizeof(sql),
		"CREATE TABLE \"name; COMMIT; VACUUM INTO '%s'; BEGIN; "
		"--\" (k INTEGER PRIMARY KEY); INSERT INTO backup_table VALUES ('x', 0, "
		"x'00')",
		target);
	alter_backup(path, sql);
	fx_other_database(fx, other);
	assert_refused(fx, ch_backup_restore(path, other, NULL, &info, &fx->err), CH_ECORRUPT,
		"bad-backup");
	assert_int_equal(access(target, F_OK), -1);
	assert_refused(
		fx, ch_backup_check(path, NULL, &info, &fx->err), CH_ECORRUPT, "bad-backup");
}

/* SQLite would apply another database's log to what was restored. */
static void what_an_old_database_left_is_not_applied(void **state)
{
	static const char *const ends[] = {"-wal", "-shm", "-journal"};
	struct fixture *fx = *state;
	struct ch_backup_info info;
	char path[FX_URL_B];
	char database[FX_URL_B];

	fx_add(fx, "a.example");
	back_up(fx, path, &info);
	snprintf(database, sizeof(database), "sqlite:%s/new.db", fx->dir);
	for (size_t i = 0; i < CH_ARRAY_LEN(ends); i++) {
		char left[FX_URL_B + 16];
		FILE *f;

		snprintf(left, sizeof(left), "%s%s", database + strlen("sqlite:"), ends[i]);
		f = fopen(left, "w");
		assert_non_null(f);
		assert_int_equal(fclose(f), 0);
		assert_refused(fx, ch_backup_restore(path, database, NULL, &info, &fx->err),
			CH_ECONFLICT, "database-not-empty");
		assert_int_equal(access(database + strlen("sqlite:"), F_OK), -1);
		assert_int_equal(unlink(left), 0);
	}
	assert_ok(ch_backup_restore(path, database, NULL, &info, &fx->err));
}

/* That its database was moved away does not stop a store. */
static void a_running_stores_place_is_not_taken(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	struct fixture *fx = *state;
	struct ch_backup_info info;
	char path[FX_URL_B];

	if (fx_is_postgres())
		return;
	back_up(fx, path, &info);
	for (size_t i = 0; i < CH_ARRAY_LEN(ends); i++) {
		char from[FX_URL_B + 16];
		char to[FX_URL_B + 16];

		snprintf(from, sizeof(from), "%s%s", fx->database + strlen("sqlite:"), ends[i]);
		snprintf(to, sizeof(to), "%s/away%s", fx->dir, ends[i]);
		assert_int_equal(rename(from, to), 0);
	}
	assert_refused(fx, ch_backup_restore(path, fx->database, NULL, &info, &fx->err),
		CH_ECONFLICT, "database-in-use");
	ch_store_close(fx->store);
	fx->store = NULL;
	assert_ok(ch_backup_restore(path, fx->database, NULL, &info, &fx->err));
}

static void a_file_that_another_run_writes_is_left_alone(void **state)
{
	struct fixture *fx = *state;
	struct ch_backup_info info;
	char path[FX_URL_B];
	char partial[FX_URL_B + 16];
	int fd;

	file_in(fx, "backup", path);
	snprintf(partial, sizeof(partial), "%s.partial", path);
	fd = open(partial, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "theirs", 6), 6);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_refused(fx, ch_backup_write(fx->database, path, NULL, &info, &fx->err),
		CH_ECONFLICT, "file-in-use");
	assert_int_equal(lseek(fd, 0, SEEK_END), 6);
	assert_int_equal(access(partial, F_OK), 0);
	/* What a killed run has left is no obstacle. */
	close(fd);
	assert_ok(ch_backup_write(fx->database, path, NULL, &info, &fx->err));
	assert_int_equal(access(partial, F_OK), -1);
}

static int stop(const char *doing, uint64_t rows, uint64_t all_rows, void *arg)
{
	return CH_ECANCELED;
}

static void a_stopped_backup_leaves_nothing(void **state)
{
	const struct ch_transfer how = {.progress = stop};
	struct fixture *fx = *state;
	struct ch_backup_info info;
	char path[FX_URL_B];

	file_in(fx, "backup", path);
	assert_refused(fx, ch_backup_write(fx->database, path, &how, &info, &fx->err),
		CH_ECANCELED, "canceled");
	assert_int_equal(access(path, F_OK), -1);
	file_in(fx, "backup.partial", path);
	assert_int_equal(access(path, F_OK), -1);
}

struct watch {
	struct fixture *fx;
	unsigned looks;
};

static size_t count_paths(struct fixture *fx, const char *pattern)
{
	char path[FX_URL_B];
	glob_t found;
	size_t n;

	file_in(fx, pattern, path);
	n = glob(path, 0, NULL, &found) ? 0 : found.gl_pathc;
	globfree(&found);
	return n;
}

/* The rows are on their way into PostgreSQL. */
static int look_at_scratch(const char *doing, uint64_t rows, uint64_t all_rows, void *arg)
{
	struct watch *watch = arg;

	if (strcmp(doing, "indexes") != 0)
		return CH_OK;
	watch->looks++;
	/* The keys are nowhere to be found, and nobody else can have a folder of that name. */
	assert_int_equal(count_paths(watch->fx, "certherd-restore-*"), 1);
	assert_int_equal(count_paths(watch->fx, "certherd-restore-*/*"), 0);
	return CH_OK;
}

static void what_a_restore_reads_has_its_folder_to_itself(void **state)
{
	struct fixture *fx = *state;
	struct watch watch = {.fx = fx};
	const struct ch_transfer how = {.progress = look_at_scratch, .arg = &watch};
	struct ch_backup_info info;
	char path[FX_URL_B];
	char other[FX_URL_B];

	fx_add(fx, "a.example");
	back_up(fx, path, &info);
	fx_other_database(fx, other);
	assert_int_equal(setenv("TMPDIR", fx->dir, 1), 0);
	assert_ok(ch_backup_restore(path, other, &how, &info, &fx->err));
	assert_int_equal(unsetenv("TMPDIR"), 0);
	assert_int_equal(watch.looks, fx_is_postgres() ? 1 : 0);
	assert_int_equal(count_paths(fx, "certherd-restore-*"), 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_live_stores_backup_says_what_is_in_it),
		T(nothing_is_overwritten),
		T(a_database_in_use_is_not_restored_into),
		T(ticket_keys_stay_out),
		T(a_restored_store_goes_on),
		T(what_issuers_said_is_not_restored),
		T(account_tokens_are_gone_after_a_restore),
		T(damage_is_found),
		T(other_files_are_no_backups),
		T(a_backup_is_no_database),
		T(names_in_a_backup_run_nothing),
		T(what_an_old_database_left_is_not_applied),
		T(a_running_stores_place_is_not_taken),
		T(a_file_that_another_run_writes_is_left_alone),
		T(a_stopped_backup_leaves_nothing),
		T(what_a_restore_reads_has_its_folder_to_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
