/* Standby certificates and roll-backs: a part of store.h.
 *
 * A name that is to have one gets, once its certificate is live, a second complete one from
 * another CA and with another key.  It is kept here, sealed, is not live and goes to no edge;
 * it is renewed on the calendar as any other, after everything else that is due.  It is put
 * live without the CA, as a roll-back is: by an order of an issuer, which signs its record
 * again. */
#ifndef CH_STORE_STANDBY_H
#define CH_STORE_STANDBY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store_reason.h"

struct ch_store_cert;

#define CH_STORE_STANDBY_NONE "none"
#define CH_STORE_STANDBY_MAX 1000 /* names that one CH_OP_STANDBY looks at */

/* What is told of the standby certificate. */
struct ch_store_standby {
	const char *wanted; /* from which CA it is to be; NULL: none is wanted any more */
	const char *ca;	    /* that it is from, as issuers call it; NULL: not known */
	bool ready;	    /* it can be put live */
	struct ch_store_reason reason;
	int64_t next_at_ms;
	uint64_t failures;
	const struct ch_store_cert *cert; /* NULL: none yet */
};

/* CH_OP_STANDBY: of one name (`name`), or of all names whose live certificate is from `ca`,
 * `max` names at a time, in the order of names.  A www name that shares both certificates goes
 * along.  An order that is under way is given up for it.  What was begun before is left alone,
 * so that repeating it does no harm.
 * One name: CH_ENOTFOUND "domain-not-found"; CH_ECONFLICT "standby-not-ready", "order-open" (a
 * roll-back), "domain-paused".  All: CH_ENOTFOUND "ca-not-found": no issuer has told of it. */
struct ch_op_standby {
	const char *name; /* NULL: all */
	const char *ca;
	const char *after; /* names above this; NULL: from the beginning */
	size_t max;	   /* 1 … CH_STORE_STANDBY_MAX */
	bool dry_run;
	/* out: */
	size_t begun;	    /* names whose standby is being put live, or would be */
	size_t not_ready;   /* they have no standby that would help */
	size_t passed_over; /* paused, or with a roll-back under way */
	const char *last;   /* NULL: that was the end */
};

/* CH_OP_ROLLBACK: an order that puts the certificate before the live one back, with its key; a
 * www name that shares both goes along.  An order that is only being confirmed is given up for
 * it.  Nothing to do when `to` is what is live.
 * CH_ENOTFOUND "domain-not-found", "version-not-found" (`to` is not what is kept); CH_ECONFLICT
 * "nothing-to-roll-back", "rolled-back" (the live one is put back already, and `to` is not
 * given), "cert-expired", "order-open", "domain-paused". */
struct ch_op_rollback {
	const char *name;
	uint64_t to; /* 0: the one before the live one */
};

#endif
