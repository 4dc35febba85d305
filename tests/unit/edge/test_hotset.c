/* What stays in a cache that is too small, and what goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/hotset.h"

#define NAMES 1200000u
#define ITEM_B 1000u
#define FITS 1000u

/* A cache of numbers: what is there is not NULL. */
struct cache {
	struct ch_hotset *set;
	struct ch_hot_item **items; /* by number */
	size_t bound_b;
	size_t n;
	size_t hits;
	size_t misses;
};

static uint64_t hash_of(const struct cache *cache, uint32_t number)
{
	return ch_hotset_hash(cache->set, &number, sizeof(number));
}

static void cache_open(struct cache *cache, size_t bound_b)
{
	struct ch_hotset_options options = {
		.bound_b = bound_b, .item_b = ITEM_B, .seed = 0x5eed};

	*cache = (struct cache){.bound_b = bound_b};
	assert_int_equal(ch_hotset_new(&options, &cache->set), CH_OK);
	cache->items = calloc(NAMES, sizeof(struct ch_hot_item *));
	assert_non_null(cache->items);
}

/* The number stands right behind the item, as a name does. */
struct entry {
	struct ch_hot_item item;
	uint32_t number;
};

static void cache_drop(struct cache *cache, struct ch_hot_item *item)
{
	uint32_t number = ((struct entry *)item)->number;

	assert_ptr_equal(cache->items[number], item);
	ch_hotset_remove(cache->set, item);
	cache->items[number] = NULL;
	cache->n--;
	free(item);
}

static void cache_close(struct cache *cache)
{
	for (uint32_t i = 0; i < NAMES; i++) {
		if (cache->items[i])
			cache_drop(cache, cache->items[i]);
	}
	assert_int_equal(cache->n, 0);
	ch_hotset_free(cache->set);
	free(cache->items);
}

static bool visit_sized(struct cache *cache, uint32_t number, size_t size_b)
{
	struct ch_hot_item *item = cache->items[number];
	struct entry *entry;

	if (item) {
		ch_hotset_use(cache->set, item);
		cache->hits++;
		return true;
	}
	cache->misses++;
	entry = calloc(1, sizeof(*entry));
	assert_non_null(entry);
	entry->number = number;
	entry->item.hash = hash_of(cache, number);
	entry->item.size_b = size_b;
	cache->items[number] = &entry->item;
	cache->n++;
	ch_hotset_add(cache->set, &entry->item);
	while ((item = ch_hotset_surplus(cache->set)))
		cache_drop(cache, item);
	assert_ptr_equal(cache->items[number], &entry->item);
	if (size_b < cache->bound_b / 2)
		assert_true(ch_hotset_size(cache->set) <= cache->bound_b);
	return false;
}

static bool visit(struct cache *cache, uint32_t number)
{
	return visit_sized(cache, number, ITEM_B);
}

static void visit_all(struct cache *cache, uint32_t from, uint32_t n, unsigned times)
{
	for (unsigned k = 0; k < times; k++) {
		for (uint32_t i = 0; i < n; i++)
			visit(cache, from + i);
	}
}

static size_t count_there(const struct cache *cache, uint32_t from, uint32_t n)
{
	size_t there = 0;

	for (uint32_t i = 0; i < n; i++)
		there += cache->items[from + i] != NULL;
	return there;
}

static size_t room_for(size_t n)
{
	return n * ITEM_B + 80000; /* with the sketch */
}

static void what_fits_stays(void **state)
{
	struct cache cache;

	(void)state;
	cache_open(&cache, room_for(FITS));
	visit_all(&cache, 0, FITS - 100, 3);
	assert_int_equal(cache.misses, FITS - 100);
	assert_int_equal(cache.hits, 2 * (FITS - 100));
	cache_close(&cache);
}

/* A million names, each some times in a row; names in use are visited in between. */
static void sweep(unsigned times)
{
	const uint32_t hot = 600;
	struct cache cache;
	size_t hits = 0;
	size_t visits = 0;

	cache_open(&cache, room_for(FITS));
	visit_all(&cache, 0, hot, 4);
	for (uint32_t i = 0; i < 1000000; i++) {
		for (unsigned k = 0; k < times; k++)
			visit(&cache, hot + i);
		hits += visit(&cache, i * 7919u % hot);
		visits++;
	}
	assert_true(hits > visits - visits / 100);
	assert_true(count_there(&cache, 0, hot) > hot - hot / 50);
	cache_close(&cache);
}

static void names_in_use_outlast_a_sweep_through_a_million(void **state)
{
	(void)state;
	sweep(1);
}

static void names_in_use_outlast_a_sweep_that_asks_thrice(void **state)
{
	(void)state;
	sweep(3);
}

static void names_that_rest_outlast_a_sweep_for_a_while(void **state)
{
	struct cache cache;

	(void)state;
	cache_open(&cache, room_for(FITS));
	visit_all(&cache, 0, 600, 10);
	visit_all(&cache, 1000, 3 * FITS, 1);
	assert_true(count_there(&cache, 0, 600) > 590);
	cache_close(&cache);
}

static void a_name_that_becomes_popular_gets_in(void **state)
{
	struct cache cache;
	uint32_t stranger = 2000;

	(void)state;
	cache_open(&cache, room_for(FITS));
	visit_all(&cache, 0, FITS, 4);
	/* Between two visits more strangers come than the window holds. */
	for (unsigned k = 0; k < 12; k++) {
		visit(&cache, 1999);
		visit_all(&cache, stranger, FITS / 2, 1);
		stranger += FITS / 2;
	}
	assert_non_null(cache.items[1999]);
	assert_true(cache.items[1999]->in_main);
	/* And those that came once are not. */
	assert_true(count_there(&cache, 2000, 5 * FITS) < FITS / 4);
	cache_close(&cache);
}

