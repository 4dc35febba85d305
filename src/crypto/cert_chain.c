#include <openssl/pem.h>
#include <string.h>

#include "crypto/cert.h"
#include "crypto/ossl.h"

#define PEM_CHAIN_MAX_B (160u * 1024u) /* 9 certificates of 8 KiB in base64, and some air */

CH_DEFINE_CLEANUP(struct ch_cert_chain *, ch_cert_chain_free)

void ch_cert_chain_free(struct ch_cert_chain *chain)
{
	if (!chain)
		return;
	for (size_t i = 0; i < chain->n; i++) {
		X509_free(chain->list[i].x509);
		free(chain->list[i].der);
	}
	free(chain);
}

size_t ch_cert_chain_len(const struct ch_cert_chain *chain)
{
	return chain->n;
}

bool ch_cert_chain_has_issuer(const struct ch_cert_chain *chain, const char *common_name)
{
	char text[256];

	for (size_t i = 0; i < chain->n; i++) {
		X509_NAME *issuer = X509_get_issuer_name(chain->list[i].x509);
		int len = X509_NAME_get_text_by_NID(
			issuer, NID_commonName, text, (int)sizeof(text));

		if (len >= 0 && strcmp(text, common_name) == 0)
			return true;
	}
	return false;
}

void ch_cert_chain_der(
	const struct ch_cert_chain *chain, size_t i, const uint8_t **ret_der, size_t *ret_len)
{
	*ret_der = chain->list[i].der;
	*ret_len = chain->list[i].der_len;
}

static int add(struct ch_cert_chain *chain, const uint8_t *der, size_t len, struct ch_err *err)
{
	CH_CLEANUP(X509_free_p) X509 *cert = NULL;
	CH_AUTO_FREE uint8_t *copy = NULL;
	int rc;

	if (chain->n == CH_CHAIN_MAX)
		return ch_err_set(err, CH_EPROTO, "cert-parse",
			"more than %d certificates in the chain", CH_CHAIN_MAX);
	rc = chain->n == 0 ? ch_cert_from_der(der, len, &cert, err)
			   : ch_cert_shared(der, len, &cert, err);
	if (rc)
		return rc;
	copy = malloc(len);
	if (!copy)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	memcpy(copy, der, len);
	chain->list[chain->n].x509 = TAKE_PTR(cert);
	chain->list[chain->n].der = TAKE_PTR(copy);
	chain->list[chain->n++].der_len = len;
	return CH_OK;
}

/* One PEM block.  CH_ENOTFOUND at the end. */
static int read_block(BIO *bio, struct ch_cert_chain *chain, struct ch_err *err)
{
	char *type = NULL;
	char *header = NULL;
	unsigned char *der = NULL;
	long len;
	int rc;

	if (PEM_read_bio(bio, &type, &header, &der, &len) != 1) {
		int end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

		if (end)
			return ch_ossl_fail(CH_ENOTFOUND);
		return ch_ossl_err(err, CH_EPROTO, "cert-parse", "broken PEM");
	}
	/* RFC 8555 section 9.1: nothing but certificates; above all no private key. */
	if (strcmp(type, PEM_STRING_X509) != 0 || *header)
		rc = ch_err_set(
			err, CH_EPROTO, "cert-parse", "a PEM block that is not a certificate");
	else
		rc = add(chain, der, (size_t)len, err);
	OPENSSL_free(type);
	OPENSSL_free(header);
	OPENSSL_clear_free(der, (size_t)len);
	return rc;
}

int ch_cert_chain_parse_pem(
	const char *pem, size_t len, struct ch_cert_chain **ret_chain, struct ch_err *err)
{
	CH_CLEANUP(ch_cert_chain_free_p)
	struct ch_cert_chain *chain = calloc(1, sizeof(*chain));
	CH_CLEANUP(BIO_free_all_p) BIO *bio = NULL;
	int rc = CH_OK;

	if (len > PEM_CHAIN_MAX_B)
		return ch_err_set(err, CH_EPROTO, "cert-parse",
			"a chain of %zu bytes; at most %u are taken", len, PEM_CHAIN_MAX_B);
	bio = BIO_new_mem_buf(len ? pem : "", (int)len);
	if (!chain || !bio)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	while (rc == CH_OK)
		rc = read_block(bio, chain, err);
	if (rc != CH_ENOTFOUND)
		return rc;
	if (chain->n == 0)
		return ch_err_set(
			err, CH_EPROTO, "cert-parse", "there is no certificate in it");
	*ret_chain = TAKE_PTR(chain);
	return CH_OK;
}

int ch_cert_chain_from_der(const uint8_t *const *der, const size_t *len, size_t n,
	struct ch_cert_chain **ret_chain, struct ch_err *err)
{
	CH_CLEANUP(ch_cert_chain_free_p)
	struct ch_cert_chain *chain = calloc(1, sizeof(*chain));

	if (!chain)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	for (size_t i = 0; i < n; i++) {
		int rc = add(chain, der[i], len[i], err);

		if (rc)
			return rc;
	}
	if (n == 0)
		return ch_err_set(err, CH_EPROTO, "cert-parse", "there is no certificate");
	*ret_chain = TAKE_PTR(chain);
	return CH_OK;
}
