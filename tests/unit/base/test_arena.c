#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/arena.h"

static void allocations_are_zeroed_aligned_and_apart(void **state)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	uint8_t *small[200], *large;

	assert_int_equal(ch_arena_new(0, &arena), CH_OK);
	for (size_t i = 0; i < CH_ARRAY_LEN(small); i++) {
		small[i] = ch_arena_alloc(arena, 300);
		assert_non_null(small[i]);
		assert_int_equal((uintptr_t)small[i] % 16, 0);
		assert_int_equal(small[i][299], 0);
		memset(small[i], (int)i, 300);
	}
	large = ch_arena_alloc(arena, 1000000);
	assert_non_null(large);
	memset(large, 7, 1000000);
	for (size_t i = 0; i < CH_ARRAY_LEN(small); i++)
		assert_int_equal(small[i][150], (uint8_t)i);
}

static void copies_end_with_a_nul(void **state)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;

	assert_int_equal(ch_arena_new(0, &arena), CH_OK);
	assert_string_equal(ch_arena_str(arena, "abc"), "abc");
	assert_null(ch_arena_str(arena, NULL));
	assert_string_equal(ch_arena_copy(arena, "abcdef", 2), "ab");
	assert_string_equal(ch_arena_copy(arena, NULL, 0), "");
	assert_string_equal(ch_arena_fmt(arena, "%s-%d", "x", 42), "x-42");
}

static void the_limit_holds(void **state)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;

	assert_int_equal(ch_arena_new(100000, &arena), CH_OK);
	assert_null(ch_arena_alloc(arena, 100001));
	assert_null(ch_arena_alloc(arena, SIZE_MAX));
	assert_null(ch_arena_array(arena, SIZE_MAX / 2, 16));
	assert_null(ch_arena_copy(arena, "", SIZE_MAX));
	assert_non_null(ch_arena_alloc(arena, 60000));
	assert_null(ch_arena_alloc(arena, 60000));
	assert_non_null(ch_arena_array(arena, 1000, 16));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocations_are_zeroed_aligned_and_apart),
		cmocka_unit_test(copies_end_with_a_nul),
		cmocka_unit_test(the_limit_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
