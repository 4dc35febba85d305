/* The ACME account: which one, and that the CA knows it (RFC 8555 section 7.3). */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/keys.h"
#include "issuerd/ca.h"
#include "pace/retry.h"

#define STATE_MAX_B 8192u
/* After the CA refused the account: a person has to change something first. */
#define REFUSED_WAIT_MS (5 * CH_MINUTE_MS)
/* Orders ask more often: when none does any more, nothing is known. */
#define MUST_ACT_MS (20 * CH_MINUTE_MS)
#define REPLACED_WAIT_MS CH_MINUTE_MS
/* Refusals that have another reason do not have the account asked for again and again. */
#define DOUBT_MS CH_MINUTE_MS
#define REPLACED "account-key-replaced"

void ch_account_load(struct ch_ca *ca)
{
	CH_AUTO_FREE char *text = NULL;
	json_auto_t *doc = NULL;
	const char *directory;
	const char *thumbprint;
	const char *url;
	size_t len;

	if (ch_file_read(ca->config->account_state, STATE_MAX_B, &text, &len, NULL) ||
		ch_acme_json_load(text, len, &doc, NULL))
		return;
	directory = ch_acme_json_str(doc, "directory");
	thumbprint = ch_acme_json_str(doc, "thumbprint");
	url = ch_acme_json_str(doc, "account");
	if (!directory || strcmp(directory, ca->config->directory) != 0 || !thumbprint ||
		strcmp(thumbprint, ca->thumbprint) != 0 || !ch_acme_url_ok(url))
		return;
	ch_acme_set_account(ca->acme, url);
}

static void save(struct ch_ca *ca, const char *url)
{
	json_auto_t *doc = json_pack("{ssssss}", "directory", ca->config->directory,
		"thumbprint", ca->thumbprint, "account", url);
	CH_AUTO_FREE char *text = json_dumps(doc, JSON_INDENT(2));
	struct ch_err err;

	/* The CA tells the URL again at the next start: worth a warning, not a stop. */
	if (!text ||
		ch_file_write_atomic(ca->config->account_state, text, strlen(text), 0600, &err))
		ch_log_warn("account state not saved: %s", text ? err.detail : "no memory");
}

static enum ch_acme_fate ask(struct ch_ca *ca, struct ch_http *http, enum ch_acme_kind kind,
	struct ch_acme_answer *ans)
{
	struct ch_acme_signup signup = ca->config->signup;
	struct ch_acme_request req = {.kind = kind, .signup = &signup};

	signup.eab_hmac = ca->eab_hmac;
	ch_acme_answer_done(ans);
	ch_acme_answer_init(ans);
	return ch_acme_run(ca->acme, http, &req, ans);
}

/* Passing trouble says nothing about whether the account is there. */
static bool is_passing(enum ch_acme_fate fate)
{
	return fate == CH_ACME_OUTAGE || fate == CH_ACME_LATER || fate == CH_ACME_LIMITED ||
	       fate == CH_ACME_PAUSED;
}

static bool file_has_another_key(const struct ch_ca *ca)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	char print[CH_THUMBPRINT_TEXT_B];
	struct ch_err ignored;

	return ch_key_load_pem(ca->config->account_key, &key, &ignored) == CH_OK &&
	       ch_jwk_thumbprint(key, print) == CH_OK && strcmp(print, ca->thumbprint) != 0;
}

static enum ch_acme_fate key_replaced(
	struct ch_ca *ca, const char *account, struct ch_acme_answer *ans)
{
	const char *file = ca->config->account_key;

	ans->fate = CH_ACME_ACCOUNT;
	/* Sooner than after other refusals: once it is started again, its orders should go on.
	 */
	ans->retry_at_ms = ch_now_ms() + REPLACED_WAIT_MS;
	if (file_has_another_key(ca))
		ch_err_set(&ans->err, CH_EAUTH, REPLACED,
			"The account's key was replaced: %s holds another one than this issuer "
			"has read. Start it again.",
			file);
	else
		ch_err_set(&ans->err, CH_EAUTH, REPLACED,
			"The CA has the account %s, under another key than %s: it was "
			"replaced. Put the new key there and start the issuer again, or, to "
			"have a new account made for this key, remove %s first.",
			account, file, ca->config->account_state);
	return ans->fate;
}

