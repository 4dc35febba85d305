/* Second certificates in the feed: signatures, and withdrawals by the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "world.h"

#define NAME "a.example.com"
#define KEY "a.example.com/6"

static void only_a_signed_second_is_taken(void **state)
{
	struct world *w = *state;

	fake_store_put_cert(&w->store, NAME, 1);
	fake_store_put_second(&w->store, NAME, 2, true, false);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, NAME), 1);
	assert_int_equal(world_version_of(w, KEY), 2);
	fake_store_put_second(&w->store, NAME, 3, true, true);
	fake_store_put_second(&w->store, "b.example.com", 3, true, true);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, KEY), 2);
	assert_int_equal(world_version_of(w, "b.example.com/6"), 0);
	assert_non_null(strstr(w->store.last_ack, "b.example.com (not signed"));
	fake_store_put_second(&w->store, NAME, 4, true, false);
	fake_store_put_second(&w->store, "b.example.com", 4, true, false);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, KEY), 4);
	assert_non_null(strstr(w->store.last_ack, "\"error\":null"));
}

/* The kind is signed: a store cannot have a name's own certificate in the second's place. */
static void a_first_certificate_does_not_become_the_second(void **state)
{
	struct world *w = *state;
	struct fake_row *row;
	CH_AUTO_BUF struct ch_buf bytes;
	size_t there_at = 4 + 8 + 8 + 1 + strlen(NAME);

	fake_store_put_cert(&w->store, NAME, 1);
	row = fake_store_row(&w->store, NAME);
	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	ch_buf_add(&bytes, row->record.data, there_at);
	ch_buf_add_u8(&bytes, 1);
	ch_buf_add(&bytes, row->record.data + there_at, row->record.len - there_at);
	bytes.data[1] = CH_RECORD_SECOND;
	fake_store_put_raw(&w->store, KEY, CH_FEED_RECORD, bytes.data, bytes.len);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, NAME), 1);
	assert_int_equal(world_version_of(w, KEY), 0);
}

static void a_withdrawn_second_is_gone_and_the_name_stays(void **state)
{
	struct world *w = *state;

	fake_store_put_cert(&w->store, NAME, 1);
	fake_store_put_second(&w->store, NAME, 2, true, false);
	world_steps(w, 1);
	fake_store_put_second(&w->store, NAME, 3, false, false);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, NAME), 1);
	assert_int_equal(world_version_of(w, KEY), 3);
	assert_int_equal(world_live_names(w), 1);
}

static void withdraw_many(struct world *w, int n, uint64_t version, bool there)
{
	char name[32];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "n%02d.example.com", i);
		fake_store_put_second(&w->store, name, version, there, false);
	}
}

/* They need no signature: a taken store could cut all old clients off at once. */
static void a_mass_withdrawal_is_refused(void **state)
{
	struct world *w = *state;

	world_put_many(w, 20, 1);
	withdraw_many(w, 20, 2, true);
	world_steps(w, 1);
	withdraw_many(w, 6, 3, false);
	world_steps(w, 2);
	assert_int_equal(world_version_of(w, "n00.example.com/6"), 2);
	assert_non_null(strstr(w->store.last_ack, "Removing 6 of 20 live names"));
}

/* Nothing is taken away. */
static void withdrawals_of_what_is_not_there_are_free(void **state)
{
	struct world *w = *state;

	world_put_many(w, 20, 1);
	world_steps(w, 1);
	withdraw_many(w, 20, 3, false);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, "n00.example.com/6"), 3);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(only_a_signed_second_is_taken),
		TEST(a_first_certificate_does_not_become_the_second),
		TEST(a_withdrawn_second_is_gone_and_the_name_stays),
		TEST(a_mass_withdrawal_is_refused),
		TEST(withdrawals_of_what_is_not_there_are_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
