/* What the store sees of edges, frozen feeds and names that wait, and how bad it finds it. */
#include "../store/fixture.h"

#include "stored/alerts.h"
#include "wire/edge_error.h"

#define EDGE "edge/default/e1"

/* NULL: there is none. */
static const struct ch_store_trouble *look(
	struct fixture *fx, const char *kind, const char *subject)
{
	const struct ch_store_trouble *found = NULL;
	struct ch_troubles troubles;

	assert_ok(ch_troubles_look(fx->store, fx->arena, &troubles));
	for (size_t i = 0; i < troubles.n; i++)
		if (strcmp(troubles.list[i].kind, kind) == 0 &&
			strcmp(troubles.list[i].subject, subject) == 0) {
			assert_null(found);
			found = &troubles.list[i];
		}
	return found;
}

static void ack(struct fixture *fx, uint64_t seq, uint64_t names, const char *error)
{
	struct ch_store_op op = {.type = CH_OP_EDGE_ACK};
	struct ch_store_feed_info info = fx_feed_info(fx);

	op.u.edge_ack = (struct ch_op_edge_ack){.pool = "default",
		.id = "e1",
		.seq = seq,
		.names = names,
		.software = "t",
		.error = error};
	memcpy(op.u.edge_ack.epoch, info.epoch, sizeof(info.epoch));
	assert_ok(fx_run(fx, &op));
}

static void an_edge_that_is_well_is_none(void **state)
{
	struct fixture *fx = *state;

	ack(fx, 0, 0, NULL);
	assert_null(look(fx, "edge-in-trouble", EDGE));
	fx_add(fx, "a.example");
	/* It has not heard of it yet. */
	assert_null(look(fx, "edge-in-trouble", EDGE));
	ack(fx, fx_feed_info(fx).head, 1, NULL);
	assert_null(look(fx, "edge-in-trouble", EDGE));
}

static void what_an_edge_reports_is_a_warning(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_trouble *found;

	ack(fx, 0, 0, "1 record refused: a.example.");
	found = look(fx, "edge-in-trouble", EDGE);
	assert_non_null(found);
	assert_false(found->critical);
	assert_string_equal(found->detail, "The edge reports: 1 record refused: a.example.");
	/* The word must stand in front. */
	ack(fx, 0, 0, "No space left. " CH_EDGE_CRITICAL "no.");
	assert_false(look(fx, "edge-in-trouble", EDGE)->critical);
}

static void an_edge_that_says_so_is_critical(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_trouble *found;

	ack(fx, 0, 0, CH_EDGE_CRITICAL "this edge takes nothing.");
	found = look(fx, "edge-in-trouble", EDGE);
	assert_true(found->critical);
	assert_string_equal(found->detail, "The edge reports: this edge takes nothing.");
	ack(fx, 0, 0, NULL);
	assert_null(look(fx, "edge-in-trouble", EDGE));
}

static void an_edge_without_any_name_is_critical(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_trouble *found;

	fx_add(fx, "a.example");
	ack(fx, fx_feed_info(fx).head, 0, NULL);
	found = look(fx, "edge-in-trouble", EDGE);
	assert_true(found->critical);
	assert_non_null(strstr(found->detail, "none of the names"));
	ack(fx, fx_feed_info(fx).head, 0, "1 record refused.");
	found = look(fx, "edge-in-trouble", EDGE);
	assert_true(found->critical);
	assert_non_null(strstr(found->detail, "1 record refused."));
	/* Names of other pools are none of its. */
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_ok(fx_put(fx, "b.example", CH_TRI_KEEP, NULL, "other", NULL));
	ack(fx, fx_feed_info(fx).head, 0, NULL);
	assert_null(look(fx, "edge-in-trouble", EDGE));
}

static void one_that_fills_its_replica_or_is_silent_is_not(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "a.example");
	/* As while a first generation is filled. */
	ack(fx, 0, 0, NULL);
	assert_null(look(fx, "edge-in-trouble", EDGE));
	ack(fx, fx_feed_info(fx).head, 0, NULL);
	test_now_ms += EDGE_TIMEOUT_MS + 1;
	assert_null(look(fx, "edge-in-trouble", EDGE));
	assert_true(look(fx, "edge-silent", EDGE)->critical);
}

static void freeze(struct fixture *fx, enum ch_pool_action action)
{
	struct ch_store_op op = {.type = CH_OP_POOL, .who = "operator/default/admin"};

	op.u.pool = (struct ch_op_pool){.pool = "default", .action = action, .why = "a test"};
	assert_ok(fx_run(fx, &op));
}

/* The order of the name stands as it does when the issuer has looked. */
static void wait_for(struct fixture *fx, const char *code, enum ch_actor actor)
{
	struct ch_store_order *order = fx_lease_one(fx);
	struct ch_op_patch patch = {.id = order->id, .fence = order->fence};

	patch.next_at_ms = test_now_ms + CH_DAY_MS;
	patch.has_reason = true;
	patch.reason = (struct ch_store_reason){code, "It waits.", actor};
	assert_ok(fx_patch(fx, &patch));
}

