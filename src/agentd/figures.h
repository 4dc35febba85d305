/* What an agent counts for Prometheus: written by the thread that follows, and by the one
 * that hears of names that visitors wait for; read by another. */
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
	/* Names that visitors wait for: */
	atomic_uint_fast64_t wanted_told;     /* to the store, … */
	atomic_uint_fast64_t wanted_taken;    /* … which went by so many of them */
	atomic_uint_fast64_t wanted_repeated; /* heard of again, and not told again */
	atomic_uint_fast64_t wanted_bad;      /* no names */
	atomic_uint_fast64_t wanted_lost;     /* the store did not take them */
	atomic_bool troubled;
	atomic_bool braked;
};

/* The text of /metrics; arg is a struct ch_agent_figures. */
void ch_agent_figures_write(void *arg, struct ch_buf *out);

#endif
