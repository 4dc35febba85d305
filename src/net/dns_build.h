/* Writing DNS messages (RFC 1035 section 4.1), without compression. */
#ifndef CH_NET_DNS_BUILD_H
#define CH_NET_DNS_BUILD_H

#include "base/buf.h"
#include "net/dns_message.h"

#define CH_DNS_CLASS_IN 1
#define CH_DNS_CLASS_NONE 254
#define CH_DNS_CLASS_ANY 255

/* Appends a name in wire form, in lower case; a last full stop does not count, "" is the root.
 * CH_EINVAL (latched in out): a label is empty or longer than 63, or the name too long. */
int ch_dns_add_name(struct ch_buf *out, const char *name);

/* A question to an authoritative server: recursion is not asked for. */
CH_MUST int ch_dns_query_build(
	uint16_t id, const char *name, enum ch_dns_type type, struct ch_buf *out);

#endif
