#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypto/cert.h"
#include "crypto/ossl.h"

struct ch_trust {
	X509_STORE *store; /* NULL: any */
};

CH_DEFINE_CLEANUP(X509_STORE_CTX *, X509_STORE_CTX_free)
CH_DEFINE_CLEANUP(struct ch_trust *, ch_trust_free)

typedef STACK_OF(X509) certificates;

static void certificates_free(certificates *list)
{
	sk_X509_pop_free(list, X509_free);
}
CH_DEFINE_CLEANUP(certificates *, certificates_free)

static const char *const system_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian: ca-certificates */
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

static const char *system_bundle(void)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(system_bundles); i++)
		if (access(system_bundles[i], R_OK) == 0)
			return system_bundles[i];
	return system_bundles[0];
}

int ch_trust_load(const char *where, struct ch_trust **ret_trust, struct ch_err *err)
{
	CH_CLEANUP(ch_trust_free_p) struct ch_trust *trust = calloc(1, sizeof(*trust));
	int system = strcmp(where, "system") == 0;
	const char *path = system ? system_bundle() : where;

	if (!trust)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (strcmp(where, "any") != 0) {
		trust->store = X509_STORE_new();
		if (!trust->store || X509_STORE_load_file(trust->store, path) != 1) {
			(void)ch_ossl_fail(CH_EINVAL);
			return ch_err_set(err, CH_EINVAL, "trust-load",
				"cannot read trusted certificates from %s%s", path,
				system ? ": is the package ca-certificates installed?" : "");
		}
	}
	*ret_trust = TAKE_PTR(trust);
	return CH_OK;
}

void ch_trust_free(struct ch_trust *trust)
{
	if (!trust)
		return;
	X509_STORE_free(trust->store);
	free(trust);
}

/* OpenSSL has verified what follows one another in a path that it found. */
static bool was_verified(const certificates *path, int at, const X509 *cert, const X509 *issuer)
{
	return path && at + 1 < sk_X509_num(path) &&
	       X509_cmp(sk_X509_value(path, at), cert) == 0 &&
	       X509_cmp(sk_X509_value(path, at + 1), issuer) == 0;
}

/* The order of RFC 8555 section 9.1, each certificate signed by the one after it.  path: found
 * for this chain, or NULL; a signature of P-384 takes half a millisecond to verify. */
static int check_links(
	const struct ch_cert_chain *chain, const certificates *path, struct ch_err *err)
{
	for (size_t i = 0; i + 1 < chain->n; i++) {
		X509 *cert = chain->list[i].x509;
		X509 *issuer = chain->list[i + 1].x509;
		EVP_PKEY *key = X509_get0_pubkey(issuer);

		if (X509_check_issued(issuer, cert) != X509_V_OK ||
			X509_check_ca(issuer) != 1 || !key ||
			(!was_verified(path, (int)i, cert, issuer) &&
				X509_verify(cert, key) != 1)) {
			(void)ch_ossl_fail(CH_EPROTO);
			return ch_err_set(err, CH_EPROTO, "cert-chain",
				"certificate %zu of the chain is not signed by the next one",
				i + 1);
		}
	}
	return CH_OK;
}

static STACK_OF(X509) * intermediates(const struct ch_cert_chain *chain)
{
	STACK_OF(X509) *list = sk_X509_new_null();

	for (size_t i = 1; i < chain->n && list; i++) {
		if (sk_X509_push(list, chain->list[i].x509) <= 0) {
			sk_X509_free(list);
			return NULL;
		}
	}
	return list;
}

static int find_path(X509_STORE *store, const struct ch_cert_chain *chain, int64_t at_s,
	certificates **ret_path, struct ch_err *err)
{
	CH_CLEANUP(X509_STORE_CTX_free_p) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *untrusted = intermediates(chain);
	int ok = ctx && untrusted &&
		 X509_STORE_CTX_init(ctx, store, chain->list[0].x509, untrusted) == 1 &&
		 X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER) == 1;

	if (!ok) {
		sk_X509_free(untrusted);
		return ch_ossl_err(err, CH_ECRYPTO, "cert-chain", "cannot check the chain");
	}
	X509_STORE_CTX_set_time(ctx, 0, (time_t)at_s);
	ok = X509_verify_cert(ctx) == 1;
	sk_X509_free(untrusted);
	(void)ch_ossl_fail(CH_EPROTO);
	if (ok) {
		*ret_path = X509_STORE_CTX_get1_chain(ctx);
		return CH_OK;
	}
	return ch_err_set(err, CH_EPROTO, "cert-chain",
		"the chain does not lead to a trusted root: %s (certificate %d)",
		X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)),
		X509_STORE_CTX_get_error_depth(ctx) + 1);
}

int ch_trust_check(const struct ch_trust *trust, const struct ch_cert_chain *chain,
	int64_t at_s, struct ch_err *err)
{
	CH_CLEANUP(certificates_free_p) certificates *path = NULL;
	struct ch_err path_err = {0};
	int path_rc =
		trust->store ? find_path(trust->store, chain, at_s, &path, &path_err) : CH_OK;
	/* What is sent to visitors must be in order, whatever path could be found through it.
	 */
	int rc = check_links(chain, path, err);

	if (rc || !path_rc)
		return rc;
	if (err)
		*err = path_err;
	return path_rc;
}
