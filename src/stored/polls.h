/* Long polls: requests that wait until the store has something for them.
 *
 * No wake-up is lost: who wants to wait takes ch_polls_seen BEFORE it looks into the store, and
 * gives it to ch_polls_wait, which refuses to wait when something was committed since. */
#ifndef CH_STORED_POLLS_H
#define CH_STORED_POLLS_H

#include <stdint.h>

#include "base/err.h"
#include "stored/request.h"
#include "store/store.h"

/* Each waiting request holds a connection. */
#define CH_POLLS_MAX 3000u
#define CH_POLLS_PER_IDENTITY_MAX 16u

struct ch_polls;

enum ch_poll_kind {
	CH_POLL_FEED,	/* until the pool's feed has moved past `after` */
	CH_POLL_LEASES, /* until something can be leased */
	CH_POLL_KINDS
};

struct ch_poll {
	enum ch_poll_kind kind;
	const char *pool;    /* FEED; lives as long as the request */
	const char *edge;    /* FEED: who asks, its id alone; as pool */
	uint64_t after;	     /* FEED */
	int64_t due_ms;	     /* LEASES: Unix ms when something will be due; INT64_MAX: never */
	int64_t deadline_ms; /* monotonic */
	/* The registry's: */
	struct ch_req *req;
	struct ch_poll *next;
};

/* Starts a thread; store outlives it.  Sets no hook: its owner calls ch_polls_on_commit. */
CH_MUST int ch_polls_new(
	struct ch_store *store, struct ch_polls **ret_polls, struct ch_err *err);
/* Wakes everybody; from now on nobody waits any more. */
void ch_polls_begin_stop(struct ch_polls *polls);
/* After ch_polls_begin_stop: ends the thread.  Nothing but ch_polls_on_commit and
 * ch_polls_free may follow. */
void ch_polls_stop(struct ch_polls *polls);
void ch_polls_free(struct ch_polls *polls); /* stopped; NULL allowed */

uint64_t ch_polls_seen(struct ch_polls *polls, enum ch_poll_kind kind);
/* How many wait now. */
size_t ch_polls_waiting(struct ch_polls *polls, enum ch_poll_kind kind);
/* On CH_OK the request is parked and next runs, after a new authentication, when something
 * happened or the deadline passed; the handler returns.  poll lives as long as the request.
 * CH_ECONFLICT: something was committed since seen: look again.  CH_EAGAIN: the limits are
 * reached, the answer is given.  CH_ECANCELED: stopping, the answer is given. */
CH_MUST int ch_polls_wait(struct ch_polls *polls, struct ch_req *req, struct ch_poll *poll,
	uint64_t seen, ch_req_fn *next);

/* For ch_store_on_commit; arg is the registry. */
void ch_polls_on_commit(const struct ch_store_change *change, void *arg);

#endif
