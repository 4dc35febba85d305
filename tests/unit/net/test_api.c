#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/api.h"
#include "net/http_impl.h"

/* A ch_http that answers from a script and writes down what it was asked. */
struct step {
	int rc;
	int status;
	const char *header; /* raw line, may be NULL */
	const char *body;
};

struct script {
	struct ch_http http;
	const struct step *steps;
	size_t at;
	char urls[8][128];
	char body[256];
};

static int script_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	struct script *s = (struct script *)http;
	const struct step *step = &s->steps[s->at];

	snprintf(s->urls[s->at++], sizeof(s->urls[0]), "%s", req->url);
	snprintf(s->body, sizeof(s->body), "%s", req->body ? (const char *)req->body : "");
	ch_http_resp_restart(resp, req->max_answer_b);
	if (step->rc)
		return ch_err_set(err, step->rc, "scripted", "%s: scripted", req->url);
	resp->status = step->status;
	if (step->header)
		assert_int_equal(
			ch_http_resp_add_line(resp, step->header, strlen(step->header)), CH_OK);
	return step->body ? ch_buf_add_str(&resp->body, step->body) : CH_OK;
}

static void script_free(struct ch_http *http)
{
}

#define JSON "content-type: application/json"
#define PROBLEM "content-type: application/problem+json"

static struct ch_api *start(struct script *s, const struct step *steps, size_t n_urls)
{
	struct ch_api_options options = {0};
	struct ch_api *api;
	struct ch_err err;
	char url[40];

	*s = (struct script){
		.http = {.send = script_send, .free = script_free}, .steps = steps};
	for (size_t i = 0; i < n_urls; i++) {
		snprintf(url, sizeof(url), "https://s%zu.example:8443", i);
		assert_int_equal(ch_api_options_add_url(&options, url), CH_OK);
	}
	assert_int_equal(ch_api_new_over(&options, &s->http, &api, &err), CH_OK);
	return api;
}

static int get(struct ch_api *api, json_t **answer, struct ch_err *err)
{
	struct ch_api_call call = {.method = "GET", .path = "/v1/status"};
	int rc = ch_api_call(api, &call, err);

	*answer = call.answer;
	return rc;
}

static void json_goes_out_and_comes_back(void **state)
{
	static const struct step steps[] = {
		{0, 200, "Content-Type: application/json; charset=utf-8", "{\"a\":[1]}"},
		{0, 204, NULL, NULL}};
	struct script s;
	struct ch_api *api = start(&s, steps, 1);
	json_t *body = json_pack("{s:s}", "x", "y");
	struct ch_api_call call = {.method = "POST", .path = "/v1/domains", .body = body};
	struct ch_err err;

	assert_int_equal(ch_api_call(api, &call, &err), CH_OK);
	assert_int_equal(json_array_size(json_object_get(call.answer, "a")), 1);
	assert_string_equal(s.urls[0], "https://s0.example:8443/v1/domains");
	assert_string_equal(s.body, "{\"x\":\"y\"}");
	json_decref(call.answer);
	assert_int_equal(ch_api_call(api, &call, &err), CH_OK);
	assert_null(call.answer);
	assert_int_equal(call.status, 204);
	json_decref(body);
	ch_api_free(api);
}

static void answer_dated(const char *line)
{
	const struct step steps[] = {{0, 204, line, NULL}};
	struct script s;
	struct ch_api *api = start(&s, steps, 1);
	struct ch_err err;
	json_t *answer;

	assert_int_equal(get(api, &answer, &err), CH_OK);
	ch_api_free(api);
}

static void answer_at(int64_t at_ms)
{
	time_t s = (time_t)(at_ms / CH_SECOND_MS);
	struct tm tm;
	char line[64];

	assert_non_null(gmtime_r(&s, &tm));
	strftime(line, sizeof(line), "date: %a, %d %b %Y %H:%M:%S GMT", &tm);
	answer_dated(line);
}

