/* A certificate that was live before is put back: what is signed again, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "bench.h"
#include "wire/record.h"

static struct bench *b;
static uint64_t first_id;

static void take(const char *text, size_t max_b, uint8_t **ret_bytes, size_t *ret_len)
{
	if (*text)
		assert_int_equal(ch_b64u_decode_alloc(text, max_b, ret_bytes, ret_len), CH_OK);
}

/* What was published last is to be put back. */
static void take_old(struct ch_old *old)
{
	const json_t *list = json_object_get(b->published, "records");

	old->version = b->row.id;
	for (size_t i = 0; i < 2; i++)
		take(json_string_value(json_array_get(list, i)), CH_RECORD_MAX_B,
			&old->records[i].bytes, &old->records[i].len);
	take(json_string_value(json_object_get(b->published, "chain")), CH_CHAIN_MAX_B,
		&old->chain, &old->chain_len);
}

static void begin_order(enum ch_key_type key, bool second)
{
	b->row.id += 7;
	b->row.state = CH_ORDER_NEW;
	b->row.has_leaf = false;
	b->row.key = key;
	b->row.second = second;
	free(b->row.csr);
	free(b->row.sealed);
	b->row.csr = b->row.sealed = NULL;
	memset(&b->row.notes, 0, sizeof(b->row.notes));
}

static void add_recipient(enum ch_kem kem)
{
	struct ch_recipients *now = &b->issuer->recipients;
	struct ch_recipient_key *key;

	assert_int_equal(ch_recipient_key_generate(kem, &key), CH_OK);
	now->list[now->n++] = key->pub;
	ch_recipient_key_free(key);
}

/* Issues a certificate, then is asked to put it back. */
static int set_up_with(enum ch_key_type key, bool second, bool two_recipients)
{
	b = bench_new("shop.test", "www.shop.test");
	b->row.key = key;
	b->row.second = second;
	if (two_recipients)
		add_recipient(CH_KEM_X25519);
	bench_run_to(b, CH_ORDER_DONE);
	first_id = b->row.id;
	take_old(&b->row.old);
	begin_order(key, false);
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(CH_KEY_ECDSA, false, false);
}

static int set_up_rsa(void **state)
{
	return set_up_with(CH_KEY_RSA, false, false);
}

static int set_up_second(void **state)
{
	return set_up_with(CH_KEY_RSA, true, false);
}

static int set_up_two_recipients(void **state)
{
	return set_up_with(CH_KEY_ECDSA, false, true);
}

static int set_up_second_alone(void **state)
{
	(void)set_up_with(CH_KEY_RSA, true, false);
	b->row.second = true;
	return 0;
}

/* Issues two, as first and as second certificate, and is asked to put both back. */
static int set_up_both(void **state)
{
	struct ch_old first = {.version = 0};
	struct ch_old second = {.version = 0};

	b = bench_new("shop.test", "www.shop.test");
	bench_run_to(b, CH_ORDER_DONE);
	first_id = b->row.id;
	take_old(&first);
	begin_order(CH_KEY_RSA, true);
	bench_run_to(b, CH_ORDER_DONE);
	take_old(&second);
	begin_order(CH_KEY_ECDSA, false);
	b->row.old = first;
	b->row.old_second = second;
	return 0;
}

static void free_old(struct ch_old *old)
{
	for (size_t i = 0; i < 2; i++)
		free(old->records[i].bytes);
	free(old->chain);
}

static int tear_down(void **state)
{
	free_old(&b->row.old);
	free_old(&b->row.old_second);
	bench_free(b);
	return 0;
}

static int64_t published_time(const char *key)
{
	int64_t at_ms;

	assert_int_equal(
		ch_time_parse(json_string_value(json_object_get(b->published, key)), &at_ms),
		CH_OK);
	return at_ms;
}

static void what_we_signed_is_signed_again_under_the_new_version(void **state)
{
	int orders = b->ca.count[FAKE_NEW_ORDER];

	bench_step(b, true);
	assert_int_equal(b->publications, 2);
	assert_int_equal(b->row.state, CH_ORDER_CONFIRMING);
	assert_int_equal(b->ca.count[FAKE_NEW_ORDER], orders);
	bench_run_to(b, CH_ORDER_DONE);
	assert_string_equal(b->last.reason.code, "ok");
}

