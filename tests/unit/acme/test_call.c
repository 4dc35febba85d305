/* Calls: nonces, signing, badNonce, and what becomes of a request without an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/client.h"
#include "base/clock.h"
#include "base/mem.h"
#include "crypto/keys.h"
#include "script_http.h"

#define URN "urn:ietf:params:acme:error:"
#define PROBLEM "Content-Type: application/problem+json"
#define NOW_MS INT64_C(1800000000000)

static int64_t now_ms;

static int64_t fake_clock(void *arg)
{
	return now_ms;
}

static struct script_http script;
static struct ch_acme *acme;
static EVP_PKEY *key;
static struct ch_acme_answer ans;
static bool patient;

static int set_up(void **state)
{
	struct ch_err err;

	now_ms = NOW_MS;
	patient = false;
	ch_clock_set(fake_clock, NULL);
	script_init(&script);
	assert_int_equal(ch_key_generate(&key), CH_OK);
	assert_int_equal(ch_acme_new("https://ca/dir", key, &acme, &err), CH_OK);
	ch_acme_set_account(acme, "https://ca/acct/1");
	ch_acme_answer_init(&ans);
	return 0;
}

static int tear_down(void **state)
{
	ch_acme_answer_done(&ans);
	script_done(&script);
	ch_acme_free(acme);
	EVP_PKEY_free(key);
	ch_clock_set(NULL, NULL);
	return 0;
}

static void add_directory(void)
{
	script_add(&script, (struct script_turn){.url = "https://ca/dir",
				    .status = 200,
				    .body = "{\"newNonce\":\"https://ca/n\","
					    "\"newAccount\":\"https://ca/a\","
					    "\"newOrder\":\"https://ca/o\"}"});
}

static void add_nonce(const char *header)
{
	script_add(&script, (struct script_turn){
				    .url = "https://ca/n", .status = 204, .headers = {header}});
}

static enum ch_acme_fate run(enum ch_acme_kind kind, const char *url)
{
	static const char *const names[] = {"shop.test", "www.shop.test"};
	static struct ch_acme_signup signup;
	struct ch_acme_request req = {.kind = kind,
		.url = url,
		.signup = &signup,
		.names = names,
		.n_names = 2,
		.patient = patient};

	ch_acme_answer_done(&ans);
	ch_acme_answer_init(&ans);
	return ch_acme_run(acme, &script.http, &req, &ans);
}

static void assert_protected(size_t i, const char *nonce, const char *url, bool by_kid)
{
	CH_AUTO_FREE char *text = script_jws_part(&script, i, "protected");
	json_auto_t *doc = json_loads(text, 0, NULL);

	assert_string_equal(json_string_value(json_object_get(doc, "nonce")), nonce);
	assert_string_equal(json_string_value(json_object_get(doc, "url")), url);
	assert_string_equal(json_string_value(json_object_get(doc, "alg")), "ES256");
	assert_int_equal(json_object_get(doc, "kid") != NULL, by_kid);
	assert_int_equal(json_object_get(doc, "jwk") != NULL, !by_kid);
}

static void assert_payload(size_t i, const char *expected)
{
	CH_AUTO_FREE char *text = script_jws_part(&script, i, "payload");

	assert_string_equal(text, expected);
}

#define ORDER                                                                                  \
	"{\"status\":\"pending\",\"authorizations\":[\"https://ca/z/1\"],"                     \
	"\"finalize\":\"https://ca/f/1\"}"

static void an_order_is_asked_for_with_directory_and_nonce(void **state)
{
	add_directory();
	add_nonce("Replay-Nonce: n1");
	script_add(
		&script, (struct script_turn){.url = "https://ca/o",
				 .status = 201,
				 .body = ORDER,
				 .headers = {"Location: https://ca/o/1", "Replay-Nonce: n2"}});
	assert_int_equal(run(CH_ACME_NEW_ORDER, NULL), CH_ACME_OK);
	assert_string_equal(ans.location, "https://ca/o/1");
	assert_string_equal(ans.order.finalize, "https://ca/f/1");
	assert_protected(2, "n1", "https://ca/o", true);
	assert_payload(2, "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"shop.test\"},"
			  "{\"type\":\"dns\",\"value\":\"www.shop.test\"}]}");
	/* The nonce of that answer serves the next request, and the directory is kept. */
	script_add(&script,
		(struct script_turn){.url = "https://ca/o/1", .status = 200, .body = ORDER});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OK);
	assert_protected(3, "n2", "https://ca/o/1", true);
	assert_payload(3, ""); /* POST-as-GET */
}

