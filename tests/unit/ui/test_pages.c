/* What pages make of the store's answers, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "script.h"

#define BAD "<script>evil()</script>\\u202e\\u0007"

static struct script script;
static struct ch_ui_store store;
static struct ch_ui_page page;
static struct ch_query query;
static struct ch_err err;

static int setup(void **state)
{
	script = (struct script){.lines = NULL};
	store = script_store(&script);
	page = (struct ch_ui_page){.store = &store};
	ch_html_init(&page.html, "/r");
	err = (struct ch_err){0};
	return 0;
}

static int teardown(void **state)
{
	ch_html_done(&page.html);
	return 0;
}

static const char *body(void)
{
	return ch_buf_str(&page.html.buf);
}

static void has(const char *text)
{
	if (!strstr(body(), text))
		fail_msg("no \"%s\" in\n%s", text, body());
}

static void has_not(const char *text)
{
	if (strstr(body(), text))
		fail_msg("\"%s\" in\n%s", text, body());
}

static int overview(const struct script_line *lines, const char *raw)
{
	script.lines = lines;
	ch_html_reset(&page.html);
	assert_int_equal(ch_query_parse(&query, raw, CH_UI_OVERVIEW_QUERY, &err), CH_OK);
	return ch_ui_overview(&page, &query, &err);
}

static int names(const struct script_line *lines, const char *raw)
{
	script.lines = lines;
	ch_html_reset(&page.html);
	assert_int_equal(ch_query_parse(&query, raw, CH_UI_NAMES_QUERY, &err), CH_OK);
	return ch_ui_names(&page, &query, &err);
}

static int name(const struct script_line *lines, const char *of)
{
	script.lines = lines;
	ch_html_reset(&page.html);
	return ch_ui_name(&page, of, &err);
}

static const char status[] =
	"{\"names\":{\"total\":1234567,\"active\":1234560,\"failed\":7},\"failed\":{"
	"\"customer\":10000,\"platform\":2,\"operator\":0,\"ca\":0},\"next_due_at\":null,"
	"\"next_expiry\":{\"name\":\"a.example.com\",\"not_after\":\"2027-01-15T08:00:00."
	"000Z\"},"
	"\"orders\":{\"open\":5,\"waiting\":3},\"edges\":[{\"id\":\"edge/default/e1\",\"live\":"
	"true,\"lag\":10000,\"names\":7,\"software\":\"certherd/9\",\"error\":null},{\"id\":"
	"\"edge/default/e2\",\"live\":false,\"lag\":0,\"error\":\"disk " BAD "\"}],\"pools\":[{"
	"\"pool\":\"p1\",\"frozen\":{\"since\":null,\"who\":null,\"reason\":\"" BAD "\"},"
	"\"canary\":{\"edge\":\"edge/p1/"
	"c\",\"soak_ms\":1,\"state\":\"silent\",\"trouble\":null},"
	"\"held\":12}],\"issuers\":[{\"id\":\"issuer/default/i1\",\"software\":\"certherd/"
	"0.0.9\",\"cas\":[\"main\",\"" BAD "\"],"
	"\"heard_at\":\"2026-12-31T23:59:00.000Z\"},{\"id\":\"issuer/default/i2\",\"cas\":7,"
	"\"heard_at\":\"2026-12-31T23:44:00.000Z\"}],\"schema\":15,\"version\":\"0.1.0\","
	"\"now\":\"2027-01-01T00:00:00."
	"000Z\"}";

static const struct script_line whole[] = {{.path = "/v1/status", .json = status},
	{.path = "/v1/alerts",
		.json = "{\"alerts\":[{\"kind\":\"edge-silent\",\"subject\":\"edge/default/"
			"e2\","
			"\"severity\":\"critical\",\"detail\":\"" BAD "\",\"opened_at\":"
			"\"2027-01-01T00:00:00.000Z\"},{\"kind\":\"of-tomorrow\",\"severity\":"
			"\"" BAD "\"}]}"},
	{.path = "/v1/limits",
		.json = "{\"limits\":[{\"limit\":\"account\",\"of\":\"ca.example/"
			"1\",\"allowed\":\"300/3h\","
			"\"left\":30,\"next_at\":\"2020-01-01T00:00:00Z\",\"full_at\":null}],"
			"\"more\":true,"
			"\"waiting\":4321}"},
	{.path = "/v1/calendar",
		.json = "{\"total\":9,\"overdue\":2,\"days\":[{\"day\":\"2027-01-02T00:00:00."
			"000Z\","
			"\"renewals\":7}]}"},
	{.path = "/v1/forecast",
		.json = "{\"limited\":true,\"raise\":\"orders_per_account\",\"raise_ca\":"
			"\"backup\",\"classes\":[{"
			"\"class\":\"new\","
			"\"waiting\":77,\"first_at\":\"2020-01-01T00:00:00Z\",\"half_at\":"
			"null,\"done_at\":"
			"null,\"limit\":\"account\"}]}"},
	{.path = NULL}};

static void the_overview_has_what_the_commands_have(void **state)
{
	assert_int_equal(overview(whole, NULL), CH_OK);
	has("1,234,567");
	has("href=\"/r/names?state=failed&amp;actor=platform\"");
	has("\u2265\u00a010,000");
	has("href=\"/r/names/a.example.com\"");
	has("5 open, 3 of them waiting");
	has("edge/default/e1");
	has("certherd/9");
	has("certherd feed thaw --pool p1");
	has("issuer/default/i1</td><td role=\"cell\" data-label=\"State\"><span class=\"badge "
	    "good\">live<");
	has("issuer/default/i2</td><td role=\"cell\" data-label=\"State\"><span class=\"badge "
	    "bad\">silent<");
	has("certherd/0.0.9 <span class=\"badge warn\">older than the store<");
	has("certherd/9 <span class=\"badge warn\">newer than the store<");
	has("href=\"/r/help/alert/edge-silent\"");
	has("An edge has not reported within");
	has("width=\"90.0\""); /* of 300, 30 are left */
	has("4,321");
	has("Ask the CA backup to raise orders_per_account.");
	has("2027-01-02");
	has("<meta http-equiv=\"refresh\"");
	assert_string_equal(script.asked, "/v1/status\n/v1/alerts\n/v1/limits\n/v1/calendar\n"
					  "/v1/forecast\n");
}