static void a_new_working_set_takes_the_place_of_the_old_one(void **state)
{
	struct cache cache;

	(void)state;
	cache_open(&cache, room_for(FITS));
	visit_all(&cache, 0, 700, 40);
	visit_all(&cache, 10000, 700, 60);
	cache.hits = cache.misses = 0;
	visit_all(&cache, 10000, 700, 1);
	assert_true(cache.hits >= 690);
	cache_close(&cache);
}

static void the_bound_holds_for_any_sizes(void **state)
{
	struct cache cache;
	uint32_t rng = 1;

	(void)state;
	cache_open(&cache, room_for(100));
	for (unsigned k = 0; k < 200000; k++) {
		rng = rng * 1664525u + 1013904223u;
		/* Asserts the bound. */
		visit_sized(&cache, rng >> 8 & 1023, 1 + (rng >> 20) * (rng & 7));
		if (k % 100 == 0)
			ch_hotset_grow(cache.set, 900);
		if (k % 100 == 50)
			ch_hotset_shrink(cache.set, 900);
	}
	assert_true(cache.n > 5);
	cache_close(&cache);
}

static void one_that_is_too_large_is_kept_alone_until_the_next(void **state)
{
	struct cache cache;

	(void)state;
	cache_open(&cache, room_for(20));
	visit_all(&cache, 0, 10, 3);
	visit_sized(&cache, 50, 10 * cache.bound_b);
	assert_int_equal(cache.n, 1);
	visit(&cache, 51);
	visit(&cache, 52);
	assert_null(cache.items[50]);
	assert_true(ch_hotset_size(cache.set) <= cache.bound_b);
	cache_close(&cache);
}

static void bytes_beside_the_items_push_items_out(void **state)
{
	struct cache cache;

	(void)state;
	cache_open(&cache, room_for(FITS));
	visit_all(&cache, 0, FITS, 2);
	ch_hotset_grow(cache.set, FITS * ITEM_B / 2);
	visit(&cache, FITS + 1);
	assert_true(cache.n < FITS * 6 / 10);
	assert_true(cache.n > FITS * 4 / 10);
	cache_close(&cache);
}

static void uses_are_counted_and_forgotten(void **state)
{
	struct cache cache;
	uint64_t hash;

	(void)state;
	cache_open(&cache, room_for(FITS));
	hash = hash_of(&cache, 7);
	assert_int_equal(ch_hotset_used(cache.set, hash), 0);
	for (unsigned k = 0; k < 5; k++)
		visit(&cache, 7);
	assert_int_equal(ch_hotset_used(cache.set, hash), 5);
	for (unsigned k = 0; k < 100; k++)
		visit(&cache, 7);
	assert_int_equal(ch_hotset_used(cache.set, hash), CH_HOTSET_USED_MAX);
	for (unsigned k = 0; k < 8 * 10 * ch_hotset_room(cache.set); k++)
		visit(&cache, 8);
	assert_true(ch_hotset_used(cache.set, hash) <= 1);
	cache_close(&cache);
}

static void the_same_calls_make_the_same_decisions(void **state)
{
	struct cache one;
	struct cache two;
	uint32_t rng = 7;

	(void)state;
	cache_open(&one, room_for(50));
	cache_open(&two, room_for(50));
	for (unsigned k = 0; k < 20000; k++) {
		rng = rng * 1664525u + 1013904223u;
		assert_int_equal(visit(&one, rng >> 24), visit(&two, rng >> 24));
	}
	assert_int_equal(one.hits, two.hits);
	cache_close(&one);
	cache_close(&two);
}

static void hashes_go_by_all_bytes_and_the_seed(void **state)
{
	struct ch_hotset_options options = {.bound_b = 1, .item_b = 1, .seed = 1};
	struct ch_hotset *one;
	struct ch_hotset *two;

	(void)state;
	assert_int_equal(ch_hotset_new(&options, &one), CH_OK);
	options.seed = 2;
	assert_int_equal(ch_hotset_new(&options, &two), CH_OK);
	assert_true(ch_hotset_hash(one, "a.test", 6) == ch_hotset_hash(one, "a.test", 6));
	assert_true(ch_hotset_hash(one, "a.test", 6) != ch_hotset_hash(two, "a.test", 6));
	assert_true(ch_hotset_hash(one, "a.test", 6) != ch_hotset_hash(one, "a.tesu", 6));
	assert_true(ch_hotset_hash(one, "shop1.example", 13) !=
		    ch_hotset_hash(one, "shop2.example", 13));
	assert_true(ch_hotset_hash(one, "a\0", 2) != ch_hotset_hash(one, "a", 1));
	ch_hotset_free(one);
	ch_hotset_free(two);
	options.item_b = 0;
	assert_int_equal(ch_hotset_new(&options, &one), CH_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_stays),
		cmocka_unit_test(names_in_use_outlast_a_sweep_through_a_million),
		cmocka_unit_test(names_in_use_outlast_a_sweep_that_asks_thrice),
		cmocka_unit_test(names_that_rest_outlast_a_sweep_for_a_while),
		cmocka_unit_test(a_name_that_becomes_popular_gets_in),
		cmocka_unit_test(a_new_working_set_takes_the_place_of_the_old_one),
		cmocka_unit_test(the_bound_holds_for_any_sizes),
		cmocka_unit_test(one_that_is_too_large_is_kept_alone_until_the_next),
		cmocka_unit_test(bytes_beside_the_items_push_items_out),
		cmocka_unit_test(uses_are_counted_and_forgotten),
		cmocka_unit_test(the_same_calls_make_the_same_decisions),
		cmocka_unit_test(hashes_go_by_all_bytes_and_the_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
