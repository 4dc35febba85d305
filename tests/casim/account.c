/* Accounts: RFC 8555 section 7.3. */
#include <stdio.h>
#include <string.h>

#include "limit.h"
#include "nonce.h"
#include "routes.h"
#include "settings.h"

void sim_directory(struct sim_req *req, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	const char *names[] = {
		"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo"};
	const char *paths[] = {"/nonce", "/new-account", "/new-order", "/revoke", "/key-change",
		"/renewal-info"};
	json_t *doc = json_object();
	json_t *meta = json_pack("{ss ss s[s] sb}", "termsOfService",
		"https://casim.example/terms", "website", "https://casim.example",
		"caaIdentities", sim_str(sim, "challenges", "issuer_domain"),
		"externalAccountRequired", sim_bool(sim, "eab", "required"));
	const char *profile;
	json_t *entry;

	for (size_t i = 0; i < CH_ARRAY_LEN(names); i++)
		if (i < 5 || sim_bool(sim, "ari", "offered"))
			json_object_set_new(
				doc, names[i], json_sprintf("%s%s", sim->base, paths[i]));
	/* One that nobody knows, as the big public CA has it. */
	json_object_set_new(doc, "Kt3m0sMaq2o", json_string("https://casim.example/unknown"));
	if (sim_bool(sim, "profiles", "announced")) {
		json_t *profiles = json_object();

		json_object_foreach(sim_setting(sim, "profiles", "list"), profile, entry)
			json_object_set(profiles, profile, json_object_get(entry, "about"));
		json_object_set_new(meta, "profiles", profiles);
	}
	json_object_set_new(doc, "meta", meta);
	sim_reply_json(reply, 200, doc);
	reply->no_nonce = true;
}

void sim_new_nonce(struct sim_req *req, struct sim_reply *reply)
{
	reply->status = strcmp(req->method, "HEAD") == 0 ? 200 : 204;
	sim_reply_header(reply, "Cache-Control", "no-store");
}

static void show(struct sim *sim, const struct sim_account *account, unsigned status,
	struct sim_reply *reply)
{
	/* As with the big public CA, there is no list of orders. */
	json_t *doc = json_pack("{ss}", "status", sim_status_str(account->status));

	if (account->contact)
		json_object_set(doc, "contact", account->contact);
	sim_reply_json(reply, status, doc);
	sim_reply_header(reply, "Location", "%s/account/%u", sim->base, account->id);
	sim_reply_header(
		reply, "Link", "<https://casim.example/terms>;rel=\"terms-of-service\"");
}

static bool contact_good(struct sim *sim, const json_t *contact, struct sim_reply *reply)
{
	const json_t *one;
	size_t i;

	if (json_array_size(contact) == 0 && sim_bool(sim, "account", "contact_required")) {
		sim_problem(reply, 400, "invalidContact", "an e-mail address is required");
		return false;
	}
	json_array_foreach(contact, i, one)
	{
		const char *text = json_string_value(one);

		if (!text || strncmp(text, "mailto:", 7) != 0) {
			sim_problem(reply, 400, "unsupportedContact",
				"only mailto: is supported as a contact");
			return false;
		}
		if (!strchr(text, '@') || strstr(text, "@example.com")) {
			sim_problem(reply, 400, "invalidContact",
				"Error validating contact(s) :: contact email has forbidden "
				"domain");
			return false;
		}
	}
	return true;
}

/* RFC 8555 section 7.3.4.  *ret_kid: whose external account it is, NULL without one. */
static bool eab_good(struct sim_req *req, char **ret_kid, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	const json_t *binding = json_object_get(req->jws.payload, "externalAccountBinding");
	SIM_AUTO_JWS struct sim_jws inner = {0};
	char thumbprint[SIM_TOKEN_B];
	const char *why, *mac;
	EVP_PKEY *key;

	*ret_kid = NULL;
	if (!binding && !sim_bool(sim, "eab", "required"))
		return true;
	if (!binding) {
		sim_problem(reply, 403, "externalAccountRequired",
			"The request must include a value for the \"externalAccountBinding\" "
			"field");
		return false;
	}
	why = sim_jws_parse_json(binding, &inner);
	mac = why || !inner.kid ? NULL
				: json_string_value(json_object_get(
					  sim_setting(sim, "eab", "keys"), inner.kid));
	key = inner.payload ? sim_jwk_read(inner.payload, thumbprint) : NULL;
	if (!why && (!inner.url || strcmp(inner.url, req->jws.url) != 0 || inner.nonce))
		why = "its header is not as it must be";
	if (!why && (!key || strcmp(thumbprint, req->thumbprint) != 0))
		why = "it is over another key";
	EVP_PKEY_free(key);
	if (why) {
		sim_problem(reply, 400, "malformed", "External account binding: %s", why);
		return false;
	}
	if (!mac || !sim_jws_verify_hmac(&inner, mac) ||
		(sim_bool(sim, "eab", "single_use") &&
			sim_table_get(&sim->eab_used, inner.kid))) {
		sim_problem(reply, 403, "unauthorized",
			"External account binding: the key is unknown, used, or wrong");
		return false;
	}
	sim_table_put(&sim->eab_used, inner.kid, sim);
	*ret_kid = sim_copy(inner.kid);
	return true;
}

