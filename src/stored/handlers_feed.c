/* GET /v1/feed: the records of one pool, in the order of their last change; and
 * GET /v1/feed/snapshot: in the order of their keys. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "stored/domain_in.h"
#include "stored/handlers.h"
#include "stored/service.h"
#include "wire/feed.h"

#define WAIT_MAX_MS 60000
#define LOOK_AGAIN_MAX 16
#define PLACE_B (CH_FEED_FRAME_HEADER_B + CH_RECORD_KEY_B) /* of a snapshot's last frame */

struct feed {
	struct ch_poll poll;
	bool has_epoch;
	uint8_t epoch[CH_EPOCH_B];
	uint64_t after;
	uint64_t base;
	int64_t wait_ms;
};

/* Frames of one answer. */
struct page {
	struct ch_buf frames;
	uint64_t last; /* seq of the newest frame, or where the reader was */
};

static int add_row(const struct ch_store_feed_row *row, void *arg)
{
	struct page *page = arg;
	struct ch_feed_frame record = {
		.type = CH_FEED_RECORD,
		.seq = row->seq,
		.payload = row->record,
		.payload_len = row->record_len,
	};
	size_t need_b = CH_FEED_FRAME_HEADER_B + row->record_len;

	if (row->chain)
		need_b += CH_FEED_FRAME_HEADER_B + CH_CHAIN_ID_B + row->chain_len;
	if (CH_FEED_HEADER_B + page->frames.len + need_b + PLACE_B > CH_FEED_ANSWER_MAX_B)
		return 1;
	if (row->chain) {
		uint8_t chain[CH_CHAIN_ID_B + CH_CHAIN_MAX_B];
		struct ch_feed_frame frame = {
			.type = CH_FEED_CHAIN,
			.seq = row->seq,
			.payload = chain,
			.payload_len = CH_CHAIN_ID_B + row->chain_len,
		};

		if (row->chain_len > CH_CHAIN_MAX_B)
			return CH_ECORRUPT;
		memcpy(chain, row->chain_id, CH_CHAIN_ID_B);
		memcpy(chain + CH_CHAIN_ID_B, row->chain, row->chain_len);
		(void)ch_feed_add_frame(&page->frames, &frame);
	}
	page->last = row->seq;
	return ch_feed_add_frame(&page->frames, &record);
}

static void page_done(struct page *page)
{
	ch_buf_done(&page->frames);
}

static void answer_with(
	struct ch_req *req, const struct ch_feed_header *header, const struct page *page)
{
	struct ch_buf body;

	ch_buf_init(&body, CH_FEED_ANSWER_MAX_B);
	(void)ch_feed_add_header(&body, header);
	if (page)
		(void)ch_buf_add(&body, page->frames.data, page->frames.len);
	ch_req_bytes(req, 200, CH_FEED_CONTENT_TYPE, &body);
	ch_buf_done(&body);
}

static void answer(struct ch_req *req, const struct ch_store_feed_info *info, uint32_t flags,
	uint64_t base, const struct page *page)
{
	struct ch_feed_header header = {.flags = flags, .head = info->head, .base = base};

	memcpy(header.epoch, info->epoch, CH_EPOCH_B);
	answer_with(req, &header, page);
}

static bool must_reset(const struct feed *f, const struct ch_store_feed_info *info)
{
	uint64_t known = f->base > f->after ? f->base : f->after;

	if (!f->has_epoch)
		return false;
	return memcmp(f->epoch, info->epoch, CH_EPOCH_B) != 0 || known < info->floor;
}

/* What the agent sends back as its base: up to where it has seen, or needs not see, every
 * removal.  A reader of a snapshot keeps the head of its first answer until it has passed it;
 * whoever has read everything there is stands at the head. */
static uint64_t next_base(
	const struct feed *f, const struct ch_store_feed_info *info, const struct page *page)
{
	if (!f->has_epoch || !info->more)
		return info->head;
	return page->last > f->base ? page->last : f->base;
}

static ch_req_fn feed_look;

/* True when the answer is given or the request waits. */
static bool look_once(struct ch_req *req, struct feed *f)
{
	CH_CLEANUP(page_done) struct page page = {.last = f->after};
	struct ch_polls *polls = req->service->polls;
	uint64_t seen = ch_polls_seen(polls, CH_POLL_FEED);
	struct ch_store_feed_info info;
	int rc;

	ch_buf_init(&page.frames, CH_FEED_ANSWER_MAX_B);
	rc = ch_store_read_feed_as(req->service->store, f->poll.pool, f->poll.edge, f->after,
		add_row, &page, &info);
	if (rc) {
		ch_req_fail_rc(req, rc, "read the feed");
		return true;
	}
	if (must_reset(f, &info)) {
		answer(req, &info, CH_FEED_RESET, info.head, NULL);
		return true;
	}
	if (f->after > info.head || f->base > info.head) {
		ch_req_problem(req, CH_EINVAL, "bad-cursor",
			f->after > info.head ? "after" : "base",
			"The cursor is ahead of the head of the feed, %" PRIu64 ".", info.head);
		return true;
	}
	if (page.frames.len == 0 && ch_mono_ms() - req->began_ms < f->wait_ms)
		return ch_polls_wait(polls, req, &f->poll, seen, feed_look) != CH_ECONFLICT;
	answer(req, &info, info.more ? CH_FEED_MORE : 0, next_base(f, &info, &page), &page);
	return true;
}

