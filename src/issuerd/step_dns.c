#include "issuerd/step_dns.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"

#define KEY_AUTHORIZATION_B (CH_ACME_TOKEN_B + CH_THUMBPRINT_TEXT_B)

static void wake(void *arg, uint64_t order_id)
{
	struct ch_issuer *issuer = arg;

	if (issuer->wake)
		issuer->wake(issuer->wake_arg, order_id);
}

int ch_issuer_start_dns(struct ch_issuer *issuer, struct ch_err *err)
{
	const struct ch_issuer_config *config = issuer->config;
	struct ch_dns_desk_options options = {.config = &config->dns,
		.resolvers = config->resolvers,
		.may_ask = issuer->may_ask,
		.wake = wake,
		.arg = issuer};

	if (config->dns.method == CH_DNS_METHOD_NONE)
		return CH_OK;
	return ch_dns_desk_new(&options, &issuer->dns_desk, err);
}

void ch_issuer_stop_dns(struct ch_issuer *issuer)
{
	ch_dns_desk_free(issuer->dns_desk);
	issuer->dns_desk = NULL;
}

static bool is_wildcard(const char *name)
{
	return strncmp(name, "*.", 2) == 0;
}

enum ch_acme_challenge_type ch_step_challenge(const struct ch_step *step, size_t name)
{
	const struct ch_issuer_config *config = step->issuer->config;

	return is_wildcard(step->work->names[name]) ? config->wildcard_challenge
						    : config->challenge;
}

bool ch_step_uses(const struct ch_step *step, enum ch_acme_challenge_type type)
{
	for (size_t i = 0; i < step->work->n_names; i++)
		if (ch_step_challenge(step, i) == type)
			return true;
	return false;
}

/* Moments first, for which the order stays with its worker; then it waits in its row. */
static void look_again(struct ch_step *step)
{
	static const int64_t waits_ms[] = {250, 500, 1000, 2000, 5000};
	struct ch_notes notes = step->work->notes;
	size_t i =
		notes.polls < CH_ARRAY_LEN(waits_ms) ? notes.polls : CH_ARRAY_LEN(waits_ms) - 1;

	notes.polls++;
	ch_step_poll(step, ch_now_ms() + waits_ms[i], &notes);
}

static void fail(struct ch_step *step, const bool *bad, const struct ch_err *errs)
{
	size_t culprit = 0;

	for (size_t i = 0; i < step->work->n_names; i++) {
		if (!bad[i])
			continue;
		ch_step_blame_preflight(step, i, false, &errs[i]);
		culprit = i;
	}
	for (size_t i = 0; i < step->work->n_names; i++)
		if (!bad[i])
			ch_step_acquit(step, i, step->work->names[culprit]);
	ch_step_failed(step);
}

bool ch_step_dns_is_visible(struct ch_step *step)
{
	const struct ch_notes *notes = &step->work->notes;
	bool bad[CH_WORK_NAMES_MAX] = {false};
	struct ch_err errs[CH_WORK_NAMES_MAX];
	size_t waiting = 0;
	size_t n_bad = 0;

	/* What was noted when there was a method is taken away when there is one again. */
	if (!step->issuer->dns_desk)
		return true;
	for (size_t i = 0; i < notes->n_dns; i++) {
		const struct ch_notes_dns *one = &notes->dns[i];
		enum ch_dns_fate fate = ch_dns_desk_present(
			step->issuer->dns_desk, &one->txt, step->work->id, &errs[one->name]);

		waiting += fate == CH_DNS_WAIT;
		n_bad += fate == CH_DNS_BAD;
		bad[one->name] |= fate == CH_DNS_BAD;
	}
	if (n_bad)
		fail(step, bad, errs);
	else if (waiting)
		look_again(step);
	return !n_bad && !waiting;
}

/* RFC 8555 section 8.4. */
static int make_value(
	const struct ch_step *step, const char *token, char ret_value[CH_DNS_CHALLENGE_B])
{
	char text[KEY_AUTHORIZATION_B];
	uint8_t digest[CH_SHA256_B];
	int len = snprintf(text, sizeof(text), "%s.%s", token, step->ca->thumbprint);
	int rc = ch_sha256(text, (size_t)len, digest);

	_Static_assert(CH_B64U_TEXT_B(CH_SHA256_B) == CH_DNS_CHALLENGE_B, "no more, no less");
	if (rc == CH_OK)
		ch_b64u_encode(digest, sizeof(digest), ret_value);
	return rc;
}

