/* A provider that is OpenSSL's default provider but for most of its decoders and kinds of keys:
 * for each key that it reads, OpenSSL goes through all of both, by each of their names. */
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

static const char *const read_kinds[] = {"EC", "RSA", "RSA-PSS", "ED25519"};
/* With those that TLS agrees upon secrets with, or authenticates its records with. */
static const char *const kinds[] = {
	"EC", "RSA", "RSA-PSS", "ED25519", "X25519", "X448", "DH", "HMAC"};

/* In a context of its own, in which it fetches what it needs itself. */
static OSSL_PROVIDER *whole;
static OSSL_ALGORITHM decoders[CH_ARRAY_LEN(read_kinds) + 1];
static OSSL_ALGORITHM managers[CH_ARRAY_LEN(kinds) + 1];
static OSSL_LIB_CTX *quick;
static pthread_once_t quick_once = PTHREAD_ONCE_INIT;

/* Names of an algorithm are separated by colons. */
static bool is_among(const char *names, const char *const *list, size_t n)
{
	size_t len = strcspn(names, ":");

	for (size_t i = 0; i < n; i++)
		if (strlen(list[i]) == len && !strncmp(list[i], names, len))
			return true;
	return false;
}

static bool reads_certificates(const OSSL_ALGORITHM *one)
{
	return strstr(one->property_definition, "input=der") &&
	       strstr(one->property_definition, "structure=SubjectPublicKeyInfo");
}

static bool any(const OSSL_ALGORITHM *one)
{
	return true;
}

/* Exactly one of each kind, else false.  ret: n, and the end of the list. */
static bool choose(int operation, bool (*fits)(const OSSL_ALGORITHM *one),
	const char *const *list, size_t n, OSSL_ALGORITHM *ret)
{
	int no_cache = 0;
	const OSSL_ALGORITHM *one = OSSL_PROVIDER_query_operation(whole, operation, &no_cache);
	size_t found = 0;

	for (; one && one->algorithm_names; one++) {
		if (!fits(one) || !is_among(one->algorithm_names, list, n))
			continue;
		if (found == n)
			return false;
		ret[found++] = *one;
	}
	return found == n && !no_cache;
}

static bool choose_all(void)
{
	return choose(OSSL_OP_DECODER, reads_certificates, read_kinds, CH_ARRAY_LEN(read_kinds),
		       decoders) &&
	       choose(OSSL_OP_KEYMGMT, any, kinds, CH_ARRAY_LEN(kinds), managers);
}

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
	if (operation != OSSL_OP_DECODER && operation != OSSL_OP_KEYMGMT)
		return OSSL_PROVIDER_query_operation(whole, operation, no_cache);
	*no_cache = 0;
	return operation == OSSL_OP_DECODER ? decoders : managers;
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
	if (whole && made && choose_all() && OSSL_PROVIDER_add_builtin(made, NAME, init) == 1 &&
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
