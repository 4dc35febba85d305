#include "wire/feed.h"

#include <string.h>

/* A chain frame is the largest: its id and a whole block. */
#define FEED_PAYLOAD_MAX_B (CH_FEED_ANSWER_MAX_B - CH_FEED_HEADER_B - CH_FEED_FRAME_HEADER_B)

static const char magic[4] = {'C', 'H', 'F', '1'};

int ch_feed_add_header(struct ch_buf *out, const struct ch_feed_header *header)
{
	(void)ch_buf_add(out, magic, sizeof(magic));
	(void)ch_buf_add_u32(out, header->flags);
	(void)ch_buf_add(out, header->epoch, CH_EPOCH_B);
	(void)ch_buf_add_u64(out, header->head);
	return ch_buf_add_u64(out, header->base);
}

int ch_feed_add_frame(struct ch_buf *out, const struct ch_feed_frame *frame)
{
	if (frame->payload_len > FEED_PAYLOAD_MAX_B)
		return CH_ETOOBIG;
	(void)ch_buf_add_u32(out, (uint32_t)frame->payload_len);
	(void)ch_buf_add_u8(out, frame->type);
	(void)ch_buf_add_u64(out, frame->seq);
	return ch_buf_add(out, frame->payload, frame->payload_len);
}

int ch_feed_read_header(struct ch_reader *r, struct ch_feed_header *ret_header)
{
	const uint8_t *mark = ch_read_bytes(r, sizeof(magic));
	struct ch_feed_header header;
	const uint8_t *epoch;

	if (!mark || memcmp(mark, magic, sizeof(magic)) != 0)
		return CH_EPROTO;
	header.flags = ch_read_u32(r);
	epoch = ch_read_bytes(r, CH_EPOCH_B);
	header.head = ch_read_u64(r);
	header.base = ch_read_u64(r);
	if (r->rc)
		return r->rc;
	memcpy(header.epoch, epoch, CH_EPOCH_B);
	*ret_header = header;
	return CH_OK;
}

int ch_feed_read_frame(struct ch_reader *r, struct ch_feed_frame *ret_frame)
{
	struct ch_feed_frame frame;

	if (r->rc)
		return r->rc;
	if (r->left == 0)
		return CH_ENOTFOUND;
	frame.payload_len = ch_read_u32(r);
	frame.type = ch_read_u8(r);
	frame.seq = ch_read_u64(r);
	frame.payload = ch_read_bytes(r, frame.payload_len);
	if (r->rc)
		return r->rc;
	*ret_frame = frame;
	return CH_OK;
}
