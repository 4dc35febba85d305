#include "fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/codec.h"
#include "net/http_impl.h"

static void take_ack(struct fake_store *s, const struct ch_http_req *req)
{
	s->acks++;
	snprintf(s->last_ack, sizeof(s->last_ack), "%.*s", (int)req->body_len,
		(const char *)req->body);
}

static int take_handback(
	struct fake_store *s, const struct ch_http_req *req, struct ch_http_resp *resp)
{
	json_t *body = json_loadb((const char *)req->body, req->body_len, 0, NULL);
	size_t n = json_array_size(json_object_get(body, "records"));
	bool is_bad = s->bad_handbacks > 0;
	json_t *results = json_array();
	bool good = s->handback && !is_bad;
	const char *type = good ? "content-type: application/json"
				: "content-type: application/problem+json";
	char *text;

	snprintf(s->last_handback, sizeof(s->last_handback), "%.*s", (int)req->body_len,
		(const char *)req->body);
	for (size_t i = 0; i < n && good; i++)
		json_array_append_new(
			results, json_pack("{s:s, s:n}", "result", s->handback, "code"));
	s->bad_handbacks -= is_bad;
	s->handed_back += good ? (unsigned)n : 0;
	resp->status = good ? 200 : is_bad ? 400 : 409;
	if (good) {
		json_t *answer = json_pack("{s:O}", "results", results);

		text = json_dumps(answer, 0);
		json_decref(answer);
	} else if (is_bad) {
		text = strdup("{\"code\":\"validation\",\"detail\":\"A record.\"}");
	} else {
		text = strdup("{\"code\":\"not-restored\",\"detail\":\"It was not.\"}");
	}
	assert_int_equal(ch_buf_add_str(&resp->body, text), CH_OK);
	free(text);
	json_decref(results);
	json_decref(body);
	return ch_http_resp_add_line(resp, type, strlen(type));
}

static uint64_t number(const char *path, const char *key)
{
	const char *at = strstr(path, key);

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static size_t add_rows(struct fake_store *s, uint64_t after, struct ch_buf *out, bool *more)
{
	size_t n = 0;

	*more = false;
	for (uint64_t seq = after + 1; seq <= s->head; seq++) {
		for (size_t i = 0; i < s->n_rows; i++) {
			struct fake_row *row = &s->rows[i];
			struct ch_feed_frame frame = {.type = row->type,
				.seq = seq,
				.payload = row->record.data,
				.payload_len = row->record.len};
			struct ch_feed_frame chain = {.type = CH_FEED_CHAIN,
				.seq = seq,
				.payload = row->chain.data,
				.payload_len = row->chain.len};

			if (row->seq != seq)
				continue;
			if (n == s->frames_max) {
				*more = true;
				return n;
			}
			if (row->chain.len)
				assert_int_equal(ch_feed_add_frame(out, &chain), CH_OK);
			assert_int_equal(ch_feed_add_frame(out, &frame), CH_OK);
			n++;
		}
	}
	return n;
}

static void answer_feed(struct fake_store *s, const char *path, struct ch_http_resp *resp)
{
	struct ch_feed_header header = {
		.head = s->claimed_head ? s->claimed_head : s->head, .base = s->head};
	uint64_t after = number(path, "&after=");
	uint64_t base = number(path, "&base=");
	const char *epoch = strstr(path, "&epoch=");
	char ours[2 * CH_EPOCH_B + 1];
	struct ch_buf rows;
	bool more = false;

	ch_buf_init(&rows, CH_FEED_ANSWER_MAX_B);
	ch_hex_encode(s->epoch, CH_EPOCH_B, ours);
	memcpy(header.epoch, s->epoch, CH_EPOCH_B);
	if (epoch && (strncmp(epoch + 7, ours, 32) != 0 ||
			     (after > base ? after : base) < s->floor)) {
		header.flags = CH_FEED_RESET;
	} else {
		add_rows(s, epoch ? after : 0, &rows, &more);
		header.flags = more ? CH_FEED_MORE : 0;
	}
	assert_int_equal(ch_feed_add_header(&resp->body, &header), CH_OK);
	assert_int_equal(ch_buf_add(&resp->body, rows.data, rows.len), CH_OK);
	ch_buf_done(&rows);
}

static int fake_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	struct fake_store *s = (struct fake_store *)http;
	const char *path = strstr(req->url, "/v1/");
	const char *type = "content-type: " CH_FEED_CONTENT_TYPE;

	ch_http_resp_restart(resp, req->max_answer_b);
	if (s->down)
		return ch_err_set(err, CH_ENETWORK, "http-connect", "down");
	if (strcmp(path, "/v1/edges/self") == 0) {
		take_ack(s, req);
		resp->status = 204;
		return CH_OK;
	}
	if (strcmp(path, "/v1/handback") == 0)
		return take_handback(s, req, resp);
	if (!s->has_snapshots && strncmp(path, "/v1/feed/snapshot", 17) == 0) {
		resp->status = 404;
		return CH_OK;
	}
	s->polls++;
	snprintf(s->last_path, sizeof(s->last_path), "%s", path);
	resp->status = s->status ? s->status : 200;
	if (s->status) {
		type = "content-type: application/problem+json";
		ch_buf_add_str(&resp->body, s->bad_answer);
	} else if (s->bad_answer) {
		ch_buf_add_str(&resp->body, s->bad_answer);
	} else if (strncmp(path, "/v1/feed/checksum?", 18) == 0) {
		type = "content-type: application/json";
		fake_store_answer_checksum(s, path, &resp->body);
	} else if (strncmp(path, "/v1/feed/snapshot", 17) == 0) {
		fake_store_answer_snapshot(s, path, &resp->body);
	} else {
		answer_feed(s, path, resp);
	}
	return ch_http_resp_add_line(resp, type, strlen(type));
}

