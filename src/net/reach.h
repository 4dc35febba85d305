/* Fetches over plain HTTP from given addresses, as a CA validates http-01: many at a time, on a
 * thread that nobody has to wait for.  What is fetched may be anybody's server: few bytes are
 * read, for a short time, and it is never asked under another address than the one given. */
#ifndef CH_NET_REACH_H
#define CH_NET_REACH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CH_REACH_BODY_B 257	    /* as much as a CA would read, and a NUL */
#define CH_REACH_WAITING_MAX 16384u /* one more is refused */

struct ch_reach;

struct ch_reach_answer {
	/* CH_OK: somebody answered over HTTP; CH_ENETWORK, CH_ETIMEOUT, CH_EPROTO (no HTTP);
	 * CH_ECANCELED: we are stopping. */
	int rc;
	int status;
	char body[CH_REACH_BODY_B];
	char elsewhere[254]; /* it redirects to another host, which was not asked; else "" */
	char why[128];	     /* with rc: a few words */
};

/* Starts the thread. */
CH_MUST int ch_reach_new(struct ch_reach **ret_reach, struct ch_err *err);
/* What is open is canceled: done() is called for each.  NULL allowed. */
void ch_reach_free(struct ch_reach *reach);

/* GET http://name[:port]/path, connected to address.  Redirects to the same name are followed
 * (RFC 8555 section 8.3), at the same address, port 80 or 443, certificates not looked at.
 * done(answer, arg) is called once, on the thread; answer is borrowed.  CH_EAGAIN, CH_ENOMEM:
 * it will not be called. */
typedef void ch_reach_done(const struct ch_reach_answer *answer, void *arg);
CH_MUST int ch_reach_ask(struct ch_reach *reach, const char *name, const char *address,
	uint16_t port, const char *path, ch_reach_done *done, void *arg);

#endif
