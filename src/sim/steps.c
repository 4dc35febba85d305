/* What becomes of a name: its order, its certificate, its next renewal. */
#include "sim/world.h"

#define REQUESTS_PER_ORDER 8
/* A CA that says when is believed for as long as a day. */
#define RETRY_AFTER_MOST_MS CH_DAY_MS

void world_note_expiry(struct world *world, const struct name *name)
{
	struct ch_sim_expired *expired = &world->result->expired;

	if (!world_has_cert(name) || world->now_ms <= name->not_after_ms)
		return;
	if (name->trouble == TROUBLE_OUTAGE)
		expired->by_outage++;
	else if (name->trouble == TROUBLE_LIMIT)
		expired->by_limit++;
	else if (name->trouble == TROUBLE_FAILURE)
		expired->by_failures++;
	else
		expired->by_waiting++;
}

void world_plan(struct world *world, uint32_t id, int64_t at_ms)
{
	struct name *name = &world->names[id];

	if (name->planned_ms)
		ch_calendar_ring_add(world->ring, name->planned_ms, -1);
	name->planned_ms = at_ms;
	ch_calendar_ring_add(world->ring, at_ms, 1);
	name->state = NAME_LIVE;
	ch_heap_set(&world->events, id, at_ms);
}

static void plan_renewal(struct world *world, uint32_t id)
{
	const struct name *name = &world->names[id];
	int64_t life_ms = name->not_after_ms - name->not_before_ms;
	int64_t middle_ms = name->not_before_ms +
			    (life_ms < 10 * CH_DAY_MS ? life_ms / 2 : life_ms / 3 * 2);
	struct ch_calendar_cert cert = {.not_before_ms = name->not_before_ms,
		.not_after_ms = name->not_after_ms,
		.left_percent = world->scenario->renew_left_percent,
		.room = true};
	struct ch_calendar_source source = ch_calendar_ring_source(world->ring);
	struct ch_calendar_span span;
	int64_t at_ms;

	if (world->scenario->ari) {
		cert.ari_start_ms = middle_ms - life_ms / 100;
		cert.ari_end_ms = middle_ms + life_ms / 100;
	}
	ch_calendar_span(&cert, world->now_ms, &span);
	/* A ring has no errors. */
	if (ch_calendar_choose(&source, &span, world_random(world), &at_ms))
		at_ms = span.from_ms;
	world_plan(world, id, at_ms);
}

/* What counts certificates. */
static void give_back(struct world *world, struct name *name)
{
	const struct ch_limits *limits = &world->limits;

	if (world_pays(world, name))
		ch_bucket_give_back(&world->domains[name->domain], &limits->domain);
	ch_bucket_give_back(&name->set, &limits->set);
}

static void meet_outage(struct world *world, uint32_t id)
{
	struct name *name = &world->names[id];

	world->result->met_outage++;
	name->trouble = TROUBLE_OUTAGE;
	give_back(world, name);
	if (world_pays(world, name))
		ch_bucket_give_back(&world->account, &world->limits.account);
	/* Those that were under way together count as one outage. */
	if (world->now_ms >= world->open_at_ms)
		world->open_at_ms = world->now_ms + ch_outage_wait_ms(++world->outages);
	world_wait(world, id, true);
}

static void learn(struct world *world, uint32_t id, enum ch_sim_limit limit, int64_t at_ms)
{
	const struct ch_limits *limits = &world->limits;
	struct name *name = &world->names[id];

	if (at_ms > world->now_ms + RETRY_AFTER_MOST_MS)
		at_ms = world->now_ms + RETRY_AFTER_MOST_MS;
	world->result->exceeded[limit]++;
	name->trouble = TROUBLE_LIMIT;
	if (limit == CH_SIM_LIMIT_ACCOUNT)
		ch_bucket_learn(&world->account, &limits->account, at_ms);
	else if (limit == CH_SIM_LIMIT_DOMAIN)
		ch_bucket_learn(&world->domains[name->domain], &limits->domain, at_ms);
	else if (limit == CH_SIM_LIMIT_SET)
		ch_bucket_learn(&name->set, &limits->set, at_ms);
	else if (limit == CH_SIM_LIMIT_FAILURES)
		ch_bucket_learn(&name->failed, &limits->failures, at_ms);
	else
		ch_bucket_learn(&world->pace, &world->pace_limit, at_ms);
	world_wait(world, id, true);
}

