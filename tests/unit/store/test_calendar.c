/* The renewal calendar: renewals are level, follow the CA's windows, and are counted exactly;
 * renewals are free of limits when the CA takes them for such. */
#include "fixture.h"

#define ACCOUNT "ca.test/thumb"
#define ARI_ID "a2V5.c2VyaWFs"
#define LONG_MS (1000 * CH_DAY_MS)
#define BURST 3000

static size_t lease_as(
	struct fixture *fx, const char *account, size_t max, struct ch_store_order **ret_orders)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = max,
		.lease_ms = LONG_MS,
		.pace.account = account};
	assert_ok(ch_limit_parse("none", &op.u.lease.pace.limits[CH_PACED_ACCOUNT]));
	assert_ok(ch_limit_parse("50/7d", &op.u.lease.pace.limits[CH_PACED_DOMAIN]));
	assert_ok(ch_limit_parse("5/7d", &op.u.lease.pace.limits[CH_PACED_SET]));
	assert_ok(fx_run(fx, &op));
	*ret_orders = op.u.lease.orders;
	return op.u.lease.n_orders;
}

static struct ch_store_order *lease_one(struct fixture *fx)
{
	struct ch_store_order *orders;

	assert_int_equal(lease_as(fx, ACCOUNT, 10, &orders), 1);
	return orders;
}

/* Within a tenth of the lifetime and its two thirds, as for a certificate of 90 days. */
static void publish(struct fixture *fx, const struct ch_store_order *order)
{
	struct ch_op_publish *p;

	fx_seal(fx, order);
	p = fx_publication(fx, order, (uint8_t)order->id);
	p->renew_from_ms = test_now_ms + 9 * CH_DAY_MS;
	p->ari_id = ARI_ID;
	assert_ok(fx_publish(fx, p));
	fx_finish(fx, order);
}

static uint64_t issue(struct fixture *fx, const char *name)
{
	const struct ch_store_order *order;

	fx_add(fx, name);
	order = lease_one(fx);
	publish(fx, order);
	return order->id;
}

static struct ch_store_calendar calendar_of(struct fixture *fx)
{
	struct ch_store_calendar calendar;

	assert_ok(ch_store_get_calendar(fx->store, fx->arena, &calendar));
	return calendar;
}

static struct ch_store_ask *asks_of(
	struct fixture *fx, const char *ca, size_t max, size_t *ret_n)
{
	struct ch_store_op op = {.type = CH_OP_ASK_LEASE};

	op.u.ask_lease = (struct ch_op_ask_lease){.ca = ca, .max = max, .lease_ms = LEASE_MS};
	assert_ok(fx_run(fx, &op));
	*ret_n = op.u.ask_lease.n_asks;
	return op.u.ask_lease.asks;
}

static int64_t next_ask(struct fixture *fx)
{
	int64_t at_ms;

	assert_ok(ch_store_next_ask(fx->store, "ca.test", &at_ms));
	return at_ms;
}

static size_t hear(struct fixture *fx, const struct ch_store_heard *heard)
{
	struct ch_store_op op = {.type = CH_OP_ASK_WRITE};

	op.u.ask_write = (struct ch_op_ask_write){.heard = heard, .n_heard = 1};
	assert_ok(fx_run(fx, &op));
	return op.u.ask_write.moved;
}

static struct ch_store_heard window(uint64_t version, int64_t start_ms, int64_t end_ms)
{
	return (struct ch_store_heard){.version = version,
		.next_at_ms = test_now_ms + 6 * CH_HOUR_MS,
		.start_ms = start_ms,
		.end_ms = end_ms,
		.explanation = "https://ca.test/why",
		.from_ms = start_ms,
		.until_ms = end_ms};
}

static void new_arena(struct fixture *fx)
{
	ch_arena_free(fx->arena);
	assert_ok(ch_arena_new(0, &fx->arena));
}

static void add_burst(struct fixture *fx)
{
	char names[1000][32];
	struct ch_store_put_item items[1000];
	struct ch_store_op op = {.type = CH_OP_PUT};

	for (int k = 0; k < BURST; k += 1000) {
		memset(items, 0, sizeof(items));
		for (int i = 0; i < 1000; i++) {
			snprintf(names[i], sizeof(names[i]), "n%d.example", k + i);
			items[i].name = names[i];
		}
		op.u.put.items = items;
		op.u.put.n_items = 1000;
		assert_ok(fx_run(fx, &op));
		new_arena(fx);
	}
}

