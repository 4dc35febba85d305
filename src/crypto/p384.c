#include "crypto/p384.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <string.h>

#include "crypto/keys.h"
#include "crypto/ossl.h"

#define SCALAR_B 48
#define POINT_B (1 + 2 * SCALAR_B)

CH_DEFINE_CLEANUP(EC_POINT *, EC_POINT_free)
CH_DEFINE_CLEANUP(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
CH_DEFINE_CLEANUP(OSSL_PARAM *, OSSL_PARAM_free)

int ch_key_generate_p384(EVP_PKEY **ret_key)
{
	EVP_PKEY *key = EVP_EC_gen("P-384");

	if (!key)
		return ch_ossl_fail(CH_ECRYPTO);
	*ret_key = key;
	return CH_OK;
}

bool ch_p384_is(EVP_PKEY *key)
{
	char group[32];

	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) &&
	       (strcmp(group, "secp384r1") == 0 || strcmp(group, "P-384") == 0);
}

int ch_p384_to_block(EVP_PKEY *key, struct ch_secret **ret_block)
{
	CH_CLEANUP(BN_clear_free_p) BIGNUM *d = NULL;
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	int rc;

	if (!ch_p384_is(key))
		return ch_ossl_fail(CH_EUNSUPPORTED);
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &d) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	rc = ch_secret_new(CH_KEY_BLOCK_P384_B, &block);
	if (rc)
		return rc;
	ch_secret_bytes(block)[0] = CH_KEY_BLOCK_P384;
	if (BN_bn2binpad(d, ch_secret_bytes(block) + 1, SCALAR_B) != SCALAR_B)
		return ch_ossl_fail(CH_ECRYPTO);
	*ret_block = TAKE_PTR(block);
	return CH_OK;
}

/* The scalar is a number of secure memory: the parameters that are made of it are wiped. */
static int make_key(const BIGNUM *d, const uint8_t point[POINT_B], EVP_PKEY **ret_key)
{
	CH_CLEANUP(OSSL_PARAM_BLD_free_p) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	CH_CLEANUP(OSSL_PARAM_free_p) OSSL_PARAM *params = NULL;
	CH_CLEANUP(EVP_PKEY_CTX_free_p)
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	if (!build || !ctx ||
		OSSL_PARAM_BLD_push_utf8_string(
			build, OSSL_PKEY_PARAM_GROUP_NAME, "secp384r1", 0) != 1 ||
		OSSL_PARAM_BLD_push_octet_string(
			build, OSSL_PKEY_PARAM_PUB_KEY, point, POINT_B) != 1 ||
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, d) != 1)
		return ch_ossl_fail(CH_ENOMEM);
	params = OSSL_PARAM_BLD_to_param(build);
	if (!params || EVP_PKEY_fromdata_init(ctx) <= 0 ||
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) <= 0)
		return ch_ossl_fail(CH_ECRYPTO);
	*ret_key = key;
	return CH_OK;
}

int ch_p384_from_block(const uint8_t *block, size_t len, EVP_PKEY **ret_key)
{
	const struct ch_ossl *ossl = ch_ossl();
	const EC_GROUP *group = ossl ? ossl->p384_group : NULL;
	CH_CLEANUP(EC_POINT_free_p) EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	CH_CLEANUP(BN_clear_free_p) BIGNUM *d = BN_secure_new();
	uint8_t octets[POINT_B];
	int rc;

	if (!group)
		return CH_EUNSUPPORTED;
	if (len != CH_KEY_BLOCK_P384_B)
		return CH_ECRYPTO;
	rc = ch_ec_multiply(group, block + 1, SCALAR_B, d, point);
	if (rc)
		return rc == CH_EINVAL ? CH_ECRYPTO : rc;
	if (EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, octets, POINT_B,
		    NULL) != POINT_B)
		return ch_ossl_fail(CH_ECRYPTO);
	return make_key(d, octets, ret_key);
}
