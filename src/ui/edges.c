/* Parts of the overview: the edges, what holds changes back from them, the issuers. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ui/parts.h"

#define CAS_SHOWN 8

/* Its version, and what that is beside the store's. */
static void add_software(struct ch_html_table *table, const json_t *of, const json_t *status)
{
	const char *software = ch_json_str(of, "software");
	const char *beside = ch_answer_beside_store(software, ch_json_str(status, "version"));

	ch_html_cell(table);
	ch_html_text_cut(table->html, *software ? software : "\u2013", 100);
	if (beside) {
		CH_HTML(table->html, " ");
		ch_ui_badge(table->html, beside);
	}
}

void ch_ui_edges(struct ch_ui_page *page, const json_t *status)
{
	static const char *const heads[] = {
		"~Edge", "State", ">Behind", ">Names", "Seen", "~Software", "~Trouble"};
	const json_t *edges = json_object_get(status, "edges");
	struct ch_html *html = &page->html;
	struct ch_html_table table;
	const json_t *edge;
	size_t i;

	CH_HTML(html, "<section>\n<h2>Edges</h2>\n");
	if (!json_array_size(edges)) {
		CH_HTML(html, "<p>No edge has reported yet: is an agent running?</p>\n"
			      "</section>\n");
		return;
	}
	ch_html_table_begin(&table, html, "Edges, and how far behind the store each of them is",
		heads, CH_ARRAY_LEN(heads));
	json_array_foreach(edges, i, edge)
	{
		bool live = json_is_true(json_object_get(edge, "live"));

		if (i == CH_UI_ROWS_MAX)
			break;
		ch_html_cell_text(&table, ch_json_str(edge, "id"));
		ch_html_cell(&table);
		ch_ui_badge(html, live ? "live" : "silent");
		ch_html_cell(&table);
		ch_html_counted(html, ch_json_int(edge, "lag"));
		ch_html_cell_count(&table, ch_json_int(edge, "names"));
		ch_html_cell_when(&table, ch_json_time(edge, "seen_at"));
		add_software(&table, edge, status);
		ch_html_cell(&table);
		ch_html_text_cut(html, ch_json_str(edge, "error"), 500);
	}
	ch_html_table_end(&table);
	ch_ui_more(html, json_array_size(edges), "certherd status");
	CH_HTML(html, "</section>\n");
}

/* What an issuer calls its CAs. */
static void add_cas(struct ch_html *html, const json_t *cas)
{
	for (size_t i = 0; i < json_array_size(cas) && i < CAS_SHOWN; i++) {
		const char *ca = json_string_value(json_array_get(cas, i));

		if (i)
			CH_HTML(html, ", ");
		ch_html_text_cut(html, ca ? ca : "?", 64);
	}
}

void ch_ui_issuers(struct ch_ui_page *page, const json_t *status)
{
	static const char *const heads[] = {
		"~Issuer", "State", "Heard of", "~Software", "~CAs"};
	const json_t *issuers = json_object_get(status, "issuers");
	struct ch_html *html = &page->html;
	struct ch_html_table table;
	const json_t *issuer;
	size_t i;

	CH_HTML(html, "<section class=\"narrow\">\n<h2>Issuers</h2>\n");
	if (!issuers) {
		CH_HTML(html, "<p class=\"quiet\">This store is older and does not say.</p>\n"
			      "</section>\n");
		return;
	}
	if (!json_array_size(issuers)) {
		CH_HTML(html, "<p>No issuer has asked for work within a week: is one "
			      "running?</p>\n</section>\n");
		return;
	}
	ch_html_table_begin(&table, html, "Issuers, and when each of them was heard of", heads,
		CH_ARRAY_LEN(heads));
	json_array_foreach(issuers, i, issuer)
	{
		int64_t heard_ms = ch_json_time(issuer, "heard_at");

		if (i == CH_UI_ROWS_MAX)
			break;
		ch_html_cell_text(&table, ch_json_str(issuer, "id"));
		ch_html_cell(&table);
		ch_ui_badge(html, ch_answer_issuer_silent(heard_ms, ch_json_time(status, "now"))
					  ? "silent"
					  : "live");
		ch_html_cell_when(&table, heard_ms);
		add_software(&table, issuer, status);
		ch_html_cell(&table);
		add_cas(html, json_object_get(issuer, "cas"));
	}
	ch_html_table_end(&table);
	ch_ui_more(html, json_array_size(issuers), "certherd status");
	CH_HTML(html, "</section>\n");
}

