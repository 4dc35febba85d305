/* Certificates joined with their keys, as a server uses them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/keys.h"
#include "crypto/pair.h"
#include "testca.h"

struct leaf {
	struct testca ca;
	EVP_PKEY *key;	  /* as it is opened at an edge */
	EVP_PKEY *origin; /* as it was made */
	uint8_t *der;
	int len;
};

static EVP_PKEY *opened(EVP_PKEY *key)
{
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	EVP_PKEY *again = NULL;

	assert_int_equal(ch_key_to_block(key, &block), CH_OK);
	assert_int_equal(
		ch_key_from_block(ch_secret_bytes(block), ch_secret_len(block), &again), CH_OK);
	return again;
}

static void leaf_init(struct leaf *leaf, EVP_PKEY *key)
{
	struct cert_spec spec;
	X509 *cert;

	testca_init(&leaf->ca, "pair root");
	leaf->origin = key;
	spec = testca_leaf(&leaf->ca, key, "DNS:shop.example.com");
	cert = testca_make(&spec);
	leaf->der = NULL;
	leaf->len = i2d_X509(cert, &leaf->der);
	assert_true(leaf->len > 0);
	leaf->key = opened(key);
	X509_free(cert);
}

static void leaf_done(struct leaf *leaf)
{
	testca_done(&leaf->ca);
	EVP_PKEY_free(leaf->key);
	EVP_PKEY_free(leaf->origin);
	OPENSSL_free(leaf->der);
}

static X509 *parsed(const struct leaf *leaf)
{
	X509 *cert = NULL;

	assert_int_equal(ch_pair_parse(leaf->der, (size_t)leaf->len, &cert), CH_OK);
	return cert;
}

/* What nginx would do with it; no error may be left for who looks at the queue next. */
static void assert_serves(X509 *cert, EVP_PKEY *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL *ssl = SSL_new(ctx);
	unsigned char *der = NULL;

	SSL_certs_clear(ssl);
	assert_int_equal(SSL_use_cert_and_key(ssl, cert, key, NULL, 1), 1);
	assert_int_equal(SSL_check_private_key(ssl), 1);
	assert_true(i2d_X509(cert, &der) > 0);
	assert_int_equal(ERR_peek_error(), 0);
	OPENSSL_free(der);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

static void assert_joins(struct leaf *leaf, int shared)
{
	X509 *cert = parsed(leaf);
	unsigned char *der = NULL;

	assert_int_equal(ch_pair_join(&cert, leaf->der, (size_t)leaf->len, leaf->key), CH_OK);
	assert_int_equal(X509_get0_pubkey(cert) == leaf->key, shared);
	assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), leaf->origin), 1);
	/* Byte by byte what the CA signed. */
	assert_int_equal(i2d_X509(cert, &der), leaf->len);
	assert_memory_equal(der, leaf->der, leaf->len);
	assert_int_equal(X509_verify(cert, leaf->ca.mid_key), 1);
	assert_serves(cert, leaf->key);
	OPENSSL_free(der);
	X509_free(cert);
}

static void a_certificate_shares_its_key(void **state)
{
	struct leaf leaf;

	leaf_init(&leaf, EVP_EC_gen("P-256"));
	assert_joins(&leaf, 1);
	leaf_done(&leaf);
}

static void an_rsa_certificate_joins_too(void **state)
{
	struct leaf leaf;
	EVP_PKEY *key = NULL;

	assert_int_equal(ch_key_generate_rsa(2048, &key), CH_OK);
	leaf_init(&leaf, key);
	assert_joins(&leaf, 0);
	leaf_done(&leaf);
}

static void so_does_one_whose_point_is_compressed(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct leaf leaf;

	assert_int_equal(EVP_PKEY_set_utf8_string_param(
				 key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed"),
		1);
	leaf_init(&leaf, key);
	assert_joins(&leaf, 0);
	leaf_done(&leaf);
}

static void anothers_key_is_refused(void **state)
{
	EVP_PKEY *rsa = NULL;
	EVP_PKEY *others[2];
	struct leaf leaf;

	assert_int_equal(ch_key_generate_rsa(2048, &rsa), CH_OK);
	others[0] = opened(rsa);
	EVP_PKEY_free(rsa);
	rsa = EVP_EC_gen("P-256");
	others[1] = opened(rsa);
	EVP_PKEY_free(rsa);
	leaf_init(&leaf, EVP_EC_gen("P-256"));
	for (size_t i = 0; i < 2; i++) {
		X509 *cert = parsed(&leaf);

		assert_int_equal(
			ch_pair_join(&cert, leaf.der, (size_t)leaf.len, others[i]), CH_EAUTH);
		assert_int_equal(ERR_peek_error(), 0);
		X509_free(cert);
		EVP_PKEY_free(others[i]);
	}
	leaf_done(&leaf);
}

static void block_of(EVP_PKEY *key, uint8_t ret_block[CH_KEY_BLOCK_B])
{
	CH_AUTO_SECRET struct ch_secret *block = NULL;

	assert_int_equal(ch_key_to_block(key, &block), CH_OK);
	assert_int_equal(ch_secret_len(block), CH_KEY_BLOCK_B);
	memcpy(ret_block, ch_secret_bytes(block), CH_KEY_BLOCK_B);
}

/* OpenSSL signs with it as it is: a copy in a provider would be made at the first signature. */
static void assert_signs(EVP_PKEY *key, EVP_PKEY *origin)
{
	static const uint8_t text[] = "to be signed";
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[80];
	size_t len = sizeof(signature);

	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, signature, &len, text, sizeof(text)), 1);
	EVP_MD_CTX_free(ctx);
	ctx = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, origin), 1);
	assert_int_equal(EVP_DigestVerify(ctx, signature, len, text, sizeof(text)), 1);
	EVP_MD_CTX_free(ctx);
}

