#include "net/strangers.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sync.h"

TAILQ_HEAD(waiting, ch_stranger);

struct ch_stranger {
	TAILQ_ENTRY(ch_stranger) link;
	int fd;
	int64_t until_ms;
	struct waiting *list; /* one of the two below; NULL: it was shown out */
};

struct ch_strangers {
	int64_t patience_ms;
	int64_t known_ms;
	size_t most;
	pthread_t thread;
	struct ch_sync sync;	/* guards all the rest */
	struct waiting unknown; /* oldest first, like the other */
	struct waiting known;
	size_t n_unknown;
	bool stopping;
};

/* With the lock held. */
static void unlist(struct ch_strangers *strangers, struct ch_stranger *stranger)
{
	if (!stranger->list)
		return;
	TAILQ_REMOVE(stranger->list, stranger, link);
	strangers->n_unknown -= stranger->list == &strangers->unknown;
	stranger->list = NULL;
}

/* With the lock held. */
static void enlist(struct ch_strangers *strangers, struct ch_stranger *stranger,
	struct waiting *list, int64_t span_ms)
{
	stranger->until_ms = ch_mono_ms() + span_ms;
	stranger->list = list;
	if (TAILQ_EMPTY(list))
		pthread_cond_signal(&strangers->sync.changed);
	TAILQ_INSERT_TAIL(list, stranger, link);
}

/* With the lock held.  The server's thread sees the end and closes the connection. */
static void show_out(struct ch_strangers *strangers, struct ch_stranger *stranger)
{
	unlist(strangers, stranger);
	(void)shutdown(stranger->fd, SHUT_RDWR);
}

/* With the lock held. */
static void enlist_unknown(struct ch_strangers *strangers, struct ch_stranger *stranger)
{
	enlist(strangers, stranger, &strangers->unknown, strangers->patience_ms);
	if (++strangers->n_unknown > strangers->most)
		show_out(strangers, TAILQ_FIRST(&strangers->unknown));
}

/* With the lock held: whose time is over first, NULL when nobody is listed. */
static struct ch_stranger *next_out(struct ch_strangers *strangers)
{
	struct ch_stranger *unknown = TAILQ_FIRST(&strangers->unknown);
	struct ch_stranger *known = TAILQ_FIRST(&strangers->known);

	if (!unknown || !known)
		return unknown ? unknown : known;
	return unknown->until_ms <= known->until_ms ? unknown : known;
}

static void *run(void *arg)
{
	struct ch_strangers *strangers = arg;
	struct ch_stranger *oldest;

	pthread_mutex_lock(&strangers->sync.lock);
	while (!strangers->stopping) {
		int64_t left_ms;

		oldest = next_out(strangers);
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
		ch_log_debug("closed a connection that took too long to say who it is");
	}
	pthread_mutex_unlock(&strangers->sync.lock);
	return NULL;
}

int ch_strangers_new(int64_t patience_ms, int64_t known_ms, size_t most,
	struct ch_strangers **ret_strangers, struct ch_err *err)
{
	struct ch_strangers *strangers = calloc(1, sizeof(*strangers));

	if (!strangers || ch_sync_init(&strangers->sync)) {
		free(strangers);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	strangers->patience_ms = patience_ms;
	strangers->known_ms = known_ms;
	strangers->most = most;
	TAILQ_INIT(&strangers->unknown);
	TAILQ_INIT(&strangers->known);
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
	pthread_mutex_lock(&strangers->sync.lock);
	enlist_unknown(strangers, stranger);
	pthread_mutex_unlock(&strangers->sync.lock);
	return stranger;
}

void ch_strangers_know(struct ch_strangers *strangers, struct ch_stranger *stranger)
{
	pthread_mutex_lock(&strangers->sync.lock);
	unlist(strangers, stranger);
	enlist(strangers, stranger, &strangers->known, strangers->known_ms);
	pthread_mutex_unlock(&strangers->sync.lock);
}

void ch_strangers_doubt(struct ch_strangers *strangers, struct ch_stranger *stranger)
{
	pthread_mutex_lock(&strangers->sync.lock);
	if (stranger->list != &strangers->unknown) {
		unlist(strangers, stranger);
		enlist_unknown(strangers, stranger);
	}
	pthread_mutex_unlock(&strangers->sync.lock);
}

void ch_strangers_leave(struct ch_strangers *strangers, struct ch_stranger *stranger)
{
	if (!stranger)
		return;
	pthread_mutex_lock(&strangers->sync.lock);
	unlist(strangers, stranger);
	pthread_mutex_unlock(&strangers->sync.lock);
	free(stranger);
}
