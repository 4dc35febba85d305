/* Internal to src/store: what backup, restore and the move share.  transfer.h is the contract.
 */
#ifndef CH_STORE_BACKUP_H
#define CH_STORE_BACKUP_H

#include "store/copy.h"

#define CH_BACKUP_PATH_B 4096
/* SQLite's schema number is PostgreSQL's and this: a migration comes as a pair. */
#define CH_SCHEMA_APART 10

CH_DEFINE_CLEANUP(struct ch_db *, ch_db_close)
#define CH_AUTO_DB CH_CLEANUP(ch_db_close_p)

/* ---- side.c: one end of a transfer ---- */
struct ch_side {
	struct ch_db *db; /* owned */
	/* Owned: for SQL, which must live as long as what ran it; also of the other side, which
	 * is to be closed before. */
	struct ch_arena *arena;
	bool is_postgres;
	int64_t schema; /* SQLite's number; 0: PostgreSQL without a schema of ours */
};
/* A store may have it open.  SQLite's is opened for reading only. */
CH_MUST int ch_side_open(struct ch_side *side, const char *database, struct ch_err *err);
CH_MUST int ch_side_begin_read(struct ch_side *side, struct ch_err *err);
void ch_side_done(struct ch_side *side);
/* CH_OK; or fills err with whatever of the two connections (either may be NULL) has to say. */
int ch_side_err(
	int rc, struct ch_db *from, struct ch_db *to, const char *doing, struct ch_err *err);
/* CH_EUNSUPPORTED "schema-newer". */
CH_MUST int ch_transfer_schema(int64_t schema, const char *what, struct ch_err *err);

/* A private SQLite file in which nothing survives a crash, until ch_partial_finish has put it
 * where it belongs.  One run at a time has it. */
struct ch_partial {
	char path[CH_BACKUP_PATH_B];
	int fd; /* owned, locked; -1: not begun, or finished */
};
/* FILE and an end. */
CH_MUST int ch_partial_init(
	struct ch_partial *partial, const char *file, const char *end, struct ch_err *err);
/* With this schema.  CH_ECONFLICT "file-in-use". */
CH_MUST int ch_partial_begin(
	struct ch_partial *partial, int64_t schema, struct ch_db **ret_db, struct ch_err *err);
/* Made by root, it gets the owner of its folder: a store that runs under a user of its own is
 * to open it. */
CH_MUST int ch_partial_own(const struct ch_partial *partial, struct ch_err *err);
/* Its database is closed. */
CH_MUST int ch_partial_finish(struct ch_partial *partial, const char *file, struct ch_err *err);
/* Removes what was begun and not finished. */
void ch_partial_done(struct ch_partial *partial);
#define CH_AUTO_PARTIAL CH_CLEANUP(ch_partial_done)
/* CH_EEXIST "file-exists". */
CH_MUST int ch_partial_absent(const char *file, struct ch_err *err);

/* ---- backup.c ---- */
CH_MUST int ch_backup_open(const char *file, struct ch_db **ret_db, struct ch_err *err);
CH_MUST int ch_backup_info_read(
	const char *file, struct ch_backup_info *ret_info, struct ch_err *err);
CH_MUST int ch_backup_tables(struct ch_db *db, const char *file, struct ch_arena *arena,
	struct ch_tables *ret_tables, struct ch_err *err);
/* Whether a table's rows are those that the backup says. */
CH_MUST int ch_backup_same(struct ch_db *db, const char *file, const struct ch_table *table,
	const struct ch_copied *copied, struct ch_err *err);

#endif
