/* Where "_acme-challenge" names lead: CNAMEs are followed by the resolver, and their end is
 * judged.  Nobody waits: c-ares asks. */
#ifndef CH_ISSUERD_DNS_FIND_H
#define CH_ISSUERD_DNS_FIND_H

#include "issuerd/dns_desk.h"

#define CH_DNS_FINDS_MAX 16384u

struct ch_dns_finder;

CH_MUST int ch_dns_finder_new(const struct ch_dns_desk_options *options, struct ch_dns *dns,
	struct ch_dns_finder **ret_finder);
/* After the resolver was stopped. */
void ch_dns_finder_free(struct ch_dns_finder *finder); /* NULL allowed */
/* As ch_dns_desk_find. */
enum ch_dns_fate ch_dns_finder_look(struct ch_dns_finder *finder, const char *name,
	uint64_t order, char ret_target[CH_DNS_NAME_B], struct ch_err *err);
void ch_dns_finder_forget(struct ch_dns_finder *finder, const char *name);

#endif