static void hostile_texts_are_shown_and_do_nothing(void **state)
{
	assert_int_equal(overview(whole, NULL), CH_OK);
	has_not("<script");
	has_not("\u202e");
	has_not("\a");
	has("disk &lt;script&gt;evil()&lt;/script&gt;\u27e8U+202E\u27e9\u2407");
}

static void it_may_be_kept_as_it_is(void **state)
{
	assert_int_equal(overview(whole, "still=1"), CH_OK);
	has_not("http-equiv");
}

static void what_an_identity_may_not_see_is_said_in_its_place(void **state)
{
	const struct script_line lines[] = {{.path = "/v1/status", .json = status},
		{.path = "/v1/", .rc = CH_EAUTH, .problem = "not-allowed", .detail = "no"},
		{.path = NULL}};

	assert_int_equal(overview(lines, NULL), CH_OK);
	has("1,234,567");
	has("This identity may not see it");
	has_not("Nothing is wrong");
	has_not("No limit of a CA is used up");
}

static void a_store_that_fails_in_between_is_no_page(void **state)
{
	const struct script_line lines[] = {{.path = "/v1/status", .json = status},
		{.path = "/v1/calendar",
			.rc = CH_ENETWORK,
			.problem = "http-connect",
			.detail = "gone"},
		{.path = NULL}};
	const struct script_line refused[] = {{.path = "/v1/status", .json = status},
		{.path = "/v1/alerts",
			.rc = CH_EAUTH,
			.problem = "not-authenticated",
			.detail = "revoked"},
		{.path = NULL}};

	assert_int_equal(overview(lines, NULL), CH_ENETWORK);
	assert_int_equal(overview(refused, NULL), CH_EAUTH);
}

