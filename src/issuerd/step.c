#include "issuerd/step_dns.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "issuerd/ladder.h"

/* The account must be mended by a person. */
#define ACCOUNT_WAIT_MS (5 * CH_MINUTE_MS)
/* Orders that wait for the same moment come a little apart. */
#define APART_MS (5.0 * CH_SECOND_MS)

static int64_t apart(const struct ch_step *step, int64_t at_ms)
{
	int64_t wait_ms = at_ms - ch_now_ms();
	double most_ms = wait_ms < 10 * CH_SECOND_MS ? (double)wait_ms / 5 : APART_MS;

	if (wait_ms <= 0)
		return at_ms;
	return at_ms + (int64_t)(most_ms * ch_spread(step->work->names[0], step->work->id));
}

enum ch_acme_fate ch_step_ask(
	struct ch_step *step, struct ch_acme_request *req, struct ch_acme_answer *ans)
{
	/* What was cut short again may need its time. */
	req->patient = step->work->attempts > 1;
	return ch_issuer_ask_ca(step->issuer, step->ca,
		step->https[step->ca - step->issuer->cas], step->work->id, req, ans);
}

void ch_step_wait(struct ch_step *step, int64_t at_ms, const struct ch_notes *notes)
{
	step->out->next_at_ms = at_ms;
	if (notes) {
		step->out->has_notes = true;
		step->out->notes = *notes;
	}
}

void ch_step_reason(struct ch_step *step, const char *code, enum ch_actor actor,
	const char *detail_fmt, ...)
{
	char detail[1000];
	va_list args;

	va_start(args, detail_fmt);
	vsnprintf(detail, sizeof(detail), detail_fmt, args);
	va_end(args);
	step->out->has_reason = true;
	ch_reason_set(&step->out->reason, code, actor, "%s", detail);
}

static void reason_from_err(struct ch_step *step, const struct ch_err *err)
{
	step->out->has_reason = true;
	ch_reason_from_err(&step->out->reason, err);
}

struct ch_notes ch_step_notes_for_next(const struct ch_step *step)
{
	struct ch_notes notes = step->work->notes;

	notes.since_ms = ch_now_ms();
	notes.polls = 0;
	notes.waits = 0;
	notes.probes = 0;
	notes.edges_since_ms = 0;
	notes.waits_for[0] = '\0';
	notes.errors_before = step->work->attempts;
	return notes;
}

void ch_step_poll(struct ch_step *step, int64_t retry_at_ms, const struct ch_notes *notes)
{
	int64_t at_ms = ch_now_ms() + ch_poll_wait_ms(step->issuer->config, notes->polls);

	ch_step_wait(step, retry_at_ms > 0 ? retry_at_ms : at_ms, notes);
	step->out->only_poll = true;
}

void ch_step_look_soon(struct ch_step *step, const struct ch_habit *habit, int64_t retry_at_ms,
	const struct ch_notes *notes)
{
	int64_t wait_ms = ch_habit_wait_ms(habit, step->issuer->config->poll_interval_ms);

	ch_step_poll(step, retry_at_ms > 0 ? retry_at_ms : ch_now_ms() + wait_ms, notes);
}

/* That it was done after the time that the CA has asked for says nothing about its habit. */
void ch_step_learn(struct ch_step *step, struct ch_habit *habit, bool done)
{
	const struct ch_notes *notes = &step->work->notes;

	if (notes->polls == 0 && (!done || ch_now_ms() - notes->since_ms < CH_SECOND_MS))
		ch_habit_note(habit, step->issuer->config->poll_interval_ms, done);
}

/* Counts a passing error; false (and the order failed) when there were too many. */
static bool count_attempt(struct ch_step *step, const struct ch_err *err)
{
	if (step->work->attempts + 1 >= step->issuer->config->step_tries) {
		ch_step_fail_all(step, err);
		return false;
	}
	step->out->has_attempts = true;
	step->out->attempts = step->work->attempts + 1;
	reason_from_err(step, err);
	return true;
}

/* After so many errors of late.  Another moment at each try: what failed together does not come
 * back together. */
