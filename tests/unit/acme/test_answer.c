/* Answers: Retry-After, and what each kind of answer means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "acme/call.h"
#include "base/clock.h"
#include "base/mem.h"
#include "script_http.h"

#define URN "urn:ietf:params:acme:error:"
#define PROBLEM "Content-Type: application/problem+json"
#define ORDER                                                                                  \
	"{\"status\":\"pending\",\"authorizations\":[\"https://ca/z/1\"],"                     \
	"\"finalize\":\"https://ca/f/1\"}"

static const int64_t now_ms = INT64_C(1800000000000);
static struct ch_acme_answer ans;

static int set_up(void **state)
{
	ch_acme_answer_init(&ans);
	return 0;
}

static int tear_down(void **state)
{
	ch_acme_answer_done(&ans);
	return 0;
}

static enum ch_acme_fate take(enum ch_acme_kind kind, struct script_turn turn)
{
	CH_CLEANUP(ch_http_resp_done) struct ch_http_resp resp;

	ch_acme_answer_done(&ans);
	ch_acme_answer_init(&ans);
	ch_http_resp_init(&resp);
	script_fill(&resp, &turn);
	return ch_acme_answer_take(kind, &resp, now_ms, &ans);
}

static void retry_after_is_obeyed_within_bounds(void **state)
{
	struct script_turn turn = {.status = 503, .headers = {"Retry-After: 120"}};

	assert_int_equal(take(CH_ACME_GET_ORDER, turn), CH_ACME_OUTAGE);
	assert_int_equal(ans.retry_at_ms, now_ms + 120000);
	turn.headers[0] = "Retry-After: 0";
	take(CH_ACME_GET_ORDER, turn);
	assert_int_equal(ans.retry_at_ms, now_ms + 1000);
	turn.headers[0] = "Retry-After: 99999999999999999999";
	take(CH_ACME_GET_ORDER, turn);
	assert_int_equal(ans.retry_at_ms, now_ms + CH_DAY_MS);
	turn.headers[0] = "Retry-After: Fri, 15 Jan 2027 08:01:00 GMT"; /* a minute from now */
	take(CH_ACME_GET_ORDER, turn);
	assert_int_equal(ans.retry_at_ms, now_ms + 60000);
	turn.headers[0] = "Retry-After: soon";
	take(CH_ACME_GET_ORDER, turn);
	assert_int_equal(ans.retry_at_ms, 0); /* as without one */
}

static void retry_after_on_final_and_open_objects_is_clamped_to_minutes(void **state)
{
	struct script_turn turn = {.status = 200,
		.headers = {"Retry-After: 86400"},
		.body = "{\"status\":\"valid\",\"finalize\":\"https://ca/f\","
			"\"certificate\":\"https://ca/c\"}"};

	assert_int_equal(take(CH_ACME_GET_ORDER, turn), CH_ACME_OK);
	assert_int_equal(ans.order.status, CH_ACME_VALID);
	assert_int_equal(ans.retry_at_ms, now_ms + CH_ACME_POLL_MOST_MS);
	turn.body = "{\"status\":\"processing\",\"finalize\":\"https://ca/f\"}";
	assert_int_equal(take(CH_ACME_GET_ORDER, turn), CH_ACME_OK);
	assert_int_equal(ans.retry_at_ms, now_ms + CH_ACME_POLL_MOST_MS);
}

static void an_internal_error_names_no_time(void **state)
{
	struct script_turn turn = {.status = 500};

	assert_int_equal(take(CH_ACME_FINALIZE, turn), CH_ACME_LATER);
	assert_int_equal(ans.retry_at_ms, 0);
	assert_int_equal(ans.err.actor, CH_ACTOR_CA);
	turn.headers[0] = PROBLEM;
	turn.body = "{\"type\":\"" URN "serverInternal\"}";
	assert_int_equal(take(CH_ACME_FINALIZE, turn), CH_ACME_LATER);
	assert_int_equal(ans.retry_at_ms, 0);
	/* A 500 that calls itself something else is an internal error all the same. */
	turn.body = "{\"type\":\"" URN "malformed\"}";
	assert_int_equal(take(CH_ACME_FINALIZE, turn), CH_ACME_LATER);
	turn.status = 504;
	assert_int_equal(take(CH_ACME_FINALIZE, turn), CH_ACME_OUTAGE);
}

static void redirections_are_named_and_not_followed(void **state)
{
	struct script_turn turn = {.headers = {"Location: https://evil.test/"}};

	for (turn.status = 301; turn.status <= 308; turn.status++) {
		assert_int_equal(take(CH_ACME_NEW_ORDER, turn), CH_ACME_LATER);
		assert_string_equal(ans.err.problem, "ca-redirect");
		assert_int_equal(ans.status, turn.status);
		assert_string_equal(ans.location, "");
	}
	turn.status = 418;
	assert_int_equal(take(CH_ACME_NEW_ORDER, turn), CH_ACME_LATER);
	assert_string_equal(ans.err.problem, "ca-status");
}