static void the_stores_clock_is_known_by_its_answers(void **state)
{
	int64_t now_ms = ch_now_ms();

	answer_at(now_ms + CH_HOUR_MS);
	assert_in_range(ch_api_lead_ms(), CH_HOUR_MS - 10000, CH_HOUR_MS);
	assert_int_equal(ch_api_store_ms(now_ms), now_ms + ch_api_lead_ms());
	answer_dated(NULL);
	answer_dated("date: yesterday");
	assert_true(ch_api_lead_ms() > 0);
	answer_at(now_ms - CH_HOUR_MS);
	assert_in_range(-ch_api_lead_ms(), CH_HOUR_MS, CH_HOUR_MS + 20000);
	answer_at(now_ms + 5000);
	assert_int_equal(ch_api_lead_ms(), 0);
}

static void a_senseless_date_still_makes_a_time(void **state)
{
	static const char *const lines[] = {
		"date: Fri, 31 Dec 9999 23:59:60 GMT", "date: Sat, 01 Jan 0000 00:00:00 GMT"};
	char text[CH_TIME_STR_B];
	int64_t at_ms;

	for (size_t i = 0; i < CH_ARRAY_LEN(lines); i++) {
		answer_dated(lines[i]);
		ch_time_str(ch_api_store_ms(ch_now_ms() + CH_DAY_MS), text);
		assert_int_equal(ch_time_parse(text, &at_ms), CH_OK);
	}
	answer_at(ch_now_ms());
}

static void a_dead_store_is_passed_over_and_the_live_one_remembered(void **state)
{
	static const struct step steps[] = {{CH_ENETWORK, 0, NULL, NULL}, {0, 503, NULL, NULL},
		{0, 200, JSON, "{}"}, {0, 200, JSON, "{}"}};
	struct script s;
	struct ch_api *api = start(&s, steps, 3);
	struct ch_err err;
	json_t *answer;

	assert_int_equal(get(api, &answer, &err), CH_OK);
	json_decref(answer);
	assert_int_equal(get(api, &answer, &err), CH_OK);
	json_decref(answer);
	assert_string_equal(s.urls[3], "https://s2.example:8443/v1/status");
	assert_string_equal(ch_api_url(api), "https://s2.example:8443");
	ch_api_free(api);
}

static void when_no_store_answers_the_error_names_each(void **state)
{
	static const struct step steps[] = {{CH_ENETWORK, 0, NULL, NULL}, {0, 502, NULL, NULL},
		{CH_ETIMEOUT, 0, NULL, NULL}};
	struct script s;
	struct ch_api *api = start(&s, steps, 3);
	struct ch_err err;
	json_t *answer;

	assert_int_equal(get(api, &answer, &err), CH_ETIMEOUT);
	assert_non_null(strstr(err.detail, "s0.example:8443"));
	assert_non_null(strstr(err.detail, "s1.example:8443 answered 502"));
	assert_non_null(strstr(err.detail, "s2.example:8443"));
	assert_int_equal(s.at, 3);
	ch_api_free(api);
}

static void a_canceled_call_tries_no_other_store(void **state)
{
	static const struct step steps[] = {{CH_ECANCELED, 0, NULL, NULL}};
	struct script s;
	struct ch_api *api = start(&s, steps, 3);
	struct ch_err err;
	json_t *answer;

	assert_int_equal(get(api, &answer, &err), CH_ECANCELED);
	assert_int_equal(s.at, 1);
	ch_api_free(api);
}

static void an_answer_of_the_store_is_final(void **state)
{
	static const struct step steps[] = {
		{0, 404, PROBLEM, "{\"code\":\"domain-not-found\",\"detail\":\"No such.\"}"}};
	struct script s;
	struct ch_api *api = start(&s, steps, 3);
	struct ch_err err;
	json_t *answer;

	assert_int_equal(get(api, &answer, &err), CH_ENOTFOUND);
	assert_string_equal(err.problem, "domain-not-found");
	assert_string_equal(err.detail, "No such.");
	assert_int_equal(s.at, 1);
	ch_api_free(api);
}

