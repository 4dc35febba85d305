#include "issuerd/issuer.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"

static int open_cas(struct ch_issuer *issuer, struct ch_err *err)
{
	const struct ch_issuer_config *config = issuer->config;
	int rc = CH_OK;

	for (size_t i = 0; rc == CH_OK && i < config->n_cas; i++) {
		issuer->n_cas = i + 1;
		ch_file_sweep(config->cas[i].account_state);
		rc = ch_ca_open(&config->cas[i], &issuer->cas[i], err);
		issuer->cas[i].rate.stopping = &issuer->stopping;
		for (size_t n = 0; rc == CH_OK && n < i; n++)
			if (issuer->cas[n].account_hint == issuer->cas[i].account_hint)
				rc = ch_err_set(err, CH_EINVAL, "account-key",
					"%s and %s are the same key: each CA needs an account "
					"key of its own",
					config->cas[n].account_key, config->cas[i].account_key);
	}
	return rc;
}

static int open_files(struct ch_issuer *issuer, struct ch_err *err)
{
	const struct ch_issuer_config *config = issuer->config;
	int rc = open_cas(issuer, err);

	if (rc == CH_OK)
		rc = ch_sign_key_load(config->signing_key, &issuer->signer, err);
	if (rc == CH_OK)
		rc = ch_issuer_reload_recipients(issuer, err);
	return rc;
}

int ch_issuer_open(const struct ch_issuer_config *config, struct ch_issuer **ret_issuer,
	struct ch_err *err)
{
	struct ch_issuer *issuer = calloc(1, sizeof(*issuer));
	int rc;

	if (!issuer)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	issuer->config = config;
	issuer->probe = ch_issuer_probe;
	issuer->may_ask = ch_probe_is_global;
	pthread_mutex_init(&issuer->recipients_lock, NULL);
	ch_scribe_init(&issuer->scribe);
	rc = open_files(issuer, err);
	if (rc) {
		ch_issuer_free(issuer);
		return rc;
	}
	*ret_issuer = issuer;
	return CH_OK;
}

void ch_issuer_free(struct ch_issuer *issuer)
{
	if (!issuer)
		return;
	ch_issuer_stop_preflight(issuer);
	ch_issuer_stop_dns(issuer);
	for (size_t i = 0; i < issuer->n_cas; i++)
		ch_ca_close(&issuer->cas[i]);
	ch_sign_key_free(issuer->signer);
	pthread_mutex_destroy(&issuer->recipients_lock);
	ch_scribe_done(&issuer->scribe);
	free(issuer);
}

int ch_issuer_reload_recipients(struct ch_issuer *issuer, struct ch_err *err)
{
	struct ch_recipients fresh;
	int rc = ch_recipients_load(issuer->config->recipients, &fresh, err);

	if (rc)
		return rc;
	if (fresh.n == 0)
		return ch_err_set(err, CH_EINVAL, "no-recipients",
			"%s names no recipient: nobody could open the keys",
			issuer->config->recipients);
	pthread_mutex_lock(&issuer->recipients_lock);
	issuer->recipients = fresh;
	pthread_mutex_unlock(&issuer->recipients_lock);
	return CH_OK;
}

void ch_issuer_recipients(struct ch_issuer *issuer, struct ch_recipients *ret_recipients)
{
	pthread_mutex_lock(&issuer->recipients_lock);
	*ret_recipients = issuer->recipients;
	pthread_mutex_unlock(&issuer->recipients_lock);
}

int ch_issuer_canceled(void *arg)
{
	struct ch_issuer *issuer = arg;

	return atomic_load(&issuer->stopping) && ch_mono_ms() >= issuer->stop_by_ms;
}

int ch_issuer_stopping(void *arg)
{
	struct ch_issuer *issuer = arg;

	return atomic_load(&issuer->stopping);
}

int ch_issuer_new_http(struct ch_issuer *issuer, const struct ch_ca *ca,
	struct ch_http **ret_http, struct ch_err *err)
{
	const char *file = ca->config->directory_ca;
	struct ch_http_options options = {
		.ca_file = strcmp(file, "system") == 0 ? NULL : file,
		.user_agent = "certherd/" CH_VERSION,
		.canceled = ch_issuer_canceled,
		.canceled_arg = issuer,
	};

	return ch_http_new_curl(&options, ret_http, err);
}

/* As CAs say that a signature is not by the account's key: by no type of its own. */
static bool may_be_the_key(const struct ch_acme_answer *ans)
{
	return ans->status >= 400 && ans->status < 404 &&
	       (strcmp(ans->err.problem, "request-refused") == 0 ||
		       strcmp(ans->err.problem, "account-unauthorized") == 0);
}

enum ch_acme_fate ch_issuer_ask_ca(struct ch_issuer *issuer, struct ch_ca *ca,
	struct ch_http *http, uint64_t order_id, const struct ch_acme_request *req,
	struct ch_acme_answer *ans)
{
	int64_t began_ms = ch_mono_ms();

	if (!ch_gate_pass(&ca->gate, ans))
		return ans->fate;
	if (ch_account_ensure(ca, http, ans) == CH_ACME_OK)
		ch_acme_run(ca->acme, http, req, ans);
	/* What we cut off ourselves, or did not send, says nothing about the CA. */
	if (ans->err.rc != CH_ECANCELED && !ans->unsent) {
		ch_gate_note(&ca->gate, order_id, ans);
		ch_figures_answer(&issuer->figures.cas[ca - issuer->cas], ans->fate,
			ch_mono_ms() - began_ms);
	}
	if (ans->fate == CH_ACME_NO_ACCOUNT)
		ch_account_forget(ca);
	else if (ans->fate != CH_ACME_OK && may_be_the_key(ans))
		ch_account_doubt(ca, http, ans);
	return ans->fate;
}

struct ch_ca *ch_issuer_ca_of(struct ch_issuer *issuer, uint64_t account_hint)
{
	for (size_t i = 0; i < issuer->n_cas; i++)
		if (issuer->cas[i].account_hint == account_hint)
			return &issuer->cas[i];
	return NULL;
}

struct ch_ca *ch_issuer_ca_named(struct ch_issuer *issuer, const char *name)
{
	for (size_t i = 0; i < issuer->n_cas; i++)
		if (strcmp(issuer->cas[i].config->name, name) == 0)
			return &issuer->cas[i];
	return NULL;
}

struct ch_ca *ch_issuer_ca_paced(struct ch_issuer *issuer, const char *pace_account)
{
	for (size_t i = 0; i < issuer->n_cas; i++)
		if (strcmp(issuer->cas[i].pace_account, pace_account) == 0)
			return &issuer->cas[i];
	return NULL;
}
