/* The web interface: the address and headers of a request, then the store's answers, one a
 * part. The first part's first line is the address below where the pages are (or "!" and a
 * whole one, without the cookie); the lines after it are Host and Sec-Fetch-Site.  Whatever
 * comes, a page is well-formed and has no element, attribute or address that is not the
 * program's own. */
#include <jansson.h>
#include <string.h>

#include "fuzz.h"
#include "parts.h"
#include "ui/app.h"

static struct ch_fuzz_parts answers;
static int asked;
static int shown;
static int refused;

void ch_fuzz_replayed(void)
{
	CH_FUZZ_CHECK(shown > 0 && refused > 0);
}

static int get(void *arg, const char *path, json_t **ret_answer, struct ch_err *err)
{
	const char *text;
	size_t len;

	asked++;
	CH_FUZZ_CHECK(strncmp(path, "/v1/", 4) == 0 && ch_fuzz_is_plain(path));
	CH_FUZZ_CHECK(!strpbrk(path, " \"<>#"));
	if (!ch_fuzz_parts_next(&answers, &text, &len))
		return ch_err_set(err, CH_ENETWORK, "http-connect", "nobody answers");
	if (len && text[0] == '!')
		return ch_err_set(
			err, CH_ENOTFOUND, "domain-not-found", "%.*s", (int)len, text);
	*ret_answer = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	if (!*ret_answer)
		return ch_err_set(err, CH_EPROTO, "body-not-json", "it is no JSON");
	return CH_OK;
}

static bool is_one_of(const char *text, size_t len, const char *words)
{
	while (*words) {
		size_t n = strcspn(words, " ");

		if (n == len && strncmp(text, words, n) == 0)
			return true;
		words += n;
		words += strspn(words, " ");
	}
	return false;
}

/* href, action: on this server only. */
static void check_attribute(const char *name, size_t len, const char *value)
{
	CH_FUZZ_CHECK(is_one_of(name, len,
		"lang charset name content rel href class role scope data-label datetime title "
		"http-equiv aria-label aria-current aria-hidden viewBox preserveAspectRatio "
		"width "
		"height method action type autocapitalize spellcheck maxlength value id"));
	if (is_one_of(name, len, "href action"))
		CH_FUZZ_CHECK((value[0] == '/' && value[1] != '/') || value[0] == '#' ||
			      value[0] == '?');
}

/* After the element's name; returns what follows its '>'. */
static const char *check_attributes(const char *at)
{
	while (*at != '>') {
		const char *name;
		size_t len;

		CH_FUZZ_CHECK(*at == ' ' || *at == '/');
		if (*at++ == '/')
			continue;
		name = at;
		len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-");
		at += len;
		if (is_one_of(name, len, "selected open"))
			continue;
		CH_FUZZ_CHECK(at[0] == '=' && at[1] == '"');
		at += 2;
		check_attribute(name, len, at);
		at += strcspn(at, "<>\"");
		CH_FUZZ_CHECK(*at == '"');
		at++;
	}
	return at + 1;
}

#define DEPTH_MAX 32

/* Elements nest, and are those that pages have. */
static void check_html(const char *at)
{
	const char *open[DEPTH_MAX];
	size_t open_len[DEPTH_MAX];
	size_t depth = 0;

	CH_FUZZ_CHECK(strncmp(at, "<!DOCTYPE html>", 15) == 0);
	at += 15;
	while (*(at += strcspn(at, "<>"))) {
		bool closes = at[1] == '/';
		const char *name = at + 1 + closes;
		size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz123456");

		CH_FUZZ_CHECK(*at == '<');
		CH_FUZZ_CHECK(is_one_of(name, len,
			"html head meta link title body a header strong nav main h1 h2 h3 p ul "
			"li "
			"span section dl div dt dd time table caption thead tbody tr th td "
			"code "
			"pre br svg rect details summary form label input select option "
			"button"));
		if (closes) {
			CH_FUZZ_CHECK(depth && open_len[--depth] == len &&
				      strncmp(open[depth], name, len) == 0);
			CH_FUZZ_CHECK(name[len] == '>');
			at = name + len + 1;
			continue;
		}
		at = check_attributes(name + len);
		if (is_one_of(name, len, "meta link br input rect"))
			continue;
		CH_FUZZ_CHECK(depth < DEPTH_MAX);
		open[depth] = name;
		open_len[depth++] = len;
	}
	CH_FUZZ_CHECK(depth == 0);
}