static void problems_map_to_return_codes(void **state)
{
	static const struct {
		int status;
		int rc;
	} cases[] = {{400, CH_EINVAL}, {401, CH_EAUTH}, {403, CH_EAUTH}, {404, CH_ENOTFOUND},
		{405, CH_EINVAL}, {409, CH_ECONFLICT}, {413, CH_ETOOBIG}, {415, CH_EINVAL},
		{418, CH_EIO}, {429, CH_EAGAIN}, {500, CH_EIO}, {503, CH_EAGAIN}};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++) {
		struct step step = {
			0, cases[i].status, PROBLEM, "{\"code\":\"c\",\"detail\":\"d\"}"};
		struct script s;
		struct ch_api *api = start(&s, &step, 1);
		struct ch_err err;
		json_t *answer;

		assert_int_equal(get(api, &answer, &err), cases[i].rc);
		assert_string_equal(err.problem, "c");
		assert_null(answer);
		ch_api_free(api);
	}
}

static void an_error_without_a_problem_document_still_has_a_code(void **state)
{
	static const struct step steps[] = {{0, 500, "content-type: text/html", "<h1>no</h1>"},
		{0, 500, PROBLEM, "{broken"}, {0, 500, PROBLEM, "[]"},
		{0, 500, PROBLEM, "{\"code\":5,\"detail\":{}}"}, {0, 500, NULL, NULL}};
	struct script s;
	struct ch_api *api = start(&s, steps, 1);
	struct ch_err err;
	json_t *answer;

	for (size_t i = 0; i < CH_ARRAY_LEN(steps); i++) {
		assert_int_equal(get(api, &answer, &err), CH_EIO);
		assert_string_equal(err.problem, "http-500");
		assert_non_null(strstr(err.detail, "https://s0.example:8443"));
	}
	ch_api_free(api);
}

static void answers_that_no_store_gives_are_protocol_errors(void **state)
{
	static const struct step steps[] = {{0, 302, "location: https://evil.example/", NULL},
		{0, 200, "content-type: text/html", "{}"}, {0, 200, JSON, "{"},
		{0, 200, JSON, "{\"a\":1,\"a\":2}"},
		{0, 200, JSON, "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]"}, {0, 101, NULL, NULL}};
	struct script s;
	struct ch_api *api = start(&s, steps, 1);
	struct ch_err err;
	json_t *answer;

	for (size_t i = 0; i < CH_ARRAY_LEN(steps); i++) {
		assert_int_equal(get(api, &answer, &err), CH_EPROTO);
		assert_null(answer);
	}
	ch_api_free(api);
}

static void depth_counts_brackets_outside_of_strings_only(void **state)
{
	static const struct step steps[] = {{0, 200, JSON, "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"},
		{0, 200, JSON, "[\"[[[[[[[[[[[[[[[[[[[\\\"[[[[\"]"}};
	struct script s;
	struct ch_api *api = start(&s, steps, 1);
	struct ch_err err;
	json_t *answer;

	for (size_t i = 0; i < CH_ARRAY_LEN(steps); i++) {
		assert_int_equal(get(api, &answer, &err), CH_OK);
		json_decref(answer);
	}
	ch_api_free(api);
}

static void raw_answers_are_given_whole_and_errors_mapped(void **state)
{
	static const struct step steps[] = {{0, 200, "content-type: x/y", "bytes"},
		{0, 400, PROBLEM, "{\"code\":\"bad-cursor\",\"detail\":\"d\"}"},
		{0, 204, NULL, NULL}};
	struct script s;
	struct ch_api *api = start(&s, steps, 1);
	struct ch_http_resp resp;
	struct ch_err err;

	ch_http_resp_init(&resp);
	assert_int_equal(ch_api_get_raw(api, "/v1/feed", 100, 0, &resp, &err), CH_OK);
	assert_string_equal(ch_buf_str(&resp.body), "bytes");
	assert_int_equal(ch_api_get_raw(api, "/v1/feed", 100, 0, &resp, &err), CH_EINVAL);
	assert_string_equal(err.problem, "bad-cursor");
	assert_int_equal(ch_api_get_raw(api, "/v1/feed", 100, 0, &resp, &err), CH_EPROTO);
	ch_http_resp_done(&resp);
	ch_api_free(api);
}

