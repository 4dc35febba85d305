/* Which rows a statement reads or writes, told from its text: what has been read in a
 * transaction need not be asked for again before something of it was written
 * (db_postgres_memo.h).
 *
 * It errs to the safe side: of a text that is not understood, a read is never remembered and a
 * write makes everything be asked for again.  Triggers are known by what they write to: none of
 * them may write to a table of those below (tests/unit/store/test_touch.c). */
#ifndef CH_STORE_DB_POSTGRES_TOUCH_H
#define CH_STORE_DB_POSTGRES_TOUCH_H

#include <stdbool.h>

/* All other tables are this one. */
#define CH_TOUCH_OTHER (1u << 31)
#define CH_TOUCH_ALL (~0u)

struct ch_touch {
	bool is_read;
	unsigned tables; /* a bit each */
	/* Of one table only rows whose key is this argument, counted from 0; -1: any rows. */
	int key_arg;
};

/* text: with $N for arguments. */
struct ch_touch ch_touch_of(const char *text);
/* The table's bit: CH_TOUCH_OTHER when it is none of those that are told apart. */
unsigned ch_touch_bit(const char *table);
/* The names of those that are, in turn; NULL: no more. */
const char *ch_touch_table(unsigned i);

#endif
