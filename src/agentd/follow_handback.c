/* The store is in another epoch.  If that is because it was restored from a backup, then the
 * live generation has certificates that the store has forgotten: they are handed back before
 * the new generation takes its place, and taken along into it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/follow_priv.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/mem.h"

#define BATCH 64
#define BATCH_B (1024u * 1024u)
#define STEP_MS 5000
/* How long an issuer has to sign again what cannot be live under its old version. */
#define SOON_MS (2 * CH_MINUTE_MS)

struct batch {
	json_t *records;
	json_t *chains;
	const uint8_t *chain; /* the last one, in the replica's memory while that is walked */
	size_t bytes;
	size_t n;
	size_t max;
	char names[BATCH][CH_RECORD_KEY_B];
	enum ch_record_kind kinds[BATCH];
	bool first_only;
	bool full;
};

static void batch_done(struct batch *batch)
{
	json_decref(batch->records);
	json_decref(batch->chains);
}

static json_t *text_of(const uint8_t *bytes, size_t len)
{
	CH_AUTO_BUF struct ch_buf text;

	ch_buf_init(&text, 4 * CH_RECORD_MAX_B);
	return ch_b64u_add(&text, bytes, len) ? NULL : json_string(ch_buf_str(&text));
}

static int add_chain(struct batch *batch, const struct ch_replica_ahead_record *record)
{
	if (!record->chain || batch->chain == record->chain)
		return CH_OK;
	batch->chain = record->chain;
	batch->bytes += 2 * record->chain_len;
	return json_array_append_new(batch->chains, text_of(record->chain, record->chain_len))
		       ? CH_ENOMEM
		       : CH_OK;
}

static int add_record(struct batch *batch, const struct ch_replica_ahead *item,
	const struct ch_replica_ahead_record *record, enum ch_record_kind kind)
{
	json_t *json;

	if (!record->record)
		return CH_OK;
	json = json_pack("{s:o}", "record", text_of(record->record, record->record_len));
	if (!json || json_array_append_new(batch->records, json) || add_chain(batch, record))
		return CH_ENOMEM;
	if (record->chain)
		(void)json_object_set_new(json, "chain",
			json_integer((json_int_t)json_array_size(batch->chains) - 1));
	if (item->tenant.len)
		(void)json_object_set_new(
			json, "tenant", json_stringn(item->tenant.text, item->tenant.len));
	batch->bytes += 2 * record->record_len;
	batch->kinds[batch->n] = kind;
	snprintf(batch->names[batch->n++], CH_RECORD_KEY_B, "%s", item->name);
	return CH_OK;
}

/* CH_EAGAIN: it is full.  The versions of a name only grow in the store: the older of its two
 * goes first.  Both are in one batch, so that the next begins behind the name. */
static int add_item(const struct ch_replica_ahead *item, void *arg)
{
	struct batch *batch = arg;
	bool with_second = item->second.record && !(batch->first_only && item->first.record);
	size_t n = (item->first.record != NULL) + with_second;
	bool is_second_first = with_second && item->second.version < item->first.version;
	int rc = CH_OK;

	if (batch->n && (batch->n + n > batch->max || batch->bytes > BATCH_B)) {
		batch->full = true;
		return CH_EAGAIN;
	}
	if (is_second_first)
		rc = add_record(batch, item, &item->second, CH_RECORD_SECOND);
	if (!rc)
		rc = add_record(batch, item, &item->first, CH_RECORD_CERT);
	if (!rc && with_second && !is_second_first)
		rc = add_record(batch, item, &item->second, CH_RECORD_SECOND);
	return rc;
}

static int send(
	struct ch_follow *f, struct batch *batch, json_t **ret_results, struct ch_err *err)
{
	struct ch_api_call call = {.method = "POST", .path = "/v1/handback"};
	json_t *results = NULL;
	int rc;

	call.body = json_pack("{s:O, s:O}", "records", batch->records, "chains", batch->chains);
	if (!call.body)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_api_call(f->api, &call, err);
	json_decref(call.body);
	results = json_incref(json_object_get(call.answer, "results"));
	json_decref(call.answer);
	if (!rc && json_array_size(results) != batch->n)
		rc = ch_err_set(err, CH_EPROTO, "handback",
			"the store did not answer for each record that was handed back");
	if (rc)
		json_decref(results);
	else
		*ret_results = results;
	return rc;
}

/* What the store has taken is as good as if the feed had brought it. */
static int carry(struct ch_follow *f, const struct batch *batch, const json_t *results,
	struct ch_err *err)
{
	struct ch_cursor cursor;
	int rc = ch_replica_writer_cursor(f->writer, &cursor);

	if (!rc)
		rc = ch_replica_apply_begin(f->writer);
	if (rc)
		return ch_err_set(
			err, rc, "replica", "the replica cannot be written: %s", ch_rc_str(rc));
	for (size_t i = 0; !rc && i < batch->n; i++) {
		const char *result = json_string_value(
			json_object_get(json_array_get(results, i), "result"));

		f->hand_soon += result && strcmp(result, "soon") == 0;
		f->hand_refused += result && strcmp(result, "refused") == 0;
		if (!result || strcmp(result, "taken") != 0)
			continue;
		f->hand_taken++;
		rc = ch_replica_carry_over(
			f->writer, batch->kinds[i], batch->names[i], strlen(batch->names[i]));
	}
	if (rc) {
		ch_replica_apply_abort(f->writer);
		return ch_err_set(
			err, rc, "replica", "the replica cannot be written: %s", ch_rc_str(rc));
	}
	return ch_replica_apply_commit(f->writer, &cursor, err);
}

