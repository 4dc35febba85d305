#include "crypto/ecdsa.h"

#include <openssl/ec.h>

#include "crypto/ossl.h"

#define DER_MAX_B 80 /* SEQUENCE of two INTEGERs of at most 33 bytes: 72 */

CH_DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)

int ch_ecdsa_sign(EVP_PKEY *key, const struct ch_bytes *parts, size_t n, uint8_t ret_sig[64])
{
	const struct ch_ossl *ossl = ch_ossl();
	CH_CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	CH_CLEANUP(ECDSA_SIG_free_p) ECDSA_SIG *sig = NULL;
	uint8_t der[DER_MAX_B];
	const uint8_t *at = der;
	size_t len = sizeof(der);
	int ok;

	if (!ossl || !ctx)
		return ch_ossl_fail(CH_ECRYPTO);
	ok = EVP_DigestSignInit(ctx, NULL, ossl->sha256, NULL, key) == 1;
	for (size_t i = 0; i < n && ok; i++)
		ok = EVP_DigestSignUpdate(ctx, parts[i].at, parts[i].len) == 1;
	if (!ok || EVP_DigestSignFinal(ctx, der, &len) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	sig = d2i_ECDSA_SIG(NULL, &at, (long)len);
	if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret_sig, 32) != 32 ||
		BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret_sig + 32, 32) != 32)
		return ch_ossl_fail(CH_ECRYPTO);
	return CH_OK;
}

static int to_der(const uint8_t fixed[64], uint8_t ret_der[DER_MAX_B], size_t *ret_len)
{
	CH_CLEANUP(ECDSA_SIG_free_p) ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(fixed, 32, NULL);
	BIGNUM *s = BN_bin2bn(fixed + 32, 32, NULL);
	uint8_t *at = ret_der;
	int len;

	if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		return ch_ossl_fail(CH_ENOMEM);
	}
	len = i2d_ECDSA_SIG(sig, &at);
	if (len <= 0)
		return ch_ossl_fail(CH_ECRYPTO);
	*ret_len = (size_t)len;
	return CH_OK;
}

int ch_ecdsa_verify(
	EVP_PKEY *key, const struct ch_bytes *parts, size_t n, const uint8_t sig[64])
{
	const struct ch_ossl *ossl = ch_ossl();
	CH_CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[DER_MAX_B];
	size_t len;
	int ok;
	int rc;

	if (!ossl || !ctx)
		return ch_ossl_fail(CH_ECRYPTO);
	rc = to_der(sig, der, &len);
	if (rc)
		return rc;
	ok = EVP_DigestVerifyInit(ctx, NULL, ossl->sha256, NULL, key) == 1;
	for (size_t i = 0; i < n && ok; i++)
		ok = EVP_DigestVerifyUpdate(ctx, parts[i].at, parts[i].len) == 1;
	if (!ok || EVP_DigestVerifyFinal(ctx, der, len) != 1)
		return ch_ossl_fail(CH_EAUTH);
	return CH_OK;
}
