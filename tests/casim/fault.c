#include "fault.h"

#include <string.h>

#include "settings.h"

bool sim_fault_bad_nonce(struct sim *sim)
{
	bool bad = sim_chance(sim_percent(sim, "faults", "bad_nonce_percent"));

	if (bad)
		sim_count(sim, "faults", "bad_nonce");
	return bad;
}

/* Half of the faults come before the request is acted upon, half after: the CA has done what
 * the client never hears of. */
static bool strike(struct sim *sim, struct sim_reply *reply)
{
	int64_t delay_ms = sim_int(sim, "faults", "delay_ms");

	if (sim_chance(sim_percent(sim, "faults", "error_500_percent") / 2)) {
		sim_count(sim, "faults", "error_500");
		sim_problem(reply, 500, "serverInternal", "Internal error");
		return true;
	}
	if (sim_chance(sim_percent(sim, "faults", "reset_percent") / 2)) {
		sim_count(sim, "faults", "reset");
		reply->manner = SIM_RESET;
		return true;
	}
	if (sim_chance(sim_percent(sim, "faults", "stall_percent") / 2)) {
		sim_count(sim, "faults", "stall");
		reply->manner = SIM_SILENCE;
		reply->ms = sim_int(sim, "faults", "stall_ms");
		return true;
	}
	if (delay_ms > 0 && reply->manner == SIM_SEND) {
		reply->manner = SIM_LATE;
		reply->ms = delay_ms;
	}
	return false;
}

static bool locked(struct sim *sim, struct sim_reply *reply)
{
	bool struck;

	pthread_mutex_lock(&sim->lock);
	struck = strike(sim, reply);
	pthread_mutex_unlock(&sim->lock);
	return struck;
}

bool sim_fault_before(struct sim *sim, struct sim_reply *reply)
{
	return locked(sim, reply);
}

void sim_fault_after(struct sim *sim, struct sim_reply *reply)
{
	(void)locked(sim, reply);
}
