/* An issuer with keys of its own and no files, between answers from fuzzed bytes. */
#ifndef CH_FUZZ_ISSUER_BENCH_H
#define CH_FUZZ_ISSUER_BENCH_H

#include "answer.h"
#include "issuerd/step.h"

/* Made at the first call; at each further one as good as new.  The account is there, the CA is
 * asked through ch_fuzz_ca. */
struct ch_issuer *ch_fuzz_issuer(void);

/* The CA: its directory and nonces are always good, everything else is a part of the input, and
 * when there are no more nobody answers. */
struct ch_fuzz_ca {
	struct ch_http http; /* first */
	struct ch_fuzz_http parts;
};
void ch_fuzz_ca_init(struct ch_fuzz_ca *ca, const struct ch_fuzz_parts *parts);

#endif
