/* Orders for RSA certificates, alone and beside the name's own, and for P-384. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/codec.h"
#include "bench.h"
#include "crypto/x509.h"
#include "wire/record.h"

static struct bench *begin(const char *www, bool second)
{
	struct bench *b = bench_new("shop.test", www);

	b->row.key = CH_KEY_RSA;
	b->row.second = second;
	return b;
}

static int key_bits(const struct bench *b, const char *kind)
{
	const char *text = json_string_value(json_object_get(b->published, "leaf"));
	CH_AUTO_FREE uint8_t *der = NULL;
	const uint8_t *at;
	X509 *leaf;
	size_t len;
	int bits;

	assert_int_equal(ch_b64u_decode_alloc(text, 8192, &der, &len), CH_OK);
	at = der;
	leaf = d2i_X509(NULL, &at, (long)len);
	assert_non_null(leaf);
	bits = EVP_PKEY_is_a(X509_get0_pubkey(leaf), kind)
		       ? EVP_PKEY_get_bits(X509_get0_pubkey(leaf))
		       : 0;
	X509_free(leaf);
	return bits;
}

/* The size of the leaf's key, 0 when it is not RSA. */
static int rsa_bits(const struct bench *b)
{
	return key_bits(b, "RSA");
}

static void an_rsa_order_goes_all_the_way(void **state)
{
	struct bench *b = begin("www.shop.test", false);

	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->publications, 1);
	assert_int_equal(rsa_bits(b), 2048);
	assert_int_equal(b->probes, 2);
	/* It is served to all. */
	assert_int_equal(b->probe_offer, CH_PROBE_OFFER_ALL);
	bench_free(b);
}

static void a_second_one_is_looked_for_as_those_do_who_need_it(void **state)
{
	struct bench *b = begin("www.shop.test", true);

	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->publications, 1);
	assert_int_equal(rsa_bits(b), 2048);
	assert_int_equal(b->probes, 2);
	assert_int_equal(b->probe_offer, CH_PROBE_OFFER_RSA);
	bench_free(b);
}

static void the_size_is_the_operators(void **state)
{
	struct bench *b = begin(NULL, true);

	b->config.rsa_bits = 3072;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(rsa_bits(b), 3072);
	bench_free(b);
}

static void an_ecdsa_order_stays_one(void **state)
{
	struct bench *b = bench_new("shop.test", NULL);

	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(rsa_bits(b), 0);
	assert_int_equal(key_bits(b, "EC"), 256);
	bench_free(b);
}

static void an_order_asks_for_p384_or_the_issuer_makes_it_so(void **state)
{
	struct bench *b = bench_new("shop.test", NULL);

	b->row.key = CH_KEY_P384;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(key_bits(b, "EC"), 384);
	bench_free(b);
	b = bench_new("shop.test", NULL);
	b->config.p384 = true;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(key_bits(b, "EC"), 384);
	bench_free(b);
	b = begin(NULL, true); /* which says nothing of RSA keys */
	b->config.p384 = true;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(rsa_bits(b), 2048);
	bench_free(b);
}

/* Killed at every step once, before its write. */
static void a_crash_at_every_step_is_carried_on(void **state)
{
	bool lost[CH_ORDER_STATE_COUNT] = {false};
	struct bench *b = begin(NULL, true);

	b->ca.processing = 1;
	for (int i = 0; b->row.state != CH_ORDER_DONE; i++) {
		bool write = lost[b->row.state];

		assert_true(i < 60);
		lost[b->row.state] = true;
		bench_step(b, write);
	}
	assert_int_equal(b->publications, 1);
	assert_int_equal(b->ca.issued, 1);
	assert_int_equal(rsa_bits(b), 2048);
	bench_free(b);
}

/* Authorizations of the order before are good for this one too: nothing is validated again. */
static void valid_authorizations_are_not_validated_again(void **state)
{
	struct bench *b = begin(NULL, true);

	b->ca.initial_authz = "valid";
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
	assert_int_equal(b->publications, 1);
	bench_free(b);
}

static void a_key_that_cannot_be_made_fails_the_order_and_asks_for_nothing(void **state)
{
	struct bench *b = begin(NULL, true);

	b->config.rsa_bits = 1024;
	bench_run_to(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "key-not-made");
	assert_int_equal(b->ca.count[FAKE_FINALIZE], 0);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_rsa_order_goes_all_the_way),
		cmocka_unit_test(a_second_one_is_looked_for_as_those_do_who_need_it),
		cmocka_unit_test(the_size_is_the_operators),
		cmocka_unit_test(an_ecdsa_order_stays_one),
		cmocka_unit_test(an_order_asks_for_p384_or_the_issuer_makes_it_so),
		cmocka_unit_test(a_crash_at_every_step_is_carried_on),
		cmocka_unit_test(valid_authorizations_are_not_validated_again),
		cmocka_unit_test(
			a_key_that_cannot_be_made_fails_the_order_and_asks_for_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
