#include <string.h>

#include "base/mem.h"
#include "net/api.h"
#include "ui/parts.h"
#include "wire/name.h"
#include "wire/state.h"

#define PAGE_NAMES 50
#define PATH_MAX_B 8192
#define REASON_MAX_B 240

static const char *const filters[] = {"state", "tenant", "actor", "pool", "prefix"};
#define PREFIX 4

/* Forms send fields that are empty. */
static const char *given(const struct ch_query *query, const char *key)
{
	const char *value = ch_query_get(query, key);

	return value ? value : "";
}

/* "&state=failed&…": what was filtered by, for the store or for a link.  prefix: in the form
 * that is for it. */
static void add_query(struct ch_buf *out, const struct ch_query *query, const char *prefix,
	const char *cursor)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(filters); i++) {
		const char *value = i == PREFIX ? prefix : given(query, filters[i]);

		if (!*value)
			continue;
		ch_buf_addf(out, "&%s=", filters[i]);
		ch_url_encode(out, value);
	}
	if (*cursor) {
		ch_buf_add_str(out, "&cursor=");
		ch_url_encode(out, cursor);
	}
}

static void add_option(struct ch_html *html, const char *value, const char *text, bool chosen)
{
	CH_HTML(html, "<option value=\"");
	ch_html_text(html, value);
	CH_HTML(html, "\"");
	if (chosen)
		CH_HTML(html, " selected");
	CH_HTML(html, ">");
	ch_html_text(html, text);
	CH_HTML(html, "</option>");
}

static void add_input(
	struct ch_html *html, const char *key, const char *label, const struct ch_query *query)
{
	CH_HTML(html, "<label>");
	ch_html_text(html, label);
	CH_HTML(html, " <input type=\"search\" autocapitalize=\"none\" spellcheck=\"false\" "
		      "maxlength=\"253\" name=\"");
	ch_html_text(html, key);
	CH_HTML(html, "\" value=\"");
	ch_html_text(html, given(query, key));
	CH_HTML(html, "\"></label>\n");
}

static void add_form(struct ch_html *html, const struct ch_query *query)
{
	CH_HTML(html, "<form method=\"get\" action=\"");
	ch_html_text(html, html->root);
	CH_HTML(html, "/names\" role=\"search\">\n");
	add_input(html, "prefix", "Begins with", query);
	CH_HTML(html, "<label>State <select name=\"state\">");
	add_option(html, "", "any", false);
	for (int i = 0; i < CH_NAME_STATE_COUNT; i++) {
		const char *state = ch_name_state_str((enum ch_name_state)i);

		add_option(html, state, state, strcmp(given(query, "state"), state) == 0);
	}
	CH_HTML(html, "</select></label>\n<label>Must act <select name=\"actor\">");
	add_option(html, "", "anybody", false);
	for (int i = CH_ACTOR_NOBODY; i <= CH_ACTOR_CA; i++) {
		const char *actor = ch_actor_str((enum ch_actor)i);

		add_option(html, actor, ch_ui_actor(actor),
			strcmp(given(query, "actor"), actor) == 0);
	}
	CH_HTML(html, "</select></label>\n");
	add_input(html, "tenant", "Tenant", query);
	add_input(html, "pool", "Pool", query);
	CH_HTML(html, "<button>Show</button>\n<a href=\"");
	ch_html_text(html, html->root);
	CH_HTML(html, "/names\">All</a>\n</form>\n");
}

static void add_reason(struct ch_html *html, const json_t *reason)
{
	const char *code = ch_json_str(reason, "code");

	if (strcmp(code, "ok") == 0)
		return;
	if (*code) {
		ch_ui_code(html, "reason", code);
		CH_HTML(html, ": ");
	}
	ch_html_text_cut(html, ch_json_str(reason, "detail"), REASON_MAX_B);
}

