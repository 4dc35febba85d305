#include "agentd/follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agentd/follow_priv.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/mem.h"

#define BACKOFF_LEAST_MS 500
#define BACKOFF_MOST_MS 30000
#define BRAKE_LOOK_MS 1000		 /* for a confirmation */
#define BRAKE_ASK_MS (10 * CH_SECOND_MS) /* whether the store still says so */
#define ANSWER_TIME_MS 30000		 /* to send 4 MiB, beside the wait of the poll */

int ch_follow_open(
	struct ch_follow *follow, const struct ch_brake_limits *limits, struct ch_err *err)
{
	int rc = ch_replica_writer_open(&follow->replica, &follow->writer, err);

	/* What another agent has refused is not for us to take back. */
	if (rc != CH_ECONFLICT)
		ch_brake_init(&follow->brake, limits, follow->replica.dir);
	return rc;
}

void ch_follow_close(struct ch_follow *follow)
{
	ch_replica_writer_free(follow->writer);
	follow->writer = NULL;
}

static int64_t backoff(struct ch_follow *f)
{
	int64_t wait_ms = BACKOFF_LEAST_MS << (f->failures < 6 ? f->failures : 6);
	uint8_t random = 128;

	f->failures++;
	if (wait_ms > BACKOFF_MOST_MS)
		wait_ms = BACKOFF_MOST_MS;
	/* Between half and all of it: a thousand edges must not come back at once. */
	if (getrandom(&random, 1, 0) != 1)
		random = 128;
	return wait_ms / 2 + wait_ms / 2 * random / 255;
}

/* What the store is told as base: after a snapshot by name every removal is seen from its head
 * on; while the feed is read from its beginning those before its base need not be. */
static int base_of(struct ch_follow *f, const struct ch_cursor *cursor, uint64_t *ret_base)
{
	struct ch_place place;
	int rc = ch_replica_writer_place(f->writer, &place);

	if (rc == CH_OK)
		*ret_base = place.done ? cursor->seq : cursor->base;
	return rc;
}

static int make_path(struct ch_follow *f, const struct ch_cursor *cursor, struct ch_buf *path)
{
	char epoch[2 * CH_EPOCH_B + 1];
	uint64_t base;
	int rc;
	/* The first answer comes at once, so that the store soon knows that this edge is back:
	 * nothing may have changed for it to report otherwise. */
	int64_t wait_ms = f->answered ? f->poll_wait_ms : 0;

	/* A confirmation is looked for between the polls. */
	if (ch_brake_is_on(&f->brake) && wait_ms > BRAKE_LOOK_MS)
		wait_ms = BRAKE_LOOK_MS;
	ch_buf_addf(path, "/v1/feed?wait_ms=%jd", (intmax_t)wait_ms);
	if (cursor->valid) {
		rc = base_of(f, cursor, &base);
		if (rc)
			return rc;
		ch_hex_encode(cursor->epoch, CH_EPOCH_B, epoch);
		ch_buf_addf(path, "&epoch=%s&after=%" PRIu64 "&base=%" PRIu64, epoch,
			cursor->seq, base);
	}
	return path->rc;
}

static int ask(struct ch_follow *f, const struct ch_cursor *cursor, struct ch_http_resp *resp,
	struct ch_err *err)
{
	CH_AUTO_BUF struct ch_buf path;
	const char *type;
	int rc;

	ch_buf_init(&path, 512);
	rc = make_path(f, cursor, &path);
	if (rc)
		return ch_err_set(
			err, rc, "replica", "cannot ask for the feed: %s", ch_rc_str(rc));
	rc = ch_api_get_raw(f->api, ch_buf_str(&path), CH_FEED_ANSWER_MAX_B,
		f->poll_wait_ms + ANSWER_TIME_MS, resp, err);
	if (rc)
		return rc;
	type = ch_http_resp_header(resp, "content-type");
	if (!type || strcmp(type, CH_FEED_CONTENT_TYPE) != 0)
		return ch_err_set(err, CH_EPROTO, "feed-type",
			"%s did not answer with a feed: is it a store?", ch_api_url(f->api));
	return CH_OK;
}

