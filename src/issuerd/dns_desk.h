/* Where steps leave TXT records to be written and taken away, and ask how it stands.  Threads
 * of its own do it: neither a DNS server nor a hook holds up a worker. */
#ifndef CH_ISSUERD_DNS_DESK_H
#define CH_ISSUERD_DNS_DESK_H

#include "issuerd/dns_write.h"

/* Records at a time; one more waits for its turn. */
#define CH_DNS_DESK_MAX 4096u

/* Every code that DNS challenges end with: X(code).  doc/troubleshooting.md has a section for
 * each. */
#define CH_DNS_CODES(X)                                                                        \
	X("dns-challenge-off")                                                                 \
	X("no-dns-challenge")                                                                  \
	X("dns-delegation-failed")                                                             \
	X("dns-target-outside")                                                                \
	X("dns-zone-unknown")                                                                  \
	X("dns-update-key")                                                                    \
	X("dns-update-clock")                                                                  \
	X("dns-update-refused")                                                                \
	X("dns-update-failed")                                                                 \
	X("dns-update-answer")                                                                 \
	X("dns-update-unreachable")                                                            \
	X("dns-hook-failed")                                                                   \
	X("dns-hook-timeout")                                                                  \
	X("dns-not-visible")                                                                   \
	X("dns-record-unseen")                                                                 \
	X("dns-state")

struct ch_dns_desk;

struct ch_dns_desk_options {
	const struct ch_dns_config *config; /* borrowed */
	const char *resolvers;		    /* as struct ch_dns_options */
	int64_t dns_timeout_ms;
	bool (*may_ask)(const char *address);
	/* A look at this order is worth it now; not while a function of the desk runs. */
	void (*wake)(void *arg, uint64_t order);
	void *arg;
};

CH_MUST int ch_dns_desk_new(const struct ch_dns_desk_options *options,
	struct ch_dns_desk **ret_desk, struct ch_err *err);
/* What is under way is canceled; the journal has it. */
void ch_dns_desk_free(struct ch_dns_desk *desk); /* NULL allowed */

enum ch_dns_fate { CH_DNS_WAIT, CH_DNS_GOOD, CH_DNS_BAD };

/* Where the record of this name goes: begins to look, or tells.  GOOD: *ret_target; BAD: err.
 * What came out is kept for two minutes. */
enum ch_dns_fate ch_dns_desk_find(struct ch_dns_desk *desk, const char *name, uint64_t order,
	char ret_target[CH_DNS_NAME_B], struct ch_err *err);
/* The next look begins anew. */
void ch_dns_desk_forget_find(struct ch_dns_desk *desk, const char *name);

/* Begins to write the record, or tells.  GOOD: it is there, and seen.  BAD: err says why. */
enum ch_dns_fate ch_dns_desk_present(struct ch_dns_desk *desk, const struct ch_dns_txt *txt,
	uint64_t order, struct ch_err *err);
/* It is not needed any more: taken away in the background, tried again for as long as it takes,
 * after a crash too. */
void ch_dns_desk_remove(struct ch_dns_desk *desk, const struct ch_dns_txt *txt);

#endif
