/* The internal CA: identities for mutual TLS between roles (P-256, ECDSA).
 *
 * Two self-signed CAs: the identity CA signs every role (its key is kept offline); the edge CA
 * signs edge identities only and may stay online.  Verifiers accept a role only from the CA
 * that may sign it.  An identity has exactly one URI SAN, certherd://<role>/<scope>/<id>; store
 * certificates are serverAuth with DNS/IP SANs, all others clientAuth only. */
#ifndef CH_CRYPTO_PKI_H
#define CH_CRYPTO_PKI_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Writes key (0600) and certificate (0644) in PEM; refuses to overwrite. */
CH_MUST int ch_pki_create_ca(const char *common_name, int days, const char *key_path,
	const char *cert_path, struct ch_err *err);

struct ch_pki_identity {
	const char *uri;	 /* certherd://role/scope/id */
	int server;		 /* 1: serverAuth with the SANs below; 0: clientAuth */
	const char *const *sans; /* "DNS:name" or "IP:address" */
	size_t n_sans;
	int days;
};
CH_MUST int ch_pki_create_identity(const struct ch_pki_identity *identity,
	const char *ca_key_path, const char *ca_cert_path, const char *key_path,
	const char *cert_path, struct ch_err *err);

/* Splits certherd://role/scope/id; each part 1 … 63 of [a-z0-9._-].  CH_EINVAL. */
#define CH_IDENTITY_PART_B 64
struct ch_identity_uri {
	char role[CH_IDENTITY_PART_B];
	char scope[CH_IDENTITY_PART_B];
	char id[CH_IDENTITY_PART_B];
};
CH_MUST int ch_identity_uri_parse(const char *uri, size_t len, struct ch_identity_uri *ret_uri);

struct ch_pki_cert {
	char uri[3 * CH_IDENTITY_PART_B + 16]; /* "" when there is none, as in a CA's */
	int64_t not_after_s;
	uint8_t sha256[32]; /* of the DER */
};
/* What the first certificate of a PEM file says; nothing is verified. */
CH_MUST int ch_pki_cert_read(
	const char *path, struct ch_pki_cert *ret_cert, struct ch_err *err);

#endif
