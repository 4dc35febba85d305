#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/mem.h"
#include "crypto/keys.h"
#include "crypto/x509.h"
#include "testca.h"

static char root_path[] = "/tmp/certherd-test-x509-XXXXXX";
static struct testca ca;
static EVP_PKEY *leaf_key;
static uint8_t leaf_spki[CH_SHA256_B];
static const char *const two_names[] = {"shop.example.com", "www.shop.example.com"};
#define TWO_SANS "DNS:Shop.Example.com,DNS:www.shop.example.com"

static int set_up(void **state)
{
	int fd = mkstemp(root_path);
	char *text;
	size_t len;
	BIO *pem;
	int bad;

	testca_init(&ca, "root");
	leaf_key = EVP_EC_gen("P-256");
	pem = testca_pem(&ca.root, 1, &text, &len);
	bad = fd < 0 || write(fd, text, len) != (ssize_t)len ||
	      ch_key_spki_sha256(leaf_key, leaf_spki);
	close(fd);
	BIO_free(pem);
	return bad;
}

static int tear_down(void **state)
{
	testca_done(&ca);
	EVP_PKEY_free(leaf_key);
	return unlink(root_path);
}

static void a_csr_has_the_names_and_no_subject(void **state)
{
	CH_AUTO_BUF struct ch_buf der;
	const unsigned char *at;
	X509_REQ *req;
	STACK_OF(X509_EXTENSION) * extensions;
	GENERAL_NAMES *names;
	uint8_t spki[CH_SHA256_B];

	ch_buf_init(&der, 4096);
	assert_int_equal(ch_csr_make(leaf_key, two_names, 2, &der), CH_OK);
	at = der.data;
	req = d2i_X509_REQ(NULL, &at, (long)der.len);
	assert_non_null(req);
	assert_int_equal(X509_REQ_verify(req, leaf_key), 1);
	assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(req)), 0);
	extensions = X509_REQ_get_extensions(req);
	names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(names), 2);
	assert_memory_equal(ASN1_STRING_get0_data(sk_GENERAL_NAME_value(names, 1)->d.dNSName),
		"www.shop.example.com", 20);
	assert_int_equal(ch_csr_spki_sha256(der.data, der.len, spki), CH_OK);
	assert_memory_equal(spki, leaf_spki, sizeof(spki));
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_REQ_free(req);
}

static void names_that_cannot_be_in_a_csr_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "a,DNS:b", "a b", "a\nb", "b\xc3\xbc.example", "a/b", "a:b"};
	CH_AUTO_BUF struct ch_buf der;
	const char *many[CH_CERT_NAMES_MAX + 1];
	char name[255];
	const char *names[] = {name};

	ch_buf_init(&der, 65536);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(ch_csr_make(leaf_key, &bad[i], 1, &der), CH_EINVAL);
	memset(name, 'a', 254);
	name[254] = 0;
	assert_int_equal(ch_csr_make(leaf_key, names, 1, &der), CH_EINVAL);
	assert_int_equal(ch_csr_make(leaf_key, names, 0, &der), CH_EINVAL);
	for (size_t i = 0; i < CH_ARRAY_LEN(many); i++)
		many[i] = "a.example";
	assert_int_equal(ch_csr_make(leaf_key, many, CH_ARRAY_LEN(many), &der), CH_EINVAL);
	assert_int_equal(der.len, 0);
	ch_buf_done(&der);
	ch_buf_init(&der, 10);
	assert_int_equal(ch_csr_make(leaf_key, two_names, 2, &der), CH_ETOOBIG);
}

static void bytes_that_are_no_csr_are_refused(void **state)
{
	CH_AUTO_BUF struct ch_buf der;
	uint8_t spki[CH_SHA256_B];

	ch_buf_init(&der, 4096);
	assert_int_equal(ch_csr_make(leaf_key, two_names, 2, &der), CH_OK);
	assert_int_equal(ch_csr_spki_sha256(der.data, 0, spki), CH_EPROTO);
	assert_int_equal(ch_csr_spki_sha256(der.data, der.len - 1, spki), CH_EPROTO);
	assert_int_equal(ch_buf_add_u8(&der, 0), CH_OK);
	assert_int_equal(ch_csr_spki_sha256(der.data, der.len, spki), CH_EPROTO);
}

