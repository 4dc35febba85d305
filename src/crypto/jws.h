/* JSON Web Signatures as ACME uses them (RFC 8555 section 6.2): flattened JSON, ES256. */
#ifndef CH_CRYPTO_JWS_H
#define CH_CRYPTO_JWS_H

#include <openssl/evp.h>

#include "base/buf.h"
#include "base/err.h"

#define CH_THUMBPRINT_TEXT_B 44 /* base64url of 32 bytes and a NUL */

/* RFC 7638 thumbprint of a P-256 public key. */
CH_MUST int ch_jwk_thumbprint(EVP_PKEY *key, char ret_text[CH_THUMBPRINT_TEXT_B]);

/* The public half as a JWK, as it is in a thumbprint.  Appends it. */
CH_MUST int ch_jwk_add(EVP_PKEY *key, struct ch_buf *out);

struct ch_jws {
	EVP_PKEY *key;	   /* account key, P-256 */
	const char *kid;   /* account URL, or NULL: the JWK goes in instead */
	const char *nonce; /* NULL only for the inner JWS of a key change */
	const char *url;
	const char *payload; /* JSON text; "" is POST-as-GET */
};
/* Appends the JWS. */
CH_MUST int ch_jws_sign(const struct ch_jws *jws, struct ch_buf *out);
/* External account binding (RFC 8555 section 7.3.4): HS256 over the account's JWK.
 * hmac_b64u is the key as CAs hand it out.  Appends the JWS object. */
CH_MUST int ch_jws_eab(EVP_PKEY *account, const char *kid, const char *hmac_b64u,
	size_t hmac_len, const char *url, struct ch_buf *out, struct ch_err *err);

#endif
