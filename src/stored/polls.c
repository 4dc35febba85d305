#include "stored/polls.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sync.h"

/* Commits that follow one another closely wake the edges once. */
#define COALESCE_MS 25
/* The wall clock may be set meanwhile: look again at what is due. */
#define NAP_MAX_MS (10 * CH_SECOND_MS)

struct ch_polls {
	struct ch_store *store;
	pthread_t thread;
	struct ch_sync sync;
	uint64_t commits[CH_POLL_KINDS]; /* that concern each kind; they only grow */
	bool feed_moved;
	bool stopping;
	struct ch_poll *waiting;
	size_t n_waiting;
};

uint64_t ch_polls_seen(struct ch_polls *polls, enum ch_poll_kind kind)
{
	uint64_t seen;

	pthread_mutex_lock(&polls->sync.lock);
	seen = polls->commits[kind];
	pthread_mutex_unlock(&polls->sync.lock);
	return seen;
}

size_t ch_polls_waiting(struct ch_polls *polls, enum ch_poll_kind kind)
{
	size_t n = 0;

	pthread_mutex_lock(&polls->sync.lock);
	for (const struct ch_poll *p = polls->waiting; p; p = p->next)
		n += p->kind == kind;
	pthread_mutex_unlock(&polls->sync.lock);
	return n;
}

void ch_polls_on_commit(const struct ch_store_change *change, void *arg)
{
	struct ch_polls *polls = arg;

	if (!change->feed && change->due_ms == INT64_MAX)
		return;
	pthread_mutex_lock(&polls->sync.lock);
	polls->commits[CH_POLL_FEED] += change->feed;
	polls->commits[CH_POLL_LEASES] += change->due_ms != INT64_MAX;
	polls->feed_moved |= change->feed;
	for (struct ch_poll *p = polls->waiting; p; p = p->next)
		if (p->kind == CH_POLL_LEASES && p->due_ms > change->due_ms)
			p->due_ms = change->due_ms;
	pthread_cond_signal(&polls->sync.changed);
	pthread_mutex_unlock(&polls->sync.lock);
}

/* With the lock held. */
static bool is_full(const struct ch_polls *polls, const struct ch_req *req)
{
	size_t own = 0;

	if (polls->n_waiting >= CH_POLLS_MAX)
		return true;
	for (const struct ch_poll *p = polls->waiting; p; p = p->next)
		own += strcmp(p->req->who.text, req->who.text) == 0;
	return own >= CH_POLLS_PER_IDENTITY_MAX;
}

int ch_polls_wait(struct ch_polls *polls, struct ch_req *req, struct ch_poll *poll,
	uint64_t seen, ch_req_fn *next)
{
	int rc = CH_OK;

	poll->req = req;
	pthread_mutex_lock(&polls->sync.lock);
	if (is_full(polls, req)) {
		rc = CH_EAGAIN;
	} else if (polls->commits[poll->kind] != seen) {
		rc = CH_ECONFLICT;
	} else if (polls->stopping || !ch_req_park(req, next)) {
		rc = CH_ECANCELED;
	} else {
		poll->next = polls->waiting;
		polls->waiting = poll;
		polls->n_waiting++;
		pthread_cond_signal(&polls->sync.changed);
	}
	pthread_mutex_unlock(&polls->sync.lock);
	if (rc == CH_EAGAIN)
		ch_req_problem(req, rc, "too-many-polls", NULL,
			"At most %u requests of one identity may wait at a time.",
			CH_POLLS_PER_IDENTITY_MAX);
	else if (rc == CH_ECANCELED)
		ch_req_problem(req, CH_EAGAIN, "stopping", NULL, "The store is stopping.");
	return rc;
}

/* What the store says of a pool, asked once per pool and round. */
struct pool_head {
	const char *pool;
	struct ch_store_pool_head head;
	bool failed; /* wake everybody */
};

struct round {
	struct pool_head *heads;
	size_t n;
	struct ch_arena *arena;
	bool failed; /* out of memory: wake everybody */
};

static void round_done(struct round *round)
{
	ch_arena_free(round->arena);
}

static const struct pool_head *find_head(const struct round *round, const char *pool)
{
	for (size_t i = 0; i < round->n; i++)
		if (strcmp(round->heads[i].pool, pool) == 0)
			return &round->heads[i];
	return NULL;
}

/* With the lock held: the pools that somebody waits for. */
static void list_pools(struct ch_polls *polls, struct round *round)
{
	round->failed = ch_arena_new(0, &round->arena) != CH_OK;
	if (!round->failed)
		round->heads = ch_arena_array(
			round->arena, polls->n_waiting + 1, sizeof(*round->heads));
	round->failed = !round->heads;
	for (struct ch_poll *p = polls->waiting; p && !round->failed; p = p->next) {
		char *pool;

		if (p->kind != CH_POLL_FEED || find_head(round, p->pool))
			continue;
		pool = ch_arena_str(round->arena, p->pool);
		round->failed = !pool;
		if (pool)
			round->heads[round->n++].pool = pool;
	}
}

