#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/opensslv.h>
#include <string.h>
#if OPENSSL_VERSION_NUMBER >= 0x30200000L
#include <openssl/hpke.h>
#endif

#include "base/codec.h"
#include "crypto/seal.h"
#include "hpke_kat.h"

#define BYTES_MAX 256

struct bytes {
	uint8_t at[BYTES_MAX];
	size_t len;
};

static struct bytes unhex(const char *text)
{
	struct bytes b = {.len = strlen(text) / 2};

	assert_true(b.len <= BYTES_MAX);
	assert_int_equal(ch_hex_decode(text, b.at, b.len), CH_OK);
	return b;
}

static struct ch_recipient_key *key_of(const char *sk_hex, unsigned kem)
{
	struct bytes sk = unhex(sk_hex);
	struct ch_recipient_key *key;

	assert_int_equal(sk.len, 32);
	assert_int_equal(ch_recipient_key_from_bytes((enum ch_kem)kem, sk.at, &key), CH_OK);
	return key;
}

static void derived_key_pairs_are_those_of_the_rfc(void **state)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(hpke_kats); i++) {
		const struct hpke_kat *kat = &hpke_kats[i];
		struct bytes ikm = unhex(kat->ikm_r);
		struct bytes pk = unhex(kat->pk_r);
		struct ch_recipient_key *key = key_of(kat->sk_r, kat->kem);
		struct ch_recipient_key *derived;

		assert_int_equal(ch_recipient_key_derive(
					 (enum ch_kem)kat->kem, ikm.at, ikm.len, &derived),
			CH_OK);
		assert_int_equal(derived->pub.pub_len, pk.len);
		assert_memory_equal(derived->pub.pub, pk.at, pk.len);
		assert_memory_equal(key->pub.pub, pk.at, pk.len);
		ch_recipient_key_free(derived);
		ch_recipient_key_free(key);
	}
}

static void sealing_with_the_known_ephemeral_gives_the_known_answer(void **state)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(hpke_kats); i++) {
		const struct hpke_kat *kat = &hpke_kats[i];
		struct bytes ikm = unhex(kat->ikm_e);
		struct bytes info = unhex(kat->info);
		struct bytes aad = unhex(kat->aad);
		struct bytes pt = unhex(kat->pt);
		struct bytes ct = unhex(kat->ct);
		struct bytes enc = unhex(kat->enc);
		struct ch_recipient_key *key = key_of(kat->sk_r, kat->kem);
		struct ch_recipient_key *eph;
		uint8_t got_enc[CH_SEAL_ENC_MAX_B];
		uint8_t got_ct[BYTES_MAX];
		size_t got_enc_len;

		assert_int_equal(
			ch_recipient_key_derive((enum ch_kem)kat->kem, ikm.at, ikm.len, &eph),
			CH_OK);
		assert_int_equal(ch_hpke_seal_with(&key->pub, eph, info.at, info.len, aad.at,
					 aad.len, pt.at, pt.len, got_enc, &got_enc_len, got_ct),
			CH_OK);
		assert_int_equal(got_enc_len, enc.len);
		assert_memory_equal(got_enc, enc.at, enc.len);
		assert_int_equal(ct.len, pt.len + CH_SEAL_TAG_B);
		assert_memory_equal(got_ct, ct.at, ct.len);
		ch_recipient_key_free(eph);
		ch_recipient_key_free(key);
	}
}

/* A known answer, taken apart so that tests can alter each part. */
struct message {
	struct ch_recipient_key *key;
	struct bytes enc, info, aad, ct;
};

static struct message message_of(const struct hpke_kat *kat)
{
	return (struct message){key_of(kat->sk_r, kat->kem), unhex(kat->enc), unhex(kat->info),
		unhex(kat->aad), unhex(kat->ct)};
}

static int open_message(const struct message *m, uint8_t *ret_pt)
{
	return ch_hpke_open(m->key, m->enc.at, m->enc.len, m->info.at, m->info.len, m->aad.at,
		m->aad.len, m->ct.at, m->ct.len, ret_pt);
}

