#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/sign.h"
#include "wire/checksum.h"
#include "wire/record.h"

static const uint8_t chain_id[CH_CHAIN_ID_B] = {9, 9};
static const uint8_t bytes65[65] = {4, 1};

static struct ch_record sample(void)
{
	struct ch_record rec = {.kind = CH_RECORD_CERT,
		.version = 12,
		.account_hint = 3,
		.name = "shop.example.com",
		.name_len = 16,
		.key_version = 12,
		.not_before_s = -5,
		.not_after_s = 1795342320,
		.chain_id = chain_id,
		.leaf = (const uint8_t *)"leaf",
		.leaf_len = 4,
		.n_sealed = 2};

	rec.sealed[0] = (struct ch_sealed_view){
		(const uint8_t *)"recipie1", 0x20, bytes65, 32, (const uint8_t *)"ct", 2};
	rec.sealed[1] = (struct ch_sealed_view){
		(const uint8_t *)"recipie2", 0x10, bytes65, 65, (const uint8_t *)"ct!", 3};
	return rec;
}

struct keys {
	char dir[32];
	char path[64];
	struct ch_sign_key *key;
	struct ch_verify_set *pinned;
};

static int make_keys(void **state)
{
	struct keys *k = calloc(1, sizeof(*k));
	char text[160];
	struct ch_err err;

	strcpy(k->dir, "/tmp/certherd-rec-XXXXXX");
	assert_non_null(mkdtemp(k->dir));
	snprintf(k->path, sizeof(k->path), "%s/key", k->dir);
	assert_int_equal(ch_sign_key_create(k->path, &err), CH_OK);
	assert_int_equal(ch_sign_key_load(k->path, &k->key, &err), CH_OK);
	assert_int_equal(ch_sign_key_print_public(k->key, text), CH_OK);
	assert_int_equal(ch_verify_set_parse(text, &k->pinned, &err), CH_OK);
	*state = k;
	return 0;
}

static int free_keys(void **state)
{
	struct keys *k = *state;

	ch_sign_key_free(k->key);
	ch_verify_set_free(k->pinned);
	unlink(k->path);
	rmdir(k->dir);
	free(k);
	return 0;
}

static void signed_records_round_trip(void **state)
{
	struct keys *k = *state;
	struct ch_record rec = sample();
	struct ch_record back;
	struct ch_buf buf;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	assert_int_equal(ch_record_sign(&rec, k->key, &buf), CH_OK);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_OK);
	assert_true(back.version == 12 && back.account_hint == 3 && back.not_before_s == -5);
	assert_int_equal(back.n_sealed, 2);
	assert_memory_equal(back.sealed[1].ct, "ct!", 3);
	assert_memory_equal(back.name, "shop.example.com", back.name_len);
	assert_int_equal(ch_record_verify(&back, buf.data, k->pinned), CH_OK);
	ch_buf_done(&buf);
}

static void any_altered_byte_is_noticed(void **state)
{
	struct keys *k = *state;
	struct ch_record rec = sample();
	struct ch_buf buf;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	assert_int_equal(ch_record_sign(&rec, k->key, &buf), CH_OK);
	for (size_t i = 0; i < buf.len; i++) {
		struct ch_record back;

		buf.data[i] ^= 0x41;
		if (ch_record_decode(buf.data, buf.len, &back) == CH_OK)
			assert_int_not_equal(
				ch_record_verify(&back, buf.data, k->pinned), CH_OK);
		buf.data[i] ^= 0x41;
	}
	ch_buf_done(&buf);
}

static void cut_or_longer_records_are_refused(void **state)
{
	struct keys *k = *state;
	struct ch_record rec = sample();
	struct ch_buf buf;
	struct ch_record back;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	assert_int_equal(ch_record_sign(&rec, k->key, &buf), CH_OK);
	for (size_t len = 0; len < buf.len; len++) {
		CH_AUTO_FREE uint8_t *cut = malloc(len + 1);

		memcpy(cut, buf.data, len);
		assert_int_equal(ch_record_decode(cut, len, &back), CH_EPROTO);
	}
	assert_int_equal(ch_buf_add_u8(&buf, 0), CH_OK);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EPROTO);
	ch_buf_done(&buf);
}

