/* Keys of TLS session tickets, sealed to the recipients of a pool as leaf keys are
 * (crypto/seal.h).
 *
 * Key block (65 bytes): u8 1, AES-256 key, HMAC-SHA256 key: RFC 5077 section 4 recommends the
 * construction, and it is the one that OpenSSL's callbacks allow. */
#ifndef CH_CRYPTO_TICKET_H
#define CH_CRYPTO_TICKET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "crypto/seal.h"

#define CH_TICKET_ID_B 16
#define CH_TICKET_AES_B 32
#define CH_TICKET_HMAC_B 32
#define CH_TICKET_BLOCK_B (1 + CH_TICKET_AES_B + CH_TICKET_HMAC_B)
#define CH_TICKET_CT_B (CH_TICKET_BLOCK_B + CH_SEAL_TAG_B)

/* AAD = "certherd ticket v1" u8 pool_len pool u8 id[16] i64 from_s i64 until_s: a key cannot be
 * given another pool or another time. */
struct ch_ticket_binding {
	const char *pool; /* not NUL-terminated */
	size_t pool_len;
	const uint8_t *id; /* CH_TICKET_ID_B bytes */
	int64_t from_s;
	int64_t until_s;
};

struct ch_sealed_ticket {
	uint8_t recipient_id[8];
	enum ch_kem kem;
	uint8_t enc[CH_SEAL_ENC_MAX_B];
	size_t enc_len;
	uint8_t ct[CH_TICKET_CT_B];
};

/* A fresh key and its id. */
CH_MUST int ch_ticket_key_generate(
	uint8_t ret_id[CH_TICKET_ID_B], struct ch_secret **ret_block);
CH_MUST int ch_ticket_key_seal(const struct ch_recipient *to,
	const struct ch_ticket_binding *binding, struct ch_secret *block,
	struct ch_sealed_ticket *ret_sealed);
/* CH_EAUTH when anything was altered or meant for another key; CH_EUNSUPPORTED: another kind of
 * block.  ret_block is wiped on failure, and else the caller's to wipe. */
CH_MUST int ch_ticket_key_open(const struct ch_recipient_key *key,
	const struct ch_ticket_binding *binding, const uint8_t *enc, size_t enc_len,
	const uint8_t *ct, size_t ct_len, uint8_t ret_block[CH_TICKET_BLOCK_B]);

#endif
