/* Feed answers: frames stay inside the answer, and reading ends. */
#include "fuzz.h"
#include "wire/feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ch_reader r;
	struct ch_feed_header header;
	struct ch_feed_frame frame;

	ch_reader_init(&r, data, size);
	if (ch_feed_read_header(&r, &header))
		return 0;
	while (ch_feed_read_frame(&r, &frame) == CH_OK)
		CH_FUZZ_CHECK(frame.payload >= data && frame.payload_len <= size &&
			      frame.payload + frame.payload_len <= data + size);
	return 0;
}
