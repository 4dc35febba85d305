/* Standing TXT records of dns-persist-01: what is accepted names our CA and our account, and
 * what is refused says what to publish. */
#include <string.h>

#include "fuzz.h"
#include "issuerd/persist.h"

#define NOW_S INT64_C(1800000000)

static int allowed;
static int refused;

void ch_fuzz_replayed(void)
{
	CH_FUZZ_CHECK(allowed > 0 && refused > 0);
}

/* The first byte: 1, of a wildcard; the rest is the record, or two with a newline between. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ch_dns_answer records;
	struct ch_caa_asker asker = {.identities = {"ca.test"},
		.n_identities = 1,
		.account = "https://ca.test/1",
		.wildcard = size && data[0] == '1'};
	const char *name = asker.wildcard ? "*.shop.test" : "shop.test";
	struct ch_err err = {0};
	int rc;

	if (size < 1)
		return 0;
	memset(&records, 0, sizeof(records));
	records.n = 1;
	for (size_t i = 1, len = 0; i < size; i++) {
		struct ch_dns_text *text = &records.texts[records.n - 1];

		if (data[i] == '\n' && records.n < CH_DNS_TEXTS_MAX) {
			records.n++;
			len = 0;
		} else if (data[i] == 0 || len + 1 >= CH_DNS_TEXT_B) {
			text->cut = true;
		} else {
			text->value[len++] = (char)data[i];
		}
	}
	rc = ch_persist_judge(&records, name, &asker, NOW_S, &err);
	if (rc == CH_OK) {
		bool found = false;

		for (size_t i = 0; i < records.n; i++)
			found |= strcasestr(records.texts[i].value, "ca.test") &&
				 strstr(records.texts[i].value, asker.account) &&
				 (!asker.wildcard ||
					 strcasestr(records.texts[i].value, "wildcard"));
		CH_FUZZ_CHECK(found);
		allowed++;
		return 0;
	}
	CH_FUZZ_CHECK(rc == CH_EAUTH && err.actor == CH_ACTOR_CUSTOMER);
	CH_FUZZ_CHECK(strncmp(err.problem, "persist-", 8) == 0);
	CH_FUZZ_CHECK(strstr(err.detail, "_validation-persist.shop.test"));
	refused++;
	return 0;
}