static void fake_free(struct ch_http *http)
{
}

static struct ch_sign_key *make_key(void)
{
	char dir[] = "/tmp/ch-test-key-XXXXXX";
	char path[64];
	struct ch_sign_key *key;
	struct ch_err err;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/key", dir);
	assert_int_equal(ch_sign_key_create(path, &err), CH_OK);
	assert_int_equal(ch_sign_key_load(path, &key, &err), CH_OK);
	unlink(path);
	rmdir(dir);
	return key;
}

void fake_store_init(struct fake_store *s)
{
	memset(s, 0, sizeof(*s));
	s->http.send = fake_send;
	s->http.free = fake_free;
	s->frames_max = FAKE_MAX;
	memset(s->epoch, 0xe1, CH_EPOCH_B);
	s->key = make_key();
}

void fake_store_done(struct fake_store *s)
{
	for (size_t i = 0; i < s->n_rows; i++) {
		ch_buf_done(&s->rows[i].record);
		ch_buf_done(&s->rows[i].chain);
	}
	ch_sign_key_free(s->key);
}

struct fake_row *fake_store_row(struct fake_store *s, const char *name)
{
	for (size_t i = 0; i < s->n_rows; i++)
		if (strcmp(s->rows[i].name, name) == 0)
			return &s->rows[i];
	return NULL;
}

static struct fake_row *row_of(struct fake_store *s, const char *name)
{
	struct fake_row *row = fake_store_row(s, name);

	if (!row) {
		assert_true(s->n_rows < FAKE_MAX);
		row = &s->rows[s->n_rows++];
		snprintf(row->name, sizeof(row->name), "%s", name);
		ch_buf_init(&row->record, CH_RECORD_MAX_B);
		ch_buf_init(&row->chain, CH_CHAIN_MAX_B + CH_CHAIN_ID_B);
	}
	ch_buf_reset(&row->record);
	ch_buf_reset(&row->chain);
	row->type = CH_FEED_RECORD;
	row->is_tombstone = false;
	row->seq = ++s->head;
	return row;
}

static struct ch_record record_of(enum ch_record_kind kind, const char *name, uint64_t version)
{
	static const uint8_t zeros[CH_CHAIN_ID_B];
	static const uint8_t bytes[65] = {4};
	struct ch_record r = {.kind = kind,
		.version = version,
		.name = name,
		.name_len = strlen(name),
		.key_version = version,
		.not_before_s = 1,
		.not_after_s = 2,
		.chain_id = zeros,
		.leaf = bytes,
		.leaf_len = sizeof(bytes),
		.n_sealed = 1};

