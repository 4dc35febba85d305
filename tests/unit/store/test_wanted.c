/* Names that visitors are waiting for: store/store_wanted.h. */
#include "wanted.h"

#define HALF_MINUTE_MS (30 * CH_SECOND_MS)

static struct ch_store_wanted see(struct fixture *fx, const char *name)
{
	struct ch_op_wanted wanted = {.pool = "default", .names = &name, .n_names = 1};
	struct ch_store_wanted seen;

	assert_ok(ch_store_see_wanted(fx->store, &wanted, fx->arena, &seen));
	return seen;
}

/* In line, with this class; -1: not in line. */
static int class_in_line(struct fixture *fx, const char *name)
{
	struct ch_store_queue queue;

	assert_ok(ch_store_get_queue(fx->store, NULL, 0, fx->arena, &queue));
	for (size_t i = 0; i < queue.forecast.n_items; i++)
		if (strcmp(queue.names[i], name) == 0)
			return queue.forecast.items[i].class;
	return -1;
}

/* How many turns of others are foreseen before its own. */
static uint32_t foreseen(struct fixture *fx, const struct ch_store_pace *pace, const char *name)
{
	struct ch_store_queue queue;

	assert_ok(ch_store_get_queue(fx->store, pace, 1, fx->arena, &queue));
	assert_ok(ch_forecast_run(&queue.forecast));
	for (size_t i = 0; i < queue.forecast.n_items; i++)
		if (strcmp(queue.names[i], name) == 0)
			return queue.forecast.items[i].ahead;
	fail_msg("%s is not in line", name);
	return 0;
}

/* One order each minute. */
static struct ch_store_pace slow(void)
{
	return pace_of("2/2m", "none", "none");
}

static const char *next_of(struct fixture *fx, const struct ch_store_pace *pace)
{
	struct ch_store_order *orders;

	assert_int_equal(lease(fx, pace, 10, &orders), 1);
	return orders->names[0].name;
}

static void what_stands_in_line_is_moved_at_once(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = slow();

	add(fx, "first.example", "a");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	add(fx, "new.example", "a");
	import(fx, many(fx, "big", 5), "b");
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_int_equal(class_in_line(fx, "big-0003.example"), CH_CLASS_BACKLOG);
	assert_true(foreseen(fx, &pace, "big-0003.example") >= 4);
	assert_int_equal(want(fx, "big-0003.example"), 1);
	assert_int_equal(foreseen(fx, &pace, "big-0003.example"), 0);
	assert_int_equal(foreseen(fx, &pace, "new.example"), 1);
	assert_int_equal(class_in_line(fx, "big-0003.example"), CH_CLASS_VISITOR);
	assert_int_equal(class_in_line(fx, "big-0002.example"), CH_CLASS_BACKLOG);
	assert_int_equal(fx_get(fx, "big-0003.example").wanted_at_ms, test_now_ms);
	assert_int_equal(fx_get(fx, "big-0002.example").wanted_at_ms, 0);
	test_now_ms += CH_MINUTE_MS;
	assert_string_equal(next_of(fx, &pace), "big-0003.example");
	assert_int_equal(fx_get(fx, "big-0003.example").wanted_at_ms, 0);
	assert_int_equal(want(fx, "big-0003.example"), 0); /* it has an order */
	test_now_ms += CH_MINUTE_MS;
	assert_string_equal(next_of(fx, &pace), "new.example");
}

/* In line already, and looked at only then. */
static void who_is_asked_for_first_has_the_first_turn(void **state)
{
	static const char *const turns[] = {
		"big-0002.example", "big-0001.example", "late.example"};
	struct fixture *fx = *state;
	struct ch_store_pace pace = slow();

	add(fx, "first.example", "a");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	import(fx, many(fx, "big", 3), "b");
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	add(fx, "late.example", "b");
	for (size_t i = 0; i < CH_ARRAY_LEN(turns); i++) {
		test_now_ms += CH_SECOND_MS;
		assert_int_equal(want(fx, turns[i]), 1);
	}
	for (size_t i = 0; i < CH_ARRAY_LEN(turns); i++) {
		test_now_ms += CH_MINUTE_MS;
		assert_string_equal(next_of(fx, &pace), turns[i]);
	}
}

