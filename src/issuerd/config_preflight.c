#include <string.h>

#include "base/clock.h"
#include "issuerd/config.h"
#include "net/dns.h"

#define SECTION "issuer"

static int add_address(const char *item, void *arg)
{
	struct ch_platform *platform = arg;

	if (platform->n_addresses == CH_PLATFORM_ADDRESSES_MAX)
		return CH_ETOOBIG;
	return ch_cidr_parse(item, &platform->addresses[platform->n_addresses++]);
}

static int add_target(const char *item, void *arg)
{
	struct ch_platform *platform = arg;

	if (platform->n_targets == CH_PLATFORM_TARGETS_MAX)
		return CH_ETOOBIG;
	return ch_issuer_config_host(item, platform->targets[platform->n_targets++]);
}

static int add_rung(const char *item, void *arg)
{
	struct ch_issuer_config *config = arg;

	if (config->n_preflight_ladder == CH_LADDER_MAX)
		return CH_ETOOBIG;
	return ch_duration_parse(
		item, &config->preflight_ladder_ms[config->n_preflight_ladder++]);
}

/* "auto", or as ch_conf_bool. */
static bool read_auto(struct ch_conf *conf, const char *key, bool by_itself)
{
	const char *text = ch_conf_str(conf, SECTION, key, "auto");

	return text && strcmp(text, "auto") == 0 ? by_itself
						 : ch_conf_bool(conf, SECTION, key, by_itself);
}

/* On by itself only where an operator has said that names lead here by the DNS; and edges are
 * fetched from only where he has said which addresses are theirs: a host behind NAT often does
 * not reach its own public address. */
void ch_issuer_config_preflight(struct ch_conf *conf, struct ch_issuer_config *config)
{
	bool known;

	ch_conf_list(conf, SECTION, "addresses", "", "addresses and ADDRESS/BITS", add_address,
		&config->platform);
	ch_conf_list(conf, SECTION, "targets", "", "host names", add_target, &config->platform);
	known = config->platform.n_addresses || config->platform.n_targets;
	config->preflight =
		read_auto(conf, "preflight", known || config->probe == CH_PROBE_DNS);
	config->self_check = read_auto(conf, "self_check", known);
	config->preflight_port =
		(uint16_t)ch_conf_int(conf, SECTION, "preflight_port", 80, 1, 65535);
	config->resolvers = ch_conf_str(conf, SECTION, "resolvers", "");
	if (config->resolvers && config->resolvers[0] &&
		ch_dns_check_resolvers(config->resolvers))
		ch_conf_fail(conf, SECTION, "resolvers",
			"must be at most 8 addresses, comma-separated, with :PORT where it is "
			"not 53");
	ch_conf_list(conf, SECTION, "preflight_ladder", "1m,2m,5m,10m,30m,1h,3h,6h",
		"spans of time, such as 30s, 10m or 3h, 16 at most", add_rung, config);
	if (config->n_preflight_ladder == 0)
		ch_conf_fail(
			conf, SECTION, "preflight_ladder", "needs one span of time at least");
	config->moved_after_ms =
		ch_conf_duration(conf, SECTION, "moved_after", "7d", 0, 365 * CH_DAY_MS);
}

/* A CA that finds no record counts that as a failure, and a customer who has not published it
 * yet is the rule: so these are looked for wherever names lead. */
void ch_issuer_config_persist(struct ch_conf *conf, struct ch_issuer_config *config)
{
	bool persist = config->challenge == CH_ACME_DNS_PERSIST_01 ||
		       config->wildcard_challenge == CH_ACME_DNS_PERSIST_01;

	config->preflight_persist = persist && read_auto(conf, "preflight", true);
}
