#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http.h"
#include "server.h"

#define OK_2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static struct ch_http *plain_client(void)
{
	struct ch_http_options options = {.allow_http = 1, .user_agent = "test"};
	struct ch_http *http;
	struct ch_err err;

	assert_int_equal(ch_http_new_curl(&options, &http, &err), CH_OK);
	return http;
}

static int fetch(struct ch_http *http, const char *url, size_t max_b, struct ch_http_resp *resp,
	struct ch_err *err)
{
	struct ch_http_req req = {
		.method = "GET", .url = url, .max_answer_b = max_b, .timeout_ms = 5000};

	return ch_http_send(http, &req, resp, err);
}

static void an_answer_has_status_headers_and_body(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
		"HTTP/1.1 404 Not Found\r\nX-One:  a b \r\nx-one: second\r\n"
		"Content-Length: 4\r\n\r\ngone",
		NULL};
	struct test_server s;
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;
	struct ch_err err;

	test_server_start(&s, NULL, answers);
	ch_http_resp_init(&resp);
	assert_int_equal(fetch(http, s.url, 4, &resp, &err), CH_OK);
	assert_int_equal(resp.status, 404);
	assert_string_equal(ch_http_resp_header(&resp, "x-one"), "a b");
	assert_null(ch_http_resp_header(&resp, "x-early"));
	assert_string_equal(ch_buf_str(&resp.body), "gone");
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
}

static void a_connection_is_used_again(void **state)
{
	static const char *const answers[] = {OK_2, NULL};
	struct test_server s;
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;
	struct ch_err err;

	test_server_start(&s, NULL, answers);
	ch_http_resp_init(&resp);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fetch(http, s.url, 100, &resp, &err), CH_OK);
		assert_string_equal(ch_buf_str(&resp.body), "ok");
	}
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
	assert_int_equal(s.n_connections, 1);
	assert_int_equal(s.n_requests, 3);
}

static void a_request_carries_method_headers_and_body(void **state)
{
	static const char *const answers[] = {OK_2, NULL};
	const struct ch_http_header headers[] = {
		{"content-type", "application/json"}, {"x-empty", ""}};
	struct test_server s;
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;
	struct ch_err err;
	struct ch_http_req req = {.method = "PATCH",
		.headers = headers,
		.n_headers = 2,
		.body = "{\"a\":1}",
		.body_len = 7,
		.max_answer_b = 100};

	test_server_start(&s, NULL, answers);
	ch_http_resp_init(&resp);
	req.url = s.url;
	assert_int_equal(ch_http_send(http, &req, &resp, &err), CH_OK);
	req = (struct ch_http_req){.method = "POST", .url = s.url, .max_answer_b = 100};
	assert_int_equal(ch_http_send(http, &req, &resp, &err), CH_OK);
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
	assert_memory_equal(s.requests[0], "PATCH / HTTP/1.1\r\n", 18);
	assert_non_null(strcasestr(s.requests[0], "\r\ncontent-type: application/json\r\n"));
	assert_non_null(strcasestr(s.requests[0], "\r\nx-empty:\r\n"));
	assert_non_null(strstr(s.requests[0], "\r\n\r\n{\"a\":1}"));
	assert_null(strcasestr(s.requests[0], "expect:"));
	assert_non_null(strcasestr(s.requests[1], "content-length: 0\r\n"));
	assert_null(strcasestr(s.requests[1], "content-type"));
}

static void a_body_over_the_cap_is_refused(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n12345678901",
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n12345678901",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
		"b\r\n12345678901\r\n0\r\n\r\n",
		NULL};
	struct test_server s;
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;
	struct ch_err err;

	test_server_start(&s, NULL, answers);
	ch_http_resp_init(&resp);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fetch(http, s.url, 10, &resp, &err), CH_ETOOBIG);
		assert_string_equal(err.problem, "http-too-big");
	}
	assert_int_equal(fetch(http, s.url, 11, &resp, &err), CH_OK);
	assert_int_equal(resp.body.len, 11);
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
}

