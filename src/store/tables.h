/* The shape of a database's tables, as an SQLite file of ours has them: PostgreSQL has the same
 * ones, with the same columns.  For what treats all tables alike: backups, and the way from
 * one database to another. */
#ifndef CH_STORE_TABLES_H
#define CH_STORE_TABLES_H

#include "store/db.h"

#define CH_TABLES_MAX 64
#define CH_TABLE_COLS_MAX 64
#define CH_TABLE_KEYS_MAX 4

struct ch_table {
	const char *name;
	size_t n_cols;
	const char *cols[CH_TABLE_COLS_MAX];
	char types[CH_TABLE_COLS_MAX + 1]; /* as the letters of ch_db_query: i, t or b */
	size_t n_keys;
	size_t keys[CH_TABLE_KEYS_MAX]; /* columns of the primary key, in its order */
	/* SQL, which lives as long as the arena; with the letters of its arguments: */
	const char *first; /* a page from the beginning, by key: LIMIT ? */
	const char *next;  /* a page behind a key: the key's columns, LIMIT ? */
	char next_fmt[CH_TABLE_KEYS_MAX + 2];
	const char *insert; /* a row; types */
	const char *remove; /* by key; remove_fmt */
	char remove_fmt[CH_TABLE_KEYS_MAX + 1];
	const char *count;
	const char *col_list; /* "a, b, c" */
};

struct ch_tables {
	struct ch_table list[CH_TABLES_MAX];
	size_t n;
};

enum ch_tables_of {
	CH_TABLES_OF_BACKUP, /* without that of ticket keys, which are not to outlive their day
			      */
	CH_TABLES_OF_STORE,
};

/* Of an open SQLite database; all text is in the arena.  CH_ECORRUPT: a table or a column has
 * a name that none of ours has. */
CH_MUST int ch_tables_load(struct ch_db *sqlite, enum ch_tables_of of, struct ch_arena *arena,
	struct ch_tables *ret_tables);

/* One column of the row that step found, as an argument: borrowed until the next step. */
void ch_table_value(char type, struct ch_stmt *stmt, int col, struct ch_db_arg *ret);
/* The row that step found, as arguments: borrowed until the next step. */
void ch_table_row(const struct ch_table *table, struct ch_stmt *stmt, struct ch_db_arg *ret);

/* A SHA-256 over rows: in the order of keys, it is the same for the same content whatever
 * database it lies in. */
struct ch_row_digest;
CH_MUST int ch_row_digest_new(struct ch_row_digest **ret_digest);
void ch_row_digest_free(struct ch_row_digest *digest);
CH_MUST int ch_row_digest_add(
	struct ch_row_digest *digest, const struct ch_db_arg *row, size_t n);
/* Ends it. */
CH_MUST int ch_row_digest_end(struct ch_row_digest *digest, uint8_t ret_sha256[32]);

/* Every row in the order of keys, a page at a time: of a statement's result PostgreSQL's driver
 * holds all.  row: another value than 0 ends it, and is returned. */
CH_MUST int ch_table_walk(struct ch_db *db, const struct ch_table *table,
	int (*row)(const struct ch_db_arg *row, void *arg), void *arg);

#endif
