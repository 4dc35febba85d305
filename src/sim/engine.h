/* Runs a scenario in virtual time: scheduler, buckets, waits and calendar of src/pace, against
 * the CA of sim/ca.h.  The same scenario gives the same result. */
#ifndef CH_SIM_ENGINE_H
#define CH_SIM_ENGINE_H

#include "sim/ca.h"
#include "sim/scenario.h"

struct ch_sim_options {
	bool forecast; /* without outages and revocations, which nobody knows of beforehand */
	uint64_t seed; /* instead of the scenario's; 0: that */
	int64_t *ret_first_ms; /* by name: when it had its first certificate, -1: never; may be
				  NULL */
	/* About every minute of virtual time with work; may be NULL. */
	void (*progress)(void *arg, int64_t now_ms, int64_t span_ms, uint64_t orders);
	void *arg;
};

struct ch_sim_expired {
	uint64_t by_outage;   /* the last try met a CA that was down */
	uint64_t by_limit;    /* … a limit */
	uint64_t by_failures; /* … a failed validation */
	uint64_t by_waiting;  /* it had no turn in time */
};

struct ch_sim_result {
	uint64_t names;
	uint64_t orders;
	uint64_t certificates;
	uint64_t failures;
	uint64_t met_outage; /* tries that met a CA that was down */
	uint64_t without;    /* names that have no certificate in the end */
	struct ch_sim_expired expired;
	uint64_t exceeded[CH_SIM_LIMIT_COUNT]; /* refusals of the CA by its limits */
	/* Hour by hour: new orders.  Owned. */
	uint32_t *hours;
	size_t n_hours;
	double busiest; /* the busiest hour against its centred 7-day mean; see the note below
			 */
	size_t busiest_hour;
	int64_t account_short_ms; /* how long new names waited for the account's limit */
	bool short_now;		  /* while it runs: they do */
	uint64_t parked;	  /* times that a name waited for its domain's limit */
	struct {
		int64_t first_ms; /* -1: none */
		int64_t last_ms;
		uint64_t done;
		int64_t longest_ms; /* from its coming to its certificate */
	} onboards[CH_SIM_PARTS_MAX];
};

uint64_t ch_sim_expired_sum(const struct ch_sim_expired *expired);

/* CH_ENOMEM. */
CH_MUST int ch_sim_run(const struct ch_scenario *scenario, const struct ch_sim_options *options,
	struct ch_sim_result *ret_result);
void ch_sim_result_done(struct ch_sim_result *result);

/* Sets busiest: of the hours that are not within an event (onboarding, outage, revocation) or
 * the 7 days after it, against the mean of those of them that are at most 3.5 days away. */
void ch_sim_measure_busiest(const struct ch_scenario *scenario, struct ch_sim_result *result);

/* The error of the forecast at that percentile (0 … 1), as a part of the time that it named,
 * from the beginning on; a name to which one of both gave no certificate counts as 1. */
CH_MUST int ch_sim_forecast_error(const struct ch_scenario *scenario,
	const int64_t *forecast_ms, const int64_t *real_ms, double percentile,
	double *ret_error);

#endif
