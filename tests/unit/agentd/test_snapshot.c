/* A replica's first fill: by name, in parts, while the store goes on changing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agentd/signatures.h"
#include "world.h"

static int setup(void **state)
{
	int rc = world_setup(state);
	struct world *w = *state;

	w->store.has_snapshots = true;
	return rc;
}

static void it_is_filled_by_name_and_the_feed_goes_on(void **state)
{
	struct world *w = *state;

	fake_store_put_cert(&w->store, "b.example.com", 1);
	fake_store_put_cert(&w->store, "a.example.com", 1);
	fake_store_put_tombstone(&w->store, "gone.example.com", 1);
	assert_int_equal(world_step(w), 0);
	assert_int_equal(w->store.snapshots, 1);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer) == false);
	assert_int_equal(world_version_of(w, "a.example.com"), 1);
	assert_int_equal(world_version_of(w, "b.example.com"), 1);
	assert_int_equal(world_live_names(w), 2);
	assert_int_equal(world_cursor_of(w).seq, 3);
	fake_store_put_cert(&w->store, "b.example.com", 2);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_path, "/v1/feed?"));
	assert_non_null(strstr(w->store.last_path, "&after=3&base=3"));
	assert_int_equal(world_version_of(w, "b.example.com"), 2);
	assert_int_equal(w->store.snapshots, 1);
}

static void an_empty_store_makes_an_empty_replica(void **state)
{
	struct world *w = *state;

	world_steps(w, 1);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_live_names(w), 0);
}

static void changes_meanwhile(struct fake_store *s)
{
	if (s->snapshots != 1)
		return;
	fake_store_put_cert(s, "n00.example.com", 2);	   /* handed out already */
	fake_store_put_tombstone(s, "n01.example.com", 2); /* the same, and gone now */
	fake_store_put_tombstone(s, "n09.example.com", 2); /* yet to come, and gone */
	fake_store_put_cert(s, "n08.example.com", 2);	   /* yet to come */
}

static void what_changes_meanwhile_comes_by_the_feed(void **state)
{
	struct world *w = *state;

	world_put_many(w, 10, 1);
	w->store.frames_max = 4;
	w->store.asked = changes_meanwhile;
	world_steps(w, 1);
	/* All parts have come, but not yet what changed: it is not published. */
	assert_int_equal(w->store.snapshots, 3);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_cursor_of(w).seq, 10);
	assert_int_equal(world_cursor_of(w).base, 14);
	world_steps(w, 1);
	/* Every removal since the beginning is still to be seen. */
	assert_non_null(strstr(w->store.last_path, "&after=10&base=10"));
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_version_of(w, "n00.example.com"), 2);
	assert_int_equal(world_version_of(w, "n01.example.com"), 0);
	assert_int_equal(world_version_of(w, "n08.example.com"), 2);
	assert_int_equal(world_version_of(w, "n09.example.com"), 0);
	assert_int_equal(world_live_names(w), 8);
}

static void go_down(struct fake_store *s)
{
	s->down = s->snapshots == 2;
}

static void it_resumes_after_a_restart(void **state)
{
	struct world *w = *state;

	world_put_many(w, 10, 1);
	w->store.frames_max = 4;
	w->store.asked = go_down;
	assert_true(world_step(w) > 0);
	assert_int_equal(w->store.snapshots, 2);
	ch_follow_close(&w->follow);
	w->store.down = false;
	world_open_follow(w);
	world_steps(w, 1);
	/* The first two parts are not fetched again. */
	assert_int_equal(w->store.snapshots, 3);
	assert_non_null(strstr(w->store.last_path, "after=n07.example.com"));
	assert_int_equal(world_live_names(w), 10);
}

static void renew_epoch(struct fake_store *s)
{
	if (s->snapshots == 1)
		s->epoch[0] ^= 1;
}

static void another_epoch_begins_again(void **state)
{
	struct world *w = *state;

	world_put_many(w, 10, 1);
	w->store.frames_max = 4;
	w->store.asked = renew_epoch;
	world_steps(w, 1);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	fake_store_forget(&w->store, "n02.example.com");
	w->now_ms += 10 * 60000;
	world_steps(w, 2);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_live_names(w), 9);
}

