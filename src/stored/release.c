#include "stored/release.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/sync.h"

/* After a failure, such as a full disk. */
#define AGAIN_MS (10 * CH_SECOND_MS)
/* A soak ends with a report of the canary's: looked for so often. */
#define LOOK_MS CH_SECOND_MS
/* Small parts, so that other writes get their turn. */
#define PART_ROWS 500
#define BREATH_MS 5

struct ch_release {
	struct ch_store *store;
	pthread_t thread;
	bool runs;
	struct ch_sync sync;
	bool stopping;
	bool moved;
};

int ch_release_new(struct ch_store *store, struct ch_release **ret_release, struct ch_err *err)
{
	struct ch_release *release = calloc(1, sizeof(*release));

	if (!release || ch_sync_init(&release->sync)) {
		free(release);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	release->store = store;
	*ret_release = release;
	return CH_OK;
}

void ch_release_on_commit(struct ch_release *release, const struct ch_store_change *change)
{
	if (!change->held)
		return;
	pthread_mutex_lock(&release->sync.lock);
	release->moved = true;
	pthread_cond_signal(&release->sync.changed);
	pthread_mutex_unlock(&release->sync.lock);
}

/* How long nothing can happen by itself; -1: until somebody changes something. */
static int64_t look(struct ch_release *release)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	struct ch_store_op op = {.type = CH_OP_RELEASE, .u.release = {.max_rows = PART_ROWS}};
	int rc = ch_arena_new(0, &arena);

	op.arena = arena;
	if (!rc)
		rc = ch_store_run(release->store, &op);
	if (rc) {
		ch_log_warn("what is held back from edges cannot be looked at: %s",
			op.err.detail[0] ? op.err.detail : ch_rc_str(rc));
		return AGAIN_MS;
	}
	if (op.u.release.released)
		ch_log_debug("released %zu records", op.u.release.released);
	if (op.u.release.more)
		return BREATH_MS;
	return op.u.release.waits ? LOOK_MS : -1;
}

/* With the lock held. */
static void wait(struct ch_release *release, int64_t wait_ms)
{
	int64_t until_ms = ch_mono_ms() + wait_ms;

	while (!release->stopping && !release->moved) {
		int64_t left_ms = until_ms - ch_mono_ms();

		if (wait_ms < 0)
			pthread_cond_wait(&release->sync.changed, &release->sync.lock);
		else if (left_ms > 0)
			ch_sync_wait(&release->sync, left_ms);
		else
			break;
	}
}

static void *run(void *arg)
{
	struct ch_release *release = arg;

	pthread_mutex_lock(&release->sync.lock);
	while (!release->stopping) {
		int64_t wait_ms;

		release->moved = false;
		pthread_mutex_unlock(&release->sync.lock);
		wait_ms = look(release);
		pthread_mutex_lock(&release->sync.lock);
		wait(release, wait_ms);
	}
	pthread_mutex_unlock(&release->sync.lock);
	return NULL;
}

int ch_release_start(struct ch_release *release, struct ch_err *err)
{
	if (pthread_create(&release->thread, NULL, run, release))
		return ch_err_set(err, CH_EAGAIN, "threads", "cannot start a thread");
	release->runs = true;
	return CH_OK;
}

void ch_release_stop(struct ch_release *release)
{
	if (!release || !release->runs)
		return;
	pthread_mutex_lock(&release->sync.lock);
	release->stopping = true;
	pthread_cond_signal(&release->sync.changed);
	pthread_mutex_unlock(&release->sync.lock);
	pthread_join(release->thread, NULL);
	release->runs = false;
}

void ch_release_free(struct ch_release *release)
{
	if (!release)
		return;
	ch_sync_done(&release->sync);
	free(release);
}
