#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "world.h"

static void remove_many(struct world *w, int from, int n, uint64_t version)
{
	char name[32];

	for (int i = from; i < from + n; i++) {
		snprintf(name, sizeof(name), "n%02d.example.com", i);
		fake_store_put_tombstone(&w->store, name, version);
	}
}

/* NAME records are not signed: whoever has the store can make any number of them. */
static void put_names(struct world *w, int n)
{
	char name[64];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "plain%03d.example.com", i);
		fake_store_put_name(&w->store, name, 1);
	}
}

static void names_without_a_certificate_do_not_loosen_it(void **state)
{
	struct world *w = *state;

	world_put_many(w, 20, 1);
	put_names(w, 100);
	world_steps(w, 1);
	assert_int_equal(world_live_names(w), 120);
	remove_many(w, 0, 6, 2);
	world_steps(w, 2);
	assert_int_equal(world_live_names(w), 120);
	assert_non_null(strstr(w->store.last_ack, "Removing 6 of 20 live names"));
}

/* Nobody loses anything: they had no HTTPS. */
static void names_without_a_certificate_go_without_a_question(void **state)
{
	struct world *w = *state;
	char name[64];

	world_put_many(w, 20, 1);
	put_names(w, 30);
	world_steps(w, 1);
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "plain%03d.example.com", i);
		fake_store_put_tombstone(&w->store, name, 2);
	}
	world_steps(w, 1);
	assert_int_equal(world_live_names(w), 20);
}

/* A store that makes the agent begin again cannot take a few names each time. */
static void beginning_again_does_not_loosen_it(void **state)
{
	struct world *w = *state;
	char name[64];

	world_put_many(w, 20, 1);
	world_steps(w, 1);
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "n%02d.example.com", i);
		fake_store_forget(&w->store, name);
		if (i % 2 == 0)
			continue;
		w->store.epoch[0]++;
		w->follow.restarts = 0; /* it is asked at once */
		world_steps(w, 3);
	}
	assert_int_equal(world_live_names(w), 18);
	assert_non_null(strstr(w->store.last_ack, "of 18 live names"));
}

static void confirm(struct world *w)
{
	CH_AUTO_FREE char *text = NULL;
	char id[CH_BRAKE_ID_B];
	struct ch_err err;

	assert_int_equal(ch_brake_confirm(w->replica, &text, id, &err), CH_OK);
	assert_non_null(strstr(text, "live names"));
}

static void a_mass_removal_is_refused_until_it_is_confirmed(void **state)
{
	struct world *w = *state;

	world_put_many(w, 20, 1);
	world_steps(w, 1);
	remove_many(w, 0, 6, 2);
	fake_store_put_cert(&w->store, "n19.example.com", 2);
	world_steps(w, 2);
	assert_int_equal(world_live_names(w), 20);
	assert_int_equal(world_version_of(w, "n19.example.com"), 1);
	assert_int_equal(world_cursor_of(w).seq, 20);
	assert_non_null(strstr(w->store.last_ack, "Removing 6 of 20 live names"));
	assert_non_null(strstr(w->store.last_ack, "\"seq\":20"));
	assert_int_equal(w->store.polls, 2);
	confirm(w);
	world_steps(w, 1);
	assert_int_equal(world_live_names(w), 14);
	assert_int_equal(world_version_of(w, "n19.example.com"), 2);
	assert_non_null(strstr(w->store.last_ack, "\"error\":null"));
	/* The confirmation was for that one removal. */
	remove_many(w, 6, 6, 2);
	world_steps(w, 2);
	assert_int_equal(world_live_names(w), 14);
}

static void few_removals_pass_but_not_many_little_ones_in_the_window(void **state)
{
	struct world *w = *state;

	world_put_many(w, 20, 1);
	world_steps(w, 1);
	remove_many(w, 0, 2, 2);
	world_steps(w, 1);
	assert_int_equal(world_live_names(w), 18);
	w->now_ms += CH_MINUTE_MS;
	remove_many(w, 2, 2, 2);
	world_steps(w, 1);
	assert_int_equal(world_live_names(w), 18);
	w->now_ms += 11 * CH_MINUTE_MS;
	world_steps(w, 1);
	assert_int_equal(world_live_names(w), 16);
	assert_non_null(strstr(w->store.last_ack, "\"error\":null"));
}

