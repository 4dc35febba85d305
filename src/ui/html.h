/* The only way in which anything gets into a page: markup as a literal of the program, all else
 * through ch_html_text, which escapes. */
#ifndef CH_UI_HTML_H
#define CH_UI_HTML_H

#include <stdint.h>

#include "base/buf.h"

#define CH_HTML_PAGE_MAX_B (4u * 1024u * 1024u)
#define CH_HTML_TEXT_MAX_B 16384u /* of one text; what is longer is cut */

struct ch_html {
	struct ch_buf buf; /* latches errors; of these functions none reports any */
	const char *root; /* where the pages are, "/…" without a slash at the end; borrowed */
};

void ch_html_init(struct ch_html *html, const char *root);
void ch_html_done(struct ch_html *html);
/* Begins again, without content and error. */
void ch_html_reset(struct ch_html *html);

/* Markup; attributes stand in double quotes. */
#define CH_HTML(html, literal) ((void)ch_buf_add(&(html)->buf, "" literal, sizeof(literal) - 1))
/* Text, between tags or within an attribute's double quotes.  Markup and quotes are escaped;
 * control characters and those that turn the direction of writing are shown as what they are,
 * bytes that are no UTF-8 as U+FFFD. */
void ch_html_text(struct ch_html *html, const char *text);
/* The same, cut before max_b bytes. */
void ch_html_text_cut(struct ch_html *html, const char *text, size_t max_b);
/* Formatted to at most 255 bytes, then as ch_html_text. */
void ch_html_textf(struct ch_html *html, const char *fmt, ...) CH_PRINTF(2, 3);
/* <code> with the text in it. */
void ch_html_code(struct ch_html *html, const char *text);
/* One segment of a path, or a value of a query. */
void ch_html_url(struct ch_html *html, const char *text);
/* A section of ui/embedded.h. */
void ch_html_section(struct ch_html *html, const char *section);

/* "1,234,567"; counted: of a number that the store counts up to CH_ANSWER_COUNTED_MAX only. */
void ch_html_count(struct ch_html *html, int64_t n);
void ch_html_counted(struct ch_html *html, int64_t n);
/* "in 3d 4h", the exact time as its title; "-" for 0. */
void ch_html_when(struct ch_html *html, int64_t at_ms);
/* "2026-11-22 10:12:00 UTC (in 3d 4h)". */
void ch_html_moment(struct ch_html *html, int64_t at_ms);
/* n of most as a bar, which says nothing to those who cannot see it. */
void ch_html_bar(struct ch_html *html, int64_t n, int64_t most);

struct ch_html_table {
	struct ch_html *html;
	const char *const
		*heads; /* a leading '>': figures, '~': text of any length; borrowed */
	size_t n_cols;
	size_t at; /* the column of the next cell */
};
/* The caption says to those who hear the page what the table is. */
void ch_html_table_begin(struct ch_html_table *table, struct ch_html *html, const char *caption,
	const char *const *heads, size_t n_cols);
void ch_html_table_end(struct ch_html_table *table);
/* What is added until the next one is in the cell; rows begin by themselves. */
void ch_html_cell(struct ch_html_table *table);
/* A cell with a text in it. */
void ch_html_cell_text(struct ch_html_table *table, const char *text);
void ch_html_cell_when(struct ch_html_table *table, int64_t at_ms);
void ch_html_cell_count(struct ch_html_table *table, int64_t n);

/* A line of a list of what a thing has: <dt>, and <dd> with the text. */
void ch_html_fact_begin(struct ch_html *html, const char *label);
void ch_html_fact_end(struct ch_html *html);
void ch_html_fact(struct ch_html *html, const char *label, const char *text);
void ch_html_fact_moment(struct ch_html *html, const char *label, int64_t at_ms);

#endif
