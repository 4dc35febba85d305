/* Leases and steps. */
#include "fixture.h"

static void a_lease_makes_an_order_of_a_due_name(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_store_domain domain;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	assert_int_equal(order->state, CH_ORDER_NEW);
	assert_int_equal(order->fence, 1);
	assert_int_equal(order->n_names, 1);
	assert_string_equal(order->names[0].name, "a.example");
	assert_int_equal(order->names[0].failures, 0);
	assert_false(order->renewal);
	assert_string_equal(order->pool, "default");
	assert_string_equal(order->lease_issuer, "issuer/default/i1");
	assert_int_equal(order->lease_until_ms, START_MS + LEASE_MS);
	assert_null(order->acme);
	assert_null(order->csr);
	assert_false(order->has_leaf);
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.order_id, order->id);
	assert_int_equal(domain.state, CH_NAME_PENDING);
	fx_lease_none(fx);
}

static void a_pair_shares_an_order(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	fx_add_pair(fx, "a.example");
	order = fx_lease_one(fx);
	assert_int_equal(order->n_names, 2);
	assert_string_equal(order->names[0].name, "a.example");
	assert_string_equal(order->names[1].name, "www.a.example");
	assert_int_equal(fx_get(fx, "www.a.example").order_id, order->id);
}

static void a_paused_name_is_left_out_of_its_pair(void **state)
{
	struct fixture *fx = *state;

	fx_add_pair(fx, "a.example");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "www.a.example"));
	assert_int_equal(fx_lease_one(fx)->n_names, 1);
	assert_int_equal(fx_get(fx, "www.a.example").state, CH_NAME_PAUSED);
}

static void open_orders_come_before_new_ones_and_max_holds(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *orders;
	struct ch_op_patch patch;
	size_t n;

	fx_add(fx, "a.example");
	orders = fx_lease(fx, 1, &n);
	fx_add(fx, "b.example");
	fx_add(fx, "c.example");
	fx_add(fx, "d.example");
	test_now_ms += 10;
	patch = fx_step(&orders[0], CH_ORDER_ORDERED);
	assert_ok(fx_patch(fx, &patch));
	orders = fx_lease(fx, 2, &n);
	assert_int_equal(n, 2);
	assert_string_equal(orders[0].names[0].name, "a.example");
	assert_int_equal(orders[0].state, CH_ORDER_ORDERED);
	assert_int_equal(orders[1].state, CH_ORDER_NEW);
	fx_lease(fx, 10, &n);
	assert_int_equal(n, 2);
}

/* Behind a canary, say, many orders wait and are looked at again and again. */
static void names_without_an_order_get_a_share_of_each_lease(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *orders;
	struct ch_op_patch patch;
	size_t n;
	size_t fresh = 0;

	for (char name[] = "a.example"; name[0] < 'i'; name[0]++)
		fx_add(fx, name);
	orders = fx_lease(fx, 8, &n);
	assert_int_equal(n, 8);
	for (size_t i = 0; i < n; i++) {
		patch = fx_step(&orders[i], CH_ORDER_ORDERED);
		patch.keep_lease = false;
		assert_ok(fx_patch(fx, &patch));
	}
	for (char name[] = "p.example"; name[0] < 't'; name[0]++)
		fx_add(fx, name);
	orders = fx_lease(fx, 8, &n);
	assert_int_equal(n, 8);
	for (size_t i = 0; i < n; i++)
		fresh += orders[i].state == CH_ORDER_NEW;
	assert_int_equal(fresh, 2);
	/* Where there are none, all of it is for the others. */
	orders = fx_lease(fx, 8, &n);
	assert_int_equal(n, 4);
}

/* Without limits nobody stands in line: one tenant's import would be all that gets orders. */
static void behind_many_the_last_to_come_get_orders_too(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *orders;
	char name[32];
	size_t n;

	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "import%02d.example", i);
		fx_add(fx, name);
		test_now_ms++;
	}
	fx_add(fx, "single.example");
	orders = fx_lease(fx, 8, &n);
	assert_int_equal(n, 8);
	assert_string_equal(orders[5].names[0].name, "import05.example");
	assert_string_equal(orders[6].names[0].name, "single.example");
	assert_string_equal(orders[7].names[0].name, "import19.example");
	/* Where there is room for all they come in their order, each once. */
	orders = fx_lease(fx, 64, &n);
	assert_int_equal(n, 13);
	assert_string_equal(orders[0].names[0].name, "import06.example");
	assert_string_equal(orders[12].names[0].name, "import18.example");
}

/* A share of so little room is none. */
static void one_place_is_for_the_one_that_is_due_the_longest(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *orders;
	size_t n;

	fx_add(fx, "first.example");
	test_now_ms++;
	fx_add(fx, "last.example");
	orders = fx_lease(fx, 1, &n);
	assert_int_equal(n, 1);
	assert_string_equal(orders[0].names[0].name, "first.example");
}

