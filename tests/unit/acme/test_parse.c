/* What a CA sends: limits, objects, problems. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/object.h"
#include "acme/problem.h"
#include "base/mem.h"

#define URN "urn:ietf:params:acme:error:"

static json_t *load(const char *text)
{
	struct ch_err err;
	json_t *doc = NULL;

	assert_int_equal(ch_acme_json_load(text, strlen(text), &doc, &err), CH_OK);
	return doc;
}

static void json_is_bounded_in_size_depth_and_shape(void **state)
{
	CH_AUTO_FREE char *big = malloc(CH_ACME_OBJECT_MAX_B + 2);
	char deep[200] = "{\"a\":";
	struct ch_err err;
	json_t *doc = NULL;

	memset(big, ' ', CH_ACME_OBJECT_MAX_B + 1);
	memcpy(big, "{}", 2);
	assert_int_equal(ch_acme_json_load(big, CH_ACME_OBJECT_MAX_B, &doc, &err), CH_OK);
	json_decref(doc);
	assert_int_equal(
		ch_acme_json_load(big, CH_ACME_OBJECT_MAX_B + 1, &doc, &err), CH_ETOOBIG);
	memset(deep + 5, '[', 20);
	memset(deep + 25, ']', 20);
	strcpy(deep + 45, "}");
	assert_int_equal(ch_acme_json_load(deep, strlen(deep), &doc, &err), CH_EPROTO);
	assert_string_equal(err.problem, "ca-answer-too-deep");
	/* Brackets in strings are no nesting. */
	strcpy(deep, "{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[\"}");
	assert_int_equal(ch_acme_json_load(deep, strlen(deep), &doc, &err), CH_OK);
	json_decref(doc);
	assert_int_equal(ch_acme_json_load("[]", 2, &doc, &err), CH_EPROTO);
	assert_int_equal(ch_acme_json_load("{\"a\":1,\"a\":2}", 13, &doc, &err), CH_EPROTO);
	assert_int_equal(ch_acme_json_load("", 0, &doc, &err), CH_EPROTO);
	assert_int_equal(ch_acme_json_load("<html>", 6, &doc, &err), CH_EPROTO);
}

static void urls_are_https_and_bounded(void **state)
{
	static const char *const bad[] = {"http://ca/", "https://", "https:///x", "ftp://x", "",
		"https://ca/a b", "https://ca/\n", "https://ca/\"", "/relative", "HTTPS:/x",
		"https://?x", "https://#x", "https://:443/x"};
	char longer[CH_ACME_URL_B + 8];

	assert_true(ch_acme_url_ok("https://ca.example/acme/1?x=y#z"));
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_false(ch_acme_url_ok(bad[i]));
	assert_false(ch_acme_url_ok(NULL));
	memset(longer, 'a', sizeof(longer));
	memcpy(longer, "https://", 8);
	longer[CH_ACME_URL_B - 1] = 0;
	assert_true(ch_acme_url_ok(longer));
	longer[CH_ACME_URL_B - 1] = 'a';
	longer[CH_ACME_URL_B] = 0;
	assert_false(ch_acme_url_ok(longer));
}

static void tokens_and_nonces_are_base64url_and_bounded(void **state)
{
	char text[300];

	memset(text, 'x', sizeof(text));
	text[128] = 0;
	assert_true(ch_acme_token_ok(text));
	assert_true(ch_acme_token_ok("aZ09-_"));
	text[128] = 'x';
	text[129] = 0;
	assert_false(ch_acme_token_ok(text));
	assert_true(ch_acme_nonce_ok(text));
	text[129] = 'x';
	text[257] = 0;
	assert_false(ch_acme_nonce_ok(text));
	assert_false(ch_acme_token_ok(""));
	assert_false(ch_acme_token_ok(NULL));
	assert_false(ch_acme_token_ok("a/b"));
	assert_false(ch_acme_token_ok("../etc"));
	assert_false(ch_acme_token_ok("a="));
	assert_false(ch_acme_nonce_ok("a\r\nb"));
}

static void texts_are_cleaned_and_cut_between_characters(void **state)
{
	char text[6];

	assert_string_equal(ch_acme_text("a\r\nb", text, sizeof(text)), "a  b");
	assert_string_equal(ch_acme_text("abcd\xc3\xa4", text, sizeof(text)), "abcd");
	assert_string_equal(ch_acme_text("abc\xc3\xa4", text, sizeof(text)), "abc\xc3\xa4");
	assert_string_equal(ch_acme_text(NULL, text, sizeof(text)), "");
}

