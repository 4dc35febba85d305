/* A replica that is lost or damaged under the agent, and a store that goes back again and
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "world.h"

/* DIR/file, or with live DIR/<live generation>/file. */
static void path_of(struct world *w, bool live, const char *file, char ret_path[256])
{
	CH_AUTO_FREE char *text = NULL;
	struct ch_err err = {0};
	char path[128];
	size_t len;

	if (!live) {
		snprintf(ret_path, 256, "%s/%s", w->replica, file);
		return;
	}
	snprintf(path, sizeof(path), "%s/current", w->replica);
	assert_int_equal(ch_file_read(path, 100, &text, &len, &err), CH_OK);
	snprintf(ret_path, 256, "%s/%.*s/%s", w->replica, (int)strcspn(text, "\n"), text, file);
}

static void write_text(const char *path, const char *text)
{
	struct ch_err err;

	assert_int_equal(ch_file_write_atomic(path, text, strlen(text), 0644, &err), CH_OK);
}

/* Whether the agent notices within what it allows itself. */
static bool is_noticed(struct world *w)
{
	w->now_ms += CH_SECOND_MS;
	return ch_follow_is_lost(&w->follow);
}

static void make_live(struct world *w)
{
	world_put_many(w, 10, 1);
	world_steps(w, 1);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_false(is_noticed(w));
}

static void expect_rebuilt(struct world *w)
{
	unsigned polls = w->store.polls;

	world_steps(w, 1);
	assert_int_equal(w->store.polls, polls + 1);
	assert_null(strstr(w->store.last_path, "epoch="));
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_live_names(w), 10);
	assert_false(is_noticed(w));
}

static void files_that_are_removed_are_noticed_and_made_anew(void **state)
{
	static const char *files[] = {"data.mdb", "lock.mdb"};
	struct world *w = *state;
	char path[256];

	make_live(w);
	for (size_t i = 0; i < CH_ARRAY_LEN(files); i++) {
		path_of(w, true, files[i], path);
		assert_int_equal(unlink(path), 0);
		assert_true(is_noticed(w));
		expect_rebuilt(w);
	}
	path_of(w, true, "", path);
	world_remove_tree(path);
	assert_true(is_noticed(w));
	expect_rebuilt(w);
	world_remove_tree(w->replica);
	assert_true(is_noticed(w));
	expect_rebuilt(w);
}

static void files_that_are_replaced_damaged_or_opened_to_others_are_noticed(void **state)
{
	struct world *w = *state;
	char path[256];

	make_live(w);
	path_of(w, true, "data.mdb", path);
	write_text(path, "something else");
	assert_true(is_noticed(w));
	expect_rebuilt(w);
	path_of(w, true, "data.mdb", path);
	assert_int_equal(truncate(path, 8192), 0);
	assert_true(is_noticed(w));
	expect_rebuilt(w);
	path_of(w, true, "data.mdb", path);
	assert_int_equal(chmod(path, 0666), 0);
	assert_true(is_noticed(w));
	expect_rebuilt(w);
}

/* What the agent logs during one step. */
static void step_logging(struct world *w, char *ret_log, size_t log_b)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t len;

	assert_non_null(file);
	assert_true(saved >= 0);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	world_steps(w, 1);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(file);
	len = fread(ret_log, 1, log_b - 1, file);
	ret_log[len] = 0;
	fclose(file);
}

static void damage_that_a_poll_comes_upon_is_told_as_what_it_is(void **state)
{
	struct world *w = *state;
	char path[256];
	char log[4096];

	make_live(w);
	path_of(w, true, "data.mdb", path);
	assert_int_equal(truncate(path, 0), 0);
	/* It was looked at just now, and is not again yet. */
	step_logging(w, log, sizeof(log));
	assert_non_null(strstr(log, "first pages are damaged: the replica is fetched anew"));
	expect_rebuilt(w);
	step_logging(w, log, sizeof(log));
	assert_string_equal(log, "");
}

static void a_lost_pointer_is_written_again_and_nothing_is_fetched(void **state)
{
	static const char *texts[] = {"", "rubbish", "f9-0123456789abcdef\n", NULL};
	struct world *w = *state;
	char path[256];
	char live[256];
	char again[256];
	unsigned polls;

	make_live(w);
	polls = w->store.polls;
	path_of(w, true, "", live);
	path_of(w, false, "current", path);
	for (size_t i = 0; i < CH_ARRAY_LEN(texts); i++) {
		if (texts[i])
			write_text(path, texts[i]);
		else
			assert_int_equal(unlink(path), 0);
		assert_false(is_noticed(w));
		path_of(w, true, "", again);
		assert_string_equal(again, live);
	}
	assert_int_equal(w->store.polls, polls);
}

static void another_agents_lock_is_respected_after_the_folder_was_replaced(void **state)
{
	struct world *w = *state;
	struct ch_replica_options options = w->follow.replica;
	struct ch_replica_writer *other;
	struct ch_err err;

	make_live(w);
	world_remove_tree(w->replica);
	assert_int_equal(ch_replica_writer_open(&options, &other, &err), CH_OK);
	assert_true(is_noticed(w));
	assert_true(world_step(w) > 0);
	assert_null(w->follow.writer);
	ch_replica_writer_free(other);
	expect_rebuilt(w);
}

static void without_a_store_the_loss_waits_and_the_rest_goes_on(void **state)
{
	struct world *w = *state;

	make_live(w);
	w->store.down = true;
	world_remove_tree(w->replica);
	assert_true(is_noticed(w));
	assert_true(world_step(w) > 0);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_false(is_noticed(w));
	assert_true(world_step(w) > 0);
	w->store.down = false;
	expect_rebuilt(w);
}

