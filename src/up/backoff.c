#include "up/backoff.h"

int64_t ch_backoff_next(struct ch_backoff *backoff, int64_t lived_ms)
{
	int64_t wait_ms = backoff->wait_ms * 2;

	if (lived_ms >= CH_BACKOFF_RESET_MS || wait_ms < CH_BACKOFF_FIRST_MS)
		wait_ms = CH_BACKOFF_FIRST_MS;
	if (wait_ms > CH_BACKOFF_MOST_MS)
		wait_ms = CH_BACKOFF_MOST_MS;
	backoff->wait_ms = wait_ms;
	return wait_ms;
}

int64_t ch_backoff_longest(struct ch_backoff *backoff)
{
	backoff->wait_ms = 0;
	return CH_BACKOFF_MOST_MS;
}
