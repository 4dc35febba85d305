#include "edge/hotset.h"

#include <stdlib.h>
#include <string.h>

#define ROWS 4u
/* Counters of a row for each entry that there is room for: with ten uses between halvings a
 * name that was never used seems used once at most, nearly always. */
#define COUNTERS_PER_ENTRY 4u
#define USES_PER_ENTRY 10u
#define ROOM_MIN 64u
#define ROOM_MAX (1u << 21)
#define WINDOW_PART 8u

struct list {
	struct ch_hot_item head; /* next: used last; prev: longest unused */
	size_t size_b;
};

struct ch_hotset {
	size_t bound_b;
	size_t other_b; /* the sketch, and what the caller has told */
	size_t room;
	uint64_t seed;
	struct list window;
	struct list main;
	const struct ch_hot_item *latest; /* only to be compared with */
	size_t uses;			  /* since the last halving */
	size_t mask;			  /* counters of a row, less one */
	uint8_t counters[];
};

static void list_init(struct list *list)
{
	list->head.next = &list->head;
	list->head.prev = &list->head;
}

static void list_push(struct list *list, struct ch_hot_item *item)
{
	item->next = list->head.next;
	item->prev = &list->head;
	item->next->prev = item;
	list->head.next = item;
	list->size_b += item->size_b;
}

static void list_take(struct list *list, struct ch_hot_item *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list->size_b -= item->size_b;
}

static struct ch_hot_item *list_oldest(struct list *list)
{
	return list->head.prev == &list->head ? NULL : list->head.prev;
}

static struct list *list_of(struct ch_hotset *set, const struct ch_hot_item *item)
{
	return item->in_main ? &set->main : &set->window;
}

int ch_hotset_new(const struct ch_hotset_options *options, struct ch_hotset **ret_set)
{
	struct ch_hotset *set;
	size_t room = ROOM_MIN;
	size_t counters;

	if (options->item_b == 0)
		return CH_EINVAL;
	while (room < options->bound_b / options->item_b && room < ROOM_MAX)
		room *= 2;
	counters = room * COUNTERS_PER_ENTRY;
	set = calloc(1, sizeof(*set) + ROWS * counters);
	if (!set)
		return CH_ENOMEM;
	set->bound_b = options->bound_b;
	set->seed = options->seed;
	set->room = room;
	set->mask = counters - 1;
	set->other_b = sizeof(*set) + ROWS * counters;
	list_init(&set->window);
	list_init(&set->main);
	*ret_set = set;
	return CH_OK;
}

void ch_hotset_free(struct ch_hotset *set)
{
	free(set);
}

/* The finalizer of splitmix64. */
static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t ch_hot_hash(uint64_t seed, const void *key, size_t len)
{
	const uint8_t *bytes = key;
	uint64_t hash = mix(seed ^ len);
	uint64_t word;

	for (; len > 0; bytes += sizeof(word)) {
		size_t part = len < sizeof(word) ? len : sizeof(word);

		word = 0;
		memcpy(&word, bytes, part);
		hash = mix(hash ^ word) + seed;
		len -= part;
	}
	return mix(hash);
}

uint64_t ch_hotset_hash(const struct ch_hotset *set, const void *key, size_t len)
{
	return ch_hot_hash(set->seed, key, len);
}

size_t ch_hotset_room(const struct ch_hotset *set)
{
	return set->room;
}

static size_t place_of(const struct ch_hotset *set, uint64_t hash, unsigned row)
{
	uint64_t step = hash >> 32 | 1;

	return row * (set->mask + 1) + ((hash + row * step) & set->mask);
}

unsigned ch_hotset_used(const struct ch_hotset *set, uint64_t hash)
{
	unsigned least = CH_HOTSET_USED_MAX;

	for (unsigned row = 0; row < ROWS; row++) {
		unsigned count = set->counters[place_of(set, hash, row)];

		least = count < least ? count : least;
	}
	return least;
}

static void count_use(struct ch_hotset *set, uint64_t hash)
{
	unsigned least = ch_hotset_used(set, hash);

	if (least < CH_HOTSET_USED_MAX) {
		for (unsigned row = 0; row < ROWS; row++) {
			uint8_t *count = &set->counters[place_of(set, hash, row)];

			if (*count == least)
				(*count)++;
		}
	}
	if (++set->uses < set->room * USES_PER_ENTRY)
		return;
	set->uses = 0;
	for (size_t i = 0; i < ROWS * (set->mask + 1); i++)
		set->counters[i] /= 2;
}

void ch_hotset_add(struct ch_hotset *set, struct ch_hot_item *item)
{
	item->in_main = false;
	list_push(&set->window, item);
	set->latest = item;
	count_use(set, item->hash);
}

void ch_hotset_use(struct ch_hotset *set, struct ch_hot_item *item)
{
	struct list *list = list_of(set, item);

	list_take(list, item);
	list_push(list, item);
	count_use(set, item->hash);
}

void ch_hotset_remove(struct ch_hotset *set, struct ch_hot_item *item)
{
	list_take(list_of(set, item), item);
	if (set->latest == item)
		set->latest = NULL;
}

void ch_hotset_grow(struct ch_hotset *set, size_t size_b)
{
	set->other_b += size_b;
}

void ch_hotset_shrink(struct ch_hotset *set, size_t size_b)
{
	set->other_b -= size_b;
}

size_t ch_hotset_size(const struct ch_hotset *set)
{
	return set->other_b + set->window.size_b + set->main.size_b;
}

/* Ties go to what is there: names of a sweep are all used equally often. */
static bool is_worth_more(
	struct ch_hotset *set, const struct ch_hot_item *item, const struct ch_hot_item *than)
{
	return ch_hotset_used(set, item->hash) > ch_hotset_used(set, than->hash);
}

static void move_to_main(struct ch_hotset *set, struct ch_hot_item *item)
{
	list_take(&set->window, item);
	item->in_main = true;
	list_push(&set->main, item);
}

struct ch_hot_item *ch_hotset_surplus(struct ch_hotset *set)
{
	for (;;) {
		bool is_full = ch_hotset_size(set) > set->bound_b;
		bool is_wide = set->window.size_b > set->bound_b / WINDOW_PART;
		struct ch_hot_item *candidate = list_oldest(&set->window);
		struct ch_hot_item *victim = list_oldest(&set->main);

		if (!is_full && !is_wide)
			return NULL;
		if (candidate == set->latest)
			return is_full ? victim : NULL;
		if (!is_wide || !candidate)
			return victim ? victim : candidate;
		if (is_full && (!victim || !is_worth_more(set, candidate, victim)))
			return candidate;
		move_to_main(set, candidate);
		if (is_full)
			return victim;
	}
}
