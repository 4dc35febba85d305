#include "issuerd/alert_tell.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "issuerd/hook.h"

#define ANSWER_MAX_B (64u * 1024u)
#define TIMEOUT_MS (15 * CH_SECOND_MS)

int ch_alert_sign(struct ch_secret *secret, int64_t now_s, const char *body,
	char ret_signature[CH_ALERT_SIGNATURE_B])
{
	CH_AUTO_BUF struct ch_buf text;
	uint8_t mac[32];
	char hex[2 * sizeof(mac) + 1];
	unsigned len = 0;

	ch_buf_init(&text, strlen(body) + 32);
	ch_buf_addf(&text, "%" PRId64 ".", now_s);
	if (ch_buf_add_str(&text, body))
		return text.rc;
	if (!HMAC(EVP_sha256(), ch_secret_bytes(secret), (int)ch_secret_len(secret), text.data,
		    text.len, mac, &len))
		return CH_ECRYPTO;
	ch_hex_encode(mac, sizeof(mac), hex);
	snprintf(ret_signature, CH_ALERT_SIGNATURE_B, "t=%" PRId64 ",v1=%s", now_s, hex);
	return CH_OK;
}

static int post(const struct ch_alert_config *config, struct ch_http *http,
	struct ch_secret *secret, const char *body, struct ch_err *err)
{
	CH_CLEANUP(ch_http_resp_done) struct ch_http_resp resp;
	char signature[CH_ALERT_SIGNATURE_B];
	const struct ch_http_header headers[] = {
		{"Content-Type", "application/json"},
		{"Certherd-Signature", signature},
	};
	const struct ch_http_req req = {.method = "POST",
		.url = config->webhook,
		.private_url = 1,
		.headers = headers,
		.n_headers = secret ? 2 : 1,
		.body = body,
		.body_len = strlen(body),
		.max_answer_b = ANSWER_MAX_B,
		.timeout_ms = TIMEOUT_MS};
	int rc = CH_OK;

	ch_http_resp_init(&resp);
	if (secret)
		rc = ch_alert_sign(secret, ch_now_ms() / CH_SECOND_MS, body, signature);
	if (rc)
		return ch_err_set(err, rc, "alert-webhook", "the alert cannot be signed");
	rc = ch_http_send(http, &req, &resp, err);
	if (rc)
		return rc;
	if (resp.status < 200 || resp.status > 299)
		return ch_err_set(err, CH_EAGAIN, "alert-webhook",
			"the webhook answered with HTTP status %d", resp.status);
	return CH_OK;
}

int ch_alert_tell(const struct ch_alert_config *config, struct ch_http *http,
	struct ch_secret *secret, const json_t *alert, int (*canceled)(void *arg), void *arg,
	struct ch_err *err)
{
	CH_AUTO_FREE char *body = json_dumps(alert, JSON_COMPACT | JSON_PRESERVE_ORDER);
	struct ch_err other;
	int rc = CH_OK;
	int rc2;

	if (!body)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (config->hook) {
		const struct ch_hook hook = {.program = config->hook,
			.verb = "alert",
			.input = body,
			.failed = "alert-hook",
			.timeout = "alert-hook",
			.timeout_ms = config->hook_timeout_ms,
			.canceled = canceled,
			.arg = arg};

		rc = ch_hook_run(&hook, err);
	}
	if (!config->webhook)
		return rc;
	rc2 = post(config, http, secret, body, rc ? &other : err);
	return rc ? rc : rc2;
}
