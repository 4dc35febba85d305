/* The certificate of a tls-alpn-01 challenge, as RFC 8737 section 3 has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/alpn_cert.h"
#include "crypto/keys.h"
#include "crypto/x509.h"

#define NOW_S INT64_C(1790000000)
#define AUTHORIZATION "token-1.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"

static EVP_PKEY *key;

static int make_key(void **state)
{
	return ch_key_generate(&key);
}

static int drop_key(void **state)
{
	EVP_PKEY_free(key);
	return 0;
}

static X509 *make(const char *name)
{
	X509 *cert = NULL;

	assert_int_equal(ch_alpn_cert_make(
				 key, name, AUTHORIZATION, strlen(AUTHORIZATION), NOW_S, &cert),
		CH_OK);
	return cert;
}

static void it_is_self_signed_for_one_name(void **state)
{
	X509 *cert = make("shop.example.com");
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	const ASN1_STRING *text;
	int type;

	assert_int_equal(X509_get_version(cert), X509_VERSION_3);
	assert_int_equal(X509_verify(cert, key), 1);
	assert_int_equal(
		X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)), 0);
	assert_int_equal(sk_GENERAL_NAME_num(names), 1);
	text = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, 0), &type);
	assert_int_equal(type, GEN_DNS);
	assert_int_equal(ASN1_STRING_length(text), strlen("shop.example.com"));
	assert_memory_equal(ASN1_STRING_get0_data(text), "shop.example.com", 16);
	assert_int_equal(X509_cmp_time(X509_get0_notBefore(cert), &(time_t){NOW_S}), -1);
	assert_int_equal(X509_cmp_time(X509_get0_notAfter(cert), &(time_t){NOW_S}), 1);
	GENERAL_NAMES_free(names);
	X509_free(cert);
}

static void its_identifier_is_critical_and_the_digest(void **state)
{
	X509 *cert = make("shop.example.com");
	ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
	int at = X509_get_ext_by_OBJ(cert, oid, -1);
	uint8_t want[2 + CH_SHA256_B] = {0x04, 0x20};
	X509_EXTENSION *ext;
	ASN1_OCTET_STRING *value;

	assert_true(at >= 0);
	assert_int_equal(X509_get_ext_by_OBJ(cert, oid, at), -1);
	/* It, and the name. */
	assert_int_equal(X509_get_ext_count(cert), 2);
	ext = X509_get_ext(cert, at);
	assert_int_equal(X509_EXTENSION_get_critical(ext), 1);
	value = X509_EXTENSION_get_data(ext);
	assert_int_equal(ch_sha256(AUTHORIZATION, strlen(AUTHORIZATION), want + 2), CH_OK);
	assert_int_equal(ASN1_STRING_length(value), sizeof(want));
	assert_memory_equal(ASN1_STRING_get0_data(value), want, sizeof(want));
	ASN1_OBJECT_free(oid);
	X509_free(cert);
}

static void the_longest_name_fits(void **state)
{
	char name[254];

	memset(name, 'a', sizeof(name) - 1);
	for (size_t i = 60; i < sizeof(name) - 1; i += 61)
		name[i] = '.';
	name[sizeof(name) - 1] = 0;
	X509_free(make(name));
}

static void what_is_no_host_name_is_refused(void **state)
{
	static const char *const names[] = {"", "*.example.com", "a b.example.com",
		"a\n.example.com", "a,DNS:b.example.com"};
	char longer[255];
	X509 *cert = NULL;

	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	for (size_t i = 0; i < CH_ARRAY_LEN(names); i++)
		assert_int_equal(
			ch_alpn_cert_make(key, names[i], "t.p", 3, NOW_S, &cert), CH_EINVAL);
	assert_int_equal(ch_alpn_cert_make(key, longer, "t.p", 3, NOW_S, &cert), CH_EINVAL);
	assert_null(cert);
	/* nginx would take what is left for a connection's. */
	assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_self_signed_for_one_name),
		cmocka_unit_test(its_identifier_is_critical_and_the_digest),
		cmocka_unit_test(the_longest_name_fits),
		cmocka_unit_test(what_is_no_host_name_is_refused),
	};

	return cmocka_run_group_tests(tests, make_key, drop_key);
}