static void bad_leases_are_refused(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){.issuer = "i", .max = 0, .lease_ms = 1000};
	assert_refused(fx, fx_run(fx, &op), CH_EINVAL, "bad-field");
	op.u.lease.max = CH_STORE_LEASE_MAX + 1;
	assert_refused(fx, fx_run(fx, &op), CH_EINVAL, "bad-field");
	op.u.lease.max = 1;
	op.u.lease.lease_ms = 0;
	assert_refused(fx, fx_run(fx, &op), CH_EINVAL, "bad-field");
}

static void a_step_is_written_and_the_lease_given_back(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order, seen;
	struct ch_op_patch patch;
	int64_t due;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	patch = fx_step(order, CH_ORDER_VALIDATING);
	patch.acme = "{\"order\":\"https://ca/1\"}";
	patch.next_at_ms = START_MS + 5000;
	patch.has_attempts = true;
	patch.attempts = 3;
	patch.has_reason = true;
	patch.reason = (struct ch_store_reason){"checking", "The CA looks.", CH_ACTOR_CA};
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(patch.answer.state, CH_ORDER_VALIDATING);
	assert_int_equal(patch.answer.fence, order->fence);
	seen = fx_get_order(fx, order->id);
	assert_int_equal(seen.attempts, 3);
	assert_int_equal(seen.next_at_ms, START_MS + 5000);
	assert_null(seen.lease_issuer);
	assert_string_equal(seen.reason.code, "checking");
	assert_null(seen.acme);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_VALIDATING);
	assert_string_equal(fx_get(fx, "a.example").reason.detail, "The CA looks.");
	assert_int_equal(fx_get(fx, "a.example").reason.actor, CH_ACTOR_CA);
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, START_MS + 5000);
	assert_ok(ch_store_next_due(fx->store, &due));
	assert_int_equal(due, START_MS + 5000);
	fx_lease_none(fx);
	test_now_ms += 5000;
	order = fx_lease_one(fx);
	assert_int_equal(order->fence, 2);
	assert_string_equal(order->acme, "{\"order\":\"https://ca/1\"}");
}

static void a_lease_can_be_kept_over_a_write(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	patch = fx_step(order, CH_ORDER_ORDERED);
	patch.keep_lease = true;
	assert_ok(fx_patch(fx, &patch));
	fx_lease_none(fx);
	assert_string_equal(fx_get_order(fx, order->id).lease_issuer, "issuer/default/i1");
}

static void a_lease_that_ran_out_is_taken_over_and_the_old_fence_is_lost(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *first, *second;
	struct ch_op_patch patch;

	fx_add(fx, "a.example");
	first = fx_lease_one(fx);
	fx_seal(fx, first);
	test_now_ms += LEASE_MS - 1;
	fx_lease_none(fx);
	test_now_ms += 1;
	assert_null(fx_get_order(fx, first->id).lease_issuer);
	second = fx_lease_one(fx);
	assert_int_equal(second->id, first->id);
	assert_int_equal(second->fence, first->fence + 1);
	assert_int_equal(second->state, CH_ORDER_SEALED);
	assert_memory_equal(second->sealed, "sealed", 6);
	assert_memory_equal(second->csr, "csr", 3);
	patch = fx_step(first, CH_ORDER_FINALIZING);
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "fence-lost");
	assert_refused(
		fx, fx_publish(fx, fx_publication(fx, first, 1)), CH_ECONFLICT, "fence-lost");
	assert_int_equal(fx_get_order(fx, first->id).state, CH_ORDER_SEALED);
	patch = fx_step(second, CH_ORDER_FINALIZING);
	assert_ok(fx_patch(fx, &patch));
}

static void states_only_go_forward(void **state)
{
	struct fixture *fx = *state;
	static const enum ch_order_state refused[] = {CH_ORDER_ORDERED, CH_ORDER_VALIDATING,
		CH_ORDER_SEALED, CH_ORDER_FINALIZING, CH_ORDER_CONFIRMING, CH_ORDER_DONE};
	struct ch_store_order *order;
	struct ch_op_patch patch;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	patch = fx_step(order, CH_ORDER_VALID);
	assert_ok(fx_patch(fx, &patch));
	for (size_t i = 0; i < CH_ARRAY_LEN(refused); i++) {
		patch = fx_step(order, refused[i]);
		assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "order-state");
	}
	patch = fx_step(order, CH_ORDER_FAILED); /* without what becomes of the name */
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "order-state");
	patch = fx_step(order, CH_ORDER_VALID);
	assert_ok(fx_patch(fx, &patch));
	patch.id += 1000;
	assert_refused(fx, fx_patch(fx, &patch), CH_ENOTFOUND, "order-not-found");
}

