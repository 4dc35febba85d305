#include <openssl/x509.h>

#include "crypto/keys.h"
#include "crypto/ossl.h"
#include "crypto/san.h"
#include "crypto/x509.h"

#define CSR_MAX_B (64u * 1024u)

typedef STACK_OF(X509_EXTENSION) extensions;

static void extensions_free(extensions *list)
{
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
}
CH_DEFINE_CLEANUP(extensions *, extensions_free)

static int add_names(X509_REQ *req, const char *const *names, size_t n_names)
{
	CH_CLEANUP(GENERAL_NAMES_free_p) GENERAL_NAMES *sans = GENERAL_NAMES_new();
	CH_CLEANUP(extensions_free_p) extensions *list = NULL;
	int rc = sans ? CH_OK : CH_ENOMEM;

	for (size_t i = 0; i < n_names && rc == CH_OK; i++)
		rc = ch_san_add_text(sans, GEN_DNS, names[i]);
	if (rc)
		return rc;
	if (X509V3_add1_i2d(&list, NID_subject_alt_name, sans, 0, X509V3_ADD_DEFAULT) != 1 ||
		X509_REQ_add_extensions(req, list) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	return CH_OK;
}

int ch_csr_make(EVP_PKEY *key, const char *const *names, size_t n_names, struct ch_buf *out)
{
	const struct ch_ossl *ossl = ch_ossl();
	CH_CLEANUP(X509_REQ_free_p) X509_REQ *req = X509_REQ_new();
	unsigned char *at;
	int len;
	int rc;

	if (n_names == 0 || n_names > CH_CERT_NAMES_MAX)
		return CH_EINVAL;
	if (!ossl || !req || X509_REQ_set_version(req, 0) != 1 ||
		X509_REQ_set_pubkey(req, key) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	rc = add_names(req, names, n_names);
	if (rc)
		return rc;
	if (X509_REQ_sign(req, key, ossl->sha256) <= 0)
		return ch_ossl_fail(CH_ECRYPTO);
	len = i2d_X509_REQ(req, NULL);
	if (len <= 0)
		return ch_ossl_fail(CH_ECRYPTO);
	at = ch_buf_room(out, (size_t)len);
	if (!at)
		return out->rc;
	out->len += (size_t)i2d_X509_REQ(req, &at);
	return CH_OK;
}

int ch_csr_spki_sha256(const uint8_t *der, size_t len, uint8_t ret_digest[32])
{
	CH_CLEANUP(X509_REQ_free_p) X509_REQ *req = NULL;
	const unsigned char *at = der;
	EVP_PKEY *key;

	if (len == 0 || len > CSR_MAX_B)
		return CH_EPROTO;
	req = d2i_X509_REQ(NULL, &at, (long)len);
	key = req && at == der + len ? X509_REQ_get0_pubkey(req) : NULL;
	if (!key)
		return ch_ossl_fail(CH_EPROTO);
	return ch_key_spki_sha256(key, ret_digest);
}
