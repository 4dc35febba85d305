/* What registering names asks the database about each, asked for all names of an operation at
 * once: else a batch would wait several times a name for an answer, which takes far longer than
 * the database does where that is on another host.
 *
 * Nobody else writes meanwhile, and whoever changes such a thing in the same operation says so
 * here; what was not asked about, or has changed since, is looked up when it is wanted. */
#ifndef CH_STORE_SQL_AHEAD_H
#define CH_STORE_SQL_AHEAD_H

#include "store/sql_work.h"

enum ch_ahead_of {
	CH_AHEAD_NAME = 1,   /* a name's row */
	CH_AHEAD_HOLDER = 2, /* who held a name that was removed */
	CH_AHEAD_RECORD = 4  /* a record under this key (ch_record_key), of whatever pool */
};

/* For several operations that register few names each, which are about to run in one
 * transaction: each of them, then for all together.  While they run, operations of other kinds
 * may only be such that ch_ahead_outlives. */
CH_MUST int ch_ahead_gather(struct ch_work *w, const struct ch_store_op *op);
CH_MUST int ch_ahead_ask_gathered(struct ch_work *w);
CH_MUST int ch_ahead_take_gathered(struct ch_work *w);
/* No name comes or goes by it. */
bool ch_ahead_outlives(const struct ch_store_op *op);

/* Once an operation, before anything else. */
CH_MUST int ch_ahead_ask(struct ch_work *w, const struct ch_store_put_item *items, size_t n);
/* As ch_name_row_load. */
CH_MUST int ch_ahead_row(struct ch_work *w, const char *name, struct ch_name_row *ret_row);
/* Whether it is known that there is none. */
bool ch_ahead_lacks(const struct ch_work *w, enum ch_ahead_of what, const char *key);
/* It was inserted, changed or removed. */
void ch_ahead_changed(struct ch_work *w, enum ch_ahead_of what, const char *key);

#endif