static void directories_need_their_three_urls(void **state)
{
	struct ch_acme_directory dir;
	struct ch_err err;
	json_auto_t *good =
		load("{\"newNonce\":\"https://ca/n\",\"newAccount\":\"https://ca/a\","
		     "\"newOrder\":\"https://ca/o\",\"x\":\"https://boulder/y\","
		     "\"meta\":{\"externalAccountRequired\":true}}");
	json_auto_t *http =
		load("{\"newNonce\":\"http://ca/n\",\"newAccount\":\"https://ca/a\","
		     "\"newOrder\":\"https://ca/o\"}");
	json_auto_t *none = load("{\"newNonce\":\"https://ca/n\"}");

	assert_int_equal(ch_acme_directory_read(good, &dir, &err), CH_OK);
	assert_string_equal(dir.new_order, "https://ca/o");
	assert_true(dir.eab_required);
	assert_int_equal(ch_acme_directory_read(http, &dir, &err), CH_EPROTO);
	assert_int_equal(ch_acme_directory_read(none, &dir, &err), CH_EPROTO);
}

static void orders_are_read_in_every_status(void **state)
{
	struct ch_acme_order order;
	struct ch_err err;
	json_auto_t *pending =
		load("{\"status\":\"pending\",\"expires\":\"2030-01-01T00:00:00Z\","
		     "\"authorizations\":[\"https://ca/z/1\"],\"finalize\":\"https://ca/f\"}");
	json_auto_t *valid = load("{\"status\":\"VALID\",\"finalize\":\"https://ca/f\","
				  "\"certificate\":\"https://ca/c\"}");
	json_auto_t *invalid = load("{\"status\":\"invalid\",\"error\":{\"type\":\"x\"}}");
	json_auto_t *odd = load("{\"status\":\"dreaming\",\"finalize\":\"https://ca/f\"}");

	assert_int_equal(ch_acme_order_read(pending, &order, &err), CH_OK);
	assert_int_equal(order.status, CH_ACME_PENDING);
	assert_int_equal(order.n_authz, 1);
	assert_true(order.expires_ms > 0);
	assert_int_equal(ch_acme_order_read(valid, &order, &err), CH_OK);
	assert_string_equal(order.certificate, "https://ca/c");
	assert_int_equal(ch_acme_order_read(invalid, &order, &err), CH_OK);
	assert_non_null(order.error);
	assert_int_equal(ch_acme_order_read(odd, &order, &err), CH_OK);
	assert_int_equal(order.status, CH_ACME_STATUS_UNKNOWN);
}

static void broken_orders_are_refused(void **state)
{
	static const char *const bad[] = {
		"{\"status\":\"pending\"}",
		"{\"status\":\"pending\",\"finalize\":\"http://ca/f\"}",
		"{\"status\":\"valid\",\"finalize\":\"https://ca/f\"}",
		"{\"status\":\"valid\",\"finalize\":\"https://ca/f\",\"certificate\":5}",
		"{\"status\":\"pending\",\"finalize\":\"https://ca/f\",\"authorizations\":[1]}",
		("{\"status\":\"pending\",\"finalize\":\"https://ca/f\","
		 "\"authorizations\":[\"file:///etc\"]}"),
	};
	struct ch_acme_order order;
	struct ch_err err;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		json_auto_t *doc = load(bad[i]);

		assert_int_equal(ch_acme_order_read(doc, &order, &err), CH_EPROTO);
		assert_string_equal(err.problem, "ca-bad-url");
	}
}

static void strange_challenges_are_skipped(void **state)
{
	const struct ch_acme_challenge *http;
	struct ch_acme_authz authz;
	struct ch_err err;
	json_auto_t *doc =
		load("{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"A."
		     "test\"},"
		     "\"challenges\":[{\"type\":\"moon-01\",\"url\":\"https://ca/m\"},"
		     "{\"type\":\"dns-persist-01\",\"url\":\"http://ca/p\"},"
		     "{\"type\":\"dns-01\",\"url\":\"https://ca/no-token\"},"
		     "{\"type\":7},42,null,{},"
		     "{\"type\":\"http-01\",\"url\":\"https://ca/bad\",\"token\":\"../x\"},"
		     "{\"type\":\"http-01\",\"url\":\"http://ca/bad\",\"token\":\"abc\"},"
		     "{\"type\":\"http-01\",\"url\":\"https://ca/good\",\"token\":\"abc\","
		     "\"status\":\"processing\"}]}");
	json_auto_t *none =
		load("{\"status\":\"valid\",\"identifier\":{\"value\":\"a.test\"}}");
	json_auto_t *anonymous = load("{\"status\":\"valid\"}");

	assert_int_equal(ch_acme_authz_read(doc, &authz, &err), CH_OK);
	http = &authz.challenges[CH_ACME_HTTP_01];
	assert_string_equal(http->url, "https://ca/good");
	assert_string_equal(http->token, "abc");
	assert_int_equal(http->status, CH_ACME_PROCESSING);
	for (int type = 0; type < CH_ACME_CHALLENGE_COUNT; type++)
		assert_true(type == CH_ACME_HTTP_01 || !authz.challenges[type].url);
	assert_int_equal(ch_acme_authz_read(none, &authz, &err), CH_OK);
	assert_null(authz.challenges[CH_ACME_HTTP_01].url);
	assert_int_equal(ch_acme_authz_read(anonymous, &authz, &err), CH_EPROTO);
}

