/* dns-persist-01: the standing record, and orders that are validated by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "issuerd/persist.h"

#define NOW_S INT64_C(1800000000)
#define OURS "ca.test; accounturi=https://ca.test/acct/1"

static struct ch_caa_asker asker = {.identities = {"ca.test", "also.ca.test"},
	.n_identities = 2,
	.account = "https://ca.test/acct/1"};
static struct ch_err err;

static const char *judge(size_t n, ...)
{
	static struct ch_dns_answer records;
	va_list args;
	int rc;

	memset(&records, 0, sizeof(records));
	records.n = n;
	va_start(args, n);
	for (size_t i = 0; i < n; i++)
		snprintf(records.texts[i].value, sizeof(records.texts[i].value), "%s",
			va_arg(args, const char *));
	va_end(args);
	rc = ch_persist_judge(
		&records, asker.wildcard ? "*.shop.test" : "shop.test", &asker, NOW_S, &err);
	if (rc) {
		assert_int_equal(rc, CH_EAUTH);
		assert_int_equal(err.actor, CH_ACTOR_CUSTOMER);
		assert_non_null(strstr(err.detail, "_validation-persist.shop.test "));
	}
	return rc ? err.problem : "ok";
}

static void a_record_lets_our_account_issue(void **state)
{
	assert_string_equal(judge(1, OURS), "ok");
	assert_string_equal(
		judge(1, " Also.CA.test ;\tAccountURI = https://ca.test/acct/1 "), "ok");
	assert_string_equal(judge(1, OURS "; future=1; flag; ;=; policy=strange"), "ok");
	assert_string_equal(judge(1, OURS "; persistUntil=1800000000"), "ok");
	assert_string_equal(judge(3, "v=spf1 -all", "other.test; accounturi=x", OURS), "ok");
}

static void any_other_does_not_and_the_sentence_says_what_to_publish(void **state)
{
	static const char *const malformed[] = {"ca.test",
		"ca.test; accounturi=", OURS "; accounturi=https://ca.test/acct/1",
		OURS "; policy=wildcard; Policy=x",
		OURS "; persistUntil=", OURS "; persistUntil=-1", OURS "; persistUntil=1e9",
		OURS "; persistUntil=1900000000; persistuntil=1900000000",
		OURS "; persistUntil=999999999999999999999"};

	assert_string_equal(judge(0), "persist-missing");
	assert_string_equal(err.detail,
		"The TXT record _validation-persist.shop.test is not there: publish \"" OURS
		"\" there.");
	assert_string_equal(judge(1, "ca.test.evil" OURS), "persist-issuer");
	assert_string_equal(judge(1, ""), "persist-issuer");
	assert_string_equal(judge(1, OURS "2"), "persist-account");
	assert_string_equal(
		judge(1, "ca.test; accounturi=HTTPS://ca.test/acct/1"), "persist-account");
	assert_string_equal(judge(1, OURS "; persistUntil=1799999999"), "persist-expired");
	for (size_t i = 0; i < CH_ARRAY_LEN(malformed); i++)
		assert_string_equal(judge(1, malformed[i]), "persist-malformed");
	/* The nearest of several is told. */
	assert_string_equal(judge(2, "other.test; accounturi=x", OURS "2"), "persist-account");
}

static void wildcards_need_a_policy(void **state)
{
	asker.wildcard = true;
	assert_string_equal(judge(1, OURS), "persist-wildcard");
	assert_non_null(strstr(err.detail, "; policy=wildcard\" there."));
	assert_string_equal(judge(1, OURS "; policy=wild"), "persist-wildcard");
	assert_string_equal(judge(1, OURS "; POLICY=Wildcard"), "ok");
	asker.wildcard = false;
	assert_string_equal(judge(1, OURS "; policy=wildcard"), "ok");
}

static void what_was_not_read_whole_is_not_guessed_at(void **state)
{
	struct ch_dns_answer *records = calloc(1, sizeof(*records));

	records->n = 1;
	strcpy(records->texts[0].value, OURS);
	records->texts[0].cut = true;
	assert_int_equal(ch_persist_judge(records, "shop.test", &asker, NOW_S, &err), CH_EAUTH);
	assert_string_equal(err.problem, "persist-malformed");
	/* But of more records than are looked at one may fit. */
	records->n_over = 1;
	assert_int_equal(ch_persist_judge(records, "shop.test", &asker, NOW_S, &err), CH_OK);
	free(records);
}

