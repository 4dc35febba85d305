#include "issuerd/renewal.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "issuerd/ladder.h"

/* One request after the other, half a second each. */
#define RATE_PER_ASKER 2
#define LOOK_MOST_MS (10 * CH_SECOND_MS)
/* Of those who only help. */
#define HELP_LOOK_MS (5 * CH_SECOND_MS)
#define LOOK_LEAST_MS 500
/* Longer than a batch takes at the slowest pace; whoever dies meanwhile has it repeated. */
#define LEASE_MS (10 * CH_MINUTE_MS)
#define NEXT_MOST_MS CH_DAY_MS
/* After so many requests in a row without an answer the CA is left alone for a while. */
#define OUTAGES_MAX 3

void ch_renewal_describe(const struct ch_issuer *issuer, const struct ch_ca *ca,
	const struct ch_cert_info *info, const uint8_t *leaf, size_t leaf_len, json_t *body)
{
	int64_t now_ms = ch_now_ms();
	const struct ch_renewal renewal = {.not_before_ms = info->not_before_s * CH_SECOND_MS,
		.not_after_ms = info->not_after_s * CH_SECOND_MS,
		.issued_ms = now_ms};
	struct ch_calendar_span span;
	char id[CH_ACME_CERT_ID_B];
	char text[CH_TIME_STR_B];

	ch_renew_span(issuer->config, &ca->config->limits.set, &renewal, now_ms, &span);
	(void)json_object_set_new(
		body, "renew_at", json_string(ch_time_str(span.until_ms, text)));
	(void)json_object_set_new(
		body, "renew_from", json_string(ch_time_str(span.from_ms, text)));
	if (issuer->config->ari && ch_acme_has_renewal_info(ca->acme) &&
		ch_acme_cert_id(leaf, leaf_len, id, NULL) == CH_OK)
		(void)json_object_set_new(body, "ari_id", json_string(id));
}

void ch_asking_init(struct ch_asking *asking, struct ch_issuer *issuer, struct ch_queue *queue)
{
	memset(asking, 0, sizeof(*asking));
	asking->issuer = issuer;
	asking->queue = queue;
	pthread_mutex_init(&asking->lock, NULL);
}

void ch_asking_done(struct ch_asking *asking)
{
	pthread_mutex_destroy(&asking->lock);
}

size_t ch_askers_needed(const struct ch_issuer_config *config)
{
	size_t n = (config->ari_rate + RATE_PER_ASKER - 1) / RATE_PER_ASKER;

	if (!config->ari)
		return 0;
	return n < CH_ASKERS_MAX ? n : CH_ASKERS_MAX;
}

int ch_asker_init(struct ch_asker *asker, struct ch_asking *asking, bool leads,
	struct ch_api *api, struct ch_err *err)
{
	struct ch_api_options options = asking->issuer->config->store;
	int rc = CH_OK;

	*asker = (struct ch_asker){.asking = asking, .leads = leads, .api = api};
	options.http.canceled = ch_issuer_stopping;
	options.http.canceled_arg = asking->issuer;
	if (!api)
		rc = ch_api_new(&options, &asker->api, err);
	return rc;
}

void ch_asker_done(struct ch_asker *asker)
{
	ch_api_free(asker->api);
	for (size_t i = 0; i < CH_CAS_MAX; i++)
		ch_http_free(asker->https[i]);
	*asker = (struct ch_asker){.asking = NULL};
}

/* A certificate to ask about; ari_id is borrowed from the store's answer. */
struct ask {
	int64_t version;
	const char *ari_id;
	uint64_t failures;
	struct ch_renewal renewal;
};

static int read_time(const json_t *doc, const char *key, int64_t *ret_ms)
{
	const char *text = json_string_value(json_object_get(doc, key));

	return text ? ch_time_parse(text, ret_ms) : CH_EPROTO;
}

