#include "acme/nonce.h"

#include <string.h>

#include "base/clock.h"

void ch_acme_nonces_init(struct ch_acme_nonces *pool)
{
	memset(pool, 0, sizeof(*pool));
	pthread_mutex_init(&pool->lock, NULL);
}

void ch_acme_nonces_done(struct ch_acme_nonces *pool)
{
	pthread_mutex_destroy(&pool->lock);
}

void ch_acme_nonces_put(struct ch_acme_nonces *pool, const char *nonce)
{
	size_t at;

	if (!ch_acme_nonce_ok(nonce))
		return;
	pthread_mutex_lock(&pool->lock);
	if (pool->n == CH_ACME_NONCES_MAX) {
		pool->first = (pool->first + 1) % CH_ACME_NONCES_MAX;
		pool->n--;
	}
	at = (pool->first + pool->n++) % CH_ACME_NONCES_MAX;
	strcpy(pool->ring[at].text, nonce);
	pool->ring[at].at_mono_ms = ch_mono_ms();
	pthread_mutex_unlock(&pool->lock);
}

bool ch_acme_nonces_take(struct ch_acme_nonces *pool, char ret_nonce[CH_ACME_NONCE_B])
{
	bool found = false;
	size_t at;

	pthread_mutex_lock(&pool->lock);
	if (pool->n > 0) {
		at = (pool->first + pool->n - 1) % CH_ACME_NONCES_MAX;
		/* When the newest is too old, all are. */
		if (ch_mono_ms() - pool->ring[at].at_mono_ms > CH_ACME_NONCE_KEEP_MS) {
			pool->n = 0;
		} else {
			strcpy(ret_nonce, pool->ring[at].text);
			pool->n--;
			found = true;
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return found;
}
