#include "acme/payload.h"

#include <string.h>

#include "base/codec.h"
#include "base/mem.h"
#include "crypto/jws.h"

/* A CSR for CH_ACME_NAMES_MAX names of full length, with room. */
#define CSR_MAX_B (48u * 1024u)

static size_t trimmed_len(struct ch_secret *text)
{
	size_t len = ch_secret_len(text);

	while (len > 0 && strchr(" \t\r\n", ch_secret_bytes(text)[len - 1]))
		len--;
	return len;
}

/* RFC 8555 section 7.3.4 */
static int add_eab(json_t *doc, const struct ch_acme_request *req,
	const struct ch_acme_session *session, struct ch_err *err)
{
	const struct ch_acme_signup *up = req->signup;
	CH_AUTO_BUF struct ch_buf jws;
	json_t *eab;
	int rc;

	ch_buf_init(&jws, 16384);
	rc = ch_jws_eab(session->key, up->eab_kid, (const char *)ch_secret_bytes(up->eab_hmac),
		trimmed_len(up->eab_hmac), session->directory.new_account, &jws, err);
	if (rc)
		return rc;
	eab = json_loadb(ch_buf_str(&jws), jws.len, 0, NULL);
	return json_object_set_new(doc, "externalAccountBinding", eab) ? CH_ENOMEM : CH_OK;
}

static int new_account(json_t *doc, const struct ch_acme_request *req,
	const struct ch_acme_session *session, struct ch_err *err)
{
	const struct ch_acme_signup *up = req->signup;
	json_t *contacts;

	if (json_object_set_new(doc, "termsOfServiceAgreed", json_true()))
		return CH_ENOMEM;
	if (up->n_contacts > 0) {
		contacts = json_array();
		for (size_t i = 0; i < up->n_contacts; i++)
			if (json_array_append_new(contacts, json_string(up->contacts[i])))
				return CH_ENOMEM;
		if (json_object_set_new(doc, "contact", contacts))
			return CH_ENOMEM;
	}
	return up->eab_kid ? add_eab(doc, req, session, err) : CH_OK;
}

static int new_order(json_t *doc, const struct ch_acme_request *req)
{
	json_t *list = json_array();

	if (json_object_set_new(doc, "identifiers", list))
		return CH_ENOMEM;
	for (size_t i = 0; i < req->n_names; i++)
		if (json_array_append_new(
			    list, json_pack("{ssss}", "type", "dns", "value", req->names[i])))
			return CH_ENOMEM;
	if (req->profile && json_object_set_new(doc, "profile", json_string(req->profile)))
		return CH_ENOMEM;
	if (!req->cert_id)
		return CH_OK;
	if (!ch_acme_cert_id_ok(req->cert_id))
		return CH_EINVAL;
	return json_object_set_new(doc, "replaces", json_string(req->cert_id)) ? CH_ENOMEM
									       : CH_OK;
}

static int finalize(json_t *doc, const struct ch_acme_request *req)
{
	CH_AUTO_BUF struct ch_buf csr;

	ch_buf_init(&csr, CH_B64U_TEXT_B(CSR_MAX_B));
	if (ch_b64u_add(&csr, req->csr, req->csr_len))
		return csr.rc;
	return json_object_set_new(doc, "csr", json_string(ch_buf_str(&csr))) ? CH_ENOMEM
									      : CH_OK;
}

static int revoke_cert(json_t *doc, const struct ch_acme_request *req)
{
	CH_AUTO_BUF struct ch_buf cert;

	ch_buf_init(&cert, CH_B64U_TEXT_B(CSR_MAX_B));
	if (ch_b64u_add(&cert, req->cert, req->cert_len))
		return cert.rc;
	return json_object_set_new(doc, "certificate", json_string(ch_buf_str(&cert))) ||
			       json_object_set_new(doc, "reason", json_integer(req->reason))
		       ? CH_ENOMEM
		       : CH_OK;
}

/* RFC 8555 section 7.3.5: the new key signs that it takes the place of the old one; the old one
 * signs that as any request. */
static int key_change(
	json_t *doc, const struct ch_acme_request *req, const struct ch_acme_session *session)
{
	CH_AUTO_BUF struct ch_buf old;
	CH_AUTO_BUF struct ch_buf inner;
	CH_AUTO_FREE char *claim = NULL;
	struct ch_jws jws = {.key = req->new_key, .url = session->directory.key_change};
	json_auto_t *signed_claim = NULL;
	int rc;

	ch_buf_init(&old, 512);
	ch_buf_init(&inner, 16384);
	rc = ch_jwk_add(session->key, &old);
	if (rc)
		return rc;
	signed_claim = json_pack("{ssso}", "account", session->kid, "oldKey",
		json_loadb(ch_buf_str(&old), old.len, 0, NULL));
	claim = json_dumps(signed_claim, JSON_COMPACT);
	if (!claim)
		return CH_ENOMEM;
	jws.payload = claim;
	rc = ch_jws_sign(&jws, &inner);
	if (rc)
		return rc;
	json_decref(signed_claim);
	signed_claim = json_loadb(ch_buf_str(&inner), inner.len, 0, NULL);
	return json_object_update(doc, signed_claim) ? CH_ENOMEM : CH_OK;
}

static int fill(json_t *doc, const struct ch_acme_request *req,
	const struct ch_acme_session *session, struct ch_err *err)
{
	switch (req->kind) {
	case CH_ACME_FIND_ACCOUNT:
		return json_object_set_new(doc, "onlyReturnExisting", json_true()) ? CH_ENOMEM
										   : CH_OK;
	case CH_ACME_NEW_ACCOUNT:
		return new_account(doc, req, session, err);
	case CH_ACME_NEW_ORDER:
		return new_order(doc, req);
	case CH_ACME_FINALIZE:
		return finalize(doc, req);
	case CH_ACME_REVOKE:
		return revoke_cert(doc, req);
	case CH_ACME_KEY_CHANGE:
		return key_change(doc, req, session);
	case CH_ACME_DEACTIVATE:
		return json_object_set_new(doc, "status", json_string("deactivated"))
			       ? CH_ENOMEM
			       : CH_OK;
	default:
		return CH_OK; /* ANSWER_CHALLENGE: the empty object */
	}
}

static bool is_post_as_get(enum ch_acme_kind kind)
{
	return kind == CH_ACME_GET_ACCOUNT || kind == CH_ACME_GET_ORDER ||
	       kind == CH_ACME_GET_AUTHZ || kind == CH_ACME_GET_CERTIFICATE;
}

int ch_acme_payload(const struct ch_acme_request *req, const struct ch_acme_session *session,
	char **ret_text, struct ch_err *err)
{
	json_auto_t *doc = json_object();
	char *text;
	int rc;

	if (is_post_as_get(req->kind)) {
		text = strdup("");
	} else {
		err->problem[0] = 0;
		rc = doc ? fill(doc, req, session, err) : CH_ENOMEM;
		if (rc)
			return err->problem[0]
				       ? rc
				       : ch_err_set(err, rc, "acme-payload",
						 "cannot build the request: %s", ch_rc_str(rc));
		text = json_dumps(doc, JSON_COMPACT);
	}
	if (!text)
		return ch_err_set(err, CH_ENOMEM, "acme-payload", "out of memory");
	*ret_text = text;
	return CH_OK;
}
