#include "pace/limits.h"

#include <string.h>

#include "base/mem.h"

/* Tokens and the time in which they all come back; Let's Encrypt's as documented in August
 * 2026.  It alone documents an exemption of renewals. */
#define LIMIT(n, span_ms)                                                                      \
	{                                                                                      \
		n, ((span_ms)*1000 + (n)-1) / (n)                                              \
	}
#define NONE                                                                                   \
	{                                                                                      \
		0, 0                                                                           \
	}

const char ch_limits_presets[] = "letsencrypt, letsencrypt-staging, zerossl, google, generic";

static const struct {
	const char *name;
	struct ch_limits limits;
} presets[] = {
	{"letsencrypt", {.account = LIMIT(300, 3 * CH_HOUR_MS),
				.domain = LIMIT(50, 7 * CH_DAY_MS),
				.set = LIMIT(5, 7 * CH_DAY_MS),
				.failures = LIMIT(5, CH_HOUR_MS),
				.new_orders = LIMIT(200, 667),
				.new_nonces = LIMIT(10, 500),
				.requests = LIMIT(125, 500),
				.renewals_exempt = true}},
	{"letsencrypt-staging", {.account = LIMIT(1500, 3 * CH_HOUR_MS),
					.domain = LIMIT(30000, 7 * CH_DAY_MS),
					.set = LIMIT(30000, 7 * CH_DAY_MS),
					.failures = LIMIT(200, CH_HOUR_MS),
					.new_orders = LIMIT(200, 667),
					.new_nonces = LIMIT(10, 500),
					.requests = LIMIT(125, 500),
					.renewals_exempt = true}},
	/* ZeroSSL publishes no numbers and answers 429 under load: requests are kept few. */
	{"zerossl", {.account = NONE,
			    .domain = NONE,
			    .set = NONE,
			    .failures = LIMIT(5, CH_HOUR_MS),
			    .new_orders = LIMIT(5, CH_SECOND_MS),
			    .new_nonces = LIMIT(10, CH_SECOND_MS),
			    .requests = LIMIT(20, CH_SECOND_MS)}},
	/* Quotas go by project and are raised on request: a cautious figure until yours is set.
	 */
	{"google", {.account = LIMIT(100, CH_HOUR_MS),
			   .domain = NONE,
			   .set = NONE,
			   .failures = LIMIT(5, CH_HOUR_MS),
			   .new_orders = LIMIT(5, CH_SECOND_MS),
			   .new_nonces = LIMIT(10, CH_SECOND_MS),
			   .requests = LIMIT(20, CH_SECOND_MS)}},
	/* Nothing is known, and what it answers is obeyed. */
	{"generic", {.account = NONE,
			    .domain = NONE,
			    .set = NONE,
			    .failures = NONE,
			    .new_orders = NONE,
			    .new_nonces = NONE,
			    .requests = NONE}},
};

int ch_limits_preset(const char *name, struct ch_limits *ret_limits)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(presets); i++) {
		if (strcmp(presets[i].name, name) == 0) {
			*ret_limits = presets[i].limits;
			return CH_OK;
		}
	}
	return CH_ENOTFOUND;
}

static void read_limit(
	struct ch_conf *conf, const char *section, const char *key, struct ch_limit *limit)
{
	const char *text = ch_conf_str(conf, section, key, "");

	if (*text && ch_limit_parse(text, limit))
		ch_conf_fail(
			conf, section, key, "must be a number and a time, as 300/3h, or none");
}

void ch_limits_read(struct ch_conf *conf, const char *section, const char *fallback,
	struct ch_limits *ret_limits)
{
	const char *preset = ch_conf_str(conf, section, "limits", "");

	if (!*preset)
		preset = fallback;
	if (ch_limits_preset(preset, ret_limits)) {
		memset(ret_limits, 0, sizeof(*ret_limits));
		ch_conf_fail(conf, section, "limits", "must be one of %s", ch_limits_presets);
	}
#define X(member, key) read_limit(conf, section, key, &ret_limits->member);
	CH_LIMITS_LIST(X)
#undef X
	if (*ch_conf_str(conf, section, "renewals_exempt", ""))
		ret_limits->renewals_exempt =
			ch_conf_bool(conf, section, "renewals_exempt", false);
}
