#include "agentd/apply.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/policy.h"

static const uint8_t no_chain[CH_CHAIN_ID_B];

static int apply_chain(
	struct ch_apply *a, const struct ch_feed_frame *frame, struct ch_apply_counts *counts)
{
	const uint8_t *block = frame->payload + CH_CHAIN_ID_B;
	size_t len = frame->payload_len - CH_CHAIN_ID_B;
	uint8_t id[CH_CHAIN_ID_B];
	struct ch_chain chain;
	int rc;

	if (frame->payload_len < CH_CHAIN_ID_B)
		return CH_EPROTO;
	/* The signed record names the chain by its hash: another block cannot take its place.
	 */
	if (ch_chain_decode(block, len, &chain) || ch_chain_id(block, len, id) ||
		memcmp(id, frame->payload, sizeof(id)) != 0) {
		counts->refused++;
		return CH_OK;
	}
	rc = ch_replica_put_chain(a->writer, id, block, len);
	return rc;
}

/* Under what a refusal is remembered, until a good record comes: there are ticket keys of one
 * pool only, ours. */
static size_t refused_key(
	const struct ch_apply *a, const struct ch_record *record, char ret_key[CH_RECORD_KEY_B])
{
	if (record->kind == CH_RECORD_TICKETS)
		return ch_record_key(record->kind, a->pool, strlen(a->pool), ret_key);
	return ch_record_key(record->kind, record->name, record->name_len, ret_key);
}

