/* The leasing thread between a scripted store and a DNS server: names are looked at first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "bench.h"
#include "dns_server.h"
#include "issuerd/scout.h"
#include "issuerd/worker.h"
#include "net/http_impl.h"

#define CALLS_MAX 2000
#define NOTHING "{\"orders\":[],\"now\":\"2026-09-21T13:33:20.000Z\",\"looks\":[],\"looked\":0}"
#define LOOKS                                                                                  \
	"{\"orders\":[],\"now\":\"2026-09-21T13:33:20.000Z\",\"looked\":0,\"looks\":["         \
	"{\"name\":\"good.test\",\"look\":11,\"failures\":0,\"checks_failed\":0,"              \
	"\"away_since\":null,\"needed_by\":null},"                                             \
	"{\"name\":\"none.test\",\"look\":12,\"failures\":2,\"checks_failed\":1,"              \
	"\"away_since\":\"2020-01-01T00:00:00Z\",\"needed_by\":\"2020-02-01T00:00:00Z\"},"     \
	"{\"name\":\"Not a name\",\"look\":13},{\"name\":\"bad.test\",\"look\":0}]}"
#define REFUSED "{\"code\":\"unknown-field\",\"detail\":\"There is no field \\\"looks\\\".\"}"

static const struct test_dns_entry zone[] = {{"good.test", CH_DNS_A, "127.0.0.1"}};

static struct bench *b;
static struct test_dns dns;
static struct ch_queue queue;
static struct ch_worker worker;
static struct ch_platform platform;
/* What the store answers first, then NOTHING; what it was told. */
static struct {
	struct ch_http http;
	int status;
	const char *first;
	size_t calls;
	json_t *looked;
	json_t *dead;
	json_t *second; /* its body */
	bool (*is_enough)(void);
} store;

static void note(json_t **slot, const json_t *body, const char *key)
{
	json_t *list = json_object_get(body, key);

	if (json_array_size(list) && !*slot)
		*slot = json_incref(json_array_get(list, 0));
}

static int store_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	json_auto_t *body = json_loadb(req->body, req->body_len, 0, NULL);
	bool refuses = store.calls == 0 && store.status >= 400;
	const char *type = refuses ? "Content-Type: application/problem+json"
				   : "Content-Type: application/json";

	assert_non_null(body);
	assert_true(store.calls < CALLS_MAX);
	note(&store.looked, body, "looked");
	note(&store.dead, body, "dead");
	if (store.calls == 1)
		store.second = json_incref(body);
	ch_http_resp_restart(resp, req->max_answer_b);
	resp->status = store.calls == 0 ? store.status : 200;
	assert_int_equal(ch_http_resp_add_line(resp, type, strlen(type)), CH_OK);
	ch_buf_add_str(&resp->body, store.calls == 0 ? store.first : NOTHING);
	store.calls++;
	if (store.is_enough())
		ch_queue_close(&queue);
	return CH_OK;
}

static void store_free(struct ch_http *http)
{
}

static void fill(void *arg, struct ch_caa_asker *ret_asker, char *ret_account, size_t account_b)
{
	memset(ret_asker, 0, sizeof(*ret_asker));
	*ret_account = 0;
}

static bool any(const char *address)
{
	return true;
}

static void wake(void *arg, uint64_t order)
{
	assert_int_equal(order, 0);
	ch_queue_nudge(&queue);
}

static int set_up(void **state)
{
	struct ch_api_options options = {.urls = {"https://store.test"}, .n_urls = 1};
	struct ch_preflight_options preflight = {.platform = &platform,
		.dns_timeout_ms = 2000,
		.may_ask = any,
		.asker = fill,
		.wake = wake};
	struct ch_err err;

	memset(&store, 0, sizeof(store));
	store.status = 200;
	store.http.send = store_send;
	store.http.free = store_free;
	b = bench_new("shop.test", NULL);
	b->config.preflight = true;
	b->config.challenge = CH_ACME_HTTP_01;
	test_dns_start(&dns, zone, CH_ARRAY_LEN(zone));
	preflight.resolvers = dns.resolvers;
	assert_int_equal(ch_preflight_new(&preflight, &b->issuer->preflight, &err), CH_OK);
	ch_queue_init(&queue, 4);
	memset(&worker, 0, sizeof(worker));
	worker.issuer = b->issuer;
	worker.queue = &queue;
	assert_int_equal(ch_api_new_over(&options, &store.http, &worker.api, &err), CH_OK);
	return 0;
}

static int tear_down(void **state)
{
	json_decref(store.looked);
	json_decref(store.dead);
	json_decref(store.second);
	ch_issuer_stop_preflight(b->issuer);
	ch_worker_done(&worker);
	ch_queue_done(&queue);
	test_dns_stop(&dns);
	bench_free(b);
	return 0;
}

