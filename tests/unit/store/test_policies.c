/* What edges are told about a name beside its certificate. */
#include "fixture.h"

#include "wire/policy.h"

/* The newest records of a pool by key, and how many rows there were. */
struct feed {
	char policy[512]; /* "key=upstream|hsts|redirect|tenant;" in the order of the feed */
	size_t rows;
};

static int note_row(const struct ch_store_feed_row *row, void *arg)
{
	static const enum ch_policy_tag order[] = {
		CH_POLICY_UPSTREAM, CH_POLICY_HSTS, CH_POLICY_REDIRECT, CH_POLICY_TENANT};
	struct feed *feed = arg;
	struct ch_record r;
	char key[CH_RECORD_KEY_B];
	size_t len = strlen(feed->policy);

	feed->rows++;
	assert_ok(ch_record_decode(row->record, row->record_len, &r));
	if (r.kind != CH_RECORD_POLICY)
		return 0;
	ch_record_key(r.kind, r.name, r.name_len, key);
	len += (size_t)snprintf(
		feed->policy + len, sizeof(feed->policy) - len, "%.*s=", (int)r.name_len, key);
	for (size_t i = 0; i < CH_ARRAY_LEN(order); i++) {
		struct ch_text_view part = r.policy[order[i]];

		len += (size_t)snprintf(feed->policy + len, sizeof(feed->policy) - len,
			"%.*s%s", (int)part.len, part.len ? part.text : "",
			i + 1 < CH_ARRAY_LEN(order) ? "|" : ";");
	}
	return 0;
}

static struct feed feed_of(struct fixture *fx, const char *pool)
{
	struct ch_store_feed_info info;
	struct feed feed = {.policy = ""};

	assert_ok(ch_store_read_feed(fx->store, pool, 0, note_row, &feed, &info));
	return feed;
}

#define assert_policies(fx, pool, want)                                                        \
	do {                                                                                   \
		struct feed feed_ = feed_of(fx, pool);                                         \
		assert_string_equal(feed_.policy, want);                                       \
	} while (0)

static enum ch_store_put_result put(struct fixture *fx, const char *name, enum ch_store_tri www,
	const char *upstream, const char *hsts, const char *redirect)
{
	struct ch_store_put_item item = {.name = name, .www = www};
	struct ch_store_op op = {.type = CH_OP_PUT, .who = "operator/default/admin"};

	item.policy[CH_POLICY_UPSTREAM] = upstream;
	item.policy[CH_POLICY_HSTS] = hsts;
	item.policy[CH_POLICY_REDIRECT] = redirect;
	op.u.put.items = &item;
	op.u.put.n_items = 1;
	assert_ok(fx_run(fx, &op));
	return item.result;
}

static void a_name_with_defaults_has_no_policy(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "a.example");
	put(fx, "a.example", CH_TRI_KEEP, "", "", "");
	assert_policies(fx, "default", "");
	assert_null(fx_get(fx, "a.example").policy[CH_POLICY_HSTS]);
}

static void a_policy_is_told_changed_and_taken_back(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain d;

	assert_int_equal(
		put(fx, "a.example", CH_TRI_KEEP, "eu-1", "max-age=300", NULL), CH_PUT_CREATED);
	assert_policies(fx, "default", "a.example=eu-1|max-age=300||;");
	assert_int_equal(
		put(fx, "a.example", CH_TRI_KEEP, NULL, "max-age=600", "none"), CH_PUT_EXISTS);
	assert_policies(fx, "default", "a.example=eu-1|max-age=600|none|;");
	d = fx_get(fx, "a.example");
	assert_string_equal(d.policy[CH_POLICY_UPSTREAM], "eu-1");
	assert_string_equal(d.policy[CH_POLICY_HSTS], "max-age=600");
	assert_string_equal(d.policy[CH_POLICY_REDIRECT], "none");
	/* Edges that were told must be told that nothing is left of it. */
	put(fx, "a.example", CH_TRI_KEEP, "", "", "");
	assert_policies(fx, "default", "a.example=|||;");
}

static void the_same_again_is_no_change(void **state)
{
	struct fixture *fx = *state;
	uint64_t head;

	put(fx, "a.example", CH_TRI_KEEP, "eu-1", NULL, NULL);
	head = fx_feed_info(fx).head;
	put(fx, "a.example", CH_TRI_KEEP, "eu-1", NULL, NULL);
	assert_int_equal(fx_feed_info(fx).head, head);
}

static void the_tenant_is_part_of_it(void **state)
{
	struct fixture *fx = *state;

	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, "t1", NULL, NULL));
	assert_policies(fx, "default", "a.example=|||t1;");
	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, "t2", NULL, NULL));
	assert_policies(fx, "default", "a.example=|||t2;");
}

