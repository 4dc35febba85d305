#include "issuerd/dns_desk.h"

#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "issuerd/dns_find.h"

#define BUCKETS 1024u
#define KEEP_MS (2 * CH_MINUTE_MS)
#define WAIT_LEAST_MS INT64_C(500)
#define WAIT_MOST_MS (10 * CH_SECOND_MS)
/* A removal that fails so often is left to the journal, which is looked through each minute. */
#define REMOVAL_TRIES 5
#define WALK_LEAST_MS CH_SECOND_MS
#define WALK_MOST_MS CH_MINUTE_MS

struct job {
	struct job *next; /* in its bucket */
	struct job *prev_due, *next_due;
	struct ch_dns_txt txt;
	uint64_t order;
	bool remove;
	bool leftover; /* found in the journal: one try each time */
	bool turned;   /* while it was running: it is now to be removed, or not any more */
	bool running;
	bool ended;
	bool maybe_there; /* it was written, or that was tried */
	bool written;
	unsigned tries;	  /* of what it does now */
	int64_t began_ms; /* monotonic, as the next two */
	int64_t due_ms;
	int64_t ended_ms;
	enum ch_dns_fate fate;
	struct ch_err err;
};

struct ch_dns_desk {
	struct ch_dns_desk_options options;
	struct ch_dns *dns;
	struct ch_dns_finder *finder;
	struct ch_dns_writer writer;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct job *buckets[BUCKETS];
	struct job *first_due; /* by due_ms; neither running nor ended */
	size_t n;
	size_t sweep;
	int64_t walk_at_ms; /* monotonic */
	bool walking;
	atomic_int stopping;
	pthread_t threads[CH_DNS_THREADS_MAX];
	size_t n_threads;
};

static struct job **find_slot(struct ch_dns_desk *desk, const struct ch_dns_txt *txt)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	struct job **at;

	for (const char *c = txt->value; *c; c++)
		h = (h ^ (unsigned char)*c) * 16777619u;
	at = &desk->buckets[h % BUCKETS];
	while (*at && (strcmp((*at)->txt.value, txt->value) != 0 ||
			      strcmp((*at)->txt.target, txt->target) != 0))
		at = &(*at)->next;
	return at;
}

/* Most are due later than all others: looked for from the end would be quicker, but there are
 * few that wait. */
static void put_due(struct ch_dns_desk *desk, struct job *job, int64_t due_ms)
{
	struct job **at = &desk->first_due;
	struct job *prev = NULL;

	job->due_ms = due_ms;
	while (*at && (*at)->due_ms <= due_ms) {
		prev = *at;
		at = &(*at)->next_due;
	}
	job->next_due = *at;
	job->prev_due = prev;
	if (*at)
		(*at)->prev_due = job;
	*at = job;
	pthread_cond_signal(&desk->changed);
}

static void take_due(struct ch_dns_desk *desk, struct job *job)
{
	if (job->next_due)
		job->next_due->prev_due = job->prev_due;
	if (job->prev_due)
		job->prev_due->next_due = job->next_due;
	else
		desk->first_due = job->next_due;
	job->next_due = job->prev_due = NULL;
}

/* Ended, or taken out of the queue. */
static void drop(struct ch_dns_desk *desk, struct job **at)
{
	struct job *job = *at;

	*at = job->next;
	desk->n--;
	free(job);
}

static void sweep(struct ch_dns_desk *desk)
{
	struct job **at = &desk->buckets[desk->sweep++ % BUCKETS];

	while (*at) {
		if ((*at)->ended && ch_mono_ms() - (*at)->ended_ms > KEEP_MS)
			drop(desk, at);
		else
			at = &(*at)->next;
	}
}

static struct job *add(
	struct ch_dns_desk *desk, struct job **at, const struct ch_dns_txt *txt, bool remove)
{
	struct job *job = desk->n < CH_DNS_DESK_MAX ? calloc(1, sizeof(*job)) : NULL;

	if (!job)
		return NULL;
	job->txt = *txt;
	job->remove = remove;
	job->began_ms = ch_mono_ms();
	job->next = *at;
	*at = job;
	desk->n++;
	put_due(desk, job, job->began_ms);
	return job;
}

