/* Whether a certificate that others have issued may be served. */
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/quick.h"
#include "issuerd/adopt.h"
#include "wire/record.h"

CH_DEFINE_CLEANUP(X509 *, X509_free)
CH_DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)

static X509 *read_der(OSSL_LIB_CTX *ctx, const uint8_t *der, size_t len)
{
	const unsigned char *at = der;
	X509 *cert = X509_new_ex(ctx, NULL);

	if (cert && !d2i_X509(&cert, &at, (long)len))
		cert = NULL;
	if (cert && ctx && !X509_get0_pubkey(cert)) {
		X509_free(cert);
		cert = read_der(NULL, der, len);
	}
	ERR_clear_error();
	return cert;
}

/* The last ones: reading a certificate takes longer than all else that is done with it here,
 * and those of issuers are the same again and again. */
static struct {
	uint8_t *der;
	size_t len;
	X509 *cert;
} last[32];
static size_t last_at;
static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER;

static X509 *recall(const uint8_t *der, size_t len)
{
	X509 *cert = NULL;

	pthread_mutex_lock(&last_lock);
	for (size_t i = 0; !cert && i < CH_ARRAY_LEN(last); i++)
		if (last[i].cert && last[i].len == len && memcmp(last[i].der, der, len) == 0) {
			cert = last[i].cert;
			X509_up_ref(cert);
		}
	pthread_mutex_unlock(&last_lock);
	return cert;
}

static void remember(const uint8_t *der, size_t len, X509 *cert)
{
	uint8_t *copy = malloc(len);

	if (!copy)
		return;
	memcpy(copy, der, len);
	X509_up_ref(cert);
	pthread_mutex_lock(&last_lock);
	last_at = (last_at + 1) % CH_ARRAY_LEN(last);
	free(last[last_at].der);
	X509_free(last[last_at].cert);
	last[last_at].der = copy;
	last[last_at].len = len;
	last[last_at].cert = cert;
	pthread_mutex_unlock(&last_lock);
}

static X509 *parse(const uint8_t *der, size_t len)
{
	X509 *cert = recall(der, len);

	if (cert || len == 0 || len > LONG_MAX)
		return cert;
	cert = read_der(ch_quick_ctx(), der, len);
	if (cert)
		remember(der, len, cert);
	return cert;
}

bool ch_adopt_is_ca(const uint8_t *der, size_t len)
{
	CH_CLEANUP(X509_free_p) X509 *cert = parse(der, len);

	return cert && X509_check_ca(cert) != 0;
}

/* Where issuers are looked for, in this order. */
struct bag {
	const struct ch_adopt_pem *from[3];
	size_t n;
};

static bool issued(X509 *cert, const uint8_t *der, size_t len)
{
	CH_CLEANUP(X509_free_p) X509 *issuer = parse(der, len);
	bool is = issuer && X509_check_issued(issuer, cert) == X509_V_OK;

	ERR_clear_error();
	return is;
}

static bool is_self_issued(X509 *cert)
{
	return X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(cert)) == 0;
}

/* The issuer of a certificate; false: none, or a root, which nobody is sent. */
static bool find_issuer(const struct bag *bag, const uint8_t *der, size_t len,
	const uint8_t **ret_der, size_t *ret_len)
{
	CH_CLEANUP(X509_free_p) X509 *cert = parse(der, len);

	if (!cert || is_self_issued(cert))
		return false;
	for (size_t i = 0; i < bag->n; i++)
		for (size_t k = 0; k < bag->from[i]->n_certs; k++) {
			const struct ch_adopt_pem *pem = bag->from[i];
			CH_CLEANUP(X509_free_p) X509 *issuer = NULL;

			if (!issued(cert, pem->der[k], pem->der_len[k]))
				continue;
			issuer = parse(pem->der[k], pem->der_len[k]);
			if (!issuer || is_self_issued(issuer))
				continue;
			*ret_der = pem->der[k];
			*ret_len = pem->der_len[k];
			return true;
		}
	return false;
}

/* Files have certificates in any order, and more than are needed. */
static int build_chain(const struct bag *bag, const uint8_t *leaf, size_t leaf_len,
	struct ch_cert_chain **ret_chain, struct ch_err *err)
{
	const uint8_t *der[1 + CH_CHAIN_CERTS_MAX] = {leaf};
	size_t len[1 + CH_CHAIN_CERTS_MAX] = {leaf_len};
	size_t n = 1;

