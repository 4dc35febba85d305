#include "fixture.h"

static void a_new_name_is_pending_and_due_now(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain domain;
	int64_t due;

	assert_ok(ch_store_next_due(fx->store, &due));
	assert_int_equal(due, INT64_MAX);
	fx_add(fx, "shop.example.com");
	domain = fx_get(fx, "shop.example.com");
	assert_string_equal(domain.name, "shop.example.com");
	assert_string_equal(domain.tenant, "default");
	assert_string_equal(domain.pool, "default");
	assert_int_equal(domain.state, CH_NAME_PENDING);
	assert_string_equal(domain.reason.code, "queued");
	assert_int_equal(domain.next_at_ms, START_MS);
	assert_int_equal(domain.order_id, 0);
	assert_null(domain.cert);
	assert_null(domain.www_of);
	assert_false(domain.www);
	assert_true(domain.version > 0);
	assert_ok(ch_store_next_due(fx->store, &due));
	assert_int_equal(due, START_MS);
}

static void an_unknown_name_is_not_found(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_certs certs;
	struct ch_store_domain domain;

	assert_int_equal(
		ch_store_get_domain(fx->store, "x.example", fx->arena, &domain), CH_ENOTFOUND);
	assert_int_equal(
		ch_store_get_certs(fx->store, "x.example", fx->arena, &certs), CH_ENOTFOUND);
	for (int type = CH_OP_DELETE; type <= CH_OP_RESUME; type++)
		assert_refused(fx, fx_name_op(fx, (enum ch_store_op_type)type, "x.example"),
			CH_ENOTFOUND, "domain-not-found");
}

static void a_second_put_changes_only_what_it_names(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item;
	struct ch_store_domain before, after;

	fx_add(fx, "a.example");
	before = fx_get(fx, "a.example");
	test_now_ms += 5;
	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, NULL, NULL, &item));
	assert_int_equal(item.result, CH_PUT_EXISTS);
	assert_false(item.changed);
	after = fx_get(fx, "a.example");
	assert_int_equal(after.updated_at_ms, before.updated_at_ms);
	assert_int_equal(after.version, before.version);
	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, "t2", NULL, &item));
	assert_int_equal(item.result, CH_PUT_EXISTS);
	assert_true(item.changed);
	after = fx_get(fx, "a.example");
	assert_string_equal(after.tenant, "t2");
	assert_string_equal(after.pool, "default");
	assert_int_equal(after.version, before.version);
	assert_int_equal(after.updated_at_ms, test_now_ms);
}

static void another_pool_begins_again_there(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain before, after;

	fx_add_pair(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	before = fx_get(fx, "www.a.example");
	assert_int_equal(before.state, CH_NAME_ACTIVE);
	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, NULL, "eu", NULL));
	after = fx_get(fx, "www.a.example");
	assert_string_equal(after.pool, "eu");
	assert_int_equal(after.state, CH_NAME_PENDING);
	assert_null(after.cert);
	assert_int_equal(after.created_at_ms, before.created_at_ms);
	assert_true(after.version > before.version);
	assert_string_equal(fx_lease_one(fx)->pool, "eu");
}

static void www_registers_both_names_as_a_group(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item;

	assert_ok(fx_put(fx, "a.example", CH_TRI_YES, "t1", "eu", &item));
	assert_true(fx_get(fx, "a.example").www);
	assert_string_equal(fx_get(fx, "www.a.example").www_of, "a.example");
	assert_string_equal(fx_get(fx, "www.a.example").tenant, "t1");
	assert_string_equal(fx_get(fx, "www.a.example").pool, "eu");
	/* Its settings are its first name's. */
	assert_ok(fx_put(fx, "www.a.example", CH_TRI_KEEP, "t2", NULL, &item));
	assert_int_equal(item.result, CH_PUT_REJECTED);
	assert_string_equal(item.problem, "bad-field");
	assert_ok(fx_put(fx, "www.a.example", CH_TRI_KEEP, "t1", "eu", &item));
	assert_int_equal(item.result, CH_PUT_EXISTS);
	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, "t3", NULL, &item));
	assert_string_equal(fx_get(fx, "www.a.example").tenant, "t3");
}

