/* Who waits for a turn, and the buckets as they stand: what a forecast is made of (a part of
 * store.h). */
#ifndef CH_STORE_QUEUE_H
#define CH_STORE_QUEUE_H

#include "base/arena.h"
#include "pace/forecast.h"
#include "store/pace.h"

/* No more names are read: those of the most urgent classes first. */
#define CH_STORE_QUEUE_MAX 1000000u
/* What the arena must hold for so many, each of another tenant and domain, and some. */
#define CH_STORE_QUEUE_B ((size_t)512 << 20)

struct ch_store_queue {
	struct ch_forecast forecast; /* to be run; its accounts are those that were asked for */
	const char **names;	     /* by item */
	const char **domains;	     /* by domain; [0]: names without a limit of theirs, NULL */
	/* By domain: the last turn that a name which does not wait in line was promised. */
	int64_t *tails_ms;
	uint64_t waiting; /* in line, also those that were not read */
};

/* paces: in the order in which they are used; the domains are those of the first one's CA. */
CH_MUST int ch_store_get_queue(struct ch_store *store, const struct ch_store_pace *paces,
	size_t n_paces, struct ch_arena *arena, struct ch_store_queue *ret_queue);

#endif
