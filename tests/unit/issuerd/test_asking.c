/* Those who ask the CAs when to renew, between a store and a CA in memory, in real time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "bench.h"
#include "issuerd/renewal.h"
#include "net/http_impl.h"

/* What the default rate, 30 a second, has under way at a CA that takes 300 ms. */
#define SLOW_LEAST 9
#define PATIENCE_S 60
#define DIRECTORY                                                                              \
	"{\"newNonce\":\"https://ca.test/n\",\"newAccount\":\"https://ca.test/a\","            \
	"\"newOrder\":\"https://ca.test/o\",\"renewalInfo\":\"https://ca.test/ri\"}"
#define WINDOW                                                                                 \
	"{\"suggestedWindow\":{\"start\":\"2030-01-01T00:00:00Z\","                            \
	"\"end\":\"2030-01-02T00:00:00Z\"}}"
#define CERTIFICATE                                                                            \
	"{\"version\":7,\"ari_id\":\"YWJj.ZGVm\",\"failures\":0,"                              \
	"\"not_before\":\"2026-01-01T00:00:00Z\",\"not_after\":\"2026-04-01T00:00:00Z\","      \
	"\"published_at\":\"2026-01-01T00:00:00Z\"}"

static struct bench *b;
static struct ch_queue queue;
static struct ch_asking asking;
static struct ch_asker askers[CH_ASKERS_MAX];
static struct ch_http cas[CH_ASKERS_MAX];
static struct ch_http stores[CH_ASKERS_MAX];
static size_t n_askers;

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned leases;
	unsigned under_way;
	unsigned least; /* as many are answered together; 0: each at once */
	bool reached;
	bool late; /* they did not come */
} seen;

static void answer(struct ch_http_resp *resp, size_t max_b, const char *body)
{
	static const char type[] = "Content-Type: application/json";

	ch_http_resp_restart(resp, max_b);
	resp->status = 200;
	assert_int_equal(ch_http_resp_add_line(resp, type, strlen(type)), CH_OK);
	assert_int_equal(ch_buf_add_str(&resp->body, body), CH_OK);
}

/* More is always due than was handed out. */
static int store_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	if (!strstr(req->url, "/leases")) {
		answer(resp, req->max_answer_b, "{\"moved\":0}");
		return CH_OK;
	}
	pthread_mutex_lock(&seen.lock);
	seen.leases++;
	pthread_mutex_unlock(&seen.lock);
	answer(resp, req->max_answer_b,
		"{\"next_at\":\"2020-01-01T00:00:00Z\",\"certificates\":[" CERTIFICATE
		"," CERTIFICATE "]}");
	return CH_OK;
}

static void wait_for_others(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&seen.lock);
	seen.under_way++;
	if (seen.under_way >= seen.least)
		seen.reached = true;
	pthread_cond_broadcast(&seen.changed);
	while (!seen.reached && !seen.late)
		seen.late = pthread_cond_timedwait(&seen.changed, &seen.lock, &until) != 0;
	seen.under_way--;
	pthread_mutex_unlock(&seen.lock);
}

static int ca_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	bool is_window = strstr(req->url, "/ri/") != NULL;

	if (is_window)
		wait_for_others();
	answer(resp, req->max_answer_b, is_window ? WINDOW : DIRECTORY);
	return CH_OK;
}

static void free_nothing(struct ch_http *http)
{
}

static int set_up(void **state)
{
	struct ch_api_options options = {.urls = {"https://store.test"}, .n_urls = 1};
	struct ch_err err;

	memset(&seen, 0, sizeof(seen));
	pthread_mutex_init(&seen.lock, NULL);
	pthread_cond_init(&seen.changed, NULL);
	b = bench_new("shop.test", NULL);
	ch_clock_set(NULL, NULL);
	b->config.ari = true;
	b->config.ari_rate = 30;
	ch_queue_init(&queue, 4);
	ch_asking_init(&asking, b->issuer, &queue);
	n_askers = ch_askers_needed(&b->config);
	for (size_t i = 0; i < n_askers; i++) {
		struct ch_api *api;

		cas[i] = (struct ch_http){.send = ca_send, .free = free_nothing};
		stores[i] = (struct ch_http){.send = store_send, .free = free_nothing};
		assert_int_equal(ch_api_new_over(&options, &stores[i], &api, &err), CH_OK);
		assert_int_equal(ch_asker_init(&askers[i], &asking, i == 0, api, &err), CH_OK);
		askers[i].https[0] = &cas[i];
	}
	return 0;
}

static int tear_down(void **state)
{
	for (size_t i = 0; i < n_askers; i++)
		ch_asker_done(&askers[i]);
	ch_asking_done(&asking);
	ch_queue_done(&queue);
	bench_free(b);
	pthread_mutex_destroy(&seen.lock);
	pthread_cond_destroy(&seen.changed);
	return 0;
}

static bool is_over(void)
{
	bool over;

	pthread_mutex_lock(&seen.lock);
	over = seen.reached || seen.late;
	pthread_mutex_unlock(&seen.lock);
	return over;
}

/* ch_asker_main without its naps. */
static void *go_round(void *arg)
{
	struct timespec nap = {.tv_nsec = 5000000};

	while (!is_over()) {
		(void)!ch_asker_round(arg);
		nanosleep(&nap, NULL);
	}
	return NULL;
}

static void a_slow_ca_is_asked_by_as_many_as_its_rate_needs(void **state)
{
	pthread_t threads[CH_ASKERS_MAX];

	seen.least = SLOW_LEAST;
	for (size_t i = 0; i < n_askers; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, go_round, &askers[i]), 0);
	for (size_t i = 0; i < n_askers; i++)
		pthread_join(threads[i], NULL);
	assert_true(seen.reached);
	assert_false(seen.late);
}

/* Nor is the store asked: it costs a connection. */
static void nobody_helps_who_keeps_the_pace(void **state)
{
	assert_true(ch_asker_round(&askers[1]) > 0);
	assert_int_equal(seen.leases, 0);
	/* The next turn is to come, and somebody waits for it. */
	asking.cas[0].backlog = true;
	asking.cas[0].next_mono_ms = ch_mono_ms() + CH_HOUR_MS;
	assert_true(ch_asker_round(&askers[1]) > 0);
	assert_int_equal(seen.leases, 0);
	asking.cas[0].next_mono_ms = 0;
	assert_int_equal(ch_asker_round(&askers[1]), 0);
	assert_int_equal(seen.leases, 1);
	/* Nor when there is no backlog, however long nobody has asked. */
	asking.cas[0].backlog = false;
	assert_true(ch_asker_round(&askers[1]) > 0);
	assert_int_equal(seen.leases, 1);
}

static void their_number_suits_the_rate_and_is_bounded(void **state)
{
	static const struct {
		unsigned rate;
		size_t n;
	} cases[] = {{1, 1}, {2, 1}, {3, 2}, {30, 15}, {64, 32}, {1000, 32}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		b->config.ari_rate = cases[i].rate;
		assert_int_equal(ch_askers_needed(&b->config), cases[i].n);
	}
	b->config.ari = false;
	assert_int_equal(ch_askers_needed(&b->config), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_slow_ca_is_asked_by_as_many_as_its_rate_needs),
		T(nobody_helps_who_keeps_the_pace),
		T(their_number_suits_the_rate_and_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