static bool is_noted(const struct ch_notes *notes, const char *value)
{
	for (size_t i = 0; i < notes->n_dns; i++)
		if (strcmp(notes->dns[i].txt.value, value) == 0)
			return true;
	return false;
}

static void note(struct ch_step *step, struct ch_notes *notes)
{
	ch_step_dns_release(step); /* of authorizations that are no longer the order's */
	for (size_t i = 0; i < notes->n_dns; i++)
		ch_dns_desk_forget_find(
			step->issuer->dns_desk, step->work->names[notes->dns[i].name]);
	notes->polls = 0;
	step->out->has_state = true;
	step->out->state = CH_ORDER_ORDERED;
	step->out->has_notes = true;
	step->out->notes = *notes;
	step->out->go_on = true; /* and not kept: whoever goes on has to know what is there */
}

static bool find_targets(struct ch_step *step, const struct ch_step_token *items, size_t n,
	struct ch_notes *notes)
{
	bool bad[CH_WORK_NAMES_MAX] = {false};
	struct ch_err errs[CH_WORK_NAMES_MAX];
	size_t waiting = 0;
	size_t n_bad = 0;

	for (size_t i = 0; i < n; i++) {
		size_t name = items[i].name;
		enum ch_dns_fate fate =
			ch_dns_desk_find(step->issuer->dns_desk, step->work->names[name],
				step->work->id, notes->dns[i].txt.target, &errs[name]);

		notes->dns[i].name = (unsigned)name;
		waiting += fate == CH_DNS_WAIT;
		n_bad += fate == CH_DNS_BAD;
		bad[name] |= fate == CH_DNS_BAD;
	}
	if (waiting) {
		look_again(step);
		return false;
	}
	for (size_t i = 0; n_bad && i < n; i++)
		ch_dns_desk_forget_find(
			step->issuer->dns_desk, step->work->names[items[i].name]);
	if (n_bad)
		fail(step, bad, errs);
	return !n_bad;
}

bool ch_step_dns_is_ready(struct ch_step *step, const struct ch_step_token *items, size_t n)
{
	struct ch_notes notes = step->work->notes;
	size_t n_noted = 0;

	for (size_t i = 0; i < n; i++) {
		if (make_value(step, items[i].token, notes.dns[i].txt.value)) {
			look_again(step);
			return false;
		}
		n_noted += is_noted(&step->work->notes, notes.dns[i].txt.value);
	}
	if (n_noted == n)
		return true;
	notes.n_dns = n;
	if (find_targets(step, items, n, &notes))
		note(step, &notes);
	return false;
}

void ch_step_dns_reword(const json_t *problem, struct ch_err *err)
{
	char words[320];

	if (strcmp(err->problem, "wrong-answer") != 0)
		return;
	ch_acme_text(ch_acme_json_str(problem, "detail"), words, sizeof(words));
	(void)ch_err_set(err, err->rc, "dns-record-unseen",
		"The CA did not find the TXT record that was written for it. The CA says: %s",
		words);
	err->actor = CH_ACTOR_PLATFORM;
}

void ch_step_persist_reword(const json_t *problem, struct ch_err *err)
{
	char words[320];

	if (strcmp(err->problem, "wrong-answer") != 0)
		return;
	ch_acme_text(ch_acme_json_str(problem, "detail"), words, sizeof(words));
	(void)ch_err_set(err, err->rc, "persist-refused",
		"The CA did not accept the standing TXT record. The CA says: %s", words);
	err->actor = CH_ACTOR_CUSTOMER;
}

void ch_step_dns_release(struct ch_step *step)
{
	const struct ch_notes *notes = &step->work->notes;

	for (size_t i = 0; step->issuer->dns_desk && i < notes->n_dns; i++)
		ch_dns_desk_remove(step->issuer->dns_desk, &notes->dns[i].txt);
}
