/* Writing one TXT record, and looking whether it is there to be seen.  Both wait: they are for
 * threads of their own. */
#ifndef CH_ISSUERD_DNS_WRITE_H
#define CH_ISSUERD_DNS_WRITE_H

#include <pthread.h>

#include "issuerd/dns_config.h"
#include "issuerd/dns_journal.h"
#include "net/dns.h"

#define CH_DNS_KNOWN_ZONES 16 /* whose servers are remembered for a while */
#define CH_DNS_ZONE_SERVERS_MAX 16

struct ch_dns_zone_servers {
	char parent[CH_DNS_NAME_B]; /* of names right below it; "": this place is free */
	struct ch_dns_server list[CH_DNS_ZONE_SERVERS_MAX];
	int64_t silent_until_ms[CH_DNS_ZONE_SERVERS_MAX]; /* monotonic: not asked before */
	size_t n;
	int64_t until_ms; /* monotonic */
};

struct ch_dns_writer {
	const struct ch_dns_config *config;
	struct ch_tsig_key key; /* RFC 2136 */
	struct ch_dns *dns;	/* the resolvers; borrowed */
	/* Whether an address that a stranger chose may be asked. */
	bool (*may_ask)(const char *address);
	int (*canceled)(void *arg);
	void *arg;
	pthread_mutex_t lock;
	struct ch_dns_zone_servers known[CH_DNS_KNOWN_ZONES];
	size_t next_known;
	/* While no server answers, one that found out spares all others the wait. */
	int64_t silent_until_ms; /* monotonic */
	struct ch_err silent;
};

/* Reads the key; config, dns and the functions have been set.  Done in any case. */
CH_MUST int ch_dns_writer_init(struct ch_dns_writer *writer, struct ch_err *err);
void ch_dns_writer_done(struct ch_dns_writer *writer);

/* Adds or removes the record by the configured method.  What is already so is success.
 * CH_EAUTH: it will not be otherwise before somebody has changed something; others may pass. */
CH_MUST int ch_dns_writer_write(struct ch_dns_writer *writer, const struct ch_dns_txt *txt,
	bool remove, struct ch_err *err);

/* CH_OK: all servers that are to be asked, and answer, show the record.  CH_EAGAIN "not yet",
 * and err says who does not. */
CH_MUST int ch_dns_writer_see(
	struct ch_dns_writer *writer, const struct ch_dns_txt *txt, struct ch_err *err);

#endif
