#include "net/api.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define BODY_MAX_B (8u * 1024u * 1024u)

struct ch_api {
	struct ch_http *http;
	char urls[CH_API_URLS_MAX][CH_API_URL_B];
	size_t n_urls;
	size_t current; /* worked last */
};

int ch_api_options_add_url(struct ch_api_options *options, const char *url)
{
	const char *host;
	size_t len = strlen(url);

	if (options->n_urls == CH_API_URLS_MAX || len >= CH_API_URL_B)
		return CH_ETOOBIG;
	if (strncmp(url, "https://", 8) == 0)
		host = url + 8;
	else if (options->http.allow_http && strncmp(url, "http://", 7) == 0)
		host = url + 7;
	else
		return CH_EINVAL;
	if (len && url[len - 1] == '/')
		len--;
	if (host >= url + len || strcspn(host, "/?#@ \t\\") < (size_t)(url + len - host))
		return CH_EINVAL;
	memcpy(options->urls[options->n_urls], url, len);
	options->urls[options->n_urls++][len] = 0;
	return CH_OK;
}

static int add_url(const char *item, void *arg)
{
	return ch_api_options_add_url(arg, item);
}

int ch_api_options_from_conf(struct ch_conf *conf, const char *section, const char *role,
	struct ch_api_options *ret_options)
{
	char path[80];
	struct ch_api_options options = {.http = {.user_agent = "certherd/" CH_VERSION}};

	ch_conf_list(conf, section, "store", "https://127.0.0.1:8443",
		"URLs without a path, such as https://store.example.com:8443, 8 at most",
		add_url, &options);
	if (!options.n_urls)
		ch_conf_fail(conf, section, "store", "names no https:// URL of a store");
	snprintf(path, sizeof(path), "pki/%s.pem", role);
	options.http.cert_file = ch_conf_path(conf, section, "identity_cert", path);
	snprintf(path, sizeof(path), "pki/%s.key", role);
	options.http.key_file = ch_conf_path(conf, section, "identity_key", path);
	options.http.ca_file = ch_conf_path(conf, section, "identity_ca", "pki/ca.pem");
	*ret_options = options;
	return options.n_urls ? CH_OK : CH_EINVAL;
}

int ch_api_new_over(const struct ch_api_options *options, struct ch_http *http,
	struct ch_api **ret_api, struct ch_err *err)
{
	struct ch_api *api = calloc(1, sizeof(*api));

	if (!api)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	memcpy(api->urls, options->urls, sizeof(api->urls));
	api->n_urls = options->n_urls;
	api->http = http;
	*ret_api = api;
	return CH_OK;
}

static int check_file(const char *path, const char *what, struct ch_err *err)
{
	if (path && access(path, R_OK) != 0)
		return ch_err_set(err, CH_EINVAL, "identity-file",
			"cannot read the %s %s: %s%s", what, path, strerror(errno),
			errno == EACCES
				? ": `certherd init --own` gives each role its files"
				: ": run `certherd init`, or correct the configuration");
	return CH_OK;
}

int ch_api_new(
	const struct ch_api_options *options, struct ch_api **ret_api, struct ch_err *err)
{
	struct ch_http_options how = options->http;
	struct ch_http *http = NULL;
	int rc = check_file(options->http.ca_file, "identity CA", err);

	how.impatient = options->n_urls > 1;
	/* libcurl reports these only at the first transfer, and less clearly. */
	if (!rc)
		rc = check_file(options->http.cert_file, "identity certificate", err);
	if (!rc)
		rc = check_file(options->http.key_file, "identity key", err);
	if (!rc)
		rc = ch_http_new_curl(&how, &http, err);
	if (rc)
		return rc;
	rc = ch_api_new_over(options, http, ret_api, err);
	if (rc)
		ch_http_free(http);
	return rc;
}

void ch_api_free(struct ch_api *api)
{
	if (!api)
		return;
	ch_http_free(api->http);
	free(api);
}

const char *ch_api_url(const struct ch_api *api)
{
	return api->urls[api->current];
}

size_t ch_api_n_urls(const struct ch_api *api)
{
	return api->n_urls;
}

/* How deep the text's arrays and objects nest, strings skipped; jansson's own limit is 2,048.
 */
static size_t json_depth(const char *text, size_t len)
{
	size_t depth = 0;
	size_t most = 0;
	int in_string = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = 0;
		} else if (c == '"') {
			in_string = 1;
		} else if (c == '{' || c == '[') {
			if (++depth > most)
				most = depth;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
		}
	}
	return most;
}

