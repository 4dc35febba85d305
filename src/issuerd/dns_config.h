/* [dns] of certherd.conf: how TXT records of DNS challenges get into the DNS. */
#ifndef CH_ISSUERD_DNS_CONFIG_H
#define CH_ISSUERD_DNS_CONFIG_H

#include "base/conf.h"
#include "net/dns_tcp.h"
#include "net/dns_update.h"

#define CH_DNS_SERVERS_MAX 8
#define CH_DNS_ZONES_MAX 32
#define CH_DNS_THREADS_MAX 64

enum ch_dns_method { CH_DNS_METHOD_NONE, CH_DNS_METHOD_RFC2136, CH_DNS_METHOD_HOOK };
enum ch_dns_check { CH_DNS_CHECK_OFF, CH_DNS_CHECK_AUTHORITATIVE, CH_DNS_CHECK_SERVERS };

struct ch_dns_config { /* strings are borrowed from the ch_conf */
	enum ch_dns_method method;
	struct ch_dns_server servers[CH_DNS_SERVERS_MAX]; /* RFC 2136: tried in turn */
	size_t n_servers;
	const char *tsig_name;
	enum ch_tsig_algorithm tsig_algorithm;
	const char *tsig_key_file;
	const char *hook; /* "" when there is none */
	int64_t hook_timeout_ms;
	char zones[CH_DNS_ZONES_MAX][CH_DNS_NAME_B];
	size_t n_zones;
	char delegate[CH_DNS_NAME_B]; /* "": names are not delegated */
	uint32_t ttl_s;
	enum ch_dns_check check;
	struct ch_dns_server check_servers[CH_DNS_SERVERS_MAX];
	size_t n_check_servers;
	int64_t check_limit_ms;
	size_t threads;
	const char *state; /* folder: what has been written and not taken away yet */
	int64_t leftover_ms;
};

/* What is wrong is latched in conf. */
void ch_issuer_config_dns(struct ch_conf *conf, struct ch_dns_config *config);

/* Whether a TXT record for the name whose owner is "_acme-challenge.<name>" may be written at
 * target, which is the owner, or where the owner's CNAME leads.  What a stranger's DNS says
 * must not make us write anywhere but below `delegate`, or at an _acme-challenge name of our
 * zones. CH_EAUTH "dns-target-outside". */
CH_MUST int ch_dns_config_permits(const struct ch_dns_config *config, const char *owner,
	const char *target, struct ch_err *err);

/* The configured zone that target lies in, the innermost; NULL: none. */
const char *ch_dns_config_zone(const struct ch_dns_config *config, const char *target);
/* Whether target lies in a zone that the operator has named. */
bool ch_dns_config_is_ours(const struct ch_dns_config *config, const char *target);

#endif