static void each_request_has_the_time_that_is_set(void **state)
{
	const struct script_turn account = {.url = "https://ca/acct/1",
		.status = 200,
		.body = "{}",
		.headers = {"Replay-Nonce: n2"}};

	add_directory();
	add_nonce("Replay-Nonce: n1");
	script_add(&script, account);
	assert_int_equal(run(CH_ACME_GET_ACCOUNT, NULL), CH_ACME_OK);
	assert_protected(2, "n1", "https://ca/acct/1", true);
	assert_payload(2, "");
	assert_int_equal(script.timeout_ms[2], 30000);
	ch_acme_set_timeout(acme, 3000);
	script_add(&script, account);
	assert_int_equal(run(CH_ACME_GET_ACCOUNT, NULL), CH_ACME_OK);
	assert_int_equal(script.timeout_ms[3], 3000);
}

static const struct script_turn an_account = {.url = "https://ca/acct/1",
	.status = 200,
	.body = "{}",
	.headers = {"Replay-Nonce: n2"}};
static const struct script_turn no_answer = {.url = "https://ca/acct/1", .rc = CH_ETIMEOUT};

/* How long the last request was waited for. */
static int64_t waited_ms(void)
{
	return script.timeout_ms[script.at - 1];
}

static void be_quick(int answers)
{
	add_directory();
	add_nonce("Replay-Nonce: n1");
	for (int i = 0; i < answers; i++) {
		script_add(&script, an_account);
		assert_int_equal(run(CH_ACME_GET_ACCOUNT, NULL), CH_ACME_OK);
		assert_int_equal(waited_ms(), i < 14 ? 30000 : 5000);
	}
}

static void one_that_has_answered_quickly_is_not_waited_for_as_long(void **state)
{
	be_quick(20);
	script_add(&script, no_answer);
	assert_int_not_equal(run(CH_ACME_GET_ACCOUNT, NULL), CH_ACME_OK);
	assert_int_equal(waited_ms(), 5000);
}

static void one_that_was_late_is_waited_for_longer(void **state)
{
	be_quick(20);
	for (int i = 0; i < 4; i++) {
		if (i)
			add_nonce("Replay-Nonce: n3");
		script_add(&script, no_answer);
		assert_int_not_equal(run(CH_ACME_GET_ACCOUNT, NULL), CH_ACME_OK);
	}
	assert_int_equal(waited_ms(), 30000);
}

static void who_asks_patiently_waits_as_long_as_may_be(void **state)
{
	be_quick(20);
	patient = true;
	script_add(&script, no_answer);
	assert_int_not_equal(run(CH_ACME_GET_ACCOUNT, NULL), CH_ACME_OK);
	assert_int_equal(waited_ms(), 30000);
	/* Which teaches nothing: it was given all there is. */
	patient = false;
	add_nonce("Replay-Nonce: n3");
	script_add(&script, an_account);
	assert_int_equal(run(CH_ACME_GET_ACCOUNT, NULL), CH_ACME_OK);
	assert_int_equal(waited_ms(), 5000);
}

static void a_new_order_is_waited_for_as_long_as_may_be(void **state)
{
	be_quick(20);
	script_add(&script, (struct script_turn){.url = "https://ca/o", .rc = CH_ETIMEOUT});
	assert_int_not_equal(run(CH_ACME_NEW_ORDER, NULL), CH_ACME_OK);
	assert_int_equal(waited_ms(), 30000);
}