/* Parses the chain; mid, or top, may be NULL. */
static struct ch_cert_chain *chain_up_to(X509 *leaf, X509 *mid, X509 *top)
{
	X509 *const certs[] = {leaf, mid, top};
	struct ch_cert_chain *chain;
	struct ch_err err;
	char *text;
	size_t len;
	BIO *pem = testca_pem(certs, top ? 3 : mid ? 2 : 1, &text, &len);

	assert_int_equal(ch_cert_chain_parse_pem(text, len, &chain, &err), CH_OK);
	BIO_free(pem);
	return chain;
}

static struct ch_cert_chain *chain_of(X509 *leaf, X509 *mid)
{
	return chain_up_to(leaf, mid, NULL);
}

/* The problem that the check of what spec describes ends with; "" when it passes. */
static const char *check_up_to(
	const struct cert_spec *spec, X509 *mid, X509 *top, const char *where)
{
	static struct ch_err err;
	X509 *leaf = testca_make(spec);
	struct ch_cert_chain *chain = chain_up_to(leaf, mid, top);
	struct ch_trust *trust;
	struct ch_cert_expect expect = {leaf_spki, two_names, 2, TEST_NOW_S, NULL};
	int rc;

	assert_int_equal(ch_trust_load(where, &trust, &err), CH_OK);
	expect.trust = trust;
	err.problem[0] = 0;
	rc = ch_cert_chain_check(chain, &expect, &err);
	assert_true(rc == CH_OK || rc == CH_EPROTO);
	assert_true((rc == CH_OK) == !err.problem[0]);
	assert_true(rc == CH_OK || err.detail[0]);
	ch_trust_free(trust);
	ch_cert_chain_free(chain);
	X509_free(leaf);
	return err.problem;
}

static const char *check(const struct cert_spec *spec, X509 *mid, const char *where)
{
	return check_up_to(spec, mid, NULL, where);
}

static struct cert_spec good(void)
{
	return testca_leaf(&ca, leaf_key, TWO_SANS);
}

static void a_right_certificate_passes(void **state)
{
	struct cert_spec spec = good();

	assert_string_equal(check(&spec, ca.mid, root_path), "");
	assert_string_equal(check(&spec, ca.mid, "any"), "");
	assert_string_equal(check(&spec, NULL, "any"), "");
	spec.from_s = 3500; /* the CA's clock is ahead */
	assert_string_equal(check(&spec, ca.mid, root_path), "");
}

static void a_certificate_for_another_key_is_refused(void **state)
{
	struct cert_spec spec = good();
	CH_AUTO_PKEY EVP_PKEY *other = EVP_EC_gen("P-256");

	spec.key = other;
	assert_string_equal(check(&spec, ca.mid, "any"), "cert-key");
}

static void a_missing_name_is_refused(void **state)
{
	struct cert_spec spec = good();

	spec.sans = "DNS:shop.example.com";
	assert_string_equal(check(&spec, ca.mid, "any"), "cert-names");
	spec.sans = NULL;
	assert_string_equal(check(&spec, ca.mid, "any"), "cert-names");
	spec.sans = "DNS:shop.example.com,DNS:*.shop.example.com";
	assert_string_equal(check(&spec, ca.mid, "any"), "cert-names");
}

static void an_extra_name_is_refused(void **state)
{
	static const char *const extra[] = {TWO_SANS ",DNS:evil.example",
		TWO_SANS ",IP:192.0.2.1", TWO_SANS ",URI:https://evil.example",
		TWO_SANS ",email:a@evil.example"};
	struct cert_spec spec = good();

	for (size_t i = 0; i < CH_ARRAY_LEN(extra); i++) {
		spec.sans = extra[i];
		assert_string_equal(check(&spec, ca.mid, "any"), "cert-names");
	}
}

static void an_expired_certificate_is_refused(void **state)
{
	struct cert_spec spec = good();

	spec.from_s = -90 * DAY_S;
	spec.to_s = 0;
	assert_string_equal(check(&spec, ca.mid, "any"), "cert-dates");
}

static void a_certificate_of_the_future_is_refused(void **state)
{
	struct cert_spec spec = good();

	spec.from_s = 3601;
	assert_string_equal(check(&spec, ca.mid, "any"), "cert-dates");
}

