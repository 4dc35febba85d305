#include "fake_ca.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "crypto/keys.h"
#include "net/http_impl.h"

#define URN "urn:ietf:params:acme:error:"

struct call {
	struct fake_ca *ca;
	const struct ch_http_req *req;
	struct ch_http_resp *resp;
	json_t *payload; /* NULL: POST-as-GET or plain GET */
};

static void add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static X509 *new_cert(
	EVP_PKEY *pub, EVP_PKEY *signer, X509 *issuer, const char *sans, int64_t life_s)
{
	static long serial = 1000;
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	time_t now = (time_t)(ch_now_ms() / 1000);

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	ASN1_TIME_set(X509_getm_notBefore(cert), now - 60);
	ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(now - 60 + life_s));
	if (!issuer)
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
			(const unsigned char *)"Fake Root", -1, -1, 0);
	X509_set_issuer_name(
		cert, issuer ? X509_get_subject_name(issuer) : X509_get_subject_name(cert));
	X509_set_pubkey(cert, pub);
	add_ext(cert, issuer ? issuer : cert, NID_basic_constraints,
		issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (issuer) {
		add_ext(cert, issuer, NID_subject_alt_name, sans);
		add_ext(cert, issuer, NID_ext_key_usage, "serverAuth");
		add_ext(cert, issuer, NID_key_usage, "critical,digitalSignature");
	} else {
		add_ext(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	}
	assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
	return cert;
}

void fake_ca_inject(struct fake_ca *ca, enum fake_route route, struct fake_answer answer)
{
	ca->inject[route] = answer;
	if (answer.times == 0)
		ca->inject[route].times = 1;
}

static void header(struct call *c, const char *fmt, ...) CH_PRINTF(2, 3);
static void header(struct call *c, const char *fmt, ...)
{
	char line[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	assert_int_equal(ch_http_resp_add_line(c->resp, line, strlen(line)), CH_OK);
}

static void problem(struct call *c, int status, const char *type, const char *detail)
{
	ch_buf_reset(&c->resp->body);
	c->resp->status = status;
	header(c, "Content-Type: application/problem+json");
	ch_buf_addf(&c->resp->body, "{\"type\":\"" URN "%s\",\"detail\":\"%s\"}", type, detail);
}

static void on_directory(struct call *c, unsigned id, unsigned i)
{
	ch_buf_add_str(&c->resp->body,
		"{\"newNonce\":\"" FAKE_URL "/nonce\",\"newAccount\":\"" FAKE_URL
		"/account\",\"newOrder\":\"" FAKE_URL "/new-order\"}");
}

static void on_nonce(struct call *c, unsigned id, unsigned i)
{
	c->resp->status = 204;
}

static void on_account(struct call *c, unsigned id, unsigned i)
{
	if (json_is_true(json_object_get(c->payload, "onlyReturnExisting"))) {
		if (!c->ca->account || c->ca->rolled_over) {
			problem(c, 400, "accountDoesNotExist", "who?");
			return;
		}
	} else {
		assert_true(json_is_true(json_object_get(c->payload, "termsOfServiceAgreed")));
		c->resp->status = c->ca->account ? 200 : 201;
	}
	c->ca->account = true;
	header(c, "Location: " FAKE_URL "/account/1");
	ch_buf_add_str(&c->resp->body, "{\"status\":\"valid\"}");
}

static void on_account_url(struct call *c, unsigned id, unsigned i)
{
	if (c->ca->account)
		ch_buf_add_str(&c->resp->body, "{\"status\":\"valid\"}");
	else
		problem(c, 400, "accountDoesNotExist", "who?");
}

static bool all_valid(const struct fake_order *order)
{
	for (size_t i = 0; i < order->n; i++)
		if (strcmp(order->authz[i].status, "valid") != 0)
			return false;
	return true;
}

static void show_order(struct call *c, unsigned id)
{
	struct fake_order *order = &c->ca->orders[id];
	struct ch_buf *body = &c->resp->body;

	if (strcmp(order->status, "pending") == 0 && all_valid(order))
		order->status = "ready";
	ch_buf_addf(body,
		"{\"status\":\"%s\",\"expires\":\"%s\",\"finalize\":\"" FAKE_URL "/f/%u\"",
		order->status, c->ca->expires, id);
	for (size_t i = 0; i < order->n; i++)
		ch_buf_addf(body, "%s\"" FAKE_URL "/z/%u/%zu\"",
			i ? "," : ",\"authorizations\":[", id, i);
	ch_buf_add_str(body, "]");
	if (strcmp(order->status, "valid") == 0)
		ch_buf_addf(body, ",\"certificate\":\"" FAKE_URL "/cert/%u\"", id);
	if (strcmp(order->status, "invalid") == 0 && c->ca->order_error)
		ch_buf_addf(body, ",\"error\":%s", c->ca->order_error);
	ch_buf_add_str(body, "}");
}

static void on_new_order(struct call *c, unsigned none, unsigned i)
{
	unsigned id = (unsigned)c->ca->n_orders++;
	struct fake_order *order = &c->ca->orders[id];
	json_t *names = json_object_get(c->payload, "identifiers");

	assert_true(id < FAKE_ORDERS_MAX);
	order->status = "pending";
	order->n = json_array_size(names);
	order->processing_left = c->ca->processing;
	for (size_t k = 0; k < order->n; k++) {
		const json_t *one = json_array_get(names, k);

		snprintf(order->authz[k].name, 254, "%s",
			json_string_value(json_object_get(one, "value")));
		order->authz[k].status = c->ca->initial_authz;
		order->authz[k].polls_left = c->ca->polls;
	}
	c->resp->status = 201;
	header(c, "Location: " FAKE_URL "/o/%u", id);
	show_order(c, id);
}

static void on_order(struct call *c, unsigned id, unsigned i)
{
	struct fake_order *order = &c->ca->orders[id];

	if (strcmp(order->status, "processing") == 0 && order->processing_left-- <= 0)
		order->status = order->pem ? "valid" : "invalid";
	show_order(c, id);
}

static void decide(struct fake_ca *ca, struct fake_order *order, struct fake_authz *authz)
{
	if (strcmp(authz->status, "pending") != 0 || !authz->answered ||
		authz->polls_left-- > 0)
		return;
	authz->status = "valid";
	if (ca->invalid_name && strcmp(ca->invalid_name, authz->name) == 0) {
		authz->status = "invalid";
		order->status = "invalid";
	}
}

static bool is_wildcard(const struct fake_authz *authz)
{
	return strncmp(authz->name, "*.", 2) == 0;
}

/* One that can be answered. */
static void add_challenge(struct call *c, const char *type, unsigned id, unsigned i)
{
	const struct fake_authz *authz = &c->ca->orders[id].authz[i];
	bool invalid = strcmp(authz->status, "invalid") == 0;

	ch_buf_addf(&c->resp->body,
		",{\"type\":\"%s\",\"status\":\"%s\",\"token\":\"t%u-%u\",\"url\":\"" FAKE_URL
		"/c/%u/%u\"%s%s,\"issuer-domain-names\":%s}",
		type,
		invalid || strcmp(authz->status, "valid") == 0 ? authz->status
		: authz->answered			       ? "processing"
							       : "pending",
		id, i, id, i, invalid ? ",\"error\":" : "", invalid ? c->ca->invalid_error : "",
		c->ca->persist_issuers ? c->ca->persist_issuers : "null");
}

static void on_authz(struct call *c, unsigned id, unsigned i)
{
	struct fake_authz *authz = &c->ca->orders[id].authz[i];
	struct ch_buf *body = &c->resp->body;

	decide(c->ca, &c->ca->orders[id], authz);
	ch_buf_addf(body, "{\"status\":\"%s\",\"identifier\":{\"type\":\"dns\",\"value\":\"",
		authz->status);
	for (const char *n = authz->name + (is_wildcard(authz) ? 2 : 0); *n; n++)
		ch_buf_add_u8(body,
			(uint8_t)(c->ca->upper_case && *n >= 'a' && *n <= 'z' ? *n - 32 : *n));
	ch_buf_add_str(body, "\"},\"challenges\":[{\"type\":\"dns-persist-01\"}");
	if (c->ca->persist_issuers)
		add_challenge(c, "dns-persist-01", id, i);
	if (is_wildcard(authz)) {
		add_challenge(c, "dns-01", id, i);
		ch_buf_add_str(body, "]}");
		return;
	}
	if (c->ca->dns_challenge)
		ch_buf_addf(body,
			",{\"type\":\"dns-01\",\"token\":\"d\",\"url\":\"" FAKE_URL "/d\"}");
	if (c->ca->tls_challenge)
		add_challenge(c, "tls-alpn-01", id, i);
	if (!c->ca->no_http_challenge)
		add_challenge(c, "http-01", id, i);
	ch_buf_add_str(body, "]}");
}

static void on_challenge(struct call *c, unsigned id, unsigned i)
{
	struct fake_authz *authz = &c->ca->orders[id].authz[i];

	assert_true(json_is_object(c->payload));
	if (strcmp(authz->status, "pending") != 0) {
		problem(c, 400, "malformed", "the authorization is not pending");
		return;
	}
	authz->answered = true;
	ch_buf_add_str(&c->resp->body, "{\"type\":\"http-01\"}");
}

static void issue(struct fake_ca *ca, struct fake_order *order, X509_REQ *csr)
{
	char sans[600] = "";
	EVP_PKEY *pub = X509_REQ_get_pubkey(csr);
	BIO *bio = BIO_new(BIO_s_mem());
	EVP_PKEY *other = NULL;
	X509 *leaf;
	char *text;
	long len;

	for (size_t i = 0; i < order->n; i++)
		snprintf(sans + strlen(sans), sizeof(sans) - strlen(sans), "%sDNS:%s",
			i ? "," : "", ca->wrong_names ? "evil.test" : order->authz[i].name);
	assert_int_equal(ch_key_generate(&other), CH_OK);
	leaf = new_cert(ca->wrong_key ? other : pub, ca->key, ca->root, sans, ca->lifetime_s);
	PEM_write_bio_X509(bio, leaf);
	PEM_write_bio_X509(bio, ca->root);
	assert_int_equal(BIO_write(bio, "", 1), 1); /* the NUL of a string */
	len = BIO_get_mem_data(bio, &text);
	free(order->pem);
	order->pem = strndup(text, (size_t)len);
	ca->issued++;
	BIO_free(bio);
	X509_free(leaf);
	EVP_PKEY_free(pub);
	EVP_PKEY_free(other);
}

static void on_finalize(struct call *c, unsigned id, unsigned i)
{
	struct fake_order *order = &c->ca->orders[id];
	const char *text = json_string_value(json_object_get(c->payload, "csr"));
	CH_AUTO_FREE uint8_t *der = NULL;
	const unsigned char *at;
	X509_REQ *csr;
	size_t len;

	for (size_t k = 0; k < order->n; k++)
		decide(c->ca, order, &order->authz[k]);
	if (strcmp(order->status, "pending") == 0 && all_valid(order))
		order->status = "ready";
	if (strcmp(order->status, "ready") != 0) {
		problem(c, 403, "orderNotReady", order->status);
		return;
	}
	assert_non_null(text);
	assert_int_equal(ch_b64u_decode_alloc(text, 8192, &der, &len), CH_OK);
	at = der;
	csr = d2i_X509_REQ(NULL, &at, (long)len);
	assert_non_null(csr);
	if (!c->ca->order_error)
		issue(c->ca, order, csr);
	X509_REQ_free(csr);
	order->status = c->ca->processing || c->ca->order_error ? "processing" : "valid";
	show_order(c, id);
}

static void on_cert(struct call *c, unsigned id, unsigned i)
{
	header(c, "Content-Type: application/pem-certificate-chain");
	ch_buf_add_str(&c->resp->body, c->ca->orders[id].pem);
}

static const struct {
	const char *path; /* scanf */
	int numbers;
	void (*fn)(struct call *c, unsigned id, unsigned i);
} routes[FAKE_ROUTES] = {
	[FAKE_DIRECTORY] = {FAKE_URL "/dir%n", 0, on_directory},
	[FAKE_NONCE] = {FAKE_URL "/nonce%n", 0, on_nonce},
	[FAKE_ACCOUNT] = {FAKE_URL "/account%n", 0, on_account},
	[FAKE_ACCOUNT_URL] = {FAKE_URL "/account/1%n", 0, on_account_url},
	[FAKE_NEW_ORDER] = {FAKE_URL "/new-order%n", 0, on_new_order},
	[FAKE_ORDER] = {FAKE_URL "/o/%u%n", 1, on_order},
	[FAKE_AUTHZ] = {FAKE_URL "/z/%u/%u%n", 2, on_authz},
	[FAKE_CHALLENGE] = {FAKE_URL "/c/%u/%u%n", 2, on_challenge},
	[FAKE_FINALIZE] = {FAKE_URL "/f/%u%n", 1, on_finalize},
	[FAKE_CERT] = {FAKE_URL "/cert/%u%n", 1, on_cert},
};

/* Which route, and its numbers. */
static enum fake_route find_route(const char *url, unsigned *ret_id, unsigned *ret_i)
{
	for (int r = 0; r < FAKE_ROUTES; r++) {
		int used = 0;
		int got = 0;

		*ret_id = *ret_i = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		if (routes[r].numbers == 0)
			got = sscanf(url, routes[r].path, &used);
		else if (routes[r].numbers == 1)
			got = sscanf(url, routes[r].path, ret_id, &used);
		else
			got = sscanf(url, routes[r].path, ret_id, ret_i, &used);
#pragma GCC diagnostic pop
		if (got <= routes[r].numbers && used > 0 && url[used] == 0)
			return (enum fake_route)r;
	}
	fail_msg("no such URL at the CA: %s", url);
	return FAKE_ROUTES;
}

static json_t *decode_part(const struct ch_http_req *req, const char *member, bool *ret_empty)
{
	json_auto_t *jws = json_loadb(req->body, req->body_len, 0, NULL);
	const char *text = json_string_value(json_object_get(jws, member));
	CH_AUTO_FREE uint8_t *bytes = NULL;
	size_t len;

	assert_non_null(text);
	assert_int_equal(ch_b64u_decode_alloc(text, 65536, &bytes, &len), CH_OK);
	*ret_empty = len == 0;
	return len ? json_loadb((char *)bytes, len, 0, NULL) : NULL;
}

static bool nonce_is_good(struct call *c)
{
	bool empty;
	json_auto_t *head = decode_part(c->req, "protected", &empty);
	char expected[32];

	assert_string_equal(json_string_value(json_object_get(head, "url")), c->req->url);
	snprintf(expected, sizeof(expected), "nonce-%u", c->ca->nonce);
	assert_string_equal(json_string_value(json_object_get(head, "nonce")), expected);
	if (c->ca->nonce_reject == 0)
		return true;
	c->ca->nonce_reject--;
	return false;
}

static int answer_injected(struct call *c, struct fake_answer *inject, struct ch_err *err)
{
	inject->times--;
	if (inject->rc)
		return ch_err_set(err, inject->rc, "http-connect", "nobody answers");
	ch_buf_reset(&c->resp->body);
	c->resp->status = inject->status;
	if (inject->header)
		header(c, "%s", inject->header);
	ch_buf_add_str(&c->resp->body, inject->body ? inject->body : "");
	return CH_OK;
}

static int fake_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	struct fake_ca *ca = (struct fake_ca *)http;
	struct call c = {.ca = ca, .req = req, .resp = resp};
	unsigned id;
	unsigned i;
	enum fake_route route = find_route(req->url, &id, &i);
	struct fake_answer *inject = &ca->inject[route];
	bool empty;
	int rc = CH_OK;

	ca->count[route]++;
	ch_http_resp_restart(resp, req->max_answer_b);
	resp->status = 200;
	if (strcmp(req->method, "POST") == 0 && !nonce_is_good(&c)) {
		problem(&c, 400, "badNonce", "try again");
		header(&c, "Replay-Nonce: nonce-%u", ++ca->nonce);
		return CH_OK;
	}
	if (strcmp(req->method, "POST") == 0)
		c.payload = decode_part(req, "payload", &empty);
	if (ca->rolled_over && route >= FAKE_ACCOUNT_URL)
		problem(&c, 400, "malformed", "JWS verification error");
	else if (inject->times <= 0 || inject->after)
		routes[route].fn(&c, id, i);
	if (inject->times > 0)
		rc = answer_injected(&c, inject, err);
	if (rc == CH_OK && route != FAKE_DIRECTORY)
		header(&c, "Replay-Nonce: nonce-%u", ++ca->nonce);
	json_decref(c.payload);
	return rc;
}

static void fake_free(struct ch_http *http)
{
}

void fake_ca_init(struct fake_ca *ca)
{
	memset(ca, 0, sizeof(*ca));
	ca->http.send = fake_send;
	ca->http.free = fake_free;
	ca->initial_authz = "pending";
	ca->invalid_error = "{\"type\":\"" URN "dns\",\"detail\":\"SERVFAIL\"}";
	ca->lifetime_s = 90 * 86400;
	ca->expires = "2099-01-01T00:00:00Z";
	assert_int_equal(ch_key_generate(&ca->key), CH_OK);
	ca->root = new_cert(ca->key, ca->key, NULL, NULL, 3650 * INT64_C(86400));
}

void fake_ca_done(struct fake_ca *ca)
{
	for (size_t i = 0; i < ca->n_orders; i++)
		free(ca->orders[i].pem);
	X509_free(ca->root);
	EVP_PKEY_free(ca->key);
}
