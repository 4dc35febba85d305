/* The private half of recipient keys. */
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "crypto/hkdf.h"
#include "crypto/keys.h"
#include "crypto/keytext.h"
#include "crypto/ossl.h"
#include "crypto/recipient.h"

#define KEY_FILE_MAX_B (16u * 1024u)
#define PREFIX_X25519 "CERTHERD-SECRET-KEY-X25519-"
#define PREFIX_P256 "CERTHERD-SECRET-KEY-P256-"

CH_DEFINE_CLEANUP(struct ch_recipient_key *, ch_recipient_key_free)

void ch_recipient_key_free(struct ch_recipient_key *key)
{
	if (!key)
		return;
	EVP_PKEY_CTX_free(key->agree);
	EVP_PKEY_free(key->pkey);
	free(key);
}

static int make_x25519(const uint8_t priv[32], EVP_PKEY **ret_pkey, uint8_t *ret_pub)
{
	CH_AUTO_PKEY EVP_PKEY *pkey =
		EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, priv, 32);
	size_t len = 32;

	if (!pkey || EVP_PKEY_get_raw_public_key(pkey, ret_pub, &len) != 1 || len != 32)
		return ch_ossl_fail(CH_ECRYPTO);
	*ret_pkey = TAKE_PTR(pkey);
	return CH_OK;
}

static int make_p256(const uint8_t priv[32], EVP_PKEY **ret_pkey, uint8_t *ret_pub)
{
	int rc = ch_p256_public(priv, ret_pub);

	return rc ? rc : ch_p256_from_pair(priv, ret_pub, ret_pkey);
}

static int prepare_agreement(struct ch_recipient_key *key)
{
	key->agree = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
	if (!key->agree || EVP_PKEY_derive_init(key->agree) <= 0)
		return ch_ossl_fail(CH_ECRYPTO);
	return CH_OK;
}

int ch_recipient_key_from_bytes(
	enum ch_kem kem, const uint8_t priv[32], struct ch_recipient_key **ret_key)
{
	CH_CLEANUP(ch_recipient_key_free_p)
	struct ch_recipient_key *key = calloc(1, sizeof(*key));
	uint8_t pub[CH_RECIPIENT_PUB_MAX_B];
	int rc;

	if (!key)
		return CH_ENOMEM;
	if (kem == CH_KEM_X25519)
		rc = make_x25519(priv, &key->pkey, pub);
	else if (kem == CH_KEM_P256)
		rc = make_p256(priv, &key->pkey, pub);
	else
		rc = CH_EUNSUPPORTED;
	if (rc == CH_OK)
		rc = ch_recipient_from_pub(kem, pub, kem == CH_KEM_P256 ? 65 : 32, &key->pub);
	if (rc == CH_OK)
		rc = prepare_agreement(key);
	if (rc)
		return rc;
	*ret_key = TAKE_PTR(key);
	return CH_OK;
}

/* RFC 9180 section 7.1.3: a candidate that is no valid scalar is passed over. */
static int derive_p256(const struct ch_hkdf *hkdf, const uint8_t prk[CH_HASH_B],
	struct ch_recipient_key **ret_key)
{
	uint8_t priv[32];
	int rc = CH_EINVAL;

	for (unsigned counter = 0; counter < 256 && rc == CH_EINVAL; counter++) {
		const uint8_t byte = (uint8_t)counter;

		rc = ch_hkdf_labeled_expand(
			hkdf, prk, "candidate", CH_BYTES(&byte, 1), priv, sizeof(priv));
		if (rc == CH_OK)
			rc = ch_recipient_key_from_bytes(CH_KEM_P256, priv, ret_key);
	}
	ch_wipe(priv, sizeof(priv));
	return rc == CH_EINVAL ? CH_ECRYPTO : rc;
}

int ch_recipient_key_derive(
	enum ch_kem kem, const uint8_t *ikm, size_t len, struct ch_recipient_key **ret_key)
{
	CH_CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *digest = EVP_MD_CTX_new();
	struct ch_hkdf hkdf = {.digest = digest};
	uint8_t prk[CH_HASH_B];
	uint8_t priv[32];
	int rc;

	if (!digest)
		return ch_ossl_fail(CH_ENOMEM);
	ch_hkdf_suite_kem(&hkdf, kem);
	rc = ch_hkdf_labeled_extract(&hkdf, NULL, "dkp_prk", CH_BYTES(ikm, len), prk);
	if (rc == CH_OK && kem == CH_KEM_P256) {
		rc = derive_p256(&hkdf, prk, ret_key);
	} else if (rc == CH_OK) {
		rc = ch_hkdf_labeled_expand(&hkdf, prk, "sk", CH_NO_BYTES, priv, sizeof(priv));
		if (rc == CH_OK)
			rc = ch_recipient_key_from_bytes(kem, priv, ret_key);
	}
	ch_wipe(prk, sizeof(prk));
	ch_wipe(priv, sizeof(priv));
	return rc;
}

static int private_bytes(const struct ch_recipient_key *key, uint8_t ret_priv[32])
{
	size_t len = 32;

	if (key->pub.kem == CH_KEM_P256)
		return ch_p256_scalar(key->pkey, ret_priv);
	if (EVP_PKEY_get_raw_private_key(key->pkey, ret_priv, &len) != 1 || len != 32)
		return ch_ossl_fail(CH_ECRYPTO);
	return CH_OK;
}

