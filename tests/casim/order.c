/* Orders: RFC 8555 section 7.4, profiles, and replaces of RFC 9773 section 5. */
#include "order.h"

#include <stdio.h>
#include <string.h>

#include "ari.h"
#include "limit.h"
#include "routes.h"
#include "settings.h"
#include "wire/name.h"

json_t *sim_profile(const struct sim *sim, const char *name)
{
	return json_object_get(sim_setting(sim, "profiles", "list"), name);
}

void sim_order_refresh(struct sim *sim, struct sim_order *order)
{
	int64_t now_ms = sim_now_ms(sim);
	size_t n_valid = 0;
	bool lost = now_ms >= order->expires_ms;

	if (order->status == SIM_PROCESSING && now_ms >= order->valid_at_ms)
		order->status = order->cert ? SIM_VALID : SIM_INVALID;
	if (order->status != SIM_PENDING && order->status != SIM_READY)
		return;
	for (size_t i = 0; i < order->n; i++) {
		sim_authz_refresh(sim, order->authz[i]);
		n_valid += order->authz[i]->status == SIM_VALID;
		lost = lost || (order->authz[i]->status != SIM_VALID &&
				       order->authz[i]->status != SIM_PENDING);
	}
	if (lost)
		order->status = SIM_INVALID;
	else
		order->status = n_valid == order->n ? SIM_READY : SIM_PENDING;
}

static json_t *order_json(struct sim *sim, const struct sim_order *order)
{
	char expires[CH_TIME_STR_B];
	json_t *names = json_array();
	json_t *authz = json_array();
	json_t *doc;

	for (size_t i = 0; i < order->n; i++) {
		json_array_append_new(
			names, json_pack("{ssss}", "type", "dns", "value", order->names[i]));
		json_array_append_new(
			authz, json_sprintf("%s/authz/%u", sim->base, order->authz[i]->id));
	}
	doc = json_pack("{sssssososo}", "status", sim_status_str(order->status), "expires",
		sim_time(order->expires_ms, expires), "identifiers", names, "authorizations",
		authz, "finalize", json_sprintf("%s/finalize/%u", sim->base, order->id));
	if (order->status == SIM_VALID)
		json_object_set_new(doc, "certificate",
			json_sprintf("%s/cert/%s", sim->base, order->cert->serial));
	if (order->profile)
		json_object_set_new(doc, "profile", json_string(order->profile));
	if (order->error)
		json_object_set(doc, "error", order->error);
	return doc;
}