/* RESET: an empty generation, to be filled from the beginning. */
static int reset(struct ch_follow *f, const struct ch_cursor *cursor, struct ch_err *err)
{
	if (!cursor->valid)
		return ch_err_set(err, CH_EPROTO, "feed-reset",
			"the store asks to begin again at the beginning");
	ch_log_info("the store cannot continue from here: beginning again beside what is live");
	ch_follow_note_restart(f);
	return ch_follow_rebuild(f, err);
}

static int take_answer(struct ch_follow *f, const struct ch_http_resp *resp,
	struct ch_cursor *cursor, bool *ret_more, struct ch_err *err)
{
	struct ch_apply apply = {.writer = f->writer,
		.signers = f->signers,
		.pool = f->pool,
		.refused = &f->refused,
		.brake = &f->brake,
		.released_seq = f->released_seq,
		.released = f->released};
	struct ch_apply_counts counts;
	struct ch_feed_header header;
	struct ch_reader r;
	int rc;

	ch_reader_init(&r, resp->body.data, resp->body.len);
	if (ch_feed_read_header(&r, &header) || header.head > CH_FEED_SEQ_MAX)
		return ch_err_set(
			err, CH_EPROTO, "feed-header", "the feed's answer is damaged");
	memcpy(f->epoch, header.epoch, CH_EPOCH_B);
	f->epoch_known = true;
	*ret_more = true;
	if (header.flags & CH_FEED_RESET)
		return reset(f, cursor, err);
	if (cursor->valid && memcmp(cursor->epoch, header.epoch, CH_EPOCH_B) != 0)
		return ch_err_set(err, CH_EPROTO, "feed-epoch",
			"the store went on in another epoch without saying so");
	rc = ch_apply_answer(&apply, &header, &r, cursor, &counts, err);
	if (rc == CH_EAGAIN)
		f->refused_head = header.head;
	if (rc)
		return rc;
	f->released = apply.released;
	atomic_fetch_add(&f->figures.added, counts.added);
	atomic_fetch_add(&f->figures.changed, counts.changed);
	atomic_fetch_add(&f->figures.removed, counts.removed);
	atomic_fetch_add(&f->figures.refused, counts.refused);
	if (counts.added || counts.changed || counts.removed || counts.refused)
		ch_log_info("applied added=%" PRIu64 " changed=%" PRIu64 " removed=%" PRIu64
			    " refused=%" PRIu64 " seq=%" PRIu64,
			counts.added, counts.changed, counts.removed, counts.refused,
			cursor->seq);
	if ((header.flags & CH_FEED_MORE) && counts.frames == 0)
		return ch_err_set(err, CH_EPROTO, "feed-empty",
			"the store promises more but sends nothing");
	*ret_more = header.flags & CH_FEED_MORE;
	return CH_OK;
}

static int64_t on_failure(struct ch_follow *f, int rc, const struct ch_err *err)
{
	bool is_mine = strncmp(err->problem, "replica", 7) == 0;

	if (rc == CH_ECANCELED)
		return 0;
	atomic_fetch_add(&f->figures.failures, 1);
	if (strcmp(err->problem, "removal-refused") == 0) {
		f->brake_ask_ms = ch_mono_ms() + BRAKE_ASK_MS;
		if (!f->brake.told)
			ch_log_error("%s", err->detail);
		f->brake.told = true;
		return 0;
	}
	/* A store that is just being started, as beside us by `certherd up`, is no trouble. */
	ch_log(rc == CH_ENETWORK && f->failures == 0 ? CH_LOG_INFO : CH_LOG_WARN, "%s",
		err->detail);
	if (is_mine || rc == CH_EFULL)
		snprintf(f->trouble, sizeof(f->trouble), "Replica not written: %.450s",
			err->detail);
	/* Whoever stumbles over damage seldom knows what it is: who opens it does. */
	if (is_mine && rc == CH_ECORRUPT)
		ch_follow_reopen(f, NULL);
	/* Our cursor is ahead of the store: it was restored and does not know that it was. */
	if (strcmp(err->problem, "bad-cursor") == 0 && f->writer &&
		!ch_replica_writer_is_rebuilding(f->writer)) {
		struct ch_err again;

		ch_follow_note_restart(f);
		if (ch_follow_rebuild(f, &again))
			ch_log_warn("no new generation: %s", again.detail);
	}
	return backoff(f);
}

