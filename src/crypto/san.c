#include "crypto/san.h"

#include <string.h>

#include "crypto/ossl.h"

#define DNS_MAX_B 253
#define URI_MAX_B 255

static int usable(const char *value, int type)
{
	static const char dns[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"-_.*";
	static const char uri[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.:/";
	size_t len = strlen(value);

	return len > 0 && len <= (type == GEN_DNS ? DNS_MAX_B : URI_MAX_B) &&
	       strspn(value, type == GEN_DNS ? dns : uri) == len;
}

static int push(GENERAL_NAMES *names, int type, ASN1_STRING *value, const void *bytes, int len)
{
	GENERAL_NAME *name = GENERAL_NAME_new();

	if (!name || !value || ASN1_STRING_set(value, bytes, len) != 1) {
		GENERAL_NAME_free(name);
		ASN1_STRING_free(value);
		return ch_ossl_fail(CH_ENOMEM);
	}
	GENERAL_NAME_set0_value(name, type, value);
	if (sk_GENERAL_NAME_push(names, name) <= 0) {
		GENERAL_NAME_free(name);
		return ch_ossl_fail(CH_ENOMEM);
	}
	return CH_OK;
}

int ch_san_add_text(GENERAL_NAMES *names, int type, const char *value)
{
	if (!usable(value, type))
		return CH_EINVAL;
	return push(names, type, ASN1_IA5STRING_new(), value, (int)strlen(value));
}

int ch_san_add_ip(GENERAL_NAMES *names, const char *address)
{
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(address);
	int rc;

	if (!ip)
		return ch_ossl_fail(CH_EINVAL);
	rc = push(names, GEN_IPADD, ASN1_OCTET_STRING_new(), ASN1_STRING_get0_data(ip),
		ASN1_STRING_length(ip));
	ASN1_OCTET_STRING_free(ip);
	return rc;
}

int ch_san_add(GENERAL_NAMES *names, const char *san)
{
	if (strncmp(san, "DNS:", 4) == 0)
		return ch_san_add_text(names, GEN_DNS, san + 4);
	if (strncmp(san, "IP:", 3) == 0)
		return ch_san_add_ip(names, san + 3);
	return CH_EINVAL;
}