static void a_damaged_record_is_found_at_the_start(void **state)
{
	struct world *w = *state;
	struct ch_record r = {.kind = CH_RECORD_NAME,
		.version = 9,
		.name = "n01.example.com",
		.name_len = 15};
	struct ch_cursor cursor;
	enum ch_apply_effect effect;

	make_live(w);
	cursor = world_cursor_of(w);
	assert_int_equal(ch_replica_apply_begin(w->follow.writer), CH_OK);
	assert_int_equal(ch_replica_put(w->follow.writer, &r,
				 (const uint8_t *)"\1\1\0\0rubbish", 11, &effect),
		CH_OK);
	assert_int_equal(ch_replica_apply_commit(w->follow.writer, &cursor, NULL), CH_OK);
	ch_follow_close(&w->follow);
	world_open_follow(w);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	expect_rebuilt(w);
}

/* Rubbish in all pages but the first two, which say what lies where. */
static void spoil_pages(struct world *w)
{
	uint8_t page[4096];
	char path[256];
	int fd;

	memset(page, 0xa5, sizeof(page));
	path_of(w, true, "data.mdb", path);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	for (off_t at = 8192, end = lseek(fd, 0, SEEK_END); at < end; at += 4096)
		assert_int_equal(pwrite(fd, page, sizeof(page), at), (ssize_t)sizeof(page));
	close(fd);
}

static void damaged_pages_are_found_in_time_withdrawn_and_made_anew(void **state)
{
	struct world *w = *state;
	char path[256];
	bool noticed = false;

	make_live(w);
	path_of(w, false, "current", path);
	w->follow.check_ms = 12 * CH_HOUR_MS;
	w->store.down = true;
	spoil_pages(w);
	/* Not before it is time: all of it is read, however large it is. */
	for (int i = 0; i < 10; i++)
		assert_false(is_noticed(w));
	w->now_ms += w->follow.check_ms;
	for (int tries = 0; !noticed && tries < 6000; tries++) {
		noticed = is_noticed(w);
		poll(NULL, 0, 5);
	}
	assert_true(noticed);
	assert_non_null(strstr(w->follow.trouble, "pages of replica"));
	assert_int_equal(access(path, F_OK), -1);
	/* It is not put back while there is no store. */
	assert_true(world_step(w) > 0);
	assert_false(is_noticed(w));
	assert_int_equal(access(path, F_OK), -1);
	w->store.down = false;
	expect_rebuilt(w);
	assert_int_equal(access(path, F_OK), 0);
}

/* Lets time pass until the store is asked again; returns how long that was. */
static int64_t until_asked(struct world *w)
{
	unsigned polls = w->store.polls;
	int64_t from_ms = w->now_ms;

	while (w->store.polls == polls) {
		int64_t wait_ms = world_step(w);

		if (w->store.polls == polls) {
			assert_in_range(wait_ms, 1, CH_HEARTBEAT_MS);
			w->now_ms += wait_ms;
		}
	}
	return w->now_ms - from_ms;
}

static void a_store_that_starts_over_and_over_is_asked_less_and_less(void **state)
{
	struct world *w = *state;
	int64_t last = 0;
	unsigned acks;

	make_live(w);
	/* Once is nothing. */
	w->store.epoch[0]++;
	world_steps(w, 1);
	assert_int_equal(until_asked(w), 0);
	assert_int_equal(world_live_names(w), 10);
	acks = w->store.acks;
	for (int i = 0; i < 12; i++) {
		int64_t waited;

		w->store.epoch[0]++;
		(void)until_asked(w); /* RESET */
		waited = until_asked(w);
		assert_true(waited >= last);
		last = waited;
		assert_int_equal(world_live_names(w), 10);
	}
	assert_in_range(last, 5 * CH_MINUTE_MS, 5 * CH_MINUTE_MS + 2 * CH_SECOND_MS);
	/* It has gone on reporting, and what is wrong with it. */
	assert_true(w->store.acks > acks + last / CH_HEARTBEAT_MS);
	assert_non_null(strstr(w->store.last_ack, "begin again"));
	/* All that is over some time after it ends. */
	w->now_ms += 16 * CH_MINUTE_MS;
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_ack, "\"error\":null"));
	w->store.epoch[0]++;
	world_steps(w, 1);
	assert_int_equal(until_asked(w), 0);
}

static void a_store_that_never_gets_beyond_the_start_is_asked_less_and_less(void **state)
{
	struct world *w = *state;
	int64_t last = 0;

	make_live(w);
	for (int i = 0; i < 20; i++) {
		w->store.epoch[0]++;
		last = until_asked(w); /* every other answer is RESET, to another epoch */
	}
	assert_true(last >= CH_MINUTE_MS);
	assert_int_equal(world_live_names(w), 10);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_that_are_removed_are_noticed_and_made_anew),
		TEST(files_that_are_replaced_damaged_or_opened_to_others_are_noticed),
		TEST(damage_that_a_poll_comes_upon_is_told_as_what_it_is),
		TEST(a_lost_pointer_is_written_again_and_nothing_is_fetched),
		TEST(another_agents_lock_is_respected_after_the_folder_was_replaced),
		TEST(without_a_store_the_loss_waits_and_the_rest_goes_on),
		TEST(a_damaged_record_is_found_at_the_start),
		TEST(damaged_pages_are_found_in_time_withdrawn_and_made_anew),
		TEST(a_store_that_starts_over_and_over_is_asked_less_and_less),
		TEST(a_store_that_never_gets_beyond_the_start_is_asked_less_and_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
