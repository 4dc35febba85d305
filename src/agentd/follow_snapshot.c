/* A generation is first filled by GET /v1/feed/snapshot: in the order of the keys, so that
 * pages are filled, and from where it was when the agent was stopped.  The feed goes on from
 * the head that there was at the beginning.  While one part is applied the next is fetched. */
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "agentd/follow_priv.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/mem.h"

#define ANSWER_TIME_MS 60000
#define TELL_EVERY_MS 5000

/* One request, on its own thread where there can be one. */
struct part {
	struct ch_follow *follow;
	struct ch_buf path;
	struct ch_http_resp resp;
	struct ch_err err;
	int rc;
	pthread_t thread;
	bool running;
};

static void *fetch(void *arg)
{
	struct part *part = arg;

	part->rc = ch_api_get_raw(part->follow->api, ch_buf_str(&part->path),
		CH_FEED_ANSWER_MAX_B, ANSWER_TIME_MS, &part->resp, &part->err);
	return NULL;
}

static void part_init(struct part *part, struct ch_follow *f)
{
	*part = (struct part){.follow = f};
	ch_buf_init(&part->path, 1024);
	ch_http_resp_init(&part->resp);
}

static void part_join(struct part *part)
{
	if (!part->running)
		return;
	(void)pthread_join(part->thread, NULL);
	part->running = false;
	part->follow->fetching = false;
}

static void part_done(struct part *part)
{
	part_join(part);
	ch_http_resp_done(&part->resp);
	ch_buf_done(&part->path);
}

static int part_ask(struct part *part, const struct ch_place *place)
{
	char epoch[2 * CH_EPOCH_B + 1];

	ch_buf_reset(&part->path);
	ch_buf_add_str(&part->path, "/v1/feed/snapshot");
	if (place->valid) {
		ch_hex_encode(place->epoch, CH_EPOCH_B, epoch);
		ch_buf_addf(&part->path, "?epoch=%s&after=", epoch);
		(void)ch_url_encode(&part->path, place->key);
	}
	return part->path.rc;
}

/* Nothing else may use follow->api until part_join. */
static void part_begin(struct part *part)
{
	part->follow->fetching = true;
	part->running = pthread_create(&part->thread, NULL, fetch, part) == 0;
	if (part->running)
		return;
	part->follow->fetching = false;
	(void)fetch(part);
}

static int read_header(struct part *part, struct ch_reader *r, struct ch_feed_header *header,
	struct ch_err *err)
{
	const char *type = ch_http_resp_header(&part->resp, "content-type");

	if (!type || strcmp(type, CH_FEED_CONTENT_TYPE) != 0)
		return ch_err_set(err, CH_EPROTO, "feed-type",
			"the store did not answer with a snapshot");
	ch_reader_init(r, part->resp.body.data, part->resp.body.len);
	if (ch_feed_read_header(r, header) || header->head > CH_FEED_SEQ_MAX)
		return ch_err_set(
			err, CH_EPROTO, "feed-header", "the snapshot's answer is damaged");
	return CH_OK;
}

/* The store was restored meanwhile, or is another one. */
static int begin_again(struct ch_follow *f, struct ch_err *err)
{
	ch_log_info("the store is in another epoch: the snapshot begins again");
	ch_follow_note_restart(f);
	return ch_follow_rebuild(f, err);
}

static int take(struct ch_follow *f, const struct ch_feed_header *header, struct ch_reader *r,
	struct ch_place *place, struct ch_err *err)
{
	struct ch_apply apply = {.writer = f->writer,
		.signers = f->signers,
		.pool = f->pool,
		.refused = &f->refused,
		.brake = &f->brake};
	struct ch_apply_counts counts;
	int rc = ch_apply_snapshot(&apply, header, r, place, &counts, err);

	if (rc)
		return rc;
	f->filled += counts.added;
	atomic_fetch_add(&f->figures.filled, counts.added);
	atomic_fetch_add(&f->figures.refused, counts.refused);
	if (place->done || ch_mono_ms() - f->told_ms >= TELL_EVERY_MS) {
		f->told_ms = ch_mono_ms();
		ch_log_info("snapshot: names=%" PRIu64 " refused=%" PRIu64 "%s%s", f->filled,
			counts.refused, place->done ? " complete" : " up to=", place->key);
	}
	return CH_OK;
}

/* Whether the answer can be continued before it is applied, and from where. */
static bool sees_next(const struct ch_feed_header *header, const struct ch_place *place,
	struct ch_reader r, struct ch_place *ret_next)
{
	if (!(header->flags & CH_FEED_MORE) || (header->flags & CH_FEED_RESET))
		return false;
	*ret_next = *place;
	if (!place->valid)
		memcpy(ret_next->epoch, header->epoch, CH_EPOCH_B);
	ret_next->valid = true;
	return ch_apply_find_place(header, r, ret_next->key) == CH_OK;
}

/* Applies one part while the next is fetched.  *ret_more: next holds it. */
static int step(struct ch_follow *f, struct part *part, struct part *next,
	struct ch_place *place, bool *ret_more, struct ch_err *err)
{
	struct ch_feed_header header;
	struct ch_place ahead;
	struct ch_reader r;
	bool more;
	int rc;

	part_join(part);
	if (part->rc) {
		*err = part->err;
		return part->rc;
	}
	rc = read_header(part, &r, &header, err);
	if (rc)
		return rc;
	memcpy(f->epoch, header.epoch, CH_EPOCH_B);
	f->epoch_known = true;
	if ((header.flags & CH_FEED_RESET) ||
		(place->valid && memcmp(place->epoch, header.epoch, CH_EPOCH_B) != 0)) {
		*ret_more = false;
		return begin_again(f, err);
	}
	more = sees_next(&header, place, r, &ahead) && part_ask(next, &ahead) == CH_OK;
	if (more)
		part_begin(next);
	*ret_more = more;
	return take(f, &header, &r, place, err);
}

int ch_follow_snapshot(struct ch_follow *f, bool *ret_known, struct ch_err *err)
{
	CH_CLEANUP(part_done) struct part a;
	CH_CLEANUP(part_done) struct part b;
	struct part *part = &a;
	struct part *next = &b;
	struct ch_place place;
	bool more = true;
	int rc = ch_replica_writer_place(f->writer, &place);

	part_init(&a, f);
	part_init(&b, f);
	*ret_known = true;
	if (rc)
		return ch_err_set(
			err, rc, "replica", "cannot read the replica: %s", ch_rc_str(rc));
	if (part_ask(part, &place))
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	(void)fetch(part);
	/* A store of the version before: from the beginning of the feed, and with nothing there
	 * that might have been removed meanwhile. */
	if (part->rc == CH_ENOTFOUND) {
		*ret_known = false;
		return place.valid ? ch_follow_rebuild(f, err) : CH_OK;
	}
	for (int64_t began_ms = ch_mono_ms(); !rc && more;) {
		struct part *was = part;

		rc = step(f, part, next, &place, &more, err);
		part = next;
		next = was;
		/* What was fetched ahead is fetched again after a heartbeat. */
		if (ch_mono_ms() - began_ms >= CH_HEARTBEAT_MS)
			more = false;
	}
	return rc;
}
