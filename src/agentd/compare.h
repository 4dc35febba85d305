/* Whether the live generation of a replica holds what the store has: range by range of names,
 * by checksum (wire/checksum.h), and name by name only where the checksums differ.
 *
 * Both sides go on changing meanwhile.  A range is judged when the replica's cursor has reached
 * the head that the store had when it computed its checksum; a name is called different only
 * when the store says the same of it before and after the look at the replica. */
#ifndef CH_AGENTD_COMPARE_H
#define CH_AGENTD_COMPARE_H

#include <stdint.h>

#include "edge/replica.h"
#include "net/api.h"

enum ch_difference_kind {
	CH_DIFFERENCE_MISSING, /* the replica has no such name */
	CH_DIFFERENCE_EXTRA,   /* the store has no such name */
	CH_DIFFERENCE_VERSION,
	CH_DIFFERENCE_CONTENT, /* the same version, another record */
	CH_DIFFERENCE_DAMAGED, /* not a record of that name at all */
	CH_DIFFERENCE_CHAIN,   /* the record is right, its intermediates are missing or damaged
				*/
};
/* "missing", "extra", … */
const char *ch_difference_str(enum ch_difference_kind kind);

struct ch_difference {
	char name[CH_RECORD_KEY_B];
	enum ch_difference_kind kind;
	uint64_t store_version;	  /* 0: none */
	uint64_t replica_version; /* 0: none, or not readable */
};

struct ch_compare {
	struct ch_api *api;		  /* borrowed */
	struct ch_replica_reader *reader; /* borrowed; it may be closed yet */
	int64_t wait_ms;		  /* for the replica to reach the store's head, and
					   * for names to stand still */
	/* For each name that differs, in order; NULL: only count. */
	void (*found)(const struct ch_difference *difference, void *arg);
	void *found_arg;

	/* Results, all zero at first: */
	uint64_t names; /* that the replica has, whether they differ or not */
	uint64_t differing;
	uint64_t unsettled; /* changed each time they were looked at: not judged */
	char pool[64];
	uint8_t epoch[CH_EPOCH_B];
	uint64_t head;		 /* the store's, at the last look */
	struct ch_cursor cursor; /* the replica's, at the last look */
};

/* CH_OK whatever was found.  CH_EAGAIN "replica-behind": not at the store's head within
 * wait_ms; other problems that begin with "replica": it cannot be read.  Any other problem: the
 * store did not answer as it should. */
CH_MUST int ch_compare_run(struct ch_compare *compare, struct ch_err *err);

#endif