static void a_rate_limit_waits_for_its_time(void **state)
{
	struct script_turn turn = {.status = 429,
		.headers = {PROBLEM, "Retry-After: 3600"},
		.body = "{\"type\":\"" URN "rateLimited\",\"detail\":"
			"\"too many, see https://ca.example/limits\"}"};

	assert_int_equal(take(CH_ACME_NEW_ORDER, turn), CH_ACME_LIMITED);
	assert_int_equal(ans.retry_at_ms, now_ms + 3600000);
	assert_false(ans.retry_guessed);
	assert_int_equal(ans.err.actor, CH_ACTOR_CA);
	turn.headers[1] = NULL;
	turn.body = "{\"type\":\"" URN "rateLimited\",\"detail\":\"too many\"}";
	assert_int_equal(take(CH_ACME_NEW_ORDER, turn), CH_ACME_LIMITED);
	assert_int_equal(ans.retry_at_ms, now_ms + CH_HOUR_MS);
	assert_true(ans.retry_guessed);
	turn.body = "";
	assert_int_equal(take(CH_ACME_NEW_ORDER, turn), CH_ACME_LIMITED);
}

static void a_limit_without_time_but_with_a_page_to_end_it_is_a_pause(void **state)
{
	struct script_turn turn = {.status = 429,
		.headers = {PROBLEM},
		.body = "{\"type\":\"" URN "rateLimited\",\"detail\":\"Your account is "
			"prevented from requesting certificates for shop.test. Please visit: "
			"https://portal.ca.example/unpause?jwt=abc.def.\"}"};

	assert_int_equal(take(CH_ACME_NEW_ORDER, turn), CH_ACME_PAUSED);
	assert_string_equal(ans.page, "https://portal.ca.example/unpause?jwt=abc.def");
	assert_string_equal(ans.err.problem, "ca-paused");
	assert_int_equal(ans.err.actor, CH_ACTOR_PLATFORM);
}

static void what_a_person_must_visit_for_the_account_is_told(void **state)
{
	static const struct {
		const char *instance;
		const char *page;
	} cases[] = {{"\"https://ca.example/terms\"", "https://ca.example/terms"},
		{"\"http://ca.example/terms\"", ""}, {"\"https://\\u001b\"", ""}, {"7", ""}};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++) {
		char body[300];
		struct script_turn turn = {.status = 403, .headers = {PROBLEM}, .body = body};

		snprintf(body, sizeof(body),
			"{\"type\":\"" URN "userActionRequired\",\"detail\":\"New terms\","
			"\"instance\":%s}",
			cases[i].instance);
		assert_int_equal(take(CH_ACME_NEW_ORDER, turn), CH_ACME_ACCOUNT);
		assert_string_equal(ans.page, cases[i].page);
		assert_string_equal(ans.err.problem, "account-action-required");
	}
}

/* Nobody has to act: most limits show the page that explains them. */
static void a_limit_whose_page_ends_nothing_is_only_a_limit(void **state)
{
	static const char *const details[] = {"see https://.", "https://?x",
		"http://ca/unpause",
		"too many requests, see https://ca.example/docs/rate-limits/",
		"see https://ca.example/docs?about=/unpause", "see https://unpause.example",
		"see https://ca.example/docs#/unpause",
		"too many new orders (300): see https://ca.example/unpause",
		"too many failed authorizations (5): see https://ca.example/unpause"};

	for (size_t i = 0; i < CH_ARRAY_LEN(details); i++) {
		char body[200];
		struct script_turn turn = {.status = 429, .headers = {PROBLEM}, .body = body};

		snprintf(body, sizeof(body),
			"{\"type\":\"" URN "rateLimited\",\"detail\":\"%s\"}", details[i]);
		assert_int_equal(take(CH_ACME_NEW_ORDER, turn), CH_ACME_LIMITED);
		assert_string_equal(ans.page, "");
		assert_true(ans.retry_at_ms > 0);
	}
}

static void which_limit_it_is_follows_from_the_words(void **state)
{
	static const struct {
		const char *detail;
		enum ch_acme_limit limit;
	} table[] = {
		{"too many new orders (300) from this account in the last 3h0m0s, retry after",
			CH_ACME_LIMIT_ACCOUNT},
		{"too many certificates (50) already issued for \\\"a.example\\\" in the last",
			CH_ACME_LIMIT_DOMAIN},
		{"too many certificates (5) already issued for this exact set of identifiers",
			CH_ACME_LIMIT_SET},
		{"too many failed authorizations (5) for \\\"a.example\\\"",
			CH_ACME_LIMIT_NAME},
		{"Requests are limited", CH_ACME_LIMIT_UNKNOWN},
		{"", CH_ACME_LIMIT_UNKNOWN},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(table); i++) {
		char body[300];
		struct script_turn turn = {.status = 429, .headers = {PROBLEM}, .body = body};

		snprintf(body, sizeof(body),
			"{\"type\":\"" URN "rateLimited\",\"detail\":\"%s\"}", table[i].detail);
		assert_int_equal(take(CH_ACME_NEW_ORDER, turn), CH_ACME_LIMITED);
		assert_int_equal(ch_acme_problem_limit(ans.doc), table[i].limit);
	}
	assert_int_equal(ch_acme_problem_limit(NULL), CH_ACME_LIMIT_UNKNOWN);
}