/* From now on it does the other thing. */
static void turn(struct ch_dns_desk *desk, struct job *job, bool remove)
{
	job->remove = remove;
	job->leftover = false;
	job->tries = 0;
	job->written = false;
	job->began_ms = ch_mono_ms();
	if (job->running) {
		job->turned = true;
		return;
	}
	if (!job->ended)
		take_due(desk, job);
	job->ended = false;
	put_due(desk, job, job->began_ms);
}

enum ch_dns_fate ch_dns_desk_present(struct ch_dns_desk *desk, const struct ch_dns_txt *txt,
	uint64_t order, struct ch_err *err)
{
	enum ch_dns_fate fate = CH_DNS_WAIT;
	struct job **at;
	struct job *job;

	pthread_mutex_lock(&desk->lock);
	sweep(desk);
	at = find_slot(desk, txt);
	job = *at ? *at : add(desk, at, txt, false);
	if (job) {
		job->order = order;
		if (job->remove)
			turn(desk, job, false);
		if (job->ended) {
			fate = job->fate;
			*err = job->err;
		}
	}
	pthread_mutex_unlock(&desk->lock);
	return fate;
}

void ch_dns_desk_remove(struct ch_dns_desk *desk, const struct ch_dns_txt *txt)
{
	struct ch_err err;
	struct job **at;
	bool nothing_there;

	pthread_mutex_lock(&desk->lock);
	sweep(desk);
	at = find_slot(desk, txt);
	nothing_there = *at && (*at)->ended && !(*at)->remove && !(*at)->maybe_there;
	if (nothing_there)
		drop(desk, at);
	pthread_mutex_unlock(&desk->lock);
	if (nothing_there)
		return;
	/* Should there be no room, the journal has it. */
	if (ch_dns_journal_mark(desk->options.config->state, txt, &err))
		ch_log_warn("TXT %s %s: %s", txt->target, txt->value, err.detail);
	pthread_mutex_lock(&desk->lock);
	at = find_slot(desk, txt);
	if (!*at)
		(void)add(desk, at, txt, true);
	else if (!(*at)->remove)
		turn(desk, *at, true);
	pthread_mutex_unlock(&desk->lock);
}

/* What follows is done by the desk's threads.  The lock is not held while they wait. */

static int64_t wait_ms(unsigned tries)
{
	int64_t wait_ms = WAIT_LEAST_MS;

	for (; tries > 1 && wait_ms < WAIT_MOST_MS; tries--)
		wait_ms *= 2;
	return wait_ms < WAIT_MOST_MS ? wait_ms : WAIT_MOST_MS;
}

static void end(struct job *job, enum ch_dns_fate fate)
{
	job->ended = true;
	job->ended_ms = ch_mono_ms();
	job->fate = fate;
}

struct outcome {
	int rc;
	bool tried;   /* the record may be there now */
	bool written; /* it is */
	struct ch_err err;
};

static void present(
	struct ch_dns_desk *desk, const struct ch_dns_txt *txt, bool written, struct outcome *o)
{
	if (!written) {
		o->rc = ch_dns_journal_add(desk->options.config->state, txt, &o->err);
		if (o->rc) {
			o->err.actor = CH_ACTOR_PLATFORM;
			return;
		}
		o->rc = ch_dns_writer_write(&desk->writer, txt, false, &o->err);
		/* A hook that says no may have done something nevertheless. */
		o->tried = o->rc != CH_EAUTH && o->rc != CH_EINVAL;
		if (o->rc)
			return;
		ch_log_info("TXT %s %s written", txt->target, txt->value);
		o->written = true;
	}
	o->rc = ch_dns_writer_see(&desk->writer, txt, &o->err);
}

