#include <openssl/x509.h>

#include "crypto/keys.h"
#include "crypto/ossl.h"
#include "crypto/p384.h"
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

/* X509_REQ_set_pubkey would encode the key and decode it again: three times the whole rest of a
 * P-256 key's request. */
static int set_pubkey(X509_REQ *req, EVP_PKEY *key)
{
	ASN1_OBJECT *algorithm = OBJ_nid2obj(NID_X9_62_id_ecPublicKey);
	ASN1_OBJECT *curve = OBJ_nid2obj(NID_X9_62_prime256v1);
	uint8_t point[65];
	unsigned char *copy;
	int rc = ch_p256_point(key, point);

	if (rc == CH_EUNSUPPORTED)
		return X509_REQ_set_pubkey(req, key) == 1 ? CH_OK : ch_ossl_fail(CH_ECRYPTO);
	if (rc)
		return rc;
	copy = OPENSSL_memdup(point, sizeof(point));
	if (!copy || X509_PUBKEY_set0_param(X509_REQ_get_X509_PUBKEY(req), algorithm,
			     V_ASN1_OBJECT, curve, copy, sizeof(point)) != 1) {
		OPENSSL_free(copy);
		return ch_ossl_fail(CH_ENOMEM);
	}
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
	if (!ossl || !req || X509_REQ_set_version(req, 0) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	rc = set_pubkey(req, key);
	if (rc == CH_OK)
		rc = add_names(req, names, n_names);
	if (rc)
		return rc;
	/* RFC 5480 section 4: a hash as strong as the curve. */
	if (X509_REQ_sign(req, key, ch_p384_is(key) ? EVP_sha384() : ossl->sha256) <= 0)
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

/* The header of a DER value at *at, which must lie within end; *ret_body is where its contents
 * begin, *ret_end where they end. */
static int open_value(const uint8_t *at, const uint8_t *end, int want_tag,
	const uint8_t **ret_body, const uint8_t **ret_end)
{
	const unsigned char *body = at;
	long len;
	int tag, class;

	/* 0x80: broken, or longer than what is there; bit 0: of indefinite length. */
	if (at >= end ||
		(ASN1_get_object(&body, &len, &tag, &class, end - at) & ~V_ASN1_CONSTRUCTED) ||
		tag != want_tag || class != V_ASN1_UNIVERSAL)
		return ch_ossl_fail(CH_EPROTO);
	*ret_body = body;
	*ret_end = body + len;
	return CH_OK;
}

/* RFC 2986 section 4.  Only as far as needed: parsing the key would cost as much as all that is
 * done to publish a certificate. */
int ch_csr_spki_sha256(const uint8_t *der, size_t len, uint8_t ret_digest[32])
{
	const uint8_t *at, *end, *spki, *body;

	if (len == 0 || len > CSR_MAX_B)
		return CH_EPROTO;
	if (open_value(der, der + len, V_ASN1_SEQUENCE, &at, &end) || end != der + len ||
		open_value(at, end, V_ASN1_SEQUENCE, &at, &end) ||    /* what is signed */
		open_value(at, end, V_ASN1_INTEGER, &body, &at) ||    /* version */
		open_value(at, end, V_ASN1_SEQUENCE, &body, &spki) || /* subject */
		open_value(spki, end, V_ASN1_SEQUENCE, &body, &at))
		return CH_EPROTO;
	return ch_sha256(spki, (size_t)(at - spki), ret_digest);
}
