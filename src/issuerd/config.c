#include "issuerd/config.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "issuerd/alerts.h"
#include "net/metrics.h"

#define SECTION "issuer"
/* RFC 8446 section 4.6.1: no ticket lives longer than a week. */
#define ROTATION_MOST_MS (7 * CH_DAY_MS)
#define ROTATION_LEAST_MS (10 * CH_SECOND_MS)

static int add_rung(const char *item, void *arg)
{
	struct ch_issuer_config *config = arg;

	if (config->n_ladder == CH_LADDER_MAX)
		return CH_ETOOBIG;
	return ch_duration_parse(item, &config->ladder_ms[config->n_ladder++]);
}

static void read_probe(struct ch_conf *conf, struct ch_issuer_config *config)
{
	const char *probe = ch_conf_str(conf, SECTION, "probe", "dns");

	config->probe_port = 443;
	if (strcmp(probe, "dns") == 0)
		config->probe = CH_PROBE_DNS;
	else if (strcmp(probe, "off") == 0)
		config->probe = CH_PROBE_OFF;
	else if (ch_probe_target_parse(
			 probe, 443, config->probe_address, &config->probe_port) == CH_OK)
		config->probe = CH_PROBE_FIXED;
	else
		ch_conf_fail(conf, SECTION, "probe", "must be dns, off or ADDRESS:PORT");
}

static void read_files(struct ch_conf *conf, struct ch_issuer_config *config)
{
	config->signing_key = ch_conf_path(conf, SECTION, "signing_key", "issuer/signing.key");
	config->recipients = ch_conf_path(conf, SECTION, "recipients", "issuer/recipients");
}

static unsigned percent(struct ch_conf *conf, const char *key, int64_t fallback, int64_t most)
{
	return (unsigned)ch_conf_int(conf, SECTION, key, fallback, 0, most);
}

static void read_tickets(struct ch_conf *conf, struct ch_issuer_config *config)
{
	config->ticket_rotation_ms =
		ch_conf_duration(conf, SECTION, "ticket_rotation", "24h", 0, ROTATION_MOST_MS);
	if (config->ticket_rotation_ms && config->ticket_rotation_ms < ROTATION_LEAST_MS)
		ch_conf_fail(conf, SECTION, "ticket_rotation", "must be 10s at least, or 0s");
}

static void read_keys(struct ch_conf *conf, struct ch_issuer_config *config)
{
	const char *type = ch_conf_str(conf, SECTION, "key_type", "p256");

	config->p384 = strcmp(type, "p384") == 0;
	if (!config->p384 && strcmp(type, "p256") != 0)
		ch_conf_fail(conf, SECTION, "key_type",
			"must be p256 or p384; which names have RSA keys is said by their "
			"\"keys\"");
	config->rsa_bits = (unsigned)ch_conf_int(conf, SECTION, "rsa_bits", 2048, 2048, 4096);
	if (config->rsa_bits % 1024)
		ch_conf_fail(conf, SECTION, "rsa_bits", "must be 2048, 3072 or 4096");
}

static void read_rates(struct ch_conf *conf, struct ch_issuer_config *config)
{
	config->workers = (size_t)ch_conf_int(conf, SECTION, "workers", 16, 1, CH_WORKERS_MAX);
	config->lease_ms =
		ch_conf_duration(conf, SECTION, "lease", "60s", CH_SECOND_MS, CH_HOUR_MS);
	ch_conf_list(conf, SECTION, "retry_ladder", "1m,10m,100m,1d",
		"spans of time, such as 30s, 10m or 3h, 16 at most", add_rung, config);
	if (config->n_ladder == 0)
		ch_conf_fail(conf, SECTION, "retry_ladder", "needs one span of time at least");
	config->retry_jitter_percent = percent(conf, "retry_jitter_percent", 20, 100);
	config->poll_interval_ms = ch_conf_duration(
		conf, SECTION, "poll_interval", "500ms", 10, 30 * CH_SECOND_MS);
	config->renew_left_percent = percent(conf, "renew_left_percent", 33, 90);
	config->renew_jitter_percent = percent(conf, "renew_jitter_percent", 5, 50);
	config->metrics = ch_metrics_from_conf(conf, SECTION);
	config->ari = ch_conf_bool(conf, SECTION, "ari", true);
	config->ari_rate = (unsigned)ch_conf_int(conf, SECTION, "ari_rate", 30, 1, 1000);
	config->step_tries = (unsigned)ch_conf_int(conf, SECTION, "step_tries", 10, 1, 1000);
	config->edge_wait_ms =
		ch_conf_duration(conf, SECTION, "edge_wait", "15m", CH_SECOND_MS, CH_DAY_MS);
	config->probe_tries = (unsigned)ch_conf_int(conf, SECTION, "probe_tries", 5, 1, 1000);
}