static void names_and_tombstones_are_unsigned_and_short(void **state)
{
	struct ch_record rec = {
		.kind = CH_RECORD_TOMBSTONE, .version = 9, .name = "*.a.b", .name_len = 5};
	struct ch_record back;
	struct ch_buf buf;
	struct keys *k = *state;

	ch_buf_init(&buf, 100);
	assert_int_equal(ch_record_encode(&rec, &buf), CH_OK);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_OK);
	assert_int_equal(back.kind, CH_RECORD_TOMBSTONE);
	assert_int_equal(ch_record_verify(&back, buf.data, k->pinned), CH_EINVAL);
	assert_int_equal(ch_record_sign(&rec, k->key, &buf), CH_EINVAL);
	buf.data[1] = 8;
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EUNSUPPORTED);
	buf.data[0] = 2;
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EUNSUPPORTED);
	ch_buf_done(&buf);
}

static void policies_round_trip_and_unknown_tags_are_skipped(void **state)
{
	struct ch_record rec = {
		.kind = CH_RECORD_POLICY, .version = 9, .name = "a.example", .name_len = 9};
	char key[CH_RECORD_KEY_B];
	struct ch_record back;
	struct ch_buf buf;
	size_t n_at;

	rec.policy[CH_POLICY_TENANT] = (struct ch_text_view){"t1", 2};
	rec.policy[CH_POLICY_HSTS] = (struct ch_text_view){"max-age=300", 11};
	ch_buf_init(&buf, 100);
	assert_int_equal(ch_record_encode(&rec, &buf), CH_OK);
	assert_int_equal(ch_buf_add(&buf, "\x09\x01x", 3), CH_OK); /* of a newer sender */
	n_at = 4 + 8 + 8 + 1 + 9;
	buf.data[n_at]++;
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_OK);
	assert_int_equal(back.kind, CH_RECORD_POLICY);
	assert_int_equal(back.policy[CH_POLICY_UPSTREAM].len, 0);
	assert_int_equal(back.policy[CH_POLICY_HSTS].len, 11);
	assert_memory_equal(back.policy[CH_POLICY_HSTS].text, "max-age=300", 11);
	assert_int_equal(ch_record_key(back.kind, back.name, back.name_len, key), 11);
	assert_string_equal(key, "a.example/4");
	assert_int_equal(ch_record_key(CH_RECORD_CERT, back.name, back.name_len, key), 9);
	assert_string_equal(key, "a.example");
	ch_buf_done(&buf);
}

static void bad_policies_are_refused(void **state)
{
	static const struct {
		const char *fields;
		size_t len;
	} bad[] = {
		{"\1", 1},	     /* one is missing */
		{"\1\1\2x", 4},	     /* cut */
		{"\1\1\0", 3},	     /* empty */
		{"\1\1\1\n", 4},     /* a header cannot be ended by it */
		{"\1\1\1\x80", 4},   /* not ASCII */
		{"\2\2\1x\1\1y", 7}, /* out of order */
		{"\2\1\1x\1\1y", 7}, /* twice */
		{"\0x", 2},	     /* rubbish at the end */
	};
	struct ch_record rec = {
		.kind = CH_RECORD_POLICY, .version = 9, .name = "a.example", .name_len = 9};
	struct ch_record back;
	struct ch_buf buf;

	ch_buf_init(&buf, 100);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		ch_buf_reset(&buf);
		assert_int_equal(ch_record_encode(&rec, &buf), CH_OK);
		buf.len--;
		assert_int_equal(ch_buf_add(&buf, bad[i].fields, bad[i].len), CH_OK);
		assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EPROTO);
	}
	ch_buf_reset(&buf);
	rec.policy[CH_POLICY_HSTS] = (struct ch_text_view){"a\r\nb", 4};
	assert_int_equal(ch_record_encode(&rec, &buf), CH_EINVAL);
	assert_int_equal(buf.len, 0);
	ch_buf_done(&buf);
}