static json_t *parse_json(const struct ch_http_resp *resp)
{
	const char *text = ch_buf_str(&resp->body);

	if (json_depth(text, resp->body.len) > CH_API_DEPTH_MAX)
		return NULL;
	return json_loadb(text, resp->body.len, JSON_REJECT_DUPLICATES, NULL);
}

static bool has_type(const struct ch_http_resp *resp, const char *type)
{
	const char *value = ch_http_resp_header(resp, "content-type");
	size_t len = strlen(type);

	return value && strncasecmp(value, type, len) == 0 &&
	       (!value[len] || strchr("; \t", value[len]));
}

static int rc_of_status(int status)
{
	switch (status) {
	case 400:
	case 405:
	case 415:
		return CH_EINVAL;
	case 401:
	case 403:
		return CH_EAUTH;
	case 404:
		return CH_ENOTFOUND;
	case 409:
		return CH_ECONFLICT;
	case 413:
		return CH_ETOOBIG;
	case 429:
	case 503:
		return CH_EAGAIN;
	}
	return CH_EIO;
}

/* RFC 9457 section 3 */
static int read_problem(const char *url, int status, const json_t *doc, struct ch_err *err)
{
	int rc = rc_of_status(status);
	const char *code = json_string_value(json_object_get(doc, "code"));
	const char *detail = json_string_value(json_object_get(doc, "detail"));
	char fallback[32];

	snprintf(fallback, sizeof(fallback), "http-%d", status);
	if (code && !*code)
		code = NULL;
	if (code && detail && *detail)
		return ch_err_set(err, rc, code, "%s", detail);
	return ch_err_set(err, rc, code ? code : fallback, "%s answered %d without saying why",
		url, status);
}

int ch_api_problem(const struct ch_api *api, const json_t *doc, struct ch_err *err)
{
	return read_problem(ch_api_url(api),
		(int)json_integer_value(json_object_get(doc, "status")), doc, err);
}

static int map_problem(const char *url, const struct ch_http_resp *resp, struct ch_err *err)
{
	const char *retry = ch_http_resp_header(resp, "retry-after");
	json_auto_t *doc = has_type(resp, "application/problem+json") ? parse_json(resp) : NULL;
	int rc = read_problem(url, resp->status, doc, err);

	if (err && retry && ch_http_retry_after(retry, ch_now_ms(), &err->retry_at_ms) != CH_OK)
		err->retry_at_ms = 0;
	return rc;
}

#define YEAR_9999_MS INT64_C(253370764800000) /* its beginning */

static _Atomic int64_t lead_ms;

int64_t ch_api_lead_ms(void)
{
	return atomic_load_explicit(&lead_ms, memory_order_relaxed);
}

int64_t ch_api_store_ms(int64_t at_ms)
{
	int64_t store_ms = at_ms + ch_api_lead_ms();

	/* What a store with a senseless date asks for must still be a time that can be written.
	 */
	return store_ms < 0 ? 0 : store_ms > YEAR_9999_MS ? YEAR_9999_MS : store_ms;
}

/* began_ms: when it was asked, monotonic.  What took long was dated long ago. */
static void note_clock(const struct ch_http_resp *resp, int64_t began_ms)
{
	const char *date = ch_http_resp_header(resp, "date");
	int64_t at_ms;
	int64_t lead;

	if (!date || ch_http_date(date, &at_ms) || ch_mono_ms() - began_ms > CH_API_LEAD_MS)
		return;
	lead = at_ms - ch_now_ms();
	if (lead > -CH_API_LEAD_MS && lead < CH_API_LEAD_MS)
		lead = 0;
	atomic_store_explicit(&lead_ms, lead, memory_order_relaxed);
}

static bool is_unreachable(int rc, int status)
{
	if (rc)
		return rc == CH_ENETWORK || rc == CH_ETIMEOUT || rc == CH_EAUTH ||
		       rc == CH_EPROTO;
	return status == 502 || status == 503 || status == 504;
}

/* One request to one URL. */
static int send_to(struct ch_api *api, size_t i, struct ch_http_req *req, const char *path,
	struct ch_http_resp *resp, struct ch_err *err)
{
	CH_AUTO_FREE char *url = NULL;
	int64_t began_ms;
	int rc;