	while (n <= CH_CHAIN_CERTS_MAX &&
		find_issuer(bag, der[n - 1], len[n - 1], &der[n], &len[n]))
		n++;
	return ch_cert_chain_from_der(der, len, n, ret_chain, err);
}

static int find_leaf(const struct ch_adopt_pem *pem, size_t *ret_i, struct ch_err *err)
{
	for (size_t i = 0; i < pem->n_certs; i++)
		if (!ch_adopt_is_ca(pem->der[i], pem->der_len[i])) {
			*ret_i = i;
			return CH_OK;
		}
	return ch_err_set(err, CH_EPROTO, pem->n_certs ? "cert-usage" : "pem-empty",
		pem->n_certs ? "there is only the certificate of a CA in it"
			     : "there is no certificate in it");
}

static int load_parts(struct ch_adopt *a, unsigned who, const struct ch_adopt_cert *cert,
	struct ch_adopt_pem *pem, struct ch_adopt_pem *chain, struct ch_err *err)
{
	int rc = ch_adopt_pem_read(cert->cert, a->scratch[who], pem, err);

	if (!rc && cert->chain)
		rc = ch_adopt_pem_read(cert->chain, a->scratch[who], chain, err);
	return rc;
}

int ch_adopt_load(struct ch_adopt *a, unsigned who, const struct ch_adopt_cert *cert,
	struct ch_adopt_leaf *ret_leaf, struct ch_err *err)
{
	CH_CLEANUP(ch_adopt_pem_done) struct ch_adopt_pem pem = {.n_certs = 0};
	CH_CLEANUP(ch_adopt_pem_done) struct ch_adopt_pem chain = {.n_certs = 0};
	const struct bag bag = {{&pem, &chain, &a->pool}, cert->folder ? 3 : 2};
	size_t at = 0;
	int rc = load_parts(a, who, cert, &pem, &chain, err);

	ret_leaf->chain = NULL;
	ret_leaf->key = NULL;
	if (!rc)
		rc = find_leaf(&pem, &at, err);
	if (!rc)
		rc = build_chain(&bag, pem.der[at], pem.der_len[at], &ret_leaf->chain, err);
	if (!rc)
		rc = ch_cert_chain_leaf_info(ret_leaf->chain, &ret_leaf->info, err);
	if (rc) {
		ch_adopt_leaf_done(ret_leaf);
		return rc;
	}
	ret_leaf->key = TAKE_PTR(pem.key);
	return CH_OK;
}

static bool signs_for(EVP_PKEY *key, EVP_PKEY *public)
{
	static const unsigned char text[] = "certherd adopt";
	CH_CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *sign = EVP_MD_CTX_new();
	CH_CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *check = EVP_MD_CTX_new();
	unsigned char made[1024];
	size_t len = sizeof(made);
	bool good = sign && check &&
		    EVP_DigestSignInit(sign, NULL, EVP_sha256(), NULL, key) == 1 &&
		    EVP_DigestSign(sign, made, &len, text, sizeof(text)) == 1 &&
		    EVP_DigestVerifyInit(check, NULL, EVP_sha256(), NULL, public) == 1 &&
		    EVP_DigestVerify(check, made, len, text, sizeof(text)) == 1;

	ERR_clear_error();
	return good;
}

/* A file may say another public half than its private one has.  What edges will make of it must
 * sign for the public one; OpenSSL's own check of an RSA key looks whether its factors are
 * primes, and takes fifty times as long. */
static bool is_whole(EVP_PKEY *key)
{
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	EVP_PKEY *again = NULL;
	bool whole;

	/* A kind that cannot be sealed is refused for that, and for nothing before. */
	if (ch_key_to_block(key, &block))
		return true;
	if (ch_key_from_block(ch_secret_bytes(block), ch_secret_len(block), &again))
		return false;
	whole = signs_for(again, key);
	EVP_PKEY_free(again);
	return whole;
}

int ch_adopt_load_key(struct ch_adopt *a, unsigned who, const struct ch_adopt_cert *cert,
	struct ch_adopt_leaf *leaf, struct ch_err *err)
{
	uint8_t spki[CH_SHA256_B];
	int rc = CH_OK;

