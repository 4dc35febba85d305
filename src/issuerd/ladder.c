#include "issuerd/ladder.h"

#include "base/clock.h"

#define POLL_MOST_MS (30 * CH_SECOND_MS)
#define EARLY_POLL 5
#define EDGES_LEAST_MS INT64_C(250)
#define EDGES_MOST_MS (5 * CH_SECOND_MS)
#define SHORT_LIFE_MS (10 * CH_DAY_MS)

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

int64_t ch_ladder_wait_ms(const struct ch_issuer_config *config, const char *name,
	uint64_t failures, uint64_t salt)
{
	size_t rung = failures < config->n_ladder ? (size_t)failures : config->n_ladder - 1;
	int64_t wait_ms = config->ladder_ms[rung];
	double swing = (double)wait_ms * config->retry_jitter_percent / 100;

	return wait_ms + (int64_t)(swing * (2 * ch_spread(name, salt) - 1));
}

static int64_t doubling(int64_t least_ms, uint64_t times, int64_t most_ms)
{
	int64_t wait_ms = least_ms;

	for (; times > 0 && wait_ms < most_ms; times--)
		wait_ms *= 2;
	return wait_ms < most_ms ? wait_ms : most_ms;
}

int64_t ch_poll_wait_ms(const struct ch_issuer_config *config, unsigned polls)
{
	/* Many a CA is done at once: one early look. */
	if (polls == 0)
		return config->poll_interval_ms / EARLY_POLL;
	return doubling(config->poll_interval_ms, polls - 1, POLL_MOST_MS);
}

int64_t ch_edges_wait_ms(unsigned waits)
{
	return doubling(EDGES_LEAST_MS, waits, EDGES_MOST_MS);
}

int64_t ch_held_wait_ms(unsigned waits)
{
	return doubling(5 * CH_SECOND_MS, waits, 10 * CH_MINUTE_MS);
}

int64_t ch_probe_wait_ms(unsigned probes)
{
	return doubling(CH_SECOND_MS, probes, CH_MINUTE_MS);
}

int64_t ch_error_wait_ms(int64_t base_ms, uint64_t attempts)
{
	return doubling(base_ms, attempts > 0 ? attempts - 1 : 0, CH_HOUR_MS);
}

int64_t ch_renew_at_ms(const struct ch_issuer_config *config, const char *name,
	int64_t not_before_s, int64_t not_after_s)
{
	int64_t life_ms = (not_after_s - not_before_s) * CH_SECOND_MS;
	unsigned left_percent = config->renew_left_percent;
	int64_t left_ms;

	if (life_ms < SHORT_LIFE_MS && left_percent < 50)
		left_percent = 50;
	left_ms = life_ms / 100 * left_percent;
	left_ms += (int64_t)((double)life_ms * config->renew_jitter_percent / 100 *
			     ch_spread(name, 0));
	/* Not before a tenth of the lifetime is over, whatever the percentages say. */
	if (left_ms > life_ms / 10 * 9)
		left_ms = life_ms / 10 * 9;
	return not_after_s * CH_SECOND_MS - left_ms;
}