static int read_ask(const json_t *doc, struct ask *ret_ask)
{
	json_int_t failures = json_integer_value(json_object_get(doc, "failures"));
	struct ask ask = {.version = json_integer_value(json_object_get(doc, "version")),
		.ari_id = json_string_value(json_object_get(doc, "ari_id")),
		.failures = failures > 0 ? (uint64_t)failures : 0};

	if (ask.version < 1 || !ch_acme_cert_id_ok(ask.ari_id) ||
		read_time(doc, "not_before", &ask.renewal.not_before_ms) ||
		read_time(doc, "not_after", &ask.renewal.not_after_ms) ||
		read_time(doc, "published_at", &ask.renewal.issued_ms) ||
		ask.renewal.not_after_ms <= ask.renewal.not_before_ms)
		return CH_EPROTO;
	*ret_ask = ask;
	return CH_OK;
}

/* Waits for the next turn of this CA's pace.  False: the issuer stops. */
static bool pace(struct ch_asking *asking, size_t at)
{
	/* Rounded up: rather a little less than too much. */
	unsigned rate = asking->issuer->config->ari_rate;
	int64_t step_ms = (1000 + rate - 1) / rate;
	int64_t now_ms = ch_mono_ms();
	int64_t turn_ms;

	pthread_mutex_lock(&asking->lock);
	turn_ms = asking->cas[at].next_mono_ms > now_ms ? asking->cas[at].next_mono_ms : now_ms;
	asking->cas[at].next_mono_ms = turn_ms + step_ms;
	pthread_mutex_unlock(&asking->lock);
	return turn_ms == now_ms ? !atomic_load(&asking->issuer->stopping)
				 : !ch_queue_sleep(asking->queue, turn_ms - now_ms);
}

static bool is_paused(struct ch_asking *asking, size_t at)
{
	bool paused;

	pthread_mutex_lock(&asking->lock);
	paused = ch_now_ms() < asking->cas[at].pause_until_ms;
	pthread_mutex_unlock(&asking->lock);
	return paused || ch_gate_is_closed(&asking->issuer->cas[at].gate);
}

static void pause_until(struct ch_asking *asking, size_t at, int64_t until_ms)
{
	pthread_mutex_lock(&asking->lock);
	if (until_ms > asking->cas[at].pause_until_ms)
		asking->cas[at].pause_until_ms = until_ms;
	pthread_mutex_unlock(&asking->lock);
}

/* A CA that does not answer, or wants us to wait, is asked nothing for a while.  The gate of
 * orders is another matter: an endpoint of its own may be down. */
static void note_fate(struct ch_asking *asking, size_t at, const struct ch_acme_answer *ans)
{
	int64_t now_ms = ch_now_ms();
	unsigned outages;

	pthread_mutex_lock(&asking->lock);
	outages = ans->fate == CH_ACME_OUTAGE ? asking->cas[at].outages + 1 : 0;
	asking->cas[at].outages = outages;
	pthread_mutex_unlock(&asking->lock);
	if (ans->fate == CH_ACME_LIMITED)
		pause_until(asking, at,
			ans->retry_at_ms < now_ms + NEXT_MOST_MS ? ans->retry_at_ms
								 : now_ms + NEXT_MOST_MS);
	else if (outages >= OUTAGES_MAX)
		pause_until(asking, at,
			now_ms + ch_doubling_ms(
					 CH_MINUTE_MS, outages - OUTAGES_MAX, CH_HOUR_MS));
}

static int64_t clamp(int64_t at_ms, int64_t least_ms, int64_t most_ms)
{
	if (at_ms < least_ms)
		return least_ms;
	return at_ms > most_ms ? most_ms : at_ms;
}

/* Trouble that passes is tried again soon, what the CA says of one certificate later. */
static int64_t again_at(const struct ask *ask, const struct ch_acme_answer *ans, int64_t now_ms)
{
	bool passing = ans->fate == CH_ACME_OUTAGE || ans->fate == CH_ACME_LATER;
	int64_t at_ms =
		now_ms +
		(passing ? ch_doubling_ms(CH_MINUTE_MS, ask->failures, CH_ACME_LOOK_MS)
			 : ch_doubling_ms(CH_ACME_LOOK_MS, ask->failures, NEXT_MOST_MS));

	return clamp(ans->retry_at_ms > at_ms ? ans->retry_at_ms : at_ms, now_ms + CH_MINUTE_MS,
		now_ms + NEXT_MOST_MS);
}

static json_t *put_off_json(const struct ask *ask, bool failed, int64_t next_ms)
{
	char text[CH_TIME_STR_B];

	return json_pack("{sI ss sb}", "version", (json_int_t)ask->version, "next_at",
		ch_time_str(next_ms, text), "failed", failed);
}

