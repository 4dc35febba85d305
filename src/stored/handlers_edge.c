/* The edges' side: acknowledgements, and forgetting an edge that is gone. */
#include <string.h>

#include "stored/domain_in.h"
#include "stored/handlers.h"
#include "stored/service.h"
#include "wire/edge_error.h"

#define SOFTWARE_MAX_B 200

static void edge_done(struct ch_req *req)
{
	if (ch_service_written(req, req->own))
		ch_req_empty(req, 204);
}

void ch_handle_edge_ack(struct ch_req *req)
{
	struct ch_store_op *op = ch_arena_alloc(req->arena, sizeof(*op));
	struct ch_op_edge_ack *ack;
	struct ch_json_in in;

	if (!op) {
		ch_req_fail_rc(req, CH_ENOMEM, "acknowledge");
		return;
	}
	op->type = CH_OP_EDGE_ACK;
	ack = &op->u.edge_ack;
	ack->pool = req->who.uri.scope;
	ack->id = req->who.uri.id;
	ch_json_in_init(&in, req->json, "");
	ch_json_in_hex(&in, "epoch", CH_JSON_REQUIRED, ack->epoch, sizeof(ack->epoch));
	ack->seq = (uint64_t)ch_json_in_int(&in, "seq", CH_JSON_REQUIRED, 0, CH_JSON_INT_MAX);
	ack->names =
		(uint64_t)ch_json_in_int(&in, "names", CH_JSON_REQUIRED, 0, CH_JSON_INT_MAX);
	ack->software = ch_json_in_str(&in, "software", CH_JSON_REQUIRED, SOFTWARE_MAX_B);
	ack->error = ch_json_in_str(&in, "error", CH_JSON_OPTIONAL, CH_EDGE_ERROR_MAX_B);
	if (!ch_req_body_ok(req, &in))
		return;
	req->own = op;
	ch_service_write(req, op, edge_done);
}

void ch_handle_edge_delete(struct ch_req *req)
{
	struct ch_store_op *op = ch_arena_alloc(req->arena, sizeof(*op));

	if (!op) {
		ch_req_fail_rc(req, CH_ENOMEM, "forget an edge");
		return;
	}
	if (!ch_domain_in_is_label(req->match.params[0]) ||
		!ch_domain_in_is_label(req->match.params[1])) {
		ch_req_problem(
			req, CH_ENOTFOUND, "edge-not-found", NULL, "There is no such edge.");
		return;
	}
	op->type = CH_OP_EDGE_FORGET;
	op->u.edge_forget.pool = req->match.params[0];
	op->u.edge_forget.id = req->match.params[1];
	req->own = op;
	ch_service_write(req, op, edge_done);
}
