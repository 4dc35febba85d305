#include "cli/import_read.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

void ch_import_reader_init(struct ch_import_reader *reader, FILE *in)
{
	memset(reader, 0, sizeof(*reader));
	reader->in = in;
}

static int fail_line(struct ch_err *err, int rc, const char *problem, const char *detail)
{
	return ch_err_set(err, rc, problem, "%s", detail);
}

/* Reads up to the line's end, which is dropped. */
static int read_line(struct ch_import_reader *r, struct ch_err *err)
{
	size_t len = 0;
	bool too_long = false;
	bool has_nul = false;
	int c;

	while ((c = getc_unlocked(r->in)) != EOF) {
		r->read_b++;
		if (c == '\n')
			break;
		has_nul |= c == 0;
		if (len <= CH_IMPORT_LINE_MAX_B)
			r->text[len++] = (char)c;
		else
			too_long = true;
	}
	if (c == EOF && ferror(r->in))
		return ch_err_set(err, CH_EIO, "file", "cannot read: %s", strerror(errno));
	if (c == EOF && len == 0)
		return CH_ENOTFOUND;
	r->line++;
	if (len && r->text[len - 1] == '\r')
		len--;
	r->text[len] = 0;
	if (too_long || len > CH_IMPORT_LINE_MAX_B) {
		memcpy(r->given, "(long line)", sizeof("(long line)"));
		return fail_line(err, CH_ETOOBIG, "line-too-long",
			"the line is over 4,096 bytes: a name has at most 253");
	}
	if (r->line == 1 && memcmp(r->text, "\xef\xbb\xbf", 3) == 0)
		memmove(r->text, r->text + 3, len - 3 + 1);
	memcpy(r->given, r->text, strlen(r->text) + 1);
	if (has_nul)
		return fail_line(err, CH_EINVAL, "line-nul",
			"the line has a NUL byte: is the file UTF-16? Save it as UTF-8");
	return CH_OK;
}

static char *trim(char *text)
{
	char *end;

	text += strspn(text, " \t");
	for (end = text + strlen(text); end > text && strchr(" \t", end[-1]); end--)
		end[-1] = 0;
	return text;
}

/* Takes one field of a CSV line and moves *at behind its comma; *at is NULL after the last. */
static int take_field(char **at, char **ret_field)
{
	char *from = *at + strspn(*at, " \t");
	char *to;

	if (*from != '"') {
		*ret_field = strsep(at, ",");
		*ret_field = trim(*ret_field);
		return CH_OK;
	}
	*ret_field = to = ++from;
	for (;;) {
		if (*from == 0)
			return CH_EINVAL;
		if (*from == '"' && *++from != '"')
			break;
		*to++ = *from++;
	}
	from += strspn(from, " \t");
	if (*from && *from != ',')
		return CH_EINVAL;
	*at = *from ? from + 1 : NULL;
	*to = 0;
	return CH_OK;
}

/* Splits the line; *ret_n fields, at most max. */
static int split(char *line, char **ret_fields, size_t max, size_t *ret_n, struct ch_err *err)
{
	size_t n = 0;

	while (line) {
		if (n == max)
			return fail_line(err, CH_EINVAL, "csv-columns",
				"the line has more columns than the head line");
		if (take_field(&line, &ret_fields[n]))
			return fail_line(err, CH_EINVAL, "csv-quotes",
				"the quotes do not match: write \"\" for a quote in a field");
		n++;
	}
	*ret_n = n;
	return CH_OK;
}

#define COLUMNS "name, www, tenant, pool, upstream, hsts, redirect, keys, cas, standby"

/* Of a CSV file, since no name has such characters: then no line of it can be understood. */
static int judge_headless(const char *line, struct ch_err *err)
{
	const char *other = strpbrk(line + strspn(line, " \t"), ";\t");

	if (strchr(line, ','))
		return ch_err_set(err, CH_EUNSUPPORTED, "csv-head",
			"the first line has commas, and no column \"name\": it must name the "
			"columns, \"name\" and any of " COLUMNS
			", each once, such as name,www,tenant,pool");
	if (other)
		return ch_err_set(err, CH_EUNSUPPORTED, "csv-head",
			"the first line has a %s: columns are separated by commas, and the "
			"first line names them, such as name,www,tenant,pool",
			*other == ';' ? "semicolon" : "tab");
	return CH_OK;
}

static bool has_col(const enum ch_import_col *cols, size_t n, enum ch_import_col col)
{
	for (size_t i = 0; i < n; i++)
		if (cols[i] == col)
			return true;
	return false;
}