/* While the brake is on, the store is asked only now and then.  True: not yet. */
static bool wait_for_confirmation(struct ch_follow *f)
{
	if (!ch_brake_is_on(&f->brake) || ch_replica_writer_is_rebuilding(f->writer))
		return false;
	if (ch_brake_is_confirmed(&f->brake)) {
		ch_log_info("removal confirmed");
		f->released_seq = f->refused_head;
		f->released += f->brake.removing; /* earlier ones may still be to come */
		f->brake_ask_ms = 0;
		ch_brake_accept(&f->brake);
		return false;
	}
	return ch_mono_ms() < f->brake_ask_ms;
}

static int poll_once(struct ch_follow *f, bool *ret_more, struct ch_err *err)
{
	CH_CLEANUP(ch_http_resp_done) struct ch_http_resp resp;
	struct ch_cursor cursor;
	int rc = ch_replica_writer_cursor(f->writer, &cursor);

	ch_http_resp_init(&resp);
	if (rc)
		return ch_err_set(
			err, rc, "replica", "cannot read the replica: %s", ch_rc_str(rc));
	if (!cursor.valid && !f->no_snapshots) {
		bool known;

		rc = ch_follow_snapshot(f, &known, err);
		f->no_snapshots = !known;
		*ret_more = known;
		if (rc || known)
			return rc;
	}
	rc = ask(f, &cursor, &resp, err);
	if (rc == CH_OK)
		rc = take_answer(f, &resp, &cursor, ret_more, err);
	return rc;
}

/* The refusal is over when the store no longer asks for it. */
static void settle(struct ch_follow *f)
{
	f->failures = 0;
	f->answered = true;
	atomic_store(&f->figures.answered_ms, ch_now_ms());
	f->trouble[0] = 0;
	ch_replica_writer_heard(f->writer);
	if (ch_brake_is_on(&f->brake) && !ch_replica_writer_is_rebuilding(f->writer)) {
		if (!f->brake.accepted)
			ch_log_info(
				"the store no longer asks for the removal that was refused");
		ch_brake_release(&f->brake);
	}
}

/* Whether it makes sense to talk to the store after this. */
static bool is_reachable(int rc, const struct ch_err *err)
{
	return rc == CH_OK || rc == CH_EFULL || strncmp(err->problem, "replica", 7) == 0 ||
	       strcmp(err->problem, "removal-refused") == 0;
}

void ch_follow_step(struct ch_follow *f, int64_t *ret_wait_ms)
{
	struct ch_err err = {0};
	bool more = false;
	int rc = CH_OK;

	*ret_wait_ms = 0;
	if (!f->writer)
		ch_follow_reopen(f, NULL);
	else if (ch_follow_is_lost(f))
		ch_follow_reopen(f, f->trouble);
	if (!f->writer) {
		*ret_wait_ms = backoff(f);
		return;
	}
	ch_follow_check_readers(f);
	if (wait_for_confirmation(f) || ch_follow_is_resting(f)) {
		ch_follow_ack(f);
		*ret_wait_ms = BRAKE_LOOK_MS;
		return;
	}
	rc = ch_follow_try_publish(f, &err);
	if (rc == CH_OK)
		rc = poll_once(f, &more, &err);
	if (rc == CH_OK) {
		settle(f);
		rc = ch_follow_try_publish(f, &err);
	}
	if (rc)
		*ret_wait_ms = on_failure(f, rc, &err);
	if (is_reachable(rc, &err) &&
		(rc || !more || ch_mono_ms() - f->ack_ms >= CH_HEARTBEAT_MS))
		ch_follow_ack(f);
}
