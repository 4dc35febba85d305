/* The ticket keys of pools: made, sealed and signed by an issuer; kept here for the feed and
 * for the issuer that rotates them next. */
#include <string.h>

#include "stored/domain_in.h"
#include "stored/handlers.h"
#include "stored/present.h"
#include "stored/publish_in.h"
#include "stored/service.h"
#include "wire/tickets.h"

void ch_handle_tickets_list(struct ch_req *req)
{
	struct ch_store_tickets *list;
	json_t *pools;
	size_t n;
	int rc = ch_store_list_tickets(req->service->store, req->arena, &list, &n);

	if (rc) {
		ch_req_fail_rc(req, rc, "list ticket keys");
		return;
	}
	pools = json_array();
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(
			pools, json_pack("{s:s, s:I, s:o}", "pool", list[i].pool, "version",
				       (json_int_t)list[i].version, "record",
				       ch_present_bytes(list[i].record, list[i].record_len)));
	ch_req_json(req, 200, json_pack("{s:o}", "pools", pools));
}

/* The keys can be read by nobody here; the rest must be what the path says. */
const char *ch_tickets_in_check(struct ch_op_tickets *op)
{
	struct ch_tickets tickets;
	struct ch_record r;

	if (ch_record_decode(op->record, op->record_len, &r) || r.kind != CH_RECORD_TICKETS ||
		ch_tickets_decode(r.tickets, r.tickets_len, &tickets))
		return "It is not a record of ticket keys.";
	if (r.name_len != strlen(op->pool) || memcmp(r.name, op->pool, r.name_len) != 0)
		return "The record is of another pool.";
	if (r.version == 0 || r.version > CH_STORE_ID_MAX)
		return "The version is not below 2^53.";
	op->version = r.version;
	for (size_t i = 0; i < tickets.n; i++)
		if (tickets.keys[i].until_s > op->until_s)
			op->until_s = tickets.keys[i].until_s;
	return NULL;
}

static void tickets_done(struct ch_req *req)
{
	if (ch_service_written(req, req->own))
		ch_req_empty(req, 204);
}

static void read_body(struct ch_req *req, struct ch_json_in *in, struct ch_op_tickets *tickets)
{
	CH_AUTO_BUF struct ch_buf bytes;

	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	ch_json_in_init(in, req->json, "");
	tickets->replaces =
		(uint64_t)ch_json_in_int(in, "replaces", CH_JSON_REQUIRED, 0, CH_JSON_INT_MAX);
	ch_json_in_bytes(in, "record", CH_JSON_REQUIRED, &bytes);
	if (bytes.len == 0) {
		ch_json_in_fail(in, "record", "\"record\" must not be empty.");
		return;
	}
	tickets->record = ch_arena_copy(req->arena, bytes.data, bytes.len);
	tickets->record_len = bytes.len;
	if (!tickets->record)
		ch_json_in_fail(in, "record", "Out of memory.");
}

void ch_handle_tickets_put(struct ch_req *req)
{
	struct ch_store_op *op = ch_arena_alloc(req->arena, sizeof(*op));
	struct ch_json_in in;
	const char *wrong;

	if (!op) {
		ch_req_fail_rc(req, CH_ENOMEM, "keep ticket keys");
		return;
	}
	if (!ch_domain_in_is_label(req->match.params[0])) {
		ch_req_problem(req, CH_EINVAL, "bad-path", NULL,
			"A pool is 1 to %d of a-z, 0-9, '.', '_', '-'.", CH_STORE_LABEL_MAX);
		return;
	}
	op->type = CH_OP_TICKETS;
	op->u.tickets.pool = req->match.params[0];
	read_body(req, &in, &op->u.tickets);
	if (!ch_req_body_ok(req, &in))
		return;
	wrong = ch_tickets_in_check(&op->u.tickets);
	if (wrong) {
		ch_req_problem(req, CH_EINVAL, "bad-record", "record", "%s", wrong);
		return;
	}
	req->own = op;
	ch_service_write(req, op, tickets_done);
}
