/* Lists of names: what is accepted are names as a record has them, as many as are promised, and
 * written again they are the same text. */
#include <string.h>

#include "base/mem.h"
#include "edge/namelist.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CH_AUTO_BUF struct ch_buf again;
	struct ch_namelist list;
	const char *name;
	size_t len;
	size_t n = 0;
	int rc = ch_namelist_open((const char *)data, size, &list);

	ch_buf_init(&again, size + CH_NAMELIST_FRAME_B);
	if (rc) {
		CH_FUZZ_CHECK(rc == CH_EPROTO);
		return 0;
	}
	ch_namelist_begin(&again);
	while ((rc = ch_namelist_next(&list, &name, &len)) == CH_OK) {
		CH_FUZZ_CHECK(ch_record_check_name(name, len) == CH_OK);
		ch_namelist_add(&again, name, len);
		CH_FUZZ_CHECK(++n <= CH_NAMELIST_MAX);
	}
	if (rc != CH_ENOTFOUND) {
		CH_FUZZ_CHECK(rc == CH_EPROTO);
		return 0;
	}
	ch_namelist_end(&again, n);
	CH_FUZZ_CHECK(again.rc == CH_OK && again.len == size);
	CH_FUZZ_CHECK(memcmp(again.data, data, size) == 0);
	return 0;
}