static json_t *window_json(const struct ch_asking *asking, size_t at, const struct ask *ask,
	const struct ch_acme_answer *ans)
{
	const struct ch_issuer *issuer = asking->issuer;
	const struct ch_acme_window *window = &ans->window;
	struct ch_renewal renewal = ask->renewal;
	struct ch_calendar_span span;
	int64_t now_ms = ch_now_ms();
	char start[CH_TIME_STR_B];
	char end[CH_TIME_STR_B];
	char from[CH_TIME_STR_B];
	char until[CH_TIME_STR_B];
	char next[CH_TIME_STR_B];

	renewal.start_ms = window->start_ms;
	renewal.end_ms = window->end_ms;
	ch_renew_span(
		issuer->config, &issuer->cas[at].config->limits.set, &renewal, now_ms, &span);
	return json_pack("{sI ss s{ss ss ss ss ss*}}", "version", (json_int_t)ask->version,
		"next_at",
		ch_time_str(clamp(ans->retry_at_ms, now_ms + CH_ACME_LOOK_LEAST_MS,
				    now_ms + NEXT_MOST_MS),
			next),
		"window", "start", ch_time_str(window->start_ms, start), "end",
		ch_time_str(window->end_ms, end), "renew_from", ch_time_str(span.from_ms, from),
		"renew_at", ch_time_str(span.until_ms, until), "explanation",
		window->explanation);
}

/* NULL: nothing came of it, since the issuer stops. */
static json_t *ask_ca(struct ch_asker *asker, size_t at, const struct ask *ask)
{
	struct ch_asking *asking = asker->asking;
	const struct ch_acme_request req = {
		.kind = CH_ACME_RENEWAL_INFO, .cert_id = ask->ari_id};
	CH_AUTO_ANSWER struct ch_acme_answer ans;

	ch_acme_answer_init(&ans);
	ch_acme_run(asking->issuer->cas[at].acme, asker->https[at], &req, &ans);
	if (ans.err.rc == CH_ECANCELED)
		return NULL;
	note_fate(asking, at, &ans);
	atomic_fetch_add_explicit(
		&asking->issuer->figures.cas[at].asked, 1, memory_order_relaxed);
	if (ans.fate == CH_ACME_OK)
		return window_json(asking, at, ask, &ans);
	ch_log_debug("renewal information of certificate %" PRId64 ": %s", ask->version,
		ans.err.detail);
	return put_off_json(ask, ans.fate != CH_ACME_LIMITED, again_at(ask, &ans, ch_now_ms()));
}

/* What was heard of each; those that the CA could not be asked about come again soon. */
static json_t *ask_all(struct ch_asker *asker, size_t at, const json_t *list)
{
	json_t *heard = json_array();
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n && i < CH_ASK_BATCH; i++) {
		json_t *one;
		struct ask ask;

		/* It stays leased: no loop around a bad row. */
		if (read_ask(json_array_get(list, i), &ask)) {
			ch_log_error("the store's list of certificates to ask about has an "
				     "entry that is none");
			continue;
		}
		if (is_paused(asker->asking, at))
			one = put_off_json(&ask, false, ch_now_ms() + CH_MINUTE_MS);
		else if (pace(asker->asking, at))
			one = ask_ca(asker, at, &ask);
		else
			one = NULL;
		if (!one)
			break;
		(void)json_array_append_new(heard, one);
	}
	return heard;
}

/* The store's troubles are told by the thread that leases orders. */
static int64_t on_failure(struct ch_asker *asker, int rc, const struct ch_err *err)
{
	if (rc != CH_ECANCELED && rc != CH_ENETWORK)
		ch_log(asker->told ? CH_LOG_DEBUG : CH_LOG_WARN,
			"the CA is not asked when to renew: %s", err->detail);
	asker->told = true;
	return LOOK_MOST_MS;
}

