/* A worker between a CA in memory and a scripted store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench.h"
#include "issuerd/worker.h"
#include "net/http_impl.h"

#define TURNS_MAX 16

/* Answers in turn; the last answer repeats. */
struct fake_store {
	struct ch_http http;
	struct {
		int rc;
		int status;
		const char *body;
	} turns[TURNS_MAX];
	size_t n;
	size_t calls;
	char method[TURNS_MAX][8];
	char url[TURNS_MAX][128];
	json_t *sent[TURNS_MAX];
};

static struct bench *b;
static struct fake_store store;
static struct ch_queue queue;
static struct ch_worker worker;

static int store_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	size_t turn = store.calls < store.n ? store.calls : store.n - 1;
	const char *type = "Content-Type: application/json";

	assert_true(store.calls < TURNS_MAX);
	snprintf(store.method[store.calls], 8, "%s", req->method);
	snprintf(store.url[store.calls], 128, "%s", req->url);
	store.sent[store.calls++] = json_loadb(req->body, req->body_len, 0, NULL);
	ch_http_resp_restart(resp, req->max_answer_b);
	if (store.turns[turn].rc)
		return ch_err_set(err, store.turns[turn].rc, "http-connect", "away");
	resp->status = store.turns[turn].status;
	if (resp->status >= 400)
		type = "Content-Type: application/problem+json";
	assert_int_equal(ch_http_resp_add_line(resp, type, strlen(type)), CH_OK);
	ch_buf_add_str(&resp->body, store.turns[turn].body);
	return CH_OK;
}

static void store_free(struct ch_http *http)
{
}

static void turn(int rc, int status, const char *body)
{
	assert_true(store.n < TURNS_MAX);
	store.turns[store.n].rc = rc;
	store.turns[store.n].status = status;
	store.turns[store.n++].body = body;
}

#define TAKEN                                                                                  \
	"{\"id\":34,\"fence\":7,\"state\":\"ordered\",\"edges\":{\"ready\":true,\"known\":1,"  \
	"\"behind\":[]}}"
#define LOST "{\"code\":\"fence-lost\",\"detail\":\"Somebody else has the order.\"}"

static int set_up(void **state)
{
	struct ch_api_options options = {.urls = {"https://store.test"}, .n_urls = 1};
	struct ch_err err;

	b = bench_new("shop.test", NULL);
	memset(&store, 0, sizeof(store));
	store.http.send = store_send;
	store.http.free = store_free;
	ch_queue_init(&queue, 4);
	memset(&worker, 0, sizeof(worker));
	worker.issuer = b->issuer;
	worker.queue = &queue;
	worker.https[0] = &b->ca.http;
	assert_int_equal(ch_api_new_over(&options, &store.http, &worker.api, &err), CH_OK);
	b->row.lease_until_mono_ms = bench_now_ms + CH_DAY_MS;
	return 0;
}

static int tear_down(void **state)
{
	for (size_t i = 0; i < store.calls; i++)
		json_decref(store.sent[i]);
	worker.https[0] = NULL;
	ch_worker_done(&worker);
	ch_queue_done(&queue);
	bench_free(b);
	return 0;
}

static const char *sent_state(size_t i)
{
	return json_string_value(json_object_get(store.sent[i], "state"));
}

/* Runs the order until it is over or `most` writes have come; what is put aside is taken up
 * when it is due.  The time that passed, in ms. */
static int64_t run_until(size_t most)
{
	int64_t began_ms = bench_now_ms;
	int64_t due_ms;

	while (store.calls < most && (due_ms = ch_worker_run(&worker, &b->row)) != 0) {
		assert_true(due_ms > bench_now_ms);
		bench_now_ms = due_ms;
	}
	return bench_now_ms - began_ms;
}

static void steps_that_lead_on_are_made_under_one_lease(void **state)
{
	b->row.edges.ready = false;
	turn(0, 200, TAKEN);
	run_until(3);
	assert_int_equal(store.calls, 3);
	assert_string_equal(store.method[0], "PATCH");
	assert_string_equal(store.url[0], "https://store.test/v1/orders/34");
	assert_string_equal(sent_state(0), "ordered");
	assert_true(json_is_true(json_object_get(store.sent[0], "keep_lease")));
	assert_string_equal(sent_state(1), "sealed");
	assert_true(json_is_true(json_object_get(store.sent[1], "keep_lease")));
}

