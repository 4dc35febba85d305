/* Names that an issuer looks at before there is an order: a part of store.h.
 *
 * A name whose DNS is dead would be given an order, which fails at once, and a place among the
 * workers of an issuer.  An issuer that looks at names beforehand is handed those that are due
 * in the place of orders (CH_OP_LEASE), many at a time.  Each is its to look at for lease_ms
 * (at most CH_STORE_LOOK_MS): its next_at is that far ahead meanwhile, and is what the look is
 * known by, so that whatever else happens to the name ends the look.  Then it says which are
 * dead, which count as failed without an order, and which it has looked at, which get one as
 * ever. */
#ifndef CH_STORE_STORE_LOOK_H
#define CH_STORE_STORE_LOOK_H

#include <stddef.h>
#include <stdint.h>

#define CH_STORE_LOOK_MS 30000	/* no look lasts longer */
#define CH_STORE_LOOKS_MAX 1000 /* names that one lease hands out */
#define CH_STORE_LOOKED_MAX 256 /* … and that it is told of, of either kind */

struct ch_store_outcome;

/* A look at a name, by both. */
struct ch_store_look_key {
	const char *name;
	int64_t until_ms;
};

/* What is handed out. */
struct ch_store_look {
	struct ch_store_look_key key;
	uint64_t failures; /* as in struct ch_store_order_name */
	uint64_t checks_failed;
	int64_t away_since_ms;
	int64_t needed_by_ms;
};

/* A part of CH_OP_LEASE.  Looks that are no more, or are another issuer's, are passed over. */
struct ch_store_looking {
	/* Names handed out at most; 0 … CH_STORE_LOOKS_MAX.  First, up to a half, those that
	 * visitors ask for.  Then the longest due; where there are more, a quarter is for those
	 * that became due last. */
	size_t most;
	/* Due, and may get an order; in their order, as long as there is room. */
	const struct ch_store_look_key *looked;
	size_t n_looked;
	/* Outcomes as of an order that failed before the CA was asked, by dead_until_ms.  A
	 * name that shares its certificate with one of them goes alone next time. */
	const struct ch_store_outcome *dead;
	const int64_t *dead_until_ms;
	size_t n_dead;
	/* out: */
	struct ch_store_look *looks;
	size_t n_looks;
	size_t n_dealt; /* of looked: the first so many; the others are as they were */
};

#endif