static void nothing_signed_goes_to_a_foreign_host(void **state)
{
	static const char *const foreign[] = {"https://evil/o/1", "https://ca.evil/o/1",
		"https://ca:8443/o/1", "https://ca@evil/o/1", "https://evil/https://ca/o/1",
		"https://c/a/o/1", "https://caa/o", "https://evil?ca/o/1"};

	add_directory();
	for (size_t i = 0; i < CH_ARRAY_LEN(foreign); i++)
		for (int kind = CH_ACME_GET_ORDER; kind <= CH_ACME_GET_CERTIFICATE; kind++) {
			assert_int_equal(
				run((enum ch_acme_kind)kind, foreign[i]), CH_ACME_REFUSED);
			assert_string_equal(ans.err.problem, "ca-foreign-url");
		}
}

static void the_directorys_hosts_are_the_cas(void **state)
{
	static const char *const own[] = {
		"https://ca/o/1", "https://CA:443/o/1", "https://api.ca:8443/o/1"};

	script_add(&script, (struct script_turn){.url = "https://ca/dir",
				    .status = 200,
				    .body = "{\"newNonce\":\"https://ca/n\","
					    "\"newAccount\":\"https://ca/a\","
					    "\"newOrder\":\"https://api.ca:8443/o\"}"});
	for (size_t i = 0; i < CH_ARRAY_LEN(own); i++) {
		add_nonce("Replay-Nonce: n1");
		script_add(&script,
			(struct script_turn){.url = own[i], .status = 200, .body = ORDER});
		assert_int_equal(run(CH_ACME_GET_ORDER, own[i]), CH_ACME_OK);
	}
}

static struct {
	enum ch_acme_kind kinds[16];
	size_t n;
	size_t most;
} passed;

static bool pass(void *arg, enum ch_acme_kind kind, struct ch_acme_answer *of)
{
	assert_ptr_equal(arg, &passed);
	if (passed.n == passed.most) {
		of->fate = CH_ACME_LIMITED;
		return false;
	}
	passed.kinds[passed.n++] = kind;
	return true;
}

/* Also a nonce, and what is signed and sent again. */
static void each_request_has_to_pass(void **state)
{
	static const enum ch_acme_kind kinds[] = {CH_ACME_DIRECTORY, CH_ACME_NEW_NONCE,
		CH_ACME_GET_ORDER, CH_ACME_GET_ORDER, CH_ACME_NEW_NONCE, CH_ACME_GET_ORDER};

	passed.n = 0;
	passed.most = 6;
	ch_acme_set_pass(acme, pass, &passed);
	add_directory();
	add_nonce("Replay-Nonce: n1");
	script_add(&script, (struct script_turn){.status = 400,
				    .headers = {PROBLEM, "Replay-Nonce: n2"},
				    .body = "{\"type\":\"" URN "badNonce\"}"});
	script_add(&script, (struct script_turn){.rc = CH_EAGAIN});
	add_nonce("Replay-Nonce: n3");
	script_add(&script, (struct script_turn){.status = 200, .body = ORDER});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OK);
	assert_false(ans.unsent);
	assert_int_equal(passed.n, CH_ARRAY_LEN(kinds));
	for (size_t i = 0; i < passed.n; i++)
		assert_int_equal(passed.kinds[i], kinds[i]);
}

/* Nothing is sent, and the nonce that was taken for it is there for another one. */
static void what_does_not_pass_is_not_sent(void **state)
{
	passed.n = 0;
	passed.most = 2;
	ch_acme_set_pass(acme, pass, &passed);
	add_directory();
	add_nonce("Replay-Nonce: n1");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_LIMITED);
		assert_true(ans.unsent);
		assert_int_equal(passed.n, 2);
	}
	passed.most = 3;
	script_add(&script, (struct script_turn){.status = 200, .body = ORDER});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OK);
	assert_protected(2, "n1", "https://ca/o/1", true);
}