static void answers_of_other_types_are_no_reason_to_fall(void **state)
{
	static const char *const odd[] = {"{}",
		"{\"names\":[],\"failed\":7,\"edges\":{\"a\":1},\"pools\":\"x\",\"orders\":"
		"null,"
		"\"next_expiry\":[],\"now\":7,\"alerts\":{},\"limits\":[1,null,\"x\",[]],"
		"\"days\":[0,"
		"{\"day\":7,\"renewals\":\"x\"}],\"classes\":[[],{\"class\":{}}],\"domains\":["
		"7,{}],"
		"\"next_cursor\":7}",
		"{\"names\":{\"total\":-9223372036854775808},\"edges\":[{\"lag\":"
		"-9223372036854775808}],\"alerts\":[null,{\"kind\":7}],\"limits\":[{"
		"\"allowed\":"
		"\"99999999999999999999\",\"left\":-9223372036854775808}],\"days\":[{"
		"\"renewals\":"
		"9223372036854775807}],\"overdue\":-1}"};

	for (size_t i = 0; i < CH_ARRAY_LEN(odd); i++) {
		const struct script_line lines[] = {
			{.path = "/v1/", .json = odd[i]}, {.path = NULL}};

		assert_int_equal(overview(lines, NULL), CH_OK);
		assert_int_equal(names(lines, NULL), CH_OK);
		assert_int_equal(name(lines, "a.example.com"), CH_OK);
	}
}

static void an_answer_that_is_no_object_is_refused(void **state)
{
	static const char *const none[] = {"[]", "7", "null", "\"x\""};

	for (size_t i = 0; i < CH_ARRAY_LEN(none); i++) {
		const struct script_line lines[] = {
			{.path = "/v1/", .json = none[i]}, {.path = NULL}};

		assert_int_equal(overview(lines, NULL), CH_EPROTO);
		assert_int_equal(names(lines, NULL), CH_EPROTO);
		assert_int_equal(name(lines, "a.example.com"), CH_EPROTO);
	}
}

static void lists_are_cut(void **state)
{
	static char text[64000];
	const struct script_line lines[] = {{.path = "/v1/status", .json = text},
		{.path = "/v1/domains", .json = text}, {.path = NULL}};
	size_t used = (size_t)snprintf(text, sizeof(text), "{\"edges\":[");

	for (int i = 0; i < 1000; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"%s{\"id\":\"edge%d\"}", i ? "," : "", i);
	used += (size_t)snprintf(text + used, sizeof(text) - used, "],\"domains\":[");
	for (int i = 0; i < 1000; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
			"%s{\"name\":\"n%d\"}", i ? "," : "", i);
	snprintf(text + used, sizeof(text) - used, "]}");
	assert_int_equal(overview(lines, NULL), CH_OK);
	has("edge99<");
	has_not("edge100<");
	has("And 900 more");
	assert_int_equal(names(lines, NULL), CH_OK);
	has(">n49<");
	has_not(">n50<");
}

static void a_name_in_line_says_so(void **state)
{
#define IN_LINE                                                                                \
	"\"state\":\"pending\",\"reason\":{\"code\":\"ca-limit-account\"},"                    \
	"\"next_at\":\"2020-01-15T08:00:00.000Z\",\"certificate\":null"
	const struct script_line lines[] = {
		{.path = "/v1/domains?",
			.json = "{\"domains\":[{\"name\":\"a.example\"," IN_LINE
				"},{\"name\":\"b.example\"," IN_LINE
				",\"expected\":{\"at\":\"2020-02-20T09:00:00.000Z\"}}],"
				"\"next_cursor\":null}"},
		{.path = NULL}};

	assert_int_equal(names(lines, NULL), CH_OK);
	has("in line");
	has("2020-02-20");
	has_not("2020-01-15");
}

static void names_are_filtered_and_go_on(void **state)
{
	const struct script_line lines[] = {
		{.path = "/v1/domains?",
			.json = "{\"domains\":[{\"name\":\"xn--bcher-kva.example\",\"display\":"
				"\"b\u00fccher.example\",\"state\":\"failed\",\"tenant\":\"" BAD
				"\",\"reason\":{"
				"\"code\":\"dns-failed\",\"detail\":\"" BAD
				"\",\"actor\":\"customer\"},"
				"\"next_at\":\"2027-01-15T08:00:00.000Z\",\"certificate\":null}"
				"],"
				"\"next_cursor\":\"a&b\\\"c\"}"},
		{.path = NULL}};

	assert_int_equal(
		names(lines, "state=failed&tenant=&actor=customer&prefix=a%26b"), CH_OK);
	assert_string_equal(script.asked,
		"/v1/domains?limit=50&state=failed&actor=customer&prefix=a%26b\n");
	has("href=\"/r/names/xn--bcher-kva.example\">b\u00fccher.example</a>");
	has("customer\u2019s DNS");
	has("href=\"/r/help/reason/dns-failed\"");
	has("<option value=\"failed\" selected>");
	has("href=\"/r/"
	    "names?state=failed&amp;actor=customer&amp;prefix=a%26b&amp;cursor=a%26b%22c\"");
	has_not("<script");
	has_not("To the beginning");
	script.asked[0] = 0;
	assert_int_equal(names(lines, "cursor=x&state=failed"), CH_OK);
	assert_string_equal(script.asked, "/v1/domains?limit=50&state=failed&cursor=x\n");
	has("href=\"/r/names?state=failed\">\u2190 To the beginning");
}

