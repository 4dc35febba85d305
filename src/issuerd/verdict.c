/* Who is to blame when an order fails, and when each of its names is tried again. */
#include <ctype.h>
#include <string.h>

#include "base/clock.h"
#include "issuerd/ladder.h"
#include "issuerd/step.h"

void ch_step_failed(struct ch_step *step)
{
	step->out->has_state = true;
	step->out->state = CH_ORDER_FAILED;
	step->out->go_on = false;
	step->out->has_attempts = false;
	step->out->has_reason = false;
}

static struct ch_retried retried(const struct ch_work *work, size_t i, uint64_t failures)
{
	int64_t by_ms = work->needed_by_ms[i];

	return (struct ch_retried){.name = work->names[i],
		.failures = failures,
		.salt = work->id,
		.left_ms = by_ms ? by_ms - ch_now_ms() : 0};
}

void ch_step_blame(struct ch_step *step, size_t i, const struct ch_err *err)
{
	struct ch_verdict *v = &step->out->verdicts[i];
	const struct ch_work *work = step->work;
	struct ch_retried name = retried(work, i, work->failures[i] - work->checks_failed[i]);

	v->failed = true;
	v->next_at_ms = ch_now_ms() + ch_ladder_wait_ms(step->issuer->config,
					      &step->ca->config->limits.failures, &name);
	if (err->retry_at_ms > v->next_at_ms)
		v->next_at_ms = err->retry_at_ms;
	ch_reason_from_err(&v->reason, err);
}

/* Rarer the longer it is away, so that all who ever left cost next to nothing. */
static void let_go(const struct ch_issuer_config *config, const struct ch_retried *name,
	int64_t away_ms, struct ch_verdict *v)
{
	char since[CH_TIME_STR_B];
	struct ch_reason why = v->reason;

	v->moved = true;
	v->next_at_ms = ch_now_ms() + ch_moved_wait_ms(config, name->name, away_ms, name->salt);
	ch_reason_set(&v->reason, why.code, why.actor,
		"It has led elsewhere since %.10s, so it is not renewed; it comes back by "
		"itself "
		"when it leads here again. %s",
		ch_time_str(ch_now_ms() - away_ms, since), why.detail);
}

void ch_verdict_preflight(const struct ch_issuer_config *config, const struct ch_retried *name,
	bool away, int64_t away_since_ms, const struct ch_err *err, struct ch_verdict *ret_v)
{
	int64_t away_ms = away_since_ms ? ch_now_ms() - away_since_ms : 0;

	*ret_v = (struct ch_verdict){.failed = true, .check = true, .away = away};
	ret_v->next_at_ms = ch_now_ms() + ch_preflight_wait_ms(config, name);
	ch_reason_from_err(&ret_v->reason, err);
	if (away && config->moved_after_ms && away_ms >= config->moved_after_ms)
		let_go(config, name, away_ms, ret_v);
}

void ch_step_blame_preflight(
	struct ch_step *step, size_t i, bool away, const struct ch_err *err)
{
	const struct ch_work *work = step->work;
	bool first = !work->second && !work->standby;
	struct ch_retried name =
		retried(work, i, first ? work->checks_failed[i] : work->failures[i]);

	ch_verdict_preflight(step->issuer->config, &name, away && first, work->away_since_ms[i],
		err, &step->out->verdicts[i]);
	step->out->verdicts[i].away = away;
}

void ch_step_acquit(struct ch_step *step, size_t i, const char *because_of)
{
	struct ch_verdict *v = &step->out->verdicts[i];

	v->failed = false;
	v->next_at_ms = ch_now_ms();
	ch_reason_set(&v->reason, "partner-failed", CH_ACTOR_NOBODY,
		"The order failed because of %s; this name gets its own.", because_of);
}

void ch_step_fail_all(struct ch_step *step, const struct ch_err *err)
{
	for (size_t i = 0; i < step->work->n_names; i++)
		ch_step_blame(step, i, err);
	ch_step_failed(step);
}

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

/* True when text has name as a whole word, in any case. */
static bool mentions(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = text; (at = strcasestr(at, name)) != NULL; at++) {
		char after = at[len];

		/* A full stop after the name may end the sentence. */
		if (after == '.' && !is_name_char(at[len + 1]))
			after = ' ';
		if ((at == text || !is_name_char(at[-1])) && !is_name_char(after))
			return true;
	}
	return false;
}

/* Which names the problem blames: by subproblems, else by its words. */
static size_t find_blamed(const struct ch_work *work, const json_t *doc,
	enum ch_acme_where where, struct ch_err errs[CH_WORK_NAMES_MAX],
	bool ret_blamed[CH_WORK_NAMES_MAX])
{
	const char *detail = ch_acme_json_str(doc, "detail");
	bool by_sub = ch_acme_problem_has_names(doc);
	enum ch_acme_fate fate;
	size_t n = 0;

	for (size_t i = 0; i < work->n_names; i++) {
		int64_t retry_at_ms = errs[i].retry_at_ms;

		ret_blamed[i] = by_sub ? ch_acme_problem_for_name(doc, where, work->names[i],
						 &fate, &errs[i]) == CH_OK
				       : detail && mentions(detail, work->names[i]);
		errs[i].retry_at_ms = retry_at_ms;
		n += ret_blamed[i];
	}
	return n;
}

void ch_step_fail_by_problem(struct ch_step *step, const json_t *doc, enum ch_acme_where where,
	const struct ch_err *whole)
{
	const struct ch_work *work = step->work;
	struct ch_err errs[CH_WORK_NAMES_MAX];
	bool blamed[CH_WORK_NAMES_MAX] = {false};
	size_t culprit = 0;

	for (size_t i = 0; i < work->n_names; i++)
		errs[i] = *whole;
	/* When the CA does not say which one, the last (the www name) takes the blame: the
	 * other then gets its own order, which shows whether it is any better. */
	if (find_blamed(work, doc, where, errs, blamed) == 0)
		blamed[work->n_names - 1] = true;
	for (size_t i = 0; i < work->n_names; i++) {
		if (!blamed[i])
			continue;
		culprit = i;
		ch_step_blame(step, i, &errs[i]);
	}
	for (size_t i = 0; i < work->n_names; i++)
		if (!blamed[i])
			ch_step_acquit(step, i, work->names[culprit]);
	ch_step_failed(step);
}