static void accounts_are_asked_for_by_key(void **state)
{
	add_directory();
	add_nonce("Replay-Nonce: n1");
	script_add(&script,
		(struct script_turn){.url = "https://ca/a",
			.status = 200,
			.headers = {"Location: https://ca/acct/7", "Replay-Nonce: n2"}});
	assert_int_equal(run(CH_ACME_FIND_ACCOUNT, NULL), CH_ACME_OK);
	assert_string_equal(ans.location, "https://ca/acct/7");
	assert_protected(2, "n1", "https://ca/a", false);
	assert_payload(2, "{\"onlyReturnExisting\":true}");
	script_add(&script, (struct script_turn){
				    .status = 201, .headers = {"Location: https://ca/acct/8"}});
	assert_int_equal(run(CH_ACME_NEW_ACCOUNT, NULL), CH_ACME_OK);
	assert_payload(3, "{\"termsOfServiceAgreed\":true}");
	/* An account URL that is no https URL is no account. */
	add_nonce("Replay-Nonce: n3");
	script_add(&script,
		(struct script_turn){.status = 201, .headers = {"Location: javascript:x"}});
	assert_int_equal(run(CH_ACME_NEW_ACCOUNT, NULL), CH_ACME_LATER);
	assert_string_equal(ans.err.problem, "ca-bad-url");
}

static void an_external_account_is_bound(void **state)
{
	struct ch_secret *hmac = NULL;
	struct ch_acme_signup signup = {
		.contacts = {"mailto:a@b.test"}, .n_contacts = 1, .eab_kid = "kid-1"};
	struct ch_acme_request req = {.kind = CH_ACME_NEW_ACCOUNT, .signup = &signup};
	json_auto_t *doc = NULL;
	CH_AUTO_FREE char *text = NULL;

	assert_int_equal(
		ch_secret_from("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0\n", 33, &hmac), CH_OK);
	signup.eab_hmac = hmac;
	add_directory();
	add_nonce("Replay-Nonce: n1");
	script_add(&script, (struct script_turn){
				    .status = 201, .headers = {"Location: https://ca/acct/8"}});
	assert_int_equal(ch_acme_run(acme, &script.http, &req, &ans), CH_ACME_OK);
	text = script_jws_part(&script, 2, "payload");
	doc = json_loads(text, 0, NULL);
	assert_true(json_is_object(json_object_get(doc, "externalAccountBinding")));
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(doc, "contact"), 0)),
		"mailto:a@b.test");
	ch_secret_free(hmac);
}

static void bad_nonce_is_signed_again_with_the_nonce_of_the_error(void **state)
{
	add_directory();
	add_nonce("Replay-Nonce: n1");
	script_add(&script, (struct script_turn){.status = 400,
				    .headers = {PROBLEM, "Replay-Nonce: n2"},
				    .body = "{\"type\":\"" URN "badNonce\"}"});
	script_add(&script,
		(struct script_turn){
			.status = 200, .body = ORDER, .headers = {"Replay-Nonce: n3"}});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OK);
	assert_protected(2, "n1", "https://ca/o/1", true);
	assert_protected(3, "n2", "https://ca/o/1", true);
	assert_string_not_equal(script.sent[2], script.sent[3]);
}

static void bad_nonce_without_a_nonce_fetches_one(void **state)
{
	add_directory();
	add_nonce("Replay-Nonce: n1");
	script_add(&script, (struct script_turn){.status = 400,
				    .headers = {PROBLEM},
				    .body = "{\"type\":\"" URN "badNonce\"}"});
	add_nonce("Replay-Nonce: n2");
	script_add(&script, (struct script_turn){.status = 200, .body = ORDER});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OK);
	assert_protected(4, "n2", "https://ca/o/1", true);
}

static void bad_nonces_are_given_up_after_ten(void **state)
{
	add_directory();
	add_nonce("Replay-Nonce: n1");
	for (int i = 0; i < CH_ACME_TRIES_MAX; i++)
		script_add(&script, (struct script_turn){.status = 400,
					    .headers = {PROBLEM, "Replay-Nonce: again"},
					    .body = "{\"type\":\"" URN "badNonce\"}"});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_LATER);
	assert_string_equal(ans.err.problem, "bad-nonce");
	for (size_t i = 2; i < script.at; i++)
		for (size_t k = i + 1; k < script.at; k++)
			assert_string_not_equal(script.sent[i], script.sent[k]);
}