/* As people write names; the store knows their ASCII form. */
static void the_beginning_of_names_may_be_in_any_script(void **state)
{
	const struct script_line lines[] = {
		{.path = "/v1/domains?", .json = "{\"domains\":[],\"next_cursor\":\"x\"}"},
		{.path = NULL}};

	assert_int_equal(names(lines, "prefix=B%C3%BCcher%E3%80%82exa&state=failed"), CH_OK);
	assert_string_equal(
		script.asked, "/v1/domains?limit=50&state=failed&prefix=xn--bcher-kva.exa\n");
	has("value=\"B\u00fccher\u3002exa\"");
	has("names?state=failed&amp;prefix=B%C3%BCcher%E3%80%82exa&amp;cursor=x\"");
	script.asked[0] = 0;
	assert_int_equal(names(lines, "prefix=b%C3%BC"), CH_EINVAL);
	assert_int_equal(names(lines, "prefix=%E2%98%83."), CH_EINVAL);
	assert_string_equal(script.asked, "");
}

static void an_empty_part_of_the_list_is_not_its_end(void **state)
{
	const struct script_line more[] = {
		{.path = "/v1/domains?", .json = "{\"domains\":[],\"next_cursor\":\"x\"}"},
		{.path = NULL}};
	const struct script_line end[] = {
		{.path = "/v1/domains?", .json = "{\"domains\":[],\"next_cursor\":null}"},
		{.path = NULL}};

	assert_int_equal(names(more, NULL), CH_OK);
	has("may be some further on");
	has("More \u2192");
	assert_int_equal(names(end, NULL), CH_OK);
	has("There is no such name");
	has_not("More \u2192");
}

static const char domain[] =
	"{\"name\":\"a.example.com\",\"display\":\"a.example.com\",\"tenant\":\"t1\",\"pool\":"
	"\"default\",\"www\":true,\"keys\":\"ecdsa+rsa\",\"cas\":[\"main\",\"" BAD
	"\"],\"state\":"
	"\"failed\",\"reason\":{\"code\":\"dns-points-elsewhere\",\"detail\":\"It leads to "
	"192.0.2.1.\",\"actor\":\"customer\"},\"next_at\":\"2027-01-15T08:00:00.000Z\","
	"\"failures\":3,\"wanted_at\":\"2027-01-02T00:00:00.000Z\",\"expected\":{\"at\":null,"
	"\"limit\":\"domain\",\"ahead\":5},"
	"\"certificate\":{\"serial\":\"0a0b\",\"issuer\":\"CN=X\",\"ca\":\"of-live\","
	"\"names\":[\"a.example.com\"]"
	","
	"\"not_before\":\"2026-12-01T00:00:00.000Z\",\"not_after\":\"2027-02-15T08:00:00."
	"000Z\","
	"\"renew_at\":\"2027-01-30T00:00:00.000Z\",\"renewal_info\":{\"start\":"
	"\"2027-01-29T00:00:00.000Z\",\"end\":\"2027-01-31T00:00:00.000Z\",\"explanation\":"
	"\"https://ca.example/why\"}},\"second\":{\"reason\":{\"code\":\"queued\",\"actor\":"
	"\"nobody\"},\"certificate\":null,\"standby\":{\"ready\":false,\"wanted\":\"backup\"}},"
	"\"standby\":{\"ready\":true,\"ca\":\"backup\",\"wanted\":\"backup\"},\"delegation\":{"
	"\"name\":\"_acme-challenge.a.example.com\",\"cname\":\"x.dns.example\"},\"persist\":[{"
	"\"name\":\"_validation-persist.a.example.com\",\"txt\":\"ca.example; "
	"x\"}],\"caa\":[\"0 "
	"issue "
	"\\\"ca.example\\\"\"],\"history\":[{\"at\":\"2027-01-01T00:00:00.000Z\",\"event\":"
	"\"failed\",\"detail\":\"" BAD "\",\"actor\":\"customer\"}]}";