/* Thousands of names in one hour do not come back in one hour, nor on one day. */
static void a_burst_is_levelled_over_all_of_the_window(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *orders;
	struct ch_store_calendar calendar;
	size_t n;

	add_burst(fx);
	while ((n = lease_as(fx, ACCOUNT, 250, &orders)) > 0) {
		for (size_t i = 0; i < n; i++)
			publish(fx, &orders[i]);
		new_arena(fx);
	}
	calendar = calendar_of(fx);
	assert_int_equal(calendar.total, BURST);
	assert_int_equal(calendar.overdue, 0);
	/* 51 days, 1,224 hours: 2.45 an hour. */
	assert_in_range(calendar.n_days, 51, 52);
	assert_int_equal(calendar.hours[0].n, 3);
	for (size_t i = 1; i + 1 < calendar.n_days; i++)
		assert_in_range(calendar.days[i].n, 48, 72);
}

static void equals_use_most_of_the_lifetime_and_fill_gaps(void **state)
{
	struct fixture *fx = *state;
	int64_t first_ms, second_ms;

	issue(fx, "a.example");
	issue(fx, "b.example");
	first_ms = fx_get(fx, "a.example").next_at_ms;
	second_ms = fx_get(fx, "b.example").next_at_ms;
	assert_in_range(
		first_ms, test_now_ms + RENEW_MS - 2 * CH_HOUR_MS, test_now_ms + RENEW_MS);
	assert_int_equal(second_ms / CH_HOUR_MS, first_ms / CH_HOUR_MS - 1);
	/* What leaves leaves its hour empty, also after a restart. */
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	fx_reopen(fx);
	issue(fx, "c.example");
	assert_int_equal(
		fx_get(fx, "c.example").next_at_ms / CH_HOUR_MS, first_ms / CH_HOUR_MS);
	assert_int_equal(calendar_of(fx).total, 2);
	/* An operation that is rolled back has planned nothing. */
	assert_int_equal(fx_name_op(fx, CH_OP_DELETE, "a.example"), CH_ENOTFOUND);
	issue(fx, "d.example");
	assert_int_equal(
		fx_get(fx, "d.example").next_at_ms / CH_HOUR_MS, second_ms / CH_HOUR_MS - 1);
}

static void an_old_issuers_instant_is_kept(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "a.example");
	fx_issue(fx, lease_one(fx));
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, test_now_ms + RENEW_MS);
	assert_int_equal(calendar_of(fx).total, 1);
	assert_int_equal(next_ask(fx), INT64_MAX);
}

static void a_pair_is_one_renewal_and_who_pauses_is_none(void **state)
{
	struct fixture *fx = *state;

	fx_add_pair(fx, "a.example");
	publish(fx, lease_one(fx));
	assert_int_equal(calendar_of(fx).total, 1);
	assert_int_equal(next_ask(fx), 0);
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "a.example"));
	assert_int_equal(calendar_of(fx).total, 1);
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "www.a.example"));
	assert_int_equal(calendar_of(fx).total, 0);
	assert_int_equal(next_ask(fx), INT64_MAX);
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	assert_int_equal(calendar_of(fx).total, 1);
	assert_int_equal(next_ask(fx), 0);
}

static void what_the_ca_says_moves_the_renewal(void **state)
{
	struct fixture *fx = *state;
	uint64_t version = issue(fx, "a.example");
	struct ch_store_heard heard =
		window(version, test_now_ms + 5 * CH_DAY_MS, test_now_ms + 7 * CH_DAY_MS);
	struct ch_store_domain domain;
	struct ch_store_ask *asks;
	size_t n;

	asks = asks_of(fx, "ca.test", 10, &n);
	assert_int_equal(n, 1);
	assert_int_equal(asks[0].version, version);
	assert_string_equal(asks[0].ari_id, ARI_ID);
	/* Leased: nobody else gets it; and it is of no other CA. */
	asks_of(fx, "ca.test", 10, &n);
	assert_int_equal(n, 0);
	asks_of(fx, "other.test", 10, &n);
	assert_int_equal(n, 0);
	assert_int_equal(hear(fx, &heard), 1);
	domain = fx_get(fx, "a.example");
	assert_in_range(domain.next_at_ms, heard.start_ms, heard.end_ms);
	assert_int_equal(domain.cert->renew_at_ms, domain.next_at_ms);
	assert_int_equal(domain.cert->ari_start_ms, heard.start_ms);
	assert_int_equal(domain.cert->ari_asked_at_ms, test_now_ms);
	assert_string_equal(domain.cert->ari_explanation, "https://ca.test/why");
	assert_int_equal(next_ask(fx), heard.next_at_ms);
	/* The same again moves nothing. */
	assert_int_equal(hear(fx, &heard), 0);
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, domain.next_at_ms);
	/* In the past: now. */
	heard = window(version, test_now_ms - 2 * CH_DAY_MS, test_now_ms - CH_DAY_MS);
	assert_int_equal(hear(fx, &heard), 1);
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, test_now_ms);
	assert_true(lease_one(fx)->renewal);
}