static void add_row(struct ch_html_table *table, const json_t *domain)
{
	const json_t *cert = json_object_get(domain, "certificate");
	const json_t *reason = json_object_get(domain, "reason");
	const char *actor = ch_json_str(reason, "actor");
	struct ch_html *html = table->html;
	int64_t next_ms;

	ch_html_cell(table);
	ch_ui_name_link(html, ch_json_str(domain, "name"), ch_json_str(domain, "display"));
	ch_html_cell(table);
	ch_ui_badge(html, ch_json_str(domain, "state"));
	ch_html_cell(table);
	ch_html_text_cut(
		html, strcmp(actor, "nobody") == 0 ? "\u2013" : ch_ui_actor(actor), 40);
	ch_html_cell(table);
	add_reason(html, reason);
	if (ch_answer_next(domain, &next_ms)) {
		ch_html_cell_when(table, next_ms);
	} else {
		ch_html_cell(table);
		CH_HTML(html, "in line");
	}
	ch_html_cell_when(table, ch_json_time(cert, "not_after"));
	ch_html_cell(table);
	ch_html_text_cut(html, ch_json_str(domain, "tenant"), 100);
}

static void add_table(struct ch_html *html, const json_t *domains)
{
	static const char *const heads[] = {
		"~Name", "State", "Must act", "~Reason", "Next", "Expires", "~Tenant"};
	struct ch_html_table table;
	const json_t *domain;
	size_t i;

	ch_html_table_begin(&table, html, "Names in the order of their ASCII form", heads,
		CH_ARRAY_LEN(heads));
	json_array_foreach(domains, i, domain)
	{
		if (i == PAGE_NAMES)
			break;
		add_row(&table, domain);
	}
	ch_html_table_end(&table);
}

static int add_link(struct ch_html *html, const struct ch_query *query, const char *cursor,
	const char *text)
{
	CH_AUTO_BUF struct ch_buf more = {.max_b = PATH_MAX_B};
	const char *pairs;

	add_query(&more, query, given(query, "prefix"), cursor);
	if (more.rc)
		return more.rc;
	pairs = ch_buf_str(&more);
	CH_HTML(html, "<a href=\"");
	ch_html_text(html, html->root);
	CH_HTML(html, "/names?");
	ch_html_text(html, pairs + (*pairs == '&'));
	CH_HTML(html, "\">");
	ch_html_text(html, text);
	CH_HTML(html, "</a>\n");
	return CH_OK;
}

static int add_pages(struct ch_html *html, const struct ch_query *query, const char *next)
{
	bool first = !*given(query, "cursor");
	int rc = CH_OK;

	if (!*next && first)
		return CH_OK;
	CH_HTML(html, "<nav class=\"pages\" aria-label=\"Parts of the list\">");
	if (!first)
		rc = add_link(html, query, "", "\u2190 To the beginning");
	if (!rc && *next)
		rc = add_link(html, query, next, "More \u2192");
	CH_HTML(html, "</nav>\n");
	return rc;
}

int ch_ui_names(struct ch_ui_page *page, const struct ch_query *query, struct ch_err *err)
{
	CH_AUTO_BUF struct ch_buf path = {.max_b = PATH_MAX_B};
	CH_UI_AUTO_JSON json_t *answer = NULL;
	struct ch_html *html = &page->html;
	const json_t *domains;
	char prefix[CH_NAME_PREFIX_B];
	const char *next;
	int rc = ch_name_prefix(given(query, "prefix"), prefix, err);

	if (rc)
		return rc;
	ch_buf_addf(&path, "/v1/domains?limit=%d", PAGE_NAMES);
	add_query(&path, query, prefix, given(query, "cursor"));
	if (path.rc)
		return ch_err_set(err, CH_EINVAL, "bad-query", "A filter is too long.");
	rc = ch_ui_get(page, ch_buf_str(&path), &answer, err);
	if (rc)
		return rc;
	domains = json_object_get(answer, "domains");
	next = ch_json_str(answer, "next_cursor");
	ch_ui_begin(page, "Names", "/names", 0);
	add_form(html, query);
	if (json_array_size(domains))
		add_table(html, domains);
	else if (*next)
		CH_HTML(html, "<p>None in this part of the list; there may be some further "
			      "on.</p>\n");
	else
		CH_HTML(html, "<p>There is no such name.</p>\n");
	if (add_pages(html, query, next))
		return ch_err_set(err, CH_EPROTO, "bad-cursor",
			"the store\u2019s cursor for the next page is too long");
	ch_ui_end(page);
	return CH_OK;
}
