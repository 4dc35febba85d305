/* What a run shows. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sim/engine.h"
#include "sim/world.h"

#define HALF_WEEK_H 84
#define AFTER_MS (7 * CH_DAY_MS)

uint64_t ch_sim_expired_sum(const struct ch_sim_expired *expired)
{
	return expired->by_outage + expired->by_limit + expired->by_failures +
	       expired->by_waiting;
}

void ch_sim_result_done(struct ch_sim_result *result)
{
	free(result->hours);
	result->hours = NULL;
}

static bool within(int64_t at_ms, int64_t from_ms, int64_t until_ms)
{
	return at_ms + CH_HOUR_MS > from_ms && at_ms < until_ms + AFTER_MS;
}

static bool is_left_out(const struct ch_scenario *s, int64_t at_ms)
{
	for (size_t i = 0; i < s->n_onboards; i++)
		if (within(at_ms, s->onboards[i].from_ms, s->onboards[i].until_ms))
			return true;
	for (size_t i = 0; i < s->n_outages; i++)
		if (within(at_ms, s->outages[i].from_ms, s->outages[i].until_ms))
			return true;
	for (size_t i = 0; i < s->n_revocations; i++)
		if (within(at_ms, s->revocations[i].at_ms,
			    s->revocations[i].at_ms + s->revocations[i].within_ms))
			return true;
	return false;
}

/* An hour and those around it that count; 0 when they are fewer than half a week. */
static double ratio(const struct ch_sim_result *result, const bool *out, size_t hour)
{
	size_t first = hour < HALF_WEEK_H ? 0 : hour - HALF_WEEK_H;
	double sum = 0;
	size_t n = 0;

	for (size_t h = first; h <= hour + HALF_WEEK_H && h < result->n_hours; h++) {
		if (out[h])
			continue;
		sum += result->hours[h];
		n++;
	}
	return n < HALF_WEEK_H || sum == 0 ? 0 : result->hours[hour] * (double)n / sum;
}

void ch_sim_measure_busiest(const struct ch_scenario *scenario, struct ch_sim_result *result)
{
	CH_AUTO_FREE bool *out = calloc(result->n_hours + 1, sizeof(*out));

	result->busiest = 0;
	if (!out)
		return;
	for (size_t h = 0; h < result->n_hours; h++)
		out[h] = is_left_out(scenario, (int64_t)h * CH_HOUR_MS);
	for (size_t h = 0; h < result->n_hours; h++) {
		double r = out[h] ? 0 : ratio(result, out, h);

		if (r > result->busiest) {
			result->busiest = r;
			result->busiest_hour = h;
		}
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

int ch_sim_forecast_error(const struct ch_scenario *scenario, const int64_t *forecast_ms,
	const int64_t *real_ms, double percentile, double *ret_error)
{
	size_t n = scenario->n_names;
	CH_AUTO_FREE double *errors = calloc(n, sizeof(*errors));

	if (!errors)
		return CH_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		double off = (double)llabs(real_ms[i] - forecast_ms[i]);

		if (forecast_ms[i] < 0 && real_ms[i] < 0)
			errors[i] = 0;
		else if (forecast_ms[i] <= 0 || real_ms[i] < 0)
			errors[i] = 1;
		else
			errors[i] = off / (double)forecast_ms[i];
	}
	qsort(errors, n, sizeof(*errors), compare);
	*ret_error = errors[(size_t)(percentile * (double)(n - 1))];
	return CH_OK;
}
