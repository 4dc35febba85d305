/* Who is asking: the one function that authenticates every request.
 *
 * libmicrohttpd asks for a client certificate but lets a handler run without one, and with one
 * that nobody signed; gnutls_certificate_verify_peers2 then returns 0 and tells the verdict in
 * the status bits only.  So everything is judged here, for every request, and again when a
 * long poll goes on. */
#ifndef CH_STORED_AUTH_H
#define CH_STORED_AUTH_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/pki.h"
#include "wire/state.h"

#define CH_WHO_TEXT_B 208 /* "certherd://" and three parts of at most 63 */

struct ch_who {
	enum ch_role role;
	struct ch_identity_uri uri;
	char text[CH_WHO_TEXT_B]; /* the URI as it stands in the certificate */
};

struct ch_auth; /* thread-safe */

struct ch_auth_options {
	const char *identity_ca; /* PEM file: signs every role */
	const char *edge_ca;	 /* PEM file: signs edge identities only */
	const char *revoked;	 /* file: stored/revoked.h */
};
CH_MUST int ch_auth_new(
	const struct ch_auth_options *options, struct ch_auth **ret_auth, struct ch_err *err);
void ch_auth_free(struct ch_auth *auth); /* NULL allowed */

/* Both CAs in PEM, for the server's list of acceptable issuers; borrowed from auth. */
const char *ch_auth_trust_pem(const struct ch_auth *auth);

/* What was found out about the certificates of one TLS session, so that not every request on a
 * connection pays for checking signatures again.  It counts for a minute, for exactly these
 * certificates, and within their dates.  Zero-filled at first; one per connection, used by one
 * thread at a time. */
struct ch_auth_memo {
	bool known;
	uint8_t chain_sha256[32];
	int64_t judged_at_ms; /* monotonic */
	int64_t begins_s;     /* dates of the leaf, Unix seconds */
	int64_t ends_s;
	struct ch_who who;
};

/* CH_EAUTH with problem `not-authenticated` and a detail that says what is wrong.  Dates and
 * the revocation list are looked at in every call. */
CH_MUST int ch_auth_check(struct ch_auth *auth, gnutls_session_t session,
	struct ch_auth_memo *memo, struct ch_who *ret_who, struct ch_err *err);

#endif
