#include "routes.h"

#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "hostile.h"
#include "limit.h"
#include "nonce.h"
#include "settings.h"

static const struct sim_route routes[] = {
	{"directory", "/dir", SIM_PLAIN, "rate_other", sim_directory, false},
	{"newNonce", "/nonce", SIM_PLAIN, "rate_new_nonce", sim_new_nonce, false},
	{"newAccount", "/new-account", SIM_BY_JWK, "rate_other", sim_new_account, false},
	{"account", "/account/", SIM_BY_KID, "rate_other", sim_account_update, true},
	{"keyChange", "/key-change", SIM_BY_KID, "rate_other", sim_key_change, false},
	{"newOrder", "/new-order", SIM_BY_KID, "rate_new_order", sim_new_order, false},
	{"order", "/order/", SIM_BY_KID, "rate_other", sim_get_order, true},
	{"finalize", "/finalize/", SIM_BY_KID, "rate_other", sim_finalize, true},
	{"authz", "/authz/", SIM_BY_KID, "rate_other", sim_get_authz, true},
	{"challenge", "/challenge/", SIM_BY_KID, "rate_other", sim_challenge_answer, true},
	{"certificate", "/cert/", SIM_BY_KID, "rate_other", sim_get_cert, true},
	{"alternate", "/alternate/", SIM_BY_KID, "rate_other", sim_get_alternate, true},
	{"revokeCert", "/revoke", SIM_BY_EITHER, "rate_other", sim_revoke, false},
	{"renewalInfo", "/renewal-info/", SIM_PLAIN, "rate_renewal_info", sim_renewal_info,
		true},
};

const struct sim_route *sim_route_find(struct sim_req *req)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(routes); i++) {
		size_t len = strlen(routes[i].path);

		if (strncmp(req->path, routes[i].path, len) != 0 ||
			(routes[i].has_rest ? req->path[len] == 0 : req->path[len] != 0))
			continue;
		req->rest = req->path + len;
		return &routes[i];
	}
	return NULL;
}

/* Reads the signed body.  False: the reply says why not.  Without the lock. */
static bool parse(struct sim_req *req, struct sim_reply *reply)
{
	const char *why;

	if (strncmp(req->type, "application/jose+json", 21) != 0) {
		sim_problem(reply, 415, "malformed",
			"Invalid Content-Type header on POST. Content-Type must be "
			"\"application/jose+json\"");
		return false;
	}
	why = sim_jws_parse(ch_buf_str(&req->body), req->body.len, &req->jws);
	if (why) {
		sim_problem(reply, 400, "malformed", "Parse error reading JWS: %s", why);
		return false;
	}
	return true;
}

/* Finds the key that must have signed.  With the lock. */
static bool find_account(struct sim_req *req, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	size_t len = strlen(sim->base);
	unsigned id = 0;
	int used = 0;

	if (strncmp(req->jws.kid, sim->base, len) != 0 ||
		sscanf(req->jws.kid + len, "/account/%u%n", &id, &used) != 1 ||
		req->jws.kid[len + (size_t)used] || id == 0 || id > sim->accounts.n) {
		sim_problem(reply, 400, "accountDoesNotExist", "Account \"%.200s\" not found",
			req->jws.kid);
		return false;
	}
	req->account = sim->accounts.items[id - 1];
	if (req->account->status != SIM_VALID) {
		sim_problem(reply, 403, "unauthorized",
			"Account is not valid, has status \"%s\"",
			sim_status_str(req->account->status));
		return false;
	}
	SIM_NEED(EVP_PKEY_up_ref(req->account->key) == 1);
	req->key = req->account->key;
	return true;
}

static bool find_key(
	struct sim_req *req, const struct sim_route *route, struct sim_reply *reply)
{
	if (req->jws.kid && route->auth == SIM_BY_JWK) {
		sim_problem(reply, 400, "malformed", "jwk is wanted here, not kid");
		return false;
	}
	if (req->jws.jwk && route->auth == SIM_BY_KID) {
		sim_problem(reply, 400, "malformed", "kid is wanted here, not jwk");
		return false;
	}
	if (req->jws.kid)
		return find_account(req, reply);
	req->key = sim_jwk_read(req->jws.jwk, req->thumbprint);
	if (!req->key)
		sim_problem(reply, 400, "badPublicKey",
			"P-256, P-384 and RSA of 2048 to 4096 bits are taken");
	return req->key != NULL;
}

/* Nonce, URL and algorithm; the nonce is spent whatever becomes of the rest. */
static bool check_head(struct sim_req *req, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	bool fresh = sim_nonce_use(sim->nonces, req->jws.nonce, sim_now_ms(sim),
		sim_int(sim, "nonce", "life_s") * CH_SECOND_MS);
	char url[2 * SIM_URL_B];

	if (!sim_jws_alg_fits(req->jws.alg, req->key)) {
		sim_problem(reply, 400, "badSignatureAlgorithm",
			"JWS signature header contains unsupported algorithm \"%.40s\"",
			req->jws.alg);
		json_object_set_new(reply->json, "algorithms",
			json_pack("[sss]", "ES256", "ES384", "RS256"));
		return false;
	}
	if (!fresh || sim_fault_bad_nonce(sim)) {
		sim_problem(reply, 400, "badNonce",
			"Unable to validate JWS :: JWS has an "
			"invalid anti-replay nonce");
		return false;
	}
	snprintf(url, sizeof(url), "%s%s", sim->base, req->path);
	if (strcmp(url, req->jws.url) != 0) {
		sim_problem(reply, 400, "malformed",
			"JWS header parameter 'url' incorrect. Expected \"%s\" got \"%.200s\"",
			url, req->jws.url);
		return false;
	}
	return true;
}

static void answer_signed(
	struct sim_req *req, const struct sim_route *route, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	bool good;

	if (!parse(req, reply))
		return;
	pthread_mutex_lock(&sim->lock);
	good = find_key(req, route, reply) && check_head(req, reply);
	pthread_mutex_unlock(&sim->lock);
	if (!good)
		return;
	if (!sim_jws_verify(&req->jws, req->key)) {
		sim_problem(reply, 400, "malformed", "JWS verification error");
		return;
	}
	pthread_mutex_lock(&sim->lock);
	route->handler(req, reply);
	sim_hostile(sim, route, reply);
	pthread_mutex_unlock(&sim->lock);
}

static bool method_fits(const struct sim_req *req, const struct sim_route *route)
{
	if (route->auth == SIM_PLAIN)
		return strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0;
	return strcmp(req->method, "POST") == 0;
}

void sim_answer(struct sim_req *req, const struct sim_route *route, struct sim_reply *reply)
{
	bool may;

	if (!route) {
		sim_problem(reply, 404, "malformed", "Page not found");
		return;
	}
	if (!method_fits(req, route)) {
		sim_problem(reply, 405, "malformed", "Method not allowed");
		return;
	}
	pthread_mutex_lock(&req->sim->lock);
	sim_count(req->sim, "requests", route->name);
	may = sim_limits_rate(req->sim, route->rate, req->ip, reply);
	if (may && route->auth == SIM_PLAIN) {
		route->handler(req, reply);
		sim_hostile(req->sim, route, reply);
	}
	pthread_mutex_unlock(&req->sim->lock);
	if (may && route->auth != SIM_PLAIN)
		answer_signed(req, route, reply);
}
