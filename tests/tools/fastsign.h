/* ECDSA for a great many certificates of a test CA, several times as fast as OpenSSL's with
 * P-384: each nonce is the one before it and one.  Whoever sees two of the signatures can
 * compute the key, which must be worth nothing. */
#ifndef CH_TESTS_FASTSIGN_H
#define CH_TESTS_FASTSIGN_H

#include <openssl/x509.h>
#include <stdbool.h>

struct fast_signer;

/* For one thread.  key: P-384; borrowed.  NULL when OpenSSL fails. */
struct fast_signer *fast_signer_new(EVP_PKEY *key);
void fast_signer_free(struct fast_signer *signer);
/* As X509_sign with SHA-256 does. */
bool fast_sign(struct fast_signer *signer, X509 *x509);

#endif
