/* Pages in the place of those that cannot be shown. */
#include <string.h>

#include "ui/parts.h"

#define RETRY_S 15

static void add_error(struct ch_html *html, const struct ch_err *err)
{
	CH_HTML(html, "<p class=\"said\">");
	ch_html_text_cut(html, err->detail, 2000);
	CH_HTML(html, " (");
	ch_html_code(html, err->problem);
	CH_HTML(html, ")</p>\n");
}

static const char *title_of(int status, const struct ch_err *err)
{
	switch (status) {
	case 400:
		return "This cannot be asked for";
	case 404:
		return "Not here";
	case 405:
		return "Pages can only be read";
	case 414:
		return "The address is too long";
	case 500:
		return "This page cannot be made";
	}
	return err->rc == CH_EAUTH ? "The store refuses us"
	       : err->rc == CH_EPROTO || err->rc == CH_ETOOBIG
		       ? "The store\u2019s answer is of no use"
		       : "The store cannot be reached";
}

/* It is for a terminal: `words` are code here. */
static void add_advice(struct ch_html *html, const char *advice)
{
	bool code = false;

	CH_HTML(html, "<p>");
	while (*advice) {
		char part[200];
		size_t len = strcspn(advice, "`");

		if (len >= sizeof(part))
			len = sizeof(part) - 1;
		memcpy(part, advice, len);
		part[len] = 0;
		if (code)
			ch_html_code(html, part);
		else
			ch_html_text(html, part);
		advice += len;
		if (*advice == '`') {
			code = !code;
			advice++;
		}
	}
	CH_HTML(html, "</p>\n");
}

void ch_ui_problem(struct ch_ui_page *page, int status, const struct ch_err *err)
{
	struct ch_html *html = &page->html;
	const char *advice = status == 502 ? ch_answer_advice(err) : NULL;

	/* What a store lacks comes back by itself. */
	ch_ui_begin(page, title_of(status, err), NULL, status == 502 ? RETRY_S : 0);
	add_error(html, err);
	if (advice)
		add_advice(html, advice);
	if (status == 502) {
		if (!advice && (err->rc == CH_EPROTO || err->rc == CH_ETOOBIG))
			add_advice(html,
				"Is `store` in [cli] the address of a store, and is it of the "
				"same version as this program?");
		CH_HTML(html,
			"<p>What edges have they go on serving meanwhile. This page tries "
			"again every 15 seconds.</p>\n");
	} else if (strcmp(err->problem, "domain-not-found") == 0) {
		CH_HTML(html, "<p>To register it: <code>certherd domain add NAME</code>. Names "
			      "that begin so: use the search of the list of ");
		CH_HTML(html, "<a href=\"");
		ch_html_text(html, html->root);
		CH_HTML(html, "/names\">names</a>.</p>\n");
	}
	ch_ui_end(page);
}

void ch_ui_problem_bare(struct ch_ui_page *page, int status, const struct ch_err *err)
{
	ch_ui_begin_bare(page, title_of(status, err));
	add_error(&page->html, err);
	ch_ui_end(page);
}

void ch_ui_stranger(struct ch_ui_page *page)
{
	ch_ui_begin_bare(page, "Open the address that was printed");
	CH_HTML(&page->html,
		"<p><code>certherd ui</code> has printed an address with a "
		"<code>token</code> in it: open that one, by pasting it into the "
		"address bar. The token is another one whenever it is started.</p>\n");
	ch_ui_end(page);
}
