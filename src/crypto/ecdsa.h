/* Inside src/crypto only: ECDSA P-256 with SHA-256 in the fixed form r || s (as in RFC 7518
 * section 3.4), over the concatenation of parts. */
#ifndef CH_CRYPTO_ECDSA_H
#define CH_CRYPTO_ECDSA_H

#include "crypto/hkdf.h"

/* key: P-256, which the caller has made sure of. */
CH_MUST int ch_ecdsa_sign(
	EVP_PKEY *key, const struct ch_bytes *parts, size_t n, uint8_t ret_sig[64]);
/* CH_EAUTH when the signature is not right. */
CH_MUST int ch_ecdsa_verify(
	EVP_PKEY *key, const struct ch_bytes *parts, size_t n, const uint8_t sig[64]);

#endif