static void feed_look(struct ch_req *req)
{
	struct feed *f = req->own;

	for (int i = 0; i < LOOK_AGAIN_MAX; i++)
		if (look_once(req, f))
			return;
	f->wait_ms = 0; /* commits to other pools come faster than we look: answer */
	(void)look_once(req, f);
}

/* False: the answer is given. */
static bool read_epoch(struct ch_req *req, struct feed *f)
{
	const char *epoch = ch_query_get(&req->query, "epoch");

	f->has_epoch = epoch != NULL;
	if (epoch && (strlen(epoch) != 2 * CH_EPOCH_B ||
			     ch_hex_decode(epoch, f->epoch, CH_EPOCH_B))) {
		ch_req_problem(req, CH_EINVAL, "bad-cursor", "epoch",
			"The epoch must be %d hex digits.", 2 * CH_EPOCH_B);
		return false;
	}
	return true;
}

/* False: the answer is given. */
static bool read_cursor(struct ch_req *req, struct feed *f)
{
	struct ch_err err = {0};
	int64_t after;
	int64_t base;

	if (ch_query_int(&req->query, "after", 0, 0, CH_JSON_INT_MAX, &after, &err) ||
		ch_query_int(&req->query, "base", 0, 0, CH_JSON_INT_MAX, &base, &err)) {
		(void)ch_err_set(&err, CH_EINVAL, "bad-cursor",
			"after and base are sequence numbers below 2^53.");
		ch_req_fail(req, &err, NULL);
		return false;
	}
	if (ch_query_int(&req->query, "wait_ms", 0, 0, WAIT_MAX_MS, &f->wait_ms, &err)) {
		ch_req_fail(req, &err, "wait_ms");
		return false;
	}
	if (!read_epoch(req, f))
		return false;
	if (!f->has_epoch && (after || base)) {
		ch_req_problem(req, CH_EINVAL, "bad-cursor", "epoch",
			"A cursor without its epoch cannot be continued.");
		return false;
	}
	f->after = (uint64_t)after;
	f->base = (uint64_t)base;
	return true;
}

void ch_handle_feed(struct ch_req *req)
{
	struct feed *f = ch_arena_alloc(req->arena, sizeof(*f));

	if (!f) {
		ch_req_fail_rc(req, CH_ENOMEM, "read the feed");
		return;
	}
	if (!read_cursor(req, f))
		return;
	f->poll.kind = CH_POLL_FEED;
	f->poll.pool = req->who.uri.scope;
	f->poll.edge = req->who.uri.id;
	f->poll.after = f->after;
	f->poll.deadline_ms = req->began_ms + f->wait_ms;
	req->own = f;
	feed_look(req);
}

/* False: the answer is given. */
static bool read_place(
	struct ch_req *req, struct feed *f, struct ch_store_records_filter *filter)
{
	const char *after = ch_query_get(&req->query, "after");

	if (after && !ch_domain_in_is_key(after)) {
		ch_req_problem(req, CH_EINVAL, "bad-query", "after",
			"after must be a normalized name or the key of a record.");
		return false;
	}
	if (!read_epoch(req, f))
		return false;
	if (after && !f->has_epoch) {
		ch_req_problem(req, CH_EINVAL, "bad-cursor", "epoch",
			"A snapshot without its epoch cannot be continued.");
		return false;
	}
	filter->pool = req->who.uri.scope;
	filter->edge = req->who.uri.id;
	filter->after = after;
	filter->limit = CH_STORE_RECORDS_MAX;
	filter->chains = true;
	filter->tickets = true;
	return true;
}

static void answer_snapshot(struct ch_req *req, const struct feed *f,
	const struct ch_store_records_info *info, struct page *page)
{
	struct ch_feed_header header = {.head = info->feed_head, .base = info->feed_head};
	struct ch_feed_frame place = {.type = CH_FEED_PLACE,
		.payload = (const uint8_t *)info->last,
		.payload_len = strlen(info->last)};

	memcpy(header.epoch, info->epoch, CH_EPOCH_B);
	if (f->has_epoch && memcmp(f->epoch, info->epoch, CH_EPOCH_B) != 0) {
		header.flags = CH_FEED_RESET;
		answer_with(req, &header, NULL);
		return;
	}
	header.flags = info->more ? CH_FEED_MORE : 0;
	if (info->more)
		(void)ch_feed_add_frame(&page->frames, &place);
	answer_with(req, &header, page);
}

void ch_handle_feed_snapshot(struct ch_req *req)
{
	CH_CLEANUP(page_done) struct page page = {.last = 0};
	struct ch_store_records_filter filter = {0};
	struct ch_store_records_info info;
	struct feed f = {0};
	int rc;

	ch_buf_init(&page.frames, CH_FEED_ANSWER_MAX_B);
	if (!read_place(req, &f, &filter))
		return;
	rc = ch_store_read_records(req->service->store, &filter, add_row, &page, &info);
	if (rc)
		ch_req_fail_rc(req, rc, "read a snapshot");
	else
		answer_snapshot(req, &f, &info, &page);
}
