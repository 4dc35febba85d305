/* Signatures over edge records: ECDSA P-256 with SHA-256, fixed 64 bytes r || s. */
#ifndef CH_CRYPTO_SIGN_H
#define CH_CRYPTO_SIGN_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ch_sign_key;
struct ch_verify_set;

/* PEM file, PKCS#8 P-256, checked like a secret file. */
CH_MUST int ch_sign_key_load(
	const char *path, struct ch_sign_key **ret_key, struct ch_err *err);
CH_MUST int ch_sign_key_create(const char *path, struct ch_err *err); /* refuses to overwrite */
/* A reference to a key that is held already.  CH_EINVAL when it is not P-256. */
CH_MUST int ch_sign_key_from(EVP_PKEY *pkey, struct ch_sign_key **ret_key);
void ch_sign_key_free(struct ch_sign_key *key);
/* First 8 bytes of SHA-256 of the uncompressed point; borrowed from key. */
const uint8_t *ch_sign_key_id(const struct ch_sign_key *key);
/* One line: "certherd-sign-p256-<base64url of point || 4 checksum bytes>"; ret_text 160 bytes.
 */
CH_MUST int ch_sign_key_print_public(const struct ch_sign_key *key, char *ret_text);

/* label: domain separation, e.g. "certherd record v1" (its NUL is signed too). */
CH_MUST int ch_sign(const struct ch_sign_key *key, const char *label, const uint8_t *bytes,
	size_t len, uint8_t ret_sig[64]);

/* CH_EAUTH unless this very key signed it. */
CH_MUST int ch_sign_check(const struct ch_sign_key *key, const char *label,
	const uint8_t *bytes, size_t len, const uint8_t sig[64]);

/* Pinned public keys: a file with one certherd-sign-p256-… a line, '#' comments, at most 8. */
CH_MUST int ch_verify_set_load(
	const char *path, struct ch_verify_set **ret_set, struct ch_err *err);
/* From one public line (tests). */
CH_MUST int ch_verify_set_parse(
	const char *text, struct ch_verify_set **ret_set, struct ch_err *err);
void ch_verify_set_free(struct ch_verify_set *set);
/* CH_EAUTH when signer_id is not pinned or the signature is wrong.  Thread-safe. */
CH_MUST int ch_verify(const struct ch_verify_set *set, const uint8_t signer_id[8],
	const char *label, const uint8_t *bytes, size_t len, const uint8_t sig[64]);

#endif
