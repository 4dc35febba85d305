/* A provider that is OpenSSL's default provider but for its decoders. */
#include "crypto/quick.h"

#include <openssl/opensslv.h>

#if OPENSSL_VERSION_NUMBER >= 0x30200000L

OSSL_LIB_CTX *ch_quick_ctx(void)
{
	return NULL;
}

#else

#include <openssl/core_dispatch.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "crypto/ossl.h"

#define NAME "certherd-quick"

static const char *const kinds[] = {"EC", "RSA", "RSA-PSS", "ED25519"};

/* In a context of its own, in which it fetches what it needs itself. */
static OSSL_PROVIDER *whole;
static OSSL_ALGORITHM decoders[CH_ARRAY_LEN(kinds) + 1];
static OSSL_LIB_CTX *quick;
static pthread_once_t quick_once = PTHREAD_ONCE_INIT;

/* Names of an algorithm are separated by colons. */
static bool is_wanted(const OSSL_ALGORITHM *one)
{
	size_t len = strcspn(one->algorithm_names, ":");

	if (!strstr(one->property_definition, "input=der") ||
		!strstr(one->property_definition, "structure=SubjectPublicKeyInfo"))
		return false;
	for (size_t i = 0; i < CH_ARRAY_LEN(kinds); i++)
		if (strlen(kinds[i]) == len && !strncmp(kinds[i], one->algorithm_names, len))
			return true;
	return false;
}

static bool choose_decoders(void)
{
	int no_cache = 0;
	const OSSL_ALGORITHM *one =
		OSSL_PROVIDER_query_operation(whole, OSSL_OP_DECODER, &no_cache);
	size_t n = 0;

	for (; one && one->algorithm_names; one++) {
		if (!is_wanted(one))
			continue;
		if (n == CH_ARRAY_LEN(kinds))
			return false;
		decoders[n++] = *one;
	}
	return n == CH_ARRAY_LEN(kinds) && !no_cache;
}

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
	if (operation != OSSL_OP_DECODER)
		return OSSL_PROVIDER_query_operation(whole, operation, no_cache);
	*no_cache = 0;
	return decoders;
}

/* What TLS asks for: the groups. */
static int capabilities(void *provctx, const char *capability, OSSL_CALLBACK *cb, void *arg)
{
	return OSSL_PROVIDER_get_capabilities(whole, capability, cb, arg);
}

static const OSSL_DISPATCH dispatch[] = {
	{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
	{OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities},
	{0, NULL},
};

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
	const OSSL_DISPATCH **ret_out, void **ret_provctx)
{
	*ret_out = dispatch;
	*ret_provctx = OSSL_PROVIDER_get0_provider_ctx(whole);
	return 1;
}

static void make_quick(void)
{
	OSSL_LIB_CTX *own = OSSL_LIB_CTX_new();
	OSSL_LIB_CTX *made = OSSL_LIB_CTX_new();

	ERR_set_mark();
	whole = own ? OSSL_PROVIDER_load(own, "default") : NULL;
	if (whole && made && choose_decoders() &&
		OSSL_PROVIDER_add_builtin(made, NAME, init) == 1 &&
		OSSL_PROVIDER_load(made, NAME)) {
		quick = made;
	} else {
		OSSL_LIB_CTX_free(made);
		OSSL_LIB_CTX_free(own);
	}
	ERR_pop_to_mark();
}

OSSL_LIB_CTX *ch_quick_ctx(void)
{
	return pthread_once(&quick_once, make_quick) == 0 ? quick : NULL;
}

#endif
