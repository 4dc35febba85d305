/* What becomes of a replica that the writer finds unusable, of a folder that has none yet, and
 * of the table of readers. */
#include "replica_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "edge/replica_writer.h"

static const char *shop = "shop.example.com";

static struct ch_replica_writer *open_as_it_is(struct fixture *f)
{
	struct ch_replica_writer *writer;

	assert_int_equal(ch_replica_writer_open(&f->options, &writer, &f->err), CH_OK);
	return writer;
}

static void a_folder_has_no_replica_before_its_first_one_is_published(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_as_it_is(f);
	uint64_t names;

	assert_int_equal(f->err.rc, CH_OK);
	assert_true(ch_replica_writer_is_rebuilding(writer));
	assert_int_equal(ch_replica_writer_live_count(writer, &names), CH_OK);
	assert_int_equal(names, 0);
	apply(writer, shop, 1, CH_RECORD_NAME);
	assert_int_equal(in_child(open_rc, f), -CH_ENOTFOUND);
	/* It goes on where it was. */
	ch_replica_writer_free(writer);
	writer = open_as_it_is(f);
	assert_true(ch_replica_writer_is_rebuilding(writer));
	assert_int_equal(ch_replica_writer_count(writer, &names), CH_OK);
	assert_int_equal(names, 1);
	assert_int_equal(ch_replica_writer_publish(writer, NULL), CH_OK);
	assert_int_equal(in_child(open_rc, f), 0);
	ch_replica_writer_free(writer);
}

static void fill(struct fixture *f, int n)
{
	struct ch_replica_writer *writer = open_writer(f);
	struct ch_cursor cursor = cursor_at(1);
	enum ch_apply_effect effect;

	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	for (int i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%05d.example.com", i);
		assert_int_equal(put_name(writer, name, 9, CH_RECORD_NAME, &effect), CH_OK);
	}
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, NULL), CH_OK);
	ch_replica_writer_free(writer);
}

/* What a worker of nginx that starts now makes of it. */
static void expect_rebuilt_after(struct fixture *f, int rc, int readers_rc, int other_rc)
{
	struct ch_replica_writer *writer;
	char before[64];
	char after[64];
	int found;

	read_current(f, before);
	writer = open_as_it_is(f);
	assert_int_equal(f->err.rc, rc);
	assert_true(strlen(f->err.detail) > 0);
	assert_true(ch_replica_writer_is_rebuilding(writer));
	found = in_child(open_rc, f);
	assert_true(found == -readers_rc || found == -other_rc);
	apply(writer, shop, 9, CH_RECORD_NAME);
	assert_int_equal(ch_replica_writer_publish(writer, NULL), CH_OK);
	read_current(f, after);
	assert_string_not_equal(before, after);
	assert_int_equal(in_child(open_rc, f), 0);
	assert_int_equal(ch_replica_writer_look(writer, &f->err), CH_OK);
	assert_int_equal(f->err.rc, CH_OK);
	ch_replica_writer_free(writer);
}

static void expect_rebuilt(struct fixture *f, int rc)
{
	expect_rebuilt_after(f, rc, rc, rc);
}

/* Rubbish in the pages from 2 on: a few bytes, or all. */
static void spoil_pages(struct fixture *f, bool all)
{
	char path[256];
	int fd;

	live_path(f, "data.mdb", path);
	fd = open(path, O_RDWR);
	for (off_t page = 2; page < 60; page++) {
		uint8_t bytes[4096];

		assert_int_equal(pread(fd, bytes, 4096, page * 4096), 4096);
		for (int i = 0; i < (all ? 4096 : 20); i++)
			bytes[all ? i : rand() % 4096] = (uint8_t)rand();
		assert_int_equal(pwrite(fd, bytes, 4096, page * 4096), 4096);
	}
	close(fd);
}

/* Whether the first key of the page is a name: one of LMDB's leaves, with pointers to nodes
 * from byte 16 on, each with the length of its key at 6 and the key at 8. */
