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

#define CH_STORE_ORDER_NAMES_MAX 2 /* a name and its www name */

/* What is put back: until that is published also what was live under the version, the record of
 * each of the order's names, NULL where it is gone, and their chain. */
struct ch_store_old {
	uint64_t version; /* 0: nothing is */
	const uint8_t *records[CH_STORE_ORDER_NAMES_MAX];
	size_t record_lens[CH_STORE_ORDER_NAMES_MAX];
	const uint8_t *chain; /* NULL: no intermediates */
	size_t chain_len;
};

/* What is told of the standby certificate. */
struct ch_store_standby {
	const char *wanted; /* from which CA it is to be; NULL: none is wanted any more */
	const char *ca;	    /* as of its certificate; NULL: not known */
	bool ready;	    /* it can be put live */
	struct ch_store_reason reason;
	int64_t next_at_ms;
	uint64_t failures;
	const struct ch_store_cert *cert; /* NULL: none yet */
};

/* What is told apart of the second certificate, for clients that cannot use the first. */
struct ch_store_second {
	struct ch_store_reason reason;
	int64_t next_at_ms; /* 0: paused */
	uint64_t failures;
	const struct ch_store_cert *cert;	/* NULL: none is live */
	const struct ch_store_standby *standby; /* NULL: none, and none is wanted */
};

/* CH_OP_STANDBY: of one name (`name`), or of all names that have a live certificate from `ca`,
 * `max` names at a time, in the order of names.  A www name that shares the certificates goes
 * along.  An order that is under way is given up for it.  What was begun before is left alone,
 * so that repeating it does no harm: with a CA of which nothing is live any more it is CH_OK
 * where a command put live what is.
 * Of a name with two certificates both go, in one transaction; with a CA, those that are from
 * it.  When one of them has no standby that is ready, neither goes, unless `partly`.
 * One name: CH_ENOTFOUND "domain-not-found"; CH_ECONFLICT "standby-not-ready",
 * "standby-half-ready", "ca-needed" (none is given, and its two are from different CAs, or what
 * is live was put there by a command), "order-open" (a roll-back), "domain-paused".  With a CA:
 * CH_ENOTFOUND "ca-not-found": no issuer has told of it. */
struct ch_op_standby {
	const char *name;  /* NULL: all */
	const char *ca;	   /* that has failed; of one name NULL: whichever */
	const char *after; /* names above this; NULL: from the beginning */
	size_t max;	   /* 1 … CH_STORE_STANDBY_MAX */
	bool dry_run;	   /* all */
	bool partly;
	/* out: */
	size_t begun;	    /* names whose standby is being put live, or would be */
	size_t not_ready;   /* they have no standby that would help, */
	size_t half_ready;  /* or, of these, for one of two certificates only */
	size_t passed_over; /* paused, or with a roll-back under way */
	const char *last;   /* NULL: that was the end */
};

/* CH_OP_ROLLBACK: an order that puts the certificate before the live one back, with its key; a
 * www name that shares both goes along.  Where one order has put two certificates live, it
 * takes back both.  An order that is only being confirmed is given up for it.  Nothing to do
 * when `to` is what is live. CH_ENOTFOUND "domain-not-found", "version-not-found" (`to` is not
 * what is kept); CH_ECONFLICT "nothing-to-roll-back", "rolled-back" (the live one is put back
 * already, and `to` is not given), "cert-expired", "order-open", "domain-paused". */
struct ch_op_rollback {
	const char *name;
	uint64_t to; /* 0: the one before the live one */
};

#endif
