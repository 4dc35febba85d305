#include "crypto/pair.h"

#include <string.h>

#include "crypto/ossl.h"

static int parse(OSSL_LIB_CTX *ctx, const uint8_t *der, size_t len, X509 **ret_leaf)
{
	CH_CLEANUP(X509_free_p) X509 *leaf = X509_new_ex(ctx, NULL);
	const uint8_t *at = der;

	if (!leaf)
		return ch_ossl_fail(CH_ENOMEM);
	/* On failure OpenSSL frees what it was given. */
	if (!d2i_X509(&leaf, &at, (long)len))
		return ch_ossl_fail(CH_EPROTO);
	if (at != der + len)
		return CH_EPROTO;
	*ret_leaf = TAKE_PTR(leaf);
	return CH_OK;
}

int ch_pair_parse(const uint8_t *der, size_t len, X509 **ret_leaf)
{
	const struct ch_ossl *ossl = ch_ossl();

	return ossl ? parse(ossl->bare, der, len, ret_leaf) : CH_EUNSUPPORTED;
}

int ch_pair_spki_sha256(X509 *leaf, uint8_t ret_digest[CH_SHA256_B])
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
	int rc;

	if (len <= 0)
		return ch_ossl_fail(CH_ECRYPTO);
	rc = ch_sha256(der, (size_t)len, ret_digest);
	OPENSSL_free(der);
	return rc;
}

/* NULL: it has none, it is no P-256 key or is compressed. */
static const uint8_t *p256_point(X509 *leaf)
{
	const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(leaf);
	ASN1_OBJECT *kind = NULL;
	const void *curve = NULL;
	int curve_type = V_ASN1_UNDEF;
	X509_ALGOR *algorithm = NULL;

	if (X509_PUBKEY_get0_param(&kind, NULL, NULL, &algorithm, X509_get_X509_PUBKEY(leaf)) !=
		1)
		return NULL;
	X509_ALGOR_get0(NULL, &curve_type, &curve, algorithm);
	if (OBJ_obj2nid(kind) != NID_X9_62_id_ecPublicKey || curve_type != V_ASN1_OBJECT ||
		OBJ_obj2nid(curve) != NID_X9_62_prime256v1)
		return NULL;
	return bits && ASN1_STRING_length(bits) == 65 ? ASN1_STRING_get0_data(bits) : NULL;
}

int ch_pair_key(X509 *leaf, const uint8_t *block, size_t len, bool sure, EVP_PKEY **ret_key)
{
	const uint8_t *point = p256_point(leaf);
	int rc;

	if (!point || len != CH_KEY_BLOCK_B || block[0] != CH_KEY_BLOCK_P256)
		return ch_key_from_block(block, len, ret_key);
	rc = ch_p256_from_halves(block + 1, point, sure, ret_key);
	return rc == CH_EINVAL ? CH_ECRYPTO : rc;
}

/* The key says the same as the certificate, byte by byte: in its place nothing changes. */
static int same_spki(X509 *leaf, EVP_PKEY *key)
{
	unsigned char *der = NULL;
	uint8_t spki[CH_P256_SPKI_B];
	int len;
	int rc = ch_p256_spki(key, spki);

	if (rc)
		return rc;
	len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
	if (len <= 0)
		return ch_ossl_fail(CH_ECRYPTO);
	rc = len == sizeof(spki) && memcmp(der, spki, sizeof(spki)) == 0 ? CH_OK : CH_EAUTH;
	OPENSSL_free(der);
	return rc;
}

static int share(X509 *leaf, EVP_PKEY *key)
{
	int rc = same_spki(leaf, key);

	if (rc)
		return rc;
	if (X509_set_pubkey(leaf, key) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	/* Read once and kept: without a digest for the fingerprint, which a server does not
	 * need, OpenSSL complains, and at a handshake that would count as a TLS error. */
	ERR_set_mark();
	(void)X509_get_extension_flags(leaf);
	ERR_pop_to_mark();
	return CH_OK;
}

int ch_pair_join(X509 **leaf, const uint8_t *der, size_t len, EVP_PKEY *key)
{
	X509 *whole;
	int rc;

	/* A key of a provider, an RSA key say, is copied by way of its encoder: slower than to
	 * parse again.  And a certificate may have its point compressed. */
	if (!EVP_PKEY_get0_provider(key) && share(*leaf, key) == CH_OK)
		return CH_OK;
	rc = parse(NULL, der, len, &whole);
	if (rc)
		return rc;
	if (X509_check_private_key(whole, key) != 1) {
		X509_free(whole);
		return ch_ossl_fail(CH_EAUTH);
	}
	X509_free(*leaf);
	*leaf = whole;
	return CH_OK;
}