static void a_quick_ca_gets_an_order_through_with_two_writes(void **state)
{
	b->ca.processing = 1;
	turn(0, 200, TAKEN);
	/* Looked for the validation after 0.1 s, for the certificate after 0.1 and 0.5 s. */
	assert_int_equal(run_until(2), 700);
	assert_int_equal(store.calls, 2);
	assert_string_equal(sent_state(0), "sealed");
	assert_string_equal(store.url[1], "https://store.test/v1/orders/34/publish");
	/* Finalized once, although the work waited in between. */
	assert_int_equal(b->ca.count[FAKE_FINALIZE], 1);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 1);
}

static void a_slow_ca_gets_the_wait_written_and_the_lease_given_back(void **state)
{
	json_t *acme;

	b->ca.polls = 1000;
	turn(0, 200, TAKEN);
	/* Put aside for 0.1, 0.5 and 1 s; two are too long. */
	assert_int_equal(run_until(1), 1600);
	assert_int_equal(store.calls, 1);
	assert_string_equal(sent_state(0), "validating");
	acme = json_object_get(store.sent[0], "acme");
	assert_non_null(json_object_get(acme, "order"));
	assert_int_equal(json_integer_value(json_object_get(acme, "polls")), 3);
	assert_null(json_object_get(store.sent[0], "keep_lease"));
	assert_string_not_equal(
		json_string_value(json_object_get(store.sent[0], "next_at")), "");
}

static void a_wait_that_the_ca_wants_longer_is_written(void **state)
{
	bench_run_to(b, CH_ORDER_VALIDATING);
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){.status = 200,
			.header = "Retry-After: 3",
			.body = "{\"status\":\"pending\",\"identifier\":{\"value\":"
				"\"shop.test\"}}"});
	turn(0, 200, TAKEN);
	assert_int_equal(run_until(1), 0);
	assert_int_equal(store.calls, 1);
	assert_null(json_object_get(store.sent[0], "keep_lease"));
}

static void an_error_after_a_wait_brings_the_state_with_it(void **state)
{
	turn(0, 200, TAKEN);
	bench_now_ms = ch_worker_run(&worker, &b->row);
	fake_ca_inject(&b->ca, FAKE_AUTHZ, (struct fake_answer){.status = 500, .body = ""});
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 1);
	assert_string_equal(sent_state(0), "validating");
	assert_non_null(json_object_get(json_object_get(store.sent[0], "acme"), "order"));
	assert_non_null(json_object_get(store.sent[0], "reason"));
}

static void a_wait_is_written_when_half_of_the_lease_is_over(void **state)
{
	b->config.lease_ms = CH_MINUTE_MS;
	b->row.lease_until_mono_ms = bench_now_ms + CH_MINUTE_MS / 2;
	turn(0, 200, TAKEN);
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 1);
	assert_string_equal(sent_state(0), "validating");
	assert_null(json_object_get(store.sent[0], "keep_lease"));
}

/* A process that dies then would lose the order's URL after it was worth something. */
static void an_order_is_written_when_less_than_half_of_the_lease_is_left(void **state)
{
	b->config.lease_ms = CH_MINUTE_MS;
	b->row.lease_until_mono_ms = bench_now_ms + CH_MINUTE_MS / 2 - 1;
	turn(0, 200, TAKEN);
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 2);
	assert_string_equal(sent_state(0), "ordered");
	assert_true(json_is_true(json_object_get(store.sent[0], "keep_lease")));
}

static void a_wait_is_written_when_too_many_were_put_aside(void **state)
{
	for (size_t i = 0; i < CH_ASIDE_MAX; i++)
		ch_queue_put_aside(&queue, calloc(1, sizeof(struct ch_work)), bench_now_ms);
	turn(0, 200, TAKEN);
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 1);
	assert_string_equal(sent_state(0), "validating");
}

static void a_stop_gives_back_what_was_put_aside(void **state)
{
	turn(0, 200, TAKEN);
	assert_int_not_equal(ch_worker_run(&worker, &b->row), 0);
	atomic_store(&b->issuer->stopping, 1);
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 1);
	/* What was kept so far, and no time: it is due now. */
	assert_string_equal(sent_state(0), "validating");
	assert_non_null(json_object_get(json_object_get(store.sent[0], "acme"), "order"));
	assert_null(json_object_get(store.sent[0], "next_at"));
}

