/* A scenario: names that come, what the CA allows, and what happens to it; doc/simulate.md. */
#ifndef CH_SIM_SCENARIO_H
#define CH_SIM_SCENARIO_H

#include "base/conf.h"
#include "pace/limits.h"
#include "pace/retry.h"
#include "pace/scheduler.h"

#define CH_SIM_PARTS_MAX 32
#define CH_SIM_NAMES_MAX 5000000u
#define CH_SIM_DAYS_MAX 1100
#define CH_SIM_RUNGS_MAX 16

/* Times are ms since the beginning of the simulation. */
struct ch_sim_onboard {
	const char *label; /* of its section; borrowed from the file */
	uint32_t names;
	int64_t from_ms;
	int64_t until_ms;
	uint32_t tenants; /* the names go to so many of its own, in turn */
	uint32_t per_domain;
	enum ch_class class;
};

struct ch_sim_outage {
	int64_t from_ms;
	int64_t until_ms;
};

struct ch_sim_lifetime {
	int64_t at_ms;
	int64_t life_ms;
};

/* Of all certificates so many percent end within_ms after at_ms; we hear of it by learned_ms.
 */
struct ch_sim_revocation {
	int64_t at_ms;
	int64_t within_ms;
	int64_t learned_ms;
	unsigned percent;
};

struct ch_scenario {
	struct ch_conf *conf; /* owned */
	int64_t start_ms;     /* Unix */
	int64_t span_ms;
	uint64_t seed;
	struct ch_limits limits;
	int64_t order_ms; /* how long the CA takes for an order, on average */
	bool ari;
	unsigned failure_percent;
	int64_t rungs_ms[CH_SIM_RUNGS_MAX];
	struct ch_ladder ladder;
	unsigned renew_left_percent;
	unsigned orders_per_second;
	struct ch_sim_onboard onboards[CH_SIM_PARTS_MAX];
	struct ch_sim_outage outages[CH_SIM_PARTS_MAX];
	struct ch_sim_lifetime lifetimes[CH_SIM_PARTS_MAX]; /* the first at 0; in order */
	struct ch_sim_revocation revocations[CH_SIM_PARTS_MAX];
	size_t n_onboards;
	size_t n_outages;
	size_t n_lifetimes;
	size_t n_revocations;
	uint32_t n_names; /* the sum */
	uint32_t n_tenants;
	uint32_t n_domains;
};

/* On failure *err says file, line and what to change.  ret_scenario->ladder points into it: it
 * is not to be copied. */
CH_MUST int ch_scenario_load(
	const char *path, struct ch_scenario *ret_scenario, struct ch_err *err);
/* The same from memory. */
CH_MUST int ch_scenario_parse(
	const char *text, size_t len, struct ch_scenario *ret_scenario, struct ch_err *err);
void ch_scenario_done(struct ch_scenario *scenario);

#endif
