/* Who is woken when: several workers wait, and only one of them for what was put aside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "issuerd/queue.h"

#define TAKERS 4
#define SOON_MS 20
#define LATE_MS (10 * CH_MINUTE_MS)
/* Who is not woken waits for ever, where nothing of cmocka's can end it. */
#define PATIENCE_S 30

static struct ch_queue queue;

struct taker {
	pthread_t thread;
	uint64_t id; /* of the order that it got; 0: none, the queue was closed */
	int64_t at_ms;
};

static struct taker takers[TAKERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned n_taken;

static struct ch_work *work(uint64_t id)
{
	struct ch_work *made = calloc(1, sizeof(*made));

	assert_non_null(made);
	made->id = id;
	return made;
}

static void *take_one(void *arg)
{
	struct taker *taker = arg;
	struct ch_work *got = ch_queue_take(&queue);

	taker->at_ms = ch_mono_ms();
	taker->id = got ? got->id : 0;
	ch_work_free(got);
	pthread_mutex_lock(&lock);
	n_taken++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static bool is_empty(void)
{
	return queue.n == 0 && queue.n_aside == 0;
}

/* one_watches: returns when one of them does. */
static void start(unsigned n, bool one_watches)
{
	bool waits = false;

	n_taken = 0;
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(
			pthread_create(&takers[i].thread, NULL, take_one, &takers[i]), 0);
	while (one_watches && !waits) {
		pthread_mutex_lock(&queue.lock);
		waits = queue.watched;
		pthread_mutex_unlock(&queue.lock);
		sched_yield();
	}
}

static void wait_taken(unsigned n)
{
	pthread_mutex_lock(&lock);
	while (n_taken < n)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void join(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		pthread_join(takers[i].thread, NULL);
}

static const struct taker *who_got(uint64_t id)
{
	for (size_t i = 0; i < TAKERS; i++)
		if (takers[i].id == id)
			return &takers[i];
	fail_msg("nobody got order %u", (unsigned)id);
	return NULL;
}

static int set_up(void **state)
{
	memset(takers, 0, sizeof(takers));
	ch_queue_init(&queue, 8);
	alarm(PATIENCE_S);
	return 0;
}

static int tear_down(void **state)
{
	alarm(0);
	ch_queue_done(&queue);
	return 0;
}

static void each_that_is_due_gets_a_taker(void **state)
{
	int64_t due_ms = ch_mono_ms() + SOON_MS;

	for (uint64_t id = 1; id <= TAKERS; id++)
		ch_queue_put_aside(&queue, work(id), due_ms + (int64_t)id);
	start(TAKERS, false);
	wait_taken(TAKERS);
	join(TAKERS);
	for (uint64_t id = 1; id <= TAKERS; id++)
		assert_true(who_got(id)->at_ms >= due_ms + (int64_t)id);
	assert_true(is_empty());
	assert_false(queue.watched);
}

static void what_is_due_earlier_wakes_the_watcher(void **state)
{
	int64_t due_ms;

	ch_queue_put_aside(&queue, work(1), ch_mono_ms() + LATE_MS);
	start(1, true);
	due_ms = ch_mono_ms() + SOON_MS;
	ch_queue_put_aside(&queue, work(2), due_ms);
	wait_taken(1);
	join(1);
	assert_true(who_got(2)->at_ms >= due_ms);
	assert_int_equal(queue.n_aside, 1);
}

static void what_is_hurried_wakes_the_watcher(void **state)
{
	ch_queue_put_aside(&queue, work(1), ch_mono_ms() + LATE_MS);
	ch_queue_put_aside(&queue, work(2), ch_mono_ms() + 2 * LATE_MS);
	start(1, true);
	ch_queue_hurry(&queue, 2);
	wait_taken(1);
	join(1);
	assert_non_null(who_got(2));
	assert_int_equal(queue.n_aside, 1);
}

/* It alone waits: it is woken for what nobody else can take. */
static void what_is_new_wakes_the_watcher_too(void **state)
{
	ch_queue_put_aside(&queue, work(1), ch_mono_ms() + LATE_MS);
	start(1, true);
	ch_queue_put(&queue, work(2));
	wait_taken(1);
	join(1);
	assert_non_null(who_got(2));
	assert_int_equal(queue.n_aside, 1);
}

/* The watcher may be the one that gets the new order: then another one watches. */
static void the_watch_is_handed_on(void **state)
{
	int64_t due_ms = ch_mono_ms() + SOON_MS;

	ch_queue_put_aside(&queue, work(1), due_ms);
	start(2, true);
	ch_queue_put(&queue, work(2));
	wait_taken(2);
	join(2);
	assert_true(who_got(1)->at_ms >= due_ms);
	assert_non_null(who_got(2));
}

static void as_many_are_woken_as_there_are_new_ones(void **state)
{
	ch_queue_put_aside(&queue, work(9), ch_mono_ms() + LATE_MS);
	start(TAKERS, true);
	for (uint64_t id = 1; id <= TAKERS; id++)
		ch_queue_put(&queue, work(id));
	wait_taken(TAKERS);
	join(TAKERS);
	for (uint64_t id = 1; id <= TAKERS; id++)
		assert_non_null(who_got(id));
	assert_int_equal(queue.n_aside, 1);
}

static void a_closed_queue_is_emptied_and_lets_all_go(void **state)
{
	ch_queue_put_aside(&queue, work(1), ch_mono_ms() + LATE_MS);
	start(TAKERS, true);
	ch_queue_close(&queue);
	wait_taken(TAKERS);
	join(TAKERS);
	assert_non_null(who_got(1));
	assert_non_null(who_got(0));
	assert_true(is_empty());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			each_that_is_due_gets_a_taker, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_due_earlier_wakes_the_watcher, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_hurried_wakes_the_watcher, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_new_wakes_the_watcher_too, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_watch_is_handed_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			as_many_are_woken_as_there_are_new_ones, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_closed_queue_is_emptied_and_lets_all_go, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
