/* Inside src/crypto only: HKDF-SHA256 (RFC 5869) with the labels of HPKE (RFC 9180 section 4).
 */
#ifndef CH_CRYPTO_HKDF_H
#define CH_CRYPTO_HKDF_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CH_HASH_B 32
#define CH_HASH_BLOCK_B 64

struct ch_bytes { /* borrowed */
	const void *at;
	size_t len;
};
#define CH_BYTES(p, n) ((struct ch_bytes){(p), (n)})
#define CH_NO_BYTES ((struct ch_bytes){"", 0})

struct ch_hkdf {
	EVP_MD_CTX *digest; /* borrowed, not shared between threads */
	uint8_t suite[10];
	size_t suite_len;
};

/* HMAC-SHA256 (RFC 2104).  Each part at most 2^20 bytes: the callers' own limits are far below.
 * ctx: any, it is used for the time of the call. */
CH_MUST int ch_hmac(EVP_MD_CTX *ctx, const uint8_t *key, size_t key_len,
	const struct ch_bytes *parts, size_t n, uint8_t ret_tag[CH_HASH_B]);
/* salt: CH_HASH_B bytes, or NULL for the empty one. */
CH_MUST int ch_hkdf_labeled_extract(const struct ch_hkdf *hkdf, const uint8_t *salt,
	const char *label, struct ch_bytes ikm, uint8_t ret_prk[CH_HASH_B]);
/* len: 1 … CH_HASH_B, so that one block is enough. */
CH_MUST int ch_hkdf_labeled_expand(const struct ch_hkdf *hkdf, const uint8_t prk[CH_HASH_B],
	const char *label, struct ch_bytes info, uint8_t *ret_okm, size_t len);

/* suite_id of the KEM (section 4.1) and of HPKE (section 5.1). */
void ch_hkdf_suite_kem(struct ch_hkdf *hkdf, unsigned kem_id);
void ch_hkdf_suite_hpke(struct ch_hkdf *hkdf, unsigned kem_id);

#endif
