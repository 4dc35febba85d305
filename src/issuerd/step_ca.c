/* Under which CA and account an order goes on, and that the edges answer for it. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "issuerd/step_dns.h"

/* So many outages in a row are no hiccup: the next one would be waited for longer than a new
 * order elsewhere takes. */
#define OUTAGES_LEAST 3

void ch_step_find_ca(struct ch_step *step)
{
	const char *account = step->work->account;

	step->ca = account[0] ? ch_issuer_ca_paced(step->issuer, account) : NULL;
	step->is_orphan = account[0] && !step->ca;
	if (!step->ca)
		step->ca = &step->issuer->cas[0];
}

/* The order ends, and nobody is at fault: the next one is made where there is room for it. */
static void let_go(struct ch_step *step, const char *code, const char *why)
{
	for (size_t i = 0; i < step->work->n_names; i++) {
		struct ch_verdict *v = &step->out->verdicts[i];

		v->failed = false;
		v->next_at_ms = ch_now_ms();
		ch_reason_set(&v->reason, code, CH_ACTOR_NOBODY, "%s", why);
	}
	ch_step_failed(step);
}

bool ch_step_is_orphan(struct ch_step *step)
{
	if (!step->is_orphan || step->work->state >= CH_ORDER_CONFIRMING ||
		step->work->old.version)
		return false;
	let_go(step, "ca-not-configured",
		"The order was under an account that this issuer does not have (any more): a "
		"new "
		"one is made.");
	return true;
}

/* A standby is worth nothing from the CA that the name has its certificate from. */
static bool may_use(const struct ch_work *work, const struct ch_ca *ca)
{
	if (work->standby)
		return false;
	for (size_t i = 0; i < work->n_cas; i++)
		if (strcmp(work->cas[i], ca->config->name) == 0)
			return true;
	return work->n_cas == 0;
}

static bool has_other(const struct ch_step *step)
{
	for (size_t i = 0; i < step->issuer->n_cas; i++) {
		struct ch_ca *other = &step->issuer->cas[i];

		if (other != step->ca && may_use(step->work, other) && ch_ca_is_usable(other))
			return true;
	}
	return false;
}

/* What was already paid for is not given up lightly: an order whose CSR is stored may have been
 * issued. */
static bool is_worth_waiting(const struct ch_step *step)
{
	enum ch_order_state state = step->work->state;

	return state >= CH_ORDER_SEALED ||
	       (state > CH_ORDER_NEW && ch_gate_outages(&step->ca->gate) < OUTAGES_LEAST);
}

bool ch_step_move_on(struct ch_step *step, const struct ch_acme_answer *ans)
{
	bool learned = step->out->limited != NULL;
	char why[sizeof(ans->err.detail) + 64];

	if (ans->err.rc == CH_ECANCELED || !has_other(step) || is_worth_waiting(step))
		return false;
	if (!(ans->fate == CH_ACME_OUTAGE && ch_gate_is_closed(&step->ca->gate)) &&
		ans->fate != CH_ACME_ACCOUNT && !(ans->fate == CH_ACME_LIMITED && learned))
		return false;
	snprintf(why, sizeof(why), "Another CA is asked, because of this: %s", ans->err.detail);
	let_go(step, "ca-next", why);
	return true;
}

static bool is_told(const struct ch_step *step, size_t i)
{
	uint64_t hint = step->work->answer_under[i];

	/* What edges that were told nothing answer with is the account that they pin first: a
	 * matter of their configuration, which has one account at most installations. */
	return hint == step->ca->account_hint || (hint == 0 && step->ca == step->issuer->cas);
}

bool ch_step_tell_edges(struct ch_step *step)
{
	const struct ch_work *work = step->work;
	struct ch_notes notes = work->notes;
	bool told = true;

	/* The record of a tls-alpn-01 token says it too, and for names that the DNS answers
	 * for no edge has to. */
	if (!ch_step_uses(step, CH_ACME_HTTP_01))
		return false;
	for (size_t i = 0; i < work->n_names; i++)
		told &= is_told(step, i);
	if (told)
		return work->notes.told && ch_step_wait_for_edges(step);
	notes.told = true;
	notes.edges_since_ms = 0;
	notes.waits = 0;
	step->out->answer_under = step->ca->account_hint;
	step->out->has_notes = true;
	step->out->notes = notes;
	/* The store's answer says how far the edges are. */
	step->out->go_on = true;
	return true;
}