static int64_t error_at(const struct ch_step *step, uint64_t errors, int64_t retry_at_ms)
{
	uint64_t salt = step->work->id + step->work->attempts + 1;
	int64_t at_ms =
		ch_now_ms() + ch_error_wait_ms(errors, ch_spread(step->work->names[0], salt));

	retry_at_ms = apart(step, retry_at_ms);
	return at_ms > retry_at_ms ? at_ms : retry_at_ms;
}

void ch_step_begin_again(struct ch_step *step, const struct ch_err *why)
{
	if (!count_attempt(step, why))
		return;
	step->out->has_state = true;
	step->out->state = CH_ORDER_NEW;
	step->out->next_at_ms = error_at(step, step->work->attempts + 1, why->retry_at_ms);
}

/* The CA that let the order get on since its last error is no CA that is out of order: the
 * waits begin anew with each state. */
static void passing(struct ch_step *step, const struct ch_acme_answer *ans)
{
	uint64_t attempts = step->work->attempts;
	uint64_t before = step->work->notes.errors_before;

	if (count_attempt(step, &ans->err))
		step->out->next_at_ms = error_at(step,
			(attempts > before ? attempts - before : 0) + 1, ans->retry_at_ms);
}

/* Not the order's fault: it waits, and nothing is counted. */
static void blameless(struct ch_step *step, const struct ch_acme_answer *ans, int64_t wait_ms)
{
	if (ans->err.rc == CH_ECANCELED) /* we are stopping: somebody else goes on at once */
		return;
	reason_from_err(step, &ans->err);
	step->out->next_at_ms =
		apart(step, ans->retry_at_ms ? ans->retry_at_ms : ch_now_ms() + wait_ms);
}

static void paused(struct ch_step *step, const struct ch_acme_answer *ans)
{
	ch_step_fail_by_problem(step, ans->doc, CH_ACME_IN_ANSWER, &ans->err);
	for (size_t i = 0; i < step->work->n_names; i++) {
		struct ch_verdict *v = &step->out->verdicts[i];

		if (!v->failed)
			continue;
		v->paused = true;
		ch_reason_set(&v->reason, "ca-paused", CH_ACTOR_PLATFORM,
			"The CA has paused this name for the account after too many failures. "
			"Visit %s and then resume the name.",
			ans->page);
	}
}

void ch_step_ca_error(struct ch_step *step, const struct ch_acme_answer *ans)
{
	if (ch_step_move_on(step, ans))
		return;
	switch (ans->fate) {
	case CH_ACME_OUTAGE:
		/* While others get answers, it may be about this order. */
		if (ch_gate_is_closed(&step->ca->gate) || ans->err.rc == CH_ECANCELED)
			blameless(step, ans, CH_SECOND_MS);
		else
			passing(step, ans);
		break;
	case CH_ACME_LIMITED:
		blameless(step, ans, CH_MINUTE_MS);
		break;
	case CH_ACME_ACCOUNT:
		ch_account_note(step->ca, ans);
		blameless(step, ans, ACCOUNT_WAIT_MS);
		break;
	case CH_ACME_PAUSED:
		paused(step, ans);
		break;
	case CH_ACME_GONE:
		ch_step_begin_again(step, &ans->err);
		break;
	case CH_ACME_NAME:
		ch_step_fail_by_problem(step, ans->doc, CH_ACME_IN_VALIDATION, &ans->err);
		break;
	case CH_ACME_REFUSED:
		/* Before there is an order, it can be one name that is refused. */
		if (step->work->state == CH_ORDER_NEW)
			ch_step_fail_by_problem(step, ans->doc, CH_ACME_IN_ANSWER, &ans->err);
		else
			ch_step_fail_all(step, &ans->err);
		break;
	default:
		passing(step, ans);
		break;
	}
}

/* One edge that reports but does not get on must not hold up the pool.  While no edge has the
 * record there is none that could answer the CA.  What is renewed was served until now: the
 * edges know the name, and one that does not is no healthy one; but a token is new to them. */
static bool goes_on_without(const struct ch_step *step, int64_t since_ms)
{
	const struct ch_work *work = step->work;

	if (work->edges.caught_up == 0)
		return false;
	return (work->renewal && work->state == CH_ORDER_ORDERED &&
		       !ch_step_uses(step, CH_ACME_TLS_ALPN_01)) ||
	       ch_now_ms() - since_ms >= step->issuer->config->edge_wait_ms;
}