static void csr_and_sealed_come_together_with_state_sealed(void **state)
{
	struct fixture *fx = *state;
	const uint8_t *bytes = (const uint8_t *)"x";
	struct ch_store_order *order;
	struct ch_op_patch patch;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	patch = fx_step(order, CH_ORDER_SEALED);
	patch.csr = bytes;
	patch.csr_len = 1;
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "order-state");
	patch.sealed = bytes;
	patch.sealed_len = 1;
	patch.state = CH_ORDER_VALID;
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "order-state");
	patch.has_state = false;
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "order-state");
	patch.has_state = true;
	patch.state = CH_ORDER_SEALED;
	assert_ok(fx_patch(fx, &patch));
}

static void too_much_is_refused(void **state)
{
	struct fixture *fx = *state;
	char *acme = ch_arena_alloc(fx->arena, CH_STORE_ACME_MAX_B + 2);
	uint8_t *bytes = ch_arena_alloc(fx->arena, CH_STORE_SEALED_MAX_B + 1);
	struct ch_store_order *order;
	struct ch_op_patch patch;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	memset(acme, 'x', CH_STORE_ACME_MAX_B + 1);
	patch = (struct ch_op_patch){
		.id = order->id, .fence = 1, .acme = acme, .keep_lease = true};
	assert_refused(fx, fx_patch(fx, &patch), CH_ETOOBIG, "bad-field");
	acme[CH_STORE_ACME_MAX_B] = '\0';
	assert_ok(fx_patch(fx, &patch));
	patch = fx_step(order, CH_ORDER_SEALED);
	patch.csr = patch.sealed = bytes;
	patch.csr_len = 1;
	patch.sealed_len = CH_STORE_SEALED_MAX_B + 1;
	assert_refused(fx, fx_patch(fx, &patch), CH_ETOOBIG, "bad-field");
	patch.csr_len = CH_STORE_CSR_MAX_B + 1;
	patch.sealed_len = 1;
	assert_refused(fx, fx_patch(fx, &patch), CH_ETOOBIG, "bad-field");
}

static void long_reasons_are_cut_between_characters(void **state)
{
	struct fixture *fx = *state;
	char *detail = ch_arena_alloc(fx->arena, 3 * CH_STORE_DETAIL_MAX + 1);
	struct ch_store_order *order;
	struct ch_op_patch patch;
	const char *kept;

	for (int i = 0; i < CH_STORE_DETAIL_MAX; i++)
		memcpy(detail + 3 * i, "\xe2\x82\xac", 3);
	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	patch = fx_step(order, CH_ORDER_ORDERED);
	patch.has_reason = true;
	patch.reason = (struct ch_store_reason){"long", detail, CH_ACTOR_CA};
	assert_ok(fx_patch(fx, &patch));
	kept = fx_get(fx, "a.example").reason.detail;
	assert_int_equal(strlen(kept), CH_STORE_DETAIL_MAX - CH_STORE_DETAIL_MAX % 3);
	assert_memory_equal(kept, detail, strlen(kept));
}

static void an_order_can_begin_again_until_it_is_published(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	patch = fx_step(order, CH_ORDER_NEW);
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_PENDING);
	order = fx_lease_one(fx);
	assert_null(order->csr);
	assert_null(order->sealed);
	assert_null(order->acme);
	fx_seal(fx, order);
	assert_ok(fx_publish(fx, fx_publication(fx, order, 1)));
	patch = fx_step(order, CH_ORDER_NEW);
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "order-state");
}

static void the_states_of_names_follow_those_of_orders(void **state)
{
	struct fixture *fx = *state;
	static const struct {
		enum ch_order_state order;
		enum ch_name_state name;
	} steps[] = {
		{CH_ORDER_NEW, CH_NAME_PENDING},
		{CH_ORDER_ORDERED, CH_NAME_VALIDATING},
		{CH_ORDER_VALIDATING, CH_NAME_VALIDATING},
		{CH_ORDER_VALID, CH_NAME_ISSUING},
	};

	for (int renewal = 0; renewal < 2; renewal++) {
		struct ch_store_order *order;

		if (!renewal)
			fx_add(fx, "a.example");
		order = fx_lease_one(fx);
		assert_int_equal(order->renewal, renewal);
		for (size_t i = 0; i < CH_ARRAY_LEN(steps); i++) {
			struct ch_op_patch patch = fx_step(order, steps[i].order);

			assert_ok(fx_patch(fx, &patch));
			assert_int_equal(fx_get(fx, "a.example").state,
				renewal ? CH_NAME_RENEWING : steps[i].name);
		}
		fx_seal(fx, order);
		assert_ok(fx_publish(fx, fx_publication(fx, order, (uint8_t)(1 + renewal))));
		assert_int_equal(fx_get(fx, "a.example").state,
			renewal ? CH_NAME_RENEWING : CH_NAME_ISSUING);
		fx_finish(fx, order);
		assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
		assert_string_equal(fx_get(fx, "a.example").reason.code, "ok");
		fx_lease_none(fx);
		test_now_ms += RENEW_MS;
	}
}

