/* Names: what is accepted is in normal form, so that normalizing it again changes nothing.  The
 * same as what names begin with: it is ASCII then. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "wire/name.h"

static void check_prefix(const uint8_t *data, size_t size)
{
	char *given = malloc(size + 1);
	char prefix[CH_NAME_PREFIX_B];
	char again[CH_NAME_PREFIX_B];
	struct ch_err err = {0};

	CH_FUZZ_CHECK(given);
	memcpy(given, data, size);
	given[size] = '\0';
	if (ch_name_prefix(given, prefix, &err)) {
		CH_FUZZ_CHECK(err.problem[0] && err.detail[0]);
	} else {
		for (const char *at = prefix; *at; at++)
			CH_FUZZ_CHECK(!(*at & 0x80));
		if (strlen(prefix) < CH_NAME_TEXT_B) {
			CH_FUZZ_CHECK(ch_name_prefix(prefix, again, &err) == CH_OK);
			CH_FUZZ_CHECK(strcmp(prefix, again) == 0);
		}
	}
	free(given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ch_name_rules rules = {.allow_wildcard = true};
	char name[CH_NAME_TEXT_B];
	char again[CH_NAME_TEXT_B];
	char shown[1024];
	struct ch_err err = {0};

	check_prefix(data, size);
	if (ch_name_normalize((const char *)data, size, &rules, name, &err)) {
		CH_FUZZ_CHECK(err.problem[0] && err.detail[0]);
		return 0;
	}
	CH_FUZZ_CHECK(strlen(name) < CH_NAME_TEXT_B);
	CH_FUZZ_CHECK(ch_name_normalize(name, strlen(name), &rules, again, &err) == CH_OK);
	CH_FUZZ_CHECK(strcmp(name, again) == 0);
	ch_name_display(name, shown, sizeof(shown));
	return 0;
}
