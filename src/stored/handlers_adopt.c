/* POST /v1/adoptions. */
#include <string.h>

#include "stored/domain_in.h"
#include "stored/handlers.h"
#include "stored/publish_in.h"
#include "stored/service.h"

#define GIVEN_NAME_MAX_B 1024u

struct adoption {
	struct ch_op_publish publish;
	struct ch_store_record_bytes records[CH_STORE_ORDER_NAMES_MAX];
	char names[CH_STORE_ADOPT_NAMES][CH_NAME_TEXT_B];
	bool bad_name;	   /* refused here: the store does not hear of it */
	struct ch_err err; /* why */
};

struct adoptions {
	struct ch_store_op op;
	struct ch_store_put_item settings;
	struct ch_store_adopt_item items[CH_STORE_ADOPT_MAX];
	struct adoption *list;
	size_t n; /* of list; items has those of them without a bad name */
};

static const char *const results[] = {"ready", "adopted", "kept", "refused"};
static const char *const places[] = {"alone", "fresh", "www"};

static void read_names(struct ch_req *req, struct ch_json_in *in,
	struct ch_store_adopt_item *item, struct adoption *a)
{
	json_t *names = ch_json_in_array(in, "names", CH_JSON_REQUIRED, CH_STORE_ADOPT_NAMES);

	for (size_t i = 0; i < json_array_size(names); i++) {
		const json_t *name = json_array_get(names, i);
		const char *text = json_string_value(name);

		if (!text || json_string_length(name) > GIVEN_NAME_MAX_B) {
			ch_json_in_fail(in, "names", "\"names\" must be a list of names.");
			return;
		}
		if (ch_name_normalize(text, json_string_length(name), &req->service->name_rules,
			    a->names[i], &a->err)) {
			a->bad_name = true;
			return;
		}
		item->names[i] = a->names[i];
	}
	item->n_names = json_array_size(names);
	if (!item->n_names)
		ch_json_in_fail(in, "names", "\"names\" must have a name.");
}

/* Of a host and a port, as they stand in a URL. */
#define HOST_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:[]_-"

static void read_item(struct ch_req *req, struct ch_json_in *from, json_t *value,
	struct ch_store_adopt_item *item, struct adoption *a)
{
	struct ch_err err = {0};
	struct ch_json_in in;
	const char *key;

	ch_json_in_init(&in, value, "items.");
	read_names(req, &in, item, a);
	key = ch_json_in_str(&in, "key", CH_JSON_REQUIRED, 16);
	if (key && ch_key_type_parse(key, &item->key))
		ch_json_in_fail(&in, "key", "The key must be ecdsa, p384 or rsa.");
	item->second = ch_json_in_bool(&in, "second", false);
	item->other = ch_json_in_bool(&in, "other", false);
	item->ca = ch_json_in_str(&in, "ca", CH_JSON_OPTIONAL, CH_STORE_ACCOUNT_MAX);
	if (item->ca && (!*item->ca || item->ca[strspn(item->ca, HOST_LETTERS)]))
		ch_json_in_fail(&in, "ca",
			"\"ca\" must be the CA's host, as in the account of a lease.");
	a->publish.id =
		(uint64_t)ch_json_in_int(&in, "version", CH_JSON_OPTIONAL, 0, CH_JSON_INT_MAX);
	if (ch_json_in_has(&in, "records"))
		item->publish = &a->publish;
	ch_publish_in_read(req, &in, item->publish ? CH_JSON_REQUIRED : CH_JSON_OPTIONAL,
		&a->publish, a->records);
	item->not_after_ms = ch_json_in_time(&in, "not_after", CH_JSON_REQUIRED);
	if (ch_json_in_finish(&in)) {
		ch_json_in_adopt(from, &in);
		return;
	}
	if (item->publish && ch_publish_in_check(&a->publish, &err))
		ch_json_in_fail_err(from, "items", &err);
}

static json_t *present_bad(const struct adoption *a)
{
	return json_pack("{s:s, s:s, s:o}", "result", results[CH_ADOPT_REFUSED], "code",
		a->err.problem, "detail", ch_problem_text_json(a->err.detail));
}

static json_t *present(const struct ch_store_adopt_item *item)
{
	json_t *json = json_pack("{s:s}", "result", results[item->result]);

	if (json && item->result == CH_ADOPT_READY)
		(void)json_object_set_new(json, "place", json_string(places[item->place]));
	if (json && item->version)
		(void)json_object_set_new(
			json, "version", json_integer((json_int_t)item->version));
	if (json && item->code) {
		(void)json_object_set_new(json, "code", json_string(item->code));
		(void)json_object_set_new(json, "detail", json_string(item->detail));
	}
	return json;
}

static void answer(struct ch_req *req, const struct adoptions *w)
{
	json_t *list = json_array();
	size_t at = 0;

	for (size_t i = 0; i < w->n; i++)
		if (json_array_append_new(list, w->list[i].bad_name
							? present_bad(&w->list[i])
							: present(&w->items[at++]))) {
			json_decref(list);
			ch_req_fail_rc(req, CH_ENOMEM, "answer an adoption");
			return;
		}
	ch_req_json(req, 200, json_pack("{s:o}", "results", list));
}

static void adoptions_done(struct ch_req *req)
{
	const struct adoptions *w = req->own;

	if (ch_service_written(req, &w->op))
		answer(req, w);
}

static void read_items(
	struct ch_req *req, struct ch_json_in *in, json_t *items, struct adoptions *w)
{
	size_t n = 0;

	w->n = json_array_size(items);
	for (size_t i = 0; i < w->n; i++) {
		memset(&w->items[n], 0, sizeof(w->items[n]));
		read_item(req, in, json_array_get(items, i), &w->items[n], &w->list[i]);
		n += !w->list[i].bad_name;
	}
	w->op.u.adopt.items = w->items;
	w->op.u.adopt.n_items = n;
}

void ch_handle_adoptions(struct ch_req *req)
{
	struct adoptions *w = ch_arena_alloc(req->arena, sizeof(*w));
	struct ch_err www = {0};
	struct ch_json_in in;
	json_t *items;

	ch_json_in_init(&in, req->json, "");
	items = ch_json_in_array(&in, "items", CH_JSON_REQUIRED, CH_STORE_ADOPT_MAX);
	if (w)
		w->list = ch_arena_array(
			req->arena, json_array_size(items) + 1, sizeof(*w->list));
	if (!w || !w->list) {
		ch_req_fail_rc(req, CH_ENOMEM, "read adoptions");
		return;
	}
	if (items && !json_array_size(items))
		ch_json_in_fail(&in, "items", "\"items\" must not be empty.");
	if (json_object_get(req->json, "www")) {
		(void)ch_err_set(&www, CH_EINVAL, "unknown-field",
			"There is no field \"www\": the names of an item say it.");
		ch_json_in_fail_err(&in, "www", &www);
	}
	ch_domain_in_read(&in, &w->settings);
	w->op.type = CH_OP_ADOPT;
	w->op.u.adopt = (struct ch_op_adopt){.settings = &w->settings,
		.keys = req->service->keys,
		.known_cas = ch_issuers_cas(req->service->issuers, req->arena),
		.dry_run = ch_json_in_bool(&in, "dry_run", false)};
	read_items(req, &in, items, w);
	if (!ch_req_body_ok(req, &in))
		return;
	req->own = w;
	if (w->n && !w->op.u.adopt.n_items) {
		answer(req, w);
		return;
	}
	ch_service_write(req, &w->op, adoptions_done);
}