static bool has_names(const uint8_t page[4096])
{
	static const char end[] = ".example.com";
	uint16_t at;
	uint16_t len;

	memcpy(&at, page + 16, 2);
	if (!(page[10] & 2) || at > 4096 - 8)
		return false;
	memcpy(&len, page + at + 6, 2);
	return len > strlen(end) && at + 8 + len <= 4096 &&
	       memcmp(page + at + 8 + len - strlen(end), end, strlen(end)) == 0;
}

/* Only what readers do not look at while they open it. */
static void spoil_names(struct fixture *f)
{
	static const uint8_t rubbish[64] = {0xff, 0xfe};
	char path[256];
	uint8_t page[4096];
	int n = 0;
	int fd;

	live_path(f, "data.mdb", path);
	fd = open(path, O_RDWR);
	for (off_t at = 8192; pread(fd, page, 4096, at) == 4096; at += 4096)
		if (has_names(page) && ++n)
			assert_int_equal(pwrite(fd, rubbish, 64, at), 64);
	close(fd);
	assert_true(n > 0);
}

/* LMDB has no checksums: each of these might crash whoever reads on.  So nobody may find it
 * any more, store or no store. */
static void rubbish_in_the_pages_is_found_at_the_start_and_withdrawn(void **state)
{
	struct fixture *f = *state;

	srand(1);
	for (int round = 0; round < 6; round++) {
		fill(f, 3000);
		spoil_pages(f, true);
		/* Rubbish may also be such that readers refuse it by themselves. */
		expect_rebuilt_after(f, CH_ECORRUPT, CH_ENOTFOUND, CH_ECORRUPT);
	}
}

static void a_little_rubbish_in_the_pages_is_found_at_the_start(void **state)
{
	struct fixture *f = *state;

	srand(1);
	for (int round = 0; round < 6; round++) {
		struct ch_replica_writer *writer;

		fill(f, 3000);
		spoil_pages(f, false);
		writer = open_as_it_is(f);
		assert_int_equal(f->err.rc, CH_ECORRUPT);
		assert_true(ch_replica_writer_is_rebuilding(writer));
		assert_int_equal(ch_replica_writer_publish(writer, NULL), CH_OK);
		assert_int_equal(in_child(open_rc, f), 0);
		ch_replica_writer_free(writer);
	}
}

/* That harms no other name: better than nothing while there is no store. */
static void with_a_record_that_cannot_be_used_it_stays_until_there_is_another(void **state)
{
	static const uint8_t rubbish[] = "\1\1\0\0rubbish";
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	struct ch_cursor cursor = cursor_at(1);
	struct ch_record record = {
		.kind = CH_RECORD_NAME, .version = 9, .name = shop, .name_len = strlen(shop)};
	enum ch_apply_effect effect;

	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	assert_int_equal(
		ch_replica_put(writer, &record, rubbish, sizeof(rubbish) - 1, &effect), CH_OK);
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, NULL), CH_OK);
	ch_replica_writer_free(writer);
	expect_rebuilt_after(f, CH_ECORRUPT, CH_OK, CH_OK);
}

/* Asks until a look that has begun, or shall begin, is over. */
static int walk_to_the_end(
	struct ch_replica_writer *writer, int64_t every_ms, struct ch_err *err)
{
	int rc = CH_OK;

	for (int tries = 0; rc == CH_OK && tries < 6000; tries++) {
		rc = ch_replica_writer_walk(writer, every_ms, err);
		poll(NULL, 0, 5);
	}
	return rc;
}

/* Until nothing is at work, for when all is well. */
static void walk_some_time(struct ch_replica_writer *writer, int64_t every_ms)
{
	for (int i = 0; i < 60 || writer->walker; i++) {
		assert_int_equal(
			ch_replica_writer_walk(writer, i < 60 ? every_ms : 0, NULL), CH_OK);
		poll(NULL, 0, 5);
	}
}

