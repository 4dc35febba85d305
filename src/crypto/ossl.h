/* Inside src/crypto only: OpenSSL's cleanup attributes, its error queue, methods fetched once.
 */
#ifndef CH_CRYPTO_OSSL_H
#define CH_CRYPTO_OSSL_H

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

CH_DEFINE_CLEANUP(BIO *, BIO_free_all)
CH_DEFINE_CLEANUP(BIGNUM *, BN_clear_free)
CH_DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)
CH_DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
CH_DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
CH_DEFINE_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free)
CH_DEFINE_CLEANUP(X509 *, X509_free)
CH_DEFINE_CLEANUP(X509_REQ *, X509_REQ_free)

/* Fetching by name takes locks and walks tables: too slow for each handshake.  These are shared
 * by all threads, never changed and never freed. */
struct ch_ossl {
	EVP_MD *sha256;
	EVP_CIPHER *aes_256_gcm;
	/* Only to be duplicated, or to make a key after it. */
	EVP_PKEY *p256; /* the curve's parameters without a key */
	EC_GROUP *p256_group;
	EC_GROUP *p384_group;
	EVP_PKEY *x25519; /* some public key */
	/* OpenSSL's own, but not its default: with that, it would copy the key to a provider
	 * before the first signature, which takes longer than the signature and doubles its
	 * memory. */
	EC_KEY_METHOD *own_ec;
	OSSL_LIB_CTX *bare; /* has no algorithm at all; crypto/pair.c */
};
/* NULL when OpenSSL lacks one of them. */
const struct ch_ossl *ch_ossl(void);

/* Drops what OpenSSL queued and returns rc: a queue left behind would be taken for a TLS error
 * by nginx and curl, which use the same library. */
static inline int ch_ossl_fail(int rc)
{
	ERR_clear_error();
	return rc;
}
/* The same with *err filled: "what: OpenSSL's reason". */
int ch_ossl_err(struct ch_err *err, int rc, const char *problem, const char *what);

/* The uncompressed point of a P-256 key, whatever form it was read from.  CH_EUNSUPPORTED for
 * any other kind of key. */
CH_MUST int ch_p256_point(EVP_PKEY *key, uint8_t ret_point[65]);
/* The DER SubjectPublicKeyInfo with that point; errors as ch_p256_point. */
#define CH_P256_SPKI_B 91
CH_MUST int ch_p256_spki(EVP_PKEY *key, uint8_t ret_der[CH_P256_SPKI_B]);
/* A P-256 public key from an uncompressed point; refuses points that are not on the curve. */
CH_MUST int ch_p256_from_point(const uint8_t point[65], EVP_PKEY **ret_key);
/* A P-256 key pair; the two halves are not compared. */
CH_MUST int ch_p256_from_pair(
	const uint8_t scalar[32], const uint8_t point[65], EVP_PKEY **ret_key);
/* A P-256 key pair for signing, of the kind that OpenSSL made before it had providers (an
 * EC_KEY): a certificate can share it, crypto/pair.h.  CH_EINVAL as ch_p256_public. */
CH_MUST int ch_p256_from_scalar(const uint8_t scalar[32], EVP_PKEY **ret_key);
/* The same with the public half as the uncompressed point of a certificate: cheaper, and no
 * multiplication at all when the caller is sure that it belongs to the scalar.  CH_EAUTH: it
 * does not; CH_ECRYPTO: it is not on the curve. */
CH_MUST int ch_p256_from_halves(
	const uint8_t scalar[32], const uint8_t octets[65], bool sure, EVP_PKEY **ret_key);
/* d × G, d read from the scalar.  CH_EINVAL when it is 0 or not below the order; CH_ENOMEM also
 * when d or point is NULL. */
CH_MUST int ch_ec_multiply(
	const EC_GROUP *group, const uint8_t *scalar, size_t len, BIGNUM *d, EC_POINT *point);
/* scalar × G.  CH_EINVAL when the scalar is 0 or not below the order. */
CH_MUST int ch_p256_public(const uint8_t scalar[32], uint8_t ret_point[65]);
CH_MUST int ch_p256_scalar(EVP_PKEY *key, uint8_t ret_scalar[32]);

#endif
