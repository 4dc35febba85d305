#include "acme/call.h"

#include <stdio.h>
#include <string.h>

#include "acme/payload.h"
#include "base/clock.h"
#include "base/mem.h"
#include "crypto/jws.h"

#define JWS_MAX_B (128u * 1024u)

static const struct ch_http_header jose_headers[] = {
	{"content-type", "application/jose+json"},
	{"accept", "application/json, application/problem+json, "
		   "application/pem-certificate-chain"},
};

void ch_acme_call_init(struct ch_acme_call *call, const struct ch_acme_session *session,
	const struct ch_acme_request *req)
{
	memset(call, 0, sizeof(*call));
	call->session = session;
	call->req = req;
	call->sending = req->kind;
	ch_buf_init(&call->body, JWS_MAX_B);
}

void ch_acme_call_done(struct ch_acme_call *call)
{
	ch_acme_nonces_put(call->session->nonces, call->nonce);
	ch_buf_done(&call->body);
}

static const char *request_url(const struct ch_acme_call *call)
{
	const struct ch_acme_session *s = call->session;

	switch (call->sending) {
	case CH_ACME_DIRECTORY:
		return s->directory_url;
	case CH_ACME_NEW_NONCE:
		return s->directory.new_nonce;
	case CH_ACME_FIND_ACCOUNT:
	case CH_ACME_NEW_ACCOUNT:
		return s->directory.new_account;
	case CH_ACME_KEY_CHANGE:
		return s->directory.key_change;
	case CH_ACME_DEACTIVATE:
	case CH_ACME_GET_ACCOUNT:
		return s->kid;
	case CH_ACME_REVOKE:
		return s->directory.revoke_cert;
	case CH_ACME_NEW_ORDER:
		return s->directory.new_order;
	case CH_ACME_RENEWAL_INFO:
		return call->url;
	default:
		return call->req->url;
	}
}

/* URLs of objects come from the CA, but also back from the store, where somebody may have put
 * others: nothing signed with the account key goes to a host that the directory does not name.
 */
static bool is_ca_host(const struct ch_acme_session *s, const char *url)
{
	return ch_acme_url_same_host(url, s->directory_url) ||
	       ch_acme_url_same_host(url, s->directory.new_nonce) ||
	       ch_acme_url_same_host(url, s->directory.new_account) ||
	       ch_acme_url_same_host(url, s->directory.new_order);
}

static int check_host(const struct ch_acme_call *call, struct ch_err *err)
{
	const char *url = call->req->url;

	if (call->req->kind < CH_ACME_GET_ORDER || !ch_acme_url_ok(url) ||
		is_ca_host(call->session, url))
		return CH_OK;
	return ch_err_set(err, CH_EINVAL, "ca-foreign-url",
		"%.*s is on a host that the CA's directory does not name: it is not asked.",
		(int)strcspn(url, "?"), url);
}

/* What the directory need not have. */
static int check_offered(const struct ch_acme_call *call, struct ch_err *err)
{
	const struct ch_acme_directory *dir = &call->session->directory;

	if (call->req->kind == CH_ACME_REVOKE && !dir->revoke_cert[0])
		return ch_err_set(err, CH_ENOTFOUND, "ca-no-revocation",
			"The CA's directory has no revokeCert: ask the CA how to revoke.");
	if (call->req->kind == CH_ACME_KEY_CHANGE && !dir->key_change[0])
		return ch_err_set(err, CH_ENOTFOUND, "ca-no-key-change",
			"The CA's directory has no keyChange: make a new account instead.");
	return CH_OK;
}

static int renewal_url(struct ch_acme_call *call, struct ch_err *err)
{
	const char *base = call->session->directory.renewal_info;
	size_t len = strlen(base);
	int n;

	if (len == 0)
		return ch_err_set(err, CH_ENOTFOUND, "ca-no-renewal-information",
			"The CA's directory has no renewalInfo: it does not say when to "
			"renew.");
	if (!ch_acme_cert_id_ok(call->req->cert_id))
		return ch_err_set(err, CH_EINVAL, "bad-cert-id",
			"This is no identifier of a certificate.");
	n = snprintf(call->url, sizeof(call->url), "%s%s%s", base,
		base[len - 1] == '/' ? "" : "/", call->req->cert_id);
	if (n < 0 || (size_t)n >= sizeof(call->url))
		return ch_err_set(err, CH_EINVAL, "ca-bad-url",
			"The CA's renewalInfo is too long to ask for a certificate.");
	return CH_OK;
}

static int sign(struct ch_acme_call *call, const char *url, struct ch_err *err)
{
	const struct ch_acme_session *s = call->session;
	bool by_jwk =
		call->sending == CH_ACME_FIND_ACCOUNT || call->sending == CH_ACME_NEW_ACCOUNT;
	CH_AUTO_FREE char *payload = NULL;
	struct ch_jws jws = {.key = s->key, .nonce = call->nonce, .url = url};
	int rc;

	/* RFC 8555 section 6.2: the key itself only where there is no account URL yet. */
	jws.kid = by_jwk ? NULL : s->kid;
	rc = ch_acme_payload(call->req, s, &payload, err);
	if (rc)
		return rc;
	jws.payload = payload;
	ch_buf_reset(&call->body);
	rc = ch_jws_sign(&jws, &call->body);
	if (rc)
		return ch_err_set(
			err, rc, "jws", "cannot sign the request to the CA: %s", ch_rc_str(rc));
	call->nonce[0] = 0;
	call->tries++;
	return CH_OK;
}