/* There is no signature that another nonce could mend: asking again at once would never end. */
static void bad_nonce_is_no_answer_to_what_is_not_signed(void **state)
{
	script_add(&script, (struct script_turn){.status = 400,
				    .headers = {PROBLEM, "Replay-Nonce: n1"},
				    .body = "{\"type\":\"" URN "badNonce\"}"});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_LATER);
	assert_string_equal(ans.err.problem, "bad-nonce");
	assert_int_equal(script.at, 1);
}

static void a_request_that_must_not_be_repeated_is_signed_again(void **state)
{
	add_directory();
	add_nonce("Replay-Nonce: n1");
	script_add(&script, (struct script_turn){.rc = CH_EAGAIN});
	add_nonce("Replay-Nonce: n2");
	script_add(&script, (struct script_turn){.status = 200, .body = ORDER});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OK);
	assert_protected(2, "n1", "https://ca/o/1", true);
	assert_protected(4, "n2", "https://ca/o/1", true);
	assert_string_not_equal(script.sent[2], script.sent[4]);
	/* What is signed is sent once; the rest may be repeated. */
	for (size_t i = 0; i < script.at; i++)
		assert_int_equal(script.once[i], script.sent[i][0] != 0);
}

static void signing_again_is_given_up_after_ten(void **state)
{
	add_directory();
	for (int i = 0; i < CH_ACME_TRIES_MAX; i++) {
		add_nonce("Replay-Nonce: n1");
		script_add(&script, (struct script_turn){.rc = CH_EAGAIN});
	}
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OUTAGE);
	assert_int_equal(ans.err.actor, CH_ACTOR_CA);
}

static void bad_nonces_and_broken_connections_count_together(void **state)
{
	add_directory();
	add_nonce("Replay-Nonce: n0");
	for (int i = 0; i < CH_ACME_TRIES_MAX - 1; i++)
		script_add(&script, (struct script_turn){.status = 400,
					    .headers = {PROBLEM, "Replay-Nonce: again"},
					    .body = "{\"type\":\"" URN "badNonce\"}"});
	script_add(&script, (struct script_turn){.rc = CH_EAGAIN});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OUTAGE);
}

static void pooled_nonces_grow_old(void **state)
{
	char nonce[CH_ACME_NONCE_B];
	struct ch_acme_nonces pool;

	ch_acme_nonces_init(&pool);
	ch_acme_nonces_put(&pool, "old");
	ch_acme_nonces_put(&pool, NULL);
	ch_acme_nonces_put(&pool, "not a nonce");
	now_ms += CH_ACME_NONCE_KEEP_MS;
	ch_acme_nonces_put(&pool, "new");
	assert_true(ch_acme_nonces_take(&pool, nonce));
	assert_string_equal(nonce, "new");
	now_ms += 1;
	assert_false(ch_acme_nonces_take(&pool, nonce));
	ch_acme_nonces_done(&pool);
}

static void the_pool_is_bounded_and_gives_each_nonce_once(void **state)
{
	char nonce[CH_ACME_NONCE_B];
	char text[32];
	struct ch_acme_nonces pool;

	ch_acme_nonces_init(&pool);
	for (int i = 0; i < CH_ACME_NONCES_MAX + 5; i++) {
		snprintf(text, sizeof(text), "n%d", i);
		ch_acme_nonces_put(&pool, text);
	}
	for (int i = CH_ACME_NONCES_MAX + 4; i >= 5; i--) {
		snprintf(text, sizeof(text), "n%d", i);
		assert_true(ch_acme_nonces_take(&pool, nonce));
		assert_string_equal(nonce, text);
	}
	assert_false(ch_acme_nonces_take(&pool, nonce));
	ch_acme_nonces_done(&pool);
}

static void silence_is_an_outage_and_too_much_is_not(void **state)
{
	CH_AUTO_FREE char *big = malloc(CH_ACME_OBJECT_MAX_B + 2);

	memset(big, ' ', CH_ACME_OBJECT_MAX_B + 1);
	big[CH_ACME_OBJECT_MAX_B + 1] = 0;
	script_add(&script, (struct script_turn){.rc = CH_ENETWORK});
	assert_int_equal(run(CH_ACME_NEW_ORDER, NULL), CH_ACME_OUTAGE);
	assert_int_equal(ans.err.actor, CH_ACTOR_CA);
	add_directory();
	add_nonce("Replay-Nonce: n1");
	script_add(&script, (struct script_turn){.status = 200, .body = big});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_LATER);
}

