/* Several accounts: orders go to the first that has room, and edges are told who answers. */
#include "fixture.h"

#define FIRST "one.test/thumb"
#define SECOND "two.test/thumb"
#define LONG_MS (1000 * CH_DAY_MS)

static struct ch_store_pace pace_of(const char *account, const char *orders, const char *domain)
{
	struct ch_store_pace pace = {.account = account};

	assert_ok(ch_limit_parse(orders, &pace.limits[CH_PACED_ACCOUNT]));
	assert_ok(ch_limit_parse(domain, &pace.limits[CH_PACED_DOMAIN]));
	return pace;
}

static struct ch_store_order *lease(struct fixture *fx, const struct ch_store_pace *first,
	const struct ch_store_pace *second, size_t *ret_n)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){
		.issuer = "issuer/default/i1", .max = 50, .lease_ms = LONG_MS, .pace = *first};
	if (second) {
		op.u.lease.fallback[0] = *second;
		op.u.lease.n_fallback = 1;
	}
	assert_ok(fx_run(fx, &op));
	*ret_n = op.u.lease.n_orders;
	return op.u.lease.orders;
}

static size_t under(const struct ch_store_order *orders, size_t n, const char *account)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += strcmp(orders[i].account, account) == 0;
	return found;
}

static void the_first_account_that_has_room_is_used(void **state)
{
	struct fixture *fx = *state;
	/* One of the ten is kept back as a margin. */
	struct ch_store_pace first = pace_of(FIRST, "10/10d", "none");
	struct ch_store_pace second = pace_of(SECOND, "none", "none");
	struct ch_store_order *orders;
	char name[32];
	size_t n;

	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		fx_add(fx, name);
	}
	orders = lease(fx, &first, &second, &n);
	assert_int_equal(n, 12);
	assert_int_equal(under(orders, n, FIRST), 9);
	assert_int_equal(under(orders, n, SECOND), 3);
	/* And back, when there is a token again. */
	test_now_ms += 2 * CH_DAY_MS;
	fx_add(fx, "later.example");
	orders = lease(fx, &first, &second, &n);
	assert_int_equal(n, 1);
	assert_string_equal(orders[0].account, FIRST);
}

static void without_another_one_a_name_waits(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace first = pace_of(FIRST, "2/2d", "none");
	struct ch_store_pace second = pace_of(SECOND, "2/2d", "none");
	char name[32];
	size_t n;

	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		fx_add(fx, name);
	}
	(void)lease(fx, &first, NULL, &n);
	assert_int_equal(n, 1);
	(void)lease(fx, &first, &second, &n);
	assert_int_equal(n, 1);
	(void)lease(fx, &first, &second, &n);
	assert_int_equal(n, 0);
	assert_string_equal(fx_get(fx, "n3.example").reason.code, "ca-limit-account");
}

static void what_is_used_up_for_a_domain_is_so_with_one_ca(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace first = pace_of(FIRST, "none", "1/1d");
	struct ch_store_pace second = pace_of(SECOND, "none", "1/1d");
	struct ch_store_order *orders;
	size_t n;

	fx_add(fx, "a.busy.example");
	fx_add(fx, "b.busy.example");
	fx_add(fx, "c.busy.example");
	orders = lease(fx, &first, &second, &n);
	assert_int_equal(n, 2);
	assert_int_equal(under(orders, n, FIRST), 1);
	assert_int_equal(under(orders, n, SECOND), 1);
	assert_string_equal(fx_get(fx, "c.busy.example").reason.code, "ca-limit-domain");
}

static void too_many_accounts_are_refused(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = 1,
		.lease_ms = LONG_MS,
		.n_fallback = CH_STORE_FALLBACK_MAX + 1};
	assert_refused(fx, fx_run(fx, &op), CH_EINVAL, "bad-field");
}

struct seen {
	struct ch_record last;
	size_t challenges;
};

static int see(const struct ch_store_feed_row *row, void *arg)
{
	struct seen *seen = arg;
	struct ch_record record;

	assert_ok(ch_record_decode(row->record, row->record_len, &record));
	if (record.kind == CH_RECORD_CHALLENGE) {
		seen->challenges++;
		seen->last = record;
	}
	return 0;
}

static struct seen feed(struct fixture *fx, uint64_t after)
{
	struct ch_store_feed_info info;
	struct seen seen = {.challenges = 0};

	assert_ok(ch_store_read_feed(fx->store, "default", after, see, &seen, &info));
	return seen;
}

static int answer_under(
	struct fixture *fx, const struct ch_store_order *order, const char *name, uint64_t hint)
{
	struct ch_store_answerer answerer = {name, hint};
	struct ch_op_patch patch = {.id = order->id,
		.fence = order->fence,
		.keep_lease = true,
		.answerers = &answerer,
		.n_answerers = 1};

	return fx_patch(fx, &patch);
}

static void edges_are_told_who_answers_and_are_waited_for(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;

	fx_add(fx, "a.example");
	assert_ok(fx_ack(fx, "default", "e1", fx_feed_info(fx).head));
	order = fx_lease_one(fx);
	assert_true(order->edges.ready);
	assert_int_equal(order->names[0].account_hint, 0);
	assert_ok(answer_under(fx, order, "a.example", 77));
	assert_int_equal(feed(fx, 0).challenges, 1);
	assert_int_equal(feed(fx, 0).last.account_hint, 77);
	/* Until the edge has it, it is behind. */
	patch = (struct ch_op_patch){.id = order->id, .fence = order->fence};
	assert_ok(fx_patch(fx, &patch));
	assert_false(patch.answer.edges.ready);
	order = fx_lease_one(fx);
	assert_false(order->edges.ready);
	assert_int_equal(order->names[0].account_hint, 77);
	assert_ok(fx_ack(fx, "default", "e1", fx_feed_info(fx).head));
	/* What edges have already is not told again. */
	assert_ok(answer_under(fx, order, "a.example", 77));
	assert_int_equal(feed(fx, fx_feed_info(fx).head - 1).last.account_hint, 77);
	patch = (struct ch_op_patch){.id = order->id, .fence = order->fence};
	assert_ok(fx_patch(fx, &patch));
	assert_true(patch.answer.edges.ready);
}

static void a_name_that_is_not_in_the_order_keeps_its_own(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	fx_add(fx, "b.example");
	assert_ok(answer_under(fx, order, "b.example", 77));
	assert_ok(answer_under(fx, order, "gone.example", 77));
	assert_int_equal(feed(fx, 0).challenges, 0);
}

static void it_goes_with_its_name(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	assert_ok(answer_under(fx, order, "a.example", 77));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_int_equal(feed(fx, 0).challenges, 0);
	/* An edge that has not seen the removal is told that it is as for any other name. */
	fx_add(fx, "a.example");
	assert_int_equal(feed(fx, 0).challenges, 1);
	assert_int_equal(feed(fx, 0).last.account_hint, 0);
	assert_int_equal(fx_lease_one(fx)->names[0].account_hint, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_first_account_that_has_room_is_used, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			without_another_one_a_name_waits, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			what_is_used_up_for_a_domain_is_so_with_one_ca, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			too_many_accounts_are_refused, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			edges_are_told_who_answers_and_are_waited_for, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			a_name_that_is_not_in_the_order_keeps_its_own, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(it_goes_with_its_name, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
