/* new: ask for an order. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "acme/json.h"
#include "issuerd/step.h"
#include "wire/name.h"

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

/* One customer's name must not hold up the account: a limit whose words show a name is taken
 * for that name's. */
static bool is_about_a_name(const struct ch_work *work, const json_t *doc)
{
	const char *detail = ch_acme_json_str(doc, "detail");
	char domain[CH_NAME_TEXT_B];

	for (size_t i = 0; detail && i < work->n_names; i++)
		if (ch_name_registered(work->names[i], domain) == CH_OK &&
			strcasestr(detail, domain))
			return true;
	return ch_acme_problem_has_names(doc);
}

/* Which limit others would meet too, by the store's name of it, and until when; NULL: none.
 *
 * Only answers to newOrder are read so.  One to a challenge or to finalize refuses an order
 * that is there and has to be finished at that CA: it waits until the CA's time, and whether
 * others would be refused is not known.  New ones that are not served either learn it here. */
static const char *which_limit(
	struct ch_step *step, struct ch_acme_answer *ans, int64_t *ret_until_ms)
{
	static const char *const words[] = {
		[CH_ACME_LIMIT_ACCOUNT] = "account",
		[CH_ACME_LIMIT_DOMAIN] = "domain",
		[CH_ACME_LIMIT_SET] = "set",
		[CH_ACME_LIMIT_NAME] = NULL,
	};
	enum ch_acme_limit limit = ch_acme_problem_limit(ans->doc);

	*ret_until_ms = ans->retry_at_ms;
	if (limit != CH_ACME_LIMIT_UNKNOWN)
		return words[limit];
	/* Without a status it was not the CA that said it. */
	if (!ans->status || is_about_a_name(step->work, ans->doc))
		return NULL;
	*ret_until_ms = ch_hold_note(&step->ca->hold, ans);
	return words[CH_ACME_LIMIT_ACCOUNT];
}

/* So that others that would meet the same limit do not try. */
static void note_limit(struct ch_step *step, const char *limit, int64_t until_ms)
{
	if (!limit || !until_ms)
		return;
	step->out->limited = limit;
	step->out->limited_until_ms = until_ms;
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
	if (!ch_hold_pass(&step->ca->hold, &ans)) {
		note_limit(step, "account", ans.retry_at_ms);
		ch_step_ca_error(step, &ans);
		return;
	}
	if (ch_step_ask(step, &req, &ans) != CH_ACME_OK) {
		if (ans.fate == CH_ACME_LIMITED) {
			int64_t until_ms;
			const char *limit = which_limit(step, &ans, &until_ms);

			note_limit(step, limit, until_ms);
		}
		ch_step_ca_error(step, &ans);
		return;
	}
	ch_hold_end(&step->ca->hold);
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
