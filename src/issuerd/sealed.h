/* The order's `sealed` field: the leaf key, sealed once per name and recipient, and a signature
 * that ties it to the order and its CSR.  All integers big-endian:
 *
 *   "CHS2"  u8 spki_sha256[32]  u8 n_names (1 … 2)
 *   n_names times:
 *       u8 name_len, name
 *       u8 n_copies (1 … 8)
 *       n_copies times: u8 recipient_id[8]  u16 kem_id  u8 enc_len, enc  u16 ct_len, ct
 *   u8 signature[64]  ECDSA P-256 SHA-256, r || s, with the key that signs records, over
 *       "certherd order v1\0"  u64 order id  u32 csr_len, csr  every byte before the signature
 *
 * Anybody can seal something to a recipient, and the store gives the CSR back to us before it
 * goes to the CA: without the signature a broken store could have a certificate made for a key
 * of its own.  Whoever may go on with an order has that key, so it needs no other one.
 *
 * The store keeps it without looking into it; only the issuer makes and reads it.  It holds
 * ciphertext only.  What changes the layout changes the four letters. */
#ifndef CH_ISSUERD_SEALED_H
#define CH_ISSUERD_SEALED_H

#include "base/buf.h"
#include "crypto/seal.h"
#include "crypto/sign.h"
#include "issuerd/work.h"
#include "wire/record.h"

struct ch_sealed_name {
	const char *name; /* not NUL-terminated */
	size_t name_len;
	struct ch_sealed_view copies[CH_RECORD_SEALED_MAX];
	size_t n_copies;
};

struct ch_sealed_set { /* borrows from the bytes */
	const uint8_t *spki_sha256;
	struct ch_sealed_name names[CH_WORK_NAMES_MAX];
	size_t n_names;
	const uint8_t *signature;
	size_t signed_len; /* bytes before it */
};

/* Seals the key block to each recipient for each name (the AAD binds name, version and key)
 * and appends the blob up to the signature. */
CH_MUST int ch_sealed_make(const struct ch_recipients *recipients, struct ch_secret *block,
	const uint8_t spki_sha256[CH_SHA256_B], uint64_t key_version, const char *const *names,
	size_t n_names, struct ch_buf *out);
/* Signs all that is in the buffer, for this order and CSR, and appends the signature. */
CH_MUST int ch_sealed_sign(const struct ch_sign_key *key, uint64_t order_id, const uint8_t *csr,
	size_t csr_len, struct ch_buf *sealed);
/* The work's own, or what the store gave back: then CH_EAUTH unless it is as it was signed, for
 * this order and this CSR; else as ch_sealed_read. */
CH_MUST int ch_sealed_open(const struct ch_sign_key *key, const struct ch_work *work,
	struct ch_sealed_set *ret_set);
/* Checks the form only.  CH_ECORRUPT; CH_EUNSUPPORTED for another format. */
CH_MUST int ch_sealed_read(const uint8_t *bytes, size_t len, struct ch_sealed_set *ret_set);
/* NULL when the set has no such name. */
const struct ch_sealed_name *ch_sealed_find(const struct ch_sealed_set *set, const char *name);

#endif
