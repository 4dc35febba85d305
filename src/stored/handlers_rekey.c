/* Replacing many certificates before their renewal. */
#include "base/clock.h"
#include "stored/domain_in.h"
#include "stored/handlers.h"
#include "stored/present.h"
#include "stored/service.h"

#define SPACING_MAX_US (INT64_C(1000000) * 86400)

static void rekey_done(struct ch_req *req)
{
	const struct ch_store_op *op = req->own;
	const struct ch_op_rekey *rekey = &op->u.rekey;

	if (!ch_service_written(req, op))
		return;
	ch_req_json(req, 200,
		json_pack("{s:I, s:I, s:o}", "matched", (json_int_t)rekey->matched,
			"passed_over", (json_int_t)rekey->passed_over, "after",
			rekey->more ? json_integer((json_int_t)rekey->last) : json_null()));
}

static void take_label(struct ch_json_in *in, const char *key, const char *text)
{
	if (text && !ch_domain_in_is_label(text))
		ch_json_in_fail(in, key, "\"%s\" is 1 to %d of a-z, 0-9, '.', '_', '-'.", key,
			CH_STORE_LABEL_MAX);
}

static void read_filter(struct ch_json_in *in, struct ch_store_rekey_filter *filter)
{
	filter->issued_before_ms = ch_json_in_time(in, "issued_before", CH_JSON_OPTIONAL);
	filter->issuer = ch_json_in_str(in, "issuer", CH_JSON_OPTIONAL, CH_STORE_WHY_MAX);
	filter->tenant = ch_json_in_str(in, "tenant", CH_JSON_OPTIONAL, CH_STORE_LABEL_MAX);
	take_label(in, "tenant", filter->tenant);
	filter->pool = ch_json_in_str(in, "pool", CH_JSON_OPTIONAL, CH_STORE_LABEL_MAX);
	take_label(in, "pool", filter->pool);
}

void ch_handle_rekey_post(struct ch_req *req)
{
	struct ch_store_op *op = ch_arena_alloc(req->arena, sizeof(*op));
	struct ch_op_rekey *rekey;
	struct ch_json_in in;

	if (!op) {
		ch_req_fail_rc(req, CH_ENOMEM, "plan new certificates");
		return;
	}
	op->type = CH_OP_REKEY;
	rekey = &op->u.rekey;
	ch_json_in_init(&in, req->json, "");
	read_filter(&in, &rekey->filter);
	rekey->begin = !ch_json_in_has(&in, "after");
	rekey->after =
		(uint64_t)ch_json_in_int(&in, "after", CH_JSON_OPTIONAL, 0, CH_JSON_INT_MAX);
	rekey->max =
		(size_t)ch_json_in_int(&in, "max", CH_JSON_REQUIRED, 1, CH_STORE_REKEY_MAX);
	rekey->dry_run = ch_json_in_bool(&in, "dry_run", false);
	rekey->at_ms = ch_json_in_time(&in, "at", CH_JSON_OPTIONAL);
	rekey->spacing_us =
		ch_json_in_int(&in, "spacing_us", CH_JSON_OPTIONAL, 0, SPACING_MAX_US);
	req->own = op;
	if (ch_req_body_ok(req, &in))
		ch_service_write(req, op, rekey_done);
}

void ch_handle_rekey_get(struct ch_req *req)
{
	struct ch_store_rekey rekey;
	int rc = ch_store_get_rekey(req->service->store, &rekey);

	if (rc) {
		ch_req_fail_rc(req, rc, "read what is planned");
		return;
	}
	ch_req_json(req, 200,
		json_pack("{s:I, s:I, s:I, s:o, s:o}", "total", (json_int_t)rekey.total, "left",
			(json_int_t)rekey.left, "late", (json_int_t)rekey.late, "began_at",
			ch_present_time(rekey.began_ms), "until",
			ch_present_time(rekey.until_ms)));
}