static void www_takes_in_a_name_that_is_there_and_parts_again(void **state)
{
	struct fixture *fx = *state;
	uint64_t version;

	fx_add(fx, "www.a.example");
	version = fx_get(fx, "www.a.example").version;
	assert_ok(fx_put(fx, "a.example", CH_TRI_YES, "t1", NULL, NULL));
	assert_string_equal(fx_get(fx, "www.a.example").www_of, "a.example");
	assert_string_equal(fx_get(fx, "www.a.example").tenant, "t1");
	assert_int_equal(fx_get(fx, "www.a.example").version, version);
	assert_ok(fx_put(fx, "a.example", CH_TRI_NO, NULL, NULL, NULL));
	assert_false(fx_get(fx, "a.example").www);
	assert_null(fx_get(fx, "www.a.example").www_of);
}

static void www_is_refused_where_it_makes_no_sense(void **state)
{
	struct fixture *fx = *state;
	char longest[CH_NAME_MAX + 1];
	const char *names[] = {"www.a.example", "*.a.example", longest};

	memset(longest, 'a', sizeof(longest) - 1);
	longest[CH_NAME_MAX] = '\0';
	for (size_t i = 0; i < CH_ARRAY_LEN(names); i++) {
		struct ch_store_put_item item;
		struct ch_store_domain domain;

		assert_ok(fx_put(fx, names[i], CH_TRI_YES, NULL, NULL, &item));
		assert_int_equal(item.result, CH_PUT_REJECTED);
		assert_string_equal(item.problem, "bad-field");
		assert_non_null(item.detail);
		assert_int_equal(ch_store_get_domain(fx->store, names[i], fx->arena, &domain),
			CH_ENOTFOUND);
	}
	fx_add(fx, longest);
}

static void a_batch_has_a_result_for_each_item(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item items[] = {
		{.name = "a.example"},
		{.name = "www.b.example", .www = CH_TRI_YES},
		{.name = "a.example"},
		{.name = "c.example", .www = CH_TRI_YES},
	};
	struct ch_store_op op = {.type = CH_OP_PUT};

	op.u.put.items = items;
	op.u.put.n_items = CH_ARRAY_LEN(items);
	assert_ok(fx_run(fx, &op));
	assert_int_equal(items[0].result, CH_PUT_CREATED);
	assert_int_equal(items[1].result, CH_PUT_REJECTED);
	assert_int_equal(items[2].result, CH_PUT_EXISTS);
	assert_int_equal(items[3].result, CH_PUT_CREATED);
	op.u.put.n_items = CH_STORE_PUT_MAX + 1;
	assert_refused(fx, fx_run(fx, &op), CH_ETOOBIG, "batch-too-large");
	op.u.put.n_items = 0;
	assert_refused(fx, fx_run(fx, &op), CH_ETOOBIG, "batch-too-large");
}

static void deleting_the_first_name_deletes_its_www_name(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain domain;

	fx_add_pair(fx, "a.example");
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_int_equal(ch_store_get_domain(fx->store, "www.a.example", fx->arena, &domain),
		CH_ENOTFOUND);
	assert_refused(fx, fx_name_op(fx, CH_OP_DELETE, "a.example"), CH_ENOTFOUND,
		"domain-not-found");
	fx_lease_none(fx);
}

static void deleting_the_www_name_leaves_the_first_alone(void **state)
{
	struct fixture *fx = *state;

	fx_add_pair(fx, "a.example");
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "www.a.example"));
	assert_false(fx_get(fx, "a.example").www);
	assert_int_equal(fx_lease_one(fx)->n_names, 1);
}

static void versions_grow_across_delete_and_create(void **state)
{
	struct fixture *fx = *state;
	uint64_t last = 0;

	for (int round = 0; round < 3; round++) {
		fx_add(fx, "a.example");
		assert_true(fx_get(fx, "a.example").version > last);
		last = fx_get(fx, "a.example").version;
		assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
		fx_add(fx, "other.example");
		assert_true(fx_get(fx, "other.example").version > last + 1);
		assert_ok(fx_name_op(fx, CH_OP_DELETE, "other.example"));
		fx_reopen(fx);
	}
}

static void history_is_kept_newest_first_and_survives_deletion(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_event *events;
	size_t n;

	fx_add(fx, "a.example");
	test_now_ms += 1000;
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "a.example"));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_ok(ch_store_get_history(fx->store, "a.example", 50, fx->arena, &events, &n));
	assert_int_equal(n, 3);
	assert_string_equal(events[0].event, "deleted");
	assert_string_equal(events[1].event, "paused");
	assert_int_equal(events[1].actor, CH_ACTOR_NOBODY);
	assert_string_equal(events[2].event, "created");
	assert_int_equal(events[2].at_ms, START_MS);
	assert_ok(ch_store_get_history(fx->store, "a.example", 1, fx->arena, &events, &n));
	assert_int_equal(n, 1);
	assert_ok(ch_store_get_history(fx->store, "never.example", 5, fx->arena, &events, &n));
	assert_int_equal(n, 0);
	assert_int_equal(
		ch_store_get_history(fx->store, "a.example", 0, fx->arena, &events, &n),
		CH_EINVAL);
}