/* The account that was here is not found by its key.  OK: the CA does not have it any more.  A
 * key that was replaced gets no new account by itself: nobody would see that names go to an
 * account that edges, CAA records and the CA's limits know nothing of. */
static enum ch_acme_fate look_for_lost(
	struct ch_ca *ca, struct ch_http *http, const char *account, struct ch_acme_answer *ans)
{
	if (!file_has_another_key(ca)) {
		switch (ask(ca, http, CH_ACME_GET_ACCOUNT, ans)) {
		case CH_ACME_NO_ACCOUNT:
		case CH_ACME_GONE:
			ch_log_warn("the CA does not know the account %s any more", account);
			return CH_ACME_OK;
		default:
			if (is_passing(ans->fate))
				return ans->fate;
			break;
		}
	}
	return key_replaced(ca, account, ans);
}

static enum ch_acme_fate find_or_make(
	struct ch_ca *ca, struct ch_http *http, struct ch_acme_answer *ans)
{
	char known[CH_ACME_URL_B];

	/* Looking first also spares an external account binding, which is good for one use. */
	if (ask(ca, http, CH_ACME_FIND_ACCOUNT, ans) == CH_ACME_OK || is_passing(ans->fate))
		return ans->fate;
	if (ans->fate == CH_ACME_ACCOUNT &&
		strcmp(ans->err.problem, "account-unauthorized") == 0)
		return ans->fate; /* deactivated: a new one takes a new key */
	if (ch_acme_get_account(ca->acme, known) &&
		look_for_lost(ca, http, known, ans) != CH_ACME_OK)
		return ans->fate;
	if (!ca->config->terms_agreed) {
		ans->fate = CH_ACME_ACCOUNT;
		ch_err_set(&ans->err, CH_EAUTH, "terms-not-agreed",
			"No ACME account is made before terms_agreed = yes is set.");
		ans->err.actor = CH_ACTOR_PLATFORM;
		return ans->fate;
	}
	return ask(ca, http, CH_ACME_NEW_ACCOUNT, ans);
}

static bool is_to_act(const struct ch_acme_answer *ans)
{
	return ans->fate == CH_ACME_ACCOUNT &&
	       strcmp(ans->err.problem, "account-action-required") == 0;
}

static void note_must_act(struct ch_account *account, const struct ch_acme_answer *ans)
{
	account->must_act_until_ms = ch_now_ms() + MUST_ACT_MS;
	account->must_act = ans->err;
	strcpy(account->page, ans->page);
}

static void note_failure(struct ch_account *account, struct ch_acme_answer *ans)
{
	/* Nothing goes on without the account: short at first. */
	int64_t wait_ms = is_passing(ans->fate) ? ch_doubling_ms(CH_SECOND_MS,
							  account->failures++, CH_MINUTE_MS)
						: REFUSED_WAIT_MS;

	if (ans->retry_at_ms == 0)
		ans->retry_at_ms = ch_now_ms() + wait_ms;
	if (is_to_act(ans) || ans->fate == CH_ACME_PAUSED)
		note_must_act(account, ans);
	/* Whatever the CA has against the account, no name is at fault. */
	if (!is_passing(ans->fate)) {
		ans->fate = CH_ACME_ACCOUNT;
		ans->err.actor = CH_ACTOR_PLATFORM;
	} else if (ans->fate == CH_ACME_PAUSED || ans->fate == CH_ACME_LATER)
		ans->fate = CH_ACME_LIMITED;
	account->fate = ans->fate;
	account->err = ans->err;
	account->retry_at_ms = ans->retry_at_ms;
	ch_log_warn("ACME account: %s", ans->err.detail);
}

static enum ch_acme_fate ensure_locked(
	struct ch_ca *ca, struct ch_http *http, struct ch_acme_answer *ans)
{
	struct ch_account *account = &ca->account;

