/* Records of ticket keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crypto/sign.h"
#include "wire/tickets.h"

static const uint8_t bytes65[65] = {4, 1};
static const uint8_t ct[CH_TICKET_CT_B] = {7};
static struct ch_sign_key *key;
static struct ch_verify_set *pinned;

static struct ch_ticket_key key_at(const char *id, int64_t from_s)
{
	struct ch_ticket_key k = {.id = (const uint8_t *)id,
		.from_s = from_s,
		.until_s = from_s + 200,
		.n_sealed = 2};

	k.sealed[0] = (struct ch_sealed_view){
		(const uint8_t *)"recipie1", 0x20, bytes65, 32, ct, sizeof(ct)};
	k.sealed[1] = (struct ch_sealed_view){
		(const uint8_t *)"recipie2", 0x10, bytes65, 65, ct, sizeof(ct)};
	return k;
}

static struct ch_tickets sample(void)
{
	struct ch_tickets tickets = {.n = 3};

	tickets.keys[0] = key_at("0123456789abcdef", 1000);
	tickets.keys[1] = key_at("1123456789abcdef", 1100);
	tickets.keys[2] = key_at("2123456789abcdef", 1200);
	return tickets;
}

static void make_record(const struct ch_tickets *tickets, struct ch_buf *out)
{
	CH_AUTO_BUF struct ch_buf keys;
	struct ch_record record = {
		.kind = CH_RECORD_TICKETS, .version = 9, .name = "eu-1", .name_len = 4};

	ch_buf_init(&keys, CH_RECORD_MAX_B);
	ch_buf_init(out, CH_RECORD_MAX_B);
	assert_int_equal(ch_tickets_encode(tickets, &keys), CH_OK);
	record.tickets = keys.data;
	record.tickets_len = keys.len;
	assert_int_equal(ch_record_sign(&record, key, out), CH_OK);
}

static int make_keys(void **state)
{
	EVP_PKEY *pkey;
	struct ch_err err;
	char text[160];

	assert_int_equal(ch_key_generate(&pkey), CH_OK);
	assert_int_equal(ch_sign_key_from(pkey, &key), CH_OK);
	EVP_PKEY_free(pkey);
	assert_int_equal(ch_sign_key_print_public(key, text), CH_OK);
	assert_int_equal(ch_verify_set_parse(text, &pinned, &err), CH_OK);
	return 0;
}

static int free_keys(void **state)
{
	ch_sign_key_free(key);
	ch_verify_set_free(pinned);
	return 0;
}

static void they_round_trip_and_the_signature_is_checked(void **state)
{
	struct ch_tickets tickets = sample();
	struct ch_tickets back;
	struct ch_record record;
	char name[CH_RECORD_KEY_B];
	CH_AUTO_BUF struct ch_buf buf;

	make_record(&tickets, &buf);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &record), CH_OK);
	assert_int_equal(record.kind, CH_RECORD_TICKETS);
	assert_int_equal(record.version, 9);
	assert_int_equal(ch_record_verify(&record, buf.data, pinned), CH_OK);
	assert_int_equal(ch_tickets_decode(record.tickets, record.tickets_len, &back), CH_OK);
	assert_int_equal(back.n, 3);
	assert_memory_equal(back.keys[2].id, "2123456789abcdef", CH_TICKET_ID_B);
	assert_int_equal(back.keys[1].from_s, 1100);
	assert_int_equal(back.keys[1].until_s, 1300);
	assert_int_equal(back.keys[0].sealed[1].kem_id, 0x10);
	ch_record_key(record.kind, record.name, record.name_len, name);
	assert_string_equal(name, "eu-1/5");
}

static void any_altered_or_lost_byte_is_noticed(void **state)
{
	struct ch_tickets tickets = sample();
	CH_AUTO_BUF struct ch_buf buf;
	struct ch_record record;

	make_record(&tickets, &buf);
	for (size_t i = 0; i < buf.len; i++) {
		buf.data[i] ^= 0x41;
		if (ch_record_decode(buf.data, buf.len, &record) == CH_OK)
			assert_int_not_equal(
				ch_record_verify(&record, buf.data, pinned), CH_OK);
		buf.data[i] ^= 0x41;
		assert_int_not_equal(ch_record_decode(buf.data, i, &record), CH_OK);
	}
	assert_int_equal(ch_buf_add_u8(&buf, 0), CH_OK);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &record), CH_EPROTO);
}

static void assert_refused(const struct ch_tickets *tickets)
{
	CH_AUTO_BUF struct ch_buf keys;

	ch_buf_init(&keys, CH_RECORD_MAX_B);
	assert_int_equal(ch_tickets_encode(tickets, &keys), CH_EINVAL);
	assert_int_equal(keys.len, 0);
}

static void limits_hold_when_they_are_made(void **state)
{
	struct ch_tickets tickets = sample();

	tickets.n = 0;
	assert_refused(&tickets);
	tickets.n = CH_TICKET_KEYS_MAX + 1;
	assert_refused(&tickets);
	tickets = sample();
	tickets.keys[1].from_s = tickets.keys[0].from_s;
	assert_refused(&tickets);
	tickets = sample();
	tickets.keys[0].until_s = tickets.keys[0].from_s;
	assert_refused(&tickets);
	tickets = sample();
	tickets.keys[0].from_s = -1;
	assert_refused(&tickets);
	tickets = sample();
	tickets.keys[2].n_sealed = 0;
	assert_refused(&tickets);
	tickets = sample();
	tickets.keys[2].n_sealed = CH_RECORD_SEALED_MAX + 1;
	assert_refused(&tickets);
	tickets = sample();
	tickets.keys[2].sealed[0].ct_len--;
	assert_refused(&tickets);
	tickets = sample();
	tickets.keys[2].sealed[0].enc_len = 33;
	assert_refused(&tickets);
}

/* What was signed by a newer program, or by nobody: the bytes of the keys alone. */
static void limits_hold_when_they_are_read(void **state)
{
	struct ch_tickets tickets = sample();
	struct ch_tickets back;
	CH_AUTO_BUF struct ch_buf keys;

	ch_buf_init(&keys, CH_RECORD_MAX_B);
	assert_int_equal(ch_tickets_encode(&tickets, &keys), CH_OK);
	assert_int_equal(ch_tickets_decode(keys.data, keys.len, &back), CH_OK);
	for (unsigned n = 0; n < 256; n++) {
		keys.data[0] = (uint8_t)n;
		assert_int_equal(ch_tickets_decode(keys.data, keys.len, &back),
			n == 3 ? CH_OK : CH_EPROTO);
	}
	keys.data[0] = 3;
	for (unsigned n = 0; n < 256; n++) {
		keys.data[1 + CH_TICKET_ID_B + 16] = (uint8_t)n;
		assert_int_equal(ch_tickets_decode(keys.data, keys.len, &back),
			n == 2 ? CH_OK : CH_EPROTO);
	}
	assert_int_equal(ch_tickets_decode(NULL, 0, &back), CH_EPROTO);
}