static int refuse(struct ch_apply *a, const struct ch_record *record, uint64_t seq,
	const char *why, struct ch_apply_counts *counts)
{
	char key[CH_RECORD_KEY_B];
	size_t key_len = refused_key(a, record, key);
	int rc;

	counts->refused++;
	ch_refused_add(a->refused, key, key_len, why);
	if (ch_record_has_cert(record))
		ch_refused_count(a->refused, seq);
	ch_log_debug("record refused name=%.*s seq=%" PRIu64 " why=%s", (int)record->name_len,
		record->name, seq, why);
	if (record->kind != CH_RECORD_CERT || !ch_replica_writer_is_rebuilding(a->writer))
		return CH_OK;
	/* Its old certificate is in the live generation only: take it along. */
	rc = ch_replica_carry_over(a->writer, CH_RECORD_CERT, record->name, record->name_len);
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

/* A good record: what was refused in its place is history, and with a name go its policy,
 * its second certificate and its challenge. */
static void settle(struct ch_apply *a, const struct ch_record *record)
{
	char key[CH_RECORD_KEY_B];

	ch_refused_drop(a->refused, key, refused_key(a, record, key));
	if (ch_record_has_cert(record))
		ch_refused_taken(a->refused);
	if (record->kind != CH_RECORD_TOMBSTONE)
		return;
	ch_refused_drop(a->refused, key,
		ch_record_key(CH_RECORD_POLICY, record->name, record->name_len, key));
	ch_refused_drop(a->refused, key,
		ch_record_key(CH_RECORD_SECOND, record->name, record->name_len, key));
	ch_refused_drop(a->refused, key,
		ch_record_key(CH_RECORD_CHALLENGE, record->name, record->name_len, key));
}

/* Why a record that carries a certificate must not be taken, or NULL; *ret_rc: the replica
 * failed. */
static const char *check_cert(
	struct ch_apply *a, const struct ch_record *record, uint64_t number, int *ret_rc)
{
	bool there = true;

	if (!ch_signatures_are_good(&a->signatures, number))
		return "not signed by a pinned key";
	if (memcmp(record->chain_id, no_chain, sizeof(no_chain)) != 0)
		*ret_rc = ch_replica_has_chain(a->writer, record->chain_id, &there);
	return there ? NULL : "its intermediates are missing";
}

/* Recipients may be those of several pools: only the name tells whose the keys are. */
static const char *check_tickets(
	const struct ch_apply *a, const struct ch_record *record, uint64_t number)
{
	if (!ch_signatures_are_good(&a->signatures, number))
		return "ticket keys that are not signed by a pinned key";
	if (strlen(a->pool) != record->name_len ||
		memcmp(a->pool, record->name, record->name_len) != 0)
		return "ticket keys of another pool";
	return NULL;
}

/* No signature vouches for it, so its form must: parts of it go into answers to visitors. */
static const char *check_policy(const struct ch_record *record)
{
	for (int tag = 1; tag < CH_POLICY_TAG_COUNT; tag++)
		if (!ch_policy_is_normal((enum ch_policy_tag)tag, record->policy[tag].text,
			    record->policy[tag].len))
			return "its policy is no policy";
	return NULL;
}

/* Whether this record takes away a certificate that is served now: the name's, or its second.
 */
static int loses_cert(struct ch_apply *a, const struct ch_record *record, bool *ret_loses)
{
	char key[CH_RECORD_KEY_B];
	size_t key_len = ch_record_key(record->kind, record->name, record->name_len, key);
	CH_AUTO_BUF struct ch_buf old;
	struct ch_record before;
	int rc;

	ch_buf_init(&old, CH_RECORD_MAX_B);
	rc = ch_replica_writer_get(a->writer, key, key_len, &old);
	*ret_loses = rc == CH_OK && ch_record_decode(old.data, old.len, &before) == CH_OK &&
		     ch_record_has_cert(&before);
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

static int put(struct ch_apply *a, const struct ch_record *record,
	const struct ch_feed_frame *frame, struct ch_apply_counts *counts)
{
	enum ch_apply_effect effect;
	bool loses = false;
	int rc = CH_OK;

	if (!ch_record_has_cert(record) && record->kind != CH_RECORD_POLICY &&
		record->kind != CH_RECORD_CHALLENGE &&
		!ch_replica_writer_is_rebuilding(a->writer))
		rc = loses_cert(a, record, &loses);
	if (rc == CH_OK)
		rc = ch_replica_put(
			a->writer, record, frame->payload, frame->payload_len, &effect);
	if (rc)
		return rc;
	counts->added += effect == CH_APPLY_ADDED;
	counts->changed += effect == CH_APPLY_CHANGED;
	counts->stale += effect == CH_APPLY_STALE;
	counts->removed += effect == CH_APPLY_REMOVED || (effect == CH_APPLY_CHANGED && loses);
	if (loses && (effect == CH_APPLY_REMOVED || effect == CH_APPLY_CHANGED)) {
		if (frame->seq <= a->released_seq && a->released > 0)
			a->released--;
		else
			counts->unconfirmed++;
	}
	return CH_OK;
}

static int apply_record(
	struct ch_apply *a, const struct ch_feed_frame *frame, struct ch_apply_counts *counts)
{
	struct ch_record record;
	const char *why = NULL;
	int rc = ch_record_decode(frame->payload, frame->payload_len, &record);

	if (rc == CH_EUNSUPPORTED) {
		counts->unsupported++;
		return CH_OK;
	}
	if (rc) { /* without a name that could be told */
		counts->refused++;
		ch_refused_add(a->refused, "?", 1, "damaged record");
		return CH_OK;
	}
	rc = CH_OK;
	if (ch_record_has_cert(&record))
		why = check_cert(a, &record, counts->frames - 1, &rc);
	if (record.kind == CH_RECORD_POLICY)
		why = check_policy(&record);
	if (record.kind == CH_RECORD_TICKETS)
		why = check_tickets(a, &record, counts->frames - 1);
	if (record.kind == CH_RECORD_CHALLENGE && ch_record_is_signed(&record) &&
		!ch_signatures_are_good(&a->signatures, counts->frames - 1))
		why = "a token that is not signed by a pinned key";
	if (rc)
		return rc;
	if (why)
		return refuse(a, &record, frame->seq, why, counts);
	settle(a, &record);
	return put(a, &record, frame, counts);
}

static int apply_frame(
	struct ch_apply *a, const struct ch_feed_frame *frame, struct ch_apply_counts *counts)
{
	switch (frame->type) {
	case CH_FEED_RECORD:
		return apply_record(a, frame, counts);
	case CH_FEED_CHAIN:
		return apply_chain(a, frame, counts);
	case CH_FEED_PLACE:
		return CH_OK;
	}
	counts->unsupported++;
	return CH_OK;
}

/* by_name: the frames of a snapshot are not numbered. */
static int apply_frames(struct ch_apply *a, struct ch_reader *frames, bool by_name,
	uint64_t *seq, struct ch_apply_counts *counts, struct ch_err *err)
{
	uint64_t after = *seq;

	for (;;) {
		struct ch_feed_frame frame;
		int rc = ch_feed_read_frame(frames, &frame);

		if (rc == CH_ENOTFOUND)
			return CH_OK;
		if (rc)
			return ch_err_set(
				err, rc, "feed-cut", "the feed's answer is cut short");
		/* A chain frame carries the number of the record behind it. */
		if (!by_name &&
			(frame.seq <= after || frame.seq < *seq || frame.seq > CH_FEED_SEQ_MAX))
			return ch_err_set(err, CH_EPROTO, "feed-order",
				"the feed's answer has sequence number %" PRIu64
				" after %" PRIu64,
				frame.seq, *seq);
		*seq = frame.seq;
		counts->frames++;
		rc = apply_frame(a, &frame, counts);
		if (rc == CH_EPROTO)
			return ch_err_set(err, rc, "feed-frame",
				"the feed's frame %" PRIu64 " is damaged", frame.seq);
		if (rc)
			return ch_err_set(err, rc, "replica", "cannot write to the replica: %s",
				ch_rc_str(rc));
	}
}

/* Begins the transaction; whoever called it ends it. */
static int apply_all(struct ch_apply *a, struct ch_reader *frames, bool by_name, uint64_t *seq,
	struct ch_apply_counts *counts, struct ch_err *err)
{
	int rc = ch_replica_apply_begin(a->writer);

	if (rc == CH_OK)
		rc = ch_signatures_check(a->signers, *frames, 0, &a->signatures);
	if (rc)
		return ch_err_set(
			err, rc, "replica", "cannot write to the replica: %s", ch_rc_str(rc));
	rc = apply_frames(a, frames, by_name, seq, counts, err);
	ch_signatures_done(&a->signatures);
	return rc;
}

/* Removals in a generation that is not live yet take nothing away: that is looked at when it is
 * to be published. */
static int check_brake(struct ch_apply *a, const struct ch_apply_counts *counts, uint64_t live,
	struct ch_err *err)
{
	if (ch_replica_writer_is_rebuilding(a->writer) ||
		ch_brake_allows(a->brake, ch_mono_ms(), counts->unconfirmed, live))
		return CH_OK;
	if (ch_brake_put_on(a->brake, counts->unconfirmed, live, err))
		ch_log_debug("brake file: %s", err ? err->detail : "");
	return ch_err_set(err, CH_EAGAIN, "removal-refused",
		"removing %" PRIu64 " of %" PRIu64 " live names is over the limit and refused: "
		"run `certherd agent --confirm-removal` on "
		"this edge if it is meant",
		counts->unconfirmed, live);
}

/* Where the replica is after this answer. */
static struct ch_cursor advance(
	const struct ch_feed_header *header, const struct ch_cursor *from, uint64_t seq)
{
	struct ch_cursor cursor = {.seq = seq, .valid = true};

	memcpy(cursor.epoch, header->epoch, CH_EPOCH_B);
	/* All that there was has come: other pools have the numbers in between. */
	if (!(header->flags & CH_FEED_MORE) && header->head > seq)
		cursor.seq = header->head;
	cursor.base = from->valid ? from->base : header->base;
	if (cursor.seq >= cursor.base)
		cursor.base = cursor.seq;
	return cursor;
}

int ch_apply_answer(struct ch_apply *apply, const struct ch_feed_header *header,
	struct ch_reader *frames, struct ch_cursor *cursor, struct ch_apply_counts *ret_counts,
	struct ch_err *err)
{
	struct ch_apply_counts counts = {0};
	struct ch_cursor after;
	uint64_t seq = cursor->valid ? cursor->seq : 0;
	uint64_t live;
	int rc = ch_replica_writer_live_certs(apply->writer, &live);

	if (rc)
		return ch_err_set(
			err, rc, "replica", "cannot read the replica: %s", ch_rc_str(rc));
	rc = apply_all(apply, frames, false, &seq, &counts, err);
	if (rc == CH_OK)
		rc = check_brake(apply, &counts, live, err);
	if (rc) {
		ch_replica_apply_abort(apply->writer);
		return rc;
	}
	after = advance(header, cursor, seq);
	/* Nothing has moved: no need to write. */
	if (cursor->valid && counts.frames == 0 && after.seq == cursor->seq &&
		after.base == cursor->base) {
		ch_replica_apply_abort(apply->writer);
		*ret_counts = counts;
		return CH_OK;
	}
	rc = ch_replica_apply_commit(apply->writer, &after, err);
	if (rc)
		return rc;
	if (!ch_replica_writer_is_rebuilding(apply->writer))
		ch_brake_note(apply->brake, ch_mono_ms(), counts.unconfirmed);
	apply->refused->unsupported += counts.unsupported;
	*cursor = after;
	*ret_counts = counts;
	return CH_OK;
}

static bool is_key(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] <= 0x20 || bytes[i] > 0x7e)
			return false;
	return len > 0 && len < CH_RECORD_KEY_B;
}

