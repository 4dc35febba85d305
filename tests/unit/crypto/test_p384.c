/* P-384 leaf keys: key blocks, sealing, requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/objects.h>
#include <string.h>

#include "base/codec.h"
#include "crypto/keys.h"
#include "crypto/pair.h"
#include "crypto/seal.h"
#include "crypto/x509.h"

/* Made by `openssl ecparam -genkey`; the digest is that of OpenSSL's own public key (DER). */
static const char kat_block[] =
	"03e154cc4f324a964fd1c5c195b688c69b247439fcd3d7222687f24c1205eda9"
	"712bd4f865dc81158990f509acc1194cd0";
static const char kat_spki_sha256[] =
	"1483ab631e4e5391bb3c428bd05d802b703a20e7100367bc8f28ecf307673dfd";

static void kat(uint8_t block[CH_KEY_BLOCK_P384_B])
{
	assert_int_equal(ch_hex_decode(kat_block, block, CH_KEY_BLOCK_P384_B), CH_OK);
}

static void a_known_block_makes_the_known_key(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_SECRET struct ch_secret *again = NULL;
	uint8_t block[CH_KEY_BLOCK_P384_B];
	uint8_t digest[CH_SHA256_B];
	char hex[2 * CH_SHA256_B + 1];

	kat(block);
	assert_int_equal(ch_key_from_block(block, sizeof(block), &key), CH_OK);
	assert_int_equal(ch_key_spki_sha256(key, digest), CH_OK);
	ch_hex_encode(digest, sizeof(digest), hex);
	assert_string_equal(hex, kat_spki_sha256);
	assert_int_equal(ch_key_to_block(key, &again), CH_OK);
	assert_int_equal(ch_secret_len(again), sizeof(block));
	assert_memory_equal(ch_secret_bytes(again), block, sizeof(block));
}

static void blocks_round_trip(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_PKEY EVP_PKEY *back = NULL;
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	EVP_PKEY_CTX *ctx;

	assert_int_equal(ch_key_generate_p384(&key), CH_OK);
	assert_int_equal(ch_key_to_block(key, &block), CH_OK);
	assert_int_equal(
		ch_key_from_block(ch_secret_bytes(block), ch_secret_len(block), &back), CH_OK);
	assert_int_equal(EVP_PKEY_eq(key, back), 1);
	ctx = EVP_PKEY_CTX_new(back, NULL);
	assert_int_equal(EVP_PKEY_check(ctx), 1);
	EVP_PKEY_CTX_free(ctx);
}

static void bad_blocks_are_refused(void **state)
{
	uint8_t block[CH_KEY_BLOCK_P384_B + 1] = {0};
	EVP_PKEY *key = NULL;

	kat(block);
	assert_int_equal(ch_key_from_block(block, sizeof(block), &key), CH_ECRYPTO);
	assert_int_equal(ch_key_from_block(block, CH_KEY_BLOCK_P384_B - 1, &key), CH_ECRYPTO);
	assert_int_equal(ch_key_from_block(block, CH_KEY_BLOCK_B, &key), CH_ECRYPTO);
	assert_int_equal(ch_key_from_block(block, 1, &key), CH_ECRYPTO);
	memset(block + 1, 0xff, 48); /* not below the order */
	assert_int_equal(ch_key_from_block(block, CH_KEY_BLOCK_P384_B, &key), CH_ECRYPTO);
	memset(block + 1, 0, 48);
	assert_int_equal(ch_key_from_block(block, CH_KEY_BLOCK_P384_B, &key), CH_ECRYPTO);
	assert_null(key);
}

