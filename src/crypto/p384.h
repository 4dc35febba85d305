/* Inside src/crypto only: P-384 leaf keys and their key blocks (crypto/keys.h). */
#ifndef CH_CRYPTO_P384_H
#define CH_CRYPTO_P384_H

#include <openssl/evp.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"

bool ch_p384_is(EVP_PKEY *key);
/* CH_EUNSUPPORTED: another kind of key. */
CH_MUST int ch_p384_to_block(EVP_PKEY *key, struct ch_secret **ret_block);
/* block[0] is its type already.  CH_ECRYPTO: it describes no key. */
CH_MUST int ch_p384_from_block(const uint8_t *block, size_t len, EVP_PKEY **ret_key);

#endif
