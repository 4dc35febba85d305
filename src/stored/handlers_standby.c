/* Standby certificates are put live: of one name, or of all that one CA has failed. */
#include "stored/handlers.h"
#include "stored/service.h"

struct standby {
	struct ch_store_op op;
	char name[CH_NAME_TEXT_B];
};

static void one_done(struct ch_req *req)
{
	const struct standby *w = req->own;

	ch_service_answer_domain(req, &w->op, w->name);
}

void ch_handle_certificate_standby(struct ch_req *req)
{
	struct standby *w = ch_arena_alloc(req->arena, sizeof(*w));
	struct ch_json_in in;

	if (!w) {
		ch_req_fail_rc(req, CH_ENOMEM, "put a standby live");
		return;
	}
	if (!ch_service_name(req, 0, w->name))
		return;
	w->op.type = CH_OP_STANDBY;
	w->op.u.standby.name = w->name;
	ch_json_in_init(&in, req->json, "");
	w->op.u.standby.ca = ch_json_in_str(&in, "ca", CH_JSON_OPTIONAL, CH_STORE_CA_NAME_MAX);
	w->op.u.standby.partly = ch_json_in_bool(&in, "partly", false);
	if (!ch_req_body_ok(req, &in))
		return;
	req->own = w;
	ch_service_write(req, &w->op, one_done);
}

static void some_done(struct ch_req *req)
{
	const struct standby *w = req->own;
	const struct ch_op_standby *op = &w->op.u.standby;

	if (!ch_service_written(req, &w->op))
		return;
	ch_req_json(req, 200,
		json_pack("{s:I, s:I, s:I, s:I, s:o}", "begun", (json_int_t)op->begun,
			"not_ready", (json_int_t)op->not_ready, "half_ready",
			(json_int_t)op->half_ready, "passed_over", (json_int_t)op->passed_over,
			"after", op->last ? json_string(op->last) : json_null()));
}

void ch_handle_standby(struct ch_req *req)
{
	struct standby *w = ch_arena_alloc(req->arena, sizeof(*w));
	struct ch_op_standby *op;
	struct ch_json_in in;

	if (!w) {
		ch_req_fail_rc(req, CH_ENOMEM, "put standbys live");
		return;
	}
	w->op.type = CH_OP_STANDBY;
	op = &w->op.u.standby;
	ch_json_in_init(&in, req->json, "");
	op->ca = ch_json_in_str(&in, "ca", CH_JSON_REQUIRED, CH_STORE_CA_NAME_MAX);
	op->after = ch_json_in_str(&in, "after", CH_JSON_OPTIONAL, CH_NAME_MAX);
	op->max = (size_t)ch_json_in_int(&in, "max", CH_JSON_REQUIRED, 1, CH_STORE_STANDBY_MAX);
	op->dry_run = ch_json_in_bool(&in, "dry_run", false);
	op->partly = ch_json_in_bool(&in, "partly", false);
	req->own = w;
	if (ch_req_body_ok(req, &in))
		ch_service_write(req, &w->op, some_done);
}
