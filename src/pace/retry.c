#include "pace/retry.h"

#include "base/clock.h"

#define URGENT_PART 4
#define URGENT_LEAST_MS (30 * CH_MINUTE_MS)
#define OUTAGE_LEAST_MS CH_SECOND_MS
#define OUTAGE_MOST_MS CH_MINUTE_MS

double ch_spread(const char *name, uint64_t salt)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ salt; /* FNV-1a */

	for (; *name; name++) {
		h ^= (unsigned char)*name;
		h *= UINT64_C(0x100000001b3);
	}
	/* FNV's high bits are weak for short texts: the finalizer of MurmurHash3. */
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	h ^= h >> 33;
	return (double)(h >> 11) / (double)(UINT64_C(1) << 53);
}

int64_t ch_ladder_rung_ms(const struct ch_ladder *ladder, uint64_t failures, double spread)
{
	size_t rung = failures < ladder->n ? (size_t)failures : ladder->n - 1;
	int64_t wait_ms = ladder->rungs_ms[rung];
	double swing = (double)wait_ms * ladder->jitter_percent / 100;

	return wait_ms + (int64_t)(swing * (2 * spread - 1));
}

int64_t ch_urgent_wait_ms(int64_t wait_ms, int64_t left_ms)
{
	int64_t most_ms = left_ms / URGENT_PART;

	if (left_ms <= 0)
		return wait_ms;
	if (most_ms < URGENT_LEAST_MS)
		most_ms = URGENT_LEAST_MS;
	return wait_ms < most_ms ? wait_ms : most_ms;
}

int64_t ch_doubling_ms(int64_t least_ms, uint64_t times, int64_t most_ms)
{
	int64_t wait_ms = least_ms;

	for (; times > 0 && wait_ms < most_ms; times--)
		wait_ms *= 2;
	return wait_ms < most_ms ? wait_ms : most_ms;
}

int64_t ch_outage_wait_ms(unsigned outages)
{
	return ch_doubling_ms(OUTAGE_LEAST_MS, outages > 1 ? outages - 1 : 0, OUTAGE_MOST_MS);
}
