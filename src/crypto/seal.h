/* Sealing of leaf keys: HPKE (RFC 9180), base mode, single shot, KDF HKDF-SHA256,
 * AEAD AES-256-GCM, KEM by the recipient's key. */
#ifndef CH_CRYPTO_SEAL_H
#define CH_CRYPTO_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "crypto/keys.h"

#define CH_SEAL_INFO "certherd seal v1"
#define CH_SEAL_ENC_MAX_B 65
#define CH_SEAL_TAG_B 16

/* The general single-shot functions (also for known-answer tests).  enc is written with its
 * length; ct has pt_len + CH_SEAL_TAG_B bytes. */
CH_MUST int ch_hpke_seal(const struct ch_recipient *to, const uint8_t *info, size_t info_len,
	const uint8_t *aad, size_t aad_len, const uint8_t *pt, size_t pt_len,
	uint8_t ret_enc[CH_SEAL_ENC_MAX_B], size_t *ret_enc_len, uint8_t *ret_ct);
/* The same with the ephemeral key given: for known answers only. */
CH_MUST int ch_hpke_seal_with(const struct ch_recipient *to, const struct ch_recipient_key *eph,
	const uint8_t *info, size_t info_len, const uint8_t *aad, size_t aad_len,
	const uint8_t *pt, size_t pt_len, uint8_t ret_enc[CH_SEAL_ENC_MAX_B],
	size_t *ret_enc_len, uint8_t *ret_ct);
/* CH_EAUTH when anything was altered or meant for another key.  ret_pt has ct_len - 16 bytes
 * and is wiped on failure. */
CH_MUST int ch_hpke_open(const struct ch_recipient_key *key, const uint8_t *enc, size_t enc_len,
	const uint8_t *info, size_t info_len, const uint8_t *aad, size_t aad_len,
	const uint8_t *ct, size_t ct_len, uint8_t *ret_pt);

/* What a sealed key is bound to. */
struct ch_seal_binding {
	const char *name; /* normalized, not NUL-terminated */
	size_t name_len;
	uint64_t key_version;
	const uint8_t *spki_sha256; /* CH_SHA256_B bytes */
};

struct ch_sealed {
	uint8_t recipient_id[8];
	enum ch_kem kem;
	uint8_t enc[CH_SEAL_ENC_MAX_B];
	size_t enc_len;
	uint8_t ct[CH_KEY_BLOCK_MAX_B + CH_SEAL_TAG_B];
	size_t ct_len;
};

/* Seals a leaf key block to one recipient with AAD = "certherd key v1" u8 name_len name
 * u64 key_version spki_sha256. */
CH_MUST int ch_seal_key(const struct ch_recipient *to, const struct ch_seal_binding *binding,
	struct ch_secret *block, struct ch_sealed *ret_sealed);
/* Opens a sealed copy.  The caller wipes the block. */
CH_MUST int ch_seal_open_block(const struct ch_recipient_key *key,
	const struct ch_seal_binding *binding, const uint8_t *enc, size_t enc_len,
	const uint8_t *ct, size_t ct_len, uint8_t ret_block[CH_KEY_BLOCK_MAX_B],
	size_t *ret_len);
/* Opens a sealed copy into an EVP_PKEY ready to sign; the block is wiped. */
CH_MUST int ch_seal_open_key(const struct ch_recipient_key *key,
	const struct ch_seal_binding *binding, const uint8_t *enc, size_t enc_len,
	const uint8_t *ct, size_t ct_len, EVP_PKEY **ret_key);

#endif
