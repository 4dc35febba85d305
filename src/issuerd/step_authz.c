/* ordered: answer the challenges; validating: poll the authorizations until all are valid. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "issuerd/step_dns.h"
#include "issuerd/step_tls.h"

/* A CA that has not decided by then has lost the challenge. */
#define VALIDATING_MOST_MS (2 * CH_HOUR_MS)

struct authz_set {
	struct ch_acme_answer ans[CH_WORK_NAMES_MAX];
	size_t name_of[CH_WORK_NAMES_MAX]; /* index into work->names */
	size_t n;
	int64_t retry_at_ms; /* the latest that the CA asked for, with a challenge too */
};

static void set_done(struct authz_set *set)
{
	for (size_t i = 0; i < CH_WORK_NAMES_MAX; i++)
		ch_acme_answer_done(&set->ans[i]);
}

static void set_init(struct authz_set *set)
{
	memset(set, 0, sizeof(*set));
	for (size_t i = 0; i < CH_WORK_NAMES_MAX; i++)
		ch_acme_answer_init(&set->ans[i]);
}

/* RFC 8555 section 7.1.4: the identifier of a wildcard is what is below the star. */
static bool find_name(const struct ch_work *work, const char *name, size_t *ret_i)
{
	for (size_t i = 0; i < work->n_names; i++) {
		size_t star = strncmp(work->names[i], "*.", 2) == 0 ? 2 : 0;

		if (strcasecmp(work->names[i] + star, name) == 0) {
			*ret_i = i;
			return true;
		}
	}
	return false;
}

static void note_retry(struct authz_set *set, const struct ch_acme_answer *ans)
{
	if (ans->retry_at_ms > set->retry_at_ms)
		set->retry_at_ms = ans->retry_at_ms;
}

/* Gets all authorizations; false when that failed and step->out says what now. */
static bool fetch(struct ch_step *step, struct authz_set *set)
{
	const struct ch_notes *notes = &step->work->notes;

	for (size_t i = 0; i < notes->n_authz; i++) {
		struct ch_acme_request req = {
			.kind = CH_ACME_GET_AUTHZ, .url = notes->authz[i]};
		struct ch_acme_answer *ans = &set->ans[i];

		if (ch_step_ask(step, &req, ans) == CH_ACME_OK &&
			!find_name(step->work, ans->authz.name, &set->name_of[i])) {
			ans->fate = CH_ACME_LATER;
			ch_err_set(&ans->err, CH_EPROTO, "ca-bad-authorization",
				"The CA's authorization is for a name that was not ordered.");
			ans->err.actor = CH_ACTOR_CA;
		}
		if (ans->fate != CH_ACME_OK) {
			ch_step_ca_error(step, ans);
			return false;
		}
		note_retry(set, ans);
		set->n++;
	}
	return true;
}

static size_t count(const struct authz_set *set, enum ch_acme_status status)
{
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++)
		n += set->ans[i].authz.status == status;
	return n;
}

static bool has_expired(struct ch_step *step)
{
	const struct ch_notes *notes = &step->work->notes;
	struct ch_err err;

	if (notes->order[0] && (notes->expires_ms == 0 || ch_now_ms() < notes->expires_ms))
		return false;
	ch_err_set(&err, CH_EPROTO, "order-expired",
		"The order expired at the CA before all names were validated.");
	err.actor = CH_ACTOR_CA;
	err.retry_at_ms = 0;
	ch_step_begin_again(step, &err);
	return true;
}

/* Although the key is sealed: with the notes of an order that fails the store learns that it
 * has never been more than presumed. */
static void say_that_nothing_was_issued(struct ch_step *step)
{
	step->out->has_notes = true;
	step->out->notes = step->work->notes;
}

/* A failed authorization cannot be mended: its order is over, and the next one is new. */
static void fail_invalid(struct ch_step *step, const struct authz_set *set)
{
	bool blamed[CH_WORK_NAMES_MAX] = {false};
	size_t culprit = 0;

	for (size_t i = 0; i < set->n; i++) {
		struct ch_err err;
		char edges[100]; /* cut between characters */
		enum ch_acme_challenge_type type;

		if (set->ans[i].authz.status != CH_ACME_INVALID)
			continue;
		culprit = set->name_of[i];
		type = ch_step_challenge(step, culprit);
		blamed[culprit] = true;
		(void)ch_acme_problem_read(
			set->ans[i].authz.error, CH_ACME_IN_VALIDATION, &err);
		if (type == CH_ACME_DNS_01)
			ch_step_dns_reword(set->ans[i].authz.error, &err);
		else if (type == CH_ACME_DNS_PERSIST_01)
			ch_step_persist_reword(set->ans[i].authz.error, &err);
		/* The CA may have come to one of them. */
		else if (!step->work->edges.ready && step->work->edges.behind[0])
			ch_err_prefix(&err,
				"while edges do not have the name's newest record (%s)",
				ch_acme_text(step->work->edges.behind, edges, sizeof(edges)));
		ch_step_blame(step, culprit, &err);
	}
	for (size_t i = 0; i < step->work->n_names; i++)
		if (!blamed[i])
			ch_step_acquit(step, i, step->work->names[culprit]);
	ch_step_failed(step);
	if (step->work->notes.presumed)
		say_that_nothing_was_issued(step);
}

