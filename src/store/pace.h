/* Pacing under a CA's limits: a part of store.h.
 *
 * An issuer says with each lease under which account and limits it works; the buckets are the
 * store's, so that all issuers share them and a restart forgets nothing.  A token is taken in
 * the commit that makes the order.  A name for which there is none waits, with a reason that
 * says for which limit and until when, and keeps no other waiting:
 *   set      the exact set of names: until its bucket has a token
 *   domain   the registered domain: the same, one name after another
 *   account  new orders: names that a visitor asks for (store/store_wanted.h) before those
 *            that came alone, and these before those that came with many, but for one in
 *            CH_SCHED_SHARE of the turns for which others wait, and within each of these the
 *            tenants in turn
 *
 * Where the CA exempts them, a renewal of the same names is free of the last two, and of all in
 * the window that the CA has named for it, but of what the CA's own answers have taught of them
 * no order is.  Where it does not, renewals come before new names, and first those in danger.
 * An order that begins again takes another token of its account.  No bucket is empty for longer
 * than its limit and CH_STORE_LEARN_MAX_MS together, whatever an issuer has said.
 *
 * A name may have a list of the CAs that it may use, in its own order; those that have the same
 * list wait in a line of their own. */
#ifndef CH_STORE_PACE_H
#define CH_STORE_PACE_H

#include <stdbool.h>

#include "base/arena.h"
#include "pace/bucket.h"

struct ch_store;

#define CH_STORE_ACCOUNT_MAX 255  /* bytes of "CA/ACCOUNT" */
#define CH_STORE_BUCKETS_MAX 1000 /* of one list */
/* No limit is learned for longer, whatever a CA says. */
#define CH_STORE_LEARN_MAX_MS (8 * CH_DAY_MS)

#define CH_PACED_LIST(X)                                                                       \
	X(CH_PACED_ACCOUNT, "account")                                                         \
	X(CH_PACED_DOMAIN, "domain")                                                           \
	X(CH_PACED_SET, "set")

enum ch_paced {
#define X(name, text) name,
	CH_PACED_LIST(X)
#undef X
		CH_PACED_COUNT
};

const char *ch_paced_str(enum ch_paced paced);
CH_MUST int ch_paced_parse(const char *text, enum ch_paced *ret_paced);

struct ch_store_pace {
	const char *account; /* "CA/ACCOUNT", CA without "/"; NULL: nothing is paced */
	const char *ca;	     /* as names' lists call it; NULL: they cannot */
	bool out;	     /* out of order: for who may use no other */
	bool renewals_count; /* as new orders do: the CA exempts none */
	struct ch_limit limits[CH_PACED_COUNT];
};

/* What a CA's answer has taught: nothing before until_ms. */
struct ch_store_limited {
	const char *account; /* NULL: nothing was taught */
	enum ch_paced paced;
	int64_t until_ms;
};

struct ch_store_bucket {
	enum ch_paced paced;
	const char *of; /* "CA/ACCOUNT", "CA:DOMAIN", "CA:NAME NAME" */
	struct ch_limit limit;
	uint32_t left;
	int64_t next_at_ms; /* when there is a token; not after now: there is */
	int64_t full_at_ms;
	int64_t tail_ms; /* the last turn that a name was promised; before now: none is */
};

struct ch_store_limits {
	const struct ch_store_bucket *buckets; /* those that are not full, by key */
	size_t n_buckets;		       /* at most CH_STORE_BUCKETS_MAX */
	bool more;
	uint64_t waiting; /* names that wait for an account */
};
CH_MUST int ch_store_get_limits(
	struct ch_store *store, struct ch_arena *arena, struct ch_store_limits *ret_limits);

#define CH_STORE_UNSEEN_MAX 100000
struct ch_store_line {
	uint64_t waiting; /* names that wait for an account */
	/* Due, without an order and not in line: nobody has looked yet whether they may have
	 * one.  Up to CH_STORE_UNSEEN_MAX, of so many that are due. */
	uint64_t unseen;
};
CH_MUST int ch_store_get_line(struct ch_store *store, struct ch_store_line *ret_line);

#endif
