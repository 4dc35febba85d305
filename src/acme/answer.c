#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "acme/call.h"
#include "base/clock.h"

/* A limit that names no time and no page to visit. */
#define LIMIT_WAIT_MS CH_HOUR_MS

static const char *const kinds[] = {"directory", "new nonce", "renewal information",
	"find account", "new account", "change account key", "deactivate account",
	"get account", "revoke certificate", "new order", "get order", "get authorization",
	"answer challenge", "finalize", "get certificate"};

const char *ch_acme_kind_str(enum ch_acme_kind kind)
{
	return kinds[kind];
}

void ch_acme_answer_init(struct ch_acme_answer *ans)
{
	memset(ans, 0, sizeof(*ans));
	ch_buf_init(&ans->pem, CH_ACME_CHAIN_MAX_B);
}

void ch_acme_answer_done(struct ch_acme_answer *ans)
{
	json_decref(ans->doc);
	ans->doc = NULL;
	ch_buf_done(&ans->pem);
}

static int64_t read_retry_after(const struct ch_http_resp *resp, int64_t now_ms)
{
	const char *value = ch_http_resp_header(resp, "retry-after");
	int64_t at_ms;

	if (!value || ch_http_retry_after(value, now_ms, &at_ms))
		return 0;
	return at_ms < now_ms + CH_SECOND_MS ? now_ms + CH_SECOND_MS : at_ms;
}

static enum ch_acme_fate set(
	struct ch_acme_answer *ans, enum ch_acme_fate fate, enum ch_actor actor)
{
	ans->fate = fate;
	ans->err.actor = actor;
	return fate;
}

/* An answer that is an error but no problem document: what the status alone says. */
static enum ch_acme_fate by_status(int status, struct ch_acme_answer *ans)
{
	if (status >= 300 && status <= 399)
		/* RFC 8555 section 6.4: a signed request is for one URL. */
		ch_err_set(&ans->err, CH_EPROTO, "ca-redirect",
			"The CA answered with a redirection (HTTP status %d), which is not "
			"followed: is the directory URL right, and is no proxy between?",
			status);
	else
		ch_err_set(&ans->err, CH_EPROTO, "ca-status",
			"The CA answered with HTTP status %d and no explanation.", status);
	if (status == 404 || status == 410)
		return set(ans, CH_ACME_GONE, CH_ACTOR_CA);
	if (status == 429)
		return set(ans, CH_ACME_LIMITED, CH_ACTOR_CA);
	if (status >= 502 && status <= 504)
		return set(ans, CH_ACME_OUTAGE, CH_ACTOR_CA);
	return set(ans, CH_ACME_LATER, CH_ACTOR_CA);
}

/* How much of the text that begins with a URL is the URL. */
static size_t page_len(const char *page)
{
	size_t len = 0;

	while (page[len] > ' ' && page[len] <= '~' && !strchr("\"<>\\", page[len]))
		len++;
	/* What ends the sentence. */
	while (len > 0 && strchr(".,;:)", page[len - 1]))
		len--;
	return len;
}

/* As ".../sfe/v1/unpause?jwt=…": other limits show the page that explains them. */
static bool is_to_unpause(const char *url)
{
	const char *path = strchr(url + strlen("https://"), '/');
	const char *found = path ? strcasestr(path, "/unpause") : NULL;

	return found && found < path + strcspn(path, "?#");
}

/* A limit of no known kind and without a time, whose detail shows the page where a person ends
 * it: the CA has paused the name for this account, and waiting changes nothing.  The page goes
 * to ans->page: it may be longer than an err.detail. */
static bool is_pause(struct ch_acme_answer *ans)
{
	const char *detail = ch_acme_json_str(ans->doc, "detail");
	const char *page = detail ? strstr(detail, "https://") : NULL;
	char url[CH_ACME_URL_B];

	if (ans->fate != CH_ACME_LIMITED || ans->retry_at_ms != 0 || !page ||
		ch_acme_problem_limit(ans->doc) != CH_ACME_LIMIT_UNKNOWN)
		return false;
	snprintf(url, sizeof(url), "%.*s", (int)page_len(page), page);
	/* Without a page that can be visited it is a limit like any other. */
	if (!ch_acme_url_ok(url) || !is_to_unpause(url))
		return false;
	strcpy(ans->page, url);
	return true;
}