/* Year 9999, 1970, and a span that is none. */
static void hostile_windows_never_cost_a_certificate(void **state)
{
	struct fixture *fx = *state;
	uint64_t version = issue(fx, "a.example");
	int64_t ends_ms = test_now_ms + LIFETIME_MS;
	struct ch_store_heard heard =
		window(version, INT64_C(253370764800000), INT64_C(253402300799000));

	assert_int_equal(hear(fx, &heard), 1);
	assert_int_equal(fx_get(fx, "a.example").next_at_ms,
		ends_ms - LIFETIME_MS / 100 * CH_STORE_SAFE_PERCENT);
	heard = window(version, 1, 2);
	heard.next_at_ms = INT64_C(253402300799000);
	assert_int_equal(hear(fx, &heard), 1);
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, test_now_ms);
	assert_true(next_ask(fx) <= test_now_ms + 8 * CH_DAY_MS);
	assert_int_equal(calendar_of(fx).total, 1);
}

static void failures_touch_no_renewal(void **state)
{
	struct fixture *fx = *state;
	uint64_t version = issue(fx, "a.example");
	int64_t planned_ms = fx_get(fx, "a.example").next_at_ms;
	struct ch_store_heard heard = {
		.version = version, .failed = true, .next_at_ms = test_now_ms + CH_MINUTE_MS};
	struct ch_store_ask *asks;
	size_t n;

	assert_int_equal(hear(fx, &heard), 0);
	heard.failed = false;
	heard.put_off = true;
	assert_int_equal(hear(fx, &heard), 0);
	heard.version = 999999;
	assert_int_equal(hear(fx, &heard), 0);
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, planned_ms);
	assert_int_equal(fx_get(fx, "a.example").cert->ari_asked_at_ms, 0);
	test_now_ms += CH_MINUTE_MS;
	asks = asks_of(fx, "ca.test", 10, &n);
	assert_int_equal(n, 1);
	assert_int_equal(asks[0].failures, 1);
}

/* One that waits for its next try, or has begun, keeps its own time. */
static void a_renewal_that_has_begun_is_left_alone(void **state)
{
	struct fixture *fx = *state;
	uint64_t version = issue(fx, "a.example");
	struct ch_store_heard heard =
		window(version, test_now_ms + 70 * CH_DAY_MS, test_now_ms + 72 * CH_DAY_MS);
	struct ch_store_order *order;

	test_now_ms += RENEW_MS;
	order = lease_one(fx);
	assert_int_equal(hear(fx, &heard), 0);
	publish(fx, order);
	/* That certificate is not live any more. */
	heard = window(version, test_now_ms + CH_DAY_MS, test_now_ms + 2 * CH_DAY_MS);
	assert_int_equal(hear(fx, &heard), 0);
	assert_int_equal(calendar_of(fx).total, 1);
	assert_int_equal(calendar_of(fx).overdue, 0);
}

static void a_renewal_names_what_it_replaces(void **state)
{
	struct fixture *fx = *state;

	assert_null((fx_add(fx, "a.example"), fx_get(fx, "a.example").cert));
	publish(fx, lease_one(fx));
	test_now_ms += RENEW_MS;
	assert_string_equal(lease_one(fx)->replaces, ARI_ID);
}

static void another_account_replaces_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *orders;

	issue(fx, "a.example");
	test_now_ms += RENEW_MS;
	assert_int_equal(lease_as(fx, "ca.test/another", 10, &orders), 1);
	assert_null(orders[0].replaces);
	assert_true(orders[0].renewal);
}

static uint32_t left_of(struct fixture *fx, enum ch_paced paced)
{
	struct ch_store_limits limits;

	assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
	for (size_t i = 0; i < limits.n_buckets; i++)
		if (limits.buckets[i].paced == paced)
			return limits.buckets[i].left;
	return UINT32_MAX; /* full */
}

