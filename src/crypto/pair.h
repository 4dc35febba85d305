/* A certificate and its private key, as a TLS server needs them, made quickly.
 *
 * d2i_X509 of OpenSSL 3.0 spends nine tenths of its time on the public key: it goes through
 * every decoder that there is.  A server can do without: once the private key is there, it is
 * the public one too. */
#ifndef CH_CRYPTO_PAIR_H
#define CH_CRYPTO_PAIR_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/keys.h"

/* A certificate without its public key: only for ch_pair_spki_sha256 and ch_pair_join.
 * CH_EPROTO: these bytes are no certificate, or more than one. */
CH_MUST int ch_pair_parse(const uint8_t *der, size_t len, X509 **ret_leaf);
/* SHA-256 of its SubjectPublicKeyInfo as it stands in the certificate. */
CH_MUST int ch_pair_spki_sha256(X509 *leaf, uint8_t ret_digest[CH_SHA256_B]);
/* The key of an opened block that is to be joined with it.  sure: they were joined before, and
 * neither has changed; then the public half is taken from the certificate and not computed.
 * CH_EAUTH: it is another's; else as ch_key_from_block. */
CH_MUST int ch_pair_key(
	X509 *leaf, const uint8_t *block, size_t len, bool sure, EVP_PKEY **ret_key);
/* Makes it whole, and sure that the key is its own; they may share memory from then on.  leaf
 * is of ch_pair_parse, key of ch_pair_key or ch_key_from_block; der as before.  CH_EAUTH: it is
 * another's key. On failure both are still the caller's to free. */
CH_MUST int ch_pair_join(X509 **leaf, const uint8_t *der, size_t len, EVP_PKEY *key);

#endif