static void the_record_has_a_place_if_the_name_is_short_enough(void **state)
{
	char owner[CH_DNS_NAME_B];
	char name[254];

	assert_int_equal(ch_persist_owner("*.shop.test", owner), CH_OK);
	assert_string_equal(owner, "_validation-persist.shop.test");
	memset(name, 'a', sizeof(name));
	name[233] = 0;
	assert_int_equal(ch_persist_owner(name, owner), CH_OK);
	name[233] = 'a';
	name[234] = 0;
	assert_int_equal(ch_persist_owner(name, owner), CH_ETOOBIG);
}

static void the_ca_says_by_which_names_it_goes(void **state)
{
	json_t *issuers = json_pack("[iss]", 7, "other.test", "ALSO.ca.test");

	assert_true(ch_persist_issuer_fits(NULL, &asker));
	assert_true(ch_persist_issuer_fits(issuers, &asker));
	json_array_remove(issuers, 2);
	assert_false(ch_persist_issuer_fits(issuers, &asker));
	json_decref(issuers);
}

/* ---- orders ---- */

static struct bench *b;

static int set_up(void **state)
{
	b = bench_new("shop.test", NULL);
	b->config.challenge = CH_ACME_DNS_PERSIST_01;
	b->config.wildcard_challenge = CH_ACME_DNS_PERSIST_01;
	b->ca.persist_issuers = "[\"ca.test\"]";
	return 0;
}

static int tear_down(void **state)
{
	bench_free(b);
	return 0;
}

static void an_order_tells_the_ca_and_waits_for_no_edge(void **state)
{
	b->row.edges = (struct ch_edges){.known = 3};
	bench_run_to(b, CH_ORDER_SEALED);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 1);
	assert_null(b->last.challenges);
}

static void a_wildcard_may_alone_be_validated_so(void **state)
{
	b->config.challenge = CH_ACME_HTTP_01;
	strcpy(b->row.names[0], "*.shop.test");
	bench_run_to(b, CH_ORDER_DONE);
	assert_int_equal(b->ca.issued, 1);
}

static void switched_off_a_wildcard_needs_another_way(void **state)
{
	b->config.wildcard_challenge = CH_ACME_DNS_01;
	strcpy(b->row.names[0], "*.shop.test");
	bench_run_to(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "dns-challenge-off");
}

static void a_ca_that_does_not_offer_it_is_the_platforms_problem(void **state)
{
	b->ca.persist_issuers = NULL;
	bench_run_to(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "no-persist-challenge");
	assert_int_equal(b->last.verdicts[0].reason.actor, CH_ACTOR_PLATFORM);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
}

static void a_ca_that_goes_by_another_name_is_not_told(void **state)
{
	struct ch_ca_config *config = &b->config.cas[0];

	config->n_caa_identities = 1;
	strcpy(config->caa_identities[0], "ca.test");
	b->ca.persist_issuers = "[\"other.test\",\"x\"]";
	bench_run_to(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "persist-issuer-differs");
	assert_int_equal(b->last.verdicts[0].reason.actor, CH_ACTOR_PLATFORM);
	assert_int_equal(b->ca.count[FAKE_CHALLENGE], 0);
}

static void what_the_ca_finds_wrong_is_the_customers(void **state)
{
	b->ca.invalid_name = "shop.test";
	b->ca.invalid_error = "{\"type\":\"urn:ietf:params:acme:error:unauthorized\","
			      "\"detail\":\"no fitting record\"}";
	bench_run_to(b, CH_ORDER_FAILED);
	assert_string_equal(b->last.verdicts[0].reason.code, "persist-refused");
	assert_int_equal(b->last.verdicts[0].reason.actor, CH_ACTOR_CUSTOMER);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_lets_our_account_issue),
		cmocka_unit_test(any_other_does_not_and_the_sentence_says_what_to_publish),
		cmocka_unit_test(wildcards_need_a_policy),
		cmocka_unit_test(what_was_not_read_whole_is_not_guessed_at),
		cmocka_unit_test(the_record_has_a_place_if_the_name_is_short_enough),
		cmocka_unit_test(the_ca_says_by_which_names_it_goes),
		T(an_order_tells_the_ca_and_waits_for_no_edge),
		T(a_wildcard_may_alone_be_validated_so),
		T(switched_off_a_wildcard_needs_another_way),
		T(a_ca_that_does_not_offer_it_is_the_platforms_problem),
		T(a_ca_that_goes_by_another_name_is_not_told),
		T(what_the_ca_finds_wrong_is_the_customers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
