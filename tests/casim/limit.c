#include "limit.h"

#include <libpsl.h>
#include <stdio.h>
#include <string.h>

#include "order.h"
#include "settings.h"

#define DOCS "https://letsencrypt.org/docs/rate-limits/"

struct bucket {
	char limit[24]; /* the setting's key */
	double tokens;
	int64_t at_ms;
};

struct limit {
	double size, refill_ms;
};

static struct limit limit_of(const struct sim *sim, const char *name, const char *key)
{
	const json_t *own = json_object_get(sim_setting(sim, "limits", "overrides"), key);
	const json_t *doc = own ? own : sim_setting(sim, "limits", name);
	struct limit limit = {
		.size = json_number_value(json_object_get(doc, "size")),
		.refill_ms = json_number_value(json_object_get(doc, "refill_ms")),
	};

	if (json_object_get(doc, "per_second")) {
		limit.size = json_number_value(json_object_get(doc, "burst"));
		limit.refill_ms = 1000 / json_number_value(json_object_get(doc, "per_second"));
	}
	return limit;
}

/* The bucket as it is now. */
static struct bucket *look(
	struct sim *sim, const char *name, const char *key, struct limit limit)
{
	struct bucket *bucket = sim_table_get(&sim->buckets, key);
	int64_t now_ms = sim_now_ms(sim);

	if (!bucket) {
		bucket = calloc(1, sizeof(*bucket));
		SIM_NEED(bucket);
		snprintf(bucket->limit, sizeof(bucket->limit), "%s", name);
		bucket->tokens = limit.size;
		sim_table_put(&sim->buckets, key, bucket);
	} else if (now_ms > bucket->at_ms) {
		bucket->tokens += (double)(now_ms - bucket->at_ms) / limit.refill_ms;
	}
	if (bucket->tokens > limit.size)
		bucket->tokens = limit.size;
	bucket->at_ms = now_ms;
	return bucket;
}

/* 0: there is a token, else when there will be one.  take: it is taken. */
static int64_t ask(struct sim *sim, const char *name, const char *key, bool take)
{
	struct limit limit = limit_of(sim, name, key);
	struct bucket *bucket = look(sim, name, key, limit);

	if (bucket->tokens < 1)
		return bucket->at_ms + (int64_t)((1 - bucket->tokens) * limit.refill_ms) + 1;
	if (take)
		bucket->tokens -= 1;
	return 0;
}

static bool enforced(const struct sim *sim)
{
	return sim_bool(sim, "limits", "enforced");
}

bool sim_limits_rate(struct sim *sim, const char *name, const char *ip, struct sim_reply *reply)
{
	CH_AUTO_FREE char *key = NULL;
	int64_t at_ms;

	if (!sim_bool(sim, "limits", "rates"))
		return true;
	SIM_NEED(asprintf(&key, "%s %s", name, ip) > 0);
	at_ms = ask(sim, name, key, true);
	if (at_ms == 0)
		return true;
	sim_count(sim, "limited", name);
	sim_problem(reply, 503, "rateLimited", "Service busy; retry later.");
	sim_reply_header(reply, "Retry-After", "%d", at_ms - sim_now_ms(sim) > 1000 ? 2 : 1);
	return false;
}

static void say(struct sim *sim, const char *name, int64_t at_ms, const char *what,
	const char *page, struct sim_reply *reply)
{
	int64_t wait_ms = at_ms - sim_now_ms(sim);
	char date[CH_TIME_STR_B];

	sim_count(sim, "limited", name);
	sim_problem(reply, 429, "rateLimited", "%s, retry after %s: see " DOCS "#%s", what,
		sim_date(at_ms, date), page);
	sim_reply_header(reply, "Retry-After", "%lld", (long long)(wait_ms / 1000 + 1));
	sim_reply_header(reply, "Link", "<" DOCS ">;rel=\"help\"");
}

bool sim_limits_new_account(struct sim *sim, const char *ip, struct sim_reply *reply)
{
	CH_AUTO_FREE char *key = NULL;
	int64_t at_ms;

	if (!enforced(sim))
		return true;
	SIM_NEED(asprintf(&key, "new_accounts %s", ip) > 0);
	at_ms = ask(sim, "new_accounts", key, true);
	if (at_ms)
		say(sim, "new_accounts", at_ms,
			"too many new registrations (10) from this IP address in the last "
			"3h0m0s",
			"new-registrations-per-ip-address", reply);
	return at_ms == 0;
}

/* A list of its own, and not one that is shared with what is tested. */
static const char *registered_domain(const char *name)
{
	static const psl_ctx_t *psl;
	const char *base = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
	const char *domain;

	if (!psl)
		psl = psl_latest(NULL);
	domain = psl ? psl_registrable_domain(psl, base) : NULL;
	return domain ? domain : base;
}

/* The limit that resets last speaks. */
struct worst {
	int64_t at_ms;
	const char *name, *page;
	char what[400];
};

static void weigh(struct worst *worst, const char *name, int64_t at_ms, const char *page,
	const char *fmt, const char *subject)
{
	if (at_ms <= worst->at_ms)
		return;
	worst->at_ms = at_ms;
	worst->name = name;
	worst->page = page;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(worst->what, sizeof(worst->what), fmt, subject);
#pragma GCC diagnostic pop
}

