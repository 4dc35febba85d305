/* The store comes back from a backup: what the edge has and it lacks is handed back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "world.h"

/* Ten names at version 5; then a store that has one at version 3 and lacks another. */
static void go_back_in_time(struct world *w)
{
	w->store.not_after_s = INT64_MAX / 2;
	world_put_many(w, 10, 5);
	world_steps(w, 1);
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	fake_store_put_cert(&w->store, "n00.example.com", 3);
	fake_store_forget(&w->store, "n09.example.com");
}

static void what_the_store_takes_stays_with_the_edge(void **state)
{
	struct world *w = *state;

	w->store.handback = "taken";
	go_back_in_time(w);
	world_steps(w, 6);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(w->store.handed_back, 2);
	assert_int_equal(world_live_names(w), 10);
	assert_int_equal(world_version_of(w, "n00.example.com"), 5);
	assert_int_equal(world_version_of(w, "n09.example.com"), 5);
	/* Once is enough. */
	world_steps(w, 3);
	assert_int_equal(w->store.handed_back, 2);
}

static void what_it_refuses_goes(void **state)
{
	struct world *w = *state;

	w->store.handback = "refused";
	go_back_in_time(w);
	world_steps(w, 6);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(w->store.handed_back, 2);
	assert_int_equal(world_version_of(w, "n00.example.com"), 3);
	assert_int_equal(world_version_of(w, "n09.example.com"), 0);
}

static void what_has_to_be_signed_again_is_waited_for(void **state)
{
	struct world *w = *state;

	w->store.handback = "soon";
	go_back_in_time(w);
	world_steps(w, 6);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_live_names(w), 10);
	fake_store_put_cert(&w->store, "n00.example.com", 1000);
	fake_store_put_cert(&w->store, "n09.example.com", 1001);
	world_steps(w, 3);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_version_of(w, "n09.example.com"), 1001);
}

static void but_not_for_ever(void **state)
{
	struct world *w = *state;

	w->store.handback = "soon";
	go_back_in_time(w);
	world_steps(w, 6);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	w->now_ms += 2 * CH_MINUTE_MS;
	world_steps(w, 1);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
}

/* Before it has changed over to what the first restore brought. */
static void a_store_that_is_restored_again_gets_all_again(void **state)
{
	struct world *w = *state;

	w->store.handback = "soon";
	go_back_in_time(w);
	world_steps(w, 6);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(w->store.handed_back, 2);
	w->store.handback = "taken";
	memset(w->store.epoch, 0xe3, CH_EPOCH_B);
	world_steps(w, 1);
	w->now_ms += 10 * CH_SECOND_MS; /* it is left alone for a moment */
	world_steps(w, 6);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(w->store.handed_back, 4);
	assert_int_equal(world_version_of(w, "n00.example.com"), 5);
	assert_int_equal(world_version_of(w, "n09.example.com"), 5);
	/* And after that. */
	memset(w->store.epoch, 0xe4, CH_EPOCH_B);
	world_steps(w, 1);
	w->now_ms += 10 * CH_SECOND_MS;
	world_steps(w, 6);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(w->store.handed_back, 6);
	assert_int_equal(world_version_of(w, "n09.example.com"), 5);
}

static void a_store_that_was_not_restored_wants_nothing(void **state)
{
	struct world *w = *state;

	go_back_in_time(w);
	world_steps(w, 6);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(w->store.handed_back, 0);
	assert_non_null(strstr(w->store.last_handback, "\"records\""));
	assert_int_equal(world_version_of(w, "n00.example.com"), 3);
}

/* Of the two that go alone then, the first is what the store takes offence at. */
static void what_the_store_cannot_read_keeps_nothing_else_back(void **state)
{
	struct world *w = *state;

	w->store.handback = "taken";
	w->store.bad_handbacks = 2;
	go_back_in_time(w);
	world_steps(w, 6);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(w->store.handed_back, 1);
	assert_int_equal(world_version_of(w, "n00.example.com"), 3);
	assert_int_equal(world_version_of(w, "n09.example.com"), 5);
}

/* More than a request holds. */
static void many_go_in_parts(void **state)
{
	struct world *w = *state;

	w->store.handback = "taken";
	w->store.not_after_s = INT64_MAX / 2;
	world_put_many(w, 99, 5);
	world_steps(w, 2);
	assert_int_equal(world_live_names(w), 99);
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	world_put_many(w, 99, 3);
	world_steps(w, 8);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(w->store.handed_back, 99);
	assert_int_equal(world_version_of(w, "n98.example.com"), 5);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(what_the_store_takes_stays_with_the_edge),
		T(what_it_refuses_goes),
		T(what_has_to_be_signed_again_is_waited_for),
		T(but_not_for_ever),
		T(a_store_that_is_restored_again_gets_all_again),
		T(a_store_that_was_not_restored_wants_nothing),
		T(what_the_store_cannot_read_keeps_nothing_else_back),
		T(many_go_in_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
