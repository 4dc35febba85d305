/* Leaf keys and recipient keys.
 *
 * A leaf key travels sealed as "key block": making the other parts anew and EVP_PKEY_fromdata
 * is far cheaper than parsing PKCS#8, and the record stays small.  All integers big-endian:
 *   P-256 (33 bytes)   u8 1, u8 scalar[32]
 *   P-384 (49 bytes)   u8 3, u8 scalar[48]
 *   RSA (261, 389 or 517 bytes, for 2,048, 3,072, 4,096 bits)
 *                      u8 2, u32 public exponent, the two primes in 128, 192, 256 bytes each
 *
 * Recipient key pairs in the style of age:
 *   public:  certherd-pub-x25519-<base64url of key || first 4 bytes of SHA-256 of it>
 *            certherd-pub-p256-<…>          (65-byte uncompressed point)
 *   private: a file of mode 0600: comment lines with '#', then
 *            CERTHERD-SECRET-KEY-X25519-<base64url …>  or  …-P256-<…>   (same checksum)  */
#ifndef CH_CRYPTO_KEYS_H
#define CH_CRYPTO_KEYS_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/secret.h"

CH_DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
#define CH_AUTO_PKEY CH_CLEANUP(EVP_PKEY_free_p)

#define CH_KEY_BLOCK_P256 1
#define CH_KEY_BLOCK_RSA 2
#define CH_KEY_BLOCK_P384 3
#define CH_KEY_BLOCK_B 33 /* of a P-256 key */
#define CH_KEY_BLOCK_P384_B 49
#define CH_KEY_BLOCK_MAX_B 517u /* of any */
#define CH_SHA256_B 32

CH_MUST int ch_sha256(const void *bytes, size_t len, uint8_t ret_digest[CH_SHA256_B]);

/* A fresh P-256 key. */
CH_MUST int ch_key_generate(EVP_PKEY **ret_key);
/* A fresh P-384 key. */
CH_MUST int ch_key_generate_p384(EVP_PKEY **ret_key);
/* 2,048, 3,072 or 4,096 bits, else CH_EUNSUPPORTED.  Takes a good part of a second. */
CH_MUST int ch_key_generate_rsa(unsigned bits, EVP_PKEY **ret_key);
/* CH_EUNSUPPORTED: there is no block for such a key. */
CH_MUST int ch_key_to_block(EVP_PKEY *key, struct ch_secret **ret_block);
/* CH_ECRYPTO; CH_EUNSUPPORTED: another kind of block. */
CH_MUST int ch_key_from_block(const uint8_t *block, size_t len, EVP_PKEY **ret_key);
/* SHA-256 of the DER SubjectPublicKeyInfo, with an uncompressed point if it is a P-256 key. */
CH_MUST int ch_key_spki_sha256(EVP_PKEY *key, uint8_t ret_digest[CH_SHA256_B]);

/* Unencrypted PKCS#8 PEM files for account, signing and identity keys. */
CH_MUST int ch_key_load_pem(const char *path, EVP_PKEY **ret_key, struct ch_err *err);
/* Writes mode 0600; CH_EEXIST when the file is there. */
CH_MUST int ch_key_create_pem(const char *path, EVP_PKEY *key, struct ch_err *err);

/* RFC 9180 section 7.1 */
enum ch_kem { CH_KEM_P256 = 0x0010, CH_KEM_X25519 = 0x0020 };
#define CH_RECIPIENT_PUB_MAX_B 65
#define CH_RECIPIENT_TEXT_B 160

struct ch_recipient { /* public half */
	enum ch_kem kem;
	uint8_t pub[CH_RECIPIENT_PUB_MAX_B]; /* RFC 9180 SerializePublicKey */
	size_t pub_len;
	uint8_t id[8]; /* first 8 bytes of SHA-256(pub) */
};

struct ch_recipient_key { /* private half; read-only after creation, may be shared by threads */
	struct ch_recipient pub;
	EVP_PKEY *pkey;	     /* owned */
	EVP_PKEY_CTX *agree; /* owned; begun with pkey, only to be duplicated: that is cheap */
};

CH_MUST int ch_recipient_parse(const char *text, struct ch_recipient *ret_recipient);
/* ret_text: CH_RECIPIENT_TEXT_B bytes. */
void ch_recipient_print(const struct ch_recipient *recipient, char *ret_text);

#define CH_RECIPIENTS_MAX 8
struct ch_recipients {
	struct ch_recipient list[CH_RECIPIENTS_MAX];
	unsigned line[CH_RECIPIENTS_MAX]; /* of the file, from 1 */
	size_t n;
};
/* One recipient a line; empty lines and '#' comments.  Errors name the line.  Refuses a file
 * that group or others may write. */
CH_MUST int ch_recipients_load(
	const char *path, struct ch_recipients *ret_recipients, struct ch_err *err);
/* The same from memory; path is only named in errors. */
CH_MUST int ch_recipients_parse(const char *text, const char *path,
	struct ch_recipients *ret_recipients, struct ch_err *err);

CH_MUST int ch_recipient_key_generate(enum ch_kem kem, struct ch_recipient_key **ret_key);
/* From 32 private bytes (RFC 9180 SerializePrivateKey). */
CH_MUST int ch_recipient_key_from_bytes(
	enum ch_kem kem, const uint8_t priv[32], struct ch_recipient_key **ret_key);
/* RFC 9180 section 7.1.3 DeriveKeyPair: for known answers. */
CH_MUST int ch_recipient_key_derive(
	enum ch_kem kem, const uint8_t *ikm, size_t len, struct ch_recipient_key **ret_key);
/* A private file that group or others can access is refused. */
CH_MUST int ch_recipient_key_load(
	const char *path, struct ch_recipient_key **ret_key, struct ch_err *err);
/* The content of such a file; path is only named in errors. */
CH_MUST int ch_recipient_key_parse(const char *text, const char *path,
	struct ch_recipient_key **ret_key, struct ch_err *err);
/* Mode 0600, refuses to overwrite. */
CH_MUST int ch_recipient_key_create_file(
	const struct ch_recipient_key *key, const char *path, struct ch_err *err);
void ch_recipient_key_free(struct ch_recipient_key *key);

#endif
