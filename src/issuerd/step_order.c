/* new: ask for an order. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "issuerd/step.h"

static bool note_order(const struct ch_acme_answer *ans, struct ch_notes *notes)
{
	if (ans->order.n_authz > CH_WORK_NAMES_MAX)
		return false;
	strcpy(notes->order, ans->location);
	strcpy(notes->finalize, ans->order.finalize);
	notes->n_authz = ans->order.n_authz;
	for (size_t i = 0; i < notes->n_authz; i++)
		strcpy(notes->authz[i], ans->order.authz[i]);
	notes->expires_ms = ans->order.expires_ms;
	notes->since_ms = ch_now_ms();
	return true;
}

/* So that others that would meet the same limit do not try. */
static void note_limit(struct ch_step *step, const struct ch_acme_answer *ans)
{
	static const char *const words[] = {
		[CH_ACME_LIMIT_ACCOUNT] = "account",
		[CH_ACME_LIMIT_DOMAIN] = "domain",
		[CH_ACME_LIMIT_SET] = "set",
	};
	enum ch_acme_limit limit = ch_acme_problem_limit(ans->doc);

	if (ans->fate != CH_ACME_LIMITED || limit == CH_ACME_LIMIT_UNKNOWN || !ans->retry_at_ms)
		return;
	step->out->limited = words[limit];
	step->out->limited_until_ms = ans->retry_at_ms;
	step->out->limited_account = step->ca->pace_account;
}

void ch_step_order(struct ch_step *step)
{
	struct ch_acme_request req = {.kind = CH_ACME_NEW_ORDER,
		.names = step->work->name_list,
		.n_names = step->work->n_names,
		.profile = step->ca->config->profile,
		.cert_id = step->work->replaces[0] ? step->work->replaces : NULL};
	CH_AUTO_ANSWER struct ch_acme_answer ans;
	/* Edges that were waited for already are not waited for as long again. */
	struct ch_notes notes = {.edges_since_ms = step->work->notes.edges_since_ms,
		.errors_before = step->work->attempts};

	ch_acme_answer_init(&ans);
	if (ch_step_ask(step, &req, &ans) != CH_ACME_OK) {
		note_limit(step, &ans);
		ch_step_ca_error(step, &ans);
		return;
	}
	ch_account_acts(step->ca);
	/* The CA may hand out an order that it has already, but not one that was finalized
	 * with a CSR that we do not have. */
	if ((ans.order.status != CH_ACME_PENDING && ans.order.status != CH_ACME_READY) ||
		!note_order(&ans, &notes)) {
		ans.fate = CH_ACME_LATER;
		ch_err_set(&ans.err, CH_EPROTO, "ca-bad-order",
			"The CA answered with an order that cannot be used (status %s, %zu "
			"authorizations).",
			ch_acme_status_str(ans.order.status), ans.order.n_authz);
		ans.err.actor = CH_ACTOR_CA;
		ch_step_ca_error(step, &ans);
		return;
	}
	/* The store has the URL before the order waits for long: there is no other way to find
	 * it again.  What the store's answer would say of the edges is known already, or is
	 * worth that write. */
	step->out->has_state = true;
	step->out->state = CH_ORDER_ORDERED;
	step->out->has_notes = true;
	step->out->notes = notes;
	step->out->go_on = true;
	step->out->may_keep = step->work->edges.ready;
}
