/* Parts of the overview: what is wrong, how full the limits are, and what comes. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ui/parts.h"

#define DAYS_SHOWN 14

static void add_alert(struct ch_html *html, const json_t *alert)
{
	const char *severity = ch_json_str(alert, "severity");
	const char *kind = ch_json_str(alert, "kind");
	const char *subject = ch_json_str(alert, "subject");
	const char *section = ch_ui_section("alert", kind);

	if (strcmp(severity, "critical") == 0)
		CH_HTML(html, "<div class=\"card bad\"><h3>");
	else
		CH_HTML(html, "<div class=\"card warn\"><h3>");
	ch_ui_badge(html, severity);
	CH_HTML(html, " ");
	ch_ui_code(html, "alert", kind);
	if (*subject) {
		CH_HTML(html, " <span class=\"subject\">");
		ch_html_text_cut(html, subject, 300);
		CH_HTML(html, "</span>");
	}
	CH_HTML(html, "</h3>\n<p>");
	ch_html_text_cut(html, ch_json_str(alert, "detail"), 2000);
	CH_HTML(html, "</p>\n<p class=\"quiet\">Since ");
	ch_html_moment(html, ch_json_time(alert, "opened_at"));
	CH_HTML(html, "</p>\n");
	if (section) {
		CH_HTML(html, "<details open><summary>What to do</summary>");
		ch_html_section(html, section);
		CH_HTML(html, "</details>\n");
	}
	CH_HTML(html, "</div>\n");
}

int ch_ui_alerts(struct ch_ui_page *page, struct ch_err *err)
{
	CH_UI_AUTO_JSON json_t *answer = NULL;
	struct ch_html *html = &page->html;
	const json_t *alerts;
	size_t i;
	int rc;

	CH_HTML(html, "<section>\n<h2>Alerts</h2>\n");
	rc = ch_ui_get_part(page, "/v1/alerts", &answer, err);
	if (rc)
		return rc;
	alerts = json_object_get(answer, "alerts");
	for (i = 0; i < json_array_size(alerts) && i < CH_UI_ROWS_MAX; i++)
		add_alert(html, json_array_get(alerts, i));
	if (answer && i == 0)
		CH_HTML(html, "<p class=\"card good\">Nothing is wrong.</p>\n");
	ch_ui_more(html, json_array_size(alerts), "certherd alerts");
	CH_HTML(html, "</section>\n");
	return CH_OK;
}

/* "300/3h" allows 300. */
static int64_t allowed_of(const json_t *bucket)
{
	const char *text = ch_json_str(bucket, "allowed");
	size_t digits = strspn(text, "0123456789");

	return digits && digits < 10 ? strtoll(text, NULL, 10) : 0;
}

static void add_soon(struct ch_html_table *table, int64_t at_ms)
{
	ch_html_cell(table);
	if (at_ms && at_ms <= ch_now_ms())
		CH_HTML(table->html, "now");
	else
		ch_html_when(table->html, at_ms);
}

static void add_buckets(struct ch_html *html, const json_t *limits)
{
	static const char *const heads[] = {
		"Limit of", "~Which", ">Allowed", ">Left", "Used", "Next", "Full again"};
	struct ch_html_table table;
	const json_t *bucket;
	size_t i;

	ch_html_table_begin(&table, html, "Limits of the CAs that are used up at least in part",
		heads, CH_ARRAY_LEN(heads));
	json_array_foreach(limits, i, bucket)
	{
		int64_t allowed = allowed_of(bucket);
		int64_t left = ch_json_int(bucket, "left");

		if (i == CH_UI_ROWS_MAX)
			break;
		left = left < 0 ? 0 : left;
		ch_html_cell_text(&table, ch_answer_limit_str(ch_json_str(bucket, "limit")));
		ch_html_cell(&table);
		ch_html_text_cut(html, ch_json_str(bucket, "of"), 300);
		ch_html_cell(&table);
		ch_html_text_cut(html, ch_json_str(bucket, "allowed"), 64);
		ch_html_cell_count(&table, left);
		ch_html_cell(&table);
		ch_html_bar(html, allowed > left ? allowed - left : 0, allowed);
		add_soon(&table, ch_json_time(bucket, "next_at"));
		add_soon(&table, ch_json_time(bucket, "full_at"));
	}
	ch_html_table_end(&table);
}

int ch_ui_limits(struct ch_ui_page *page, struct ch_err *err)
{
	CH_UI_AUTO_JSON json_t *answer = NULL;
	struct ch_html *html = &page->html;
	const json_t *limits;
	int64_t waiting;
	int rc;

	CH_HTML(html, "<section>\n<h2>Limits of the CAs</h2>\n");
	rc = ch_ui_get_part(page, "/v1/limits", &answer, err);
	if (rc)
		return rc;
	limits = json_object_get(answer, "limits");
	waiting = ch_json_int(answer, "waiting");
	if (json_array_size(limits))
		add_buckets(html, limits);
	else if (answer)
		CH_HTML(html, "<p>No limit of a CA is used up, not even in part.</p>\n");
	ch_ui_more(html, json_array_size(limits), "certherd limits");
	if (json_is_true(json_object_get(answer, "more")))
		CH_HTML(html, "<p class=\"quiet\">The store knows of more than these.</p>\n");
	if (waiting > 0) {
		CH_HTML(html, "<p>Names that wait for the account\u2019s next order: ");
		ch_html_count(html, waiting);
		CH_HTML(html, ". The page of each says when its turn comes.</p>\n");
	}
	CH_HTML(html, "</section>\n");
	return CH_OK;
}

