/* The socket of names that visitors wait for, and the thread that listens there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agentd/wanted.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "edge/told.h"
#include "fake_wanted.h"

struct scene {
	char dir[40];
	char path[60];
	struct fake_wanted store;
	struct ch_api_options api;
	struct ch_agent_figures figures;
	struct ch_wanted *wanted;
	int fd;
};

static int start(struct scene *s, const char *dir)
{
	const struct ch_wanted_options options = {.dir = dir,
		.reader_gid = getegid(),
		.api = &s->api,
		.http = &s->store.http,
		.figures = &s->figures};
	struct ch_err err;

	return ch_wanted_start(&options, &s->wanted, &err);
}

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	ch_log_init("test", CH_LOG_ERROR);
	snprintf(s->dir, sizeof(s->dir), "/tmp/ch-test-wanted-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/" CH_TOLD_SOCKET, s->dir);
	fake_wanted_init(&s->store);
	fake_wanted_options(&s->api);
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(s->fd >= 0);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	ch_wanted_stop(s->wanted);
	close(s->fd);
	(void)unlink(s->path);
	assert_int_equal(rmdir(s->dir), 0);
	free(s);
	return 0;
}

static int tell(struct scene *s, const void *bytes, size_t len)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	memcpy(to.sun_path, s->path, strlen(s->path) + 1);
	return sendto(s->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL,
		       (const struct sockaddr *)&to, sizeof(to)) < 0
		       ? -errno
		       : 0;
}

static void pause_ms(int ms)
{
	(void)!poll(NULL, 0, ms);
}

/* Until the socket takes it. */
static void tell_name(struct scene *s, const char *name)
{
	int rc = -1;

	for (int i = 0; i < 2000 && rc; i++) {
		rc = tell(s, name, strlen(name));
		if (rc)
			pause_ms(5);
	}
	assert_int_equal(rc, 0);
}

#define UNTIL(condition)                                                                       \
	do {                                                                                   \
		for (int left = 2000; left && !(condition); left--)                            \
			pause_ms(5);                                                           \
		assert_true(condition);                                                        \
	} while (0)

static void what_is_heard_is_told(void **state)
{
	struct scene *s = *state;
	struct stat st;

	assert_int_equal(start(s, s->dir), CH_OK);
	tell_name(s, "a.example.com");
	UNTIL(s->figures.wanted_told == 1);
	assert_string_equal(s->store.last, "{\"names\":[\"a.example.com\"]}");
	assert_int_equal(lstat(s->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0620);
	assert_int_equal(st.st_gid, getegid());
	ch_wanted_stop(TAKE_PTR(s->wanted));
	assert_int_equal(lstat(s->path, &st), -1);
	assert_int_equal(tell(s, "b.example.com", 13), -ENOENT);
}

/* How many seconds have begun. */
static uint64_t seconds_since(int64_t begun_ms)
{
	return (uint64_t)(ch_mono_ms() - begun_ms) / CH_SECOND_MS + 2;
}

/* As fast as they can be sent: the store is asked once a second all the same. */
static void a_flood_reaches_the_store_as_a_trickle(void **state)
{
	struct scene *s = *state;
	int64_t begun_ms = ch_mono_ms();
	unsigned taken = 0;
	char name[40];

	assert_int_equal(start(s, s->dir), CH_OK);
	tell_name(s, "first.example.com");
	for (unsigned i = 0; ch_mono_ms() - begun_ms < 1500; i++) {
		snprintf(name, sizeof(name), "n%u.example.com", i);
		taken += tell(s, name, strlen(name)) == 0;
	}
	UNTIL(s->store.names >= 20);
	assert_true(taken >= 20);
	assert_true(s->store.asked <= seconds_since(begun_ms));
	assert_true(s->store.names <= 100 * seconds_since(begun_ms));
}

static void rubbish_is_looked_at_a_thousand_times_a_second(void **state)
{
	static const char rubbish[5000] = "*.example.com";
	struct scene *s = *state;
	int64_t begun_ms = ch_mono_ms();
	unsigned sent = 0;

	assert_int_equal(start(s, s->dir), CH_OK);
	tell_name(s, "");
	UNTIL(s->figures.wanted_bad == 1);
	while (ch_mono_ms() - begun_ms < 1500)
		sent += tell(s, rubbish, sent % 2 ? sizeof(rubbish) : 13) == 0;
	assert_true(sent >= 100);
	assert_true(s->figures.wanted_bad <= 1000 * seconds_since(begun_ms));
	assert_int_equal(s->store.asked, 0);
	/* None of which keeps away who comes next. */
	tell_name(s, "a.example.com");
	UNTIL(s->figures.wanted_told == 1);
}

static void a_socket_that_was_left_is_replaced(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct scene *s = *state;

	memcpy(at.sun_path, s->path, strlen(s->path) + 1);
	assert_int_equal(bind(s->fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	close(s->fd);
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(tell(s, "a.example.com", 13), -ECONNREFUSED);
	assert_int_equal(start(s, s->dir), CH_OK);
	tell_name(s, "a.example.com");
	UNTIL(s->figures.wanted_told == 1);
}

static void whatever_else_is_there_is_left_alone(void **state)
{
	struct scene *s = *state;
	struct stat st;
	int fd = open(s->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(start(s, s->dir), CH_OK);
	pause_ms(100);
	ch_wanted_stop(TAKE_PTR(s->wanted));
	assert_int_equal(lstat(s->path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(unlink(s->path), 0);
	assert_int_equal(symlink("/dev/null", s->path), 0);
	assert_int_equal(start(s, s->dir), CH_OK);
	pause_ms(100);
	ch_wanted_stop(TAKE_PTR(s->wanted));
	assert_int_equal(lstat(s->path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
}

static void another_agents_socket_is_not_taken_away_at_the_end(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct scene *s = *state;
	struct stat st;

	assert_int_equal(start(s, s->dir), CH_OK);
	tell_name(s, "a.example.com");
	assert_int_equal(unlink(s->path), 0);
	memcpy(at.sun_path, s->path, strlen(s->path) + 1);
	assert_int_equal(bind(s->fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	ch_wanted_stop(TAKE_PTR(s->wanted));
	assert_int_equal(lstat(s->path, &st), 0);
}

static void a_path_that_is_too_long_is_refused(void **state)
{
	struct scene *s = *state;
	char dir[120];

	memset(dir, 'd', sizeof(dir));
	dir[0] = '/';
	dir[sizeof(dir) - 1] = 0;
	assert_int_equal(start(s, dir), CH_ETOOBIG);
	dir[101] = 0;
	assert_int_equal(start(s, dir), CH_ETOOBIG);
	dir[100] = 0;
	assert_int_equal(start(s, dir), CH_OK);
}

static void it_stops_at_once(void **state)
{
	struct scene *s = *state;
	int64_t begun_ms;

	s->store.status = 503;
	assert_int_equal(start(s, s->dir), CH_OK);
	tell_name(s, "a.example.com");
	UNTIL(s->figures.wanted_lost == 1);
	begun_ms = ch_mono_ms();
	ch_wanted_stop(TAKE_PTR(s->wanted));
	assert_in_range(ch_mono_ms() - begun_ms, 0, 2000);
	ch_wanted_stop(NULL);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(what_is_heard_is_told),
		T(a_flood_reaches_the_store_as_a_trickle),
		T(rubbish_is_looked_at_a_thousand_times_a_second),
		T(a_socket_that_was_left_is_replaced),
		T(whatever_else_is_there_is_left_alone),
		T(another_agents_socket_is_not_taken_away_at_the_end),
		T(a_path_that_is_too_long_is_refused),
		T(it_stops_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