static void settle_present(struct ch_dns_desk *desk, struct job *job, const struct outcome *o)
{
	int64_t now_ms = ch_mono_ms();
	bool certain = o->rc == CH_EAUTH || o->rc == CH_EINVAL;

	job->maybe_there |= o->tried;
	/* The first look at the DNS follows the writing at once; then it is waited anew. */
	if (o->written)
		job->tries = 0;
	job->written |= o->written;
	job->err = o->err;
	if (o->rc == CH_OK) {
		end(job, CH_DNS_GOOD);
	} else if (certain || now_ms - job->began_ms >= desk->options.config->check_limit_ms) {
		if (!job->maybe_there)
			ch_dns_journal_forget(desk->options.config->state, &job->txt);
		end(job, CH_DNS_BAD);
	} else {
		put_due(desk, job, now_ms + wait_ms(++job->tries));
	}
}

static void settle_remove(struct ch_dns_desk *desk, struct job *job, const struct outcome *o)
{
	job->maybe_there = o->rc != CH_OK;
	if (o->rc == CH_OK) {
		ch_dns_journal_forget(desk->options.config->state, &job->txt);
		ch_log_info("TXT %s %s removed", job->txt.target, job->txt.value);
	} else if (++job->tries < REMOVAL_TRIES && !job->leftover) {
		put_due(desk, job, ch_mono_ms() + wait_ms(job->tries));
		return;
	} else if (o->rc != CH_ECANCELED) {
		ch_log(job->leftover ? CH_LOG_DEBUG : CH_LOG_WARN,
			"TXT %s %s not removed, tried again each minute: %s", job->txt.target,
			job->txt.value, o->err.detail);
	}
	drop(desk, find_slot(desk, &job->txt));
}

/* With the lock held, but for the work itself. */
static void run_job(struct ch_dns_desk *desk, struct job *job)
{
	struct ch_dns_txt txt = job->txt;
	struct outcome o = {.rc = CH_OK};
	bool written = job->written;
	bool remove = job->remove;
	uint64_t order;
	bool wake;

	job->running = true;
	job->turned = false;
	pthread_mutex_unlock(&desk->lock);
	if (remove)
		o.rc = ch_dns_writer_write(&desk->writer, &txt, true, &o.err);
	else
		present(desk, &txt, written, &o);
	pthread_mutex_lock(&desk->lock);
	job->running = false;
	order = job->order;
	if (job->turned) {
		job->maybe_there |= o.tried;
		put_due(desk, job, ch_mono_ms());
		return;
	}
	if (remove) {
		settle_remove(desk, job, &o);
		return;
	}
	settle_present(desk, job, &o);
	wake = job->ended && desk->options.wake;
	if (!wake)
		return;
	pthread_mutex_unlock(&desk->lock);
	desk->options.wake(desk->options.arg, order);
	pthread_mutex_lock(&desk->lock);
}

/* Of the journal: what is there needs no order any more. */
static bool on_leftover(const struct ch_dns_txt *txt, void *arg)
{
	struct ch_dns_desk *desk = arg;
	struct job *job = NULL;
	struct job **at;
	bool known;

	pthread_mutex_lock(&desk->lock);
	sweep(desk);
	at = find_slot(desk, txt);
	known = *at != NULL;
	if (!known)
		job = add(desk, at, txt, true);
	if (job)
		job->leftover = true;
	pthread_mutex_unlock(&desk->lock);
	return (known || job) && !atomic_load(&desk->stopping);
}

static void walk(struct ch_dns_desk *desk)
{
	const struct ch_dns_config *config = desk->options.config;
	int64_t wait = config->leftover_ms / 4;

	desk->walking = true;
	pthread_mutex_unlock(&desk->lock);
	ch_dns_journal_walk(config->state, config->leftover_ms, on_leftover, desk);
	pthread_mutex_lock(&desk->lock);
	desk->walking = false;
	wait = wait < WALK_LEAST_MS ? WALK_LEAST_MS : wait > WALK_MOST_MS ? WALK_MOST_MS : wait;
	desk->walk_at_ms = ch_mono_ms() + wait;
}

static void wait_until(struct ch_dns_desk *desk, int64_t until_ms)
{
	int64_t left_ms = until_ms - ch_mono_ms();
	struct timespec at;

	if (left_ms <= 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += left_ms / 1000;
	at.tv_nsec += left_ms % 1000 * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&desk->changed, &desk->lock, &at);
}

