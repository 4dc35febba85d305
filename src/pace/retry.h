/* When to try again: pure functions, which the issuer and the simulator share. */
#ifndef CH_PACE_RETRY_H
#define CH_PACE_RETRY_H

#include <stddef.h>
#include <stdint.h>

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
/* wait_ms, shortened for a name whose certificate is needed anew in left_ms: a quarter of what
 * is left, half an hour at least, so that ever more tries come before it ends.  left_ms <= 0
 * (there is none, or it has ended): as it is. */
int64_t ch_urgent_wait_ms(int64_t wait_ms, int64_t left_ms);
/* How long nothing is asked of a CA that fails for all, after so many failures in a row (1 …):
 * 1 s, doubling up to a minute. */
int64_t ch_outage_wait_ms(unsigned outages);
/* least_ms, doubled so many times, most_ms at most. */
int64_t ch_doubling_ms(int64_t least_ms, uint64_t times, int64_t most_ms);

#endif
