/* Asking the store, and walking through the replica. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/compare_priv.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"

#define LOOK_MS 100
#define ASK_TIMEOUT_MS 60000

static int bad_answer(struct ch_err *err)
{
	return ch_err_set(err, CH_EPROTO, "checksum-answer",
		"the store's answer is not a checksum as this program knows it");
}

static int read_hex(const json_t *from, const char *key, uint8_t *ret_bytes, size_t len)
{
	const char *text = json_string_value(json_object_get(from, key));

	return text && strlen(text) == 2 * len ? ch_hex_decode(text, ret_bytes, len)
					       : CH_EPROTO;
}

static int read_u64(const json_t *from, const char *key, uint64_t *ret_value)
{
	const json_t *value = json_object_get(from, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return CH_EPROTO;
	*ret_value = (uint64_t)json_integer_value(value);
	return CH_OK;
}

static int read_items(struct ch_compare_answer *answer)
{
	const json_t *list = json_object_get(answer->json, "records");
	size_t n = json_array_size(list);
	const char *last = "";

	if (!json_is_array(list) || n > CH_COMPARE_LIST)
		return CH_EPROTO;
	answer->items = calloc(n ? n : 1, sizeof(*answer->items));
	if (!answer->items)
		return CH_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const json_t *record = json_array_get(list, i);
		struct ch_compare_item *item = &answer->items[i];

		item->name = json_string_value(json_object_get(record, "name"));
		if (!item->name || strlen(item->name) >= CH_RECORD_KEY_B ||
			strcmp(item->name, last) <= 0 ||
			read_u64(record, "version", &item->version) ||
			read_hex(record, "sha256", item->sha256, CH_CHECKSUM_B))
			return CH_EPROTO;
		last = item->name;
	}
	answer->n_items = n;
	return CH_OK;
}

static int read_answer(
	struct ch_compare *c, const struct ch_compare_range *range, struct ch_compare_answer *a)
{
	const json_t *last = json_object_get(a->json, "last");
	const char *last_text = json_string_value(last);
	const char *pool = json_string_value(json_object_get(a->json, "pool"));

	if (!pool || strlen(pool) >= sizeof(c->pool) ||
		read_hex(a->json, "epoch", a->epoch, CH_EPOCH_B) ||
		read_u64(a->json, "head", &a->head) ||
		read_u64(a->json, "count", &a->sum.count) ||
		read_hex(a->json, "sha256", a->sum.digest, CH_CHECKSUM_B))
		return CH_EPROTO;
	/* It must lead on, or this would go round in circles. */
	if (!json_is_null(last) && (!last_text || strlen(last_text) >= CH_RECORD_KEY_B ||
					   strcmp(last_text, range->after) <= 0))
		return CH_EPROTO;
	snprintf(a->last, sizeof(a->last), "%s", last_text ? last_text : "");
	snprintf(c->pool, sizeof(c->pool), "%s", pool);
	memcpy(c->epoch, a->epoch, CH_EPOCH_B);
	c->head = a->head;
	return CH_OK;
}

static void add_name(struct ch_buf *path, const char *key, const char *name)
{
	if (!*name)
		return;
	ch_buf_addf(path, "&%s=", key);
	ch_url_encode(path, name);
}

int ch_compare_ask(struct ch_compare *compare, const struct ch_compare_range *range, bool list,
	struct ch_compare_answer *ret_answer, struct ch_err *err)
{
	CH_AUTO_COMPARE_ANSWER struct ch_compare_answer answer = {.json = NULL};
	CH_AUTO_BUF struct ch_buf path;
	struct ch_api_call call = {.method = "GET", .timeout_ms = ASK_TIMEOUT_MS};
	int rc;

	ch_buf_init(&path, 4096);
	ch_buf_addf(&path, "/v1/feed/checksum?limit=%d&list=%d",
		list ? CH_COMPARE_LIST : CH_COMPARE_RANGE, list);
	add_name(&path, "after", range->after);
	add_name(&path, "until", range->until);
	if (path.rc)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	call.path = ch_buf_str(&path);
	rc = ch_api_call(compare->api, &call, err);
	if (rc)
		return rc;
	answer.json = call.answer;
	rc = read_answer(compare, range, &answer);
	if (!rc && list)
		rc = read_items(&answer);
	if (rc)
		return bad_answer(err);
	*ret_answer = answer;
	answer = (struct ch_compare_answer){.json = NULL};
	return CH_OK;
}