static void urls_are_https_with_a_host_and_nothing_else(void **state)
{
	static const char *const bad[] = {"", "https://", "https:///", "http://a.example",
		"https://a/path", "https://a?q", "https://u@a", "https://a b", "ftp://a",
		"a:8443"};
	struct ch_api_options options = {0};

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(ch_api_options_add_url(&options, bad[i]), CH_EINVAL);
	assert_int_equal(ch_api_options_add_url(&options, "https://[::1]:8443/"), CH_OK);
	assert_string_equal(options.urls[0], "https://[::1]:8443");
	for (size_t i = 1; i < CH_API_URLS_MAX; i++)
		assert_int_equal(ch_api_options_add_url(&options, "https://a"), CH_OK);
	assert_int_equal(ch_api_options_add_url(&options, "https://a"), CH_ETOOBIG);
}

static int options_from(const char *text, struct ch_api_options *ret_options, char *ca)
{
	CH_AUTO_CONF struct ch_conf *conf = NULL;
	struct ch_err err;
	int rc;

	assert_int_equal(ch_conf_parse(text, strlen(text), "/etc/x", &conf, &err), CH_OK);
	rc = ch_api_options_from_conf(conf, "agent", "edge", ret_options);
	if (!rc)
		snprintf(ca, 200, "%s %s", ret_options->http.ca_file,
			ret_options->http.key_file);
	return rc ? rc : ch_conf_finish(conf, "agent", &err);
}

static void the_configuration_names_urls_and_identity(void **state)
{
	struct ch_api_options options;
	char files[200];

	assert_int_equal(options_from("", &options, files), CH_OK);
	assert_string_equal(options.urls[0], "https://127.0.0.1:8443");
	assert_string_equal(files, "/etc/x/pki/ca.pem /etc/x/pki/edge.key");
	assert_int_equal(options_from("[agent]\nstore = https://a:1, https://b:2/\n"
				      "identity_ca = /ca\n",
				 &options, files),
		CH_OK);
	assert_int_equal(options.n_urls, 2);
	assert_string_equal(options.urls[1], "https://b:2");
	assert_string_equal(files, "/ca /etc/x/pki/edge.key");
	assert_int_not_equal(
		options_from("[agent]\nstore = http://a\n", &options, files), CH_OK);
	assert_int_not_equal(options_from("[agent]\nstore = ,\n", &options, files), CH_OK);
}

static void everything_but_unreserved_characters_is_percent_encoded(void **state)
{
	struct ch_buf out;

	ch_buf_init(&out, 100);
	assert_int_equal(ch_url_encode(&out, "aZ9-._~/?#%& \xc3\xa4"), CH_OK);
	assert_string_equal(ch_buf_str(&out), "aZ9-._~%2F%3F%23%25%26%20%C3%A4");
	ch_buf_done(&out);
}

static void unreadable_identity_files_are_named(void **state)
{
	struct ch_api_options options = {.http = {.ca_file = "/nonexistent/ca.pem"}};
	struct ch_api *api;
	struct ch_err err;

	assert_int_equal(ch_api_options_add_url(&options, "https://a"), CH_OK);
	assert_int_equal(ch_api_new(&options, &api, &err), CH_EINVAL);
	assert_string_equal(err.problem, "identity-file");
	assert_non_null(strstr(err.detail, "/nonexistent/ca.pem: No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_goes_out_and_comes_back),
		cmocka_unit_test(the_stores_clock_is_known_by_its_answers),
		cmocka_unit_test(a_senseless_date_still_makes_a_time),
		cmocka_unit_test(a_dead_store_is_passed_over_and_the_live_one_remembered),
		cmocka_unit_test(when_no_store_answers_the_error_names_each),
		cmocka_unit_test(a_canceled_call_tries_no_other_store),
		cmocka_unit_test(an_answer_of_the_store_is_final),
		cmocka_unit_test(problems_map_to_return_codes),
		cmocka_unit_test(an_error_without_a_problem_document_still_has_a_code),
		cmocka_unit_test(answers_that_no_store_gives_are_protocol_errors),
		cmocka_unit_test(depth_counts_brackets_outside_of_strings_only),
		cmocka_unit_test(raw_answers_are_given_whole_and_errors_mapped),
		cmocka_unit_test(urls_are_https_with_a_host_and_nothing_else),
		cmocka_unit_test(the_configuration_names_urls_and_identity),
		cmocka_unit_test(everything_but_unreserved_characters_is_percent_encoded),
		cmocka_unit_test(unreadable_identity_files_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
