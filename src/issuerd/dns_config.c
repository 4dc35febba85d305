#include "issuerd/dns_config.h"

#include <string.h>

#include "base/clock.h"
#include "wire/delegate.h"

#define SECTION "dns"
#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-_."

struct server_list {
	struct ch_dns_server *list;
	size_t *n;
};

static int add_server(const char *item, void *arg)
{
	const struct server_list *to = arg;

	if (*to->n == CH_DNS_SERVERS_MAX)
		return CH_ETOOBIG;
	return ch_dns_server_parse(item, &to->list[(*to->n)++]);
}

static int add_zone(const char *item, void *arg)
{
	struct ch_dns_config *config = arg;

	if (config->n_zones == CH_DNS_ZONES_MAX)
		return CH_ETOOBIG;
	return ch_delegate_zone(item, config->zones[config->n_zones++]);
}

static void read_method(struct ch_conf *conf, struct ch_dns_config *config)
{
	const char *text = ch_conf_str(conf, SECTION, "method", "none");

	if (strcmp(text, "rfc2136") == 0)
		config->method = CH_DNS_METHOD_RFC2136;
	else if (strcmp(text, "hook") == 0)
		config->method = CH_DNS_METHOD_HOOK;
	else if (strcmp(text, "none") != 0)
		ch_conf_fail(conf, SECTION, "method", "must be rfc2136, hook or none");
	config->hook = ch_conf_path(conf, SECTION, "hook", "");
	if (config->method == CH_DNS_METHOD_HOOK && !config->hook[0])
		ch_conf_fail(conf, SECTION, "hook", "is needed with method = hook");
	config->hook_timeout_ms = ch_conf_duration(
		conf, SECTION, "hook_timeout", "60s", CH_SECOND_MS, 10 * CH_MINUTE_MS);
}

static void read_update(struct ch_conf *conf, struct ch_dns_config *config)
{
	struct server_list servers = {config->servers, &config->n_servers};
	const char *algorithm;

	ch_conf_list(
		conf, SECTION, "servers", "", "ADDRESS or ADDRESS:PORT", add_server, &servers);
	config->tsig_name = ch_conf_str(conf, SECTION, "tsig_name", "");
	algorithm = ch_conf_str(conf, SECTION, "tsig_algorithm", "hmac-sha256");
	if (ch_tsig_algorithm_parse(algorithm, &config->tsig_algorithm))
		ch_conf_fail(conf, SECTION, "tsig_algorithm",
			"must be hmac-sha256, hmac-sha384 or hmac-sha512");
	config->tsig_key_file = ch_conf_path(conf, SECTION, "tsig_key_file", "");
	if (config->method != CH_DNS_METHOD_RFC2136)
		return;
	if (config->n_servers == 0)
		ch_conf_fail(conf, SECTION, "servers", "is needed with method = rfc2136");
	/* Unsigned, anybody could take a refusal for a success, or write himself. */
	if (!config->tsig_name[0] || strlen(config->tsig_name) >= CH_DNS_NAME_B)
		ch_conf_fail(conf, SECTION, "tsig_name",
			"is needed with method = rfc2136: the name of the TSIG key");
	if (!config->tsig_key_file[0])
		ch_conf_fail(conf, SECTION, "tsig_key_file", "is needed with method = rfc2136");
}

static void read_check(struct ch_conf *conf, struct ch_dns_config *config)
{
	struct server_list servers = {config->check_servers, &config->n_check_servers};
	const char *text = ch_conf_str(conf, SECTION, "check", "authoritative");

	if (strcmp(text, "off") == 0) {
		config->check = CH_DNS_CHECK_OFF;
	} else if (strcmp(text, "authoritative") == 0) {
		config->check = CH_DNS_CHECK_AUTHORITATIVE;
	} else {
		config->check = CH_DNS_CHECK_SERVERS;
		ch_conf_list(conf, SECTION, "check", "", "ADDRESS or ADDRESS:PORT", add_server,
			&servers);
		if (config->n_check_servers == 0)
			ch_conf_fail(conf, SECTION, "check",
				"must be authoritative, off, or addresses of DNS servers");
	}
	config->check_limit_ms =
		ch_conf_duration(conf, SECTION, "check_limit", "2m", CH_SECOND_MS, CH_HOUR_MS);
}

void ch_issuer_config_dns(struct ch_conf *conf, struct ch_dns_config *config)
{
	const char *delegate;

	read_method(conf, config);
	read_update(conf, config);
	read_check(conf, config);
	ch_conf_list(conf, SECTION, "zones", "", "names of zones, such as example.com",
		add_zone, config);
	delegate = ch_conf_str(conf, SECTION, "delegate", "");
	if (delegate[0] && ch_delegate_zone(delegate, config->delegate))
		ch_conf_fail(conf, SECTION, "delegate",
			"must be a domain name of at most 189 characters");
	config->ttl_s = (uint32_t)ch_conf_int(conf, SECTION, "ttl", 60, 1, 86400);
	config->threads =
		(size_t)ch_conf_int(conf, SECTION, "threads", 4, 1, CH_DNS_THREADS_MAX);
	config->state = ch_conf_path(conf, SECTION, "state", "issuer/state/dns");
	config->leftover_ms = ch_conf_duration(
		conf, SECTION, "leftovers", "3h", CH_SECOND_MS, 30 * CH_DAY_MS);
}

const char *ch_dns_config_zone(const struct ch_dns_config *config, const char *target)
{
	const char *best = NULL;

	for (size_t i = 0; i < config->n_zones; i++)
		if (ch_dns_is_below(target, config->zones[i]) &&
			(!best || strlen(config->zones[i]) > strlen(best)))
			best = config->zones[i];
	return best;
}

static bool is_delegated(const struct ch_dns_config *config, const char *target)
{
	return config->delegate[0] && ch_dns_is_below(target, config->delegate) &&
	       strlen(target) > strlen(config->delegate);
}

bool ch_dns_config_is_ours(const struct ch_dns_config *config, const char *target)
{
	return is_delegated(config, target) || ch_dns_config_zone(config, target);
}

int ch_dns_config_permits(const struct ch_dns_config *config, const char *owner,
	const char *target, struct ch_err *err)
{
	bool direct = strcmp(owner, target) == 0;
	bool sane = target[strspn(target, HOST_CHARACTERS)] == 0;
	bool bounded = config->n_zones || config->delegate[0];
	int rc;

	if (sane &&
		(is_delegated(config, target) || (direct && !bounded) ||
			(strncmp(target, CH_CHALLENGE_LABEL, strlen(CH_CHALLENGE_LABEL)) == 0 &&
				ch_dns_config_zone(config, target))))
		return CH_OK;
	if (direct)
		rc = ch_err_set(err, CH_EAUTH, "dns-target-outside",
			"%s is in none of the zones that certherd may write in%s%s: add the "
			"CNAME record that delegates it, or see zones.",
			owner,
			config->delegate[0] ? ", nor is it an alias of a name below " : "",
			config->delegate);
	else
		rc = ch_err_set(err, CH_EAUTH, "dns-target-outside",
			"%s is an alias of %s, which is no place that certherd may write at: "
			"let it lead to the name that certherd shows for the domain.",
			owner, target);
	err->actor = CH_ACTOR_CUSTOMER;
	return rc;
}