static void a_ca_certificate_as_leaf_is_refused(void **state)
{
	struct cert_spec spec = good();

	spec.constraints = "critical,CA:TRUE";
	spec.key_usage = "critical,digitalSignature,keyCertSign";
	assert_string_equal(check(&spec, ca.mid, "any"), "cert-usage");
}

static void a_certificate_not_for_servers_is_refused(void **state)
{
	struct cert_spec spec = good();

	spec.eku = "clientAuth";
	assert_string_equal(check(&spec, ca.mid, "any"), "cert-usage");
	spec.eku = NULL;
	assert_string_equal(check(&spec, ca.mid, "any"), "cert-usage");
}

static void a_chain_with_a_gap_is_refused(void **state)
{
	struct cert_spec spec = good();

	assert_string_equal(check(&spec, ca.root, "any"), "cert-chain");
	assert_string_equal(check(&spec, ca.root, root_path), "cert-chain");
	assert_string_equal(check(&spec, NULL, root_path), "cert-chain");
}

static void a_chain_signed_by_an_impostor_is_refused(void **state)
{
	struct testca fake;
	struct cert_spec spec;

	testca_init(&fake, "root"); /* the same names, other keys */
	spec = testca_leaf(&fake, leaf_key, TWO_SANS);
	assert_string_equal(check(&spec, fake.mid, "any"), "");
	assert_string_equal(check(&spec, ca.mid, "any"), "cert-chain");
	assert_string_equal(check(&spec, fake.mid, root_path), "cert-chain");
	testca_done(&fake);
}

/* A path to the trusted root is there, but not along what would be sent. */
static void what_goes_on_beside_the_path_is_refused(void **state)
{
	struct testca fake;
	struct cert_spec spec = good();

	testca_init(&fake, "root");
	assert_string_equal(check_up_to(&spec, ca.mid, ca.root, root_path), "");
	assert_string_equal(check_up_to(&spec, ca.mid, fake.root, root_path), "cert-chain");
	assert_string_equal(check_up_to(&spec, ca.mid, ca.mid, root_path), "cert-chain");
	testca_done(&fake);
}

static void a_chain_to_another_root_is_refused(void **state)
{
	struct testca other;
	struct cert_spec spec;

	testca_init(&other, "another root");
	spec = testca_leaf(&other, leaf_key, TWO_SANS);
	assert_string_equal(check(&spec, other.mid, root_path), "cert-chain");
	testca_done(&other);
}

static void a_leaf_that_signs_a_leaf_is_refused(void **state)
{
	struct cert_spec spec = good();
	CH_AUTO_PKEY EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *middle;

	spec.key = key;
	spec.subject = "not a CA";
	middle = testca_make(&spec);
	spec = good();
	spec.issuer = middle;
	spec.issuer_key = key;
	assert_string_equal(check(&spec, middle, "any"), "cert-chain");
	X509_free(middle);
}

static void an_expired_intermediate_is_refused(void **state)
{
	struct cert_spec spec = {.subject = "intermediate",
		.constraints = "critical,CA:TRUE",
		.key_usage = "critical,keyCertSign",
		.from_s = -9 * DAY_S,
		.to_s = -DAY_S,
		.key = ca.mid_key,
		.issuer = ca.root,
		.issuer_key = ca.root_key};
	X509 *old = testca_make(&spec);

	spec = good();
	spec.issuer = old;
	assert_string_equal(check(&spec, old, root_path), "cert-chain");
	X509_free(old);
}

static void chains_parse_into_their_certificates(void **state)
{
	struct cert_spec spec = good();
	X509 *leaf = testca_make(&spec);
	struct ch_cert_chain *chain = chain_of(leaf, ca.mid);
	const uint8_t *der;
	size_t len;
	unsigned char *want = NULL;
	int want_len = i2d_X509(ca.mid, &want);

	assert_int_equal(ch_cert_chain_len(chain), 2);
	ch_cert_chain_der(chain, 1, &der, &len);
	assert_int_equal(len, want_len);
	assert_memory_equal(der, want, len);
	OPENSSL_free(want);
	ch_cert_chain_free(chain);
	X509_free(leaf);
}

