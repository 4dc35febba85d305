/* After a restore: edges hand back the certificates that they got after the backup.  A part of
 * store.h.
 *
 * Edges have checked the issuer's signature of each when it came, and check it again when it is
 * given to others: so nothing can be handed back that this issuer has not made for this name.
 * It is taken when it is newer than what the store has, and for a time only. */
#ifndef CH_STORE_HANDBACK_H
#define CH_STORE_HANDBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/state.h"

#define CH_STORE_HANDBACK_MAX 64

struct ch_op_publish;
struct ch_op_tickets;

enum ch_store_handback_result {
	CH_HANDBACK_TAKEN,   /* live under the version that it has, or to be kept until what is
			      * newer goes on to the edges of a pool that is frozen or has a
			      * canary */
	CH_HANDBACK_SOON,    /* taken; the issuer signs it under a higher version */
	CH_HANDBACK_OLD,     /* the store has what is as new */
	CH_HANDBACK_REFUSED, /* code says why */
};

struct ch_store_handback_item {
	const char *name;
	const char *tenant; /* of a name that is not registered any more; NULL: default */
	enum ch_key_type key;
	bool second;		       /* of a name that has two; its record is SECOND */
	struct ch_op_publish *publish; /* id: the record's version; one record */
	/* NULL: a certificate.  Else the keys of session tickets, with nothing else of the
	 * above; TAKEN where the pool has none of as high a version. */
	const struct ch_op_tickets *tickets;
	/* out: */
	enum ch_store_handback_result result;
	const char *code; /* REFUSED: "pool", "claim-needed", "domain-paused", "expired",
			     "bad-record", "second-not-wanted"; else NULL */
};

/* CH_OP_HANDBACK.  CH_ECONFLICT "not-restored": nobody has restored this database lately. */
struct ch_op_handback {
	const char *pool;  /* of the edge */
	enum ch_keys keys; /* of names that come back */
	struct ch_store_handback_item *items;
	size_t n_items; /* 1 … CH_STORE_HANDBACK_MAX */
};

#endif
