/* The levelled renewal calendar: where a renewal is put, and that a year of them is even. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pace/calendar.h"

#define T0 (INT64_C(20000) * CH_DAY_MS)

static struct ch_calendar_cert cert_of(int64_t not_before_ms, int64_t life_ms)
{
	return (struct ch_calendar_cert){.not_before_ms = not_before_ms,
		.not_after_ms = not_before_ms + life_ms,
		.left_percent = 33,
		.room = true};
}

static void the_span_follows_the_lifetime(void **state)
{
	static const struct {
		int64_t life_ms;
		int64_t left_percent;
	} rows[] = {{160 * CH_HOUR_MS, 50}, {45 * CH_DAY_MS, 33}, {64 * CH_DAY_MS, 33},
		{90 * CH_DAY_MS, 33}};

	for (size_t i = 0; i < CH_ARRAY_LEN(rows); i++) {
		struct ch_calendar_cert cert = cert_of(T0, rows[i].life_ms);
		struct ch_calendar_span span;

		ch_calendar_span(&cert, T0, &span);
		assert_int_equal(span.from_ms, T0 + rows[i].life_ms / 10);
		assert_int_equal(span.until_ms,
			T0 + rows[i].life_ms / 100 * (100 - rows[i].left_percent));
		cert.room = false;
		ch_calendar_span(&cert, T0, &span);
		assert_int_equal(span.until_ms - span.from_ms, rows[i].life_ms / 20);
	}
}

static void the_cas_window_counts_before_the_lifetime(void **state)
{
	struct ch_calendar_cert cert = cert_of(T0, 90 * CH_DAY_MS);
	struct ch_calendar_span span;

	cert.ari_start_ms = T0 + 59 * CH_DAY_MS;
	cert.ari_end_ms = T0 + 61 * CH_DAY_MS;
	ch_calendar_span(&cert, T0, &span);
	assert_int_equal(span.from_ms, T0 + 9 * CH_DAY_MS);
	assert_int_equal(span.until_ms, T0 + 60 * CH_DAY_MS);
	cert.room = false;
	ch_calendar_span(&cert, T0, &span);
	assert_int_equal(span.from_ms, T0 + 59 * CH_DAY_MS);
	/* A window that is over means now; one in which we are, the rest of it. */
	ch_calendar_span(&cert, T0 + 62 * CH_DAY_MS, &span);
	assert_int_equal(span.from_ms, T0 + 62 * CH_DAY_MS);
	assert_int_equal(span.until_ms, span.from_ms);
	ch_calendar_span(&cert, T0 + 59 * CH_DAY_MS + CH_HOUR_MS, &span);
	assert_int_equal(span.from_ms, T0 + 59 * CH_DAY_MS + CH_HOUR_MS);
	/* A window that ends before it begins is none. */
	cert.ari_end_ms = cert.ari_start_ms;
	cert.room = true;
	ch_calendar_span(&cert, T0, &span);
	assert_int_equal(span.until_ms, T0 + 90 * CH_DAY_MS / 100 * 67);
}

static void what_is_late_is_due_now(void **state)
{
	struct ch_calendar_cert cert = cert_of(T0, 90 * CH_DAY_MS);
	struct ch_calendar_ring ring;
	struct ch_calendar_source source = ch_calendar_ring_source(&ring);
	struct ch_calendar_span span;
	int64_t now_ms = T0 + 89 * CH_DAY_MS;
	int64_t at_ms;

	ch_calendar_ring_init(&ring, now_ms);
	ch_calendar_span(&cert, now_ms, &span);
	assert_int_equal(ch_calendar_choose(&source, &span, 0.5, &at_ms), CH_OK);
	assert_int_equal(at_ms, now_ms);
	/* A certificate that ends before it begins. */
	cert = cert_of(T0, -CH_DAY_MS);
	ch_calendar_span(&cert, now_ms, &span);
	assert_int_equal(span.until_ms, now_ms);
}

