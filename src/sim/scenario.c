#include "sim/scenario.h"

#include <string.h>

#include "base/mem.h"

#define YEARS_MS ((int64_t)CH_SIM_DAYS_MAX * CH_DAY_MS)

static int add_rung(const char *item, void *arg)
{
	struct ch_scenario *s = arg;

	if (s->ladder.n == CH_SIM_RUNGS_MAX)
		return CH_ETOOBIG;
	return ch_duration_parse(item, &s->rungs_ms[s->ladder.n++]);
}

static void read_simulation(struct ch_scenario *s)
{
	const char *start = ch_conf_str(s->conf, "simulation", "start", "2026-12-01T00:00:00Z");

	if (ch_time_parse(start, &s->start_ms))
		ch_conf_fail(s->conf, "simulation", "start",
			"must be a time such as 2026-12-01T00:00:00Z");
	s->span_ms =
		CH_DAY_MS * ch_conf_int(s->conf, "simulation", "days", 365, 1, CH_SIM_DAYS_MAX);
	s->seed = (uint64_t)ch_conf_int(s->conf, "simulation", "seed", 1, 0, INT32_MAX);
}

static int64_t read_life(struct ch_scenario *s, const char *section, const char *fallback)
{
	return ch_conf_duration(
		s->conf, section, "lifetime", fallback, 2 * CH_DAY_MS, 400 * CH_DAY_MS);
}

static void read_ca(struct ch_scenario *s)
{
	ch_limits_read(s->conf, "ca", "letsencrypt", &s->limits);
	s->order_ms =
		ch_conf_duration(s->conf, "ca", "order_time", "8s", CH_SECOND_MS, CH_HOUR_MS);
	s->ari = ch_conf_bool(s->conf, "ca", "ari", true);
	s->failure_percent = (unsigned)ch_conf_int(s->conf, "ca", "failure_percent", 0, 0, 90);
	s->lifetimes[0].life_ms = read_life(s, "ca", "90d");
	s->n_lifetimes = 1;
}

static void read_issuer(struct ch_scenario *s)
{
	s->ladder.rungs_ms = s->rungs_ms;
	ch_conf_list(s->conf, "issuer", "retry_ladder", "1m,10m,100m,1d",
		"spans of time, such as 30s, 10m or 3h", add_rung, s);
	if (s->ladder.n == 0)
		ch_conf_fail(
			s->conf, "issuer", "retry_ladder", "needs one span of time at least");
	s->ladder.jitter_percent =
		(unsigned)ch_conf_int(s->conf, "issuer", "retry_jitter_percent", 20, 0, 100);
	s->renew_left_percent =
		(unsigned)ch_conf_int(s->conf, "issuer", "renew_left_percent", 33, 1, 90);
	s->orders_per_second =
		(unsigned)ch_conf_int(s->conf, "issuer", "orders_per_second", 10, 1, 1000);
}

static enum ch_class read_class(struct ch_scenario *s, const char *section)
{
	const char *text = ch_conf_str(s->conf, section, "class", "new");

	if (strcmp(text, "backlog") == 0)
		return CH_CLASS_BACKLOG;
	if (strcmp(text, "visitor") == 0)
		return CH_CLASS_VISITOR;
	if (strcmp(text, "new") != 0)
		ch_conf_fail(s->conf, section, "class", "must be visitor, new or backlog");
	return CH_CLASS_NEW;
}

static void read_onboard(struct ch_scenario *s, const char *section)
{
	struct ch_sim_onboard *o = &s->onboards[s->n_onboards++];
	int64_t left = CH_SIM_NAMES_MAX - s->n_names;

	o->label = section + strlen("onboard ");
	o->names = (uint32_t)ch_conf_int(s->conf, section, "names", 1, 1, left);
	o->from_ms = ch_conf_duration(s->conf, section, "at", "0s", 0, YEARS_MS);
	o->until_ms =
		o->from_ms + ch_conf_duration(s->conf, section, "over", "0s", 0, YEARS_MS);
	o->tenants = (uint32_t)ch_conf_int(s->conf, section, "tenants", 1, 1, 10000);
	o->per_domain =
		(uint32_t)ch_conf_int(s->conf, section, "names_per_domain", 1, 1, INT32_MAX);
	o->class = read_class(s, section);
	s->n_names += o->names;
	s->n_tenants += o->tenants;
	s->n_domains += (o->names - 1) / o->per_domain + 1;
}