static void known_answers_open(void **state)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(hpke_kats); i++) {
		struct message m = message_of(&hpke_kats[i]);
		struct bytes pt = unhex(hpke_kats[i].pt);
		uint8_t got[BYTES_MAX];

		assert_int_equal(open_message(&m, got), CH_OK);
		assert_memory_equal(got, pt.at, pt.len);
		ch_recipient_key_free(m.key);
	}
}

static void refused(const struct message *m)
{
	static const uint8_t zeros[BYTES_MAX];
	uint8_t got[BYTES_MAX] = {0};

	assert_int_equal(open_message(m, got), CH_EAUTH);
	assert_memory_equal(got, zeros, sizeof(got));
}

static void a_change_of_any_byte_is_refused(void **state)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(hpke_kats); i++) {
		struct message m = message_of(&hpke_kats[i]);
		struct bytes *const parts[] = {&m.enc, &m.info, &m.aad, &m.ct};

		for (size_t p = 0; p < CH_ARRAY_LEN(parts); p++) {
			for (size_t at = 0; at < parts[p]->len; at++) {
				parts[p]->at[at] ^= 1;
				refused(&m);
				parts[p]->at[at] ^= 1;
			}
		}
		ch_recipient_key_free(m.key);
	}
}

static void a_change_of_any_length_is_refused(void **state)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(hpke_kats); i++) {
		struct message m = message_of(&hpke_kats[i]);
		struct bytes *const parts[] = {&m.enc, &m.info, &m.aad, &m.ct};

		for (size_t p = 0; p < CH_ARRAY_LEN(parts); p++) {
			size_t len = parts[p]->len;

			for (size_t other = 0; other <= len + 1; other++) {
				parts[p]->len = other;
				if (other != len)
					refused(&m);
			}
			parts[p]->len = len;
		}
		ch_recipient_key_free(m.key);
	}
}

static void another_key_cannot_open(void **state)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(hpke_kats); i++) {
		struct message m = message_of(&hpke_kats[i]);

		ch_recipient_key_free(m.key);
		assert_int_equal(
			ch_recipient_key_generate((enum ch_kem)hpke_kats[i].kem, &m.key),
			CH_OK);
		refused(&m);
		ch_recipient_key_free(m.key);
	}
}

