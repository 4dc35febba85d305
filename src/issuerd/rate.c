#include <time.h>

#include "base/clock.h"
#include "issuerd/ca.h"

#define WAIT_MOST_MS (5 * CH_SECOND_MS)
#define NAP_MOST_MS 50

static struct ch_bucket *bucket_of(
	struct ch_ca *ca, enum ch_acme_kind kind, struct ch_limit *ret_limit)
{
	const struct ch_limits *limits = &ca->config->limits;

	switch (kind) {
	case CH_ACME_NEW_ORDER:
		*ret_limit = limits->new_orders;
		return &ca->rate.new_orders;
	case CH_ACME_NEW_NONCE:
		*ret_limit = limits->new_nonces;
		return &ca->rate.new_nonces;
	default:
		*ret_limit = limits->requests;
		return &ca->rate.requests;
	}
}

/* When a request may go: now, and its token is taken, or later. */
static int64_t go_at_ms(struct ch_ca *ca, enum ch_acme_kind kind, int64_t now_ms)
{
	struct ch_limit limit;
	struct ch_bucket *bucket = bucket_of(ca, kind, &limit);
	int64_t at_ms = now_ms;

	if (!limit.size)
		return now_ms;
	limit = ch_limit_with_margin(&limit);
	pthread_mutex_lock(&ca->rate.lock);
	if (!ch_bucket_take(bucket, &limit, now_ms))
		at_ms = ch_bucket_ready_at_ms(bucket, &limit, 1, now_ms);
	pthread_mutex_unlock(&ca->rate.lock);
	return at_ms > now_ms ? at_ms : now_ms;
}

static bool is_stopping(const struct ch_ca *ca)
{
	return ca->rate.stopping && atomic_load(ca->rate.stopping);
}

bool ch_rate_pass(void *arg, enum ch_acme_kind kind, struct ch_acme_answer *ans)
{
	struct ch_ca *ca = arg;
	int64_t began_ms = ch_mono_ms();

	while (kind != CH_ACME_RENEWAL_INFO) {
		int64_t now_ms = ch_now_ms();
		int64_t at_ms = go_at_ms(ca, kind, now_ms);
		int64_t wait_ms = at_ms - now_ms;
		struct timespec nap;

		if (wait_ms == 0)
			return true;
		if (wait_ms > WAIT_MOST_MS || ch_mono_ms() - began_ms > WAIT_MOST_MS ||
			is_stopping(ca)) {
			ans->fate = CH_ACME_LIMITED;
			ans->retry_at_ms = at_ms;
			ch_err_set(&ans->err, CH_EAGAIN, "rate-limited",
				"Waits: the CA's limit of requests is used up here.");
			ans->err.actor = CH_ACTOR_NOBODY;
			return false;
		}
		if (wait_ms > NAP_MOST_MS)
			wait_ms = NAP_MOST_MS;
		nap = (struct timespec){.tv_nsec = wait_ms * 1000000};
		nanosleep(&nap, NULL);
	}
	return true;
}
