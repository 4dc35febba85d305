/* Certificates that are read over and over. */
#ifndef CH_CRYPTO_QUICK_H
#define CH_CRYPTO_QUICK_H

#include <openssl/crypto.h>

/* A context like the default one, with OpenSSL's own algorithms, in which a certificate is read
 * in less than half the time: of the decoders it has only those of the kinds of keys that
 * certificates have (EC, RSA, RSA-PSS, Ed25519), and of the kinds of keys only those and what
 * TLS needs (X25519, X448, DH, HMAC).  OpenSSL before 3.2 asks each decoder that there is, for
 * each certificate, whether it can be of use to any kind of key that there is.  Shared by all
 * threads and never freed.  NULL, the default context, where that costs nothing or where it
 * cannot be had. */
OSSL_LIB_CTX *ch_quick_ctx(void);

#endif
