/* A store that answers from a list. */
#ifndef CH_TEST_UI_SCRIPT_H
#define CH_TEST_UI_SCRIPT_H

#include "ui/pages.h"

struct script_line {
	const char *path; /* how the path begins; NULL ends the list */
	const char *json; /* NULL: an error */
	int rc;
	const char *problem;
	const char *detail;
};

struct script {
	const struct script_line *lines;
	char asked[4096]; /* the paths, one a line */
};

/* What no line is for is answered with an empty object. */
struct ch_ui_store script_store(struct script *script);

#endif