static void names_that_wait_for_a_freeze_are_none_each(void **state)
{
	struct fixture *fx = *state;

	freeze(fx, CH_POOL_FREEZE);
	fx_add(fx, "a.example");
	wait_for(fx, "feed-frozen", CH_ACTOR_OPERATOR);
	assert_int_equal(fx_get(fx, "a.example").reason.actor, CH_ACTOR_OPERATOR);
	assert_null(look(fx, "platform-must-act", ""));
	/* What else waits does count. */
	fx_add(fx, "b.example");
	wait_for(fx, "ca-unknown", CH_ACTOR_OPERATOR);
	assert_string_equal(look(fx, "platform-must-act", "")->detail,
		"1 name waits for the operator: `certherd domain list --actor operator` says "
		"why.");
}

/* Nobody has told it since, so that is trouble. */
static void a_name_that_still_waits_after_the_thaw_counts(void **state)
{
	struct fixture *fx = *state;

	freeze(fx, CH_POOL_FREEZE);
	fx_add(fx, "a.example");
	wait_for(fx, "feed-frozen", CH_ACTOR_OPERATOR);
	freeze(fx, CH_POOL_THAW);
	assert_non_null(look(fx, "platform-must-act", ""));
}

static void a_freeze_is_told_when_it_lasts(void **state)
{
	struct fixture *fx = *state;

	freeze(fx, CH_POOL_FREEZE);
	test_now_ms += CH_DAY_MS;
	assert_null(look(fx, "feed-frozen", "default"));
	test_now_ms++;
	assert_non_null(look(fx, "feed-frozen", "default"));
	freeze(fx, CH_POOL_THAW);
	assert_null(look(fx, "feed-frozen", "default"));
}

static void a_freeze_that_somebody_waits_for_is_told_sooner(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_trouble *found;

	freeze(fx, CH_POOL_FREEZE);
	fx_add(fx, "a.example");
	test_now_ms += 4 * CH_HOUR_MS;
	assert_null(look(fx, "feed-frozen", "default"));
	test_now_ms++;
	found = look(fx, "feed-frozen", "default");
	assert_false(found->critical);
	assert_non_null(strstr(found->detail, "1 change"));
	assert_non_null(strstr(found->detail, "thaw --pool default"));
}

static void a_canary_that_is_silent_is_told_with_its_pool(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_POOL, .who = "operator/default/admin"};

	ack(fx, 0, 0, NULL);
	op.u.pool = (struct ch_op_pool){.pool = "default",
		.action = CH_POOL_CANARY,
		.edge = "e1",
		.soak_ms = CH_MINUTE_MS};
	assert_ok(fx_run(fx, &op));
	assert_null(look(fx, "canary-stuck", "default"));
	test_now_ms += EDGE_TIMEOUT_MS + 1;
	assert_non_null(strstr(look(fx, "canary-stuck", "default")->detail,
		"`certherd feed canary --release --pool default`"));
}

/* Whoever has paused it knows; whom the CA has paused it for may not. */
static void a_name_that_was_paused_by_a_command_is_none(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_figures figures;

	fx_add(fx, "a.example");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "a.example"));
	assert_string_equal(fx_get(fx, "a.example").reason.code, "paused");
	assert_int_equal(fx_get(fx, "a.example").reason.actor, CH_ACTOR_NOBODY);
	assert_null(look(fx, "platform-must-act", ""));
	/* As a store of before has written it, until the next cleaning. */
	fx_rewrite(fx, "UPDATE name SET actor = 'platform' WHERE name = 'a.example'");
	(void)fx_housekeep(fx);
	assert_null(look(fx, "platform-must-act", ""));
	assert_ok(ch_store_get_figures(fx->store, &figures));
	assert_int_equal(figures.actors[CH_ACTOR_PLATFORM], 0);
	fx_rewrite(fx, "UPDATE name SET code = 'ca-paused', actor = 'platform' "
		       "WHERE name = 'a.example'");
	(void)fx_housekeep(fx);
	assert_non_null(strstr(look(fx, "platform-must-act", "")->detail, "1 name waits"));
	assert_ok(ch_store_get_figures(fx->store, &figures));
	assert_int_equal(figures.actors[CH_ACTOR_PLATFORM], 1);
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	assert_null(look(fx, "platform-must-act", ""));
}

static void issue_some(struct fixture *fx, const char *prefix, int n)
{
	char name[64];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s-%d.example", prefix, i);
		fx_add(fx, name);
		fx_issue(fx, fx_lease_one(fx));
	}
}

/* All that is due: what begins so is renewed, the rest fails. */
static void look_at_due(struct fixture *fx, const char *good)
{
	size_t n;
	struct ch_store_order *orders = fx_lease(fx, 100, &n);

	for (size_t i = 0; i < n; i++) {
		struct ch_store_outcome outcome = {.name = orders[i].names[0].name,
			.failed = true,
			.state = CH_NAME_FAILED,
			.next_at_ms = test_now_ms + CH_DAY_MS,
			.reason = {"dns-elsewhere", "It leads elsewhere.", CH_ACTOR_CUSTOMER}};
		struct ch_op_patch patch = fx_step(&orders[i], CH_ORDER_FAILED);

		if (strncmp(outcome.name, good, strlen(good)) == 0) {
			fx_issue(fx, &orders[i]);
			continue;
		}
		patch.outcomes = &outcome;
		patch.n_outcomes = 1;
		assert_ok(fx_patch(fx, &patch));
	}
}

