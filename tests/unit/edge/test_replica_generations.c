/* Generations: switching, rebuilding, and what is refused before it is opened. */
#include <lmdb.h>
#include "replica_fixture.h"

#include "edge/generation.h"

static const char *shop = "shop.example.com";

static void nothing_is_there_before_the_agent_has_started(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_reader *reader;
	struct ch_replica_writer *writer;

	assert_int_equal(in_child(open_rc, f), -CH_ENOTFOUND);
	assert_int_equal(ch_replica_reader_new(f->dir, &reader), CH_OK);
	assert_int_equal(ch_replica_reader_poll(reader, &f->err), CH_ENOTFOUND);
	assert_false(ch_replica_reader_is_open(reader));
	assert_int_equal(ch_replica_begin(reader), CH_ENOTFOUND);

	writer = open_writer(f);
	apply(writer, shop, 1, CH_RECORD_NAME);
	ch_replica_writer_free(writer);
	assert_int_equal(ch_replica_reader_poll(reader, &f->err), 1);
	assert_int_equal(ch_replica_reader_poll(reader, &f->err), 0);
	assert_int_equal(find(reader, shop, 1), 0);
	ch_replica_reader_free(reader);
}

static char is_superseded(struct ch_replica_reader *reader)
{
	char answer;

	if (ch_replica_is_superseded(reader) || ch_replica_begin(reader))
		return 90; /* outside of lookups nothing is known */
	answer = ch_replica_is_superseded(reader);
	ch_replica_end(reader);
	return answer;
}

/* A child with an open reader that obeys one-letter commands: 'p' polls, 's': superseded?
 * Anything else is looked up as the first letter of NAME.example; answers with one byte each.
 */
struct child {
	pid_t pid;
	int to;
	int from;
};

static void serve(struct fixture *f, int in, int out)
{
	struct ch_replica_reader *reader;
	char command;
	char answer;

	if (ch_replica_reader_open(f->dir, &reader, NULL))
		_exit(50);
	while (read(in, &command, 1) == 1) {
		char name[] = "?.example";

		name[0] = command;
		if (command == '+')
			answer = (char)-ch_replica_begin(reader); /* and keeps the snapshot */
		else if (command == '-')
			answer = (char)(ch_replica_end(reader), 0);
		else if (command == 's')
			answer = is_superseded(reader);
		else if (command == 'p')
			answer = (char)ch_replica_reader_poll(reader, NULL);
		else
			answer = (char)find(reader, name, 1);
		if (write(out, &answer, 1) != 1)
			break;
	}
	_exit(0);
}

