/* Which ticket keys an agent takes from a store that may be in anybody's hands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../../tools/mktickets.h"
#include "base/clock.h"
#include "base/mem.h"
#include "world.h"

#define FOR_LONG "a=-60..1000000000"

static void feed(struct world *w, const char *pool, uint64_t version,
	const struct ch_sign_key *signer, const char *keys)
{
	CH_AUTO_BUF struct ch_buf record;
	struct ch_recipients recipients = {.n = 1};
	struct ch_recipient_key *key;
	struct mktickets how = {.pool = pool,
		.version = version,
		.recipients = &recipients,
		.signer = signer ? signer : w->store.key};

	ch_buf_init(&record, CH_RECORD_MAX_B);
	assert_int_equal(ch_recipient_key_generate(CH_KEM_X25519, &key), CH_OK);
	recipients.list[0] = key->pub;
	ch_recipient_key_free(key);
	assert_int_equal(mktickets(&how, keys, &record), CH_OK);
	fake_store_put_raw(&w->store, "0", CH_FEED_RECORD, record.data, record.len);
}

/* What workers of nginx find; 0: none. */
static uint64_t version_now(struct world *w)
{
	struct ch_replica_reader *reader;
	struct ch_record record = {.version = 0};
	struct ch_err err;
	int rc;

	ch_follow_close(&w->follow);
	assert_int_equal(ch_replica_reader_open(w->replica, &reader, &err), CH_OK);
	assert_int_equal(ch_replica_begin(reader), CH_OK);
	rc = ch_replica_get_tickets(reader, &record);
	assert_true(rc == CH_OK || rc == CH_ENOTFOUND);
	ch_replica_end(reader);
	ch_replica_reader_free(reader);
	world_open_follow(w);
	strcpy(w->follow.pool, "default");
	return record.version;
}

static int set_up(void **state)
{
	int rc = world_setup(state);
	struct world *w = *state;

	strcpy(w->follow.pool, "default");
	fake_store_put_name(&w->store, "a.example.com", 1);
	world_steps(w, 1);
	return rc;
}

static void signed_keys_of_the_pool_are_taken_in_order(void **state)
{
	struct world *w = *state;

	feed(w, "default", 5, NULL, FOR_LONG);
	world_steps(w, 1);
	assert_int_equal(version_now(w), 5);
	feed(w, "default", 7, NULL, FOR_LONG);
	world_steps(w, 1);
	assert_null(strstr(w->store.last_ack, "refused"));
	assert_int_equal(version_now(w), 7);
	/* Played back. */
	feed(w, "default", 6, NULL, FOR_LONG);
	world_steps(w, 1);
	assert_int_equal(version_now(w), 7);
	assert_int_equal(world_version_of(w, "a.example.com"), 1);
}

static void nor_does_a_new_generation_take_an_older_set(void **state)
{
	struct world *w = *state;

	feed(w, "default", 7, NULL, FOR_LONG);
	world_steps(w, 1);
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	feed(w, "default", 6, NULL, FOR_LONG);
	world_steps(w, 4);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(version_now(w), 7);
	feed(w, "default", 8, NULL, FOR_LONG);
	world_steps(w, 1);
	assert_int_equal(version_now(w), 8);
}

static void a_store_that_was_restored_gets_them_back(void **state)
{
	struct world *w = *state;

	feed(w, "default", 7, NULL, FOR_LONG);
	world_steps(w, 1);
	assert_int_equal(w->store.handed_back, 0);
	w->store.handback = "taken";
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	fake_store_forget(&w->store, "0");
	world_steps(w, 4);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(w->store.handed_back, 1);
	assert_int_equal(version_now(w), 7);
}

/* It knows of certificates only, and is to get those. */
static void nor_does_a_store_of_the_version_before_hold_up_what_it_refuses(void **state)
{
	struct world *w = *state;

	w->store.not_after_s = INT64_MAX / 2;
	fake_store_put_cert(&w->store, "b.example.com", 5);
	feed(w, "default", 7, NULL, FOR_LONG);
	world_steps(w, 1);
	w->store.handback = "taken";
	w->store.bad_handbacks = 1;
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	fake_store_forget(&w->store, "b.example.com");
	world_steps(w, 4);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(w->store.handed_back, 1);
	assert_int_equal(world_version_of(w, "b.example.com"), 5);
	assert_int_equal(version_now(w), 7);
}