static void the_emptiest_slot_is_taken_and_of_equals_the_last(void **state)
{
	struct ch_calendar_ring ring;
	struct ch_calendar_source source = ch_calendar_ring_source(&ring);
	struct ch_calendar_span span = {T0 + 1, T0 + 10 * CH_HOUR_MS + 5};
	int64_t at_ms;

	ch_calendar_ring_init(&ring, T0);
	for (int k = 0; k < 10; k++)
		ch_calendar_ring_add(&ring, T0 + k * CH_HOUR_MS, 1);
	ch_calendar_ring_add(&ring, T0 + 3 * CH_HOUR_MS, -1);
	assert_int_equal(ch_calendar_choose(&source, &span, 0.25, &at_ms), CH_OK);
	assert_int_equal(at_ms, T0 + 3 * CH_HOUR_MS + CH_HOUR_MS / 4);
	ch_calendar_ring_add(&ring, at_ms, 1);
	assert_int_equal(ch_calendar_choose(&source, &span, 0, &at_ms), CH_OK);
	assert_int_equal(at_ms, T0 + 9 * CH_HOUR_MS);
	/* A spread that is none is taken for the beginning. */
	assert_int_equal(ch_calendar_choose(&source, &span, 7, &at_ms), CH_OK);
	assert_int_equal(at_ms, T0 + 9 * CH_HOUR_MS);
}

static int no_counts(void *arg, int64_t first, size_t n, uint32_t *ret_counts)
{
	assert_true(n <= CH_CALENDAR_SLOTS_MAX);
	return CH_EIO;
}

static void an_error_of_the_source_is_returned_and_a_span_has_a_limit(void **state)
{
	struct ch_calendar_source source = {no_counts, NULL};
	struct ch_calendar_span span = {0, INT64_C(100) * 365 * CH_DAY_MS};
	int64_t at_ms = 7;

	assert_int_equal(ch_calendar_choose(&source, &span, 0, &at_ms), CH_EIO);
	assert_int_equal(at_ms, 7);
}

static void the_ring_wraps_and_forgets(void **state)
{
	struct ch_calendar_ring ring;
	struct ch_calendar_source source = ch_calendar_ring_source(&ring);
	uint32_t counts[CH_CALENDAR_SLOTS_MAX];
	int64_t slot;

	ch_calendar_ring_init(&ring, T0);
	ch_calendar_ring_add(&ring, T0 - 1, 1); /* before it: not counted */
	for (int day = 0; day < 800; day += 5) {
		int64_t now_ms = T0 + day * CH_DAY_MS;

		ch_calendar_ring_turn(&ring, now_ms);
		slot = ch_calendar_slot(now_ms);
		ch_calendar_ring_add(&ring, now_ms + 300 * CH_DAY_MS, 1);
		ch_calendar_ring_add(&ring, now_ms + 900 * CH_DAY_MS, 1); /* after it */
		assert_int_equal(
			source.counts(source.arg, slot - 10, CH_CALENDAR_SLOTS_MAX, counts), 0);
		for (int i = 0; i < 10; i++)
			assert_int_equal(counts[i], 0);
		assert_int_equal(counts[10], day >= 300);
		assert_int_equal(source.counts(source.arg, slot + 7100, 2000, counts), 0);
		assert_int_equal(counts[100], 1);
		assert_int_equal(counts[1999], 0);
	}
	ch_calendar_ring_turn(&ring, T0 + 9000 * CH_DAY_MS);
	assert_int_equal(ring.first, ch_calendar_slot(T0 + 9000 * CH_DAY_MS));
}

/* A year of names that were added on ten days, hour by hour, without anything else. */
#define HOURS (400 * 24)
#define QUIET_FROM (17 * 24)
#define HALF_WEEK (7 * 12)

struct year {
	struct ch_calendar_ring ring;
	int *due[HOURS]; /* names by the hour in which they are renewed */
	uint32_t n_due[HOURS];
	uint32_t done[HOURS];
};

static void plan(struct year *year, int hour, int64_t life_ms, int name)
{
	struct ch_calendar_cert cert = cert_of(T0 + hour * CH_HOUR_MS, life_ms);
	struct ch_calendar_source source = ch_calendar_ring_source(&year->ring);
	struct ch_calendar_span span;
	int64_t at_ms;
	int at;

	ch_calendar_span(&cert, cert.not_before_ms, &span);
	assert_int_equal(ch_calendar_choose(&source, &span, name % 97 / 97.0, &at_ms), CH_OK);
	assert_in_range(at_ms, span.from_ms, span.until_ms);
	ch_calendar_ring_add(&year->ring, at_ms, 1);
	at = (int)((at_ms - T0) / CH_HOUR_MS);
	if (at >= HOURS)
		return;
	if ((year->n_due[at] & (year->n_due[at] - 1)) == 0) {
		size_t cap = year->n_due[at] ? 2 * (size_t)year->n_due[at] : 1;

		year->due[at] = realloc(year->due[at], cap * sizeof(int));
		assert_non_null(year->due[at]);
	}
	year->due[at][year->n_due[at]++] = name;
}