static void many_that_come_to_fail_are_told(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_trouble *found;

	issue_some(fx, "gone", 12);
	issue_some(fx, "here", 8);
	test_now_ms += RENEW_MS;
	assert_null(look(fx, "names-failing", ""));
	look_at_due(fx, "here");
	found = look(fx, "names-failing", "");
	assert_non_null(found);
	assert_non_null(strstr(found->detail, "12 names that have a certificate"));
	/* An import that goes well says nothing of them. */
	issue_some(fx, "new", 60);
	assert_non_null(look(fx, "names-failing", ""));
	/* Those that are renewed do not fail any more. */
	test_now_ms += CH_DAY_MS;
	look_at_due(fx, "gone");
	assert_null(look(fx, "names-failing", ""));
}

static void those_that_have_long_failed_are_no_alert(void **state)
{
	struct fixture *fx = *state;

	issue_some(fx, "gone", 12);
	test_now_ms += RENEW_MS;
	for (int day = 0; day < 10; day++) {
		look_at_due(fx, "none");
		if (day < 6)
			assert_non_null(look(fx, "names-failing", ""));
		test_now_ms += CH_DAY_MS + 1;
	}
	assert_int_equal(fx_get(fx, "gone-1.example").state, CH_NAME_FAILED);
	assert_null(look(fx, "names-failing", ""));
}

static void few_among_many_and_new_names_are_no_alert(void **state)
{
	struct fixture *fx = *state;
	char name[64];

	issue_some(fx, "gone", 11);
	issue_some(fx, "here", 50);
	for (int i = 0; i < 15; i++) {
		snprintf(name, sizeof(name), "new-%d.example", i);
		fx_add(fx, name);
	}
	look_at_due(fx, "here");
	assert_null(look(fx, "names-failing", ""));
	test_now_ms += RENEW_MS;
	look_at_due(fx, "here");
	assert_null(look(fx, "names-failing", ""));
}

static void lease_under(struct fixture *fx, const char *domain)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = 100,
		.lease_ms = 1000 * CH_DAY_MS,
		.pace = {.account = "ca.test/1"}};
	assert_ok(ch_limit_parse(domain, &op.u.lease.pace.limits[CH_PACED_DOMAIN]));
	assert_ok(fx_run(fx, &op));
}

static void add_some(struct fixture *fx, const char *domain, int from, int until)
{
	char name[64];

	for (int i = from; i < until; i++) {
		snprintf(name, sizeof(name), "n%d.%s", i, domain);
		fx_add(fx, name);
	}
}

/* Ten have certificates at once, and each next one has its turn after 16.8 hours. */
static void a_domain_for_which_too_many_wait_is_told(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_trouble *found;

	add_some(fx, "busy.example", 0, 17);
	add_some(fx, "calm.example", 0, 3);
	lease_under(fx, "11/185h");
	assert_null(look(fx, "limit-short", "ca.test:busy.example"));
	add_some(fx, "busy.example", 17, 21);
	lease_under(fx, "11/185h");
	found = look(fx, "limit-short", "ca.test:busy.example");
	assert_non_null(found);
	assert_false(found->critical);
	assert_non_null(strstr(found->detail, "7 days or more"));
	assert_null(look(fx, "limit-short", "ca.test:calm.example"));
	test_now_ms += 2 * CH_DAY_MS;
	assert_null(look(fx, "limit-short", "ca.test:busy.example"));
}

/* Nobody asks a CA to raise what comes back within the hour. */
static void a_limit_of_an_hour_is_not_told(void **state)
{
	struct fixture *fx = *state;

	add_some(fx, "busy.example", 0, 30);
	lease_under(fx, "11/1h");
	assert_null(look(fx, "limit-short", "ca.test:busy.example"));
}

#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_edge_that_is_well_is_none),
		T(what_an_edge_reports_is_a_warning),
		T(an_edge_that_says_so_is_critical),
		T(an_edge_without_any_name_is_critical),
		T(one_that_fills_its_replica_or_is_silent_is_not),
		T(names_that_wait_for_a_freeze_are_none_each),
		T(a_name_that_still_waits_after_the_thaw_counts),
		T(a_freeze_is_told_when_it_lasts),
		T(a_freeze_that_somebody_waits_for_is_told_sooner),
		T(a_canary_that_is_silent_is_told_with_its_pool),
		T(a_name_that_was_paused_by_a_command_is_none),
		T(many_that_come_to_fail_are_told),
		T(those_that_have_long_failed_are_no_alert),
		T(few_among_many_and_new_names_are_no_alert),
		T(a_domain_for_which_too_many_wait_is_told),
		T(a_limit_of_an_hour_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
