#include "issuerd/ladder.h"

#include "base/clock.h"
#include "base/mem.h"

#define POLL_MOST_MS (30 * CH_SECOND_MS)
#define EARLY_POLL 5
#define MOVED_MOST_MS (30 * CH_DAY_MS)
#define EDGES_LEAST_MS INT64_C(250)
#define EDGES_MOST_MS (5 * CH_SECOND_MS)
/* A broken long poll is begun again within seconds. */
#define EDGES_ORDINARY_MS (10 * CH_SECOND_MS)
/* Fewer do not level anything. */
#define HOURS_LEAST 12

int64_t ch_ladder_wait_ms(const struct ch_issuer_config *config, const struct ch_limit *limit,
	const struct ch_retried *name)
{
	const struct ch_ladder ladder = {
		config->ladder_ms, config->n_ladder, config->retry_jitter_percent};
	int64_t wait_ms =
		ch_ladder_rung_ms(&ladder, name->failures, ch_spread(name->name, name->salt));
	int64_t least_ms = limit->refill_us / 1000;

	wait_ms = ch_wait_in_time_ms(wait_ms, name->left_ms, ch_failure_pace_ms(limit));
	/* A short ladder must not use up what the CA allows. */
	return limit->size && name->failures + 1 >= limit->size && wait_ms < least_ms ? least_ms
										      : wait_ms;
}

int64_t ch_preflight_wait_ms(
	const struct ch_issuer_config *config, const struct ch_retried *name)
{
	const struct ch_ladder ladder = {config->preflight_ladder_ms,
		config->n_preflight_ladder, config->retry_jitter_percent};
	int64_t wait_ms =
		ch_ladder_rung_ms(&ladder, name->failures, ch_spread(name->name, name->salt));

	return ch_wait_in_time_ms(wait_ms, name->left_ms, CH_MINUTE_MS);
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

int64_t ch_edges_ordinary_ms(const struct ch_issuer_config *config)
{
	return config->edge_wait_ms < EDGES_ORDINARY_MS ? config->edge_wait_ms
							: EDGES_ORDINARY_MS;
}

int64_t ch_held_wait_ms(unsigned waits)
{
	return ch_doubling_ms(5 * CH_SECOND_MS, waits, 10 * CH_MINUTE_MS);
}

int64_t ch_probe_wait_ms(unsigned probes)
{
	return ch_doubling_ms(CH_SECOND_MS, probes, CH_MINUTE_MS);
}

int64_t ch_error_wait_ms(uint64_t attempts, double spread)
{
	static const int64_t waits_ms[] = {CH_SECOND_MS, 2 * CH_SECOND_MS, 4 * CH_SECOND_MS,
		8 * CH_SECOND_MS, 16 * CH_SECOND_MS, CH_MINUTE_MS, 5 * CH_MINUTE_MS,
		20 * CH_MINUTE_MS, CH_HOUR_MS};
	uint64_t most = CH_ARRAY_LEN(waits_ms);
	int64_t wait_ms = waits_ms[attempts > most ? most - 1
				   : attempts > 0  ? attempts - 1
						   : 0];

	return wait_ms + (int64_t)((double)wait_ms * spread / 2);
}

void ch_renew_span(const struct ch_issuer_config *config, const struct ch_limit *set,
	const struct ch_renewal *renewal, int64_t now_ms, struct ch_calendar_span *ret_span)
{
	const struct ch_calendar_cert cert = {.not_before_ms = renewal->not_before_ms,
		.not_after_ms = renewal->not_after_ms,
		.ari_start_ms = renewal->start_ms,
		.ari_end_ms = renewal->end_ms,
		.left_percent = config->renew_left_percent,
		.room = true};
	int64_t percent_ms = (renewal->not_after_ms - renewal->not_before_ms) / 100;
	int64_t least_ms = renewal->issued_ms + percent_ms;
	int64_t token_ms = renewal->issued_ms + (set->size ? set->refill_us / 1000 : 0);
	struct ch_calendar_span span;
	int64_t last_ms; /* of what is left to begin at */

	ch_calendar_span(&cert, now_ms, &span);
	if (span.until_ms < least_ms)
		span.until_ms = least_ms;
	last_ms = span.until_ms - (int64_t)config->renew_jitter_percent * percent_ms;
	if (span.from_ms < token_ms)
		span.from_ms = token_ms < last_ms ? token_ms : last_ms;
	if (span.until_ms - span.from_ms < HOURS_LEAST * CH_HOUR_MS && span.from_ms < last_ms)
		span.from_ms = last_ms;
	if (span.from_ms < least_ms)
		span.from_ms = least_ms;
	if (span.from_ms > span.until_ms)
		span.from_ms = span.until_ms;
	*ret_span = span;
}