static int write_heard(struct ch_asker *asker, json_t *heard, struct ch_err *err)
{
	json_auto_t *body = json_pack("{sO}", "certificates", heard);
	struct ch_api_call call = {.method = "POST", .path = "/v1/renewal-info", .body = body};
	json_int_t moved;
	int rc = ch_api_call(asker->api, &call, err);

	if (rc)
		return rc;
	moved = json_integer_value(json_object_get(call.answer, "moved"));
	json_decref(call.answer);
	if (moved > 0)
		ch_log_info("the CA's renewal information moves %" JSON_INTEGER_FORMAT
			    " of %zu renewals",
			moved, json_array_size(heard));
	return CH_OK;
}

/* Until the next is due; 0: more is due now. */
static int64_t next_look(const json_t *answer)
{
	int64_t next_ms;
	int64_t now_ms = ch_now_ms();

	if (read_time(answer, "next_at", &next_ms) || next_ms > now_ms + LOOK_MOST_MS)
		return LOOK_MOST_MS;
	return next_ms <= now_ms ? 0 : clamp(next_ms - now_ms, LOOK_LEAST_MS, LOOK_MOST_MS);
}

static int lease(struct ch_asker *asker, size_t at, json_t **ret_answer, struct ch_err *err)
{
	const struct ch_ca *ca = &asker->asking->issuer->cas[at];
	json_auto_t *body = json_pack("{ss%sIsI}", "ca", ca->pace_account, ch_ca_host_len(ca),
		"max", (json_int_t)CH_ASK_BATCH, "lease_ms", (json_int_t)LEASE_MS);
	struct ch_api_call call = {
		.method = "POST", .path = "/v1/renewal-info/leases", .body = body};
	int rc = ch_api_call(asker->api, &call, err);

	if (rc == CH_OK)
		*ret_answer = call.answer;
	return rc;
}

static int64_t ask_about_due(struct ch_asker *asker, size_t at)
{
	struct ch_asking *asking = asker->asking;
	json_auto_t *answer = NULL;
	json_auto_t *heard = NULL;
	struct ch_err err = {0};
	int64_t wait_ms;
	int rc = lease(asker, at, &answer, &err);

	if (rc)
		return on_failure(asker, rc, &err);
	wait_ms = next_look(answer);
	pthread_mutex_lock(&asking->lock);
	asking->cas[at].backlog = wait_ms == 0;
	pthread_mutex_unlock(&asking->lock);
	heard = ask_all(asker, at, json_object_get(answer, "certificates"));
	if (json_array_size(heard) > 0)
		rc = write_heard(asker, heard, &err);
	if (rc)
		return on_failure(asker, rc, &err);
	asker->told = false;
	return wait_ms;
}

/* More is due than those at work ask about, and a turn has come that none of them is free to
 * take: so there are as many connections as a CA's answers take time, and no more. */
static bool needs_help(struct ch_asking *asking, size_t at)
{
	bool needed;

	pthread_mutex_lock(&asking->lock);
	needed = asking->cas[at].backlog && asking->cas[at].next_mono_ms <= ch_mono_ms();
	pthread_mutex_unlock(&asking->lock);
	return needed;
}

static bool may_look(struct ch_asker *asker, size_t at)
{
	return (asker->leads || needs_help(asker->asking, at)) && !is_paused(asker->asking, at);
}

static bool has_http(struct ch_asker *asker, size_t at)
{
	struct ch_issuer *issuer = asker->asking->issuer;
	struct ch_err err = {0};

	if (!asker->https[at] &&
		ch_issuer_new_http(issuer, &issuer->cas[at], &asker->https[at], &err)) {
		ch_log_error("%s", err.detail);
		return false;
	}
	return true;
}

int64_t ch_asker_round(struct ch_asker *asker)
{
	struct ch_issuer *issuer = asker->asking->issuer;
	int64_t least_ms = asker->leads ? LOOK_MOST_MS : HELP_LOOK_MS;

	for (size_t i = 0; i < issuer->n_cas && !atomic_load(&issuer->stopping); i++) {
		int64_t wait_ms = least_ms;

		if (may_look(asker, i) && has_http(asker, i))
			wait_ms = ask_about_due(asker, i);
		if (wait_ms < least_ms)
			least_ms = wait_ms;
	}
	return least_ms;
}

void *ch_asker_main(void *arg)
{
	struct ch_asker *asker = arg;

	while (!ch_queue_sleep(asker->asking->queue, ch_asker_round(asker)))
		;
	return NULL;
}
