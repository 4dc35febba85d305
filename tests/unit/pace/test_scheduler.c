/* Who is next: urgency, tenants in turn, what is parked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "pace/heap.h"
#include "pace/scheduler.h"

#define ALL ((1u << CH_CLASS_COUNT) - 1)

static struct ch_sched *sched_of(uint32_t items, uint32_t tenants, uint32_t keys)
{
	struct ch_sched *sched;

	assert_int_equal(ch_sched_new(items, tenants, keys, &sched), CH_OK);
	return sched;
}

static void the_urgent_come_first_and_a_shut_class_is_passed_over(void **state)
{
	struct ch_sched *sched = sched_of(5, 1, 1);

	for (uint32_t i = 0; i < 5; i++)
		ch_sched_add(sched, i, 0, (enum ch_class)(4 - i), false);
	assert_int_equal(ch_sched_take(sched, ALL & ~(1u << CH_CLASS_DANGER)), 3);
	for (uint32_t i = 0; i < 5; i++)
		if (i != 1)
			assert_int_equal(ch_sched_take(sched, ALL), 4 - i);
	assert_int_equal(ch_sched_take(sched, ALL), CH_SCHED_NONE);
	ch_sched_free(sched);
}

static void the_less_urgent_have_a_small_share(void **state)
{
	struct ch_sched *sched = sched_of(3000, 1, 1);
	int turns[CH_CLASS_COUNT] = {0};

	for (uint32_t i = 0; i < 1000; i++) {
		ch_sched_add(sched, 3 * i, 0, CH_CLASS_RENEWAL, false);
		ch_sched_add(sched, 3 * i + 1, 0, CH_CLASS_NEW, false);
		ch_sched_add(sched, 3 * i + 2, 0, CH_CLASS_BACKLOG, false);
	}
	for (int i = 0; i < 160; i++) {
		uint32_t item = ch_sched_take(sched, ALL);

		turns[item % 3 == 0	? CH_CLASS_RENEWAL
			: item % 3 == 1 ? CH_CLASS_NEW
					: CH_CLASS_BACKLOG]++;
	}
	assert_int_equal(turns[CH_CLASS_RENEWAL], 140);
	assert_int_equal(turns[CH_CLASS_NEW], 10);
	assert_int_equal(turns[CH_CLASS_BACKLOG], 10);
	/* Nobody has a share in what is shut. */
	for (int i = 0; i < 100; i++)
		assert_int_equal(ch_sched_take(sched, 1u << CH_CLASS_RENEWAL) % 3, 0);
	ch_sched_free(sched);
}

/* An import that had all turns for itself has none before one that comes alone, whenever that
 * is; of those for which both wait it has its share. */
static void who_had_turns_alone_is_owed_none(void **state)
{
	for (int before = 0; before < 3 * CH_SCHED_SHARE; before++) {
		struct ch_sched *sched;
		int share = 0;

		assert_int_equal(ch_sched_new(1000, 2, 1, &sched), CH_OK);
		for (uint32_t i = 0; i < 500; i++)
			ch_sched_add(sched, i, 0, CH_CLASS_BACKLOG, false);
		for (uint32_t i = 0; i < (uint32_t)before; i++)
			assert_int_equal(ch_sched_take(sched, ALL), i);
		for (uint32_t i = 500; i < 504; i++) {
			ch_sched_add(sched, i, 1, CH_CLASS_NEW, false);
			assert_int_equal(ch_sched_take(sched, ALL), i);
		}
		assert_in_range(ch_sched_take(sched, ALL), 0, 499);
		for (uint32_t i = 504; i < 600; i++)
			ch_sched_add(sched, i, 1, CH_CLASS_NEW, false);
		for (int i = 0; i < 64; i++)
			share += ch_sched_take(sched, ALL) < 500;
		assert_int_equal(share, 64 / CH_SCHED_SHARE);
		ch_sched_free(sched);
	}
}