	if (asprintf(&url, "%s%s", api->urls[i], path) < 0) {
		url = NULL;
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	req->url = url;
	began_ms = ch_mono_ms();
	rc = ch_http_send(api->http, req, resp, err);
	if (!rc)
		note_clock(resp, began_ms);
	return rc;
}

/* Tries each URL once, the one that worked last first. */
static int send_failover(struct ch_api *api, struct ch_http_req *req, const char *path,
	struct ch_http_resp *resp, struct ch_err *err)
{
	CH_CLEANUP(ch_buf_done) struct ch_buf all;
	struct ch_err one = {0};
	int rc = CH_ENETWORK;

	ch_buf_init(&all, 16384);
	for (size_t i = 0; i < api->n_urls; i++) {
		size_t at = (api->current + i) % api->n_urls;

		rc = send_to(api, at, req, path, resp, &one);
		if (!rc && (!is_unreachable(rc, resp->status) || i + 1 == api->n_urls)) {
			api->current = at;
			return CH_OK;
		}
		if (rc && !is_unreachable(rc, 0))
			break;
		if (!rc)
			(void)ch_err_set(&one, CH_EAGAIN, "http-status", "%s answered %d",
				api->urls[at], resp->status);
		ch_buf_addf(&all, "%s%s", all.len ? "; " : "", one.detail);
	}
	if (err) {
		*err = one;
		if (is_unreachable(rc, 0))
			snprintf(err->detail, sizeof(err->detail), "%s", ch_buf_str(&all));
	}
	return rc;
}

static int read_answer(struct ch_api *api, struct ch_api_call *call,
	const struct ch_http_resp *resp, struct ch_err *err)
{
	call->status = resp->status;
	if (resp->status >= 400)
		return map_problem(ch_api_url(api), resp, err);
	if (resp->status < 200 || resp->status >= 300)
		return ch_err_set(err, CH_EPROTO, "http-status",
			"%s answered %d, which a store never does: is it one?", ch_api_url(api),
			resp->status);
	if (resp->status == 204 || !resp->body.len)
		return CH_OK;
	call->answer = has_type(resp, "application/json") ? parse_json(resp) : NULL;
	if (!call->answer)
		return ch_err_set(err, CH_EPROTO, "body-not-json",
			"%s answered with something that is not the JSON of a store",
			ch_api_url(api));
	return CH_OK;
}

int ch_api_call(struct ch_api *api, struct ch_api_call *call, struct ch_err *err)
{
	static const struct ch_http_header headers[] = {
		{"accept", "application/json"}, {"content-type", "application/json"}};
	CH_AUTO_FREE char *body = NULL;
	CH_CLEANUP(ch_http_resp_done) struct ch_http_resp resp;
	struct ch_http_req req = {
		.method = call->method,
		.headers = headers,
		.n_headers = call->body ? 2 : 1,
		.max_answer_b = call->max_answer_b ? call->max_answer_b : CH_API_ANSWER_MAX_B,
		.timeout_ms = call->timeout_ms ? call->timeout_ms : 30 * CH_SECOND_MS,
	};
	int rc;

	ch_http_resp_init(&resp);
	call->answer = NULL;
	call->status = 0;
	if (call->body) {
		body = json_dumps(call->body, JSON_COMPACT);
		if (!body)
			return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
		req.body = body;
		req.body_len = strlen(body);
		if (req.body_len > BODY_MAX_B)
			return ch_err_set(err, CH_ETOOBIG, "body-too-large",
				"the request is over %u bytes", BODY_MAX_B);
	}
	rc = send_failover(api, &req, call->path, &resp, err);
	if (rc)
		return rc;
	return read_answer(api, call, &resp, err);
}

int ch_api_get_raw(struct ch_api *api, const char *path, size_t max_b, int64_t timeout_ms,
	struct ch_http_resp *resp, struct ch_err *err)
{
	struct ch_http_req req = {
		.method = "GET", .max_answer_b = max_b, .timeout_ms = timeout_ms};
	int rc = send_failover(api, &req, path, resp, err);

	if (rc)
		return rc;
	if (resp->status >= 400)
		return map_problem(ch_api_url(api), resp, err);
	if (resp->status != 200)
		return ch_err_set(err, CH_EPROTO, "http-status",
			"%s answered %d, which a store never does: is it one?", ch_api_url(api),
			resp->status);
	return CH_OK;
}

int ch_url_encode(struct ch_buf *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		/* RFC 3986 section 2.3: the unreserved characters */
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			(c >= '0' && c <= '9') || strchr("-._~", c))
			ch_buf_add_u8(out, c);
		else
			ch_buf_addf(out, "%%%02X", c);
	}
	return out->rc;
}
