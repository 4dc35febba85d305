#include "stored/strangers.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "stored/sync.h"

struct ch_stranger {
	TAILQ_ENTRY(ch_stranger) link;
	int fd;
	int64_t until_ms;
	bool listed;
};

struct ch_strangers {
	int64_t patience_ms;
	size_t most;
	pthread_t thread;
	struct ch_sync sync;		/* guards all the rest */
	TAILQ_HEAD(, ch_stranger) list; /* oldest first */
	size_t n;
	bool stopping;
};

/* With the lock held. */
static void unlist(struct ch_strangers *strangers, struct ch_stranger *stranger)
{
	if (!stranger->listed)
		return;
	TAILQ_REMOVE(&strangers->list, stranger, link);
	strangers->n--;
	stranger->listed = false;
}

/* With the lock held.  The server's thread sees the end and closes the connection. */
static void show_out(struct ch_strangers *strangers, struct ch_stranger *stranger)
{
	unlist(strangers, stranger);
	(void)shutdown(stranger->fd, SHUT_RDWR);
}

static void *run(void *arg)
{
	struct ch_strangers *strangers = arg;
	struct ch_stranger *oldest;

	pthread_mutex_lock(&strangers->sync.lock);
	while (!strangers->stopping) {
		int64_t left_ms;

		oldest = TAILQ_FIRST(&strangers->list);
		if (!oldest) {
			pthread_cond_wait(&strangers->sync.changed, &strangers->sync.lock);
			continue;
		}
		left_ms = oldest->until_ms - ch_mono_ms();
		if (left_ms > 0) {
			ch_sync_wait(&strangers->sync, left_ms);
			continue;
		}
		show_out(strangers, oldest);
		ch_log_debug("closed a connection that took too long to identify");
	}
	pthread_mutex_unlock(&strangers->sync.lock);
	return NULL;
}

int ch_strangers_new(int64_t patience_ms, size_t most, struct ch_strangers **ret_strangers,
	struct ch_err *err)
{
	struct ch_strangers *strangers = calloc(1, sizeof(*strangers));

	if (!strangers || ch_sync_init(&strangers->sync)) {
		free(strangers);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	strangers->patience_ms = patience_ms;
	strangers->most = most;
	TAILQ_INIT(&strangers->list);
	if (pthread_create(&strangers->thread, NULL, run, strangers)) {
		ch_sync_done(&strangers->sync);
		free(strangers);
		return ch_err_set(err, CH_EAGAIN, "threads", "cannot start a thread");
	}
	*ret_strangers = strangers;
	return CH_OK;
}

void ch_strangers_free(struct ch_strangers *strangers)
{
	if (!strangers)
		return;
	pthread_mutex_lock(&strangers->sync.lock);
	strangers->stopping = true;
	pthread_cond_signal(&strangers->sync.changed);
	pthread_mutex_unlock(&strangers->sync.lock);
	pthread_join(strangers->thread, NULL);
	ch_sync_done(&strangers->sync);
	free(strangers);
}

struct ch_stranger *ch_strangers_enter(struct ch_strangers *strangers, int fd)
{
	struct ch_stranger *stranger = calloc(1, sizeof(*stranger));

	if (!stranger)
		return NULL;
	stranger->fd = fd;
	stranger->until_ms = ch_mono_ms() + strangers->patience_ms;
	stranger->listed = true;
	pthread_mutex_lock(&strangers->sync.lock);
	if (TAILQ_EMPTY(&strangers->list))
		pthread_cond_signal(&strangers->sync.changed);
	TAILQ_INSERT_TAIL(&strangers->list, stranger, link);
	if (++strangers->n > strangers->most)
		show_out(strangers, TAILQ_FIRST(&strangers->list));
	pthread_mutex_unlock(&strangers->sync.lock);
	return stranger;
}

void ch_strangers_know(struct ch_strangers *strangers, struct ch_stranger *stranger)
{
	pthread_mutex_lock(&strangers->sync.lock);
	unlist(strangers, stranger);
	pthread_mutex_unlock(&strangers->sync.lock);
}

void ch_strangers_leave(struct ch_strangers *strangers, struct ch_stranger *stranger)
{
	if (!stranger)
		return;
	ch_strangers_know(strangers, stranger);
	free(stranger);
}
