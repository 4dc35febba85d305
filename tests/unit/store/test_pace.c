/* Pacing: tokens are taken with the order, who has none waits, tenants come in turn. */
#include "pacing.h"

static void add_many(struct fixture *fx, const char *tenant, int n)
{
	struct ch_store_op op = {.type = CH_OP_PUT};
	struct ch_store_put_item items[100] = {0};
	char names[100][64];

	for (int i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "shop.%s-%d.example", tenant, i);
		items[i].name = names[i];
		items[i].tenant = tenant;
	}
	op.u.put.items = items;
	op.u.put.n_items = (size_t)n;
	assert_ok(fx_run(fx, &op));
}

static int64_t due(struct fixture *fx)
{
	int64_t at_ms;

	assert_ok(ch_store_next_due(fx->store, &at_ms));
	return at_ms;
}

static void no_limit_holds_nobody_up(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("none", "none", "none");
	struct ch_store_limits limits;

	add_many(fx, "t", 50);
	assert_int_equal(lease(fx, &pace, 60, NULL), 50);
	assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
	assert_int_equal(limits.n_buckets, 0);
}

static void an_account_gets_what_its_bucket_has(void **state)
{
	struct fixture *fx = *state;
	/* One of the ten is kept back as a margin. */
	struct ch_store_pace pace = pace_of("10/10m", "none", "none");
	struct ch_store_limits limits;
	size_t made = 0;

	add_many(fx, "t", 40);
	assert_int_equal(lease(fx, &pace, 60, NULL), 9);
	assert_int_equal(lease(fx, &pace, 60, NULL), 0);
	assert_true(due(fx) > test_now_ms);
	assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
	assert_int_equal(limits.n_buckets, 1);
	assert_int_equal(limits.buckets[0].paced, CH_PACED_ACCOUNT);
	assert_string_equal(limits.buckets[0].of, ACCOUNT);
	assert_int_equal(limits.buckets[0].left, 0);
	assert_int_equal(limits.waiting, 31);
	fx_reopen(fx);
	for (int minutes = 0; minutes < 10; minutes++) {
		bool ready;
		size_t n;

		test_now_ms += CH_MINUTE_MS;
		ready = due(fx) <= test_now_ms;
		n = lease(fx, &pace, 60, NULL);
		assert_true(ready || !n);
		made += n;
	}
	assert_in_range(made, 9, 10);
}

static void a_name_that_came_alone_is_before_those_that_came_with_many(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/2m", "none", "none");
	struct ch_store_order *orders;

	add_many(fx, "big", 50);
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	assert_waits(fx, "shop.big-7.example", "ca-limit-account");
	add(fx, "first.example", "small");
	lease(fx, &pace, 10, NULL);
	test_now_ms += CH_MINUTE_MS;
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	assert_string_equal(orders[0].names[0].name, "first.example");
}

static void names_that_come_alone_do_not_starve_an_import(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/2m", "none", "none");
	int imported = 0;

	add_many(fx, "big", 20);
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	for (int i = 0; i < 80; i++) {
		struct ch_store_order *orders;
		char name[64];

		/* More than there are turns. */
		for (int k = 0; k < 2; k++) {
			snprintf(name, sizeof(name), "alone-%d-%d.example", i, k);
			add(fx, name, "small");
		}
		test_now_ms += CH_MINUTE_MS;
		assert_int_equal(lease(fx, &pace, 10, &orders), 1);
		imported += strncmp(orders[0].names[0].name, "shop.big", 8) == 0;
	}
	assert_in_range(imported, 9, 11);
}

static void tenants_come_in_turn(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/2m", "none", "none");
	int small = 0;

	add_many(fx, "big", 60);
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	add_many(fx, "small", 5);
	lease(fx, &pace, 10, NULL);
	for (int i = 0; i < 10; i++) {
		struct ch_store_order *orders;

		test_now_ms += CH_MINUTE_MS;
		assert_int_equal(lease(fx, &pace, 10, &orders), 1);
		small += strncmp(orders[0].names[0].name, "shop.small", 10) == 0;
	}
	assert_int_equal(small, 5);
}

