#include "issuerd/issuer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"

#define EAB_HMAC_MAX_B 4096u

static int open_account_key(struct ch_issuer *issuer, struct ch_err *err)
{
	uint8_t raw[CH_SHA256_B];
	size_t len;
	int rc = ch_key_load_pem(issuer->config->account_key, &issuer->account_key, err);

	if (rc)
		return rc;
	rc = ch_jwk_thumbprint(issuer->account_key, issuer->thumbprint);
	if (rc == CH_OK)
		rc = ch_sign_key_from(issuer->account_key, &issuer->notary);
	if (rc == CH_OK)
		rc = ch_b64u_decode(
			issuer->thumbprint, strlen(issuer->thumbprint), raw, sizeof(raw), &len);
	if (rc)
		return ch_err_set(err, rc, "account-key", "%s is not a P-256 key",
			issuer->config->account_key);
	/* A host of any length that DNS allows fits; a longer one is cut. */
	snprintf(issuer->pace_account, sizeof(issuer->pace_account), "%.*s/%s",
		(int)strcspn(issuer->config->directory + strlen("https://"), "/"),
		issuer->config->directory + strlen("https://"), issuer->thumbprint);
	for (int i = 0; i < 8; i++)
		issuer->account_hint = issuer->account_hint << 8 | raw[i];
	return ch_acme_new(issuer->config->directory, issuer->account_key, &issuer->acme, err);
}

/* libcurl would say so only at the first request, as if it were the CA's fault. */
static int check_directory_ca(const struct ch_issuer_config *config, struct ch_err *err)
{
	struct ch_trust *trust = NULL;
	int rc = CH_OK;

	if (strcmp(config->directory_ca, "system") != 0)
		rc = ch_trust_load(config->directory_ca, &trust, err);
	ch_trust_free(trust);
	return rc;
}

static int open_files(struct ch_issuer *issuer, struct ch_err *err)
{
	const struct ch_issuer_config *config = issuer->config;
	int rc = open_account_key(issuer, err);

	if (rc == CH_OK)
		rc = ch_sign_key_load(config->signing_key, &issuer->signer, err);
	if (rc == CH_OK && config->eab_hmac_file[0])
		rc = ch_secret_read_file(
			config->eab_hmac_file, EAB_HMAC_MAX_B, &issuer->eab_hmac, err);
	if (rc == CH_OK)
		rc = check_directory_ca(config, err);
	if (rc == CH_OK)
		rc = ch_trust_load(config->roots, &issuer->roots, err);
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
	pthread_mutex_init(&issuer->account.lock, NULL);
	pthread_mutex_init(&issuer->rate.lock, NULL);
	ch_gate_init(&issuer->gate);
	rc = open_files(issuer, err);
	if (rc) {
		ch_issuer_free(issuer);
		return rc;
	}
	ch_account_load(issuer);
	*ret_issuer = issuer;
	return CH_OK;
}

void ch_issuer_free(struct ch_issuer *issuer)
{
	if (!issuer)
		return;
	ch_issuer_stop_preflight(issuer);
	ch_acme_free(issuer->acme);
	EVP_PKEY_free(issuer->account_key);
	ch_secret_free(issuer->eab_hmac);
	ch_sign_key_free(issuer->signer);
	ch_sign_key_free(issuer->notary);
	ch_trust_free(issuer->roots);
	pthread_mutex_destroy(&issuer->recipients_lock);
	pthread_mutex_destroy(&issuer->account.lock);
	pthread_mutex_destroy(&issuer->gate.lock);
	pthread_mutex_destroy(&issuer->rate.lock);
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

int ch_issuer_new_http(struct ch_issuer *issuer, struct ch_http **ret_http, struct ch_err *err)
{
	const char *ca = issuer->config->directory_ca;
	struct ch_http_options options = {
		.ca_file = strcmp(ca, "system") == 0 ? NULL : ca,
		.user_agent = "certherd/" CH_VERSION,
		.canceled = ch_issuer_canceled,
		.canceled_arg = issuer,
	};

	return ch_http_new_curl(&options, ret_http, err);
}

enum ch_acme_fate ch_issuer_ask_ca(struct ch_issuer *issuer, struct ch_http *http,
	const struct ch_acme_request *req, struct ch_acme_answer *ans)
{
	if (!ch_gate_pass(&issuer->gate, ans))
		return ans->fate;
	if (!ch_rate_pass(issuer, req->kind, ans))
		return ans->fate;
	if (ch_account_ensure(issuer, http, ans) == CH_ACME_OK)
		ch_acme_run(issuer->acme, http, req, ans);
	/* What we cut off ourselves says nothing about the CA. */
	if (ans->err.rc != CH_ECANCELED)
		ch_gate_note(&issuer->gate, ans);
	if (ans->fate == CH_ACME_NO_ACCOUNT)
		ch_account_forget(issuer);
	return ans->fate;
}
