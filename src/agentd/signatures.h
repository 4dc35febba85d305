/* Signatures of an answer's records, checked on several processors: they are most of the work
 * of a first fill. */
#ifndef CH_AGENTD_SIGNATURES_H
#define CH_AGENTD_SIGNATURES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "crypto/sign.h"

#define CH_SIGNATURE_THREADS_MAX 16u

struct ch_signatures {
	bool *good; /* owned; by number of the frame in the answer */
	size_t n;
};

/* frames: a copy of the reader, after the header.  Says of each frame whether it is a CERT or
 * TICKETS record that a pinned key signed.  Frames that are cut or damaged are not good, and
 * not told apart. threads 0: one for each processor.  CH_ENOMEM. */
CH_MUST int ch_signatures_check(const struct ch_verify_set *pinned, struct ch_reader frames,
	unsigned threads, struct ch_signatures *ret_signatures);
/* False for frames beyond the last. */
bool ch_signatures_are_good(const struct ch_signatures *signatures, size_t frame);
void ch_signatures_done(struct ch_signatures *signatures);

#endif
