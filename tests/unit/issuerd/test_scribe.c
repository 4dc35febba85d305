/* Steps that several threads write at once, and a store that takes them together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "issuerd/scribe.h"
#include "net/http_impl.h"

#define WRITERS 4
#define LATE WRITERS /* one more, who comes while others are being written */
#define CALLS_MAX 32
#define STEPS_B (1024u * 1024u) /* that a store takes */
#define PATIENCE_S 20 /* less than the time limit of the whole, which does not say why */

/* The first request waits until all others have something to write. */
struct fake_store {
	struct ch_http http[WRITERS + 1];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t calls;
	char url[CALLS_MAX][80];
	char method[CALLS_MAX][8];
	/* What POST /v1/steps is answered with: */
	int rc;
	int status;
	const char *body; /* NULL: each order is taken, but number 3 */
	/* What goes alone after that waits until the late one is written. */
	bool hold;
	size_t held;
	bool late_done;
	size_t most_b; /* the longest request */
};

static struct fake_store store;
static struct ch_scribe scribe;

struct writer {
	struct ch_api *api;
	struct ch_scribe_item item;
	struct ch_err err;
	pthread_t thread;
};

static struct writer writers[WRITERS + 1];

/* What a test waits for now.  What is wrong with a scribe mostly shows as threads that wait for
 * ever, in places where nothing of cmocka's can end them. */
static const char *volatile expected;

static void on_alarm(int signo)
{
	static const char text[] = "waited in vain for ";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)!write(STDERR_FILENO, expected, strlen(expected));
	(void)!write(STDERR_FILENO, "\n", 1);
	_exit(1);
}

static size_t waiting(void)
{
	size_t n = 0;

	pthread_mutex_lock(&scribe.lock);
	for (const struct ch_scribe_item *item = scribe.first; item; item = item->next)
		n++;
	pthread_mutex_unlock(&scribe.lock);
	return n;
}

static void taken(struct ch_buf *body, json_int_t id)
{
	ch_buf_addf(body,
		"{\"id\":%lld,\"fence\":%lld,\"state\":\"sealed\",\"edges\":{\"ready\":true}}",
		(long long)id, (long long)id + 100);
}

static void answer_list(const json_t *sent, const char *key, struct ch_buf *body)
{
	const json_t *list = json_object_get(sent, key);

	ch_buf_addf(body, "\"%s\":[", key);
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_int_t id =
			json_integer_value(json_object_get(json_array_get(list, i), "id"));

		ch_buf_add_str(body, i ? "," : "");
		if (id == 3)
			ch_buf_add_str(body, "{\"problem\":{\"status\":409,\"code\":\"fence-"
					     "lost\",\"detail\":"
					     "\"Somebody else has it.\"}}");
		else
			taken(body, id);
	}
	ch_buf_add_str(body, "]");
}

static void answer_steps(const json_t *sent, struct ch_buf *body)
{
	ch_buf_add_str(body, "{");
	answer_list(sent, "patches", body);
	ch_buf_add_str(body, ",");
	answer_list(sent, "publications", body);
	ch_buf_add_str(body, "}");
}

static bool note(const struct ch_http_req *req)
{
	bool first;

	pthread_mutex_lock(&store.lock);
	first = store.calls == 0;
	if (store.calls < CALLS_MAX) {
		snprintf(store.url[store.calls], 80, "%s", req->url);
		snprintf(store.method[store.calls], 8, "%s", req->method);
	}
	store.calls++;
	if (req->body_len > store.most_b)
		store.most_b = req->body_len;
	pthread_mutex_unlock(&store.lock);
	return first;
}

static size_t held(void)
{
	size_t n;

	pthread_mutex_lock(&store.lock);
	n = store.held;
	pthread_mutex_unlock(&store.lock);
	return n;
}

static void hold_until_late_is_done(void)
{
	pthread_mutex_lock(&store.lock);
	store.held++;
	while (!store.late_done)
		pthread_cond_wait(&store.changed, &store.lock);
	pthread_mutex_unlock(&store.lock);
}

