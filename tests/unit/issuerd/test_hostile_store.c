/* A store in an attacker's hands: what the issuer does with orders that it made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "issuerd/sealed.h"

static struct bench *b;

static int setup(void **state)
{
	b = bench_new("shop.test", NULL);
	return 0;
}

static int teardown(void **state)
{
	bench_free(b);
	return 0;
}

/* What a broken store could make: a CSR for its own key, and that key sealed to our own
 * recipients. */
static void plant(struct bench *attacked, const struct ch_sign_key *notary)
{
	struct ch_work *row = &attacked->row;
	EVP_PKEY *key;
	struct ch_secret *block;
	uint8_t spki[CH_SHA256_B];
	struct ch_buf csr;
	struct ch_buf sealed;

	ch_buf_init(&csr, 8192);
	ch_buf_init(&sealed, 16384);
	assert_int_equal(ch_key_generate(&key), CH_OK);
	assert_int_equal(ch_csr_make(key, row->name_list, row->n_names, &csr), CH_OK);
	assert_int_equal(ch_key_spki_sha256(key, spki), CH_OK);
	assert_int_equal(ch_key_to_block(key, &block), CH_OK);
	assert_int_equal(ch_sealed_make(&attacked->issuer->recipients, block, spki, row->id,
				 row->name_list, row->n_names, &sealed),
		CH_OK);
	assert_int_equal(ch_sealed_sign(notary, row->id, csr.data, csr.len, &sealed), CH_OK);
	free(row->csr);
	free(row->sealed);
	row->csr = csr.data;
	row->csr_len = csr.len;
	row->sealed = sealed.data;
	row->sealed_len = sealed.len;
	row->made_here = false;
	ch_secret_free(block);
	EVP_PKEY_free(key);
}

static void a_broken_store_gets_no_certificate_for_a_key_of_its_own(void **state)
{
	struct ch_sign_key *stranger;
	EVP_PKEY *key;

	assert_int_equal(ch_key_generate(&key), CH_OK);
	assert_int_equal(ch_sign_key_from(key, &stranger), CH_OK);
	bench_run_to(b, CH_ORDER_SEALED);
	plant(b, stranger);
	b->row.fresh = false;
	bench_step(b, true);
	assert_int_equal(b->ca.count[FAKE_FINALIZE], 0);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.issued, 1);
	ch_sign_key_free(stranger);
	EVP_PKEY_free(key);
}

static void urls_that_the_store_made_up_are_not_asked(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	strcpy(b->row.notes.authz[0], "https://evil.test/authz/0/0");
	b->row.fresh = false;
	bench_run_to(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "ca-foreign-url");
}

static void the_control_what_an_issuer_stored_is_finalized(void **state)
{
	bench_run_to(b, CH_ORDER_SEALED);
	plant(b, b->issuer->signer);
	b->row.fresh = false;
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.issued, 1);
	assert_int_equal(b->row.attempts, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_broken_store_gets_no_certificate_for_a_key_of_its_own),
		T(urls_that_the_store_made_up_are_not_asked),
		T(the_control_what_an_issuer_stored_is_finalized),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