static void what_is_due_stands_in_line_as_wanted(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = slow();

	add(fx, "first.example", "a");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	import(fx, many(fx, "big", 3), "b");
	assert_int_equal(want(fx, "big-0002.example"), 1);
	assert_int_equal(class_in_line(fx, "big-0002.example"), -1);
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_int_equal(class_in_line(fx, "big-0002.example"), CH_CLASS_VISITOR);
	assert_int_equal(class_in_line(fx, "big-0001.example"), CH_CLASS_BACKLOG);
}

static bool is_handed_out(const struct ch_store_looking *looking, const char *name)
{
	for (size_t i = 0; i < looking->n_looks; i++)
		if (strcmp(looking->looks[i].key.name, name) == 0)
			return true;
	return false;
}

static void behind_many_it_is_handed_out_first(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_looking looking;

	import(fx, many(fx, "old", 40), "a");
	test_now_ms++;
	import(fx, many(fx, "mid", 40), "a");
	test_now_ms++;
	import(fx, many(fx, "late", 40), "a");
	looking = hand_out(fx, 8);
	assert_false(is_handed_out(&looking, "mid-0020.example"));
	assert_int_equal(want(fx, "mid-0020.example"), 1);
	looking = hand_out(fx, 8);
	assert_int_equal(looking.n_looks, 8);
	assert_string_equal(looking.looks[0].key.name, "mid-0020.example");
	/* The others' share. */
	assert_int_equal(want_many(fx, many(fx, "mid", 40)), 40);
	looking = hand_out(fx, 8);
	assert_int_equal(looking.n_looks, 8);
	assert_memory_equal(looking.looks[3].key.name, "mid", 3);
	assert_memory_equal(looking.looks[4].key.name, "old", 3);
	assert_memory_equal(looking.looks[7].key.name, "late", 4);
	/* It is not handed out twice, and counts while it is looked at. */
	assert_int_equal(want(fx, "mid-0020.example"), 1);
	assert_int_equal(hand_out(fx, 1000).n_looks, 120 - 4 * 8 + 8);
	assert_int_equal(hand_out(fx, 1000).n_looks, 0);
}

static void without_looks_it_goes_first_too(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = {.account = NULL};
	struct ch_store_order *orders;

	import(fx, many(fx, "old", 40), "a");
	test_now_ms++;
	import(fx, many(fx, "mid", 40), "a");
	test_now_ms++;
	import(fx, many(fx, "late", 40), "a");
	assert_int_equal(want_many(fx, many(fx, "mid", 30)), 30);
	assert_int_equal(lease(fx, &pace, 8, &orders), 8);
	assert_memory_equal(orders[0].names[0].name, "mid", 3);
	assert_memory_equal(orders[3].names[0].name, "mid", 3);
	assert_memory_equal(orders[4].names[0].name, "old", 3);
}

static void what_gains_nothing_is_passed_over(void **state)
{
	struct fixture *fx = *state;
	static const char *const names[] = {"absent.example", "else.example", "failed.example",
		"live.example", "ordered.example", "paused.example", "NOT A NAME"};
	struct ch_store_put_item item;
	struct ch_store_looking looking;

	add(fx, "live.example", "a");
	fx_issue(fx, fx_lease_one(fx));
	add(fx, "ordered.example", "a");
	(void)fx_lease_one(fx);
	add(fx, "failed.example", "a");
	looking = hand_out(fx, 1);
	bury(fx, &looking.looks[0].key, test_now_ms + CH_HOUR_MS);
	fx_rewrite(fx, "UPDATE name SET code = 'caa-failed' WHERE name = 'failed.example'");
	add(fx, "paused.example", "a");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "paused.example"));
	assert_ok(fx_put(fx, "else.example", CH_TRI_KEEP, "a", "other", &item));
	assert_int_equal(want_all(fx, "default", names, CH_ARRAY_LEN(names)), 0);
	for (size_t i = 1; i < CH_ARRAY_LEN(names) - 1; i++)
		assert_int_equal(fx_get(fx, names[i]).wanted_at_ms, 0);
	/* The controls. */
	assert_int_equal(want_all(fx, "other", names, CH_ARRAY_LEN(names)), 1);
	test_now_ms += CH_HOUR_MS;
	assert_int_equal(want(fx, "failed.example"), 1);
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "paused.example"));
	assert_int_equal(want(fx, "paused.example"), 1);
}

