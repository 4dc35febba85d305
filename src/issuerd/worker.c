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

/* Waits longer each time, more or less a quarter.  True: stop trying. */
static bool back_off(struct ch_worker *worker, unsigned tries)
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
	char path[64];
	json_auto_t *body = ch_write_json(w, work);
	struct ch_api_call call = {.method = w->publish ? "POST" : "PATCH", .path = path};
	const json_t *fence;
	int rc;

	if (!body)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	snprintf(path, sizeof(path), "/v1/orders/%" PRIu64 "%s", work->id,
		w->publish ? "/publish" : "");
	call.body = body;
	rc = ch_api_call(worker->api, &call, err);
	if (rc == CH_OK) {
		fence = json_object_get(call.answer, "fence");
		if (json_is_integer(fence))
			work->fence = (uint64_t)json_integer_value(fence);
		ch_edges_read(json_object_get(call.answer, "edges"), &work->edges);
	}
	json_decref(call.answer);
	return rc;
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
		if (back_off(worker, tries) &&
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
	ch_log_info("order %" PRIu64 " %s -> %s name=%s%s%s next=%s ms=%" PRId64
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

#define GATED_MS CH_SECOND_MS
#define LEASE_WAIT_MS (20 * CH_SECOND_MS)

static json_t *limit_json(const struct ch_limit *limit)
{
	int64_t span_ms = (limit->refill_us * limit->size + 500) / 1000;

	return limit->size ? json_sprintf("%" PRIu32 "/%" PRId64 "ms", limit->size, span_ms)
			   : json_string("none");
}

/* The store passes over those that are out of order, as long as one of those is not that the
 * name may use. */
static json_t *pace_json(struct ch_ca *ca)
{
	const struct ch_limits *limits = &ca->config->limits;

	return json_pack("{sssssbsososo}", "account", ca->pace_account, "ca", ca->config->name,
		"out", !ch_ca_is_usable(ca), "orders", limit_json(&limits->account), "domain",
		limit_json(&limits->domain), "set", limit_json(&limits->set));
}

static json_t *lease_json(struct ch_worker *worker, size_t room)
{
	struct ch_issuer *issuer = worker->issuer;
	json_t *fallback = issuer->n_cas > 1 ? json_array() : NULL;

	for (size_t i = 1; i < issuer->n_cas; i++)
		(void)json_array_append_new(fallback, pace_json(&issuer->cas[i]));
	return json_pack("{sIsIsIsoso*ss*so*so*sb}", "max", (json_int_t)room, "lease_ms",
		(json_int_t)issuer->config->lease_ms, "wait_ms", (json_int_t)LEASE_WAIT_MS,
		"pace", pace_json(&issuer->cas[0]), "fallback", fallback, "standby",
		issuer->config->standby, "caa", ch_issuer_caa_advice(issuer), "persist",
		ch_issuer_persist_advice(issuer), "persist_all",
		issuer->config->challenge == CH_ACME_DNS_PERSIST_01);
}

static int lease(struct ch_worker *worker, size_t room, struct ch_err *err)
{
	int64_t lease_ms = worker->issuer->config->lease_ms;
	json_auto_t *body = lease_json(worker, room);
	struct ch_api_call call = {.method = "POST",
		.path = "/v1/leases",
		.body = body,
		.timeout_ms = LEASE_WAIT_MS + 20 * CH_SECOND_MS};
	const json_t *orders;
	int rc = ch_api_call(worker->api, &call, err);

	if (rc)
		return rc;
	orders = json_object_get(call.answer, "orders");
	ch_figures_leased(&worker->issuer->figures, json_array_size(orders));
	for (size_t i = 0; i < json_array_size(orders) && i < room; i++) {
		struct ch_work *work;

		/* It stays leased until the lease runs out: no loop around a bad row. */
		if (ch_work_read(
			    json_array_get(orders, i), ch_mono_ms() + lease_ms, &work, err))
			ch_log_error("%s", err->detail);
		else
			ch_queue_put(worker->queue, work);
	}
	json_decref(call.answer);
	return CH_OK;
}

static bool all_closed(struct ch_issuer *issuer)
{
	for (size_t i = 0; i < issuer->n_cas; i++)
		if (!ch_gate_is_closed(&issuer->cas[i].gate))
			return false;
	return true;
}

void *ch_leaser_main(void *arg)
{
	struct ch_worker *worker = arg;
	size_t batch = worker->queue->limit / 2;
	unsigned tries = 0;
	size_t room;

	while ((room = ch_queue_wait_room(worker->queue, batch ? batch : 1)) > 0) {
		struct ch_err err = {0};

		/* While no CA can be asked, most leases end in "later": a trickle of them keeps
		 * what needs no CA going, and spares the store the rest. */
		if (all_closed(worker->issuer) && ch_queue_sleep(worker->queue, GATED_MS))
			break;
		if (lease(worker, room, &err) == CH_OK) {
			tries = 0;
			continue;
		}
		if (atomic_load(&worker->issuer->stopping))
			break;
		/* A store that is just being started, as beside us by `certherd up`, is no
		 * trouble. */
		ch_log(err.rc == CH_ENETWORK && tries == 0 ? CH_LOG_INFO : CH_LOG_WARN,
			"no orders from the store: %s", err.detail);
		if (back_off(worker, tries++))
			break;
	}
	return NULL;
}
