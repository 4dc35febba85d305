/* EC_KEY is out of fashion, not gone: ch_p256_from_scalar. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/params.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/keys.h"
#include "crypto/ossl.h"

CH_DEFINE_CLEANUP(EC_POINT *, EC_POINT_free)
CH_DEFINE_CLEANUP(EC_KEY *, EC_KEY_free)

static int is_p256(EVP_PKEY *key)
{
	char group[32];

	return EVP_PKEY_is_a(key, "EC") &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) &&
	       (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0);
}

static int to_octets(const EC_GROUP *group, const EC_POINT *point, uint8_t ret_point[65])
{
	if (EC_POINT_point2oct(
		    group, point, POINT_CONVERSION_UNCOMPRESSED, ret_point, 65, NULL) != 65)
		return ch_ossl_fail(CH_ECRYPTO);
	return CH_OK;
}

/* Of the kind that ch_p256_from_scalar makes: OpenSSL does not tell its coordinates. */
static int point_of_pair(EVP_PKEY *key, uint8_t ret_point[65])
{
	const EC_KEY *pair = EVP_PKEY_get0_EC_KEY(key);
	const EC_POINT *point = pair ? EC_KEY_get0_public_key(pair) : NULL;

	return point ? to_octets(EC_KEY_get0_group(pair), point, ret_point)
		     : ch_ossl_fail(CH_ECRYPTO);
}

/* By coordinates: the encoded form would be compressed for a key that was read compressed. */
int ch_p256_point(EVP_PKEY *key, uint8_t ret_point[65])
{
	CH_CLEANUP(BN_clear_free_p) BIGNUM *x = NULL;
	CH_CLEANUP(BN_clear_free_p) BIGNUM *y = NULL;

	if (!is_p256(key))
		return ch_ossl_fail(CH_EUNSUPPORTED);
	if (!EVP_PKEY_get0_provider(key))
		return point_of_pair(key, ret_point);
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) != 1 ||
		EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) != 1 ||
		BN_bn2binpad(x, ret_point + 1, 32) != 32 ||
		BN_bn2binpad(y, ret_point + 33, 32) != 32)
		return ch_ossl_fail(CH_ECRYPTO);
	ret_point[0] = POINT_CONVERSION_UNCOMPRESSED;
	return CH_OK;
}

int ch_p256_from_point(const uint8_t point[65], EVP_PKEY **ret_key)
{
	const struct ch_ossl *ossl = ch_ossl();
	CH_AUTO_PKEY EVP_PKEY *key = NULL;

	if (point[0] != POINT_CONVERSION_UNCOMPRESSED)
		return CH_ECRYPTO;
	if (!ossl)
		return CH_EUNSUPPORTED;
	key = EVP_PKEY_dup(ossl->p256);
	/* Refuses what is not on the curve (EC_POINT_oct2point); with the cofactor 1 of P-256
	 * that is all of SP 800-56A's validation, as the encoding excludes infinity. */
	if (!key || EVP_PKEY_set1_encoded_public_key(key, point, 65) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	*ret_key = TAKE_PTR(key);
	return CH_OK;
}

/* OSSL_PARAM integers are in the machine's byte order. */
static void to_native(const uint8_t in[32], uint8_t out[32])
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	for (int i = 0; i < 32; i++)
		out[i] = in[31 - i];
#else
	memcpy(out, in, 32);
#endif
}

int ch_p256_from_pair(const uint8_t scalar[32], const uint8_t point[65], EVP_PKEY **ret_key)
{
	CH_CLEANUP(EVP_PKEY_CTX_free_p)
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	char group[] = "prime256v1";
	uint8_t native[32];
	EVP_PKEY *key = NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, 65),
		OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native, sizeof(native)),
		OSSL_PARAM_construct_end()};
	int ok;

	if (point[0] != POINT_CONVERSION_UNCOMPRESSED || !ctx)
		return ch_ossl_fail(CH_ECRYPTO);
	to_native(scalar, native);
	ok = EVP_PKEY_fromdata_init(ctx) > 0 &&
	     EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) > 0;
	ch_wipe(native, sizeof(native));
	if (!ok)
		return ch_ossl_fail(CH_ECRYPTO);
	*ret_key = key;
	return CH_OK;
}

static int read_scalar(const EC_GROUP *group, const uint8_t *scalar, size_t len, BIGNUM *d)
{
	if (!d || !BN_bin2bn(scalar, (int)len, d))
		return ch_ossl_fail(CH_ENOMEM);
	BN_set_flags(d, BN_FLG_CONSTTIME);
	return BN_is_zero(d) || BN_cmp(d, EC_GROUP_get0_order(group)) >= 0 ? CH_EINVAL : CH_OK;
}

static int multiply(const EC_GROUP *group, const BIGNUM *d, EC_POINT *point)
{
	return EC_POINT_mul(group, point, d, NULL, NULL, NULL) == 1 ? CH_OK
								    : ch_ossl_fail(CH_ECRYPTO);
}

