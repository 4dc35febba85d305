/* The addresses that a name leads to, and whether they are the platform's: pure functions. */
#ifndef CH_ISSUERD_SITES_H
#define CH_ISSUERD_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/dns_message.h"

#define CH_PLATFORM_ADDRESSES_MAX 128
#define CH_PLATFORM_TARGETS_MAX 32
#define CH_SITES_MAX (2 * CH_DNS_ADDRESSES_MAX)
#define CH_SITES_ASKED_MAX 4 /* addresses of one name that are fetched from */

struct ch_cidr {
	uint8_t prefix[16];
	unsigned family_b; /* 4 or 16 bytes */
	unsigned bits;
};
/* "192.0.2.0/24", "2001:db8::1".  CH_EINVAL, also when bits beyond the prefix are set. */
CH_MUST int ch_cidr_parse(const char *text, struct ch_cidr *ret_cidr);

/* Where the platform is; all empty: nobody said. */
struct ch_platform {
	struct ch_cidr addresses[CH_PLATFORM_ADDRESSES_MAX];
	size_t n_addresses;
	char targets[CH_PLATFORM_TARGETS_MAX][CH_DNS_NAME_B]; /* "*.x": any name below x */
	size_t n_targets;
};

#define CH_PLATFORM_HERE_B (3 + CH_DNS_NAME_B)
/* What "point it …" ends with for a customer: "to NAME" or "to ADDRESS", the first that was
 * configured, or "here" where only patterns and networks were, or nothing. */
const char *ch_platform_here(
	const struct ch_platform *platform, char ret_text[CH_PLATFORM_HERE_B]);

enum ch_seen { /* what answered at an address */
	CH_SEEN_NOT_ASKED,
	CH_SEEN_EDGE,	 /* one of our edges */
	CH_SEEN_ACCOUNT, /* an edge that has another account pinned */
	CH_SEEN_OTHER,	 /* something else */
	CH_SEEN_NOBODY,
};

struct ch_site {
	char address[CH_DNS_ADDR_B];
	bool ours;   /* by the platform's addresses or targets */
	bool listed; /* by its addresses: may be asked, be it private or not */
	bool ask;
	enum ch_seen seen;
};

struct ch_sites {
	const struct ch_platform *platform; /* borrowed */
	struct ch_site list[CH_SITES_MAX];
	size_t n;
	bool known;		 /* somebody said where the platform is */
	char end[CH_DNS_NAME_B]; /* last CNAME, "": none */
};

/* Both answers are FOUND, or have no addresses. */
void ch_sites_from(const struct ch_platform *platform, const char *name,
	const struct ch_dns_answer *a, const struct ch_dns_answer *aaaa,
	struct ch_sites *ret_sites);
/* Says which are to be asked: may_ask is for addresses that strangers chose. */
void ch_sites_choose(struct ch_sites *sites, bool (*may_ask)(const char *address));

/* What it comes to.  CH_OK, or CH_ECONFLICT with one of "dns-points-elsewhere",
 * "dns-ipv6-elsewhere", "dns-partly-elsewhere", "self-check-account",
 * "self-check-wrong-answer", "self-check-unreachable".  *ret_away: nothing that the name leads
 * to is ours. */
CH_MUST int ch_sites_judge(
	const struct ch_sites *sites, const char *name, bool *ret_away, struct ch_err *err);

#endif
