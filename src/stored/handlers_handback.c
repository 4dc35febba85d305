/* POST /v1/handback: after a restore. */
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/sign.h"
#include "crypto/x509.h"
#include "stored/domain_in.h"
#include "stored/handlers.h"
#include "stored/publish_in.h"
#include "stored/service.h"
#include "wire/record.h"

#define LABEL_MAX_B 63

struct item {
	struct ch_op_publish publish;
	struct ch_op_tickets tickets;
	struct ch_store_record_bytes record;
	char name[CH_NAME_TEXT_B];
	const char *text; /* of the record; borrowed */
	int64_t chain;	  /* -1: none */
};

struct handback {
	struct ch_store_op op;
	struct ch_store_handback_item items[CH_STORE_HANDBACK_MAX];
	struct item *list;
	struct ch_cert_info info; /* of the item that is being read */
	struct ch_verify_set *signers;
	struct {
		const uint8_t *bytes;
		size_t len;
	} chains[CH_STORE_HANDBACK_MAX];
	size_t n_chains;
};

static const char *const results[] = {"taken", "soon", "old", "refused"};

/* base64url into the request's arena. */
static const uint8_t *decode(
	struct ch_req *req, const char *text, size_t max_b, size_t *ret_len)
{
	CH_AUTO_FREE uint8_t *bytes = NULL;

	if (ch_b64u_decode_alloc(text, max_b, &bytes, ret_len) || *ret_len == 0)
		return NULL;
	return ch_arena_copy(req->arena, bytes, *ret_len);
}

static void read_chains(struct ch_req *req, struct ch_json_in *in, struct handback *w)
{
	json_t *list = ch_json_in_array(in, "chains", CH_JSON_OPTIONAL, CH_STORE_HANDBACK_MAX);

	w->n_chains = json_array_size(list);
	for (size_t i = 0; i < w->n_chains; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text)
			ch_json_in_fail(in, "chains", "\"chains\" must be a list of texts.");
		else
			w->chains[i].bytes =
				decode(req, text, CH_CHAIN_MAX_B, &w->chains[i].len);
	}
}

/* With a third of the lifetime left at the latest, of a short one half; before, where there is
 * room in the calendar. */
static void plan(struct ch_op_publish *p)
{
	int64_t life = p->not_after_ms - p->not_before_ms;
	int64_t now = ch_now_ms();

	p->renew_at_ms = p->not_after_ms - (life < 10 * CH_DAY_MS ? life / 2 : life / 3);
	p->renew_from_ms = p->renew_at_ms - life / 6;
	if (p->renew_at_ms < now)
		p->renew_at_ms = now;
	if (p->renew_from_ms < now)
		p->renew_from_ms = now;
}

static int key_of(const struct ch_cert_info *info, enum ch_key_type *ret_key)
{
	return ch_key_type_parse(info->key, ret_key);
}

/* What the leaf says, as an issuer would. */
static const char *describe(struct ch_req *req, struct handback *w,
	struct ch_store_handback_item *item, struct item *own, const struct ch_record *record)
{
	struct ch_op_publish *p = &own->publish;
	struct ch_cert_info *info = &w->info;

	if (ch_cert_info_der(record->leaf, record->leaf_len, info, NULL))
		return "A record's leaf is no certificate.";
	if (!ch_cert_covers(info, own->name))
		return "A record's leaf does not cover its name.";
	if (key_of(info, &item->key))
		return "A record's leaf has a kind of key that is not known here.";
	p->id = record->version;
	p->leaf = record->leaf;
	p->leaf_len = record->leaf_len;
	p->records = &own->record;
	p->n_records = 1;
	p->not_before_ms = info->not_before_s * CH_SECOND_MS;
	p->not_after_ms = info->not_after_s * CH_SECOND_MS;
	p->serial = ch_arena_copy(req->arena, info->serial, strlen(info->serial));
	p->issuer = ch_arena_copy(req->arena, info->issuer, strlen(info->issuer));
	memcpy(p->spki_sha256, info->spki_sha256, sizeof(p->spki_sha256));
	plan(p);
	return p->serial && p->issuer ? NULL : "Out of memory.";
}

/* Each edge has those of its pool. */
static const char *read_tickets(struct ch_req *req, struct ch_store_handback_item *item,
	struct item *own, const struct ch_record *record)
{
	own->tickets = (struct ch_op_tickets){
		.pool = ch_arena_fmt(req->arena, "%.*s", (int)record->name_len, record->name),
		.record = own->record.bytes,
		.record_len = own->record.len};
	item->tickets = &own->tickets;
	return own->tickets.pool ? ch_tickets_in_check(&own->tickets) : "Out of memory.";
}

static const char *read_record(struct ch_req *req, struct handback *w,
	struct ch_store_handback_item *item, struct item *own)
{
	struct ch_record record;
	struct ch_err err = {0};