static void sealed_keys_open_and_cannot_be_moved(void **state)
{
	struct ch_recipient_key *recipient;
	CH_AUTO_SECRET struct ch_secret *secret = NULL;
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	uint8_t block[CH_KEY_BLOCK_P384_B];
	uint8_t spki[CH_SHA256_B];
	struct ch_seal_binding binding = {"shop.example.com", 16, 34, spki};
	struct ch_sealed sealed;
	EVP_PKEY *none = NULL;

	kat(block);
	assert_int_equal(ch_hex_decode(kat_spki_sha256, spki, sizeof(spki)), CH_OK);
	assert_int_equal(ch_secret_from(block, sizeof(block), &secret), CH_OK);
	assert_int_equal(ch_recipient_key_generate(CH_KEM_X25519, &recipient), CH_OK);
	assert_int_equal(ch_seal_key(&recipient->pub, &binding, secret, &sealed), CH_OK);
	/* The edges tell the kind of a key by this. */
	assert_int_equal(sealed.ct_len, CH_KEY_BLOCK_P384_B + CH_SEAL_TAG_B);
	assert_int_equal(ch_seal_open_key(recipient, &binding, sealed.enc, sealed.enc_len,
				 sealed.ct, sealed.ct_len, &key),
		CH_OK);
	assert_int_equal(EVP_PKEY_get_bits(key), 384);
	binding.key_version++;
	assert_int_equal(ch_seal_open_key(recipient, &binding, sealed.enc, sealed.enc_len,
				 sealed.ct, sealed.ct_len, &none),
		CH_EAUTH);
	assert_null(none);
	ch_recipient_key_free(recipient);
}

static void requests_are_signed_with_a_hash_as_strong(void **state)
{
	static const char *const names[] = {"shop.example.com"};
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_BUF struct ch_buf csr;
	uint8_t block[CH_KEY_BLOCK_P384_B];
	uint8_t digest[CH_SHA256_B];
	char hex[2 * CH_SHA256_B + 1];
	const unsigned char *at;
	X509_REQ *req;

	kat(block);
	ch_buf_init(&csr, 8192);
	assert_int_equal(ch_key_from_block(block, sizeof(block), &key), CH_OK);
	assert_int_equal(ch_csr_make(key, names, 1, &csr), CH_OK);
	assert_int_equal(ch_csr_spki_sha256(csr.data, csr.len, digest), CH_OK);
	ch_hex_encode(digest, sizeof(digest), hex);
	assert_string_equal(hex, kat_spki_sha256);
	at = csr.data;
	req = d2i_X509_REQ(NULL, &at, (long)csr.len);
	assert_int_equal(X509_REQ_verify(req, key), 1);
	assert_int_equal(X509_REQ_get_signature_nid(req), NID_ecdsa_with_SHA384);
	X509_REQ_free(req);
}

/* The key is another kind than a certificate can share: what is served is parsed anew. */
static int join(EVP_PKEY *key, EVP_PKEY *other)
{
	X509 *cert = X509_new();
	unsigned char *der = NULL;
	X509 *leaf;
	int len;
	int rc;

	assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_true(X509_sign(cert, key, EVP_sha384()) > 0);
	len = i2d_X509(cert, &der);
	assert_int_equal(ch_pair_parse(der, (size_t)len, &leaf), CH_OK);
	rc = ch_pair_join(&leaf, der, (size_t)len, other);
	X509_free(leaf);
	X509_free(cert);
	OPENSSL_free(der);
	return rc;
}

static void a_certificate_takes_its_own_key_only(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_PKEY EVP_PKEY *other = NULL;
	CH_AUTO_PKEY EVP_PKEY *p256 = NULL;
	uint8_t block[CH_KEY_BLOCK_P384_B];

	kat(block);
	assert_int_equal(ch_key_from_block(block, sizeof(block), &key), CH_OK);
	assert_int_equal(ch_key_generate_p384(&other), CH_OK);
	assert_int_equal(ch_key_generate(&p256), CH_OK);
	assert_int_equal(join(key, key), CH_OK);
	assert_int_equal(join(key, other), CH_EAUTH);
	assert_int_equal(join(key, p256), CH_EAUTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_known_block_makes_the_known_key),
		cmocka_unit_test(blocks_round_trip),
		cmocka_unit_test(bad_blocks_are_refused),
		cmocka_unit_test(sealed_keys_open_and_cannot_be_moved),
		cmocka_unit_test(requests_are_signed_with_a_hash_as_strong),
		cmocka_unit_test(a_certificate_takes_its_own_key_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
