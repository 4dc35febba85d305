#include "sim/ca.h"

#include <stdlib.h>

#include "base/mem.h"

/* How many tokens are there, in microseconds of refill, at a time. */
struct counter {
	int64_t credit_us;
	int64_t at_ms;
};

struct ch_sim_ca {
	const struct ch_scenario *scenario;
	struct counter account;
	struct counter new_orders;
	struct counter requests;
	struct counter *domains;
	struct counter *sets;
	struct counter *failures;
	int64_t *issued_ms; /* -1: never */
	int64_t *lives_ms;
	bool *exempt; /* its order under way: nothing counts it */
};

const char *const ch_sim_limit_names[] = {"none", "orders_per_account",
	"certificates_per_domain", "certificates_per_set", "failures_per_name",
	"new_order_requests", "requests"};

/* A counter that was never used is full: at_ms is one more than the time, so that 0 is never.
 */
static int64_t credit_us(
	const struct counter *counter, const struct ch_limit *limit, int64_t now_ms)
{
	int64_t full_us = limit->refill_us * limit->size;
	int64_t have_us;

	if (counter->at_ms == 0)
		return full_us;
	have_us = counter->credit_us + (now_ms + 1 - counter->at_ms) * 1000;
	return have_us < full_us ? have_us : full_us;
}

static bool has(const struct counter *counter, const struct ch_limit *limit, int64_t now_ms,
	int64_t *ret_at_ms)
{
	int64_t lacks_us;

	if (limit->size == 0)
		return true;
	lacks_us = limit->refill_us - credit_us(counter, limit, now_ms);
	if (lacks_us <= 0)
		return true;
	*ret_at_ms = now_ms + (lacks_us + 999) / 1000;
	return false;
}

static void count(struct counter *counter, const struct ch_limit *limit, int64_t now_ms)
{
	if (limit->size == 0)
		return;
	counter->credit_us = credit_us(counter, limit, now_ms) - limit->refill_us;
	counter->at_ms = now_ms + 1;
}

int ch_sim_ca_new(const struct ch_scenario *scenario, struct ch_sim_ca **ret_ca)
{
	struct ch_sim_ca *ca = calloc(1, sizeof(*ca));
	size_t n = scenario->n_names;

	if (!ca)
		return CH_ENOMEM;
	ca->scenario = scenario;
	ca->domains = calloc(scenario->n_domains, sizeof(*ca->domains));
	ca->sets = calloc(n, sizeof(*ca->sets));
	ca->failures = calloc(n, sizeof(*ca->failures));
	ca->issued_ms = calloc(n, sizeof(*ca->issued_ms));
	ca->lives_ms = calloc(n, sizeof(*ca->lives_ms));
	ca->exempt = calloc(n, sizeof(*ca->exempt));
	if (!ca->domains || !ca->sets || !ca->failures || !ca->issued_ms || !ca->lives_ms ||
		!ca->exempt) {
		ch_sim_ca_free(ca);
		return CH_ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		ca->issued_ms[i] = -1;
	*ret_ca = ca;
	return CH_OK;
}

void ch_sim_ca_free(struct ch_sim_ca *ca)
{
	if (!ca)
		return;
	free(ca->domains);
	free(ca->sets);
	free(ca->failures);
	free(ca->issued_ms);
	free(ca->lives_ms);
	free(ca->exempt);
	free(ca);
}

bool ch_sim_ca_is_down(const struct ch_sim_ca *ca, int64_t now_ms)
{
	for (size_t i = 0; i < ca->scenario->n_outages; i++)
		if (now_ms >= ca->scenario->outages[i].from_ms &&
			now_ms < ca->scenario->outages[i].until_ms)
			return true;
	return false;
}

/* Let's Encrypt's window: its middle where a third of the lifetime is left (half of it for
 * short ones), its width 2 %. */
static bool in_window(const struct ch_sim_ca *ca, uint32_t name, int64_t now_ms)
{
	int64_t life_ms = ca->lives_ms[name];
	int64_t middle_ms = ca->issued_ms[name] +
			    (life_ms < 10 * CH_DAY_MS ? life_ms / 2 : life_ms / 3 * 2);

	return ca->scenario->ari && now_ms >= middle_ms - life_ms / 100 &&
	       now_ms < middle_ms + life_ms / 100;
}

/* Of the limits of account and domain. */
static bool is_free(const struct ch_sim_ca *ca, uint32_t name)
{
	return ca->scenario->limits.renewals_exempt && ca->issued_ms[name] >= 0;
}

enum ch_sim_limit ch_sim_ca_new_order(struct ch_sim_ca *ca, uint32_t name, uint32_t domain,
	int64_t now_ms, int64_t *ret_at_ms)
{
	const struct ch_limits *limits = &ca->scenario->limits;
	bool renewal = is_free(ca, name);
	bool exempt = renewal && in_window(ca, name, now_ms);

	if (!has(&ca->new_orders, &limits->new_orders, now_ms, ret_at_ms))
		return CH_SIM_LIMIT_NEW_ORDERS;
	if (!exempt && !has(&ca->failures[name], &limits->failures, now_ms, ret_at_ms))
		return CH_SIM_LIMIT_FAILURES;
	if (!renewal && !has(&ca->account, &limits->account, now_ms, ret_at_ms))
		return CH_SIM_LIMIT_ACCOUNT;
	if (!renewal && !has(&ca->domains[domain], &limits->domain, now_ms, ret_at_ms))
		return CH_SIM_LIMIT_DOMAIN;
	if (!exempt && !has(&ca->sets[name], &limits->set, now_ms, ret_at_ms))
		return CH_SIM_LIMIT_SET;
	count(&ca->new_orders, &limits->new_orders, now_ms);
	if (!renewal)
		count(&ca->account, &limits->account, now_ms);
	ca->exempt[name] = exempt;
	return CH_SIM_LIMIT_NONE;
}

enum ch_sim_limit ch_sim_ca_requests(struct ch_sim_ca *ca, unsigned n, int64_t now_ms)
{
	const struct ch_limit *limit = &ca->scenario->limits.requests;
	int64_t at_ms;

	for (; n > 0; n--) {
		if (!has(&ca->requests, limit, now_ms, &at_ms))
			return CH_SIM_LIMIT_REQUESTS;
		count(&ca->requests, limit, now_ms);
	}
	return CH_SIM_LIMIT_NONE;
}

void ch_sim_ca_failed(struct ch_sim_ca *ca, uint32_t name, int64_t now_ms)
{
	count(&ca->failures[name], &ca->scenario->limits.failures, now_ms);
}

int64_t ch_sim_ca_issue(struct ch_sim_ca *ca, uint32_t name, uint32_t domain, int64_t now_ms)
{
	const struct ch_scenario *s = ca->scenario;
	size_t i = s->n_lifetimes;

	if (!is_free(ca, name))
		count(&ca->domains[domain], &s->limits.domain, now_ms);
	if (!ca->exempt[name])
		count(&ca->sets[name], &s->limits.set, now_ms);
	while (i > 1 && now_ms < s->lifetimes[i - 1].at_ms)
		i--;
	ca->issued_ms[name] = now_ms;
	ca->lives_ms[name] = s->lifetimes[i - 1].life_ms;
	return ca->lives_ms[name];
}
