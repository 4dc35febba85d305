/* Leased orders on their way from the leasing thread to the workers, and those that a worker
 * has put aside for a moment.  Bounded: what waits here uses up its lease. */
#ifndef CH_ISSUERD_QUEUE_H
#define CH_ISSUERD_QUEUE_H

#include <pthread.h>

#include "issuerd/config.h"
#include "issuerd/work.h"

#define CH_QUEUE_MAX 256
#define CH_ASIDE_MAX 256
#define CH_HURRIED_MAX 64

struct ch_aside {
	struct ch_work *work;
	int64_t due_mono_ms;
};

struct ch_queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;	/* for takers */
	pthread_cond_t due;	/* for the one that looks after what is aside */
	pthread_cond_t drained; /* for who waits for room */
	pthread_cond_t closing; /* for who sleeps */
	struct ch_work *ring[CH_QUEUE_MAX];
	size_t first;
	size_t n;
	size_t limit; /* ≤ CH_QUEUE_MAX */
	/* By due_mono_ms.  Who was told that there is room may come late: one per worker. */
	struct ch_aside aside[CH_ASIDE_MAX + CH_WORKERS_MAX];
	size_t n_aside;
	bool watched; /* a taker waits until the first of them is due: the others need not */
	/* Orders that were hurried before they were put aside; the last ones. */
	uint64_t hurried[CH_HURRIED_MAX];
	size_t n_hurried;
	bool nudged; /* who waits for room has something else to do */
	bool closed;
};

void ch_queue_init(struct ch_queue *queue, size_t limit);
/* Frees what is left in it. */
void ch_queue_done(struct ch_queue *queue);
/* Waits until at least `least` places are free, somebody nudges, or wait_ms have passed;
 * *ret_room: how many are free.  False once closed. */
bool ch_queue_wait_room(
	struct ch_queue *queue, size_t least, int64_t wait_ms, size_t *ret_room);
/* Ends such a wait, or the next one. */
void ch_queue_nudge(struct ch_queue *queue);
/* Takes work over.  The caller has made sure that there is room. */
void ch_queue_put(struct ch_queue *queue, struct ch_work *work);
/* Waits; the caller owns the result.  What was put aside comes first, once it is due or the
 * queue is closed.  NULL once the queue is closed and empty. */
struct ch_work *ch_queue_take(struct ch_queue *queue);
/* Whether one more order may be put aside. */
bool ch_queue_may_put_aside(struct ch_queue *queue);
/* Takes work over until due_mono_ms.  A worker that was told that it may, and puts aside one
 * order before it takes the next, always finds room. */
void ch_queue_put_aside(struct ch_queue *queue, struct ch_work *work, int64_t due_mono_ms);
/* The order that was put aside, or is about to be, is due now. */
void ch_queue_hurry(struct ch_queue *queue, uint64_t order_id);
void ch_queue_close(struct ch_queue *queue);
/* Sleeps, but wakes at once when the queue is closed: true then. */
bool ch_queue_sleep(struct ch_queue *queue, int64_t wait_ms);

#endif