static const struct script_line one[] = {{.path = "/v1/domains/a.example.com", .json = domain},
	{.path = "/v1/orders?limit=10&name=a.example.com",
		.json = "{\"orders\":[{\"id\":41,\"state\":\"failed\",\"key\":\"rsa\","
			"\"second\":true,"
			"\"attempts\":2,\"lease\":{\"issuer\":\"issuer/default/"
			"i1\"},\"reason\":{\"code\":"
			"\"ca-internal\",\"detail\":\"" BAD "\"}}]}"},
	{.path = NULL}};

static void a_name_has_what_domain_show_has(void **state)
{
	assert_int_equal(name(one, "A.Example.com."), CH_OK);
	assert_string_equal(script.asked,
		"/v1/domains/a.example.com\n/v1/orders?limit=10&name=a.example.com\n");
	has("It leads to 192.0.2.1.");
	has("href=\"/r/help/reason/dns-points-elsewhere\"");
	has("<strong>customer\u2019s DNS</strong>");
	has("point the name here"); /* of doc/troubleshooting.md */
	/* When the store looks at it again is not when its turn is. */
	has_not("2027-01-15 08:00:00 UTC");
	has("in more than a year, for the limit of the registered domain, 5 before it");
	has("3 in a row");
	has("Asked for");
	has("<code>0a0b</code>");
	has("https://ca.example/why");
	has("of-live");
	has("Second certificate");
	has("Standby certificate");
	has("Standby of the second certificate");
	has("a.example.com CAA 0 issue &quot;ca.example&quot;");
	has("_validation-persist.a.example.com TXT &quot;ca.example; x&quot;");
	has("_acme-challenge.a.example.com CNAME x.dns.example");
	has("issuer/default/i1");
	has("rsa, second");
	has_not("<script");
	has_not("href=\"https:");
}

static void a_name_that_is_none_is_not_asked_for(void **state)
{
	assert_int_equal(name(one, "a_b.example"), CH_EINVAL);
	assert_int_equal(name(one, ""), CH_EINVAL);
	assert_string_equal(script.asked, "");
	assert_true(err.problem[0] && err.detail[0]);
}

static void a_code_is_explained(void **state)
{
	assert_int_equal(ch_ui_help(&page, "reason", "dns-failed", &err), CH_OK);
	has("SERVFAIL");
	has("<strong>Customer:</strong>");
	has("<code>dig +trace NAME</code>");
	ch_html_reset(&page.html);
	assert_int_equal(ch_ui_help(&page, "reason", "dns-problem", &err), CH_OK);
	has("href=\"/r/help/reason/dns-failed\"");
	assert_int_equal(ch_ui_help(&page, "reason", "edge-silent", &err), CH_ENOTFOUND);
	assert_int_equal(ch_ui_help(&page, "alert", "edge-silent", &err), CH_OK);
	assert_int_equal(ch_ui_help(&page, "other", "ok", &err), CH_ENOTFOUND);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_overview_has_what_the_commands_have),
		T(hostile_texts_are_shown_and_do_nothing),
		T(it_may_be_kept_as_it_is),
		T(what_an_identity_may_not_see_is_said_in_its_place),
		T(a_store_that_fails_in_between_is_no_page),
		T(answers_of_other_types_are_no_reason_to_fall),
		T(an_answer_that_is_no_object_is_refused),
		T(lists_are_cut),
		T(names_are_filtered_and_go_on),
		T(a_name_in_line_says_so),
		T(the_beginning_of_names_may_be_in_any_script),
		T(an_empty_part_of_the_list_is_not_its_end),
		T(a_name_has_what_domain_show_has),
		T(a_name_that_is_none_is_not_asked_for),
		T(a_code_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
