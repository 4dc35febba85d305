/* Alerts: one for as long as something lasts, told once by whoever leases that, told again when
 * it could not be, and over when nobody sees it any more. */
#include "fixture.h"

#define TELL_LEASE_MS (2 * CH_MINUTE_MS)
#define LOOK_MS (20 * CH_SECOND_MS)

static struct ch_op_alerts *report(struct fixture *fx, const char *source,
	const struct ch_store_trouble *troubles, size_t n, const struct ch_store_told *told,
	size_t n_told, bool tells)
{
	struct ch_store_op *op = ch_arena_alloc(fx->arena, sizeof(*op));

	assert_non_null(op);
	op->type = CH_OP_ALERTS;
	op->u.alerts = (struct ch_op_alerts){.source = source,
		.troubles = troubles,
		.n_troubles = n,
		.told = told,
		.n_told = n_told,
		.lease_ms = tells ? TELL_LEASE_MS : 0};
	assert_ok(fx_run(fx, op));
	return &op->u.alerts;
}

static struct ch_store_trouble trouble(const char *source, bool critical)
{
	return (struct ch_store_trouble){.kind = "ca-out-of-order",
		.subject = "main",
		.source = source,
		.detail = "It does not answer.",
		.critical = critical};
}

static struct ch_op_alerts *see(
	struct fixture *fx, const char *source, bool critical, bool tells)
{
	struct ch_store_trouble one = trouble(source, critical);

	return report(fx, source, &one, 1, NULL, 0, tells);
}

static struct ch_op_alerts *see_nothing(struct fixture *fx, const char *source, bool tells)
{
	return report(fx, source, NULL, 0, NULL, 0, tells);
}

static struct ch_op_alerts *say_told(struct fixture *fx, const struct ch_store_alert *alert,
	bool failed, bool critical, bool tells)
{
	const struct ch_store_told told = {.id = alert->id,
		.closed = alert->closed_ms != 0,
		.critical = strcmp(alert->severity, "critical") == 0,
		.failed = failed};
	struct ch_store_trouble one = trouble("i1", critical);

	return report(fx, "i1", &one, alert->closed_ms == 0, &told, 1, tells);
}

static const struct ch_store_alert *list(struct fixture *fx, bool closed_too, size_t want)
{
	struct ch_store_alert *alerts;
	size_t n;

	assert_ok(ch_store_list_alerts(fx->store, closed_too, 100, fx->arena, &alerts, &n));
	assert_int_equal(n, want);
	return alerts;
}

static void one_alert_for_as_long_as_it_lasts(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_alert *alert;
	uint64_t id;

	list(fx, true, 0);
	see(fx, "i1", false, false);
	id = list(fx, false, 1)[0].id;
	for (int i = 0; i < 30; i++) {
		test_now_ms += LOOK_MS;
		see(fx, "i1", false, false);
	}
	fx_reopen(fx);
	alert = list(fx, true, 1);
	assert_int_equal(alert->id, id);
	assert_int_equal(alert->opened_ms, START_MS);
	assert_int_equal(alert->seen_ms, test_now_ms);
	assert_int_equal(alert->closed_ms, 0);
	assert_string_equal(alert->severity, "warning");
}

static void it_is_over_when_it_is_not_seen_any_more(void **state)
{
	struct fixture *fx = *state;
	uint64_t id;

	see(fx, "i1", false, false);
	id = list(fx, false, 1)[0].id;
	test_now_ms += CH_STORE_ALERT_HOLD_MS;
	see_nothing(fx, "i1", false);
	list(fx, false, 1); /* not yet: one look may miss it */
	test_now_ms += 1;
	see_nothing(fx, "i1", false);
	list(fx, false, 0);
	assert_int_equal(list(fx, true, 1)[0].closed_ms, test_now_ms);
	see(fx, "i1", false, false);
	assert_int_not_equal(list(fx, false, 1)[0].id, id);
	list(fx, true, 2);
}

static void what_others_see_stays_until_it_is_stale(void **state)
{
	struct fixture *fx = *state;

	see(fx, "i1", false, false);
	test_now_ms += CH_STORE_ALERT_STALE_MS;
	see_nothing(fx, "i2", false);
	list(fx, false, 1);
	test_now_ms += 1;
	see_nothing(fx, "i2", false);
	list(fx, false, 0);
}