static bool is_plain(enum ch_acme_kind kind)
{
	return kind == CH_ACME_DIRECTORY || kind == CH_ACME_NEW_NONCE ||
	       kind == CH_ACME_RENEWAL_INFO;
}

enum ch_acme_kind ch_acme_call_choose(struct ch_acme_call *call)
{
	if (call->chosen)
		return call->sending;
	call->chosen = true;
	call->sending = call->req->kind;
	if (!is_plain(call->sending) && !call->nonce[0] &&
		!ch_acme_nonces_take(call->session->nonces, call->nonce))
		call->sending = CH_ACME_NEW_NONCE;
	return call->sending;
}

int ch_acme_call_next(
	struct ch_acme_call *call, struct ch_http_req *ret_req, struct ch_err *err)
{
	struct ch_http_req req = {.method = "GET", .timeout_ms = call->session->timeout_ms};
	bool plain;
	int rc = check_host(call, err);

	if (rc == CH_OK)
		rc = check_offered(call, err);
	if (rc == CH_OK && call->req->kind == CH_ACME_RENEWAL_INFO)
		rc = renewal_url(call, err);
	if (rc)
		return rc;
	plain = is_plain(ch_acme_call_choose(call));
	call->chosen = false;
	req.url = request_url(call);
	if (!ch_acme_url_ok(req.url))
		return ch_err_set(err, CH_EINVAL, "ca-bad-url",
			"A URL of the CA is missing, is not https, or is longer than %d bytes.",
			CH_ACME_URL_B - 1);
	req.max_answer_b = call->sending == CH_ACME_GET_CERTIFICATE ? CH_ACME_CHAIN_MAX_B
								    : CH_ACME_OBJECT_MAX_B;
	if (!plain) {
		rc = sign(call, req.url, err);
		if (rc)
			return rc;
		req.method = "POST";
		req.headers = jose_headers;
		req.n_headers = CH_ARRAY_LEN(jose_headers);
		req.body = call->body.data;
		req.body_len = call->body.len;
		req.once = 1;
	}
	*ret_req = req;
	return CH_OK;
}

/* The answer to GET newNonce: over only when it brought none. */
static bool take_nonce(
	struct ch_acme_call *call, struct ch_http_resp *resp, struct ch_acme_answer *ans)
{
	const char *nonce = ch_http_resp_header(resp, "replay-nonce");

	if (resp->status < 300 && ch_acme_nonce_ok(nonce)) {
		strcpy(call->nonce, nonce);
		return false;
	}
	ch_acme_answer_take(CH_ACME_NEW_NONCE, resp, ch_now_ms(), ans);
	if (ans->fate == CH_ACME_OK || ans->fate == CH_ACME_SIGN_AGAIN) {
		ans->fate = CH_ACME_LATER;
		ch_err_set(&ans->err, CH_EPROTO, "ca-no-nonce",
			"The CA answered newNonce without a nonce.");
		ans->err.actor = CH_ACTOR_CA;
	}
	return true;
}

/* alreadyReplaced, a certificate that the CA does not know (any more), one of another account,
 * an order for it that is still open: each refuses the whole order, by many types. */
static bool refuses_replaces(
	const struct ch_acme_call *call, int status, enum ch_acme_fate fate)
{
	return call->sending == CH_ACME_NEW_ORDER && call->req->cert_id && status >= 400 &&
	       status < 500 &&
	       (fate == CH_ACME_REFUSED || fate == CH_ACME_GONE || fate == CH_ACME_ACCOUNT ||
		       fate == CH_ACME_LATER);
}

static void ask_again_without(struct ch_acme_call *call, const char *nonce)
{
	call->plain = *call->req;
	call->plain.cert_id = NULL;
	call->req = &call->plain;
	ch_acme_nonces_put(call->session->nonces, nonce);
}

bool ch_acme_call_take(
	struct ch_acme_call *call, struct ch_http_resp *resp, struct ch_acme_answer *ans)
{
	const char *nonce = ch_http_resp_header(resp, "replay-nonce");

	if (call->sending == CH_ACME_NEW_NONCE)
		return take_nonce(call, resp, ans);
	ch_acme_answer_take(call->sending, resp, ch_now_ms(), ans);
	ans->replaces_refused = call->req == &call->plain;
	if (refuses_replaces(call, resp->status, ans->fate) &&
		call->tries < CH_ACME_TRIES_MAX) {
		ask_again_without(call, nonce);
		ch_acme_answer_done(ans);
		ch_acme_answer_init(ans);
		return false;
	}
	if (ans->fate != CH_ACME_SIGN_AGAIN) {
		ch_acme_nonces_put(call->session->nonces, nonce);
		return true;
	}
	/* What is not signed has no nonce, and no try is counted. */
	if (call->tries == 0 || call->tries >= CH_ACME_TRIES_MAX) {
		ch_acme_nonces_put(call->session->nonces, nonce);
		ans->fate = CH_ACME_LATER;
		return true;
	}
	/* The nonce of the error itself is the one that the CA surely knows. */
	if (ch_acme_nonce_ok(nonce))
		strcpy(call->nonce, nonce);
	ch_acme_answer_done(ans);
	ch_acme_answer_init(ans);
	return false;
}

bool ch_acme_call_take_error(
	struct ch_acme_call *call, const struct ch_err *http_err, struct ch_acme_answer *ans)
{
	/* The nonce of a request that the CA may have read is spent.  Whether it acted upon it
	 * shows when it is asked again, as after any answer that was lost. */
	if (http_err->rc == CH_EAGAIN && call->sending != CH_ACME_NEW_NONCE &&
		call->tries < CH_ACME_TRIES_MAX)
		return false;
	ch_acme_answer_no_answer(http_err, ans);
	return true;
}