static bool both_are_told(void)
{
	/* Time is the test's: the dead are told when a moment has passed. */
	bench_now_ms += 100;
	return store.looked && store.dead;
}

static void what_is_found_out_is_told(void **state)
{
	json_t *reason;

	store.first = LOOKS;
	store.is_enough = both_are_told;
	ch_leaser_main(&worker);
	assert_string_equal(
		json_string_value(json_object_get(store.looked, "name")), "good.test");
	assert_int_equal(json_integer_value(json_object_get(store.looked, "look")), 11);
	assert_string_equal(
		json_string_value(json_object_get(store.dead, "name")), "none.test");
	assert_int_equal(json_integer_value(json_object_get(store.dead, "look")), 12);
	assert_true(json_is_true(json_object_get(store.dead, "away")));
	reason = json_object_get(store.dead, "reason");
	assert_string_equal(
		json_string_value(json_object_get(reason, "code")), "dns-no-address");
	assert_string_equal(json_string_value(json_object_get(reason, "actor")), "customer");
	/* Nobody waits at the store while looks are under way. */
	assert_int_equal(json_integer_value(json_object_get(store.second, "wait_ms")), 0);
}

static bool at_the_second(void)
{
	return store.calls == 2;
}

static void a_store_of_before_is_asked_for_orders(void **state)
{
	store.first = REFUSED;
	store.status = 400;
	store.is_enough = at_the_second;
	ch_leaser_main(&worker);
	assert_null(json_object_get(store.second, "looks"));
	assert_null(json_object_get(store.second, "dead"));
	assert_true(json_is_true(json_object_get(store.second, "second_standbys")));
	assert_true(json_integer_value(json_object_get(store.second, "max")) > 0);
}

static void another_refusal_keeps_looks_off_for_one_moment_only(void **state)
{
	static const char *const refusals[] = {
		"{\"code\":\"unknown-field\",\"detail\":\"\\\"caa\\\" is not a field here.\"}",
		"{\"code\":\"bad-field\",\"detail\":\"\\\"looks\\\" is too large.\"}"};

	for (size_t i = 0; i < CH_ARRAY_LEN(refusals); i++) {
		struct ch_scout *scout;
		struct ch_err err = {0};

		if (i) {
			tear_down(state);
			set_up(state);
		}
		store.first = refusals[i];
		store.status = 400;
		store.is_enough = at_the_second;
		ch_leaser_main(&worker);
		assert_null(json_object_get(store.second, "looks"));
		assert_int_equal(worker.untold_until_ms, 0);
		assert_int_equal(ch_scout_new(b->issuer, &scout), CH_OK);
		(void)ch_err_set(&err, CH_EINVAL, "bad-field", "looks");
		ch_scout_refused(scout, &err);
		ch_scout_plan(scout, true);
		assert_false(scout->on);
		bench_now_ms += 10 * CH_SECOND_MS;
		ch_scout_plan(scout, true);
		assert_true(scout->on);
		(void)ch_err_set(&err, CH_EINVAL, "unknown-field", "no \"dead\" here");
		ch_scout_refused(scout, &err);
		bench_now_ms += 10 * CH_SECOND_MS;
		ch_scout_plan(scout, true);
		assert_false(scout->on);
		ch_scout_free(scout);
	}
}

/* It goes on with looks: nothing else was refused. */
static void a_store_of_before_is_not_told_of_second_standbys(void **state)
{
	store.first = "{\"code\":\"unknown-field\",\"detail\":"
		      "\"\\\"second_standbys\\\" is not a field here.\"}";
	store.status = 400;
	store.is_enough = at_the_second;
	ch_leaser_main(&worker);
	assert_null(json_object_get(store.second, "second_standbys"));
	assert_non_null(json_object_get(store.second, "looks"));
	/* Until it may be a newer one. */
	assert_true(worker.untold_until_ms > 0);
}

static const json_t *pace_of_second(void)
{
	return json_object_get(store.second, "pace");
}

static void a_store_of_before_is_not_told_of_renewals_that_count(void **state)
{
	store.first = "{\"code\":\"unknown-field\",\"detail\":"
		      "\"\\\"renewals_exempt\\\" is not a field here.\"}";
	store.status = 400;
	store.is_enough = at_the_second;
	ch_leaser_main(&worker);
	assert_non_null(pace_of_second());
	assert_null(json_object_get(pace_of_second(), "renewals_exempt"));
	assert_true(json_is_true(json_object_get(store.second, "second_standbys")));
	assert_true(worker.exempt_until_ms > 0);
	assert_int_equal(worker.untold_until_ms, 0);
}