/* RFC 7748 section 5: every 32 bytes are a scalar, but for five bits that are fixed, which RFC
 * 9180 section 7.1.2 wants set in what is written down.  OpenSSL's own generator does just
 * this, and computes the public key, which ch_recipient_key_from_bytes does once more. */
static int random_x25519(uint8_t ret_priv[32])
{
	if (RAND_priv_bytes(ret_priv, 32) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	ret_priv[0] &= 248;
	ret_priv[31] &= 127;
	ret_priv[31] |= 64;
	return CH_OK;
}

static int random_p256(uint8_t ret_priv[32])
{
	CH_AUTO_PKEY EVP_PKEY *pkey = NULL;
	int rc = ch_key_generate(&pkey);

	return rc ? rc : ch_p256_scalar(pkey, ret_priv);
}

int ch_recipient_key_generate(enum ch_kem kem, struct ch_recipient_key **ret_key)
{
	uint8_t priv[32];
	int rc;

	if (kem != CH_KEM_P256 && kem != CH_KEM_X25519)
		return CH_EUNSUPPORTED;
	rc = kem == CH_KEM_P256 ? random_p256(priv) : random_x25519(priv);
	if (rc == CH_OK)
		rc = ch_recipient_key_from_bytes(kem, priv, ret_key);
	ch_wipe(priv, sizeof(priv));
	return rc;
}

struct reading {
	const char *path;
	struct ch_recipient_key *key;
};

static int read_line(const char *line, unsigned number, void *arg, struct ch_err *err)
{
	struct reading *r = arg;
	enum ch_kem kem = CH_KEM_X25519;
	uint8_t priv[32];
	int rc = ch_keytext_decode(line, strlen(line), PREFIX_X25519, priv, sizeof(priv));

	if (rc == CH_ENOTFOUND) {
		kem = CH_KEM_P256;
		rc = ch_keytext_decode(line, strlen(line), PREFIX_P256, priv, sizeof(priv));
	}
	if (rc == CH_OK && r->key)
		rc = CH_EINVAL;
	if (rc == CH_OK)
		rc = ch_recipient_key_from_bytes(kem, priv, &r->key);
	ch_wipe(priv, sizeof(priv));
	if (rc)
		return ch_err_set(err, CH_EINVAL, "key-file",
			"%s:%u: not a recipient key: expected one line CERTHERD-SECRET-KEY-…, "
			"as "
			"`certherd key new` writes it",
			r->path, number);
	return CH_OK;
}

int ch_recipient_key_parse(const char *text, const char *path,
	struct ch_recipient_key **ret_key, struct ch_err *err)
{
	struct reading r = {.path = path};
	int rc = ch_keytext_lines(text, read_line, &r, err);

	if (rc) {
		ch_recipient_key_free(r.key);
		return rc;
	}
	if (!r.key)
		return ch_err_set(err, CH_EINVAL, "key-file", "%s has no key in it", path);
	*ret_key = r.key;
	return CH_OK;
}

int ch_recipient_key_load(
	const char *path, struct ch_recipient_key **ret_key, struct ch_err *err)
{
	CH_AUTO_SECRET struct ch_secret *file = NULL;
	CH_AUTO_SECRET struct ch_secret *text = NULL;
	size_t len;
	int rc = ch_secret_read_file(path, KEY_FILE_MAX_B, &file, err);

	if (rc)
		return rc;
	len = ch_secret_len(file);
	rc = ch_secret_new(len + 1, &text); /* the last byte stays NUL */
	if (rc)
		return ch_err_set(err, rc, "out-of-memory", "cannot hold %s in memory", path);
	memcpy(ch_secret_bytes(text), ch_secret_bytes(file), len);
	return ch_recipient_key_parse((const char *)ch_secret_bytes(text), path, ret_key, err);
}

int ch_recipient_key_create_file(
	const struct ch_recipient_key *key, const char *path, struct ch_err *err)
{
	const char *prefix = key->pub.kem == CH_KEM_P256 ? PREFIX_P256 : PREFIX_X25519;
	CH_AUTO_SECRET struct ch_secret *text = NULL;
	char when[CH_TIME_STR_B];
	char pub[CH_RECIPIENT_TEXT_B];
	uint8_t priv[32];
	size_t size_b = 1024;
	char *at;
	size_t len;
	int rc = ch_secret_new(size_b, &text);

	if (rc)
		return ch_err_set(err, rc, "out-of-memory", "cannot hold a key in memory");
	at = (char *)ch_secret_bytes(text);
	ch_recipient_print(&key->pub, pub);
	len = (size_t)snprintf(at, size_b, "# created: %s\n# public key: %s\n",
		ch_time_str(ch_now_ms(), when), pub);
	rc = private_bytes(key, priv);
	if (rc == CH_OK)
		rc = ch_keytext_encode(prefix, priv, sizeof(priv), at + len, size_b - len - 2);
	ch_wipe(priv, sizeof(priv));
	if (rc)
		return ch_err_set(err, rc, "key-encode", "cannot encode a recipient key");
	len += strlen(at + len);
	at[len++] = '\n';
	return ch_file_create(path, at, len, 0600, err);
}