/* The store does not want any, or does not know what is meant. */
static bool is_not_wanted(int rc, const struct ch_err *err)
{
	return rc == CH_ENOTFOUND || strcmp(err->problem, "not-restored") == 0 ||
	       strcmp(err->problem, "no-signers") == 0;
}

/* The store takes offence at one of them, and would at the next attempt: which one shows when
 * each goes alone.  That one is left out, so that it does not keep all else back. */
static bool is_set_aside(
	struct ch_follow *f, const struct batch *batch, int rc, const struct ch_err *err)
{
	if (rc != CH_EINVAL && rc != CH_ETOOBIG)
		return false;
	if (batch->n > 1) {
		/* What one batch of one name alone holds is its two. */
		f->hand_first_only = batch->max == 1;
		f->hand_alone = batch->n;
		return true;
	}
	ch_log_warn("%s cannot be handed back: %s", batch->names[0], err->detail);
	f->hand_refused++;
	memcpy(f->hand_after, batch->names[0], CH_RECORD_KEY_B);
	return true;
}

static int hand_batch(struct ch_follow *f, bool *ret_more, struct ch_err *err)
{
	CH_CLEANUP(batch_done)
	struct batch batch = {.records = json_array(),
		.chains = json_array(),
		.max = f->hand_alone ? 1 : BATCH,
		.first_only = f->hand_first_only};
	json_t *results = NULL;
	int rc = batch.records && batch.chains ? CH_OK : CH_ENOMEM;

	*ret_more = false;
	if (!rc)
		rc = ch_replica_writer_ahead(f->writer, f->hand_after, add_item, &batch);
	if (rc && !batch.full)
		return ch_err_set(
			err, rc, "replica", "the replica cannot be read: %s", ch_rc_str(rc));
	if (batch.n == 0)
		return CH_OK;
	if (f->hand_alone)
		f->hand_alone--;
	f->hand_first_only = false;
	rc = send(f, &batch, &results, err);
	*ret_more = rc && is_set_aside(f, &batch, rc, err);
	if (*ret_more)
		return CH_OK;
	if (rc)
		return is_not_wanted(rc, err) ? CH_OK : rc;
	rc = carry(f, &batch, results, err);
	json_decref(results);
	if (rc)
		return rc;
	memcpy(f->hand_after, batch.names[batch.n - 1], CH_RECORD_KEY_B);
	*ret_more = batch.full;
	return CH_OK;
}

/* Their version above all: edges take a higher one only, and what the store has forgotten may
 * have been made under a clock that was ahead.  A store of the version before takes offence. */
static int hand_tickets(struct ch_follow *f, struct ch_err *err)
{
	CH_CLEANUP(batch_done)
	struct batch batch = {.records = json_array(), .chains = json_array(), .n = 1};
	CH_AUTO_BUF struct ch_buf record;
	json_t *results = NULL;
	int rc;

	ch_buf_init(&record, CH_RECORD_MAX_B);
	rc = ch_replica_writer_tickets(f->writer, &record);
	if (rc == CH_ENOTFOUND)
		return CH_OK;
	if (rc)
		return ch_err_set(
			err, rc, "replica", "the replica cannot be read: %s", ch_rc_str(rc));
	if (!batch.records || !batch.chains ||
		json_array_append_new(batch.records,
			json_pack("{s:o}", "record", text_of(record.data, record.len))))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = send(f, &batch, &results, err);
	json_decref(results);
	if (!rc)
		return CH_OK;
	return rc == CH_EINVAL || rc == CH_ETOOBIG || is_not_wanted(rc, err) ? CH_OK : rc;
}

static void tell(struct ch_follow *f)
{
	f->handed = true;
	f->hand_until_ms = f->hand_soon ? ch_mono_ms() + SOON_MS : 0;
	if (f->hand_taken || f->hand_soon || f->hand_refused)
		ch_log_info("the store was restored: handed back certificates=%" PRIu64
			    " to-be-signed-again=%" PRIu64 " refused=%" PRIu64,
			f->hand_taken, f->hand_soon, f->hand_refused);
}

void ch_follow_hand_reset(struct ch_follow *f)
{
	f->handed = false;
	f->hand_tickets = false;
	f->hand_after[0] = 0;
	f->hand_alone = 0;
	f->hand_first_only = false;
	f->hand_taken = f->hand_soon = f->hand_refused = 0;
	f->hand_until_ms = 0;
}

/* A generation that is made anew for another reason lacks nothing. */
static bool is_same_epoch(struct ch_follow *f)
{
	struct ch_cursor live;
	struct ch_cursor build;

	return ch_replica_writer_live_cursor(f->writer, &live) || !live.valid ||
	       ch_replica_writer_cursor(f->writer, &build) ||
	       memcmp(live.epoch, build.epoch, CH_EPOCH_B) == 0;
}

int ch_follow_hand_back(struct ch_follow *f, bool *ret_done, struct ch_err *err)
{
	int64_t began_ms = ch_mono_ms();
	bool more = true;

	*ret_done = true;
	if (f->handed || is_same_epoch(f))
		return CH_OK;
	if (!f->hand_tickets) {
		int rc = hand_tickets(f, err);

		if (rc)
			return rc;
		f->hand_tickets = true;
	}
	while (more && ch_mono_ms() - began_ms < STEP_MS) {
		int rc = hand_batch(f, &more, err);

		if (rc)
			return rc;
	}
	*ret_done = !more;
	if (!more)
		tell(f);
	return CH_OK;
}
