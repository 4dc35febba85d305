/* The store's answers to the issuer, and the steps that follow from them.
 *
 * The first part of an input is the store's answer to a lease (fuzz/answer.h), the others are
 * the CA's answers to what the issuer asks then.  A store in an attacker's hands and a hostile
 * CA may make the issuer fail, but what it writes is always something that the store takes. */
#include <stdio.h>
#include <string.h>

#include "acme/problem.h"
#include "base/clock.h"
#include "issuer_bench.h"
#include "issuerd/sealed.h"
#include "net/api.h"

#define ORDERS_MAX 2
#define STEPS_MAX 6

/* What the issuer tells people is readable, whoever said it. */
static void check_reason(const struct ch_reason *reason)
{
	CH_FUZZ_CHECK(reason->code[0] && strlen(reason->code) < 64);
	CH_FUZZ_CHECK(strlen(reason->detail) <= 1000);
	CH_FUZZ_CHECK(ch_fuzz_is_utf8(reason->detail) && ch_fuzz_is_plain(reason->detail));
}

/* doc/api.md: times in RFC 3339, soon enough that somebody still cares. */
static void check_time(const json_t *doc, const char *key)
{
	const char *text = json_string_value(json_object_get(doc, key));
	int64_t at_ms;

	if (!json_object_get(doc, key))
		return;
	CH_FUZZ_CHECK(text && ch_time_parse(text, &at_ms) == CH_OK);
	CH_FUZZ_CHECK(at_ms >= ch_fuzz_now_ms && at_ms <= ch_fuzz_now_ms + 2 * CH_DAY_MS);
}

static void check_notes(const struct ch_notes *notes)
{
	json_t *doc = ch_notes_json(notes);
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	struct ch_notes back;
	json_t *again;

	CH_FUZZ_CHECK(text && strlen(text) <= 32768);
	CH_FUZZ_CHECK(ch_notes_read(doc, &back) == CH_OK);
	again = ch_notes_json(&back);
	CH_FUZZ_CHECK(json_equal(doc, again));
	json_decref(again);
	json_decref(doc);
	free(text);
}

static void check_write(const struct ch_write *w, const struct ch_work *work)
{
	json_t *doc = ch_write_json(w, work);
	const json_t *names = json_object_get(doc, "names");

	CH_FUZZ_CHECK(doc);
	check_time(doc, "next_at");
	if (w->has_reason)
		check_reason(&w->reason);
	if (w->has_notes)
		check_notes(&w->notes);
	CH_FUZZ_CHECK(!w->has_attempts || w->attempts <= 1000000);
	CH_FUZZ_CHECK(!w->has_state || w->state == CH_ORDER_NEW || w->state >= work->state);
	CH_FUZZ_CHECK(
		!w->has_state || w->state != CH_ORDER_SEALED || (w->csr_len && w->sealed_len));
	CH_FUZZ_CHECK(w->csr_len <= 8192 && w->sealed_len <= 16384);
	if (w->has_state && w->state == CH_ORDER_FAILED)
		CH_FUZZ_CHECK(json_array_size(names) == work->n_names);
	for (size_t i = 0; i < json_array_size(names); i++) {
		check_reason(&w->verdicts[i].reason);
		if (!w->verdicts[i].paused)
			check_time(json_array_get(names, i), "next_at");
	}
	json_decref(doc);
}

static void check_work(const struct ch_work *work)
{
	CH_FUZZ_CHECK(work->id >= 1 && work->id < UINT64_C(1) << 53);
	CH_FUZZ_CHECK(work->fence < UINT64_C(1) << 53);
	CH_FUZZ_CHECK(work->n_names >= 1 && work->n_names <= CH_WORK_NAMES_MAX);
	for (size_t i = 0; i < work->n_names; i++) {
		CH_FUZZ_CHECK(work->name_list[i] == work->names[i] && work->names[i][0]);
		CH_FUZZ_CHECK(ch_fuzz_is_plain(work->names[i]));
	}
	CH_FUZZ_CHECK(work->attempts <= 1000000);
	CH_FUZZ_CHECK(work->csr_len <= 8192 && work->sealed_len <= 16384);
	CH_FUZZ_CHECK(ch_fuzz_is_plain(work->edges.behind));
	check_notes(&work->notes);
}

