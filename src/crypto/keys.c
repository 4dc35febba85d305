#include "crypto/keys.h"

#include <openssl/pem.h>
#include <string.h>

#include "base/file.h"
#include "crypto/ossl.h"
#include "crypto/p384.h"
#include "crypto/rsa.h"

#define PEM_MAX_B (16u * 1024u)

int ch_sha256(const void *bytes, size_t len, uint8_t ret_digest[CH_SHA256_B])
{
	const struct ch_ossl *ossl = ch_ossl();

	if (!ossl)
		return CH_EUNSUPPORTED;
	if (EVP_Digest(bytes, len, ret_digest, NULL, ossl->sha256, NULL) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	return CH_OK;
}

int ch_key_generate(EVP_PKEY **ret_key)
{
	const struct ch_ossl *ossl = ch_ossl();
	CH_CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *key = NULL;

	if (!ossl)
		return CH_EUNSUPPORTED;
	/* Beginning with the curve's name, as EVP_EC_gen does, takes twice as long: OpenSSL
	 * then makes the curve itself each time. */
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ossl->p256, NULL);
	if (!ctx || EVP_PKEY_keygen_init(ctx) <= 0 || EVP_PKEY_keygen(ctx, &key) <= 0)
		return ch_ossl_fail(CH_ECRYPTO);
	*ret_key = key;
	return CH_OK;
}

int ch_key_to_block(EVP_PKEY *key, struct ch_secret **ret_block)
{
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	uint8_t *at;
	int rc;

	if (EVP_PKEY_is_a(key, "RSA"))
		return ch_rsa_to_block(key, ret_block);
	if (ch_p384_is(key))
		return ch_p384_to_block(key, ret_block);
	rc = ch_secret_new(CH_KEY_BLOCK_B, &block);
	if (rc)
		return rc;
	at = ch_secret_bytes(block);
	at[0] = CH_KEY_BLOCK_P256;
	rc = ch_p256_scalar(key, at + 1);
	if (rc)
		return rc;
	*ret_block = TAKE_PTR(block);
	return CH_OK;
}

int ch_key_from_block(const uint8_t *block, size_t len, EVP_PKEY **ret_key)
{
	int rc;

	if (len > 0 && block[0] == CH_KEY_BLOCK_RSA)
		return ch_rsa_from_block(block, len, ret_key);
	if (len > 0 && block[0] == CH_KEY_BLOCK_P384)
		return ch_p384_from_block(block, len, ret_key);
	if (len == 0 || block[0] != CH_KEY_BLOCK_P256)
		return CH_EUNSUPPORTED;
	if (len != CH_KEY_BLOCK_B)
		return CH_ECRYPTO;
	rc = ch_p256_from_scalar(block + 1, ret_key);
	return rc == CH_EINVAL ? CH_ECRYPTO : rc;
}

int ch_key_spki_sha256(EVP_PKEY *key, uint8_t ret_digest[CH_SHA256_B])
{
	unsigned char *der = NULL;
	uint8_t spki[CH_P256_SPKI_B];
	int len;
	/* OpenSSL's own encoder takes fifty times as long. */
	int rc = ch_p256_spki(key, spki);

	if (rc == CH_OK)
		return ch_sha256(spki, sizeof(spki), ret_digest);
	if (rc != CH_EUNSUPPORTED)
		return rc;
	len = i2d_PUBKEY(key, &der);
	if (len <= 0)
		return ch_ossl_fail(CH_ECRYPTO);
	rc = ch_sha256(der, (size_t)len, ret_digest);
	OPENSSL_free(der);
	return rc;
}

/* Without this OpenSSL would ask at the terminal. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
	return -1;
}

int ch_key_load_pem(const char *path, EVP_PKEY **ret_key, struct ch_err *err)
{
	CH_AUTO_SECRET struct ch_secret *text = NULL;
	CH_CLEANUP(BIO_free_all_p) BIO *bio = NULL;
	EVP_PKEY *key;
	int rc = ch_secret_read_file(path, PEM_MAX_B, &text, err);

	if (rc)
		return rc;
	bio = BIO_new_mem_buf(ch_secret_bytes(text), (int)ch_secret_len(text));
	key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
	if (!key) {
		(void)ch_ossl_fail(CH_ECRYPTO);
		return ch_err_set(err, CH_EINVAL, "key-file",
			"%s is not an unencrypted private key in PEM form", path);
	}
	*ret_key = key;
	return CH_OK;
}

int ch_key_create_pem(const char *path, EVP_PKEY *key, struct ch_err *err)
{
	/* A memory BIO grows and is freed with its old content wiped. */
	CH_CLEANUP(BIO_free_all_p) BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;

	if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
		return ch_ossl_err(err, CH_ECRYPTO, "key-encode", "cannot encode a key");
	len = BIO_get_mem_data(bio, &text);
	return ch_file_create(path, text, (size_t)len, 0600, err);
}