static void headers_over_the_caps_are_refused_or_dropped(void **state)
{
	CH_AUTO_FREE char *big = malloc(200000);
	CH_AUTO_FREE char *many = malloc(200000);
	CH_AUTO_FREE char *total = malloc(200000);
	const char *answers[] = {big, many, total, NULL};
	struct test_server s;
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;
	struct ch_err err;
	size_t len;

	snprintf(big, 200000, "HTTP/1.1 200 OK\r\nx: %09000d\r\nConnection: close\r\n\r\n", 1);
	len = (size_t)sprintf(many, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 100; i++)
		len += (size_t)sprintf(many + len, "x-%d: %d\r\n", i, i);
	sprintf(many + len, "Connection: close\r\n\r\n");
	len = (size_t)sprintf(total, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 20; i++)
		len += (size_t)sprintf(total + len, "x-%d: %05000d\r\n", i, i);
	sprintf(total + len, "Connection: close\r\n\r\n");
	test_server_start(&s, NULL, answers);
	ch_http_resp_init(&resp);
	assert_int_equal(fetch(http, s.url, 10, &resp, &err), CH_ETOOBIG);
	assert_int_equal(fetch(http, s.url, 10, &resp, &err), CH_OK);
	assert_int_equal(resp.n_headers, CH_HTTP_HEADERS_MAX);
	assert_string_equal(ch_http_resp_header(&resp, "x-63"), "63");
	assert_int_equal(fetch(http, s.url, 10, &resp, &err), CH_ETOOBIG);
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
}

static void a_redirect_is_not_followed(void **state)
{
	static const char *const elsewhere[] = {OK_2, NULL};
	char redirect[200];
	const char *answers[] = {redirect, NULL};
	struct test_server target;
	struct test_server s;
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;
	struct ch_err err;

	test_server_start(&target, NULL, elsewhere);
	snprintf(redirect, sizeof(redirect),
		"HTTP/1.1 302 Found\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n", target.url);
	test_server_start(&s, NULL, answers);
	ch_http_resp_init(&resp);
	assert_int_equal(fetch(http, s.url, 10, &resp, &err), CH_OK);
	assert_int_equal(resp.status, 302);
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
	test_server_stop(&target);
	assert_int_equal(target.n_connections, 0);
}

static void a_silent_server_times_out(void **state)
{
	static const char *const answers[] = {NULL};
	struct test_server s;
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;
	struct ch_err err;
	struct ch_http_req req = {.method = "GET", .max_answer_b = 10, .timeout_ms = 50};

	test_server_start(&s, NULL, answers);
	ch_http_resp_init(&resp);
	req.url = s.url;
	assert_int_equal(ch_http_send(http, &req, &resp, &err), CH_ETIMEOUT);
	assert_string_equal(err.problem, "http-timeout");
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
}

static int cancel_third(void *arg)
{
	return ++*(int *)arg >= 3;
}

static void a_transfer_can_be_canceled(void **state)
{
	static const char *const answers[] = {NULL};
	int polls = 0;
	struct ch_http_options options = {
		.allow_http = 1, .canceled = cancel_third, .canceled_arg = &polls};
	struct test_server s;
	struct ch_http *http;
	struct ch_http_resp resp;
	struct ch_err err;

	test_server_start(&s, NULL, answers);
	assert_int_equal(ch_http_new_curl(&options, &http, &err), CH_OK);
	ch_http_resp_init(&resp);
	assert_int_equal(fetch(http, s.url, 10, &resp, &err), CH_ECANCELED);
	assert_int_equal(polls, 3);
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
}

static void a_refused_or_cut_connection_is_a_network_error(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\nhalf", NULL};
	struct test_server s;
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;
	struct ch_err err;

	test_server_start(&s, NULL, answers);
	ch_http_resp_init(&resp);
	assert_int_equal(fetch(http, s.url, 100, &resp, &err), CH_ENETWORK);
	assert_string_equal(err.problem, "http-broken");
	test_server_stop(&s);
	assert_int_equal(fetch(http, s.url, 100, &resp, &err), CH_ENETWORK);
	assert_string_equal(err.problem, "http-connect");
	assert_non_null(strstr(err.detail, s.url));
	assert_int_equal(fetch(http, "http://nowhere.invalid/", 100, &resp, &err), CH_ENETWORK);
	assert_string_equal(err.problem, "http-resolve");
	ch_http_resp_done(&resp);
	ch_http_free(http);
}

