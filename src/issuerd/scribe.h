/* What workers write to the store, together where they come together: while one request is
 * under way, what the others want to write gathers, and goes with the next one. */
#ifndef CH_ISSUERD_SCRIBE_H
#define CH_ISSUERD_SCRIBE_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/api.h"

struct ch_scribe_item {
	uint64_t order_id;
	bool publish; /* body is that of publish, else of PATCH */
	json_t *body; /* borrowed */
	/* Filled in: */
	int rc;
	struct ch_err err;
	json_t *answer; /* the caller's; NULL when there is none */
	/* The scribe's: */
	size_t size_b; /* of body as JSON, roughly */
	bool done;
	bool alone; /* not done: its own thread writes it, with a request of its own */
	pthread_cond_t changed;
	struct ch_scribe_item *next;
};

struct ch_scribe {
	pthread_mutex_t lock;
	struct ch_scribe_item *first;
	struct ch_scribe_item **last;
	bool writing;
	/* Monotonic: the store is one of before, which takes one step at a time. */
	int64_t single_until_ms;
};

void ch_scribe_init(struct ch_scribe *scribe);
void ch_scribe_done(struct ch_scribe *scribe);
/* Writes the item with a request of the calling thread's api, or of another thread's.  Returns
 * item->rc, as ch_api_call does. */
CH_MUST int ch_scribe_write(
	struct ch_scribe *scribe, struct ch_api *api, struct ch_scribe_item *item);

#endif
