#include "issuerd/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "issuerd/step.h"

#define AWAY_LEAST_MS INT64_C(500)
#define AWAY_MOST_MS (30 * CH_SECOND_MS)
/* Longer waits for the CA are written to the store, and the lease is given back. */
#define ASIDE_MOST_MS CH_SECOND_MS

int ch_worker_init(struct ch_worker *worker, struct ch_issuer *issuer, struct ch_queue *queue,
	bool leasing, struct ch_err *err)
{
	struct ch_api_options options = issuer->config->store;
	int rc;

	memset(worker, 0, sizeof(*worker));
	worker->issuer = issuer;
	worker->queue = queue;
	worker->seed = (unsigned)ch_mono_ms() ^ (unsigned)(uintptr_t)worker;
	options.http.canceled = leasing ? ch_issuer_stopping : ch_issuer_canceled;
	options.http.canceled_arg = issuer;
	rc = ch_api_new(&options, &worker->api, err);
	for (size_t i = 0; rc == CH_OK && !leasing && i < issuer->n_cas; i++)
		rc = ch_issuer_new_http(issuer, &issuer->cas[i], &worker->https[i], err);
	if (rc)
		ch_worker_done(worker);
	return rc;
}

void ch_worker_done(struct ch_worker *worker)
{
	ch_api_free(worker->api);
	worker->api = NULL;
	for (size_t i = 0; i < CH_CAS_MAX; i++) {
		ch_http_free(worker->https[i]);
		worker->https[i] = NULL;
	}
}

bool ch_worker_back_off(struct ch_worker *worker, unsigned tries)
{
	int64_t wait_ms = AWAY_LEAST_MS;

	for (; tries > 0 && wait_ms < AWAY_MOST_MS; tries--)
		wait_ms *= 2;
	if (wait_ms > AWAY_MOST_MS)
		wait_ms = AWAY_MOST_MS;
	wait_ms += wait_ms * (rand_r(&worker->seed) % 51 - 25) / 100;
	return ch_queue_sleep(worker->queue, wait_ms);
}

/* The store is away or in trouble: what we have to write is as good as before. */
static bool is_away(int rc)
{
	return rc != CH_OK && rc != CH_ECONFLICT && rc != CH_ENOTFOUND && rc != CH_EINVAL &&
	       rc != CH_ETOOBIG && rc != CH_ENOMEM && rc != CH_ECANCELED;
}

static int write_once(
	struct ch_worker *worker, struct ch_write *w, struct ch_work *work, struct ch_err *err)
{
	json_auto_t *body = ch_write_json(w, work);
	struct ch_scribe_item item = {
		.order_id = work->id, .publish = w->publish != NULL, .body = body};
	const json_t *fence;

	if (!body)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (ch_scribe_write(&worker->issuer->scribe, worker->api, &item)) {
		*err = item.err;
		return item.rc;
	}
	fence = json_object_get(item.answer, "fence");
	if (json_is_integer(fence))
		work->fence = (uint64_t)json_integer_value(fence);
	ch_edges_read(json_object_get(item.answer, "edges"), &work->edges);
	json_decref(item.answer);
	return CH_OK;
}

int ch_worker_write(
	struct ch_worker *worker, struct ch_write *w, struct ch_work *work, struct ch_err *err)
{
	for (unsigned tries = 0;; tries++) {
		int rc = write_once(worker, w, work, err);

		if (!is_away(rc))
			return rc;
		ch_log_warn("order %" PRIu64 ": not written, trying again: %s", work->id,
			err->detail);
		/* Before the end of a stop there is one more try, at once. */
		if (ch_worker_back_off(worker, tries) &&
			(tries > 0 || ch_issuer_canceled(worker->issuer)))
			return ch_err_set(err, CH_ECANCELED, "stopping", "%s",
				"stopping while the store is away");
	}
}

static void log_step(
	const struct ch_work *work, const struct ch_write *w, int64_t took_ms, const char *note)
{
	const char *to = ch_order_state_str(w->publish	   ? CH_ORDER_CONFIRMING
					    : w->has_state ? w->state
							   : work->state);
	const struct ch_reason *reason = w->has_reason ? &w->reason : NULL;
	char next[CH_TIME_STR_B] = "now";

	if (w->has_state && w->state == CH_ORDER_FAILED)
		reason = NULL;
	for (size_t i = 0; w->has_state && w->state == CH_ORDER_FAILED && i < work->n_names;
		i++)
		if (w->verdicts[i].failed)
			reason = &w->verdicts[i].reason;
	if (w->next_at_ms)
		ch_time_str(w->next_at_ms, next);
	ch_log(w->no_news ? CH_LOG_DEBUG : CH_LOG_INFO,
		"order %" PRIu64 " %s -> %s name=%s%s%s next=%s ms=%" PRId64
		" attempts=%" PRIu64 "%s%s%s%s%s",
		work->id, ch_order_state_str(work->state), to, work->names[0],
		work->n_names > 1 ? "," : "", work->n_names > 1 ? work->names[1] : "", next,
		took_ms, w->has_attempts ? w->attempts : work->attempts,
		reason ? " reason=" : "", reason ? reason->code : "", reason ? ": " : "",
		reason ? reason->detail : "", note);
}

