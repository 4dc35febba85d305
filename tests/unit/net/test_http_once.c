/* Requests whose body must not be sent twice, on connections that break. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "net/http.h"
#include "server.h"

#define OK_2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct ch_http *plain_client(void)
{
	struct ch_http_options options = {.allow_http = 1};
	struct ch_http *http;
	struct ch_err err;

	assert_int_equal(ch_http_new_curl(&options, &http, &err), CH_OK);
	return http;
}

/* Three posts on a connection that the server closes when it has read the second. */
static void post_on_a_dying_connection(struct test_server *s, int once, int rc, const char *why)
{
	static const char *const answers[] = {OK_2, "", OK_2, NULL};
	static const char *const bodies[] = {
		"{\"first\":1}", "{\"second\":1}", "{\"third\":1}"};
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;

	test_server_start(s, NULL, answers);
	ch_http_resp_init(&resp);
	for (int i = 0; i < 3; i++) {
		struct ch_http_req req = {.method = "POST",
			.url = s->url,
			.body = bodies[i],
			.body_len = strlen(bodies[i]),
			.max_answer_b = 100,
			.once = once};
		struct ch_err err = {0};

		assert_int_equal(ch_http_send(http, &req, &resp, &err), i == 1 ? rc : CH_OK);
		assert_string_equal(err.problem, i == 1 ? why : "");
	}
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(s);
	assert_non_null(strstr(s->requests[0], "\r\n\r\n{\"first\":1}"));
	assert_non_null(strstr(s->requests[1], "\r\n\r\n{\"second\":1}"));
}

static void a_request_that_may_be_sent_once_is_not_repeated(void **state)
{
	struct test_server s;

	post_on_a_dying_connection(&s, 1, CH_EAGAIN, "http-not-resent");
	assert_int_equal(s.n_requests, 3);
	assert_non_null(strstr(s.requests[2], "\r\n\r\n{\"third\":1}"));
}

static void any_other_request_is_repeated_on_a_new_connection(void **state)
{
	struct test_server s;

	post_on_a_dying_connection(&s, 0, CH_OK, "");
	assert_int_equal(s.n_requests, 4);
	assert_non_null(strstr(s.requests[2], "\r\n\r\n{\"second\":1}"));
}

/* How far the request came when the connection was reset is a matter of luck: libcurl may see
 * it before the body, between its parts or after it. */
static void a_reset_in_the_middle_repeats_nothing(void **state)
{
	static const char *const answers[] = {OK_2, TEST_RESET, OK_2, NULL};

	for (int round = 0; round < 20; round++) {
		struct test_server s;
		struct ch_http *http = plain_client();
		struct ch_http_resp resp;
		struct ch_err err;
		struct ch_http_req req = {.method = "POST",
			.body = "{}",
			.body_len = 2,
			.max_answer_b = 100,
			.once = 1};
		int rc;

		test_server_start(&s, NULL, answers);
		ch_http_resp_init(&resp);
		req.url = s.url;
		assert_int_equal(ch_http_send(http, &req, &resp, &err), CH_OK);
		rc = ch_http_send(http, &req, &resp, &err);
		ch_http_resp_done(&resp);
		ch_http_free(http);
		test_server_stop(&s);
		assert_true(rc == CH_OK || rc == CH_EAGAIN);
		/* Success: nothing of the body had been sent. */
		assert_int_equal(s.n_requests, rc == CH_OK ? 3 : 2);
	}
}

static void a_new_connection_that_breaks_is_a_network_error(void **state)
{
	static const char *const answers[] = {"", NULL};
	struct test_server s;
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;
	struct ch_err err;
	struct ch_http_req req = {
		.method = "POST", .body = "{}", .body_len = 2, .max_answer_b = 100, .once = 1};

	test_server_start(&s, NULL, answers);
	ch_http_resp_init(&resp);
	req.url = s.url;
	assert_int_equal(ch_http_send(http, &req, &resp, &err), CH_ENETWORK);
	assert_string_equal(err.problem, "http-broken");
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
	assert_int_equal(s.n_requests, 1);
}

static void a_body_that_is_sent_once_is_sent_whole(void **state)
{
	static const char *const answers[] = {OK_2, NULL};
	struct test_server s;
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;
	struct ch_err err;
	char body[7000];
	struct ch_http_req req = {
		.method = "POST", .body = body, .max_answer_b = 100, .once = 1};

	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (char)('a' + i % 23);
	body[sizeof(body) - 1] = 0;
	test_server_start(&s, NULL, answers);
	ch_http_resp_init(&resp);
	req.url = s.url;
	req.body_len = strlen(body);
	assert_int_equal(ch_http_send(http, &req, &resp, &err), CH_OK);
	req.body_len = 0; /* no body is none, however often it may be sent */
	assert_int_equal(ch_http_send(http, &req, &resp, &err), CH_OK);
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
	assert_string_equal(strstr(s.requests[0], "\r\n\r\n") + 4, body);
	assert_non_null(strcasestr(s.requests[0], "content-length: 6999\r\n"));
	assert_null(strcasestr(s.requests[0], "expect:"));
	assert_non_null(strcasestr(s.requests[1], "content-length: 0\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_that_may_be_sent_once_is_not_repeated),
		cmocka_unit_test(any_other_request_is_repeated_on_a_new_connection),
		cmocka_unit_test(a_reset_in_the_middle_repeats_nothing),
		cmocka_unit_test(a_new_connection_that_breaks_is_a_network_error),
		cmocka_unit_test(a_body_that_is_sent_once_is_sent_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
