#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/text.h"

#define CELL_MAX_B 4096

static const char *head_of(const struct ch_table *table, size_t col)
{
	return table->heads[col] + (table->heads[col][0] == '>');
}

void ch_table_init(struct ch_table *table, const char *const *heads, size_t n_cols)
{
	*table = (struct ch_table){.heads = heads, .n_cols = n_cols};
	for (size_t i = 0; i < n_cols; i++)
		table->widths[i] = ch_text_width(head_of(table, i));
}

static void forget(struct ch_table *table)
{
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	table->n_cells = 0;
}

void ch_table_done(struct ch_table *table)
{
	forget(table);
	free(table->cells);
	table->cells = NULL;
}

void ch_table_add(struct ch_table *table, const char *text)
{
	size_t col = table->n_cells % table->n_cols;
	struct ch_buf clean;
	size_t width;

	if (table->n_cells == table->cap) {
		size_t cap = table->cap ? 2 * table->cap : 64;
		char **grown = reallocarray(table->cells, cap, sizeof(*grown));

		if (!grown) {
			table->rc = CH_ENOMEM;
			return;
		}
		table->cells = grown;
		table->cap = cap;
	}
	ch_buf_init(&clean, CELL_MAX_B);
	ch_text_add_clean(&clean, text && *text ? text : "-");
	table->cells[table->n_cells] = strdup(ch_buf_str(&clean));
	ch_buf_done(&clean);
	if (!table->cells[table->n_cells]) {
		table->rc = CH_ENOMEM;
		return;
	}
	width = ch_text_width(table->cells[table->n_cells++]);
	if (width > table->widths[col])
		table->widths[col] = width;
}

void ch_table_addf(struct ch_table *table, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	ch_table_add(table, text);
}

static void print_cell(const struct ch_table *table, size_t col, const char *text, FILE *out)
{
	int gap = (int)(table->widths[col] - ch_text_width(text));
	int last = col + 1 == table->n_cols;

	if (table->heads[col][0] == '>')
		fprintf(out, "%*s%s%s", gap, "", text, last ? "\n" : "  ");
	else if (last)
		fprintf(out, "%s\n", text);
	else
		fprintf(out, "%s%*s", text, gap + 2, "");
}

void ch_table_print(struct ch_table *table, FILE *out)
{
	for (size_t i = 0; i < table->n_cols && !table->printed_head; i++)
		print_cell(table, i, head_of(table, i), out);
	table->printed_head = 1;
	for (size_t i = 0; i < table->n_cells - table->n_cells % table->n_cols; i++)
		print_cell(table, i % table->n_cols, table->cells[i], out);
	forget(table);
}
