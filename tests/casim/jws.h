/* JSON web signatures as ACME has them (RFC 8555 section 6.2): flattened, with nonce and url.
 */
#ifndef CASIM_JWS_H
#define CASIM_JWS_H

#include "sim.h"

struct sim_jws {
	json_t *head;			     /* the protected header */
	json_t *payload;		     /* NULL: the payload is empty (POST-as-GET) */
	const char *alg, *nonce, *url, *kid; /* borrowed from head; NULL: not there */
	const json_t *jwk;		     /* the same */
	char *signing_input;
	uint8_t *signature;
	size_t signature_len;
};

/* NULL, or why it is no JWS that we take. */
const char *sim_jws_parse(const char *text, size_t len, struct sim_jws *ret_jws);
const char *sim_jws_parse_json(const json_t *doc, struct sim_jws *ret_jws);
void sim_jws_done(struct sim_jws *jws);
/* ES256, ES384, RS256: is it one for this kind of key? */
bool sim_jws_alg_fits(const char *alg, EVP_PKEY *key);
bool sim_jws_verify(const struct sim_jws *jws, EVP_PKEY *key);
/* HS256 with the key as base64url. */
bool sim_jws_verify_hmac(const struct sim_jws *jws, const char *key_b64u);

/* P-256, P-384, RSA of 2,048 to 4,096 bits.  NULL: not such a key.  ret_thumbprint: RFC 7638.
 */
EVP_PKEY *sim_jwk_read(const json_t *jwk, char ret_thumbprint[SIM_TOKEN_B]);

#define SIM_AUTO_JWS CH_CLEANUP(sim_jws_done)

#endif
