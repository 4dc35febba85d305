/* Inside src/crypto only: recipient keys as EVP_PKEY. */
#ifndef CH_CRYPTO_RECIPIENT_H
#define CH_CRYPTO_RECIPIENT_H

#include "crypto/keys.h"

/* Fills in the id; refuses bytes that are no key.  CH_ECRYPTO, CH_EUNSUPPORTED. */
CH_MUST int ch_recipient_from_pub(
	enum ch_kem kem, const uint8_t *pub, size_t len, struct ch_recipient *ret_recipient);
CH_MUST int ch_recipient_pkey(const struct ch_recipient *recipient, EVP_PKEY **ret_key);

#endif