static void an_account_has_no_place_in_them(void **state)
{
	struct ch_tickets tickets = sample();
	CH_AUTO_BUF struct ch_buf buf;
	struct ch_record record;

	make_record(&tickets, &buf);
	buf.data[4 + 8 + 7] = 1;
	assert_int_equal(ch_record_decode(buf.data, buf.len, &record), CH_EPROTO);
}

static void the_largest_fits_into_a_record(void **state)
{
	struct ch_tickets tickets = {.n = CH_TICKET_KEYS_MAX};
	CH_AUTO_BUF struct ch_buf buf;

	for (size_t i = 0; i < tickets.n; i++) {
		tickets.keys[i] = key_at("0123456789abcdef", (int64_t)i);
		tickets.keys[i].n_sealed = CH_RECORD_SEALED_MAX;
		for (size_t k = 0; k < CH_RECORD_SEALED_MAX; k++)
			tickets.keys[i].sealed[k] = tickets.keys[i].sealed[1];
	}
	make_record(&tickets, &buf);
	assert_true(buf.len < CH_RECORD_MAX_B / 3);
}

static void the_current_key_goes_by_the_clock(void **state)
{
	struct ch_tickets tickets = sample();

	assert_int_equal(ch_tickets_current(&tickets, 0), 3);
	assert_int_equal(ch_tickets_current(&tickets, 999), 3);
	assert_int_equal(ch_tickets_current(&tickets, 1000), 0);
	assert_int_equal(ch_tickets_current(&tickets, 1099), 0);
	assert_int_equal(ch_tickets_current(&tickets, 1100), 1);
	/* Nobody has made the next one: the last goes on as long as it opens. */
	assert_int_equal(ch_tickets_current(&tickets, 1399), 2);
	assert_int_equal(ch_tickets_current(&tickets, 1400), 3);
	assert_int_equal(ch_tickets_current(&tickets, INT64_MAX), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_round_trip_and_the_signature_is_checked),
		cmocka_unit_test(any_altered_or_lost_byte_is_noticed),
		cmocka_unit_test(limits_hold_when_they_are_made),
		cmocka_unit_test(limits_hold_when_they_are_read),
		cmocka_unit_test(an_account_has_no_place_in_them),
		cmocka_unit_test(the_largest_fits_into_a_record),
		cmocka_unit_test(the_current_key_goes_by_the_clock),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
