/* The leasing thread: orders for the workers, and names that are looked at before. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "issuerd/scout.h"
#include "issuerd/worker.h"

#define GATED_MS CH_SECOND_MS
#define LEASE_WAIT_MS (20 * CH_SECOND_MS)
#define LOOK_EACH_MS INT64_C(100)
/* A store of before may be replaced by its next version. */
#define UNTOLD_MS (5 * CH_MINUTE_MS)

static json_t *limit_json(const struct ch_limit *limit)
{
	int64_t span_ms = (limit->refill_us * limit->size + 500) / 1000;

	return limit->size ? json_sprintf("%" PRIu32 "/%" PRId64 "ms", limit->size, span_ms)
			   : json_string("none");
}

/* The store passes over those that are out of order, as long as one of those is not that the
 * name may use. */
static json_t *pace_json(const struct ch_worker *worker, struct ch_ca *ca)
{
	const struct ch_limits *limits = &ca->config->limits;
	bool tells = !limits->renewals_exempt && ch_mono_ms() >= worker->exempt_until_ms;

	return json_pack("{sssssbsosososo*}", "account", ca->pace_account, "ca",
		ca->config->name, "out", !ch_ca_is_usable(ca), "orders",
		limit_json(&limits->account), "domain", limit_json(&limits->domain), "set",
		limit_json(&limits->set), "renewals_exempt", tells ? json_false() : NULL);
}

static bool tells_second_standbys(const struct ch_worker *worker)
{
	return ch_mono_ms() >= worker->untold_until_ms;
}

static json_t *lease_json(const struct ch_worker *worker, size_t room, int64_t wait_ms)
{
	struct ch_issuer *issuer = worker->issuer;
	json_t *fallback = issuer->n_cas > 1 ? json_array() : NULL;

	for (size_t i = 1; i < issuer->n_cas; i++)
		(void)json_array_append_new(fallback, pace_json(worker, &issuer->cas[i]));
	return json_pack("{sIsIsIsoso*ss*so*so*sbso*}", "max", (json_int_t)room, "lease_ms",
		(json_int_t)issuer->config->lease_ms, "wait_ms", (json_int_t)wait_ms, "pace",
		pace_json(worker, &issuer->cas[0]), "fallback", fallback, "standby",
		issuer->config->standby, "caa", ch_issuer_caa_advice(issuer), "persist",
		ch_issuer_persist_advice(issuer), "persist_all",
		issuer->config->challenge == CH_ACME_DNS_PERSIST_01, "second_standbys",
		tells_second_standbys(worker) ? json_true() : NULL);
}

/* scout NULL: names are not looked at.  *ret_news: the store had something for us. */
static int lease(struct ch_worker *worker, struct ch_scout *scout, size_t room, bool *ret_news,
	struct ch_err *err)
{
	int64_t lease_ms = worker->issuer->config->lease_ms;
	int64_t wait_ms = room && !(scout && scout->busy) ? LEASE_WAIT_MS : 0;
	json_auto_t *body = lease_json(worker, room, wait_ms);
	struct ch_api_call call = {.method = "POST",
		.path = "/v1/leases",
		.body = body,
		.timeout_ms = LEASE_WAIT_MS + 20 * CH_SECOND_MS};
	const json_t *orders;
	int rc = scout && scout->on && body ? ch_scout_add(scout, body) : CH_OK;