static void a_moved_directory_is_fetched_again(void **state)
{
	add_directory();
	add_nonce("Replay-Nonce: n1");
	script_add(&script, (struct script_turn){.url = "https://ca/o", .status = 404});
	assert_int_equal(run(CH_ACME_NEW_ORDER, NULL), CH_ACME_LATER);
	add_directory();
	script_add(&script, (struct script_turn){.url = "https://ca/n", .status = 404});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_LATER);
	add_directory();
	add_nonce("Replay-Nonce: n2");
	script_add(&script, (struct script_turn){.status = 200, .body = ORDER});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OK);
	/* A missing object is its own matter: the directory stays. */
	add_nonce("Replay-Nonce: n3");
	script_add(&script, (struct script_turn){.status = 404});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_GONE);
	add_nonce("Replay-Nonce: n4");
	script_add(&script, (struct script_turn){.status = 200, .body = ORDER});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OK);
}

static void the_directory_is_fetched_again_after_a_day(void **state)
{
	add_directory();
	add_nonce("Replay-Nonce: n1");
	script_add(&script, (struct script_turn){.status = 200, .body = ORDER});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OK);
	now_ms += CH_DAY_MS + 1;
	add_directory();
	add_nonce("Replay-Nonce: n2");
	script_add(&script, (struct script_turn){.status = 200, .body = ORDER});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OK);
}

static void urls_that_are_not_https_are_never_sent_to(void **state)
{
	struct ch_acme *other;
	struct ch_err err;

	add_directory();
	add_nonce("Replay-Nonce: n1");
	script_add(&script, (struct script_turn){.status = 200, .body = ORDER});
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_OK);
	add_nonce("Replay-Nonce: n2");
	assert_int_equal(run(CH_ACME_GET_ORDER, "http://127.0.0.1/"), CH_ACME_REFUSED);
	assert_int_equal(ch_acme_new("http://ca/dir", key, &other, &err), CH_EINVAL);
}

static void a_nonce_server_without_nonces_is_no_endless_loop(void **state)
{
	add_directory();
	add_nonce("X: y");
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_LATER);
	assert_string_equal(ans.err.problem, "ca-no-nonce");
	add_nonce("Replay-Nonce: in valid");
	assert_int_equal(run(CH_ACME_GET_ORDER, "https://ca/o/1"), CH_ACME_LATER);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_order_is_asked_for_with_directory_and_nonce),
		T(each_request_has_the_time_that_is_set),
		T(one_that_has_answered_quickly_is_not_waited_for_as_long),
		T(one_that_was_late_is_waited_for_longer),
		T(who_asks_patiently_waits_as_long_as_may_be),
		T(a_new_order_is_waited_for_as_long_as_may_be),
		T(nothing_signed_goes_to_a_foreign_host),
		T(the_directorys_hosts_are_the_cas),
		T(accounts_are_asked_for_by_key),
		T(each_request_has_to_pass),
		T(what_does_not_pass_is_not_sent),
		T(an_external_account_is_bound),
		T(bad_nonce_is_signed_again_with_the_nonce_of_the_error),
		T(bad_nonce_without_a_nonce_fetches_one),
		T(bad_nonces_are_given_up_after_ten),
		T(bad_nonce_is_no_answer_to_what_is_not_signed),
		T(a_request_that_must_not_be_repeated_is_signed_again),
		T(signing_again_is_given_up_after_ten),
		T(bad_nonces_and_broken_connections_count_together),
		T(pooled_nonces_grow_old),
		T(the_pool_is_bounded_and_gives_each_nonce_once),
		T(silence_is_an_outage_and_too_much_is_not),
		T(a_moved_directory_is_fetched_again),
		T(the_directory_is_fetched_again_after_a_day),
		T(urls_that_are_not_https_are_never_sent_to),
		T(a_nonce_server_without_nonces_is_no_endless_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