static void a_key_is_made_with_its_certificates_point(void **state)
{
	struct leaf leaf;
	uint8_t block[CH_KEY_BLOCK_B];

	leaf_init(&leaf, EVP_EC_gen("P-256"));
	block_of(leaf.origin, block);
	for (int sure = 0; sure < 2; sure++) {
		X509 *cert = parsed(&leaf);
		EVP_PKEY *key = NULL;

		assert_int_equal(ch_pair_key(cert, block, sizeof(block), sure, &key), CH_OK);
		EVP_PKEY_free(leaf.key);
		leaf.key = key;
		assert_joins(&leaf, 1);
		assert_signs(key, leaf.origin);
		X509_free(cert);
	}
	leaf_done(&leaf);
}

static void a_key_is_made_without_it_too(void **state)
{
	EVP_PKEY *origin = EVP_EC_gen("P-256");
	struct leaf leaf;
	uint8_t block[CH_KEY_BLOCK_B];
	EVP_PKEY *key = NULL;
	X509 *cert;

	assert_int_equal(EVP_PKEY_set_utf8_string_param(origin,
				 OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed"),
		1);
	leaf_init(&leaf, origin);
	block_of(origin, block);
	cert = parsed(&leaf);
	assert_int_equal(ch_pair_key(cert, block, sizeof(block), true, &key), CH_OK);
	assert_signs(key, origin);
	EVP_PKEY_free(key);
	X509_free(cert);
	leaf_done(&leaf);
}

static void a_block_that_does_not_fit_is_refused(void **state)
{
	EVP_PKEY *other = EVP_EC_gen("P-256");
	struct leaf leaf;
	uint8_t block[CH_KEY_BLOCK_B], none[CH_KEY_BLOCK_B] = {CH_KEY_BLOCK_P256};
	EVP_PKEY *key = NULL;
	X509 *cert;

	leaf_init(&leaf, EVP_EC_gen("P-256"));
	cert = parsed(&leaf);
	block_of(other, block);
	assert_int_equal(ch_pair_key(cert, block, sizeof(block), false, &key), CH_EAUTH);
	assert_int_equal(ch_pair_key(cert, none, sizeof(none), false, &key), CH_ECRYPTO);
	assert_int_equal(ch_pair_key(cert, none, sizeof(none), true, &key), CH_ECRYPTO);
	assert_int_equal(ch_pair_key(cert, block, sizeof(block) - 1, true, &key), CH_ECRYPTO);
	memset(block + 1, 0xff, sizeof(block) - 1);
	assert_int_equal(ch_pair_key(cert, block, sizeof(block), true, &key), CH_ECRYPTO);
	assert_null(key);
	assert_int_equal(ERR_peek_error(), 0);
	EVP_PKEY_free(other);
	X509_free(cert);
	leaf_done(&leaf);
}

static void what_is_no_certificate_is_refused(void **state)
{
	struct leaf leaf;
	X509 *cert = NULL;
	uint8_t *more;

	leaf_init(&leaf, EVP_EC_gen("P-256"));
	more = calloc(1, (size_t)leaf.len + 1);
	assert_non_null(more);
	memcpy(more, leaf.der, (size_t)leaf.len);
	assert_int_equal(ch_pair_parse(more, (size_t)leaf.len + 1, &cert), CH_EPROTO);
	assert_int_equal(ch_pair_parse(more, (size_t)leaf.len - 1, &cert), CH_EPROTO);
	assert_int_equal(ch_pair_parse(more, 0, &cert), CH_EPROTO);
	assert_null(cert);
	assert_int_equal(ERR_peek_error(), 0);
	free(more);
	leaf_done(&leaf);
}

static void its_public_key_is_told_as_it_stands_there(void **state)
{
	uint8_t of_leaf[CH_SHA256_B], of_key[CH_SHA256_B];
	struct leaf leaf;
	X509 *cert;

	leaf_init(&leaf, EVP_EC_gen("P-256"));
	cert = parsed(&leaf);
	assert_int_equal(ch_pair_spki_sha256(cert, of_leaf), CH_OK);
	assert_int_equal(ch_key_spki_sha256(leaf.origin, of_key), CH_OK);
	assert_memory_equal(of_leaf, of_key, sizeof(of_key));
	assert_int_equal(ch_key_spki_sha256(leaf.key, of_key), CH_OK);
	assert_memory_equal(of_leaf, of_key, sizeof(of_key));
	X509_free(cert);
	leaf_done(&leaf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_shares_its_key),
		cmocka_unit_test(an_rsa_certificate_joins_too),
		cmocka_unit_test(so_does_one_whose_point_is_compressed),
		cmocka_unit_test(anothers_key_is_refused),
		cmocka_unit_test(a_key_is_made_with_its_certificates_point),
		cmocka_unit_test(a_key_is_made_without_it_too),
		cmocka_unit_test(a_block_that_does_not_fit_is_refused),
		cmocka_unit_test(what_is_no_certificate_is_refused),
		cmocka_unit_test(its_public_key_is_told_as_it_stands_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
