/* new: is there any sense in asking the CA? */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "issuerd/persist.h"
#include "issuerd/step_dns.h"

/* The first look comes when it has ended, or is for the store's sake: what takes longer than
 * that takes seconds, and waits there. */
#define ASIDE_MS INT64_C(250)
#define SLOW_MS (2 * CH_SECOND_MS)
#define SLOWEST_MS (5 * CH_SECOND_MS)
#define LOOKS_MAX 100
#define WARN_EACH_MS CH_MINUTE_MS

static void fill_asker(
	void *who, struct ch_caa_asker *ret_asker, char *ret_account, size_t account_b)
{
	struct ch_ca *ca = who;
	const struct ch_ca_config *config = ca->config;
	char account[CH_ACME_URL_B];

	_Static_assert(sizeof(ret_asker->identities) ==
			       (size_t)CH_ACME_IDENTITIES_MAX * CH_ACME_IDENTITY_B,
		"the same shape");
	if (config->n_caa_identities) {
		ret_asker->n_identities = config->n_caa_identities;
		memcpy(ret_asker->identities, config->caa_identities,
			sizeof(ret_asker->identities));
	} else {
		ret_asker->n_identities =
			ch_acme_get_identities(ca->acme, ret_asker->identities);
	}
	(void)ch_acme_get_account(ca->acme, account);
	snprintf(ret_account, account_b, "%s", account);
}

json_t *ch_issuer_caa_advice(struct ch_issuer *issuer)
{
	enum ch_acme_challenge_type challenge = issuer->config->challenge;
	enum ch_acme_challenge_type other = issuer->config->wildcard_challenge;
	bool also = other != challenge && (other != CH_ACME_DNS_01 || issuer->dns_desk);
	json_t *list = json_array();

	for (size_t i = 0; i < issuer->n_cas; i++) {
		struct ch_caa_asker asker;
		char account[CH_ACME_URL_B];

		fill_asker(&issuer->cas[i], &asker, account, sizeof(account));
		/* A CA that names no identity heeds no record; an account that is not known
		 * yet is told next time. */
		if (!asker.n_identities || !account[0])
			continue;
		(void)json_array_append_new(list,
			json_sprintf("%s; accounturi=%s; validationmethods=%s%s%s",
				asker.identities[0], account, ch_acme_challenge_str(challenge),
				also ? "," : "", also ? ch_acme_challenge_str(other) : ""));
	}
	return list;
}

static bool uses_persist(const struct ch_issuer_config *config)
{
	return config->challenge == CH_ACME_DNS_PERSIST_01 ||
	       config->wildcard_challenge == CH_ACME_DNS_PERSIST_01;
}

json_t *ch_issuer_persist_advice(struct ch_issuer *issuer)
{
	json_t *list = json_array();

	for (size_t i = 0; uses_persist(issuer->config) && i < issuer->n_cas; i++) {
		struct ch_caa_asker asker = {0};
		char account[CH_ACME_URL_B];
		char value[CH_PERSIST_VALUE_B];

		fill_asker(&issuer->cas[i], &asker, account, sizeof(account));
		asker.account = account;
		ch_persist_value(&asker, value);
		if (value[0])
			(void)json_array_append_new(list, json_string(value));
	}
	return list;
}

bool ch_step_persist_fits(
	const struct ch_step *step, const json_t *issuers, struct ch_err *ret_err)
{
	struct ch_caa_asker asker = {0};
	char account[CH_ACME_URL_B];
	char wanted[254];

	fill_asker(step->ca, &asker, account, sizeof(account));
	if (ch_persist_issuer_fits(issuers, &asker))
		return true;
	ch_acme_text(json_string_value(json_array_get(issuers, 0)), wanted, sizeof(wanted));
	ch_err_set(ret_err, CH_EPROTO, "persist-issuer-differs",
		"The CA wants to be named %s in the standing TXT record, and not %s: see "
		"caa_identities.",
		wanted, asker.identities[0]);
	ret_err->actor = CH_ACTOR_PLATFORM;
	ret_err->retry_at_ms = 0;
	return false;
}

static void wake(void *arg, uint64_t order_id)
{
	struct ch_issuer *issuer = arg;

	if (issuer->wake)
		issuer->wake(issuer->wake_arg, order_id);
}

int ch_issuer_start_preflight(struct ch_issuer *issuer, struct ch_err *err)
{
	const struct ch_issuer_config *config = issuer->config;
	struct ch_preflight_options options = {.resolvers = config->resolvers,
		.platform = &config->platform,
		.self_check = config->self_check,
		.http_port = config->preflight_port,
		.may_ask = issuer->may_ask,
		.asker = fill_asker,
		.wake = wake,
		.arg = issuer};

	if (!config->preflight && !config->preflight_persist)
		return CH_OK;
	return ch_preflight_new(&options, &issuer->preflight, err);
}

