#include "crypto/pki.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "crypto/cert.h"
#include "crypto/keys.h"
#include "crypto/ossl.h"
#include "crypto/san.h"

#define DAY_S 86400
#define DAYS_MAX 36500
#define BACKDATE_S 3600 /* for peers whose clock is behind */

static int set_serial(X509 *cert)
{
	CH_CLEANUP(BN_clear_free_p) BIGNUM *bn = BN_new();

	/* 127 bits, random below the top one: positive, never zero, always 16 bytes. */
	if (!bn || BN_rand(bn, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
		!BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert)))
		return ch_ossl_fail(CH_ECRYPTO);
	return CH_OK;
}

static int set_dates(X509 *cert, int days)
{
	time_t now = (time_t)(ch_now_ms() / CH_SECOND_MS);

	if (days < 1 || days > DAYS_MAX)
		return CH_EINVAL;
	if (!ASN1_TIME_set(X509_getm_notBefore(cert), now - BACKDATE_S) ||
		!ASN1_TIME_set(X509_getm_notAfter(cert), now + (time_t)days * DAY_S))
		return ch_ossl_fail(CH_ECRYPTO);
	return CH_OK;
}

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	int ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok ? CH_OK : ch_ossl_fail(CH_ECRYPTO);
}

/* Version, serial, dates, key and subject: what every certificate has. */
static int begin(EVP_PKEY *key, const char *common_name, int days, X509 **ret_cert)
{
	CH_CLEANUP(X509_free_p) X509 *cert = X509_new();
	int rc;

	if (!cert || X509_set_version(cert, X509_VERSION_3) != 1 ||
		X509_set_pubkey(cert, key) != 1 ||
		X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName,
			MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) != 1)
		return ch_ossl_fail(CH_EINVAL);
	rc = set_serial(cert);
	if (rc == CH_OK)
		rc = set_dates(cert, days);
	if (rc)
		return rc;
	*ret_cert = TAKE_PTR(cert);
	return CH_OK;
}

static int finish(X509 *cert, X509 *issuer, EVP_PKEY *issuer_key)
{
	const struct ch_ossl *ossl = ch_ossl();

	if (!ossl || X509_set_issuer_name(cert, X509_get_subject_name(issuer)) != 1 ||
		X509_sign(cert, issuer_key, ossl->sha256) <= 0)
		return ch_ossl_fail(CH_ECRYPTO);
	return CH_OK;
}

static int write_pair(EVP_PKEY *key, X509 *cert, const char *key_path, const char *cert_path,
	struct ch_err *err)
{
	CH_CLEANUP(BIO_free_all_p) BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long len;
	int rc;

	if (access(cert_path, F_OK) == 0)
		return ch_err_set(err, CH_EEXIST, "file",
			"%s is there already: nothing is overwritten, give another name or "
			"folder",
			cert_path);
	if (!bio || PEM_write_bio_X509(bio, cert) != 1)
		return ch_ossl_err(
			err, CH_ECRYPTO, "cert-encode", "cannot encode a certificate");
	rc = ch_key_create_pem(key_path, key, err);
	if (rc)
		return rc;
	len = BIO_get_mem_data(bio, &text);
	rc = ch_file_create(cert_path, text, (size_t)len, 0644, err);
	if (rc) /* a key without its certificate would stand in the way of the next try */
		(void)unlink(key_path);
	return rc;
}

int ch_pki_create_ca(const char *common_name, int days, const char *key_path,
	const char *cert_path, struct ch_err *err)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_CLEANUP(X509_free_p) X509 *cert = NULL;
	int rc = ch_key_generate(&key);

	if (rc == CH_OK)
		rc = begin(key, common_name, days, &cert);
	/* No CA below it: it signs identities only. */
	if (rc == CH_OK)
		rc = add_extension(
			cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
	if (rc == CH_OK)
		rc = add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	if (rc == CH_OK)
		rc = add_extension(cert, cert, NID_subject_key_identifier, "hash");
	if (rc == CH_OK)
		rc = finish(cert, cert, key);
	if (rc)
		return ch_err_set(err, rc, "ca-make", "cannot make the CA \"%s\"", common_name);
	return write_pair(key, cert, key_path, cert_path, err);
}