static void points_of_small_order_are_refused(void **state)
{
	/* RFC 7748 section 6.1: 0, 1 and p yield the all-zero secret. */
	static const char *const low[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
	struct message m = message_of(&hpke_kats[0]);

	assert_int_equal(hpke_kats[0].kem, CH_KEM_X25519);
	for (size_t i = 0; i < CH_ARRAY_LEN(low); i++) {
		struct ch_recipient to = {.kem = CH_KEM_X25519, .pub_len = 32};
		uint8_t enc[CH_SEAL_ENC_MAX_B];
		uint8_t ct[32];
		size_t enc_len;

		m.enc = unhex(low[i]);
		refused(&m);
		memcpy(to.pub, m.enc.at, 32);
		assert_int_not_equal(ch_hpke_seal(&to, NULL, 0, NULL, 0, (const uint8_t *)"x",
					     1, enc, &enc_len, ct),
			CH_OK);
	}
	ch_recipient_key_free(m.key);
}

static void points_off_the_curve_are_refused(void **state)
{
	struct message m = message_of(&hpke_kats[1]);

	assert_int_equal(hpke_kats[1].kem, CH_KEM_P256);
	m.enc.at[0] = 2; /* compressed: another encoding of the same point */
	refused(&m);
	m.enc.at[0] = 6; /* hybrid */
	refused(&m);
	m.enc.at[0] = 4;
	memset(m.enc.at + 1, 0xff, 64);
	refused(&m);
	memset(m.enc.at, 0, 65);
	refused(&m);
	ch_recipient_key_free(m.key);
}

static void an_empty_text_round_trips(void **state)
{
	struct ch_recipient_key *key;
	uint8_t enc[CH_SEAL_ENC_MAX_B];
	uint8_t ct[CH_SEAL_TAG_B];
	uint8_t pt[1];
	size_t enc_len;

	assert_int_equal(ch_recipient_key_generate(CH_KEM_X25519, &key), CH_OK);
	assert_int_equal(
		ch_hpke_seal(&key->pub, NULL, 0, NULL, 0, NULL, 0, enc, &enc_len, ct), CH_OK);
	assert_int_equal(
		ch_hpke_open(key, enc, enc_len, NULL, 0, NULL, 0, ct, sizeof(ct), pt), CH_OK);
	ch_recipient_key_free(key);
}

/* A leaf key sealed to a recipient of each kind. */
struct sealed_leaf {
	struct ch_recipient_key *key;
	struct ch_sealed sealed;
	uint8_t spki[CH_SHA256_B];
	struct ch_seal_binding binding;
};

static void sealed_leaf_init(struct sealed_leaf *s, enum ch_kem kem)
{
	CH_AUTO_PKEY EVP_PKEY *leaf = NULL;
	CH_AUTO_SECRET struct ch_secret *block = NULL;

	assert_int_equal(ch_recipient_key_generate(kem, &s->key), CH_OK);
	assert_int_equal(ch_key_generate(&leaf), CH_OK);
	assert_int_equal(ch_key_to_block(leaf, &block), CH_OK);
	assert_int_equal(ch_key_spki_sha256(leaf, s->spki), CH_OK);
	s->binding = (struct ch_seal_binding){"shop.example.com", 16, 34, s->spki};
	assert_int_equal(ch_seal_key(&s->key->pub, &s->binding, block, &s->sealed), CH_OK);
	assert_memory_equal(s->sealed.recipient_id, s->key->pub.id, 8);
	assert_int_equal(s->sealed.kem, kem);
}

static int open_leaf(const struct sealed_leaf *s, EVP_PKEY **ret_key)
{
	return ch_seal_open_key(s->key, &s->binding, s->sealed.enc, s->sealed.enc_len,
		s->sealed.ct, s->sealed.ct_len, ret_key);
}

static void a_sealed_leaf_key_opens_to_the_same_key(void **state)
{
	static const enum ch_kem kems[] = {CH_KEM_X25519, CH_KEM_P256};

	for (size_t i = 0; i < CH_ARRAY_LEN(kems); i++) {
		struct sealed_leaf s;
		CH_AUTO_PKEY EVP_PKEY *key = NULL;
		uint8_t spki[CH_SHA256_B];

		sealed_leaf_init(&s, kems[i]);
		assert_int_equal(open_leaf(&s, &key), CH_OK);
		assert_int_equal(ch_key_spki_sha256(key, spki), CH_OK);
		assert_memory_equal(spki, s.spki, sizeof(spki));
		ch_recipient_key_free(s.key);
	}
}

static void a_sealed_leaf_key_cannot_be_moved(void **state)
{
	struct sealed_leaf s;
	EVP_PKEY *key = NULL;

	sealed_leaf_init(&s, CH_KEM_X25519);
	s.binding.name = "shop.example.net";
	assert_int_equal(open_leaf(&s, &key), CH_EAUTH);
	s.binding.name = "shop.example.com";
	s.binding.name_len--;
	assert_int_equal(open_leaf(&s, &key), CH_EAUTH);
	s.binding.name_len++;
	s.binding.key_version++;
	assert_int_equal(open_leaf(&s, &key), CH_EAUTH);
	s.binding.key_version--;
	s.spki[31] ^= 1;
	assert_int_equal(open_leaf(&s, &key), CH_EAUTH);
	s.spki[31] ^= 1;
	s.sealed.ct_len--;
	assert_int_equal(open_leaf(&s, &key), CH_EAUTH);
	assert_null(key);
	ch_recipient_key_free(s.key);
}

static void names_that_cannot_be_bound_are_refused(void **state)
{
	char name[254];
	struct sealed_leaf s;
	EVP_PKEY *key = NULL;

	memset(name, 'a', sizeof(name));
	sealed_leaf_init(&s, CH_KEM_X25519);
	s.binding.name = name;
	s.binding.name_len = 254;
	assert_int_equal(open_leaf(&s, &key), CH_EINVAL);
	s.binding.name_len = 0;
	assert_int_equal(open_leaf(&s, &key), CH_EINVAL);
	ch_recipient_key_free(s.key);
}

#if OPENSSL_VERSION_NUMBER >= 0x30200000L
static const OSSL_HPKE_SUITE suites[] = {
	{OSSL_HPKE_KEM_ID_X25519, OSSL_HPKE_KDF_ID_HKDF_SHA256, OSSL_HPKE_AEAD_ID_AES_GCM_256},
	{OSSL_HPKE_KEM_ID_P256, OSSL_HPKE_KDF_ID_HKDF_SHA256, OSSL_HPKE_AEAD_ID_AES_GCM_256}};

static void openssl_opens_what_we_seal(void **state)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(suites); i++) {
		struct ch_recipient_key *key;
		OSSL_HPKE_CTX *ctx;
		uint8_t enc[CH_SEAL_ENC_MAX_B];
		uint8_t ct[5 + CH_SEAL_TAG_B];
		uint8_t pt[32];
		size_t enc_len;
		size_t pt_len = sizeof(pt);

		assert_int_equal(
			ch_recipient_key_generate((enum ch_kem)suites[i].kem_id, &key), CH_OK);
		assert_int_equal(ch_hpke_seal(&key->pub, (const uint8_t *)"info", 4,
					 (const uint8_t *)"aad", 3, (const uint8_t *)"hello", 5,
					 enc, &enc_len, ct),
			CH_OK);
		ctx = OSSL_HPKE_CTX_new(
			OSSL_HPKE_MODE_BASE, suites[i], OSSL_HPKE_ROLE_RECEIVER, NULL, NULL);
		assert_int_equal(OSSL_HPKE_decap(ctx, enc, enc_len, key->pkey,
					 (const uint8_t *)"info", 4),
			1);
		assert_int_equal(OSSL_HPKE_open(ctx, pt, &pt_len, (const uint8_t *)"aad", 3, ct,
					 sizeof(ct)),
			1);
		assert_int_equal(pt_len, 5);
		assert_memory_equal(pt, "hello", 5);
		OSSL_HPKE_CTX_free(ctx);
		ch_recipient_key_free(key);
	}
}

