/* A binary heap of numbers in the order of a 64-bit key, each number once at most. */
#ifndef CH_PACE_HEAP_H
#define CH_PACE_HEAP_H

#include <stdint.h>

#include "base/err.h"

struct ch_heap {
	struct ch_heap_entry {
		int64_t key;
		uint32_t id;
	} * entries;
	uint32_t *places; /* by id: its entry + 1, 0: not in the heap */
	uint32_t n;
	uint32_t cap;
};

/* For ids 0 … cap - 1.  CH_ENOMEM. */
CH_MUST int ch_heap_init(struct ch_heap *heap, uint32_t cap);
void ch_heap_done(struct ch_heap *heap);
/* Puts it in, or moves it. */
void ch_heap_set(struct ch_heap *heap, uint32_t id, int64_t key);
/* Nothing happens if it is not there. */
void ch_heap_remove(struct ch_heap *heap, uint32_t id);
/* Removes the first; only when n > 0. */
uint32_t ch_heap_pop(struct ch_heap *heap);

static inline int64_t ch_heap_least(const struct ch_heap *heap)
{
	return heap->n ? heap->entries[0].key : INT64_MAX;
}

#endif
