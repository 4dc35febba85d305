/* What issuers say of themselves with each lease: a part of store.h.
 *
 * Under which accounts and limits they work, what they call their CAs, which DNS records they
 * need: so that every store on the database can answer by it, also one that no issuer leases
 * from.  Issuers lease many times a second, and seldom say anything new: it is written when it
 * is news, and else now and then, to tell that it still holds. */
#ifndef CH_STORE_ISSUERS_H
#define CH_STORE_ISSUERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"

struct ch_store;

#define CH_STORE_SAYS_MAX_B 32768u
#define CH_STORE_ISSUERS_MAX 256 /* of one list */
#define CH_STORE_SOFTWARE_MAX 64
/* What was confirmed within this is not written again. */
#define CH_STORE_ISSUER_CONFIRM_MS (10 * CH_MINUTE_MS)
/* Forgotten after this: long enough for the outage of an issuer over some days. */
#define CH_STORE_ISSUER_KEEP_MS (7 * CH_DAY_MS)

struct ch_store_issuer {
	const char *id;	       /* "issuer/default/i1" */
	const char *says;      /* text of the caller's, of JSON */
	const char *software;  /* "certherd/0.2.0"; "": not known */
	int64_t changed_at_ms; /* what it says */
	int64_t confirmed_at_ms;
};

/* CH_OP_ISSUER: this issuer says this, now.  CH_ETOOBIG "bad-field". */
struct ch_op_issuer {
	const char *id;
	const char *says;
	const char *software; /* up to CH_STORE_SOFTWARE_MAX bytes; NULL or "": not known */
};

/* Those that are not forgotten, the last confirmed first. */
CH_MUST int ch_store_list_issuers(struct ch_store *store, struct ch_arena *arena,
	struct ch_store_issuer **ret_issuers, size_t *ret_n);

#endif
