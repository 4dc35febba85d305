#include "issuerd/ladder.h"

#include "base/clock.h"

#define POLL_MOST_MS (30 * CH_SECOND_MS)
#define EARLY_POLL 5
#define MOVED_MOST_MS (30 * CH_DAY_MS)
#define EDGES_LEAST_MS INT64_C(250)
#define EDGES_MOST_MS (5 * CH_SECOND_MS)
#define SHORT_LIFE_MS (10 * CH_DAY_MS)

int64_t ch_ladder_wait_ms(const struct ch_issuer_config *config, const struct ch_limit *limit,
	const char *name, uint64_t failures, uint64_t salt)
{
	const struct ch_ladder ladder = {
		config->ladder_ms, config->n_ladder, config->retry_jitter_percent};
	int64_t wait_ms = ch_ladder_rung_ms(&ladder, failures, ch_spread(name, salt));
	int64_t least_ms = limit->refill_us / 1000;

	/* A short ladder must not use up what the CA allows. */
	return limit->size && failures + 1 >= limit->size && wait_ms < least_ms ? least_ms
										: wait_ms;
}

int64_t ch_preflight_wait_ms(const struct ch_issuer_config *config, const char *name,
	uint64_t failures, uint64_t salt)
{
	const struct ch_ladder ladder = {config->preflight_ladder_ms,
		config->n_preflight_ladder, config->retry_jitter_percent};

	return ch_ladder_rung_ms(&ladder, failures, ch_spread(name, salt));
}

int64_t ch_moved_wait_ms(
	const struct ch_issuer_config *config, const char *name, int64_t away_ms, uint64_t salt)
{
	int64_t least_ms = config->preflight_ladder_ms[config->n_preflight_ladder - 1];
	int64_t wait_ms = away_ms / 8 < MOVED_MOST_MS ? away_ms / 8 : MOVED_MOST_MS;
	const struct ch_ladder ladder = {&wait_ms, 1, config->retry_jitter_percent};

	if (wait_ms < least_ms)
		wait_ms = least_ms;
	return ch_ladder_rung_ms(&ladder, 0, ch_spread(name, salt));
}

int64_t ch_poll_wait_ms(const struct ch_issuer_config *config, unsigned polls)
{
	/* Many a CA is done at once: one early look. */
	if (polls == 0)
		return config->poll_interval_ms / EARLY_POLL;
	return ch_doubling_ms(config->poll_interval_ms, polls - 1, POLL_MOST_MS);
}

int64_t ch_edges_wait_ms(unsigned waits)
{
	return ch_doubling_ms(EDGES_LEAST_MS, waits, EDGES_MOST_MS);
}

int64_t ch_held_wait_ms(unsigned waits)
{
	return ch_doubling_ms(5 * CH_SECOND_MS, waits, 10 * CH_MINUTE_MS);
}

int64_t ch_probe_wait_ms(unsigned probes)
{
	return ch_doubling_ms(CH_SECOND_MS, probes, CH_MINUTE_MS);
}

int64_t ch_error_wait_ms(int64_t base_ms, uint64_t attempts)
{
	return ch_doubling_ms(base_ms, attempts > 0 ? attempts - 1 : 0, CH_HOUR_MS);
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
