#ifndef CH_STORE_SQLITE_MIGRATE_H
#define CH_STORE_SQLITE_MIGRATE_H

#include "store/db.h"

/* Brings the schema to this program's version; a newer one stays as it is.  CH_EUNSUPPORTED: it
 * is not for this program (store/schema.h). */
CH_MUST int ch_sqlite_migrate(struct ch_db *db, const char *path, struct ch_err *err);
/* No further than to this version: to read what an older program has written. */
CH_MUST int ch_sqlite_migrate_to(
	struct ch_db *db, const char *path, int64_t to, struct ch_err *err);
/* CH_EUNSUPPORTED: not a database of ours, made by a newer program, or moved away from. */
CH_MUST int ch_sqlite_schema(
	struct ch_db *db, const char *path, int64_t *ret_version, struct ch_err *err);
/* No store opens it from now on: it is on its way to this database, */
CH_MUST int ch_sqlite_mark_moving(struct ch_db *db, const char *url);
/* which this says (CH_ENOTFOUND: it is not on its way), */
CH_MUST int ch_sqlite_moving_to(struct ch_db *db, struct ch_arena *arena, const char **ret_url);
/* and it is not after all; */
CH_MUST int ch_sqlite_unmark(struct ch_db *db);
/* or it has arrived there, and no ticket keys are left here, nor in the log beside it.
 * CH_EAGAIN: somebody reads it, and the mark is as it was. */
CH_MUST int ch_sqlite_mark_moved(struct ch_db *db);

#endif