	if (rc == CH_OK)
		rc = ch_api_call(worker->api, &call, err);
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
	*ret_news = json_array_size(orders) > 0;
	if (scout && scout->on)
		*ret_news |= ch_scout_answered(scout, call.answer);
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

/* The store does not know what it was told: the next lease is without. */
static bool is_of_before(struct ch_worker *worker, const struct ch_err *err)
{
	int64_t until_ms = ch_mono_ms() + UNTOLD_MS;

	if (ch_scout_is_unknown(err, "second_standbys"))
		worker->untold_until_ms = until_ms;
	else if (ch_scout_is_unknown(err, "renewals_exempt"))
		worker->exempt_until_ms = until_ms;
	else
		return false;
	return true;
}

/* One lease, and what follows when the store does not answer it.  False: stop. */
static bool lease_once(struct ch_worker *worker, struct ch_scout *scout, size_t room,
	unsigned *tries, bool *ret_news)
{
	struct ch_err err = {0};
	int rc;

	*ret_news = true;
	/* While no CA can be asked, most leases end in "later": a trickle of them keeps
	 * what needs no CA going, and spares the store the rest. */
	if (all_closed(worker->issuer) && ch_queue_sleep(worker->queue, GATED_MS))
		return false;
	rc = lease(worker, scout, room, ret_news, &err);
	if (rc == CH_OK) {
		*tries = 0;
		return true;
	}
	if (atomic_load(&worker->issuer->stopping))
		return false;
	if (rc == CH_EINVAL && is_of_before(worker, &err))
		return true;
	if (rc == CH_EINVAL && scout && scout->on) {
		ch_scout_refused(scout, &err);
		return true;
	}
	/* A store that is just being started, as beside us by `certherd up`, is no trouble. */
	ch_log(rc == CH_ENETWORK && *tries == 0 ? CH_LOG_INFO : CH_LOG_WARN,
		"no orders from the store: %s", err.detail);
	return !ch_worker_back_off(worker, (*tries)++);
}

struct rhythm {
	size_t batch;	 /* places free, below which the store is not asked for orders */
	int64_t last_ms; /* monotonic: when it was asked last, or there was no reason to */
	bool news;	 /* it had something then, and may have more */
};

/* Until there is room for a batch of orders.  While names are looked at: until something has
 * come of that, or for a moment.  False: stop. */
static bool wait_for_reason(struct ch_worker *worker, const struct ch_scout *scout,
	const struct rhythm *rhythm, size_t *ret_room)
{
	bool looks = scout && scout->on;
	int64_t rest_ms = rhythm->last_ms + LOOK_EACH_MS - ch_mono_ms();
	size_t least = rhythm->batch;

	if (looks && rhythm->news)
		least = 0;
	else if (looks && !scout->ready)
		least = SIZE_MAX;
	if (!ch_queue_wait_room(worker->queue, least,
		    !looks	  ? CH_MINUTE_MS
		    : rest_ms > 0 ? rest_ms
				  : 0,
		    ret_room))
		return false;
	if (*ret_room < rhythm->batch)
		*ret_room = 0;
	return true;
}

/* Names are handed out however busy the workers are: what they are to do next is known then. */
static bool is_worth_it(const struct ch_scout *scout, struct rhythm *rhythm, size_t room)
{
	int64_t now_ms = ch_mono_ms();
	bool rested = now_ms - rhythm->last_ms >= LOOK_EACH_MS;

	if (!scout || !scout->on)
		return room > 0;
	if ((room && scout->n_alive) || scout->n_dead ||
		((rhythm->news || rested) && (room || scout->looks)))
		return true;
	/* With nothing to ask for it rests again, however long all are busy. */
	if (rested)
		rhythm->last_ms = now_ms;
	rhythm->news = false;
	return false;
}

void *ch_leaser_main(void *arg)
{
	struct ch_worker *worker = arg;
	struct rhythm rhythm = {.batch = worker->queue->limit / 2, .news = true};
	struct ch_scout *scout = NULL;
	unsigned tries = 0;
	size_t room;

	if (!rhythm.batch)
		rhythm.batch = 1;
	if (ch_scout_new(worker->issuer, &scout))
		ch_log_error("out of memory: names are not looked at before there is an order");
	while (wait_for_reason(worker, scout, &rhythm, &room)) {
		if (scout)
			ch_scout_plan(scout, room > 0);
		if (!is_worth_it(scout, &rhythm, room))
			continue;
		if (!lease_once(worker, scout, room, &tries, &rhythm.news))
			break;
		rhythm.last_ms = ch_mono_ms();
	}
	ch_scout_free(scout);
	return NULL;
}