static void read_wildcard_challenge(struct ch_conf *conf, struct ch_issuer_config *config)
{
	const char *text = ch_conf_str(conf, SECTION, "wildcard_challenge", "auto");

	config->wildcard_challenge = config->challenge == CH_ACME_DNS_PERSIST_01
					     ? CH_ACME_DNS_PERSIST_01
					     : CH_ACME_DNS_01;
	if (strcmp(text, "dns-01") == 0)
		config->wildcard_challenge = CH_ACME_DNS_01;
	else if (strcmp(text, "dns-persist-01") == 0)
		config->wildcard_challenge = CH_ACME_DNS_PERSIST_01;
	else if (strcmp(text, "auto") != 0)
		ch_conf_fail(conf, SECTION, "wildcard_challenge",
			"must be auto, dns-01 or dns-persist-01");
}

static void read_challenge(struct ch_conf *conf, struct ch_issuer_config *config)
{
	const char *text = ch_conf_str(conf, SECTION, "challenge", "http-01");

	ch_issuer_config_dns(conf, &config->dns);
	ch_issuer_config_alerts(conf, &config->alerts);
	config->challenge = CH_ACME_HTTP_01;
	if (strcmp(text, "dns-01") == 0)
		config->challenge = CH_ACME_DNS_01;
	else if (strcmp(text, "tls-alpn-01") == 0)
		config->challenge = CH_ACME_TLS_ALPN_01;
	else if (strcmp(text, "dns-persist-01") == 0)
		config->challenge = CH_ACME_DNS_PERSIST_01;
	else if (strcmp(text, "http-01") != 0)
		ch_conf_fail(conf, SECTION, "challenge",
			"must be http-01, tls-alpn-01, dns-01 or dns-persist-01");
	read_wildcard_challenge(conf, config);
	ch_issuer_config_persist(conf, config);
	/* What an edge answers over http says nothing of what it would over TLS. */
	if (config->challenge == CH_ACME_TLS_ALPN_01 && config->self_check) {
		if (strcmp(ch_conf_str(conf, SECTION, "self_check", "auto"), "auto") != 0)
			ch_conf_fail(conf, SECTION, "self_check",
				"must be auto or off with challenge = tls-alpn-01");
		config->self_check = false;
	}
	if (config->challenge == CH_ACME_DNS_01 && config->dns.method == CH_DNS_METHOD_NONE)
		ch_conf_fail(conf, SECTION, "challenge",
			"dns-01 needs [dns] method = rfc2136 or hook");
}

/* A call that outlasts the lease would leave its order to another issuer while it waits: what
 * is written so is refused, and the default is less. */
static void bound_calls(struct ch_conf *conf, struct ch_issuer_config *config)
{
	char lease[CH_TIME_STR_B];

	for (size_t i = 0; i < config->n_cas; i++) {
		char section[sizeof("ca ") + CH_CA_NAME_B] = SECTION;

		if (i)
			snprintf(section, sizeof(section), "ca %s", config->cas[i].name);
		if (config->cas[i].timeout_ms < config->lease_ms)
			continue;
		if (*ch_conf_str(conf, section, "ca_timeout", ""))
			ch_conf_fail(conf, section, "ca_timeout",
				"must be below `lease` in [" SECTION "], which is %s",
				ch_duration_str(config->lease_ms, lease));
		else
			config->cas[i].timeout_ms = config->lease_ms / 2;
	}
}

int ch_issuer_config_read(
	struct ch_conf *conf, struct ch_issuer_config *ret_config, struct ch_err *err)
{
	struct ch_issuer_config *config = ret_config;
	const char *level;
	int rc;

	memset(config, 0, sizeof(*config));
	/* What is wrong is latched in conf and reported by ch_conf_finish. */
	(void)!ch_api_options_from_conf(conf, SECTION, "issuer", &config->store);
	ch_issuer_config_cas(conf, config);
	read_files(conf, config);
	read_keys(conf, config);
	read_rates(conf, config);
	read_probe(conf, config);
	ch_issuer_config_preflight(conf, config);
	read_challenge(conf, config);
	read_tickets(conf, config);
	level = ch_conf_str(conf, SECTION, "log_level", "info");
	if (ch_log_level_parse(level, &config->log_level))
		ch_conf_fail(conf, SECTION, "log_level", "must be error, warn, info or debug");
	bound_calls(conf, config);
	rc = ch_conf_finish(conf, SECTION, err);
	if (rc == CH_OK)
		rc = ch_conf_finish(conf, "dns", err);
	if (rc == CH_OK)
		rc = ch_conf_finish(conf, "alerts", err);
	return rc ? rc : ch_issuer_config_finish_cas(conf, config, err);
}