static void add_held(struct ch_html *html, const json_t *pool)
{
	CH_HTML(html, "Changes that wait: ");
	ch_html_counted(html, ch_json_int(pool, "held"));
	CH_HTML(html, ". ");
}

static void add_command(struct ch_html *html, const char *command, const json_t *pool)
{
	const char *name = ch_json_str(pool, "pool");

	CH_HTML(html, "<code>certherd feed ");
	ch_html_text(html, command);
	if (strcmp(name, "default") != 0) {
		CH_HTML(html, " --pool ");
		ch_html_text_cut(html, name, 100);
	}
	CH_HTML(html, "</code>");
}

static void add_freeze(struct ch_html *html, const json_t *pool)
{
	const json_t *frozen = json_object_get(pool, "frozen");
	const char *who = ch_json_str(frozen, "who");

	CH_HTML(html, "<div class=\"card bad\"><p>");
	ch_ui_badge(html, "frozen");
	CH_HTML(html, " Pool <strong>");
	ch_html_text_cut(html, ch_json_str(pool, "pool"), 100);
	CH_HTML(html, "</strong> since ");
	ch_html_moment(html, ch_json_time(frozen, "since"));
	CH_HTML(html, " by ");
	ch_html_text_cut(html, *who ? who : "nobody known", 200);
	CH_HTML(html, ": ");
	ch_html_text_cut(html, ch_json_str(frozen, "reason"), 1000);
	CH_HTML(html, "</p>\n<p>");
	add_held(html, pool);
	CH_HTML(html, "To go on: ");
	add_command(html, "thaw", pool);
	CH_HTML(html, "</p></div>\n");
}

static void add_canary(struct ch_html *html, const json_t *pool)
{
	const json_t *canary = json_object_get(pool, "canary");
	const char *state = ch_json_str(canary, "state");
	const char *stuck = ch_answer_canary_stuck(state);
	const char *trouble = ch_json_str(canary, "trouble");

	if (stuck)
		CH_HTML(html, "<div class=\"card bad\"><p>");
	else
		CH_HTML(html, "<div class=\"card\"><p>");
	ch_ui_badge(html, state);
	CH_HTML(html, " Canary of pool <strong>");
	ch_html_text_cut(html, ch_json_str(pool, "pool"), 100);
	CH_HTML(html, "</strong>: ");
	ch_html_text_cut(html, ch_json_str(canary, "edge"), 200);
	if (stuck) {
		CH_HTML(html, ", ");
		ch_html_text(html, stuck);
	}
	if (*trouble) {
		CH_HTML(html, ": ");
		ch_html_text_cut(html, trouble, 500);
	}
	CH_HTML(html, "</p>\n<p>");
	add_held(html, pool);
	if (json_is_object(json_object_get(pool, "frozen"))) {
		CH_HTML(html, "It gets nothing either before the thaw.");
	} else {
		CH_HTML(html, "To let all through now: ");
		add_command(html, "canary --release", pool);
	}
	CH_HTML(html, "</p></div>\n");
}

static bool shows_canary(const json_t *pool)
{
	const json_t *canary = json_object_get(pool, "canary");

	return json_is_object(canary) &&
	       (ch_json_int(pool, "held") > 0 ||
		       ch_answer_canary_stuck(ch_json_str(canary, "state")));
}

void ch_ui_brakes(struct ch_ui_page *page, const json_t *pools)
{
	struct ch_html *html = &page->html;
	const json_t *pool;
	size_t shown = 0;
	size_t i;

	json_array_foreach(pools, i, pool)
	{
		bool frozen = json_is_object(json_object_get(pool, "frozen"));

		if ((!frozen && !shows_canary(pool)) || shown == CH_UI_ROWS_MAX)
			continue;
		if (!shown++)
			CH_HTML(html, "<section>\n<h2>Held back from edges</h2>\n");
		if (frozen)
			add_freeze(html, pool);
		if (shows_canary(pool))
			add_canary(html, pool);
	}
	if (shown)
		CH_HTML(html, "</section>\n");
}
