/* Renewals at a CA that exempts none: they take tokens, but come before new names. */
#include "wanted.h"

#define ARI_ID "a2V5.c2VyaWFs"

static struct ch_store_pace counted(const char *account, const char *domain, const char *set)
{
	struct ch_store_pace pace = pace_of(account, domain, set);

	pace.renewals_count = true;
	return pace;
}

static void issue(struct fixture *fx, const struct ch_store_pace *pace, const char *name)
{
	struct ch_store_order *orders;

	add(fx, name, "t");
	assert_int_equal(lease(fx, pace, 10, &orders), 1);
	fx_issue(fx, &orders[0]);
}

static void assert_line(struct fixture *fx, size_t at, const char *name, enum ch_class class)
{
	struct ch_store_queue queue;

	assert_ok(ch_store_get_queue(fx->store, NULL, 0, fx->arena, &queue));
	assert_true(at < queue.forecast.n_items);
	assert_string_equal(queue.names[at], name);
	assert_int_equal(queue.forecast.items[at].class, class);
}

/* One order fits in 28 days, and that has been used when the renewal is due. */
static void use_up(struct fixture *fx, const struct ch_store_pace *pace)
{
	issue(fx, pace, "a.example");
	test_now_ms += RENEW_MS - CH_DAY_MS;
	add(fx, "first.example", "t");
	assert_int_equal(lease(fx, pace, 10, NULL), 1);
	test_now_ms += CH_DAY_MS;
	add(fx, "new.example", "t");
}

static void a_renewal_waits_for_a_token_before_new_names(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = counted("2/56d", "none", "none");
	struct ch_store_order *orders;

	use_up(fx, &pace);
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_string_equal(fx_get(fx, "a.example").reason.code, "ca-limit-account");
	assert_line(fx, 0, "a.example", CH_CLASS_RENEWAL);
	assert_line(fx, 1, "new.example", CH_CLASS_NEW);
	test_now_ms += 27 * CH_DAY_MS;
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	assert_string_equal(orders[0].names[0].name, "a.example");
	assert_true(orders[0].renewal);
}

static void where_the_ca_exempts_it_no_token_is_needed(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/56d", "none", "none");
	struct ch_store_order *orders;

	use_up(fx, &pace);
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	assert_string_equal(orders[0].names[0].name, "a.example");
	assert_waits(fx, "new.example", "ca-limit-account");
}

/* The CA's window says when to renew, and frees of nothing. */
static void the_window_frees_of_nothing(void **state)
{
	struct fixture *fx = *state;

	for (int count = 1; count >= 0; count--) {
		struct ch_store_pace pace = counted("2/56d", "none", "none");
		struct ch_store_op op = {.type = CH_OP_ASK_WRITE};
		const char *name = count ? "a.example" : "b.example";
		struct ch_store_order *orders;
		struct ch_store_heard heard;
		struct ch_op_publish *p;

		test_now_ms += 56 * CH_DAY_MS;
		add(fx, name, "t");
		assert_int_equal(lease(fx, &pace, 10, &orders), 1);
		fx_seal(fx, orders);
		p = fx_publication(fx, orders, (uint8_t)orders->id);
		p->ari_id = ARI_ID;
		assert_ok(fx_publish(fx, p));
		fx_finish(fx, orders);
		heard = (struct ch_store_heard){.version = orders->id,
			.next_at_ms = test_now_ms + CH_HOUR_MS,
			.start_ms = test_now_ms,
			.end_ms = test_now_ms + CH_DAY_MS,
			.explanation = "https://ca.test/why",
			.from_ms = test_now_ms,
			.until_ms = test_now_ms + CH_DAY_MS};
		op.u.ask_write = (struct ch_op_ask_write){.heard = &heard, .n_heard = 1};
		assert_ok(fx_run(fx, &op));
		test_now_ms = fx_get(fx, name).next_at_ms;
		assert_true(test_now_ms < heard.end_ms);
		pace.renewals_count = count;
		assert_int_equal(lease(fx, &pace, 10, &orders), !count);
		if (!count)
			assert_string_equal(orders[0].replaces, ARI_ID);
		assert_ok(fx_name_op(fx, CH_OP_PAUSE, name));
	}
}

/* The domain has no token; the renewals of z, which is in danger, and of a are due, and c is
 * new. */
