/* When to try again: pure functions, which the issuer and the simulator share. */
#ifndef CH_PACE_RETRY_H
#define CH_PACE_RETRY_H

#include <stddef.h>
#include <stdint.h>

#include "pace/bucket.h"

/* A number in [0, 1), always the same for the same name and salt. */
double ch_spread(const char *name, uint64_t salt);

struct ch_ladder {
	const int64_t *rungs_ms; /* borrowed; the last one repeats */
	size_t n;		 /* at least 1 */
	unsigned jitter_percent;
};

/* The wait after one more failure of a name that had `failures` in a row before: more or less
 * jitter_percent, by spread (0 … 1). */
int64_t ch_ladder_rung_ms(const struct ch_ladder *ladder, uint64_t failures, double spread);
/* The wait of a name that needs its certificate in left_ms: at most a quarter of that, so that
 * there are tries left whatever the ladder says, but not under least_ms.  left_ms <= 0, when it
 * is too late or there is no hurry: wait_ms. */
int64_t ch_wait_in_time_ms(int64_t wait_ms, int64_t left_ms, int64_t least_ms);
/* How often a name may fail at a CA with this limit of failures, without end: what comes back,
 * and not more than once a minute. */
int64_t ch_failure_pace_ms(const struct ch_limit *failures);
/* How long nothing is asked of a CA that fails for all, after so many failures in a row (1 …):
 * 1 s, doubling up to a minute. */
int64_t ch_outage_wait_ms(unsigned outages);
/* least_ms, doubled so many times, most_ms at most. */
int64_t ch_doubling_ms(int64_t least_ms, uint64_t times, int64_t most_ms);

#endif