static void too_many_names_are_refused(void **state)
{
	struct fixture *fx = *state;
	struct many *m = many(fx, "a", CH_STORE_WANTED_MAX + 1);
	struct ch_store_op op = {.type = CH_OP_WANTED};
	struct ch_store_wanted seen;

	op.u.wanted =
		(struct ch_op_wanted){.pool = "default", .names = m->list, .n_names = m->n};
	assert_refused(fx, fx_run(fx, &op), CH_EINVAL, "bad-field");
	assert_int_equal(
		ch_store_see_wanted(fx->store, &op.u.wanted, fx->arena, &seen), CH_EINVAL);
	op.u.wanted.n_names = 0;
	assert_refused(fx, fx_run(fx, &op), CH_EINVAL, "bad-field");
}

static void what_is_known_is_seen_without_writing(void **state)
{
	struct fixture *fx = *state;
	static const char *const twice[] = {"a.example", "b.example", "a.example"};
	struct ch_store_wanted seen;
	struct ch_store_status status;

	add(fx, "a.example", "a");
	seen = see(fx, "a.example");
	assert_int_equal(seen.n_new, 1);
	assert_string_equal(seen.new[0], "a.example");
	assert_int_equal(seen.n_counted, 0);
	assert_int_equal(fx_get(fx, "a.example").wanted_at_ms, 0);
	assert_int_equal(want_all(fx, "default", twice, 3), 1);
	seen = see(fx, "a.example");
	assert_int_equal(seen.n_new, 0);
	assert_int_equal(seen.n_counted, 1);
	seen = see(fx, "b.example");
	assert_int_equal(seen.n_new + seen.n_counted, 0);
	/* Since when: the first time. */
	test_now_ms += CH_MINUTE_MS;
	assert_int_equal(want(fx, "a.example"), 1);
	assert_int_equal(fx_get(fx, "a.example").wanted_at_ms, START_MS);
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.wanted_taken, 1);
}

static void only_so_many_of_a_tenant_count(void **state)
{
	struct fixture *fx = *state;
	struct many *m = many(fx, "big", CH_STORE_WANTED_TENANT_MAX + 20);

	import(fx, m, "big");
	add(fx, "a.example", "small");
	assert_int_equal(want_many(fx, m), CH_STORE_WANTED_TENANT_MAX);
	assert_int_equal(want_many(fx, m), CH_STORE_WANTED_TENANT_MAX);
	assert_int_equal(see(fx, m->list[m->n - 1]).n_new, 0);
	assert_int_equal(want(fx, "a.example"), 1);
	/* One goes: another one may come. */
	for (size_t i = 0; i < m->n; i++)
		if (fx_get(fx, m->list[i]).wanted_at_ms) {
			assert_ok(fx_name_op(fx, CH_OP_DELETE, m->list[i]));
			break;
		}
	assert_int_equal(want_many(fx, m), CH_STORE_WANTED_TENANT_MAX);
}

