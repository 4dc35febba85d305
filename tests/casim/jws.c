#include "jws.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <string.h>

#include "base/codec.h"
#include "crypto/keys.h"

#define MEMBER_MAX_B (64u * 1024u)

static json_t *decode_json(const char *text, bool *ret_empty)
{
	CH_AUTO_FREE uint8_t *bytes = NULL;
	json_t *doc;
	size_t len;

	*ret_empty = false;
	if (!text || ch_b64u_decode_alloc(text, MEMBER_MAX_B, &bytes, &len))
		return NULL;
	*ret_empty = len == 0;
	doc = len ? json_loadb((char *)bytes, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (doc && !json_is_object(doc)) {
		json_decref(doc);
		return NULL;
	}
	return doc;
}

static const char *text_of(const json_t *doc, const char *key)
{
	return json_string_value(json_object_get(doc, key));
}

static const char *take_head(const json_t *doc, struct sim_jws *jws)
{
	const json_t *crit;
	bool empty;

	jws->head = decode_json(text_of(doc, "protected"), &empty);
	if (!jws->head)
		return "the protected header is not an object in base64url";
	jws->alg = text_of(jws->head, "alg");
	jws->nonce = text_of(jws->head, "nonce");
	jws->url = text_of(jws->head, "url");
	jws->kid = text_of(jws->head, "kid");
	jws->jwk = json_object_get(jws->head, "jwk");
	crit = json_object_get(jws->head, "crit");
	if (!jws->alg || !jws->url)
		return "the protected header lacks alg or url";
	if (crit || json_object_get(doc, "header"))
		return "crit and unprotected headers are not taken";
	if (!jws->kid == !jws->jwk)
		return "the protected header has both or neither of kid and jwk";
	return NULL;
}

const char *sim_jws_parse_json(const json_t *doc, struct sim_jws *ret_jws)
{
	const char *payload = text_of(doc, "payload");
	const char *signature = text_of(doc, "signature");
	const char *why;
	bool empty;

	if (!json_is_object(doc) || !payload || !signature || !text_of(doc, "protected"))
		return "not a flattened JWS";
	why = take_head(doc, ret_jws);
	if (why)
		return why;
	ret_jws->payload = decode_json(payload, &empty);
	if (!ret_jws->payload && !empty)
		return "the payload is neither empty nor an object in base64url";
	if (ch_b64u_decode_alloc(signature, 4096, &ret_jws->signature, &ret_jws->signature_len))
		return "the signature is not base64url";
	SIM_NEED(asprintf(&ret_jws->signing_input, "%s.%s", text_of(doc, "protected"),
			 payload) > 0);
	return NULL;
}

const char *sim_jws_parse(const char *text, size_t len, struct sim_jws *ret_jws)
{
	json_auto_t *doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	return sim_jws_parse_json(doc, ret_jws);
}

void sim_jws_done(struct sim_jws *jws)
{
	json_decref(jws->head);
	json_decref(jws->payload);
	free(jws->signing_input);
	free(jws->signature);
}

static const EVP_MD *digest_of(const char *alg)
{
	return strcmp(alg, "ES384") == 0 ? EVP_sha384() : EVP_sha256();
}

bool sim_jws_alg_fits(const char *alg, EVP_PKEY *key)
{
	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		return strcmp(alg, "RS256") == 0;
	return strcmp(alg, EVP_PKEY_get_bits(key) == 384 ? "ES384" : "ES256") == 0;
}

/* RFC 7518 section 3.4: R and S side by side; OpenSSL wants them in DER. */
static int ecdsa_to_der(const struct sim_jws *jws, EVP_PKEY *key, unsigned char **ret_der)
{
	size_t half = (size_t)EVP_PKEY_get_bits(key) / 8;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	int len;

	if (jws->signature_len != 2 * half) {
		ECDSA_SIG_free(sig);
		return -1;
	}
	SIM_NEED(sig && ECDSA_SIG_set0(sig, BN_bin2bn(jws->signature, (int)half, NULL),
				BN_bin2bn(jws->signature + half, (int)half, NULL)) == 1);
	len = i2d_ECDSA_SIG(sig, ret_der);
	ECDSA_SIG_free(sig);
	return len;
}

bool sim_jws_verify(const struct sim_jws *jws, EVP_PKEY *key)
{
	EVP_MD_CTX *ctx;
	unsigned char *der = NULL;
	int len = 0;
	bool good;

	if (!sim_jws_alg_fits(jws->alg, key))
		return false;
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
		len = ecdsa_to_der(jws, key, &der);
		if (len <= 0)
			return false;
	}
	ctx = EVP_MD_CTX_new();
	SIM_NEED(ctx);
	good = EVP_DigestVerifyInit(ctx, NULL, digest_of(jws->alg), NULL, key) == 1 &&
	       EVP_DigestVerify(ctx, der ? der : jws->signature,
		       der ? (size_t)len : jws->signature_len,
		       (const uint8_t *)jws->signing_input, strlen(jws->signing_input)) == 1;
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(der);
	ERR_clear_error();
	return good;
}

