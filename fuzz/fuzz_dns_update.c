/* Answers to signed updates of the DNS: only what is signed with the key is believed. */
#include <string.h>

#include "fuzz.h"
#include "net/dns_update.h"

static int answers_believed;
static int refusals;

void ch_fuzz_replayed(void)
{
	CH_FUZZ_CHECK(answers_believed > 0 && refusals > 0);
}

/* The vectors of tests/unit/net/test_dns_update.c are seeds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ch_tsig_mac asked = {
		{0xd5, 0xc9, 0x0c, 0x52, 0x12, 0xa4, 0xb0, 0xc5, 0x07, 0xe4, 0xda, 0xe9, 0x59,
			0xa9, 0x43, 0x83, 0x3f, 0x53, 0x8d, 0x4c, 0xe3, 0x9f, 0x5d, 0x10, 0xbe,
			0x0f, 0xe0, 0x5f, 0x18, 0x65, 0xa2, 0x1c},
		32};
	static const struct ch_dns_update update = {.id = 0x1234,
		.zone = "acme.platform.example",
		.owner = "shop.acme.platform.example",
		.value = "abc",
		.now_s = 1800000000};
	static struct ch_tsig_key key = {.name = "certherd", .algorithm = CH_TSIG_SHA256};
	struct ch_err err = {0};
	int rc;

	if (!key.secret) {
		uint8_t secret[32];

		for (size_t i = 0; i < sizeof(secret); i++)
			secret[i] = (uint8_t)i;
		CH_FUZZ_CHECK(ch_secret_from(secret, sizeof(secret), &key.secret) == CH_OK);
	}
	rc = ch_dns_update_read(data, size, &update, &key, &asked, &err);
	CH_FUZZ_CHECK(rc == CH_OK || rc == CH_EAUTH || rc == CH_EAGAIN || rc == CH_EPROTO);
	CH_FUZZ_CHECK(rc == CH_OK || err.problem[0]);
	CH_FUZZ_CHECK(rc == CH_OK || memchr(err.detail, 0, sizeof(err.detail)));
	answers_believed += rc == CH_OK;
	refusals += rc == CH_EAUTH;
	return 0;
}
