/* Who has not shown who he is: how long he may stay, and how many of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/strangers.h"

#define N 4
#define LONG_MS CH_HOUR_MS

static int fds[N][2];
static struct ch_stranger *inside[N];

static void enter(struct ch_strangers *strangers, int i)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]), 0);
	inside[i] = ch_strangers_enter(strangers, fds[i][0]);
	assert_non_null(inside[i]);
}

static int is_shut(int i)
{
	struct pollfd fd = {.fd = fds[i][1], .events = POLLRDHUP};

	return poll(&fd, 1, 0) == 1 && (fd.revents & POLLRDHUP);
}

static void leave_all(struct ch_strangers *strangers)
{
	for (int i = 0; i < N; i++) {
		ch_strangers_leave(strangers, inside[i]);
		close(fds[i][0]);
		close(fds[i][1]);
	}
	ch_strangers_free(strangers);
}

static void one_too_many_takes_the_oldest_ones_place(void **state)
{
	struct ch_strangers *strangers;

	assert_int_equal(ch_strangers_new(LONG_MS, LONG_MS, 2, &strangers, NULL), CH_OK);
	enter(strangers, 0);
	enter(strangers, 1);
	assert_false(is_shut(0));
	enter(strangers, 2);
	assert_true(is_shut(0));
	enter(strangers, 3);
	assert_true(is_shut(1));
	assert_false(is_shut(2));
	assert_false(is_shut(3));
	leave_all(strangers);
}

static void who_is_known_is_not_counted(void **state)
{
	struct ch_strangers *strangers;

	assert_int_equal(ch_strangers_new(LONG_MS, LONG_MS, 2, &strangers, NULL), CH_OK);
	for (int i = 0; i < N; i++) {
		enter(strangers, i);
		ch_strangers_know(strangers, inside[i]);
		ch_strangers_know(strangers, inside[i]);
	}
	for (int i = 0; i < N; i++)
		assert_false(is_shut(i));
	leave_all(strangers);
}

static void who_leaves_makes_room(void **state)
{
	struct ch_strangers *strangers;

	assert_int_equal(ch_strangers_new(LONG_MS, LONG_MS, 2, &strangers, NULL), CH_OK);
	enter(strangers, 0);
	enter(strangers, 1);
	ch_strangers_leave(strangers, inside[0]);
	inside[0] = NULL;
	enter(strangers, 2);
	assert_false(is_shut(1));
	enter(strangers, 3);
	assert_true(is_shut(1));
	leave_all(strangers);
}

static void await_shut(int i)
{
	struct pollfd fd = {.fd = fds[i][1], .events = POLLRDHUP};

	assert_int_equal(poll(&fd, 1, 60000), 1);
	assert_true(fd.revents & POLLRDHUP);
}

static void who_is_known_has_to_be_known_again(void **state)
{
	struct ch_strangers *strangers;

	assert_int_equal(ch_strangers_new(LONG_MS, 1, N, &strangers, NULL), CH_OK);
	for (int i = 0; i < N; i++)
		enter(strangers, i);
	ch_strangers_know(strangers, inside[1]);
	await_shut(1);
	/* It is still there until its connection is closed. */
	ch_strangers_know(strangers, inside[1]);
	ch_strangers_doubt(strangers, inside[1]);
	assert_false(is_shut(0));
	assert_false(is_shut(2));
	leave_all(strangers);
}

static void who_is_refused_is_a_stranger_again(void **state)
{
	struct ch_strangers *strangers;

	assert_int_equal(ch_strangers_new(LONG_MS, LONG_MS, 2, &strangers, NULL), CH_OK);
	enter(strangers, 0);
	enter(strangers, 1);
	ch_strangers_know(strangers, inside[0]);
	ch_strangers_know(strangers, inside[1]);
	ch_strangers_doubt(strangers, inside[1]);
	enter(strangers, 2);
	/* More refusals do not make it younger. */
	ch_strangers_doubt(strangers, inside[1]);
	assert_false(is_shut(1));
	enter(strangers, 3);
	assert_true(is_shut(1));
	assert_false(is_shut(0));
	assert_false(is_shut(2));
	leave_all(strangers);
}

static void who_is_refused_has_a_strangers_time(void **state)
{
	struct ch_strangers *strangers;

	assert_int_equal(ch_strangers_new(1, LONG_MS, N, &strangers, NULL), CH_OK);
	for (int i = 0; i < N; i++) {
		enter(strangers, i);
		ch_strangers_know(strangers, inside[i]);
	}
	ch_strangers_doubt(strangers, inside[2]);
	await_shut(2);
	leave_all(strangers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_too_many_takes_the_oldest_ones_place),
		cmocka_unit_test(who_is_known_is_not_counted),
		cmocka_unit_test(who_leaves_makes_room),
		cmocka_unit_test(who_is_known_has_to_be_known_again),
		cmocka_unit_test(who_is_refused_is_a_stranger_again),
		cmocka_unit_test(who_is_refused_has_a_strangers_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