static void one_domains_limit_is_no_others(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("none", "3/3h", "none");
	struct ch_store_domain first, second;

	add(fx, "a.busy.example", "t");
	add(fx, "b.busy.example", "t");
	add(fx, "c.busy.example", "t");
	add(fx, "d.busy.example", "t");
	add(fx, "a.other.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 3);
	assert_waits(fx, "c.busy.example", "ca-limit-domain");
	assert_waits(fx, "d.busy.example", "ca-limit-domain");
	first = fx_get(fx, "c.busy.example");
	second = fx_get(fx, "d.busy.example");
	/* Each has a turn of its own. */
	assert_true(second.next_at_ms >= first.next_at_ms + CH_HOUR_MS);
	test_now_ms = first.next_at_ms;
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
}

static void a_renewal_is_free_but_for_its_own_set(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/365d", "2/365d", "3/365d");
	struct ch_store_order *orders;

	add(fx, "a.renewed.example", "t");
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	fx_issue(fx, &orders[0]);
	add(fx, "b.renewed.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	test_now_ms += RENEW_MS;
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	assert_true(orders[0].renewal);
	fx_issue(fx, &orders[0]);
	test_now_ms += RENEW_MS;
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_string_equal(fx_get(fx, "a.renewed.example").reason.code, "ca-limit-set");
}

static void names_that_never_got_to_the_ca_cost_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("3/300d", "none", "none");
	struct ch_store_order *orders;

	add(fx, "dead1.example", "t");
	add(fx, "dead2.example", "t");
	assert_int_equal(lease(fx, &pace, 10, &orders), 2);
	for (int i = 0; i < 2; i++) {
		struct ch_store_outcome outcome = {.name = orders[i].names[0].name,
			.next_at_ms = test_now_ms + 300 * CH_DAY_MS,
			.failed = true,
			.check = true,
			.state = CH_NAME_FAILED,
			.reason = {"dns-failed", "It is dead.", CH_ACTOR_CUSTOMER}};
		struct ch_op_patch patch = fx_step(&orders[i], CH_ORDER_FAILED);

		patch.outcomes = &outcome;
		patch.n_outcomes = 1;
		assert_ok(fx_patch(fx, &patch));
	}
	add(fx, "good1.example", "t");
	add(fx, "good2.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 2);
}

/* An order through these states, and then it fails at the CA. */
static void fail_after(struct fixture *fx, const struct ch_store_order *order,
	const enum ch_order_state *way, size_t n)
{
	struct ch_store_outcome outcome = {.name = order->names[0].name,
		.failed = true,
		.state = CH_NAME_FAILED,
		.next_at_ms = test_now_ms,
		.reason = {"validation", "no", CH_ACTOR_CUSTOMER}};
	struct ch_op_patch patch;

	for (size_t i = 0; i < n; i++) {
		patch = fx_step(order, way[i]);
		patch.keep_lease = true;
		patch.has_attempts = way[i] == CH_ORDER_NEW;
		patch.attempts = 1;
		if (way[i] == CH_ORDER_SEALED) {
			patch.csr = patch.sealed = (const uint8_t *)"x";
			patch.csr_len = patch.sealed_len = 1;
		}
		assert_ok(fx_patch(fx, &patch));
	}
	patch = fx_step(order, CH_ORDER_FAILED);
	patch.outcomes = &outcome;
	patch.n_outcomes = 1;
	assert_ok(fx_patch(fx, &patch));
}

/* A CA counts orders by account; by domain and set it counts certificates. */
static void an_order_that_fails_is_no_certificate(void **state)
{
	static const enum ch_order_state ordered = CH_ORDER_ORDERED;
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("none", "2/300d", "2/300d");
	struct ch_store_order *orders;

	add(fx, "a.example", "t");
	for (int i = 0; i < 5; i++) {
		assert_int_equal(lease(fx, &pace, 1, &orders), 1);
		fail_after(fx, &orders[0], &ordered, 1);
	}
	pace = pace_of("7/300d", "none", "none");
	for (int i = 0; i < 6; i++) {
		assert_int_equal(lease(fx, &pace, 1, &orders), 1);
		fail_after(fx, &orders[0], &ordered, 1);
	}
	/* One of the seven is kept in reserve. */
	assert_int_equal(lease(fx, &pace, 1, &orders), 0);
}

static void who_waited_and_went_is_passed_over(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/2m", "none", "none");
	struct ch_store_order *orders;
	struct ch_store_limits limits;

	add(fx, "a.example", "t");
	add(fx, "b.example", "t");
	add(fx, "c.example", "t");
	add(fx, "d.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "b.example"));
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "c.example"));
	test_now_ms += CH_MINUTE_MS;
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	assert_string_equal(orders[0].names[0].name, "d.example");
	assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
	assert_int_equal(limits.waiting, 0);
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "c.example"));
	test_now_ms += CH_MINUTE_MS;
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
}

