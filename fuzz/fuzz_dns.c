/* Answers of the DNS: what is accepted is within the limits, and texts end. */
#include <string.h>

#include "fuzz.h"
#include "net/dns_message.h"
#include "net/probe.h"

static int answers_found;
static int zones_found;

void ch_fuzz_replayed(void)
{
	CH_FUZZ_CHECK(answers_found > 0);
	CH_FUZZ_CHECK(zones_found > 0);
}

static void read_zone(const uint8_t *data, size_t size)
{
	char zone[CH_DNS_NAME_B];
	bool authoritative;
	int rc = ch_dns_message_read_zone(data, size, "shop.test", zone, &authoritative);

	CH_FUZZ_CHECK(rc == CH_OK || rc == CH_EPROTO || rc == CH_ENOTFOUND);
	CH_FUZZ_CHECK(
		rc || (memchr(zone, 0, sizeof(zone)) && ch_dns_is_below("shop.test", zone)));
	zones_found += rc == CH_OK;
}

/* The first byte says the type that was asked for. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum ch_dns_type types[] = {
		CH_DNS_A, CH_DNS_AAAA, CH_DNS_CAA, CH_DNS_TXT, CH_DNS_NS};
	struct ch_dns_answer answer;
	enum ch_dns_type type;
	int rc;

	if (size < 1)
		return 0;
	if (data[0] % 6 == 5) {
		read_zone(data + 1, size - 1);
		return 0;
	}
	type = types[data[0] % 6];
	rc = ch_dns_message_read(data + 1, size - 1, "shop.test", type, &answer);
	CH_FUZZ_CHECK(rc == 0 || answer.n == 0);
	CH_FUZZ_CHECK(answer.n_chain <= CH_DNS_CHAIN_MAX);
	CH_FUZZ_CHECK((answer.status == CH_DNS_FOUND) == (answer.n > 0));
	for (size_t i = 0; i < answer.n_chain; i++)
		CH_FUZZ_CHECK(memchr(answer.chain[i], 0, CH_DNS_NAME_B));
	for (size_t i = 0; i < answer.n; i++) {
		if (type == CH_DNS_A || type == CH_DNS_AAAA) {
			CH_FUZZ_CHECK(i < CH_DNS_ADDRESSES_MAX);
			(void)!ch_probe_is_global(answer.addresses[i]);
		} else {
			CH_FUZZ_CHECK(i < CH_DNS_TEXTS_MAX);
			CH_FUZZ_CHECK(memchr(answer.texts[i].value, 0, CH_DNS_TEXT_B));
			CH_FUZZ_CHECK(memchr(answer.texts[i].tag, 0, CH_DNS_TAG_B));
		}
	}
	answers_found += answer.n > 0;
	return 0;
}
