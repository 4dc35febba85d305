#include "base/sync.h"

#include <time.h>

int ch_sync_init(struct ch_sync *sync)
{
	pthread_condattr_t attr;
	int bad = pthread_condattr_init(&attr);

	if (bad)
		return CH_ENOMEM;
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	bad = pthread_cond_init(&sync->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (bad)
		return CH_ENOMEM;
	if (pthread_mutex_init(&sync->lock, NULL)) {
		pthread_cond_destroy(&sync->changed);
		return CH_ENOMEM;
	}
	return CH_OK;
}

void ch_sync_done(struct ch_sync *sync)
{
	pthread_cond_destroy(&sync->changed);
	pthread_mutex_destroy(&sync->lock);
}

void ch_sync_wait(struct ch_sync *sync, int64_t span_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += span_ms / 1000;
	until.tv_nsec += (span_ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	(void)pthread_cond_timedwait(&sync->changed, &sync->lock, &until);
}