/* An order that says it is sealed, without the bytes: those that this issuer would have
 * stored, which no input can know. */
static void seal(struct ch_issuer *issuer, struct ch_work *work)
{
	struct ch_write made;
	struct ch_step step = {.issuer = issuer, .work = work, .out = &made};

	if ((work->state != CH_ORDER_SEALED && work->state != CH_ORDER_FINALIZING) || work->csr)
		return;
	ch_write_init(&made);
	ch_step_key(&step);
	if (made.csr) {
		free(work->sealed);
		work->csr = made.csr;
		work->csr_len = made.csr_len;
		work->sealed = made.sealed;
		work->sealed_len = made.sealed_len;
		made.csr = made.sealed = NULL;
	}
	ch_write_done(&made);
}

/* As the store: a new order has none of the old one's. */
static void apply(struct ch_write *w, struct ch_work *work)
{
	if (w->has_state && w->state == CH_ORDER_NEW) {
		memset(&work->notes, 0, sizeof(work->notes));
		free(work->csr);
		free(work->sealed);
		work->csr = work->sealed = NULL;
		work->csr_len = work->sealed_len = 0;
	}
	ch_write_apply(w, work);
	work->fresh = w->go_on;
	if (w->next_at_ms > ch_fuzz_now_ms)
		ch_fuzz_now_ms = w->next_at_ms;
}

static void make_steps(struct ch_issuer *issuer, struct ch_http *ca, struct ch_work *work)
{
	seal(issuer, work);
	for (int i = 0; i < STEPS_MAX; i++) {
		struct ch_write w;
		struct ch_step step = {.issuer = issuer, .https = &ca, .work = work, .out = &w};
		bool over;

		ch_write_init(&w);
		ch_step_run(&step);
		check_write(&w, work);
		over = w.publish || (w.has_state && w.state >= CH_ORDER_DONE);
		if (!over)
			apply(&w, work);
		ch_write_done(&w);
		if (over)
			return;
	}
}

/* An error of the API becomes a reason when the store refuses a publication. */
static void check_api_error(const struct ch_err *err)
{
	struct ch_reason reason;

	CH_FUZZ_CHECK(err->rc < 0 && err->problem[0] && err->detail[0]);
	ch_reason_from_err(&reason, err);
	check_reason(&reason);
}

static json_t *lease(const struct ch_fuzz_parts *parts, struct ch_fuzz_parts *ret_rest)
{
	struct ch_api_options options = {.n_urls = 0};
	struct ch_api_call call = {.method = "POST", .path = "/v1/leases"};
	struct ch_fuzz_http store;
	struct ch_api *api = NULL;
	struct ch_err err = {0};

	ch_fuzz_http_init(&store, parts);
	CH_FUZZ_CHECK(ch_api_options_add_url(&options, "https://store.test") == CH_OK);
	CH_FUZZ_CHECK(ch_api_new_over(&options, &store.http, &api, &err) == CH_OK);
	if (ch_api_call(api, &call, &err))
		check_api_error(&err);
	ch_api_free(api);
	*ret_rest = store.parts;
	return call.answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ch_issuer *issuer = ch_fuzz_issuer();
	struct ch_fuzz_parts parts;
	struct ch_fuzz_ca ca;
	const json_t *orders;
	json_t *answer;

	ch_fuzz_now_ms = CH_FUZZ_BEGIN_MS;
	ch_fuzz_parts_init(&parts, data, size);
	answer = lease(&parts, &parts);
	ch_fuzz_ca_init(&ca, &parts);
	orders = json_object_get(answer, "orders");
	for (size_t i = 0; i < json_array_size(orders) && i < ORDERS_MAX; i++) {
		struct ch_work *work = NULL;
		struct ch_err err = {0};

		if (ch_work_read(json_array_get(orders, i), INT64_MAX, &work, &err)) {
			ch_fuzz_check_err(&err);
			continue;
		}
		check_work(work);
		make_steps(issuer, &ca.http, work);
		ch_work_free(work);
	}
	json_decref(answer);
	return 0;
}
