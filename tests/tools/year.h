/* What a replica goes through in a year, in virtual time: filled by a snapshot, then renewed
 * by the feed in the order in which certificates fall due, in batches as the agent applies
 * them, by the real writer.  The records are as large as real ones; their signatures and sealed
 * keys are noise. */
#ifndef CH_TESTS_YEAR_H
#define CH_TESTS_YEAR_H

#include <stdint.h>

#include "edge/replica.h"

struct year_plan {
	unsigned names; /* at first */
	unsigned lifetime_days;
	unsigned days;
	unsigned batch;	     /* renewals that the agent finds waiting, in the mean */
	unsigned churn_ppm;  /* renewals that come with a new name, and with one removed */
	unsigned outage_ppm; /* batches that come after hours without a store */
	uint64_t seed;
};

struct year_found {
	uint64_t names;	  /* at the end */
	uint64_t renewed; /* records applied after the fill */
	uint64_t batches;
	uint64_t largest; /* batch, in records */
	uint64_t fill_b;  /* of data.mdb on the disk, after the fill */
	uint64_t peak_b;  /* the largest that it was at the end of a virtual day */
	uint64_t end_b;	  /* at the end */
	uint64_t live_b;  /* keys and values at the end */
};

/* The rc of the replica, in an empty folder. */
CH_MUST int year_run(const struct year_plan *plan, struct ch_replica_writer *writer,
	const char *dir, struct year_found *ret_found);

#endif