bool sim_jws_verify_hmac(const struct sim_jws *jws, const char *key_b64u)
{
	CH_AUTO_FREE uint8_t *key = NULL;
	uint8_t tag[EVP_MAX_MD_SIZE];
	unsigned tag_len = 0;
	size_t len;

	if (strcmp(jws->alg, "HS256") != 0 || ch_b64u_decode_alloc(key_b64u, 512, &key, &len))
		return false;
	SIM_NEED(HMAC(EVP_sha256(), key, (int)len, (const uint8_t *)jws->signing_input,
		strlen(jws->signing_input), tag, &tag_len));
	return jws->signature_len == tag_len &&
	       CRYPTO_memcmp(tag, jws->signature, tag_len) == 0;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *bld)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY_CTX *check;
	EVP_PKEY *key = NULL;

	SIM_NEED(params && ctx);
	if (EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	check = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	if (check && EVP_PKEY_public_check(check) != 1) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	EVP_PKEY_CTX_free(check);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	ERR_clear_error();
	return key;
}

static EVP_PKEY *read_ec(const char *crv, const char *x, const char *y)
{
	bool p384 = strcmp(crv, "P-384") == 0;
	size_t half = p384 ? 48 : 32;
	uint8_t point[1 + 2 * 48] = {4};
	OSSL_PARAM_BLD *bld;
	EVP_PKEY *key;
	size_t len;

	if ((!p384 && strcmp(crv, "P-256") != 0) ||
		ch_b64u_decode(x, strlen(x), point + 1, half, &len) || len != half ||
		ch_b64u_decode(y, strlen(y), point + 1 + half, half, &len) || len != half)
		return NULL;
	bld = OSSL_PARAM_BLD_new();
	SIM_NEED(bld &&
		 OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
			 p384 ? "secp384r1" : "prime256v1", 0) &&
		 OSSL_PARAM_BLD_push_octet_string(
			 bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * half));
	key = from_params("EC", bld);
	OSSL_PARAM_BLD_free(bld);
	return key;
}

static EVP_PKEY *read_rsa(const char *n_text, const char *e_text)
{
	uint8_t n[512], e[8];
	size_t n_len, e_len;
	OSSL_PARAM_BLD *bld;
	BIGNUM *n_bn, *e_bn;
	EVP_PKEY *key;

	if (ch_b64u_decode(n_text, strlen(n_text), n, sizeof(n), &n_len) || n_len < 256 ||
		ch_b64u_decode(e_text, strlen(e_text), e, sizeof(e), &e_len))
		return NULL;
	bld = OSSL_PARAM_BLD_new();
	n_bn = BN_bin2bn(n, (int)n_len, NULL);
	e_bn = BN_bin2bn(e, (int)e_len, NULL);
	SIM_NEED(bld && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n_bn) &&
		 OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e_bn));
	key = from_params("RSA", bld);
	OSSL_PARAM_BLD_free(bld);
	BN_free(n_bn);
	BN_free(e_bn);
	return key;
}

EVP_PKEY *sim_jwk_read(const json_t *jwk, char ret_thumbprint[SIM_TOKEN_B])
{
	const char *kty = text_of(jwk, "kty");
	const char *crv = text_of(jwk, "crv"), *x = text_of(jwk, "x"), *y = text_of(jwk, "y");
	const char *n = text_of(jwk, "n"), *e = text_of(jwk, "e");
	CH_AUTO_FREE char *canonical = NULL;
	uint8_t digest[CH_SHA256_B];
	EVP_PKEY *key = NULL;

	if (kty && strcmp(kty, "EC") == 0 && crv && x && y) {
		key = read_ec(crv, x, y);
		SIM_NEED(asprintf(&canonical,
				 "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
				 crv, x, y) > 0);
	} else if (kty && strcmp(kty, "RSA") == 0 && n && e) {
		key = read_rsa(n, e);
		SIM_NEED(asprintf(&canonical, "{\"e\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\"}", e,
				 n) > 0);
	}
	if (!key)
		return NULL;
	SIM_NEED(ch_sha256(canonical, strlen(canonical), digest) == CH_OK);
	ch_b64u_encode(digest, sizeof(digest), ret_thumbprint);
	return key;
}
