/* sealed, finalizing: send the CSR, poll the order, download the certificate. */
#include <string.h>

#include "base/clock.h"
#include "issuerd/sealed.h"
#include "issuerd/step.h"

/* A CA that has not issued by then has lost the order, whatever it gives as its expiry.  Slow
 * ones take hours. */
#define FINALIZING_MOST_MS (6 * CH_HOUR_MS)

static bool is_preferred(const char *wanted, const struct ch_buf *pem)
{
	struct ch_cert_chain *chain = NULL;
	struct ch_err err;
	bool has = false;

	if (ch_cert_chain_parse_pem(ch_buf_str(pem), pem->len, &chain, &err) == CH_OK)
		has = ch_cert_chain_has_issuer(chain, wanted);
	ch_cert_chain_free(chain);
	return has;
}

/* The chain that is wished for, if the CA has it; else that which it sent.  Where the CA does
 * not hand one out, what there is has to do: a name without a certificate is worse. */
static void choose_chain(struct ch_step *step, const struct ch_acme_answer *sent)
{
	const char *wanted = step->ca->config->preferred_chain;

	if (wanted && !is_preferred(wanted, &sent->pem)) {
		for (size_t i = 0; i < sent->n_alternates; i++) {
			struct ch_acme_request req = {
				.kind = CH_ACME_GET_CERTIFICATE, .url = sent->alternates[i]};
			CH_AUTO_ANSWER struct ch_acme_answer ans;

			ch_acme_answer_init(&ans);
			if (ch_step_ask(step, &req, &ans) == CH_ACME_OK &&
				is_preferred(wanted, &ans.pem)) {
				ch_step_publish(step, ch_buf_str(&ans.pem), ans.pem.len);
				return;
			}
		}
	}
	ch_step_publish(step, ch_buf_str(&sent->pem), sent->pem.len);
}

static void download(struct ch_step *step, const struct ch_acme_order *order)
{
	struct ch_acme_request req = {
		.kind = CH_ACME_GET_CERTIFICATE, .url = order->certificate};
	CH_AUTO_ANSWER struct ch_acme_answer ans;

	ch_acme_answer_init(&ans);
	ch_step_ask(step, &req, &ans);
	/* The order said that it is there: it will be. */
	if (ans.fate == CH_ACME_GONE)
		ans.fate = CH_ACME_LATER;
	if (ans.fate != CH_ACME_OK)
		ch_step_ca_error(step, &ans);
	else
		choose_chain(step, &ans);
}

static void give_up(struct ch_step *step, const struct ch_acme_answer *ans)
{
	struct ch_err err;

	ch_err_set(&err, CH_EPROTO, "ca-processing",
		"The CA has not issued the certificate within %d hours (the order is %s "
		"there); "
		"a new order is made.",
		(int)(FINALIZING_MOST_MS / CH_HOUR_MS), ch_acme_status_str(ans->order.status));
	err.actor = CH_ACTOR_CA;
	err.retry_at_ms = 0;
	ch_step_begin_again(step, &err);
}

static void poll_again(struct ch_step *step, const struct ch_acme_answer *ans)
{
	struct ch_notes notes = step->work->notes;
	bool is_first = step->work->state == CH_ORDER_SEALED;

	if (is_first) {
		step->out->has_state = true;
		step->out->state = CH_ORDER_FINALIZING;
		notes = ch_step_notes_for_next(step);
	} else if (ch_now_ms() - notes.since_ms > FINALIZING_MOST_MS) {
		give_up(step, ans);
		return;
	} else {
		notes.polls++;
	}
	/* Waits that are too short to be written do not show it. */
	ch_step_reason(step, "ca-processing", CH_ACTOR_CA,
		"The CA is working on the certificate (the order is %s there).",
		ch_acme_status_str(ans->order.status));
	if (is_first)
		ch_step_look_soon(step, &step->ca->issuing, ans->retry_at_ms, &notes);
	else
		ch_step_poll(step, ans->retry_at_ms, &notes);
}

static void order_invalid(struct ch_step *step, const struct ch_acme_order *order)
{
	struct ch_err err;
	enum ch_acme_fate fate;

	fate = ch_acme_problem_read(order->error, CH_ACME_IN_VALIDATION, &err);
	if (order->error && fate == CH_ACME_NAME) {
		ch_step_fail_by_problem(step, order->error, CH_ACME_IN_VALIDATION, &err);
		return;
	}
	if (!order->error) {
		ch_err_set(&err, CH_EPROTO, "order-invalid",
			"The CA gave the order up without saying why.");
		err.actor = CH_ACTOR_CA;
	}
	ch_step_begin_again(step, &err);
}

/* What the order's status asks for.  True when that is finalizing. */
static bool follow(struct ch_step *step, const struct ch_acme_answer *ans)
{
	switch (ans->order.status) {
	case CH_ACME_READY:
		return true;
	case CH_ACME_VALID:
		download(step, &ans->order);
		return false;
	case CH_ACME_INVALID:
		order_invalid(step, &ans->order);
		return false;
	default:
		poll_again(step, ans);
		return false;
	}
}