static struct child start_reader(struct fixture *f)
{
	struct child child;
	int to[2];
	int from[2];

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	child.pid = fork();
	if (child.pid == 0) {
		close(to[1]);
		close(from[0]);
		serve(f, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	child.to = to[1];
	child.from = from[0];
	return child;
}

static int ask(struct child *child, char command)
{
	char answer;

	assert_int_equal(write(child->to, &command, 1), 1);
	assert_int_equal(read(child->from, &answer, 1), 1);
	return answer;
}

static void stop_reader(struct child *child)
{
	int status;

	close(child->to);
	close(child->from);
	waitpid(child->pid, &status, 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void an_open_reader_follows_to_the_next_generation(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	struct child child;
	char first[64];
	char path[160];
	int64_t stuck_ms;
	uint64_t names;

	apply(writer, "a.example", 1, CH_RECORD_NAME);
	read_current(f, first);
	snprintf(path, sizeof(path), "%s/%s", f->dir, first);
	child = start_reader(f);
	assert_int_equal(ask(&child, 'a'), 0);

	assert_int_equal(ch_replica_writer_new_generation(writer, NULL), CH_OK);
	assert_true(ch_replica_writer_is_rebuilding(writer));
	apply(writer, "b.example", 1, CH_RECORD_NAME);
	assert_int_equal(ch_replica_writer_live_count(writer, &names), CH_OK);
	assert_int_equal(names, 1);
	/* Not published: the reader stays with the old one. */
	assert_int_equal(ask(&child, 'p'), 0);
	assert_int_equal(ask(&child, 'b'), -CH_ENOTFOUND);
	assert_int_equal(ask(&child, 'a'), 0);
	assert_int_equal(ask(&child, 's'), 0);

	assert_int_equal(ch_replica_writer_publish(writer, NULL), CH_OK);
	assert_false(ch_replica_writer_is_rebuilding(writer));
	/* The old one is still read, and so it is still there. */
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(ask(&child, 'a'), 0);
	assert_int_equal(ask(&child, 's'), 1);
	assert_int_equal(ask(&child, 'p'), 1);
	assert_int_equal(ask(&child, 's'), 0);
	assert_int_equal(ask(&child, 'b'), 0);
	assert_int_equal(ask(&child, 'a'), -CH_ENOTFOUND);
	/* Nobody reads it now. */
	assert_int_equal(ch_replica_check_readers(writer, &stuck_ms), CH_OK);
	assert_int_not_equal(access(path, F_OK), 0);
	stop_reader(&child);
	ch_replica_writer_free(writer);
}

static void a_reader_keeps_what_it_has_when_the_next_one_is_bad(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	struct child child;

	apply(writer, "a.example", 1, CH_RECORD_NAME);
	child = start_reader(f);
	assert_int_equal(ask(&child, 'a'), 0);
	write_current(f, "f1-0123456789abcdef\n");
	assert_int_equal(ask(&child, 'p'), CH_ECORRUPT);
	assert_int_equal(ask(&child, 'a'), 0);
	write_current(f, "f2-0123456789abcdef\n");
	assert_int_equal(ask(&child, 'p'), CH_EUNSUPPORTED);
	assert_int_equal(ask(&child, 'a'), 0);
	stop_reader(&child);
	ch_replica_writer_free(writer);
}

static void a_reader_picks_the_line_of_its_own_format(void **state)
{
	struct fixture *f = *state;
	char name[64];
	char text[160];

	ch_replica_writer_free(open_writer(f));
	read_current(f, name);
	snprintf(text, sizeof(text), "f2-0123456789abcdef\n%s\n", name);
	write_current(f, text);
	assert_int_equal(in_child(open_rc, f), 0);
}

static void bad_pointers_are_refused(void **state)
{
	static const struct {
		const char *text;
		int rc;
	} table[] = {
		{"", CH_ECORRUPT},
		{"\n", CH_ECORRUPT},
		{"../../etc\n", CH_ECORRUPT},
		{"f1-0123456789ABCDEF\n", CH_ECORRUPT},
		{"f1-0123456789abcde\n", CH_ECORRUPT},
		{"f1-0123456789abcdef0\n", CH_ECORRUPT},
		{"f2-0123456789abcdef\n", CH_EUNSUPPORTED},
		{"f12-new\n", CH_EUNSUPPORTED},
		{"f-0123456789abcdef\n", CH_ECORRUPT},
	};
	struct fixture *f = *state;

	ch_replica_writer_free(open_writer(f));
	for (size_t i = 0; i < CH_ARRAY_LEN(table); i++) {
		write_current(f, table[i].text);
		assert_int_equal(in_child(open_rc, f), -table[i].rc);
	}
}

static void fill(struct fixture *f)
{
	struct ch_replica_writer *writer = open_writer(f);
	struct ch_cursor cursor = cursor_at(1);
	static uint8_t block[CH_CHAIN_MAX_B];
	uint8_t id[CH_CHAIN_ID_B] = {0};

	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	for (id[0] = 0; id[0] < 8; id[0]++)
		assert_int_equal(ch_replica_put_chain(writer, id, block, sizeof(block)), CH_OK);
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, NULL), CH_OK);
	apply(writer, shop, 2, CH_RECORD_NAME);
	ch_replica_writer_free(writer);
}

static void expect_refused_then_rebuilt(struct fixture *f, int rc)
{
	struct ch_replica_writer *writer;

	assert_int_equal(in_child(open_rc, f), -rc);
	writer = open_writer(f);
	assert_int_equal(f->err.rc, rc);
	assert_true(strlen(f->err.detail) > 0);
	assert_true(ch_replica_writer_is_rebuilding(writer));
	/* Left alone until the new one is ready. */
	assert_int_equal(in_child(open_rc, f), -rc);
	apply(writer, shop, 9, CH_RECORD_NAME);
	assert_int_equal(ch_replica_writer_publish(writer, NULL), CH_OK);
	assert_int_equal(in_child(open_rc, f), 0);
	ch_replica_writer_free(writer);
}

static void a_cut_file_is_refused_before_it_is_mapped(void **state)
{
	static const off_t lengths[] = {0, 100, 4096, 8192, 12288, 300000};
	struct fixture *f = *state;
	char path[256];

	for (size_t i = 0; i < CH_ARRAY_LEN(lengths); i++) {
		fill(f);
		live_path(f, "data.mdb", path);
		assert_int_equal(truncate(path, lengths[i]), 0);
		expect_refused_then_rebuilt(f, CH_ECORRUPT);
	}
}

static int cut_while_open(struct fixture *f)
{
	struct ch_replica_reader *reader;
	char path[256];

	if (ch_replica_reader_open(f->dir, &reader, NULL) || find(reader, shop, 2))
		return 50;
	live_path(f, "data.mdb", path);
	if (truncate(path, 8192) || find(reader, shop, 2) != -CH_ECORRUPT)
		return 51;
	if (truncate(path, 0) || find(reader, shop, 2) != -CH_ECORRUPT)
		return 52;
	ch_replica_reader_free(reader);
	return 0;
}

static void a_file_that_is_cut_under_a_reader_is_an_error_and_no_signal(void **state)
{
	struct fixture *f = *state;

	fill(f);
	assert_int_equal(in_child(cut_while_open, f), 0);
}

static void a_file_that_is_cut_under_the_writer_is_an_error_and_no_signal(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer;
	struct ch_cursor cursor;
	uint64_t names;
	int64_t stuck_ms;
	char path[256];

	fill(f);
	live_path(f, "data.mdb", path);
	for (off_t len = 8192; len >= 0; len -= 8192) {
		writer = open_writer(f);
		apply(writer, shop, 9, CH_RECORD_NAME);
		live_path(f, "data.mdb", path);
		assert_int_equal(truncate(path, len), 0);
		assert_int_equal(ch_replica_writer_cursor(writer, &cursor), CH_ECORRUPT);
		assert_int_equal(ch_replica_writer_live_count(writer, &names), CH_ECORRUPT);
		assert_int_equal(ch_replica_apply_begin(writer), CH_ECORRUPT);
		assert_int_equal(ch_replica_check_readers(writer, &stuck_ms), CH_ECORRUPT);
		ch_replica_writer_free(writer);
		expect_refused_then_rebuilt(f, CH_ECORRUPT);
	}
}

static void write_at(const char *path, off_t at, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
}

static void garbage_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t garbage[8192];
	char path[256];

	memset(garbage, 0xa5, sizeof(garbage));
	fill(f);
	live_path(f, "data.mdb", path);
	write_at(path, 0, garbage, sizeof(garbage));
	expect_refused_then_rebuilt(f, CH_ECORRUPT);
	live_path(f, "data.mdb", path);
	write_at(path, 4096, garbage, 100);
	expect_refused_then_rebuilt(f, CH_ECORRUPT);
	live_path(f, "lock.mdb", path);
	assert_int_equal(truncate(path, 10), 0);
	expect_refused_then_rebuilt(f, CH_ECORRUPT);
	live_path(f, "lock.mdb", path);
	assert_int_equal(unlink(path), 0);
	expect_refused_then_rebuilt(f, CH_ECORRUPT);
	live_path(f, "data.mdb", path);
	assert_int_equal(unlink(path), 0);
	expect_refused_then_rebuilt(f, CH_ECORRUPT);
	write_current(f, "nonsense");
	expect_refused_then_rebuilt(f, CH_ECORRUPT);
	write_current(f, "f7-0123456789abcdef\n");
	expect_refused_then_rebuilt(f, CH_EUNSUPPORTED);
}

/* A foreign database, and one whose format key is newer. */
static void make_foreign(struct fixture *f, const char *format, size_t format_len)
{
	char path[256];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val key = {6, (void *)"format"};
	MDB_val val = {format_len, (void *)format};

	ch_replica_writer_free(open_writer(f));
	live_path(f, "", path);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_NOTLS, 0640), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
	if (format_len)
		assert_int_equal(mdb_put(txn, dbi, &key, &val, 0), 0);
	else
		assert_int_equal(mdb_drop(txn, dbi, 1), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void a_newer_format_is_refused(void **state)
{
	struct fixture *f = *state;

	make_foreign(f, "\0\0\0\2", 4);
	expect_refused_then_rebuilt(f, CH_EUNSUPPORTED);
}

static void a_database_that_is_not_ours_is_refused(void **state)
{
	struct fixture *f = *state;

	make_foreign(f, "", 0);
	expect_refused_then_rebuilt(f, CH_ECORRUPT);
	make_foreign(f, "text", 3);
	expect_refused_then_rebuilt(f, CH_ECORRUPT);
}

static void files_that_others_may_write_are_refused(void **state)
{
	static const struct {
		const char *file;
		mode_t bad;
		mode_t good;
	} table[] = {{"data.mdb", 0660, 0640}, {"data.mdb", 0642, 0640},
		{"lock.mdb", 0662, 0660}, {"", 0770, 0750}, {"..", 0770, 0750},
		{"..", 0752, 0750}};
	struct fixture *f = *state;
	char path[256];

	fill(f);
	for (size_t i = 0; i < CH_ARRAY_LEN(table); i++) {
		live_path(f, table[i].file, path);
		assert_int_equal(chmod(path, table[i].bad), 0);
		assert_int_equal(in_child(open_rc, f), -CH_EAUTH);
		assert_int_equal(chmod(path, table[i].good), 0);
		assert_int_equal(in_child(open_rc, f), 0);
	}
}

static void another_users_files_are_refused(void **state)
{
	static const char *files[] = {"data.mdb", "lock.mdb", ""};
	struct fixture *f = *state;
	char path[256];

	if (geteuid() != 0)
		skip();
	fill(f);
	for (size_t i = 0; i < CH_ARRAY_LEN(files); i++) {
		live_path(f, files[i], path);
		assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
		assert_int_equal(in_child(open_rc, f), -CH_EAUTH);
		assert_int_equal(chown(path, 0, (gid_t)-1), 0);
	}
	assert_int_equal(in_child(open_rc, f), 0);
	/* Root's files in the agent's folder are fine. */
	assert_int_equal(chown(f->dir, 12345, (gid_t)-1), 0);
	assert_int_equal(in_child(open_rc, f), 0);
}

static int open_rc_as_group(struct fixture *f)
{
	if (setgid(23456) || setuid(12345))
		return 50;
	return open_rc(f);
}

static int open_rc_as_other(struct fixture *f)
{
	if (setgid(12345) || setuid(12345))
		return 50;
	return open_rc(f);
}

static void the_readers_group_may_read_and_nobody_else(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->top, 0755), 0);
	f->options.reader_gid = 23456;
	fill(f);
	assert_int_equal(in_child(open_rc_as_group, f), 0);
	assert_int_equal(in_child(open_rc_as_other, f), -CH_EIO);
}