static void a_policy_goes_with_its_name(void **state)
{
	struct fixture *fx = *state;

	put(fx, "a.example", CH_TRI_KEEP, "eu-1", NULL, NULL);
	assert_int_equal(feed_of(fx, "default").rows, 2);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_policies(fx, "default", "");
	assert_int_equal(feed_of(fx, "default").rows, 1);
	/* A name that comes back begins with the defaults, and edges that have not seen the
	 * removal, which is in the feed no longer, are told. */
	fx_add(fx, "a.example");
	assert_policies(fx, "default", "a.example=|||;");
}

static void a_policy_moves_with_its_name_to_another_pool(void **state)
{
	struct fixture *fx = *state;

	put(fx, "a.example", CH_TRI_KEEP, "eu-1", NULL, NULL);
	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, NULL, "p2", NULL));
	assert_policies(fx, "default", "");
	assert_policies(fx, "p2", "a.example=eu-1|||;");
}

static void a_www_name_shares_all_but_the_redirect(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {.name = "www.a.example"};
	struct ch_store_op op = {.type = CH_OP_PUT};

	put(fx, "a.example", CH_TRI_YES, "eu-1", NULL, "none");
	assert_policies(fx, "default", "a.example=eu-1||none|;www.a.example=eu-1|||;");
	put(fx, "www.a.example", CH_TRI_KEEP, NULL, NULL, "a.example");
	put(fx, "a.example", CH_TRI_KEEP, NULL, "max-age=1", NULL);
	assert_policies(fx, "default",
		"a.example=eu-1|max-age=1|none|;www.a.example=eu-1|max-age=1|a.example|;");
	item.policy[CH_POLICY_UPSTREAM] = "us-1";
	op.u.put.items = &item;
	op.u.put.n_items = 1;
	assert_ok(fx_run(fx, &op));
	assert_int_equal(item.result, CH_PUT_REJECTED);
	assert_string_equal(item.problem, "bad-field");
}

static void a_www_names_history_has_what_it_followed(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_event *events;
	size_t n;

	put(fx, "a.example", CH_TRI_YES, "eu-1", NULL, "none");
	put(fx, "a.example", CH_TRI_KEEP, NULL, "max-age=1", NULL);
	assert_ok(ch_store_get_history(fx->store, "www.a.example", 50, fx->arena, &events, &n));
	assert_int_equal(n, 2);
	assert_string_equal(events[0].event, "changed");
	assert_string_equal(events[0].detail, "Settings changed: hsts.");
	/* The redirect is each name's own. */
	put(fx, "a.example", CH_TRI_KEEP, NULL, NULL, "www.a.example");
	assert_ok(ch_store_get_history(fx->store, "www.a.example", 50, fx->arena, &events, &n));
	assert_int_equal(n, 2);
	/* One that is taken in. */
	put(fx, "b.example", CH_TRI_KEEP, "us-1", NULL, NULL);
	put(fx, "www.b.example", CH_TRI_KEEP, NULL, NULL, NULL);
	put(fx, "b.example", CH_TRI_YES, NULL, NULL, NULL);
	assert_ok(ch_store_get_history(fx->store, "www.b.example", 50, fx->arena, &events, &n));
	assert_string_equal(events[0].detail, "Settings changed: upstream.");
}

