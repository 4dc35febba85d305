/* RFC 8555 as a state machine without I/O.
 *
 * A call is one request with its answer.  ch_acme_call_next says what to send: first, if the
 * pool is empty, for a nonce, then the signed request.  ch_acme_call_take says what the answer
 * means; after badNonce it wants to be sent again, newly signed with the nonce of that very
 * answer.  No signed request is ever sent twice: the HTTP client is told so, and where it would
 * have repeated one by itself, ch_acme_call_take_error has it signed again too.
 *
 *   kind              sends                                          object in the answer
 *   DIRECTORY         GET directory                                  directory
 *   NEW_NONCE         GET newNonce (inside every other call)         -
 *   RENEWAL_INFO      GET renewalInfo/certID (no account, no nonce)  window
 *   FIND_ACCOUNT      POST newAccount {onlyReturnExisting}           location
 *   NEW_ACCOUNT       POST newAccount {contact, terms, EAB}          location
 *   KEY_CHANGE        POST keyChange {account, oldKey, by new_key}   -
 *   DEACTIVATE        POST account URL {status}                      -
 *   GET_ACCOUNT       POST-as-GET account URL                        -
 *   REVOKE            POST revokeCert {certificate, reason}          -
 *   NEW_ORDER         POST newOrder {identifiers, replaces, profile} order, location
 *   GET_ORDER         POST-as-GET order URL                          order
 *   GET_AUTHZ         POST-as-GET authorization URL                  authz
 *   ANSWER_CHALLENGE  POST {} challenge URL                          -
 *   FINALIZE          POST {csr} finalize URL                        order
 *   GET_CERTIFICATE   POST-as-GET certificate URL                    pem, alternates
 *
 * An order that names the certificate that it replaces (RFC 9773 section 5) is refused as a
 * whole when the CA does not agree: it is asked for once more without.
 *
 * Polling an order or an authorization is asking for it again; the challenge is never polled.
 */
#ifndef CH_ACME_CALL_H
#define CH_ACME_CALL_H

#include <openssl/evp.h>

#include "acme/ari.h"
#include "acme/nonce.h"
#include "acme/object.h"
#include "acme/problem.h"
#include "base/buf.h"
#include "base/secret.h"
#include "net/http.h"

enum ch_acme_kind {
	CH_ACME_DIRECTORY,
	CH_ACME_NEW_NONCE,
	CH_ACME_RENEWAL_INFO,
	CH_ACME_FIND_ACCOUNT,
	CH_ACME_NEW_ACCOUNT,
	CH_ACME_KEY_CHANGE,
	CH_ACME_DEACTIVATE,
	CH_ACME_GET_ACCOUNT,
	CH_ACME_REVOKE,
	CH_ACME_NEW_ORDER,
	CH_ACME_GET_ORDER,
	CH_ACME_GET_AUTHZ,
	CH_ACME_ANSWER_CHALLENGE,
	CH_ACME_FINALIZE,
	CH_ACME_GET_CERTIFICATE,
};
const char *ch_acme_kind_str(enum ch_acme_kind kind);

#define CH_ACME_CONTACTS_MAX 8
#define CH_ACME_ALTERNATES_MAX 4

struct ch_acme_signup {
	const char *contacts[CH_ACME_CONTACTS_MAX]; /* "mailto:…" */
	size_t n_contacts;
	const char *eab_kid;	    /* NULL: no external account binding */
	struct ch_secret *eab_hmac; /* base64url text as the CA handed it out */
};

/* RFC 5280 section 5.3.1: those that are for a leaf. */
#define CH_REVOKE_REASONS(X)                                                                   \
	X(0, "unspecified")                                                                    \
	X(1, "keyCompromise")                                                                  \
	X(3, "affiliationChanged")                                                             \
	X(4, "superseded")                                                                     \
	X(5, "cessationOfOperation")                                                           \
	X(9, "privilegeWithdrawn")

/* Everything is borrowed for the time of the call. */
struct ch_acme_request {
	enum ch_acme_kind kind;
	const char
		*url; /* of the object, for the last five kinds; on a host of the directory */
	const struct ch_acme_signup *signup; /* NEW_ACCOUNT */
	const char *const *names;	     /* NEW_ORDER */
	size_t n_names;
	const char *profile; /* NEW_ORDER: by which the CA issues; NULL: the CA's default */
	EVP_PKEY *new_key;   /* KEY_CHANGE */
	const uint8_t *cert; /* REVOKE: DER */
	size_t cert_len;
	int reason;	     /* REVOKE: RFC 5280 section 5.3.1 */
	const char *cert_id; /* RENEWAL_INFO; NEW_ORDER: what it replaces, or NULL */
	const uint8_t *csr;  /* FINALIZE: DER */
	size_t csr_len;
	bool patient; /* waits as long as it may, however quickly others were answered */
};

