#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/codec.h"
#include "base/mem.h"
#include "crypto/jws.h"
#include "crypto/keys.h"
#include "crypto/ossl.h"

/* The P-256 key of RFC 7515 appendix A.3.1. */
static EVP_PKEY *known_key(void)
{
	static const char x[] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
	static const char y[] = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
	static const char d[] = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
	uint8_t block[CH_KEY_BLOCK_B] = {1};
	uint8_t point[65] = {4};
	uint8_t got[65];
	EVP_PKEY *key;
	size_t len;

	assert_int_equal(ch_b64u_decode(d, strlen(d), block + 1, 32, &len), CH_OK);
	assert_int_equal(ch_b64u_decode(x, strlen(x), point + 1, 32, &len), CH_OK);
	assert_int_equal(ch_b64u_decode(y, strlen(y), point + 33, 32, &len), CH_OK);
	assert_int_equal(ch_key_from_block(block, sizeof(block), &key), CH_OK);
	assert_int_equal(ch_p256_point(key, got), CH_OK);
	assert_memory_equal(got, point, sizeof(got));
	return key;
}

static void the_thumbprint_is_that_of_rfc_7638(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = known_key();
	/* The canonical JSON of RFC 7638 section 3.2, written out. */
	static const char canonical[] =
		"{\"crv\":\"P-256\",\"kty\":\"EC\","
		"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
	uint8_t digest[CH_SHA256_B];
	char want[CH_THUMBPRINT_TEXT_B];
	char got[CH_THUMBPRINT_TEXT_B];

	assert_int_equal(ch_sha256(canonical, strlen(canonical), digest), CH_OK);
	ch_b64u_encode(digest, sizeof(digest), want);
	assert_int_equal(ch_jwk_thumbprint(key, got), CH_OK);
	assert_string_equal(got, want);
	assert_string_equal(got, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
}

static void other_kinds_of_keys_have_no_thumbprint(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = EVP_EC_gen("P-384");
	char text[CH_THUMBPRINT_TEXT_B];

	assert_int_equal(ch_jwk_thumbprint(key, text), CH_EUNSUPPORTED);
}

/* A flattened JWS, decoded. */
struct decoded {
	json_t *protected;
	char payload[1024];
	uint8_t sig[64];
	size_t sig_len;
	char signing[4096];
};

static void decode(struct ch_buf *text, struct decoded *d)
{
	json_t *root = json_loads(ch_buf_str(text), JSON_REJECT_DUPLICATES, NULL);
	const char *protected = json_string_value(json_object_get(root, "protected"));
	const char *payload = json_string_value(json_object_get(root, "payload"));
	const char *sig = json_string_value(json_object_get(root, "signature"));
	uint8_t *bytes;
	size_t len;

	assert_non_null(root);
	assert_int_equal(json_object_size(root), 3);
	snprintf(d->signing, sizeof(d->signing), "%s.%s", protected, payload);
	assert_int_equal(ch_b64u_decode_alloc(protected, 4096, &bytes, &len), CH_OK);
	d->protected = json_loadb((char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(d->protected);
	free(bytes);
	assert_int_equal(ch_b64u_decode(payload, strlen(payload), (uint8_t *)d->payload,
				 sizeof(d->payload) - 1, &len),
		CH_OK);
	d->payload[len] = 0;
	assert_int_equal(
		ch_b64u_decode(sig, strlen(sig), d->sig, sizeof(d->sig), &d->sig_len), CH_OK);
	json_decref(root);
}

static const char *member(const struct decoded *d, const char *name)
{
	return json_string_value(json_object_get(d->protected, name));
}

/* Independent of src/crypto: through DER, as OpenSSL wants it. */
static int verifies(EVP_PKEY *key, const struct decoded *d)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char *der = NULL;
	int len;
	int ok;

	ECDSA_SIG_set0(sig, BN_bin2bn(d->sig, 32, NULL), BN_bin2bn(d->sig + 32, 32, NULL));
	len = i2d_ECDSA_SIG(sig, &der);
	EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key);
	ok = EVP_DigestVerify(ctx, der, (size_t)len, (const uint8_t *)d->signing,
		     strlen(d->signing)) == 1;
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
	return ok;
}

static void a_jws_with_the_key_in_it_verifies(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = known_key();
	CH_AUTO_BUF struct ch_buf out;
	struct decoded d;
	struct ch_jws jws = {.key = key,
		.nonce = "nonce-1_a",
		.url = "https://ca.example/new-account",
		.payload = "{\"termsOfServiceAgreed\":true}"};

	ch_buf_init(&out, 8192);
	assert_int_equal(ch_jws_sign(&jws, &out), CH_OK);
	decode(&out, &d);
	assert_string_equal(member(&d, "alg"), "ES256");
	assert_string_equal(member(&d, "nonce"), "nonce-1_a");
	assert_string_equal(member(&d, "url"), "https://ca.example/new-account");
	assert_null(member(&d, "kid"));
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(d.protected, "jwk"), "x")),
		"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
	assert_string_equal(d.payload, jws.payload);
	assert_int_equal(d.sig_len, 64);
	assert_true(verifies(key, &d));
	d.signing[0] ^= 1;
	assert_false(verifies(key, &d));
	json_decref(d.protected);
}