/* A path may hold a token: an error goes into logs. */
static void a_private_url_is_told_without_its_path(void **state)
{
	static const char *const answers[] = {OK_2,
		"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n"
		"Connection: close\r\n\r\nhalf",
		NULL};
	static const struct {
		const char *url;
		int rc;
		const char *told;
	} wrong[] = {
		{"http://nowhere.invalid:81/tOken", CH_ENETWORK, "http://nowhere.invalid:81: "},
		{"http://nowhere.invalid?tOken", CH_ENETWORK, "http://nowhere.invalid: "},
		{"http://me:tOken@127.0.0.1/tOken", CH_EINVAL, "http://127.0.0.1: "},
		{"ftp://127.0.0.1/tOken", CH_EINVAL, "ftp://127.0.0.1: "},
		{"tOken", CH_EINVAL, "the URL: "},
		{"http://127.0.0.1/tOken x", CH_EINVAL, "white space"},
	};
	struct test_server s;
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;
	struct ch_err err;
	char url[200];
	struct ch_http_req req = {
		.method = "GET", .url = url, .private_url = 1, .timeout_ms = 5000};

	(void)state;
	test_server_start(&s, NULL, answers);
	ch_http_resp_init(&resp);
	snprintf(url, sizeof(url), "%s/hook/tOken?also=tOken", s.url);
	assert_int_equal(ch_http_send(http, &req, &resp, &err), CH_ETOOBIG);
	assert_non_null(strstr(err.detail, s.url));
	assert_null(strstr(err.detail, "tOken"));
	req.max_answer_b = 100;
	assert_int_equal(ch_http_send(http, &req, &resp, &err), CH_ENETWORK);
	assert_string_equal(err.problem, "http-broken");
	assert_null(strstr(err.detail, "tOken"));
	test_server_stop(&s);
	assert_int_equal(ch_http_send(http, &req, &resp, &err), CH_ENETWORK);
	assert_string_equal(err.problem, "http-connect");
	assert_null(strstr(err.detail, "tOken"));
	for (size_t i = 0; i < CH_ARRAY_LEN(wrong); i++) {
		req.url = wrong[i].url;
		assert_int_equal(ch_http_send(http, &req, &resp, &err), wrong[i].rc);
		assert_non_null(strstr(err.detail, wrong[i].told));
		assert_null(strstr(err.detail, "tOken"));
	}
	/* Of others it is told, without the query. */
	snprintf(url, sizeof(url), "%s/hook/path?query", s.url);
	assert_int_equal(fetch(http, url, 100, &resp, &err), CH_ENETWORK);
	assert_non_null(strstr(err.detail, "/hook/path: "));
	ch_http_resp_done(&resp);
	ch_http_free(http);
}

static void nothing_can_be_injected_into_a_request(void **state)
{
	static const char *const answers[] = {OK_2, NULL};
	static const struct ch_http_header bad[] = {{"x", "a\r\nHost: evil"}, {"x", "a\nb: c"},
		{"x", "a\rb"}, {"x", "a\x7f"}, {"x\r\ny", "a"}, {"x: y", "a"}, {"", "a"},
		{"x y", "a"}};
	struct test_server s;
	struct ch_http *http = plain_client();
	struct ch_http_resp resp;
	struct ch_err err;
	struct ch_http_req req = {.method = "GET", .n_headers = 1, .max_answer_b = 10};

	test_server_start(&s, NULL, answers);
	ch_http_resp_init(&resp);
	req.url = s.url;
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		req.headers = &bad[i];
		assert_int_equal(ch_http_send(http, &req, &resp, &err), CH_EINVAL);
		assert_string_equal(err.problem, "http-header");
	}
	req.n_headers = 0;
	req.method = "GET / HTTP/1.1\r\nX: ";
	assert_int_equal(ch_http_send(http, &req, &resp, &err), CH_EINVAL);
	assert_int_equal(
		fetch(http, "http://127.0.0.1/ HTTP/1.1\r\nx: y", 10, &resp, &err), CH_EINVAL);
	assert_int_equal(fetch(http, "http://user:pw@127.0.0.1/", 10, &resp, &err), CH_EINVAL);
	assert_int_equal(fetch(http, "file:///etc/passwd", 10, &resp, &err), CH_EINVAL);
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
	assert_int_equal(s.n_requests, 0);
}