static int second_writer_rc(struct fixture *f)
{
	struct ch_replica_writer *writer;

	return -ch_replica_writer_open(&f->options, &writer, &f->err);
}

static void there_is_one_writer(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	struct ch_replica_writer *second;

	assert_int_equal(in_child(second_writer_rc, f), -CH_ECONFLICT);
	assert_int_equal(ch_replica_writer_open(&f->options, &second, &f->err), CH_ECONFLICT);
	ch_replica_writer_free(writer);
	assert_int_equal(in_child(second_writer_rc, f), 0);
}

static void a_process_has_a_generation_open_once(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	struct ch_replica_reader *reader;

	assert_int_equal(ch_replica_reader_open(f->dir, &reader, &f->err), CH_EEXIST);
	ch_replica_writer_free(writer);
	assert_int_equal(ch_replica_reader_open(f->dir, &reader, &f->err), CH_OK);
	ch_replica_reader_free(reader);
}

static void an_unfinished_rebuild_goes_on_after_a_restart(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	struct ch_cursor cursor;
	uint64_t names;
	char before[64];
	char after[64];

	apply(writer, "a.example", 7, CH_RECORD_NAME);
	read_current(f, before);
	assert_int_equal(ch_replica_writer_new_generation(writer, NULL), CH_OK);
	assert_int_equal(ch_replica_writer_cursor(writer, &cursor), CH_OK);
	assert_false(cursor.valid);
	apply(writer, "b.example", 3, CH_RECORD_NAME);
	ch_replica_writer_free(writer);

	writer = open_writer(f);
	assert_true(ch_replica_writer_is_rebuilding(writer));
	assert_int_equal(ch_replica_writer_cursor(writer, &cursor), CH_OK);
	assert_int_equal(cursor.seq, 3);
	read_current(f, after);
	assert_string_equal(before, after);
	/* Beginning anew throws away what was begun. */
	assert_int_equal(ch_replica_writer_new_generation(writer, NULL), CH_OK);
	assert_int_equal(ch_replica_writer_count(writer, &names), CH_OK);
	assert_int_equal(names, 0);
	apply(writer, "c.example", 1, CH_RECORD_NAME);
	assert_int_equal(ch_replica_writer_publish(writer, NULL), CH_OK);
	assert_int_equal(ch_replica_writer_publish(writer, NULL), CH_EINVAL);
	ch_replica_writer_free(writer);

	writer = open_writer(f);
	assert_false(ch_replica_writer_is_rebuilding(writer));
	assert_int_equal(ch_replica_writer_live_count(writer, &names), CH_OK);
	assert_int_equal(names, 1);
	ch_replica_writer_free(writer);
}

