/* The driver for SQLite. */
#ifndef CH_STORE_DB_SQLITE_H
#define CH_STORE_DB_SQLITE_H

#include <sqlite3.h>

#include "store/db.h"

/* flags: SQLITE_OPEN_READWRITE or SQLITE_OPEN_READONLY.  One thread at a time. */
CH_MUST int ch_db_sqlite_open(
	const char *path, int flags, struct ch_db **ret_db, struct ch_err *err);

/* The connection itself, borrowed. */
sqlite3 *ch_db_sqlite_of(struct ch_db *db);

#endif
