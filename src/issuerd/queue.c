#include "issuerd/queue.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"

void ch_queue_init(struct ch_queue *queue, size_t limit)
{
	pthread_condattr_t attr;

	memset(queue, 0, sizeof(*queue));
	queue->limit = limit < CH_QUEUE_MAX ? limit : CH_QUEUE_MAX;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&queue->changed, &attr);
	pthread_condattr_destroy(&attr);
}

void ch_queue_done(struct ch_queue *queue)
{
	for (; queue->n > 0; queue->n--) {
		ch_work_free(queue->ring[queue->first]);
		queue->first = (queue->first + 1) % CH_QUEUE_MAX;
	}
	pthread_cond_destroy(&queue->changed);
	pthread_mutex_destroy(&queue->lock);
}

size_t ch_queue_wait_room(struct ch_queue *queue, size_t least)
{
	size_t room = 0;

	pthread_mutex_lock(&queue->lock);
	while (!queue->closed && queue->limit - queue->n < least)
		pthread_cond_wait(&queue->changed, &queue->lock);
	if (!queue->closed)
		room = queue->limit - queue->n;
	pthread_mutex_unlock(&queue->lock);
	return room;
}

void ch_queue_put(struct ch_queue *queue, struct ch_work *work)
{
	pthread_mutex_lock(&queue->lock);
	queue->ring[(queue->first + queue->n++) % CH_QUEUE_MAX] = work;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

struct ch_work *ch_queue_take(struct ch_queue *queue)
{
	struct ch_work *work = NULL;

	pthread_mutex_lock(&queue->lock);
	while (!queue->closed && queue->n == 0)
		pthread_cond_wait(&queue->changed, &queue->lock);
	if (queue->n > 0) {
		work = queue->ring[queue->first];
		queue->first = (queue->first + 1) % CH_QUEUE_MAX;
		queue->n--;
		pthread_cond_broadcast(&queue->changed);
	}
	pthread_mutex_unlock(&queue->lock);
	return work;
}

void ch_queue_close(struct ch_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

bool ch_queue_sleep(struct ch_queue *queue, int64_t wait_ms)
{
	struct timespec until;
	bool closed;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(wait_ms / 1000);
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&queue->lock);
	while (!queue->closed &&
		pthread_cond_timedwait(&queue->changed, &queue->lock, &until) == 0)
		continue;
	closed = queue->closed;
	pthread_mutex_unlock(&queue->lock);
	return closed;
}
