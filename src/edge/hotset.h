/* Which entries of a cache are worth their bytes: the policy only, nothing is owned.
 *
 * Entries come into a window, an LRU list of an eighth of the bytes.  One that falls out of it
 * takes the place of the longest unused entry of the main list only if it was used more often
 * lately; else it is the one to go.  So a sweep through any number of names, once or a few
 * times each, passes through the window and leaves alone what is in constant use, and a name
 * that becomes popular while it is in the window, or again and again, gets in.
 *
 * "How often lately" is an estimate for names in the cache and out of it: counters up to 15,
 * four for each name by its hash, of which the smallest counts (a count-min sketch, with only
 * the smallest raised), all halved after ten uses for each entry that there is room for.
 *
 * Everything is O(1) but the halving, which passes over 16 bytes for each entry that there is
 * room for.  The same calls with the same seed make the same decisions.  Not thread-safe. */
#ifndef CH_EDGE_HOTSET_H
#define CH_EDGE_HOTSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* What an entry embeds; hash and size_b are the caller's, not to be changed while it is in. */
struct ch_hot_item {
	struct ch_hot_item *prev;
	struct ch_hot_item *next;
	uint64_t hash; /* ch_hotset_hash of its key */
	size_t size_b; /* what it takes, all in all */
	bool in_main;
};

struct ch_hotset_options {
	size_t bound_b; /* of everything that is counted, the sketch too */
	size_t item_b;	/* of a usual entry: how many there is room for */
	uint64_t seed;	/* random, so that nobody can choose names whose counters coincide */
};

struct ch_hotset;

#define CH_HOTSET_USED_MAX 15u

CH_MUST int ch_hotset_new(const struct ch_hotset_options *options, struct ch_hotset **ret_set);
/* The items are left as they are. */
void ch_hotset_free(struct ch_hotset *set);

uint64_t ch_hotset_hash(const struct ch_hotset *set, const void *key, size_t len);
/* The same, by a seed of one's own. */
uint64_t ch_hot_hash(uint64_t seed, const void *key, size_t len);
/* How many usual entries there is room for, as a power of two, at least 64. */
size_t ch_hotset_room(const struct ch_hotset *set);

/* A new item, which counts as used.  Then take away what is too much: ch_hotset_surplus. */
void ch_hotset_add(struct ch_hotset *set, struct ch_hot_item *item);
void ch_hotset_use(struct ch_hotset *set, struct ch_hot_item *item);
void ch_hotset_remove(struct ch_hotset *set, struct ch_hot_item *item);
/* Bytes beside the items that count towards the bound. */
void ch_hotset_grow(struct ch_hotset *set, size_t size_b);
void ch_hotset_shrink(struct ch_hotset *set, size_t size_b);
/* All that is counted. */
size_t ch_hotset_size(const struct ch_hotset *set);
/* The item that has to go, or NULL.  To be removed, and asked again until NULL.  Never the
 * item that was added last: if that alone is too much, the bound is missed by it. */
struct ch_hot_item *ch_hotset_surplus(struct ch_hotset *set);
/* How often it was used lately, 0 … CH_HOTSET_USED_MAX; an estimate, rather too high. */
unsigned ch_hotset_used(const struct ch_hotset *set, uint64_t hash);

#endif