static void damage_at_work_is_found_by_the_next_look_and_withdrawn(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer;

	fill(f, 3000);
	writer = open_writer(f);
	walk_some_time(writer, 1);
	spoil_names(f);
	walk_some_time(writer, 0);
	walk_some_time(writer, 3600 * 1000);
	assert_int_equal(walk_to_the_end(writer, 1, &f->err), CH_ECORRUPT);
	assert_non_null(strstr(f->err.detail, "pages of replica"));
	assert_int_equal(in_child(open_rc, f), -CH_ENOTFOUND);
	ch_replica_writer_free(writer);
	writer = open_as_it_is(f);
	assert_true(ch_replica_writer_is_rebuilding(writer));
	ch_replica_writer_free(writer);
}

/* Leaves its place in the table of readers as it is. */
static int read_and_die(struct fixture *f)
{
	struct ch_replica_reader *reader;

	if (ch_replica_reader_open(f->dir, &reader, &f->err))
		return 1;
	kill(getpid(), SIGKILL);
	return 2;
}

static void a_reader_that_crashes_makes_the_writer_look(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer;

	fill(f, 3000);
	writer = open_writer(f);
	/* One that leaves as it should is none. */
	assert_int_equal(in_child(open_rc, f), 0);
	assert_int_equal(in_child(read_and_die, f), -SIGKILL);
	walk_some_time(writer, 0);
	ch_replica_writer_free(writer);
	writer = open_writer(f);
	assert_int_equal(in_child(open_rc, f), 0);
	spoil_names(f);
	walk_some_time(writer, 0);
	assert_int_equal(in_child(read_and_die, f), -SIGKILL);
	assert_int_equal(walk_to_the_end(writer, 0, &f->err), CH_ECORRUPT);
	assert_int_equal(in_child(open_rc, f), -CH_ENOTFOUND);
	ch_replica_writer_free(writer);
}

/* Nor does it take a look that is at work, or was stopped, for a crash or a stuck reader. */
static void a_look_ends_with_its_writer_or_its_generation(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer;
	int64_t stuck_ms;

	fill(f, 3000);
	for (int round = 0; round < 20; round++) {
		writer = open_writer(f);
		poll(NULL, 0, 2);
		assert_int_equal(ch_replica_writer_walk(writer, 1, &f->err), CH_OK);
		apply(writer, shop, (uint64_t)round + 10, CH_RECORD_NAME);
		assert_int_equal(ch_replica_check_readers(writer, &stuck_ms), CH_OK);
		assert_int_equal(stuck_ms, 0);
		if (round % 2) {
			assert_int_equal(ch_replica_writer_new_generation(writer, NULL), CH_OK);
			apply(writer, shop, 9, CH_RECORD_NAME);
			assert_int_equal(ch_replica_writer_publish(writer, NULL), CH_OK);
		}
		ch_replica_writer_free(writer);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
	}
}

static void what_others_could_have_written_is_made_anew(void **state)
{
	static const char *files[] = {"data.mdb", "lock.mdb", ""};
	struct fixture *f = *state;
	char path[256];

	for (size_t i = 0; i < CH_ARRAY_LEN(files); i++) {
		fill(f, 3);
		live_path(f, files[i], path);
		assert_int_equal(chmod(path, 0777), 0);
		expect_rebuilt(f, CH_EAUTH);
		if (geteuid() != 0)
			continue;
		fill(f, 3);
		live_path(f, files[i], path);
		assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
		expect_rebuilt(f, CH_EAUTH);
	}
}

static void a_folder_that_cannot_be_used_is_told(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer;
	char path[160];

	snprintf(path, sizeof(path), "%s/none/replica", f->top);
	f->options.dir = path;
	assert_int_equal(ch_replica_writer_open(&f->options, &writer, &f->err), CH_EINVAL);
	assert_non_null(strstr(f->err.detail, "make it, owned by the agent's user"));
	snprintf(path, sizeof(path), "%s/file", f->top);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(ch_replica_writer_open(&f->options, &writer, &f->err), CH_EINVAL);
}

