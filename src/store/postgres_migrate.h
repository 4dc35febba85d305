#ifndef CH_STORE_POSTGRES_MIGRATE_H
#define CH_STORE_POSTGRES_MIGRATE_H

#include "store/db.h"

/* The advisory lock under which one store at a time writes, or brings the schema forward. */
#define CH_POSTGRES_WRITER_LOCK "1129469000" /* "CRTH" */

/* Brings the schema to this program's version; a newer one stays as it is.  Several
 * stores may begin at once.  CH_EUNSUPPORTED: it is not for this program (store/schema.h). */
CH_MUST int ch_postgres_migrate(struct ch_db *db, struct ch_err *err);

#endif
