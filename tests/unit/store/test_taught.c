/* What a CA's answers have taught of its limits. */
#include "pacing.h"

static void what_the_ca_says_is_learned(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("100/100m", "none", "none");
	struct ch_store_order *orders;

	add(fx, "a.example", "t");
	assert_int_equal(lease(fx, &pace, 1, &orders), 1);
	teach(fx, &orders[0], CH_PACED_ACCOUNT, test_now_ms + 30 * CH_MINUTE_MS);
	add(fx, "b.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_waits(fx, "b.example", "ca-limit-account");
	test_now_ms += 29 * CH_MINUTE_MS;
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	test_now_ms += 2 * CH_MINUTE_MS;
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	assert_string_equal(orders[0].names[0].name, "b.example");
}

static void assert_renewal_is_held(struct fixture *fx, const char *name, enum ch_paced paced,
	const struct ch_store_pace *pace)
{
	struct ch_store_limits limits;
	struct ch_store_domain domain;
	struct ch_store_order *orders;
	int64_t until_ms;
	char code[32];

	test_now_ms += RENEW_MS;
	until_ms = test_now_ms + 30 * CH_MINUTE_MS;
	assert_int_equal(lease(fx, pace, 1, &orders), 1);
	assert_true(orders[0].renewal);
	refuse_until(fx, &orders[0], paced, until_ms);
	assert_int_equal(lease(fx, pace, 1, NULL), 0);
	domain = fx_get(fx, name);
	snprintf(code, sizeof(code), "ca-limit-%s", ch_paced_str(paced));
	assert_string_equal(domain.reason.code, code);
	assert_int_equal(domain.next_at_ms, until_ms);
	/* One row of each limit is shown. */
	assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
	for (size_t i = 1; i < limits.n_buckets; i++)
		assert_int_not_equal(limits.buckets[i].paced, limits.buckets[i - 1].paced);
	assert_ok(fx_name_op(fx, CH_OP_RETRY, name));
	test_now_ms = until_ms - 1;
	assert_int_equal(lease(fx, pace, 1, NULL), 0);
	test_now_ms = until_ms;
	assert_int_equal(lease(fx, pace, 1, &orders), 1);
	fx_issue(fx, &orders[0]);
}

/* A renewal needs no token of account and domain, but is not sent where the CA has said no. */
static void what_the_ca_says_holds_for_renewals_too(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_pace paces[] = {
		pace_of("100/100m", "50/7d", "5/7d"), pace_of("none", "none", "none")};

	for (int i = 0; i < 2; i++) {
		struct ch_store_order *orders;
		const char *name = i ? "b.other.example" : "a.example";

		add(fx, name, "t");
		assert_int_equal(lease(fx, &paces[i], 1, &orders), 1);
		fx_issue(fx, &orders[0]);
		for (int paced = 0; paced < CH_PACED_COUNT; paced++)
			assert_renewal_is_held(fx, name, (enum ch_paced)paced, &paces[i]);
		assert_ok(fx_name_op(fx, CH_OP_DELETE, name));
	}
}

/* What was used up here, and what was said of others, is none of a renewal's business. */
static void what_the_ca_says_of_others_holds_up_no_renewal(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("none", "none", "5/7d");
	struct ch_store_order *orders;

	add(fx, "a.example", "t");
	assert_int_equal(lease(fx, &pace, 1, &orders), 1);
	fx_issue(fx, &orders[0]);
	test_now_ms += RENEW_MS - CH_HOUR_MS;
	add(fx, "b.other.example", "t");
	assert_int_equal(lease(fx, &pace, 1, &orders), 1);
	refuse_until(fx, &orders[0], CH_PACED_DOMAIN, test_now_ms + CH_DAY_MS);
	add(fx, "c.example", "t");
	assert_int_equal(lease(fx, &pace, 1, &orders), 1);
	refuse_until(fx, &orders[0], CH_PACED_SET, test_now_ms + CH_DAY_MS);
	/* The limit of new orders, which a renewal is none of. */
	add(fx, "d.example", "t");
	assert_int_equal(lease(fx, &pace, 1, &orders), 1);
	refuse_until(fx, &orders[0], CH_PACED_ACCOUNT, test_now_ms + CH_DAY_MS);
	test_now_ms += CH_HOUR_MS;
	assert_int_equal(lease(fx, &pace, 1, &orders), 1);
	assert_string_equal(orders[0].names[0].name, "a.example");
}

/* A CA, or an issuer that was taken, may say anything. */
static void nothing_is_learned_for_ever(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("none", "none", "none");
	struct ch_store_order *orders;

	add(fx, "a.example", "t");
	assert_int_equal(lease(fx, &pace, 1, &orders), 1);
	teach(fx, &orders[0], CH_PACED_DOMAIN, test_now_ms + 1000 * CH_DAY_MS);
	add(fx, "b.a.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_waits(fx, "b.a.example", "ca-limit-domain");
	test_now_ms += CH_STORE_LEARN_MAX_MS + CH_SECOND_MS;
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
}

/* Of a CA whose limits nobody knows. */
static void an_account_without_limits_learns_one(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("none", "none", "none");
	struct ch_store_order *orders;

	add(fx, "a.example", "t");
	assert_int_equal(lease(fx, &pace, 1, &orders), 1);
	teach(fx, &orders[0], CH_PACED_ACCOUNT, test_now_ms + 30 * CH_MINUTE_MS);
	add(fx, "b.example", "t");
	add(fx, "c.example", "u");
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_waits(fx, "b.example", "ca-limit-account");
	assert_non_null(
		strstr(fx_get(fx, "b.example").reason.detail, "a limit of the CA is reached"));
	test_now_ms += 31 * CH_MINUTE_MS;
	assert_int_equal(lease(fx, &pace, 10, NULL), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
		TEST(what_the_ca_says_is_learned),
		TEST(what_the_ca_says_holds_for_renewals_too),
		TEST(what_the_ca_says_of_others_holds_up_no_renewal),
		TEST(nothing_is_learned_for_ever),
		TEST(an_account_without_limits_learns_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