	own->record.bytes = decode(req, own->text, CH_RECORD_MAX_B, &own->record.len);
	if (!own->record.bytes)
		return "A record is not base64url.";
	if (ch_record_decode(own->record.bytes, own->record.len, &record) ||
		(record.kind != CH_RECORD_TICKETS && !ch_record_has_cert(&record)))
		return "A record is neither of the kind CERT nor SECOND nor TICKETS.";
	if (ch_record_verify(&record, own->record.bytes, w->signers))
		return "A record is not signed by a key that this store was told of (signers).";
	if (record.kind == CH_RECORD_TICKETS)
		return read_tickets(req, item, own, &record);
	if (ch_name_normalize(
		    record.name, record.name_len, &ch_service_any_name, own->name, &err) ||
		strlen(own->name) != record.name_len ||
		memcmp(own->name, record.name, record.name_len) != 0)
		return "A record's name is not one.";
	item->name = own->name;
	item->second = record.kind == CH_RECORD_SECOND;
	if (own->chain >= 0) {
		own->publish.chain = w->chains[own->chain].bytes;
		own->publish.chain_len = w->chains[own->chain].len;
	}
	return describe(req, w, item, own, &record);
}

/* The shape of an item. */
static void read_item(struct ch_json_in *from, json_t *value,
	struct ch_store_handback_item *item, struct item *own)
{
	struct ch_json_in in;

	ch_json_in_init(&in, value, "records.");
	own->text = ch_json_in_str(&in, "record", CH_JSON_REQUIRED, 2 * CH_RECORD_MAX_B);
	own->chain =
		ch_json_in_int(&in, "chain", CH_JSON_OPTIONAL, 0, CH_STORE_HANDBACK_MAX - 1);
	if (!ch_json_in_has(&in, "chain"))
		own->chain = -1;
	item->tenant = ch_json_in_str(&in, "tenant", CH_JSON_OPTIONAL, LABEL_MAX_B);
	if (item->tenant && !ch_domain_in_is_label(item->tenant))
		ch_json_in_fail(&in, "tenant", "\"tenant\" is not a label.");
	item->publish = &own->publish;
	if (ch_json_in_finish(&in))
		ch_json_in_adopt(from, &in);
}

/* What is in it. */
static int check_item(struct ch_req *req, struct handback *w,
	struct ch_store_handback_item *item, struct item *own, struct ch_err *err)
{
	const char *wrong;

	if (own->chain >= (int64_t)w->n_chains)
		wrong = "\"chain\" is no index of \"chains\".";
	else if (own->chain >= 0 && !w->chains[own->chain].bytes)
		wrong = "A chain is not base64url.";
	else
		wrong = read_record(req, w, item, own);
	if (wrong)
		return ch_err_set(err, CH_EINVAL, "bad-record", "%s", wrong);
	if (item->tickets)
		return CH_OK;
	return ch_publish_in_check(&own->publish, err);
}

static json_t *present(const struct ch_store_handback_item *item)
{
	return json_pack("{s:s, s:s?}", "result", results[item->result], "code", item->code);
}

static void answer(struct ch_req *req, const struct handback *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->op.u.handback.n_items; i++)
		if (json_array_append_new(list, present(&w->items[i]))) {
			json_decref(list);
			ch_req_fail_rc(req, CH_ENOMEM, "answer a hand-back");
			return;
		}
	ch_req_json(req, 200, json_pack("{s:o}", "results", list));
}

static void handback_done(struct ch_req *req)
{
	const struct handback *w = req->own;

	if (ch_service_written(req, &w->op))
		answer(req, w);
}

/* Read each time: it is seldom needed, and may be put in place while the store runs. */
static int load_signers(struct ch_req *req, struct handback *w)
{
	const char *path = req->service->signers;
	struct ch_err err = {0};
	int rc = *path ? ch_verify_set_load(path, &w->signers, &err) : CH_ENOTFOUND;

	if (!rc)
		return CH_OK;
	ch_log_warn("nothing is taken back from edges: [store] signers: %s",
		*path ? err.detail : "not set");
	ch_req_problem(req, CH_ECONFLICT, "no-signers", NULL,
		"The store has no list of those who may have signed what is handed back.");
	return rc;
}

/* False: the answer is given. */
static bool check_items(struct ch_req *req, struct handback *w, size_t n)
{
	struct ch_err err = {0};
	int rc = CH_OK;

	if (n == 0)
		return true;
	if (load_signers(req, w))
		return false;
	for (size_t i = 0; !rc && i < n; i++)
		rc = check_item(req, w, &w->items[i], &w->list[i], &err);
	ch_verify_set_free(w->signers);
	w->signers = NULL;
	if (rc)
		ch_req_fail(req, &err, NULL);
	return rc == CH_OK;
}

void ch_handle_handback(struct ch_req *req)
{
	struct handback *w = ch_arena_alloc(req->arena, sizeof(*w));
	struct ch_json_in in;
	json_t *records;
	size_t n;

	ch_json_in_init(&in, req->json, "");
	records = ch_json_in_array(&in, "records", CH_JSON_REQUIRED, CH_STORE_HANDBACK_MAX);
	n = json_array_size(records);
	if (w)
		w->list = ch_arena_array(req->arena, n + 1, sizeof(*w->list));
	if (!w || !w->list) {
		ch_req_fail_rc(req, CH_ENOMEM, "read records");
		return;
	}
	read_chains(req, &in, w);
	for (size_t i = 0; i < n; i++)
		read_item(&in, json_array_get(records, i), &w->items[i], &w->list[i]);
	if (!ch_req_body_ok(req, &in))
		return;
	if (!check_items(req, w, n))
		return;
	w->op.type = CH_OP_HANDBACK;
	w->op.u.handback = (struct ch_op_handback){.pool = req->who.uri.scope,
		.keys = req->service->keys,
		.items = w->items,
		.n_items = n};
	req->own = w;
	if (n == 0)
		answer(req, w);
	else
		ch_service_write(req, &w->op, handback_done);
}
