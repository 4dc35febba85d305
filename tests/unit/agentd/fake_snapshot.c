#include "fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

static const struct fake_row *next_of(const struct fake_store *s, const char *after)
{
	const struct fake_row *next = NULL;

	for (size_t i = 0; i < s->n_rows; i++) {
		const struct fake_row *row = &s->rows[i];

		if (row->seq && !row->is_tombstone && strcmp(row->name, after) > 0 &&
			(!next || strcmp(row->name, next->name) < 0))
			next = row;
	}
	return next;
}

static void add_row(const struct fake_row *row, struct ch_buf *out)
{
	struct ch_feed_frame frame = {
		.type = row->type, .payload = row->record.data, .payload_len = row->record.len};
	struct ch_feed_frame chain = {.type = CH_FEED_CHAIN,
		.payload = row->chain.data,
		.payload_len = row->chain.len};

	if (row->chain.len)
		assert_int_equal(ch_feed_add_frame(out, &chain), CH_OK);
	assert_int_equal(ch_feed_add_frame(out, &frame), CH_OK);
}

void fake_store_answer_snapshot(struct fake_store *s, const char *path, struct ch_buf *out)
{
	struct ch_feed_header header = {.head = s->head, .base = s->head};
	const char *after = strstr(path, "after=");
	const char *epoch = strstr(path, "epoch=");
	char ours[2 * CH_EPOCH_B + 1];
	const struct fake_row *row;
	struct ch_feed_frame place = {.type = s->bad_place ? CH_FEED_RECORD : CH_FEED_PLACE};
	const char *last = after ? after + strlen("after=") : "";
	struct ch_buf rows;
	size_t n = 0;

	ch_buf_init(&rows, CH_FEED_ANSWER_MAX_B);
	ch_hex_encode(s->epoch, CH_EPOCH_B, ours);
	memcpy(header.epoch, s->epoch, CH_EPOCH_B);
	if (epoch && strncmp(epoch + strlen("epoch="), ours, strlen(ours)) != 0) {
		header.flags = CH_FEED_RESET;
	} else {
		while ((row = next_of(s, last)) && n++ < s->frames_max) {
			add_row(row, &rows);
			last = row->name;
		}
		if (row) {
			header.flags = CH_FEED_MORE;
			place.payload = (const uint8_t *)(s->stuck ? "a" : last);
			place.payload_len = s->stuck ? 1 : strlen(last);
			assert_int_equal(ch_feed_add_frame(&rows, &place), CH_OK);
		}
	}
	assert_int_equal(ch_feed_add_header(out, &header), CH_OK);
	assert_int_equal(ch_buf_add(out, rows.data, rows.len), CH_OK);
	ch_buf_done(&rows);
	s->snapshots++;
	if (s->asked)
		s->asked(s);
}
