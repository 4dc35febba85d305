/* What is forgotten in time, and what never is. */
#include "fixture.h"

#define KEEP_MS (10 * CH_DAY_MS)

static struct ch_op_housekeep prune(struct fixture *fx, size_t least, size_t max_rows)
{
	struct ch_store_op op = {.type = CH_OP_HOUSEKEEP};

	op.u.housekeep = (struct ch_op_housekeep){.tombstone_keep_ms = KEEP_MS,
		.history_keep_ms = KEEP_MS,
		.history_least = least,
		.orders_keep_ms = KEEP_MS,
		.audit_keep_ms = KEEP_MS,
		.max_rows = max_rows};
	assert_ok(fx_run(fx, &op));
	return op.u.housekeep;
}

static void prune_all(struct fixture *fx, size_t least, size_t max_rows)
{
	while (prune(fx, least, max_rows).more)
		;
}

static size_t entries(struct fixture *fx, const char *name)
{
	struct ch_store_event *events;
	size_t n;

	assert_ok(ch_store_get_history(fx->store, name, 100, fx->arena, &events, &n));
	return n;
}

/* The name's history gets 2 n entries more. */
static void live(struct fixture *fx, const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_ok(fx_name_op(fx, CH_OP_PAUSE, name));
		assert_ok(fx_name_op(fx, CH_OP_RESUME, name));
	}
}

static struct ch_store_pruned pruned(struct fixture *fx)
{
	struct ch_store_status status;

	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	return status.pruned;
}

static void the_last_entries_of_a_name_stay(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "a.example");
	live(fx, "a.example", 5);
	fx_add(fx, "quiet.example");
	test_now_ms += KEEP_MS + 1;
	fx_add(fx, "new.example");
	prune_all(fx, 3, 0);
	assert_int_equal(entries(fx, "a.example"), 3);
	assert_int_equal(entries(fx, "quiet.example"), 1);
	assert_int_equal(entries(fx, "new.example"), 1);
	assert_int_equal(pruned(fx).history, 8);
	assert_int_equal(pruned(fx).at_ms, test_now_ms);
	/* Again: nothing is left to do. */
	prune_all(fx, 3, 0);
	assert_int_equal(pruned(fx).history, 8);
}

static void nothing_younger_goes(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "a.example");
	live(fx, "a.example", 5);
	fx_add(fx, "b.example");
	test_now_ms += KEEP_MS;
	assert_int_equal(prune(fx, 0, 0).removed, 0);
	assert_int_equal(entries(fx, "a.example"), 11);
	assert_int_equal(pruned(fx).history + pruned(fx).orders + pruned(fx).audit, 0);
	assert_int_equal(pruned(fx).at_ms, 0);
	/* An entry that the clock, put back, made older than one before it does not hide it. */
	test_now_ms -= CH_DAY_MS;
	live(fx, "a.example", 1);
	test_now_ms += CH_DAY_MS + 1;
	prune_all(fx, 0, 0);
	assert_int_equal(entries(fx, "a.example"), 2);
}

static void what_a_wrong_clock_wrote_holds_nothing_up(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "a.example");
	test_now_ms += 3000 * CH_DAY_MS;
	live(fx, "a.example", 1);
	test_now_ms -= 3000 * CH_DAY_MS;
	live(fx, "a.example", 3);
	test_now_ms += KEEP_MS + 1;
	live(fx, "a.example", 1);
	prune_all(fx, 0, 0);
	assert_int_equal(entries(fx, "a.example"), 4);
	assert_int_equal(pruned(fx).history, 7);
	/* Nor does what is young go when the clock was wrong the other way. */
	test_now_ms -= 3000 * CH_DAY_MS;
	prune_all(fx, 0, 0);
	assert_int_equal(pruned(fx).history, 7);
	test_now_ms += 3000 * CH_DAY_MS + KEEP_MS + 1;
	fx_add(fx, "b.example");
	prune_all(fx, 0, 0);
	assert_int_equal(entries(fx, "a.example"), 2);
}

