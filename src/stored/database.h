/* Which database the configuration names. */
#ifndef CH_STORED_DATABASE_H
#define CH_STORED_DATABASE_H

#include "base/conf.h"

/* "sqlite:PATH" with an absolute path, or "postgresql://…"; to be freed.  NULL: no memory, or
 * the key's value is wrong, which is latched in conf. */
char *ch_database_text(struct ch_conf *conf);

#endif