/* Authorizations that are neither valid nor failed nor open: deactivated, expired, revoked. */
static void begin_again(struct ch_step *step)
{
	struct ch_err err;

	ch_err_set(&err, CH_EPROTO, "authorization-lost",
		"An authorization of the order is no longer usable at the CA.");
	err.actor = CH_ACTOR_CA;
	err.retry_at_ms = 0;
	ch_step_begin_again(step, &err);
}

static size_t count_open(const struct authz_set *set)
{
	return count(set, CH_ACME_PENDING) + count(set, CH_ACME_PROCESSING) +
	       count(set, CH_ACME_STATUS_UNKNOWN);
}

/* Says what the CA offers instead: whoever reads it looks for another CA, or for a policy at
 * this one. */
static void not_offered_error(const struct ch_acme_authz *authz,
	enum ch_acme_challenge_type wanted, struct ch_err *ret_err)
{
	static const char *const codes[CH_ACME_CHALLENGE_COUNT] = {
		[CH_ACME_HTTP_01] = "no-http-challenge",
		[CH_ACME_DNS_01] = "no-dns-challenge",
		[CH_ACME_TLS_ALPN_01] = "no-tls-challenge",
		[CH_ACME_DNS_PERSIST_01] = "no-persist-challenge",
	};
	char others[100] = "";
	size_t len = 0;

	for (size_t type = 0; type < CH_ACME_CHALLENGE_COUNT; type++)
		if (authz->challenges[type].url)
			len += (size_t)snprintf(others + len, sizeof(others) - len, "%s%s",
				len ? ", " : "",
				ch_acme_challenge_str((enum ch_acme_challenge_type)type));
	ch_err_set(ret_err, CH_EPROTO, codes[wanted],
		"The CA offers no %s challenge for the name, but %s.",
		ch_acme_challenge_str(wanted), len ? others : "none that certherd knows");
	ret_err->actor = CH_ACTOR_PLATFORM;
	ret_err->retry_at_ms = 0;
}

/* Whether the challenge that the name is to be validated by can be answered. */
static bool check_challenge(struct ch_step *step, const struct ch_acme_authz *authz,
	enum ch_acme_challenge_type wanted, struct ch_err *ret_err)
{
	if (wanted == CH_ACME_DNS_01 && !step->issuer->dns_desk) {
		(void)ch_err_set(ret_err, CH_EUNSUPPORTED, "dns-challenge-off",
			"The name needs a DNS challenge, and none is configured: see [dns] "
			"method.");
		ret_err->actor = CH_ACTOR_PLATFORM;
		ret_err->retry_at_ms = 0;
		return false;
	}
	if (!authz->challenges[wanted].url) {
		not_offered_error(authz, wanted, ret_err);
		return false;
	}
	return wanted != CH_ACME_DNS_PERSIST_01 ||
	       ch_step_persist_fits(step, authz->challenges[wanted].issuers, ret_err);
}

static bool lacks_challenge(struct ch_step *step, const struct authz_set *set)
{
	struct ch_err err;
	bool found = false;

	for (size_t i = 0; i < step->work->n_names; i++)
		ch_step_acquit(step, i, "the other name");
	for (size_t i = 0; i < set->n; i++) {
		const struct ch_acme_authz *authz = &set->ans[i].authz;

		if (authz->status != CH_ACME_PENDING ||
			check_challenge(
				step, authz, ch_step_challenge(step, set->name_of[i]), &err))
			continue;
		ch_step_blame(step, set->name_of[i], &err);
		found = true;
	}
	if (found)
		ch_step_failed(step);
	return found;
}

/* Whether the DNS has what the CA will look for in it; else step->out says what now. */
static bool dns_is_ready(struct ch_step *step, const struct authz_set *set)
{
	struct ch_step_token items[CH_WORK_NAMES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++) {
		const struct ch_acme_authz *authz = &set->ans[i].authz;
		const struct ch_acme_challenge *dns = &authz->challenges[CH_ACME_DNS_01];

		if (authz->status == CH_ACME_PENDING && dns->status == CH_ACME_PENDING &&
			ch_step_challenge(step, set->name_of[i]) == CH_ACME_DNS_01)
			items[n++] = (struct ch_step_token){set->name_of[i], dns->token};
	}
	return ch_step_dns_is_ready(step, items, n);
}

/* The same of the edges, for the CA that comes to them over TLS.  What an order before this one
 * has answered is still to be looked for. */
static bool tls_is_ready(struct ch_step *step, const struct authz_set *set)
{
	struct ch_step_token items[CH_WORK_NAMES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++) {
		const struct ch_acme_authz *authz = &set->ans[i].authz;
		const struct ch_acme_challenge *tls = &authz->challenges[CH_ACME_TLS_ALPN_01];

		if (authz->status == CH_ACME_PENDING && tls->token &&
			ch_step_challenge(step, set->name_of[i]) == CH_ACME_TLS_ALPN_01)
			items[n++] = (struct ch_step_token){set->name_of[i], tls->token};
	}
	return ch_step_tls_is_ready(step, items, n);
}