static void what_was_kept_as_the_last_goes_when_later_ones_are_old(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "a.example");
	live(fx, "a.example", 2);
	test_now_ms += KEEP_MS + 1;
	live(fx, "a.example", 2);
	prune_all(fx, 3, 0);
	assert_int_equal(entries(fx, "a.example"), 4);
	assert_int_equal(pruned(fx).history, 5);
	test_now_ms += KEEP_MS + 1;
	live(fx, "a.example", 1);
	prune_all(fx, 5, 0);
	assert_int_equal(entries(fx, "a.example"), 5);
	test_now_ms += KEEP_MS + 1;
	fx_add(fx, "b.example");
	prune_all(fx, 3, 0);
	assert_int_equal(entries(fx, "a.example"), 3);
	assert_int_equal(entries(fx, "b.example"), 1);
}

static void of_a_removed_name_all_goes(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "gone.example");
	live(fx, "gone.example", 3);
	test_now_ms += KEEP_MS + 1;
	fx_add(fx, "a.example");
	prune_all(fx, 100, 0);
	assert_int_equal(entries(fx, "gone.example"), 7);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "gone.example"));
	prune_all(fx, 100, 0);
	assert_int_equal(entries(fx, "gone.example"), 8); /* "deleted" is young */
	test_now_ms += KEEP_MS + 1;
	fx_add(fx, "b.example");
	prune_all(fx, 100, 0);
	assert_int_equal(entries(fx, "gone.example"), 0);
	assert_int_equal(entries(fx, "a.example"), 1);
}

static void small_shares_come_to_the_same(void **state)
{
	struct fixture *fx = *state;

	for (size_t i = 0; i < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "n%zu.example", i);
		fx_add(fx, name);
		live(fx, name, 4);
	}
	test_now_ms += KEEP_MS + 1;
	fx_add(fx, "new.example");
	assert_true(prune(fx, 2, 1).more);
	assert_int_equal(pruned(fx).history, 1);
	for (size_t rows = 1; rows < 4; rows++)
		prune_all(fx, 2, rows);
	assert_int_equal(entries(fx, "n0.example"), 2);
	assert_int_equal(entries(fx, "n1.example"), 2);
	assert_int_equal(entries(fx, "n2.example"), 2);
	assert_int_equal(pruned(fx).history, 21);
}

/* SQLite would give the ids of removed rows out again. */
static void what_comes_after_everything_has_gone_goes_in_its_time(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "a.example");
	live(fx, "a.example", 5);
	test_now_ms += KEEP_MS + 1;
	prune_all(fx, 0, 0);
	assert_int_equal(entries(fx, "a.example"), 1);
	fx_reopen(fx);
	live(fx, "a.example", 2);
	assert_int_equal(entries(fx, "a.example"), 5);
	test_now_ms += KEEP_MS + 1;
	fx_reopen(fx);
	prune_all(fx, 0, 0);
	assert_int_equal(entries(fx, "a.example"), 1);
	assert_int_equal(pruned(fx).history, 14);
}

static void what_protects_names_is_not_in_the_policy(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {.name = "a.example", .tenant = "t1"};
	struct ch_store_op op = {.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};
	uint64_t version;

	assert_ok(fx_run(fx, &op));
	fx_issue(fx, fx_lease_one(fx));
	fx_add(fx, "live.example");
	fx_issue(fx, fx_lease_one(fx));
	version = fx_get(fx, "live.example").cert->version;
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	test_now_ms += KEEP_MS + 1;
	prune_all(fx, 0, 0);
	assert_true(pruned(fx).orders >= 2);
	assert_true(pruned(fx).audit > 0);
	assert_int_equal(fx_get(fx, "live.example").cert->version, version);
	item = (struct ch_store_put_item){
		.name = "a.example", .tenant = "t2", .ask_proof = true};
	assert_ok(fx_run(fx, &op));
	assert_int_equal(item.result, CH_PUT_REJECTED);
	assert_string_equal(item.problem, "claim-needed");
	test_now_ms += CH_STORE_HOLDERS_KEEP_MS;
	prune_all(fx, 0, 0);
	item = (struct ch_store_put_item){
		.name = "a.example", .tenant = "t2", .ask_proof = true};
	assert_ok(fx_run(fx, &op));
	assert_int_equal(item.result, CH_PUT_CREATED);
}

static size_t audit(struct fixture *fx, struct ch_store_audit **ret_entries)
{
	uint64_t before;
	size_t n;

	assert_ok(ch_store_list_audit(fx->store, 0, 9, fx->arena, ret_entries, &n, &before));
	return n;
}

static void pause_as(struct fixture *fx, const char *name)
{
	struct ch_store_op op = {.type = CH_OP_PAUSE, .who = "operator/default/admin"};

	op.u.name.name = name;
	assert_ok(fx_run(fx, &op));
}