static void it_is_told_once(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_alerts *out = see(fx, "i1", false, true);

	assert_int_equal(out->n_tell, 1);
	assert_int_equal(see(fx, "i1", false, true)->n_tell, 0); /* leased */
	/* Killed before it could say so: told again, under the same id. */
	test_now_ms += TELL_LEASE_MS;
	assert_int_equal(see(fx, "i1", false, true)->n_tell, 1);
	assert_int_equal(say_told(fx, &out->tell[0], false, false, true)->n_tell, 0);
	test_now_ms += CH_DAY_MS;
	assert_int_equal(see(fx, "i1", false, true)->n_tell, 0);
}

static void what_could_not_be_told_is_tried_again_and_not_for_ever(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_alerts *out = see(fx, "i1", false, true);
	int64_t wait_ms = CH_MINUTE_MS;
	int tries = 1;

	for (; tries < CH_STORE_ALERT_TRIES_MAX; tries++) {
		assert_int_equal(out->n_tell, 1);
		assert_int_equal(say_told(fx, &out->tell[0], true, false, true)->n_tell, 0);
		test_now_ms += wait_ms - 1;
		assert_int_equal(see(fx, "i1", false, true)->n_tell, 0);
		test_now_ms += 1;
		out = see(fx, "i1", false, true);
		wait_ms = wait_ms * 2 < CH_HOUR_MS ? wait_ms * 2 : CH_HOUR_MS;
	}
	say_told(fx, &out->tell[0], true, false, true);
	test_now_ms += CH_DAY_MS;
	assert_int_equal(see(fx, "i1", false, true)->n_tell, 0);
	list(fx, false, 1);
}

static void its_end_is_told_with_tries_of_its_own(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_alerts *out = see(fx, "i1", false, true);

	say_told(fx, &out->tell[0], false, false, false);
	test_now_ms += CH_STORE_ALERT_HOLD_MS + 1;
	out = see_nothing(fx, "i1", true);
	assert_int_equal(out->n_tell, 1);
	assert_int_not_equal(out->tell[0].closed_ms, 0);
	assert_int_equal(out->tell[0].tries, 0);
	say_told(fx, &out->tell[0], false, false, false);
	test_now_ms += CH_DAY_MS;
	assert_int_equal(see_nothing(fx, "i1", true)->n_tell, 0);
}

static void that_the_beginning_was_told_is_not_its_end(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_alerts *out = see(fx, "i1", false, true);

	test_now_ms += CH_STORE_ALERT_HOLD_MS + 1;
	see_nothing(fx, "i1", false); /* over while it is being told */
	assert_int_equal(say_told(fx, &out->tell[0], false, false, false)->n_tell, 0);
	list(fx, true, 2);
	out = see(fx, "i1", false, true);
	assert_int_equal(out->n_tell, 2);
}

/* ---- an alert becomes critical while somebody tells of the warning ---- */

static void what_became_worse_meanwhile_is_told(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_alerts *warning = see(fx, "i1", false, true);

	assert_string_equal(warning->tell[0].severity, "warning");
	see(fx, "i1", true, false);
	say_told(fx, &warning->tell[0], false, true, false);
	test_now_ms += TELL_LEASE_MS;
	assert_int_equal(see(fx, "i1", true, true)->n_tell, 1);
}

static void what_became_worse_in_the_same_report_is_told(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_alerts *warning = see(fx, "i1", false, true);

	say_told(fx, &warning->tell[0], false, true, false);
	test_now_ms += TELL_LEASE_MS;
	assert_int_equal(see(fx, "i1", true, true)->n_tell, 1);
}

static void what_became_worse_while_the_warning_could_not_be_told_is_told_at_once(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_alerts *warning = see(fx, "i1", false, true);
	struct ch_op_alerts *out = say_told(fx, &warning->tell[0], true, true, true);

	assert_int_equal(out->n_tell, 1);
	assert_string_equal(out->tell[0].severity, "critical");
	assert_int_equal(out->tell[0].tries, 0);
	/* What fails now is tried again later, as ever. */
	assert_int_equal(say_told(fx, &out->tell[0], true, true, true)->n_tell, 0);
	test_now_ms += CH_MINUTE_MS;
	assert_int_equal(see(fx, "i1", true, true)->n_tell, 1);
}