/* Answers what is still to be answered; false when step->out says what now. */
static bool answer(struct ch_step *step, struct authz_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct ch_acme_authz *authz = &set->ans[i].authz;
		const struct ch_acme_challenge *challenge =
			&authz->challenges[ch_step_challenge(step, set->name_of[i])];
		struct ch_acme_request req = {
			.kind = CH_ACME_ANSWER_CHALLENGE, .url = challenge->url};
		CH_AUTO_ANSWER struct ch_acme_answer ans;

		ch_acme_answer_init(&ans);
		/* "processing": answered before, by this order or an earlier one. */
		if (authz->status != CH_ACME_PENDING || challenge->status != CH_ACME_PENDING)
			continue;
		ch_step_ask(step, &req, &ans);
		if (ans.fate == CH_ACME_OUTAGE || ans.fate == CH_ACME_LATER ||
			ans.fate == CH_ACME_LIMITED || ans.fate == CH_ACME_ACCOUNT ||
			ans.fate == CH_ACME_NO_ACCOUNT) {
			ch_step_ca_error(step, &ans);
			return false;
		}
		if (ans.fate == CH_ACME_OK)
			note_retry(set, &ans);
		/* Any other refusal: it may have been answered already.  The authorization
		 * tells. */
	}
	return true;
}

static void validated(struct ch_step *step)
{
	ch_step_dns_release(step);
	ch_step_key(step);
	step->out->notes.n_dns = 0;
}

static bool waits_for_edges(struct ch_step *step)
{
	return (ch_step_uses(step, CH_ACME_HTTP_01) ||
		       ch_step_uses(step, CH_ACME_TLS_ALPN_01)) &&
	       ch_step_wait_for_edges(step);
}

void ch_step_ordered(struct ch_step *step)
{
	CH_CLEANUP(set_done) struct authz_set set;
	struct ch_notes notes;

	set_init(&set);
	/* While edges or the DNS are awaited, the CA need not be asked each time. */
	if (has_expired(step) || (step->work->notes.waits > 0 && waits_for_edges(step)) ||
		!ch_step_dns_is_visible(step))
		return;
	if (!fetch(step, &set))
		return;
	if (count(&set, CH_ACME_INVALID) > 0)
		fail_invalid(step, &set);
	else if (count(&set, CH_ACME_VALID) == set.n)
		validated(step);
	else if (count(&set, CH_ACME_VALID) + count_open(&set) < set.n)
		begin_again(step);
	else if (!lacks_challenge(step, &set) && tls_is_ready(step, &set) &&
		 !waits_for_edges(step) && dns_is_ready(step, &set) && answer(step, &set)) {
		notes = ch_step_notes_for_next(step);
		step->out->has_state = true;
		step->out->state = CH_ORDER_VALIDATING;
		ch_step_look_soon(step, &step->ca->validating, set.retry_at_ms, &notes);
		/* That it went on without some edges is for people: it is written. */
		step->out->only_poll = !step->out->has_reason;
	}
}

static void poll_again(struct ch_step *step, const struct authz_set *set)
{
	struct ch_notes notes = step->work->notes;

	if (ch_now_ms() - notes.since_ms > VALIDATING_MOST_MS) {
		begin_again(step);
		return;
	}
	notes.polls++;
	ch_step_poll(step, set->retry_at_ms, &notes);
}

/* RFC 8555 section 7.4: an order is finalized once the client believes that it has done what
 * the CA asks for; if it has not, the CA refuses with orderNotReady, and nothing is lost.  Not
 * where something has to be there until the CA has come. */
static bool may_presume(struct ch_step *step)
{
	return step->work->notes.polls == 0 && ch_habit_is_sure(&step->ca->validating) &&
	       !ch_step_uses(step, CH_ACME_DNS_01) && !ch_step_uses(step, CH_ACME_TLS_ALPN_01);
}

/* Whether all names are validated; else step->out says what now.  habit: of which
 * something is to be learned, NULL: none. */
static bool look(struct ch_step *step, struct ch_habit *habit)
{
	CH_CLEANUP(set_done) struct authz_set set;

	set_init(&set);
	if (has_expired(step) || !fetch(step, &set))
		return false;
	if (habit)
		ch_step_learn(step, habit, count_open(&set) == 0);
	if (count(&set, CH_ACME_VALID) == set.n)
		return true;
	if (count_open(&set) > 0)
		poll_again(step, &set); /* the others' verdicts are worth waiting for */
	else if (count(&set, CH_ACME_INVALID) > 0)
		fail_invalid(step, &set);
	else
		begin_again(step);
	return false;
}

bool ch_step_is_validated(struct ch_step *step)
{
	return look(step, NULL);
}

void ch_step_validate(struct ch_step *step)
{
	bool presumed = may_presume(step);

	if (!presumed && !look(step, &step->ca->validating))
		return;
	validated(step);
	step->out->notes.presumed = presumed;
}
