/* New certificates before their renewal. */
#include "fixture.h"

#define SPACING_US INT64_C(60000000)

static struct ch_op_rekey rekey_op(struct fixture *fx, struct ch_op_rekey in)
{
	struct ch_store_op op = {.type = CH_OP_REKEY};

	op.u.rekey = in;
	if (!op.u.rekey.max)
		op.u.rekey.max = CH_STORE_REKEY_MAX;
	assert_ok(fx_run(fx, &op));
	return op.u.rekey;
}

static struct ch_store_rekey look(struct fixture *fx)
{
	struct ch_store_rekey rekey;

	assert_ok(ch_store_get_rekey(fx->store, &rekey));
	return rekey;
}

static void live(struct fixture *fx, const char *name, const char *tenant)
{
	assert_ok(fx_put(fx, name, CH_TRI_KEEP, tenant, NULL, NULL));
	fx_issue(fx, fx_lease_one(fx));
	test_now_ms += CH_MINUTE_MS;
}

static void the_oldest_go_first_and_apart(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_rekey done;
	int64_t at_ms;

	live(fx, "z.example", NULL);
	live(fx, "a.example", NULL);
	at_ms = test_now_ms + CH_HOUR_MS;
	done = rekey_op(fx,
		(struct ch_op_rekey){.begin = true, .at_ms = at_ms, .spacing_us = SPACING_US});
	assert_int_equal(done.matched, 2);
	assert_false(done.more);
	assert_int_equal(fx_get(fx, "z.example").next_at_ms, at_ms);
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, at_ms + CH_MINUTE_MS);
	assert_int_equal(look(fx).total, 2);
	assert_int_equal(look(fx).left, 2);
	assert_int_equal(look(fx).until_ms, at_ms + CH_MINUTE_MS);
	test_now_ms = at_ms;
	fx_issue(fx, fx_lease_one(fx));
	assert_int_equal(look(fx).left, 1);
	test_now_ms += 2 * CH_HOUR_MS;
	assert_int_equal(look(fx).late, 1);
	fx_issue(fx, fx_lease_one(fx));
	fx_lease_none(fx);
	assert_int_equal(look(fx).left, 0);
	assert_int_equal(look(fx).until_ms, 0);
}

static void a_dry_run_and_a_filter_that_fits_nothing_change_nothing(void **state)
{
	struct fixture *fx = *state;
	int64_t next_at_ms;
	int64_t issued_ms = test_now_ms;

	live(fx, "a.example", "t1");
	next_at_ms = fx_get(fx, "a.example").next_at_ms;
	assert_int_equal(
		rekey_op(fx, (struct ch_op_rekey){.begin = true, .dry_run = true}).matched, 1);
	assert_int_equal(rekey_op(fx, (struct ch_op_rekey){.filter.tenant = "t2"}).matched, 0);
	assert_int_equal(rekey_op(fx, (struct ch_op_rekey){.filter.pool = "p2"}).matched, 0);
	assert_int_equal(
		rekey_op(fx, (struct ch_op_rekey){.filter.issuer = "Nobody"}).matched, 0);
	assert_true(
		rekey_op(fx, (struct ch_op_rekey){.filter.issuer = "cn=TEST", .dry_run = true})
			.matched > 0);
	assert_int_equal(
		rekey_op(fx, (struct ch_op_rekey){.filter.issued_before_ms = issued_ms})
			.matched,
		0);
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, next_at_ms);
	assert_int_equal(look(fx).total, 0);
	assert_int_equal(
		rekey_op(fx, (struct ch_op_rekey){.filter = {.issued_before_ms = issued_ms + 1,
							  .tenant = "t1",
							  .pool = "default"}})
			.matched,
		1);
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, test_now_ms);
}

static void what_is_planned_keeps_its_turn(void **state)
{
	struct fixture *fx = *state;
	int64_t at_ms;

	live(fx, "a.example", NULL);
	at_ms = test_now_ms + CH_HOUR_MS;
	rekey_op(fx, (struct ch_op_rekey){.begin = true, .at_ms = at_ms});
	rekey_op(fx, (struct ch_op_rekey){.begin = true, .at_ms = at_ms + CH_HOUR_MS});
	rekey_op(fx, (struct ch_op_rekey){.begin = true});
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, at_ms);
	assert_int_equal(look(fx).total, 1);
	/* A renewal that is due before is not put off. */
	live(fx, "b.example", NULL);
	rekey_op(fx, (struct ch_op_rekey){.at_ms = test_now_ms + LIFETIME_MS});
	assert_true(fx_get(fx, "b.example").next_at_ms < test_now_ms + LIFETIME_MS);
}

static int64_t needed_by(struct fixture *fx)
{
	const struct ch_store_order *order = fx_lease_one(fx);
	int64_t by_ms = order->names[0].needed_by_ms;

	fx_issue(fx, order);
	test_now_ms += CH_MINUTE_MS;
	return by_ms;
}