#define EMPTY_CERTIFICATE "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static void unusable_chains_are_refused(void **state)
{
	static const char *const bad[] = {"", "hello", "-----BEGIN CERTIFICATE-----\n",
		EMPTY_CERTIFICATE,
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"};
	struct ch_cert_chain *chain = NULL;
	struct ch_err err;
	X509 *many[10];
	char *text;
	size_t len;
	BIO *pem;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(ch_cert_chain_parse_pem(bad[i], strlen(bad[i]), &chain, &err),
			CH_EPROTO);
	for (size_t i = 0; i < CH_ARRAY_LEN(many); i++)
		many[i] = ca.root;
	pem = testca_pem(many, CH_ARRAY_LEN(many), &text, &len);
	assert_int_equal(ch_cert_chain_parse_pem(text, len, &chain, &err), CH_EPROTO);
	BIO_free(pem);
	assert_null(chain);
}

static void oversized_certificates_and_chains_are_refused(void **state)
{
	struct cert_spec spec = good();
	struct ch_cert_chain *chain = NULL;
	struct ch_err err;
	char sans[12000] = "DNS:a.example";
	char *text;
	size_t len;
	X509 *leaf;
	BIO *pem;

	for (int i = 0; i < 500; i++)
		snprintf(sans + strlen(sans), sizeof(sans) - strlen(sans),
			",DNS:n%03d.example.com", i);
	spec.sans = sans;
	leaf = testca_make(&spec);
	pem = testca_pem(&leaf, 1, &text, &len);
	assert_int_equal(ch_cert_chain_parse_pem(text, len, &chain, &err), CH_EPROTO);
	assert_int_equal(ch_cert_chain_parse_pem(text, 10 << 20, &chain, &err), CH_EPROTO);
	assert_null(chain);
	BIO_free(pem);
	X509_free(leaf);
}

/* More intermediates than are kept parsed, each more than once, and broken ones in between. */
static void every_chain_is_parsed_as_it_came(void **state)
{
	for (int round = 0; round < 2; round++) {
		for (long serial = 1; serial <= 40; serial++) {
			struct cert_spec spec = good();
			struct ch_cert_chain *chain;
			const uint8_t *der;
			unsigned char *want = NULL;
			size_t len;
			X509 *mid;
			int want_len;

			spec.serial = serial;
			mid = testca_make(&spec);
			want_len = i2d_X509(mid, &want);
			for (int again = 0; again < 2; again++) {
				chain = chain_of(ca.root, mid);
				ch_cert_chain_der(chain, 1, &der, &len);
				assert_int_equal(len, (size_t)want_len);
				assert_memory_equal(der, want, len);
				ch_cert_chain_free(chain);
			}
			OPENSSL_free(want);
			X509_free(mid);
		}
	}
}

static void a_broken_intermediate_is_refused_each_time(void **state)
{
	struct ch_cert_chain *chain = NULL;
	struct ch_err err;
	char *text;
	size_t len;
	BIO *pem = testca_pem(&ca.root, 1, &text, &len);
	char *both = NULL;

	assert_true(asprintf(&both, "%.*s%s", (int)len, text, EMPTY_CERTIFICATE) > 0);
	for (int again = 0; again < 3; again++)
		assert_int_equal(
			ch_cert_chain_parse_pem(both, strlen(both), &chain, &err), CH_EPROTO);
	assert_null(chain);
	free(both);
	BIO_free(pem);
}

static int info_of(const struct cert_spec *spec, struct ch_cert_info *info)
{
	X509 *leaf = testca_make(spec);
	unsigned char *der = NULL;
	int len = i2d_X509(leaf, &der);
	int rc = ch_cert_info_der(der, (size_t)len, info, NULL);

	OPENSSL_free(der);
	X509_free(leaf);
	return rc;
}

static void a_certificate_tells_what_is_in_it(void **state)
{
	CH_AUTO_FREE struct ch_cert_info *info = calloc(1, sizeof(*info));
	struct cert_spec spec = good();

	spec.serial = 0x0102ff;
	assert_int_equal(info_of(&spec, info), CH_OK);
	assert_int_equal(info->not_before_s, TEST_NOW_S - 60);
	assert_int_equal(info->not_after_s, TEST_NOW_S + 90 * DAY_S);
	assert_string_equal(info->serial, "0102ff");
	assert_string_equal(info->issuer, "CN=intermediate");
	assert_memory_equal(info->spki_sha256, leaf_spki, 32);
	assert_int_equal(info->n_names, 2);
	assert_string_equal(info->names[0], "shop.example.com");
	spec.sans = NULL;
	assert_int_equal(info_of(&spec, info), CH_OK);
	assert_int_equal(info->n_names, 0);
}

static void certificates_with_absurd_contents_are_refused(void **state)
{
	CH_AUTO_FREE struct ch_cert_info *info = calloc(1, sizeof(*info));
	struct cert_spec spec = good();
	char sans[4000] = "DNS:a.example";

	spec.sans = "DNS:a b.example";
	assert_int_equal(info_of(&spec, info), CH_EPROTO);
	for (int i = 0; i < 100; i++)
		snprintf(sans + strlen(sans), sizeof(sans) - strlen(sans), ",DNS:n%d.example",
			i);
	spec.sans = sans;
	assert_int_equal(info_of(&spec, info), CH_EPROTO);
	spec = good();
	spec.serial = -5;
	assert_int_equal(info_of(&spec, info), CH_EPROTO);
	assert_int_equal(ch_cert_info_der((const uint8_t *)"", 0, info, NULL), CH_EPROTO);
	assert_int_equal(ch_cert_info_der((const uint8_t *)"0", 1, info, NULL), CH_EPROTO);
}

static void coverage_is_exact_or_one_wildcard_label(void **state)
{
	static const struct {
		const char *name;
		int covered;
	} cases[] = {{"example.com", 1}, {"EXAMPLE.com", 1}, {"a.example.com", 0},
		{"a.example.net", 1}, {"example.net", 0}, {"a.b.example.net", 0},
		{".example.net", 0}, {"aexample.net", 0}, {"", 0}};
	CH_AUTO_FREE struct ch_cert_info *info = calloc(1, sizeof(*info));

	strcpy(info->names[0], "example.com");
	strcpy(info->names[1], "*.example.net");
	info->n_names = 2;
	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++)
		assert_int_equal(ch_cert_covers(info, cases[i].name), cases[i].covered);
}