/* Without the lock, since it reads. */
static void ask_heads(struct ch_polls *polls, struct round *round)
{
	for (size_t i = 0; i < round->n; i++) {
		int rc = ch_store_pool_head(
			polls->store, round->heads[i].pool, &round->heads[i].head);

		if (rc) {
			ch_log_debug(
				"head of pool %s: %s", round->heads[i].pool, ch_rc_str(rc));
			round->heads[i].failed = true;
		}
	}
}

static bool is_ready(const struct ch_polls *polls, const struct ch_poll *poll,
	const struct round *round, int64_t mono, int64_t now)
{
	const struct pool_head *head;
	uint64_t seq;

	if (polls->stopping || mono >= poll->deadline_ms)
		return true;
	if (poll->kind == CH_POLL_LEASES)
		return poll->due_ms <= now;
	if (!round || round->failed)
		return round != NULL;
	head = find_head(round, poll->pool);
	/* Who came after the pools were listed looked into the store after the commit. */
	if (!head || head->failed)
		return head != NULL;
	seq = strcmp(poll->edge, head->head.canary) == 0 ? head->head.canary_seq
							 : head->head.seq;
	return poll->after < seq;
}

/* With the lock held. */
static void wake_ready(struct ch_polls *polls, const struct round *round)
{
	int64_t mono = ch_mono_ms();
	int64_t now = ch_now_ms();
	struct ch_poll **at = &polls->waiting;

	while (*at) {
		struct ch_poll *poll = *at;

		if (!is_ready(polls, poll, round, mono, now)) {
			at = &poll->next;
			continue;
		}
		*at = poll->next;
		polls->n_waiting--;
		poll->req->reauth = true;
		ch_req_wake(poll->req); /* poll may be gone now */
	}
}

/* With the lock held: how long nothing can happen by itself. */
static int64_t nap_ms(const struct ch_polls *polls)
{
	int64_t nap = NAP_MAX_MS;
	int64_t mono = ch_mono_ms();
	int64_t now = ch_now_ms();

	for (const struct ch_poll *p = polls->waiting; p; p = p->next) {
		if (p->deadline_ms - mono < nap)
			nap = p->deadline_ms - mono;
		if (p->kind == CH_POLL_LEASES && p->due_ms < now + nap)
			nap = p->due_ms - now;
	}
	return nap > 0 ? nap : 0;
}

/* With the lock held; gives it up meanwhile. */
static void serve_feed(struct ch_polls *polls)
{
	static const struct timespec pause = {.tv_nsec = COALESCE_MS * 1000000};
	CH_CLEANUP(round_done) struct round round = {0};

	pthread_mutex_unlock(&polls->sync.lock);
	nanosleep(&pause, NULL);
	pthread_mutex_lock(&polls->sync.lock);
	polls->feed_moved = false;
	list_pools(polls, &round);
	pthread_mutex_unlock(&polls->sync.lock);
	ask_heads(polls, &round);
	pthread_mutex_lock(&polls->sync.lock);
	wake_ready(polls, &round);
}

static void *run(void *arg)
{
	struct ch_polls *polls = arg;

	pthread_mutex_lock(&polls->sync.lock);
	while (!polls->stopping || polls->waiting) {
		if (polls->feed_moved && !polls->stopping)
			serve_feed(polls);
		wake_ready(polls, NULL);
		if (polls->feed_moved || polls->stopping)
			continue;
		if (polls->waiting)
			ch_sync_wait(&polls->sync, nap_ms(polls));
		else
			pthread_cond_wait(&polls->sync.changed, &polls->sync.lock);
	}
	pthread_mutex_unlock(&polls->sync.lock);
	return NULL;
}

int ch_polls_new(struct ch_store *store, struct ch_polls **ret_polls, struct ch_err *err)
{
	struct ch_polls *polls = calloc(1, sizeof(*polls));

	if (!polls || ch_sync_init(&polls->sync)) {
		free(polls);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	polls->store = store;
	if (pthread_create(&polls->thread, NULL, run, polls)) {
		ch_sync_done(&polls->sync);
		free(polls);
		return ch_err_set(err, CH_EAGAIN, "threads", "cannot start a thread");
	}
	*ret_polls = polls;
	return CH_OK;
}

void ch_polls_begin_stop(struct ch_polls *polls)
{
	pthread_mutex_lock(&polls->sync.lock);
	polls->stopping = true;
	pthread_cond_signal(&polls->sync.changed);
	pthread_mutex_unlock(&polls->sync.lock);
}

void ch_polls_stop(struct ch_polls *polls)
{
	pthread_join(polls->thread, NULL);
}

void ch_polls_free(struct ch_polls *polls)
{
	if (!polls)
		return;
	ch_sync_done(&polls->sync);
	free(polls);
}