/* RFC 8555 section 7.3.3: what a person has to visit is the "instance" of the problem. */
static void take_page_to_act(struct ch_acme_answer *ans)
{
	const char *url = ch_acme_json_str(ans->doc, "instance");

	if (ch_acme_url_ok(url))
		strcpy(ans->page, url);
}

/* What the account may not do with one object says nothing about the account: the object may
 * be another account's, from before this one was made. */
static bool is_about_object(enum ch_acme_kind kind, const struct ch_acme_answer *ans)
{
	return ans->fate == CH_ACME_ACCOUNT && kind >= CH_ACME_GET_ORDER &&
	       strcmp(ans->err.problem, "account-unauthorized") == 0;
}

static enum ch_acme_fate take_error(
	enum ch_acme_kind kind, int status, int64_t now_ms, struct ch_acme_answer *ans)
{
	const char *type = ch_acme_problem_type(ans->doc);

	if (!type[0])
		by_status(status, ans);
	else
		ans->fate = ch_acme_problem_read(ans->doc, CH_ACME_IN_ANSWER, &ans->err);
	/* An expired object is a 404 whose type is "malformed" with one big CA, "unauthorized"
	 * with others. */
	if (status == 404 || status == 410 || is_about_object(kind, ans))
		ans->fate = CH_ACME_GONE;
	else if (status == 429 && ans->fate != CH_ACME_LIMITED)
		set(ans, CH_ACME_LIMITED, CH_ACTOR_CA);
	else if (status >= 502 && status <= 504)
		set(ans, CH_ACME_OUTAGE, CH_ACTOR_CA);
	else if (status >= 500 && ans->fate != CH_ACME_LATER)
		set(ans, CH_ACME_LATER, CH_ACTOR_CA);
	if (is_pause(ans)) {
		ans->fate = CH_ACME_PAUSED;
		strcpy(ans->err.problem, "ca-paused");
		ans->err.actor = CH_ACTOR_PLATFORM;
		return ans->fate;
	}
	if (strcmp(ans->err.problem, "account-action-required") == 0)
		take_page_to_act(ans);
	ans->retry_guessed = ans->retry_at_ms == 0 && ans->fate == CH_ACME_LIMITED;
	if (ans->retry_guessed)
		ans->retry_at_ms = now_ms + LIMIT_WAIT_MS;
	ans->err.retry_at_ms = ans->retry_at_ms;
	return ans->fate;
}

/* `<URL>;rel="alternate"`, as RFC 8288 writes it and CAs send it: one in each header. */
static void take_alternate(const char *link, struct ch_acme_answer *ans)
{
	const char *end = link[0] == '<' ? strchr(link, '>') : NULL;
	char url[CH_ACME_URL_B];

	if (!end || !strstr(end, "rel=\"alternate\"") ||
		(size_t)(end - link) > sizeof(url) - 1 ||
		ans->n_alternates == CH_ACME_ALTERNATES_MAX)
		return;
	snprintf(url, sizeof(url), "%.*s", (int)(end - link - 1), link + 1);
	if (ch_acme_url_ok(url))
		strcpy(ans->alternates[ans->n_alternates++], url);
}

static void take_alternates(const struct ch_http_resp *resp, struct ch_acme_answer *ans)
{
	for (size_t i = 0; i < resp->n_headers; i++)
		if (strcmp(resp->headers[i].name, "link") == 0)
			take_alternate(resp->headers[i].value, ans);
}

static int take_certificate(struct ch_http_resp *resp, struct ch_acme_answer *ans)
{
	const char *begin = strstr(ch_buf_str(&resp->body), "-----BEGIN CERTIFICATE-----");

	if (!begin)
		return ch_err_set(&ans->err, CH_EPROTO, "ca-no-certificate",
			"The CA's answer holds no certificate in PEM.");
	ch_buf_done(&ans->pem);
	take_alternates(resp, ans);
	ans->pem = resp->body;
	ch_buf_init(&resp->body, 0);
	return CH_OK;
}

static int take_location(const struct ch_http_resp *resp, struct ch_acme_answer *ans)
{
	const char *url = ch_http_resp_header(resp, "location");

	if (!ch_acme_url_ok(url))
		return ch_err_set(&ans->err, CH_EPROTO, "ca-bad-url",
			"The CA's Location is missing, is not https, or is longer than %d "
			"bytes.",
			CH_ACME_URL_B - 1);
	strcpy(ans->location, url);
	return CH_OK;
}

