#include "crypto/alpn_cert.h"

#include <string.h>

#include "crypto/keys.h"
#include "crypto/ossl.h"
#include "crypto/san.h"

#define ACME_IDENTIFIER "1.3.6.1.5.5.7.1.31" /* RFC 8737 section 6.1 */
#define BACKDATE_S 86400		     /* for CAs whose clock is behind ours */
#define VALID_S (7 * 86400)		     /* longer than any token is answered for */

CH_DEFINE_CLEANUP(ASN1_OBJECT *, ASN1_OBJECT_free)
CH_DEFINE_CLEANUP(ASN1_OCTET_STRING *, ASN1_OCTET_STRING_free)
CH_DEFINE_CLEANUP(X509_EXTENSION *, X509_EXTENSION_free)

static int add_name(X509 *cert, const char *name)
{
	CH_CLEANUP(GENERAL_NAMES_free_p) GENERAL_NAMES *names = GENERAL_NAMES_new();
	int rc = !names		     ? CH_ENOMEM
		 : strchr(name, '*') ? CH_EINVAL
				     : ch_san_add_text(names, GEN_DNS, name);

	if (rc == CH_OK && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) != 1)
		rc = ch_ossl_fail(CH_ECRYPTO);
	return rc;
}

static int add_identifier(X509 *cert, const uint8_t digest[CH_SHA256_B])
{
	CH_CLEANUP(ASN1_OBJECT_free_p)
	ASN1_OBJECT *oid = OBJ_txt2obj(ACME_IDENTIFIER, 1);
	CH_CLEANUP(ASN1_OCTET_STRING_free_p)
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	CH_CLEANUP(X509_EXTENSION_free_p) X509_EXTENSION *ext = NULL;
	uint8_t der[2 + CH_SHA256_B] = {V_ASN1_OCTET_STRING, CH_SHA256_B};

	memcpy(der + 2, digest, CH_SHA256_B);
	if (!oid || !value || ASN1_OCTET_STRING_set(value, der, sizeof(der)) != 1)
		return ch_ossl_fail(CH_ENOMEM);
	ext = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, value);
	if (!ext || X509_add_ext(cert, ext, -1) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	return CH_OK;
}

static int set_head(X509 *cert, EVP_PKEY *key, int64_t now_s)
{
	static const unsigned char subject[] = "ACME challenge";
	X509_NAME *name = X509_get_subject_name(cert);

	if (X509_set_version(cert, X509_VERSION_3) != 1 ||
		ASN1_INTEGER_set_int64(X509_get_serialNumber(cert), now_s) != 1 ||
		X509_NAME_add_entry_by_NID(
			name, NID_commonName, MBSTRING_UTF8, subject, -1, -1, 0) != 1 ||
		X509_set_issuer_name(cert, name) != 1 ||
		!ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(now_s - BACKDATE_S)) ||
		!ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(now_s + VALID_S)) ||
		X509_set_pubkey(cert, key) != 1)
		return ch_ossl_fail(CH_ECRYPTO);
	return CH_OK;
}

int ch_alpn_cert_make(EVP_PKEY *key, const char *name, const char *authorization,
	size_t authorization_len, int64_t now_s, X509 **ret_cert)
{
	CH_CLEANUP(X509_free_p) X509 *cert = X509_new();
	const struct ch_ossl *ossl = ch_ossl();
	uint8_t digest[CH_SHA256_B];
	int rc;

	if (!cert || !ossl)
		return ch_ossl_fail(CH_ENOMEM);
	rc = set_head(cert, key, now_s);
	if (rc == CH_OK)
		rc = add_name(cert, name);
	if (rc == CH_OK)
		rc = ch_sha256(authorization, authorization_len, digest);
	if (rc == CH_OK)
		rc = add_identifier(cert, digest);
	if (rc)
		return rc;
	if (X509_sign(cert, key, ossl->sha256) <= 0)
		return ch_ossl_fail(CH_ECRYPTO);
	*ret_cert = TAKE_PTR(cert);
	return CH_OK;
}