static void they_come_with_a_snapshot(void **state)
{
	struct world *w = *state;

	w->store.has_snapshots = true;
	feed(w, "default", 7, NULL, FOR_LONG);
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	world_steps(w, 4);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_true(w->store.snapshots > 0);
	assert_int_equal(version_now(w), 7);
}

static void a_foreign_signature_is_refused_and_told_until_a_good_set_comes(void **state)
{
	struct world *w = *state;
	struct ch_sign_key *other;
	EVP_PKEY *pkey;

	assert_int_equal(ch_key_generate(&pkey), CH_OK);
	assert_int_equal(ch_sign_key_from(pkey, &other), CH_OK);
	EVP_PKEY_free(pkey);
	feed(w, "default", 5, other, FOR_LONG);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_ack, "1 record refused"));
	assert_non_null(
		strstr(w->store.last_ack, "ticket keys that are not signed by a pinned key"));
	feed(w, "default", 5, NULL, FOR_LONG);
	world_steps(w, 1);
	assert_null(strstr(w->store.last_ack, "refused"));
	assert_int_equal(version_now(w), 5);
	ch_sign_key_free(other);
}

static void another_pools_keys_are_refused(void **state)
{
	struct world *w = *state;

	feed(w, "eu-1", 5, NULL, FOR_LONG);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_ack, "ticket keys of another pool"));
	feed(w, "default", 4, NULL, FOR_LONG);
	world_steps(w, 1);
	assert_null(strstr(w->store.last_ack, "refused"));
	assert_int_equal(version_now(w), 4);
}

static void without_a_pool_none_are_taken(void **state)
{
	struct world *w = *state;

	w->follow.pool[0] = 0;
	feed(w, "default", 5, NULL, FOR_LONG);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_ack, "1 record refused"));
	assert_int_equal(version_now(w), 0);
}

static void what_is_damaged_or_too_large_is_refused(void **state)
{
	static const uint8_t head[] = {1, CH_RECORD_TICKETS, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0,
		0, 0, 0, 0, 0, 0, 7, 'd', 'e', 'f', 'a', 'u', 'l', 't', 255};
	static uint8_t large[CH_RECORD_MAX_B + 1];
	struct world *w = *state;

	memcpy(large, head, sizeof(head));
	fake_store_put_raw(&w->store, "0", CH_FEED_RECORD, large, sizeof(large));
	fake_store_put_name(&w->store, "b.example.com", 1);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_ack, "damaged record"));
	fake_store_put_raw(&w->store, "0", CH_FEED_RECORD, head, sizeof(head));
	fake_store_put_name(&w->store, "c.example.com", 1);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, "b.example.com"), 1);
	assert_int_equal(world_version_of(w, "c.example.com"), 1);
	assert_int_equal(version_now(w), 0);
}

static void keys_of_no_use_leave_the_replica(void **state)
{
	struct world *w = *state;
	char keys[64];
	long left_s = (long)(w->now_ms / CH_SECOND_MS - (int64_t)time(NULL)) + 60;

	snprintf(keys, sizeof(keys), "a=-60..%ld", left_s);
	feed(w, "default", 5, NULL, keys);
	world_steps(w, 1);
	w->now_ms += 2 * CH_MINUTE_MS; /* our clock may be ahead */
	world_steps(w, 1);
	assert_int_equal(version_now(w), 5);
	w->now_ms += CH_HOUR_MS;
	world_steps(w, 1);
	assert_int_equal(version_now(w), 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, world_teardown)
	const struct CMUnitTest tests[] = {
		T(signed_keys_of_the_pool_are_taken_in_order),
		T(nor_does_a_new_generation_take_an_older_set),
		T(a_store_that_was_restored_gets_them_back),
		T(nor_does_a_store_of_the_version_before_hold_up_what_it_refuses),
		T(they_come_with_a_snapshot),
		T(a_foreign_signature_is_refused_and_told_until_a_good_set_comes),
		T(another_pools_keys_are_refused),
		T(without_a_pool_none_are_taken),
		T(what_is_damaged_or_too_large_is_refused),
		T(keys_of_no_use_leave_the_replica),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
