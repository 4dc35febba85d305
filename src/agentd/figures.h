/* What an agent counts for Prometheus: written by the one thread that follows, read by another.
 */
#ifndef CH_AGENTD_FIGURES_H
#define CH_AGENTD_FIGURES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct ch_agent_figures {
	atomic_uint_fast64_t added;
	atomic_uint_fast64_t changed;
	atomic_uint_fast64_t removed;
	atomic_uint_fast64_t refused;
	atomic_uint_fast64_t filled; /* by snapshots */
	atomic_uint_fast64_t failures;
	atomic_uint_fast64_t seq;
	atomic_uint_fast64_t names;
	atomic_int_fast64_t answered_ms; /* Unix milliseconds; 0: not yet */
	atomic_bool troubled;
	atomic_bool braked;
};

/* The text of /metrics; arg is a struct ch_agent_figures. */
void ch_agent_figures_write(void *arg, struct ch_buf *out);

#endif