static void a_paused_name_is_not_due_until_resumed(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain domain;
	int64_t due;

	fx_add(fx, "a.example");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "a.example"));
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "a.example"));
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_PAUSED);
	assert_int_equal(domain.next_at_ms, 0);
	assert_ok(ch_store_next_due(fx->store, &due));
	assert_int_equal(due, INT64_MAX);
	fx_lease_none(fx);
	assert_refused(
		fx, fx_name_op(fx, CH_OP_RETRY, "a.example"), CH_ECONFLICT, "domain-paused");
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_PENDING);
	fx_lease_one(fx);
}

static void pausing_keeps_the_certificate_and_resuming_its_renewal(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain domain;

	fx_add(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "a.example"));
	assert_non_null(fx_get(fx, "a.example").cert);
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_int_equal(domain.next_at_ms, START_MS + RENEW_MS);
}

static void changes_with_a_who_are_audited(void **state)
{
	struct fixture *fx = *state;
	static const char *const actions[] = {"domain.delete", "domain.resume", "domain.pause",
		"domain.retry", "domain.change", "domain.create"};
	struct ch_store_audit *entries;
	struct ch_store_op op = {.type = CH_OP_RETRY};
	uint64_t before;
	size_t n;

	fx_add(fx, "a.example");
	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, NULL, NULL, NULL));
	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, "t", NULL, NULL));
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "a.example"));
	op.u.name.name = "a.example";
	assert_ok(fx_run(fx, &op));
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "a.example"));
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_int_not_equal(fx_name_op(fx, CH_OP_DELETE, "a.example"), CH_OK);
	assert_ok(ch_store_list_audit(fx->store, 0, 100, fx->arena, &entries, &n, &before));
	assert_int_equal(n, CH_ARRAY_LEN(actions));
	assert_int_equal(before, 0);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(entries[i].action, actions[i]);
		assert_string_equal(entries[i].who, "operator/default/admin");
		assert_string_equal(entries[i].target, "a.example");
	}
	assert_ok(ch_store_list_audit(fx->store, 0, 4, fx->arena, &entries, &n, &before));
	assert_int_equal(n, 4);
	assert_ok(ch_store_list_audit(fx->store, before, 4, fx->arena, &entries, &n, &before));
	assert_int_equal(n, 2);
	assert_int_equal(before, 0);
	assert_string_equal(entries[0].action, "domain.change");
}

static void names_are_counted_by_state(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_status status;

	fx_add(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	fx_add(fx, "b.example");
	fx_add(fx, "c.example");
	fx_add_pair(fx, "d.example");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "c.example"));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "www.d.example"));
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.names_total, 4);
	assert_int_equal(status.names[CH_NAME_PENDING], 2);
	assert_int_equal(status.names[CH_NAME_ACTIVE], 1);
	assert_int_equal(status.names[CH_NAME_PAUSED], 1);
	assert_int_equal(status.orders_open, 0);
	assert_int_equal(status.next_due_ms, START_MS);
	assert_string_equal(status.expiry_name, "a.example");
	assert_int_equal(status.expiry_ms, START_MS + LIFETIME_MS);
	assert_true(status.schema >= 1);
	assert_int_equal(status.head, fx_feed_info(fx).head);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_new_name_is_pending_and_due_now),
		T(an_unknown_name_is_not_found),
		T(a_second_put_changes_only_what_it_names),
		T(another_pool_begins_again_there),
		T(www_registers_both_names_as_a_group),
		T(www_takes_in_a_name_that_is_there_and_parts_again),
		T(www_is_refused_where_it_makes_no_sense),
		T(a_batch_has_a_result_for_each_item),
		T(deleting_the_first_name_deletes_its_www_name),
		T(deleting_the_www_name_leaves_the_first_alone),
		T(versions_grow_across_delete_and_create),
		T(history_is_kept_newest_first_and_survives_deletion),
		T(a_paused_name_is_not_due_until_resumed),
		T(pausing_keeps_the_certificate_and_resuming_its_renewal),
		T(changes_with_a_who_are_audited),
		T(names_are_counted_by_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