static void trust_that_cannot_be_read_is_an_error(void **state)
{
	struct ch_trust *trust = NULL;
	struct ch_err err;

	assert_int_equal(ch_trust_load("/nonexistent", &trust, &err), CH_EINVAL);
	assert_int_equal(ch_trust_load("/dev/null", &trust, &err), CH_EINVAL);
	assert_null(trust);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_csr_has_the_names_and_no_subject),
		cmocka_unit_test(names_that_cannot_be_in_a_csr_are_refused),
		cmocka_unit_test(bytes_that_are_no_csr_are_refused),
		cmocka_unit_test(a_right_certificate_passes),
		cmocka_unit_test(a_certificate_for_another_key_is_refused),
		cmocka_unit_test(a_missing_name_is_refused),
		cmocka_unit_test(an_extra_name_is_refused),
		cmocka_unit_test(an_expired_certificate_is_refused),
		cmocka_unit_test(a_certificate_of_the_future_is_refused),
		cmocka_unit_test(a_ca_certificate_as_leaf_is_refused),
		cmocka_unit_test(a_certificate_not_for_servers_is_refused),
		cmocka_unit_test(a_chain_with_a_gap_is_refused),
		cmocka_unit_test(a_chain_signed_by_an_impostor_is_refused),
		cmocka_unit_test(what_goes_on_beside_the_path_is_refused),
		cmocka_unit_test(a_chain_to_another_root_is_refused),
		cmocka_unit_test(a_leaf_that_signs_a_leaf_is_refused),
		cmocka_unit_test(an_expired_intermediate_is_refused),
		cmocka_unit_test(chains_parse_into_their_certificates),
		cmocka_unit_test(unusable_chains_are_refused),
		cmocka_unit_test(oversized_certificates_and_chains_are_refused),
		cmocka_unit_test(every_chain_is_parsed_as_it_came),
		cmocka_unit_test(a_broken_intermediate_is_refused_each_time),
		cmocka_unit_test(a_certificate_tells_what_is_in_it),
		cmocka_unit_test(certificates_with_absurd_contents_are_refused),
		cmocka_unit_test(coverage_is_exact_or_one_wildcard_label),
		cmocka_unit_test(trust_that_cannot_be_read_is_an_error),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
