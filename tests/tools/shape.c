#include "shape.h"

#include <openssl/conf.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/mem.h"

/* RFC 6962 section 3.2, with a signature of 71 bytes, as most of P-256 are */
#define SCT_SIGNATURE_B 71
#define SCT_B (1 + 32 + 8 + 2 + 2 + 2 + SCT_SIGNATURE_B)
#define SCTS 2
#define SERIAL_B 18

struct wanted {
	int nid;
	const char *value;
};

static bool add_all(X509 *x509, X509 *issuer, const struct wanted *list, size_t n)
{
	X509V3_CTX ctx;
	CONF *none = NCONF_new(NULL); /* policies want one */
	bool good = none != NULL;

	X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
	X509V3_set_nconf(&ctx, none);
	for (size_t i = 0; good && i < n; i++) {
		X509_EXTENSION *ext =
			X509V3_EXT_nconf_nid(none, &ctx, list[i].nid, list[i].value);

		good = ext && X509_add_ext(x509, ext, -1) == 1;
		X509_EXTENSION_free(ext);
	}
	NCONF_free(none);
	return good;
}

/* SignedCertificateTimestampList, RFC 6962 section 3.3 */
static bool make_scts(uint8_t list[2 + SCTS * (2 + SCT_B)])
{
	uint8_t *at = list;

	*at++ = (uint8_t)(SCTS * (2 + SCT_B) >> 8);
	*at++ = (uint8_t)(SCTS * (2 + SCT_B));
	for (int i = 0; i < SCTS; i++) {
		*at++ = 0;
		*at++ = SCT_B;
		if (RAND_bytes(at, SCT_B) != 1)
			return false;
		at[0] = 0;				  /* v1 */
		memset(at + 1 + 32, 0, 2);		  /* a time that has been */
		memcpy(at + 1 + 32 + 8, "\0\0\4\3\0", 5); /* no extensions; SHA-256, ECDSA */
		at[1 + 32 + 8 + 5] = SCT_SIGNATURE_B;
		at += SCT_B;
	}
	return true;
}

static bool add_scts(X509 *x509)
{
	uint8_t list[2 + SCTS * (2 + SCT_B)];
	ASN1_OCTET_STRING *inner = ASN1_OCTET_STRING_new();
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext = NULL;
	unsigned char *der = NULL;
	bool good = make_scts(list) && inner && value &&
		    ASN1_OCTET_STRING_set(inner, list, sizeof(list)) == 1;
	int len = good ? i2d_ASN1_OCTET_STRING(inner, &der) : -1;

	good = len > 0 && ASN1_OCTET_STRING_set(value, der, len) == 1;
	if (good)
		ext = X509_EXTENSION_create_by_NID(NULL, NID_ct_precert_scts, 0, value);
	good = ext && X509_add_ext(x509, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	OPENSSL_free(der);
	ASN1_OCTET_STRING_free(inner);
	ASN1_OCTET_STRING_free(value);
	return good;
}

bool shape_leaf(X509 *x509, X509 *issuer, const char *san)
{
	const struct wanted list[] = {{NID_key_usage, "critical,digitalSignature"},
		{NID_ext_key_usage, "serverAuth"}, {NID_basic_constraints, "critical,CA:FALSE"},
		{NID_subject_key_identifier, "hash"},
		{NID_authority_key_identifier, "keyid:always"},
		{NID_info_access, "caIssuers;URI:http://e7.i.ca.example/"},
		{NID_subject_alt_name, san}, {NID_certificate_policies, "2.23.140.1.2.1"},
		{NID_crl_distribution_points, "URI:http://e7.c.ca.example/54.crl"}};

	return add_all(x509, issuer, list, CH_ARRAY_LEN(list)) && add_scts(x509);
}

bool shape_subject(X509 *x509)
{
	X509_NAME *name = X509_get_subject_name(x509);

	return X509_NAME_add_entry_by_txt(
		       name, "C", MBSTRING_ASC, (const uint8_t *)"US", -1, -1, 0) == 1 &&
	       X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
		       (const uint8_t *)"Example Certificates", -1, -1, 0) == 1;
}

bool shape_serial(X509 *x509)
{
	uint8_t bytes[SERIAL_B];
	BIGNUM *number = NULL;
	bool good = RAND_bytes(bytes, sizeof(bytes)) == 1;

	bytes[0] = 6; /* positive, and always as long */
	if (good)
		number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509));
	BN_free(number);
	return good;
}

bool shape_authority(X509 *x509, X509 *issuer)
{
	static const struct wanted list[] = {
		{NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign"},
		{NID_ext_key_usage, "serverAuth,clientAuth"},
		{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
		{NID_subject_key_identifier, "hash"},
		{NID_authority_key_identifier, "keyid:always"},
		{NID_info_access, "caIssuers;URI:http://x1.i.ca.example/"},
		{NID_certificate_policies, "2.23.140.1.2.1"},
		{NID_crl_distribution_points, "URI:http://x1.c.ca.example/"}};
	static const struct wanted root[] = {{NID_key_usage, "critical,keyCertSign,cRLSign"},
		{NID_basic_constraints, "critical,CA:TRUE"},
		{NID_subject_key_identifier, "hash"}};

	return x509 == issuer ? add_all(x509, issuer, root, CH_ARRAY_LEN(root))
			      : add_all(x509, issuer, list, CH_ARRAY_LEN(list));
}
