/* Scalars of P-256 keys that were opened before, of far more names than a cache of parsed
 * certificates has room for: 64 bytes each, so that the next visit to such a name costs a parse
 * and no opening.
 *
 * One mapping of a fixed size, its own and not shared: left out of core dumps, zeros after a
 * fork, wiped before it is released.  Sets of eight places each; in a full one that place goes
 * which was used least, so that names that come once do not push out those that come again.
 *
 * A place is found by the hash of a name, and is good for one identity only, 16 bytes of a
 * keyed SHA-256 over whatever decides which key it is.  An identity that does not fit means
 * that the record has changed: the scalar is wiped there and then.  The caller has to make sure
 * that a scalar is that of the certificate, all the same.  Not thread-safe. */
#ifndef CH_EDGE_KEYTABLE_H
#define CH_EDGE_KEYTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CH_KEYTABLE_SCALAR_B 32
#define CH_KEYTABLE_ID_B 16
#define CH_KEYTABLE_SLOT_B 64u
#define CH_KEYTABLE_WAYS 8u
#define CH_KEYTABLE_SECRET_B 32

struct ch_keytable_options {
	size_t bound_b;			      /* too little for one set: nothing is kept */
	uint32_t idle_s;		      /* what was unused for longer is wiped */
	uint8_t secret[CH_KEYTABLE_SECRET_B]; /* random, of identities */
};

struct ch_keytable;

/* Of a key: where it is looked for, and what it has to be. */
struct ch_keytable_key {
	uint64_t hash; /* seeded, of the name: ch_hotset_hash */
	uint8_t id[CH_KEYTABLE_ID_B];
};

CH_MUST int ch_keytable_new(
	const struct ch_keytable_options *options, struct ch_keytable **ret_table);
/* Wipes all; NULL allowed. */
void ch_keytable_free(struct ch_keytable *table);

/* The identity of what these bytes tell all of; at most 512. */
CH_MUST int ch_keytable_identify(const struct ch_keytable *table, const void *bytes, size_t len,
	uint8_t ret_id[CH_KEYTABLE_ID_B]);

/* now_s is of a clock that does not go back.  The caller wipes ret_scalar. */
bool ch_keytable_get(struct ch_keytable *table, const struct ch_keytable_key *key,
	uint32_t now_s, uint8_t ret_scalar[CH_KEYTABLE_SCALAR_B]);
/* In the place of any other identity with this hash. */
void ch_keytable_put(struct ch_keytable *table, const struct ch_keytable_key *key,
	uint32_t now_s, const uint8_t scalar[CH_KEYTABLE_SCALAR_B]);
/* Wipes it, whatever its identity. */
void ch_keytable_forget(struct ch_keytable *table, uint64_t hash);
/* Wipes what has been unused for too long in so many of the sets, each time in the next ones.
 */
void ch_keytable_tidy(struct ch_keytable *table, uint32_t now_s, size_t sets);

size_t ch_keytable_sets(const struct ch_keytable *table);
size_t ch_keytable_entries(const struct ch_keytable *table);
/* All that it can ever take. */
size_t ch_keytable_size(const struct ch_keytable *table);

#endif
