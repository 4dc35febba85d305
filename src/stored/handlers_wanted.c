/* POST /v1/wanted: names without a certificate that an edge's visitors ask for. */
#include <string.h>

#include "stored/handlers.h"
#include "stored/service.h"

struct wanted {
	struct ch_store_op op;
	struct ch_store_wanted seen;
};

static void answer(struct ch_req *req, size_t taken)
{
	ch_req_json(req, 200, json_pack("{s:I}", "taken", (json_int_t)taken));
}

static void wanted_done(struct ch_req *req)
{
	struct wanted *w = req->own;

	if (ch_service_written(req, &w->op))
		answer(req, w->seen.n_counted + w->op.u.wanted.n_taken);
}

/* A name that is not registered, whatever it is, is passed over. */
static const char *read_name(struct ch_json_in *in, json_t *value)
{
	const char *name = json_string_value(value);

	if (!name || !*name || strlen(name) > CH_NAME_MAX)
		ch_json_in_fail(
			in, "names", "Each must be a name of at most %d bytes.", CH_NAME_MAX);
	return name;
}

static void read_names(struct ch_req *req, struct ch_json_in *in, struct ch_op_wanted *wanted)
{
	json_t *list = ch_json_in_array(in, "names", CH_JSON_REQUIRED, CH_STORE_WANTED_MAX);
	const char **names =
		ch_arena_array(req->arena, json_array_size(list) + 1, sizeof(*names));

	if (!names)
		ch_json_in_fail(in, "names", "Out of memory.");
	else if (list && !json_array_size(list))
		ch_json_in_fail(in, "names", "\"names\" must have at least one name.");
	for (size_t i = 0; names && i < json_array_size(list); i++)
		names[i] = read_name(in, json_array_get(list, i));
	wanted->names = names;
	wanted->n_names = json_array_size(list);
}

/* Most of what edges say is known: that is not written again. */
void ch_handle_wanted(struct ch_req *req)
{
	struct wanted *w = ch_arena_alloc(req->arena, sizeof(*w));
	struct ch_op_wanted *wanted;
	struct ch_json_in in;
	int rc;

	if (!w) {
		ch_req_fail_rc(req, CH_ENOMEM, "take down what visitors want");
		return;
	}
	w->op.type = CH_OP_WANTED;
	wanted = &w->op.u.wanted;
	wanted->pool = req->who.uri.scope;
	ch_json_in_init(&in, req->json, "");
	read_names(req, &in, wanted);
	if (!ch_req_body_ok(req, &in))
		return;
	rc = ch_store_see_wanted(req->service->store, wanted, req->arena, &w->seen);
	if (rc) {
		ch_req_fail_rc(req, rc, "look for what visitors want");
		return;
	}
	if (!w->seen.n_new) {
		answer(req, w->seen.n_counted);
		return;
	}
	wanted->names = w->seen.new;
	wanted->n_names = w->seen.n_new;
	req->own = w;
	ch_service_write(req, &w->op, wanted_done);
}
