/* The extensions, and so the size, of certificates from a public CA (as Let's Encrypt's of
 * 2026): two SCTs, AIA, CRL distribution point, policy, key identifiers.  No OCSP. */
#ifndef CH_TESTS_SHAPE_H
#define CH_TESTS_SHAPE_H

#include <openssl/x509.h>
#include <stdbool.h>

/* All extensions of a leaf.  san: as in openssl.cnf.  issuer needs a key identifier.  The SCTs
 * are well-formed, and by no log.  False when OpenSSL fails. */
bool shape_leaf(X509 *x509, X509 *issuer, const char *san);
/* All extensions of a CA certificate; issuer: itself for a root. */
bool shape_authority(X509 *x509, X509 *issuer);
/* What an authority has before its common name. */
bool shape_subject(X509 *x509);
bool shape_serial(X509 *x509);

#endif