static void arrive(struct world *world, uint32_t id)
{
	struct name *name = &world->names[id];
	size_t hour = (size_t)(world->now_ms / CH_HOUR_MS);
	int64_t at_ms = world->now_ms;
	enum ch_sim_limit limit;
	double took;

	world->trying = false;
	world->wake_ms = world->now_ms;
	if (ch_sim_ca_is_down(world->ca, world->now_ms)) {
		meet_outage(world, id);
		return;
	}
	world->outages = 0;
	limit = ch_sim_ca_new_order(world->ca, id, name->domain, world->now_ms, &at_ms);
	if (limit) {
		learn(world, id, limit, at_ms);
		return;
	}
	world->result->orders++;
	if (hour < world->result->n_hours)
		world->result->hours[hour]++;
	took = (double)world->scenario->order_ms * (0.5 + world_random(world));
	name->state = NAME_ORDERED;
	ch_heap_set(&world->events, id, world->now_ms + (int64_t)took);
}

static void fail(struct world *world, uint32_t id)
{
	struct name *name = &world->names[id];
	int64_t wait_ms = ch_ladder_rung_ms(
		&world->scenario->ladder, name->failures, world_random(world));
	int64_t left_ms = world_has_cert(name) ? name->not_after_ms - world->now_ms : 0;

	wait_ms = ch_wait_in_time_ms(
		wait_ms, left_ms, ch_failure_pace_ms(&world->limits.failures));
	ch_sim_ca_failed(world->ca, id, world->now_ms);
	give_back(world, name);
	(void)ch_bucket_take(&name->failed, &world->limits.failures, world->now_ms);
	world->result->failures++;
	name->trouble = TROUBLE_FAILURE;
	if (name->failures < UINT16_MAX)
		name->failures++;
	name->state = NAME_RETRIES;
	ch_heap_set(&world->events, id, world->now_ms + wait_ms);
}

static void note_first(struct world *world, uint32_t id)
{
	const struct ch_scenario *s = world->scenario;
	uint32_t first = id;
	int64_t took_ms;
	size_t o = world->names[id].onboard;

	for (size_t i = 0; i < o; i++)
		first -= s->onboards[i].names;
	took_ms = world->now_ms - world_arrival_ms(s, &s->onboards[o], first);
	if (world->options->ret_first_ms)
		world->options->ret_first_ms[id] = world->now_ms;
	if (world->result->onboards[o].done++ == 0)
		world->result->onboards[o].first_ms = world->now_ms;
	world->result->onboards[o].last_ms = world->now_ms;
	if (took_ms > world->result->onboards[o].longest_ms)
		world->result->onboards[o].longest_ms = took_ms;
}

static void succeed(struct world *world, uint32_t id)
{
	struct name *name = &world->names[id];

	world_note_expiry(world, name);
	if (!world_has_cert(name))
		note_first(world, id);
	name->not_before_ms = world->now_ms;
	name->not_after_ms =
		world->now_ms + ch_sim_ca_issue(world->ca, id, name->domain, world->now_ms);
	name->failures = 0;
	name->trouble = TROUBLE_NONE;
	world->result->certificates++;
	plan_renewal(world, id);
}

static void end_order(struct world *world, uint32_t id)
{
	enum ch_sim_limit limit;

	/* An order outlives an outage: it is asked for again later. */
	if (ch_sim_ca_is_down(world->ca, world->now_ms)) {
		ch_heap_set(&world->events, id,
			world->now_ms + (int64_t)(CH_MINUTE_MS * (1 + world_random(world))));
		return;
	}
	limit = ch_sim_ca_requests(world->ca, REQUESTS_PER_ORDER, world->now_ms);
	if (limit)
		world->result->exceeded[limit]++;
	if (world_random(world) * 100 < world->scenario->failure_percent)
		fail(world, id);
	else
		succeed(world, id);
}

void world_step(struct world *world, uint32_t id)
{
	struct name *name = &world->names[id];

	switch ((enum name_state)name->state) {
	case NAME_ARRIVES:
		arrive(world, id);
		break;
	case NAME_ORDERED:
		end_order(world, id);
		break;
	case NAME_RETRIES: /* what waited for a day is not behind those that came meanwhile */
		world_wait(world, id, true);
		break;
	case NAME_LIVE:
		ch_calendar_ring_add(world->ring, name->planned_ms, -1);
		name->planned_ms = 0;
		world_wait(world, id, false);
		break;
	case NAME_TO_COME:
	case NAME_WAITS:
		world_wait(world, id, false);
		break;
	}
}