static void a_jws_with_a_kid_and_post_as_get_verifies(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = known_key();
	CH_AUTO_BUF struct ch_buf out;
	struct decoded d;
	struct ch_jws jws = {.key = key,
		.kid = "https://ca.example/account/1",
		.nonce = "n",
		.url = "https://ca.example/order/1",
		.payload = ""};

	ch_buf_init(&out, 8192);
	assert_int_equal(ch_jws_sign(&jws, &out), CH_OK);
	decode(&out, &d);
	assert_string_equal(member(&d, "kid"), jws.kid);
	assert_null(json_object_get(d.protected, "jwk"));
	assert_string_equal(d.payload, "");
	assert_true(verifies(key, &d));
	json_decref(d.protected);
}

static void what_would_break_out_of_the_json_is_refused(void **state)
{
	static const char *const bad[] = {"a\"b", "a\\b", "a\nb", "a\x7f", "\xc3\xa4"};
	CH_AUTO_PKEY EVP_PKEY *key = known_key();

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		struct ch_jws jws = {.key = key, .nonce = bad[i], .url = "u", .payload = ""};
		CH_AUTO_BUF struct ch_buf out;

		ch_buf_init(&out, 8192);
		assert_int_equal(ch_jws_sign(&jws, &out), CH_EINVAL);
		jws.nonce = "n";
		jws.url = bad[i];
		assert_int_equal(ch_jws_sign(&jws, &out), CH_EINVAL);
		jws.url = "u";
		jws.kid = bad[i];
		assert_int_equal(ch_jws_sign(&jws, &out), CH_EINVAL);
		assert_int_equal(out.len, 0);
	}
}

static void a_jws_over_the_cap_is_refused(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = known_key();
	CH_AUTO_BUF struct ch_buf out;
	struct ch_jws jws = {.key = key, .nonce = "n", .url = "u", .payload = "{}"};

	ch_buf_init(&out, 100);
	assert_int_equal(ch_jws_sign(&jws, &out), CH_ETOOBIG);
}

/* Twice the same 32 bytes: as base64url, and as others print it. */
#define HMAC_URL "-_8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0"
#define HMAC_STD "+/8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0=\n"

static void an_external_account_binding_verifies(void **state)
{
	static const char *const forms[] = {HMAC_URL, HMAC_STD};
	CH_AUTO_PKEY EVP_PKEY *key = known_key();
	uint8_t hmac_key[32];
	size_t len;

	assert_int_equal(ch_b64u_decode(HMAC_URL, strlen(HMAC_URL), hmac_key, 32, &len), CH_OK);
	for (size_t i = 0; i < CH_ARRAY_LEN(forms); i++) {
		CH_AUTO_BUF struct ch_buf out;
		struct decoded d;
		struct ch_err err;
		uint8_t tag[32];

		ch_buf_init(&out, 8192);
		assert_int_equal(ch_jws_eab(key, "kid-1", forms[i], strlen(forms[i]),
					 "https://ca.example/new-account", &out, &err),
			CH_OK);
		decode(&out, &d);
		assert_string_equal(member(&d, "alg"), "HS256");
		assert_string_equal(member(&d, "kid"), "kid-1");
		assert_string_equal(member(&d, "url"), "https://ca.example/new-account");
		assert_null(member(&d, "nonce"));
		assert_non_null(strstr(d.payload, "\"kty\":\"EC\""));
		assert_non_null(HMAC(EVP_sha256(), hmac_key, (int)len,
			(const uint8_t *)d.signing, strlen(d.signing), tag, NULL));
		assert_int_equal(d.sig_len, 32);
		assert_memory_equal(d.sig, tag, 32);
		json_decref(d.protected);
	}
}

static void bad_external_account_bindings_are_refused(void **state)
{
	static const char *const bad[] = {"", "=", "a b", "!!!!", "AAAAA"};
	CH_AUTO_PKEY EVP_PKEY *key = known_key();
	CH_AUTO_BUF struct ch_buf out;
	struct ch_err err;
	char big[1000];

	ch_buf_init(&out, 8192);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		assert_int_equal(ch_jws_eab(key, "k", bad[i], strlen(bad[i]), "u", &out, &err),
			CH_EINVAL);
		assert_string_equal(err.problem, "eab-hmac");
	}
	memset(big, 'A', sizeof(big));
	assert_int_equal(ch_jws_eab(key, "k", big, sizeof(big), "u", &out, &err), CH_EINVAL);
	assert_int_equal(
		ch_jws_eab(key, "k\"", HMAC_URL, strlen(HMAC_URL), "u", &out, &err), CH_EINVAL);
	assert_string_equal(err.problem, "eab-kid");
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_thumbprint_is_that_of_rfc_7638),
		cmocka_unit_test(other_kinds_of_keys_have_no_thumbprint),
		cmocka_unit_test(a_jws_with_the_key_in_it_verifies),
		cmocka_unit_test(a_jws_with_a_kid_and_post_as_get_verifies),
		cmocka_unit_test(what_would_break_out_of_the_json_is_refused),
		cmocka_unit_test(a_jws_over_the_cap_is_refused),
		cmocka_unit_test(an_external_account_binding_verifies),
		cmocka_unit_test(bad_external_account_bindings_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
