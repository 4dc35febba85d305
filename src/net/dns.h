/* Questions to the DNS, many at a time: one thread, which nobody has to wait for (c-ares). */
#ifndef CH_NET_DNS_H
#define CH_NET_DNS_H

#include "net/dns_message.h"

/* Open questions at a time: one more is refused. */
#define CH_DNS_OPEN_MAX 32768u

struct ch_dns;

struct ch_dns_options {
	/* "192.0.2.53, [2001:db8::53]:5353": at most 8; NULL or "": this host's
	 * (resolv.conf). */
	const char *resolvers;
	int64_t timeout_ms; /* of the first try at a resolver; 0: 2 s.  The second has twice
			     * that
			     */
	/* Over TCP only: where an answer that somebody else slipped in would do harm. */
	bool tcp;
};

/* Starts the thread.  CH_EINVAL "resolvers". */
CH_MUST int ch_dns_new(
	const struct ch_dns_options *options, struct ch_dns **ret_dns, struct ch_err *err);
/* Open questions are canceled: done() is called for each; later ones are refused. */
void ch_dns_stop(struct ch_dns *dns); /* NULL allowed */
/* Stops it first, if need be.  NULL allowed. */
void ch_dns_free(struct ch_dns *dns);

/* done(answer, arg) is called once, on the thread of dns: it must be short, and may ask. answer
 * is borrowed until it returns.  CH_EAGAIN: too many are open; CH_ENOMEM: done() will not be
 * called. */
typedef void ch_dns_done(const struct ch_dns_answer *answer, void *arg);
CH_MUST int ch_dns_ask(struct ch_dns *dns, const char *name, enum ch_dns_type type,
	ch_dns_done *done, void *arg);

/* Asks and waits.  CH_EAGAIN, CH_ENOMEM.  Not from done(). */
CH_MUST int ch_dns_look(struct ch_dns *dns, const char *name, enum ch_dns_type type,
	struct ch_dns_answer *ret_answer);

/* False while questions are open, and no resolver has answered any for some seconds, whatever
 * the answer: then a timeout says nothing about the name. */
bool ch_dns_is_up(struct ch_dns *dns);

/* Whether text would be taken for options.resolvers. */
CH_MUST int ch_dns_check_resolvers(const char *text);

#endif
