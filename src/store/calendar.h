/* The renewal calendar, and what CAs say of when to renew (RFC 9773): a part of store.h.
 *
 * A publication says within which span the certificate may be renewed; the store chooses the
 * emptiest hour of it (pace/calendar.h) and keeps count.  A certificate whose CA can be asked
 * (it has an ari_id) is asked about: an issuer leases those that are due, asks, and writes back
 * what it heard, with which the renewal is planned anew.  The count is of certificates that are
 * live for a name that is neither paused nor moved. */
#ifndef CH_STORE_CALENDAR_H
#define CH_STORE_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct ch_store;

#define CH_STORE_ASK_MAX 500	  /* certificates of one lease, and results of one write */
#define CH_STORE_ARI_ID_MAX 175	  /* bytes */
#define CH_STORE_ARI_URL_MAX 1000 /* bytes; a longer one is left out */
#define CH_STORE_CALENDAR_DAYS 400
#define CH_STORE_CALENDAR_HOURS 10
/* A renewal is never planned for the last so much of a lifetime, whatever is asked for. */
#define CH_STORE_SAFE_PERCENT 5

struct ch_store_ask {
	uint64_t version;
	const char *ari_id;
	int64_t not_before_ms;
	int64_t not_after_ms;
	int64_t published_at_ms;
	uint64_t failures; /* of asking, in a row */
};

/* CH_OP_ASK_LEASE: certificates of this CA about which it is to be asked, the longest due
 * first.  Each is leased for so long; a lease that is lost is repeated, which does no harm. */
struct ch_op_ask_lease {
	const char *ca; /* as in "CA/ACCOUNT" */
	size_t max;	/* 1 … CH_STORE_ASK_MAX */
	int64_t lease_ms;
	/* out: */
	struct ch_store_ask *asks;
	size_t n_asks;
};

struct ch_store_heard {
	uint64_t version;
	int64_t next_at_ms; /* when to ask again */
	bool failed;	    /* then nothing but next_at_ms is used, and the failure counted */
	bool put_off;	    /* it was not asked about: only next_at_ms is used */
	int64_t start_ms;   /* the window: below end_ms */
	int64_t end_ms;
	const char *explanation; /* NULL: none */
	int64_t from_ms;	 /* when it may be renewed; the same: then, or now if past */
	int64_t until_ms;
};

/* CH_OP_ASK_WRITE.  Certificates that are gone, or not live any more, are passed over.  A
 * renewal that has begun, or that failed and waits for its next try, is left alone. */
struct ch_op_ask_write {
	const struct ch_store_heard *heard;
	size_t n_heard; /* 1 … CH_STORE_ASK_MAX */
	/* out: */
	size_t moved; /* renewals that are planned for another time now */
};

/* When certificates of this CA are to be asked about next: INT64_MAX: never.  Cheap. */
CH_MUST int ch_store_next_ask(struct ch_store *store, const char *ca, int64_t *ret_at_ms);

struct ch_store_slot {
	int64_t at_ms; /* begin of the day or hour, UTC */
	uint64_t n;
};

struct ch_store_calendar {
	uint64_t total;
	uint64_t overdue;		  /* planned for before this hour */
	const struct ch_store_slot *days; /* from today on, those with any; of the first
					   * CH_STORE_CALENDAR_DAYS */
	size_t n_days;
	uint64_t later; /* on days after these */
	const struct ch_store_slot
		*hours; /* the busiest, busiest first, the overdue left out */
	size_t n_hours;
};
/* Costs the hours in which something is planned. */
CH_MUST int ch_store_get_calendar(
	struct ch_store *store, struct ch_arena *arena, struct ch_store_calendar *ret_calendar);

#endif