static void add_days(struct ch_html *html, const json_t *days)
{
	static const char *const heads[] = {"Day (UTC)", ">Renewals", "Load"};
	size_t n = json_array_size(days);
	struct ch_html_table table;
	int64_t most = 1;

	n = n < DAYS_SHOWN ? n : DAYS_SHOWN;
	for (size_t i = 0; i < n; i++) {
		int64_t renewals = ch_json_int(json_array_get(days, i), "renewals");

		most = renewals > most ? renewals : most;
	}
	ch_html_table_begin(
		&table, html, "The next days that have renewals", heads, CH_ARRAY_LEN(heads));
	for (size_t i = 0; i < n; i++) {
		const json_t *day = json_array_get(days, i);

		ch_html_cell(&table);
		ch_html_textf(html, "%.10s", ch_json_str(day, "day"));
		ch_html_cell_count(&table, ch_json_int(day, "renewals"));
		ch_html_cell(&table);
		ch_html_bar(html, ch_json_int(day, "renewals"), most);
	}
	ch_html_table_end(&table);
	if (json_array_size(days) > n)
		CH_HTML(html,
			"<p class=\"quiet\">All days: <code>certherd calendar</code></p>\n");
}

int ch_ui_calendar(struct ch_ui_page *page, struct ch_err *err)
{
	CH_UI_AUTO_JSON json_t *answer = NULL;
	struct ch_html *html = &page->html;
	int rc;

	CH_HTML(html, "<section class=\"narrow\">\n<h2>Renewals</h2>\n");
	rc = ch_ui_get_part(page, "/v1/calendar", &answer, err);
	if (rc)
		return rc;
	if (answer) {
		CH_HTML(html, "<p>Planned: ");
		ch_html_count(html, ch_json_int(answer, "total"));
		if (ch_json_int(answer, "overdue") > 0) {
			CH_HTML(html, ". Under way, or waiting for their next try: ");
			ch_html_count(html, ch_json_int(answer, "overdue"));
		}
		CH_HTML(html, ".</p>\n");
	}
	if (json_array_size(json_object_get(answer, "days")))
		add_days(html, json_object_get(answer, "days"));
	CH_HTML(html, "</section>\n");
	return CH_OK;
}

static void add_classes(struct ch_html *html, const json_t *classes)
{
	static const char *const heads[] = {
		"Class", ">Waiting", "First", "Half", "Last", "Held by"};
	static const char *const moments[] = {"first_at", "half_at", "done_at"};
	struct ch_html_table table;
	const json_t *class;
	size_t i;

	ch_html_table_begin(&table, html, "When the names that wait have their turn", heads,
		CH_ARRAY_LEN(heads));
	json_array_foreach(classes, i, class)
	{
		const char *limit = ch_json_str(class, "limit");

		if (i == CH_UI_ROWS_MAX)
			break;
		ch_html_cell(&table);
		ch_html_text_cut(html, ch_json_str(class, "class"), 64);
		ch_html_cell_count(&table, ch_json_int(class, "waiting"));
		for (size_t k = 0; k < CH_ARRAY_LEN(moments); k++) {
			int64_t at_ms = ch_json_time(class, moments[k]);

			if (at_ms) {
				add_soon(&table, at_ms);
			} else {
				ch_html_cell_text(&table, "later");
			}
		}
		ch_html_cell_text(&table, *limit ? ch_answer_limit_str(limit) : "");
	}
	ch_html_table_end(&table);
}

static void add_advice(struct ch_html *html, const json_t *answer)
{
	const json_t *limited = json_object_get(answer, "limited");
	const char *raise = ch_json_str(answer, "raise");
	const char *ca = ch_json_str(answer, "raise_ca");

	if (ch_json_int(answer, "uncounted")) {
		CH_HTML(html, "<p>Names that are not counted yet: ");
		if (ch_json_int(answer, "uncounted") >= CH_ANSWER_UNCOUNTED_MAX)
			CH_HTML(html, "\u2265\u00a0");
		ch_html_count(html, ch_json_int(answer, "uncounted"));
		CH_HTML(html, ".</p>\n");
	}
	CH_HTML(html, "<p>");
	if (json_is_null(limited)) {
		CH_HTML(html, "No issuer has asked for work within a week: under which limits "
			      "names wait is not known.");
	} else if (json_is_false(limited)) {
		CH_HTML(html, "There is no limit.");
	} else if (*raise) {
		CH_HTML(html, "<strong>Ask the CA ");
		ch_html_text_cut(html, ca, 100);
		if (*ca)
			CH_HTML(html, " ");
		CH_HTML(html, "to raise ");
		ch_html_text_cut(html, raise, 100);
		CH_HTML(html, ".</strong>");
	} else if (ch_json_int(answer, "uncounted")) {
		CH_HTML(html,
			"Whether a limit needs to be raised is not known until they are.");
	} else {
		CH_HTML(html, "No limit needs to be raised.");
	}
	CH_HTML(html, "</p>\n");
}

int ch_ui_forecast(struct ch_ui_page *page, struct ch_err *err)
{
	CH_UI_AUTO_JSON json_t *answer = NULL;
	struct ch_html *html = &page->html;
	int rc;

	CH_HTML(html, "<section>\n<h2>Backlog</h2>\n");
	rc = ch_ui_get_part(page, "/v1/forecast", &answer, err);
	if (rc)
		return rc;
	if (json_array_size(json_object_get(answer, "classes")))
		add_classes(html, json_object_get(answer, "classes"));
	else if (answer)
		CH_HTML(html, "<p>No name waits for its turn.</p>\n");
	if (answer)
		add_advice(html, answer);
	CH_HTML(html, "</section>\n");
	return CH_OK;
}
