/* Internal to src/agentd: the two sides of a comparison. */
#ifndef CH_AGENTD_COMPARE_PRIV_H
#define CH_AGENTD_COMPARE_PRIV_H

#include <jansson.h>
#include <stdbool.h>

#include "agentd/compare.h"
#include "wire/checksum.h"

#define CH_COMPARE_RANGE 5000 /* names of one checksum */
#define CH_COMPARE_LIST 1000  /* names of one list */

/* after "": from the beginning; until "": to the end. */
struct ch_compare_range {
	char after[CH_RECORD_KEY_B];
	char until[CH_RECORD_KEY_B];
};

struct ch_compare_item {
	const char *name; /* borrowed from the answer */
	uint64_t version;
	uint8_t sha256[CH_CHECKSUM_B];
};

/* One answer of GET /v1/feed/checksum. */
struct ch_compare_answer {
	json_t *json;
	uint8_t epoch[CH_EPOCH_B];
	uint64_t head;
	struct ch_checksum sum;
	char last[CH_RECORD_KEY_B];    /* "": the range was read to its end */
	struct ch_compare_item *items; /* with list, in ascending order of names; else NULL */
	size_t n_items;
};

/* Asks the store and notes pool, epoch and head in *compare. */
CH_MUST int ch_compare_ask(struct ch_compare *compare, const struct ch_compare_range *range,
	bool list, struct ch_compare_answer *ret_answer, struct ch_err *err);
void ch_compare_answer_done(struct ch_compare_answer *answer);
#define CH_AUTO_COMPARE_ANSWER CH_CLEANUP(ch_compare_answer_done)

/* Waits until the replica has reached this head; on success a lookup is open: end it. */
CH_MUST int ch_compare_wait(
	struct ch_compare *compare, const struct ch_compare_answer *answer, struct ch_err *err);

/* One record of the replica, within a lookup. */
struct ch_compare_entry {
	char name[CH_RECORD_KEY_B]; /* its key */
	bool is_name;		    /* the record of a name, not of what lies beside it */
	uint64_t version;	    /* 0: damaged */
	bool damaged;
	bool bad_chain;
	const uint8_t *bytes; /* valid until the lookup ends */
	size_t len;
};
/* The next one of the range above range->after, tombstones left out.  CH_ENOTFOUND. */
CH_MUST int ch_compare_next(struct ch_compare *compare, const char *after, const char *until,
	struct ch_compare_entry *ret_entry);

/* Judges a range name by name, and counts the replica's names in it. */
CH_MUST int ch_compare_names(
	struct ch_compare *compare, const struct ch_compare_range *range, struct ch_err *err);

#endif