static void create(struct sim_req *req, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	json_t *contact = json_object_get(req->jws.payload, "contact");
	struct sim_account *account;
	char *eab_kid;

	if (!json_is_true(json_object_get(req->jws.payload, "termsOfServiceAgreed"))) {
		sim_problem(reply, 403, "userActionRequired", "must agree to terms of service");
		return;
	}
	if (!contact_good(sim, contact, reply) ||
		!sim_limits_new_account(sim, req->ip, reply) || !eab_good(req, &eab_kid, reply))
		return;
	account = calloc(1, sizeof(*account));
	SIM_NEED(account && EVP_PKEY_up_ref(req->key) == 1);
	account->key = req->key;
	account->contact = json_incref(contact);
	account->status = SIM_VALID;
	account->eab_kid = eab_kid;
	strcpy(account->thumbprint, req->thumbprint);
	sim_list_add(&sim->accounts, account);
	account->id = (unsigned)sim->accounts.n;
	sim_table_put(&sim->accounts_by_key, account->thumbprint, account);
	show(sim, account, 201, reply);
}

void sim_new_account(struct sim_req *req, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	struct sim_account *account = sim_table_get(&sim->accounts_by_key, req->thumbprint);

	if (!req->jws.payload)
		sim_problem(reply, 400, "malformed", "newAccount needs a payload");
	else if (account && account->status != SIM_VALID)
		sim_problem(reply, 403, "unauthorized",
			"An account with the provided public key exists but is deactivated");
	else if (account)
		show(sim, account, 200, reply);
	else if (json_is_true(json_object_get(req->jws.payload, "onlyReturnExisting")))
		sim_problem(reply, 400, "accountDoesNotExist",
			"No account exists with the provided key");
	else
		create(req, reply);
}

void sim_account_update(struct sim_req *req, struct sim_reply *reply)
{
	struct sim_account *account = req->account;
	const json_t *payload = req->jws.payload;
	json_t *contact = json_object_get(payload, "contact");
	const char *status = json_string_value(json_object_get(payload, "status"));
	char own[16];

	snprintf(own, sizeof(own), "%u", account->id);
	if (strcmp(req->rest, own) != 0) {
		sim_problem(reply, 403, "unauthorized",
			"Request signing key did not match account key");
		return;
	}
	if (status && strcmp(status, "deactivated") != 0) {
		sim_problem(reply, 400, "malformed", "Invalid value provided for status field");
		return;
	}
	if (contact && !contact_good(req->sim, contact, reply))
		return;
	if (contact) {
		json_decref(account->contact);
		account->contact = json_incref(contact);
	}
	if (status)
		account->status = SIM_DEACTIVATED;
	show(req->sim, account, 200, reply);
}

/* What of the inner JWS is wrong (RFC 8555 section 7.3.5); NULL: nothing. */
static const char *check_change(struct sim_req *req, const struct sim_jws *inner, EVP_PKEY *key)
{
	char old[SIM_TOKEN_B], account_url[2 * SIM_URL_B];
	const char *account = json_string_value(json_object_get(inner->payload, "account"));
	EVP_PKEY *old_key = sim_jwk_read(json_object_get(inner->payload, "oldKey"), old);
	bool knows_old = old_key && strcmp(old, req->account->thumbprint) == 0;

	EVP_PKEY_free(old_key);
	snprintf(account_url, sizeof(account_url), "%s/account/%u", req->sim->base,
		req->account->id);
	if (!key || !sim_jws_verify(inner, key))
		return "the inner JWS is not signed with the new key";
	if (inner->nonce || strcmp(inner->url, req->jws.url) != 0)
		return "the inner JWS has a nonce or another url";
	if (!account || strcmp(account, account_url) != 0 || !knows_old)
		return "account or oldKey of the inner JWS is wrong";
	return NULL;
}

void sim_key_change(struct sim_req *req, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	struct sim_account *account = req->account;
	SIM_AUTO_JWS struct sim_jws inner = {0};
	char thumbprint[SIM_TOKEN_B];
	struct sim_account *other;
	EVP_PKEY *key = NULL;
	const char *why = sim_jws_parse_json(req->jws.payload, &inner);

	if (!why && !inner.jwk)
		why = "the inner JWS has no jwk";
	if (!why) {
		key = sim_jwk_read(inner.jwk, thumbprint);
		why = check_change(req, &inner, key);
	}
	other = why ? NULL : sim_table_get(&sim->accounts_by_key, thumbprint);
	if (why || other) {
		EVP_PKEY_free(key);
		sim_problem(reply, why ? 400 : 409, why ? "malformed" : "conflict", "%s",
			why ? why : "New key is already in use for a different account");
		if (other)
			sim_reply_header(
				reply, "Location", "%s/account/%u", sim->base, other->id);
		return;
	}
	sim_table_put(&sim->accounts_by_key, account->thumbprint, NULL);
	EVP_PKEY_free(account->key);
	account->key = key;
	strcpy(account->thumbprint, thumbprint);
	sim_table_put(&sim->accounts_by_key, thumbprint, account);
	show(sim, account, 200, reply);
}
