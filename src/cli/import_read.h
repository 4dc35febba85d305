/* Reads the file of `certherd domain import` line by line: one name a line, or CSV (RFC 4180,
 * without line ends inside of fields) whose first line names its columns out of name, www,
 * tenant, pool, upstream, hsts, redirect, keys, cas and standby.  A byte order mark, CRLF,
 * empty lines and lines that begin with '#' are fine.  Memory does not grow with the file. */
#ifndef CH_CLI_IMPORT_READ_H
#define CH_CLI_IMPORT_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "cli/domain_settings.h"

#define CH_IMPORT_LINE_MAX_B 4096
#define CH_IMPORT_COLS_MAX 10

enum ch_import_col {
	CH_IMPORT_NAME,
	CH_IMPORT_WWW,
	CH_IMPORT_TENANT,
	CH_IMPORT_POOL,
	CH_IMPORT_UPSTREAM,
	CH_IMPORT_HSTS,
	CH_IMPORT_REDIRECT,
	CH_IMPORT_KEYS,
	CH_IMPORT_CAS,
	CH_IMPORT_STANDBY
};

struct ch_import_reader {
	FILE *in;      /* borrowed */
	uint64_t line; /* of the last one read, from 1 */
	uint64_t read_b;
	bool begun;
	bool csv;
	enum ch_import_col cols[CH_IMPORT_COLS_MAX];
	size_t n_cols;
	char text[CH_IMPORT_LINE_MAX_B + 2];
	char given[CH_IMPORT_LINE_MAX_B + 2]; /* the line as it stands */
};

struct ch_import_row { /* texts are valid until the next call; NULL: not given */
	const char *name;
	struct ch_domain_settings settings;
	int www; /* 1 yes, 0 no, -1 not given */
};

void ch_import_reader_init(struct ch_import_reader *reader, FILE *in);
/* The next row.  CH_ENOTFOUND at the end; CH_EIO; CH_EINVAL or CH_ETOOBIG: this line is
 * rejected (problem line-too-long, line-nul, csv-quotes, csv-columns, csv-www, name-not-utf8)
 * and the next may be read; CH_EUNSUPPORTED: the head line is not understood, and reading on
 * makes no sense. */
CH_MUST int ch_import_read(
	struct ch_import_reader *reader, struct ch_import_row *ret_row, struct ch_err *err);

#endif
