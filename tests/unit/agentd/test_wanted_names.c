/* Names that visitors wait for: which of them the store is told, and how often it is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/wanted_names.h"
#include "base/log.h"
#include "base/mem.h"
#include "fake_wanted.h"

struct desk {
	struct fake_wanted store;
	struct ch_api *api;
	struct ch_agent_figures figures;
	struct ch_wanted_names names;
	int64_t now_ms;
};

static int64_t desk_now(void *arg)
{
	return ((struct desk *)arg)->now_ms;
}

static int set_up(void **state)
{
	struct desk *d = calloc(1, sizeof(*d));
	struct ch_api_options options;
	struct ch_err err;

	ch_log_init("test", CH_LOG_ERROR);
	d->now_ms = INT64_C(1800000000000);
	ch_clock_set(desk_now, d);
	fake_wanted_init(&d->store);
	fake_wanted_options(&options);
	assert_int_equal(ch_api_new_over(&options, &d->store.http, &d->api, &err), CH_OK);
	assert_int_equal(ch_wanted_names_init(&d->names, d->api, &d->figures), CH_OK);
	*state = d;
	return 0;
}

static int tear_down(void **state)
{
	struct desk *d = *state;

	ch_clock_set(NULL, NULL);
	ch_wanted_names_done(&d->names);
	ch_api_free(d->api);
	free(d);
	return 0;
}

static void take(struct desk *d, const char *name)
{
	ch_wanted_names_take(&d->names, name, strlen(name));
}

/* Waits until it is due, and sends. */
static void send(struct desk *d)
{
	int64_t due_ms = ch_wanted_names_due_ms(&d->names);

	assert_int_not_equal(due_ms, INT64_MAX);
	if (due_ms > d->now_ms)
		d->now_ms = due_ms;
	ch_wanted_names_send(&d->names);
}

static void names_are_gathered_for_a_moment(void **state)
{
	struct desk *d = *state;
	int64_t begun_ms = d->now_ms;

	assert_int_equal(ch_wanted_names_due_ms(&d->names), INT64_MAX);
	take(d, "a.example.com");
	d->now_ms += 20;
	take(d, "xn--bcher-kva.example");
	assert_int_equal(ch_wanted_names_due_ms(&d->names), begun_ms + CH_WANTED_GATHER_MS);
	d->store.taken = 1;
	send(d);
	assert_string_equal(
		d->store.last, "{\"names\":[\"a.example.com\",\"xn--bcher-kva.example\"]}");
	assert_int_equal(d->store.asked, 1);
	assert_int_equal(d->figures.wanted_told, 2);
	assert_int_equal(d->figures.wanted_taken, 1);
	assert_int_equal(ch_wanted_names_due_ms(&d->names), INT64_MAX);
}

static void the_store_is_asked_once_a_second(void **state)
{
	struct desk *d = *state;
	char name[40];

	for (int i = 0; i < 10; i++) {
		int64_t before_ms = d->now_ms;

		snprintf(name, sizeof(name), "n%d.example.com", i);
		take(d, name);
		send(d);
		if (i)
			assert_int_equal(d->now_ms - before_ms, CH_WANTED_EVERY_MS);
	}
	assert_int_equal(d->store.asked, 10);
}

static void a_hundred_are_sent_at_once_and_no_more_are_taken(void **state)
{
	struct desk *d = *state;
	char name[40];

	for (unsigned i = 0; i < CH_WANTED_NAMES_MAX; i++) {
		assert_false(ch_wanted_names_is_full(&d->names));
		snprintf(name, sizeof(name), "n%u.example.com", i);
		take(d, name);
	}
	assert_true(ch_wanted_names_is_full(&d->names));
	assert_int_equal(ch_wanted_names_due_ms(&d->names), d->now_ms);
	take(d, "late.example.com");
	assert_int_equal(d->figures.wanted_lost, 1);
	send(d);
	assert_int_equal(d->store.names, CH_WANTED_NAMES_MAX);
	assert_null(strstr(d->store.last, "late"));
	take(d, "late.example.com");
	send(d);
	assert_non_null(strstr(d->store.last, "late"));
}

static void a_name_is_told_once_in_five_minutes(void **state)
{
	struct desk *d = *state;
	int64_t told_ms;

	take(d, "a.example.com");
	take(d, "a.example.com");
	assert_int_equal(d->figures.wanted_repeated, 1);
	send(d);
	told_ms = d->now_ms;
	assert_string_equal(d->store.last, "{\"names\":[\"a.example.com\"]}");
	d->now_ms = told_ms + CH_WANTED_AGAIN_MS - 1;
	take(d, "a.example.com");
	assert_int_equal(d->figures.wanted_repeated, 2);
	assert_int_equal(ch_wanted_names_due_ms(&d->names), INT64_MAX);
	d->now_ms++;
	take(d, "a.example.com");
	send(d);
	assert_int_equal(d->store.names, 2);
}