	if (!leaf->key && !cert->key)
		return ch_err_set(err, CH_ENOTFOUND, "key-missing",
			"no private key was found that belongs to this certificate");
	if (!leaf->key || (cert->key && strcmp(cert->key, cert->cert) != 0)) {
		struct ch_adopt_pem pem = {.n_certs = 0};

		rc = ch_adopt_pem_read(cert->key, a->scratch[who], &pem, err);
		if (rc)
			return rc;
		EVP_PKEY_free(leaf->key);
		leaf->key = TAKE_PTR(pem.key);
		ch_adopt_pem_done(&pem);
	}
	if (!leaf->key)
		return ch_err_set(err, CH_ENOTFOUND, "key-missing",
			"%s has no private key in it", cert->key);
	rc = ch_key_spki_sha256(leaf->key, spki);
	if (rc || memcmp(spki, leaf->info.spki_sha256, sizeof(spki)) != 0)
		return ch_err_set(err, CH_EAUTH, "key-mismatch",
			"the private key in %s is not that of the certificate",
			cert->key ? cert->key : cert->cert);
	if (!is_whole(leaf->key))
		return ch_err_set(err, CH_EAUTH, "key-mismatch",
			"the private key in %s is damaged: its halves do not belong together",
			cert->key ? cert->key : cert->cert);
	leaf->rsa = EVP_PKEY_get_base_id(leaf->key) == EVP_PKEY_RSA;
	return CH_OK;
}

bool ch_adopt_is_rsa(const struct ch_adopt_leaf *leaf)
{
	CH_CLEANUP(X509_free_p) X509 *cert = NULL;
	const uint8_t *der;
	size_t len;

	ch_cert_chain_der(leaf->chain, 0, &der, &len);
	cert = parse(der, len);
	return cert && X509_get0_pubkey(cert) &&
	       EVP_PKEY_get_base_id(X509_get0_pubkey(cert)) == EVP_PKEY_RSA;
}

static bool is_self_signed(const struct ch_adopt_leaf *leaf)
{
	CH_CLEANUP(X509_free_p) X509 *cert = NULL;
	const uint8_t *der;
	size_t len;

	ch_cert_chain_der(leaf->chain, 0, &der, &len);
	cert = parse(der, len);
	return cert && is_self_issued(cert);
}

static int judge_dates(
	const struct ch_adopt *a, const struct ch_cert_info *info, struct ch_err *err)
{
	int64_t left_s = info->not_after_s - ch_now_ms() / CH_SECOND_MS;
	char when[CH_TIME_STR_B];

	ch_time_str(info->not_after_s * CH_SECOND_MS, when);
	if (left_s <= 0)
		return ch_err_set(err, CH_EPROTO, "expired", "it ended at %s", when);
	if (left_s < a->least_left_s)
		return ch_err_set(err, CH_EPROTO, "ends-soon",
			"it ends at %s, sooner than --min-days says", when);
	return CH_OK;
}

int ch_adopt_judge(struct ch_adopt *a, const struct ch_adopt_leaf *leaf, struct ch_err *err)
{
	const char *names[CH_CERT_NAMES_MAX];
	const struct ch_cert_expect expect = {.spki_sha256 = leaf->info.spki_sha256,
		.names = names,
		.n_names = leaf->info.n_names,
		.now_s = ch_now_ms() / CH_SECOND_MS,
		.trust = a->roots};
	int rc = judge_dates(a, &leaf->info, err);

	if (rc)
		return rc;
	if (is_self_signed(leaf))
		return ch_err_set(err, CH_EPROTO, "self-signed", "it is signed by its own key");
	if (!leaf->info.n_names)
		return ch_err_set(err, CH_EPROTO, "cert-names",
			"it has no domain name as a subjectAltName");
	for (size_t i = 0; i < leaf->info.n_names; i++)
		names[i] = leaf->info.names[i];
	rc = ch_cert_chain_check(leaf->chain, &expect, err);
	if (rc && strcmp(err->problem, "cert-chain") == 0 &&
		ch_cert_chain_len(leaf->chain) == 1)
		return ch_err_set(err, rc, "chain-incomplete",
			"the certificate of its issuer is not in the file and does not follow "
			"from "
			"what is trusted: give the full chain (fullchain.pem)");
	return rc;
}

void ch_adopt_leaf_done(struct ch_adopt_leaf *leaf)
{
	ch_cert_chain_free(leaf->chain);
	EVP_PKEY_free(leaf->key);
	leaf->chain = NULL;
	leaf->key = NULL;
}