static void it_is_not_renewed_at_once(void **state)
{
	int64_t ends_ms = published_time("not_after");
	int64_t now_ms = ends_ms - CH_DAY_MS;

	bench_now_ms = now_ms; /* long after its own day */
	bench_step(b, true);
	assert_int_equal(b->publications, 2);
	assert_in_range(published_time("renew_at"), now_ms + CH_DAY_MS / 4 - 1000,
		now_ms + CH_DAY_MS / 4 + 1000);
}

static void assert_given_up(const char *why)
{
	int before = b->publications;

	bench_step(b, true);
	assert_int_equal(b->publications, before);
	assert_int_equal(b->row.state, CH_ORDER_FAILED);
	for (size_t i = 0; i < 2; i++) {
		assert_false(b->last.verdicts[i].failed);
		assert_string_equal(b->last.verdicts[i].reason.code, "rollback-refused");
		assert_int_equal(b->last.verdicts[i].reason.actor, CH_ACTOR_OPERATOR);
		assert_non_null(strstr(b->last.verdicts[i].reason.detail, why));
	}
}

/* Clients that can use both kinds of key would get that of the others. */
static void a_second_certificate_does_not_take_the_firsts_place(void **state)
{
	assert_given_up("the store has no record of it");
}

static void a_second_is_put_back_as_a_second(void **state)
{
	bench_step(b, true);
	assert_int_equal(b->publications, 2);
	assert_int_equal(b->row.state, CH_ORDER_CONFIRMING);
}

/* In one publication, each record under a version of its own. */
static void both_are_put_back_together(void **state)
{
	int orders = b->ca.count[FAKE_NEW_ORDER];
	const json_t *second, *list;

	bench_step(b, true);
	assert_int_equal(b->publications, 3);
	assert_int_equal(b->ca.count[FAKE_NEW_ORDER], orders);
	second = json_object_get(b->published, "second");
	list = json_object_get(second, "records");
	assert_int_equal(json_array_size(list), 2);
	for (size_t i = 0; i < 2; i++) {
		CH_AUTO_FREE uint8_t *bytes = NULL;
		struct ch_record record;
		size_t len = 0;

		take(json_string_value(json_array_get(list, i)), CH_RECORD_MAX_B, &bytes, &len);
		assert_int_equal(ch_record_decode(bytes, len, &record), CH_OK);
		assert_int_equal(record.kind, CH_RECORD_SECOND);
		assert_true(ch_record_has_cert(&record));
		assert_int_equal(record.version, b->row.id + 1);
		assert_int_equal(record.key_version, b->row.old_second.version);
		assert_int_equal(ch_record_check_own(&record, bytes, b->issuer->signer), CH_OK);
	}
	assert_null(json_object_get(second, "next_at"));
	assert_string_not_equal(json_string_value(json_object_get(second, "leaf")),
		json_string_value(json_object_get(b->published, "leaf")));
}

static void without_the_second_the_first_stays_too(void **state)
{
	struct ch_old first = b->row.old_second;

	free(b->row.old_second.records[1].bytes);
	b->row.old_second.records[1].bytes = NULL;
	assert_given_up("no record");
	/* Nor is a first one signed as a second. */
	free(first.records[0].bytes);
	b->row.old_second.records[0] = b->row.old.records[0];
	b->row.old_second.records[1] = b->row.old.records[1];
	b->row.state = CH_ORDER_NEW;
	assert_given_up("no record");
	memset(b->row.old_second.records, 0, sizeof(b->row.old_second.records));
}

static void what_has_expired_is_not_put_back(void **state)
{
	bench_now_ms = published_time("not_after") + CH_SECOND_MS;
	assert_given_up("");
}

/* The store could otherwise have a key of its own served. */
static void what_we_did_not_sign_is_not_signed(void **state)
{
	b->row.old.records[0].bytes[b->row.old.records[0].len - 1] ^= 1;
	assert_given_up("not signed by the key");
}

static void the_record_of_another_name_is_not_signed(void **state)
{
	struct ch_old_record first = b->row.old.records[0];

	b->row.old.records[0] = b->row.old.records[1];
	b->row.old.records[1] = first;
	assert_given_up("another name");
}

static void a_record_that_is_missing_is_told(void **state)
{
	free(b->row.old.records[1].bytes);
	b->row.old.records[1].bytes = NULL;
	assert_given_up("no record");
}