static void read_outage(struct ch_scenario *s, const char *section)
{
	struct ch_sim_outage *o = &s->outages[s->n_outages++];

	o->from_ms = ch_conf_duration(s->conf, section, "at", NULL, 0, YEARS_MS);
	o->until_ms = o->from_ms + ch_conf_duration(s->conf, section, "for", NULL, 1, YEARS_MS);
}

static void read_lifetime(struct ch_scenario *s, const char *section)
{
	struct ch_sim_lifetime *l = &s->lifetimes[s->n_lifetimes++];

	l->at_ms = ch_conf_duration(s->conf, section, "at", NULL, 0, YEARS_MS);
	l->life_ms = read_life(s, section, NULL);
	if (l->at_ms < l[-1].at_ms)
		ch_conf_fail(s->conf, section, "at", "must be after the lifetime before it");
}

static void read_revocation(struct ch_scenario *s, const char *section)
{
	struct ch_sim_revocation *r = &s->revocations[s->n_revocations++];

	r->at_ms = ch_conf_duration(s->conf, section, "at", NULL, 0, YEARS_MS);
	r->within_ms =
		ch_conf_duration(s->conf, section, "within", "24h", CH_HOUR_MS, 30 * CH_DAY_MS);
	r->learned_ms =
		ch_conf_duration(s->conf, section, "learned_within", "6h", 1, 30 * CH_DAY_MS);
	r->percent = (unsigned)ch_conf_int(s->conf, section, "percent", 3, 1, 100);
}

static const struct {
	const char *prefix;
	size_t n_at; /* of its count in the scenario */
	void (*read)(struct ch_scenario *s, const char *section);
} parts[] = {
	{"onboard ", offsetof(struct ch_scenario, n_onboards), read_onboard},
	{"outage ", offsetof(struct ch_scenario, n_outages), read_outage},
	{"lifetime ", offsetof(struct ch_scenario, n_lifetimes), read_lifetime},
	{"revocation ", offsetof(struct ch_scenario, n_revocations), read_revocation},
};

static int read_part(struct ch_scenario *s, const char *section, struct ch_err *err)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(parts); i++) {
		size_t n;

		if (strncmp(section, parts[i].prefix, strlen(parts[i].prefix)) != 0)
			continue;
		memcpy(&n, (const char *)s + parts[i].n_at, sizeof(n));
		if (n == CH_SIM_PARTS_MAX)
			return ch_err_set(err, CH_ETOOBIG, "scenario-size",
				"[%s]: more than %d sections of that kind", section,
				CH_SIM_PARTS_MAX);
		parts[i].read(s, section);
	}
	return CH_OK;
}

static int read_all(struct ch_scenario *s, struct ch_err *err)
{
	const char *section;
	int rc;

	read_simulation(s);
	read_ca(s);
	read_issuer(s);
	for (size_t i = 0; (section = ch_conf_section(s->conf, i)); i++) {
		rc = read_part(s, section, err);
		if (rc)
			return rc;
	}
	rc = ch_conf_finish_all(s->conf, err);
	if (rc == CH_OK && s->n_names == 0)
		rc = ch_err_set(err, CH_EINVAL, "scenario-names",
			"a scenario needs a section [onboard ...] with names");
	return rc;
}

static int finish(int rc, struct ch_scenario *s, struct ch_err *err)
{
	if (rc == CH_OK)
		rc = read_all(s, err);
	if (rc)
		ch_scenario_done(s);
	return rc;
}

int ch_scenario_load(const char *path, struct ch_scenario *ret_scenario, struct ch_err *err)
{
	memset(ret_scenario, 0, sizeof(*ret_scenario));
	return finish(ch_conf_load(path, &ret_scenario->conf, err), ret_scenario, err);
}

int ch_scenario_parse(
	const char *text, size_t len, struct ch_scenario *ret_scenario, struct ch_err *err)
{
	memset(ret_scenario, 0, sizeof(*ret_scenario));
	return finish(
		ch_conf_parse(text, len, "/", &ret_scenario->conf, err), ret_scenario, err);
}

void ch_scenario_done(struct ch_scenario *scenario)
{
	ch_conf_free(scenario->conf);
	scenario->conf = NULL;
}
