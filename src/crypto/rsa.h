/* Inside src/crypto only: RSA leaf keys and their key blocks (crypto/keys.h). */
#ifndef CH_CRYPTO_RSA_H
#define CH_CRYPTO_RSA_H

#include <openssl/evp.h>

#include "base/err.h"
#include "base/secret.h"

/* CH_EUNSUPPORTED: not RSA, or of a size or kind that has no key block. */
CH_MUST int ch_rsa_to_block(EVP_PKEY *key, struct ch_secret **ret_block);
/* block[0] is its type already.  CH_ECRYPTO: it describes no key. */
CH_MUST int ch_rsa_from_block(const uint8_t *block, size_t len, EVP_PKEY **ret_key);

#endif
