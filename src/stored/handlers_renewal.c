/* When certificates are to be renewed: what an issuer hears from the CA, and the calendar. */
#include <string.h>

#include "base/clock.h"
#include "stored/handlers.h"
#include "stored/present.h"
#include "stored/service.h"

static json_t *slots(const struct ch_store_slot *list, size_t n, const char *key)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++)
		if (json_array_append_new(
			    array, json_pack("{s:o, s:I}", key, ch_present_time(list[i].at_ms),
					   "renewals", (json_int_t)list[i].n))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

void ch_handle_calendar(struct ch_req *req)
{
	struct ch_store_calendar c;
	int rc = ch_store_get_calendar(req->service->store, req->arena, &c);

	if (rc) {
		ch_req_fail_rc(req, rc, "read the calendar");
		return;
	}
	ch_req_json(req, 200,
		json_pack("{s:I, s:I, s:o, s:I, s:o}", "total", (json_int_t)c.total, "overdue",
			(json_int_t)c.overdue, "days", slots(c.days, c.n_days, "day"), "later",
			(json_int_t)c.later, "busiest", slots(c.hours, c.n_hours, "hour")));
}

struct lease {
	struct ch_store_op op;
};

/* next_ms: when there is more; INT64_MAX: never, as far as is known. */
static void lease_answer(struct ch_req *req, const struct ch_op_ask_lease *lease)
{
	json_t *list = json_array();
	int64_t next_ms;
	int rc = ch_store_next_ask(req->service->store, lease->ca, &next_ms);

	if (rc) {
		json_decref(list);
		ch_req_fail_rc(req, rc, "look for certificates to ask about");
		return;
	}
	for (size_t i = 0; i < lease->n_asks; i++) {
		const struct ch_store_ask *ask = &lease->asks[i];

		(void)json_array_append_new(
			list, json_pack("{s:I, s:s, s:o, s:o, s:o, s:I}", "version",
				      (json_int_t)ask->version, "ari_id", ask->ari_id,
				      "not_before", ch_present_time(ask->not_before_ms),
				      "not_after", ch_present_time(ask->not_after_ms),
				      "published_at", ch_present_time(ask->published_at_ms),
				      "failures", (json_int_t)ask->failures));
	}
	ch_req_json(req, 200,
		json_pack("{s:o, s:o, s:o}", "certificates", list, "next_at",
			/* 0, at once, must not look like never. */
			ch_present_time(next_ms < 1 ? 1 : next_ms), "now",
			ch_present_time(ch_now_ms())));
}

static void lease_done(struct ch_req *req)
{
	struct lease *l = req->own;

	if (ch_service_written(req, &l->op))
		lease_answer(req, &l->op.u.ask_lease);
}

void ch_handle_renewal_leases(struct ch_req *req)
{
	struct lease *l = ch_arena_alloc(req->arena, sizeof(*l));
	struct ch_op_ask_lease *lease;
	struct ch_json_in in;
	int64_t next_ms;
	int rc;

	if (!l) {
		ch_req_fail_rc(req, CH_ENOMEM, "lease");
		return;
	}
	l->op.type = CH_OP_ASK_LEASE;
	lease = &l->op.u.ask_lease;
	ch_json_in_init(&in, req->json, "");
	lease->ca = ch_json_in_str(&in, "ca", CH_JSON_REQUIRED, CH_STORE_ACCOUNT_MAX);
	lease->max = (size_t)ch_json_in_int(&in, "max", CH_JSON_REQUIRED, 1, CH_STORE_ASK_MAX);
	lease->lease_ms = ch_json_in_int(&in, "lease_ms", CH_JSON_REQUIRED, 1000, 3600000);
	if (!ch_req_body_ok(req, &in))
		return;
	req->own = l;
	/* A lease is a write: only when something is due. */
	rc = ch_store_next_ask(req->service->store, lease->ca, &next_ms);
	if (rc)
		ch_req_fail_rc(req, rc, "look for certificates to ask about");
	else if (next_ms > ch_now_ms())
		lease_answer(req, lease);
	else
		ch_service_write(req, &l->op, lease_done);
}

struct results {
	struct ch_store_op op;
	struct ch_store_heard heard[CH_STORE_ASK_MAX];
};

static void read_window(struct ch_json_in *from, json_t *value, struct ch_store_heard *heard)
{
	struct ch_json_in part;
	struct ch_json_in *in = &part;

	ch_json_in_init(in, value, "certificates.window.");
	heard->start_ms = ch_json_in_time(in, "start", CH_JSON_REQUIRED);
	heard->end_ms = ch_json_in_time(in, "end", CH_JSON_REQUIRED);
	heard->from_ms = ch_json_in_time(in, "renew_from", CH_JSON_REQUIRED);
	heard->until_ms = ch_json_in_time(in, "renew_at", CH_JSON_REQUIRED);
	heard->explanation =
		ch_json_in_str(in, "explanation", CH_JSON_OPTIONAL, CH_STORE_ARI_URL_MAX);
	if (heard->end_ms <= heard->start_ms)
		ch_json_in_fail(in, "end", "The window must end after it begins.");
	else if (heard->until_ms < heard->from_ms)
		ch_json_in_fail(
			in, "renew_at", "\"renew_at\" must not be before \"renew_from\".");
	if (ch_json_in_finish(in))
		ch_json_in_adopt(from, in);
}

static void read_one(struct ch_json_in *from, json_t *value, struct ch_store_heard *heard)
{
	struct ch_json_in in;
	json_t *window;

	ch_json_in_init(&in, value, "certificates.");
	heard->version =
		(uint64_t)ch_json_in_int(&in, "version", CH_JSON_REQUIRED, 1, CH_JSON_INT_MAX);
	heard->next_at_ms = ch_json_in_time(&in, "next_at", CH_JSON_REQUIRED);
	heard->failed = ch_json_in_bool(&in, "failed", false);
	window = ch_json_in_object(&in, "window", CH_JSON_OPTIONAL);
	heard->put_off = !window && !heard->failed;
	if (window && heard->failed)
		ch_json_in_fail(
			&in, "failed", "What failed has no window: leave out one of them.");
	else if (window)
		read_window(&in, window, heard);
	if (ch_json_in_finish(&in))
		ch_json_in_adopt(from, &in);
}

static void results_done(struct ch_req *req)
{
	struct results *r = req->own;

	if (ch_service_written(req, &r->op))
		ch_req_json(req, 200,
			json_pack("{s:I}", "moved", (json_int_t)r->op.u.ask_write.moved));
}

void ch_handle_renewal_info(struct ch_req *req)
{
	struct results *r = ch_arena_alloc(req->arena, sizeof(*r));
	struct ch_json_in in;
	json_t *list;

	if (!r) {
		ch_req_fail_rc(req, CH_ENOMEM, "write renewal information");
		return;
	}
	memset(r, 0, sizeof(*r));
	ch_json_in_init(&in, req->json, "");
	list = ch_json_in_array(&in, "certificates", CH_JSON_REQUIRED, CH_STORE_ASK_MAX);
	for (size_t i = 0; i < json_array_size(list); i++)
		read_one(&in, json_array_get(list, i), &r->heard[i]);
	if (list && json_array_size(list) == 0)
		ch_json_in_fail(&in, "certificates", "There must be one certificate at least.");
	if (!ch_req_body_ok(req, &in))
		return;
	r->op.type = CH_OP_ASK_WRITE;
	r->op.u.ask_write.heard = r->heard;
	r->op.u.ask_write.n_heard = json_array_size(list);
	req->own = r;
	ch_service_write(req, &r->op, results_done);
}