static void a_stop_before_the_first_step_gives_back_the_lease_only(void **state)
{
	turn(0, 200, TAKEN);
	atomic_store(&b->issuer->stopping, 1);
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 1);
	assert_int_equal(json_object_size(store.sent[0]), 1); /* the fence */
}

static void the_stores_view_of_the_edges_counts(void **state)
{
	b->row.edges.ready = false; /* worth asking the store */
	turn(0, 200,
		"{\"id\":34,\"fence\":7,\"state\":\"ordered\",\"edges\":{\"ready\":false,"
		"\"known\":1,\"behind\":[\"edge/default/e1\"]}}");
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 2);
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(store.sent[1], "reason"), "code")),
		"in-progress");
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
}

static void a_lost_fence_drops_the_order_silently(void **state)
{
	b->row.edges.ready = false; /* worth asking the store */
	turn(0, 409, LOST);
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 1);
	assert_int_equal(b->ca.count[FAKE_AUTHZ], 0);
}

static void an_order_that_is_no_more_is_dropped(void **state)
{
	b->row.edges.ready = false; /* worth asking the store */
	turn(0, 404, "{\"code\":\"order-not-found\",\"detail\":\"gone\"}");
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 1);
}

static void a_lease_that_ran_out_is_not_worked_on(void **state)
{
	turn(0, 200, TAKEN);
	b->row.lease_until_mono_ms = bench_now_ms;
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 0);
	assert_int_equal(b->ca.count[FAKE_NEW_ORDER], 0);
}

static void a_write_is_tried_again_while_the_store_is_away(void **state)
{
	ch_queue_close(&queue); /* no waiting in a test: a closed queue sleeps not */
	turn(CH_ENETWORK, 0, NULL);
	turn(0, 409, LOST);
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 2);
	assert_true(json_equal(store.sent[0], store.sent[1]));
	assert_int_equal(b->ca.count[FAKE_NEW_ORDER], 1);
}

static void a_stop_does_not_wait_for_an_absent_store(void **state)
{
	ch_queue_close(&queue);
	turn(CH_ENETWORK, 0, NULL);
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 2);
}

static void a_stop_gives_leases_back(void **state)
{
	turn(0, 200, TAKEN);
	atomic_store(&b->issuer->stopping, 1);
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 1);
	assert_int_equal(json_object_size(store.sent[0]), 1); /* the fence only: due now */
	assert_int_equal(b->ca.count[FAKE_NEW_ORDER], 0);
}

static void a_refused_publication_fails_the_order(void **state)
{
	bench_run_to(b, CH_ORDER_SEALED);
	turn(0, 400, "{\"code\":\"bad-record\",\"detail\":\"Record 1 is odd.\"}");
	turn(0, 200, TAKEN);
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 2);
	assert_string_equal(store.url[0], "https://store.test/v1/orders/34/publish");
	assert_string_equal(store.method[0], "POST");
	assert_string_equal(sent_state(1), "failed");
}

static void publication_ends_the_lease(void **state)
{
	bench_run_to(b, CH_ORDER_SEALED);
	turn(0, 200, TAKEN);
	assert_int_equal(ch_worker_run(&worker, &b->row), 0);
	assert_int_equal(store.calls, 1);
	assert_int_equal(b->probes, 0);
}

static void no_private_key_ever_goes_to_the_store(void **state)
{
	turn(0, 200, TAKEN);
	bench_run_to(b, CH_ORDER_VALIDATING);
	run_until(3);
	assert_true(store.calls >= 2);
	for (size_t i = 0; i < store.calls; i++) {
		const char *key;
		json_t *value;

		json_object_foreach(store.sent[i], key, value)
		{
			assert_null(strstr(key, "key"));
			assert_false(json_is_string(value) &&
				     strstr(json_string_value(value), "PRIVATE"));
		}
	}
}

static size_t room_for(size_t least)
{
	size_t room;

	return ch_queue_wait_room(&queue, least, 0, &room) ? room : 0;
}