static int take_json(struct ch_http_resp *resp, struct ch_acme_answer *ans)
{
	const char *type = ch_http_resp_header(resp, "content-type");
	int rc = ch_acme_json_load(
		ch_buf_str(&resp->body), resp->body.len, &ans->doc, &ans->err);

	/* The type is not worth refusing a good object for, but it explains a bad one. */
	if (rc && type && strncasecmp(type, "text/html", 9) == 0)
		ch_err_set(&ans->err, rc, "ca-answer-not-json",
			"The CA answered with a web page: is the directory URL right, and is "
			"no proxy between?");
	return rc;
}

static int take_object(
	enum ch_acme_kind kind, struct ch_http_resp *resp, struct ch_acme_answer *ans)
{
	int rc;

	switch (kind) {
	case CH_ACME_NEW_NONCE:
	case CH_ACME_ANSWER_CHALLENGE: /* the authorization is polled, not this */
	case CH_ACME_KEY_CHANGE:
	case CH_ACME_DEACTIVATE:
	case CH_ACME_GET_ACCOUNT:
	case CH_ACME_REVOKE:
		return CH_OK;
	case CH_ACME_FIND_ACCOUNT:
	case CH_ACME_NEW_ACCOUNT:
		return take_location(resp, ans);
	case CH_ACME_GET_CERTIFICATE:
		return take_certificate(resp, ans);
	default:
		break;
	}
	rc = take_json(resp, ans);
	if (rc)
		return rc;
	if (kind == CH_ACME_DIRECTORY)
		return ch_acme_directory_read(ans->doc, &ans->directory, &ans->err);
	if (kind == CH_ACME_RENEWAL_INFO)
		return ch_acme_window_read(ans->doc, &ans->window, &ans->err);
	if (kind == CH_ACME_GET_AUTHZ)
		return ch_acme_authz_read(ans->doc, &ans->authz, &ans->err);
	rc = ch_acme_order_read(ans->doc, &ans->order, &ans->err);
	if (rc == CH_OK && kind == CH_ACME_NEW_ORDER)
		rc = take_location(resp, ans);
	return rc;
}

/* RFC 9773 section 4.3.2 */
static void set_next_look(int64_t now_ms, struct ch_acme_answer *ans)
{
	if (ans->retry_at_ms == 0)
		ans->retry_at_ms = now_ms + CH_ACME_LOOK_MS;
	else if (ans->retry_at_ms < now_ms + CH_ACME_LOOK_LEAST_MS)
		ans->retry_at_ms = now_ms + CH_ACME_LOOK_LEAST_MS;
}

enum ch_acme_fate ch_acme_answer_take(enum ch_acme_kind kind, struct ch_http_resp *resp,
	int64_t now_ms, struct ch_acme_answer *ans)
{
	struct ch_err ignored;

	ans->status = resp->status;
	ans->retry_at_ms = read_retry_after(resp, now_ms);
	if (resp->status < 200 || resp->status > 299) {
		if (ch_acme_json_load(
			    ch_buf_str(&resp->body), resp->body.len, &ans->doc, &ignored))
			ans->doc = NULL;
		take_error(kind, resp->status, now_ms, ans);
	} else if (take_object(kind, resp, ans)) {
		set(ans, CH_ACME_LATER, CH_ACTOR_CA);
	} else {
		ans->fate = CH_ACME_OK;
		if (kind == CH_ACME_RENEWAL_INFO)
			set_next_look(now_ms, ans);
		else if (ans->retry_at_ms > now_ms + CH_ACME_POLL_MOST_MS)
			ans->retry_at_ms = now_ms + CH_ACME_POLL_MOST_MS;
	}
	if (ans->fate != CH_ACME_OK)
		snprintf(ans->err.activity, sizeof(ans->err.activity), "%s",
			ch_acme_kind_str(kind));
	return ans->fate;
}

enum ch_acme_fate ch_acme_answer_no_answer(
	const struct ch_err *http_err, struct ch_acme_answer *ans)
{
	ans->status = 0;
	ans->err = *http_err;
	/* Too long an answer is a word about this request, silence is not. */
	if (http_err->rc == CH_ETOOBIG || http_err->rc == CH_EPROTO)
		return set(ans, CH_ACME_LATER, CH_ACTOR_CA);
	return set(ans, CH_ACME_OUTAGE, CH_ACTOR_CA);
}
