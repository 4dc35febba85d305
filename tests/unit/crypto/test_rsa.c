/* RSA leaf keys: key blocks, sealing, requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/rsa.h>
#include <string.h>

#include "base/codec.h"
#include "base/mem.h"
#include "crypto/keys.h"
#include "crypto/seal.h"
#include "crypto/x509.h"

/* Made by `openssl genrsa 2048`; the digests are those of OpenSSL's own public key (DER) and
 * RSASSA-PKCS1-v1_5 signature of "certherd" with SHA-256, which has no randomness. */
#define KAT_BLOCK_B 261
static const char kat_block[] =
	"0200010001fba89296b98cbf8c2142e457972626abc1bc391aff93f06bfd56599e4335f37879"
	"e7df40a181db31eeb2997c4f711cd1bc02e2f4fa824c97ea89e2158e0baf390b733216de7113"
	"245de14adff4e7c67ff91f567c64581dcb782d57686246c333b2f4221c575533e544dcc420ab"
	"e0270c1f95dd73e88ee58a047ba03d211be8b9c4c363ae9b9d4a6afacf76c4acdfc7cbe40dd8"
	"7b5cd0168e02ab8d3981f6ef5042a517fbc5f197faca2b194f575acde91bb015599c4ceb9191"
	"da366ffe47cc57ce2d0e6de94d7689289aeab50b31e54802379c07ee0359c3e3006b8c66d8ab"
	"80853d40e6655e04a8284fa28041606f3ff41e5af83c8f1e9b0a2f235fa117325b";
static const char kat_spki_sha256[] =
	"88c6697eb5ec3cbbd835310374238c3f646f103ddc892bd3f4a9d89bc3470c88";
static const char kat_signature_sha256[] =
	"31d8fab0bdd4d8b7a6e8db1482e45acd6b126334a35255b4e3507771cb8c25f5";

static void kat(uint8_t block[KAT_BLOCK_B])
{
	assert_int_equal(ch_hex_decode(kat_block, block, KAT_BLOCK_B), CH_OK);
}

static void a_known_block_makes_the_known_key(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_SECRET struct ch_secret *again = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t block[KAT_BLOCK_B];
	uint8_t digest[CH_SHA256_B];
	char hex[2 * CH_SHA256_B + 1];
	uint8_t sig[256];
	size_t len = sizeof(sig);

	kat(block);
	assert_int_equal(ch_key_from_block(block, sizeof(block), &key), CH_OK);
	assert_int_equal(ch_key_spki_sha256(key, digest), CH_OK);
	ch_hex_encode(digest, sizeof(digest), hex);
	assert_string_equal(hex, kat_spki_sha256);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, (const uint8_t *)"certherd", 8), 1);
	EVP_MD_CTX_free(ctx);
	assert_int_equal(ch_sha256(sig, len, digest), CH_OK);
	ch_hex_encode(digest, sizeof(digest), hex);
	assert_string_equal(hex, kat_signature_sha256);
	assert_int_equal(ch_key_to_block(key, &again), CH_OK);
	assert_int_equal(ch_secret_len(again), sizeof(block));
	assert_memory_equal(ch_secret_bytes(again), block, sizeof(block));
}

static void blocks_of_all_sizes_round_trip(void **state)
{
	static const unsigned bits[] = {2048, 3072, 4096};

	for (size_t i = 0; i < CH_ARRAY_LEN(bits); i++) {
		CH_AUTO_PKEY EVP_PKEY *key = NULL;
		CH_AUTO_PKEY EVP_PKEY *back = NULL;
		CH_AUTO_SECRET struct ch_secret *block = NULL;
		EVP_PKEY_CTX *ctx;

		assert_int_equal(ch_key_generate_rsa(bits[i], &key), CH_OK);
		assert_int_equal(ch_key_to_block(key, &block), CH_OK);
		assert_int_equal(ch_secret_len(block), 5 + bits[i] / 8);
		assert_int_equal(
			ch_key_from_block(ch_secret_bytes(block), ch_secret_len(block), &back),
			CH_OK);
		assert_int_equal(EVP_PKEY_eq(key, back), 1);
		/* All the parts that were made anew: of the private half too. */
		ctx = EVP_PKEY_CTX_new(back, NULL);
		assert_int_equal(EVP_PKEY_check(ctx), 1);
		EVP_PKEY_CTX_free(ctx);
	}
}

static void other_sizes_and_kinds_are_refused(void **state)
{
	CH_AUTO_PKEY EVP_PKEY *small = EVP_RSA_gen(1024);
	CH_AUTO_PKEY EVP_PKEY *odd = EVP_RSA_gen(2056);
	CH_AUTO_PKEY EVP_PKEY *pss = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	struct ch_secret *block = NULL;
	EVP_PKEY *key = NULL;

	assert_int_equal(ch_key_generate_rsa(1024, &key), CH_EUNSUPPORTED);
	assert_int_equal(ch_key_generate_rsa(0, &key), CH_EUNSUPPORTED);
	assert_int_equal(ch_key_to_block(small, &block), CH_EUNSUPPORTED);
	assert_int_equal(ch_key_to_block(odd, &block), CH_EUNSUPPORTED);
	assert_int_equal(ch_key_to_block(pss, &block), CH_EUNSUPPORTED);
	assert_null(key);
	assert_null(block);
}

