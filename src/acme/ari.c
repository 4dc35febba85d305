#include "acme/ari.h"

#include <limits.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "acme/json.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"

/* A serial of the longest: a tag, a length, the contents. */
#define SERIAL_DER_B (CH_ACME_CERT_ID_PART_B + 2)

_Static_assert(CH_ACME_CERT_ID_B >= 2 * CH_B64U_TEXT_B(CH_ACME_CERT_ID_PART_B),
	"both parts as text have room");

static void free_x509(X509 **cert)
{
	X509_free(*cert);
}

static int no_id(struct ch_err *err, const char *what)
{
	return ch_err_set(err, CH_ENOTFOUND, "no-cert-id",
		"The certificate's %s cannot name it to the CA: it has no renewal information.",
		what);
}

/* The contents of the serial's DER: a leading 00 that keeps it positive is part of them. */
static int serial_contents(X509 *cert, uint8_t der[SERIAL_DER_B], size_t *ret_len)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
	int len = i2d_ASN1_INTEGER(serial, NULL);
	uint8_t *out = der;

	/* So short a length is one byte. */
	if (len < 3 || len > SERIAL_DER_B || i2d_ASN1_INTEGER(serial, &out) != len)
		return CH_ENOTFOUND;
	*ret_len = (size_t)len - 2;
	return CH_OK;
}

int ch_acme_cert_id(
	const uint8_t *der, size_t len, char ret_id[CH_ACME_CERT_ID_B], struct ch_err *err)
{
	const uint8_t *at = der;
	CH_CLEANUP(free_x509)
	X509 *cert = len > LONG_MAX ? NULL : d2i_X509(NULL, &at, (long)len);
	uint8_t serial[SERIAL_DER_B];
	const ASN1_OCTET_STRING *aki;
	size_t serial_len;
	size_t aki_len;

	if (!cert || at != der + len)
		return ch_err_set(
			err, CH_EPROTO, "cert-parse", "This is no certificate in DER.");
	aki = X509_get0_authority_key_id(cert);
	aki_len = aki ? (size_t)ASN1_STRING_length(aki) : 0;
	if (aki_len == 0 || aki_len > CH_ACME_CERT_ID_PART_B)
		return no_id(err, "authority key identifier");
	if (serial_contents(cert, serial, &serial_len))
		return no_id(err, "serial number");
	ch_b64u_encode(ASN1_STRING_get0_data(aki), aki_len, ret_id);
	strcat(ret_id, ".");
	ch_b64u_encode(serial + 2, serial_len, ret_id + strlen(ret_id));
	return CH_OK;
}

bool ch_acme_cert_id_ok(const char *id)
{
	static const char set[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t key;
	size_t serial;

	if (!id || strnlen(id, CH_ACME_CERT_ID_B) >= CH_ACME_CERT_ID_B)
		return false;
	key = strspn(id, set);
	if (key == 0 || id[key] != '.')
		return false;
	serial = strspn(id + key + 1, set);
	return serial > 0 && !id[key + 1 + serial];
}

static int read_instant(const json_t *window, const char *key, int64_t *ret_at_ms)
{
	const char *text = ch_acme_json_str(window, key);
	int64_t at_ms;

	if (!text || ch_time_parse(text, &at_ms) || at_ms <= 0)
		return CH_EPROTO;
	*ret_at_ms = at_ms;
	return CH_OK;
}

int ch_acme_window_read(
	const json_t *doc, struct ch_acme_window *ret_window, struct ch_err *err)
{
	const json_t *object = json_object_get(doc, "suggestedWindow");
	const char *page = ch_acme_json_str(doc, "explanationURL");
	struct ch_acme_window window = {0};

	if (read_instant(object, "start", &window.start_ms) ||
		read_instant(object, "end", &window.end_ms) || window.end_ms <= window.start_ms)
		return ch_err_set(err, CH_EPROTO, "ca-bad-window",
			"The CA's renewal information has no window, or one that ends before "
			"it begins.");
	window.explanation = ch_acme_url_ok(page) ? page : NULL;
	*ret_window = window;
	return CH_OK;
}
