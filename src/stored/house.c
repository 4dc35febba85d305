#include "stored/house.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sync.h"
#include "stored/alerts.h"

#define EVERY_MAX_MS (10 * CH_MINUTE_MS)
/* A part of a large cleaning holds other writes up for some milliseconds, and between two of
 * them they have their turn. */
#define ROWS 250
#define BREATH_MS 100

struct ch_house {
	struct ch_store *store;
	struct ch_house_keep keep;
	int64_t look_every_ms;
	pthread_t thread;
	struct ch_sync sync;
	bool stopping;
};

/* What the store sees of what operators should know, issuers or not. */
static void look(struct ch_house *house)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	struct ch_troubles troubles;
	struct ch_store_op op = {.type = CH_OP_ALERTS};
	int rc = ch_arena_new(0, &arena);

	op.arena = arena;
	if (!rc)
		rc = ch_troubles_look(house->store, arena, &troubles);
	if (!rc) {
		op.u.alerts = (struct ch_op_alerts){.source = CH_TROUBLES_OWN,
			.troubles = troubles.list,
			.n_troubles = troubles.n};
		rc = ch_store_run(house->store, &op);
	}
	if (rc)
		ch_log_warn("troubles were not looked for: %s",
			op.err.detail[0] ? op.err.detail : ch_rc_str(rc));
}

/* Returns how long to wait for the next turn. */
static int64_t clean(struct ch_house *house)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	int64_t every_ms = house->keep.tombstone_ms / 10;
	struct ch_store_op op = {
		.type = CH_OP_HOUSEKEEP,
		.u.housekeep = {.tombstone_keep_ms = house->keep.tombstone_ms,
			.history_keep_ms = house->keep.history_ms,
			.history_least = house->keep.history_least,
			.orders_keep_ms = house->keep.orders_ms,
			.audit_keep_ms = house->keep.audit_ms,
			.max_rows = ROWS},
	};
	int rc = ch_arena_new(0, &arena);

	op.arena = arena;
	if (!rc)
		rc = ch_store_run(house->store, &op);
	if (rc)
		ch_log_warn("housekeeping failed: %s",
			op.err.detail[0] ? op.err.detail : ch_rc_str(rc));
	else if (op.u.housekeep.removed)
		ch_log_debug("housekeeping removed %zu rows", op.u.housekeep.removed);
	if (!rc && op.u.housekeep.caught_up)
		ch_log_info("edges have caught up with %zu names", op.u.housekeep.caught_up);
	if (!rc && op.u.housekeep.more)
		return BREATH_MS;
	if (every_ms > EVERY_MAX_MS)
		every_ms = EVERY_MAX_MS;
	return every_ms < CH_SECOND_MS ? CH_SECOND_MS : every_ms;
}

static void *run(void *arg)
{
	struct ch_house *house = arg;

	int64_t clean_ms = 0;
	int64_t look_ms = ch_mono_ms() + house->look_every_ms;

	pthread_mutex_lock(&house->sync.lock);
	while (!house->stopping) {
		int64_t until_ms;

		pthread_mutex_unlock(&house->sync.lock);
		if (ch_mono_ms() >= clean_ms)
			clean_ms = ch_mono_ms() + clean(house);
		if (ch_mono_ms() >= look_ms) {
			look(house);
			look_ms = ch_mono_ms() + house->look_every_ms;
		}
		pthread_mutex_lock(&house->sync.lock);
		until_ms = clean_ms < look_ms ? clean_ms : look_ms;
		while (!house->stopping && ch_mono_ms() < until_ms)
			ch_sync_wait(&house->sync, until_ms - ch_mono_ms());
	}
	pthread_mutex_unlock(&house->sync.lock);
	return NULL;
}

int ch_house_start(struct ch_store *store, const struct ch_house_keep *keep,
	int64_t look_every_ms, struct ch_house **ret_house, struct ch_err *err)
{
	struct ch_house *house = calloc(1, sizeof(*house));

	if (!house || ch_sync_init(&house->sync)) {
		free(house);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	house->store = store;
	house->keep = *keep;
	house->look_every_ms = look_every_ms;
	if (pthread_create(&house->thread, NULL, run, house)) {
		ch_sync_done(&house->sync);
		free(house);
		return ch_err_set(err, CH_EAGAIN, "threads", "cannot start a thread");
	}
	*ret_house = house;
	return CH_OK;
}

void ch_house_stop(struct ch_house *house)
{
	if (!house)
		return;
	pthread_mutex_lock(&house->sync.lock);
	house->stopping = true;
	pthread_cond_signal(&house->sync.changed);
	pthread_mutex_unlock(&house->sync.lock);
	pthread_join(house->thread, NULL);
	ch_sync_done(&house->sync);
	free(house);
}