static void we_open_what_openssl_seals(void **state)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(suites); i++) {
		struct ch_recipient_key *key;
		OSSL_HPKE_CTX *ctx;
		uint8_t enc[CH_SEAL_ENC_MAX_B];
		uint8_t ct[5 + CH_SEAL_TAG_B];
		uint8_t pt[5];
		size_t enc_len = sizeof(enc);
		size_t ct_len = sizeof(ct);

		assert_int_equal(
			ch_recipient_key_generate((enum ch_kem)suites[i].kem_id, &key), CH_OK);
		ctx = OSSL_HPKE_CTX_new(
			OSSL_HPKE_MODE_BASE, suites[i], OSSL_HPKE_ROLE_SENDER, NULL, NULL);
		assert_int_equal(OSSL_HPKE_encap(ctx, enc, &enc_len, key->pub.pub,
					 key->pub.pub_len, (const uint8_t *)"info", 4),
			1);
		assert_int_equal(OSSL_HPKE_seal(ctx, ct, &ct_len, (const uint8_t *)"aad", 3,
					 (const uint8_t *)"hello", 5),
			1);
		assert_int_equal(ch_hpke_open(key, enc, enc_len, (const uint8_t *)"info", 4,
					 (const uint8_t *)"aad", 3, ct, ct_len, pt),
			CH_OK);
		assert_memory_equal(pt, "hello", 5);
		OSSL_HPKE_CTX_free(ctx);
		ch_recipient_key_free(key);
	}
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(derived_key_pairs_are_those_of_the_rfc),
		cmocka_unit_test(sealing_with_the_known_ephemeral_gives_the_known_answer),
		cmocka_unit_test(known_answers_open),
		cmocka_unit_test(a_change_of_any_byte_is_refused),
		cmocka_unit_test(a_change_of_any_length_is_refused),
		cmocka_unit_test(another_key_cannot_open),
		cmocka_unit_test(points_of_small_order_are_refused),
		cmocka_unit_test(points_off_the_curve_are_refused),
		cmocka_unit_test(an_empty_text_round_trips),
		cmocka_unit_test(a_sealed_leaf_key_opens_to_the_same_key),
		cmocka_unit_test(a_sealed_leaf_key_cannot_be_moved),
		cmocka_unit_test(names_that_cannot_be_bound_are_refused),
#if OPENSSL_VERSION_NUMBER >= 0x30200000L
		cmocka_unit_test(openssl_opens_what_we_seal),
		cmocka_unit_test(we_open_what_openssl_seals),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
