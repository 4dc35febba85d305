#include "ui/app.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <sys/random.h>

#include "base/codec.h"
#include "base/mem.h"
#include "base/secret.h"
#include "ui/embedded.h"

#define NAME_MAX_B 1024u /* in any script, decoded */
#define CODE_MAX_B 65u

/* len: 32 at most. */
static int draw(size_t len, char ret_text[CH_UI_SECRET_TEXT_B])
{
	uint8_t bytes[32];

	if (getrandom(bytes, len, 0) != (ssize_t)len)
		return CH_EIO;
	ch_b64u_encode(bytes, len, ret_text);
	ch_wipe(bytes, sizeof(bytes));
	return CH_OK;
}

int ch_ui_app_init(
	struct ch_ui_app *app, const char *address, unsigned port, struct ch_err *err)
{
	*app = (struct ch_ui_app){.port = port};
	snprintf(app->address, sizeof(app->address), "%s", address);
	app->root[0] = '/';
	if (draw(32, app->token) || draw(32, app->session) || draw(16, app->root + 1))
		return ch_err_set(err, CH_EIO, "random", "this system has no random numbers");
	return CH_OK;
}

void ch_ui_app_done(struct ch_ui_app *app)
{
	ch_wipe(app, sizeof(*app));
}

void ch_ui_reply_init(struct ch_ui_reply *reply)
{
	*reply = (struct ch_ui_reply){.status = 500, .type = "text/html; charset=utf-8"};
	ch_html_init(&reply->html, "");
}

void ch_ui_reply_done(struct ch_ui_reply *reply)
{
	ch_html_done(&reply->html);
}

/* Takes as long whatever is in text. */
static bool is_secret(const char *text, size_t len, const char *secret)
{
	return len == strlen(secret) && CRYPTO_memcmp(text, secret, len) == 0;
}

static bool is_our_host(const struct ch_ui_app *app, const char *host)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]"};
	char ours[80];

	if (!host)
		return false;
	for (size_t i = 0; i < CH_ARRAY_LEN(hosts); i++) {
		snprintf(ours, sizeof(ours), "%s:%u", hosts[i], app->port);
		if (strcmp(host, ours) == 0)
			return true;
		/* Browsers leave this one out. */
		if (app->port == 80 && strcmp(host, hosts[i]) == 0)
			return true;
	}
	return strcmp(host, app->address) == 0;
}

/* Others may have set cookies of that name too, which must not shut us out. */
static bool has_cookie(const struct ch_ui_app *app, const char *cookie)
{
	static const char name[] = CH_UI_COOKIE "=";

	while (cookie && *cookie) {
		size_t len;

		cookie += strspn(cookie, "; ");
		len = strcspn(cookie, "; ");
		if (len > sizeof(name) - 1 && strncmp(cookie, name, sizeof(name) - 1) == 0 &&
			is_secret(cookie + sizeof(name) - 1, len - (sizeof(name) - 1),
				app->session))
			return true;
		cookie += len;
	}
	return false;
}

/* Another site, or another server on this machine, has the browser ask. */
static bool is_from_elsewhere(const struct ch_ui_request *request)
{
	return request->fetch_site && strcmp(request->fetch_site, "same-origin") != 0 &&
	       strcmp(request->fetch_site, "none") != 0;
}

static void stranger(struct ch_ui_page *page, struct ch_ui_reply *reply)
{
	reply->status = 403;
	ch_html_reset(&page->html);
	ch_ui_stranger(page);
}

/* "/?token=…" becomes a cookie, and leaves the address bar. */
static void sign_in(const struct ch_ui_app *app, const char *query, struct ch_ui_page *page,
	struct ch_ui_reply *reply)
{
	static const char key[] = "token=";
	size_t key_b = sizeof(key) - 1;

	if (strncmp(query, key, key_b) != 0 ||
		!is_secret(query + key_b, strlen(query + key_b), app->token)) {
		stranger(page, reply);
		return;
	}
	reply->status = 303;
	reply->known = true;
	snprintf(reply->location, sizeof(reply->location), "%s/", app->root);
	snprintf(reply->set_cookie, sizeof(reply->set_cookie),
		CH_UI_COOKIE "=%s; Path=%s/; HttpOnly; SameSite=Strict", app->session,
		app->root);
}

static int status_of(const struct ch_err *err)
{
	switch (err->rc) {
	case CH_EINVAL:
		return 400;
	case CH_ENOTFOUND:
		return 404;
	case CH_ENOMEM:
		return 500;
	}
	return 502;
}

static void problem(struct ch_ui_page *page, struct ch_ui_reply *reply, int status,
	const struct ch_err *err)
{
	reply->status = status;
	ch_html_reset(&page->html);
	ch_ui_problem(page, status, err);
}

static int bad_path(struct ch_err *err)
{
	return ch_err_set(err, CH_EINVAL, "bad-path",
		"A part of the path is too long or not encoded correctly.");
}

static int help(struct ch_ui_page *page, const char *rest, size_t len, struct ch_err *err)
{
	size_t kind_len = strcspn(rest, "/");
	char kind[CODE_MAX_B];
	char code[CODE_MAX_B];

	if (kind_len >= len)
		return ch_err_set(err, CH_ENOTFOUND, "no-such-page", "There is no such page.");
	if (ch_percent_decode(rest, kind_len, 0, kind, sizeof(kind)) ||
		ch_percent_decode(
			rest + kind_len + 1, len - kind_len - 1, 0, code, sizeof(code)))
		return bad_path(err);
	return ch_ui_help(page, kind, code, err);
}