static void a_tenant_has_the_place_that_it_had_before(void **state)
{
	struct ch_sched *sched = sched_of(6, 3, 1);

	for (uint32_t tenant = 0; tenant < 3; tenant++)
		ch_sched_set_place(sched, tenant, CH_CLASS_NEW, 2 - tenant);
	for (uint32_t i = 0; i < 6; i++)
		ch_sched_add(sched, i, i % 3, CH_CLASS_NEW, false);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(ch_sched_take(sched, ALL) % 3, 2 - i % 3);
	ch_sched_free(sched);
}

static void a_big_import_does_not_starve_another_tenant(void **state)
{
	struct ch_sched *sched = sched_of(50001, 2, 1);

	for (uint32_t i = 0; i < 50000; i++)
		ch_sched_add(sched, i, 0, CH_CLASS_NEW, false);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(ch_sched_take(sched, ALL), i);
	ch_sched_add(sched, 50000, 1, CH_CLASS_NEW, false);
	/* The next turn, or the one after it. */
	if (ch_sched_take(sched, ALL) != 50000)
		assert_int_equal(ch_sched_take(sched, ALL), 50000);
	ch_sched_free(sched);
}

static void turns_go_by_weight(void **state)
{
	struct ch_sched *sched = sched_of(3000, 3, 1);
	int turns[3] = {0};

	ch_sched_set_weight(sched, 1, 2);
	ch_sched_set_weight(sched, 2, 3);
	for (uint32_t i = 0; i < 3000; i++)
		ch_sched_add(sched, i, i % 3, CH_CLASS_BACKLOG, false);
	for (int i = 0; i < 600; i++)
		turns[ch_sched_take(sched, ALL) % 3]++;
	assert_in_range(turns[0], 98, 102);
	assert_in_range(turns[1], 198, 202);
	assert_in_range(turns[2], 298, 302);
	/* One that was idle has saved nothing up. */
	while (ch_sched_take(sched, ALL) != CH_SCHED_NONE)
		;
	for (uint32_t i = 0; i < 300; i++)
		ch_sched_add(sched, 3 * i, 0, CH_CLASS_BACKLOG, false);
	for (int i = 0; i < 200; i++)
		(void)ch_sched_take(sched, ALL);
	for (uint32_t i = 0; i < 100; i++)
		ch_sched_add(sched, 3 * i + 1, 1, CH_CLASS_BACKLOG, false);
	turns[0] = 0;
	for (int i = 0; i < 30; i++)
		turns[0] += ch_sched_take(sched, ALL) % 3 == 0;
	assert_in_range(turns[0], 9, 11);
	ch_sched_free(sched);
}

static void what_waits_can_be_moved_and_removed(void **state)
{
	struct ch_sched *sched = sched_of(4, 2, 1);

	ch_sched_add(sched, 0, 0, CH_CLASS_RENEWAL, false);
	ch_sched_add(sched, 1, 0, CH_CLASS_RENEWAL, false);
	ch_sched_add(sched, 2, 0, CH_CLASS_RENEWAL, true);
	ch_sched_add(sched, 1, 0, CH_CLASS_DANGER, false);
	assert_int_equal(ch_sched_count(sched, CH_CLASS_RENEWAL), 2);
	assert_int_equal(ch_sched_take(sched, ALL), 1);
	assert_int_equal(ch_sched_take(sched, ALL), 2);
	ch_sched_remove(sched, 0);
	ch_sched_remove(sched, 0);
	ch_sched_remove(sched, 3);
	assert_false(ch_sched_waits(sched, 0));
	assert_int_equal(ch_sched_take(sched, ALL), CH_SCHED_NONE);
	ch_sched_free(sched);
}

static int64_t in_ten(void *arg, uint32_t key, int64_t now_ms)
{
	++*(int *)arg;
	return now_ms + 10;
}

