/* The table of names that were told lately. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "edge/told.h"

#define SPAN_MS 10000

static struct ch_told *table(size_t sets)
{
	struct ch_told_options options = {.sets = sets, .span_ms = SPAN_MS, .seed = 7};
	struct ch_told *told;

	assert_int_equal(ch_told_new(&options, &told), CH_OK);
	return told;
}

static bool has(const struct ch_told *told, const char *name, int64_t now_ms)
{
	return ch_told_has(told, name, strlen(name), now_ms);
}

static void note(struct ch_told *told, const char *name, int64_t now_ms)
{
	ch_told_note(told, name, strlen(name), now_ms);
}

static void a_name_is_told_again_after_its_span_only(void **state)
{
	struct ch_told *told = table(16);

	assert_false(has(told, "a.example", 5));
	note(told, "a.example", 5);
	assert_true(has(told, "a.example", 5));
	assert_true(has(told, "a.example", 5 + SPAN_MS - 1));
	assert_false(has(told, "a.example", 5 + SPAN_MS));
	note(told, "a.example", 5 + SPAN_MS);
	assert_true(has(told, "a.example", 5 + SPAN_MS));
	assert_false(has(told, "b.example", 5));
	assert_false(has(told, "a.exampl", 5));
	assert_false(has(told, "a.example.", 5));
	ch_told_free(told);
}

/* Whoever fills it loses the oldest, and never gets a name taken for told that was not. */
static void in_a_full_one_the_oldest_is_forgotten(void **state)
{
	struct ch_told *told = table(1);
	char name[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		assert_false(has(told, name, i));
		note(told, name, i);
		for (int k = i; k >= 0 && k > i - 10; k--) {
			snprintf(name, sizeof(name), "n%d.example", k);
			assert_int_equal(has(told, name, i), k > i - (int)CH_TOLD_WAYS);
		}
	}
	ch_told_free(told);
}

static void a_name_takes_one_place_however_often_it_is_noted(void **state)
{
	struct ch_told *told = table(1);

	note(told, "a.example", 1);
	for (int i = 2; i < 20; i++)
		note(told, "b.example", i);
	assert_true(has(told, "a.example", 20));
	assert_true(has(told, "b.example", 20));
	ch_told_free(told);
	ch_told_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_told_again_after_its_span_only),
		cmocka_unit_test(in_a_full_one_the_oldest_is_forgotten),
		cmocka_unit_test(a_name_takes_one_place_however_often_it_is_noted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