int ch_ec_multiply(
	const EC_GROUP *group, const uint8_t *scalar, size_t len, BIGNUM *d, EC_POINT *point)
{
	int rc = point ? read_scalar(group, scalar, len, d) : CH_ENOMEM;

	return rc ? rc : multiply(group, d, point);
}

int ch_p256_public(const uint8_t scalar[32], uint8_t ret_point[65])
{
	const struct ch_ossl *ossl = ch_ossl();
	const EC_GROUP *group = ossl ? ossl->p256_group : NULL;
	CH_CLEANUP(EC_POINT_free_p) EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	CH_CLEANUP(BN_clear_free_p) BIGNUM *d = BN_secure_new();
	int rc;

	if (!group)
		return CH_EUNSUPPORTED;
	rc = ch_ec_multiply(group, scalar, 32, d, point);
	return rc ? rc : to_octets(group, point, ret_point);
}

static int make_signer(
	const EC_GROUP *group, const BIGNUM *d, const EC_POINT *public_half, EVP_PKEY **ret_key)
{
	const struct ch_ossl *ossl = ch_ossl();
	CH_CLEANUP(EC_KEY_free_p) EC_KEY *pair = EC_KEY_new();
	CH_AUTO_PKEY EVP_PKEY *key = EVP_PKEY_new();

	if (!ossl || !pair || !key || EC_KEY_set_method(pair, ossl->own_ec) != 1 ||
		EC_KEY_set_group(pair, group) != 1 || EC_KEY_set_private_key(pair, d) != 1 ||
		EC_KEY_set_public_key(pair, public_half) != 1 ||
		EVP_PKEY_assign_EC_KEY(key, pair) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	(void)TAKE_PTR(pair); /* key's now */
	*ret_key = TAKE_PTR(key);
	return CH_OK;
}

int ch_p256_from_scalar(const uint8_t scalar[32], EVP_PKEY **ret_key)
{
	const struct ch_ossl *ossl = ch_ossl();
	const EC_GROUP *group = ossl ? ossl->p256_group : NULL;
	CH_CLEANUP(EC_POINT_free_p) EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	CH_CLEANUP(BN_clear_free_p) BIGNUM *d = BN_secure_new();
	int rc;

	if (!group)
		return CH_EUNSUPPORTED;
	rc = ch_ec_multiply(group, scalar, 32, d, point);
	return rc ? rc : make_signer(group, d, point, ret_key);
}

static int check_halves(const EC_GROUP *group, const BIGNUM *d, const EC_POINT *public_half)
{
	CH_CLEANUP(EC_POINT_free_p) EC_POINT *point = EC_POINT_new(group);
	int rc = point ? multiply(group, d, point) : CH_ENOMEM;

	if (rc)
		return rc;
	return EC_POINT_cmp(group, point, public_half, NULL) == 0 ? CH_OK
								  : ch_ossl_fail(CH_EAUTH);
}

int ch_p256_from_halves(
	const uint8_t scalar[32], const uint8_t octets[65], bool sure, EVP_PKEY **ret_key)
{
	const struct ch_ossl *ossl = ch_ossl();
	const EC_GROUP *group = ossl ? ossl->p256_group : NULL;
	CH_CLEANUP(EC_POINT_free_p) EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	CH_CLEANUP(BN_clear_free_p) BIGNUM *d = BN_secure_new();
	int rc;

	if (!group)
		return CH_EUNSUPPORTED;
	if (!point)
		return ch_ossl_fail(CH_ENOMEM);
	if (EC_POINT_oct2point(group, point, octets, 65, NULL) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	rc = read_scalar(group, scalar, 32, d);
	if (rc == CH_OK && !sure)
		rc = check_halves(group, d, point);
	return rc ? rc : make_signer(group, d, point, ret_key);
}

int ch_p256_spki(EVP_PKEY *key, uint8_t ret_der[CH_P256_SPKI_B])
{
	/* RFC 5480 section 2: id-ecPublicKey, secp256r1, a BIT STRING without unused bits. */
	static const uint8_t head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
		0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01,
		0x07, 0x03, 0x42, 0x00};

	_Static_assert(sizeof(head) + 65 == CH_P256_SPKI_B, "the head and a point");
	memcpy(ret_der, head, sizeof(head));
	return ch_p256_point(key, ret_der + sizeof(head));
}

int ch_p256_scalar(EVP_PKEY *key, uint8_t ret_scalar[32])
{
	CH_CLEANUP(BN_clear_free_p) BIGNUM *d = NULL;

	if (!is_p256(key))
		return ch_ossl_fail(CH_EUNSUPPORTED);
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &d) != 1 ||
		BN_bn2binpad(d, ret_scalar, 32) != 32)
		return ch_ossl_fail(CH_ECRYPTO);
	return CH_OK;
}