static void weigh_names(struct sim *sim, const struct sim_order *order, struct worst *worst)
{
	for (size_t i = 0; i < order->n; i++) {
		CH_AUTO_FREE char *failures = NULL, *domain = NULL;
		const char *name = order->names[i];
		const char *registered = registered_domain(name);

		SIM_NEED(asprintf(&failures, "failures %u %s", order->account->id, name) > 0 &&
			 asprintf(&domain, "domain %s", registered) > 0);
		weigh(worst, "failures", ask(sim, "failures", failures, false),
			"authorization-failures-per-identifier-per-account",
			"too many failed authorizations (5) for \"%.253s\" in the last 1h0m0s",
			name);
		if (!order->renewal)
			weigh(worst, "domain", ask(sim, "domain", domain, false),
				"new-certificates-per-registered-domain",
				"too many certificates (50) already issued for \"%.253s\" in "
				"the "
				"last 168h0m0s",
				registered);
	}
}

static bool is_paused(struct sim *sim, const struct sim_order *order, struct sim_reply *reply)
{
	for (size_t i = 0; i < order->n; i++) {
		if (!json_is_true(
			    json_object_get(sim_name_settings(sim, order->names[i]), "paused")))
			continue;
		sim_count(sim, "limited", "paused");
		sim_problem(reply, 429, "rateLimited",
			"Your account is temporarily prevented from requesting certificates "
			"for %s and possibly others. Please visit: "
			"https://casim.example/sfe/v1/unpause?jwt=%u.%s",
			order->names[i], order->account->id, order->names[i]);
		return true;
	}
	return false;
}

bool sim_limits_new_order(
	struct sim *sim, const struct sim_order *order, struct sim_reply *reply)
{
	CH_AUTO_FREE char *set = NULL, *account = NULL;
	struct worst worst = {0};

	if (is_paused(sim, order, reply))
		return false;
	if (!enforced(sim) || order->exempt)
		return true;
	SIM_NEED(asprintf(&set, "set %s", order->set) > 0 &&
		 asprintf(&account, "new_orders %u", order->account->id) > 0);
	weigh_names(sim, order, &worst);
	weigh(&worst, "set", ask(sim, "set", set, false),
		"new-certificates-per-exact-set-of-identifiers",
		"too many certificates (5) already issued for this exact set of identifiers in "
		"the last 168h0m0s%s",
		"");
	/* Only taken when nothing else stands against the order. */
	if (!order->renewal)
		weigh(&worst, "new_orders", ask(sim, "new_orders", account, worst.at_ms == 0),
			"new-orders-per-account",
			"too many new orders (300) from this account in the last 3h0m0s%s", "");
	if (worst.at_ms)
		say(sim, worst.name, worst.at_ms, worst.what, worst.page, reply);
	return worst.at_ms == 0;
}

/* Orders that passed together may issue more than there is: counted, for the tests. */
static void spend(struct sim *sim, const char *name, const char *key)
{
	if (ask(sim, name, key, true))
		sim_count(sim, "overrun", name);
}

void sim_limits_issued(struct sim *sim, const struct sim_order *order)
{
	CH_AUTO_FREE char *set = NULL;

	if (!enforced(sim) || order->exempt)
		return;
	SIM_NEED(asprintf(&set, "set %s", order->set) > 0);
	spend(sim, "set", set);
	for (size_t i = 0; i < order->n && !order->renewal; i++) {
		CH_AUTO_FREE char *domain = NULL;
		const char *registered = registered_domain(order->names[i]);
		bool again = false;

		for (size_t k = 0; k < i; k++)
			again = again ||
				strcmp(registered_domain(order->names[k]), registered) == 0;
		SIM_NEED(asprintf(&domain, "domain %s", registered) > 0);
		if (!again)
			spend(sim, "domain", domain);
	}
}

static void pause_name(struct sim *sim, const char *name)
{
	json_t *own = sim_name_settings(sim, name);

	if (!own) {
		own = json_object();
		sim_table_put(&sim->names, name, own);
	}
	json_object_set_new(own, "paused", json_true());
}

void sim_limits_validated(struct sim *sim, const struct sim_authz *authz, bool good)
{
	CH_AUTO_FREE char *failures = NULL, *row = NULL;
	struct bucket *bucket;

	if (!enforced(sim))
		return;
	SIM_NEED(asprintf(&failures, "failures %u %s", authz->account->id, authz->name) > 0 &&
		 asprintf(&row, "consecutive %u %s", authz->account->id, authz->name) > 0);
	if (good) {
		bucket = look(sim, "consecutive", row, limit_of(sim, "consecutive", row));
		bucket->tokens = limit_of(sim, "consecutive", row).size;
		return;
	}
	(void)ask(sim, "failures", failures, true);
	(void)ask(sim, "consecutive", row, true);
	if (ask(sim, "consecutive", row, false))
		pause_name(sim, authz->name);
}

struct showing {
	struct sim *sim;
	json_t *list;
};

static void show_one(const char *key, void *value, void *arg)
{
	struct showing *showing = arg;
	struct bucket *bucket = value;
	struct limit limit = limit_of(showing->sim, bucket->limit, key);

	look(showing->sim, bucket->limit, key, limit);
	json_array_append_new(showing->list, json_pack("{sssfsf}", "bucket", key, "tokens",
						     bucket->tokens, "size", limit.size));
}

json_t *sim_limits_show(struct sim *sim)
{
	struct showing showing = {.sim = sim, .list = json_array()};

	sim_table_walk(&sim->buckets, show_one, &showing);
	return showing.list;
}

static void fill(const char *key, void *value, void *arg)
{
	struct sim *sim = arg;
	struct bucket *bucket = value;

	bucket->tokens = limit_of(sim, bucket->limit, key).size;
}

void sim_limits_forget(struct sim *sim)
{
	sim_table_walk(&sim->buckets, fill, sim);
}
