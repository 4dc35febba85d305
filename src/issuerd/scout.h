/* Names that are looked at before there is an order: what the leasing thread asks the store for
 * and tells it, in the body of a lease (doc/api.md).  Dead names so take no worker and no place
 * in a queue, and cost the store a row of a batch. */
#ifndef CH_ISSUERD_SCOUT_H
#define CH_ISSUERD_SCOUT_H

#include <jansson.h>

#include "issuerd/issuer.h"

#define CH_SCOUT_BATCH 256 /* names that one lease tells of, of either kind */

struct ch_scout {
	struct ch_issuer *issuer;
	int64_t off_until_ms; /* monotonic: the store does not know of looks */
	int64_t dead_told_ms; /* monotonic */
	/* For the next lease: */
	struct ch_scouted *alive; /* owned; room for CH_SCOUT_BATCH */
	struct ch_scouted *dead;
	size_t n_alive;
	size_t n_dead;
	size_t looks; /* to be asked for */
	bool on;
	bool busy;  /* looks are under way, or to be told of */
	bool ready; /* names wait for room for their orders */
};

/* NULL in *ret_scout: names are not looked at. */
CH_MUST int ch_scout_new(struct ch_issuer *issuer, struct ch_scout **ret_scout);
void ch_scout_free(struct ch_scout *scout); /* NULL allowed */
/* What the next lease is to say; may_order: there is room for orders. */
void ch_scout_plan(struct ch_scout *scout, bool may_order);
/* Adds it to the body of a lease.  CH_ENOMEM. */
CH_MUST int ch_scout_add(const struct ch_scout *scout, json_t *body);
/* The store has answered: looks begin.  True: it had something for us. */
bool ch_scout_answered(struct ch_scout *scout, const json_t *answer);
/* Whether the store has refused a body since it does not know the field. */
bool ch_scout_is_unknown(const struct ch_err *err, const char *field);
/* It does not take the body: it gets one without, for some minutes if it knows of no looks, for
 * some seconds if anything else is wrong with it. */
void ch_scout_refused(struct ch_scout *scout, const struct ch_err *err);

#endif
