#include "sim/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sim/world.h"

/* So that 0 is no time of a certificate or a plan. */
#define BEGIN_MS 1000
#define PROGRESS_MS CH_HOUR_MS

double world_random(struct world *world)
{
	uint64_t x = world->random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (double)((x ^ (x >> 31)) >> 11) / (double)(UINT64_C(1) << 53);
}

bool world_has_cert(const struct name *name)
{
	return name->not_after_ms != 0;
}

bool world_pays(const struct world *world, const struct name *name)
{
	return !world->limits.renewals_exempt || !world_has_cert(name);
}

int64_t world_arrival_ms(
	const struct ch_scenario *scenario, const struct ch_sim_onboard *onboard, uint32_t i)
{
	double share = (double)i / onboard->names;

	return BEGIN_MS + onboard->from_ms +
	       (int64_t)(share * (double)(onboard->until_ms - onboard->from_ms));
}

static void add_names(struct world *world)
{
	const struct ch_scenario *s = world->scenario;
	uint32_t id = 0;
	uint32_t tenant = 0;
	uint32_t domain = 0;

	for (size_t o = 0; o < s->n_onboards; o++) {
		const struct ch_sim_onboard *onboard = &s->onboards[o];

		for (uint32_t i = 0; i < onboard->names; i++, id++) {
			world->names[id].tenant = tenant + i % onboard->tenants;
			world->names[id].domain = domain + i / onboard->per_domain;
			world->names[id].onboard = (uint8_t)o;
			ch_heap_set(&world->events, id, world_arrival_ms(s, onboard, i));
		}
		tenant += onboard->tenants;
		domain += (onboard->names - 1) / onboard->per_domain + 1;
	}
}

static int init(struct world *world)
{
	const struct ch_scenario *s = world->scenario;
	uint64_t seed = world->options->seed ? world->options->seed : s->seed;
	int rc = ch_sim_ca_new(s, &world->ca);

	world->random = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	world->names = calloc(s->n_names, sizeof(*world->names));
	world->domains = calloc(s->n_domains, sizeof(*world->domains));
	world->ring = malloc(sizeof(*world->ring));
	if (rc || !world->names || !world->domains || !world->ring)
		return CH_ENOMEM;
	rc = ch_heap_init(&world->events, s->n_names);
	if (rc == CH_OK)
		rc = ch_sched_new(s->n_names, s->n_tenants, s->n_domains, &world->sched);
	if (rc)
		return rc;
	ch_calendar_ring_init(world->ring, 0);
	world->limits = s->limits;
#define X(member, key) world->limits.member = ch_limit_with_margin(&s->limits.member);
	CH_LIMITS_LIST(X)
#undef X
	world->pace_limit = (struct ch_limit){1, 1000000 / s->orders_per_second};
	world->open_at_ms = 0;
	world->wake_ms = INT64_MAX;
	add_names(world);
	return CH_OK;
}

static void done(struct world *world)
{
	ch_sim_ca_free(world->ca);
	ch_sched_free(world->sched);
	ch_heap_done(&world->events);
	free(world->ring);
	free(world->names);
	free(world->domains);
}

/* The CA takes certificates back: each is learned of some time later, and ends before long. */
static void take_back(struct world *world, const struct ch_sim_revocation *revocation)
{
	for (uint32_t id = 0; id < world->scenario->n_names; id++) {
		struct name *name = &world->names[id];
		int64_t end_ms = world->now_ms + revocation->within_ms;
		double when = world_random(world);

		if (!world_has_cert(name) || world_random(world) * 100 >= revocation->percent)
			continue;
		if (end_ms < name->not_after_ms)
			name->not_after_ms = end_ms;
		if (name->state == NAME_LIVE)
			world_plan(world, id,
				world->now_ms +
					(int64_t)(when * (double)revocation->learned_ms));
		else if (name->state == NAME_WAITS || name->state == NAME_RETRIES)
			world_wait(world, id, true);
	}
}

static int64_t revocation_ms(const struct world *world)
{
	const struct ch_scenario *s = world->scenario;

	if (world->options->forecast || world->next_revocation == s->n_revocations)
		return INT64_MAX;
	return s->revocations[world->next_revocation].at_ms;
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void run(struct world *world)
{
	const struct ch_sim_options *options = world->options;
	int64_t end_ms = world->scenario->span_ms;
	int64_t shown_ms = 0;

	for (;;) {
		int64_t event_ms = ch_heap_least(&world->events);
		int64_t special_ms = revocation_ms(world);
		int64_t next_ms = least(least(event_ms, world->wake_ms), special_ms);
		int64_t was_ms = world->now_ms;

		if (next_ms >= end_ms)
			break;
		if (next_ms > world->now_ms)
			world->now_ms = next_ms;
		if (world->result->short_now)
			world->result->account_short_ms += world->now_ms - was_ms;
		ch_calendar_ring_turn(world->ring, world->now_ms);
		if (special_ms <= world->now_ms)
			take_back(
				world, &world->scenario->revocations[world->next_revocation++]);
		else if (event_ms <= world->now_ms)
			world_step(world, ch_heap_pop(&world->events));
		if (world->wake_ms <= world->now_ms)
			world_dispatch(world);
		if (options->progress && world->now_ms - shown_ms >= PROGRESS_MS) {
			shown_ms = world->now_ms;
			options->progress(
				options->arg, world->now_ms, end_ms, world->result->orders);
		}
	}
	world->now_ms = end_ms;
}

static void finish(struct world *world)
{
	for (uint32_t id = 0; id < world->scenario->n_names; id++) {
		world_note_expiry(world, &world->names[id]);
		if (!world_has_cert(&world->names[id]))
			world->result->without++;
	}
	ch_sim_measure_busiest(world->scenario, world->result);
}

/* What a forecast does not know of is not there. */
static void forget_outages(struct ch_scenario *copy)
{
	copy->n_outages = 0;
	copy->n_revocations = 0;
}

int ch_sim_run(const struct ch_scenario *scenario, const struct ch_sim_options *options,
	struct ch_sim_result *ret_result)
{
	CH_AUTO_FREE struct ch_scenario *copy = malloc(sizeof(*copy));
	struct ch_sim_result result = {.names = scenario->n_names};
	struct world world = {.options = options, .result = &result};
	int rc = CH_ENOMEM;

	if (!copy)
		return CH_ENOMEM;
	*copy = *scenario;
	copy->ladder.rungs_ms = copy->rungs_ms;
	if (options->forecast)
		forget_outages(copy);
	world.scenario = copy;
	result.n_hours = (size_t)(scenario->span_ms / CH_HOUR_MS);
	result.hours = calloc(result.n_hours, sizeof(*result.hours));
	for (size_t i = 0; i < CH_SIM_PARTS_MAX; i++)
		result.onboards[i].first_ms = -1;
	for (uint32_t i = 0; options->ret_first_ms && i < scenario->n_names; i++)
		options->ret_first_ms[i] = -1;
	if (result.hours)
		rc = init(&world);
	if (rc == CH_OK) {
		run(&world);
		finish(&world);
		*ret_result = result;
	} else {
		free(result.hours);
	}
	done(&world);
	return rc;
}