static void *desk_main(void *arg)
{
	struct ch_dns_desk *desk = arg;

	pthread_mutex_lock(&desk->lock);
	while (!atomic_load(&desk->stopping)) {
		struct job *job = desk->first_due;
		int64_t now_ms = ch_mono_ms();

		if (job && job->due_ms <= now_ms) {
			take_due(desk, job);
			run_job(desk, job);
		} else if (!desk->walking && desk->walk_at_ms <= now_ms) {
			walk(desk);
		} else {
			int64_t until_ms = now_ms + WALK_MOST_MS;

			if (!desk->walking && desk->walk_at_ms < until_ms)
				until_ms = desk->walk_at_ms;
			wait_until(
				desk, job && job->due_ms < until_ms ? job->due_ms : until_ms);
		}
	}
	pthread_mutex_unlock(&desk->lock);
	return NULL;
}

static int is_stopping(void *arg)
{
	struct ch_dns_desk *desk = arg;

	return atomic_load(&desk->stopping);
}

static int start(struct ch_dns_desk *desk, struct ch_err *err)
{
	const struct ch_dns_config *config = desk->options.config;
	struct ch_dns_options dns = {.resolvers = desk->options.resolvers,
		.timeout_ms = desk->options.dns_timeout_ms};
	int rc = ch_dns_journal_open(config->state, err);

	if (rc == CH_OK)
		rc = ch_dns_new(&dns, &desk->dns, err);
	desk->writer = (struct ch_dns_writer){.config = config,
		.dns = desk->dns,
		.may_ask = desk->options.may_ask,
		.canceled = is_stopping,
		.arg = desk};
	if (rc == CH_OK)
		rc = ch_dns_finder_new(&desk->options, desk->dns, &desk->finder);
	/* In any case: what it has is released with the desk. */
	if (rc)
		pthread_mutex_init(&desk->writer.lock, NULL);
	else
		rc = ch_dns_writer_init(&desk->writer, err);
	while (rc == CH_OK && desk->n_threads < config->threads) {
		if (pthread_create(&desk->threads[desk->n_threads], NULL, desk_main, desk))
			rc = ch_err_set(err, CH_ENOMEM, "out-of-memory",
				"the threads of the DNS challenges cannot be started");
		else
			desk->n_threads++;
	}
	return rc;
}

int ch_dns_desk_new(const struct ch_dns_desk_options *options, struct ch_dns_desk **ret_desk,
	struct ch_err *err)
{
	struct ch_dns_desk *desk = calloc(1, sizeof(*desk));
	pthread_condattr_t attributes;
	int rc;

	if (!desk)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	desk->options = *options;
	pthread_mutex_init(&desk->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&desk->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	rc = start(desk, err);
	if (rc) {
		ch_dns_desk_free(desk);
		return rc;
	}
	*ret_desk = desk;
	return CH_OK;
}

void ch_dns_desk_free(struct ch_dns_desk *desk)
{
	if (!desk)
		return;
	pthread_mutex_lock(&desk->lock);
	atomic_store(&desk->stopping, 1);
	pthread_cond_broadcast(&desk->changed);
	pthread_mutex_unlock(&desk->lock);
	/* Ends the waits of the threads too. */
	ch_dns_stop(desk->dns);
	for (size_t i = 0; i < desk->n_threads; i++)
		pthread_join(desk->threads[i], NULL);
	ch_dns_finder_free(desk->finder);
	ch_dns_free(desk->dns);
	for (size_t i = 0; i < BUCKETS; i++)
		while (desk->buckets[i])
			drop(desk, &desk->buckets[i]);
	ch_dns_writer_done(&desk->writer);
	pthread_cond_destroy(&desk->changed);
	pthread_mutex_destroy(&desk->lock);
	free(desk);
}

enum ch_dns_fate ch_dns_desk_find(struct ch_dns_desk *desk, const char *name, uint64_t order,
	char ret_target[CH_DNS_NAME_B], struct ch_err *err)
{
	return ch_dns_finder_look(desk->finder, name, order, ret_target, err);
}

void ch_dns_desk_forget_find(struct ch_dns_desk *desk, const char *name)
{
	ch_dns_finder_forget(desk->finder, name);
}
