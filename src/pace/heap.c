#include "pace/heap.h"

#include <stdlib.h>

#include "base/mem.h"

int ch_heap_init(struct ch_heap *heap, uint32_t cap)
{
	*heap = (struct ch_heap){.cap = cap};
	heap->entries = malloc(((size_t)cap + 1) * sizeof(*heap->entries));
	heap->places = calloc((size_t)cap + 1, sizeof(*heap->places));
	if (heap->entries && heap->places)
		return CH_OK;
	ch_heap_done(heap);
	return CH_ENOMEM;
}

void ch_heap_done(struct ch_heap *heap)
{
	free(heap->entries);
	free(heap->places);
	*heap = (struct ch_heap){.n = 0};
}

/* Equal keys go by id, so that the same input always gives the same order. */
static int before(const struct ch_heap_entry *a, const struct ch_heap_entry *b)
{
	return a->key != b->key ? a->key < b->key : a->id < b->id;
}

static void put(struct ch_heap *heap, uint32_t at, struct ch_heap_entry entry)
{
	heap->entries[at] = entry;
	heap->places[entry.id] = at + 1;
}

static uint32_t up(struct ch_heap *heap, uint32_t at, struct ch_heap_entry entry)
{
	while (at > 0 && before(&entry, &heap->entries[(at - 1) / 2])) {
		put(heap, at, heap->entries[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	return at;
}

static uint32_t down(struct ch_heap *heap, uint32_t at, struct ch_heap_entry entry)
{
	for (uint64_t child; (child = 2 * (uint64_t)at + 1) < heap->n;) {
		uint32_t least = (uint32_t)child;

		if (least + 1 < heap->n &&
			before(&heap->entries[least + 1], &heap->entries[least]))
			least++;
		if (!before(&heap->entries[least], &entry))
			break;
		put(heap, at, heap->entries[least]);
		at = least;
	}
	return at;
}

void ch_heap_set(struct ch_heap *heap, uint32_t id, int64_t key)
{
	struct ch_heap_entry entry = {key, id};
	uint32_t at = heap->places[id] ? heap->places[id] - 1 : heap->n++;
	uint32_t to = up(heap, at, entry);

	put(heap, to == at ? down(heap, at, entry) : to, entry);
}

void ch_heap_remove(struct ch_heap *heap, uint32_t id)
{
	struct ch_heap_entry last;
	uint32_t at;

	if (!heap->places[id])
		return;
	at = heap->places[id] - 1;
	heap->places[id] = 0;
	last = heap->entries[--heap->n];
	if (last.id == id)
		return;
	/* The last one fills the hole; its own place is written anew. */
	put(heap, at, last);
	ch_heap_set(heap, last.id, last.key);
}

uint32_t ch_heap_pop(struct ch_heap *heap)
{
	uint32_t id = heap->entries[0].id;

	ch_heap_remove(heap, id);
	return id;
}