/* Who has copied the log goes by them. */
static void ids_of_the_audit_log_do_not_come_again(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_audit *entries;
	uint64_t last;

	fx_add(fx, "a.example");
	pause_as(fx, "a.example");
	assert_true(audit(fx, &entries) >= 1);
	last = entries[0].id;
	for (int i = 0; i < 2; i++) {
		test_now_ms += KEEP_MS + 1;
		prune_all(fx, 0, i);
		assert_int_equal(audit(fx, &entries), 1);
		assert_int_equal(entries[0].id, last);
	}
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	pause_as(fx, "a.example");
	assert_true(audit(fx, &entries) >= 2);
	assert_true(entries[0].id > last);
	/* The old one is not the newest any more. */
	last = entries[0].id;
	prune_all(fx, 0, 1);
	audit(fx, &entries);
	assert_int_equal(entries[0].id, last);
	assert_true(entries[audit(fx, &entries) - 1].at_ms >= test_now_ms - KEEP_MS);
}

/* More of them than one call removes; they go in their own time. */
static void what_a_clock_ahead_has_dated_keeps_nothing_else(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_audit *entries;
	size_t n;

	fx_add(fx, "a.example");
	test_now_ms += 3 * KEEP_MS;
	for (int i = 0; i < 2; i++) {
		pause_as(fx, "a.example");
		assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	}
	test_now_ms = START_MS;
	pause_as(fx, "a.example");
	test_now_ms += KEEP_MS;
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	pause_as(fx, "a.example");
	n = audit(fx, &entries);
	prune_all(fx, 0, 0);
	assert_int_equal(audit(fx, &entries), n);
	test_now_ms += 1;
	prune_all(fx, 0, 2);
	n = audit(fx, &entries);
	for (size_t i = 0; i < n; i++)
		assert_true(entries[i].at_ms > START_MS);
	assert_true(n > 2 && entries[n - 1].at_ms == START_MS + 3 * KEEP_MS);
	test_now_ms = START_MS + 4 * KEEP_MS + 1;
	prune_all(fx, 0, 2);
	assert_int_equal(audit(fx, &entries), 1);
}

/* Of the history, too.  Here a turn looks at 200 rows of each. */
static void more_that_is_dated_ahead_than_a_turn_looks_at_keeps_nothing_else(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_audit *entries_of;
	struct ch_store_pruned before;
	size_t turns = 0;

	fx_add(fx, "a.example");
	test_now_ms += 3 * KEEP_MS;
	for (int i = 0; i < 450; i++) {
		pause_as(fx, "a.example");
		assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	}
	test_now_ms = START_MS + 1;
	pause_as(fx, "a.example");
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	test_now_ms += KEEP_MS;
	pause_as(fx, "a.example");
	prune_all(fx, 0, 1);
	before = pruned(fx);
	test_now_ms += 1;
	while (prune(fx, 0, 1).more)
		turns++;
	assert_int_equal(pruned(fx).audit - before.audit, 2);
	assert_int_equal(pruned(fx).history - before.history, 2);
	assert_true(turns < 20);
	/* They are looked at again, and go in their time. */
	test_now_ms = START_MS + 4 * KEEP_MS + 1;
	pause_as(fx, "a.example");
	prune_all(fx, 0, 100);
	assert_int_equal(audit(fx, &entries_of), 1);
	assert_int_equal(entries(fx, "a.example"), 1);
}

static uint64_t alert(struct fixture *fx, const char *subject)
{
	const struct ch_store_trouble trouble = {
		.kind = "ca-down", .subject = subject, .source = "s", .detail = "It is down."};
	struct ch_store_op op = {.type = CH_OP_ALERTS,
		.u.alerts = {.source = "s", .troubles = &trouble, .n_troubles = 1}};
	struct ch_store_alert *alerts;
	size_t n;

	assert_ok(fx_run(fx, &op));
	assert_ok(ch_store_list_alerts(fx->store, true, 9, fx->arena, &alerts, &n));
	assert_string_equal(alerts[0].subject, subject);
	return alerts[0].id;
}

