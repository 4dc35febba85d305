#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "cli/import_seen.h"

#define SLOTS 16384

static int add(struct ch_import_seen *seen, const char *name, const char *tenant, uint64_t line,
	uint64_t *ret_line)
{
	json_t *item = json_pack("{s:s, s:s?, s:b}", "name", name, "tenant", tenant, "www", 1);
	int rc = ch_import_seen_add(seen, item, line, ret_line);

	/* It is sent afterwards, whole. */
	assert_string_equal(json_string_value(json_object_get(item, "name")), name);
	json_decref(item);
	return rc;
}

static void a_line_that_contradicts_is_told_with_the_first_one(void **state)
{
	struct ch_import_seen seen = {.slots_max = SLOTS};
	uint64_t before = 0;

	assert_int_equal(add(&seen, "a.example", "x", 3, &before), CH_OK);
	assert_int_equal(add(&seen, "a.example", "x", 4, &before), CH_OK);
	assert_int_equal(add(&seen, "b.example", "y", 5, &before), CH_OK);
	assert_int_equal(add(&seen, "A.Example.", "y", 7, &before), CH_ECONFLICT);
	assert_int_equal(before, 3);
	assert_int_equal(add(&seen, "*.a.example", "y", 8, &before), CH_OK);
	/* The store says of each what is wrong with it. */
	assert_int_equal(add(&seen, "no name", "x", 9, &before), CH_OK);
	assert_int_equal(add(&seen, "no name", "y", 10, &before), CH_OK);
	ch_import_seen_done(&seen);
}

static void a_line_that_was_refused_does_not_count(void **state)
{
	struct ch_import_seen seen = {.slots_max = SLOTS};
	json_t *item = json_pack("{s:s}", "name", "a.example");
	uint64_t before = 0;

	/* Of names that were never met, and of other lines, nothing is forgotten. */
	ch_import_seen_refused(&seen, item, 3);
	assert_int_equal(add(&seen, "a.example", "x", 3, &before), CH_OK);
	ch_import_seen_refused(&seen, item, 4);
	assert_int_equal(add(&seen, "a.example", "y", 5, &before), CH_ECONFLICT);
	ch_import_seen_refused(&seen, item, 3);
	assert_int_equal(add(&seen, "a.example", "y", 6, &before), CH_OK);
	assert_int_equal(add(&seen, "a.example", "x", 7, &before), CH_ECONFLICT);
	assert_int_equal(before, 6);
	assert_int_equal(seen.n, 1);
	json_decref(item);
	ch_import_seen_done(&seen);
}

static void memory_has_a_limit(void **state)
{
	struct ch_import_seen seen = {.slots_max = SLOTS};
	uint64_t lines = SLOTS + 1000;
	uint64_t before = 0;
	char name[64];

	for (uint64_t line = 1; line <= lines; line++) {
		snprintf(name, sizeof(name), "n%ju.example", (uintmax_t)line);
		assert_int_equal(add(&seen, name, "x", line, &before), CH_OK);
	}
	assert_int_equal(seen.n_slots, SLOTS);
	assert_true(seen.n > 10000 && seen.n < seen.n_slots);
	assert_int_equal(add(&seen, "n10000.example", "y", lines + 1, &before), CH_ECONFLICT);
	assert_int_equal(before, 10000);
	assert_int_equal(add(&seen, name, "y", lines + 2, &before), CH_OK);
	ch_import_seen_done(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_that_contradicts_is_told_with_the_first_one),
		cmocka_unit_test(a_line_that_was_refused_does_not_count),
		cmocka_unit_test(memory_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
