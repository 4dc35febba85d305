/* Taking over certificates that others have issued: a part of store.h.
 *
 * An issuer that has found certificates and keys asks first, for each name, whether it may have
 * one, and gets the version to sign its record under; then it has them made live, as it does
 * with what it has issued, but without an order.  What was done before is left alone, so that
 * all of it can be repeated. */
#ifndef CH_STORE_ADOPT_H
#define CH_STORE_ADOPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/state.h"

#define CH_STORE_ADOPT_MAX 64
#define CH_STORE_ADOPT_NAMES 2 /* as of an order */

struct ch_op_publish;
struct ch_store_put_item;

enum ch_store_adopt_result {
	CH_ADOPT_READY,	  /* asked: it can be made live under `version` */
	CH_ADOPT_DONE,	  /* it is live */
	CH_ADOPT_KEPT,	  /* the name has what is as good, or gets it: nothing was changed */
	CH_ADOPT_REFUSED, /* it cannot have it: nothing was changed */
};

/* How a name stands that was asked about. */
enum ch_store_adopt_place {
	CH_ADOPT_ALONE, /* registered; its renewals are for it alone */
	CH_ADOPT_FRESH, /* not registered */
	CH_ADOPT_WWW,	/* registered together with its www name, or as that */
};

struct ch_store_adopt_item {
	/* Asked: one.  To be made live: one, or a name and its www name, both CH_ADOPT_FRESH
	 * or both CH_ADOPT_WWW, for which it is one certificate from then on. */
	const char *names[CH_STORE_ADOPT_NAMES];
	size_t n_names;
	bool second; /* for clients that cannot use the first, which is live */
	enum ch_key_type key;
	bool other; /* it covers other names than these too: its renewal is none to a CA */
	const char
		*ca; /* that knows publish->ari_id, as issuers call it; NULL: none is asked */
	int64_t not_after_ms;
	/* NULL: asked.  Else as of an order; id: the version that was given out. */
	struct ch_op_publish *publish;
	/* out: */
	enum ch_store_adopt_result result;
	enum ch_store_adopt_place place; /* CH_ADOPT_READY */
	uint64_t version;		 /* CH_ADOPT_READY: 0 in a dry run */
	/* CH_ADOPT_KEPT: "live-already", "was-live", "order-open", "domain-paused",
	 * "second-not-wanted", "rekey-planned"; CH_ADOPT_REFUSED: "tenant", "pool",
	 * "claim-needed", "no-first", "changed-meanwhile" (ask again), "bad-field". */
	const char *code;
	const char *detail; /* a sentence; NULL with READY and DONE */
};

/* CH_OP_ADOPT.  CH_ETOOBIG "batch-too-large"; CH_ECONFLICT "ca-unknown"; CH_EINVAL "bad-record"
 * as CH_OP_PUBLISH: nothing of the batch is done then. */
struct ch_op_adopt {
	/* Of names that are not registered, but for their name and www; a name that is keeps
	 * what it has, and is refused when it has another tenant or pool than given here. */
	const struct ch_store_put_item *settings;
	enum ch_keys keys;     /* of new names, when the settings say nothing */
	const char *known_cas; /* as of CH_OP_PUT, for the settings */
	bool dry_run;	       /* gives out no version */
	struct ch_store_adopt_item *items;
	size_t n_items; /* 1 … CH_STORE_ADOPT_MAX */
};

#endif
