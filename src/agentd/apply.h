/* Applies one answer of the feed to the replica: records that are allowed in, and the cursor,
 * in one transaction; all or nothing. */
#ifndef CH_AGENTD_APPLY_H
#define CH_AGENTD_APPLY_H

#include "agentd/brake.h"
#include "agentd/refused.h"
#include "agentd/signatures.h"
#include "crypto/sign.h"
#include "edge/replica.h"
#include "wire/feed.h"

#define CH_FEED_SEQ_MAX ((UINT64_C(1) << 53) - 1)

struct ch_apply {
	struct ch_replica_writer *writer;
	const struct ch_verify_set *signers; /* whose CERT and TICKETS records are taken */
	const char *pool;		     /* whose TICKETS records are; "": nobody's */
	struct ch_refused *refused;
	struct ch_brake *brake;
	uint64_t released_seq;		 /* removals up to here were confirmed, */
	uint64_t released;		 /* but only so many: what was asked about; goes down */
	struct ch_signatures signatures; /* of the answer at hand */
};

struct ch_apply_counts {
	uint64_t frames;
	uint64_t added;
	uint64_t changed;
	uint64_t removed; /* names, or their HTTPS (a NAME record in place of a CERT record) */
	uint64_t unconfirmed; /* of the removed: those with HTTPS that nobody has confirmed */
	uint64_t stale;
	uint64_t refused;
	uint64_t unsupported;
};

/* The key that the frames of a snapshot end with; "" where they are the last.  CH_EPROTO. */
CH_MUST int ch_apply_find_place(const struct ch_feed_header *header, struct ch_reader frames,
	char ret_key[CH_RECORD_KEY_B]);
/* frames: after the header, of a snapshot by name into a generation under construction.  *place
 * is how far it has come, and on success how far it then has; the last part sets the cursor.
 * Errors as of ch_apply_answer. */
CH_MUST int ch_apply_snapshot(struct ch_apply *apply, const struct ch_feed_header *header,
	struct ch_reader *frames, struct ch_place *place, struct ch_apply_counts *ret_counts,
	struct ch_err *err);

/* frames: after the header.  *cursor is where the replica is, and on success where it then is.
 * CH_EPROTO: the answer breaks the layout or the order; CH_EAGAIN (problem removal-refused):
 * the brake is on now; CH_EFULL, CH_ECORRUPT, … from the replica.  On failure nothing was
 * changed but what refused and brake say. */
CH_MUST int ch_apply_answer(struct ch_apply *apply, const struct ch_feed_header *header,
	struct ch_reader *frames, struct ch_cursor *cursor, struct ch_apply_counts *ret_counts,
	struct ch_err *err);

#endif
