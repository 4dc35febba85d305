#include "ui/html.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "net/answer.h"
#include "net/api.h"

void ch_html_init(struct ch_html *html, const char *root)
{
	html->root = root;
	ch_buf_init(&html->buf, CH_HTML_PAGE_MAX_B);
}

void ch_html_done(struct ch_html *html)
{
	ch_buf_done(&html->buf);
}

void ch_html_reset(struct ch_html *html)
{
	ch_buf_reset(&html->buf);
}

/* U+2400 and on: pictures of control characters. */
static void add_visible(struct ch_html *html, uint32_t c)
{
	char text[4] = {(char)0xe2, (char)0x90, 0, 0};

	if (c < 0x20 || c == 0x7f) {
		text[2] = (char)(0x80 + (c == 0x7f ? 0x21 : c));
		ch_buf_add_str(&html->buf, text);
	} else {
		ch_buf_addf(&html->buf, "\u27e8U+%04" PRIX32 "\u27e9", c);
	}
}

static void add_char(struct ch_html *html, const char *at, size_t len, uint32_t c)
{
	switch (c) {
	case '&':
		CH_HTML(html, "&amp;");
		break;
	case '<':
		CH_HTML(html, "&lt;");
		break;
	case '>':
		CH_HTML(html, "&gt;");
		break;
	case '"':
		CH_HTML(html, "&quot;");
		break;
	case '\'':
		CH_HTML(html, "&#39;");
		break;
	case '`':
		CH_HTML(html, "&#96;");
		break;
	default:
		if (ch_utf8_is_harmful(c))
			add_visible(html, c);
		else
			ch_buf_add(&html->buf, at, len);
	}
}

void ch_html_text_cut(struct ch_html *html, const char *text, size_t max_b)
{
	size_t left_b = max_b;

	while (*text && !html->buf.rc) {
		uint32_t c = 0;
		size_t len = ch_utf8_next(text, &c);
		size_t taken = len ? len : 1;

		if (taken > left_b) {
			CH_HTML(html, " \u2026");
			return;
		}
		if (len)
			add_char(html, text, len, c);
		else
			CH_HTML(html, "\ufffd");
		text += taken;
		left_b -= taken;
	}
}

void ch_html_text(struct ch_html *html, const char *text)
{
	ch_html_text_cut(html, text, CH_HTML_TEXT_MAX_B);
}

void ch_html_textf(struct ch_html *html, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	ch_html_text(html, text);
}

void ch_html_code(struct ch_html *html, const char *text)
{
	CH_HTML(html, "<code>");
	ch_html_text(html, text);
	CH_HTML(html, "</code>");
}

void ch_html_url(struct ch_html *html, const char *text)
{
	(void)ch_url_encode(&html->buf, text);
}

void ch_html_section(struct ch_html *html, const char *section)
{
	while (*section) {
		size_t len = strcspn(section, "\1");

		ch_buf_add(&html->buf, section, len);
		section += len;
		if (*section) {
			ch_html_text(html, html->root);
			section++;
		}
	}
}

void ch_html_count(struct ch_html *html, int64_t n)
{
	char digits[24];
	size_t len;

	snprintf(digits, sizeof(digits), "%" PRId64, n < 0 ? 0 : n);
	len = strlen(digits);
	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			CH_HTML(html, ",");
		ch_buf_add_u8(&html->buf, (uint8_t)digits[i]);
	}
}

void ch_html_counted(struct ch_html *html, int64_t n)
{
	if (n >= CH_ANSWER_COUNTED_MAX)
		CH_HTML(html, "\u2265\u00a0");
	ch_html_count(html, n);
}

/* "2026-11-22 10:12:00 UTC" */
static void add_exact(struct ch_html *html, const char *rfc3339)
{
	ch_html_textf(html, "%.10s %.8s UTC", rfc3339, rfc3339 + 11);
}

/* "<time datetime="…"", or a dash for what is no time: then false. */
static bool begin_time(struct ch_html *html, int64_t at_ms, char ret_text[CH_TIME_STR_B])
{
	if (at_ms == 0) {
		CH_HTML(html, "\u2013");
		return false;
	}
	ch_time_str(at_ms, ret_text);
	CH_HTML(html, "<time datetime=\"");
	ch_html_text(html, ret_text);
	CH_HTML(html, "\"");
	return true;
}

void ch_html_when(struct ch_html *html, int64_t at_ms)
{
	char text[CH_TIME_STR_B];
	char when[64];

	if (!begin_time(html, at_ms, text))
		return;
	CH_HTML(html, " title=\"");
	add_exact(html, text);
	CH_HTML(html, "\">");
	ch_html_text(html, ch_when_str(at_ms, when));
	CH_HTML(html, "</time>");
}