/* ---- it becomes less bad while it lasts ---- */

static void see_for(struct fixture *fx, int64_t span_ms, bool critical)
{
	for (int64_t end_ms = test_now_ms + span_ms; test_now_ms < end_ms;) {
		test_now_ms += LOOK_MS;
		see(fx, "i1", critical, false);
	}
}

static void what_looks_less_bad_is_so_when_it_lasts(void **state)
{
	struct fixture *fx = *state;
	uint64_t id;

	see(fx, "i1", true, false);
	id = list(fx, false, 1)[0].id;
	see_for(fx, CH_STORE_ALERT_HOLD_MS, false);
	assert_string_equal(list(fx, false, 1)[0].severity, "critical");
	see_for(fx, LOOK_MS, false);
	assert_string_equal(list(fx, false, 1)[0].severity, "warning");
	/* It is the same, and not over. */
	assert_int_equal(list(fx, true, 1)[0].id, id);
	see_for(fx, CH_HOUR_MS, false);
	assert_int_equal(list(fx, true, 1)[0].id, id);
	/* Over is what nobody sees, as bad or less. */
	test_now_ms += CH_STORE_ALERT_HOLD_MS + 1;
	see_nothing(fx, "i1", false);
	list(fx, false, 0);
}

/* Stores of two versions see it, each in its way; or it is so now, and now so. */
static void what_changes_to_and_fro_is_told_once(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_alerts *out = see(fx, "i1", true, true);

	assert_int_equal(out->n_tell, 1);
	assert_int_equal(say_told(fx, &out->tell[0], false, true, true)->n_tell, 0);
	for (int i = 0; i < 100; i++) {
		test_now_ms += LOOK_MS;
		assert_int_equal(see(fx, "i1", i % 3 == 0, true)->n_tell, 0);
		assert_string_equal(list(fx, false, 1)[0].severity, "critical");
	}
}

static void what_became_less_bad_is_not_told_and_worse_again_is(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_alerts *out = see(fx, "i1", true, true);

	say_told(fx, &out->tell[0], false, true, false);
	see_for(fx, 2 * CH_STORE_ALERT_HOLD_MS, false);
	assert_string_equal(list(fx, false, 1)[0].severity, "warning");
	assert_int_equal(see(fx, "i1", false, true)->n_tell, 0);
	out = see(fx, "i1", true, true);
	assert_int_equal(out->n_tell, 1);
	assert_string_equal(out->tell[0].severity, "critical");
	assert_int_equal(out->tell[0].tries, 0);
}

static void who_heard_the_worse_is_not_told_again_that_it_is_less_bad(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_alerts *worse = see(fx, "i1", true, true);

	/* So long telling takes. */
	see_for(fx, CH_STORE_ALERT_HOLD_MS + LOOK_MS, false);
	assert_string_equal(list(fx, false, 1)[0].severity, "warning");
	say_told(fx, &worse->tell[0], false, false, false);
	see_for(fx, CH_HOUR_MS, false);
	assert_int_equal(see(fx, "i1", false, true)->n_tell, 0);
}

/* ---- nobody is told while neither hook nor webhook is configured ---- */

static void what_was_over_before_anybody_was_to_be_told_is_not_told(void **state)
{
	struct fixture *fx = *state;

	see(fx, "i1", false, false);
	test_now_ms += CH_STORE_ALERT_HOLD_MS + 1;
	see_nothing(fx, "i1", false);
	test_now_ms += 30 * CH_DAY_MS; /* the webhook is configured now */
	assert_int_equal(see_nothing(fx, "i1", true)->n_tell, 0);
}

/* ---- what alerts are made of ---- */

static struct ch_store_danger danger(struct fixture *fx)
{
	struct ch_store_danger found;

	assert_ok(ch_store_get_danger(fx->store, fx->arena, &found));
	return found;
}

