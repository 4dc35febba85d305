/* Alerts: what an issuer sees and what the store sees by itself, and the list for people. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "stored/alerts.h"
#include "stored/handlers.h"
#include "stored/present.h"
#include "stored/service.h"

#define TROUBLES_MAX 64 /* of one issuer */
#define LIST_MAX 500
/* Longer than telling of all of them takes. */
#define LEASE_MS (10 * CH_MINUTE_MS)

static json_t *one(const struct ch_store_alert *a)
{
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:I}", "id",
		(json_int_t)a->id, "kind", a->kind, "subject", a->subject, "source", a->source,
		"severity", a->severity, "detail", a->detail, "opened_at",
		ch_present_time(a->opened_ms), "seen_at", ch_present_time(a->seen_ms),
		"closed_at", ch_present_time(a->closed_ms), "tries", (json_int_t)a->tries);
}

static json_t *all(const struct ch_store_alert *alerts, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < n; i++) {
		if (json_array_append_new(list, one(&alerts[i]))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

void ch_handle_alerts_get(struct ch_req *req)
{
	const char *state = ch_query_get(&req->query, "state");
	struct ch_store_alert *alerts;
	size_t n;
	int rc;

	if (state && strcmp(state, "open") != 0 && strcmp(state, "all") != 0) {
		ch_req_problem(
			req, CH_EINVAL, "bad-query", "state", "The state must be open or all.");
		return;
	}
	rc = ch_store_list_alerts(req->service->store, state && strcmp(state, "all") == 0,
		LIST_MAX, req->arena, &alerts, &n);
	if (rc) {
		ch_req_fail_rc(req, rc, "list alerts");
		return;
	}
	ch_req_json(req, 200, json_pack("{s:o}", "alerts", all(alerts, n)));
}

struct report {
	struct ch_store_op op;
	struct ch_store_trouble troubles[TROUBLES_MAX];
	struct ch_store_told told[CH_STORE_TOLD_MAX];
	const char *source;
};

static void report_done(struct ch_req *req)
{
	struct report *r = req->own;

	if (ch_service_written(req, &r->op))
		ch_req_json(req, 200,
			json_pack("{s:o}", "tell",
				all(r->op.u.alerts.tell, r->op.u.alerts.n_tell)));
}

static void read_trouble(struct ch_json_in *from, json_t *value, const char *source,
	struct ch_store_trouble *trouble)
{
	struct ch_json_in in;
	const char *severity;

	ch_json_in_init(&in, value, "troubles.");
	trouble->source = source;
	trouble->kind = ch_json_in_str(&in, "kind", CH_JSON_REQUIRED, CH_STORE_ALERT_KIND_MAX);
	if (trouble->kind && !ch_alert_kind_is_known(trouble->kind))
		ch_json_in_fail(&in, "kind",
			"The kind must be one of those of doc/alerts.md; is the issuer newer "
			"than "
			"the store?");
	trouble->subject =
		ch_json_in_str(&in, "subject", CH_JSON_REQUIRED, CH_STORE_ALERT_SUBJECT_MAX);
	trouble->detail =
		ch_json_in_str(&in, "detail", CH_JSON_REQUIRED, CH_STORE_ALERT_DETAIL_MAX);
	severity = ch_json_in_str(&in, "severity", CH_JSON_REQUIRED, 16);
	trouble->critical = severity && strcmp(severity, "critical") == 0;
	if (severity && !trouble->critical && strcmp(severity, "warning") != 0)
		ch_json_in_fail(&in, "severity", "The severity must be warning or critical.");
	if (ch_json_in_finish(&in))
		ch_json_in_adopt(from, &in);
}

static void read_told(struct ch_json_in *from, json_t *value, struct ch_store_told *told)
{
	struct ch_json_in in;

	ch_json_in_init(&in, value, "told.");
	told->id = (uint64_t)ch_json_in_int(&in, "id", CH_JSON_REQUIRED, 1, CH_JSON_INT_MAX);
	told->closed = ch_json_in_bool(&in, "closed", false);
	told->critical = ch_json_in_bool(&in, "critical", false);
	told->failed = ch_json_in_bool(&in, "failed", false);
	if (ch_json_in_finish(&in))
		ch_json_in_adopt(from, &in);
}

void ch_handle_alerts_post(struct ch_req *req)
{
	struct report *r = ch_arena_alloc(req->arena, sizeof(*r));
	struct ch_op_alerts *op;
	struct ch_json_in in;
	json_t *troubles;
	json_t *told;
	bool tells;

	if (r) {
		memset(&r->op, 0, sizeof(r->op));
		r->source = ch_service_who(req);
	}
	if (!r || !r->source) {
		ch_req_fail_rc(req, CH_ENOMEM, "report alerts");
		return;
	}
	ch_json_in_init(&in, req->json, "");
	troubles = ch_json_in_array(&in, "troubles", CH_JSON_REQUIRED, TROUBLES_MAX);
	for (size_t i = 0; i < json_array_size(troubles); i++)
		read_trouble(&in, json_array_get(troubles, i), r->source, &r->troubles[i]);
	told = ch_json_in_array(&in, "told", CH_JSON_OPTIONAL, CH_STORE_TOLD_MAX);
	for (size_t i = 0; i < json_array_size(told); i++)
		read_told(&in, json_array_get(told, i), &r->told[i]);
	tells = ch_json_in_bool(&in, "tells", false);
	if (!ch_req_body_ok(req, &in))
		return;
	r->op.type = CH_OP_ALERTS;
	op = &r->op.u.alerts;
	op->source = r->source;
	op->troubles = r->troubles;
	op->n_troubles = json_array_size(troubles);
	op->told = r->told;
	op->n_told = json_array_size(told);
	op->lease_ms = tells ? LEASE_MS : 0;
	req->own = r;
	ch_service_write(req, &r->op, report_done);
}
