/* Which tokens of tls-alpn-01 an agent takes from a store that may be in anybody's hands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/keys.h"
#include "world.h"

/* signer NULL: the pinned one. */
static void feed(
	struct world *w, uint64_t version, const char *token, const struct ch_sign_key *signer)
{
	CH_AUTO_BUF struct ch_buf bytes;
	struct ch_record record = {.kind = CH_RECORD_CHALLENGE,
		.version = version,
		.account_hint = 77,
		.name = "a.example.com",
		.name_len = 13,
		.token = {token, strlen(token)},
		.token_until_s = 4000000000};

	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	if (ch_record_is_signed(&record))
		assert_int_equal(
			ch_record_sign(&record, signer ? signer : w->store.key, &bytes), CH_OK);
	else
		assert_int_equal(ch_record_encode(&record, &bytes), CH_OK);
	fake_store_put_raw(&w->store, "a.example.com/7", CH_FEED_RECORD, bytes.data, bytes.len);
}

/* What workers of nginx find; version 0: nothing. */
static struct ch_record now(struct world *w)
{
	struct ch_replica_reader *reader;
	struct ch_record record = {.version = 0};
	struct ch_err err;
	int rc;

	ch_follow_close(&w->follow);
	assert_int_equal(ch_replica_reader_open(w->replica, &reader, &err), CH_OK);
	assert_int_equal(ch_replica_begin(reader), CH_OK);
	rc = ch_replica_get_challenge(reader, "a.example.com", 13, &record);
	assert_true(rc == CH_OK || rc == CH_ENOTFOUND);
	ch_replica_end(reader);
	ch_replica_reader_free(reader);
	world_open_follow(w);
	return record;
}

static int set_up(void **state)
{
	int rc = world_setup(state);
	struct world *w = *state;

	fake_store_put_cert(&w->store, "a.example.com", 1);
	world_steps(w, 1);
	return rc;
}

static void a_signed_token_comes_and_goes(void **state)
{
	struct world *w = *state;

	feed(w, 5, "token", NULL);
	world_steps(w, 1);
	assert_int_equal(now(w).version, 5);
	assert_int_equal(now(w).token.len, 5);
	/* The store takes it away without a signature. */
	feed(w, 6, "", NULL);
	world_steps(w, 1);
	assert_null(strstr(w->store.last_ack, "refused"));
	assert_int_equal(now(w).version, 6);
	assert_int_equal(now(w).token.len, 0);
	/* Played back. */
	feed(w, 5, "token", NULL);
	world_steps(w, 1);
	assert_int_equal(now(w).version, 6);
	/* The certificate was not touched. */
	assert_int_equal(world_version_of(w, "a.example.com"), 1);
}

static void a_foreign_signature_is_refused_and_told(void **state)
{
	struct world *w = *state;
	struct ch_sign_key *other;
	EVP_PKEY *pkey;

	assert_int_equal(ch_key_generate(&pkey), CH_OK);
	assert_int_equal(ch_sign_key_from(pkey, &other), CH_OK);
	EVP_PKEY_free(pkey);
	feed(w, 5, "token", other);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_ack, "1 record refused"));
	assert_non_null(
		strstr(w->store.last_ack, "a token that is not signed by a pinned key"));
	assert_int_equal(now(w).version, 0);
	feed(w, 6, "token", NULL);
	world_steps(w, 1);
	assert_null(strstr(w->store.last_ack, "refused"));
	assert_int_equal(now(w).version, 6);
	ch_sign_key_free(other);
}

static void what_was_refused_is_forgotten_with_the_name(void **state)
{
	struct world *w = *state;
	struct ch_sign_key *other;
	EVP_PKEY *pkey;

	assert_int_equal(ch_key_generate(&pkey), CH_OK);
	assert_int_equal(ch_sign_key_from(pkey, &other), CH_OK);
	EVP_PKEY_free(pkey);
	feed(w, 5, "token", other);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_ack, "refused"));
	fake_store_put_tombstone(&w->store, "a.example.com", 7);
	world_steps(w, 1);
	assert_null(strstr(w->store.last_ack, "refused"));
	ch_sign_key_free(other);
}

static void it_goes_with_its_name(void **state)
{
	struct world *w = *state;

	feed(w, 5, "token", NULL);
	world_steps(w, 1);
	assert_int_equal(now(w).token.len, 5);
	fake_store_put_tombstone(&w->store, "a.example.com", 7);
	world_steps(w, 1);
	assert_int_equal(now(w).version, 0);
	/* Nor does it come back. */
	feed(w, 6, "token", NULL);
	world_steps(w, 1);
	assert_int_equal(now(w).version, 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_signed_token_comes_and_goes),
		T(a_foreign_signature_is_refused_and_told),
		T(what_was_refused_is_forgotten_with_the_name),
		T(it_goes_with_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
