#include "issuerd/queue.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"

static void init_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

void ch_queue_init(struct ch_queue *queue, size_t limit)
{
	memset(queue, 0, sizeof(*queue));
	queue->limit = limit < CH_QUEUE_MAX ? limit : CH_QUEUE_MAX;
	pthread_mutex_init(&queue->lock, NULL);
	init_cond(&queue->filled);
	init_cond(&queue->due);
	init_cond(&queue->drained);
	init_cond(&queue->closing);
}

void ch_queue_done(struct ch_queue *queue)
{
	for (; queue->n > 0; queue->n--) {
		ch_work_free(queue->ring[queue->first]);
		queue->first = (queue->first + 1) % CH_QUEUE_MAX;
	}
	while (queue->n_aside > 0)
		ch_work_free(queue->aside[--queue->n_aside].work);
	pthread_cond_destroy(&queue->filled);
	pthread_cond_destroy(&queue->due);
	pthread_cond_destroy(&queue->drained);
	pthread_cond_destroy(&queue->closing);
	pthread_mutex_destroy(&queue->lock);
}

/* With the lock held: what is aside has another first one. */
static void tell_watcher(struct ch_queue *queue)
{
	pthread_cond_signal(queue->watched ? &queue->due : &queue->filled);
}

void ch_queue_put(struct ch_queue *queue, struct ch_work *work)
{
	pthread_mutex_lock(&queue->lock);
	queue->ring[(queue->first + queue->n++) % CH_QUEUE_MAX] = work;
	/* Perhaps nobody waits but the one that looks after what is aside. */
	pthread_cond_signal(&queue->filled);
	if (queue->watched)
		pthread_cond_signal(&queue->due);
	pthread_mutex_unlock(&queue->lock);
}

bool ch_queue_may_put_aside(struct ch_queue *queue)
{
	bool may;

	pthread_mutex_lock(&queue->lock);
	may = queue->n_aside < CH_ASIDE_MAX && !queue->closed;
	pthread_mutex_unlock(&queue->lock);
	return may;
}

/* With the lock held; true once. */
static bool was_hurried(struct ch_queue *queue, uint64_t order_id)
{
	for (size_t i = 0; order_id && i < CH_HURRIED_MAX; i++) {
		if (queue->hurried[i] != order_id)
			continue;
		queue->hurried[i] = 0;
		return true;
	}
	return false;
}

void ch_queue_put_aside(struct ch_queue *queue, struct ch_work *work, int64_t due_mono_ms)
{
	size_t at;

	pthread_mutex_lock(&queue->lock);
	if (was_hurried(queue, work->id))
		due_mono_ms = ch_mono_ms();
	/* Waits are much alike: it belongs near the end. */
	for (at = queue->n_aside; at > 0 && queue->aside[at - 1].due_mono_ms > due_mono_ms;
		at--)
		queue->aside[at] = queue->aside[at - 1];
	queue->aside[at] = (struct ch_aside){.work = work, .due_mono_ms = due_mono_ms};
	queue->n_aside++;
	if (at == 0)
		tell_watcher(queue);
	pthread_mutex_unlock(&queue->lock);
}

void ch_queue_hurry(struct ch_queue *queue, uint64_t order_id)
{
	size_t at = 0;

	pthread_mutex_lock(&queue->lock);
	while (at < queue->n_aside && queue->aside[at].work->id != order_id)
		at++;
	if (at < queue->n_aside) {
		struct ch_aside one = {
			.work = queue->aside[at].work, .due_mono_ms = ch_mono_ms()};

		memmove(queue->aside + 1, queue->aside, at * sizeof(queue->aside[0]));
		queue->aside[0] = one;
		tell_watcher(queue);
	} else {
		queue->hurried[queue->n_hurried++ % CH_HURRIED_MAX] = order_id;
	}
	pthread_mutex_unlock(&queue->lock);
}

/* With the lock held. */
static struct ch_work *take_aside(struct ch_queue *queue)
{
	struct ch_work *work;

	if (queue->n_aside == 0 ||
		(queue->aside[0].due_mono_ms > ch_mono_ms() && !queue->closed))
		return NULL;
	work = queue->aside[0].work;
	queue->n_aside--;
	memmove(queue->aside, queue->aside + 1, queue->n_aside * sizeof(queue->aside[0]));
	return work;
}

/* With the lock held. */
static struct ch_work *take_first(struct ch_queue *queue)
{
	struct ch_work *work;

	if (queue->n == 0)
		return NULL;
	work = queue->ring[queue->first];
	queue->first = (queue->first + 1) % CH_QUEUE_MAX;
	queue->n--;
	pthread_cond_signal(&queue->drained);
	return work;
}

static struct timespec in_ms(int64_t wait_ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += (time_t)(wait_ms / 1000);
	at.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

bool ch_queue_wait_room(struct ch_queue *queue, size_t least, int64_t wait_ms, size_t *ret_room)
{
	struct timespec until = in_ms(wait_ms);
	bool closed;

	pthread_mutex_lock(&queue->lock);
	while (!queue->closed && !queue->nudged && queue->limit - queue->n < least &&
		pthread_cond_timedwait(&queue->drained, &queue->lock, &until) == 0)
		continue;
	closed = queue->closed;
	queue->nudged = false;
	*ret_room = queue->limit - queue->n;
	pthread_mutex_unlock(&queue->lock);
	return !closed;
}

void ch_queue_nudge(struct ch_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->nudged = true;
	pthread_cond_signal(&queue->drained);
	pthread_mutex_unlock(&queue->lock);
}

/* With the lock held: until something is put, or something put aside is due. */
static void wait_filled(struct ch_queue *queue)
{
	struct timespec until;
	int64_t wait_ms;

	if (queue->n_aside == 0 || queue->watched) {
		pthread_cond_wait(&queue->filled, &queue->lock);
		return;
	}
	wait_ms = queue->aside[0].due_mono_ms - ch_mono_ms();
	until = in_ms(wait_ms > 0 ? wait_ms : 0);
	queue->watched = true;
	pthread_cond_timedwait(&queue->due, &queue->lock, &until);
	queue->watched = false;
}

struct ch_work *ch_queue_take(struct ch_queue *queue)
{
	struct ch_work *work;

	pthread_mutex_lock(&queue->lock);
	while (!(work = take_aside(queue)) && !(work = take_first(queue)) && !queue->closed)
		wait_filled(queue);
	/* Who goes to work leaves what is still aside to another one that waits. */
	if (!queue->watched && queue->n_aside > 0)
		pthread_cond_signal(&queue->filled);
	pthread_mutex_unlock(&queue->lock);
	return work;
}

void ch_queue_close(struct ch_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	pthread_cond_broadcast(&queue->filled);
	pthread_cond_broadcast(&queue->due);
	pthread_cond_broadcast(&queue->drained);
	pthread_cond_broadcast(&queue->closing);
	pthread_mutex_unlock(&queue->lock);
}

bool ch_queue_sleep(struct ch_queue *queue, int64_t wait_ms)
{
	struct timespec until = in_ms(wait_ms);
	bool closed;

	pthread_mutex_lock(&queue->lock);
	while (!queue->closed &&
		pthread_cond_timedwait(&queue->closing, &queue->lock, &until) == 0)
		continue;
	closed = queue->closed;
	pthread_mutex_unlock(&queue->lock);
	return closed;
}
