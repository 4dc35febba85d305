#include "base/clock.h"
#include "stored/handlers.h"
#include "stored/present.h"
#include "stored/service.h"

void ch_handle_health(struct ch_req *req)
{
	ch_req_json(req, 200, json_pack("{s:s}", "status", "ok"));
}

static json_t *name_counts(const struct ch_store_status *status)
{
	json_t *counts = json_object();

	for (int i = 0; counts && i < CH_NAME_STATE_COUNT; i++)
		(void)json_object_set_new(counts, ch_name_state_str((enum ch_name_state)i),
			json_integer((json_int_t)status->names[i]));
	if (counts)
		(void)json_object_set_new(
			counts, "total", json_integer((json_int_t)status->names_total));
	return counts;
}

static json_t *failed_counts(const struct ch_store_status *status)
{
	json_t *counts = json_object();

	for (int i = 0; i < CH_STORE_ACTORS; i++)
		if (i != CH_ACTOR_NOBODY)
			(void)json_object_set_new(counts, ch_actor_str((enum ch_actor)i),
				json_integer((json_int_t)status->failed[i]));
	return counts;
}

static json_t *edges_array(const struct ch_store_edge *edges, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++)
		if (json_array_append_new(array, ch_present_edge(&edges[i]))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

void ch_handle_edges_list(struct ch_req *req)
{
	struct ch_store_feed_info info;
	struct ch_store_edge *edges;
	size_t n;
	int rc = ch_store_list_edges(req->service->store, req->arena, &edges, &n);

	if (!rc)
		rc = ch_store_read_feed(req->service->store, "default", 0, NULL, NULL, &info);
	if (rc) {
		ch_req_fail_rc(req, rc, "list edges");
		return;
	}
	ch_req_json(req, 200,
		json_pack("{s:o, s:I}", "edges", edges_array(edges, n), "head",
			(json_int_t)info.head));
}

static json_t *restore_object(const struct ch_store_status *status)
{
	if (!status->handback_until_ms)
		return json_null();
	return json_pack("{s:o, s:o}", "ordering_from",
		ch_present_time(status->ordering_from_ms), "handback_until",
		ch_present_time(status->handback_until_ms));
}

static json_t *pruned_object(const struct ch_store_pruned *pruned)
{
	return json_pack("{s:I, s:I, s:I, s:o}", "history", (json_int_t)pruned->history,
		"orders", (json_int_t)pruned->orders, "audit", (json_int_t)pruned->audit, "at",
		ch_present_time(pruned->at_ms));
}

void ch_handle_status(struct ch_req *req)
{
	struct ch_store_status status;
	struct ch_store_pool *pools;
	struct ch_store_edge *edges;
	size_t n_pools;
	size_t n;
	json_t *expiry = json_null();
	int rc = ch_store_get_status(req->service->store, req->arena, &status);

	if (!rc)
		rc = ch_store_list_edges(req->service->store, req->arena, &edges, &n);
	if (!rc)
		rc = ch_store_list_pools(
			req->service->store, NULL, req->arena, &pools, &n_pools);
	if (rc) {
		ch_req_fail_rc(req, rc, "read the status");
		return;
	}
	if (status.expiry_name)
		expiry = json_pack("{s:s, s:o}", "name", status.expiry_name, "not_after",
			ch_present_time(status.expiry_ms));
	ch_req_json(req, 200,
		json_pack(
			"{s:o, s:o, s:I, s:o, s:o, s:{s:I, s:I}, s:o, s:o, s:o, s:{s:o, s:I}, "
			"s:o, s:o, s:i, s:s, s:o}",
			"names", name_counts(&status), "failed", failed_counts(&status),
			"in_line", (json_int_t)status.in_line, "next_due_at",
			ch_present_time(status.next_due_ms), "next_expiry", expiry, "orders",
			"open", (json_int_t)status.orders_open, "waiting",
			(json_int_t)status.orders_waiting, "edges", edges_array(edges, n),
			"issuers", ch_issuers_list(req->service->issuers), "pools",
			ch_present_pools(pools, n_pools), "feed", "epoch",
			ch_present_hex(status.epoch, CH_EPOCH_B), "head",
			(json_int_t)status.head, "restore", restore_object(&status), "pruned",
			pruned_object(&status.pruned), "schema", (int)status.schema, "version",
			CH_VERSION, "now", ch_present_time(ch_now_ms())));
}

void ch_handle_audit(struct ch_req *req)
{
	struct ch_store_audit *entries;
	json_t *array;
	uint64_t before;
	size_t limit;
	size_t n;
	int rc;

	if (!ch_service_page(req, &limit, &before))
		return;
	rc = ch_store_list_audit(
		req->service->store, before, limit, req->arena, &entries, &n, &before);
	if (rc) {
		ch_req_fail_rc(req, rc, "list the audit log");
		return;
	}
	array = json_array();
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(array,
			json_pack("{s:o, s:s, s:s, s:s}", "at",
				ch_present_time(entries[i].at_ms), "who", entries[i].who,
				"action", entries[i].action, "target", entries[i].target));
	ch_req_json(req, 200,
		json_pack("{s:o, s:o}", "entries", array, "next_cursor",
			ch_service_cursor(req, before)));
}
