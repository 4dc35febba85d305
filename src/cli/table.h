/* Aligned tables. */
#ifndef CH_CLI_TABLE_H
#define CH_CLI_TABLE_H

#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

#define CH_TABLE_COLS_MAX 12

struct ch_table {
	const char *const *heads; /* borrowed; a leading '>' sets the column to the right */
	size_t n_cols;
	size_t widths[CH_TABLE_COLS_MAX]; /* grow only, also from page to page */
	char **cells;			  /* owned, n_cells of them, row by row */
	size_t n_cells;
	size_t cap;
	int printed_head;
	int rc; /* CH_ENOMEM, latched */
};

/* heads: n_cols of them, at most CH_TABLE_COLS_MAX. */
void ch_table_init(struct ch_table *table, const char *const *heads, size_t n_cols);
void ch_table_done(struct ch_table *table);
/* The next cell of the row, cleaned for the terminal (cli/text.h); NULL is shown as "-". */
void ch_table_add(struct ch_table *table, const char *text);
void ch_table_addf(struct ch_table *table, const char *fmt, ...) CH_PRINTF(2, 3);
/* Prints the rows and forgets them; the head only the first time. */
void ch_table_print(struct ch_table *table, FILE *out);

#endif
