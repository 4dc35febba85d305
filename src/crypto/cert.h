/* Inside src/crypto only: parsed certificates. */
#ifndef CH_CRYPTO_CERT_H
#define CH_CRYPTO_CERT_H

#include <openssl/x509.h>

#include "crypto/x509.h"

#define CH_CHAIN_MAX 9
#define CH_CERT_DER_MAX_B 8192u

struct ch_cert_chain {
	size_t n;
	struct {
		X509 *x509;
		uint8_t *der;
		size_t der_len;
	} list[CH_CHAIN_MAX];
};

/* Exactly one certificate of at most CH_CERT_DER_MAX_B.  CH_EPROTO. */
CH_MUST int ch_cert_from_der(
	const uint8_t *der, size_t len, X509 **ret_cert, struct ch_err *err);
/* The same; of the last ones that were parsed all callers get the same object, to read. */
CH_MUST int ch_cert_shared(const uint8_t *der, size_t len, X509 **ret_cert, struct ch_err *err);
/* The first certificate of a PEM file of at most 64 KiB. */
CH_MUST int ch_cert_load(const char *path, X509 **ret_cert, struct ch_err *err);
CH_MUST int ch_cert_info_x509(X509 *cert, struct ch_cert_info *ret_info, struct ch_err *err);
/* CH_EPROTO for a time that cannot be represented. */
CH_MUST int ch_cert_time(const ASN1_TIME *time, int64_t *ret_s);
/* Trust, as ch_trust_load made it; at_s is the time to judge at.  problem cert-chain. */
CH_MUST int ch_trust_check(const struct ch_trust *trust, const struct ch_cert_chain *chain,
	int64_t at_s, struct ch_err *err);

#endif
