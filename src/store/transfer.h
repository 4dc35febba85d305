/* The whole of a store's database at once: backup, restore, the move from SQLite to PostgreSQL.
 *
 * A backup is one SQLite file, mode 0600, whichever database it is of: all tables as they were
 * at one moment, but for session ticket keys; keys of certificates are in it as they are in the
 * database, sealed.  It has an application id of its own, so that no store opens it by mistake,
 * and says for each table how many rows it has and their SHA-256.
 *
 * A database is "sqlite:PATH" or "postgresql://…", as for ch_store_open. */
#ifndef CH_STORE_TRANSFER_H
#define CH_STORE_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/* How long names wait after a restore before anything is begun for them: meanwhile edges hand
 * back what they got after the backup. */
#define CH_RESTORE_GRACE_MS (15 * CH_MINUTE_MS)
/* How long edges may hand back. */
#define CH_RESTORE_WINDOW_MS (7 * CH_DAY_MS)
/* Ids go on by the clock, this much for each second: so many cannot have come, neither after
 * the backup nor after it was restored a first time.  Where that is not above the backup's, so
 * far above them. */
#define CH_RESTORE_IDS_PER_S INT64_C(100000)
#define CH_RESTORE_IDS INT64_C(1000000000)

struct ch_transfer {
	/* Now and then; another value than CH_OK ends it, and is what the call returns.  NULL:
	 * nobody wants to know. */
	int (*progress)(const char *doing, uint64_t rows, uint64_t all_rows, void *arg);
	void *arg;
};
CH_MUST int ch_transfer_tell(
	const struct ch_transfer *how, const char *doing, uint64_t rows, uint64_t all_rows);

struct ch_backup_info {
	int64_t made_at_ms;
	char source[16];  /* "sqlite", "postgresql" */
	char version[32]; /* of the program that made it */
	uint64_t schema;  /* SQLite's number */
	uint64_t rows;
	uint64_t names;
	uint64_t certs;
	uint64_t open_orders;
	uint64_t size_b; /* of the file */
};

/* The store may run meanwhile.  Nothing is left behind when it fails.  CH_EEXIST "file-exists":
 * the file is there. */
CH_MUST int ch_backup_write(const char *database, const char *file,
	const struct ch_transfer *how, struct ch_backup_info *ret_info, struct ch_err *err);
/* Reads it all.  CH_ECORRUPT "bad-backup": what it says of itself is not so. */
CH_MUST int ch_backup_check(const char *file, const struct ch_transfer *how,
	struct ch_backup_info *ret_info, struct ch_err *err);
/* Into a database that does not exist (SQLite) or has no names (PostgreSQL): CH_ECONFLICT
 * "database-not-empty".  It has a new epoch, so that every edge compares itself with it; ids go
 * on far behind those of the backup; leases are void; accounts have no tokens left of what may
 * have been ordered meanwhile; nothing begins before the grace is over. */
CH_MUST int ch_backup_restore(const char *file, const char *database,
	const struct ch_transfer *how, struct ch_backup_info *ret_info, struct ch_err *err);

struct ch_move_info {
	uint64_t rows;	       /* copied while the store ran */
	uint64_t changed_rows; /* copied when it was stopped */
	int64_t copy_ms;
	int64_t pause_ms; /* from the moment the store was stopped to the end */
};

/* From an SQLite database whose store may run, into a PostgreSQL database without names, which
 * gets either all or nothing.  Once all is copied and compared, it waits for the store to be
 * stopped (progress is called with "wait"); then follows what has changed meanwhile.  Before
 * PostgreSQL commits, the SQLite file is marked, so that no store opens it again: at no moment
 * are there two that can be used.  Killed in between ("handing over", "handed over"), it goes
 * on where it was when it is called again, with rows 0 when nothing was left but the mark.  The
 * epoch stays: edges go on from where they are.  CH_ECONFLICT "moving-elsewhere". */
CH_MUST int ch_move_to_postgres(const char *path, const char *url,
	const struct ch_transfer *how, struct ch_move_info *ret_info, struct ch_err *err);
/* Gives a database back that a killed move has left marked.  CH_ENOTFOUND "not-moving";
 * CH_ECONFLICT "database-moved": it has arrived, and stays closed.  The other database must
 * answer; *ret_url, in the arena, is where it is, as it was given. */
CH_MUST int ch_move_abandon(
	const char *path, const char **ret_url, struct ch_arena *arena, struct ch_err *err);

#endif
