/* Renewal information: names of certificates, windows, the question, and what orders replace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/client.h"
#include "base/clock.h"
#include "base/mem.h"
#include "crypto/keys.h"
#include "script_http.h"

#define NOW_MS INT64_C(1800000000000)
#define URN "urn:ietf:params:acme:error:"
#define ID "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE" /* of RFC 9773 section 4.1 */

static const uint8_t rfc_key[] = {0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3,
	0x7B, 0x84, 0x7B, 0xA0, 0xAE, 0x2C, 0xDE, 0x01, 0xC8, 0xD4};
static const uint8_t rfc_serial[] = {0x87, 0x65, 0x43, 0x21};

static struct script_http script;
static struct ch_acme *acme;
static EVP_PKEY *key;
static struct ch_acme_answer ans;

static int64_t fake_clock(void *arg)
{
	return NOW_MS;
}

static int set_up(void **state)
{
	struct ch_err err;

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

/* key_id_len 0: without the extension. */
static size_t make_cert(const uint8_t *key_id, size_t key_id_len, const uint8_t *serial,
	size_t serial_len, uint8_t **ret_der)
{
	X509 *cert = X509_new();
	BIGNUM *number = BN_bin2bn(serial, (int)serial_len, NULL);
	AUTHORITY_KEYID *aki = AUTHORITY_KEYID_new();
	int len;

	X509_set_version(cert, 2);
	BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_set_pubkey(cert, key);
	if (key_id_len > 0) {
		aki->keyid = ASN1_OCTET_STRING_new();
		ASN1_OCTET_STRING_set(aki->keyid, key_id, (int)key_id_len);
		assert_int_equal(
			X509_add1_ext_i2d(cert, NID_authority_key_identifier, aki, 0, 0), 1);
	}
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	*ret_der = NULL;
	len = i2d_X509(cert, ret_der);
	assert_true(len > 0);
	AUTHORITY_KEYID_free(aki);
	BN_free(number);
	X509_free(cert);
	return (size_t)len;
}

static int id_of(const uint8_t *key_id, size_t key_id_len, const uint8_t *serial,
	size_t serial_len, char ret_id[CH_ACME_CERT_ID_B])
{
	struct ch_err err;
	uint8_t *der;
	size_t len = make_cert(key_id, key_id_len, serial, serial_len, &der);
	int rc = ch_acme_cert_id(der, len, ret_id, &err);

	OPENSSL_free(der);
	return rc;
}

static void the_rfcs_certificate_has_the_rfcs_name(void **state)
{
	static const uint8_t small[] = {0x7F};
	char id[CH_ACME_CERT_ID_B];

	assert_int_equal(id_of(rfc_key, sizeof(rfc_key), rfc_serial, 4, id), CH_OK);
	assert_string_equal(id, ID);
	assert_true(ch_acme_cert_id_ok(id));
	/* No byte is put before one that is positive by itself. */
	assert_int_equal(id_of(rfc_key, sizeof(rfc_key), small, 1, id), CH_OK);
	assert_string_equal(id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.fw");
}

static void the_longest_fits_and_longer_has_no_name(void **state)
{
	uint8_t bytes[CH_ACME_CERT_ID_PART_B + 1];
	char id[CH_ACME_CERT_ID_B];

	memset(bytes, 0x7F, sizeof(bytes));
	assert_int_equal(id_of(bytes, sizeof(bytes) - 1, bytes, sizeof(bytes) - 1, id), CH_OK);
	assert_int_equal(strlen(id), 86 + 1 + 86);
	assert_true(ch_acme_cert_id_ok(id));
	assert_int_equal(id_of(bytes, sizeof(bytes), bytes, 4, id), CH_ENOTFOUND);
	assert_int_equal(id_of(bytes, 20, bytes, sizeof(bytes), id), CH_ENOTFOUND);
	assert_int_equal(id_of(NULL, 0, bytes, 4, id), CH_ENOTFOUND);
}

static void what_is_no_certificate_has_no_name(void **state)
{
	char id[CH_ACME_CERT_ID_B];
	struct ch_err err;
	uint8_t *der;
	size_t len = make_cert(rfc_key, sizeof(rfc_key), rfc_serial, 4, &der);
	CH_AUTO_FREE uint8_t *longer = malloc(len + 1);

	memcpy(longer, der, len);
	longer[len] = 0;
	assert_int_equal(ch_acme_cert_id(longer, len + 1, id, &err), CH_EPROTO);
	assert_int_equal(ch_acme_cert_id(der, len - 1, id, &err), CH_EPROTO);
	assert_int_equal(ch_acme_cert_id(der, 0, id, &err), CH_EPROTO);
	OPENSSL_free(der);
}

static void names_have_two_parts_of_base64url(void **state)
{
	static const char *const bad[] = {"", ".", "a", "a.", ".b", "a.b.c", "a/b.c", "a.b?c",
		"a.b ", "a.b=", "a.\xC3\xA4"};
	char longer[CH_ACME_CERT_ID_B + 1];

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_false(ch_acme_cert_id_ok(bad[i]));
	assert_false(ch_acme_cert_id_ok(NULL));
	memset(longer, 'a', sizeof(longer));
	longer[1] = '.';
	longer[CH_ACME_CERT_ID_B] = 0;
	assert_false(ch_acme_cert_id_ok(longer));
	longer[CH_ACME_CERT_ID_B - 1] = 0;
	assert_true(ch_acme_cert_id_ok(longer));
}

static int read_window(const char *text, int64_t *ret_length_ms, bool *ret_page)
{
	struct ch_acme_window window = {0};
	struct ch_err err;
	json_auto_t *doc = NULL;
	int rc;

	assert_int_equal(ch_acme_json_load(text, strlen(text), &doc, &err), CH_OK);
	rc = ch_acme_window_read(doc, &window, &err);
	*ret_length_ms = window.end_ms - window.start_ms;
	*ret_page = window.explanation != NULL;
	return rc;
}

#define WINDOW(start, end, more)                                                               \
	"{\"suggestedWindow\":{\"start\":\"" start "\",\"end\":\"" end "\"}" more "}"
#define DAY_1 "2027-01-02T04:00:00Z"
#define DAY_2 "2027-01-03T04:00:00Z"

static void windows_end_after_they_begin(void **state)
{
	static const char *const bad[] = {"{}", WINDOW(DAY_2, DAY_1, ""),
		WINDOW(DAY_1, DAY_1, ""), WINDOW("soon", DAY_2, ""), WINDOW(DAY_1, "", ""),
		WINDOW("0001-01-01T00:00:00Z", DAY_1, ""), "{\"suggestedWindow\":[]}",
		"{\"suggestedWindow\":{\"start\":1,\"end\":2}}",
		"{\"suggestedWindow\":{\"start\":\"" DAY_1 "\"}}"};
	int64_t length_ms;
	bool page;

	assert_int_equal(read_window(WINDOW(DAY_1, DAY_2, ""), &length_ms, &page), CH_OK);
	assert_int_equal(length_ms, CH_DAY_MS);
	assert_false(page);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(read_window(bad[i], &length_ms, &page), CH_EPROTO);
}

static void only_pages_under_https_explain(void **state)
{
	int64_t length_ms;
	bool page;

	assert_int_equal(
		read_window(WINDOW(DAY_1, DAY_2, ",\"explanationURL\":\"https://ca/w\""),
			&length_ms, &page),
		CH_OK);
	assert_true(page);
	assert_int_equal(
		read_window(WINDOW(DAY_1, DAY_2, ",\"explanationURL\":\"javascript:x\""),
			&length_ms, &page),
		CH_OK);
	assert_false(page);
}

static void add_directory(const char *more)
{
	static char body[2048];

	snprintf(body, sizeof(body),
		"{\"newNonce\":\"https://ca/n\",\"newAccount\":\"https://ca/a\","
		"\"newOrder\":\"https://ca/o\"%s}",
		more);
	script_add(&script,
		(struct script_turn){.url = "https://ca/dir", .status = 200, .body = body});
}

static enum ch_acme_fate run(enum ch_acme_kind kind, const char *cert_id)
{
	static const char *const names[] = {"shop.test"};
	struct ch_acme_request req = {
		.kind = kind, .cert_id = cert_id, .names = names, .n_names = 1};

	ch_acme_answer_done(&ans);
	ch_acme_answer_init(&ans);
	return ch_acme_run(acme, &script.http, &req, &ans);
}

static void add_window(const char *header)
{
	script_add(&script, (struct script_turn){.url = "https://info/r/" ID,
				    .status = 200,
				    .headers = {header},
				    .body = WINDOW(DAY_1, DAY_2, "")});
}

static void a_window_is_asked_for_without_account_and_nonce(void **state)
{
	static const struct {
		const char *header;
		int64_t wait_ms;
	} waits[] = {{NULL, CH_ACME_LOOK_MS}, {"Retry-After: 21600", 6 * CH_HOUR_MS},
		{"Retry-After: 0", CH_MINUTE_MS}, {"Retry-After: 9999999", CH_DAY_MS},
		{"Retry-After: never", CH_ACME_LOOK_MS}};

	ch_acme_set_account(acme, "");
	add_directory(",\"renewalInfo\":\"https://info/r\"");
	for (size_t i = 0; i < CH_ARRAY_LEN(waits); i++) {
		add_window(waits[i].header);
		assert_int_equal(run(CH_ACME_RENEWAL_INFO, ID), CH_ACME_OK);
		assert_int_equal(ans.window.end_ms - ans.window.start_ms, CH_DAY_MS);
		assert_int_equal(ans.retry_at_ms, NOW_MS + waits[i].wait_ms);
		assert_string_equal(script.sent[1 + i], "");
	}
}

static void a_window_that_is_none_is_a_fetch_that_failed(void **state)
{
	add_directory(",\"renewalInfo\":\"https://info/r/\"");
	script_add(&script, (struct script_turn){.url = "https://info/r/" ID,
				    .status = 200,
				    .body = WINDOW(DAY_2, DAY_1, "")});
	assert_int_equal(run(CH_ACME_RENEWAL_INFO, ID), CH_ACME_LATER);
	assert_string_equal(ans.err.problem, "ca-bad-window");
	/* A certificate that is not known says nothing about the directory. */
	script_add(&script, (struct script_turn){.status = 404});
	assert_int_equal(run(CH_ACME_RENEWAL_INFO, ID), CH_ACME_GONE);
	assert_int_equal(run(CH_ACME_RENEWAL_INFO, "../x"), CH_ACME_REFUSED);
	assert_string_equal(ans.err.problem, "bad-cert-id");
}

static void a_ca_without_windows_is_not_asked(void **state)
{
	add_directory(",\"renewalInfo\":\"http://ca/r\"");
	assert_int_equal(run(CH_ACME_RENEWAL_INFO, ID), CH_ACME_REFUSED);
	assert_string_equal(ans.err.problem, "ca-no-renewal-information");
}

static void add_order(const char *nonce)
{
	script_add(&script,
		(struct script_turn){.url = "https://ca/o",
			.status = 201,
			.headers = {"Location: https://ca/o/1", nonce},
			.body = "{\"status\":\"pending\",\"authorizations\":[\"https://ca/z\"],"
				"\"finalize\":\"https://ca/f\"}"});
}

static void assert_replaces(size_t i, bool expected)
{
	CH_AUTO_FREE char *text = script_jws_part(&script, i, "payload");

	assert_int_equal(strstr(text, "\"replaces\":\"" ID "\"") != NULL, expected);
	assert_int_equal(strstr(text, "replaces") != NULL, expected);
}

static void begin_order(void)
{
	add_directory("");
	script_add(&script,
		(struct script_turn){
			.url = "https://ca/n", .status = 204, .headers = {"Replay-Nonce: n1"}});
}

static void an_order_says_what_it_replaces(void **state)
{
	begin_order();
	add_order("Replay-Nonce: n2");
	assert_int_equal(run(CH_ACME_NEW_ORDER, ID), CH_ACME_OK);
	assert_false(ans.replaces_refused);
	assert_replaces(2, true);
	assert_int_equal(run(CH_ACME_NEW_ORDER, "a.b\"c"), CH_ACME_REFUSED);
}

static void a_refused_replacement_is_ordered_without(void **state)
{
	static const struct script_turn refusals[] = {
		{.status = 409, .body = "{\"type\":\"" URN "alreadyReplaced\"}"},
		{.status = 409, .body = "{\"type\":\"" URN "conflict\"}"},
		{.status = 404, .body = "{\"type\":\"" URN "malformed\"}"},
		{.status = 404},
		{.status = 400, .body = "{\"type\":\"" URN "malformed\"}"},
		{.status = 403, .body = "{\"type\":\"" URN "unauthorized\"}"},
		{.status = 400},
	};
	size_t at = 2;

	begin_order();
	for (size_t i = 0; i < CH_ARRAY_LEN(refusals); i++, at += 2) {
		struct script_turn turn = refusals[i];

		turn.headers[0] = "Replay-Nonce: n2";
		script_add(&script, turn);
		add_order("Replay-Nonce: n3");
		assert_int_equal(run(CH_ACME_NEW_ORDER, ID), CH_ACME_OK);
		assert_true(ans.replaces_refused);
		assert_string_equal(ans.location, "https://ca/o/1");
		assert_replaces(at, true);
		assert_replaces(at + 1, false);
	}
}

static void it_is_ordered_without_once_only(void **state)
{
	struct script_turn turn = {.status = 400,
		.headers = {"Replay-Nonce: n2"},
		.body = "{\"type\":\"" URN "malformed\"}"};

	begin_order();
	script_add(&script, turn);
	script_add(&script, turn);
	assert_int_equal(run(CH_ACME_NEW_ORDER, ID), CH_ACME_REFUSED);
	assert_true(ans.replaces_refused);
	assert_replaces(3, false);
}

static void other_errors_say_nothing_about_the_replacement(void **state)
{
	static const struct script_turn errors[] = {
		{.status = 429, .body = "{\"type\":\"" URN "rateLimited\"}"},
		{.status = 503},
		{.status = 500, .body = "{\"type\":\"" URN "serverInternal\"}"},
		{.status = 400, .body = "{\"type\":\"" URN "rejectedIdentifier\"}"},
	};

	begin_order();
	for (size_t i = 0; i < CH_ARRAY_LEN(errors); i++) {
		struct script_turn turn = errors[i];

		turn.headers[0] = "Replay-Nonce: n2";
		script_add(&script, turn);
		assert_int_not_equal(run(CH_ACME_NEW_ORDER, ID), CH_ACME_OK);
		assert_false(ans.replaces_refused);
	}
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_rfcs_certificate_has_the_rfcs_name),
		T(the_longest_fits_and_longer_has_no_name),
		T(what_is_no_certificate_has_no_name),
		T(names_have_two_parts_of_base64url),
		T(windows_end_after_they_begin),
		T(only_pages_under_https_explain),
		T(a_window_is_asked_for_without_account_and_nonce),
		T(a_window_that_is_none_is_a_fetch_that_failed),
		T(a_ca_without_windows_is_not_asked),
		T(an_order_says_what_it_replaces),
		T(a_refused_replacement_is_ordered_without),
		T(it_is_ordered_without_once_only),
		T(other_errors_say_nothing_about_the_replacement),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
