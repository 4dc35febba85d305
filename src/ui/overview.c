#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ui/parts.h"
#include "wire/name.h"
#include "wire/state.h"

#define REFRESH_S 30

/* One figure with its name, which leads to the names that it counts. */
static void begin_tile(struct ch_html *html, const char *class, const char *query)
{
	CH_HTML(html, "<li><a class=\"tile");
	ch_html_text(html, class);
	CH_HTML(html, "\" href=\"");
	ch_html_text(html, html->root);
	CH_HTML(html, "/names");
	ch_html_text(html, query);
	CH_HTML(html, "\"><span class=\"figure\">");
}

static void end_tile(struct ch_html *html, const char *label)
{
	CH_HTML(html, "</span> <span class=\"label\">");
	ch_html_text(html, label);
	CH_HTML(html, "</span></a></li>\n");
}

static void add_names(struct ch_html *html, const json_t *names)
{
	CH_HTML(html, "<section>\n<h2>Names</h2>\n<p><a href=\"");
	ch_html_text(html, html->root);
	CH_HTML(html, "/names\">");
	ch_html_count(html, ch_json_int(names, "total"));
	CH_HTML(html, " in all</a></p>\n<ul class=\"tiles\">\n");
	for (int i = 0; i < CH_NAME_STATE_COUNT; i++) {
		const char *state = ch_name_state_str((enum ch_name_state)i);
		int64_t n = ch_json_int(names, state);
		char query[64];

		snprintf(query, sizeof(query), "?state=%s", state);
		begin_tile(html,
			n <= 0		      ? " none"
			: i == CH_NAME_FAILED ? " bad"
			: i == CH_NAME_ACTIVE ? " good"
			: i == CH_NAME_MOVED  ? " warn"
					      : "",
			query);
		ch_html_count(html, n);
		end_tile(html, state);
	}
	CH_HTML(html, "</ul>\n</section>\n");
}

/* Whom the failed ones wait for. */
static void add_failed(struct ch_html *html, const json_t *failed)
{
	static const char *const actors[] = {"customer", "platform", "operator", "ca"};
	int64_t most = 0;

	for (size_t i = 0; i < CH_ARRAY_LEN(actors); i++)
		if (ch_json_int(failed, actors[i]) > most)
			most = ch_json_int(failed, actors[i]);
	CH_HTML(html, "<section>\n<h2>Who must act</h2>\n");
	if (!most) {
		CH_HTML(html, "<p class=\"quiet\">No failed name waits for anybody.</p>\n"
			      "</section>\n");
		return;
	}
	CH_HTML(html, "<p class=\"quiet\">For the names that have failed:</p>\n"
		      "<ul class=\"tiles wide\">\n");
	for (size_t i = 0; i < CH_ARRAY_LEN(actors); i++) {
		int64_t n = ch_json_int(failed, actors[i]);
		char query[64];

		snprintf(query, sizeof(query), "?state=failed&actor=%s", actors[i]);
		begin_tile(html, n > 0 ? " bad" : " none", query);
		ch_html_counted(html, n);
		end_tile(html, ch_ui_actor(actors[i]));
	}
	CH_HTML(html, "</ul>\n</section>\n");
}

static void add_restore(struct ch_html *html, const json_t *restore)
{
	if (!json_is_object(restore))
		return;
	if (ch_json_time(restore, "ordering_from"))
		ch_html_fact_moment(html, "Restored: orders begin again",
			ch_json_time(restore, "ordering_from"));
	ch_html_fact_moment(html, "Restored: edges may hand back until",
		ch_json_time(restore, "handback_until"));
}

static void add_next(struct ch_html *html, const json_t *status)
{
	const json_t *orders = json_object_get(status, "orders");
	const json_t *expiry = json_object_get(status, "next_expiry");
	char display[1024];

	CH_HTML(html, "<section>\n<h2>Next</h2>\n<dl>\n");
	ch_html_fact_begin(html, "Orders");
	ch_html_count(html, ch_json_int(orders, "open"));
	CH_HTML(html, " open, ");
	ch_html_count(html, ch_json_int(orders, "waiting"));
	CH_HTML(html, " of them waiting");
	ch_html_fact_end(html);
	ch_html_fact_moment(html, "Next due", ch_json_time(status, "next_due_at"));
	ch_html_fact_begin(html, "Expires first");
	if (json_is_object(expiry)) {
		ch_name_display(ch_json_str(expiry, "name"), display, sizeof(display));
		ch_ui_name_link(html, ch_json_str(expiry, "name"), display);
		CH_HTML(html, ", ");
		ch_html_moment(html, ch_json_time(expiry, "not_after"));
	} else {
		CH_HTML(html, "\u2013");
	}
	ch_html_fact_end(html);
	add_restore(html, json_object_get(status, "restore"));
	CH_HTML(html, "</dl>\n</section>\n");
}

static void add_as_of(struct ch_html *html, const json_t *status, bool still)
{
	CH_HTML(html, "<p class=\"quiet\">As of ");
	ch_html_moment(html, ch_json_time(status, "now"));
	CH_HTML(html, ". ");
	if (still) {
		CH_HTML(html, "It stays so. <a href=\"?\">Refresh it by itself</a>");
	} else {
		CH_HTML(html, "Refreshed every 30 seconds. <a href=\"?still=1\">Keep it as it "
			      "is</a>");
	}
	CH_HTML(html, "</p>\n");
}

static void add_store(struct ch_html *html, const json_t *status)
{
	const json_t *pruned = json_object_get(status, "pruned");

	CH_HTML(html, "<section>\n<h2>Store</h2>\n<dl>\n");
	ch_html_fact(html, "Version", ch_json_str(status, "version"));
	ch_html_fact_begin(html, "Schema");
	ch_html_count(html, ch_json_int(status, "schema"));
	ch_html_fact_end(html);
	if (ch_json_time(pruned, "at"))
		ch_html_fact_moment(html, "Pruned last", ch_json_time(pruned, "at"));
	CH_HTML(html, "</dl>\n</section>\n");
}

int ch_ui_overview(struct ch_ui_page *page, const struct ch_query *query, struct ch_err *err)
{
	CH_UI_AUTO_JSON json_t *status = NULL;
	struct ch_html *html = &page->html;
	bool still = ch_query_get(query, "still") != NULL;
	int rc = ch_ui_get(page, "/v1/status", &status, err);

	if (rc)
		return rc;
	ch_ui_begin(page, "Overview", "/", still ? 0 : REFRESH_S);
	add_as_of(html, status, still);
	rc = ch_ui_alerts(page, err);
	if (rc)
		return rc;
	add_names(html, json_object_get(status, "names"));
	add_failed(html, json_object_get(status, "failed"));
	add_next(html, status);
	ch_ui_brakes(page, json_object_get(status, "pools"));
	ch_ui_edges(page, status);
	ch_ui_issuers(page, status);
	rc = ch_ui_limits(page, err);
	if (!rc)
		rc = ch_ui_calendar(page, err);
	if (!rc)
		rc = ch_ui_forecast(page, err);
	if (rc)
		return rc;
	add_store(html, status);
	ch_ui_end(page);
	return CH_OK;
}