static void a_damaged_record_is_told(void **state)
{
	b->row.old.records[1].len--;
	assert_given_up("no record");
}

static void a_version_that_is_not_later_is_refused(void **state)
{
	b->row.id = first_id;
	assert_given_up("earlier");
}

static void intermediates_that_are_not_its_own_are_refused(void **state)
{
	if (!b->row.old.chain)
		skip();
	b->row.old.chain[b->row.old.chain_len - 1] ^= 1;
	assert_given_up("intermediates");
}

static void id_of(size_t i, char ret_text[100])
{
	const struct ch_recipient *recipient = &b->issuer->recipients.list[i];

	ch_hex_encode(recipient->id, sizeof(recipient->id), ret_text);
}

/* An edge that came, or got another key, since that certificate could not serve it. */
static void what_a_present_recipient_cannot_open_is_not_put_back(void **state)
{
	char told[100];

	add_recipient(CH_KEM_X25519);
	b->issuer->recipients.line[1] = 7;
	id_of(1, told);
	strcat(told, " (line 7) cannot open its key");
	assert_given_up(told);
	id_of(0, told);
	assert_null(strstr(b->last.verdicts[0].reason.detail, told));
}

static void of_many_that_cannot_open_it_some_are_told(void **state)
{
	char told[4][100];

	for (size_t i = 0; i < 5; i++)
		add_recipient(CH_KEM_X25519);
	strcpy(told[3], " and 2 more cannot open its key (`certherd key recipients`).");
	for (size_t i = 0; i < 3; i++)
		id_of(1 + i, told[i]);
	for (size_t i = 0; i < 4; i++) {
		b->row.state = CH_ORDER_NEW;
		assert_given_up(told[i]);
	}
	id_of(4, told[0]);
	assert_null(strstr(b->last.verdicts[0].reason.detail, told[0]));
}

static void what_no_present_recipient_can_open_is_not_put_back(void **state)
{
	char told[100];

	b->issuer->recipients.n = 0;
	add_recipient(CH_KEM_P256);
	b->issuer->recipients.line[0] = 0; /* it is in no file */
	id_of(0, told);
	strcat(told, " cannot open its key");
	assert_given_up(told);
}

static size_t n_published_copies(void)
{
	const json_t *list = json_object_get(b->published, "records");
	const char *text = json_string_value(json_array_get(list, 0));
	CH_AUTO_FREE uint8_t *bytes = NULL;
	struct ch_record record;
	size_t len;

	assert_int_equal(ch_b64u_decode_alloc(text, CH_RECORD_MAX_B, &bytes, &len), CH_OK);
	assert_int_equal(ch_record_decode(bytes, len, &record), CH_OK);
	return record.n_sealed;
}

static void copies_for_recipients_that_have_gone_are_left_out(void **state)
{
	assert_int_equal(n_published_copies(), 2);
	b->issuer->recipients.n--;
	bench_step(b, true);
	assert_int_equal(b->publications, 2);
	assert_int_equal(n_published_copies(), 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(what_we_signed_is_signed_again_under_the_new_version),
		T(it_is_not_renewed_at_once),
		T(what_has_expired_is_not_put_back),
		T(what_we_did_not_sign_is_not_signed),
		T(the_record_of_another_name_is_not_signed),
		T(a_record_that_is_missing_is_told),
		T(a_damaged_record_is_told),
		T(a_version_that_is_not_later_is_refused),
		T(intermediates_that_are_not_its_own_are_refused),
		T(what_a_present_recipient_cannot_open_is_not_put_back),
		T(of_many_that_cannot_open_it_some_are_told),
		T(what_no_present_recipient_can_open_is_not_put_back),
		cmocka_unit_test_setup_teardown(
			copies_for_recipients_that_have_gone_are_left_out,
			set_up_two_recipients, tear_down),
		cmocka_unit_test_setup_teardown(
			what_we_signed_is_signed_again_under_the_new_version, set_up_rsa,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_second_certificate_does_not_take_the_firsts_place, set_up_second,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_second_is_put_back_as_a_second, set_up_second_alone, tear_down),
		cmocka_unit_test_setup_teardown(
			both_are_put_back_together, set_up_both, tear_down),
		cmocka_unit_test_setup_teardown(
			without_the_second_the_first_stays_too, set_up_both, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
