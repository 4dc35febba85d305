/* The threads of the issuer: one leases, the others each take one order a step further. */
#ifndef CH_ISSUERD_WORKER_H
#define CH_ISSUERD_WORKER_H

#include "issuerd/issuer.h"
#include "issuerd/queue.h"
#include "net/api.h"

struct ch_worker {
	struct ch_issuer *issuer;
	struct ch_queue *queue;
	struct ch_api *api; /* owned: the store */
	/* Owned: each CA's, as issuer->cas; NULL in the leasing thread. */
	struct ch_http *https[CH_CAS_MAX];
	unsigned seed; /* of the jitter */
	/* Monotonic, of the leasing thread: the store is one of before, and refuses to be told
	 * of the standbys of second certificates. */
	int64_t untold_until_ms;
	/* … or to be told that renewals are not exempt. */
	int64_t exempt_until_ms;
};

/* The clients of one thread; err says what is wrong with the files. */
CH_MUST int ch_worker_init(struct ch_worker *worker, struct ch_issuer *issuer,
	struct ch_queue *queue, bool leasing, struct ch_err *err);
void ch_worker_done(struct ch_worker *worker);

/* Thread functions; arg: struct ch_worker *.  They return when the queue is closed, workers
 * after having given back what was left in it. */
void *ch_worker_main(void *worker);
void *ch_leaser_main(void *worker);

/* Makes the order's step, and those that follow at once under the same lease, and writes each
 * result to the store before the next.  Returns 0, or when (monotonic) the order is to be run
 * again under its lease: to be put aside until then. */
CH_MUST int64_t ch_worker_run(struct ch_worker *worker, struct ch_work *work);

/* One write, tried again while the store is away.  CH_ECONFLICT, CH_ENOTFOUND: the order is not
 * ours any more (nothing to do); CH_EINVAL, CH_ETOOBIG: the store refuses it;
 * CH_ECANCELED: we are stopping and the store is away. */
CH_MUST int ch_worker_write(
	struct ch_worker *worker, struct ch_write *w, struct ch_work *work, struct ch_err *err);

/* After so many tries at the store before: waits longer each time, more or less a quarter.
 * True: stop trying. */
CH_MUST bool ch_worker_back_off(struct ch_worker *worker, unsigned tries);

#endif