static void only_so_many_of_a_pool_count(void **state)
{
	static const char *const elsewhere = "b.example";
	struct fixture *fx = *state;
	struct ch_store_put_item item;
	char tenant[16];
	char name[16];

	for (int i = 0; i < CH_STORE_WANTED_ALL_MAX / CH_STORE_WANTED_TENANT_MAX; i++) {
		struct many *m;

		snprintf(name, sizeof(name), "n%d", i);
		snprintf(tenant, sizeof(tenant), "t%d", i);
		m = many(fx, name, CH_STORE_WANTED_TENANT_MAX);
		import(fx, m, tenant);
		assert_int_equal(want_many(fx, m), CH_STORE_WANTED_TENANT_MAX);
	}
	add(fx, "a.example", "small");
	assert_int_equal(see(fx, "a.example").n_new, 0);
	assert_int_equal(want(fx, "a.example"), 0);
	/* Whoever asks for all names of a pool keeps no other's visitors waiting. */
	assert_ok(fx_put(fx, elsewhere, CH_TRI_KEEP, "small", "other", &item));
	assert_int_equal(want_all(fx, "other", &elsewhere, 1), 1);
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "n3-0007.example"));
	assert_int_equal(want(fx, "a.example"), 1);
}

static void it_ends_with_what_happens_to_the_name(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item;
	struct ch_store_looking looking;

	add(fx, "moved.example", "a");
	assert_int_equal(want(fx, "moved.example"), 1);
	assert_ok(fx_put(fx, "moved.example", CH_TRI_KEEP, "a", "other", &item));
	assert_int_equal(fx_get(fx, "moved.example").wanted_at_ms, 0);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "moved.example"));

	add(fx, "paused.example", "a");
	assert_int_equal(want(fx, "paused.example"), 1);
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "paused.example"));
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "paused.example"));
	assert_int_equal(fx_get(fx, "paused.example").wanted_at_ms, 0);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "paused.example"));

	add(fx, "dead.example", "a");
	assert_int_equal(want(fx, "dead.example"), 1);
	looking = hand_out(fx, 10);
	assert_int_equal(looking.n_looks, 1);
	bury(fx, &looking.looks[0].key, test_now_ms + CH_HOUR_MS);
	assert_int_equal(fx_get(fx, "dead.example").wanted_at_ms, 0);

	/* Not with a try that is asked for. */
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "dead.example"));
	assert_int_equal(want(fx, "dead.example"), 1);
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "dead.example"));
	assert_int_equal(fx_get(fx, "dead.example").wanted_at_ms, test_now_ms);
}

static void its_mate_is_in_the_same_order(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = slow();

	add(fx, "first.example", "a");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	fx_add_pair(fx, "pair.example");
	assert_int_equal(want(fx, "pair.example"), 1);
	assert_int_equal(want(fx, "www.pair.example"), 1);
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	test_now_ms += CH_MINUTE_MS;
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	assert_int_equal(fx_get(fx, "pair.example").wanted_at_ms, 0);
	assert_int_equal(fx_get(fx, "www.pair.example").wanted_at_ms, 0);
}

static void one_that_has_failed_is_wanted_like_any(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = slow();
	struct ch_store_looking looking;

	add(fx, "failed.example", "a");
	looking = hand_out(fx, 1);
	bury(fx, &looking.looks[0].key, test_now_ms + CH_HOUR_MS);
	add(fx, "first.example", "a");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	test_now_ms += CH_HOUR_MS;
	add(fx, "second.example", "a");
	add(fx, "third.example", "a");
	assert_int_equal(want(fx, "failed.example"), 1);
	assert_string_equal(next_of(fx, &pace), "failed.example");
}