static void nothing_but_names_is_taken(void **state)
{
	static const char *const bad[] = {"", ".", "a", "com", "co.uk", "*.example.com",
		"A.example.com", "a.example.com.", ".a.example.com", "a..example.com",
		"a_b.example.com", "192.0.2.1", "[2001:db8::1]", "2001:db8::1", "localhost",
		"a.local", "b\303\274cher.example", "a.example.com\n", " a.example.com",
		"a.example.com\",\"b.example.com", "xn--a.example", "-a.example.com",
		"a.example.com/..", "\xff\xfe\x01"};
	struct desk *d = *state;
	char text[4096];

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		take(d, bad[i]);
		if (d->figures.wanted_bad != i + 1)
			fail_msg("taken: %s", bad[i]);
	}
	memset(text, 'a', sizeof(text));
	ch_wanted_names_take(&d->names, text, sizeof(text));
	for (size_t i = 63; i < CH_NAME_TEXT_B; i += 64)
		text[i] = '.';
	/* 254 characters, of which each label would do. */
	ch_wanted_names_take(&d->names, text, CH_NAME_TEXT_B);
	ch_wanted_names_take(&d->names, "a.example.com", sizeof("a.example.com"));
	ch_wanted_names_take(&d->names, "a.exa\0mple.com", 14);
	assert_int_equal(d->figures.wanted_bad, CH_ARRAY_LEN(bad) + 4);
	assert_int_equal(ch_wanted_names_due_ms(&d->names), INT64_MAX);
	text[CH_NAME_TEXT_B - 1] = 0;
	take(d, text);
	assert_int_equal(d->figures.wanted_bad, CH_ARRAY_LEN(bad) + 4);
	send(d);
	assert_int_equal(d->store.names, 1);
}

/* How long nothing is told after a name that the store did not take; the name is not forgotten
 * to have been told. */
static int64_t rest(struct desk *d)
{
	uint64_t lost = d->figures.wanted_lost;
	unsigned asked = d->store.asked;
	int64_t failed_ms;
	int64_t at_ms;

	take(d, "a.example.com");
	send(d);
	failed_ms = d->now_ms;
	assert_int_equal(d->store.asked, asked + 1);
	assert_int_equal(d->figures.wanted_lost, lost + 1);
	for (at_ms = CH_SECOND_MS; ch_wanted_names_due_ms(&d->names) == INT64_MAX;
		at_ms += CH_SECOND_MS) {
		d->now_ms = failed_ms + at_ms;
		take(d, "a.example.com");
	}
	assert_int_equal(d->figures.wanted_repeated, 0);
	ch_wanted_names_done(&d->names);
	assert_int_equal(ch_wanted_names_init(&d->names, d->api, &d->figures), CH_OK);
	return at_ms - CH_SECOND_MS;
}

static void after_a_failure_the_store_is_left_alone(void **state)
{
	struct desk *d = *state;

	d->store.status = 503;
	assert_int_equal(rest(d), CH_WANTED_REST_MS);
	d->store.status = 429;
	assert_int_equal(rest(d), CH_WANTED_REST_MS);
	d->store.line = "retry-after: 1";
	assert_int_equal(rest(d), CH_WANTED_REST_MS);
	d->store.line = "retry-after: 60";
	assert_int_equal(rest(d), CH_MINUTE_MS);
	d->store.line = "retry-after: 80000";
	assert_int_equal(rest(d), CH_WANTED_REST_MOST_MS);
	d->store.line = NULL;
	d->store.status = 403;
	assert_int_equal(rest(d), CH_WANTED_REST_MS);
	d->store.rc = CH_ENETWORK;
	assert_int_equal(rest(d), CH_WANTED_REST_MS);
	assert_int_equal(d->figures.wanted_told, 0);
	d->store.rc = CH_OK;
	d->store.status = 200;
	take(d, "a.example.com");
	send(d);
	assert_int_equal(d->figures.wanted_told, 1);
}

static void a_store_that_does_not_know_the_request_is_asked_after_an_hour(void **state)
{
	struct desk *d = *state;

	d->store.status = 404;
	assert_int_equal(rest(d), CH_HOUR_MS);
}

static void a_store_that_says_nonsense_counts_nothing(void **state)
{
	struct desk *d = *state;

	d->store.taken = 7;
	take(d, "a.example.com");
	send(d);
	d->store.taken = -1;
	take(d, "b.example.com");
	send(d);
	assert_int_equal(d->figures.wanted_told, 2);
	assert_int_equal(d->figures.wanted_taken, 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(names_are_gathered_for_a_moment),
		T(the_store_is_asked_once_a_second),
		T(a_hundred_are_sent_at_once_and_no_more_are_taken),
		T(a_name_is_told_once_in_five_minutes),
		T(nothing_but_names_is_taken),
		T(after_a_failure_the_store_is_left_alone),
		T(a_store_that_does_not_know_the_request_is_asked_after_an_hour),
		T(a_store_that_says_nonsense_counts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