/* Of very many orders that wait for long the log has each once, and again for another reason.
 */
static void tell_once(struct ch_step *step, struct ch_notes *notes)
{
	const char *code = step->out->reason.code;

	step->out->no_news = strcmp(notes->waits_for, code) == 0;
	strcpy(notes->waits_for, code);
}

/* The store wakes the order when it lets the record go: until then looks are for what to say.
 */
static void wait_for_release(struct ch_step *step)
{
	const struct ch_edges *edges = &step->work->edges;
	struct ch_notes notes = step->work->notes;

	ch_step_reason(step, edges->held_code, edges->held_actor, "%s", edges->held_detail);
	tell_once(step, &notes);
	notes.edges_since_ms = 0;
	ch_step_wait(step, apart(step, ch_now_ms() + ch_held_wait_ms(notes.waits)), &notes);
	step->out->notes.waits++;
}

/* Of edges that are waited for, or are not (any longer).  Within the time that an edge
 * ordinarily needs none is behind, and nobody has to act: not even of one that is not waited
 * for is anything said then. */
static void say_edges(struct ch_step *step, int64_t since_ms, bool waits)
{
	const struct ch_edges *edges = &step->work->edges;
	int64_t waited_ms = ch_now_ms() - since_ms;

	if (edges->known == 0)
		ch_step_reason(step, "no-edge", CH_ACTOR_PLATFORM,
			"No edge of the name's pool has reported to the store.");
	else if (waited_ms >= ch_edges_ordinary_ms(step->issuer->config))
		ch_step_reason(step, "edges-behind", CH_ACTOR_PLATFORM,
			waits ? "Not all edges have the name's newest record yet: %s."
			      : "Not waiting any longer for edges that report but do not have "
				"the name's newest record: %s.",
			edges->behind);
	else if (waits)
		ch_step_reason(step, "in-progress", CH_ACTOR_NOBODY,
			"An order is under way; its next step comes when the edges say that "
			"they have the name's newest record.");
}

bool ch_step_wait_for_edges(struct ch_step *step)
{
	const struct ch_work *work = step->work;
	struct ch_notes notes = work->notes;

	if (work->edges.ready)
		return false;
	if (work->edges.held_code[0]) {
		wait_for_release(step);
		return true;
	}
	if (notes.edges_since_ms == 0) {
		notes.edges_since_ms = ch_now_ms();
		notes.waits = 0;
	}
	if (goes_on_without(step, notes.edges_since_ms)) {
		say_edges(step, notes.edges_since_ms, false);
		return false;
	}
	say_edges(step, notes.edges_since_ms, true);
	tell_once(step, &notes);
	ch_step_wait(step, ch_now_ms() + ch_edges_wait_ms(notes.waits), &notes);
	step->out->notes.waits++;
	return true;
}

static void run(struct ch_step *step)
{
	switch (step->work->state) {
	case CH_ORDER_NEW:
		if (step->work->old.version)
			ch_step_rollback(step);
		else if (!ch_step_tell_edges(step) && ch_step_preflight(step))
			ch_step_order(step);
		break;
	case CH_ORDER_ORDERED:
		ch_step_ordered(step);
		break;
	case CH_ORDER_VALIDATING:
		ch_step_validate(step);
		break;
	case CH_ORDER_VALID:
		ch_step_key(step);
		break;
	case CH_ORDER_SEALED:
	case CH_ORDER_FINALIZING:
		ch_step_finalize(step);
		break;
	case CH_ORDER_CONFIRMING:
		ch_step_confirm(step);
		break;
	default:
		/* A finished order is never leased; an hour's peace if it is. */
		ch_step_wait(step, ch_now_ms() + CH_HOUR_MS, NULL);
		break;
	}
}

void ch_step_run(struct ch_step *step)
{
	const struct ch_write *out = step->out;

	ch_step_find_ca(step);
	if (!ch_step_is_orphan(step))
		run(step);
	/* However it came: nobody looks for them any more. */
	if (out->has_state && (out->state == CH_ORDER_FAILED || out->state == CH_ORDER_NEW))
		ch_step_dns_release(step);
}
