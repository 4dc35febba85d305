/* http-01: RFC 8555 section 8.3.  Every name is at one address. */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "reply.h"
#include "validate.h"

#define REDIRECTS_MAX 10L

struct body {
	char text[1025];
	size_t len, max_b;
	bool cut;
};

static size_t on_body(char *from, size_t size, size_t n, void *arg)
{
	struct body *body = arg;
	size_t len = size * n;

	if (len > body->max_b - body->len) {
		len = body->max_b - body->len;
		body->cut = true;
	}
	memcpy(body->text + body->len, from, len);
	body->len += len;
	return len; /* too little: the transfer ends */
}

static CURLcode fetch(
	const struct sim_task *task, struct body *body, char *message, long *ret_status)
{
	/* One for each thread. */
	static __thread CURL *easy;
	CH_AUTO_FREE char *url = NULL, *http = NULL, *https = NULL;
	const char *dot = strchr(task->key_authorization, '.');
	struct curl_slist *to;
	CURLcode code;

	if (!easy)
		easy = curl_easy_init();
	SIM_NEED(easy &&
		 asprintf(&url, "http://%s/.well-known/acme-challenge/%.*s", task->name,
			 (int)(dot - task->key_authorization), task->key_authorization) > 0 &&
		 asprintf(&http, ":80:%s:%u", task->address, task->http_port) > 0 &&
		 asprintf(&https, ":443:%s:%u", task->address, task->tls_port) > 0);
	to = curl_slist_append(curl_slist_append(NULL, http), https);
	curl_easy_reset(easy);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, to);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "casim");
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, message);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)task->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
	code = curl_easy_perform(easy);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, ret_status);
	curl_slist_free_all(to);
	return code;
}

json_t *sim_validate_http(const struct sim_task *task)
{
	struct body body = {.max_b = task->max_b < 1024 ? task->max_b : 1024};
	char message[CURL_ERROR_SIZE] = "";
	long status = 0;
	CURLcode code = fetch(task, &body, message, &status);

	if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && body.cut))
		return sim_problem_json(400,
			code == CURLE_COULDNT_RESOLVE_HOST ? "dns" : "connection",
			"Fetching http://%s/.well-known/acme-challenge/: %s", task->name,
			message[0] ? message : curl_easy_strerror(code));
	if (status != 200)
		return sim_problem_json(403, "unauthorized",
			"Invalid response from http://%s/.well-known/acme-challenge/: %ld",
			task->name, status);
	while (body.len > 0 && strchr(" \t\r\n", body.text[body.len - 1]))
		body.len--;
	body.text[body.len] = 0;
	if (strcmp(body.text, task->key_authorization) != 0)
		return sim_problem_json(403, "unauthorized",
			"The key authorization file from the server did not match this "
			"challenge. Expected \"%s\" (got \"%.128s\")",
			task->key_authorization, body.text);
	return NULL;
}