/* A first line whose columns are ours makes the file CSV; "name" alone does too. */
static int read_head(struct ch_import_reader *r, bool *ret_is_head, struct ch_err *err)
{
	static const char *const words[] = {"name", "www", "tenant", "pool", "upstream", "hsts",
		"redirect", "keys", "cas", "standby"};
	/* One more than there are: then one of them is wrong, and is named. */
	char *fields[CH_IMPORT_COLS_MAX + 1];
	char line[sizeof(r->text)];
	size_t n = 0;
	bool has_name = false;
	int rc;

	memcpy(line, r->text, strlen(r->text) + 1);
	*ret_is_head = false;
	rc = split(line, fields, CH_ARRAY_LEN(fields), &n, err);
	if (rc && !strchr(r->text, ','))
		return judge_headless(r->text, err);
	if (rc)
		return ch_err_set(err, CH_EUNSUPPORTED, "csv-head",
			"the first line does not name columns, \"name\" and any of " COLUMNS
			", each once, such as name,www,tenant,pool");
	for (size_t i = 0; i < n; i++)
		has_name |= strcasecmp(fields[i], "name") == 0;
	if (!has_name)
		return judge_headless(r->text, err);
	for (size_t i = 0; i < n; i++) {
		size_t col = 0;

		while (col < CH_ARRAY_LEN(words) && strcasecmp(fields[i], words[col]) != 0)
			col++;
		if (col == CH_ARRAY_LEN(words))
			return ch_err_set(err, CH_EUNSUPPORTED, "csv-head",
				"the column \"%s\" is not one of " COLUMNS ", each once",
				fields[i]);
		if (has_col(r->cols, i, (enum ch_import_col)col))
			return ch_err_set(err, CH_EUNSUPPORTED, "csv-head",
				"the first line names the column \"%s\" twice: each is named "
				"once, such as name,www,tenant,pool",
				words[col]);
		r->cols[i] = (enum ch_import_col)col;
	}
	r->n_cols = n;
	r->csv = true;
	*ret_is_head = true;
	return CH_OK;
}

static int parse_www(const char *text, int *ret_www)
{
	static const char *const words[] = {"no", "yes", "false", "true", "0", "1"};

	if (!*text) {
		*ret_www = -1;
		return CH_OK;
	}
	for (size_t i = 0; i < CH_ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*ret_www = (int)(i % 2);
			return CH_OK;
		}
	}
	return CH_EINVAL;
}

/* Where a column's text goes; NULL for one that is no text. */
static const char **place_of(struct ch_import_row *row, enum ch_import_col col)
{
	switch (col) {
	case CH_IMPORT_NAME:
		return &row->name;
	case CH_IMPORT_TENANT:
		return &row->settings.tenant;
	case CH_IMPORT_POOL:
		return &row->settings.pool;
	case CH_IMPORT_UPSTREAM:
		return &row->settings.upstream;
	case CH_IMPORT_HSTS:
		return &row->settings.hsts;
	case CH_IMPORT_REDIRECT:
		return &row->settings.redirect;
	case CH_IMPORT_KEYS:
		return &row->settings.keys;
	case CH_IMPORT_CAS:
		return &row->settings.cas;
	case CH_IMPORT_STANDBY:
		return &row->settings.standby;
	case CH_IMPORT_WWW:
		break;
	}
	return NULL;
}

static int parse_csv(struct ch_import_reader *r, struct ch_import_row *row, struct ch_err *err)
{
	char *fields[CH_IMPORT_COLS_MAX];
	size_t n;
	int rc = split(r->text, fields, r->n_cols, &n, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++) {
		const char **place = place_of(row, r->cols[i]);

		/* An empty field is not given; an empty name is the store's to refuse. */
		if (place && (*fields[i] || place == &row->name))
			*place = fields[i];
		else if (!place && parse_www(fields[i], &row->www))
			return fail_line(
				err, CH_EINVAL, "csv-www", "the column www takes yes or no");
	}
	if (!row->name)
		return fail_line(
			err, CH_EINVAL, "csv-columns", "the line has no column for the name");
	return CH_OK;
}

int ch_import_read(
	struct ch_import_reader *r, struct ch_import_row *ret_row, struct ch_err *err)
{
	struct ch_import_row row = {.www = -1};
	char *line;
	bool is_head;
	int rc;

	do {
		rc = read_line(r, err);
		if (rc)
			return rc;
		line = trim(r->text);
	} while (!*line || *line == '#');
	if (!r->begun) {
		r->begun = true;
		rc = read_head(r, &is_head, err);
		if (rc)
			return rc;
		if (is_head)
			return ch_import_read(r, ret_row, err);
	}
	if (r->csv)
		rc = parse_csv(r, &row, err);
	else if (strchr(line, ','))
		rc = fail_line(err, CH_EINVAL, "csv-columns",
			"a comma: for columns, the first line must name them, such as "
			"name,www,tenant,pool");
	else
		row.name = line;
	if (rc)
		return rc;
	*ret_row = row;
	return CH_OK;
}
