#include <inttypes.h>
#include <string.h>

#include "stored/handlers.h"
#include "stored/present.h"
#include "stored/service.h"

void ch_handle_certificate(struct ch_req *req)
{
	struct ch_store_certs certs;
	char name[CH_NAME_TEXT_B];
	int rc;

	if (!ch_service_name(req, 0, name))
		return;
	rc = ch_store_get_certs(req->service->store, name, req->arena, &certs);
	if (rc == CH_ENOTFOUND) {
		ch_req_problem(req, rc, "domain-not-found", NULL,
			"\"%s\" is not registered here.", name);
		return;
	}
	if (rc) {
		ch_req_fail_rc(req, rc, "read certificates");
		return;
	}
	ch_req_json(req, 200,
		json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "name", name, "current",
			ch_present_cert(certs.current), "previous",
			ch_present_cert(certs.previous), "second",
			ch_present_cert(certs.second), "standby",
			ch_present_cert(certs.standby), "second_standby",
			ch_present_cert(certs.second_standby)));
}

struct rollback {
	struct ch_store_op op;
	char name[CH_NAME_TEXT_B];
};

static void rollback_done(struct ch_req *req)
{
	const struct rollback *w = req->own;

	ch_service_answer_domain(req, &w->op, w->name);
}

void ch_handle_certificate_rollback(struct ch_req *req)
{
	struct rollback *w = ch_arena_alloc(req->arena, sizeof(*w));
	struct ch_json_in in;
	int64_t to;

	if (!w) {
		ch_req_fail_rc(req, CH_ENOMEM, "roll back");
		return;
	}
	if (!ch_service_name(req, 0, w->name))
		return;
	ch_json_in_init(&in, req->json, "");
	w->op.type = CH_OP_ROLLBACK;
	w->op.u.rollback.name = w->name;
	to = ch_json_in_int(&in, "to", CH_JSON_OPTIONAL, 1, CH_JSON_INT_MAX);
	w->op.u.rollback.to = ch_json_in_has(&in, "to") ? (uint64_t)to : 0;
	if (!ch_req_body_ok(req, &in))
		return;
	req->own = w;
	ch_service_write(req, &w->op, rollback_done);
}

void ch_handle_order_get(struct ch_req *req)
{
	struct ch_store_order order;
	uint64_t id;
	int rc;

	if (!ch_service_order_id(req, &id))
		return;
	rc = ch_store_get_order(req->service->store, id, req->arena, &order);
	if (rc == CH_ENOTFOUND)
		ch_req_problem(
			req, rc, "order-not-found", NULL, "There is no order %" PRIu64 ".", id);
	else if (rc)
		ch_req_fail_rc(req, rc, "read an order");
	else
		ch_req_json(req, 200, ch_present_order(&order));
}

/* False: the answer is given. */
static bool read_filter(
	struct ch_req *req, struct ch_store_order_filter *filter, char name[CH_NAME_TEXT_B])
{
	const char *state = ch_query_get(&req->query, "state");
	const char *given = ch_query_get(&req->query, "name");
	struct ch_err err = {0};

	if (!ch_service_page(req, &filter->limit, &filter->before))
		return false;
	filter->has_state = state != NULL;
	if (state && ch_order_state_parse(state, &filter->state)) {
		ch_req_problem(req, CH_EINVAL, "bad-query", "state",
			"\"%s\" is not a state of an order.", state);
		return false;
	}
	if (!given)
		return true;
	if (ch_name_normalize(given, strlen(given), &ch_service_any_name, name, &err)) {
		ch_req_fail(req, &err, "name");
		return false;
	}
	filter->name = name;
	return true;
}

void ch_handle_orders_list(struct ch_req *req)
{
	struct ch_store_order_filter filter = {0};
	struct ch_store_order_page page;
	char name[CH_NAME_TEXT_B];
	json_t *array;
	int rc;

	if (!read_filter(req, &filter, name))
		return;
	rc = ch_store_list_orders(req->service->store, &filter, req->arena, &page);
	if (rc) {
		ch_req_fail_rc(req, rc, "list orders");
		return;
	}
	array = json_array();
	for (size_t i = 0; i < page.n_orders; i++)
		if (json_array_append_new(array, ch_present_order(&page.orders[i]))) {
			json_decref(array);
			ch_req_fail_rc(req, CH_ENOMEM, "list orders");
			return;
		}
	ch_req_json(req, 200,
		json_pack("{s:o, s:o}", "orders", array, "next_cursor",
			ch_service_cursor(req, page.before)));
}
