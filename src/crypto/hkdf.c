#include "crypto/hkdf.h"

#include <string.h>

#include "base/secret.h"
#include "crypto/ossl.h"

#define KDF_HKDF_SHA256 0x0001
#define AEAD_AES_256_GCM 0x0002

static const char version_label[] = "HPKE-v1";

#define IPAD 0x36
#define OPAD 0x5c

/* One of the two hashes of RFC 2104: of the padded key and the parts. */
static int hash_padded(EVP_MD_CTX *ctx, const EVP_MD *md, const uint8_t key[CH_HASH_BLOCK_B],
	uint8_t pad, const struct ch_bytes *parts, size_t n, uint8_t ret_digest[CH_HASH_B])
{
	uint8_t block[CH_HASH_BLOCK_B];
	int ok;

	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = key[i] ^ pad;
	ok = EVP_DigestInit_ex2(ctx, md, NULL) == 1 &&
	     EVP_DigestUpdate(ctx, block, sizeof(block)) == 1;
	for (size_t i = 0; i < n && ok; i++)
		ok = EVP_DigestUpdate(ctx, parts[i].at, parts[i].len) == 1;
	ch_wipe(block, sizeof(block));
	return ok && EVP_DigestFinal_ex(ctx, ret_digest, NULL) == 1;
}

/* From the digest, as EVP_MAC's HMAC takes twice the time for what is as short as this: it
 * copies a context for each of its hashes. */
int ch_hmac(EVP_MD_CTX *ctx, const uint8_t *key, size_t key_len, const struct ch_bytes *parts,
	size_t n, uint8_t ret_tag[CH_HASH_B])
{
	const struct ch_ossl *ossl = ch_ossl();
	uint8_t padded[CH_HASH_BLOCK_B] = {0};
	uint8_t inner[CH_HASH_B];
	int ok = ossl != NULL;

	if (ok && key_len > sizeof(padded))
		ok = EVP_Digest(key, key_len, padded, NULL, ossl->sha256, NULL) == 1;
	else if (ok)
		memcpy(padded, key, key_len);
	ok = ok && hash_padded(ctx, ossl->sha256, padded, IPAD, parts, n, inner) &&
	     hash_padded(ctx, ossl->sha256, padded, OPAD, &CH_BYTES(inner, sizeof(inner)), 1,
		     ret_tag);
	ch_wipe(padded, sizeof(padded));
	ch_wipe(inner, sizeof(inner));
	return ok ? CH_OK : ch_ossl_fail(CH_ECRYPTO);
}

int ch_hkdf_labeled_extract(const struct ch_hkdf *hkdf, const uint8_t *salt, const char *label,
	struct ch_bytes ikm, uint8_t ret_prk[CH_HASH_B])
{
	/* RFC 5869 section 2.2: no salt is the same as a string of zeros. */
	static const uint8_t zeros[CH_HASH_B];
	const struct ch_bytes parts[] = {{version_label, sizeof(version_label) - 1},
		{hkdf->suite, hkdf->suite_len}, {label, strlen(label)}, ikm};

	return ch_hmac(hkdf->digest, salt ? salt : zeros, CH_HASH_B, parts, CH_ARRAY_LEN(parts),
		ret_prk);
}

int ch_hkdf_labeled_expand(const struct ch_hkdf *hkdf, const uint8_t prk[CH_HASH_B],
	const char *label, struct ch_bytes info, uint8_t *ret_okm, size_t len)
{
	const uint8_t len_be[2] = {(uint8_t)(len >> 8), (uint8_t)len};
	const uint8_t counter = 1;
	uint8_t block[CH_HASH_B];
	const struct ch_bytes parts[] = {{len_be, sizeof(len_be)},
		{version_label, sizeof(version_label) - 1}, {hkdf->suite, hkdf->suite_len},
		{label, strlen(label)}, info, {&counter, 1}};
	int rc;

	if (len == 0 || len > sizeof(block))
		return CH_EINVAL;
	rc = ch_hmac(hkdf->digest, prk, CH_HASH_B, parts, CH_ARRAY_LEN(parts), block);
	if (rc == CH_OK)
		memcpy(ret_okm, block, len);
	ch_wipe(block, sizeof(block));
	return rc;
}

void ch_hkdf_suite_kem(struct ch_hkdf *hkdf, unsigned kem_id)
{
	const uint8_t suite[] = {'K', 'E', 'M', (uint8_t)(kem_id >> 8), (uint8_t)kem_id};

	memcpy(hkdf->suite, suite, sizeof(suite));
	hkdf->suite_len = sizeof(suite);
}

void ch_hkdf_suite_hpke(struct ch_hkdf *hkdf, unsigned kem_id)
{
	const uint8_t suite[] = {'H', 'P', 'K', 'E', (uint8_t)(kem_id >> 8), (uint8_t)kem_id,
		KDF_HKDF_SHA256 >> 8, KDF_HKDF_SHA256, AEAD_AES_256_GCM >> 8, AEAD_AES_256_GCM};

	memcpy(hkdf->suite, suite, sizeof(suite));
	hkdf->suite_len = sizeof(suite);
}