static bool is_over(const struct ch_step *step, const struct ch_acme_answer *ans)
{
	int64_t expires_ms = step->work->notes.expires_ms;

	return expires_ms > 0 && ch_now_ms() > expires_ms &&
	       ans->order.status != CH_ACME_VALID && ans->order.status != CH_ACME_INVALID;
}

/* Asks how the order stands and follows it; true when it is ready to be finalized. */
static bool look(struct ch_step *step)
{
	struct ch_acme_request req = {
		.kind = CH_ACME_GET_ORDER, .url = step->work->notes.order};
	CH_AUTO_ANSWER struct ch_acme_answer ans;
	struct ch_err err;

	ch_acme_answer_init(&ans);
	if (ch_step_ask(step, &req, &ans) != CH_ACME_OK) {
		ch_step_ca_error(step, &ans);
		return false;
	}
	if (is_over(step, &ans)) {
		ch_err_set(&err, CH_EPROTO, "order-expired",
			"The order expired at the CA before the certificate was issued.");
		err.actor = CH_ACTOR_CA;
		err.retry_at_ms = 0;
		ch_step_begin_again(step, &err);
		return false;
	}
	if (step->work->state == CH_ORDER_FINALIZING)
		ch_step_learn(step, &step->ca->issuing, ans.order.status != CH_ACME_PROCESSING);
	return follow(step, &ans);
}

static bool is_presumed(const struct ch_step *step)
{
	return step->work->state == CH_ORDER_SEALED && step->work->notes.presumed;
}

/* Whether the answer can be that of a CA that has not validated the names, or has called one of
 * them invalid: there are many words for that. */
static bool may_be_early(const struct ch_acme_answer *ans)
{
	switch (ans->fate) {
	case CH_ACME_OK:
		return ans->order.status == CH_ACME_INVALID;
	case CH_ACME_NOT_READY:
	case CH_ACME_REFUSED:
	case CH_ACME_GONE:
	case CH_ACME_ACCOUNT:
		return true;
	case CH_ACME_LATER:
		return ans->status >= 400 && ans->status <= 499;
	default:
		return false;
	}
}

static void finalize(struct ch_step *step)
{
	struct ch_acme_request req = {.kind = CH_ACME_FINALIZE,
		.url = step->work->notes.finalize,
		.csr = step->work->csr,
		.csr_len = step->work->csr_len};
	CH_AUTO_ANSWER struct ch_acme_answer ans;
	bool went_ahead = is_presumed(step) && step->work->fresh;

	ch_acme_answer_init(&ans);
	ch_step_ask(step, &req, &ans);
	/* The next step asks for the authorizations: they say it exactly. */
	if (went_ahead && may_be_early(&ans)) {
		ch_step_learn(step, &step->ca->validating, false);
		ch_step_poll(step, ans.retry_at_ms, &step->work->notes);
		return;
	}
	if (ans.fate == CH_ACME_OK) {
		if (went_ahead)
			ch_step_learn(step, &step->ca->validating, true);
		/* Still "ready" or "pending" after a finalize that was taken: look later. */
		if (follow(step, &ans))
			poll_again(step, &ans);
		return;
	}
	/* Refused: perhaps because it was finalized before, by a process that died then. */
	if ((ans.fate == CH_ACME_NOT_READY || ans.fate == CH_ACME_REFUSED ||
		    ans.fate == CH_ACME_GONE) &&
		!look(step))
		return;
	if (ans.fate == CH_ACME_GONE)
		ans.fate = CH_ACME_LATER;
	ch_step_ca_error(step, &ans);
}

/* What the store gave back must be what an issuer gave it: the CA must never see a CSR that
 * the store has made. */
static bool is_ours(struct ch_step *step)
{
	const struct ch_work *work = step->work;
	struct ch_sealed_set set;
	struct ch_err err;

	if (!work->csr || !work->sealed || !work->notes.order[0])
		ch_err_set(&err, CH_ECORRUPT, "order-incomplete",
			"The stored order lacks its CSR, its key or its URL.");
	else if (ch_sealed_open(step->issuer->signer, work, &set))
		ch_err_set(&err, CH_EAUTH, "order-damaged",
			"The order's stored key and CSR are not those that an issuer stored.");
	else
		return true;
	err.actor = CH_ACTOR_PLATFORM;
	err.retry_at_ms = 0;
	ch_step_begin_again(step, &err);
	return false;
}

void ch_step_finalize(struct ch_step *step)
{
	/* Else somebody may have sent the CSR already: then the order is past "ready". */
	bool is_first = step->work->fresh;

	if (!is_ours(step))
		return;
	if (is_presumed(step) && !step->work->fresh) {
		if (!ch_step_is_validated(step))
			return;
		is_first = step->work->made_here; /* the CA has refused it, or was not asked */
	}
	if (is_first || look(step))
		finalize(step);
}
