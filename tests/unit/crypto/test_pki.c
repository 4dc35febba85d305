#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "crypto/keys.h"
#include "crypto/pki.h"
#include "testca.h"

static char dir[] = "/tmp/certherd-test-pki-XXXXXX";

struct paths {
	char ca_key[64], ca[64], key[64], cert[64];
};

/* Paths whose key and certificate are new for each test. */
static struct paths paths_of(const char *name)
{
	struct paths p;

	snprintf(p.ca_key, sizeof(p.ca_key), "%s/ca.key", dir);
	snprintf(p.ca, sizeof(p.ca), "%s/ca.pem", dir);
	snprintf(p.key, sizeof(p.key), "%s/%s.key", dir, name);
	snprintf(p.cert, sizeof(p.cert), "%s/%s.pem", dir, name);
	return p;
}

static X509 *load(const char *path)
{
	BIO *bio = BIO_new_file(path, "r");
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(cert);
	return cert;
}

static int make_ca(void **state)
{
	struct paths p;

	if (!mkdtemp(dir))
		return -1;
	p = paths_of("x");
	return ch_pki_create_ca("certherd identity CA", 3650, p.ca_key, p.ca, NULL);
}

static int remove_dir(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void a_ca_signs_identities_only(void **state)
{
	struct paths p = paths_of("x");
	X509 *ca = load(p.ca);
	struct stat st;

	assert_int_equal(X509_check_ca(ca), 1);
	assert_int_equal(X509_get_pathlen(ca), 0);
	assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_int_equal(X509_self_signed(ca, 1), 1);
	assert_int_equal(stat(p.ca_key, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(p.ca, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	X509_free(ca);
}

static int verify(const struct paths *p, int purpose)
{
	X509 *ca = load(p->ca);
	X509 *cert = load(p->cert);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int ok;

	X509_STORE_add_cert(store, ca);
	X509_STORE_CTX_init(ctx, store, cert, NULL);
	X509_STORE_CTX_set_purpose(ctx, purpose);
	X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_X509_STRICT);
	ok = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(cert);
	X509_free(ca);
	return ok;
}

static void an_identity_is_a_client_with_one_uri(void **state)
{
	struct paths p = paths_of("issuer");
	struct ch_pki_identity id = {.uri = "certherd://issuer/default/i1", .days = 825};
	struct ch_err err;
	GENERAL_NAMES *names;
	X509 *cert;

	assert_int_equal(
		ch_pki_create_identity(&id, p.ca_key, p.ca, p.key, p.cert, &err), CH_OK);
	assert_true(verify(&p, X509_PURPOSE_SSL_CLIENT));
	assert_false(verify(&p, X509_PURPOSE_SSL_SERVER));
	cert = load(p.cert);
	names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(names), 1);
	assert_int_equal(sk_GENERAL_NAME_value(names, 0)->type, GEN_URI);
	assert_memory_equal(ASN1_STRING_get0_data(sk_GENERAL_NAME_value(names, 0)->d.ia5),
		id.uri, strlen(id.uri));
	GENERAL_NAMES_free(names);
	X509_free(cert);
}

static void a_store_is_a_server_with_its_names(void **state)
{
	static const char *const sans[] = {"DNS:localhost", "IP:127.0.0.1", "IP:::1"};
	struct paths p = paths_of("store");
	struct ch_pki_identity id = {.uri = "certherd://store/default/s1",
		.server = 1,
		.sans = sans,
		.n_sans = 3,
		.days = 825};
	struct ch_err err;
	X509 *cert;

	assert_int_equal(
		ch_pki_create_identity(&id, p.ca_key, p.ca, p.key, p.cert, &err), CH_OK);
	assert_true(verify(&p, X509_PURPOSE_SSL_SERVER));
	assert_false(verify(&p, X509_PURPOSE_SSL_CLIENT));
	cert = load(p.cert);
	assert_int_equal(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
	assert_int_equal(X509_check_ip_asc(cert, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(cert, "::1", 0), 1);
	assert_int_equal(X509_check_ip_asc(cert, "127.0.0.2", 0), 0);
	X509_free(cert);
}

static void nothing_is_overwritten(void **state)
{
	struct paths p = paths_of("twice");
	struct ch_pki_identity id = {.uri = "certherd://viewer/default/v1", .days = 1};
	struct ch_err err;

	assert_int_equal(ch_pki_create_ca("x", 10, p.ca_key, p.ca, &err), CH_EEXIST);
	assert_int_equal(
		ch_pki_create_identity(&id, p.ca_key, p.ca, p.key, p.cert, &err), CH_OK);
	assert_int_equal(
		ch_pki_create_identity(&id, p.ca_key, p.ca, p.key, p.cert, &err), CH_EEXIST);
	assert_int_equal(unlink(p.key), 0);
	assert_int_equal(
		ch_pki_create_identity(&id, p.ca_key, p.ca, p.key, p.cert, &err), CH_EEXIST);
	assert_int_not_equal(access(p.key, F_OK), 0);
}

static void bad_identities_are_refused(void **state)
{
	static const char *const bad_sans[] = {
		"localhost", "DNS:", "DNS:a b", "IP:1.2.3", "IP:", "URI:certherd://a/b/c"};
	struct paths p = paths_of("bad");
	struct ch_pki_identity id = {.uri = "certherd://issuer", .days = 1};
	struct ch_err err;

	assert_int_equal(
		ch_pki_create_identity(&id, p.ca_key, p.ca, p.key, p.cert, &err), CH_EINVAL);
	id.uri = "certherd://store/default/s1";
	id.n_sans = 1;
	for (size_t i = 0; i < CH_ARRAY_LEN(bad_sans); i++) {
		id.sans = &bad_sans[i];
		assert_int_equal(
			ch_pki_create_identity(&id, p.ca_key, p.ca, p.key, p.cert, &err),
			CH_EINVAL);
		assert_string_equal(err.problem, "identity-san");
	}
	id.n_sans = 0;
	id.days = 0;
	assert_int_equal(
		ch_pki_create_identity(&id, p.ca_key, p.ca, p.key, p.cert, &err), CH_EINVAL);
	assert_int_not_equal(access(p.key, F_OK), 0);
	assert_int_not_equal(access(p.cert, F_OK), 0);
}

static void a_ca_key_that_is_not_the_cas_is_refused(void **state)
{
	struct paths p = paths_of("other");
	struct paths made = paths_of("made");
	struct ch_pki_identity id = {.uri = "certherd://issuer/default/i1", .days = 1};
	struct ch_err err;

	assert_int_equal(ch_pki_create_ca("other", 10, p.key, p.cert, &err), CH_OK);
	assert_int_equal(
		ch_pki_create_identity(&id, p.key, p.ca, made.key, made.cert, &err), CH_EINVAL);
	assert_string_equal(err.problem, "ca-key");
}

static void an_identity_can_be_read_back(void **state)
{
	struct paths p = paths_of("read");
	struct ch_pki_identity id = {.uri = "certherd://edge/fra/e7", .days = 10};
	struct ch_pki_cert cert;
	struct ch_err err;

	assert_int_equal(
		ch_pki_create_identity(&id, p.ca_key, p.ca, p.key, p.cert, &err), CH_OK);
	assert_int_equal(ch_pki_cert_read(p.cert, &cert, &err), CH_OK);
	assert_string_equal(cert.uri, id.uri);
	assert_true(cert.not_after_s > 0);
	assert_int_equal(ch_pki_cert_read(p.ca, &cert, &err), CH_OK);
	assert_string_equal(cert.uri, "");
	assert_int_equal(ch_pki_cert_read(p.key, &cert, &err), CH_EINVAL);
	assert_int_equal(ch_pki_cert_read("/nonexistent", &cert, &err), CH_ENOTFOUND);
}

static void odd_uris_in_certificates_are_refused(void **state)
{
	static const char *const sans[] = {
		"URI:certherd://a/b/c,URI:certherd://a/b/d", "URI:certherd://a/b/c d", NULL};
	static char long_uri[400] = "URI:certherd://a/b/";
	CH_AUTO_PKEY EVP_PKEY *key = EVP_EC_gen("P-256");
	char path[80];

	memset(long_uri + strlen(long_uri), 'x', 300);
	snprintf(path, sizeof(path), "%s/odd.pem", dir);
	for (size_t i = 0; i < CH_ARRAY_LEN(sans); i++) {
		struct cert_spec spec = {.subject = "odd",
			.sans = sans[i] ? sans[i] : long_uri,
			.to_s = DAY_S,
			.key = key};
		struct ch_pki_cert cert;
		struct ch_err err;
		X509 *x509 = testca_make(&spec);
		char *text;
		size_t len;
		BIO *pem = testca_pem(&x509, 1, &text, &len);

		assert_int_equal(ch_file_write_atomic(path, text, len, 0644, &err), CH_OK);
		assert_int_equal(ch_pki_cert_read(path, &cert, &err), CH_EINVAL);
		BIO_free(pem);
		X509_free(x509);
	}
}

static void identity_uris_split(void **state)
{
	static const char text[] = "certherd://edge/pool-1/e_1.fra";
	struct ch_identity_uri uri;

	assert_int_equal(ch_identity_uri_parse(text, strlen(text), &uri), CH_OK);
	assert_string_equal(uri.role, "edge");
	assert_string_equal(uri.scope, "pool-1");
	assert_string_equal(uri.id, "e_1.fra");
}

static void bad_identity_uris_are_refused(void **state)
{
	static const char *const bad[] = {"", "certherd", "certherd://", "certherd://a",
		"certherd://a/b", "certherd://a/b/", "certherd://a//c", "certherd:///b/c",
		"certherd://a/b/c/", "certherd://a/b/c/d", "certherd://A/b/c",
		"certherd://a/b/c ", "https://a/b/c", "Certherd://a/b/c", "certherd://a/b/c?x",
		"certherd://a/b/\xc3\xa4"};
	char text[200] = "certherd://a/b/";
	struct ch_identity_uri uri;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_int_equal(
			ch_identity_uri_parse(bad[i], strlen(bad[i]), &uri), CH_EINVAL);
	assert_int_equal(ch_identity_uri_parse("certherd://a/b/c\0d", 18, &uri), CH_EINVAL);
	memset(text + 15, 'x', 63);
	assert_int_equal(ch_identity_uri_parse(text, strlen(text), &uri), CH_OK);
	text[78] = 'x';
	assert_int_equal(ch_identity_uri_parse(text, strlen(text), &uri), CH_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ca_signs_identities_only),
		cmocka_unit_test(an_identity_is_a_client_with_one_uri),
		cmocka_unit_test(a_store_is_a_server_with_its_names),
		cmocka_unit_test(nothing_is_overwritten),
		cmocka_unit_test(bad_identities_are_refused),
		cmocka_unit_test(a_ca_key_that_is_not_the_cas_is_refused),
		cmocka_unit_test(an_identity_can_be_read_back),
		cmocka_unit_test(odd_uris_in_certificates_are_refused),
		cmocka_unit_test(identity_uris_split),
		cmocka_unit_test(bad_identity_uris_are_refused),
	};

	return cmocka_run_group_tests(tests, make_ca, remove_dir);
}
