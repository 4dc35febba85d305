/* Who may start an order now. */
#include "sim/world.h"

#define LATENCY_LEAST_MS 50
#define LATENCY_MOST_MS 1500
#define EXEMPT ((1u << CH_CLASS_DANGER) | (1u << CH_CLASS_RENEWAL))
#define ALL ((1u << CH_CLASS_COUNT) - 1)

static int64_t danger_ms(const struct name *name)
{
	return ch_calendar_danger_ms(name->not_before_ms, name->not_after_ms);
}

void world_wait(struct world *world, uint32_t id, bool first)
{
	struct name *name = &world->names[id];
	enum ch_class class = world->scenario->onboards[name->onboard].class;

	name->state = NAME_WAITS;
	if (world_has_cert(name)) {
		bool danger = world->now_ms >= danger_ms(name);

		class = danger ? CH_CLASS_DANGER : CH_CLASS_RENEWAL;
		if (danger)
			ch_heap_remove(&world->events, id);
		else
			ch_heap_set(&world->events, id, danger_ms(name));
	}
	ch_sched_add(world->sched, id, name->tenant, class, first);
	world->wake_ms = world->now_ms;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* A bucket of its own is empty: it is in nobody's way meanwhile.  True: put aside. */
static bool put_aside(struct world *world, uint32_t id)
{
	const struct ch_limits *limits = &world->limits;
	struct name *name = &world->names[id];
	int64_t now_ms = world->now_ms;
	int64_t at_ms = ch_bucket_ready_at_ms(
		&world->domains[name->domain], &limits->domain, 1, now_ms);
	int64_t failed_at_ms;

	if (!world_pays(world, name))
		at_ms = now_ms;
	world->result->parked += at_ms > now_ms;
	/* A renewal looks at the domain's next token before those that are parked there. */
	if (!world_has_cert(name) && at_ms > now_ms) {
		ch_sched_park(world->sched, id, name->domain, at_ms);
		return true;
	}
	at_ms = later(at_ms, ch_bucket_ready_at_ms(&name->set, &limits->set, 1, now_ms));
	failed_at_ms = ch_bucket_ready_at_ms(&name->failed, &limits->failures, 1, now_ms);
	at_ms = later(at_ms, failed_at_ms);
	if (at_ms <= now_ms)
		return false;
	name->state = NAME_RETRIES;
	ch_heap_set(&world->events, id, at_ms);
	return true;
}

static void send(struct world *world, uint32_t id)
{
	const struct ch_limits *limits = &world->limits;
	struct name *name = &world->names[id];
	double latency = world_random(world) * (LATENCY_MOST_MS - LATENCY_LEAST_MS);

	/* Whether there is a token was looked at before. */
	if (world_pays(world, name)) {
		(void)ch_bucket_take(&world->account, &limits->account, world->now_ms);
		(void)ch_bucket_take(
			&world->domains[name->domain], &limits->domain, world->now_ms);
	}
	(void)ch_bucket_take(&name->set, &limits->set, world->now_ms);
	(void)ch_bucket_take(&world->pace, &world->pace_limit, world->now_ms);
	world->trying = world->outages > 0;
	name->state = NAME_ARRIVES;
	ch_heap_set(&world->events, id, world->now_ms + LATENCY_LEAST_MS + (int64_t)latency);
}

/* Classes that need no token of the account. */
static unsigned free_classes(const struct world *world)
{
	return world->limits.renewals_exempt ? EXEMPT : 0;
}

static bool somebody_pays(const struct world *world)
{
	return (!world->limits.renewals_exempt &&
		       (ch_sched_count(world->sched, CH_CLASS_DANGER) ||
			       ch_sched_count(world->sched, CH_CLASS_RENEWAL))) ||
	       ch_sched_count(world->sched, CH_CLASS_VISITOR) ||
	       ch_sched_count(world->sched, CH_CLASS_NEW) ||
	       ch_sched_count(world->sched, CH_CLASS_BACKLOG);
}

/* When something can be sent again, if none of what waits now can. */
static int64_t next_ms(const struct world *world, int64_t account_ms)
{
	int64_t at_ms = ch_sched_next_wake_ms(world->sched);

	if (somebody_pays(world) && account_ms < at_ms)
		at_ms = account_ms;
	return at_ms;
}

static int64_t again_ms(void *arg, uint32_t key, int64_t now_ms)
{
	const struct world *world = arg;
	const struct ch_bucket *bucket = &world->domains[key];

	/* The first one that is woken takes the next token. */
	return ch_bucket_ready_at_ms(bucket, &world->limits.domain, 1, now_ms) +
	       world->limits.domain.refill_us / 1000;
}

void world_dispatch(struct world *world)
{
	ch_sched_wake(world->sched, world->now_ms, again_ms, world);
	for (;;) {
		int64_t account_ms = ch_bucket_ready_at_ms(
			&world->account, &world->limits.account, 1, world->now_ms);
		int64_t pace_ms = ch_bucket_ready_at_ms(
			&world->pace, &world->pace_limit, 1, world->now_ms);
		uint32_t id;

		world->result->short_now = account_ms > world->now_ms && somebody_pays(world);
		/* A request under way will tell. */
		world->wake_ms = world->trying ? INT64_MAX : world->open_at_ms;
		if (world->trying || world->open_at_ms > world->now_ms)
			return;
		world->wake_ms = pace_ms;
		if (pace_ms > world->now_ms)
			return;
		id = ch_sched_take(
			world->sched, account_ms > world->now_ms ? free_classes(world) : ALL);
		if (id == CH_SCHED_NONE) {
			world->wake_ms = next_ms(world, account_ms);
			return;
		}
		if (!put_aside(world, id))
			send(world, id);
	}
}
