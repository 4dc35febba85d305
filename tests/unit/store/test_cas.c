/* Names with a list of CAs of their own. */
#include "fixture.h"

#define LONG_MS (1000 * CH_DAY_MS)

struct cas {
	struct ch_store_pace list[3];
	size_t n;
};

static struct ch_store_pace pace_of(const char *ca, const char *account, const char *orders)
{
	struct ch_store_pace pace = {.account = account, .ca = ca};

	assert_ok(ch_limit_parse(orders, &pace.limits[CH_PACED_ACCOUNT]));
	return pace;
}

static struct cas all_cas(void)
{
	return (struct cas){{pace_of("main", "one.test/thumb", "none"),
				    pace_of("backup", "two.test/thumb", "none"),
				    pace_of("third", "three.test/thumb", "none")},
		3};
}

static size_t lease(struct fixture *fx, const struct cas *cas, struct ch_store_order **orders)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = 50,
		.lease_ms = LONG_MS,
		.pace = cas->list[0]};
	for (size_t i = 1; i < cas->n; i++)
		op.u.lease.fallback[op.u.lease.n_fallback++] = cas->list[i];
	assert_ok(fx_run(fx, &op));
	*orders = op.u.lease.orders;
	return op.u.lease.n_orders;
}

static void put(struct fixture *fx, const char *name, enum ch_store_tri www, const char *cas)
{
	struct ch_store_put_item item = {.name = name, .www = www, .cas = cas};
	struct ch_store_op op = {.type = CH_OP_PUT};

	op.u.put.items = &item;
	op.u.put.n_items = 1;
	assert_ok(fx_run(fx, &op));
	assert_int_not_equal(item.result, CH_PUT_REJECTED);
}

static void assert_goes_to(struct fixture *fx, const struct cas *cas, const char *account)
{
	struct ch_store_order *orders;

	assert_int_equal(lease(fx, cas, &orders), 1);
	assert_string_equal(orders[0].account, account);
}

static void the_names_order_counts(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas();

	put(fx, "a.example", CH_TRI_KEEP, "third,main");
	assert_string_equal(fx_get(fx, "a.example").cas, "third,main");
	assert_goes_to(fx, &cas, "three.test/thumb");
	put(fx, "b.example", CH_TRI_KEEP, NULL);
	assert_null(fx_get(fx, "b.example").cas);
	assert_goes_to(fx, &cas, "one.test/thumb");
	/* Kept by who says nothing, and taken back. */
	put(fx, "a.example", CH_TRI_KEEP, NULL);
	assert_string_equal(fx_get(fx, "a.example").cas, "third,main");
	put(fx, "a.example", CH_TRI_KEEP, "");
	assert_null(fx_get(fx, "a.example").cas);
}

static void what_is_out_of_order_is_passed_over(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas();

	cas.list[2].out = true;
	put(fx, "a.example", CH_TRI_KEEP, "third,backup");
	assert_goes_to(fx, &cas, "two.test/thumb");
	/* Not to one that the name may not use; nor do those without a list mind. */
	cas.list[1].out = true;
	put(fx, "b.example", CH_TRI_KEEP, "third,backup");
	assert_goes_to(fx, &cas, "three.test/thumb");
	put(fx, "c.example", CH_TRI_KEEP, NULL);
	assert_goes_to(fx, &cas, "one.test/thumb");
	cas.list[0].out = true;
	put(fx, "d.example", CH_TRI_KEEP, NULL);
	assert_goes_to(fx, &cas, "one.test/thumb");
}

static void a_full_one_is_passed_over_and_come_back_to(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas();
	struct ch_store_order *orders;

	cas.list[2] = pace_of("third", "three.test/thumb", "2/2d");
	put(fx, "a.example", CH_TRI_KEEP, "third,backup");
	assert_goes_to(fx, &cas, "three.test/thumb");
	put(fx, "b.example", CH_TRI_KEEP, "third,backup");
	assert_goes_to(fx, &cas, "two.test/thumb");
	test_now_ms += 2 * CH_DAY_MS;
	put(fx, "c.example", CH_TRI_KEEP, "third,backup");
	assert_goes_to(fx, &cas, "three.test/thumb");
	put(fx, "d.example", CH_TRI_KEEP, "third");
	assert_int_equal(lease(fx, &cas, &orders), 0);
	assert_string_equal(fx_get(fx, "d.example").reason.code, "ca-limit-account");
	/* With another list it need not wait for that one's turn. */
	put(fx, "d.example", CH_TRI_KEEP, "backup");
	assert_goes_to(fx, &cas, "two.test/thumb");
}

static void refuse(struct fixture *fx, const struct ch_store_order *order, int64_t until_ms)
{
	const struct ch_store_limited limited = {
		.account = order->account, .paced = CH_PACED_ACCOUNT, .until_ms = until_ms};

	fx_refuse(fx, order, &limited);
}