static int store_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	json_t *sent = json_loadb(req->body, req->body_len, 0, NULL);
	bool is_steps = strstr(req->url, "/steps") != NULL;
	const char *type = "Content-Type: application/json";
	unsigned id = 0;
	int rc = CH_OK;
	bool first = note(req);

	while (first && waiting() < WRITERS - 1)
		continue;
	ch_http_resp_restart(resp, req->max_answer_b);
	resp->status = is_steps && store.status ? store.status : 200;
	if (resp->status >= 400)
		type = "Content-Type: application/problem+json";
	rc = ch_http_resp_add_line(resp, type, strlen(type));
	if (is_steps && store.rc)
		rc = ch_err_set(err, store.rc, "http-connect", "away");
	else if (is_steps && store.body)
		ch_buf_add_str(&resp->body, store.body);
	else if (is_steps)
		answer_steps(sent, &resp->body);
	else if (sscanf(req->url, "https://store.test/v1/orders/%u", &id) == 1) {
		if (store.hold && !first && id != LATE + 1)
			hold_until_late_is_done();
		taken(&resp->body, id);
	}
	json_decref(sent);
	return rc;
}

static void store_free(struct ch_http *http)
{
}

static int set_up(void **state)
{
	struct ch_api_options options = {.urls = {"https://store.test"}, .n_urls = 1};
	struct ch_err err;

	memset(&store, 0, sizeof(store));
	memset(writers, 0, sizeof(writers));
	pthread_mutex_init(&store.lock, NULL);
	pthread_cond_init(&store.changed, NULL);
	ch_scribe_init(&scribe);
	expected = "the one step to be written";
	signal(SIGALRM, on_alarm);
	alarm(PATIENCE_S);
	for (size_t i = 0; i <= LATE; i++) {
		store.http[i].send = store_send;
		store.http[i].free = store_free;
		assert_int_equal(
			ch_api_new_over(&options, &store.http[i], &writers[i].api, &err),
			CH_OK);
		writers[i].item.order_id = i + 1;
		writers[i].item.publish = i % 2;
		writers[i].item.body = json_pack("{si}", "fence", 7);
	}
	return 0;
}

static int tear_down(void **state)
{
	alarm(0);
	for (size_t i = 0; i <= LATE; i++) {
		ch_api_free(writers[i].api);
		json_decref(writers[i].item.body);
		json_decref(writers[i].item.answer);
	}
	ch_scribe_done(&scribe);
	pthread_cond_destroy(&store.changed);
	pthread_mutex_destroy(&store.lock);
	return 0;
}

static void *write_main(void *arg)
{
	struct writer *w = arg;

	return ch_scribe_write(&scribe, w->api, &w->item) == w->item.rc ? NULL : w;
}

static void begin_all(void)
{
	for (size_t i = 0; i < WRITERS; i++) {
		json_decref(writers[i].item.answer);
		assert_int_equal(
			pthread_create(&writers[i].thread, NULL, write_main, &writers[i]), 0);
	}
}

static void end_all(void)
{
	void *wrong;

	expected = "each writer to hear what became of its step";
	for (size_t i = 0; i < WRITERS; i++) {
		assert_int_equal(pthread_join(writers[i].thread, &wrong), 0);
		assert_null(wrong);
	}
}

static void write_all(void)
{
	begin_all();
	end_all();
}

static void assert_taken(size_t i)
{
	assert_int_equal(writers[i].item.rc, CH_OK);
	assert_int_equal(
		json_integer_value(json_object_get(writers[i].item.answer, "fence")), i + 101);
}

/* The one whose request held up the others went alone. */
static bool went_alone(size_t i)
{
	return strstr(store.url[0], "/steps") == NULL &&
	       store.url[0][strlen("https://store.test/v1/orders/")] == (char)('1' + i);
}

static void what_gathers_goes_together(void **state)
{
	write_all();
	assert_int_equal(store.calls, 2);
	assert_string_equal(store.url[1], "https://store.test/v1/steps");
	assert_string_equal(store.method[1], "POST");
	for (size_t i = 0; i < WRITERS; i++) {
		if (i != 2 || went_alone(i)) {
			assert_taken(i);
			continue;
		}
		assert_int_equal(writers[i].item.rc, CH_ECONFLICT);
		assert_string_equal(writers[i].item.err.problem, "fence-lost");
		assert_null(writers[i].item.answer);
	}
}

static void a_store_of_before_gets_one_by_one(void **state)
{
	store.status = 404;
	store.body = "{\"code\":\"no-such-route\",\"detail\":\"No.\"}";
	write_all();
	assert_int_equal(store.calls, 2 + WRITERS - 1);
	for (size_t i = 0; i < WRITERS; i++)
		assert_taken(i);
	/* … and is not tried again with several. */
	write_all();
	assert_int_equal(store.calls, 2 + WRITERS - 1 + WRITERS);
	for (size_t i = 0; i < WRITERS; i++)
		assert_taken(i);
}