static void a_challenge_of_each_type_is_read(void **state)
{
	struct ch_acme_authz authz;
	struct ch_err err;
	json_auto_t *doc = load(
		"{\"status\":\"pending\",\"identifier\":{\"value\":\"a.test\"},\"challenges\":["
		"{\"type\":\"dns-persist-01\",\"url\":\"https://ca/p\",\"token\":\"../x\"},"
		"{\"type\":\"tls-alpn-01\",\"url\":\"https://ca/t\",\"token\":\"tt\"},"
		"{\"type\":\"dns-01\",\"url\":\"https://ca/d\",\"token\":\"dt\","
		"\"status\":\"invalid\"},"
		"{\"type\":\"dns-01\",\"url\":\"https://ca/second\",\"token\":\"x\"},"
		"{\"type\":\"http-01\",\"url\":\"https://ca/h\",\"token\":\"ht\"}]}");
	static const char *const urls[] = {
		[CH_ACME_HTTP_01] = "https://ca/h",
		[CH_ACME_DNS_01] = "https://ca/d",
		[CH_ACME_TLS_ALPN_01] = "https://ca/t",
		[CH_ACME_DNS_PERSIST_01] = "https://ca/p",
	};

	assert_int_equal(ch_acme_authz_read(doc, &authz, &err), CH_OK);
	for (int type = 0; type < CH_ACME_CHALLENGE_COUNT; type++)
		assert_string_equal(authz.challenges[type].url, urls[type]);
	assert_string_equal(authz.challenges[CH_ACME_DNS_01].token, "dt");
	assert_int_equal(authz.challenges[CH_ACME_DNS_01].status, CH_ACME_INVALID);
	assert_string_equal(authz.challenges[CH_ACME_TLS_ALPN_01].token, "tt");
	/* It has none: whatever stands there is not looked at. */
	assert_null(authz.challenges[CH_ACME_DNS_PERSIST_01].token);
}

static void error_types_say_who_must_act(void **state)
{
	static const struct {
		const char *type;
		enum ch_acme_where where;
		enum ch_acme_fate fate;
		enum ch_actor actor;
		const char *code;
	} table[] = {
		{"dns", CH_ACME_IN_VALIDATION, CH_ACME_NAME, CH_ACTOR_CUSTOMER, "dns-problem"},
		{"connection", CH_ACME_IN_VALIDATION, CH_ACME_NAME, CH_ACTOR_CUSTOMER,
			"connection-failed"},
		{"unauthorized", CH_ACME_IN_VALIDATION, CH_ACME_NAME, CH_ACTOR_CUSTOMER,
			"wrong-answer"},
		{"unauthorized", CH_ACME_IN_ANSWER, CH_ACME_ACCOUNT, CH_ACTOR_PLATFORM,
			"account-unauthorized"},
		{"incorrectResponse", CH_ACME_IN_VALIDATION, CH_ACME_NAME, CH_ACTOR_CUSTOMER,
			"wrong-answer"},
		{"caa", CH_ACME_IN_ANSWER, CH_ACME_NAME, CH_ACTOR_CUSTOMER, "caa-forbids"},
		{"tls", CH_ACME_IN_VALIDATION, CH_ACME_NAME, CH_ACTOR_CUSTOMER, "tls-failed"},
		{"rejectedIdentifier", CH_ACME_IN_ANSWER, CH_ACME_NAME, CH_ACTOR_CUSTOMER,
			"name-refused"},
		{"rateLimited", CH_ACME_IN_ANSWER, CH_ACME_LIMITED, CH_ACTOR_CA,
			"rate-limited"},
		{"serverInternal", CH_ACME_IN_ANSWER, CH_ACME_LATER, CH_ACTOR_CA,
			"ca-internal"},
		{"malformed", CH_ACME_IN_ANSWER, CH_ACME_REFUSED, CH_ACTOR_PLATFORM,
			"request-refused"},
		{"accountDoesNotExist", CH_ACME_IN_ANSWER, CH_ACME_NO_ACCOUNT,
			CH_ACTOR_PLATFORM, "account-unknown"},
		{"externalAccountRequired", CH_ACME_IN_ANSWER, CH_ACME_ACCOUNT,
			CH_ACTOR_PLATFORM, "account-binding-required"},
		{"userActionRequired", CH_ACME_IN_ANSWER, CH_ACME_ACCOUNT, CH_ACTOR_PLATFORM,
			"account-action-required"},
		{"badCSR", CH_ACME_IN_ANSWER, CH_ACME_REFUSED, CH_ACTOR_PLATFORM,
			"csr-refused"},
		{"orderNotReady", CH_ACME_IN_ANSWER, CH_ACME_NOT_READY, CH_ACTOR_CA,
			"order-not-ready"},
		{"fromTheFuture", CH_ACME_IN_ANSWER, CH_ACME_LATER, CH_ACTOR_CA, "ca-refused"},
		{"fromTheFuture", CH_ACME_IN_VALIDATION, CH_ACME_NAME, CH_ACTOR_CUSTOMER,
			"validation-failed"},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(table); i++) {
		char type[100];
		struct ch_err err;
		json_auto_t *doc = NULL;

		snprintf(type, sizeof(type), URN "%s", table[i].type);
		doc = json_pack("{ssss}", "type", type, "detail", "the CA's own words");
		assert_int_equal(
			ch_acme_problem_read(doc, table[i].where, &err), table[i].fate);
		assert_int_equal(err.actor, table[i].actor);
		assert_string_equal(err.problem, table[i].code);
		assert_non_null(strstr(err.detail, "the CA's own words"));
	}
}