static void the_page_to_visit_is_a_url_and_nothing_else(void **state)
{
	struct script_turn turn = {.status = 429,
		.headers = {PROBLEM},
		.body = "{\"type\":\"" URN "rateLimited\",\"detail\":"
			"\"https://ca/unpause\\u001b[31m\"}"};

	assert_int_equal(take(CH_ACME_NEW_ORDER, turn), CH_ACME_PAUSED);
	assert_string_equal(ans.page, "https://ca/unpause");
}

static void objects_that_are_gone_are_told_from_refusals(void **state)
{
	struct script_turn turn = {.status = 404,
		.headers = {PROBLEM},
		.body = "{\"type\":\"" URN "malformed\",\"detail\":\"Expired authorization\"}"};

	assert_int_equal(take(CH_ACME_GET_AUTHZ, turn), CH_ACME_GONE);
	turn.status = 400;
	assert_int_equal(take(CH_ACME_GET_AUTHZ, turn), CH_ACME_REFUSED);
	turn.status = 403;
	turn.body = "{\"type\":\"" URN "unauthorized\"}";
	assert_int_equal(take(CH_ACME_GET_ORDER, turn), CH_ACME_GONE);
	assert_int_equal(take(CH_ACME_NEW_ORDER, turn), CH_ACME_ACCOUNT);
}

static void content_types_are_not_held_against_a_good_object(void **state)
{
	struct script_turn turn = {
		.status = 200, .headers = {"Content-Type: TEXT/plain"}, .body = ORDER};

	assert_int_equal(take(CH_ACME_GET_ORDER, turn), CH_ACME_OK);
	turn.headers[0] = NULL;
	assert_int_equal(take(CH_ACME_GET_ORDER, turn), CH_ACME_OK);
	turn.headers[0] = "Content-Type: text/html; charset=utf-8";
	turn.body = "<html>";
	assert_int_equal(take(CH_ACME_GET_ORDER, turn), CH_ACME_LATER);
	assert_non_null(strstr(ans.err.detail, "web page"));
}

static void other_chains_are_taken_from_links(void **state)
{
	struct script_turn turn = {.status = 200,
		.headers = {"Link: <https://ca/dir>;rel=\"index\"",
			"Link: <https://ca/cert/1/1>;rel=\"alternate\"",
			"Link: <http://ca/cert/1/2>;rel=\"alternate\"",
			"Link: <https://ca/cert/1/3;rel=\"alternate\"",
			"Link: <https://ca/cert/1/4>; title=\"x\"; rel=\"alternate\""},
		.body = "-----BEGIN CERTIFICATE-----\n"};

	assert_int_equal(take(CH_ACME_GET_CERTIFICATE, turn), CH_ACME_OK);
	assert_int_equal(ans.n_alternates, 2);
	assert_string_equal(ans.alternates[0], "https://ca/cert/1/1");
	assert_string_equal(ans.alternates[1], "https://ca/cert/1/4");
}

static void certificates_must_be_pem(void **state)
{
	struct script_turn turn = {.status = 200,
		.headers = {"Content-Type: application/pem-certificate-chain"},
		.body = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"};

	assert_int_equal(take(CH_ACME_GET_CERTIFICATE, turn), CH_ACME_OK);
	assert_string_equal(ch_buf_str(&ans.pem), turn.body);
	turn.body = "{\"status\":\"fine\"}";
	assert_int_equal(take(CH_ACME_GET_CERTIFICATE, turn), CH_ACME_LATER);
	assert_string_equal(ans.err.problem, "ca-no-certificate");
}

static void answers_to_challenges_need_no_body(void **state)
{
	struct script_turn turn = {.status = 200, .body = "whatever"};

	assert_int_equal(take(CH_ACME_ANSWER_CHALLENGE, turn), CH_ACME_OK);
	turn.status = 400;
	assert_int_equal(take(CH_ACME_ANSWER_CHALLENGE, turn), CH_ACME_LATER);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(retry_after_is_obeyed_within_bounds),
		T(retry_after_on_final_and_open_objects_is_clamped_to_minutes),
		T(an_internal_error_names_no_time),
		T(redirections_are_named_and_not_followed),
		T(a_rate_limit_waits_for_its_time),
		T(a_limit_without_time_but_with_a_page_to_end_it_is_a_pause),
		T(a_limit_whose_page_ends_nothing_is_only_a_limit),
		T(what_a_person_must_visit_for_the_account_is_told),
		T(which_limit_it_is_follows_from_the_words),
		T(the_page_to_visit_is_a_url_and_nothing_else),
		T(objects_that_are_gone_are_told_from_refusals),
		T(content_types_are_not_held_against_a_good_object),
		T(other_chains_are_taken_from_links),
		T(certificates_must_be_pem),
		T(answers_to_challenges_need_no_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
