/* Authorizations and challenges: RFC 8555 sections 7.5 and 8. */
#include <stdio.h>
#include <string.h>

#include "limit.h"
#include "order.h"
#include "routes.h"
#include "settings.h"
#include "validate.h"

json_t *sim_name_settings(const struct sim *sim, const char *name)
{
	return sim_table_get(&sim->names, name);
}

/* All that are known; any other word is offered without a token, as a type of the future. */
static const char *known_type(const char *text)
{
	static const char *const types[] = {
		"http-01", "tls-alpn-01", "dns-01", "dns-persist-01"};

	for (size_t i = 0; i < CH_ARRAY_LEN(types); i++)
		if (strcmp(types[i], text) == 0)
			return types[i];
	return NULL;
}

static bool fits_wildcard(const char *type)
{
	return strncmp(type, "dns-", 4) == 0;
}

static void add_challenges(struct sim *sim, struct sim_authz *authz)
{
	const json_t *special = sim_name_settings(sim, authz->name);
	const json_t *offered = json_object_get(special, "challenges");
	const json_t *one;
	size_t i;

	if (!offered)
		offered = sim_setting(sim, "challenges", "offered");
	json_array_foreach(offered, i, one)
	{
		const char *text = json_string_value(one);
		const char *type = text ? known_type(text) : NULL;
		struct sim_challenge *challenge = &authz->challenges[authz->n];

		if (!text || authz->n == SIM_CHALLENGES_MAX ||
			(authz->wildcard && type && !fits_wildcard(type)))
			continue;
		challenge->type = type ? type : sim_copy(text);
		if (type && strcmp(type, "dns-persist-01") != 0)
			sim_token(challenge->token);
		authz->n++;
	}
}

static int64_t seconds_of(const json_t *profile, const char *key)
{
	return (int64_t)json_number_value(json_object_get(profile, key)) * CH_SECOND_MS;
}

struct sim_authz *sim_authz_get(
	struct sim *sim, struct sim_account *account, const char *name, const json_t *profile)
{
	bool wildcard = strncmp(name, "*.", 2) == 0;
	CH_AUTO_FREE char *key = NULL;
	struct sim_authz *authz;

	SIM_NEED(asprintf(&key, "%u %s", account->id, name) > 0);
	authz = sim_table_get(&sim->authz_reuse, key);
	if (authz && sim_bool(sim, "reuse", "authorizations")) {
		sim_authz_refresh(sim, authz);
		if (authz->status == SIM_VALID || authz->status == SIM_PENDING)
			return authz;
	}
	authz = calloc(1, sizeof(*authz));
	SIM_NEED(authz);
	authz->account = account;
	authz->name = sim_copy(wildcard ? name + 2 : name);
	authz->wildcard = wildcard;
	authz->expires_ms = sim_now_ms(sim) + seconds_of(profile, "pending_s");
	authz->valid_for_ms = seconds_of(profile, "valid_s");
	add_challenges(sim, authz);
	sim_list_add(&sim->authzs, authz);
	authz->id = (unsigned)sim->authzs.n;
	sim_table_put(&sim->authz_reuse, key, authz);
	return authz;
}

void sim_authz_refresh(struct sim *sim, struct sim_authz *authz)
{
	if (sim_now_ms(sim) < authz->expires_ms)
		return;
	if (authz->status == SIM_VALID)
		authz->status = SIM_EXPIRED;
	else if (authz->status == SIM_PENDING)
		authz->status = SIM_INVALID;
}

void sim_authz_decide(struct sim *sim, struct sim_authz *authz, struct sim_challenge *challenge,
	json_t *error)
{
	sim_count(sim, "validations", error ? "failed" : "valid");
	if (authz->status != SIM_PENDING) {
		json_decref(error);
		return;
	}
	challenge->error = error;
	challenge->validated_ms = sim_now_ms(sim);
	challenge->status = authz->status = error ? SIM_INVALID : SIM_VALID;
	if (!error)
		authz->expires_ms = sim_now_ms(sim) + authz->valid_for_ms;
	sim_limits_validated(sim, authz, error == NULL);
}

static json_t *challenge_json(const struct sim *sim, const struct sim_authz *authz, size_t i)
{
	const struct sim_challenge *challenge = &authz->challenges[i];
	char at[CH_TIME_STR_B];
	json_t *doc = json_pack("{sssoss}", "type", challenge->type, "url",
		json_sprintf("%s/challenge/%u/%zu", sim->base, authz->id, i), "status",
		sim_status_str(challenge->status));

	if (challenge->token[0])
		json_object_set_new(doc, "token", json_string(challenge->token));
	if (strcmp(challenge->type, "dns-persist-01") == 0)
		json_object_set_new(doc, "issuer-domain-names",
			json_pack("[s]", sim_str(sim, "challenges", "issuer_domain")));
	if (challenge->validated_ms)
		json_object_set_new(
			doc, "validated", json_string(sim_time(challenge->validated_ms, at)));
	if (challenge->error)
		json_object_set(doc, "error", challenge->error);
	return doc;
}

