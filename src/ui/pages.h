/* The pages: each asks the store for what it shows, a bounded part of it, and writes HTML. */
#ifndef CH_UI_PAGES_H
#define CH_UI_PAGES_H

#include <jansson.h>
#include <stdbool.h>

#include "net/query.h"
#include "ui/html.h"

/* Where answers come from: the store's API, or a script in tests. */
struct ch_ui_store {
	/* As ch_api_call, for GET; the answer is owned by the caller. */
	int (*get)(void *arg, const char *path, json_t **ret_answer, struct ch_err *err);
	/* A page begins: what it asks is given up at that time (monotonic), and when the client
	 * of this connection is gone.  NULL: it is not. */
	void (*begin)(void *arg, int64_t give_up_ms, int client_fd);
	void *arg;
};

struct ch_ui_page {
	struct ch_html html;
	const struct ch_ui_store *store;
};

/* What the page takes in its query. */
#define CH_UI_OVERVIEW_QUERY "still"
#define CH_UI_NAMES_QUERY "state tenant actor pool prefix cursor"

/* These return an error when there is nothing to show instead: what was written is of no use
 * then. */
CH_MUST int ch_ui_overview(
	struct ch_ui_page *page, const struct ch_query *query, struct ch_err *err);
CH_MUST int ch_ui_names(
	struct ch_ui_page *page, const struct ch_query *query, struct ch_err *err);
/* name: as the path has it, decoded. */
CH_MUST int ch_ui_name(struct ch_ui_page *page, const char *name, struct ch_err *err);
/* What a code means; kind: "reason" or "alert". */
CH_MUST int ch_ui_help(
	struct ch_ui_page *page, const char *kind, const char *code, struct ch_err *err);
/* Never fails but for memory, which is latched in page->html. */
void ch_ui_problem(struct ch_ui_page *page, int status, const struct ch_err *err);
/* The same without a way on, for requests that nobody was asked to make. */
void ch_ui_problem_bare(struct ch_ui_page *page, int status, const struct ch_err *err);
/* For those who have not opened the address that was printed. */
void ch_ui_stranger(struct ch_ui_page *page);

#endif
