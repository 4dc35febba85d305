/* All rows of all tables from one database into another: what backup, restore and the move to
 * PostgreSQL have in common. */
#ifndef CH_STORE_COPY_H
#define CH_STORE_COPY_H

#include "store/tables.h"
#include "store/transfer.h"

/* Where rows go.  Triggers are off and indexes are gone until ch_sink_finish has put them back:
 * the rows are what triggers once made of them, and an index is built faster than it grows. */
struct ch_sink {
	struct ch_db *db;	/* borrowed; within a transaction */
	bool is_postgres;	/* else SQLite */
	struct ch_arena *arena; /* borrowed; lives as long as db */
	const char *again;	/* SQL that puts triggers and indexes back */
};

/* Empties the tables (a fresh schema has rows) and takes triggers and indexes away. */
CH_MUST int ch_sink_begin(struct ch_sink *sink, const struct ch_tables *tables);
/* Takes only triggers away. */
CH_MUST int ch_sink_quiet(struct ch_sink *sink);
CH_MUST int ch_sink_finish(struct ch_sink *sink);

struct ch_copied {
	uint64_t rows;
	uint8_t sha256[32];
};

/* One table's rows; *ret_copied is of what was read.  done_rows, beside progress: of the tables
 * before. */
CH_MUST int ch_copy_table(struct ch_db *from, struct ch_sink *sink,
	const struct ch_table *table, const struct ch_transfer *how, uint64_t done_rows,
	uint64_t all_rows, struct ch_copied *ret_copied);
/* The same without a sink: to compare. */
CH_MUST int ch_digest_table(struct ch_db *from, const struct ch_table *table,
	const struct ch_transfer *how, const char *doing, uint64_t done_rows, uint64_t all_rows,
	struct ch_copied *ret_copied);
/* Rows of all tables. */
CH_MUST int ch_count_rows(struct ch_db *db, const struct ch_tables *tables, uint64_t *ret_rows);

/* ---- copy_postgres.c ---- */
struct ch_pg_copy;
/* COPY: fill puts the rows of one table, and must not use db. */
CH_MUST int ch_pg_copy(struct ch_db *db, const struct ch_table *table,
	int (*fill)(struct ch_pg_copy *copy, void *arg), void *arg);
CH_MUST int ch_pg_copy_row(struct ch_pg_copy *copy, const struct ch_db_arg *row);

#endif