static void after_a_day_it_is_one_of_the_others(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("2/60d", "none", "none");
	struct ch_op_housekeep house;

	add(fx, "first.example", "a");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	add(fx, "a.example", "a");
	import(fx, many(fx, "big", 3), "b");
	assert_int_equal(want(fx, "a.example"), 1);
	assert_int_equal(want(fx, "big-0001.example"), 1);
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_int_equal(class_in_line(fx, "a.example"), CH_CLASS_VISITOR);
	test_now_ms += CH_DAY_MS;
	house = fx_housekeep(fx);
	assert_int_equal(class_in_line(fx, "a.example"), CH_CLASS_VISITOR);
	test_now_ms++;
	house = fx_housekeep(fx);
	assert_false(house.more);
	assert_int_equal(class_in_line(fx, "a.example"), CH_CLASS_NEW);
	assert_int_equal(class_in_line(fx, "big-0001.example"), CH_CLASS_BACKLOG);
	assert_int_equal(fx_get(fx, "a.example").wanted_at_ms, 0);
	assert_int_equal(want(fx, "a.example"), 1);
	assert_int_equal(class_in_line(fx, "a.example"), CH_CLASS_VISITOR);
}

/* Nobody else is kept out by what cannot have an order for days. */
static void what_waits_for_its_own_limit_makes_room(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pace pace = pace_of("100/1h", "2/56d", "none");

	add(fx, "a.shared.example", "a");
	assert_int_equal(lease(fx, &pace, 10, NULL), 1);
	add(fx, "b.shared.example", "a");
	assert_int_equal(want(fx, "b.shared.example"), 1);
	assert_int_equal(lease(fx, &pace, 10, NULL), 0);
	assert_waits(fx, "b.shared.example", "ca-limit-domain");
	assert_int_equal(fx_get(fx, "b.shared.example").wanted_at_ms, 0);
	assert_int_equal(want(fx, "b.shared.example"), 0);
}

/* As at Let's Encrypt. */
static struct ch_store_pace letsencrypt(void)
{
	return pace_of("300/3h", "50/7d", "5/7d");
}

/* Whoever asks for all names of a large tenant, again and again; returns after how many turns
 * the name has its order. */
static int turns_until(struct fixture *fx, const char *name)
{
	struct ch_store_pace pace = letsencrypt();
	struct many *big = many(fx, "big", CH_STORE_PUT_MAX);

	import(fx, big, "big");
	while (lease(fx, &pace, CH_STORE_LEASE_MAX, NULL))
		continue;
	for (int i = 0; i < 100; i++) {
		(void)want_many(fx, big);
		test_now_ms += HALF_MINUTE_MS;
		(void)lease(fx, &pace, 10, NULL);
	}
	add(fx, name, "small");
	for (int turns = 0; turns < 100;) {
		size_t n;

		(void)want_many(fx, big);
		if (name[0] == 'w')
			(void)want(fx, name);
		n = lease(fx, &pace, 10, NULL);
		turns += (int)n;
		if (fx_get(fx, name).order_id)
			return turns;
		test_now_ms += HALF_MINUTE_MS;
	}
	return 100;
}

static void who_asks_for_all_of_a_tenant_does_not_starve_another(void **state)
{
	/* Its class has one of sixteen turns at least: with the backlog it shares one of eight.
	 */
	assert_in_range(turns_until(*state, "new.example"), 1, 16);
}

static void another_tenants_name_that_is_wanted_is_next(void **state)
{
	assert_in_range(turns_until(*state, "wanted.example"), 1, 2);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_stands_in_line_is_moved_at_once),
		T(who_is_asked_for_first_has_the_first_turn),
		T(what_is_due_stands_in_line_as_wanted),
		T(behind_many_it_is_handed_out_first),
		T(without_looks_it_goes_first_too),
		T(what_gains_nothing_is_passed_over),
		T(too_many_names_are_refused),
		T(what_is_known_is_seen_without_writing),
		T(only_so_many_of_a_tenant_count),
		T(only_so_many_of_a_pool_count),
		T(it_ends_with_what_happens_to_the_name),
		T(its_mate_is_in_the_same_order),
		T(one_that_has_failed_is_wanted_like_any),
		T(after_a_day_it_is_one_of_the_others),
		T(what_waits_for_its_own_limit_makes_room),
		T(who_asks_for_all_of_a_tenant_does_not_starve_another),
		T(another_tenants_name_that_is_wanted_is_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