static int load_ca(const char *key_path, const char *cert_path, EVP_PKEY **ret_key,
	X509 **ret_cert, struct ch_err *err)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_CLEANUP(X509_free_p) X509 *cert = NULL;
	int rc = ch_key_load_pem(key_path, &key, err);

	if (rc == CH_OK)
		rc = ch_cert_load(cert_path, &cert, err);
	if (rc)
		return rc;
	if (X509_check_private_key(cert, key) != 1) {
		(void)ch_ossl_fail(CH_EINVAL);
		return ch_err_set(err, CH_EINVAL, "ca-key", "%s is not the key of %s", key_path,
			cert_path);
	}
	*ret_key = TAKE_PTR(key);
	*ret_cert = TAKE_PTR(cert);
	return CH_OK;
}

static int add_sans(X509 *cert, const struct ch_pki_identity *identity, struct ch_err *err)
{
	CH_CLEANUP(GENERAL_NAMES_free_p) GENERAL_NAMES *names = GENERAL_NAMES_new();
	int rc = names ? CH_OK : CH_ENOMEM;

	if (rc == CH_OK)
		rc = ch_san_add_text(names, GEN_URI, identity->uri);
	for (size_t i = 0; i < identity->n_sans && rc == CH_OK; i++) {
		rc = ch_san_add(names, identity->sans[i]);
		if (rc)
			return ch_err_set(err, rc, "identity-san",
				"\"%s\" is not a name such as DNS:store.example.com or "
				"IP:192.0.2.1",
				identity->sans[i]);
	}
	if (rc == CH_OK && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0,
				   X509V3_ADD_DEFAULT) != 1)
		rc = ch_ossl_fail(CH_ECRYPTO);
	return rc ? ch_err_set(err, rc, "identity-make", "cannot name the identity") : rc;
}

static int make_identity(const struct ch_pki_identity *identity, const char *common_name,
	EVP_PKEY *key, EVP_PKEY *ca_key, X509 *ca, X509 **ret_cert, struct ch_err *err)
{
	CH_CLEANUP(X509_free_p) X509 *cert = NULL;
	int rc = begin(key, common_name, identity->days, &cert);

	if (rc == CH_OK)
		rc = add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE");
	if (rc == CH_OK)
		rc = add_extension(cert, ca, NID_key_usage, "critical,digitalSignature");
	if (rc == CH_OK)
		rc = add_extension(cert, ca, NID_ext_key_usage,
			identity->server ? "serverAuth" : "clientAuth");
	if (rc == CH_OK)
		rc = add_extension(cert, ca, NID_authority_key_identifier, "keyid:always");
	if (rc)
		return ch_err_set(
			err, rc, "identity-make", "cannot make the identity %s", identity->uri);
	rc = add_sans(cert, identity, err);
	if (rc)
		return rc;
	rc = finish(cert, ca, ca_key);
	if (rc)
		return ch_err_set(
			err, rc, "identity-make", "cannot sign the identity %s", identity->uri);
	*ret_cert = TAKE_PTR(cert);
	return CH_OK;
}

int ch_pki_create_identity(const struct ch_pki_identity *identity, const char *ca_key_path,
	const char *ca_cert_path, const char *key_path, const char *cert_path,
	struct ch_err *err)
{
	CH_AUTO_PKEY EVP_PKEY *ca_key = NULL;
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_CLEANUP(X509_free_p) X509 *ca = NULL;
	CH_CLEANUP(X509_free_p) X509 *cert = NULL;
	char common_name[2 * CH_IDENTITY_PART_B];
	struct ch_identity_uri uri;
	int rc;

	if (ch_identity_uri_parse(identity->uri, strlen(identity->uri), &uri))
		return ch_err_set(err, CH_EINVAL, "identity-uri",
			"\"%s\" is not an identity: certherd://role/scope/id, each 1 to 63 of "
			"[a-z0-9._-]",
			identity->uri);
	rc = load_ca(ca_key_path, ca_cert_path, &ca_key, &ca, err);
	if (rc)
		return rc;
	rc = ch_key_generate(&key);
	if (rc)
		return ch_err_set(err, rc, "key-generate", "cannot make a key");
	/* The common name is only for people: role and id may be cut (64 characters). */
	snprintf(common_name, sizeof(common_name), "%s %s", uri.role, uri.id);
	common_name[64] = 0;
	rc = make_identity(identity, common_name, key, ca_key, ca, &cert, err);
	if (rc)
		return rc;
	return write_pair(key, cert, key_path, cert_path, err);
}
