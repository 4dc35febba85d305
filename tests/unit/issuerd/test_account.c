/* The account: found or made when first needed, remembered, and no name's fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "bench.h"

#define URN "urn:ietf:params:acme:error:"
#define PROBLEM "Content-Type: application/problem+json"

static struct bench *b;

static int set_up(void **state)
{
	b = bench_new("shop.test", NULL);
	return 0;
}

static int tear_down(void **state)
{
	bench_free(b);
	return 0;
}

static void a_new_account_is_made_and_its_url_saved(void **state)
{
	char url[CH_ACME_URL_B];
	struct stat st;

	bench_step(b, true);
	assert_true(ch_acme_get_account(b->issuer->cas[0].acme, url));
	assert_string_equal(url, FAKE_URL "/account/1");
	assert_int_equal(stat(b->config.cas[0].account_state, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(b->ca.count[FAKE_ACCOUNT], 2); /* looked for, then made */
}

static void a_saved_account_is_only_confirmed(void **state)
{
	char url[CH_ACME_URL_B];

	bench_step(b, true);
	bench_restart(b);
	assert_true(ch_acme_get_account(b->issuer->cas[0].acme, url));
	bench_step(b, true);
	assert_int_equal(b->ca.count[FAKE_ACCOUNT], 3);
}

static void a_state_file_of_another_ca_or_key_or_nonsense_is_ignored(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "{\"account\":\"https://ca/1\"}",
		"{\"directory\":\"https://other/dir\",\"thumbprint\":\"x\","
		"\"account\":\"https://ca/1\"}",
		"{\"directory\":\"" FAKE_URL "/dir\",\"thumbprint\":\"x\","
		"\"account\":\"https://ca/1\"}"};
	char url[CH_ACME_URL_B];
	struct ch_err err;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		assert_int_equal(ch_file_write_atomic(b->config.cas[0].account_state, bad[i],
					 strlen(bad[i]), 0600, &err),
			CH_OK);
		bench_restart(b);
		assert_false(ch_acme_get_account(b->issuer->cas[0].acme, url));
	}
	bench_run_to(b, CH_ORDER_DONE);
}

static void an_account_that_the_ca_forgot_is_made_again(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	b->ca.account = false;
	fake_ca_inject(&b->ca, FAKE_AUTHZ,
		(struct fake_answer){.status = 400,
			.header = PROBLEM,
			.body = "{\"type\":\"" URN "accountDoesNotExist\"}"});
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "account-unknown");
	bench_run_to(b, CH_ORDER_DONE);
	assert_true(b->ca.account);
}

/* ---- `certherd account --rollover`, while an issuer runs ---- */

static void put_another_key(void)
{
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	struct ch_err err;

	assert_int_equal(ch_key_generate(&key), CH_OK);
	assert_int_equal(unlink(b->config.cas[0].account_key), 0);
	assert_int_equal(ch_key_create_pem(b->config.cas[0].account_key, key, &err), CH_OK);
}

static void assert_replaced(const char *what_to_do)
{
	assert_string_equal(b->last.reason.code, "account-key-replaced");
	assert_int_equal(b->last.reason.actor, CH_ACTOR_PLATFORM);
	assert_non_null(strstr(b->last.reason.detail, what_to_do));
	assert_int_equal(b->row.attempts, 0);
	assert_false(b->issuer->cas[0].account.ready);
}

static void an_issuer_with_the_key_of_before_makes_no_account(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	b->ca.rolled_over = true;
	bench_step(b, true);
	assert_replaced("Put the new key there");
	assert_int_equal(b->ca.count[FAKE_ACCOUNT], 3); /* looked for, and not made */
	/* Nor one that is started again. */
	bench_restart(b);
	bench_step(b, true);
	assert_replaced("Put the new key there");
	assert_int_equal(b->ca.count[FAKE_ACCOUNT], 4);
	b->ca.rolled_over = false;
	bench_run_to(b, CH_ORDER_DONE);
}

static void an_issuer_sees_that_its_key_was_replaced_here(void **state)
{
	bench_run_to(b, CH_ORDER_ORDERED);
	b->ca.rolled_over = true;
	put_another_key();
	bench_step(b, true);
	assert_replaced("Start it again");
	assert_int_equal(b->ca.count[FAKE_ACCOUNT], 3);
	assert_int_equal(b->ca.count[FAKE_ACCOUNT_URL], 0);
}

/* What the CA refuses for other reasons is refused as before, and has the account looked for
 * once in a while. */
static void a_refusal_that_is_not_about_the_key(void **state)
{
	bench_run_to(b, CH_ORDER_SEALED);
	fake_ca_inject(&b->ca, FAKE_FINALIZE,
		(struct fake_answer){.status = 400,
			.header = PROBLEM,
			.times = 2,
			.body = "{\"type\":\"" URN "malformed\"}"});
	for (int i = 0; i < 3 && b->row.state != CH_ORDER_FAILED; i++)
		bench_step(b, true);
	assert_string_equal(b->last.verdicts[0].reason.code, "request-refused");
	assert_int_equal(b->ca.count[FAKE_ACCOUNT], 3);
	assert_true(b->issuer->cas[0].account.ready);
}