static void fill_domain(struct fixture *fx, const struct ch_store_pace *pace)
{
	issue(fx, pace, "a.big.example");
	test_now_ms += 2 * CH_DAY_MS;
	issue(fx, pace, "z.big.example");
	test_now_ms += 20 * CH_DAY_MS;
	add(fx, "b.big.example", "t");
	assert_int_equal(lease(fx, pace, 10, NULL), 1);
	add(fx, "c.big.example", "t");
	assert_int_equal(lease(fx, pace, 10, NULL), 0);
	assert_waits(fx, "c.big.example", "ca-limit-domain");
	fx_rewrite(fx, "UPDATE cert SET not_after = not_before + 1000000000 WHERE version = "
		       "(SELECT cert FROM name WHERE name = 'z.big.example')");
	fx_rewrite(fx, "UPDATE name SET next_at = 1 WHERE cert IS NOT NULL");
	assert_int_equal(lease(fx, pace, 10, NULL), 0);
	assert_string_equal(fx_get(fx, "a.big.example").reason.code, "ca-limit-domain");
}

/* The next token of a domain is a renewal's, first of one in danger, whoever it was promised
 * to. */
static void of_a_full_domain_renewals_have_the_next_token(void **state)
{
	static const char *const turns[] = {"z.big.example", "a.big.example", "c.big.example"};
	struct fixture *fx = *state;
	struct ch_store_pace pace = counted("none", "2/4d", "none");
	struct ch_store_order *orders;

	fill_domain(fx, &pace);
	for (size_t i = 0; i < CH_ARRAY_LEN(turns); i++) {
		test_now_ms += 2 * CH_DAY_MS + CH_MINUTE_MS;
		assert_int_equal(lease(fx, &pace, 10, &orders), 1);
		assert_string_equal(orders[0].names[0].name, turns[i]);
	}
}

/* What visitors ask for is handed out first: it has not come yet then. */
static void not_even_a_visitor_has_it_before_a_renewal(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = counted("none", "2/4d", "none");
	struct ch_store_order *orders;

	fill_domain(fx, &pace);
	test_now_ms += 2 * CH_DAY_MS + CH_SECOND_MS;
	(void)want(fx, "c.big.example");
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	assert_string_equal(orders[0].names[0].name, "z.big.example");
}

/* A name in line for its second certificate gets that, and no early renewal of the first. */
static void a_second_certificate_has_its_own_turn(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = counted("2/56d", "none", "none");
	struct ch_store_order *orders;

	assert_ok(fx_put_keys(fx, "a.example", CH_TRI_KEEP, CH_KEYS_BOTH, NULL));
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	assert_false(orders[0].second);
	fx_issue(fx, &orders[0]);
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_line(fx, 0, "a.example", CH_CLASS_RENEWAL);
	test_now_ms += 28 * CH_DAY_MS;
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	assert_true(orders[0].second);
	fx_issue(fx, &orders[0]);
	/* The first one's renewal waits too, and gets what it waits for. */
	test_now_ms = START_MS + RENEW_MS - CH_DAY_MS;
	add(fx, "b.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	test_now_ms += CH_DAY_MS;
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	test_now_ms += 27 * CH_DAY_MS;
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	assert_false(orders[0].second);
}

static void put(struct fixture *fx, const char *name, const char *cas, const char *standby)
{
	struct ch_store_put_item item = {.name = name, .cas = cas, .standby = standby};
	struct ch_store_op op = {.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};

	assert_ok(fx_run(fx, &op));
	assert_int_equal(item.result, CH_PUT_CREATED);
}

static size_t lease_both(struct fixture *fx, size_t max, struct ch_store_order **ret_orders)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = max,
		.lease_ms = LONG_MS,
		.pace = {.account = "one.test/a", .ca = "main"},
		.fallback = {counted("none", "2/4d", "none")},
		.n_fallback = 1};
	op.u.lease.fallback[0].ca = "backup";
	assert_ok(fx_run(fx, &op));
	*ret_orders = op.u.lease.orders;
	return op.u.lease.n_orders;
}

/* A standby is no renewal that comes before others. */
static void a_standby_waits_behind_those_with_a_turn(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *orders;

	put(fx, "a.big.example", NULL, "backup");
	assert_int_equal(lease_both(fx, 1, &orders), 1);
	fx_issue(fx, &orders[0]);
	put(fx, "b.big.example", "backup", NULL);
	assert_int_equal(lease_both(fx, 1, &orders), 1);
	assert_string_equal(orders[0].names[0].name, "b.big.example");
	put(fx, "c.big.example", "backup", NULL);
	assert_int_equal(lease_both(fx, 10, &orders), 0);
	assert_string_equal(
		fx_get(fx, "a.big.example").standby->reason.code, "ca-limit-domain");
	assert_true(fx_get(fx, "a.big.example").standby->next_at_ms >
		    fx_get(fx, "c.big.example").next_at_ms + CH_DAY_MS);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_renewal_waits_for_a_token_before_new_names),
		T(where_the_ca_exempts_it_no_token_is_needed),
		T(the_window_frees_of_nothing),
		T(of_a_full_domain_renewals_have_the_next_token),
		T(not_even_a_visitor_has_it_before_a_renewal),
		T(a_second_certificate_has_its_own_turn),
		T(a_standby_waits_behind_those_with_a_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
