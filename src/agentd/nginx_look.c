#include "agentd/nginx_look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/metrics.h"

#define KEY "nginx_status"
#define SCHEME "http://"
#define FAILURES "certherd_edge_key_open_failures_total "
#define TIMEOUT_MS 1000
#define ANSWER_MAX_B 65536u

/* Another host's figures say nothing of this edge, and what is asked goes unprotected. */
static bool is_url(const char *url)
{
	char address[64];
	const char *slash;
	size_t len;

	if (strncmp(url, SCHEME, strlen(SCHEME)) != 0)
		return false;
	url += strlen(SCHEME);
	slash = strchr(url, '/');
	len = slash ? (size_t)(slash - url) : 0;
	if (!len || len >= sizeof(address) || strpbrk(slash, " \t#"))
		return false;
	memcpy(address, url, len);
	address[len] = 0;
	return ch_metrics_is_loopback(address);
}

const char *ch_nginx_look_from_conf(struct ch_conf *conf, const char *section)
{
	const char *url = ch_conf_str(conf, section, KEY, "");

	if (!*url)
		return NULL;
	if (!is_url(url))
		ch_conf_fail(conf, section, KEY,
			"\"%s\" is not an http URL with an address of this host's loopback, a "
			"port and a path, as http://127.0.0.1:8081/metrics",
			url);
	return url;
}

int ch_nginx_failures(const char *text, uint64_t *ret_failures)
{
	const char *at = text;
	unsigned long long n;
	char *end;

	while (at && strncmp(at, FAILURES, strlen(FAILURES)) != 0) {
		const char *end_of_line = strchr(at, '\n');

		at = end_of_line ? end_of_line + 1 : NULL;
	}
	if (!at)
		return CH_EPROTO;
	at += strlen(FAILURES);
	errno = 0;
	n = strtoull(at, &end, 10);
	if (*at < '0' || *at > '9' || *end != '\n' || errno)
		return CH_EPROTO;
	*ret_failures = n;
	return CH_OK;
}

static int ask(struct ch_nginx_look *look, uint64_t *ret_failures)
{
	const struct ch_http_req req = {.method = "GET",
		.url = look->url,
		.max_answer_b = ANSWER_MAX_B,
		.timeout_ms = TIMEOUT_MS};
	CH_CLEANUP(ch_http_resp_done) struct ch_http_resp resp;
	struct ch_err err;
	int rc;

	ch_http_resp_init(&resp);
	rc = ch_http_send(look->http, &req, &resp, &err);
	if (rc)
		return rc;
	return resp.status == 200 ? ch_nginx_failures(ch_buf_str(&resp.body), ret_failures)
				  : CH_EPROTO;
}

void ch_nginx_look(struct ch_nginx_look *look)
{
	int64_t now = ch_mono_ms();
	uint64_t failures;
	int rc;

	if (!look->http || (look->looked && now - look->looked_ms < CH_NGINX_LOOK_MS))
		return;
	look->looked = true;
	look->looked_ms = now;
	rc = ask(look, &failures);
	if (rc == CH_ECANCELED)
		return;
	if (rc) {
		if (!look->away)
			look->away_ms = now;
		look->away = true;
		return;
	}
	look->away = false;
	/* nginx was started anew where they are fewer.  Those of before the first look may be
	 * of long ago. */
	if (look->known && failures != look->failures && failures > 0) {
		look->grew = true;
		look->grew_ms = now;
	}
	look->known = true;
	look->failures = failures;
}

/* Without numbers: a report that changes is sent at once. */
void ch_nginx_look_describe(const struct ch_nginx_look *look, struct ch_buf *buf)
{
	int64_t now = ch_mono_ms();

	if (look->away && now - look->away_ms >= CH_NGINX_AWAY_MS)
		ch_buf_addf(buf,
			"nginx does not give its figures (certherd_status) at %s: does it "
			"run? ",
			look->url);
	if (look->grew && now - look->grew_ms < CH_NGINX_GREW_MS)
		ch_buf_addf(buf,
			"nginx cannot open keys of certificates: its error log says of "
			"which names; is the key of its certherd_recipient_key among "
			"the issuer's recipients? ");
}