static void second_certificates_round_trip_and_do_not_become_first_ones(void **state)
{
	struct keys *k = *state;
	struct ch_record rec = sample();
	char key[CH_RECORD_KEY_B];
	struct ch_record back;
	struct ch_buf first;
	struct ch_buf buf;
	size_t there_at = 4 + 8 + 8 + 1 + 16;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	ch_buf_init(&first, CH_RECORD_MAX_B);
	assert_int_equal(ch_record_sign(&rec, k->key, &first), CH_OK);
	rec.kind = CH_RECORD_SECOND;
	assert_int_equal(ch_record_sign(&rec, k->key, &buf), CH_OK);
	assert_int_equal(buf.len, first.len + 1);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_OK);
	assert_int_equal(back.kind, CH_RECORD_SECOND);
	assert_true(ch_record_has_cert(&back));
	assert_int_equal(back.n_sealed, 2);
	assert_int_equal(ch_record_verify(&back, buf.data, k->pinned), CH_OK);
	assert_int_equal(ch_record_key(back.kind, back.name, back.name_len, key), 18);
	assert_string_equal(key, "shop.example.com/6");
	/* As the other kind: with, and without the byte that makes the difference. */
	buf.data[1] = CH_RECORD_CERT;
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EPROTO);
	memmove(buf.data + there_at, buf.data + there_at + 1, buf.len - there_at - 1);
	assert_int_equal(ch_record_decode(buf.data, buf.len - 1, &back), CH_OK);
	assert_int_equal(ch_record_verify(&back, buf.data, k->pinned), CH_EAUTH);
	first.data[1] = CH_RECORD_SECOND;
	assert_int_equal(ch_record_decode(first.data, first.len, &back), CH_EPROTO);
	ch_buf_done(&first);
	ch_buf_done(&buf);
}

static void that_there_is_no_second_certificate_is_said_without_a_signature(void **state)
{
	struct keys *k = *state;
	struct ch_record rec = sample();
	struct ch_record back;
	struct ch_buf buf;

	rec.kind = CH_RECORD_SECOND;
	rec.withdrawn = true;
	ch_buf_init(&buf, CH_RECORD_MAX_B);
	assert_int_equal(ch_record_sign(&rec, k->key, &buf), CH_EINVAL);
	assert_int_equal(ch_record_encode(&rec, &buf), CH_OK);
	assert_int_equal(buf.len, 4 + 8 + 8 + 1 + 16 + 1);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_OK);
	assert_true(back.withdrawn);
	assert_false(ch_record_has_cert(&back));
	assert_int_equal(back.n_sealed, 0);
	assert_int_equal(ch_record_verify(&back, buf.data, k->pinned), CH_EINVAL);
	assert_int_equal(ch_record_decode(buf.data, buf.len - 1, &back), CH_EPROTO);
	buf.data[buf.len - 1] = 1; /* there, but nothing comes */
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EPROTO);
	buf.data[buf.len - 1] = 2;
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EPROTO);
	buf.data[buf.len - 1] = 0;
	assert_int_equal(ch_buf_add_u8(&buf, 0), CH_OK);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EPROTO);
	ch_buf_done(&buf);
}

static void how_challenges_are_answered_round_trips(void **state)
{
	struct keys *k = *state;
	struct ch_record rec = {.kind = CH_RECORD_CHALLENGE,
		.version = 9,
		.account_hint = 77,
		.name = "a.example",
		.name_len = 9};
	char key[CH_RECORD_KEY_B];
	struct ch_record back;
	struct ch_buf buf;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	assert_int_equal(ch_record_encode(&rec, &buf), CH_OK);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_OK);
	assert_int_equal(back.kind, CH_RECORD_CHALLENGE);
	assert_int_equal(back.account_hint, 77);
	assert_int_equal(back.token.len, 0);
	assert_false(ch_record_is_signed(&back));
	assert_int_equal(ch_record_verify(&back, buf.data, k->pinned), CH_EINVAL);
	assert_int_equal(ch_record_key(back.kind, back.name, back.name_len, key), 11);
	assert_string_equal(key, "a.example/7");
	/* Shorter, longer, and a token that does not come. */
	assert_int_equal(ch_record_decode(buf.data, buf.len - 1, &back), CH_EPROTO);
	buf.data[buf.len - 1] = 1;
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EPROTO);
	buf.data[buf.len - 1] = 0;
	assert_int_equal(ch_buf_add_u8(&buf, 0), CH_OK);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EPROTO);
	ch_buf_done(&buf);
}

