/* Inside src/crypto only: making extensions for CSRs and certificates.  Names are put in as
 * data, never through OpenSSL's configuration syntax, in which "a,DNS:b" would be two. */
#ifndef CH_CRYPTO_SAN_H
#define CH_CRYPTO_SAN_H

#include <openssl/x509v3.h>
#include <stddef.h>

#include "base/err.h"

/* type: GEN_DNS or GEN_URI.  CH_EINVAL when value has other characters than such a name has. */
CH_MUST int ch_san_add_text(GENERAL_NAMES *names, int type, const char *value);
/* An IPv4 or IPv6 address in text form.  CH_EINVAL. */
CH_MUST int ch_san_add_ip(GENERAL_NAMES *names, const char *address);
/* "DNS:name" or "IP:address".  CH_EINVAL. */
CH_MUST int ch_san_add(GENERAL_NAMES *names, const char *san);

#endif
