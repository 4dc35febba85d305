/* How large a replica's file becomes (doc/replica.md). */
#include "replica_fixture.h"
#include "year.h"

#define NAMES 20000
#define FILL_LIMIT_B 1536
#define YEAR_LIMIT_B 2048
/* Pages that an answer's records touch, one each, are free for use again two answers later. */
#define ANSWERS_B ((uint64_t)2 * 3500 * 4096)
#define MEMORY "/dev/shm" /* thousands of commits, and what is measured is no disk */

static int setup(void **state)
{
	struct fixture *f;

	fixture_setup(state);
	f = *state;
	if (access(MEMORY, W_OK) < 0)
		return 0;
	rmdir(f->top);
	strcpy(f->top, MEMORY "/certherd-year-XXXXXX");
	assert_non_null(mkdtemp(f->top));
	snprintf(f->dir, sizeof(f->dir), "%s/replica", f->top);
	return 0;
}

static struct year_found live_through(struct fixture *f, const struct year_plan *plan)
{
	struct ch_replica_writer *writer;
	struct year_found found;

	f->options.map_b = 0;
	assert_int_equal(ch_replica_writer_open(&f->options, &writer, &f->err), CH_OK);
	assert_int_equal(year_run(plan, writer, f->dir, &found), CH_OK);
	ch_replica_writer_free(writer);
	assert_true(found.fill_b <= (uint64_t)FILL_LIMIT_B * NAMES);
	return found;
}

static void test_a_year_of_90_days(void **state)
{
	const struct year_plan plan = {
		.names = NAMES, .lifetime_days = 90, .days = 365, .batch = 50, .seed = 1};
	struct year_found found = live_through(*state, &plan);

	assert_int_equal(found.names, NAMES);
	assert_true(found.renewed > 6 * NAMES);
	assert_true(found.peak_b <= (uint64_t)YEAR_LIMIT_B * NAMES);
}

static void test_months_of_6_days(void **state)
{
	const struct year_plan plan = {
		.names = NAMES, .lifetime_days = 6, .days = 45, .batch = 50, .seed = 2};
	struct year_found found = live_through(*state, &plan);

	assert_true(found.renewed > 14 * NAMES);
	assert_true(found.peak_b <= (uint64_t)YEAR_LIMIT_B * NAMES);
}

/* What waited for hours comes in answers of 4 MiB. */
static void test_after_outages(void **state)
{
	const struct year_plan plan = {.names = NAMES,
		.lifetime_days = 6,
		.days = 45,
		.batch = 50,
		.outage_ppm = 20000,
		.seed = 3};
	struct year_found found = live_through(*state, &plan);

	assert_true(found.largest > NAMES / 10);
	assert_true(found.peak_b <= (uint64_t)FILL_LIMIT_B * NAMES + ANSWERS_B);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_a_year_of_90_days, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_months_of_6_days, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_after_outages, setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
