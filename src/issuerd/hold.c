#include "base/clock.h"
#include "issuerd/ca.h"
#include "pace/retry.h"

void ch_hold_init(struct ch_hold *hold)
{
	pthread_mutex_init(&hold->lock, NULL);
	hold->guesses = 0;
	hold->until_ms = 0;
}

void ch_hold_done(struct ch_hold *hold)
{
	pthread_mutex_destroy(&hold->lock);
}

bool ch_hold_pass(struct ch_hold *hold, struct ch_acme_answer *ans)
{
	bool pass;

	pthread_mutex_lock(&hold->lock);
	pass = ch_now_ms() >= hold->until_ms;
	if (!pass) {
		ans->fate = CH_ACME_LIMITED;
		ans->err = hold->err;
		ans->retry_at_ms = hold->until_ms;
	}
	pthread_mutex_unlock(&hold->lock);
	return pass;
}

/* With the lock held. */
static int64_t guess(struct ch_hold *hold, int64_t now_ms)
{
	/* Threads that were under way together count as one. */
	if (now_ms < hold->until_ms)
		return hold->until_ms;
	return now_ms + ch_doubling_ms(CH_MINUTE_MS, hold->guesses++, CH_HOUR_MS);
}

int64_t ch_hold_note(struct ch_hold *hold, struct ch_acme_answer *ans)
{
	int64_t now_ms = ch_now_ms();
	int64_t until_ms;

	pthread_mutex_lock(&hold->lock);
	until_ms = ans->retry_guessed ? guess(hold, now_ms) : ans->retry_at_ms;
	/* Perhaps it was about that one order, in words that nobody knows. */
	if (until_ms > now_ms + CH_HOUR_MS)
		until_ms = now_ms + CH_HOUR_MS;
	if (until_ms > hold->until_ms)
		hold->until_ms = until_ms;
	until_ms = hold->until_ms;
	hold->err = ans->err;
	hold->err.retry_at_ms = until_ms;
	pthread_mutex_unlock(&hold->lock);
	/* What the CA has said holds for the order itself, however long. */
	if (ans->retry_guessed || ans->retry_at_ms < until_ms)
		ans->retry_at_ms = ans->err.retry_at_ms = until_ms;
	return until_ms;
}

void ch_hold_end(struct ch_hold *hold)
{
	pthread_mutex_lock(&hold->lock);
	/* What was asked for before the limit was met says nothing about it. */
	if (ch_now_ms() >= hold->until_ms)
		hold->guesses = 0;
	pthread_mutex_unlock(&hold->lock);
}