struct ch_acme_answer {
	enum ch_acme_fate fate;
	int status;	     /* of HTTP; 0: no answer came */
	struct ch_err err;   /* filled unless fate is CH_ACME_OK */
	int64_t retry_at_ms; /* when to ask again; 0: the CA names no time */
	bool retry_guessed;  /* LIMITED: it names none, and retry_at_ms is a guess */
	json_t *doc;	     /* owned: the object, or the problem document; may be NULL */
	char location[CH_ACME_URL_B];
	char page[CH_ACME_URL_B]; /* PAUSED, or account-action-required: what a person has to
				     visit */
	struct ch_acme_directory directory;
	bool unsent;	       /* it was not the CA that said this: see ch_acme_set_pass */
	bool replaces_refused; /* NEW_ORDER: the order, if any, replaces nothing for the CA */
	struct ch_acme_window window; /* these three borrow from doc */
	struct ch_acme_order order;
	struct ch_acme_authz authz;
	struct ch_buf pem;
	/* GET_CERTIFICATE: other chains for the same leaf (RFC 8555 section 7.4.2). */
	char alternates[CH_ACME_ALTERNATES_MAX][CH_ACME_URL_B];
	size_t n_alternates;
};

void ch_acme_answer_init(struct ch_acme_answer *ans);
void ch_acme_answer_done(struct ch_acme_answer *ans);
#define CH_AUTO_ANSWER CH_CLEANUP(ch_acme_answer_done)

/* Reads the answer to a request of this kind; ans is initialized and empty.  Takes the body out
 * of resp where it keeps it.  Returns ans->fate.
 *
 * Retry-After is taken from any answer, seconds or date, between 1 s and 1 day from now; for
 * objects that are merely not final yet at most CH_ACME_POLL_MOST_MS (some CAs send a day with
 * every order, final ones included).  With renewal information it is
 * when to ask next: a minute to a day from now, 6 hours when the CA names no time. */
#define CH_ACME_POLL_MOST_MS (10 * INT64_C(60000))
#define CH_ACME_LOOK_MS (6 * INT64_C(3600000))
#define CH_ACME_LOOK_LEAST_MS INT64_C(60000)
enum ch_acme_fate ch_acme_answer_take(enum ch_acme_kind kind, struct ch_http_resp *resp,
	int64_t now_ms, struct ch_acme_answer *ans);
/* The same for an exchange that brought no answer; http_err is what the client said. */
enum ch_acme_fate ch_acme_answer_no_answer(
	const struct ch_err *http_err, struct ch_acme_answer *ans);

/* Who asks, and where. */
struct ch_acme_session {
	const char *directory_url;
	struct ch_acme_directory directory;
	EVP_PKEY *key;		 /* account key, borrowed */
	char kid[CH_ACME_URL_B]; /* account URL; "" before it is known */
	struct ch_acme_nonces *nonces;
	int64_t timeout_ms; /* of one request; 0: 30 s */
};

/* Signed requests, each with a nonce of its own, before a call gives up. */
#define CH_ACME_TRIES_MAX 10

struct ch_acme_call {
	const struct ch_acme_session *session;
	const struct ch_acme_request *req;
	enum ch_acme_kind sending;    /* NEW_NONCE, or the request's own kind */
	bool chosen;		      /* that is what ch_acme_call_next sends */
	struct ch_acme_request plain; /* req without what it replaces, once that was refused */
	char url[CH_ACME_URL_B];      /* RENEWAL_INFO */
	unsigned tries;		      /* signed requests sent */
	char nonce[CH_ACME_NONCE_B];
	struct ch_buf body;
};

void ch_acme_call_init(struct ch_acme_call *call, const struct ch_acme_session *session,
	const struct ch_acme_request *req);
void ch_acme_call_done(struct ch_acme_call *call);
/* Which kind of request is sent now; a call that ends before gives the nonce for it back. */
enum ch_acme_kind ch_acme_call_choose(struct ch_acme_call *call);
/* What to send now; borrowed from call until it is asked again.  CH_EINVAL (a URL that is not
 * fit to be sent to), CH_ECRYPTO, CH_ETOOBIG. */
CH_MUST int ch_acme_call_next(
	struct ch_acme_call *call, struct ch_http_req *ret_req, struct ch_err *err);
/* Returns true when the call is over and ans holds its result; false: ask ch_acme_call_next.
 * The nonce of every answer goes into the pool. */
bool ch_acme_call_take(
	struct ch_acme_call *call, struct ch_http_resp *resp, struct ch_acme_answer *ans);
/* The same when no answer came; http_err is what the HTTP client said. */
bool ch_acme_call_take_error(
	struct ch_acme_call *call, const struct ch_err *http_err, struct ch_acme_answer *ans);

#endif
