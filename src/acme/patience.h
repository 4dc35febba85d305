/* How long one answer of a CA is waited for.  Who has answered quickly so far is not given all
 * that it may take: a request that gets lost keeps a thread until then. */
#ifndef CH_ACME_PATIENCE_H
#define CH_ACME_PATIENCE_H

#include <stdatomic.h>
#include <stdint.h>

/* Shared by threads; that two of them note at once loses one note at the most.  All 0: nothing
 * is known. */
struct ch_acme_patience {
	atomic_int_fast64_t slow_ms; /* what slow answers took lately */
	atomic_int answers;	     /* counted until they are enough to go by */
};

/* Twenty times as long as a slow answer, five seconds at least; most_ms at most, and as long as
 * nothing is known. */
int64_t ch_acme_patience_ms(const struct ch_acme_patience *patience, int64_t most_ms);
void ch_acme_patience_answered(struct ch_acme_patience *patience, int64_t took_ms);
/* No answer came in waited_ms, which were fewer than it may take: perhaps it is slower now. */
void ch_acme_patience_late(struct ch_acme_patience *patience, int64_t waited_ms);

#endif