static void the_queue_is_bounded_and_closes(void **state)
{
	struct ch_work *work = calloc(1, sizeof(*work));

	assert_int_equal(room_for(1), 4);
	ch_queue_put(&queue, work);
	assert_int_equal(room_for(1), 3);
	assert_int_equal(room_for(4), 3); /* after a while */
	ch_queue_close(&queue);
	assert_int_equal(room_for(1), 0);
	/* What is left is handed out, so that it can be given back. */
	assert_ptr_equal(ch_queue_take(&queue), work);
	assert_null(ch_queue_take(&queue));
	assert_true(ch_queue_sleep(&queue, 1000000));
	free(work);
}

static struct ch_work *new_work(void)
{
	struct ch_work *work = calloc(1, sizeof(*work));

	assert_non_null(work);
	return work;
}

static void what_was_put_aside_comes_when_it_is_due(void **state)
{
	struct ch_work *put = new_work(), *late = new_work(), *soon = new_work();

	ch_queue_put_aside(&queue, late, bench_now_ms + 200);
	ch_queue_put_aside(&queue, soon, bench_now_ms + 100);
	ch_queue_put(&queue, put);
	assert_int_equal(room_for(1), 3);
	assert_ptr_equal(ch_queue_take(&queue), put);
	ch_queue_put(&queue, put);
	bench_now_ms += 100;
	assert_ptr_equal(ch_queue_take(&queue), soon);
	assert_ptr_equal(ch_queue_take(&queue), put);
	ch_queue_close(&queue);
	assert_ptr_equal(ch_queue_take(&queue), late);
	assert_null(ch_queue_take(&queue));
	ch_work_free(put);
	ch_work_free(late);
	ch_work_free(soon);
}

static void what_was_put_aside_can_be_hurried(void **state)
{
	struct ch_work *first = new_work(), *second = new_work();

	first->id = 1;
	second->id = 2;
	ch_queue_put_aside(&queue, first, bench_now_ms + 200);
	ch_queue_hurry(&queue, 2); /* it is about to be */
	ch_queue_put_aside(&queue, second, bench_now_ms + 100);
	assert_ptr_equal(ch_queue_take(&queue), second);
	ch_queue_hurry(&queue, 1);
	assert_ptr_equal(ch_queue_take(&queue), first);
	ch_queue_put_aside(&queue, second, bench_now_ms + 100);
	assert_int_equal(queue.aside[0].due_mono_ms, bench_now_ms + 100);
	ch_work_free(first);
}

static void what_can_be_put_aside_is_bounded(void **state)
{
	assert_true(ch_queue_may_put_aside(&queue));
	for (size_t i = 0; i < CH_ASIDE_MAX; i++)
		ch_queue_put_aside(&queue, new_work(), bench_now_ms);
	assert_false(ch_queue_may_put_aside(&queue));
	ch_work_free(ch_queue_take(&queue));
	assert_true(ch_queue_may_put_aside(&queue));
	/* Once told that it may, each worker has room. */
	for (size_t i = 0; i <= CH_WORKERS_MAX; i++)
		ch_queue_put_aside(&queue, new_work(), bench_now_ms);
	ch_queue_close(&queue);
	assert_false(ch_queue_may_put_aside(&queue));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(steps_that_lead_on_are_made_under_one_lease),
		T(a_quick_ca_gets_an_order_through_with_two_writes),
		T(a_slow_ca_gets_the_wait_written_and_the_lease_given_back),
		T(a_wait_that_the_ca_wants_longer_is_written),
		T(an_error_after_a_wait_brings_the_state_with_it),
		T(a_wait_is_written_when_half_of_the_lease_is_over),
		T(an_order_is_written_when_less_than_half_of_the_lease_is_left),
		T(a_wait_is_written_when_too_many_were_put_aside),
		T(a_stop_gives_back_what_was_put_aside),
		T(a_stop_before_the_first_step_gives_back_the_lease_only),
		T(the_stores_view_of_the_edges_counts),
		T(a_lost_fence_drops_the_order_silently),
		T(an_order_that_is_no_more_is_dropped),
		T(a_lease_that_ran_out_is_not_worked_on),
		T(a_write_is_tried_again_while_the_store_is_away),
		T(a_stop_does_not_wait_for_an_absent_store),
		T(a_stop_gives_leases_back),
		T(a_refused_publication_fails_the_order),
		T(publication_ends_the_lease),
		T(no_private_key_ever_goes_to_the_store),
		T(the_queue_is_bounded_and_closes),
		T(what_was_put_aside_comes_when_it_is_due),
		T(what_was_put_aside_can_be_hurried),
		T(what_can_be_put_aside_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
