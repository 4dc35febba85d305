/* EC_KEY is out of fashion, not gone: ch_p256_from_scalar. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/ossl.h"

#include <openssl/obj_mac.h>
#include <openssl/provider.h>
#include <pthread.h>

static struct ch_ossl shared;
static int shared_ok;
static pthread_once_t shared_once = PTHREAD_ONCE_INIT;

static EVP_PKEY *make_p256(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *params = NULL;

	if (!ctx || EVP_PKEY_paramgen_init(ctx) <= 0 ||
		EVP_PKEY_CTX_set_group_name(ctx, "prime256v1") <= 0 ||
		EVP_PKEY_paramgen(ctx, &params) <= 0)
		params = NULL;
	EVP_PKEY_CTX_free(ctx);
	return params;
}

static OSSL_LIB_CTX *make_bare(void)
{
	OSSL_LIB_CTX *bare = OSSL_LIB_CTX_new();

	/* Or else it would load the default provider by itself. */
	if (bare && !OSSL_PROVIDER_load(bare, "null")) {
		OSSL_LIB_CTX_free(bare);
		bare = NULL;
	}
	return bare;
}

static void make_shared(void)
{
	static const uint8_t some_public[32] = {9}; /* the base point */

	ERR_set_mark();
	shared.sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	shared.aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	shared.p256 = make_p256();
	shared.p256_group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	shared.p384_group = EC_GROUP_new_by_curve_name(NID_secp384r1);
	shared.x25519 = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, some_public, 32);
	shared.own_ec = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	shared.bare = make_bare();
	shared_ok = shared.sha256 && shared.aes_256_gcm && shared.p256 && shared.p256_group &&
		    shared.p384_group && shared.x25519 && shared.own_ec && shared.bare;
	ERR_pop_to_mark();
}

const struct ch_ossl *ch_ossl(void)
{
	if (pthread_once(&shared_once, make_shared) != 0 || !shared_ok)
		return NULL;
	return &shared;
}

int ch_ossl_err(struct ch_err *err, int rc, const char *problem, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return ch_err_set(
		err, rc, problem, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
}
