/* finalize, certificates and revocation: RFC 8555 sections 7.4 and 7.6. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "ca.h"
#include "limit.h"
#include "order.h"
#include "routes.h"
#include "settings.h"

#define CSR_MAX_B 16384

/* True when the SANs are the order's names and nothing else. */
static bool names_fit(X509_REQ *csr, const struct sim_order *order)
{
	STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(csr);
	GENERAL_NAMES *sans = X509V3_get_d2i(exts, NID_subject_alt_name, NULL, NULL);
	bool fit = sans && (size_t)sk_GENERAL_NAME_num(sans) == order->n;

	for (int i = 0; fit && i < sk_GENERAL_NAME_num(sans); i++) {
		const GENERAL_NAME *san = sk_GENERAL_NAME_value(sans, i);
		bool found = false;

		for (size_t k = 0; san->type == GEN_DNS && k < order->n; k++) {
			size_t len = strlen(order->names[k]);

			found = found ||
				((size_t)ASN1_STRING_length(san->d.dNSName) == len &&
					strncasecmp((const char *)ASN1_STRING_get0_data(
							    san->d.dNSName),
						order->names[k], len) == 0);
		}
		fit = found;
	}
	GENERAL_NAMES_free(sans);
	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	return fit;
}

static bool must_staple(X509_REQ *csr)
{
	STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(csr);
	bool found = X509v3_get_ext_by_NID(exts, NID_tlsfeature, -1) >= 0;

	sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
	return found;
}

static bool key_good(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		return bits == 2048 || bits == 3072 || bits == 4096;
	return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && (bits == 256 || bits == 384);
}

/* NULL, or what is wrong with the CSR.  *ret_key is the caller's. */
static const char *check_csr(
	const struct sim_order *order, const char *text, EVP_PKEY **ret_key)
{
	CH_AUTO_FREE uint8_t *der = NULL;
	const unsigned char *at;
	const char *why = NULL;
	X509_REQ *csr;
	size_t len;

	if (!text || ch_b64u_decode_alloc(text, CSR_MAX_B, &der, &len))
		return "Error parsing certificate request: not base64url";
	at = der;
	csr = d2i_X509_REQ(NULL, &at, (long)len);
	*ret_key = csr ? X509_REQ_get_pubkey(csr) : NULL;
	if (!*ret_key || at != der + len)
		why = "Error parsing certificate request";
	else if (X509_REQ_verify(csr, *ret_key) != 1)
		why = "Error finalizing order :: invalid signature on CSR";
	else if (!key_good(*ret_key))
		why = "Error finalizing order :: invalid public key in CSR";
	else if (EVP_PKEY_eq(*ret_key, order->account->key) == 1)
		why = "certificate public key must be different than account key";
	else if (must_staple(csr))
		why = "OCSP must-staple extension is no longer available";
	else if (!names_fit(csr, order))
		why = "Error finalizing order :: CSR does not specify same identifiers as "
		      "Order";
	X509_REQ_free(csr);
	ERR_clear_error();
	return why;
}

/* What a test has ordered for the order's names: the first that has something. */
static const json_t *ordered(
	const struct sim *sim, const struct sim_order *order, const char *key)
{
	for (size_t i = 0; i < order->n; i++) {
		const json_t *value =
			json_object_get(sim_name_settings(sim, order->names[i]), key);

		if (value)
			return value;
	}
	return NULL;
}

static void issue(struct sim *sim, struct sim_order *order, EVP_PKEY *key)
{
	const json_t *fail = ordered(sim, order, "finalize");
	const json_t *delay = json_object_get(fail, "processing_ms");
	const char *problem = json_string_value(json_object_get(fail, "problem"));
	int64_t ms = delay ? (int64_t)json_number_value(delay)
			   : sim_int(sim, "finalize", "processing_ms");

	if (problem) {
		order->error = sim_problem_json(400, problem, "as the test has ordered");
	} else {
		order->cert = sim_ca_issue(sim, order, key);
		if (order->replaces)
			order->replaces->replaced_by = order;
		sim_limits_issued(sim, order);
		sim_table_put(&sim->sets_issued, order->set, order);
	}
	order->status = SIM_PROCESSING;
	order->valid_at_ms = sim_now_ms(sim) + ms;
}

