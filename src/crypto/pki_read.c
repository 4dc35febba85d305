/* Reading identities. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/file.h"
#include "crypto/cert.h"
#include "crypto/keys.h"
#include "crypto/ossl.h"
#include "crypto/pki.h"

#define CERT_FILE_MAX_B (64u * 1024u)
#define URI_SCHEME "certherd://"

static int parse_part(
	const char **at, const char *end, char stop, char ret_part[CH_IDENTITY_PART_B])
{
	size_t len = 0;

	while (*at < end && **at != stop) {
		char c = *(*at)++;

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
			    c == '_' || c == '-') ||
			len == CH_IDENTITY_PART_B - 1)
			return CH_EINVAL;
		ret_part[len++] = c;
	}
	ret_part[len] = 0;
	return len ? CH_OK : CH_EINVAL;
}

int ch_identity_uri_parse(const char *uri, size_t len, struct ch_identity_uri *ret_uri)
{
	const size_t scheme_len = sizeof(URI_SCHEME) - 1;
	const char *at = uri + scheme_len;
	const char *end = uri + len;
	struct ch_identity_uri parts;

	if (len < scheme_len || memcmp(uri, URI_SCHEME, scheme_len) != 0)
		return CH_EINVAL;
	if (parse_part(&at, end, '/', parts.role) || at++ == end ||
		parse_part(&at, end, '/', parts.scope) || at++ == end ||
		parse_part(&at, end, '/', parts.id) || at != end)
		return CH_EINVAL;
	*ret_uri = parts;
	return CH_OK;
}

int ch_cert_load(const char *path, X509 **ret_cert, struct ch_err *err)
{
	CH_AUTO_FREE char *text = NULL;
	CH_CLEANUP(BIO_free_all_p) BIO *bio = NULL;
	X509 *cert;
	size_t len;
	int rc = ch_file_read(path, CERT_FILE_MAX_B, &text, &len, err);

	if (rc)
		return rc;
	bio = BIO_new_mem_buf(text, (int)len);
	cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	if (!cert) {
		(void)ch_ossl_fail(CH_EINVAL);
		return ch_err_set(
			err, CH_EINVAL, "cert-parse", "%s is not a certificate in PEM", path);
	}
	*ret_cert = cert;
	return CH_OK;
}

/* The only URI among the names; CH_EINVAL when there are several or it is too long. */
static int put_uri(X509 *x509, struct ch_pki_cert *cert)
{
	CH_CLEANUP(GENERAL_NAMES_free_p)
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);

	cert->uri[0] = 0;
	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		size_t len;

		if (name->type != GEN_URI)
			continue;
		len = (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier);
		if (cert->uri[0] || len >= sizeof(cert->uri))
			return CH_EINVAL;
		memcpy(cert->uri, ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
			len);
		cert->uri[len] = 0;
		for (size_t at = 0; at < len; at++) /* it is printed and written to files */
			if (cert->uri[at] <= ' ' || cert->uri[at] >= 0x7f)
				return CH_EINVAL;
	}
	return ch_ossl_fail(CH_OK);
}

int ch_pki_cert_read(const char *path, struct ch_pki_cert *ret_cert, struct ch_err *err)
{
	CH_CLEANUP(X509_free_p) X509 *x509 = NULL;
	struct ch_pki_cert cert;
	unsigned int len = sizeof(cert.sha256);
	int rc = ch_cert_load(path, &x509, err);

	if (rc)
		return rc;
	if (put_uri(x509, &cert) || ch_cert_time(X509_get0_notAfter(x509), &cert.not_after_s) ||
		X509_digest(x509, EVP_sha256(), cert.sha256, &len) != 1) {
		(void)ch_ossl_fail(CH_EINVAL);
		return ch_err_set(
			err, CH_EINVAL, "cert-parse", "%s is not one of our identities", path);
	}
	*ret_cert = cert;
	return CH_OK;
}