void ch_issuer_stop_preflight(struct ch_issuer *issuer)
{
	ch_preflight_free(issuer->preflight);
	issuer->preflight = NULL;
}

bool ch_issuer_scouts(const struct ch_issuer *issuer)
{
	const struct ch_issuer_config *config = issuer->config;

	return issuer->preflight && config->preflight && config->challenge != CH_ACME_DNS_01 &&
	       config->challenge != CH_ACME_DNS_PERSIST_01;
}

static void look_again(struct ch_step *step)
{
	struct ch_notes notes = step->work->notes;
	int64_t wait_ms = notes.polls == 0 ? ASIDE_MS : notes.polls == 1 ? SLOW_MS : SLOWEST_MS;

	notes.polls++;
	ch_step_poll(step, ch_now_ms() + wait_ms, &notes);
}

static void warn(struct ch_issuer *issuer)
{
	int64_t last_ms = atomic_load(&issuer->resolver_warned_ms);
	int64_t now_ms = ch_mono_ms();

	if ((last_ms == 0 || now_ms - last_ms > WARN_EACH_MS) &&
		atomic_compare_exchange_strong(&issuer->resolver_warned_ms, &last_ms, now_ms))
		ch_log_warn("no resolver answers: the CA is asked without a preflight; see "
			    "resolvers in the configuration");
}

/* The order fails: who is not at fault gets one of its own. */
static void fail(struct ch_step *step, const struct ch_preflight_result *results)
{
	size_t culprit = 0;

	for (size_t i = 0; i < step->work->n_names; i++) {
		if (results[i].fate != CH_PREFLIGHT_BAD)
			continue;
		ch_step_blame_preflight(step, i, results[i].away, &results[i].err);
		culprit = i;
	}
	for (size_t i = 0; i < step->work->n_names; i++)
		if (results[i].fate != CH_PREFLIGHT_BAD)
			ch_step_acquit(step, i, step->work->names[culprit]);
	ch_step_failed(step);
}

/* Without a preflight otherwise, there may be one of the standing records only. */
static bool is_looked_at(const struct ch_issuer *issuer, enum ch_acme_challenge_type method)
{
	return issuer->config->preflight || method == CH_ACME_DNS_PERSIST_01;
}

/* A customer can be told what to publish only when there is an account, which otherwise the
 * first order would make. */
static bool has_account(struct ch_step *step)
{
	struct ch_acme_request req = {
		.kind = CH_ACME_FIND_ACCOUNT, .signup = &step->ca->config->signup};
	CH_AUTO_ANSWER struct ch_acme_answer ans;
	char account[CH_ACME_URL_B];

	ch_acme_answer_init(&ans);
	if (!ch_step_uses(step, CH_ACME_DNS_PERSIST_01) ||
		ch_acme_get_account(step->ca->acme, account) ||
		ch_step_ask(step, &req, &ans) == CH_ACME_OK)
		return true;
	ch_step_ca_error(step, &ans);
	return false;
}

bool ch_step_preflight(struct ch_step *step)
{
	struct ch_issuer *issuer = step->issuer;
	const struct ch_work *work = step->work;
	struct ch_preflight_subject subject = {
		.order = work->id, .who = step->ca, .thumbprint = step->ca->thumbprint};
	struct ch_preflight_result results[CH_WORK_NAMES_MAX];
	size_t waiting = 0;
	size_t bad = 0;

	if (!issuer->preflight || work->notes.polls >= LOOKS_MAX)
		return true;
	if (!has_account(step))
		return false;
	/* An edge that does not know the name yet would fail the self-check. */
	if (issuer->config->preflight && issuer->config->self_check && !work->renewal &&
		ch_step_uses(step, CH_ACME_HTTP_01) && ch_step_wait_for_edges(step))
		return false;
	for (size_t i = 0; i < work->n_names; i++) {
		subject.name = work->names[i];
		subject.method = ch_step_challenge(step, i);
		if (is_looked_at(issuer, subject.method))
			ch_preflight_look(issuer->preflight, &subject, &results[i]);
		else
			results[i] = (struct ch_preflight_result){.fate = CH_PREFLIGHT_GOOD};
		waiting += results[i].fate == CH_PREFLIGHT_WAIT;
		bad += results[i].fate == CH_PREFLIGHT_BAD;
	}
	if (waiting) {
		look_again(step);
		return false;
	}
	for (size_t i = 0; i < work->n_names; i++) {
		subject.name = work->names[i];
		ch_preflight_forget(issuer->preflight, &subject);
		if (results[i].fate == CH_PREFLIGHT_UNKNOWN)
			warn(issuer);
	}
	if (bad)
		fail(step, results);
	return !bad;
}
