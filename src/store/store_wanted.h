/* Names that visitors are waiting for: a part of store.h.
 *
 * An edge tells which names without a certificate its visitors ask for.  Such a name is of
 * CH_CLASS_VISITOR (pace/scheduler.h) until it has an order or a certificate, fails, is paused,
 * moves to another pool, or CH_STORE_WANTED_KEEP_MS are over: it is handed out before others
 * that are due, and goes before new names in the line of an account.
 *
 * One that the preflight has found to lead elsewhere, and nobody else found fault with, is
 * looked at at once, at most once in CH_STORE_LOOK_AGAIN_MS: that a visitor comes here puts it
 * in doubt.  When it fails again before the CA was asked, it is tried when it would have been,
 * and its failures are as many as before.
 *
 * Strangers can ask for any name, so only so many count at once, and so many are looked at
 * again within CH_STORE_LOOK_AGAIN_MS. */
#ifndef CH_STORE_STORE_WANTED_H
#define CH_STORE_STORE_WANTED_H

#include <stddef.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"

struct ch_store;

#define CH_STORE_WANTED_MAX 100	       /* names of one operation */
#define CH_STORE_WANTED_TENANT_MAX 100 /* that count at once, of one tenant, */
#define CH_STORE_WANTED_ALL_MAX 1000   /* … and of a pool */
#define CH_STORE_WANTED_KEEP_MS CH_DAY_MS
#define CH_STORE_LOOK_AGAIN_MS CH_HOUR_MS

/* CH_OP_WANTED.  Passed over are names of another pool, paused ones, those that have a
 * certificate or an order or are not due (but for what is looked at again), and what is above
 * the limits.  CH_EINVAL "bad-field": none, or too many names. */
struct ch_op_wanted {
	const char *pool; /* the edge's */
	const char *const *names;
	size_t n_names; /* 1 … CH_STORE_WANTED_MAX */
	/* out: */
	size_t n_taken; /* of these count now, those included that did already */
};

/* What the operation would find, without writing. */
struct ch_store_wanted {
	size_t n_counted;	/* these count already */
	const char *const *new; /* these do not yet, and may */
	size_t n_new;
};
CH_MUST int ch_store_see_wanted(struct ch_store *store, const struct ch_op_wanted *wanted,
	struct ch_arena *arena, struct ch_store_wanted *ret_wanted);

#endif