static void the_store_is_told_where_renewals_count(void **state)
{
	for (int exempt = 0; exempt < 2; exempt++) {
		if (exempt) {
			tear_down(state);
			set_up(state);
		}
		b->config.cas[0].limits.renewals_exempt = exempt;
		store.first = REFUSED;
		store.status = 400;
		store.is_enough = at_the_second;
		ch_leaser_main(&worker);
		assert_int_equal(
			json_is_false(json_object_get(pace_of_second(), "renewals_exempt")),
			!exempt);
		assert_int_equal(
			json_object_get(pace_of_second(), "renewals_exempt") == NULL, exempt);
	}
}

static void without_a_preflight_no_name_is_looked_at(void **state)
{
	struct ch_scout *scout;

	b->config.challenge = CH_ACME_DNS_01;
	assert_int_equal(ch_scout_new(b->issuer, &scout), CH_OK);
	assert_null(scout);
	b->config.challenge = CH_ACME_TLS_ALPN_01;
	assert_int_equal(ch_scout_new(b->issuer, &scout), CH_OK);
	assert_non_null(scout);
	ch_scout_free(scout);
	b->config.preflight = false;
	assert_int_equal(ch_scout_new(b->issuer, &scout), CH_OK);
	assert_null(scout);
}

static void begin(struct ch_preflight *preflight, const char *name, int64_t until_ms)
{
	struct ch_look look = {.name = name, .until_ms = until_ms};

	ch_preflight_scout(preflight, &look);
}

static struct ch_preflight_counts counts(struct ch_preflight *preflight)
{
	struct ch_preflight_counts now;

	ch_preflight_counts(preflight, &now);
	return now;
}

/* Those that wait for a limit of the CA are many, and nobody comes back for them soon. */
static void what_was_told_keeps_no_room(void **state)
{
	struct ch_preflight *preflight = b->issuer->preflight;
	struct ch_scouted list[100];
	size_t room = counts(preflight).room;
	char name[32];
	size_t n;

	/* Wildcards ask for nothing. */
	for (size_t i = 0; i < room; i++) {
		snprintf(name, sizeof(name), "*.n%zu.test", i);
		begin(preflight, name, 1);
	}
	assert_int_equal(counts(preflight).alive, room);
	assert_int_equal(counts(preflight).room, 0);
	begin(preflight, "*.one.more.test", 1);
	assert_int_equal(counts(preflight).alive, room);
	while ((n = ch_preflight_scouted(preflight, false, list, CH_ARRAY_LEN(list))) > 0)
		ch_preflight_told(preflight, list, n);
	assert_int_equal(counts(preflight).room, room);
	/* More than there is room for beside what is kept. */
	for (size_t i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "*.m%zu.test", i);
		begin(preflight, name, 2);
	}
	assert_int_equal(counts(preflight).alive, 1000);
	assert_int_equal(counts(preflight).room, room - 1000);
	assert_int_equal(ch_preflight_scouted(preflight, false, list, 1), 1);
	assert_string_equal(list[0].name, "*.m0.test");
}

static void told_as(struct ch_preflight *preflight, size_t most, const char *expected)
{
	struct ch_scouted list[8];
	CH_AUTO_BUF struct ch_buf names;
	size_t n = ch_preflight_scouted(preflight, false, list, most);

	ch_buf_init(&names, 1024);
	for (size_t i = 0; i < n; i++) {
		ch_buf_add_str(&names, list[i].name);
		ch_buf_add_str(&names, " ");
	}
	assert_string_equal(ch_buf_str(&names), expected);
}

/* There is room for few: not all of it is for those that have waited the longest. */
static void each_fourth_is_one_that_came_last(void **state)
{
	struct ch_preflight *preflight = b->issuer->preflight;
	char name[32];

	told_as(preflight, 8, "");
	for (int i = 1; i <= 6; i++) {
		snprintf(name, sizeof(name), "*.n%d.test", i);
		begin(preflight, name, 1);
	}
	told_as(preflight, 1, "*.n1.test ");
	told_as(preflight, 4, "*.n1.test *.n2.test *.n3.test *.n6.test ");
	/* Each of them once, and no more than there are. */
	told_as(preflight, 8, "*.n1.test *.n2.test *.n3.test *.n6.test *.n4.test *.n5.test ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_found_out_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			each_fourth_is_one_that_came_last, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_store_of_before_is_asked_for_orders, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			another_refusal_keeps_looks_off_for_one_moment_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_store_of_before_is_not_told_of_second_standbys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_store_of_before_is_not_told_of_renewals_that_count, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			the_store_is_told_where_renewals_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			without_a_preflight_no_name_is_looked_at, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_told_keeps_no_room, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
