/* A file is looked at before its pages are touched, but not each time what has not changed. */
#include <fcntl.h>
#include <time.h>

#include "replica_fixture.h"

#include "base/clock.h"

static const char *shop = "shop.example.com";

static void fill(struct fixture *f)
{
	struct ch_replica_writer *writer = open_writer(f);

	apply(writer, shop, 2, CH_RECORD_NAME);
	ch_replica_writer_free(writer);
}

static int64_t a_minute_on(void *arg)
{
	struct timespec ts;

	(void)arg;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * CH_SECOND_MS + CH_MINUTE_MS;
}

/* As if it had been opened and read a minute ago, so that it is known to be whole. */
static int read_long_unchanged(struct fixture *f, struct ch_replica_reader **ret_reader)
{
	ch_clock_set(a_minute_on, NULL);
	return ch_replica_reader_open(f->dir, ret_reader, NULL) || find(*ret_reader, shop, 2) ||
	       find(*ret_reader, shop, 2);
}

static int cut_after_long(struct fixture *f)
{
	struct ch_replica_reader *reader;
	char path[256];

	live_path(f, "data.mdb", path);
	if (read_long_unchanged(f, &reader))
		return 50;
	if (truncate(path, 8192) || find(reader, shop, 2) != -CH_ECORRUPT)
		return 51;
	ch_replica_reader_free(reader);
	return 0;
}

/* Until the kernel's clock has moved on, a change does not show. */
static int zero_the_first_pages(const char *path)
{
	static const char zeroes[8192];
	int fd = open(path, O_WRONLY);
	struct stat before;
	struct stat after;

	if (fd < 0 || fstat(fd, &before))
		return -1;
	do {
		if (pwrite(fd, zeroes, sizeof(zeroes), 0) != sizeof(zeroes) ||
			fstat(fd, &after))
			return -1;
	} while (after.st_ctim.tv_sec == before.st_ctim.tv_sec &&
		 after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
	return close(fd);
}

static int overwritten_after_long(struct fixture *f)
{
	struct ch_replica_reader *reader;
	char path[256];

	live_path(f, "data.mdb", path);
	if (read_long_unchanged(f, &reader))
		return 50;
	if (zero_the_first_pages(path) || find(reader, shop, 2) != -CH_ECORRUPT)
		return 51;
	ch_replica_reader_free(reader);
	return 0;
}

static int apply_nine(struct fixture *f)
{
	struct ch_replica_writer *writer = open_writer(f);

	apply(writer, shop, 9, CH_RECORD_NAME);
	ch_replica_writer_free(writer);
	return 0;
}

static int changed_after_long(struct fixture *f)
{
	struct ch_replica_reader *reader;
	int rc = read_long_unchanged(f, &reader);

	if (rc == 0) {
		rc = in_child(apply_nine, f) || find(reader, shop, 9) || find(reader, shop, 9);
		ch_replica_reader_free(reader);
	}
	return rc;
}

static void a_file_that_was_whole_for_long_is_looked_at_again_when_it_changes(void **state)
{
	struct fixture *f = *state;

	fill(f);
	assert_int_equal(in_child(changed_after_long, f), 0);
}

static void a_cut_after_long_is_an_error_and_no_signal(void **state)
{
	struct fixture *f = *state;

	fill(f);
	assert_int_equal(in_child(cut_after_long, f), 0);
}

static void first_pages_overwritten_after_long_are_an_error_and_no_signal(void **state)
{
	struct fixture *f = *state;

	fill(f);
	assert_int_equal(in_child(overwritten_after_long, f), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_was_whole_for_long_is_looked_at_again_when_it_changes),
		TEST(a_cut_after_long_is_an_error_and_no_signal),
		TEST(first_pages_overwritten_after_long_are_an_error_and_no_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