static void taking_the_certificates_away_is_a_removal_too(void **state)
{
	struct world *w = *state;
	char name[32];

	world_put_many(w, 20, 1);
	world_steps(w, 1);
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "n%02d.example.com", i);
		fake_store_put_name(&w->store, name, 2);
	}
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, "n00.example.com"), 1);
	assert_true(ch_brake_is_on(&w->follow.brake));
}

static void a_refusal_ends_when_the_store_takes_it_back(void **state)
{
	struct world *w = *state;

	world_put_many(w, 20, 1);
	world_steps(w, 1);
	remove_many(w, 0, 6, 2);
	world_steps(w, 2);
	world_put_many(w, 20, 3);
	assert_true(world_step(w) > 0);
	assert_int_equal(w->store.polls, 2);
	w->now_ms += 11 * CH_SECOND_MS;
	world_steps(w, 1);
	assert_false(ch_brake_is_on(&w->follow.brake));
	assert_int_equal(world_version_of(w, "n00.example.com"), 3);
	assert_int_equal(world_live_names(w), 20);
}

static void a_snapshot_that_lacks_many_names_does_not_go_live(void **state)
{
	struct world *w = *state;

	world_put_many(w, 20, 1);
	world_steps(w, 1);
	for (size_t i = 0; i < 10; i++)
		fake_store_forget(&w->store, w->store.rows[i].name);
	/* As many others in their place: only the names themselves tell. */
	for (int i = 50; i < 60; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%02d.example.com", i);
		fake_store_put_cert(&w->store, name, 1);
	}
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	world_steps(w, 3);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_true(ch_brake_is_on(&w->follow.brake));
	assert_non_null(strstr(w->store.last_ack, "Removing 10 of 20 live names"));
	ch_follow_close(&w->follow);
	world_open_follow(w);
	world_steps(w, 1);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	confirm(w);
	world_steps(w, 1);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_live_names(w), 20);
	assert_int_equal(world_version_of(w, "n00.example.com"), 0);
}

static void whoever_confirms_learns_what_became_of_it(void **state)
{
	struct world *w = *state;
	CH_AUTO_FREE char *text = NULL;
	CH_AUTO_FREE char *more = NULL;
	char id[CH_BRAKE_ID_B];
	struct ch_err err;

	world_put_many(w, 20, 1);
	world_steps(w, 1);
	remove_many(w, 0, 6, 2);
	world_steps(w, 1);
	assert_int_equal(ch_brake_confirm(w->replica, &text, id, &err), CH_OK);
	assert_int_equal(ch_brake_outcome(w->replica, id, &more), CH_EAGAIN);
	/* More comes before the agent looks: only what was told is released. */
	remove_many(w, 6, 6, 2);
	world_steps(w, 1);
	assert_int_equal(ch_brake_outcome(w->replica, id, &more), CH_ECONFLICT);
	assert_non_null(strstr(more, "removing 6 of 20"));
	assert_int_equal(world_live_names(w), 20);
	free(text);
	text = NULL;
	assert_int_equal(ch_brake_confirm(w->replica, &text, id, &err), CH_OK);
	world_steps(w, 1);
	assert_int_equal(ch_brake_outcome(w->replica, id, &more), CH_OK);
	assert_int_equal(world_live_names(w), 8);
}

static void a_stale_confirmation_releases_nothing(void **state)
{
	struct world *w = *state;
	CH_AUTO_FREE char *text = NULL;
	char id[CH_BRAKE_ID_B];
	char path[128];
	struct ch_err err;

	assert_int_equal(ch_brake_confirm(w->replica, &text, id, &err), CH_ENOTFOUND);
	snprintf(path, sizeof(path), "%s/removal-confirmed", w->replica);
	world_put_many(w, 20, 1);
	world_steps(w, 1);
	assert_int_equal(ch_file_write_atomic(path, "0123456789abcdef", 16, 0644, &err), CH_OK);
	remove_many(w, 0, 6, 2);
	world_steps(w, 3);
	assert_int_equal(world_live_names(w), 20);
}

static void a_confirmation_releases_no_more_than_was_asked_about(void **state)
{
	struct world *w = *state;

	world_put_many(w, 20, 1);
	world_steps(w, 1);
	remove_many(w, 0, 6, 2);
	/* So that whatever comes later seems to have been there when it was confirmed. */
	w->store.claimed_head = 1000;
	world_steps(w, 2);
	confirm(w);
	remove_many(w, 6, 9, 2);
	world_steps(w, 2);
	assert_int_equal(world_live_names(w), 20);
	assert_true(ch_brake_is_on(&w->follow.brake));
	assert_int_equal(w->follow.brake.removing, 9);
}

