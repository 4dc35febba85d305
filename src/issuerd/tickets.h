/* The keys of session tickets, one set for each pool: made here, sealed to the recipients and
 * signed, kept by the store, which gives them to the edges by the feed.
 *
 * With a rotation of R seconds each key makes tickets for R and opens them for R more; the next
 * one is made R/2 before its time, so that all edges have it by then.  What is there is taken
 * over into each new set as it is: nobody but the edges can open it.  A round only looks at the
 * time and at what the store has, so any number of issuers may make rounds, and be killed. */
#ifndef CH_ISSUERD_TICKETS_H
#define CH_ISSUERD_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "issuerd/issuer.h"
#include "issuerd/queue.h"
#include "net/api.h"
#include "wire/tickets.h"

struct ch_ticket_plan {
	bool changes; /* false: the set is as it should be */
	bool keeps[CH_TICKET_KEYS_MAX];
	bool adds;
	int64_t from_s; /* of the key that is added */
	int64_t until_s;
};

/* What the set (n = 0: none) should become.  rotation_s above 0. */
void ch_ticket_plan(const struct ch_tickets *tickets, int64_t rotation_s, int64_t now_s,
	struct ch_ticket_plan *ret_plan);

struct ch_ticket_keeper {
	struct ch_issuer *issuer;
	struct ch_queue *queue;	   /* what its sleep ends with */
	struct ch_api *api;	   /* owned: the store */
	struct ch_verify_set *own; /* owned: whose sets are built upon */
	bool told;		   /* the store is away, or does not know of tickets */
};

/* api NULL: one is made from the configuration; else it is taken over, on success. */
CH_MUST int ch_ticket_keeper_init(struct ch_ticket_keeper *keeper, struct ch_issuer *issuer,
	struct ch_queue *queue, struct ch_api *api, struct ch_err *err);
void ch_ticket_keeper_done(struct ch_ticket_keeper *keeper);

/* Looks at every pool once and rotates what is due; returns how long to wait then. */
CH_MUST int64_t ch_ticket_round(struct ch_ticket_keeper *keeper);
/* Thread function; arg: struct ch_ticket_keeper *.  Returns when the queue is closed. */
void *ch_ticket_main(void *keeper);

#endif
