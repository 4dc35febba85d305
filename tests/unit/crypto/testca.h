/* Certificates made to order, right and wrong ones. */
#ifndef TEST_TESTCA_H
#define TEST_TESTCA_H

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define TEST_NOW_S 1795342320 /* 2026-11-22T10:12:00Z */
#define DAY_S 86400

struct cert_spec {
	const char *subject;
	const char *sans;	 /* OpenSSL's syntax, "DNS:a,DNS:b"; NULL: none */
	const char *eku;	 /* NULL: none */
	const char *constraints; /* NULL: none */
	const char *key_usage;	 /* NULL: none */
	long from_s, to_s;	 /* relative to TEST_NOW_S */
	EVP_PKEY *key;
	X509 *issuer; /* NULL: self-signed */
	EVP_PKEY *issuer_key;
	long serial;
};

static inline void testca_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	if (!value)
		return;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (!ext || X509_add_ext(cert, ext, -1) != 1)
		abort();
	X509_EXTENSION_free(ext);
}

static inline X509 *testca_make(const struct cert_spec *spec)
{
	X509 *cert = X509_new();
	X509 *issuer = spec->issuer ? spec->issuer : cert;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), spec->serial ? spec->serial : 0xabc);
	ASN1_TIME_set(X509_getm_notBefore(cert), TEST_NOW_S + spec->from_s);
	ASN1_TIME_set(X509_getm_notAfter(cert), TEST_NOW_S + spec->to_s);
	X509_set_pubkey(cert, spec->key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
		(const unsigned char *)spec->subject, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	testca_extension(cert, issuer, NID_basic_constraints, spec->constraints);
	testca_extension(cert, issuer, NID_key_usage, spec->key_usage);
	testca_extension(cert, issuer, NID_ext_key_usage, spec->eku);
	testca_extension(cert, issuer, NID_subject_alt_name, spec->sans);
	if (X509_sign(cert, spec->issuer ? spec->issuer_key : spec->key, EVP_sha256()) <= 0)
		abort();
	return cert;
}

/* A root, an intermediate and their keys. */
struct testca {
	EVP_PKEY *root_key, *mid_key;
	X509 *root, *mid;
};

static inline void testca_init(struct testca *ca, const char *name)
{
	struct cert_spec spec = {.subject = name,
		.constraints = "critical,CA:TRUE",
		.key_usage = "critical,keyCertSign,cRLSign",
		.from_s = -10 * DAY_S,
		.to_s = 1000 * DAY_S};

	ca->root_key = EVP_EC_gen("P-256");
	ca->mid_key = EVP_EC_gen("P-256");
	spec.key = ca->root_key;
	ca->root = testca_make(&spec);
	spec.subject = "intermediate";
	spec.key = ca->mid_key;
	spec.issuer = ca->root;
	spec.issuer_key = ca->root_key;
	ca->mid = testca_make(&spec);
}

static inline void testca_done(struct testca *ca)
{
	X509_free(ca->root);
	X509_free(ca->mid);
	EVP_PKEY_free(ca->root_key);
	EVP_PKEY_free(ca->mid_key);
}

/* What a CA would give for these names, valid 90 days. */
static inline struct cert_spec testca_leaf(
	const struct testca *ca, EVP_PKEY *key, const char *sans)
{
	return (struct cert_spec){.subject = "leaf",
		.sans = sans,
		.eku = "serverAuth,clientAuth",
		.constraints = "critical,CA:FALSE",
		.key_usage = "critical,digitalSignature",
		.from_s = -60,
		.to_s = 90 * DAY_S,
		.key = key,
		.issuer = ca->mid,
		.issuer_key = ca->mid_key};
}

/* PEM of n certificates; the caller frees the BIO. */
static inline BIO *testca_pem(X509 *const *certs, size_t n, char **ret_text, size_t *ret_len)
{
	BIO *bio = BIO_new(BIO_s_mem());

	for (size_t i = 0; i < n; i++)
		if (PEM_write_bio_X509(bio, certs[i]) != 1)
			abort();
	*ret_len = (size_t)BIO_get_mem_data(bio, ret_text);
	return bio;
}

#endif
