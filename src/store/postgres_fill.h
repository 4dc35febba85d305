/* Internal to src/store: an SQLite database's rows into a PostgreSQL database without names. */
#ifndef CH_STORE_POSTGRES_FILL_H
#define CH_STORE_POSTGRES_FILL_H

#include "store/backup.h"

/* Makes the schema where there is none.  CH_ECONFLICT "database-not-empty". */
CH_MUST int ch_postgres_empty(struct ch_side *side, struct ch_err *err);
/* Begins a transaction under the writers' lock and copies all; then reads them back, to
 * compare. `from` has this program's schema. */
CH_MUST int ch_postgres_fill(struct ch_side *to, struct ch_side *from,
	const struct ch_transfer *how, uint64_t *ret_rows, struct ch_err *err);
/* The epoch stays, and is of this server. */
CH_MUST int ch_postgres_commit(struct ch_side *side, struct ch_err *err);
/* Behind it. */
void ch_postgres_analyze(struct ch_side *side);

#endif
