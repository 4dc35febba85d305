/* POST /v1/domains: many domains, a result for each.  The items that can be registered go to
 * the store in a few operations, one after the other, so that a large batch does not fill the
 * queue of writes. */
#include <string.h>

#include "stored/domain_in.h"
#include "stored/handlers.h"
#include "stored/service.h"

#define BATCH_MAX 10000u
#define GIVEN_NAME_MAX_B 1024u

struct line {
	const char *name; /* normalized; NULL when rejected before the store saw it */
	const char *problem;
	const char *detail;
	size_t item; /* index into items, when name is there */
};

struct batch {
	struct ch_store_op op;
	struct line *lines;
	size_t n_lines;
	struct ch_store_put_item *items;
	size_t n_items;
	size_t n_sent; /* items that were in operations already submitted */
};

static ch_req_fn batch_next;

static void reject(struct ch_req *req, struct line *line, const struct ch_err *err)
{
	line->problem = ch_arena_str(req->arena, err->problem);
	line->detail = ch_arena_str(req->arena, err->detail);
}

/* Judges one item alone; what is wrong with it is its own result. */
static void read_line(struct ch_req *req, struct batch *b, struct line *line, json_t *value)
{
	struct ch_store_put_item *item = &b->items[b->n_items];
	char name[CH_NAME_TEXT_B];
	struct ch_err err = {0};
	struct ch_json_in in;
	const char *given;

	ch_json_in_init(&in, value, "");
	given = ch_json_in_str(&in, "name", CH_JSON_REQUIRED, GIVEN_NAME_MAX_B);
	ch_domain_in_read(&in, item);
	if (ch_json_in_finish(&in)) {
		reject(req, line, &in.err);
		return;
	}
	if (ch_name_normalize(given, json_string_length(json_object_get(value, "name")),
		    &req->service->name_rules, name, &err)) {
		reject(req, line, &err);
		return;
	}
	line->name = ch_arena_str(req->arena, name);
	if (!line->name)
		return;
	line->item = b->n_items++;
	item->name = line->name;
	item->ask_proof = ch_service_asks_proof(req);
}

static json_t *present_line(struct batch *b, const struct line *line, json_t *value)
{
	static const char *const words[] = {"created", "exists", "rejected"};
	const struct ch_store_put_item *item = line->name ? &b->items[line->item] : NULL;
	enum ch_store_put_result result = item ? item->result : CH_PUT_REJECTED;
	const char *problem = item ? item->problem : line->problem;
	const char *detail = item ? item->detail : line->detail;
	json_t *name = json_object_get(value, "name");
	json_t *json = json_pack("{s:O?, s:s}", "name", json_is_string(name) ? name : NULL,
		"status", words[result]);

	if (json && line->name)
		(void)json_object_set_new(json, "domain", json_string(line->name));
	if (json && result == CH_PUT_EXISTS)
		(void)json_object_set_new(json, "changed", json_boolean(item->changed));
	if (json && result == CH_PUT_REJECTED) {
		(void)json_object_set_new(
			json, "code", json_string(problem ? problem : "internal"));
		(void)json_object_set_new(json, "detail",
			ch_problem_text_json(detail ? detail : "See the log of the store."));
	}
	return json;
}

static void answer(struct ch_req *req, struct batch *b)
{
	json_t *domains = json_object_get(req->json, "domains");
	json_t *results = json_array();
	json_int_t counts[3] = {0};
	json_int_t changed = 0;

	for (size_t i = 0; i < b->n_lines; i++) {
		const struct line *line = &b->lines[i];
		const struct ch_store_put_item *item =
			line->name ? &b->items[line->item] : NULL;

		counts[item ? item->result : CH_PUT_REJECTED]++;
		changed += item && item->result == CH_PUT_EXISTS && item->changed;
		if (json_array_append_new(
			    results, present_line(b, line, json_array_get(domains, i)))) {
			json_decref(results);
			ch_req_fail_rc(req, CH_ENOMEM, "answer a batch");
			return;
		}
	}
	ch_req_json(req, 200,
		json_pack("{s:o, s:I, s:I, s:I, s:I}", "results", results, "created",
			counts[CH_PUT_CREATED], "exists", counts[CH_PUT_EXISTS], "changed",
			changed, "rejected", counts[CH_PUT_REJECTED]));
}

/* An operation that failed changed nothing: its items can be sent again. */
static void mark_failed(struct ch_req *req, struct batch *b)
{
	struct ch_op_put *put = &b->op.u.put;
	bool full = b->op.rc == CH_EFULL;
	bool busy = b->op.rc == CH_EAGAIN || b->op.rc == CH_EUNSUPPORTED;

	for (size_t i = 0; i < put->n_items; i++) {
		put->items[i].result = CH_PUT_REJECTED;
		put->items[i].problem = full ? "store-full" : busy ? "store-busy" : "internal";
		put->items[i].detail =
			full   ? "The disk of the store's database is full: send this one "
				 "again when it has room."
			: busy ? "The store is busy: send this one again."
			       : "See the log of the store.";
	}
}

static void send_next(struct ch_req *req, struct batch *b)
{
	size_t left = b->n_items - b->n_sent;

	if (left == 0) {
		answer(req, b);
		return;
	}
	memset(&b->op, 0, sizeof(b->op));
	b->op.type = CH_OP_PUT;
	b->op.u.put.items = b->items + b->n_sent;
	b->op.u.put.keys = req->service->keys;
	b->op.u.put.known_cas = ch_issuers_cas(req->service->issuers, req->arena);
	b->op.u.put.n_items = left < CH_STORE_PUT_MAX ? left : CH_STORE_PUT_MAX;
	ch_service_write(req, &b->op, batch_next);
}

static void batch_next(struct ch_req *req)
{
	struct batch *b = req->own;

	/* Nothing is written yet: an error of the whole can be told as such. */
	if (b->n_sent == 0 && !ch_service_written(req, &b->op))
		return;
	if (b->op.rc)
		mark_failed(req, b);
	b->n_sent += b->op.u.put.n_items;
	send_next(req, b);
}

void ch_handle_domains_batch(struct ch_req *req)
{
	struct batch *b = ch_arena_alloc(req->arena, sizeof(*b));
	struct ch_json_in in;
	json_t *domains;

	ch_json_in_init(&in, req->json, "");
	domains = ch_json_in_array(&in, "domains", CH_JSON_REQUIRED, SIZE_MAX);
	if (!ch_req_body_ok(req, &in))
		return;
	if (json_array_size(domains) > BATCH_MAX) {
		ch_req_problem(req, CH_EINVAL, "batch-too-large", "domains",
			"A batch has at most %u domains; this one has %zu.", BATCH_MAX,
			json_array_size(domains));
		return;
	}
	if (b) {
		b->n_lines = json_array_size(domains);
		b->lines = ch_arena_array(req->arena, b->n_lines + 1, sizeof(*b->lines));
		b->items = ch_arena_array(req->arena, b->n_lines + 1, sizeof(*b->items));
	}
	if (!b || !b->lines || !b->items) {
		ch_req_fail_rc(req, CH_ENOMEM, "read a batch");
		return;
	}
	for (size_t i = 0; i < b->n_lines; i++)
		read_line(req, b, &b->lines[i], json_array_get(domains, i));
	req->own = b;
	send_next(req, b);
}
