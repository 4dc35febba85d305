/* Who may see anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "script.h"
#include "ui/app.h"

static struct script script;
static struct ch_ui_store store;
static struct ch_ui_app app;
static struct ch_ui_reply reply;
static char cookie[200];
static bool needs_store;

static int setup(void **state)
{
	struct ch_err err;

	script = (struct script){.lines = NULL};
	store = script_store(&script);
	assert_int_equal(ch_ui_app_init(&app, "127.0.0.1:8420", 8420, &err), CH_OK);
	snprintf(cookie, sizeof(cookie), "other=1; " CH_UI_COOKIE "=%s", app.session);
	ch_ui_reply_init(&reply);
	return 0;
}

static int teardown(void **state)
{
	ch_ui_reply_done(&reply);
	ch_ui_app_done(&app);
	return 0;
}

static int ask(const struct ch_ui_request *request)
{
	ch_ui_reply_done(&reply);
	ch_ui_reply_init(&reply);
	script.asked[0] = 0;
	needs_store = !ch_ui_app_answer(&app, request, &reply);
	if (needs_store)
		ch_ui_app_show(&app, &store, request->uri, &reply);
	assert_int_equal(reply.html.buf.rc, CH_OK);
	return reply.status;
}

static struct ch_ui_request good(const char *uri)
{
	return (struct ch_ui_request){
		.method = "GET", .uri = uri, .host = "127.0.0.1:8420", .cookie = cookie};
}

static int get(const char *below_root)
{
	char uri[CH_UI_URI_MAX_B + 1];
	struct ch_ui_request request;

	snprintf(uri, sizeof(uri), "%s%s", app.root, below_root);
	request = good(uri);
	return ask(&request);
}

static const char *body(void)
{
	return ch_buf_str(&reply.html.buf);
}

static void the_token_becomes_a_cookie_for_a_path_of_its_own(void **state)
{
	char uri[100];
	char path[100];
	struct ch_ui_request request = good(uri);

	request.cookie = NULL;
	snprintf(uri, sizeof(uri), "/?token=%s", app.token);
	assert_int_equal(ask(&request), 303);
	snprintf(path, sizeof(path), "%s/", app.root);
	assert_string_equal(reply.location, path);
	assert_non_null(strstr(reply.set_cookie, app.session));
	assert_non_null(strstr(reply.set_cookie, "; HttpOnly; SameSite=Strict"));
	snprintf(path, sizeof(path), "; Path=%s/;", app.root);
	assert_non_null(strstr(reply.set_cookie, path));
	assert_null(strstr(reply.set_cookie, app.token));
	assert_string_equal(body(), "");
}

static void another_token_gets_nothing(void **state)
{
	char uri[120];
	struct ch_ui_request request = good(uri);
	char wrong[CH_UI_SECRET_TEXT_B];

	memcpy(wrong, app.token, sizeof(wrong));
	wrong[0] = wrong[0] == 'A' ? 'B' : 'A';
	for (int i = 0; i < 6; i++) {
		snprintf(uri, sizeof(uri),
			i == 0	 ? "/?token=%s"
			: i == 1 ? "/?token=%sx"
			: i == 2 ? "/?token="
			: i == 3 ? "/?x=%s"
			: i == 4 ? "/?token=%.10s"
				 : "/",
			i == 0 ? wrong : app.token);
		assert_int_equal(ask(&request), 403);
		assert_string_equal(reply.set_cookie, "");
		assert_null(strstr(body(), app.root));
	}
}

static void every_start_has_secrets_of_its_own(void **state)
{
	struct ch_ui_app other;
	struct ch_err err;

	assert_int_equal(ch_ui_app_init(&other, "127.0.0.1:1", 1, &err), CH_OK);
	assert_string_not_equal(other.token, app.token);
	assert_string_not_equal(other.session, app.session);
	assert_string_not_equal(other.root, app.root);
	assert_string_not_equal(app.session, app.token);
	assert_int_equal(strlen(app.token), 43);
	assert_int_equal(strlen(app.root), 23);
	ch_ui_app_done(&other);
	assert_string_equal(other.token, "");
}

static void without_the_cookie_nothing_is_asked_nor_shown(void **state)
{
	static const char *const paths[] = {
		"/", "/names", "/names/a.example", "/help/reason/ok", "/nonsense"};
	char wrong[200];
	const char *cookies[] = {NULL, "", CH_UI_COOKIE "=", wrong, "x=" CH_UI_COOKIE};

	snprintf(wrong, sizeof(wrong), CH_UI_COOKIE "=%.42s", app.session);
	for (size_t c = 0; c < CH_ARRAY_LEN(cookies); c++)
		for (size_t p = 0; p < CH_ARRAY_LEN(paths); p++) {
			char uri[100];
			struct ch_ui_request request = good(uri);

			snprintf(uri, sizeof(uri), "%s%s", app.root, paths[p]);
			request.cookie = cookies[c];
			assert_int_equal(ask(&request), 403);
			assert_string_equal(script.asked, "");
		}
	assert_int_equal(get("/"), 200);
}

static void a_cookie_of_another_does_not_shut_us_out(void **state)
{
	char uri[100];
	char two[300];
	struct ch_ui_request request = good(uri);

	snprintf(uri, sizeof(uri), "%s/names", app.root);
	snprintf(two, sizeof(two), CH_UI_COOKIE "=forged;" CH_UI_COOKIE "=%s", app.session);
	request.cookie = two;
	assert_int_equal(ask(&request), 200);
}

static void the_cookie_alone_is_not_enough_without_the_path(void **state)
{
	static const char *const uris[] = {"/", "/names", "/names/a.example", "*", "",
		"http://127.0.0.1:8420/names", "//names", "/x/names"};

	for (size_t i = 0; i < CH_ARRAY_LEN(uris); i++) {
		struct ch_ui_request request = good(uris[i]);

		assert_int_equal(ask(&request), 403);
		assert_string_equal(script.asked, "");
	}
}

static void other_hosts_are_refused(void **state)
{
	static const char *const bad[] = {NULL, "", "127.0.0.1", "localhost", "127.0.0.1:8421",
		"evil.example:8420", "127.0.0.1:8420.evil.example", "127.0.0.1:8420 ",
		"localhost.:8420", "[::2]:8420", "127.0.0.2:8420"};
	static const char *const ours[] = {"127.0.0.1:8420", "localhost:8420", "[::1]:8420"};
	char uri[100];
	struct ch_ui_request request = good(uri);

	snprintf(uri, sizeof(uri), "%s/", app.root);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		request.host = bad[i];
		assert_int_equal(ask(&request), 400);
		assert_string_equal(script.asked, "");
		assert_non_null(strstr(body(), "bad-host"));
	}
	for (size_t i = 0; i < CH_ARRAY_LEN(ours); i++) {
		request.host = ours[i];
		assert_int_equal(ask(&request), 200);
	}
}

static void requests_that_another_site_made_are_refused(void **state)
{
	static const char *const elsewhere[] = {"cross-site", "same-site", "", "nonsense"};
	static const char *const here[] = {"same-origin", "none", NULL};
	char uri[100];
	struct ch_ui_request request = good(uri);

	snprintf(uri, sizeof(uri), "%s/", app.root);
	for (size_t i = 0; i < CH_ARRAY_LEN(elsewhere); i++) {
		request.fetch_site = elsewhere[i];
		assert_int_equal(ask(&request), 403);
	}
	for (size_t i = 0; i < CH_ARRAY_LEN(here); i++) {
		request.fetch_site = here[i];
		assert_int_equal(ask(&request), 200);
	}
}

static void only_reading_is_allowed(void **state)
{
	static const char *const methods[] = {
		"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", ""};
	char uri[100];
	struct ch_ui_request request = good(uri);

	snprintf(uri, sizeof(uri), "%s/", app.root);
	for (size_t i = 0; i < CH_ARRAY_LEN(methods); i++) {
		request.method = methods[i];
		assert_int_equal(ask(&request), 405);
		assert_string_equal(script.asked, "");
	}
	request.method = "HEAD";
	assert_int_equal(ask(&request), 200);
}

static void bad_input_is_400_and_what_is_not_there_404(void **state)
{
	static const struct {
		const char *path;
		int status;
	} cases[] = {{"/names?state", 200}, {"/names?x=1", 400},
		{"/names?state=a&state=b", 400}, {"/names?state=%", 400},
		{"/names?state=%00", 400}, {"/?x=1", 400}, {"/?still=1", 200},
		{"/names/%", 400}, {"/names/%00", 400}, {"/names/a%2fb", 400},
		{"/names/a..b", 400}, {"/names/192.0.2.1", 400}, {"/names/a.example?x=1", 400},
		{"/names/", 404}, {"/names/a.example", 200}, {"/names/%e4%be%8b.example", 200},
		{"/namesx", 404}, {"/x", 404}, {"//", 404}, {"/help/", 404},
		{"/help/reason", 404}, {"/help/reason/", 404}, {"/help/reason/nonsense", 404},
		{"/help/x/ok", 404}, {"/help/reason/%zz", 400}, {"/help/reason/ok", 200},
		{"/help/alert/edge-silent", 200}};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++)
		if (get(cases[i].path) != cases[i].status)
			fail_msg("%s: %d", cases[i].path, reply.status);
}

static void addresses_that_are_too_long_are_414(void **state)
{
	struct ch_ui_request request = good(NULL);
	char path[2000] = "/names/";

	assert_int_equal(ask(&request), 414);
	memset(path + 7, 'a', sizeof(path) - 8);
	assert_int_equal(get(path), 400);
	assert_string_equal(script.asked, "");
}

static void what_is_refused_is_quoted_harmlessly(void **state)
{
	assert_int_equal(get("/names?%3Cscript%3Ealert(1)%3C/script%3E=1"), 400);
	assert_null(strstr(body(), "<script"));
	assert_int_equal(get("/names?<script>=1"), 400);
	assert_null(strstr(body(), "<script"));
	assert_non_null(strstr(body(), "&lt;script&gt;"));
	assert_int_equal(get("/names?prefix=\"><script>"), 200);
	assert_non_null(strstr(body(), "value=\"&quot;&gt;&lt;script&gt;\""));
}

static void the_style_is_for_everybody_and_holds_nothing(void **state)
{
	struct ch_ui_request request = good("/style.css");

	request.cookie = NULL;
	assert_int_equal(ask(&request), 200);
	assert_string_equal(reply.type, "text/css; charset=utf-8");
	assert_null(strstr(body(), app.root));
	request.uri = "/style.css?x";
	assert_int_equal(ask(&request), 403);
}

static void what_the_store_says_becomes_a_status(void **state)
{
	static const struct {
		int rc;
		const char *problem;
		int status;
		const char *says;
	} cases[] = {{CH_ENETWORK, "http-connect", 502, "The store cannot be reached"},
		{CH_ETIMEOUT, "store-timeout", 502, "The store cannot be reached"},
		{CH_EAGAIN, "store-busy", 502, "try again in a moment"},
		{CH_EAUTH, "not-authenticated", 502, "The store refuses us"},
		{CH_EPROTO, "body-not-json", 502, "of no use"},
		{CH_ETOOBIG, "http-too-big", 502, "of no use"},
		{CH_EIO, "internal", 502, "The store cannot be reached"},
		{CH_ENOTFOUND, "domain-not-found", 404, "certherd domain add"},
		{CH_EINVAL, "bad-query", 400, "This cannot be asked for"},
		{CH_ENOMEM, "out-of-memory", 500, "cannot be made"}};

	for (size_t i = 0; i < CH_ARRAY_LEN(cases); i++) {
		const struct script_line lines[] = {{.path = "/v1/",
							    .rc = cases[i].rc,
							    .problem = cases[i].problem,
							    .detail = "because of <it>"},
			{.path = NULL}};

		script.lines = lines;
		assert_int_equal(get("/names/a.example"), cases[i].status);
		assert_non_null(strstr(body(), cases[i].says));
		assert_non_null(strstr(body(), "because of &lt;it&gt;"));
		assert_int_equal(get("/"), cases[i].status);
		assert_int_equal(get("/names"), cases[i].status);
		script.lines = NULL;
	}
}

static void only_pages_that_show_what_the_store_knows_need_it(void **state)
{
	static const char *const without[] = {"/help/reason/ok", "/help/reason/nonsense"};
	static const char *const with[] = {"/", "/?still=1", "/names", "/names/a.example"};
	struct ch_ui_request style = good("/style.css");
	struct ch_ui_request stranger = good("/");

	for (size_t i = 0; i < CH_ARRAY_LEN(without); i++) {
		get(without[i]);
		assert_false(needs_store);
	}
	for (size_t i = 0; i < CH_ARRAY_LEN(with); i++) {
		assert_int_equal(get(with[i]), 200);
		assert_true(needs_store);
	}
	ask(&style);
	assert_false(needs_store);
	ask(&stranger);
	assert_false(needs_store);
}

static void who_has_shown_a_secret_is_known(void **state)
{
	char uri[100];
	struct ch_ui_request request = good(uri);

	snprintf(uri, sizeof(uri), "%s/names", app.root);
	ask(&request);
	assert_true(reply.known);
	request.cookie = NULL;
	ask(&request);
	assert_false(reply.known);
	snprintf(uri, sizeof(uri), "/?token=%s", app.token);
	ask(&request);
	assert_true(reply.known);
	snprintf(uri, sizeof(uri), "/?token=%sx", app.token);
	ask(&request);
	assert_false(reply.known);
	snprintf(uri, sizeof(uri), "/style.css");
	ask(&request);
	assert_false(reply.known);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_token_becomes_a_cookie_for_a_path_of_its_own),
		T(another_token_gets_nothing),
		T(every_start_has_secrets_of_its_own),
		T(without_the_cookie_nothing_is_asked_nor_shown),
		T(a_cookie_of_another_does_not_shut_us_out),
		T(the_cookie_alone_is_not_enough_without_the_path),
		T(other_hosts_are_refused),
		T(requests_that_another_site_made_are_refused),
		T(only_reading_is_allowed),
		T(bad_input_is_400_and_what_is_not_there_404),
		T(addresses_that_are_too_long_are_414),
		T(what_is_refused_is_quoted_harmlessly),
		T(the_style_is_for_everybody_and_holds_nothing),
		T(what_the_store_says_becomes_a_status),
		T(only_pages_that_show_what_the_store_knows_need_it),
		T(who_has_shown_a_secret_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