static void a_renewal_that_one_refuses_goes_to_the_next(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas();
	struct ch_store_order *orders;

	put(fx, "a.example", CH_TRI_KEEP, "main,backup");
	assert_int_equal(lease(fx, &cas, &orders), 1);
	fx_issue(fx, &orders[0]);
	test_now_ms += RENEW_MS;
	assert_int_equal(lease(fx, &cas, &orders), 1);
	assert_string_equal(orders[0].account, "one.test/thumb");
	refuse(fx, &orders[0], test_now_ms + CH_DAY_MS);
	assert_int_equal(lease(fx, &cas, &orders), 1);
	assert_string_equal(orders[0].account, "two.test/thumb");
	refuse(fx, &orders[0], test_now_ms + CH_HOUR_MS);
	/* There is none left: until the first one has said, of two that have. */
	assert_int_equal(lease(fx, &cas, &orders), 0);
	assert_in_range(
		fx_get(fx, "a.example").next_at_ms, test_now_ms + 1, test_now_ms + CH_HOUR_MS);
	test_now_ms += CH_HOUR_MS;
	assert_goes_to(fx, &cas, "two.test/thumb");
}

/* Of one tenant: those who wait for a full CA stand in a line of their own. */
static void who_waits_for_a_full_one_keeps_no_other_waiting(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas();
	struct ch_store_order *orders;
	char name[32];

	cas.list[0] = pace_of("main", "one.test/thumb", "100/100d");
	cas.list[2] = pace_of("third", "three.test/thumb", "2/2d");
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "w%d.example", i);
		put(fx, name, CH_TRI_KEEP, "third");
	}
	assert_int_equal(lease(fx, &cas, &orders), 1);
	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		put(fx, name, CH_TRI_KEEP, "main");
	}
	assert_int_equal(lease(fx, &cas, &orders), 5);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(orders[i].account, "one.test/thumb");
	assert_int_equal(lease(fx, &cas, &orders), 0);
}

/* Who may use one CA only is foretold its turn there, and the others theirs. */
static void turns_of_lines_are_foretold_by_their_own_accounts(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas();
	struct ch_store_order *orders;
	struct ch_store_queue queue;
	char name[32];

	cas.list[0] = pace_of("main", "one.test/thumb", "2/2h");
	cas.list[1] = pace_of("second", "two.test/thumb", "2/1h");
	cas.list[2] = pace_of("third", "three.test/thumb", "2/4h");
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "w%d.example", i);
		put(fx, name, CH_TRI_KEEP, i < 4 ? "third" : i < 8 ? "main" : NULL);
		test_now_ms++;
	}
	assert_int_equal(lease(fx, &cas, &orders), 3);
	assert_ok(ch_store_get_queue(fx->store, cas.list, 3, fx->arena, &queue));
	assert_int_equal(queue.forecast.n_lines, 3);
	assert_ok(ch_forecast_run(&queue.forecast));
	assert_int_equal(queue.forecast.n_items, 9);
	for (size_t left = 9; left > 0;) {
		size_t n;

		test_now_ms += CH_MINUTE_MS;
		n = lease(fx, &cas, &orders);
		for (size_t i = 0; i < n; i++, left--) {
			uint32_t k = 0;

			while (strcmp(queue.names[k], orders[i].names[0].name) != 0)
				k++;
			assert_in_range(queue.forecast.items[k].at_ms,
				test_now_ms - CH_MINUTE_MS, test_now_ms);
		}
	}
}

static void a_ca_that_is_not_configured_is_told(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas();
	struct ch_store_order *orders;
	struct ch_store_domain domain;

	put(fx, "a.example", CH_TRI_KEEP, "nonesuch");
	assert_int_equal(lease(fx, &cas, &orders), 0);
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_PENDING);
	assert_string_equal(domain.reason.code, "ca-unknown");
	assert_int_equal(domain.reason.actor, CH_ACTOR_OPERATOR);
	assert_non_null(strstr(domain.reason.detail, "nonesuch"));
	assert_true(domain.next_at_ms > test_now_ms);
	/* Not for longer than it takes to look again, or to mend the list. */
	test_now_ms = domain.next_at_ms;
	assert_int_equal(lease(fx, &cas, &orders), 0);
	put(fx, "a.example", CH_TRI_KEEP, "nonesuch,third");
	assert_goes_to(fx, &cas, "three.test/thumb");
}

static void an_order_says_what_its_names_may_use(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas();
	struct ch_store_order *orders;

	put(fx, "a.example", CH_TRI_YES, "third,main");
	assert_string_equal(fx_get(fx, "www.a.example").cas, "third,main");
	assert_int_equal(lease(fx, &cas, &orders), 1);
	assert_int_equal(orders[0].n_names, 2);
	assert_string_equal(orders[0].cas, "third,main");
	put(fx, "b.example", CH_TRI_KEEP, NULL);
	assert_int_equal(lease(fx, &cas, &orders), 1);
	assert_null(orders[0].cas);
}