static void show(struct sim *sim, struct sim_authz *authz, struct sim_reply *reply)
{
	char at[CH_TIME_STR_B];
	json_t *list = json_array();
	json_t *doc;

	sim_authz_refresh(sim, authz);
	for (size_t i = 0; i < authz->n; i++)
		/* Once it is decided, only the challenge that decided it is shown. */
		if (authz->status == SIM_PENDING || authz->challenges[i].status != SIM_PENDING)
			json_array_append_new(list, challenge_json(sim, authz, i));
	doc = json_pack("{sss{ssss}ssso}", "status", sim_status_str(authz->status),
		"identifier", "type", "dns", "value", authz->name, "expires",
		sim_time(authz->expires_ms, at), "challenges", list);
	if (authz->wildcard)
		json_object_set_new(doc, "wildcard", json_true());
	sim_reply_json(reply, 200, doc);
	sim_reply_retry_after(reply, sim_setting(sim, "poll", "retry_after"));
	reply->authz = authz;
}

static struct sim_authz *find(struct sim_req *req, unsigned id, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	struct sim_authz *authz =
		id > 0 && id <= sim->authzs.n ? sim->authzs.items[id - 1] : NULL;

	if (!authz) {
		sim_problem(reply, 404, "malformed", "No such authorization");
		return NULL;
	}
	if (authz->account != req->account) {
		sim_problem(
			reply, 403, "unauthorized", "Account does not own this authorization");
		return NULL;
	}
	return authz;
}

void sim_get_authz(struct sim_req *req, struct sim_reply *reply)
{
	const json_t *payload = req->jws.payload;
	const char *status = json_string_value(json_object_get(payload, "status"));
	struct sim_authz *authz;
	unsigned id = 0;

	(void)sscanf(req->rest, "%u", &id);
	authz = find(req, id, reply);
	if (!authz)
		return;
	if (payload && (!status || strcmp(status, "deactivated") != 0)) {
		sim_problem(reply, 400, "malformed", "Invalid status value");
		return;
	}
	sim_authz_refresh(req->sim, authz);
	if (payload && (authz->status == SIM_PENDING || authz->status == SIM_VALID))
		authz->status = SIM_DEACTIVATED;
	show(req->sim, authz, reply);
}

/* The key authorization (RFC 8555 section 8.1); owned by the caller. */
static char *key_authorization(
	const struct sim_authz *authz, const struct sim_challenge *challenge)
{
	char *text;

	SIM_NEED(asprintf(&text, "%s.%s", challenge->token, authz->account->thumbprint) > 0);
	return text;
}

static void begin(struct sim *sim, struct sim_authz *authz, struct sim_challenge *challenge)
{
	struct sim_task *task = calloc(1, sizeof(*task));

	SIM_NEED(task);
	challenge->status = SIM_PROCESSING;
	task->sim = sim;
	task->authz = authz;
	task->challenge = challenge;
	task->name = sim_copy(authz->name);
	task->wildcard = authz->wildcard;
	task->type = challenge->type;
	task->key_authorization = key_authorization(authz, challenge);
	SIM_NEED(asprintf(&task->account_url, "%s/account/%u", sim->base, authz->account->id) >
		 0);
	sim_validate_start(task);
}

void sim_challenge_answer(struct sim_req *req, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	struct sim_authz *authz;
	struct sim_challenge *challenge;
	unsigned id = 0, i = 0;

	if (sscanf(req->rest, "%u/%u", &id, &i) != 2)
		id = 0;
	authz = find(req, id, reply);
	if (!authz)
		return;
	if (i >= authz->n) {
		sim_problem(reply, 404, "malformed", "No such challenge");
		return;
	}
	sim_authz_refresh(sim, authz);
	challenge = &authz->challenges[i];
	if (req->jws.payload && authz->status == SIM_INVALID) {
		sim_problem(reply, 400, "malformed",
			"Unable to update challenge :: authorization must be pending");
		return;
	}
	if (req->jws.payload && authz->status == SIM_PENDING &&
		challenge->status == SIM_PENDING)
		begin(sim, authz, challenge);
	sim_reply_json(reply, 200, challenge_json(sim, authz, i));
	sim_reply_header(reply, "Link", "<%s/authz/%u>;rel=\"up\"", sim->base, authz->id);
	reply->authz = authz;
}