static void a_request_that_is_refused_goes_one_by_one(void **state)
{
	store.status = 413;
	store.body = "{\"code\":\"body-too-large\",\"detail\":\"No.\"}";
	write_all();
	assert_int_equal(store.calls, 2 + WRITERS - 1);
	for (size_t i = 0; i < WRITERS; i++)
		assert_taken(i);
	assert_int_equal(scribe.single_until_ms, 0);
}

/* Neither those that go one by one for each other, nor anybody else for them. */
static void nobody_waits_for_what_goes_one_by_one(void **state)
{
	store.status = 400;
	store.body = "{\"code\":\"unknown-field\",\"detail\":\"No.\"}";
	store.hold = true;
	begin_all();
	expected = "all that go one by one to be under way at once";
	while (held() < WRITERS - 1)
		continue;
	expected = "the late one to be written beside those that go one by one";
	assert_int_equal(
		ch_scribe_write(&scribe, writers[LATE].api, &writers[LATE].item), CH_OK);
	assert_taken(LATE);
	pthread_mutex_lock(&store.lock);
	store.late_done = true;
	pthread_cond_broadcast(&store.changed);
	pthread_mutex_unlock(&store.lock);
	end_all();
	assert_int_equal(store.calls, 2 + WRITERS - 1 + 1);
	for (size_t i = 0; i < WRITERS; i++)
		assert_taken(i);
}

static void set_length(size_t i, size_t len)
{
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, 'x', len);
	text[len] = 0;
	assert_int_equal(
		json_object_set_new(writers[i].item.body, "leaf", json_string(text)), 0);
	free(text);
}

static void what_is_long_goes_with_fewer(void **state)
{
	for (size_t i = 0; i < WRITERS; i++)
		set_length(i, STEPS_B / 5);
	write_all();
	/* The first one, two of the others, and the last. */
	assert_int_equal(store.calls, 3);
	assert_string_equal(store.url[1], "https://store.test/v1/steps");
	assert_true(store.most_b > STEPS_B * 2 / 5);
	assert_true(store.most_b < STEPS_B * 3 / 5);
	for (size_t i = 0; i < WRITERS; i++)
		if (i != 2)
			assert_taken(i);
}

static void what_is_too_long_for_company_goes_alone(void **state)
{
	for (size_t i = 0; i < WRITERS; i++)
		set_length(i, STEPS_B * 3 / 5);
	write_all();
	assert_int_equal(store.calls, WRITERS);
	for (size_t i = 0; i < WRITERS; i++) {
		assert_null(strstr(store.url[i], "/steps"));
		assert_taken(i);
	}
}

static void each_hears_that_the_store_is_away(void **state)
{
	store.rc = CH_ENETWORK;
	write_all();
	assert_int_equal(store.calls, 2);
	for (size_t i = 0; i < WRITERS; i++) {
		if (went_alone(i)) {
			assert_taken(i);
			continue;
		}
		assert_int_equal(writers[i].item.rc, CH_ENETWORK);
		assert_string_equal(writers[i].item.err.problem, "http-connect");
	}
}

static void assert_not_believed(const char *body)
{
	store.body = body;
	write_all();
	for (size_t i = 0; i < WRITERS; i++)
		if (!went_alone(i))
			assert_int_equal(writers[i].item.rc, CH_EPROTO);
}

static void answers_that_lack_one_are_not_believed(void **state)
{
	assert_not_believed("{\"patches\":[],\"publications\":7}");
}

static void answers_for_others_are_not_believed(void **state)
{
	assert_not_believed("{\"patches\":[{\"id\":11},{}],\"publications\":[{\"id\":12},[]]}");
}

static void one_alone_goes_as_ever(void **state)
{
	store.calls = 1; /* nobody waits for others */
	assert_int_equal(ch_scribe_write(&scribe, writers[1].api, &writers[1].item), CH_OK);
	assert_taken(1);
	assert_int_equal(store.calls, 2);
	assert_string_equal(store.url[1], "https://store.test/v1/orders/2/publish");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_gathers_goes_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_store_of_before_gets_one_by_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_request_that_is_refused_goes_one_by_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			nobody_waits_for_what_goes_one_by_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_long_goes_with_fewer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_too_long_for_company_goes_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			each_hears_that_the_store_is_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			answers_that_lack_one_are_not_believed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			answers_for_others_are_not_believed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_alone_goes_as_ever, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
