#ifndef CH_STORE_SQLITE_MIGRATE_H
#define CH_STORE_SQLITE_MIGRATE_H

#include "store/db.h"

/* Brings the schema to this program's version; a newer one stays as it is.  CH_EUNSUPPORTED: it
 * is not for this program (store/schema.h). */
CH_MUST int ch_sqlite_migrate(struct ch_db *db, const char *path, struct ch_err *err);

#endif