static void issue(struct fixture *fx, const char *name, int64_t lifetime_ms)
{
	struct ch_store_order *order;
	struct ch_op_publish *publication;

	fx_add(fx, name);
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	publication = fx_publication(fx, order, 1);
	publication->not_before_ms = test_now_ms;
	publication->not_after_ms = test_now_ms + lifetime_ms;
	publication->renew_at_ms = publication->not_after_ms;
	assert_ok(fx_publish(fx, publication));
	fx_finish(fx, order);
}

static void a_certificate_is_in_danger_in_the_last_tenth_of_its_own_lifetime(void **state)
{
	struct fixture *fx = *state;
	int64_t begin_ms = test_now_ms;

	issue(fx, "long.example", 90 * CH_DAY_MS);
	assert_int_equal(danger(fx).n, 0);
	test_now_ms = begin_ms + 80 * CH_DAY_MS;
	issue(fx, "short.example", 6 * CH_DAY_MS);
	test_now_ms = begin_ms + 81 * CH_DAY_MS;
	assert_int_equal(danger(fx).n, 0);
	test_now_ms++;
	/* The short one ends first, and is in no danger yet. */
	assert_int_equal(danger(fx).n, 1);
	assert_string_equal(danger(fx).name, "long.example");
	assert_int_equal(danger(fx).ends_ms, begin_ms + 90 * CH_DAY_MS);
	test_now_ms = begin_ms + 86 * CH_DAY_MS;
	assert_int_equal(danger(fx).n, 2);
	assert_string_equal(danger(fx).name, "short.example");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "short.example"));
	assert_int_equal(danger(fx).n, 1);
	/* What ended long ago is nobody's news. */
	test_now_ms = begin_ms + 97 * CH_DAY_MS + 1;
	assert_int_equal(danger(fx).n, 0);
}

static void names_that_the_ca_has_paused_are_found(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;
	const struct ch_store_outcome outcome = {.name = "paused.example",
		.state = CH_NAME_PAUSED,
		.failed = true,
		.reason = {
			"ca-paused", "Visit https://ca.example/unpause.", CH_ACTOR_PLATFORM}};

	fx_add(fx, "people.example");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "people.example"));
	assert_int_equal(danger(fx).paused, 0);
	fx_add(fx, "paused.example");
	order = fx_lease_one(fx);
	patch = fx_step(order, CH_ORDER_FAILED);
	patch.outcomes = &outcome;
	patch.n_outcomes = 1;
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(danger(fx).paused, 1);
	assert_string_equal(danger(fx).paused_name, "paused.example");
	assert_non_null(strstr(danger(fx).paused_detail, "https://ca.example/unpause"));
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "paused.example"));
	assert_int_equal(danger(fx).paused, 0);
}

#define ALERT_TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALERT_TEST(one_alert_for_as_long_as_it_lasts),
		ALERT_TEST(it_is_over_when_it_is_not_seen_any_more),
		ALERT_TEST(what_others_see_stays_until_it_is_stale),
		ALERT_TEST(it_is_told_once),
		ALERT_TEST(what_could_not_be_told_is_tried_again_and_not_for_ever),
		ALERT_TEST(its_end_is_told_with_tries_of_its_own),
		ALERT_TEST(that_the_beginning_was_told_is_not_its_end),
		ALERT_TEST(what_became_worse_meanwhile_is_told),
		ALERT_TEST(
			what_became_worse_while_the_warning_could_not_be_told_is_told_at_once),
		ALERT_TEST(what_became_worse_in_the_same_report_is_told),
		ALERT_TEST(what_looks_less_bad_is_so_when_it_lasts),
		ALERT_TEST(what_changes_to_and_fro_is_told_once),
		ALERT_TEST(what_became_less_bad_is_not_told_and_worse_again_is),
		ALERT_TEST(who_heard_the_worse_is_not_told_again_that_it_is_less_bad),
		ALERT_TEST(a_certificate_is_in_danger_in_the_last_tenth_of_its_own_lifetime),
		ALERT_TEST(names_that_the_ca_has_paused_are_found),
		ALERT_TEST(what_was_over_before_anybody_was_to_be_told_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
