#include "issuer_bench.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "net/http_impl.h"

#define CA_URL "https://ca.test"

static const char directory[] =
	"200\nReplay-Nonce: n\n\n{\"newNonce\":\"" CA_URL "/nonce\",\"newAccount\":\"" CA_URL
	"/account\",\"newOrder\":\"" CA_URL "/order\"}";

static struct ch_issuer_config config = {
	.wildcard_challenge = CH_ACME_DNS_01,
	.cas = {{.name = CH_CA_MAIN,
		.directory = CA_URL "/dir",
		.directory_ca = "system",
		.roots = "any",
		.terms_agreed = true,
		.eab_hmac_file = "",
		.account_state = "/dev/null/account"}}, /* is not written */
	.n_cas = 1,
	.rsa_bits = 2048,
	.workers = 4,
	.ladder_ms = {CH_MINUTE_MS, 10 * CH_MINUTE_MS, CH_DAY_MS},
	.n_ladder = 3,
	.retry_jitter_percent = 20,
	.poll_interval_ms = 500,
	.renew_left_percent = 33,
	.renew_jitter_percent = 5,
	.step_tries = 4,
	.probe = CH_PROBE_DNS,
	.probe_tries = 3,
	.edge_wait_ms = 15 * CH_MINUTE_MS,
};

static int no_probe(const struct ch_issuer *issuer, const char *name, enum ch_probe_offer offer,
	const uint8_t leaf_sha256[CH_SHA256_B], struct ch_err *err)
{
	return ch_err_set(err, CH_ETIMEOUT, "probe-timeout", "nobody answers");
}

static void make_recipients(const char *path)
{
	static const uint8_t priv[32] = {1, 2, 3, 4, 5, 6, 7, 8};
	struct ch_recipient_key *key = NULL;
	char text[CH_RECIPIENT_TEXT_B + 1];
	struct ch_err err;

	CH_FUZZ_CHECK(ch_recipient_key_from_bytes(CH_KEM_X25519, priv, &key) == CH_OK);
	ch_recipient_print(&key->pub, text);
	ch_recipient_key_free(key);
	strcat(text, "\n");
	CH_FUZZ_CHECK(ch_file_create(path, text, strlen(text), 0600, &err) == CH_OK);
}

static struct ch_issuer *open_issuer(void)
{
	static char path[3][64]; /* the issuer keeps them */
	char folder[] = "/tmp/certherd-fuzz-XXXXXX";
	struct ch_issuer *issuer = NULL;
	EVP_PKEY *key = NULL;
	struct ch_err err;

	CH_FUZZ_CHECK(mkdtemp(folder));
	snprintf(path[0], sizeof(path[0]), "%s/account.key", folder);
	snprintf(path[1], sizeof(path[1]), "%s/signing.key", folder);
	snprintf(path[2], sizeof(path[2]), "%s/recipients", folder);
	CH_FUZZ_CHECK(ch_key_generate(&key) == CH_OK);
	CH_FUZZ_CHECK(ch_key_create_pem(path[0], key, &err) == CH_OK);
	EVP_PKEY_free(key);
	CH_FUZZ_CHECK(ch_sign_key_create(path[1], &err) == CH_OK);
	make_recipients(path[2]);
	config.cas[0].account_key = path[0];
	config.signing_key = path[1];
	config.recipients = path[2];
	CH_FUZZ_CHECK(ch_issuer_open(&config, &issuer, &err) == CH_OK);
	for (int i = 0; i < 3; i++)
		CH_FUZZ_CHECK(unlink(path[i]) == 0);
	CH_FUZZ_CHECK(rmdir(folder) == 0);
	issuer->probe = no_probe;
	return issuer;
}

struct ch_issuer *ch_fuzz_issuer(void)
{
	static struct ch_issuer *issuer;
	struct ch_ca *ca;
	struct ch_err err;

	if (!issuer) {
		ch_log_init("fuzz", CH_LOG_ERROR);
		ch_fuzz_stop_clock();
		issuer = open_issuer();
	}
	ca = &issuer->cas[0];
	ch_acme_free(ca->acme);
	CH_FUZZ_CHECK(
		ch_acme_new(ca->config->directory, ca->account_key, &ca->acme, &err) == CH_OK);
	ch_acme_set_account(ca->acme, CA_URL "/account/1");
	ca->account.ready = true;
	ca->account.retry_at_ms = 0;
	ca->gate.outages = 0;
	ca->gate.open_at_ms = 0;
	return issuer;
}

static int ca_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	static const char nonce[] = "204\nReplay-Nonce: n\n";
	struct ch_fuzz_ca *ca = (struct ch_fuzz_ca *)http;

	if (strcmp(req->url, config.cas[0].directory) == 0)
		CH_FUZZ_CHECK(
			ch_fuzz_answer(resp, directory, strlen(directory), req->max_answer_b));
	else if (strcmp(req->url, CA_URL "/nonce") == 0)
		CH_FUZZ_CHECK(ch_fuzz_answer(resp, nonce, strlen(nonce), req->max_answer_b));
	else
		return ch_http_send(&ca->parts.http, req, resp, err);
	return CH_OK;
}

static void ca_free(struct ch_http *http)
{
}

void ch_fuzz_ca_init(struct ch_fuzz_ca *ca, const struct ch_fuzz_parts *parts)
{
	ca->http = (struct ch_http){.send = ca_send, .free = ca_free};
	ch_fuzz_http_init(&ca->parts, parts);
}