static void unknown_errors_keep_their_type(void **state)
{
	json_auto_t *doc = load("{\"type\":\"" URN "fromTheFuture\"}");
	json_auto_t *empty = load("{}");
	struct ch_err err;

	ch_acme_problem_read(doc, CH_ACME_IN_ANSWER, &err);
	assert_non_null(strstr(err.detail, "fromTheFuture"));
	assert_int_equal(ch_acme_problem_read(NULL, CH_ACME_IN_VALIDATION, &err), CH_ACME_NAME);
	assert_int_equal(ch_acme_problem_read(empty, CH_ACME_IN_ANSWER, &err), CH_ACME_LATER);
	assert_true(err.detail[0] != 0);
}

static void long_details_are_cut_but_stay_text(void **state)
{
	char words[2000];
	struct ch_err err;
	json_auto_t *doc = NULL;
	json_t *back;

	memset(words, 0, sizeof(words));
	for (size_t i = 0; i + 2 < sizeof(words) - 1; i += 2)
		memcpy(words + i, "\xc3\xa4", 2);
	doc = json_pack("{ssss}", "type", URN "dns", "detail", words);
	ch_acme_problem_read(doc, CH_ACME_IN_VALIDATION, &err);
	assert_true(strlen(err.detail) < sizeof(err.detail));
	back = json_string(err.detail);
	assert_non_null(back);
	json_decref(back);
}

static void subproblems_are_found_by_name_in_any_case(void **state)
{
	json_auto_t *doc =
		load("{\"type\":\"" URN "compound\",\"subproblems\":[7,{\"type\":\"x\"},"
		     "{\"type\":\"" URN "caa\",\"detail\":\"no\",\"identifier\":"
		     "{\"type\":\"dns\",\"value\":\"WWW.Shop.Test\"}}]}");
	json_auto_t *plain = load("{\"type\":\"" URN "caa\",\"subproblems\":[{}]}");
	enum ch_acme_fate fate;
	struct ch_err err;

	assert_int_equal(
		ch_acme_problem_for_name(doc, CH_ACME_IN_ANSWER, "www.shop.test", &fate, &err),
		CH_OK);
	assert_string_equal(err.problem, "caa-forbids");
	assert_int_equal(
		ch_acme_problem_for_name(doc, CH_ACME_IN_ANSWER, "shop.test", &fate, &err),
		CH_ENOTFOUND);
	assert_true(ch_acme_problem_has_names(doc));
	assert_false(ch_acme_problem_has_names(plain));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_bounded_in_size_depth_and_shape),
		cmocka_unit_test(urls_are_https_and_bounded),
		cmocka_unit_test(tokens_and_nonces_are_base64url_and_bounded),
		cmocka_unit_test(texts_are_cleaned_and_cut_between_characters),
		cmocka_unit_test(directories_need_their_three_urls),
		cmocka_unit_test(orders_are_read_in_every_status),
		cmocka_unit_test(broken_orders_are_refused),
		cmocka_unit_test(strange_challenges_are_skipped),
		cmocka_unit_test(a_challenge_of_each_type_is_read),
		cmocka_unit_test(error_types_say_who_must_act),
		cmocka_unit_test(unknown_errors_keep_their_type),
		cmocka_unit_test(long_details_are_cut_but_stay_text),
		cmocka_unit_test(subproblems_are_found_by_name_in_any_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