static void the_lock_file_has_no_holes(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	char path[256];

	f->options.max_readers = 0;
	fill(f, 1);
	live_path(f, "lock.mdb", path);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size >= 64 * 4096);
	assert_true(st.st_blocks * 512 >= st.st_size);
}

/* A process that has the live generation open until it is killed. */
static pid_t start_reader(struct fixture *f)
{
	struct ch_replica_reader *reader;
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		/* However the test ends. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) ||
			ch_replica_reader_open(f->dir, &reader, NULL) ||
			write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static int count_reader(const char *line, void *arg)
{
	int pid;

	*(int *)arg += sscanf(line, "%d", &pid) == 1; /* the first line is a heading */
	return 0;
}

static void a_look_through_gives_its_place_back(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	pid_t reader;
	int readers = 0;

	apply(writer, shop, 1, CH_RECORD_NAME);
	ch_replica_writer_free(writer);
	/* While nobody has it open, the table would be made anew. */
	reader = start_reader(f);
	writer = open_writer(f);
	assert_true(mdb_reader_list(writer->live.env, count_reader, &readers) >= 0);
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	assert_int_equal(readers, 1);
	ch_replica_writer_free(writer);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

/* As LMDB has it while it makes the table of readers. */
static void hold_table(const char *path, int told)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	int fd = open(path, O_RDWR);

	if (fd < 0 || fcntl(fd, F_SETLK, &lock) || write(told, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static bool waits_for_a_lock(pid_t pid)
{
	FILE *locks = fopen("/proc/locks", "r");
	char line[256];
	char kind[16];
	int waiter;
	bool found = false;

	assert_non_null(locks);
	while (fgets(line, sizeof(line), locks))
		found |= strstr(line, "->") &&
			 sscanf(strstr(line, "->"), "-> %15s %*s %*s %d", kind, &waiter) == 2 &&
			 waiter == pid;
	fclose(locks);
	return found;
}

static void a_table_that_was_left_half_made_is_no_damage(void **state)
{
	struct fixture *f = *state;
	char name[CH_GENERATION_NAME_B];
	char path[CH_REPLICA_PATH_B];
	struct stat st;
	int told[2];
	char byte;
	int status;
	pid_t holder;
	pid_t reader;

	fill(f, 10);
	assert_int_equal(
		ch_generation_read_pointer(f->dir, CH_REPLICA_CURRENT, name, NULL), CH_OK);
	assert_int_equal(ch_generation_path(path, f->dir, name, "lock.mdb"), CH_OK);
	/* Of its size, and without anything in it. */
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(truncate(path, st.st_size), 0);
	assert_int_equal(pipe(told), 0);
	holder = fork();
	if (holder == 0)
		hold_table(path, told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	reader = fork();
	if (reader == 0)
		_exit(open_rc(f));
	while (!waits_for_a_lock(reader))
		sched_yield();
	kill(holder, SIGKILL);
	assert_int_equal(waitpid(holder, &status, 0), holder);
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(told[0]);
	close(told[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_folder_has_no_replica_before_its_first_one_is_published),
		TEST(rubbish_in_the_pages_is_found_at_the_start_and_withdrawn),
		TEST(a_little_rubbish_in_the_pages_is_found_at_the_start),
		TEST(with_a_record_that_cannot_be_used_it_stays_until_there_is_another),
		TEST(damage_at_work_is_found_by_the_next_look_and_withdrawn),
		TEST(a_reader_that_crashes_makes_the_writer_look),
		TEST(a_look_ends_with_its_writer_or_its_generation),
		TEST(what_others_could_have_written_is_made_anew),
		TEST(a_folder_that_cannot_be_used_is_told),
		TEST(the_lock_file_has_no_holes),
		TEST(a_table_that_was_left_half_made_is_no_damage),
		TEST(a_look_through_gives_its_place_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