/* The CA frees the renewal of all limits in its window, and only there. */
static void in_the_window_no_token_is_taken(void **state)
{
	struct fixture *fx = *state;
	uint64_t version = issue(fx, "a.example");
	struct ch_store_heard heard =
		window(version, test_now_ms + 20 * CH_DAY_MS, test_now_ms + 22 * CH_DAY_MS);
	struct ch_store_order *order;

	assert_int_equal(hear(fx, &heard), 1);
	test_now_ms = fx_get(fx, "a.example").next_at_ms;
	order = lease_one(fx);
	assert_string_equal(order->replaces, ARI_ID);
	assert_int_equal(left_of(fx, CH_PACED_SET), UINT32_MAX);
	assert_int_equal(left_of(fx, CH_PACED_DOMAIN), UINT32_MAX);
	publish(fx, order);
	/* This one has heard of no window: its set of names pays. */
	test_now_ms = fx_get(fx, "a.example").next_at_ms;
	lease_one(fx);
	assert_int_equal(left_of(fx, CH_PACED_SET), 3);
	assert_int_equal(left_of(fx, CH_PACED_DOMAIN), UINT32_MAX);
}

/* … but not where it has itself said that it takes nothing until then. */
static void what_the_ca_has_said_holds_in_the_window_too(void **state)
{
	struct fixture *fx = *state;
	uint64_t version = issue(fx, "a.example");
	struct ch_store_heard heard =
		window(version, test_now_ms + 20 * CH_DAY_MS, test_now_ms + 22 * CH_DAY_MS);

	assert_int_equal(hear(fx, &heard), 1);
	test_now_ms = fx_get(fx, "a.example").next_at_ms;
	for (int paced = 0; paced < CH_PACED_COUNT; paced++) {
		int64_t until_ms = test_now_ms + CH_HOUR_MS;
		struct ch_store_order *none;
		struct ch_store_order *order = lease_one(fx);
		struct ch_store_outcome outcome = {.name = "a.example",
			.state = CH_NAME_FAILED,
			.next_at_ms = test_now_ms,
			.reason = {"ca-next", "Another CA is asked.", CH_ACTOR_NOBODY}};
		struct ch_op_patch patch = fx_step(order, CH_ORDER_FAILED);

		patch.limited = (struct ch_store_limited){.account = ACCOUNT,
			.paced = (enum ch_paced)paced,
			.until_ms = until_ms};
		patch.outcomes = &outcome;
		patch.n_outcomes = 1;
		assert_ok(fx_patch(fx, &patch));
		assert_int_equal(lease_as(fx, ACCOUNT, 10, &none), 0);
		assert_int_equal(fx_get(fx, "a.example").next_at_ms, until_ms);
		test_now_ms = until_ms;
	}
	assert_string_equal(lease_one(fx)->replaces, ARI_ID);
}

/* "Has a certificate" is not "has one for the same names". */
static void a_name_that_joins_makes_another_set(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	issue(fx, "a.example");
	issue(fx, "www.a.example");
	assert_ok(fx_put(fx, "a.example", CH_TRI_YES, NULL, NULL, NULL));
	test_now_ms += RENEW_MS;
	order = lease_one(fx);
	assert_int_equal(order->n_names, 2);
	assert_true(order->renewal);
	assert_null(order->replaces);
	/* Both had a certificate, but none was for both: the domain pays. */
	assert_int_equal(left_of(fx, CH_PACED_DOMAIN), 48);
	publish(fx, order);
	test_now_ms = fx_get(fx, "a.example").next_at_ms;
	order = lease_one(fx);
	assert_string_equal(order->replaces, ARI_ID);
	assert_int_equal(left_of(fx, CH_PACED_DOMAIN), UINT32_MAX);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_burst_is_levelled_over_all_of_the_window),
		T(equals_use_most_of_the_lifetime_and_fill_gaps),
		T(an_old_issuers_instant_is_kept),
		T(a_pair_is_one_renewal_and_who_pauses_is_none),
		T(what_the_ca_says_moves_the_renewal),
		T(hostile_windows_never_cost_a_certificate),
		T(failures_touch_no_renewal),
		T(a_renewal_that_has_begun_is_left_alone),
		T(a_renewal_names_what_it_replaces),
		T(another_account_replaces_nothing),
		T(in_the_window_no_token_is_taken),
		T(what_the_ca_has_said_holds_in_the_window_too),
		T(a_name_that_joins_makes_another_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