void ch_html_moment(struct ch_html *html, int64_t at_ms)
{
	char text[CH_TIME_STR_B];
	char when[64];

	if (!begin_time(html, at_ms, text))
		return;
	CH_HTML(html, ">");
	add_exact(html, text);
	CH_HTML(html, "</time> <span class=\"rel\">(");
	ch_html_text(html, ch_when_str(at_ms, when));
	CH_HTML(html, ")</span>");
}

void ch_html_bar(struct ch_html *html, int64_t n, int64_t most)
{
	double share = most > 0 && n > 0 ? (double)n / (double)most : 0;

	share = share > 1 ? 1 : share;
	CH_HTML(html, "<svg class=\"bar");
	if (share >= 0.9)
		CH_HTML(html, " most");
	CH_HTML(html, "\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" "
		      "aria-hidden=\"true\"><rect class=\"of\" width=\"100\" height=\"8\"/>"
		      "<rect width=\"");
	ch_html_textf(html, "%.1f", share * 100);
	CH_HTML(html, "\" height=\"8\"/></svg>");
}

static const char *head_text(const char *head)
{
	return head + (head[0] == '>' || head[0] == '~');
}

static void add_head_class(struct ch_html *html, const char *head)
{
	if (head[0] == '>')
		CH_HTML(html, " class=\"n\"");
	else if (head[0] == '~')
		CH_HTML(html, " class=\"t\"");
}

/* The roles are those of the elements: they stay when a narrow screen shows cells as lines. */
void ch_html_table_begin(struct ch_html_table *table, struct ch_html *html, const char *caption,
	const char *const *heads, size_t n_cols)
{
	*table = (struct ch_html_table){.html = html, .heads = heads, .n_cols = n_cols};
	CH_HTML(html, "<table role=\"table\"><caption>");
	ch_html_text(html, caption);
	CH_HTML(html, "</caption>\n<thead role=\"rowgroup\"><tr role=\"row\">");
	for (size_t i = 0; i < n_cols; i++) {
		CH_HTML(html, "<th scope=\"col\" role=\"columnheader\"");
		add_head_class(html, heads[i]);
		CH_HTML(html, ">");
		ch_html_text(html, head_text(heads[i]));
		CH_HTML(html, "</th>");
	}
	CH_HTML(html, "</tr></thead>\n<tbody role=\"rowgroup\">");
}

void ch_html_table_end(struct ch_html_table *table)
{
	if (table->at)
		CH_HTML(table->html, "</td></tr>");
	CH_HTML(table->html, "</tbody></table>\n");
}

void ch_html_cell(struct ch_html_table *table)
{
	struct ch_html *html = table->html;
	size_t col = table->at % table->n_cols;

	if (table->at)
		CH_HTML(html, "</td>");
	if (col == 0 && table->at)
		CH_HTML(html, "</tr>\n");
	if (col == 0)
		CH_HTML(html, "<tr role=\"row\">");
	CH_HTML(html, "<td role=\"cell\" data-label=\"");
	ch_html_text(html, head_text(table->heads[col]));
	CH_HTML(html, "\"");
	add_head_class(html, table->heads[col]);
	CH_HTML(html, ">");
	table->at++;
}

void ch_html_cell_text(struct ch_html_table *table, const char *text)
{
	ch_html_cell(table);
	ch_html_text(table->html, *text ? text : "\u2013");
}

void ch_html_cell_when(struct ch_html_table *table, int64_t at_ms)
{
	ch_html_cell(table);
	ch_html_when(table->html, at_ms);
}

void ch_html_cell_count(struct ch_html_table *table, int64_t n)
{
	ch_html_cell(table);
	ch_html_count(table->html, n);
}

void ch_html_fact_begin(struct ch_html *html, const char *label)
{
	CH_HTML(html, "<div><dt>");
	ch_html_text(html, label);
	CH_HTML(html, "</dt><dd>");
}

void ch_html_fact_end(struct ch_html *html)
{
	CH_HTML(html, "</dd></div>\n");
}

void ch_html_fact(struct ch_html *html, const char *label, const char *text)
{
	ch_html_fact_begin(html, label);
	ch_html_text(html, *text ? text : "\u2013");
	ch_html_fact_end(html);
}

void ch_html_fact_moment(struct ch_html *html, const char *label, int64_t at_ms)
{
	ch_html_fact_begin(html, label);
	ch_html_moment(html, at_ms);
	ch_html_fact_end(html);
}