static void a_policy_does_not_hold_up_an_order(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	uint64_t head;

	fx_add(fx, "a.example");
	head = fx_feed_info(fx).head;
	put(fx, "a.example", CH_TRI_KEEP, "eu-1", NULL, NULL);
	assert_ok(fx_ack(fx, "default", "e1", head));
	order = fx_lease_one(fx);
	assert_true(order->edges.ready);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

static void assert_redirect(struct fixture *fx, const char *name, const char *to)
{
	assert_int_not_equal(put(fx, name, CH_TRI_KEEP, NULL, NULL, to), CH_PUT_REJECTED);
	assert_string_equal(fx_get(fx, name).policy[CH_POLICY_REDIRECT], to);
}

static void assert_loop(struct fixture *fx, const char *name, const char *to, const char *why)
{
	struct ch_store_put_item item = {.name = name};
	struct ch_store_op op = {.type = CH_OP_PUT};

	item.policy[CH_POLICY_REDIRECT] = to;
	op.u.put.items = &item;
	op.u.put.n_items = 1;
	assert_ok(fx_run(fx, &op));
	assert_int_equal(item.result, CH_PUT_REJECTED);
	assert_string_equal(item.problem, "bad-field");
	assert_non_null(strstr(item.detail, why));
}

static void a_redirect_that_leads_back_is_refused(void **state)
{
	struct fixture *fx = *state;

	assert_redirect(fx, "a.example", "b.example");
	assert_loop(fx, "b.example", "a.example", "a.example leads on to b.example");
	/* Nothing came of it. */
	assert_redirect(fx, "b.example", "c.example");
	assert_loop(fx, "c.example", "a.example", "b.example leads on to c.example");
	assert_redirect(fx, "c.example", "d.example");
	/* To itself is to stay, and so is "none". */
	assert_redirect(fx, "d.example", "d.example");
	assert_redirect(fx, "d.example", "none");
	assert_redirect(fx, "e.example", "a.example");
	/* Once it leads elsewhere the other may. */
	assert_redirect(fx, "a.example", "none");
	assert_redirect(fx, "c.example", "a.example");
	assert_loop(fx, "a.example", "b.example", "c.example leads on to a.example");
}

static void two_of_one_batch_do_not_close_a_loop(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item items[] = {{.name = "a.example"}, {.name = "b.example"}};
	struct ch_store_op op = {.type = CH_OP_PUT};

	items[0].policy[CH_POLICY_REDIRECT] = "b.example";
	items[1].policy[CH_POLICY_REDIRECT] = "a.example";
	op.u.put.items = items;
	op.u.put.n_items = 2;
	assert_ok(fx_run(fx, &op));
	assert_int_equal(items[0].result, CH_PUT_CREATED);
	assert_int_equal(items[1].result, CH_PUT_REJECTED);
}

static void a_wildcard_counts_for_the_names_below_it(void **state)
{
	struct fixture *fx = *state;

	/* www.a.example has no record of its own, and stays. */
	assert_redirect(fx, "*.a.example", "www.a.example");
	assert_redirect(fx, "*.a.example", "b.example");
	assert_loop(fx, "b.example", "x.a.example", "x.a.example leads on to b.example");
	assert_redirect(fx, "x.a.example", "none");
	assert_redirect(fx, "b.example", "x.a.example");
	assert_redirect(fx, "*.a.example", "none");
	assert_redirect(fx, "b.example", "y.a.example");
	assert_loop(fx, "*.a.example", "b.example", "y.a.example leads on to b.example");
	/* One that is not there yet, for a name that is not. */
	assert_redirect(fx, "c.example", "x.new.example");
	assert_loop(fx, "*.new.example", "c.example", "x.new.example leads on to c.example");
	assert_redirect(fx, "*.other.example", "c.example");
}

static void a_chain_has_an_end(void **state)
{
	struct fixture *fx = *state;
	char name[32];
	char to[32];

	for (int i = 0; i < 17; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		snprintf(to, sizeof(to), "n%d.example", i + 1);
		assert_redirect(fx, name, to);
	}
	assert_redirect(fx, "short.example", "n1.example");
	assert_loop(fx, "long.example", "n0.example", "over 16 other names");
	assert_loop(fx, "n17.example", "n0.example", "n16.example leads on to n17.example");
	assert_redirect(fx, "n17.example", "n18.example");
	assert_loop(fx, "n18.example", "n0.example", "over 16 other names");
}

/* Of the time when nobody looked: other settings can be changed, and it can be undone. */
static void a_loop_that_is_there_already_stands_in_no_way(void **state)
{
	struct fixture *fx = *state;

	/* The wildcard has taken the place of the name that was there. */
	assert_redirect(fx, "x.a.example", "none");
	assert_redirect(fx, "b.example", "x.a.example");
	assert_redirect(fx, "*.a.example", "b.example");
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "x.a.example"));
	assert_int_equal(
		put(fx, "b.example", CH_TRI_KEEP, "eu", NULL, "x.a.example"), CH_PUT_EXISTS);
	assert_string_equal(fx_get(fx, "b.example").policy[CH_POLICY_UPSTREAM], "eu");
	assert_loop(fx, "c.example", "b.example", "leads on to b.example");
	assert_redirect(fx, "b.example", "none");
	assert_redirect(fx, "c.example", "b.example");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_name_with_defaults_has_no_policy),
		T(a_policy_is_told_changed_and_taken_back),
		T(the_same_again_is_no_change),
		T(the_tenant_is_part_of_it),
		T(a_policy_goes_with_its_name),
		T(a_policy_moves_with_its_name_to_another_pool),
		T(a_www_name_shares_all_but_the_redirect),
		T(a_www_names_history_has_what_it_followed),
		T(a_policy_does_not_hold_up_an_order),
		T(a_redirect_that_leads_back_is_refused),
		T(two_of_one_batch_do_not_close_a_loop),
		T(a_wildcard_counts_for_the_names_below_it),
		T(a_chain_has_an_end),
		T(a_loop_that_is_there_already_stands_in_no_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