static struct ch_record token_record(void)
{
	return (struct ch_record){.kind = CH_RECORD_CHALLENGE,
		.version = 9,
		.account_hint = 77,
		.name = "a.example",
		.name_len = 9,
		.token = {"aZ09-_", 6},
		.token_until_s = 1893456000};
}

static void a_token_is_signed_for_its_name_and_account(void **state)
{
	struct keys *k = *state;
	struct ch_record rec = token_record();
	struct ch_record back;
	struct ch_buf buf;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	assert_int_equal(ch_record_sign(&rec, k->key, &buf), CH_OK);
	assert_int_equal(
		buf.len, CH_RECORD_AT_NAME + 9 + 1 + 6 + 8 + CH_SIGNER_ID_B + CH_SIGNATURE_B);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_OK);
	assert_true(ch_record_is_signed(&back));
	assert_false(ch_record_has_cert(&back));
	assert_int_equal(back.token.len, 6);
	assert_memory_equal(back.token.text, "aZ09-_", 6);
	assert_int_equal(back.token_until_s, 1893456000);
	assert_int_equal(ch_record_verify(&back, buf.data, k->pinned), CH_OK);
	/* The version is the store's. */
	ch_record_set_version(buf.data, UINT64_C(0x0102030405060708));
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_OK);
	assert_true(back.version == UINT64_C(0x0102030405060708));
	assert_int_equal(ch_record_verify(&back, buf.data, k->pinned), CH_OK);
	/* All else is not: account, name, token, end, signer, signature. */
	for (size_t i = CH_RECORD_AT_HINT; i < buf.len; i++) {
		buf.data[i] ^= 1;
		assert_true(ch_record_decode(buf.data, buf.len, &back) != CH_OK ||
			    ch_record_verify(&back, buf.data, k->pinned) == CH_EAUTH);
		buf.data[i] ^= 1;
	}
	ch_buf_done(&buf);
}

static void a_token_is_of_a_tokens_letters(void **state)
{
	struct keys *k = *state;
	struct ch_record rec = token_record();
	char longest[CH_RECORD_TOKEN_MAX + 1];
	struct ch_record back;
	struct ch_buf buf;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	memset(longest, 'a', sizeof(longest));
	rec.token = (struct ch_text_view){longest, CH_RECORD_TOKEN_MAX};
	assert_int_equal(ch_record_sign(&rec, k->key, &buf), CH_OK);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_OK);
	for (size_t cut = 1; cut < buf.len; cut++)
		assert_int_equal(ch_record_decode(buf.data, buf.len - cut, &back), CH_EPROTO);
	buf.data[CH_RECORD_AT_NAME + 9 + 1] = '/';
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EPROTO);
	buf.data[CH_RECORD_AT_NAME + 9 + 1] = 0;
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EPROTO);
	buf.data[CH_RECORD_AT_NAME + 9 + 1] = 'a';
	assert_int_equal(ch_buf_add_u8(&buf, 0), CH_OK);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EPROTO);
	rec.token.len++;
	assert_int_equal(ch_record_sign(&rec, k->key, &buf), CH_EINVAL);
	rec.token = (struct ch_text_view){"a b", 3};
	assert_int_equal(ch_record_sign(&rec, k->key, &buf), CH_EINVAL);
	ch_buf_done(&buf);
}

static void kinds_of_a_newer_sender_are_told_apart(void **state)
{
	static const uint8_t kinds[] = {0, 8, 9, 255};
	struct ch_record rec = sample();
	struct ch_record back;
	struct ch_buf buf;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	rec.kind = CH_RECORD_NAME;
	assert_int_equal(ch_record_encode(&rec, &buf), CH_OK);
	for (size_t i = 0; i < CH_ARRAY_LEN(kinds); i++) {
		buf.data[1] = kinds[i];
		assert_int_equal(ch_record_decode(buf.data, buf.len, &back), CH_EUNSUPPORTED);
	}
	ch_buf_done(&buf);
}

static void bad_fields_are_not_encoded(void **state)
{
	struct ch_buf buf;
	struct ch_record rec = sample();

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	rec.name = "UPPER.example.com";
	assert_int_equal(ch_record_encode(&rec, &buf), CH_EINVAL);
	rec = sample();
	rec.n_sealed = 0;
	assert_int_equal(ch_record_encode(&rec, &buf), CH_EINVAL);
	rec = sample();
	rec.sealed[0].enc_len = 33;
	assert_int_equal(ch_record_encode(&rec, &buf), CH_EINVAL);
	rec = sample();
	rec.leaf_len = CH_RECORD_LEAF_MAX_B + 1;
	assert_int_equal(ch_record_encode(&rec, &buf), CH_EINVAL);
	assert_int_equal(buf.len, 0);
	ch_buf_done(&buf);
}

