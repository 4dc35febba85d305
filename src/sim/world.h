/* Inside of the engine. */
#ifndef CH_SIM_WORLD_H
#define CH_SIM_WORLD_H

#include "pace/calendar.h"
#include "pace/heap.h"
#include "sim/engine.h"

enum name_state {
	NAME_TO_COME,
	NAME_WAITS,   /* for its turn; its event: it is in danger now */
	NAME_ARRIVES, /* its request is on its way to the CA */
	NAME_ORDERED, /* the CA is at work */
	NAME_RETRIES, /* waits on the ladder, or for a bucket of its own */
	NAME_LIVE,    /* its event: it is to be renewed */
};

enum trouble { TROUBLE_NONE, TROUBLE_OUTAGE, TROUBLE_LIMIT, TROUBLE_FAILURE };

struct name {
	int64_t not_before_ms;
	int64_t not_after_ms; /* 0: it has no certificate */
	int64_t planned_ms;   /* in the calendar; 0: it is not */
	struct ch_bucket set;
	struct ch_bucket failed;
	uint32_t tenant;
	uint32_t domain;
	uint16_t failures; /* in a row */
	uint8_t state;
	uint8_t trouble;
	uint8_t onboard;
};

struct world {
	const struct ch_scenario *scenario;
	const struct ch_sim_options *options;
	struct ch_sim_result *result;
	struct ch_limits limits; /* what we keep to */
	struct ch_sim_ca *ca;
	struct ch_sched *sched;
	struct ch_heap events; /* of names, by time */
	struct ch_calendar_ring *ring;
	struct ch_bucket account;
	struct ch_bucket *domains;
	struct ch_bucket pace;
	struct ch_limit pace_limit;
	struct name *names;
	uint64_t random;
	int64_t now_ms;
	int64_t wake_ms; /* when something can be sent next */
	/* The gate of a CA that fails for all. */
	int64_t open_at_ms;
	unsigned outages;
	bool trying; /* the one request that shows whether it is back */
	size_t next_revocation;
};

/* 0 <= x < 1. */
double world_random(struct world *world);
bool world_has_cert(const struct name *name);
/* Whether its order takes tokens of account and domain. */
bool world_pays(const struct world *world, const struct name *name);
int64_t world_arrival_ms(
	const struct ch_scenario *scenario, const struct ch_sim_onboard *onboard, uint32_t i);

/* dispatch.c: sends what may be sent now, and sets wake_ms. */
void world_dispatch(struct world *world);
/* It waits for its turn from now on. */
void world_wait(struct world *world, uint32_t id, bool first);

/* steps.c: the event of a name. */
void world_step(struct world *world, uint32_t id);
/* It is renewed at that time. */
void world_plan(struct world *world, uint32_t id, int64_t at_ms);
/* Counts it as expired if it is, and why. */
void world_note_expiry(struct world *world, const struct name *name);

#endif
