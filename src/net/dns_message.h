/* Answers of the DNS (RFC 1035 section 4), read with limits. */
#ifndef CH_NET_DNS_MESSAGE_H
#define CH_NET_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CH_DNS_NAME_B 254 /* 253 characters and a NUL */
#define CH_DNS_ADDR_B 46  /* text of an IPv6 address and a NUL */
#define CH_DNS_ADDRESSES_MAX 16
#define CH_DNS_CHAIN_MAX 8
#define CH_DNS_TEXTS_MAX 32
#define CH_DNS_TEXT_B 512
#define CH_DNS_TAG_B 33

enum ch_dns_type {
	CH_DNS_A = 1,
	CH_DNS_NS = 2,
	CH_DNS_SOA = 6,
	CH_DNS_TXT = 16,
	CH_DNS_AAAA = 28,
	CH_DNS_CAA = 257,
};

enum ch_dns_status {
	CH_DNS_FOUND,	 /* there are records of the type */
	CH_DNS_NO_DATA,	 /* the name is there, records of the type are not */
	CH_DNS_NO_NAME,	 /* NXDOMAIN */
	CH_DNS_FAILED,	 /* SERVFAIL, REFUSED, …, or an answer that cannot be read */
	CH_DNS_TIMEOUT,	 /* no resolver answered */
	CH_DNS_CANCELED, /* we are stopping */
};

/* A TXT record, the name of an NS record, or a CAA record with its tag (RFC 8659 section 4.1).
 */
struct ch_dns_text {
	bool critical;
	bool cut;		   /* was longer, or had a NUL: value says nothing */
	char tag[CH_DNS_TAG_B];	   /* lower case; "?" when it is none */
	char value[CH_DNS_TEXT_B]; /* any bytes but NUL */
};

struct ch_dns_answer {
	enum ch_dns_status status;
	/* The CNAMEs that were followed, in their order, lower case; characters that belong in
	 * no host name are '?'. */
	char chain[CH_DNS_CHAIN_MAX][CH_DNS_NAME_B];
	size_t n_chain;
	char addresses[CH_DNS_ADDRESSES_MAX][CH_DNS_ADDR_B]; /* A, AAAA */
	size_t n;					     /* of either */
	size_t n_over;					     /* more than fit: not looked at */
	struct ch_dns_text
		texts[CH_DNS_TEXTS_MAX]; /* TXT, NS, CAA; last: much of it, often unused */
};

/* The records of the type that belong to name, over CNAMEs too.  CH_EPROTO: what is no answer
 * to that question, or is broken; *ret_answer is written to all the same. */
CH_MUST int ch_dns_message_read(const uint8_t *bytes, size_t len, const char *name,
	enum ch_dns_type type, struct ch_dns_answer *ret_answer);

/* From the answer to a question for name's SOA: the zone that name lies in, and whether the
 * server that was asked has it.  CH_ENOTFOUND: it does not say; CH_EPROTO. */
CH_MUST int ch_dns_message_read_zone(const uint8_t *bytes, size_t len, const char *name,
	char ret_zone[CH_DNS_NAME_B], bool *ret_authoritative);

/* Whether name is the zone's own, or lies below it; "" is the root. */
bool ch_dns_is_below(const char *name, const char *zone);

#endif
