/* Edge records and chain blocks: what decodes is encoded again to the same bytes. */
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "wire/policy.h"
#include "wire/record.h"

/* Tags of a newer sender are left out. */
static void check_policy(const struct ch_record *rec, const struct ch_buf *bytes, size_t size)
{
	struct ch_record back;

	CH_FUZZ_CHECK(bytes->len <= size);
	CH_FUZZ_CHECK(ch_record_decode(bytes->data, bytes->len, &back) == CH_OK);
	for (size_t tag = 1; tag < CH_POLICY_TAG_COUNT; tag++)
		CH_FUZZ_CHECK(back.policy[tag].len == rec->policy[tag].len &&
			      (rec->policy[tag].len == 0 ||
				      memcmp(back.policy[tag].text, rec->policy[tag].text,
					      rec->policy[tag].len) == 0));
	/* What edges take from it goes into headers, as it is. */
	for (size_t tag = 1; tag < CH_POLICY_TAG_COUNT; tag++)
		if (ch_policy_is_normal((enum ch_policy_tag)tag, rec->policy[tag].text,
			    rec->policy[tag].len))
			for (size_t i = 0; i < rec->policy[tag].len; i++)
				CH_FUZZ_CHECK(rec->policy[tag].text[i] >= 0x20 &&
					      rec->policy[tag].text[i] < 0x7f &&
					      rec->policy[tag].text[i] != '/');
}

static void check_record(const uint8_t *data, size_t size)
{
	struct ch_record rec;
	struct ch_buf out;
	size_t want;

	if (ch_record_decode(data, size, &rec))
		return;
	ch_buf_init(&out, CH_RECORD_MAX_B);
	CH_FUZZ_CHECK(ch_record_encode(&rec, &out) == CH_OK);
	want = ch_record_is_signed(&rec) ? size - CH_SIGNATURE_B : size;
	if (rec.kind == CH_RECORD_POLICY)
		check_policy(&rec, &out, size);
	else
		CH_FUZZ_CHECK(out.len == want && memcmp(out.data, data, want) == 0);
	ch_buf_done(&out);
}

static void check_chain(const uint8_t *data, size_t size)
{
	struct ch_chain chain;
	struct ch_buf out;

	if (ch_chain_decode(data, size, &chain))
		return;
	ch_buf_init(&out, CH_CHAIN_MAX_B);
	CH_FUZZ_CHECK(ch_chain_encode(&chain, &out) == CH_OK);
	CH_FUZZ_CHECK(out.len == size && memcmp(out.data, data, size) == 0);
	ch_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_record(data, size);
	check_chain(data, size);
	return 0;
}
