/* The pool of unused nonces (RFC 8555 section 6.5), shared by all threads.
 *
 * Newest first out: the CA is the likeliest to remember those.  A pooled nonce is thrown away
 * after CH_ACME_NONCE_KEEP_MS, before any CA known to us would forget it. */
#ifndef CH_ACME_NONCE_H
#define CH_ACME_NONCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "acme/json.h"

#define CH_ACME_NONCES_MAX 64
#define CH_ACME_NONCE_KEEP_MS (30 * INT64_C(60000))

struct ch_acme_nonces {
	pthread_mutex_t lock;
	size_t first; /* ring: the oldest */
	size_t n;
	struct {
		char text[CH_ACME_NONCE_B];
		int64_t at_mono_ms;
	} ring[CH_ACME_NONCES_MAX];
};

void ch_acme_nonces_init(struct ch_acme_nonces *pool);
void ch_acme_nonces_done(struct ch_acme_nonces *pool);
/* Malformed ones (NULL too) are ignored; when full, the oldest makes room. */
void ch_acme_nonces_put(struct ch_acme_nonces *pool, const char *nonce);
/* False when there is none that is fresh enough.  Each nonce is given out once. */
bool ch_acme_nonces_take(struct ch_acme_nonces *pool, char ret_nonce[CH_ACME_NONCE_B]);

#endif
