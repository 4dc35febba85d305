#include "issuerd/ca.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "crypto/keys.h"

#define EAB_HMAC_MAX_B 4096u

static int open_account_key(struct ch_ca *ca, struct ch_err *err)
{
	const char *host = ca->config->directory + strlen("https://");
	uint8_t raw[CH_SHA256_B];
	size_t len;
	int rc = ch_key_load_pem(ca->config->account_key, &ca->account_key, err);

	if (rc)
		return rc;
	rc = ch_jwk_thumbprint(ca->account_key, ca->thumbprint);
	if (rc == CH_OK)
		rc = ch_b64u_decode(
			ca->thumbprint, strlen(ca->thumbprint), raw, sizeof(raw), &len);
	if (rc)
		return ch_err_set(err, rc, "account-key", "%s is not a P-256 key",
			ca->config->account_key);
	/* A host of any length that DNS allows fits; a longer one is cut. */
	snprintf(ca->pace_account, sizeof(ca->pace_account), "%.*s/%s", (int)strcspn(host, "/"),
		host, ca->thumbprint);
	for (int i = 0; i < 8; i++)
		ca->account_hint = ca->account_hint << 8 | raw[i];
	rc = ch_acme_new(ca->config->directory, ca->account_key, &ca->acme, err);
	if (rc == CH_OK)
		ch_acme_set_timeout(ca->acme, ca->config->timeout_ms);
	if (rc == CH_OK)
		ch_acme_set_pass(ca->acme, ch_rate_pass, ca);
	return rc;
}

static int load_trust(const struct ch_ca_config *config, const char *key, const char *where,
	struct ch_trust **ret_trust, struct ch_err *err)
{
	int rc = ch_trust_load(where, ret_trust, err);

	if (rc)
		ch_err_prefix(err, "%s of the CA %s", key, config->name);
	return rc;
}

/* libcurl would say so only at the first request, as if it were the CA's fault. */
static int check_directory_ca(const struct ch_ca_config *config, struct ch_err *err)
{
	struct ch_trust *trust = NULL;
	int rc = CH_OK;

	if (strcmp(config->directory_ca, "system") != 0)
		rc = load_trust(config, "directory_ca", config->directory_ca, &trust, err);
	ch_trust_free(trust);
	return rc;
}

size_t ch_ca_host_len(const struct ch_ca *ca)
{
	return strcspn(ca->pace_account, "/");
}

int ch_ca_open(const struct ch_ca_config *config, struct ch_ca *ret_ca, struct ch_err *err)
{
	struct ch_ca *ca = ret_ca;
	int rc;

	ca->config = config;
	pthread_mutex_init(&ca->account.lock, NULL);
	pthread_mutex_init(&ca->rate.lock, NULL);
	ch_gate_init(&ca->gate);
	ch_hold_init(&ca->hold);
	rc = open_account_key(ca, err);
	if (rc == CH_OK && config->eab_hmac_file[0])
		rc = ch_secret_read_file(
			config->eab_hmac_file, EAB_HMAC_MAX_B, &ca->eab_hmac, err);
	if (rc == CH_OK)
		rc = check_directory_ca(config, err);
	if (rc == CH_OK)
		rc = load_trust(config, "roots", config->roots, &ca->roots, err);
	if (rc == CH_OK)
		ch_account_load(ca);
	return rc;
}

void ch_ca_close(struct ch_ca *ca)
{
	ch_acme_free(ca->acme);
	EVP_PKEY_free(ca->account_key);
	ch_secret_free(ca->eab_hmac);
	ch_trust_free(ca->roots);
	pthread_mutex_destroy(&ca->account.lock);
	pthread_mutex_destroy(&ca->gate.lock);
	ch_hold_done(&ca->hold);
	pthread_mutex_destroy(&ca->rate.lock);
}

bool ch_ca_is_usable(struct ch_ca *ca)
{
	return !ch_gate_is_closed(&ca->gate) && !ch_account_is_refused(ca);
}
