/* Replacing certificates before their renewal, many at once: part of store/store.h. */
#ifndef CH_STORE_STORE_REKEY_H
#define CH_STORE_STORE_REKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CH_STORE_REKEY_MAX 1000 /* certificates that one CH_OP_REKEY looks at */

/* Which of the live certificates; NULL and 0: any. */
struct ch_store_rekey_filter {
	int64_t issued_before_ms; /* published before */
	const char *issuer;	  /* text in the name of the issuer */
	const char *tenant;
	const char *pool;
};

/* CH_OP_REKEY: the next certificates in the order in which they were issued, so that the key
 * that is exposed for the longest goes first.  Each one's renewal is planned, the first at
 * at_ms, each further one spacing_us later; never later than it was planned before.  One that
 * is planned already keeps its turn.  Passed over: names that are paused or have moved away,
 * and those with an open order, which brings a new certificate as it is.  A name that goes on
 * with the order of another one (www) is brought along by it. */
struct ch_op_rekey {
	struct ch_store_rekey_filter filter;
	uint64_t after; /* cursor: versions above this */
	size_t max; /* 1 … CH_STORE_REKEY_MAX, looked at; of those that are planned fewer */
	bool begin; /* the first call: what was counted of an earlier one is forgotten, if
		     * nothing     of it is left */
	bool dry_run;
	int64_t at_ms; /* of the first one; 0: now */
	int64_t spacing_us;
	/* out: */
	size_t matched; /* planned, or that would be */
	size_t passed_over;
	uint64_t last; /* cursor of the next call */
	bool more;
};

struct ch_store_rekey {
	uint64_t total;	  /* planned since it began */
	uint64_t left;	  /* of these: not replaced yet */
	uint64_t late;	  /* of these: their turn was more than an hour ago; up to 10,000 */
	int64_t began_ms; /* 0: never */
	int64_t until_ms; /* the last turn; 0: nothing is left */
};

struct ch_store;
CH_MUST int ch_store_get_rekey(struct ch_store *store, struct ch_store_rekey *ret_rekey);

#endif
