/* The certificate that answers a tls-alpn-01 challenge: RFC 8737 section 3. */
#ifndef CH_CRYPTO_ALPN_CERT_H
#define CH_CRYPTO_ALPN_CERT_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* What a CA offers, and nothing beside it: section 4. */
#define CH_ALPN_PROTOCOL "acme-tls/1"

/* Self-signed, for this one name, with SHA-256 of the key authorization ("token.thumbprint") in
 * a critical acmeIdentifier.  name: a host name, NUL-terminated, no wildcard, else CH_EINVAL.
 * One signature.  The caller frees *ret_cert. */
CH_MUST int ch_alpn_cert_make(EVP_PKEY *key, const char *name, const char *authorization,
	size_t authorization_len, int64_t now_s, X509 **ret_cert);

#endif
