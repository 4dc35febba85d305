/* How long to wait before a role that ended is started again. */
#ifndef CH_UP_BACKOFF_H
#define CH_UP_BACKOFF_H

#include <stdint.h>

#define CH_BACKOFF_FIRST_MS 250
#define CH_BACKOFF_MOST_MS 30000
#define CH_BACKOFF_RESET_MS 60000 /* a life so long is a success */

struct ch_backoff {
	int64_t wait_ms; /* the last wait; 0 at first */
};

/* Doubles with each short life. */
int64_t ch_backoff_next(struct ch_backoff *backoff, int64_t lived_ms);
/* For an end that only a person can do something about: the longest wait, and the waits that
 * follow it begin anew. */
int64_t ch_backoff_longest(struct ch_backoff *backoff);

#endif
