/* What holds changes back from the edges of a pool: a freeze, a canary. */
#include <string.h>

#include "stored/domain_in.h"
#include "stored/handlers.h"
#include "stored/present.h"
#include "stored/service.h"

static void pools_answer(struct ch_req *req, const struct ch_store_pool *pools, size_t n)
{
	json_t *array = ch_present_pools(pools, n);

	ch_req_json(req, 200, array ? json_pack("{s:o}", "pools", array) : NULL);
}

void ch_handle_pools_list(struct ch_req *req)
{
	struct ch_store_pool *pools;
	size_t n;
	int rc = ch_store_list_pools(req->service->store, NULL, req->arena, &pools, &n);

	if (rc)
		ch_req_fail_rc(req, rc, "list pools");
	else
		pools_answer(req, pools, n);
}

static void pool_done(struct ch_req *req)
{
	const struct ch_store_op *op = req->own;
	struct ch_store_pool *pools;
	size_t n;
	int rc;

	if (!ch_service_written(req, op))
		return;
	rc = ch_store_list_pools(req->service->store, op->u.pool.pool, req->arena, &pools, &n);
	if (rc)
		ch_req_fail_rc(req, rc, "read a pool");
	else
		ch_req_json(req, 200, ch_present_pool(&pools[0]));
}

/* NULL: the answer is given. */
static struct ch_store_op *new_op(struct ch_req *req, enum ch_pool_action action)
{
	struct ch_store_op *op = ch_arena_alloc(req->arena, sizeof(*op));

	if (!op) {
		ch_req_fail_rc(req, CH_ENOMEM, "change a pool");
		return NULL;
	}
	if (!ch_domain_in_is_label(req->match.params[0])) {
		ch_req_problem(req, CH_ENOTFOUND, "pool-not-found", NULL,
			"A pool is 1 to %d of a-z, 0-9, '.', '_', '-'.", CH_STORE_LABEL_MAX);
		return NULL;
	}
	op->type = CH_OP_POOL;
	op->u.pool.pool = req->match.params[0];
	op->u.pool.action = action;
	req->own = op;
	return op;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == 0;
}

void ch_handle_pool_freeze(struct ch_req *req)
{
	struct ch_store_op *op = new_op(req, CH_POOL_FREEZE);
	struct ch_json_in in;

	if (!op)
		return;
	ch_json_in_init(&in, req->json, "");
	op->u.pool.why = ch_json_in_str(&in, "reason", CH_JSON_REQUIRED, CH_STORE_WHY_MAX);
	if (op->u.pool.why && is_blank(op->u.pool.why))
		ch_json_in_fail(&in, "reason", "\"reason\" must say why.");
	if (ch_req_body_ok(req, &in))
		ch_service_write(req, op, pool_done);
}

static void act(struct ch_req *req, enum ch_pool_action action)
{
	struct ch_store_op *op = new_op(req, action);
	struct ch_json_in in;

	if (!op)
		return;
	ch_json_in_init(&in, req->json, "");
	if (ch_req_body_ok(req, &in))
		ch_service_write(req, op, pool_done);
}

void ch_handle_pool_thaw(struct ch_req *req)
{
	act(req, CH_POOL_THAW);
}

void ch_handle_pool_release(struct ch_req *req)
{
	act(req, CH_POOL_RELEASE);
}

void ch_handle_pool_canary_put(struct ch_req *req)
{
	struct ch_store_op *op = new_op(req, CH_POOL_CANARY);
	struct ch_json_in in;

	if (!op)
		return;
	ch_json_in_init(&in, req->json, "");
	op->u.pool.edge = ch_json_in_str(&in, "edge", CH_JSON_REQUIRED, CH_STORE_LABEL_MAX);
	if (op->u.pool.edge && !ch_domain_in_is_label(op->u.pool.edge))
		ch_json_in_fail(&in, "edge",
			"\"edge\" is the id of an edge alone: e1 of edge/default/e1.");
	op->u.pool.soak_ms =
		ch_json_in_int(&in, "soak_ms", CH_JSON_REQUIRED, 0, CH_STORE_SOAK_MAX_MS);
	if (ch_req_body_ok(req, &in))
		ch_service_write(req, op, pool_done);
}

void ch_handle_pool_canary_delete(struct ch_req *req)
{
	struct ch_store_op *op = new_op(req, CH_POOL_NO_CANARY);

	if (op)
		ch_service_write(req, op, pool_done);
}