static void a_snapshot_that_shrank_after_the_question_is_asked_about_again(void **state)
{
	struct world *w = *state;

	world_put_many(w, 20, 1);
	world_steps(w, 1);
	for (size_t i = 0; i < 6; i++)
		fake_store_forget(&w->store, w->store.rows[i].name);
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	world_steps(w, 3);
	assert_int_equal(w->follow.brake.removing, 6);
	/* The comparison is made now and then only; this comes in between. */
	remove_many(w, 6, 10, 2);
	world_steps(w, 1);
	assert_int_equal(w->follow.brake.removing, 6);
	confirm(w);
	world_steps(w, 1);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(w->follow.brake.removing, 16);
	confirm(w);
	world_steps(w, 1);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_live_names(w), 4);
}

static void a_snapshot_of_expired_certificates_does_not_go_live(void **state)
{
	struct world *w = *state;

	w->store.not_after_s = w->now_ms / 1000 + 86400;
	world_put_many(w, 20, 2);
	world_steps(w, 1);
	/* Each was signed rightly, long ago. */
	w->store.not_after_s = 0;
	world_put_many(w, 20, 1);
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	world_steps(w, 3);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_true(ch_brake_is_on(&w->follow.brake));
	assert_int_equal(w->follow.brake.removing, 20);
}

/* The file is the agent's; who reads it is root, at a terminal. */
static void what_is_refused_is_told_without_control_characters(void **state)
{
	struct world *w = *state;
	CH_AUTO_FREE char *text = NULL;
	char id[CH_BRAKE_ID_B];
	char path[256];
	FILE *file;
	struct ch_err err;

	snprintf(path, sizeof(path), "%s/removal-refused", w->replica);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"%0*d\nRefused\033]0;x\007 \x9b"
		"31m.\n",
		CH_BRAKE_ID_B - 1, 0);
	fclose(file);
	assert_int_equal(ch_brake_confirm(w->replica, &text, id, &err), CH_OK);
	assert_string_equal(text, "Refused?]0;x? ?31m.\n");
}

static void set_age(const char *path, int64_t age_ms)
{
	const struct timespec when = {.tv_sec = (ch_now_ms() - age_ms) / CH_SECOND_MS};
	const struct timespec times[] = {when, when};

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void what_was_half_written_goes_with_the_next_start(void **state)
{
	struct world *w = *state;
	const struct ch_brake_limits limits = {.percent = 1, .count = 1};
	struct ch_brake brake;
	struct ch_err err;
	char left[256];
	char other[256];

	snprintf(left, sizeof(left), "%s/removal-refused.tmp.0123456789abcdef", w->replica);
	snprintf(other, sizeof(other), "%s/removal.tmp.0123456789abcdef", w->replica);
	assert_int_equal(ch_file_create(left, "half", 4, 0600, &err), CH_OK);
	assert_int_equal(ch_file_create(other, "half", 4, 0600, &err), CH_OK);
	set_age(left, 0);
	set_age(other, 2 * CH_FILE_STALE_MS);
	ch_brake_init(&brake, &limits, w->replica);
	assert_int_equal(access(left, F_OK), 0);
	set_age(left, 2 * CH_FILE_STALE_MS);
	ch_brake_init(&brake, &limits, w->replica);
	assert_int_equal(access(left, F_OK), -1);
	assert_int_equal(remove(other), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_mass_removal_is_refused_until_it_is_confirmed),
		TEST(few_removals_pass_but_not_many_little_ones_in_the_window),
		TEST(taking_the_certificates_away_is_a_removal_too),
		TEST(a_refusal_ends_when_the_store_takes_it_back),
		TEST(a_snapshot_that_lacks_many_names_does_not_go_live),
		TEST(whoever_confirms_learns_what_became_of_it),
		TEST(a_confirmation_releases_no_more_than_was_asked_about),
		TEST(a_snapshot_that_shrank_after_the_question_is_asked_about_again),
		TEST(a_snapshot_of_expired_certificates_does_not_go_live),
		TEST(a_stale_confirmation_releases_nothing),
		TEST(names_without_a_certificate_do_not_loosen_it),
		TEST(names_without_a_certificate_go_without_a_question),
		TEST(beginning_again_does_not_loosen_it),
		TEST(what_is_refused_is_told_without_control_characters),
		TEST(what_was_half_written_goes_with_the_next_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
