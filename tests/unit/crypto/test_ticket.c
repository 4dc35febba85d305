/* Ticket keys: sealed for a pool and a time, opened by a recipient. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "crypto/ticket.h"

static const uint8_t id[CH_TICKET_ID_B] = "an id of sixteen";

static struct ch_ticket_binding binding(void)
{
	return (struct ch_ticket_binding){
		.pool = "default", .pool_len = 7, .id = id, .from_s = 100, .until_s = 200};
}

static int open_it(const struct ch_recipient_key *key, const struct ch_ticket_binding *b,
	const struct ch_sealed_ticket *sealed, uint8_t block[CH_TICKET_BLOCK_B])
{
	return ch_ticket_key_open(
		key, b, sealed->enc, sealed->enc_len, sealed->ct, sizeof(sealed->ct), block);
}

static void is_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], 0);
}

static void keys_are_fresh(void **state)
{
	CH_AUTO_SECRET struct ch_secret *a = NULL;
	CH_AUTO_SECRET struct ch_secret *b = NULL;
	uint8_t id_a[CH_TICKET_ID_B];
	uint8_t id_b[CH_TICKET_ID_B];

	assert_int_equal(ch_ticket_key_generate(id_a, &a), CH_OK);
	assert_int_equal(ch_ticket_key_generate(id_b, &b), CH_OK);
	assert_int_equal(ch_secret_len(a), CH_TICKET_BLOCK_B);
	assert_memory_not_equal(id_a, id_b, sizeof(id_a));
	assert_memory_not_equal(ch_secret_bytes(a) + 1, ch_secret_bytes(b) + 1, 64);
	assert_memory_not_equal(ch_secret_bytes(a) + 1, ch_secret_bytes(a) + 33, 32);
}

static void check_kem(enum ch_kem kem)
{
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	struct ch_ticket_binding good = binding();
	struct ch_ticket_binding bad[5];
	struct ch_recipient_key *other;
	struct ch_recipient_key *key;
	struct ch_sealed_ticket sealed;
	uint8_t fresh[CH_TICKET_ID_B];
	uint8_t opened[CH_TICKET_BLOCK_B];

	assert_int_equal(ch_recipient_key_generate(kem, &key), CH_OK);
	assert_int_equal(ch_recipient_key_generate(kem, &other), CH_OK);
	assert_int_equal(ch_ticket_key_generate(fresh, &block), CH_OK);
	assert_int_equal(ch_ticket_key_seal(&key->pub, &good, block, &sealed), CH_OK);
	assert_int_equal(open_it(key, &good, &sealed, opened), CH_OK);
	assert_memory_equal(opened, ch_secret_bytes(block), sizeof(opened));
	assert_int_equal(open_it(other, &good, &sealed, opened), CH_EAUTH);
	is_zero(opened, sizeof(opened));
	for (size_t i = 0; i < 5; i++)
		bad[i] = good;
	bad[0].pool_len--;
	bad[1].id = fresh;
	bad[2].from_s++;
	bad[3].until_s--;
	bad[4].pool = "defaulT";
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(open_it(key, &bad[i], &sealed, opened), CH_EAUTH);
	for (size_t i = 0; i < sizeof(sealed.ct); i++) {
		sealed.ct[i] ^= 1;
		assert_int_equal(open_it(key, &good, &sealed, opened), CH_EAUTH);
		sealed.ct[i] ^= 1;
	}
	assert_int_equal(ch_ticket_key_open(key, &good, sealed.enc, sealed.enc_len, sealed.ct,
				 sizeof(sealed.ct) - 1, opened),
		CH_EAUTH);
	ch_recipient_key_free(key);
	ch_recipient_key_free(other);
}

static void sealed_keys_are_bound_to_pool_id_and_times(void **state)
{
	check_kem(CH_KEM_X25519);
	check_kem(CH_KEM_P256);
}

static void a_leaf_key_is_no_ticket_key(void **state)
{
	CH_AUTO_SECRET struct ch_secret *block = NULL;
	struct ch_ticket_binding good = binding();
	struct ch_sealed_ticket sealed;
	struct ch_recipient_key *key;
	uint8_t opened[CH_TICKET_BLOCK_B];

	assert_int_equal(ch_recipient_key_generate(CH_KEM_X25519, &key), CH_OK);
	assert_int_equal(ch_secret_new(CH_KEY_BLOCK_B, &block), CH_OK);
	assert_int_equal(ch_ticket_key_seal(&key->pub, &good, block, &sealed), CH_EINVAL);
	ch_secret_free(block);
	/* Nor one of a later kind. */
	assert_int_equal(ch_secret_new(CH_TICKET_BLOCK_B, &block), CH_OK);
	ch_secret_bytes(block)[0] = 2;
	assert_int_equal(ch_ticket_key_seal(&key->pub, &good, block, &sealed), CH_OK);
	assert_int_equal(open_it(key, &good, &sealed, opened), CH_EUNSUPPORTED);
	good.pool_len = 0;
	assert_int_equal(ch_ticket_key_seal(&key->pub, &good, block, &sealed), CH_EINVAL);
	ch_recipient_key_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_fresh),
		cmocka_unit_test(sealed_keys_are_bound_to_pool_id_and_times),
		cmocka_unit_test(a_leaf_key_is_no_ticket_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
