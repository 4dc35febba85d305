#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/feed.h"

static const struct ch_feed_header header = {
	.flags = CH_FEED_RESET | CH_FEED_MORE, .epoch = {1, 2, 3}, .head = 77, .base = 70};

static void build(struct ch_buf *buf)
{
	const struct ch_feed_frame chain = {CH_FEED_CHAIN, 5, (const uint8_t *)"chain", 5};
	const struct ch_feed_frame record = {CH_FEED_RECORD, 5, (const uint8_t *)"rec", 3};
	const struct ch_feed_frame other = {99, 6, (const uint8_t *)"", 0};

	ch_buf_init(buf, 4096);
	assert_int_equal(ch_feed_add_header(buf, &header), CH_OK);
	assert_int_equal(buf->len, CH_FEED_HEADER_B);
	assert_int_equal(ch_feed_add_frame(buf, &chain), CH_OK);
	assert_int_equal(ch_feed_add_frame(buf, &record), CH_OK);
	assert_int_equal(ch_feed_add_frame(buf, &other), CH_OK);
}

static void answers_round_trip(void **state)
{
	struct ch_buf buf;
	struct ch_reader r;
	struct ch_feed_header h;
	struct ch_feed_frame f;

	build(&buf);
	ch_reader_init(&r, buf.data, buf.len);
	assert_int_equal(ch_feed_read_header(&r, &h), CH_OK);
	assert_true(h.flags == header.flags && h.head == 77 && h.base == 70);
	assert_memory_equal(h.epoch, header.epoch, CH_EPOCH_B);
	assert_int_equal(ch_feed_read_frame(&r, &f), CH_OK);
	assert_int_equal(f.type, CH_FEED_CHAIN);
	assert_int_equal(ch_feed_read_frame(&r, &f), CH_OK);
	assert_true(f.seq == 5 && f.payload_len == 3 && memcmp(f.payload, "rec", 3) == 0);
	assert_int_equal(ch_feed_read_frame(&r, &f), CH_OK);
	assert_int_equal(f.type, 99);
	assert_int_equal(ch_feed_read_frame(&r, &f), CH_ENOTFOUND);
	ch_buf_done(&buf);
}

/* Every cut is noticed, except between frames, where it is a shorter answer. */
static void cut_answers_are_noticed(void **state)
{
	struct ch_buf buf;
	size_t whole = 0;

	build(&buf);
	for (size_t len = 0; len < buf.len; len++) {
		CH_AUTO_FREE uint8_t *cut = malloc(len + 1);
		struct ch_reader r;
		struct ch_feed_header h;
		struct ch_feed_frame f;
		int rc;

		memcpy(cut, buf.data, len);
		ch_reader_init(&r, cut, len);
		rc = ch_feed_read_header(&r, &h);
		while (rc == CH_OK)
			rc = ch_feed_read_frame(&r, &f);
		assert_true(rc == CH_EPROTO || rc == CH_ENOTFOUND);
		whole += rc == CH_ENOTFOUND;
	}
	assert_int_equal(whole, 3);
	buf.data[0] ^= 1;
	struct ch_reader r;
	struct ch_feed_header h;

	ch_reader_init(&r, buf.data, buf.len);
	assert_int_equal(ch_feed_read_header(&r, &h), CH_EPROTO);
	ch_buf_done(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_round_trip),
		cmocka_unit_test(cut_answers_are_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