static void without_agreement_to_the_terms_no_account_is_made(void **state)
{
	b->config.cas[0].terms_agreed = false;
	bench_step(b, true);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	assert_int_equal(b->row.attempts, 0);
	assert_string_equal(b->last.reason.code, "terms-not-agreed");
	assert_int_equal(b->last.reason.actor, CH_ACTOR_PLATFORM);
	assert_false(b->ca.account);
	/* An account that is there already needs no agreement. */
	b->ca.account = true;
	bench_run_to(b, CH_ORDER_DONE);
}

static void account_trouble_is_the_platforms_and_asked_about_rarely(void **state)
{
	fake_ca_inject(&b->ca, FAKE_ACCOUNT,
		(struct fake_answer){.status = 400,
			.header = PROBLEM,
			.times = 2,
			.body = "{\"type\":\"" URN "externalAccountRequired\"}"});
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "account-binding-required");
	assert_int_equal(b->last.reason.actor, CH_ACTOR_PLATFORM);
	assert_int_equal(b->row.attempts, 0);
	assert_int_equal(b->ca.count[FAKE_ACCOUNT], 2);
	bench_now_ms -= CH_MINUTE_MS; /* another order, a minute earlier */
	bench_step(b, true);
	assert_string_equal(b->last.reason.code, "account-binding-required");
	assert_int_equal(b->ca.count[FAKE_ACCOUNT], 2);
	bench_run_to(b, CH_ORDER_DONE);
}

static void a_ca_that_is_down_at_the_start_stops_nothing(void **state)
{
	fake_ca_inject(
		&b->ca, FAKE_DIRECTORY, (struct fake_answer){.rc = CH_ENETWORK, .times = 3});
	for (int i = 0; i < 3; i++) {
		bench_step(b, true);
		assert_true(b->row.attempts <= 2);
		assert_int_equal(b->last.reason.actor, CH_ACTOR_CA);
	}
	bench_run_to(b, CH_ORDER_DONE);
}

/* All names wait for it: not long at first, and ever longer. */
static void errors_about_the_account_are_tried_again_soon(void **state)
{
	int64_t before_ms = bench_now_ms;

	fake_ca_inject(&b->ca, FAKE_ACCOUNT, (struct fake_answer){.status = 500, .times = 12});
	bench_step(b, true);
	assert_in_range(bench_now_ms - before_ms, 1000, 1500);
	while (b->ca.inject[FAKE_ACCOUNT].times > 0) {
		before_ms = bench_now_ms;
		bench_step(b, true);
		assert_int_equal(b->row.attempts, 0);
	}
	assert_in_range(bench_now_ms - before_ms, CH_MINUTE_MS, CH_MINUTE_MS + 6000);
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->issuer->cas[0].account.failures, 0);
}

static void an_account_check_that_hits_a_limit_waits(void **state)
{
	fake_ca_inject(&b->ca, FAKE_ACCOUNT,
		(struct fake_answer){.status = 429, .header = "Retry-After: 100"});
	bench_step(b, true);
	assert_int_equal(b->row.attempts, 0);
	assert_int_equal(b->row.state, CH_ORDER_NEW);
	bench_run_to(b, CH_ORDER_DONE);
}

static void recipients_are_read_again_and_never_become_none(void **state)
{
	struct ch_recipients now;
	struct ch_err err;

	ch_issuer_recipients(b->issuer, &now);
	assert_int_equal(now.n, 1);
	assert_int_equal(
		ch_file_write_atomic(b->config.recipients, "# none\n", 7, 0600, &err), CH_OK);
	assert_int_not_equal(ch_issuer_reload_recipients(b->issuer, &err), CH_OK);
	ch_issuer_recipients(b->issuer, &now);
	assert_int_equal(now.n, 1);
}

static void an_issuer_without_recipients_does_not_start(void **state)
{
	struct ch_issuer *issuer = NULL;
	struct ch_err err;

	assert_int_equal(
		ch_file_write_atomic(b->config.recipients, "\n", 1, 0600, &err), CH_OK);
	assert_int_not_equal(ch_issuer_open(&b->config, &issuer, &err), CH_OK);
	assert_null(issuer);
}

static void an_account_key_that_others_can_read_is_refused(void **state)
{
	struct ch_issuer *issuer = NULL;
	struct ch_err err;

	assert_int_equal(chmod(b->config.cas[0].account_key, 0644), 0);
	assert_int_not_equal(ch_issuer_open(&b->config, &issuer, &err), CH_OK);
	assert_int_equal(chmod(b->config.cas[0].account_key, 0600), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_new_account_is_made_and_its_url_saved),
		T(a_saved_account_is_only_confirmed),
		T(a_state_file_of_another_ca_or_key_or_nonsense_is_ignored),
		T(an_account_that_the_ca_forgot_is_made_again),
		T(an_issuer_with_the_key_of_before_makes_no_account),
		T(an_issuer_sees_that_its_key_was_replaced_here),
		T(a_refusal_that_is_not_about_the_key),
		T(without_agreement_to_the_terms_no_account_is_made),
		T(account_trouble_is_the_platforms_and_asked_about_rarely),
		T(a_ca_that_is_down_at_the_start_stops_nothing),
		T(errors_about_the_account_are_tried_again_soon),
		T(an_account_check_that_hits_a_limit_waits),
		T(recipients_are_read_again_and_never_become_none),
		T(an_issuer_without_recipients_does_not_start),
		T(an_account_key_that_others_can_read_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
