/* POST /v1/orders/{id}/publish.  The edges check signatures; what is checked here is that the
 * records say what the rest of the request says, so that a confused issuer is refused before
 * anything is live. */
#include <inttypes.h>
#include <string.h>

#include "base/codec.h"
#include "base/mem.h"
#include "stored/handlers.h"
#include "stored/publish_in.h"
#include "stored/service.h"
#include "wire/record.h"

#define SERIAL_MAX_B 80
#define ISSUER_MAX_B 512

struct publish {
	struct ch_store_op op;
	struct ch_store_record_bytes records[CH_STORE_ORDER_NAMES_MAX];
	struct ch_op_publish second;
	struct ch_store_record_bytes second_records[CH_STORE_ORDER_NAMES_MAX];
};

/* base64url into the arena; NULL with *ret_len 0 when the text is empty or was wrong. */
static const uint8_t *read_bytes(struct ch_req *req, struct ch_json_in *in, const char *key,
	enum ch_json_need need, size_t max_b, size_t *ret_len)
{
	CH_AUTO_BUF struct ch_buf bytes;
	const uint8_t *copy = NULL;

	ch_buf_init(&bytes, max_b);
	ch_json_in_bytes(in, key, need, &bytes);
	*ret_len = bytes.len;
	if (bytes.len)
		copy = ch_arena_copy(req->arena, bytes.data, bytes.len);
	if (bytes.len && !copy)
		ch_json_in_fail(in, key, "Out of memory.");
	return copy;
}

void ch_publish_in_read(struct ch_req *req, struct ch_json_in *in, enum ch_json_need need,
	struct ch_op_publish *p, struct ch_store_record_bytes *records)
{
	p->records = records;
	p->n_records = ch_service_records(req, in, "records", need, records);
	p->leaf = read_bytes(req, in, "leaf", need, CH_RECORD_LEAF_MAX_B, &p->leaf_len);
	if (!p->leaf && (need == CH_JSON_REQUIRED || ch_json_in_has(in, "leaf")))
		ch_json_in_fail(in, "leaf", "\"leaf\" must not be empty.");
	p->chain = read_bytes(req, in, "chain", need, CH_CHAIN_MAX_B, &p->chain_len);
	p->renew_at_ms = ch_json_in_time(in, "renew_at", need);
	p->renew_from_ms = ch_json_in_time(in, "renew_from", CH_JSON_OPTIONAL);
	p->ari_id = ch_json_in_str(in, "ari_id", CH_JSON_OPTIONAL, CH_STORE_ARI_ID_MAX);
	p->serial = ch_json_in_str(in, "serial", need, SERIAL_MAX_B);
	p->issuer = ch_json_in_str(in, "issuer", need, ISSUER_MAX_B);
	p->not_before_ms = ch_json_in_time(in, "not_before", need);
	p->not_after_ms = ch_json_in_time(in, "not_after", need);
	ch_json_in_hex(in, "spki_sha256", need, p->spki_sha256, sizeof(p->spki_sha256));
}

static int check_record(const struct ch_op_publish *p, const uint8_t chain_id[CH_CHAIN_ID_B],
	size_t i, struct ch_err *err)
{
	struct ch_record r;
	const char *wrong = NULL;
	int rc = ch_record_decode(p->records[i].bytes, p->records[i].len, &r);

	if (rc)
		wrong = "cannot be decoded";
	else if (!ch_record_has_cert(&r))
		wrong = "is not the record of a certificate";
	else if (r.version != p->id || r.key_version > p->id)
		wrong = "has a version that is not the order's id";
	else if (r.leaf_len != p->leaf_len || memcmp(r.leaf, p->leaf, r.leaf_len) != 0)
		wrong = "has another leaf";
	else if (memcmp(r.chain_id, chain_id, CH_CHAIN_ID_B) != 0)
		wrong = "has another chain";
	else if (r.not_before_s != p->not_before_ms / 1000 ||
		 r.not_after_s != p->not_after_ms / 1000)
		wrong = "has other dates";
	if (!wrong)
		return CH_OK;
	return ch_err_set(err, CH_EINVAL, "bad-record", "Record %zu %s.", i + 1, wrong);
}

int ch_publish_in_check(const struct ch_op_publish *p, struct ch_err *err)
{
	uint8_t chain_id[CH_CHAIN_ID_B] = {0}; /* zero: no chain */
	struct ch_chain chain;

	if (p->not_after_ms <= p->not_before_ms)
		return ch_err_set(
			err, CH_EINVAL, "bad-record", "The certificate ends before it begins.");
	if (p->n_records == 0)
		return ch_err_set(err, CH_EINVAL, "bad-record", "There is no record.");
	if (p->chain && (ch_chain_decode(p->chain, p->chain_len, &chain) ||
				ch_chain_id(p->chain, p->chain_len, chain_id)))
		return ch_err_set(err, CH_EINVAL, "bad-record", "The chain cannot be decoded.");
	for (size_t i = 0; i < p->n_records; i++) {
		int rc = check_record(p, chain_id, i, err);

		if (rc)
			return rc;
	}
	return CH_OK;
}

static void publish_done(struct ch_req *req)
{
	struct ch_store_op *op = req->own;

	if (ch_service_written(req, op))
		ch_service_order_answer(req, &op->u.publish.answer);
}

/* Its records have the version that follows the order's. */
static void read_second(struct ch_req *req, struct ch_json_in *from, struct publish *w)
{
	json_t *value = ch_json_in_object(from, "second", CH_JSON_OPTIONAL);
	struct ch_json_in in;

	if (!value)
		return;
	ch_json_in_init(&in, value, "second.");
	ch_publish_in_read(req, &in, CH_JSON_REQUIRED, &w->second, w->second_records);
	w->second.id = w->op.u.publish.id + 1;
	w->op.u.publish.second = &w->second;
	if (ch_json_in_finish(&in))
		ch_json_in_adopt(from, &in);
}

struct ch_store_op *ch_publish_in_op(struct ch_req *req, struct ch_json_in *in, uint64_t id)
{
	struct publish *w = ch_arena_alloc(req->arena, sizeof(*w));

	if (!w) {
		ch_json_in_fail(in, "fence", "Out of memory.");
		return NULL;
	}
	w->op.type = CH_OP_PUBLISH;
	w->op.u.publish.id = id;
	w->op.u.publish.fence =
		(uint64_t)ch_json_in_int(in, "fence", CH_JSON_REQUIRED, 0, CH_JSON_INT_MAX);
	ch_publish_in_read(req, in, CH_JSON_REQUIRED, &w->op.u.publish, w->records);
	w->op.u.publish.next_at_ms = ch_json_in_time(in, "next_at", CH_JSON_OPTIONAL);
	read_second(req, in, w);
	return &w->op;
}

int ch_publish_in_check_all(const struct ch_op_publish *p, struct ch_err *err)
{
	int rc = ch_publish_in_check(p, err);

	return rc || !p->second ? rc : ch_publish_in_check(p->second, err);
}

void ch_handle_order_publish(struct ch_req *req)
{
	struct ch_store_op *op;
	struct ch_err err = {0};
	struct ch_json_in in;
	uint64_t id;

	if (!ch_service_order_id(req, &id))
		return;
	ch_json_in_init(&in, req->json, "");
	op = ch_publish_in_op(req, &in, id);
	if (!ch_req_body_ok(req, &in))
		return;
	if (ch_publish_in_check_all(&op->u.publish, &err)) {
		ch_req_fail(req, &err, NULL);
		return;
	}
	req->own = op;
	ch_service_write(req, op, publish_done);
}