static void a_www_name_has_no_list_of_its_own(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {.name = "www.a.example", .cas = "main"};
	struct ch_store_op op = {.type = CH_OP_PUT};

	put(fx, "a.example", CH_TRI_YES, "third");
	op.u.put.items = &item;
	op.u.put.n_items = 1;
	assert_ok(fx_run(fx, &op));
	assert_int_equal(item.result, CH_PUT_REJECTED);
	put(fx, "a.example", CH_TRI_KEEP, "main");
	assert_string_equal(fx_get(fx, "www.a.example").cas, "main");
}

/* Issuers say HOST/KEY; what is written of another form must not depend on the database. */
static void an_account_of_another_form_is_taken(void **state)
{
	struct fixture *fx = *state;
	const struct cas cas = {{pace_of("main", "one", "none")}, 1};
	struct ch_store_order *orders;

	put(fx, "a.example", CH_TRI_NO, NULL);
	assert_int_equal(lease(fx, &cas, &orders), 1);
	assert_string_equal(orders[0].account, "one");
	fx_issue(fx, &orders[0]);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
}

static void import(struct fixture *fx, const char *prefix, const char *cas, size_t n)
{
	struct ch_store_put_item items[50] = {0};
	char names[50][32];
	struct ch_store_op op = {.type = CH_OP_PUT};

	assert_true(n <= 50);
	for (size_t i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "%s%zu.example", prefix, i);
		items[i] = (struct ch_store_put_item){.name = names[i], .cas = cas};
	}
	op.u.put.items = items;
	op.u.put.n_items = n;
	assert_ok(fx_run(fx, &op));
}

/* Main and backup have a token a minute each, half a minute apart: whenever one has, those who
 * wait for the other one have none. */
static void an_import_gets_its_share_beside_another_list(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas();
	struct ch_store_order *orders;
	unsigned shared = 0;
	unsigned alone = 0;

	cas.list[0] = pace_of("main", "one.test/thumb", "2/2m");
	cas.list[1] = pace_of("backup", "two.test/thumb", "2/2m");
	import(fx, "other", "main", 50);
	assert_int_equal(lease(fx, &cas, &orders), 1);
	test_now_ms += 30 * CH_SECOND_MS;
	import(fx, "shared", "backup", 20);
	assert_int_equal(lease(fx, &cas, &orders), 1);
	for (int i = 0; i < 40; i++) {
		char name[32];

		snprintf(name, sizeof(name), "alone%d.example", i);
		put(fx, name, CH_TRI_KEEP, "backup");
	}
	for (int i = 0; i < 48; i++) {
		test_now_ms += 30 * CH_SECOND_MS;
		assert_int_equal(lease(fx, &cas, &orders), 1);
		shared += strncmp(orders[0].names[0].name, "shared", 6) == 0;
		alone += strncmp(orders[0].names[0].name, "alone", 5) == 0;
	}
	assert_int_equal(shared + alone, 24);
	assert_int_equal(shared, 3);
}

/* Its turn is for the first one's token, which a limit of its own names keeps from it: back in
 * line it would have it again at once, and again. */
static void who_waits_for_the_next_one_is_not_always_next(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = {{pace_of("main", "one.test/thumb", "300/3h"),
				  pace_of("backup", "two.test/thumb", "2/2d")},
		2};
	struct ch_store_order *orders;
	int64_t due_ms = 0;

	assert_ok(ch_limit_parse("1/56d", &cas.list[0].limits[CH_PACED_DOMAIN]));
	put(fx, "other.example", CH_TRI_KEEP, "backup");
	assert_goes_to(fx, &cas, "two.test/thumb");
	put(fx, "a.big.example", CH_TRI_KEEP, NULL);
	assert_goes_to(fx, &cas, "one.test/thumb");
	put(fx, "b.big.example", CH_TRI_KEEP, NULL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(lease(fx, &cas, &orders), 0);
		assert_string_equal(
			fx_get(fx, "b.big.example").reason.code, "ca-limit-account");
		assert_ok(ch_store_next_due(fx->store, &due_ms));
		assert_true(due_ms >= test_now_ms + CH_MINUTE_MS);
	}
	test_now_ms += 2 * CH_DAY_MS;
	assert_goes_to(fx, &cas, "two.test/thumb");
}

#define T(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_names_order_counts),
		T(what_is_out_of_order_is_passed_over),
		T(a_full_one_is_passed_over_and_come_back_to),
		T(a_renewal_that_one_refuses_goes_to_the_next),
		T(who_waits_for_a_full_one_keeps_no_other_waiting),
		T(turns_of_lines_are_foretold_by_their_own_accounts),
		T(a_ca_that_is_not_configured_is_told),
		T(an_order_says_what_its_names_may_use),
		T(a_www_name_has_no_list_of_its_own),
		T(an_account_of_another_form_is_taken),
		T(an_import_gets_its_share_beside_another_list),
		T(who_waits_for_the_next_one_is_not_always_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
