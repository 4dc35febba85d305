#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"
#include "crypto/cert.h"
#include "crypto/keys.h"
#include "crypto/ossl.h"
#include "crypto/quick.h"

#define SERIAL_MAX_B 39 /* fits ch_cert_info.serial; RFC 5280 allows 20 */

static int read_der(OSSL_LIB_CTX *ctx, const uint8_t *der, size_t len, X509 **ret_cert)
{
	CH_CLEANUP(X509_free_p) X509 *cert = X509_new_ex(ctx, NULL);
	const unsigned char *at = der;

	/* On failure OpenSSL frees what it was given. */
	if (!cert || !d2i_X509(&cert, &at, (long)len) || at != der + len)
		return CH_EPROTO;
	*ret_cert = TAKE_PTR(cert);
	return CH_OK;
}

int ch_cert_from_der(const uint8_t *der, size_t len, X509 **ret_cert, struct ch_err *err)
{
	CH_CLEANUP(X509_free_p) X509 *cert = NULL;
	OSSL_LIB_CTX *quick = ch_quick_ctx();
	int rc;

	if (len == 0 || len > CH_CERT_DER_MAX_B)
		return ch_err_set(err, CH_EPROTO, "cert-parse",
			"a certificate of %zu bytes; at most %u are taken", len,
			CH_CERT_DER_MAX_B);
	rc = read_der(quick, der, len, &cert);
	/* A kind of key that is rare. */
	if (rc == CH_OK && quick && !X509_get0_pubkey(cert)) {
		X509_free(TAKE_PTR(cert));
		ERR_clear_error();
		rc = read_der(NULL, der, len, &cert);
	}
	if (rc)
		return ch_ossl_err(err, rc, "cert-parse", "not a certificate in DER");
	*ret_cert = TAKE_PTR(cert);
	return CH_OK;
}

int ch_cert_time(const ASN1_TIME *time, int64_t *ret_s)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return ch_ossl_fail(CH_EPROTO);
	*ret_s = timegm(&tm);
	return CH_OK;
}

static int put_serial(X509 *cert, struct ch_cert_info *info)
{
	CH_CLEANUP(BN_clear_free_p)
	BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	uint8_t bytes[SERIAL_MAX_B];
	int len;

	if (!bn || BN_is_negative(bn) || BN_num_bytes(bn) > SERIAL_MAX_B)
		return ch_ossl_fail(CH_EPROTO);
	len = BN_bn2bin(bn, bytes);
	if (len == 0)
		bytes[len++] = 0;
	ch_hex_encode(bytes, (size_t)len, info->serial);
	return CH_OK;
}

static int put_issuer(X509 *cert, struct ch_cert_info *info)
{
	CH_CLEANUP(BIO_free_all_p) BIO *bio = BIO_new(BIO_s_mem());
	int len;

	if (!bio || X509_NAME_print_ex(bio, X509_get_issuer_name(cert), 0, XN_FLAG_RFC2253) < 0)
		return ch_ossl_fail(CH_EPROTO);
	len = BIO_read(bio, info->issuer, sizeof(info->issuer) - 1);
	info->issuer[len > 0 ? len : 0] = 0;
	return CH_OK;
}

static int put_dns_name(const ASN1_STRING *value, struct ch_cert_info *info)
{
	const unsigned char *text = ASN1_STRING_get0_data(value);
	int len = ASN1_STRING_length(value);
	char *name = info->names[info->n_names];

	if (info->n_names == CH_CERT_NAMES_MAX || len <= 0 ||
		(size_t)len >= sizeof(info->names[0]))
		return CH_EPROTO;
	for (int i = 0; i < len; i++) {
		/* Whatever is shown and compared later must not hold NUL, spaces, controls. */
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return CH_EPROTO;
		name[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
	}
	name[len] = 0;
	info->n_names++;
	return CH_OK;
}

static int put_names(X509 *cert, struct ch_cert_info *info)
{
	int critical;
	CH_CLEANUP(GENERAL_NAMES_free_p)
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);
	int rc = CH_OK;

	if (!names) /* -1: there is none; else it is broken or there twice */
		return ch_ossl_fail(critical == -1 ? CH_OK : CH_EPROTO);
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && rc == CH_OK; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			rc = put_dns_name(name->d.dNSName, info);
	}
	return rc;
}

/* Of the key as it stands in the certificate: that is what an edge computes, too. */
static int put_spki(X509 *cert, struct ch_cert_info *info)
{
	unsigned char *der = NULL;
	int len =
		X509_get0_pubkey(cert) ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : 0;
	int rc;

	if (len <= 0)
		return ch_ossl_fail(CH_EPROTO);
	rc = ch_sha256(der, (size_t)len, info->spki_sha256);
	OPENSSL_free(der);
	return rc;
}

static void put_key(X509 *cert, struct ch_cert_info *info)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	char group[32] = "";
	size_t len;

	info->key[0] = 0;
	if (EVP_PKEY_is_a(key, "RSA"))
		strcpy(info->key, "rsa");
	else if (EVP_PKEY_is_a(key, "EC") &&
		 EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1)
		strcpy(info->key, strcmp(group, "prime256v1") == 0  ? "ecdsa"
				  : strcmp(group, "secp384r1") == 0 ? "p384"
								    : "");
}

int ch_cert_info_x509(X509 *cert, struct ch_cert_info *ret_info, struct ch_err *err)
{
	struct ch_cert_info *info = ret_info;

	info->n_names = 0;
	if (put_spki(cert, info))
		return ch_ossl_err(err, CH_EPROTO, "cert-parse",
			"the certificate's public key is not understood");
	if (ch_cert_time(X509_get0_notBefore(cert), &info->not_before_s) ||
		ch_cert_time(X509_get0_notAfter(cert), &info->not_after_s))
		return ch_err_set(
			err, CH_EPROTO, "cert-parse", "the certificate's dates are broken");
	if (put_serial(cert, info) || put_issuer(cert, info))
		return ch_err_set(err, CH_EPROTO, "cert-parse",
			"the certificate's serial number or issuer is broken");
	if (put_names(cert, info))
		return ch_err_set(err, CH_EPROTO, "cert-parse",
			"the certificate's names are broken or more than %d",
			CH_CERT_NAMES_MAX);
	put_key(cert, info);
	return CH_OK;
}

int ch_cert_info_der(
	const uint8_t *der, size_t len, struct ch_cert_info *ret_info, struct ch_err *err)
{
	CH_CLEANUP(X509_free_p) X509 *cert = NULL;
	int rc = ch_cert_from_der(der, len, &cert, err);

	return rc ? rc : ch_cert_info_x509(cert, ret_info, err);
}

int ch_cert_chain_leaf_info(
	const struct ch_cert_chain *chain, struct ch_cert_info *ret_info, struct ch_err *err)
{
	return ch_cert_info_x509(chain->list[0].x509, ret_info, err);
}

/* RFC 6125 section 6.4.3: '*' only as the whole left-most label, for exactly one label. */
int ch_cert_covers(const struct ch_cert_info *info, const char *name)
{
	const char *dot = strchr(name, '.');

	for (size_t i = 0; i < info->n_names; i++) {
		const char *have = info->names[i];

		if (strcasecmp(have, name) == 0)
			return 1;
		if (have[0] == '*' && have[1] == '.' && dot && dot != name &&
			strcasecmp(have + 1, dot) == 0)
			return 1;
	}
	return 0;
}
