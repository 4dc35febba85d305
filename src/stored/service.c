#include "stored/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/mem.h"
#include "stored/present.h"
#include "wire/record.h"

#define LIMIT_DEFAULT 100

const char *ch_service_who(struct ch_req *req)
{
	const struct ch_identity_uri *uri = &req->who.uri;

	return ch_arena_fmt(req->arena, "%s/%s/%s", uri->role, uri->scope, uri->id);
}

void ch_service_answer_domain(
	struct ch_req *req, const struct ch_store_op *op, const char *name)
{
	struct ch_store_domain domain;
	int rc;

	if (!ch_service_written(req, op))
		return;
	rc = ch_store_get_domain(req->service->store, name, req->arena, &domain);
	if (rc == CH_ENOTFOUND)
		ch_req_problem(req, rc, "domain-not-found", NULL,
			"\"%s\" is not registered here.", name);
	else if (rc)
		ch_req_fail_rc(req, rc, "read a domain");
	else
		ch_req_json(req, 200, ch_present_domain(&domain, req->service->delegate));
}

bool ch_service_asks_proof(const struct ch_req *req)
{
	return req->service->claims && req->who.role != CH_ROLE_OPERATOR;
}

static void on_done(struct ch_store_op *op, void *user)
{
	ch_req_wake(user);
}

struct together {
	struct ch_req *req;
	atomic_size_t left;
};

/* The last one's is the request; who has it may free all of this. */
static void one_less(struct together *together)
{
	struct ch_req *req = together->req;

	if (atomic_fetch_sub(&together->left, 1) == 1)
		ch_req_wake(req);
}

static void on_one_done(struct ch_store_op *op, void *user)
{
	one_less(user);
}

void ch_service_write_all(
	struct ch_req *req, struct ch_store_op *const *ops, size_t n, ch_req_fn *next)
{
	struct together *together = ch_arena_alloc(req->arena, sizeof(*together));

	if (!together) {
		ch_req_fail_rc(req, CH_ENOMEM, "write");
		return;
	}
	together->req = req;
	atomic_init(&together->left, n + 1);
	if (!ch_req_park(req, next))
		return;
	for (size_t i = 0; i < n; i++) {
		int rc;

		ops[i]->arena = req->arena;
		ops[i]->done = on_one_done;
		ops[i]->user = together;
		ops[i]->who = NULL;
		ops[i]->rc = CH_OK;
		rc = ch_store_submit(req->service->store, ops[i]);
		if (!rc)
			continue; /* the store's, and perhaps done */
		ops[i]->rc = rc;
		one_less(together);
	}
	one_less(together);
}

void ch_service_write(struct ch_req *req, struct ch_store_op *op, ch_req_fn *next)
{
	enum ch_role role = req->who.role;
	int rc;

	op->arena = req->arena;
	op->done = on_done;
	op->user = req;
	op->who = NULL;
	op->rc = CH_OK;
	/* Of what issuers do only this is a decision of people. */
	if (role == CH_ROLE_OPERATOR || role == CH_ROLE_PLATFORM || op->type == CH_OP_ADOPT) {
		op->who = ch_service_who(req);
		if (!op->who) {
			ch_req_fail_rc(req, CH_ENOMEM, "write");
			return;
		}
	}
	if (!ch_req_park(req, next))
		return;
	rc = ch_store_submit(req->service->store, op);
	if (rc == CH_OK)
		return; /* op is the store's, and may be done already */
	op->rc = rc;
	ch_req_wake(req);
}

bool ch_service_written(struct ch_req *req, const struct ch_store_op *op)
{
	struct ch_err err;

	if (op->rc == CH_OK)
		return true;
	ch_service_why(op, &err);
	ch_req_fail(req, &err, NULL);
	return false;
}

void ch_service_why(const struct ch_store_op *op, struct ch_err *ret_err)
{
	*ret_err = op->err;
	if (!op->err.rc || !op->err.problem[0])
		ch_req_err(op->rc, "write to the store", ret_err);
}

const struct ch_name_rules ch_service_any_name = {.allow_wildcard = true};

bool ch_service_name(struct ch_req *req, size_t param, char ret_name[CH_NAME_TEXT_B])
{
	const char *text = req->match.params[param];
	struct ch_err err = {0};

	if (ch_name_normalize(text, strlen(text), &ch_service_any_name, ret_name, &err) ==
		CH_OK)
		return true;
	ch_req_fail(req, &err, "name");
	return false;
}

/* Plain decimal, 1 … 2^53 - 1. */
static int parse_id(const char *text, uint64_t *ret_id)
{
	size_t n = strspn(text, "0123456789");
	uint64_t id = 0;

	if (n == 0 || n > 16 || text[n])
		return CH_EINVAL;
	for (size_t i = 0; i < n; i++)
		id = id * 10 + (uint64_t)(text[i] - '0');
	if (id == 0 || id > CH_STORE_ID_MAX)
		return CH_EINVAL;
	*ret_id = id;
	return CH_OK;
}

bool ch_service_order_id(struct ch_req *req, uint64_t *ret_id)
{
	if (parse_id(req->match.params[0], ret_id) == CH_OK)
		return true;
	ch_req_problem(req, CH_ENOTFOUND, "order-not-found", NULL, "There is no such order.");
	return false;
}

size_t ch_service_records(struct ch_req *req, struct ch_json_in *in, const char *key,
	enum ch_json_need need, struct ch_store_record_bytes *ret_records)
{
	json_t *list = ch_json_in_array(in, key, need, CH_STORE_ORDER_NAMES_MAX);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));
		CH_AUTO_FREE uint8_t *bytes = NULL;
		size_t len;

		if (!text || ch_b64u_decode_alloc(text, CH_RECORD_MAX_B, &bytes, &len)) {
			ch_json_in_fail(in, key,
				"Each record must be base64url of at most %u bytes.",
				CH_RECORD_MAX_B);
			return 0;
		}
		ret_records[i].bytes = ch_arena_copy(req->arena, bytes, len);
		ret_records[i].len = len;
		if (!ret_records[i].bytes) {
			ch_json_in_fail(in, key, "Out of memory.");
			return 0;
		}
	}
	return json_array_size(list);
}

bool ch_service_page(struct ch_req *req, size_t *ret_limit, uint64_t *ret_before)
{
	const char *cursor = ch_query_get(&req->query, "cursor");
	struct ch_err err = {0};
	int64_t limit;

	if (ch_query_int(
		    &req->query, "limit", LIMIT_DEFAULT, 1, CH_STORE_LIST_MAX, &limit, &err)) {
		ch_req_fail(req, &err, "limit");
		return false;
	}
	*ret_before = 0;
	if (cursor && parse_id(cursor, ret_before)) {
		ch_req_problem(req, CH_EINVAL, "bad-query", "cursor",
			"The cursor must be the next_cursor of an earlier answer.");
		return false;
	}
	*ret_limit = (size_t)limit;
	return true;
}

json_t *ch_service_cursor(struct ch_req *req, uint64_t before)
{
	char text[24];

	if (before == 0)
		return json_null();
	snprintf(text, sizeof(text), "%" PRIu64, before);
	return json_string(text);
}

json_t *ch_service_order_json(const struct ch_store_order_answer *answer)
{
	return json_pack("{s:I, s:I, s:s, s:o}", "id", (json_int_t)answer->id, "fence",
		(json_int_t)answer->fence, "state", ch_order_state_str(answer->state), "edges",
		ch_present_edges_state(&answer->edges));
}

void ch_service_order_answer(struct ch_req *req, const struct ch_store_order_answer *answer)
{
	ch_req_json(req, 200, ch_service_order_json(answer));
}