	if (account->ready)
		return CH_ACME_OK;
	if (ch_now_ms() < account->retry_at_ms) {
		ans->fate = account->fate;
		ans->err = account->err;
		ans->retry_at_ms = account->retry_at_ms;
		return ans->fate;
	}
	if (find_or_make(ca, http, ans) != CH_ACME_OK) {
		/* An outage is the gate's business. */
		if (ans->fate != CH_ACME_OUTAGE)
			note_failure(account, ans);
		return ans->fate;
	}
	account->ready = true;
	account->failures = 0;
	ch_acme_set_account(ca->acme, ans->location);
	save(ca, ans->location);
	ch_log_info("ACME account %s thumbprint=%s", ans->location, ca->thumbprint);
	ch_acme_answer_done(ans);
	ch_acme_answer_init(ans);
	return CH_ACME_OK;
}

enum ch_acme_fate ch_account_ensure(
	struct ch_ca *ca, struct ch_http *http, struct ch_acme_answer *ans)
{
	enum ch_acme_fate fate;

	pthread_mutex_lock(&ca->account.lock);
	fate = ensure_locked(ca, http, ans);
	pthread_mutex_unlock(&ca->account.lock);
	return fate;
}

void ch_account_forget(struct ch_ca *ca)
{
	pthread_mutex_lock(&ca->account.lock);
	ca->account.ready = false;
	pthread_mutex_unlock(&ca->account.lock);
}

void ch_account_note(struct ch_ca *ca, const struct ch_acme_answer *ans)
{
	if (!is_to_act(ans))
		return;
	pthread_mutex_lock(&ca->account.lock);
	note_must_act(&ca->account, ans);
	pthread_mutex_unlock(&ca->account.lock);
}

void ch_account_acts(struct ch_ca *ca)
{
	pthread_mutex_lock(&ca->account.lock);
	ca->account.must_act_until_ms = 0;
	pthread_mutex_unlock(&ca->account.lock);
}

bool ch_account_must_act(struct ch_ca *ca, char *ret_text, size_t text_b)
{
	struct ch_account *account = &ca->account;
	char text[CH_ACME_URL_B + sizeof(account->must_act.detail) + 16];
	bool must_act;

	/* Somebody is asking, which takes as long as the CA wishes. */
	if (pthread_mutex_trylock(&account->lock) != 0)
		return false;
	must_act = ch_now_ms() < account->must_act_until_ms;
	if (must_act)
		(void)snprintf(text, sizeof(text), "%s%s%s%s", account->page[0] ? "Visit " : "",
			account->page, account->page[0] ? " : " : "", account->must_act.detail);
	pthread_mutex_unlock(&account->lock);
	/* Not cut inside of a character. */
	if (must_act)
		ch_acme_text(text, ret_text, text_b);
	return must_act;
}

void ch_account_doubt(struct ch_ca *ca, struct ch_http *http, struct ch_acme_answer *ans)
{
	struct ch_account *account = &ca->account;
	CH_AUTO_ANSWER struct ch_acme_answer check;
	int64_t now_ms = ch_now_ms();

	ch_acme_answer_init(&check);
	pthread_mutex_lock(&account->lock);
	if (account->ready && now_ms - account->doubted_ms >= DOUBT_MS) {
		account->ready = false;
		account->doubted_ms = now_ms;
	}
	if (ensure_locked(ca, http, &check) == CH_ACME_ACCOUNT &&
		strcmp(check.err.problem, REPLACED) == 0) {
		ans->fate = check.fate;
		ans->err = check.err;
		ans->retry_at_ms = check.retry_at_ms;
	}
	pthread_mutex_unlock(&account->lock);
}

bool ch_account_is_refused(struct ch_ca *ca)
{
	struct ch_account *account = &ca->account;
	bool refused;

	/* Somebody is asking, which takes as long as the CA wishes. */
	if (pthread_mutex_trylock(&account->lock) != 0)
		return false;
	refused = !account->ready && account->fate == CH_ACME_ACCOUNT &&
		  ch_now_ms() < account->retry_at_ms;
	pthread_mutex_unlock(&account->lock);
	return refused;
}

bool ch_account_why(struct ch_ca *ca, char *ret_text, size_t text_b)
{
	struct ch_account *account = &ca->account;

	pthread_mutex_lock(&account->lock);
	snprintf(ret_text, text_b, "%s", account->err.detail);
	pthread_mutex_unlock(&account->lock);
	return ret_text[0];
}