static void ids_of_alerts_do_not_come_again(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op none = {.type = CH_OP_ALERTS, .u.alerts = {.source = "s"}};
	struct ch_store_alert *alerts;
	uint64_t first = alert(fx, "one");
	size_t n;

	test_now_ms += CH_STORE_ALERT_STALE_MS + 1;
	assert_ok(fx_run(fx, &none));
	test_now_ms += CH_STORE_ALERTS_KEEP_MS + 1;
	prune_all(fx, 0, 0);
	assert_true(alert(fx, "two") > first);
	prune_all(fx, 0, 0);
	assert_ok(ch_store_list_alerts(fx->store, true, 9, fx->arena, &alerts, &n));
	assert_int_equal(n, 1);
}

/* The clock was ahead while it was there, right again when it was removed: nothing of it comes
 * after what the sweep has passed over. */
static void of_a_removed_name_goes_what_a_clock_ahead_has_dated(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "here.example");
	test_now_ms += 5 * KEEP_MS;
	for (int i = 0; i < 30; i++)
		live(fx, "here.example", 1);
	fx_add(fx, "gone.example");
	live(fx, "gone.example", 3);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "gone.example"));
	test_now_ms = START_MS + 1;
	live(fx, "here.example", 2);
	test_now_ms += KEEP_MS + 1;
	live(fx, "here.example", 1);
	prune_all(fx, 100, 0);
	/* It is young by its own time, and stays until that is over. */
	assert_int_equal(entries(fx, "gone.example"), 8);
	test_now_ms = START_MS + 6 * KEEP_MS;
	prune_all(fx, 100, 0);
	assert_int_equal(entries(fx, "gone.example"), 8);
	test_now_ms += 1;
	/* In shares of 20 rows, of which there are more. */
	for (int i = 0; i < 5; i++)
		prune_all(fx, 100, 1);
	assert_int_equal(entries(fx, "gone.example"), 0);
	assert_int_equal(entries(fx, "here.example"), 67);
}

/* What is dated ahead of a name that is there, and its last entries, are none of that. */
static void of_a_name_that_is_there_nothing_goes_by_that(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "here.example");
	test_now_ms += 5 * KEEP_MS;
	live(fx, "here.example", 3);
	test_now_ms = START_MS + 1;
	live(fx, "here.example", 1);
	test_now_ms += KEEP_MS + 1;
	live(fx, "here.example", 1);
	prune_all(fx, 100, 0);
	test_now_ms = START_MS + 7 * KEEP_MS;
	for (int i = 0; i < 3; i++)
		prune_all(fx, 100, 2);
	assert_int_equal(entries(fx, "here.example"), 11);
}

static enum ch_actor actor_of(struct fixture *fx, const char *name)
{
	return fx_get(fx, name).reason.actor;
}

/* Stores of before said so of each name that was paused by a command. */
static void for_paused_names_the_platform_need_not_act_any_more(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "asked.example");
	fx_add(fx, "by-ca.example");
	fx_add(fx, "waits.example");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "asked.example"));
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "by-ca.example"));
	fx_rewrite(fx, "UPDATE name SET actor = 'platform'");
	fx_rewrite(fx, "UPDATE name SET code = 'ca-paused' WHERE name = 'by-ca.example'");
	prune_all(fx, 100, 1);
	assert_int_equal(actor_of(fx, "asked.example"), CH_ACTOR_NOBODY);
	assert_int_equal(fx_get(fx, "asked.example").state, CH_NAME_PAUSED);
	assert_int_equal(actor_of(fx, "by-ca.example"), CH_ACTOR_PLATFORM);
	assert_int_equal(actor_of(fx, "waits.example"), CH_ACTOR_PLATFORM);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(the_last_entries_of_a_name_stay),
		T(nothing_younger_goes),
		T(what_a_wrong_clock_wrote_holds_nothing_up),
		T(what_was_kept_as_the_last_goes_when_later_ones_are_old),
		T(of_a_removed_name_all_goes),
		T(ids_of_the_audit_log_do_not_come_again),
		T(what_a_clock_ahead_has_dated_keeps_nothing_else),
		T(more_that_is_dated_ahead_than_a_turn_looks_at_keeps_nothing_else),
		T(of_a_removed_name_goes_what_a_clock_ahead_has_dated),
		T(of_a_name_that_is_there_nothing_goes_by_that),
		T(ids_of_alerts_do_not_come_again),
		T(small_shares_come_to_the_same),
		T(what_comes_after_everything_has_gone_goes_in_its_time),
		T(for_paused_names_the_platform_need_not_act_any_more),
		T(what_protects_names_is_not_in_the_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