static void check_level(const struct year *year, int until)
{
	for (int hour = QUIET_FROM; hour < until - HALF_WEEK; hour++) {
		double sum = 0;

		for (int h = hour - HALF_WEEK; h <= hour + HALF_WEEK; h++)
			sum += year->done[h];
		assert_true(year->done[hour] <= 1.3 * sum / (2 * HALF_WEEK + 1));
	}
}

static void run_year(const int64_t lives_ms[3], int change_day, int names)
{
	struct year *year = calloc(1, sizeof(*year));
	int added = 0;

	assert_non_null(year);
	ch_calendar_ring_init(&year->ring, T0);
	for (int hour = 0; hour < HOURS; hour++) {
		int step = hour / 24 / change_day;
		int64_t life_ms = lives_ms[step < 2 ? step : 2];

		ch_calendar_ring_turn(&year->ring, T0 + hour * CH_HOUR_MS);
		for (; hour < 240 && added < names / 240 * (hour + 1); added++)
			plan(year, hour, life_ms, added);
		for (uint32_t i = 0; i < year->n_due[hour]; i++)
			plan(year, hour, life_ms, year->due[hour][i]);
		year->done[hour] = year->n_due[hour];
		free(year->due[hour]);
	}
	check_level(year, HOURS);
	free(year);
}

static void a_year_is_level_for_every_lifetime(void **state)
{
	static const int64_t hours[] = {160, 45 * 24, 64 * 24, 90 * 24};

	for (size_t i = 0; i < CH_ARRAY_LEN(hours); i++) {
		int64_t life_ms = hours[i] * CH_HOUR_MS;

		run_year((int64_t[]){life_ms, life_ms, life_ms}, 100,
			hours[i] < 240 ? 4800 : 24000);
	}
}

static void a_year_is_level_when_lifetimes_shrink(void **state)
{
	run_year((int64_t[]){90 * CH_DAY_MS, 64 * CH_DAY_MS, 45 * CH_DAY_MS}, 120, 24000);
}

static void a_window_that_is_over_early_is_of_a_certificate_that_is_taken_back(void **state)
{
	struct ch_calendar_cert cert = {.not_before_ms = 0, .not_after_ms = 90 * CH_DAY_MS};

	assert_int_equal(ch_calendar_needed_by_ms(&cert), 90 * CH_DAY_MS);
	/* The usual window, over or not, says nothing of the end. */
	cert.ari_start_ms = 59 * CH_DAY_MS;
	cert.ari_end_ms = 61 * CH_DAY_MS;
	assert_int_equal(ch_calendar_needed_by_ms(&cert), 90 * CH_DAY_MS);
	cert.ari_start_ms = 20 * CH_DAY_MS;
	cert.ari_end_ms = cert.ari_start_ms + CH_HOUR_MS;
	assert_int_equal(ch_calendar_needed_by_ms(&cert), 21 * CH_DAY_MS + CH_HOUR_MS);
	/* Short ones have theirs at half. */
	cert = (struct ch_calendar_cert){.not_before_ms = 0,
		.not_after_ms = 6 * CH_DAY_MS,
		.ari_start_ms = 70 * CH_HOUR_MS,
		.ari_end_ms = 74 * CH_HOUR_MS};
	assert_int_equal(ch_calendar_needed_by_ms(&cert), 6 * CH_DAY_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_span_follows_the_lifetime),
		cmocka_unit_test(the_cas_window_counts_before_the_lifetime),
		cmocka_unit_test(what_is_late_is_due_now),
		cmocka_unit_test(the_emptiest_slot_is_taken_and_of_equals_the_last),
		cmocka_unit_test(an_error_of_the_source_is_returned_and_a_span_has_a_limit),
		cmocka_unit_test(the_ring_wraps_and_forgets),
		cmocka_unit_test(a_year_is_level_for_every_lifetime),
		cmocka_unit_test(a_year_is_level_when_lifetimes_shrink),
		cmocka_unit_test(
			a_window_that_is_over_early_is_of_a_certificate_that_is_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