static void what_is_parked_is_in_nobodys_way_and_comes_back_one_by_one(void **state)
{
	struct ch_sched *sched = sched_of(10, 1, 2);
	int asked = 0;

	for (uint32_t i = 0; i < 10; i++)
		ch_sched_add(sched, i, 0, CH_CLASS_NEW, false);
	for (uint32_t i = 0; i < 4; i++)
		ch_sched_park(sched, ch_sched_take(sched, ALL), 1, 100);
	ch_sched_remove(sched, 2);
	assert_int_equal(ch_sched_take(sched, ALL), 4);
	ch_sched_wake(sched, 99, in_ten, &asked);
	assert_int_equal(ch_sched_take(sched, ALL), 5);
	assert_int_equal(ch_sched_next_wake_ms(sched), 100);
	ch_sched_wake(sched, 100, in_ten, &asked);
	assert_int_equal(asked, 1);
	assert_int_equal(ch_sched_take(sched, ALL), 0);
	assert_int_equal(ch_sched_take(sched, ALL), 6);
	assert_int_equal(ch_sched_next_wake_ms(sched), 110);
	/* One that became urgent meanwhile leaves its place there. */
	ch_sched_add(sched, 1, 0, CH_CLASS_DANGER, false);
	assert_int_equal(ch_sched_take(sched, ALL), 1);
	ch_sched_wake(sched, 500, in_ten, &asked);
	assert_int_equal(ch_sched_next_wake_ms(sched), INT64_MAX);
	assert_int_equal(ch_sched_take(sched, ALL), 3);
	ch_sched_free(sched);
}

static void a_turn_that_was_of_no_use_is_given_back(void **state)
{
	struct ch_sched *sched = sched_of(1000, 2, 1);
	uint32_t others = 0, item;

	/* Tenant 0: 400 names of a domain that has no token, then one that could go at once. */
	for (uint32_t i = 0; i <= 400; i++)
		ch_sched_add(sched, i, 0, CH_CLASS_NEW, false);
	for (uint32_t i = 401; i < 1000; i++)
		ch_sched_add(sched, i, 1, CH_CLASS_NEW, false);
	while ((item = ch_sched_take(sched, ALL)) != 400) {
		assert_int_not_equal(item, CH_SCHED_NONE);
		if (item < 400)
			ch_sched_park(sched, item, 0, 100);
		else
			others++;
	}
	assert_in_range(others, 0, 1);
	/* No more than its turns come back: from now on they alternate. */
	ch_sched_add(sched, 400, 0, CH_CLASS_NEW, false);
	assert_int_equal(ch_sched_take(sched, ALL), 401 + others);
	assert_int_equal(ch_sched_take(sched, ALL), 400);
	ch_sched_free(sched);
}

static void the_heap_keeps_its_order(void **state)
{
	struct ch_heap heap;
	int64_t keys[500];
	int64_t last = INT64_MIN;
	uint32_t left = 500;

	srandom(3);
	assert_int_equal(ch_heap_init(&heap, 500), CH_OK);
	for (int round = 0; round < 20; round++)
		for (uint32_t i = 0; i < 500; i++)
			ch_heap_set(&heap, i, keys[i] = random() % 1000);
	for (uint32_t i = 0; i < 500; i += 7, left--) {
		ch_heap_remove(&heap, i);
		ch_heap_remove(&heap, i);
	}
	assert_int_equal(heap.n, left);
	while (heap.n) {
		int64_t least = ch_heap_least(&heap);
		uint32_t id = ch_heap_pop(&heap);

		assert_int_equal(keys[id], least);
		assert_true(least >= last && id % 7 != 0);
		last = least;
	}
	assert_true(ch_heap_least(&heap) == INT64_MAX);
	ch_heap_done(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_urgent_come_first_and_a_shut_class_is_passed_over),
		cmocka_unit_test(the_less_urgent_have_a_small_share),
		cmocka_unit_test(who_had_turns_alone_is_owed_none),
		cmocka_unit_test(a_tenant_has_the_place_that_it_had_before),
		cmocka_unit_test(a_big_import_does_not_starve_another_tenant),
		cmocka_unit_test(turns_go_by_weight),
		cmocka_unit_test(what_waits_can_be_moved_and_removed),
		cmocka_unit_test(what_is_parked_is_in_nobodys_way_and_comes_back_one_by_one),
		cmocka_unit_test(a_turn_that_was_of_no_use_is_given_back),
		cmocka_unit_test(the_heap_keeps_its_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