/* The store does not take the publication: then neither will it the next time. */
static void publication_refused(
	struct ch_worker *worker, struct ch_work *work, struct ch_err *why)
{
	CH_AUTO_WRITE struct ch_write w;
	struct ch_step step = {.issuer = worker->issuer, .work = work, .out = &w};
	struct ch_err err;

	ch_write_init(&w);
	ch_step_find_ca(&step);
	why->actor = CH_ACTOR_PLATFORM;
	why->retry_at_ms = 0;
	ch_step_fail_all(&step, why);
	log_step(work, &w, 0, "");
	if (ch_worker_write(worker, &w, work, &err))
		ch_log_warn("order %" PRIu64 ": %s", work->id, err.detail);
}

/* What was not written after earlier steps goes with this one. */
static void catch_up(const struct ch_work *work, struct ch_write *w)
{
	if (!work->ahead || w->has_state || w->publish)
		return;
	w->has_state = true;
	w->state = work->state;
	if (!w->has_notes) {
		w->has_notes = true;
		w->notes = work->notes;
	}
}

static void give_back(struct ch_worker *worker, struct ch_work *work)
{
	CH_AUTO_WRITE struct ch_write w;
	struct ch_err err;

	ch_write_init(&w);
	catch_up(work, &w);
	if (ch_worker_write(worker, &w, work, &err))
		ch_log_debug("order %" PRIu64 " not given back: %s", work->id, err.detail);
}

/* Enough of it for what is not written yet. */
static bool lease_lasts(
	const struct ch_worker *worker, const struct ch_work *work, int64_t until_mono_ms)
{
	return until_mono_ms + worker->issuer->config->lease_ms / 2 <=
	       work->lease_until_mono_ms;
}

/* When a wait for the CA is over that is not worth a write and a new lease: short, and with
 * enough of this lease left.  0: it is. */
static int64_t aside_until(
	const struct ch_worker *worker, const struct ch_work *work, const struct ch_write *w)
{
	int64_t wait_ms = w->next_at_ms - ch_now_ms();
	int64_t due_ms = ch_mono_ms() + (wait_ms > 0 ? wait_ms : 0);

	if (!w->only_poll || wait_ms > ASIDE_MOST_MS || !lease_lasts(worker, work, due_ms) ||
		!ch_queue_may_put_aside(worker->queue))
		return 0;
	return due_ms;
}

/* Nothing is written: a process that dies now has lost a wait, or an order at the CA that
 * nothing was done with. */
static void go_ahead(struct ch_work *work, struct ch_write *w, int64_t took_ms)
{
	log_step(work, w, took_ms, " (kept)");
	ch_write_apply(w, work);
	work->ahead = true;
	work->fresh = false;
}

/* One step and its write.  True: the next step follows under the same lease, when *ret_due_ms
 * is not 0 then. */
static bool step_and_write(struct ch_worker *worker, struct ch_work *work, int64_t *ret_due_ms)
{
	CH_AUTO_WRITE struct ch_write w;
	struct ch_step step = {
		.issuer = worker->issuer, .https = worker->https, .work = work, .out = &w};
	int64_t began_ms = ch_mono_ms();
	struct ch_err err = {0};
	int rc;

	ch_write_init(&w);
	ch_step_run(&step);
	*ret_due_ms = aside_until(worker, work, &w);
	if (*ret_due_ms || (w.go_on && w.may_keep && lease_lasts(worker, work, ch_mono_ms()))) {
		go_ahead(work, &w, ch_mono_ms() - began_ms);
		return true;
	}
	catch_up(work, &w);
	rc = ch_worker_write(worker, &w, work, &err);
	log_step(work, &w, ch_mono_ms() - began_ms, rc ? " (not written)" : "");
	if (rc == CH_ECONFLICT || rc == CH_ENOTFOUND || rc == CH_ECANCELED) {
		ch_log_debug("order %" PRIu64 " dropped: %s", work->id, err.detail);
		return false;
	}
	if (rc) {
		ch_log_error("order %" PRIu64 ": the store refuses the step: %s", work->id,
			err.detail);
		if (w.publish)
			publication_refused(worker, work, &err);
		return false;
	}
	ch_figures_written(&worker->issuer->figures, &w, work->n_names);
	if (!w.go_on)
		return false;
	ch_write_apply(&w, work);
	return true;
}

int64_t ch_worker_run(struct ch_worker *worker, struct ch_work *work)
{
	int64_t due_ms = 0;

	do {
		if (atomic_load(&worker->issuer->stopping)) {
			give_back(worker, work);
			return 0;
		}
		/* Whoever leased it next has the newer fence: our write would be refused. */
		if (ch_mono_ms() >= work->lease_until_mono_ms) {
			ch_log_debug("order %" PRIu64 ": its lease ran out", work->id);
			return 0;
		}
	} while (step_and_write(worker, work, &due_ms) && due_ms == 0);
	return due_ms;
}

void *ch_worker_main(void *arg)
{
	struct ch_worker *worker = arg;
	struct ch_work *work;

	while ((work = ch_queue_take(worker->queue)) != NULL) {
		int64_t due_ms = ch_worker_run(worker, work);

		if (due_ms)
			ch_queue_put_aside(worker->queue, work, due_ms);
		else
			ch_work_free(work);
	}
	return NULL;
}
