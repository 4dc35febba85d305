#include "crypto/jws.h"

#include <string.h>

#include "base/codec.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/ecdsa.h"
#include "crypto/keys.h"
#include "crypto/ossl.h"

#define PROTECTED_MAX_B (16u * 1024u)
#define HMAC_KEY_MAX_B 512u

/* What goes between quotes here is a URL, a nonce or a key id; none of them has a reason to
 * hold a character that JSON would have to escape, so such a one is refused. */
static int add_quoted(struct ch_buf *out, const char *text)
{
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f || *at == '"' ||
			*at == '\\')
			out->rc = out->rc ? out->rc : CH_EINVAL;
	return ch_buf_addf(out, "\"%s\"", text);
}

/* RFC 7638 section 3.2: these members, in this order, without white space. */
static int add_jwk(struct ch_buf *out, EVP_PKEY *key)
{
	uint8_t point[65];
	int rc = ch_p256_point(key, point);

	if (rc)
		return rc;
	(void)ch_buf_add_str(out, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
	(void)ch_b64u_add(out, point + 1, 32);
	(void)ch_buf_add_str(out, "\",\"y\":\"");
	(void)ch_b64u_add(out, point + 33, 32);
	return ch_buf_add_str(out, "\"}");
}

int ch_jwk_add(EVP_PKEY *key, struct ch_buf *out)
{
	return add_jwk(out, key);
}

int ch_jwk_thumbprint(EVP_PKEY *key, char ret_text[CH_THUMBPRINT_TEXT_B])
{
	CH_AUTO_BUF struct ch_buf jwk;
	uint8_t digest[CH_SHA256_B];
	int rc;

	ch_buf_init(&jwk, 512);
	rc = add_jwk(&jwk, key);
	if (rc == CH_OK)
		rc = ch_sha256(jwk.data, jwk.len, digest);
	if (rc)
		return rc;
	ch_b64u_encode(digest, sizeof(digest), ret_text);
	return CH_OK;
}

static int make_protected(const struct ch_jws *jws, struct ch_buf *out)
{
	int rc = CH_OK;

	(void)ch_buf_add_str(out, "{\"alg\":\"ES256\",");
	if (jws->kid) {
		(void)ch_buf_add_str(out, "\"kid\":");
		(void)add_quoted(out, jws->kid);
	} else {
		(void)ch_buf_add_str(out, "\"jwk\":");
		rc = add_jwk(out, jws->key);
	}
	if (jws->nonce) {
		(void)ch_buf_add_str(out, ",\"nonce\":");
		(void)add_quoted(out, jws->nonce);
	}
	(void)ch_buf_add_str(out, ",\"url\":");
	(void)add_quoted(out, jws->url);
	(void)ch_buf_add_str(out, "}");
	return rc ? rc : out->rc;
}

/* Appends {"protected":…,"payload":…,"signature":""}; returns where the signing input
 * (RFC 7515 section 5.1) is in *signing. */
static int signing_input(const struct ch_buf *protected, const void *payload, size_t len,
	struct ch_buf *ret_signing)
{
	(void)ch_b64u_add(ret_signing, protected->data, protected->len);
	(void)ch_buf_add_str(ret_signing, ".");
	return ch_b64u_add(ret_signing, payload, len);
}

static int add_object(
	const struct ch_buf *signing, const uint8_t *sig, size_t sig_len, struct ch_buf *out)
{
	const char *text = ch_buf_str(signing);
	size_t dot = strcspn(text, ".");

	(void)ch_buf_add_str(out, "{\"protected\":\"");
	(void)ch_buf_add(out, text, dot);
	(void)ch_buf_add_str(out, "\",\"payload\":\"");
	(void)ch_buf_add_str(out, text + dot + 1);
	(void)ch_buf_add_str(out, "\",\"signature\":\"");
	(void)ch_b64u_add(out, sig, sig_len);
	return ch_buf_add_str(out, "\"}");
}

int ch_jws_sign(const struct ch_jws *jws, struct ch_buf *out)
{
	CH_AUTO_BUF struct ch_buf protected;
	CH_AUTO_BUF struct ch_buf signing;
	uint8_t sig[64];
	int rc;

	ch_buf_init(&protected, PROTECTED_MAX_B);
	ch_buf_init(&signing, out->max_b);
	rc = make_protected(jws, &protected);
	if (rc == CH_OK)
		rc = signing_input(&protected, jws->payload, strlen(jws->payload), &signing);
	if (rc == CH_OK)
		rc = ch_ecdsa_sign(jws->key, &CH_BYTES(signing.data, signing.len), 1, sig);
	if (rc)
		return rc;
	return add_object(&signing, sig, sizeof(sig), out);
}

/* CAs print the key as base64url; some add padding or use the other alphabet. */
static int decode_hmac_key(const char *text, size_t len, struct ch_secret **ret_key)
{
	CH_AUTO_SECRET struct ch_secret *copy = NULL;
	CH_AUTO_SECRET struct ch_secret *bytes = NULL;
	size_t got;
	char *at;
	int rc;

	while (len && strchr("= \t\r\n", text[len - 1]))
		len--;
	if (len == 0 || len > HMAC_KEY_MAX_B)
		return CH_EINVAL;
	rc = ch_secret_from(text, len, &copy);
	if (rc == CH_OK)
		rc = ch_secret_new(len, &bytes);
	if (rc)
		return rc;
	at = (char *)ch_secret_bytes(copy);
	for (size_t i = 0; i < len; i++)
		at[i] = at[i] == '+' ? '-' : at[i] == '/' ? '_' : at[i];
	rc = ch_b64u_decode(at, len, ch_secret_bytes(bytes), len, &got);
	if (rc || got == 0)
		return CH_EINVAL;
	return ch_secret_from(ch_secret_bytes(bytes), got, ret_key);
}

static int hs256(
	struct ch_secret *key, const struct ch_buf *signing, uint8_t ret_tag[CH_HASH_B])
{
	CH_CLEANUP(EVP_MD_CTX_free_p) EVP_MD_CTX *mac = EVP_MD_CTX_new();

	if (!mac)
		return ch_ossl_fail(CH_ENOMEM);
	return ch_hmac(mac, ch_secret_bytes(key), ch_secret_len(key),
		&CH_BYTES(signing->data, signing->len), 1, ret_tag);
}

int ch_jws_eab(EVP_PKEY *account, const char *kid, const char *hmac_b64u, size_t hmac_len,
	const char *url, struct ch_buf *out, struct ch_err *err)
{
	CH_AUTO_SECRET struct ch_secret *key = NULL;
	CH_AUTO_BUF struct ch_buf protected;
	CH_AUTO_BUF struct ch_buf jwk;
	CH_AUTO_BUF struct ch_buf signing;
	uint8_t tag[CH_HASH_B];
	int rc;

	ch_buf_init(&protected, PROTECTED_MAX_B);
	ch_buf_init(&jwk, 512);
	ch_buf_init(&signing, out->max_b);
	if (decode_hmac_key(hmac_b64u, hmac_len, &key))
		return ch_err_set(err, CH_EINVAL, "eab-hmac",
			"the key of the external account binding is not base64url");
	(void)ch_buf_add_str(&protected, "{\"alg\":\"HS256\",\"kid\":");
	(void)add_quoted(&protected, kid);
	(void)ch_buf_add_str(&protected, ",\"url\":");
	(void)add_quoted(&protected, url);
	if (ch_buf_add_str(&protected, "}"))
		return ch_err_set(err, CH_EINVAL, "eab-kid",
			"the key id of the external account binding has characters that cannot "
			"be "
			"in it");
	rc = add_jwk(&jwk, account);
	if (rc == CH_OK)
		rc = signing_input(&protected, jwk.data, jwk.len, &signing);
	if (rc == CH_OK)
		rc = hs256(key, &signing, tag);
	if (rc == CH_OK)
		rc = add_object(&signing, tag, sizeof(tag), out);
	return rc ? ch_err_set(err, rc, "eab", "cannot make the external account binding") : rc;
}