int ch_apply_find_place(const struct ch_feed_header *header, struct ch_reader frames,
	char ret_key[CH_RECORD_KEY_B])
{
	struct ch_feed_frame frame = {.type = CH_FEED_RECORD};
	int rc;

	ret_key[0] = 0;
	while ((rc = ch_feed_read_frame(&frames, &frame)) == CH_OK)
		;
	if (rc != CH_ENOTFOUND)
		return rc;
	if (!(header->flags & CH_FEED_MORE))
		return CH_OK;
	if (frame.type != CH_FEED_PLACE || !is_key(frame.payload, frame.payload_len))
		return CH_EPROTO;
	memcpy(ret_key, frame.payload, frame.payload_len);
	ret_key[frame.payload_len] = 0;
	return CH_OK;
}

int ch_apply_snapshot(struct ch_apply *apply, const struct ch_feed_header *header,
	struct ch_reader *frames, struct ch_place *place, struct ch_apply_counts *ret_counts,
	struct ch_err *err)
{
	struct ch_apply_counts counts = {0};
	struct ch_place after = *place;
	struct ch_cursor cursor = {.base = header->head, .valid = true};
	uint64_t seq = 0;
	int rc = ch_apply_find_place(header, *frames, after.key);

	/* It must get on, or it would never end. */
	if (rc == CH_OK && after.key[0] && strcmp(after.key, place->key) <= 0)
		rc = CH_EPROTO;
	if (rc)
		return ch_err_set(
			err, rc, "feed-place", "the snapshot does not say where it goes on");
	if (!place->valid) {
		memcpy(after.epoch, header->epoch, CH_EPOCH_B);
		after.head = header->head;
		after.valid = true;
	}
	after.done = after.key[0] == 0;
	memcpy(cursor.epoch, after.epoch, CH_EPOCH_B);
	cursor.seq = after.head;
	rc = apply_all(apply, frames, true, &seq, &counts, err);
	if (rc) {
		ch_replica_apply_abort(apply->writer);
		return rc;
	}
	rc = ch_replica_apply_commit_place(apply->writer, &after, &cursor, err);
	if (rc)
		return rc;
	apply->refused->unsupported += counts.unsupported;
	*place = after;
	*ret_counts = counts;
	return CH_OK;
}
