/* The body of GET /v1/feed, and of GET /v1/feed/snapshot.
 *
 *   header:  "CHF1"  u32 flags  u8 epoch[16]  u64 head  u64 base
 *   frames:  u32 payload_len  u8 type  u64 seq  payload
 *
 * head is the newest sequence number when the answer was made; base is what the agent sends
 * back as its base (see doc/api.md).  Frames come in ascending seq.  A chain frame precedes the
 * first record of the same answer that needs it and carries that record's seq.  Unknown frame
 * types are skipped and counted.
 *
 * A snapshot has the records of a pool in the order of their keys instead; their seq is 0. With
 * the flag MORE its last frame is a PLACE: what to go on after. */
#ifndef CH_WIRE_FEED_H
#define CH_WIRE_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CH_EPOCH_B 16
#define CH_FEED_HEADER_B 40u
#define CH_FEED_FRAME_HEADER_B 13u
#define CH_FEED_CONTENT_TYPE "application/vnd.certherd.feed"
/* An answer is at most this long (the sender stops before a frame that would not fit). */
#define CH_FEED_ANSWER_MAX_B (4u * 1024u * 1024u)

/* The cursor that was sent is unknown or too old: start an empty generation. */
#define CH_FEED_RESET 1u
/* More is there already: ask again at once. */
#define CH_FEED_MORE 2u

enum ch_feed_type {
	CH_FEED_RECORD = 1, /* payload: a record (wire/record.h) */
	CH_FEED_CHAIN = 2,  /* payload: u8 chain_id[32], chain block */
	CH_FEED_PLACE = 3,  /* payload: the key (ch_record_key) up to which all was sent */
};

struct ch_feed_header {
	uint32_t flags;
	uint8_t epoch[CH_EPOCH_B];
	uint64_t head;
	uint64_t base;
};

struct ch_feed_frame {
	uint8_t type; /* enum ch_feed_type, or one from a newer sender */
	uint64_t seq;
	const uint8_t *payload; /* borrowed */
	size_t payload_len;
};

int ch_feed_add_header(struct ch_buf *out, const struct ch_feed_header *header);
int ch_feed_add_frame(struct ch_buf *out, const struct ch_feed_frame *frame);

/* Reads the header at the reader's place.  CH_EPROTO. */
CH_MUST int ch_feed_read_header(struct ch_reader *r, struct ch_feed_header *ret_header);
/* The next frame; CH_ENOTFOUND at the clean end, CH_EPROTO when cut or over the limits. */
CH_MUST int ch_feed_read_frame(struct ch_reader *r, struct ch_feed_frame *ret_frame);

#endif