static void bad_blocks_are_refused(void **state)
{
	uint8_t block[KAT_BLOCK_B + 1] = {0};
	EVP_PKEY *key = NULL;

	kat(block);
	assert_int_equal(ch_key_from_block(block, KAT_BLOCK_B - 1, &key), CH_ECRYPTO);
	assert_int_equal(ch_key_from_block(block, KAT_BLOCK_B + 1, &key), CH_ECRYPTO);
	assert_int_equal(ch_key_from_block(block, 1, &key), CH_ECRYPTO);
	assert_int_equal(ch_key_from_block(block, 5, &key), CH_ECRYPTO);
	memset(block + 1, 0, 4); /* exponent 0 */
	assert_int_equal(ch_key_from_block(block, KAT_BLOCK_B, &key), CH_ECRYPTO);
	block[4] = 1;
	assert_int_equal(ch_key_from_block(block, KAT_BLOCK_B, &key), CH_ECRYPTO);
	block[4] = 4;
	assert_int_equal(ch_key_from_block(block, KAT_BLOCK_B, &key), CH_ECRYPTO);
	kat(block);
	block[4 + 128] ^= 1; /* an even prime */
	assert_int_equal(ch_key_from_block(block, KAT_BLOCK_B, &key), CH_ECRYPTO);
	kat(block);
	memcpy(block + 5, block + 5 + 128, 128); /* the same prime twice */
	assert_int_equal(ch_key_from_block(block, KAT_BLOCK_B, &key), CH_ECRYPTO);
	kat(block);
	memset(block + 5, 0, 127); /* p = small */
	assert_int_equal(ch_key_from_block(block, KAT_BLOCK_B, &key), CH_ECRYPTO);
	memset(block + 5, 0, 256);
	assert_int_equal(ch_key_from_block(block, KAT_BLOCK_B, &key), CH_ECRYPTO);
	assert_null(key);
}

static void sealed_rsa_keys_open_and_cannot_be_moved(void **state)
{
	struct ch_recipient_key *recipient;
	CH_AUTO_SECRET struct ch_secret *secret = NULL;
	uint8_t block[KAT_BLOCK_B];
	uint8_t spki[CH_SHA256_B];
	struct ch_seal_binding binding = {"shop.example.com", 16, 34, spki};
	struct ch_sealed sealed;
	EVP_PKEY *key = NULL;
	EVP_PKEY *none = NULL;

	kat(block);
	assert_int_equal(ch_hex_decode(kat_spki_sha256, spki, sizeof(spki)), CH_OK);
	assert_int_equal(ch_secret_from(block, sizeof(block), &secret), CH_OK);
	assert_int_equal(ch_recipient_key_generate(CH_KEM_X25519, &recipient), CH_OK);
	assert_int_equal(ch_seal_key(&recipient->pub, &binding, secret, &sealed), CH_OK);
	assert_int_equal(sealed.ct_len, KAT_BLOCK_B + CH_SEAL_TAG_B);
	assert_int_equal(ch_seal_open_key(recipient, &binding, sealed.enc, sealed.enc_len,
				 sealed.ct, sealed.ct_len, &key),
		CH_OK);
	assert_int_equal(EVP_PKEY_get_bits(key), 2048);
	EVP_PKEY_free(key);
	binding.key_version++;
	assert_int_equal(ch_seal_open_key(recipient, &binding, sealed.enc, sealed.enc_len,
				 sealed.ct, sealed.ct_len, &none),
		CH_EAUTH);
	binding.key_version--;
	spki[0] ^= 1;
	assert_int_equal(ch_seal_open_key(recipient, &binding, sealed.enc, sealed.enc_len,
				 sealed.ct, sealed.ct_len, &none),
		CH_EAUTH);
	spki[0] ^= 1;
	for (size_t len = 0; len < sealed.ct_len; len += 16)
		assert_int_equal(ch_seal_open_key(recipient, &binding, sealed.enc,
					 sealed.enc_len, sealed.ct, len, &none),
			CH_EAUTH);
	assert_int_equal(ch_seal_open_key(recipient, &binding, sealed.enc, sealed.enc_len,
				 sealed.ct, CH_KEY_BLOCK_MAX_B + CH_SEAL_TAG_B + 1, &none),
		CH_EAUTH);
	assert_null(none);
	ch_recipient_key_free(recipient);
}

static void requests_are_made_with_rsa_keys(void **state)
{
	static const char *const names[] = {"shop.example.com", "www.shop.example.com"};
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_BUF struct ch_buf csr;
	uint8_t block[KAT_BLOCK_B];
	uint8_t digest[CH_SHA256_B];
	char hex[2 * CH_SHA256_B + 1];
	const unsigned char *at;
	X509_REQ *req;

	kat(block);
	ch_buf_init(&csr, 8192);
	assert_int_equal(ch_key_from_block(block, sizeof(block), &key), CH_OK);
	assert_int_equal(ch_csr_make(key, names, 2, &csr), CH_OK);
	assert_int_equal(ch_csr_spki_sha256(csr.data, csr.len, digest), CH_OK);
	ch_hex_encode(digest, sizeof(digest), hex);
	assert_string_equal(hex, kat_spki_sha256);
	at = csr.data;
	req = d2i_X509_REQ(NULL, &at, (long)csr.len);
	assert_int_equal(X509_REQ_verify(req, key), 1);
	X509_REQ_free(req);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_known_block_makes_the_known_key),
		cmocka_unit_test(blocks_of_all_sizes_round_trip),
		cmocka_unit_test(other_sizes_and_kinds_are_refused),
		cmocka_unit_test(bad_blocks_are_refused),
		cmocka_unit_test(sealed_rsa_keys_open_and_cannot_be_moved),
		cmocka_unit_test(requests_are_made_with_rsa_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
