/* CSRs, and the checks on certificates that a CA gave us. */
#ifndef CH_CRYPTO_X509_H
#define CH_CRYPTO_X509_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CH_CERT_NAMES_MAX 100

/* Appends a DER CSR: empty subject, names in the SAN only, signed with key (P-256 or
 * RSA). */
CH_MUST int ch_csr_make(
	EVP_PKEY *key, const char *const *names, size_t n_names, struct ch_buf *out);
/* SHA-256 of the CSR's SubjectPublicKeyInfo as it stands there; nothing else is judged. */
CH_MUST int ch_csr_spki_sha256(const uint8_t *der, size_t len, uint8_t ret_digest[32]);

struct ch_cert_chain; /* a leaf and its intermediates, parsed; owns them */
/* From PEM as an ACME server sends it (application/pem-certificate-chain); at most 9
 * certificates of at most 8 KiB DER.  CH_EPROTO with a reason. */
CH_MUST int ch_cert_chain_parse_pem(
	const char *pem, size_t len, struct ch_cert_chain **ret_chain, struct ch_err *err);
/* From DER, leaf first. */
CH_MUST int ch_cert_chain_from_der(const uint8_t *const *der, const size_t *len, size_t n,
	struct ch_cert_chain **ret_chain, struct ch_err *err);
void ch_cert_chain_free(struct ch_cert_chain *chain);
/* Whether a certificate of it was issued by one of that common name. */
bool ch_cert_chain_has_issuer(const struct ch_cert_chain *chain, const char *common_name);
size_t ch_cert_chain_len(const struct ch_cert_chain *chain);
/* DER of certificate i (0 = leaf); borrowed from chain. */
void ch_cert_chain_der(
	const struct ch_cert_chain *chain, size_t i, const uint8_t **ret_der, size_t *ret_len);

struct ch_cert_info {
	int64_t not_before_s;
	int64_t not_after_s;
	char serial[80];  /* hex, lower case */
	char issuer[256]; /* one line, RFC 2253 */
	uint8_t spki_sha256[32];
	char key[8]; /* "ecdsa" (P-256), "p384", "rsa"; "": another kind */
	char names[CH_CERT_NAMES_MAX][254]; /* DNS SANs, lower-cased */
	size_t n_names;
};
/* Large (25 KB): keep it off small stacks. */
CH_MUST int ch_cert_info_der(
	const uint8_t *der, size_t len, struct ch_cert_info *ret_info, struct ch_err *err);
/* The same of a chain's leaf. */
CH_MUST int ch_cert_chain_leaf_info(
	const struct ch_cert_chain *chain, struct ch_cert_info *ret_info, struct ch_err *err);
/* True when the SANs cover name (one-label wildcards as in RFC 6125). */
int ch_cert_covers(const struct ch_cert_info *info, const char *name);

struct ch_trust; /* roots that "the chain builds" is judged against */
/* "system" (the distribution's CA bundle), "any" (the chain must only be consistent in itself:
 * each certificate signed by the next), or the path of a PEM file. */
CH_MUST int ch_trust_load(const char *where, struct ch_trust **ret_trust, struct ch_err *err);
void ch_trust_free(struct ch_trust *trust);

struct ch_cert_expect {
	const uint8_t *spki_sha256; /* of the CSR */
	const char *const *names;   /* all of these, and no others */
	size_t n_names;
	int64_t now_s;
	const struct ch_trust *trust;
};
/* All the checks before publication: key, names, validity around now (an hour of slack for
 * notBefore), serverAuth usage, not a CA, chain builds.  The error's problem is one of
 * cert-key, cert-names, cert-dates, cert-usage, cert-chain. */
CH_MUST int ch_cert_chain_check(const struct ch_cert_chain *chain,
	const struct ch_cert_expect *expect, struct ch_err *err);

#endif
