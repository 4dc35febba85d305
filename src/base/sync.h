/* A mutex with a condition variable on the monotonic clock. */
#ifndef CH_BASE_SYNC_H
#define CH_BASE_SYNC_H

#include <pthread.h>
#include <stdint.h>

#include "base/err.h"

struct ch_sync {
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

CH_MUST int ch_sync_init(struct ch_sync *sync);
void ch_sync_done(struct ch_sync *sync);
/* With the lock held: until a signal, or span_ms have passed. */
void ch_sync_wait(struct ch_sync *sync, int64_t span_ms);

#endif
