#include <stdio.h>

#include "base/clock.h"
#include "issuerd/ca.h"
#include "pace/retry.h"

#define FAILED_LEAST 3
/* A day's outage is no promise: whether it is over shows only to who looks. */
#define SILENCE_MOST_MS (30 * CH_MINUTE_MS)

void ch_gate_init(struct ch_gate *gate)
{
	pthread_mutex_init(&gate->lock, NULL);
	gate->failed = 0;
	gate->last_order_id = 0;
	gate->outages = 0;
	gate->open_at_ms = 0;
}

bool ch_gate_pass(struct ch_gate *gate, struct ch_acme_answer *ans)
{
	bool pass;

	pthread_mutex_lock(&gate->lock);
	pass = ch_now_ms() >= gate->open_at_ms;
	if (!pass) {
		ans->fate = CH_ACME_OUTAGE;
		ans->err = gate->err;
		ans->retry_at_ms = gate->open_at_ms;
	}
	pthread_mutex_unlock(&gate->lock);
	return pass;
}

bool ch_gate_is_closed(struct ch_gate *gate)
{
	bool closed;

	pthread_mutex_lock(&gate->lock);
	closed = ch_now_ms() < gate->open_at_ms;
	pthread_mutex_unlock(&gate->lock);
	return closed;
}

unsigned ch_gate_outages(struct ch_gate *gate)
{
	unsigned outages;

	pthread_mutex_lock(&gate->lock);
	outages = gate->outages;
	pthread_mutex_unlock(&gate->lock);
	return outages;
}

void ch_gate_why(struct ch_gate *gate, char *ret_text, size_t text_b)
{
	pthread_mutex_lock(&gate->lock);
	snprintf(ret_text, text_b, "%s", gate->err.detail);
	pthread_mutex_unlock(&gate->lock);
}

static bool is_silence(const struct ch_acme_answer *ans)
{
	return ans->fate == CH_ACME_OUTAGE;
}

/* A refusal with reasons is a good answer, whatever it says. */
static bool is_unusable(const struct ch_acme_answer *ans)
{
	return ans->fate == CH_ACME_LATER && (ans->status < 400 || ans->status > 499);
}

/* With the lock held. */
static void close_gate(struct ch_gate *gate, struct ch_acme_answer *ans)
{
	int64_t now_ms = ch_now_ms();

	/* Threads that were under way together count as one outage. */
	if (now_ms >= gate->open_at_ms) {
		gate->outages++;
		gate->open_at_ms = now_ms + ch_outage_wait_ms(gate->outages);
	}
	/* What the CA says about one order is no word about all. */
	if (is_silence(ans)) {
		if (ans->retry_at_ms > now_ms + SILENCE_MOST_MS)
			ans->retry_at_ms = now_ms + SILENCE_MOST_MS;
		if (ans->retry_at_ms > gate->open_at_ms)
			gate->open_at_ms = ans->retry_at_ms;
	}
	gate->err = ans->err;
	if (ans->retry_at_ms < gate->open_at_ms)
		ans->retry_at_ms = gate->open_at_ms;
}

void ch_gate_note(struct ch_gate *gate, uint64_t order_id, struct ch_acme_answer *ans)
{
	pthread_mutex_lock(&gate->lock);
	if (is_silence(ans) || is_unusable(ans)) {
		if (is_silence(ans) || gate->failed == 0 || order_id != gate->last_order_id)
			gate->failed++;
		gate->last_order_id = order_id;
		if (gate->failed >= FAILED_LEAST || (is_silence(ans) && ans->retry_at_ms > 0))
			close_gate(gate, ans);
	} else {
		gate->failed = 0;
		gate->outages = 0;
		gate->open_at_ms = 0;
	}
	pthread_mutex_unlock(&gate->lock);
}