static void chains_round_trip(void **state)
{
	struct ch_chain chain = {.der = {(const uint8_t *)"one", (const uint8_t *)"three"},
		.der_len = {3, 5},
		.n = 2};
	struct ch_chain back;
	struct ch_buf buf;

	ch_buf_init(&buf, 100);
	assert_int_equal(ch_chain_encode(&chain, &buf), CH_OK);
	assert_int_equal(ch_chain_decode(buf.data, buf.len, &back), CH_OK);
	assert_int_equal(back.n, 2);
	assert_memory_equal(back.der[1], "three", 5);
	assert_int_equal(ch_chain_decode(buf.data, buf.len - 1, &back), CH_EPROTO);
	chain.n = 0;
	assert_int_equal(ch_chain_encode(&chain, &buf), CH_EINVAL);
	buf.data[0] = 9;
	assert_int_equal(ch_chain_decode(buf.data, buf.len, &back), CH_EPROTO);
	ch_buf_done(&buf);
}

static void checksums_depend_on_every_byte_and_on_the_order(void **state)
{
	/* printf abc | sha256sum; then 32 zero bytes and that, hashed again */
	static const uint8_t abc[CH_CHECKSUM_B] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf,
		0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3,
		0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
	static const uint8_t first[CH_CHECKSUM_B] = {0x58, 0x9f, 0x9f, 0xfe, 0xd4, 0xc4, 0x77,
		0x96, 0x6b, 0xfb, 0x8d, 0x41, 0xf3, 0x78, 0x95, 0xb0, 0x8c, 0x69, 0x04, 0x7d,
		0xf8, 0xf9, 0x11, 0xd6, 0xf3, 0xb5, 0x7f, 0xbe, 0x08, 0xfa, 0xee, 0x8d};
	const uint8_t *a = (const uint8_t *)"abc";
	const uint8_t *b = (const uint8_t *)"abd";
	struct ch_checksum ab = {.count = 0};
	struct ch_checksum ba = {.count = 0};
	uint8_t digest[CH_CHECKSUM_B];

	assert_int_equal(ch_checksum_add(&ab, a, 3, digest), CH_OK);
	assert_memory_equal(digest, abc, sizeof(abc));
	assert_memory_equal(ab.digest, first, sizeof(first));
	assert_int_equal(ch_checksum_add(&ab, b, 3, NULL), CH_OK);
	assert_int_equal(ch_checksum_add(&ba, b, 3, NULL), CH_OK);
	assert_memory_not_equal(ba.digest, first, sizeof(first));
	assert_int_equal(ch_checksum_add(&ba, a, 3, NULL), CH_OK);
	assert_int_equal(ab.count, 2);
	assert_int_equal(ba.count, 2);
	assert_memory_not_equal(ab.digest, ba.digest, CH_CHECKSUM_B);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signed_records_round_trip),
		cmocka_unit_test(any_altered_byte_is_noticed),
		cmocka_unit_test(cut_or_longer_records_are_refused),
		cmocka_unit_test(names_and_tombstones_are_unsigned_and_short),
		cmocka_unit_test(policies_round_trip_and_unknown_tags_are_skipped),
		cmocka_unit_test(bad_policies_are_refused),
		cmocka_unit_test(second_certificates_round_trip_and_do_not_become_first_ones),
		cmocka_unit_test(
			that_there_is_no_second_certificate_is_said_without_a_signature),
		cmocka_unit_test(how_challenges_are_answered_round_trips),
		cmocka_unit_test(a_token_is_signed_for_its_name_and_account),
		cmocka_unit_test(a_token_is_of_a_tokens_letters),
		cmocka_unit_test(kinds_of_a_newer_sender_are_told_apart),
		cmocka_unit_test(bad_fields_are_not_encoded),
		cmocka_unit_test(chains_round_trip),
		cmocka_unit_test(checksums_depend_on_every_byte_and_on_the_order),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
