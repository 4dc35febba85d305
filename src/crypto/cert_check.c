/* The checks between "the CA gave us a certificate" and "visitors see it". */
#include <openssl/x509v3.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/cert.h"
#include "crypto/ossl.h"

#define NOT_BEFORE_SLACK_S 3600 /* the CA's clock may be ahead of ours */

static int check_key(const struct ch_cert_info *info, const struct ch_cert_expect *expect,
	struct ch_err *err)
{
	if (memcmp(info->spki_sha256, expect->spki_sha256, sizeof(info->spki_sha256)) == 0)
		return CH_OK;
	return ch_err_set(err, CH_EPROTO, "cert-key",
		"the certificate is for another key than the request's");
}

static int expected(const struct ch_cert_expect *expect, const char *name)
{
	for (size_t i = 0; i < expect->n_names; i++)
		if (strcasecmp(expect->names[i], name) == 0)
			return 1;
	return 0;
}

static int present(const struct ch_cert_info *info, const char *name)
{
	for (size_t i = 0; i < info->n_names; i++)
		if (strcasecmp(info->names[i], name) == 0)
			return 1;
	return 0;
}

/* Addresses, e-mail addresses, URIs: nobody asked for them. */
static int has_other_names(X509 *cert)
{
	CH_CLEANUP(GENERAL_NAMES_free_p)
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++)
		if (sk_GENERAL_NAME_value(names, i)->type != GEN_DNS)
			return 1;
	return 0;
}

static int check_names(X509 *cert, const struct ch_cert_info *info,
	const struct ch_cert_expect *expect, struct ch_err *err)
{
	for (size_t i = 0; i < expect->n_names; i++)
		if (!present(info, expect->names[i]))
			return ch_err_set(err, CH_EPROTO, "cert-names",
				"the certificate does not cover %s", expect->names[i]);
	for (size_t i = 0; i < info->n_names; i++)
		if (!expected(expect, info->names[i]))
			return ch_err_set(err, CH_EPROTO, "cert-names",
				"the certificate covers %s, which was not asked for",
				info->names[i]);
	if (has_other_names(cert))
		return ch_err_set(err, CH_EPROTO, "cert-names",
			"the certificate has a name that is not a domain name");
	return CH_OK;
}

static int check_dates(const struct ch_cert_info *info, const struct ch_cert_expect *expect,
	struct ch_err *err)
{
	char when[CH_TIME_STR_B];

	if (info->not_before_s > expect->now_s + NOT_BEFORE_SLACK_S)
		return ch_err_set(err, CH_EPROTO, "cert-dates",
			"the certificate is not valid before %s; is the clock right?",
			ch_time_str(info->not_before_s * CH_SECOND_MS, when));
	if (info->not_after_s <= expect->now_s)
		return ch_err_set(err, CH_EPROTO, "cert-dates",
			"the certificate expired at %s; is the clock right?",
			ch_time_str(info->not_after_s * CH_SECOND_MS, when));
	return CH_OK;
}

static int check_usage(X509 *cert, struct ch_err *err)
{
	uint32_t flags = X509_get_extension_flags(cert);

	if (flags & EXFLAG_INVALID)
		return ch_err_set(
			err, CH_EPROTO, "cert-usage", "the certificate has broken extensions");
	if ((flags & EXFLAG_CA) || X509_check_ca(cert) != 0)
		return ch_err_set(
			err, CH_EPROTO, "cert-usage", "the certificate is a CA's certificate");
	if (!(flags & EXFLAG_XKUSAGE) || !(X509_get_extended_key_usage(cert) & XKU_SSL_SERVER))
		return ch_err_set(err, CH_EPROTO, "cert-usage",
			"the certificate is not for TLS servers (no serverAuth usage)");
	return CH_OK;
}

int ch_cert_chain_check(const struct ch_cert_chain *chain, const struct ch_cert_expect *expect,
	struct ch_err *err)
{
	CH_AUTO_FREE struct ch_cert_info *info = malloc(sizeof(*info));
	X509 *leaf = chain->list[0].x509;
	int64_t at_s = expect->now_s;
	int rc;

	if (!info)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_cert_info_x509(leaf, info, err);
	if (rc == CH_OK)
		rc = check_key(info, expect, err);
	if (rc == CH_OK)
		rc = check_names(leaf, info, expect, err);
	if (rc == CH_OK)
		rc = check_dates(info, expect, err);
	if (rc == CH_OK)
		rc = check_usage(leaf, err);
	if (rc)
		return rc;
	/* Within the slack the chain is judged at the moment it becomes valid. */
	if (at_s < info->not_before_s)
		at_s = info->not_before_s;
	return ch_trust_check(expect->trust, chain, at_s, err);
}