static void check_reply(const struct ch_ui_reply *reply, const struct ch_ui_app *app)
{
	const char *body = ch_buf_str(&reply->html.buf);

	CH_FUZZ_CHECK(reply->html.buf.rc == CH_OK);
	CH_FUZZ_CHECK(strlen(body) == reply->html.buf.len && ch_fuzz_is_utf8(body));
	CH_FUZZ_CHECK(!strstr(body, app->token) && !strstr(body, app->session));
	if (reply->status == 303) {
		CH_FUZZ_CHECK(!*body && *reply->location);
		return;
	}
	CH_FUZZ_CHECK(!*reply->location && !*reply->set_cookie);
	if (strncmp(reply->type, "text/css", 8) == 0)
		return;
	for (const char *c = body; *c; c++)
		CH_FUZZ_CHECK((unsigned char)*c >= 0x20 || *c == '\n');
	check_html(body);
	if (reply->status == 200)
		shown++;
	else
		refused++;
}

/* A line of the request, or NULL at the end. */
static const char *take_line(const char **text, size_t *len, char *buffer, size_t buffer_b)
{
	const char *line;
	size_t line_len;

	if (!ch_fuzz_line(text, len, &line, &line_len) || line_len >= buffer_b ||
		memchr(line, 0, line_len))
		return NULL;
	memcpy(buffer, line, line_len);
	buffer[line_len] = 0;
	return buffer;
}

static void ask(const struct ch_ui_app *app, const char *text, size_t len)
{
	const struct ch_ui_store store = {.get = get};
	char address[CH_UI_URI_MAX_B];
	char uri[CH_UI_URI_MAX_B + CH_UI_SECRET_TEXT_B + 2];
	char cookie[100];
	char host[200];
	char site[200];
	const char *below = take_line(&text, &len, address, sizeof(address));
	struct ch_ui_request request = {.method = "GET"};
	struct ch_ui_reply reply;
	bool stranger = below && below[0] == '!';

	if (!below)
		return;
	snprintf(uri, sizeof(uri), "%s%s", stranger ? "" : app->root, below + stranger);
	snprintf(cookie, sizeof(cookie), "%s=%s", CH_UI_COOKIE, app->session);
	request.uri = uri;
	request.cookie = stranger ? NULL : cookie;
	request.host = take_line(&text, &len, host, sizeof(host));
	if (!request.host || !*request.host)
		request.host = "localhost:8420";
	request.fetch_site = take_line(&text, &len, site, sizeof(site));
	ch_ui_reply_init(&reply);
	if (!ch_ui_app_answer(app, &request, &reply)) {
		CH_FUZZ_CHECK(!stranger && reply.known);
		ch_ui_app_show(app, &store, uri, &reply);
	}
	check_reply(&reply, app);
	CH_FUZZ_CHECK(!stranger || !asked);
	ch_ui_reply_done(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ch_ui_app app;
	struct ch_err err;
	const char *text;
	size_t len;

	ch_fuzz_stop_clock();
	asked = 0;
	ch_fuzz_parts_init(&answers, data, size);
	if (!ch_fuzz_parts_next(&answers, &text, &len))
		return 0;
	CH_FUZZ_CHECK(ch_ui_app_init(&app, "127.0.0.1:8420", 8420, &err) == CH_OK);
	ask(&app, text, len);
	ch_ui_app_done(&app);
	return 0;
}
