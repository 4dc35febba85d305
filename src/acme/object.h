/* The objects of RFC 8555 section 7.1.  Every pointer borrows from the JSON document that was
 * read; what is optional and absent is NULL or 0. */
#ifndef CH_ACME_OBJECT_H
#define CH_ACME_OBJECT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acme/json.h"
#include "base/err.h"

#define CH_ACME_NAMES_MAX 100
#define CH_ACME_IDENTITIES_MAX 8
#define CH_ACME_IDENTITY_B 254

enum ch_acme_status {
	CH_ACME_PENDING,
	CH_ACME_PROCESSING,
	CH_ACME_READY,
	CH_ACME_VALID,
	CH_ACME_INVALID,
	CH_ACME_REVOKED,
	CH_ACME_DEACTIVATED,
	CH_ACME_EXPIRED,
	CH_ACME_STATUS_UNKNOWN, /* a word that we do not know: look again later */
};
const char *ch_acme_status_str(enum ch_acme_status status);

struct ch_acme_directory { /* owns its text */
	char new_nonce[CH_ACME_URL_B];
	char new_account[CH_ACME_URL_B];
	char new_order[CH_ACME_URL_B];
	/* Optional: "" where the CA has none, or no fit URL. */
	char renewal_info[CH_ACME_URL_B]; /* RFC 9773 */
	char revoke_cert[CH_ACME_URL_B];
	char key_change[CH_ACME_URL_B];
	bool eab_required;
	/* meta.caaIdentities; more, and what is no host name, are left out. */
	char caa_identities[CH_ACME_IDENTITIES_MAX][CH_ACME_IDENTITY_B];
	size_t n_caa_identities;
};

struct ch_acme_order {
	enum ch_acme_status status;
	int64_t expires_ms; /* 0: not given, or not understood */
	const char *authz[CH_ACME_NAMES_MAX];
	size_t n_authz;
	const char *finalize;
	const char *certificate; /* only when valid */
	const json_t *error;	 /* problem document */
};

/* X(name, type, has a token) */
#define CH_ACME_CHALLENGE_LIST(X)                                                              \
	X(CH_ACME_HTTP_01, "http-01", true)		   /* RFC 8555 section 8.3 */          \
	X(CH_ACME_DNS_01, "dns-01", true)		   /* RFC 8555 section 8.4 */          \
	X(CH_ACME_TLS_ALPN_01, "tls-alpn-01", true)	   /* RFC 8737 */                      \
	X(CH_ACME_DNS_PERSIST_01, "dns-persist-01", false) /* draft: a standing TXT record */

enum ch_acme_challenge_type {
#define X(name, text, has_token) name,
	CH_ACME_CHALLENGE_LIST(X)
#undef X
		CH_ACME_CHALLENGE_COUNT
};
const char *ch_acme_challenge_str(enum ch_acme_challenge_type type);

struct ch_acme_challenge {
	const char *url;   /* NULL: the CA does not offer the type */
	const char *token; /* NULL where the type has none */
	enum ch_acme_status status;
	const json_t *issuers; /* dns-persist-01: array of what names the CA; NULL: not given */
};

struct ch_acme_authz {
	enum ch_acme_status status;
	const char *name; /* in the CA's case; without the "*." of a wildcard */
	int64_t expires_ms;
	/* By type: the first of each that can be used. */
	struct ch_acme_challenge challenges[CH_ACME_CHALLENGE_COUNT];
	const json_t *error; /* of the challenge that failed */
};

/* CH_EPROTO: something required is missing, or a URL is not https or too long. */
CH_MUST int ch_acme_directory_read(
	const json_t *doc, struct ch_acme_directory *ret_dir, struct ch_err *err);
CH_MUST int ch_acme_order_read(
	const json_t *doc, struct ch_acme_order *ret_order, struct ch_err *err);
/* Skipped: challenges of unknown types, with a bad URL, or whose type needs a token and which
 * have none or a bad one. */
CH_MUST int ch_acme_authz_read(
	const json_t *doc, struct ch_acme_authz *ret_authz, struct ch_err *err);

#endif
