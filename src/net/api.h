/* A client of the store's API: several URLs with failover, problem documents as errors. */
#ifndef CH_NET_API_H
#define CH_NET_API_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "net/http.h"

struct ch_api; /* one per thread */

#define CH_API_URLS_MAX 8
#define CH_API_URL_B 300
#define CH_API_ANSWER_MAX_B (16u * 1024u * 1024u)
#define CH_API_DEPTH_MAX 16

struct ch_api_options {
	char urls[CH_API_URLS_MAX][CH_API_URL_B]; /* https://host[:port], no path */
	size_t n_urls;
	struct ch_http_options http; /* strings borrowed from the configuration */
};
/* Reads the keys "store" (URLs, comma-separated), "identity_cert", "identity_key" and
 * "identity_ca" of the section.  role: "operator", "edge", …, in the default
 * paths pki/<role>.pem and pki/<role>.key.  What is wrong is latched in conf (CH_EINVAL:
 * ch_conf_finish says what). */
CH_MUST int ch_api_options_from_conf(struct ch_conf *conf, const char *section,
	const char *role, struct ch_api_options *ret_options);
/* Adds one URL.  CH_EINVAL when it is not https (or http, with http.allow_http) or has a path,
 * CH_ETOOBIG when there are too many. */
CH_MUST int ch_api_options_add_url(struct ch_api_options *options, const char *url);
CH_MUST int ch_api_new(
	const struct ch_api_options *options, struct ch_api **ret_api, struct ch_err *err);
/* The same over another ch_http (tests); api takes it over on success. */
CH_MUST int ch_api_new_over(const struct ch_api_options *options, struct ch_http *http,
	struct ch_api **ret_api, struct ch_err *err);
void ch_api_free(struct ch_api *api); /* NULL allowed */
/* The URL that answered last, or that is tried first; borrowed from api. */
const char *ch_api_url(const struct ch_api *api);
size_t ch_api_n_urls(const struct ch_api *api);

struct ch_api_call {
	const char *method;
	const char *path;    /* "/v1/…", already percent-encoded, query included */
	json_t *body;	     /* borrowed, may be NULL */
	int64_t timeout_ms;  /* 0: 30 s */
	size_t max_answer_b; /* 0: CH_API_ANSWER_MAX_B; a longer answer is CH_ETOOBIG */
	int status;	     /* filled in */
	json_t *answer; /* filled in: owned by the caller, NULL when there is no JSON body */
};
/* Sends to the URL that worked last; on a network error or 502/503/504 tries the others once.
 * A problem document becomes *err (problem = its code, detail = its detail, retry_at from
 * Retry-After) and a matching rc: 400 CH_EINVAL, 401/403 CH_EAUTH, 404 CH_ENOTFOUND, 409
 * CH_ECONFLICT, 413 CH_ETOOBIG, 429/503 CH_EAGAIN, others CH_EIO.  When no store was reached,
 * *err tells why for each URL.  An answer that is no JSON, gives a key twice or is nested
 * deeper than CH_API_DEPTH_MAX is CH_EPROTO.  Strings in it come from the network: they may
 * have control characters. */
CH_MUST int ch_api_call(struct ch_api *api, struct ch_api_call *call, struct ch_err *err);
/* A problem document that is a part of an answer: fills in *err and returns its rc, as above.
 */
CH_MUST int ch_api_problem(const struct ch_api *api, const json_t *doc, struct ch_err *err);
/* For answers that are not JSON (the feed): CH_OK only with status 200. */
CH_MUST int ch_api_get_raw(struct ch_api *api, const char *path, size_t max_b,
	int64_t timeout_ms, struct ch_http_resp *resp, struct ch_err *err);

/* How far the clock of the store that answered this process last is before ours (negative:
 * behind), by the Date of its answer; 0 below CH_API_LEAD_MS, and as long as none has answered.
 * Answers that took longer than CH_API_LEAD_MS do not tell. */
#define CH_API_LEAD_MS 30000
#define CH_API_LEAD_WRONG_MS (5 * CH_MINUTE_MS) /* people should know of it */
int64_t ch_api_lead_ms(void);
/* A time of ours as the store's clock will show it: what is to be done then is done then.
 * Always from 1970 to 9999. */
int64_t ch_api_store_ms(int64_t at_ms);

/* Percent-encodes one path segment or query value; appends. */
int ch_url_encode(struct ch_buf *out, const char *text);

#endif