static void plain_http_is_refused_unless_allowed(void **state)
{
	static const char *const answers[] = {OK_2, NULL};
	struct ch_http_options options = {0};
	struct test_server s;
	struct ch_http *http;
	struct ch_http_resp resp;
	struct ch_err err;

	test_server_start(&s, NULL, answers);
	assert_int_equal(ch_http_new_curl(&options, &http, &err), CH_OK);
	ch_http_resp_init(&resp);
	assert_int_equal(fetch(http, s.url, 10, &resp, &err), CH_EINVAL);
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
	assert_int_equal(s.n_connections, 0);
}

/* One request to a TLS server with a certificate from `ca` for `san`, by a client that trusts
 * `trusted` only. */
static int fetch_tls(const struct test_ca *ca, const char *san, const struct test_ca *trusted,
	int max_version, struct ch_err *err)
{
	static const char *const answers[] = {OK_2, NULL};
	char path[] = "/tmp/ch-test-ca-XXXXXX";
	int fd = mkstemp(path);
	struct ch_http_options options = {.ca_file = path};
	SSL_CTX *ctx = test_ca_server_ctx(ca, san);
	struct test_server s;
	struct ch_http *http;
	struct ch_http_resp resp;
	int rc;

	assert_true(fd >= 0);
	close(fd);
	test_ca_write(trusted, path);
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(ctx, max_version);
	test_server_start(&s, ctx, answers);
	assert_int_equal(ch_http_new_curl(&options, &http, err), CH_OK);
	ch_http_resp_init(&resp);
	rc = fetch(http, s.url, 10, &resp, err);
	ch_http_resp_done(&resp);
	ch_http_free(http);
	test_server_stop(&s);
	unlink(path);
	return rc;
}

static void the_server_must_prove_who_it_is(void **state)
{
	struct test_ca ca;
	struct test_ca other;
	struct ch_err err;

	test_ca_make(&ca, "ours");
	test_ca_make(&other, "theirs");
	assert_int_equal(fetch_tls(&ca, "IP:127.0.0.1", &ca, 0, &err), CH_OK);
	assert_int_equal(fetch_tls(&ca, "IP:127.0.0.1", &other, 0, &err), CH_EAUTH);
	assert_string_equal(err.problem, "http-tls-server");
	assert_int_equal(fetch_tls(&ca, "IP:127.0.0.2", &ca, 0, &err), CH_EAUTH);
	assert_int_equal(fetch_tls(&ca, "DNS:store.example", &ca, 0, &err), CH_EAUTH);
	assert_int_equal(fetch_tls(&ca, "IP:127.0.0.1", &ca, TLS1_2_VERSION, &err), CH_OK);
	assert_int_equal(
		fetch_tls(&ca, "IP:127.0.0.1", &ca, TLS1_1_VERSION, &err), CH_ENETWORK);
	assert_string_equal(err.problem, "http-tls");
	test_ca_done(&ca);
	test_ca_done(&other);
}