void ch_compare_answer_done(struct ch_compare_answer *answer)
{
	json_decref(answer->json);
	free(answer->items);
	*answer = (struct ch_compare_answer){.json = NULL};
}

/* CH_EAGAIN: not there yet.  On success the lookup stays open. */
static int look(
	struct ch_compare *c, const struct ch_compare_answer *answer, struct ch_err *err)
{
	struct ch_err why = {0};
	int rc = ch_replica_reader_poll(c->reader, &why);

	if (rc < 0 && !ch_replica_reader_is_open(c->reader))
		return ch_err_set(err, rc, "replica-open", "%s", why.detail);
	rc = ch_replica_begin(c->reader);
	if (rc)
		return ch_err_set(err, rc, "replica-read", "the replica cannot be read: %s",
			ch_rc_str(rc));
	rc = ch_replica_cursor(c->reader, &c->cursor);
	if (rc == CH_OK && c->cursor.valid && c->cursor.seq >= c->cursor.base &&
		c->cursor.seq >= answer->head &&
		memcmp(c->cursor.epoch, answer->epoch, CH_EPOCH_B) == 0)
		return CH_OK;
	ch_replica_end(c->reader);
	if (rc)
		return ch_err_set(
			err, rc, "replica-read", "the replica's cursor: %s", ch_rc_str(rc));
	return ch_err_set(err, CH_EAGAIN, "replica-behind",
		"the replica is at %" PRIu64 "%s, the store at %" PRIu64
		": is the agent running, and what does it log?",
		c->cursor.valid ? c->cursor.seq : 0,
		c->cursor.valid && memcmp(c->cursor.epoch, answer->epoch, CH_EPOCH_B) != 0
			? " of another epoch"
			: "",
		answer->head);
}

int ch_compare_wait(
	struct ch_compare *compare, const struct ch_compare_answer *answer, struct ch_err *err)
{
	int64_t until_ms = ch_mono_ms() + compare->wait_ms;

	while (true) {
		int rc = look(compare, answer, err);

		/* A first generation may come yet, too. */
		if ((rc != CH_EAGAIN && rc != CH_ENOTFOUND) || ch_mono_ms() >= until_ms)
			return rc;
		(void)!poll(NULL, 0, LOOK_MS);
	}
}

static bool chain_is_bad(struct ch_compare *c, const struct ch_record *record)
{
	static const uint8_t none[CH_CHAIN_ID_B];
	uint8_t id[CH_CHAIN_ID_B];
	const uint8_t *block;
	size_t len;

	if (!ch_record_has_cert(record) || memcmp(record->chain_id, none, sizeof(none)) == 0)
		return false;
	return ch_replica_get_chain(c->reader, record->chain_id, &block, &len) ||
	       ch_chain_id(block, len, id) || memcmp(id, record->chain_id, sizeof(id)) != 0;
}

/* Whether a record lies under the key that is its own. */
static bool is_under(const struct ch_record *record, const char *key)
{
	char own[CH_RECORD_KEY_B];

	(void)ch_record_key(record->kind, record->name, record->name_len, own);
	return strcmp(own, key) == 0;
}

int ch_compare_next(struct ch_compare *compare, const char *after, const char *until,
	struct ch_compare_entry *ret_entry)
{
	struct ch_compare_entry e = {.version = 0};
	struct ch_replica_entry entry;
	struct ch_record record;
	const char *from = after;
	int rc;

	do {
		rc = ch_replica_next(compare->reader, from, strlen(from), &entry);
		if (rc)
			return rc;
		if (entry.key_len == 0 || entry.key_len >= sizeof(e.name) ||
			memchr(entry.key, 0, entry.key_len))
			return CH_ECORRUPT;
		memcpy(e.name, entry.key, entry.key_len);
		e.name[entry.key_len] = 0;
		from = e.name;
		if (*until && strcmp(e.name, until) > 0)
			return CH_ENOTFOUND;
		rc = ch_record_decode(entry.bytes, entry.len, &record);
	} while (rc == CH_OK && record.kind == CH_RECORD_TOMBSTONE);
	e.bytes = entry.bytes;
	e.len = entry.len;
	e.damaged = rc != CH_OK || !is_under(&record, e.name);
	e.is_name = !strchr(e.name, '/');
	if (!e.damaged) {
		e.version = record.version;
		e.bad_chain = chain_is_bad(compare, &record);
	}
	*ret_entry = e;
	return CH_OK;
}