static void done_may_say_what_is_still_wrong(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	assert_ok(fx_publish(fx, fx_publication(fx, order, 1)));
	patch = fx_step(order, CH_ORDER_DONE);
	patch.has_reason = true;
	patch.reason = (struct ch_store_reason){
		"probe-mismatch", "Another serial.", CH_ACTOR_PLATFORM};
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
	assert_string_equal(fx_get(fx, "a.example").reason.code, "probe-mismatch");
	/* The answer was lost: the same again, but nothing else. */
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(patch.answer.state, CH_ORDER_DONE);
	patch.state = CH_ORDER_NEW;
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "order-state");
	patch.state = CH_ORDER_DONE;
	patch.fence++;
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "fence-lost");
}

static void orders_are_listed_newest_first(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order_filter filter = {.limit = 2};
	struct ch_store_order_page page;
	struct ch_store_order *orders;
	size_t n;

	fx_add(fx, "a.example");
	fx_add(fx, "b.example");
	fx_add(fx, "c.example");
	orders = fx_lease(fx, 10, &n);
	assert_int_equal(n, 3);
	fx_issue(fx, &orders[0]);
	assert_ok(ch_store_list_orders(fx->store, &filter, fx->arena, &page));
	assert_int_equal(page.n_orders, 2);
	assert_true(page.orders[0].id > page.orders[1].id);
	filter.before = page.before;
	assert_ok(ch_store_list_orders(fx->store, &filter, fx->arena, &page));
	assert_int_equal(page.n_orders, 1);
	assert_int_equal(page.before, 0);
	filter = (struct ch_store_order_filter){
		.limit = 5, .has_state = true, .state = CH_ORDER_DONE};
	assert_ok(ch_store_list_orders(fx->store, &filter, fx->arena, &page));
	assert_int_equal(page.n_orders, 1);
	assert_int_equal(page.orders[0].id, orders[0].id);
	filter.name = "b.example";
	assert_ok(ch_store_list_orders(fx->store, &filter, fx->arena, &page));
	assert_int_equal(page.n_orders, 0);
	filter.has_state = false;
	assert_ok(ch_store_list_orders(fx->store, &filter, fx->arena, &page));
	assert_int_equal(page.n_orders, 1);
	filter.limit = CH_STORE_LIST_MAX + 1;
	assert_int_equal(ch_store_list_orders(fx->store, &filter, fx->arena, &page), CH_EINVAL);
	assert_int_equal(
		ch_store_get_order(fx->store, 999999, fx->arena, &orders[0]), CH_ENOTFOUND);
}

static void open_and_waiting_orders_are_counted(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *orders;
	struct ch_store_status status;
	struct ch_op_patch patch;
	size_t n;

	fx_add(fx, "a.example");
	fx_add(fx, "b.example");
	fx_add(fx, "c.example");
	orders = fx_lease(fx, 10, &n);
	patch = fx_step(&orders[0], CH_ORDER_ORDERED);
	patch.next_at_ms = START_MS + 5000;
	assert_ok(fx_patch(fx, &patch));
	patch = fx_step(&orders[1], CH_ORDER_ORDERED);
	assert_ok(fx_patch(fx, &patch));
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.orders_open, 3);
	assert_int_equal(status.orders_waiting, 1);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_lease_makes_an_order_of_a_due_name),
		T(a_pair_shares_an_order),
		T(a_paused_name_is_left_out_of_its_pair),
		T(open_orders_come_before_new_ones_and_max_holds),
		T(names_without_an_order_get_a_share_of_each_lease),
		T(behind_many_the_last_to_come_get_orders_too),
		T(one_place_is_for_the_one_that_is_due_the_longest),
		T(bad_leases_are_refused),
		T(a_step_is_written_and_the_lease_given_back),
		T(a_lease_can_be_kept_over_a_write),
		T(a_lease_that_ran_out_is_taken_over_and_the_old_fence_is_lost),
		T(states_only_go_forward),
		T(csr_and_sealed_come_together_with_state_sealed),
		T(too_much_is_refused),
		T(long_reasons_are_cut_between_characters),
		T(an_order_can_begin_again_until_it_is_published),
		T(the_states_of_names_follow_those_of_orders),
		T(done_may_say_what_is_still_wrong),
		T(orders_are_listed_newest_first),
		T(open_and_waiting_orders_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
