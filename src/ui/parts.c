#include "ui/parts.h"

#include <string.h>

#include "base/mem.h"
#include "ui/embedded.h"

static const struct {
	const char *path;
	const char *title;
} menu[] = {{"/", "Overview"}, {"/names", "Names"}};

static void begin_head(struct ch_html *html, const char *title)
{
	CH_HTML(html,
		"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width, "
		"initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
		"<link rel=\"stylesheet\" href=\"/style.css\">\n<title>");
	ch_html_text_cut(html, title, 300);
	CH_HTML(html, " \u2013 certherd</title>\n");
}

void ch_ui_begin(
	struct ch_ui_page *page, const char *title, const char *here, unsigned refresh_s)
{
	struct ch_html *html = &page->html;

	begin_head(html, title);
	if (refresh_s) {
		CH_HTML(html, "<meta http-equiv=\"refresh\" content=\"");
		ch_html_textf(html, "%u", refresh_s);
		CH_HTML(html, "\">\n");
	}
	CH_HTML(html, "</head>\n<body>\n<a class=\"skip\" href=\"#main\">To the content</a>\n"
		      "<header><strong>certherd</strong><nav aria-label=\"Pages\">");
	for (size_t i = 0; i < CH_ARRAY_LEN(menu); i++) {
		CH_HTML(html, "<a href=\"");
		ch_html_text(html, html->root);
		ch_html_text(html, menu[i].path);
		CH_HTML(html, "\"");
		if (here && strcmp(here, menu[i].path) == 0)
			CH_HTML(html, " aria-current=\"page\"");
		CH_HTML(html, ">");
		ch_html_text(html, menu[i].title);
		CH_HTML(html, "</a>");
	}
	CH_HTML(html, "</nav></header>\n<main id=\"main\">\n<h1>");
	ch_html_text_cut(html, title, 300);
	CH_HTML(html, "</h1>\n");
}

void ch_ui_begin_bare(struct ch_ui_page *page, const char *title)
{
	begin_head(&page->html, title);
	CH_HTML(&page->html, "</head>\n<body>\n<header><strong>certherd</strong></header>\n"
			     "<main id=\"main\">\n<h1>");
	ch_html_text(&page->html, title);
	CH_HTML(&page->html, "</h1>\n");
}

void ch_ui_end(struct ch_ui_page *page)
{
	CH_HTML(&page->html, "</main>\n</body>\n</html>\n");
}

int ch_ui_get(
	struct ch_ui_page *page, const char *path, json_t **ret_answer, struct ch_err *err)
{
	json_t *answer = NULL;
	int rc = page->store->get(page->store->arg, path, &answer, err);

	if (rc)
		return rc;
	if (!json_is_object(answer)) {
		json_decref(answer);
		return ch_err_set(err, CH_EPROTO, "body-not-json",
			"the store answered with something that is not what was asked for");
	}
	*ret_answer = answer;
	return CH_OK;
}

int ch_ui_get_part(
	struct ch_ui_page *page, const char *path, json_t **ret_answer, struct ch_err *err)
{
	int rc = ch_ui_get(page, path, ret_answer, err);

	if (rc != CH_EAUTH || strcmp(err->problem, "not-allowed") != 0)
		return rc;
	*ret_answer = NULL;
	CH_HTML(&page->html,
		"<p class=\"quiet\">This identity may not see it; an operator's or "
		"a viewer's may.</p>\n");
	return CH_OK;
}

void ch_ui_name_link(struct ch_html *html, const char *name, const char *display)
{
	CH_HTML(html, "<a class=\"name\" href=\"");
	ch_html_text(html, html->root);
	CH_HTML(html, "/names/");
	ch_html_url(html, name);
	CH_HTML(html, "\">");
	ch_html_text_cut(html, *display ? display : name, 300);
	CH_HTML(html, "</a>");
}

void ch_ui_badge(struct ch_html *html, const char *word)
{
	static const char *const good[] = {"active", "live", "idle", "ready", "done"};
	static const char *const bad[] = {"failed", "critical", "silent", "trouble", "frozen"};
	static const char *const warns[] = {"warning", "moved", "behind",
		"older than the store", "newer than the store", "not the store's version"};
	const struct {
		const char *const *words;
		size_t n;
		const char *class;
	} kinds[] = {{good, CH_ARRAY_LEN(good), " good"}, {bad, CH_ARRAY_LEN(bad), " bad"},
		{warns, CH_ARRAY_LEN(warns), " warn"}};

	CH_HTML(html, "<span class=\"badge");
	for (size_t k = 0; k < CH_ARRAY_LEN(kinds); k++)
		for (size_t i = 0; i < kinds[k].n; i++)
			if (strcmp(word, kinds[k].words[i]) == 0)
				ch_html_text(html, kinds[k].class);
	CH_HTML(html, "\">");
	ch_html_text_cut(html, *word ? word : "?", 40);
	CH_HTML(html, "</span>");
}

const char *ch_ui_actor(const char *actor)
{
	return strcmp(actor, "customer") == 0 ? "customer\u2019s DNS"
	       : strcmp(actor, "ca") == 0     ? "CA"
					      : actor;
}

const char *ch_ui_section(const char *kind, const char *code)
{
	const struct ch_ui_section *sections =
		strcmp(kind, "reason") == 0  ? ch_ui_reason_sections
		: strcmp(kind, "alert") == 0 ? ch_ui_alert_sections
					     : NULL;

	for (size_t i = 0; sections && sections[i].code; i++)
		if (strcmp(code, sections[i].code) == 0)
			return sections[i].html;
	return NULL;
}

void ch_ui_code(struct ch_html *html, const char *kind, const char *code)
{
	if (!ch_ui_section(kind, code)) {
		ch_html_code(html, code);
		return;
	}
	CH_HTML(html, "<a href=\"");
	ch_html_text(html, html->root);
	CH_HTML(html, "/help/");
	ch_html_url(html, kind);
	CH_HTML(html, "/");
	ch_html_url(html, code);
	CH_HTML(html, "\">");
	ch_html_code(html, code);
	CH_HTML(html, "</a>");
}

void ch_ui_more(struct ch_html *html, size_t n, const char *command)
{
	if (n <= CH_UI_ROWS_MAX)
		return;
	CH_HTML(html, "<p class=\"quiet\">And ");
	ch_html_count(html, (int64_t)(n - CH_UI_ROWS_MAX));
	CH_HTML(html, " more: ");
	ch_html_code(html, command);
	CH_HTML(html, "</p>\n");
}

int ch_ui_help(struct ch_ui_page *page, const char *kind, const char *code, struct ch_err *err)
{
	const char *section = ch_ui_section(kind, code);

	if (!section)
		return ch_err_set(err, CH_ENOTFOUND, "no-such-code",
			"There is no explanation of such a code.");
	ch_ui_begin(page, code, NULL, 0);
	CH_HTML(&page->html, "<p class=\"quiet\">");
	if (strcmp(kind, "alert") == 0)
		CH_HTML(&page->html, "What this alert means, and what to do");
	else
		CH_HTML(&page->html, "What this reason of a name means, and what to do");
	CH_HTML(&page->html, "</p>\n<div class=\"prose\">");
	ch_html_section(&page->html, section);
	CH_HTML(&page->html, "</div>\n");
	ch_ui_end(page);
	return CH_OK;
}