static void who_leases_it_hears_when_it_is_needed(void **state)
{
	struct fixture *fx = *state;
	int64_t ends_ms;
	int64_t now_ms;

	fx_add(fx, "a.example");
	assert_int_equal(needed_by(fx), 0);
	ends_ms = fx_get(fx, "a.example").cert->not_after_ms;
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "a.example"));
	assert_int_equal(needed_by(fx), ends_ms);
	now_ms = test_now_ms;
	rekey_op(fx, (struct ch_op_rekey){.begin = true});
	assert_int_equal(needed_by(fx), now_ms + 4 * CH_HOUR_MS);
}

/* What was not replaced in time, nor revoked, still ends. */
static void a_turn_that_is_long_over_is_not_the_end(void **state)
{
	struct fixture *fx = *state;
	int64_t ends_ms;

	live(fx, "a.example", NULL);
	ends_ms = fx_get(fx, "a.example").cert->not_after_ms;
	rekey_op(fx, (struct ch_op_rekey){.begin = true});
	test_now_ms += 5 * CH_HOUR_MS;
	assert_int_equal(needed_by(fx), ends_ms);
}

static void it_goes_on_from_the_cursor(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_rekey one = {.max = 1, .begin = true};
	size_t matched = 0;
	int calls = 0;

	live(fx, "a.example", NULL);
	live(fx, "b.example", NULL);
	live(fx, "c.example", NULL);
	do {
		one = rekey_op(
			fx, (struct ch_op_rekey){.max = 1, .begin = !calls, .after = one.last});
		matched += one.matched;
		calls++;
	} while (one.more);
	assert_int_equal(matched, 3);
	assert_int_equal(calls, 3);
	assert_int_equal(look(fx).left, 3);
}

static void names_that_cannot_be_are_passed_over(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_rekey done;

	live(fx, "paused.example", NULL);
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "paused.example"));
	live(fx, "busy.example", NULL);
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "busy.example"));
	(void)fx_lease_one(fx);
	fx_add(fx, "new.example");
	done = rekey_op(fx, (struct ch_op_rekey){.begin = true});
	assert_int_equal(done.matched, 0);
	assert_int_equal(done.passed_over, 2);
}

/* A call that plans is a short one, whatever it is asked for; whoever is killed begins again.
 */
static void many_are_planned_in_parts(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_rekey done;
	char name[32];
	int64_t at_ms;

	for (int i = 0; i < 120; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		live(fx, name, NULL);
	}
	at_ms = test_now_ms + CH_HOUR_MS;
	done = rekey_op(fx, (struct ch_op_rekey){.begin = true, .dry_run = true});
	assert_int_equal(done.matched, 120);
	assert_false(done.more);
	done = rekey_op(fx, (struct ch_op_rekey){.begin = true, .at_ms = at_ms});
	assert_int_equal(done.matched, 100);
	assert_true(done.more);
	assert_int_equal(look(fx).total, 100);
	assert_true(fx_get(fx, "n100.example").next_at_ms > at_ms);
	done = rekey_op(fx, (struct ch_op_rekey){.begin = true, .at_ms = at_ms + 1});
	assert_int_equal(done.matched, 100);
	done = rekey_op(fx, (struct ch_op_rekey){.after = done.last, .at_ms = at_ms + 1});
	assert_int_equal(done.matched, 20);
	assert_false(done.more);
	assert_int_equal(look(fx).total, 120);
	assert_int_equal(fx_get(fx, "n99.example").next_at_ms, at_ms);
	assert_int_equal(fx_get(fx, "n100.example").next_at_ms, at_ms + 1);
}

static void a_pair_counts_once_and_a_name_that_goes_is_not_awaited(void **state)
{
	struct fixture *fx = *state;

	fx_add_pair(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	assert_int_equal(rekey_op(fx, (struct ch_op_rekey){.begin = true}).matched, 1);
	assert_int_equal(fx_lease_one(fx)->n_names, 2);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_int_equal(look(fx).left, 0);
}

static void bad_limits_are_refused(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_REKEY};

	op.u.rekey.max = CH_STORE_REKEY_MAX + 1;
	assert_refused(fx, fx_run(fx, &op), CH_EINVAL, "bad-field");
	op.u.rekey = (struct ch_op_rekey){.max = 1, .spacing_us = -1};
	assert_refused(fx, fx_run(fx, &op), CH_EINVAL, "bad-field");
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(the_oldest_go_first_and_apart),
		T(a_dry_run_and_a_filter_that_fits_nothing_change_nothing),
		T(what_is_planned_keeps_its_turn),
		T(who_leases_it_hears_when_it_is_needed),
		T(a_turn_that_is_long_over_is_not_the_end),
		T(it_goes_on_from_the_cursor),
		T(names_that_cannot_be_are_passed_over),
		T(many_are_planned_in_parts),
		T(a_pair_counts_once_and_a_name_that_goes_is_not_awaited),
		T(bad_limits_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
