/* Which programs may work on a database: those of its schema's version, and older ones that its
 * migrations allow.  The table certherd_schema, which no migration makes since it tells of
 * them, holds the oldest version (compatible_from) in its one row; with PostgreSQL the version
 * too. */
#ifndef CH_STORE_SCHEMA_H
#define CH_STORE_SCHEMA_H

#include <stdint.h>

#include "base/err.h"

/* version: of the database, whose programs from compatible_from on may go on with it; knows: of
 * this program; database: what people call it.  CH_EUNSUPPORTED (`schema-newer`). */
CH_MUST int ch_schema_check(int64_t version, int64_t compatible_from, unsigned knows,
	const char *database, struct ch_err *err);

#endif