void sim_finalize(struct sim_req *req, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	const char *csr = json_string_value(json_object_get(req->jws.payload, "csr"));
	struct sim_order *order;
	EVP_PKEY *key = NULL;
	const char *why;

	sim_get_order(req, reply);
	order = reply->order;
	if (!order)
		return;
	if (order->status != SIM_READY) {
		sim_problem(reply, 403, "orderNotReady",
			"Order's status (\"%s\") is not acceptable for finalization",
			sim_status_str(order->status));
		return;
	}
	why = check_csr(order, csr, &key);
	if (why) {
		sim_problem(reply, 400, "badCSR", "%s", why);
	} else {
		issue(sim, order, key);
		sim_order_show(sim, order, reply);
		sim_reply_header(reply, "Location", "%s/order/%u", sim->base, order->id);
	}
	EVP_PKEY_free(key);
}

static void show_chain(struct sim_req *req, unsigned root, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	struct sim_cert *cert = sim_table_get(&sim->certs_by_serial, req->rest);

	if (!cert || cert->order->account != req->account) {
		sim_problem(reply, 404, "malformed", "Certificate not found");
		return;
	}
	sim_order_refresh(sim, cert->order);
	if (cert->order->status != SIM_VALID) {
		sim_problem(reply, 404, "malformed", "Certificate not found");
		return;
	}
	sim_ca_chain(sim, cert, root, &reply->body);
	reply->type = "application/pem-certificate-chain";
	reply->order = cert->order;
	sim_reply_header(reply, "Link", "<%s/%s/%s>;rel=\"alternate\"", sim->base,
		root ? "cert" : "alternate", cert->serial);
}

void sim_get_cert(struct sim_req *req, struct sim_reply *reply)
{
	show_chain(req, 0, reply);
}

void sim_get_alternate(struct sim_req *req, struct sim_reply *reply)
{
	show_chain(req, 1, reply);
}

static struct sim_cert *find_by_der(struct sim *sim, const uint8_t *der, size_t len)
{
	/* Newest first: what is revoked is rarely old. */
	for (size_t i = sim->certs.n; i > 0; i--) {
		struct sim_cert *cert = sim->certs.items[i - 1];

		if (cert->der_len == len && memcmp(cert->der, der, len) == 0)
			return cert;
	}
	return NULL;
}

/* RFC 8555 section 7.6: the account that has it, or the certificate's own key. */
static bool may_revoke(const struct sim_req *req, const struct sim_cert *cert)
{
	const unsigned char *at = cert->der;
	X509 *x509;
	bool same;

	if (req->account)
		return cert->order->account == req->account;
	x509 = d2i_X509(NULL, &at, (long)cert->der_len);
	SIM_NEED(x509);
	same = EVP_PKEY_eq(X509_get0_pubkey(x509), req->key) == 1;
	X509_free(x509);
	return same;
}

static bool reason_good(const json_t *reason)
{
	json_int_t number = reason ? json_integer_value(reason) : 0;

	return (!reason || json_is_integer(reason)) &&
	       (number == 0 || number == 1 || number == 4 || number == 5);
}

void sim_revoke(struct sim_req *req, struct sim_reply *reply)
{
	const json_t *payload = req->jws.payload;
	const char *text = json_string_value(json_object_get(payload, "certificate"));
	const json_t *reason = json_object_get(payload, "reason");
	CH_AUTO_FREE uint8_t *der = NULL;
	struct sim_cert *cert;
	size_t len;

	if (!text || ch_b64u_decode_alloc(text, SIM_BODY_MAX_B, &der, &len)) {
		sim_problem(reply, 400, "malformed", "Unable to parse certificate DER");
		return;
	}
	cert = find_by_der(req->sim, der, len);
	if (!cert)
		sim_problem(reply, 404, "malformed", "Certificate from unrecognized issuer");
	else if (!may_revoke(req, cert))
		sim_problem(reply, 403, "unauthorized",
			"The key ID specified in the revocation request does not control the "
			"certificate");
	else if (!reason_good(reason))
		sim_problem(reply, 400, "badRevocationReason",
			"Disallowed revocation reason: %lld",
			(long long)json_integer_value(reason));
	else if (cert->revoked)
		sim_problem(reply, 400, "alreadyRevoked", "Certificate already revoked");
	else {
		cert->revoked = true;
		cert->reason = (int)json_integer_value(reason);
		reply->json = NULL;
	}
}