static void without_an_issuers_limits_all_that_waited_goes(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/2d", "none", "none");
	struct ch_store_pace none = {0};

	add_many(fx, "t", 20);
	assert_int_equal(lease(fx, &pace, 30, NULL), 1);
	assert_int_equal(lease(fx, &none, 30, NULL), 19);
}

static void a_limit_that_is_lifted_holds_nobody(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("none", "1/365d", "none");
	struct ch_store_pace lifted = pace_of("none", "none", "none");

	add(fx, "a.busy.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	add(fx, "b.busy.example", "t");
	assert_int_equal(lease(fx, &lifted, 10, NULL), 1);
}

static void a_renewal_does_not_wait_for_a_name_that_joins(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/365d", "2/365d", "none");
	struct ch_store_put_item item;
	struct ch_store_order *orders;

	add(fx, "a.example", "t");
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	fx_issue(fx, &orders[0]);
	test_now_ms += RENEW_MS;
	assert_ok(fx_put(fx, "a.example", CH_TRI_YES, NULL, NULL, &item));
	assert_int_equal(lease(fx, &pace, 10, &orders), 1);
	assert_int_equal(orders[0].n_names, 1);
	assert_string_equal(orders[0].names[0].name, "a.example");
}

static void retries_put_nobody_off_for_ever(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("none", "2/2h", "none");

	add(fx, "a.busy.example", "t");
	add(fx, "b.busy.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	for (int i = 0; i < 100; i++) {
		assert_ok(fx_name_op(fx, CH_OP_RETRY, "b.busy.example"));
		assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	}
	add(fx, "c.busy.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_true(fx_get(fx, "c.busy.example").next_at_ms <= test_now_ms + 3 * CH_HOUR_MS);
}

static void full_buckets_are_forgotten(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("10/1h", "10/1h", "10/1h");
	struct ch_store_op op = {.type = CH_OP_HOUSEKEEP};
	struct ch_store_limits limits;

	add(fx, "a.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
	assert_int_equal(limits.n_buckets, 3);
	test_now_ms += 2 * CH_HOUR_MS;
	op.u.housekeep = (struct ch_op_housekeep){.tombstone_keep_ms = CH_DAY_MS,
		.history_keep_ms = CH_DAY_MS,
		.orders_keep_ms = CH_DAY_MS,
		.audit_keep_ms = CH_DAY_MS};
	assert_ok(fx_run(fx, &op));
	assert_int_equal(op.u.housekeep.removed, 3);
}

static void an_order_that_begins_again_takes_a_token_of_its_account(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("4/4h", "5/7d", "none");
	struct ch_store_limits limits;
	struct ch_store_order *order;
	struct ch_op_patch patch;

	add(fx, "one.example", "t");
	assert_int_equal(lease(fx, &pace, 10, &order), 1);
	for (int left = 2; left > 0; left--) {
		patch = fx_step(order, CH_ORDER_ORDERED);
		patch.keep_lease = true;
		assert_ok(fx_patch(fx, &patch));
		patch = fx_step(order, CH_ORDER_NEW);
		assert_ok(fx_patch(fx, &patch));
		assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
		assert_int_equal(limits.n_buckets, 2);
		assert_int_equal(limits.buckets[0].left, left - 1);
		/* What counts certificates has none more. */
		assert_int_equal(limits.buckets[1].left, 3);
		assert_int_equal(lease(fx, &pace, 10, &order), 1);
	}
	/* Without a token it is not due before there is one. */
	patch = fx_step(order, CH_ORDER_ORDERED);
	patch.keep_lease = true;
	assert_ok(fx_patch(fx, &patch));
	patch = fx_step(order, CH_ORDER_NEW);
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_int_equal(fx_get_order(fx, order->id).next_at_ms, START_MS + CH_HOUR_MS);
	test_now_ms += CH_HOUR_MS;
	assert_int_equal(lease(fx, &pace, 10, &order), 1);
	/* One that the CA has not seen yet took its own when it was made. */
	patch = fx_step(order, CH_ORDER_NEW);
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(fx_get_order(fx, order->id).next_at_ms, test_now_ms);
}

static void no_issuer_blocks_a_bucket_for_years(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace evil = pace_of("1/366d", "none", "none");
	struct ch_store_pace pace = pace_of("10/10h", "none", "none");

	add(fx, "one.example", "t");
	assert_int_equal(lease(fx, &evil, 10, NULL), 1);
	add(fx, "two.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	test_now_ms += CH_STORE_LEARN_MAX_MS;
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	/* Nine of ten are kept to: the first comes back an hour later. */
	test_now_ms += CH_HOUR_MS;
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	/* What is within a limit of its own is not touched. */
	add(fx, "three.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	test_now_ms += CH_HOUR_MS;
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
}

/* Limits of certificates count those that were issued, not what failed before. */
static void a_failed_order_uses_up_no_certificate(void **state)
{
	static const enum ch_order_state way[] = {
		CH_ORDER_ORDERED, CH_ORDER_VALIDATING, CH_ORDER_VALID, CH_ORDER_SEALED};
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("20/20h", "10/10d", "5/5d");
	struct ch_store_order *order;

	add(fx, "shop.example", "t");
	for (uint32_t sealed = 0; sealed < 2; sealed++) {
		struct ch_store_limits limits;

		assert_int_equal(lease(fx, &pace, 10, &order), 1);
		fail_after(fx, order, way, sealed ? 4 : 2);
		assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
		/* The CA counts the order; the other time it may have issued something. */
		assert_int_equal(limits.n_buckets, sealed ? 3 : 1);
		for (size_t i = 0; i < limits.n_buckets; i++)
			assert_int_equal(limits.buckets[i].left,
				limits.buckets[i].limit.size - (i ? 1 : sealed + 1));
	}
}

/* The CA may have issued something that was lost, and counts it. */
static void what_may_have_been_issued_is_not_given_back(void **state)
{
	static const enum ch_order_state way[] = {
		CH_ORDER_ORDERED, CH_ORDER_SEALED, CH_ORDER_NEW, CH_ORDER_ORDERED};
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("20/20h", "10/10d", "5/5d");
	struct ch_store_order *order;
	struct ch_store_limits limits;

	add(fx, "shop.example", "t");
	assert_int_equal(lease(fx, &pace, 10, &order), 1);
	fail_after(fx, order, way, CH_ARRAY_LEN(way));
	assert_ok(ch_store_get_limits(fx->store, fx->arena, &limits));
	assert_int_equal(limits.n_buckets, 3);
	for (size_t i = 0; i < limits.n_buckets; i++)
		assert_int_equal(
			limits.buckets[i].left, limits.buckets[i].limit.size - (i ? 1 : 2));
}

static const struct ch_forecast_item *item_of(
	const struct ch_store_queue *queue, const char *name)
{
	for (uint32_t i = 0; i < queue->forecast.n_items; i++)
		if (strcmp(queue->names[i], name) == 0)
			return &queue->forecast.items[i];
	fail_msg("%s is not in line", name);
	return NULL;
}

/* The forecast of all who wait, against what the store then does, minute by minute. */
static void turns_come_as_foretold(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/2m", "none", "none");
	struct ch_store_queue queue;
	char name[64];

	add_many(fx, "big", 40);
	add_many(fx, "small", 5);
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "alone-%d.example", i);
		add(fx, name, i % 2 ? "one" : "two");
		test_now_ms++; /* so that they come one after another */
	}
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_ok(ch_store_get_queue(fx->store, &pace, 1, fx->arena, &queue));
	assert_int_equal(queue.waiting, 64);
	assert_int_equal(queue.forecast.n_items, 64);
	assert_int_equal(queue.forecast.n_tenants, 4);
	assert_ok(ch_forecast_run(&queue.forecast));
	for (uint32_t turn = 0; turn < 64; turn++) {
		struct ch_store_order *orders;
		const struct ch_forecast_item *item;

		while (lease(fx, &pace, 10, &orders) == 0)
			test_now_ms += 1000;
		item = item_of(&queue, orders[0].names[0].name);
		assert_int_equal(item->ahead, turn);
		assert_int_equal(item->limit, CH_FORECAST_ACCOUNT);
		assert_in_range(item->at_ms, test_now_ms - 1000, test_now_ms);
	}
	assert_ok(ch_store_get_queue(fx->store, &pace, 1, fx->arena, &queue));
	assert_int_equal(queue.forecast.n_items, 0);
}

static void names_of_a_full_domain_are_foretold_their_own_time(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/2m", "1/1h", "none");
	struct ch_store_queue queue;
	const struct ch_forecast_item *second;

	add(fx, "first.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	add(fx, "a.busy.example", "t");
	test_now_ms++;
	add(fx, "b.busy.example", "t");
	test_now_ms++;
	add(fx, "calm.example", "t");
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_ok(ch_store_get_queue(fx->store, &pace, 1, fx->arena, &queue));
	assert_int_equal(queue.forecast.n_domains, 3);
	assert_ok(ch_forecast_run(&queue.forecast));
	second = item_of(&queue, "b.busy.example");
	assert_int_equal(second->limit, CH_FORECAST_DOMAIN);
	assert_int_equal(second->at_ms, item_of(&queue, "a.busy.example")->at_ms + CH_HOUR_MS);
	assert_int_equal(item_of(&queue, "calm.example")->limit, CH_FORECAST_ACCOUNT);
	/* Another CA has other buckets. */
	pace.account = "other.test/thumb";
	assert_ok(ch_store_get_queue(fx->store, &pace, 1, fx->arena, &queue));
	assert_ok(ch_forecast_run(&queue.forecast));
	assert_int_equal(item_of(&queue, "a.busy.example")->limit, CH_FORECAST_NONE);
}

static void who_is_not_limited_is_foretold_now(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/2m", "none", "none");
	struct ch_store_pace none = pace_of("none", "none", "none");
	struct ch_store_queue queue;

	add_many(fx, "t", 10);
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	assert_ok(ch_store_get_queue(fx->store, &none, 1, fx->arena, &queue));
	assert_ok(ch_forecast_run(&queue.forecast));
	assert_int_equal(queue.forecast.n_items, 9);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(queue.forecast.items[i].at_ms, test_now_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)
		TEST(no_limit_holds_nobody_up),
		TEST(an_account_gets_what_its_bucket_has),
		TEST(an_order_that_begins_again_takes_a_token_of_its_account),
		TEST(a_failed_order_uses_up_no_certificate),
		TEST(what_may_have_been_issued_is_not_given_back),
		TEST(no_issuer_blocks_a_bucket_for_years),
		TEST(turns_come_as_foretold),
		TEST(names_of_a_full_domain_are_foretold_their_own_time),
		TEST(who_is_not_limited_is_foretold_now),
		TEST(names_that_come_alone_do_not_starve_an_import),
		TEST(a_name_that_came_alone_is_before_those_that_came_with_many),
		TEST(tenants_come_in_turn),
		TEST(one_domains_limit_is_no_others),
		TEST(a_renewal_is_free_but_for_its_own_set),
		TEST(names_that_never_got_to_the_ca_cost_nothing),
		TEST(an_order_that_fails_is_no_certificate),
		TEST(who_waited_and_went_is_passed_over),
		TEST(without_an_issuers_limits_all_that_waited_goes),
		TEST(a_limit_that_is_lifted_holds_nobody),
		TEST(a_renewal_does_not_wait_for_a_name_that_joins),
		TEST(retries_put_nobody_off_for_ever),
		TEST(full_buckets_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