static void a_part_that_does_not_say_where_to_go_on_is_refused(void **state)
{
	struct world *w = *state;

	world_put_many(w, 10, 1);
	w->store.frames_max = 4;
	w->store.bad_place = true;
	assert_true(world_step(w) > 0);
	assert_int_equal(world_live_names(w), 0);
	w->store.bad_place = false;
	w->store.stuck = true; /* before the first name: it would never end */
	w->store.snapshots = 0;
	assert_true(world_step(w) > 0);
	assert_true(w->store.snapshots <= 3);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	w->store.stuck = false;
	world_steps(w, 1);
	assert_int_equal(world_live_names(w), 10);
}

static void a_wrong_signature_is_refused_here_too(void **state)
{
	struct world *w = *state;

	world_put_many(w, 40, 1);
	fake_store_put_forged(&w->store, "n07.example.com", 2);
	fake_store_put_cert_with_chain(&w->store, "nochain.example.com", 1, false, true);
	fake_store_put_cert_with_chain(&w->store, "chain.example.com", 1, true, true);
	world_steps(w, 1);
	assert_int_equal(world_live_names(w), 41);
	assert_int_equal(world_version_of(w, "n07.example.com"), 0);
	assert_non_null(strstr(w->store.last_ack, "not signed by a pinned key"));
}

static void a_store_without_snapshots_is_read_from_the_beginning(void **state)
{
	struct world *w = *state;

	world_put_many(w, 10, 1);
	w->store.frames_max = 4;
	w->store.asked = go_down;
	assert_true(world_step(w) > 0);
	/* It was replaced by an older one while the snapshot was taken. */
	w->store.down = false;
	w->store.has_snapshots = false;
	fake_store_forget(&w->store, "n00.example.com");
	w->now_ms += 10 * 60000;
	world_steps(w, 3);
	assert_int_equal(world_live_names(w), 9);
	assert_int_equal(world_version_of(w, "n00.example.com"), 0);
}

/* Every thread says the same. */
static void signatures_do_not_depend_on_the_threads(void **state)
{
	struct world *w = *state;
	struct ch_buf frames;
	struct ch_reader reader;
	struct ch_signatures one;
	struct ch_signatures many;

	ch_buf_init(&frames, CH_FEED_ANSWER_MAX_B);
	world_put_many(w, 90, 1);
	for (int i = 0; i < 90; i += 7)
		w->store.rows[i].record.data[w->store.rows[i].record.len - 1] ^= 1;
	for (size_t i = 0; i < w->store.n_rows; i++) {
		struct ch_feed_frame frame = {.type = CH_FEED_RECORD,
			.payload = w->store.rows[i].record.data,
			.payload_len = w->store.rows[i].record.len};

		assert_int_equal(ch_feed_add_frame(&frames, &frame), CH_OK);
	}
	ch_reader_init(&reader, frames.data, frames.len);
	assert_int_equal(ch_signatures_check(w->signers, reader, 1, &one), CH_OK);
	assert_int_equal(ch_signatures_check(w->signers, reader, 5, &many), CH_OK);
	assert_int_equal(one.n, 90);
	assert_int_equal(many.n, 90);
	for (size_t i = 0; i < 90; i++) {
		assert_int_equal(ch_signatures_are_good(&one, i), i % 7 != 0);
		assert_int_equal(ch_signatures_are_good(&many, i), i % 7 != 0);
	}
	assert_false(ch_signatures_are_good(&many, 90));
	ch_signatures_done(&one);
	ch_signatures_done(&many);
	ch_buf_done(&frames);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_filled_by_name_and_the_feed_goes_on),
		TEST(an_empty_store_makes_an_empty_replica),
		TEST(what_changes_meanwhile_comes_by_the_feed),
		TEST(it_resumes_after_a_restart),
		TEST(another_epoch_begins_again),
		TEST(a_part_that_does_not_say_where_to_go_on_is_refused),
		TEST(a_wrong_signature_is_refused_here_too),
		TEST(a_store_without_snapshots_is_read_from_the_beginning),
		TEST(signatures_do_not_depend_on_the_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