static void a_client_certificate_is_shown(void **state)
{
	static const char *const answers[] = {OK_2, NULL};
	char dir[] = "/tmp/ch-test-tls-XXXXXX";
	char ca_path[64];
	char cert_path[64];
	char key_path[64];
	struct ch_http_options options = {.ca_file = ca_path};
	struct test_ca ca;
	struct test_server s;
	struct ch_http *http;
	struct ch_http_resp resp;
	struct ch_err err;
	SSL_CTX *ctx;

	assert_non_null(mkdtemp(dir));
	snprintf(ca_path, sizeof(ca_path), "%s/ca", dir);
	snprintf(cert_path, sizeof(cert_path), "%s/cert", dir);
	snprintf(key_path, sizeof(key_path), "%s/key", dir);
	test_ca_make(&ca, "ours");
	test_ca_write(&ca, ca_path);
	test_ca_write_client(&ca, cert_path, key_path);
	ctx = test_ca_server_ctx(&ca, "IP:127.0.0.1");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	assert_int_equal(SSL_CTX_load_verify_file(ctx, ca_path), 1);
	test_server_start(&s, ctx, answers);
	ch_http_resp_init(&resp);
	assert_int_equal(ch_http_new_curl(&options, &http, &err), CH_OK);
	assert_int_equal(fetch(http, s.url, 10, &resp, &err), CH_ENETWORK);
	ch_http_free(http);
	options.cert_file = cert_path;
	options.key_file = key_path;
	assert_int_equal(ch_http_new_curl(&options, &http, &err), CH_OK);
	assert_int_equal(fetch(http, s.url, 10, &resp, &err), CH_OK);
	ch_http_free(http);
	ch_http_resp_done(&resp);
	test_server_stop(&s);
	test_ca_done(&ca);
	unlink(ca_path);
	unlink(cert_path);
	unlink(key_path);
	rmdir(dir);
}

static void retry_after_is_seconds_or_a_date_within_a_day(void **state)
{
	/* Sun, 06 Nov 1994 08:49:37 GMT */
	const int64_t at = INT64_C(784111777000);
	static const struct {
		const char *value;
		int64_t offset_ms; /* from at - 60 s */
	} good[] = {
		{"0", 0},
		{"120", 120000},
		{"86400", CH_DAY_MS},
		{"86401", CH_DAY_MS},
		{"99999999999999999999999999", CH_DAY_MS},
		{"Sun, 06 Nov 1994 08:49:37 GMT", 60000},
		{"Sunday, 06-Nov-94 08:49:37 GMT", 60000},
		{"Sun Nov  6 08:49:37 1994", 60000},
		{"Sat, 06 Nov 1993 08:49:37 GMT", 0},
		{"Wed, 06 Nov 2090 08:49:37 GMT", CH_DAY_MS},
	};
	static const char *const bad[] = {"", "-1", "+5", "1.5", "5 ", " 5", "soon", "0x10",
		"Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT+1",
		"Sun, 36 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"};
	int64_t got;

	for (size_t i = 0; i < CH_ARRAY_LEN(good); i++) {
		assert_int_equal(ch_http_retry_after(good[i].value, at - 60000, &got), CH_OK);
		assert_int_equal(got - (at - 60000), good[i].offset_ms);
	}
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(ch_http_retry_after(bad[i], at, &got), CH_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_has_status_headers_and_body),
		cmocka_unit_test(a_connection_is_used_again),
		cmocka_unit_test(a_request_carries_method_headers_and_body),
		cmocka_unit_test(a_body_over_the_cap_is_refused),
		cmocka_unit_test(headers_over_the_caps_are_refused_or_dropped),
		cmocka_unit_test(a_redirect_is_not_followed),
		cmocka_unit_test(a_silent_server_times_out),
		cmocka_unit_test(a_transfer_can_be_canceled),
		cmocka_unit_test(a_refused_or_cut_connection_is_a_network_error),
		cmocka_unit_test(a_private_url_is_told_without_its_path),
		cmocka_unit_test(nothing_can_be_injected_into_a_request),
		cmocka_unit_test(plain_http_is_refused_unless_allowed),
		cmocka_unit_test(the_server_must_prove_who_it_is),
		cmocka_unit_test(a_client_certificate_is_shown),
		cmocka_unit_test(retry_after_is_seconds_or_a_date_within_a_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
