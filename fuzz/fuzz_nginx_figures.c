/* What an agent reads of nginx's own figures: a number that stands there, or nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agentd/nginx_look.h"
#include "fuzz.h"

static int found;
static int refused;

void ch_fuzz_replayed(void)
{
	CH_FUZZ_CHECK(found > 0 && refused > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[4096];
	char digits[24];
	uint64_t n = UINT64_C(0xfeedface);
	int rc;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	rc = ch_nginx_failures(text, &n);
	if (rc) {
		CH_FUZZ_CHECK(rc == CH_EPROTO && n == UINT64_C(0xfeedface));
		refused++;
		return 0;
	}
	CH_FUZZ_CHECK(strstr(text, "certherd_edge_key_open_failures_total "));
	snprintf(digits, sizeof(digits), "%" PRIu64 "\n", n);
	CH_FUZZ_CHECK(strstr(text, digits));
	found++;
	return 0;
}
