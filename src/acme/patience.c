#include "acme/patience.h"

#include "base/clock.h"

#define ENOUGH 16 /* answers */
#define TIMES 20
#define LEAST_MS (5 * CH_SECOND_MS)
#define FORGET 64 /* a part of what is too much, at each answer */

int64_t ch_acme_patience_ms(const struct ch_acme_patience *patience, int64_t most_ms)
{
	int64_t wait_ms = atomic_load(&patience->slow_ms) * TIMES;

	if (wait_ms < LEAST_MS)
		wait_ms = LEAST_MS;
	return wait_ms > most_ms || atomic_load(&patience->answers) < ENOUGH ? most_ms
									     : wait_ms;
}

void ch_acme_patience_answered(struct ch_acme_patience *patience, int64_t took_ms)
{
	int64_t slow_ms = atomic_load(&patience->slow_ms);

	if (took_ms >= slow_ms)
		slow_ms = took_ms;
	else
		slow_ms -= (slow_ms - took_ms + FORGET - 1) / FORGET;
	atomic_store(&patience->slow_ms, slow_ms);
	if (atomic_load(&patience->answers) < ENOUGH)
		atomic_fetch_add(&patience->answers, 1);
}

/* Those that were late together teach no more than one. */
void ch_acme_patience_late(struct ch_acme_patience *patience, int64_t waited_ms)
{
	int64_t slow_ms = 2 * waited_ms / TIMES;

	if (slow_ms > atomic_load(&patience->slow_ms))
		atomic_store(&patience->slow_ms, slow_ms);
}
