/* How many connections each identity has: one of them must not take all the places. */
#ifndef CH_STORED_CROWD_H
#define CH_STORED_CROWD_H

#include <stddef.h>

#include "base/err.h"

struct ch_crowd;       /* thread-safe */
struct ch_crowd_place; /* one connection's */

/* most: connections of one identity. */
CH_MUST int ch_crowd_new(size_t most, struct ch_crowd **ret_crowd, struct ch_err *err);
/* Every place has been left.  NULL allowed. */
void ch_crowd_free(struct ch_crowd *crowd);

/* The connection is one of who's from now on; *place is NULL at first and used by one thread at
 * a time.  Idempotent; for another identity the place of the one before is left.  CH_EAGAIN
 * (too-many-connections), CH_ENOMEM; then it has no place. */
CH_MUST int ch_crowd_join(struct ch_crowd *crowd, const char *who,
	struct ch_crowd_place **place, struct ch_err *err);
/* *place NULL allowed. */
void ch_crowd_leave(struct ch_crowd *crowd, struct ch_crowd_place **place);

#endif