static int64_t fake_ms;

static int64_t fake_clock(void *arg)
{
	return fake_ms;
}

static void a_stuck_reader_is_noticed_and_a_dead_one_forgotten(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	struct child child;
	int64_t stuck_ms = -1;

	ch_clock_set(fake_clock, NULL);
	apply(writer, "a.example", 1, CH_RECORD_NAME);
	child = start_reader(f);
	assert_int_equal(ask(&child, '+'), 0);
	/* It reads the newest snapshot: nothing is held up. */
	assert_int_equal(ch_replica_check_readers(writer, &stuck_ms), CH_OK);
	assert_int_equal(stuck_ms, 0);
	apply(writer, "a.example", 2, CH_RECORD_NAME);
	assert_int_equal(ch_replica_check_readers(writer, &stuck_ms), CH_OK);
	assert_int_equal(stuck_ms, 0);
	fake_ms += 61000;
	assert_int_equal(ch_replica_check_readers(writer, &stuck_ms), CH_OK);
	assert_int_equal(stuck_ms, 61000);
	assert_int_equal(ask(&child, '-'), 0);
	assert_int_equal(ch_replica_check_readers(writer, &stuck_ms), CH_OK);
	assert_int_equal(stuck_ms, 0);
	/* Killed within a lookup: its place is freed. */
	assert_int_equal(ask(&child, '+'), 0);
	apply(writer, "a.example", 3, CH_RECORD_NAME);
	kill(child.pid, SIGKILL);
	waitpid(child.pid, NULL, 0);
	close(child.to);
	close(child.from);
	assert_int_equal(ch_replica_check_readers(writer, &stuck_ms), CH_OK);
	assert_int_equal(stuck_ms, 0);
	ch_clock_set(NULL, NULL);
	ch_replica_writer_free(writer);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_there_before_the_agent_has_started),
		TEST(an_open_reader_follows_to_the_next_generation),
		TEST(a_reader_keeps_what_it_has_when_the_next_one_is_bad),
		TEST(a_reader_picks_the_line_of_its_own_format),
		TEST(bad_pointers_are_refused),
		TEST(a_cut_file_is_refused_before_it_is_mapped),
		TEST(a_file_that_is_cut_under_a_reader_is_an_error_and_no_signal),
		TEST(a_file_that_is_cut_under_the_writer_is_an_error_and_no_signal),
		TEST(garbage_is_refused),
		TEST(a_newer_format_is_refused),
		TEST(a_database_that_is_not_ours_is_refused),
		TEST(files_that_others_may_write_are_refused),
		TEST(another_users_files_are_refused),
		TEST(the_readers_group_may_read_and_nobody_else),
		TEST(there_is_one_writer),
		TEST(a_process_has_a_generation_open_once),
		TEST(an_unfinished_rebuild_goes_on_after_a_restart),
		TEST(a_stuck_reader_is_noticed_and_a_dead_one_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
