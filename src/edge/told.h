/* Names that visitors wait for, on their way to the store: a worker of nginx tells the agent,
 * the agent tells the store, and neither of them the same name again and again.
 *
 * A table of the names that were told lately, of a fixed size: sets of four places, found by a
 * seeded hash.  In a full set what was told longest ago is forgotten.  A name may so be told
 * again too early; one that was not told counts as told only where two hashes of 64 bits are
 * the same. Not thread-safe. */
#ifndef CH_EDGE_TOLD_H
#define CH_EDGE_TOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Where the agent hears of them: a datagram socket in the replica's folder.  A datagram is a
 * name and nothing else. */
#define CH_TOLD_SOCKET "wanted"

#define CH_TOLD_WAYS 4u

struct ch_told_options {
	size_t sets;
	int64_t span_ms; /* how long a name is not told again */
	uint64_t seed;	 /* random, so that nobody can choose names that share a set */
};

struct ch_told;

CH_MUST int ch_told_new(const struct ch_told_options *options, struct ch_told **ret_told);
void ch_told_free(struct ch_told *told); /* NULL allowed */

/* now_ms is of a clock that does not go back. */
bool ch_told_has(const struct ch_told *told, const char *name, size_t len, int64_t now_ms);
void ch_told_note(struct ch_told *told, const char *name, size_t len, int64_t now_ms);

#endif
