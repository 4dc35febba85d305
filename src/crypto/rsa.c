#include "crypto/rsa.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "crypto/keys.h"
#include "crypto/ossl.h"

#define HEAD_B 5 /* type, public exponent */

CH_DEFINE_CLEANUP(BN_CTX *, BN_CTX_free)
CH_DEFINE_CLEANUP(OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
CH_DEFINE_CLEANUP(OSSL_PARAM *, OSSL_PARAM_free)

/* Bytes of one prime, 0 when there is no such key. */
static size_t prime_b(size_t block_len)
{
	size_t len = block_len > HEAD_B ? (block_len - HEAD_B) / 2 : 0;

	return block_len == HEAD_B + 2 * len && (len == 128 || len == 192 || len == 256) ? len
											 : 0;
}

int ch_key_generate_rsa(unsigned bits, EVP_PKEY **ret_key)
{
	EVP_PKEY *key;

	if (bits != 2048 && bits != 3072 && bits != 4096)
		return CH_EUNSUPPORTED;
	key = EVP_RSA_gen(bits);
	if (!key)
		return ch_ossl_fail(CH_ECRYPTO);
	*ret_key = key;
	return CH_OK;
}

int ch_rsa_to_block(EVP_PKEY *key, struct ch_secret **ret_block)
{
	CH_CLEANUP(BN_clear_free_p) BIGNUM *p = NULL;
	CH_CLEANUP(BN_clear_free_p) BIGNUM *q = NULL;
	CH_CLEANUP(BN_clear_free_p) BIGNUM *e = NULL;
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	size_t len = (size_t)EVP_PKEY_get_bits(key) / 16;
	uint8_t *at;
	int rc;

	if (!EVP_PKEY_is_a(key, "RSA") || !prime_b(HEAD_B + 2 * len))
		return CH_EUNSUPPORTED;
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR1, &p) != 1 ||
		EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR2, &q) != 1 ||
		EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
		return ch_ossl_fail(CH_EUNSUPPORTED);
	rc = ch_secret_new(HEAD_B + 2 * len, &block);
	if (rc)
		return rc;
	at = ch_secret_bytes(block);
	at[0] = CH_KEY_BLOCK_RSA;
	if (BN_bn2binpad(e, at + 1, HEAD_B - 1) < 0 ||
		BN_bn2binpad(p, at + HEAD_B, (int)len) < 0 ||
		BN_bn2binpad(q, at + HEAD_B + len, (int)len) < 0)
		return ch_ossl_fail(CH_EUNSUPPORTED);
	*ret_block = TAKE_PTR(block);
	return CH_OK;
}

/* What a key is made of; all in ctx, which wipes it. */
struct parts {
	BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qinv;
	BIGNUM *p1, *q1, *phi;
};

/* e must have an inverse modulo a number that leaves this remainder. */
static int inverse_word(uint32_t of, uint32_t modulo, uint32_t *ret_inverse)
{
	int64_t a = of, b = modulo, x = 1, y = 0;

	while (b) {
		int64_t quotient = a / b;
		int64_t rest = a - quotient * b;
		int64_t next = x - quotient * y;

		a = b;
		b = rest;
		x = y;
		y = next;
	}
	if (a != 1)
		return CH_ECRYPTO;
	*ret_inverse = (uint32_t)(x < 0 ? x + modulo : x);
	return CH_OK;
}

/* e^-1 mod m for a small e: (1 + k × m) / e with k = -m^-1 mod e, which leaves no remainder.
 * OpenSSL's way for secret moduli takes longer than all the rest together. */
static int inverse(const BIGNUM *m, uint32_t e, BIGNUM *ret_inverse)
{
	BN_ULONG rest = BN_mod_word(m, e);
	uint32_t k;

	if (rest == (BN_ULONG)-1 || inverse_word((uint32_t)rest, e, &k))
		return CH_ECRYPTO;
	if (!BN_copy(ret_inverse, m) || !BN_mul_word(ret_inverse, e - k) ||
		!BN_add_word(ret_inverse, 1) || BN_div_word(ret_inverse, e) != 0)
		return CH_ECRYPTO;
	return CH_OK;
}

