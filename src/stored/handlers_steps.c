/* POST /v1/steps: what PATCH /v1/orders/{id} and its publish write, of several orders, with a
 * result for each: one request and, mostly, one commit for all. */
#include "stored/handlers.h"
#include "stored/publish_in.h"
#include "stored/service.h"

#define STEPS_MAX 64u

struct line {
	struct ch_store_op *op; /* NULL: it is not written, because of err */
	struct ch_err err;
};

struct steps {
	struct line lines[2 * STEPS_MAX]; /* the patches, and then the publications */
	size_t n_patches;
	size_t n;
};

/* What is no step at all refuses the request, as it does alone. */
static void read_line(struct ch_req *req, struct ch_json_in *from, json_t *value,
	bool publishes, struct line *line)
{
	struct ch_json_in in;
	struct ch_json_in body;
	json_t *inner;
	uint64_t id;

	ch_json_in_init(&in, value, publishes ? "publications." : "patches.");
	id = (uint64_t)ch_json_in_int(&in, "id", CH_JSON_REQUIRED, 1, CH_JSON_INT_MAX);
	inner = publishes ? ch_json_in_object(&in, "publication", CH_JSON_REQUIRED)
			  : ch_json_in_object(&in, "patch", CH_JSON_REQUIRED);
	if (ch_json_in_finish(&in)) {
		ch_json_in_adopt(from, &in);
		return;
	}
	ch_json_in_init(
		&body, inner, publishes ? "publications.publication." : "patches.patch.");
	line->op = (publishes ? ch_publish_in_op : ch_patch_in_read)(req, &body, id);
	if (ch_json_in_finish(&body))
		ch_json_in_adopt(from, &body);
	else if (publishes && ch_publish_in_check_all(&line->op->u.publish, &line->err))
		line->op = NULL;
}

static size_t read_lines(struct ch_req *req, struct ch_json_in *in, const json_t *list,
	bool publishes, struct line *lines)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		read_line(req, in, json_array_get(list, i), publishes, &lines[i]);
	return json_array_size(list);
}

static json_t *present(const struct ch_req *req, struct line *line)
{
	if (line->op && !line->op->rc)
		return ch_service_order_json(line->op->type == CH_OP_PATCH
						     ? &line->op->u.patch.answer
						     : &line->op->u.publish.answer);
	if (line->op)
		ch_service_why(line->op, &line->err);
	return json_pack("{s:o}", "problem", ch_req_problem_json(req, &line->err, NULL));
}

static json_t *present_all(const struct ch_req *req, struct line *lines, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, present(req, &lines[i]))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static void steps_done(struct ch_req *req)
{
	struct steps *s = req->own;

	ch_req_json(req, 200,
		json_pack("{s:o, s:o}", "patches", present_all(req, s->lines, s->n_patches),
			"publications",
			present_all(req, s->lines + s->n_patches, s->n - s->n_patches)));
}

void ch_handle_steps(struct ch_req *req)
{
	struct steps *s = ch_arena_alloc(req->arena, sizeof(*s));
	struct ch_store_op *ops[2 * STEPS_MAX];
	struct ch_json_in in;
	size_t n = 0;

	if (!s) {
		ch_req_fail_rc(req, CH_ENOMEM, "write steps");
		return;
	}
	ch_json_in_init(&in, req->json, "");
	s->n_patches = read_lines(req, &in,
		ch_json_in_array(&in, "patches", CH_JSON_OPTIONAL, STEPS_MAX), false, s->lines);
	s->n = s->n_patches +
	       read_lines(req, &in,
		       ch_json_in_array(&in, "publications", CH_JSON_OPTIONAL, STEPS_MAX), true,
		       s->lines + s->n_patches);
	if (!ch_req_body_ok(req, &in))
		return;
	for (size_t i = 0; i < s->n; i++)
		if (s->lines[i].op)
			ops[n++] = s->lines[i].op;
	req->own = s;
	if (n)
		ch_service_write_all(req, ops, n, steps_done);
	else
		steps_done(req);
}