void sim_order_show(struct sim *sim, struct sim_order *order, struct sim_reply *reply)
{
	sim_order_refresh(sim, order);
	sim_reply_json(reply, 200, order_json(sim, order));
	reply->order = order;
	if (order->status == SIM_PROCESSING)
		sim_reply_retry_after(reply, sim_setting(sim, "finalize", "retry_after"));
	else
		sim_reply_retry_after(reply, sim_setting(sim, "poll", "retry_after"));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the request, sorted, each once.  False: the reply says what is wrong. */
static bool read_names(
	struct sim_req *req, size_t most, struct sim_order *order, struct sim_reply *reply)
{
	const json_t *list = json_object_get(req->jws.payload, "identifiers");
	const json_t *one;
	size_t i;

	if (json_array_size(list) == 0 || json_array_size(list) > most) {
		sim_problem(reply, 400, "malformed",
			"Order cannot contain more than %zu identifiers, nor none", most);
		return false;
	}
	json_array_foreach(list, i, one)
	{
		const char *type = json_string_value(json_object_get(one, "type"));
		const char *name = json_string_value(json_object_get(one, "value"));
		const char *base = name && strncmp(name, "*.", 2) == 0 ? name + 2 : name;
		const struct ch_name_rules rules = {.allow_wildcard = false};
		char canonical[CH_NAME_TEXT_B];
		struct ch_err err = {0};

		if (!type || strcmp(type, "dns") != 0 || !base) {
			sim_problem(reply, 400, "unsupportedIdentifier",
				"NewOrder request included invalid non-DNS type identifier");
			return false;
		}
		if (ch_name_normalize(base, strlen(base), &rules, canonical, &err) ||
			strcmp(canonical, base) != 0) {
			sim_problem(reply, 400, "rejectedIdentifier",
				"Cannot issue for \"%.260s\": %s", name, err.detail);
			return false;
		}
		order->names[order->n++] = sim_copy(name);
	}
	qsort(order->names, order->n, sizeof(order->names[0]), by_text);
	for (i = 1; i < order->n; i++)
		if (strcmp(order->names[i - 1], order->names[i]) == 0) {
			sim_problem(reply, 400, "malformed", "a name is there twice");
			return false;
		}
	return true;
}

static void order_free(struct sim_order *order)
{
	for (size_t i = 0; i < order->n; i++)
		free(order->names[i]);
	free(order->set);
	free(order);
}

static char *join_names(const struct sim_order *order)
{
	CH_AUTO_BUF struct ch_buf text;

	ch_buf_init(&text, SIM_NAMES_MAX * 256);
	for (size_t i = 0; i < order->n; i++)
		ch_buf_addf(&text, "%s%s", i ? "," : "", order->names[i]);
	SIM_NEED(text.rc == CH_OK);
	return sim_copy(ch_buf_str(&text));
}

static struct sim_order *find_reusable(
	struct sim *sim, const char *key, const struct sim_order *like)
{
	struct sim_order *old = sim_table_get(&sim->order_reuse, key);

	if (!old || !sim_bool(sim, "reuse", "orders"))
		return NULL;
	sim_order_refresh(sim, old);
	if ((old->status != SIM_PENDING && old->status != SIM_READY) ||
		old->replaces != like->replaces)
		return NULL;
	return old;
}

static void place(struct sim_req *req, struct sim_order *order, const json_t *profile,
	struct sim_reply *reply)
{
	struct sim *sim = req->sim;

	for (size_t i = 0; i < order->n; i++)
		order->authz[i] = sim_authz_get(sim, req->account, order->names[i], profile);
	order->expires_ms =
		sim_now_ms(sim) +
		(int64_t)json_number_value(json_object_get(profile, "order_s")) * CH_SECOND_MS;
	sim_list_add(&sim->orders, order);
	order->id = (unsigned)sim->orders.n;
	if (order->replaces)
		order->replaces->replaced_by = order;
	sim_count(sim, "orders", "new");
	sim_order_show(sim, order, reply);
}

/* Takes the profile by name; the reply says when there is none. */
static json_t *choose_profile(
	struct sim_req *req, struct sim_order *order, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	const json_t *wanted = json_object_get(req->jws.payload, "profile");
	const char *name =
		wanted ? json_string_value(wanted) : sim_str(sim, "profiles", "default");
	json_t *profile = name ? sim_profile(sim, name) : NULL;

	if (!profile) {
		sim_problem(reply, 400, "invalidProfile", "Profile \"%.60s\" is not configured",
			name ? name : "");
		return NULL;
	}
	/* Told back only when it was asked for. */
	order->profile =
		wanted || sim_bool(sim, "profiles", "announced") ? sim_copy(name) : NULL;
	return profile;
}

static bool prepare(struct sim_req *req, struct sim_order *order, json_t **ret_profile,
	struct sim_reply *reply)
{
	const json_t *payload = req->jws.payload;

	order->account = req->account;
	if (!payload || json_object_get(payload, "notBefore") ||
		json_object_get(payload, "notAfter")) {
		sim_problem(
			reply, 400, "malformed", "NotBefore and NotAfter are not supported");
		return false;
	}
	*ret_profile = choose_profile(req, order, reply);
	if (!*ret_profile ||
		!read_names(req,
			(size_t)json_number_value(json_object_get(*ret_profile, "names")),
			order, reply))
		return false;
	order->set = join_names(order);
	order->renewal = sim_table_get(&req->sim->sets_issued, order->set) != NULL;
	return sim_ari_replaces(req, order, reply);
}

void sim_new_order(struct sim_req *req, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	struct sim_order *order = calloc(1, sizeof(*order));
	CH_AUTO_FREE char *key = NULL;
	struct sim_order *old;
	json_t *profile;

	SIM_NEED(order);
	if (sim_bool(sim, "account", "must_act")) {
		json_t *doc = sim_problem_json(
			403, "userActionRequired", "The terms of service have changed");

		json_object_set_new(
			doc, "instance", json_string("https://casim.example/terms"));
		sim_reply_json(reply, 403, doc);
		reply->type = "application/problem+json";
		order_free(order);
		return;
	}
	if (!prepare(req, order, &profile, reply)) {
		order_free(order);
		return;
	}
	SIM_NEED(asprintf(&key, "%u %s %s", req->account->id,
			 order->profile ? order->profile : "", order->set) > 0);
	old = find_reusable(sim, key, order);
	if (old) {
		order_free(order);
		order = old;
		sim_count(sim, "orders", "reused");
		sim_order_show(sim, order, reply);
	} else if (!sim_limits_new_order(sim, order, reply)) {
		order_free(order);
		return;
	} else {
		place(req, order, profile, reply);
		sim_table_put(&sim->order_reuse, key, order);
	}
	reply->status = 201;
	sim_reply_header(reply, "Location", "%s/order/%u", sim->base, order->id);
}

void sim_get_order(struct sim_req *req, struct sim_reply *reply)
{
	struct sim *sim = req->sim;
	unsigned id = 0;
	int used = 0;

	if (sscanf(req->rest, "%u%n", &id, &used) != 1 || req->rest[used] || id == 0 ||
		id > sim->orders.n ||
		((struct sim_order *)sim->orders.items[id - 1])->account != req->account)
		sim_problem(reply, 404, "malformed", "No order found for account ID %u",
			req->account->id);
	else
		sim_order_show(sim, sim->orders.items[id - 1], reply);
}
