/* Certificates read in the quick context are the same as in OpenSSL's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "crypto/cert.h"
#include "crypto/quick.h"
#include "testca.h"

static struct testca ca;

static int set_up(void **state)
{
	testca_init(&ca, "root");
	return 0;
}

static int tear_down(void **state)
{
	testca_done(&ca);
	return 0;
}

static X509 *certificate_of(EVP_PKEY *key)
{
	struct cert_spec spec = {.subject = "leaf",
		.sans = "DNS:shop.example.com",
		.from_s = -DAY_S,
		.to_s = DAY_S,
		.key = key,
		.issuer = ca.root,
		.issuer_key = ca.root_key};

	assert_non_null(key);
	return testca_make(&spec);
}

/* As it comes from a CA. */
static X509 *read_again(X509 *made)
{
	uint8_t *der = NULL;
	int len = i2d_X509(made, &der);
	X509 *cert = NULL;
	struct ch_err err;

	assert_true(len > 0);
	assert_int_equal(ch_cert_from_der(der, (size_t)len, &cert, &err), CH_OK);
	OPENSSL_free(der);
	return cert;
}

static void reads(EVP_PKEY *key)
{
	X509 *made = certificate_of(key);
	X509 *cert = read_again(made);

	assert_non_null(X509_get0_pubkey(cert));
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), key), 1);
	/* The issuer's key was read in the other context. */
	assert_int_equal(X509_verify(cert, ca.root_key), 1);
	assert_int_not_equal(X509_verify(cert, key), 1);
	X509_free(cert);
	X509_free(made);
	EVP_PKEY_free(key);
	ERR_clear_error();
}

static void keys_of_each_kind_are_read(void **state)
{
	reads(EVP_EC_gen("P-256"));
	reads(EVP_EC_gen("P-384"));
	reads(EVP_RSA_gen(2048));
	reads(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
}

/* No decoder of it is in the quick context. */
static void a_rare_kind_of_key_is_read_all_the_same(void **state)
{
	reads(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"));
}

/* One bit of the signature, which is what ends the certificate. */
static void a_changed_certificate_does_not_verify(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *made = certificate_of(key);
	uint8_t *der = NULL;
	int len = i2d_X509(made, &der);
	X509 *cert = NULL;
	struct ch_err err;

	der[len - 1] ^= 1;
	assert_int_equal(ch_cert_from_der(der, (size_t)len, &cert, &err), CH_OK);
	assert_int_not_equal(X509_verify(cert, ca.root_key), 1);
	ERR_clear_error();
	X509_free(cert);
	OPENSSL_free(der);
	X509_free(made);
	EVP_PKEY_free(key);
}

static void the_context_is_one(void **state)
{
	assert_ptr_equal(ch_quick_ctx(), ch_quick_ctx());
#if OPENSSL_VERSION_NUMBER < 0x30200000L
	assert_non_null(ch_quick_ctx());
#endif
}

/* The others would be gone through for each certificate. */
static void it_has_the_kinds_of_keys_that_tls_needs_and_no_others(void **state)
{
#if OPENSSL_VERSION_NUMBER < 0x30200000L
	static const char *const there[] = {
		"EC", "RSA", "RSA-PSS", "ED25519", "X25519", "X448", "DH", "HMAC"};
	static const char *const absent[] = {"DSA", "DHX", "ED448", "SM2", "POLY1305"};
	EVP_KEYMGMT *found;

	for (size_t i = 0; i < CH_ARRAY_LEN(there); i++) {
		found = EVP_KEYMGMT_fetch(ch_quick_ctx(), there[i], NULL);
		if (!found)
			fail_msg("%s is missing", there[i]);
		EVP_KEYMGMT_free(found);
	}
	for (size_t i = 0; i < CH_ARRAY_LEN(absent); i++)
		if (EVP_KEYMGMT_fetch(ch_quick_ctx(), absent[i], NULL))
			fail_msg("%s is there", absent[i]);
	ERR_clear_error();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_each_kind_are_read),
		cmocka_unit_test(a_rare_kind_of_key_is_read_all_the_same),
		cmocka_unit_test(a_changed_certificate_does_not_verify),
		cmocka_unit_test(the_context_is_one),
		cmocka_unit_test(it_has_the_kinds_of_keys_that_tls_needs_and_no_others),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
