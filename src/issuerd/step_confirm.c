/* confirming: the edges have the records; then a visitor's handshake shows the certificate. */
#include <string.h>

#include "base/clock.h"
#include "issuerd/ladder.h"
#include "issuerd/step.h"
#include "pace/retry.h"

/* Until an order looks again whether others have made room: a handshake takes milliseconds, one
 * that is not answered seconds. */
#define TURN_LEAST_MS INT64_C(100)
#define TURN_MOST_MS (2 * CH_SECOND_MS)

/* A list whose first CAs do all the work would be found out to be wrong when they cannot. */
static void look_for_unknown(struct ch_step *step)
{
	const struct ch_work *work = step->work;

	for (size_t i = 0; i < work->n_cas; i++) {
		if (ch_issuer_ca_named(step->issuer, work->cas[i]))
			continue;
		ch_step_reason(step, "ca-unknown", CH_ACTOR_OPERATOR,
			"Served by all edges, but of the CAs that the name may use the issuer "
			"has "
			"not configured \"%s\".",
			work->cas[i]);
		return;
	}
}

static void done(struct ch_step *step)
{
	if (!step->out->has_reason)
		look_for_unknown(step);
	step->out->has_state = true;
	step->out->state = CH_ORDER_DONE;
	if (!step->out->has_reason)
		ch_step_reason(step, "ok", CH_ACTOR_NOBODY, "Served by all edges.");
}

static void probe_failed(struct ch_step *step, const char *name, enum ch_probe_offer offer,
	int rc, const struct ch_err *err)
{
	const struct ch_issuer_config *config = step->issuer->config;
	struct ch_notes notes = step->work->notes;
	bool mismatch = rc == CH_ECONFLICT;

	ch_step_reason(step, mismatch ? "probe-mismatch" : "probe-unreachable",
		config->probe == CH_PROBE_DNS ? CH_ACTOR_CUSTOMER : CH_ACTOR_PLATFORM,
		"%s%s: %s", name, offer == CH_PROBE_OFFER_RSA ? " (asked for RSA)" : "",
		err->detail);
	notes.probes++;
	if (notes.probes >= config->probe_tries)
		done(step);
	else
		ch_step_wait(
			step, ch_now_ms() + ch_probe_wait_ms(step->work->notes.probes), &notes);
}

/* False: it failed, and the step has its outcome. */
static bool probe_one(struct ch_step *step, const char *name, enum ch_probe_offer offer,
	const uint8_t leaf_sha256[CH_SHA256_B])
{
	struct ch_err err = {0};
	int rc = step->issuer->probe(step->issuer, name, offer, leaf_sha256, &err);

	if (rc) {
		probe_failed(step, name, offer, rc, &err);
		return false;
	}
	if (*err.detail && !step->out->has_reason)
		ch_step_reason(step, "ok", CH_ACTOR_NOBODY, "Served by all edges. %s: %s.",
			name, err.detail);
	return true;
}

static void probe_all(struct ch_step *step)
{
	const struct ch_work *work = step->work;

	for (size_t i = 0; work->has_leaf && i < work->n_names; i++) {
		if (!probe_one(step, work->names[i],
			    work->second ? CH_PROBE_OFFER_RSA : CH_PROBE_OFFER_ALL,
			    work->leaf_sha256))
			return;
		if (work->has_second_leaf &&
			!probe_one(step, work->names[i], CH_PROBE_OFFER_RSA,
				work->second_leaf_sha256))
			return;
	}
	done(step);
}

static void wait_for_turn(struct ch_step *step)
{
	struct ch_notes notes = step->work->notes;
	int64_t wait_ms = ch_doubling_ms(TURN_LEAST_MS, (uint64_t)notes.polls++, TURN_MOST_MS);

	ch_step_poll(step, ch_now_ms() + wait_ms, &notes);
	step->out->no_news = true;
}

void ch_step_confirm(struct ch_step *step)
{
	int most = (int)step->issuer->config->workers / 2 + 1;

	if (step->work->standby) {
		ch_step_reason(step, "ok", CH_ACTOR_NOBODY, "Ready to be put live.");
		done(step);
		return;
	}
	if (ch_step_wait_for_edges(step))
		return;
	if (atomic_fetch_add(&step->issuer->probing, 1) < most)
		probe_all(step);
	else
		wait_for_turn(step);
	atomic_fetch_sub(&step->issuer->probing, 1);
}
