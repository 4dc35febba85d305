/* Hears from nginx's workers which names visitors wait for, and tells the store: a thread of
 * its own, so that neither the feed nor a handshake waits for it.
 *
 * nginx's group may write to the socket DIR/wanted; whatever comes is believed to be a hint and
 * no more (agentd/wanted_names.h).  A thousand datagrams a second are looked at, the rest stays
 * with the kernel, whose queue is short, and so with those who send. */
#ifndef CH_AGENTD_WANTED_H
#define CH_AGENTD_WANTED_H

#include "agentd/figures.h"
#include "net/api.h"

struct ch_wanted;

struct ch_wanted_options {
	const char *dir;    /* of the replica, where this process is the only agent; copied */
	int64_t reader_gid; /* as of the replica; -1: the folder's group as it is */
	const struct ch_api_options *api; /* read at the start only */
	struct ch_http *http;		  /* taken over on success; NULL: libcurl's */
	struct ch_agent_figures *figures; /* borrowed */
};

/* A socket that is there no more, or cannot be made, is made again ten seconds later, and the
 * log says why it cannot.  CH_ETOOBIG: the path is too long for a socket. */
CH_MUST int ch_wanted_start(const struct ch_wanted_options *options,
	struct ch_wanted **ret_wanted, struct ch_err *err);
/* NULL allowed.  A request under way is given up. */
void ch_wanted_stop(struct ch_wanted *wanted);

#endif
