/* An SQLite database serves one store. */
#ifndef CH_STORE_SQLITE_LOCK_H
#define CH_STORE_SQLITE_LOCK_H

#include "base/err.h"

/* Held until the caller closes *ret_fd.  CH_ECONFLICT "database-in-use". */
CH_MUST int ch_sqlite_lock(const char *path, int *ret_fd, struct ch_err *err);

#endif
