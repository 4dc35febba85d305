#include "fastsign.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/mem.h"

struct fast_signer {
	EC_GROUP *group;
	EC_POINT *at; /* nonce times the generator */
	BIGNUM *nonce;
	BIGNUM *key;
	BN_CTX *ctx;
};

void fast_signer_free(struct fast_signer *signer)
{
	if (!signer)
		return;
	EC_POINT_free(signer->at);
	EC_GROUP_free(signer->group);
	BN_free(signer->nonce);
	BN_free(signer->key);
	BN_CTX_free(signer->ctx);
	free(signer);
}

struct fast_signer *fast_signer_new(EVP_PKEY *key)
{
	struct fast_signer *signer = calloc(1, sizeof(*signer));

	if (!signer)
		return NULL;
	signer->group = EC_GROUP_new_by_curve_name(NID_secp384r1);
	signer->at = signer->group ? EC_POINT_new(signer->group) : NULL;
	signer->nonce = BN_new();
	signer->ctx = BN_CTX_new();
	if (signer->at && signer->nonce && signer->ctx &&
		EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &signer->key) == 1 &&
		BN_rand_range(signer->nonce, EC_GROUP_get0_order(signer->group)) == 1 &&
		EC_POINT_mul(
			signer->group, signer->at, signer->nonce, NULL, NULL, signer->ctx) == 1)
		return signer;
	fast_signer_free(signer);
	return NULL;
}

/* SEC 1 section 4.1.3.  r and s are to be freed by the caller. */
static bool compute(
	struct fast_signer *signer, const unsigned char *digest, int len, BIGNUM *r, BIGNUM *s)
{
	const BIGNUM *order = EC_GROUP_get0_order(signer->group);
	BIGNUM *inverse = BN_new();
	BIGNUM *z = BN_bin2bn(digest, len, NULL);
	bool good = inverse && z && BN_add_word(signer->nonce, 1) == 1 &&
		    EC_POINT_add(signer->group, signer->at, signer->at,
			    EC_GROUP_get0_generator(signer->group), signer->ctx) == 1 &&
		    EC_POINT_get_affine_coordinates(
			    signer->group, signer->at, r, NULL, signer->ctx) == 1 &&
		    BN_nnmod(r, r, order, signer->ctx) == 1 &&
		    BN_mod_inverse(inverse, signer->nonce, order, signer->ctx) &&
		    BN_mod_mul(s, r, signer->key, order, signer->ctx) == 1 &&
		    BN_mod_add(s, s, z, order, signer->ctx) == 1 &&
		    BN_mod_mul(s, s, inverse, order, signer->ctx) == 1;

	BN_free(inverse);
	BN_free(z);
	return good;
}

static int sign_digest(struct fast_signer *signer, const unsigned char *digest, int len,
	unsigned char **ret_der)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_new();
	BIGNUM *s = BN_new();
	int der_len = -1;

	if (sig && r && s && compute(signer, digest, len, r, s) &&
		ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL;
		der_len = i2d_ECDSA_SIG(sig, ret_der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return der_len;
}

bool fast_sign(struct fast_signer *signer, X509 *x509)
{
	const ASN1_BIT_STRING *bits;
	const X509_ALGOR *outer;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned char *tbs = NULL;
	unsigned char *der = NULL;
	unsigned digest_len;
	int len;
	int der_len = -1;

	/* There is no other way to a signature that was not made by X509_sign. */
	X509_get0_signature(&bits, &outer, x509);
	X509_ALGOR_set0(
		(X509_ALGOR *)outer, OBJ_nid2obj(NID_ecdsa_with_SHA256), V_ASN1_UNDEF, NULL);
	X509_ALGOR_set0((X509_ALGOR *)X509_get0_tbs_sigalg(x509),
		OBJ_nid2obj(NID_ecdsa_with_SHA256), V_ASN1_UNDEF, NULL);
	len = i2d_re_X509_tbs(x509, &tbs);
	if (len > 0 &&
		EVP_Digest(tbs, (size_t)len, digest, &digest_len, EVP_sha256(), NULL) == 1)
		der_len = sign_digest(signer, digest, (int)digest_len, &der);
	OPENSSL_free(tbs);
	if (der_len <= 0)
		return false;
	ASN1_STRING_set0((ASN1_STRING *)bits, der, der_len);
	((ASN1_STRING *)bits)->flags = ASN1_STRING_FLAG_BITS_LEFT;
	return true;
}