static const char helps[] = "/help/";

static bool is_help(const char *path, size_t len)
{
	return len >= sizeof(helps) && strncmp(path, helps, sizeof(helps) - 1) == 0;
}

/* path: below the root, len bytes long; query: what comes after the question mark, or NULL. */
static int show(struct ch_ui_page *page, const char *path, size_t len, const char *query,
	struct ch_err *err)
{
	static const char names[] = "/names/";
	struct ch_query parsed;
	bool overview = len == 1 && path[0] == '/';
	bool list = len == sizeof(names) - 2 && strncmp(path, names, len) == 0;
	int rc = ch_query_parse(&parsed, query,
		overview ? CH_UI_OVERVIEW_QUERY
		: list	 ? CH_UI_NAMES_QUERY
			 : "",
		err);

	if (rc)
		return rc;
	if (overview)
		return ch_ui_overview(page, &parsed, err);
	if (list)
		return ch_ui_names(page, &parsed, err);
	if (len >= sizeof(names) && strncmp(path, names, sizeof(names) - 1) == 0) {
		char name[NAME_MAX_B];

		if (ch_percent_decode(path + sizeof(names) - 1, len - (sizeof(names) - 1), 0,
			    name, sizeof(name)))
			return bad_path(err);
		return ch_ui_name(page, name, err);
	}
	if (is_help(path, len))
		return help(page, path + sizeof(helps) - 1, len - (sizeof(helps) - 1), err);
	return ch_err_set(err, CH_ENOTFOUND, "no-such-page", "There is no such page.");
}

/* Of somebody who may see everything.  uri: with the root. */
static void show_or_say_why(struct ch_ui_page *page, const char *uri, struct ch_ui_reply *reply)
{
	size_t root_b = strlen(page->html.root);
	size_t len = strcspn(uri, "?");
	struct ch_err err = {0};

	reply->status = 200;
	if (show(page, uri + root_b, len - root_b, uri[len] ? uri + len + 1 : NULL, &err))
		problem(page, reply, status_of(&err), &err);
	else if (page->html.buf.rc == CH_ETOOBIG) {
		(void)ch_err_set(&err, CH_ETOOBIG, "page-too-big",
			"the store\u2019s answer makes a page that is too large to be shown");
		problem(page, reply, 502, &err);
	}
}

/* False: the store has to be asked. */
static bool answer(const struct ch_ui_app *app, const struct ch_ui_request *request,
	struct ch_ui_page *page, struct ch_ui_reply *reply)
{
	const char *uri = request->uri;
	size_t root_b = strlen(app->root);
	size_t len = strcspn(uri, "?");

	reply->known = has_cookie(app, request->cookie);
	if (strcmp(uri, "/style.css") == 0) {
		reply->status = 200;
		reply->type = "text/css; charset=utf-8";
		ch_buf_add_str(&page->html.buf, ch_ui_style);
	} else if (uri[0] == '/' && uri[1] == '?') {
		sign_in(app, uri + 2, page, reply);
	} else if (len <= root_b || !is_secret(uri, root_b, app->root) || uri[root_b] != '/' ||
		   !reply->known || is_from_elsewhere(request)) {
		stranger(page, reply);
	} else if (is_help(uri + root_b, len - root_b)) {
		show_or_say_why(page, uri, reply);
	} else {
		return false;
	}
	return true;
}

static void replace_html(struct ch_ui_reply *reply, const struct ch_html *html)
{
	ch_html_done(&reply->html);
	reply->html = *html;
}

bool ch_ui_app_answer(const struct ch_ui_app *app, const struct ch_ui_request *request,
	struct ch_ui_reply *reply)
{
	struct ch_ui_page page = {.store = NULL};
	struct ch_err err = {0};
	bool done = true;

	ch_html_init(&page.html, app->root);
	if (!is_our_host(app, request->host)) {
		reply->status = 400;
		(void)ch_err_set(&err, CH_EINVAL, "bad-host",
			"The address must begin with 127.0.0.1, localhost or [::1], and with "
			"the port that was printed.");
	} else if (strcmp(request->method, "GET") != 0 &&
		   strcmp(request->method, "HEAD") != 0) {
		reply->status = 405;
		(void)ch_err_set(&err, CH_EINVAL, "method-not-allowed",
			"There is only GET and HEAD here: changes are made with the command "
			"line.");
	} else if (!request->uri) {
		reply->status = 414;
		(void)ch_err_set(&err, CH_ETOOBIG, "uri-too-long",
			"An address may have %u bytes.", CH_UI_URI_MAX_B);
	} else {
		done = answer(app, request, &page, reply);
	}
	if (err.rc)
		ch_ui_problem_bare(&page, reply->status, &err);
	replace_html(reply, &page.html);
	return done;
}

void ch_ui_app_show(const struct ch_ui_app *app, const struct ch_ui_store *store,
	const char *uri, struct ch_ui_reply *reply)
{
	struct ch_ui_page page = {.store = store};

	ch_html_init(&page.html, app->root);
	show_or_say_why(&page, uri, reply);
	replace_html(reply, &page.html);
}