static int take_parts(struct parts *k, BN_CTX *ctx)
{
	BIGNUM **const all[] = {&k->n, &k->e, &k->d, &k->p, &k->q, &k->dp, &k->dq, &k->qinv,
		&k->p1, &k->q1, &k->phi};

	for (size_t i = 0; i < CH_ARRAY_LEN(all); i++) {
		*all[i] = BN_CTX_get(ctx);
		if (!*all[i])
			return CH_ENOMEM;
	}
	BN_set_flags(k->p, BN_FLG_CONSTTIME);
	BN_set_flags(k->q, BN_FLG_CONSTTIME);
	return CH_OK;
}

static int fill_parts(
	struct parts *k, const uint8_t *block, size_t len, uint32_t e, BN_CTX *ctx)
{
	if (!BN_bin2bn(block + HEAD_B, (int)len, k->p) ||
		!BN_bin2bn(block + HEAD_B + len, (int)len, k->q) || !BN_set_word(k->e, e) ||
		!BN_mul(k->n, k->p, k->q, ctx))
		return CH_ECRYPTO;
	if (!BN_is_odd(k->p) || !BN_is_odd(k->q) || BN_cmp(k->p, k->q) == 0 ||
		BN_num_bits(k->n) != (int)len * 16)
		return CH_ECRYPTO;
	if (!BN_copy(k->p1, k->p) || !BN_sub_word(k->p1, 1) || !BN_copy(k->q1, k->q) ||
		!BN_sub_word(k->q1, 1) || !BN_mul(k->phi, k->p1, k->q1, ctx))
		return CH_ECRYPTO;
	if (inverse(k->phi, e, k->d) || inverse(k->p1, e, k->dp) || inverse(k->q1, e, k->dq) ||
		!BN_mod_inverse(k->qinv, k->q, k->p, ctx))
		return CH_ECRYPTO;
	return CH_OK;
}

static int make_key(const struct parts *k, EVP_PKEY **ret_key)
{
	CH_CLEANUP(OSSL_PARAM_BLD_free_p) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	CH_CLEANUP(OSSL_PARAM_free_p) OSSL_PARAM *params = NULL;
	CH_CLEANUP(EVP_PKEY_CTX_free_p)
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	const struct {
		const char *name;
		const BIGNUM *value;
	} list[] = {{OSSL_PKEY_PARAM_RSA_N, k->n}, {OSSL_PKEY_PARAM_RSA_E, k->e},
		{OSSL_PKEY_PARAM_RSA_D, k->d}, {OSSL_PKEY_PARAM_RSA_FACTOR1, k->p},
		{OSSL_PKEY_PARAM_RSA_FACTOR2, k->q}, {OSSL_PKEY_PARAM_RSA_EXPONENT1, k->dp},
		{OSSL_PKEY_PARAM_RSA_EXPONENT2, k->dq},
		{OSSL_PKEY_PARAM_RSA_COEFFICIENT1, k->qinv}};
	EVP_PKEY *key = NULL;

	if (!build || !ctx)
		return CH_ENOMEM;
	for (size_t i = 0; i < CH_ARRAY_LEN(list); i++)
		if (OSSL_PARAM_BLD_push_BN(build, list[i].name, list[i].value) != 1)
			return CH_ENOMEM;
	params = OSSL_PARAM_BLD_to_param(build);
	if (!params || EVP_PKEY_fromdata_init(ctx) <= 0 ||
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) <= 0)
		return CH_ECRYPTO;
	*ret_key = key;
	return CH_OK;
}

/* Numbers of a secure context are wiped, and so are the parameters that are made of them. */
int ch_rsa_from_block(const uint8_t *block, size_t len, EVP_PKEY **ret_key)
{
	CH_CLEANUP(BN_CTX_free_p) BN_CTX *ctx = BN_CTX_secure_new();
	uint32_t e;
	struct parts parts;
	int rc;

	if (!prime_b(len))
		return CH_ECRYPTO;
	e = (uint32_t)block[1] << 24 | (uint32_t)block[2] << 16 | (uint32_t)block[3] << 8 |
	    block[4];
	if (!ctx)
		return ch_ossl_fail(CH_ENOMEM);
	if (e < 3 || e % 2 == 0)
		return CH_ECRYPTO;
	BN_CTX_start(ctx);
	rc = take_parts(&parts, ctx);
	if (rc == CH_OK)
		rc = fill_parts(&parts, block, prime_b(len), e, ctx);
	if (rc == CH_OK)
		rc = make_key(&parts, ret_key);
	BN_CTX_end(ctx);
	return rc ? ch_ossl_fail(rc) : CH_OK;
}
