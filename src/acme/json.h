/* What a CA sends, read with limits: JSON bounded in size and depth, URLs, tokens, texts. */
#ifndef CH_ACME_JSON_H
#define CH_ACME_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define CH_ACME_OBJECT_MAX_B 65536u
#define CH_ACME_CHAIN_MAX_B (256u * 1024u)
#define CH_ACME_DEPTH_MAX 16
#define CH_ACME_URL_B 1024  /* with NUL: longer URLs are refused */
#define CH_ACME_TOKEN_B 129 /* 128 characters and a NUL */
#define CH_ACME_NONCE_B 257

/* An object (nothing else) of at most CH_ACME_OBJECT_MAX_B bytes, nested at most
 * CH_ACME_DEPTH_MAX deep, no key twice.  The caller owns *ret_doc.  CH_EPROTO, CH_ETOOBIG. */
CH_MUST int ch_acme_json_load(
	const void *bytes, size_t len, json_t **ret_doc, struct ch_err *err);

/* https, a host, printable ASCII without blanks, shorter than CH_ACME_URL_B.  NULL allowed. */
bool ch_acme_url_ok(const char *url);
/* Both pass ch_acme_url_ok and go to the same host and port. */
bool ch_acme_url_same_host(const char *a, const char *b);
/* base64url, 1 … 128 characters (RFC 8555 section 8.3).  NULL allowed. */
bool ch_acme_token_ok(const char *token);
/* base64url, 1 … 256 characters (RFC 8555 section 6.5.1).  NULL allowed. */
bool ch_acme_nonce_ok(const char *nonce);

/* The string under key, or NULL; borrowed from doc. */
const char *ch_acme_json_str(const json_t *doc, const char *key);
/* Copies text for people: control characters become blanks, cut at text_b - 1 bytes but never
 * inside a UTF-8 character.  Returns ret_text; "" for NULL. */
const char *ch_acme_text(const char *text, char *ret_text, size_t text_b);

#endif