	r.sealed[0] = (struct ch_sealed_view){.recipient_id = bytes,
		.kem_id = 0x20,
		.enc = bytes,
		.enc_len = 32,
		.ct = bytes,
		.ct_len = 65};
	return r;
}

static void put_cert(struct fake_store *s, struct fake_row *row, uint64_t version,
	const struct ch_sign_key *key, const uint8_t *chain_id)
{
	struct ch_record r = record_of(CH_RECORD_CERT, row->name, version);

	if (chain_id)
		r.chain_id = chain_id;
	if (s->not_after_s)
		r.not_after_s = s->not_after_s;
	assert_int_equal(ch_record_sign(&r, key, &row->record), CH_OK);
}

void fake_store_put_cert(struct fake_store *s, const char *name, uint64_t version)
{
	put_cert(s, row_of(s, name), version, s->key, NULL);
}

void fake_store_put_forged(struct fake_store *s, const char *name, uint64_t version)
{
	struct ch_sign_key *other = make_key();

	put_cert(s, row_of(s, name), version, other, NULL);
	ch_sign_key_free(other);
}

void fake_store_put_second(
	struct fake_store *s, const char *name, uint64_t version, bool there, bool forged)
{
	char key[CH_RECORD_KEY_B];
	struct fake_row *row;
	struct ch_record r;

	ch_record_key(CH_RECORD_SECOND, name, strlen(name), key);
	row = row_of(s, key);
	r = record_of(CH_RECORD_SECOND, name, version);
	r.withdrawn = !there;
	if (there) {
		struct ch_sign_key *other = forged ? make_key() : NULL;

		assert_int_equal(
			ch_record_sign(&r, forged ? other : s->key, &row->record), CH_OK);
		ch_sign_key_free(other);
	} else {
		assert_int_equal(ch_record_encode(&r, &row->record), CH_OK);
	}
}

void fake_store_put_cert_with_chain(
	struct fake_store *s, const char *name, uint64_t version, bool send, bool right)
{
	struct fake_row *row = row_of(s, name);
	struct ch_chain chain = {
		.der = {(const uint8_t *)"intermediate"}, .der_len = {12}, .n = 1};
	struct ch_buf block;

	ch_buf_init(&block, CH_CHAIN_MAX_B);
	assert_int_equal(ch_chain_encode(&chain, &block), CH_OK);
	assert_int_equal(ch_chain_id(block.data, block.len, row->chain_id), CH_OK);
	if (send) {
		ch_buf_add(&row->chain, row->chain_id, CH_CHAIN_ID_B);
		ch_buf_add(&row->chain, block.data, block.len);
		if (!right)
			row->chain.data[row->chain.len - 1] ^= 1;
	}
	ch_buf_done(&block);
	put_cert(s, row, version, s->key, row->chain_id);
}

static void put_plain(
	struct fake_store *s, enum ch_record_kind kind, const char *name, uint64_t version)
{
	struct fake_row *row = row_of(s, name);
	struct ch_record r = record_of(kind, row->name, version);

	row->is_tombstone = kind == CH_RECORD_TOMBSTONE;
	assert_int_equal(ch_record_encode(&r, &row->record), CH_OK);
}

void fake_store_put_name(struct fake_store *s, const char *name, uint64_t version)
{
	put_plain(s, CH_RECORD_NAME, name, version);
}

void fake_store_put_tombstone(struct fake_store *s, const char *name, uint64_t version)
{
	put_plain(s, CH_RECORD_TOMBSTONE, name, version);
}

void fake_store_put_raw(
	struct fake_store *s, const char *name, uint8_t type, const void *bytes, size_t len)
{
	struct fake_row *row = row_of(s, name);

	row->type = type;
	ch_buf_add(&row->record, bytes, len);
}

void fake_store_forget(struct fake_store *s, const char *name)
{
	for (size_t i = 0; i < s->n_rows; i++)
		if (strcmp(s->rows[i].name, name) == 0)
			s->rows[i].seq = 0;
}
