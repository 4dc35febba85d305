/* What several pages share. */
#ifndef CH_UI_PARTS_H
#define CH_UI_PARTS_H

#include "net/answer.h"
#include "ui/pages.h"

#define CH_UI_AUTO_JSON __attribute__((cleanup(ch_ui_json_decref_p)))
static inline void ch_ui_json_decref_p(json_t **json)
{
	json_decref(*json);
}

/* title: of a stranger's, perhaps.  here: the entry of the menu that this is, or NULL.
 * refresh_s: 0: it stays as it is. */
void ch_ui_begin(
	struct ch_ui_page *page, const char *title, const char *here, unsigned refresh_s);
/* The same without a menu, for those who may not see anything. */
void ch_ui_begin_bare(struct ch_ui_page *page, const char *title);
void ch_ui_end(struct ch_ui_page *page);

/* One answer, an object. */
CH_MUST int ch_ui_get(
	struct ch_ui_page *page, const char *path, json_t **ret_answer, struct ch_err *err);
/* The same for a part of a page that not every identity may see: that is said in its place, and
 * *ret_answer is NULL. */
CH_MUST int ch_ui_get_part(
	struct ch_ui_page *page, const char *path, json_t **ret_answer, struct ch_err *err);

/* "<a href=…>" to the page of a name. */
void ch_ui_name_link(struct ch_html *html, const char *name, const char *display);
/* A state, an actor, a severity, in its colour; a word that is not known in none. */
void ch_ui_badge(struct ch_html *html, const char *word);
/* "customer's DNS", "platform", "operator", "CA", "nobody"; others as they are. */
const char *ch_ui_actor(const char *actor);
/* The code, as a link to what it means where that is known. */
void ch_ui_code(struct ch_html *html, const char *kind, const char *code);
/* The section that a code has, or NULL. */
const char *ch_ui_section(const char *kind, const char *code);
/* So many rows of a list are shown; says how many more there are. */
#define CH_UI_ROWS_MAX 100
void ch_ui_more(struct ch_html *html, size_t n, const char *command);

/* Parts of the overview. */
CH_MUST int ch_ui_alerts(struct ch_ui_page *page, struct ch_err *err);
CH_MUST int ch_ui_limits(struct ch_ui_page *page, struct ch_err *err);
CH_MUST int ch_ui_calendar(struct ch_ui_page *page, struct ch_err *err);
CH_MUST int ch_ui_forecast(struct ch_ui_page *page, struct ch_err *err);
void ch_ui_edges(struct ch_ui_page *page, const json_t *status);
void ch_ui_issuers(struct ch_ui_page *page, const json_t *status);
void ch_ui_brakes(struct ch_ui_page *page, const json_t *pools);

#endif
