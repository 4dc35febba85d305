/* Standby certificates: ordered last and from another CA, kept, put live. */
#include "fixture.h"

#define NAME "a.example"
#define MAIN "one.test/thumb"
#define BACKUP "two.test/thumb"
#define THIRD "three.test/thumb"

struct cas {
	struct ch_store_pace list[3];
	size_t n;
	const char *standby;
};

static struct ch_store_pace pace_of(const char *ca, const char *account, const char *orders)
{
	struct ch_store_pace pace = {.account = account, .ca = ca};

	assert_ok(ch_limit_parse(orders, &pace.limits[CH_PACED_ACCOUNT]));
	return pace;
}

static struct cas all_cas(const char *standby)
{
	return (struct cas){{pace_of("main", MAIN, "none"), pace_of("backup", BACKUP, "none"),
				    pace_of("third", THIRD, "none")},
		3, standby};
}

static size_t lease(
	struct fixture *fx, const struct cas *cas, size_t max, struct ch_store_order **orders)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = max,
		.lease_ms = LEASE_MS,
		.pace = cas->list[0],
		.standby = cas->standby};
	for (size_t i = 1; i < cas->n; i++)
		op.u.lease.fallback[op.u.lease.n_fallback++] = cas->list[i];
	assert_ok(fx_run(fx, &op));
	*orders = op.u.lease.orders;
	return op.u.lease.n_orders;
}

/* The one order that there is. */
static struct ch_store_order *lease_one(struct fixture *fx, const struct cas *cas)
{
	struct ch_store_order *orders;

	assert_int_equal(lease(fx, cas, 10, &orders), 1);
	return orders;
}

static void lease_none(struct fixture *fx, const struct cas *cas)
{
	struct ch_store_order *orders;

	assert_int_equal(lease(fx, cas, 10, &orders), 0);
}

static void put(struct fixture *fx, const char *name, const char *cas, const char *standby)
{
	struct ch_store_put_item item = {.name = name, .cas = cas, .standby = standby};
	struct ch_store_op op = {.type = CH_OP_PUT};

	op.u.put.items = &item;
	op.u.put.n_items = 1;
	assert_ok(fx_run(fx, &op));
	assert_int_not_equal(item.result, CH_PUT_REJECTED);
}

/* ca: that has failed; NULL: it is not said. */
static int put_live_from(struct fixture *fx, const char *name, const char *ca)
{
	struct ch_store_op op = {.type = CH_OP_STANDBY,
		.who = "operator/default/admin",
		.u.standby = {.name = name, .ca = ca}};

	return fx_run(fx, &op);
}

static int put_live(struct fixture *fx, const char *name)
{
	return put_live_from(fx, name, NULL);
}

static int put_all(struct fixture *fx, const char *ca, const char *after, size_t max,
	bool dry_run, struct ch_op_standby *ret)
{
	struct ch_store_op op = {.type = CH_OP_STANDBY,
		.who = "operator/default/admin",
		.u.standby = {.ca = ca, .after = after, .max = max, .dry_run = dry_run}};
	int rc = fx_run(fx, &op);

	*ret = op.u.standby;
	return rc;
}

static uint64_t carry_out(struct fixture *fx, const struct ch_store_order *order)
{
	assert_ok(fx_publish(fx, fx_publication(fx, order, (uint8_t)order->old.version)));
	fx_finish(fx, order);
	return order->id;
}

/* Live from main, with a standby from backup. */
static void ready(struct fixture *fx, const struct cas *cas, const char *name)
{
	struct ch_store_order *order;

	put(fx, name, NULL, "backup");
	fx_issue(fx, lease_one(fx, cas));
	order = lease_one(fx, cas);
	assert_true(order->standby);
	fx_issue(fx, order);
}

static void it_is_kept_and_goes_to_no_edge(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_order *order;
	struct ch_store_domain domain;
	struct ch_store_certs certs;
	uint64_t head, live;

	put(fx, NAME, NULL, "backup");
	domain = fx_get(fx, NAME);
	assert_string_equal(domain.standby->wanted, "backup");
	assert_false(domain.standby->ready);
	assert_string_equal(domain.standby->reason.code, "queued");
	order = lease_one(fx, &cas);
	live = order->id;
	assert_false(order->standby);
	assert_string_equal(order->account, MAIN);
	fx_issue(fx, order);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	head = fx_feed_info(fx).head;
	order = lease_one(fx, &cas);
	assert_true(order->standby);
	assert_false(order->second);
	assert_false(order->renewal);
	assert_string_equal(order->account, BACKUP);
	/* What is live is as it was all the time. */
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	assert_string_equal(fx_get(fx, NAME).reason.code, "ok");
	fx_issue(fx, order);
	assert_int_equal(fx_feed_info(fx).head, head);
	domain = fx_get(fx, NAME);
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_int_equal(domain.cert->version, live);
	assert_int_equal(domain.order_id, 0);
	assert_true(domain.standby->ready);
	assert_string_equal(domain.standby->ca, "backup");
	assert_int_equal(domain.standby->cert->version, order->id);
	assert_int_equal(domain.standby->next_at_ms, test_now_ms + RENEW_MS);
	assert_ok(ch_store_get_certs(fx->store, NAME, fx->arena, &certs));
	assert_null(certs.previous);
	assert_null(certs.second);
	assert_null(certs.second_standby);
	assert_int_equal(certs.current->version, live);
	assert_string_equal(certs.current->ca, "main");
	assert_int_equal(certs.standby->version, order->id);
	assert_string_equal(certs.standby->ca, "backup");
	assert_int_equal(certs.standby->n_recipients, 1);
	lease_none(fx, &cas);
}

static void it_is_renewed_after_what_is_live(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_order *order;
	uint64_t first;

	ready(fx, &cas, NAME);
	first = fx_get(fx, NAME).standby->cert->version;
	test_now_ms += RENEW_MS;
	order = lease_one(fx, &cas);
	assert_false(order->standby);
	fx_issue(fx, order);
	order = lease_one(fx, &cas);
	assert_true(order->standby);
	assert_true(order->renewal);
	assert_int_equal(fx_get(fx, NAME).standby->cert->version, first);
	fx_issue(fx, order);
	assert_int_equal(fx_get(fx, NAME).standby->cert->version, order->id);
	lease_none(fx, &cas);
}

static void its_failure_is_its_own(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_outcome outcome = {.name = NAME,
		.next_at_ms = test_now_ms + CH_HOUR_MS,
		.failed = true,
		.state = CH_NAME_FAILED,
		.reason = {"wrong-answer", "No.", CH_ACTOR_CUSTOMER}};
	struct ch_op_patch patch;
	struct ch_store_domain domain;

	put(fx, NAME, NULL, "backup");
	fx_issue(fx, lease_one(fx, &cas));
	for (int i = 0; i < 3; i++) {
		patch = fx_step(lease_one(fx, &cas), CH_ORDER_FAILED);
		outcome.state = i < 2 ? CH_NAME_FAILED : CH_NAME_PAUSED;
		outcome.next_at_ms = test_now_ms + CH_HOUR_MS;
		patch.outcomes = &outcome;
		patch.n_outcomes = 1;
		assert_ok(fx_patch(fx, &patch));
		domain = fx_get(fx, NAME);
		assert_int_equal(domain.state, CH_NAME_ACTIVE);
		assert_int_equal(domain.failures, 0);
		assert_string_equal(domain.reason.code, "ok");
		assert_int_equal(domain.standby->failures, i + 1);
		assert_string_equal(domain.standby->reason.code, "wrong-answer");
		assert_int_equal(domain.standby->next_at_ms,
			test_now_ms + (i < 2 ? CH_HOUR_MS : CH_DAY_MS));
		assert_refused(fx, put_live(fx, NAME), CH_ECONFLICT, "standby-not-ready");
		lease_none(fx, &cas);
		test_now_ms = domain.standby->next_at_ms;
	}
	assert_ok(fx_name_op(fx, CH_OP_RETRY, NAME));
	assert_int_equal(fx_get(fx, NAME).standby->failures, 0);
}

static void one_command_puts_it_live_and_the_next_comes_from_the_other(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_certs certs;
	struct ch_store_domain domain;
	struct ch_store_order *order;
	uint64_t live, standby, head, id;

	ready(fx, &cas, NAME);
	live = fx_get(fx, NAME).cert->version;
	standby = fx_get(fx, NAME).standby->cert->version;
	head = fx_feed_info(fx).head;
	assert_ok(put_live(fx, NAME));
	assert_ok(put_live(fx, NAME)); /* it is on its way */
	order = lease_one(fx, &cas);
	assert_int_equal(order->old.version, standby);
	assert_non_null(order->old.records[0]);
	id = carry_out(fx, order);
	assert_true(fx_feed_info(fx).head > head);
	domain = fx_get(fx, NAME);
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_int_equal(domain.version, id);
	assert_int_equal(domain.cert->origin, standby);
	assert_null(domain.standby->cert);
	assert_false(domain.standby->ready);
	assert_string_equal(domain.standby->reason.code, "queued");
	assert_ok(ch_store_get_certs(fx->store, NAME, fx->arena, &certs));
	assert_int_equal(certs.current->leaf[0], (uint8_t)standby);
	assert_string_equal(certs.current->ca, "backup");
	assert_int_equal(certs.previous->version, live);
	assert_string_equal(certs.previous->ca, "main");
	assert_null(certs.standby);
	assert_refused(
		fx, put_live_from(fx, NAME, "backup"), CH_ECONFLICT, "standby-not-ready");
	/* backup is what is live now. */
	order = lease_one(fx, &cas);
	assert_true(order->standby);
	assert_string_equal(order->account, MAIN);
	fx_issue(fx, order);
	assert_string_equal(fx_get(fx, NAME).standby->reason.code, "ok");
	assert_string_equal(fx_get(fx, NAME).standby->ca, "main");
	assert_string_equal(fx_get(fx, NAME).standby->wanted, "backup");
	/* And there and back. */
	assert_ok(put_live_from(fx, NAME, "backup"));
	carry_out(fx, lease_one(fx, &cas));
	order = lease_one(fx, &cas);
	assert_string_equal(order->account, BACKUP);
}

static void who_repeats_it_does_not_go_back(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	uint64_t live;

	ready(fx, &cas, NAME);
	assert_ok(put_live(fx, NAME));
	carry_out(fx, lease_one(fx, &cas));
	live = fx_get(fx, NAME).cert->version;
	assert_refused(fx, put_live(fx, NAME), CH_ECONFLICT, "ca-needed");
	fx_issue(fx, lease_one(fx, &cas));
	assert_string_equal(fx_get(fx, NAME).standby->ca, "main");
	assert_refused(fx, put_live(fx, NAME), CH_ECONFLICT, "ca-needed");
	assert_non_null(strstr(fx->err.detail, "--ca"));
	/* It has been done. */
	assert_ok(put_live_from(fx, NAME, "main"));
	lease_none(fx, &cas);
	assert_int_equal(fx_get(fx, NAME).cert->version, live);
	/* What a CA was asked for since was put there by no command. */
	assert_ok(fx_name_op(fx, CH_OP_RETRY, NAME));
	fx_issue(fx, lease_one(fx, &cas));
	fx_issue(fx, lease_one(fx, &cas));
	assert_string_equal(fx_get(fx, NAME).standby->ca, "backup");
	assert_ok(put_live(fx, NAME));
}

/* Nobody could say which has failed. */
static void what_is_of_a_ca_without_a_name_can_be_left(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_op back = {.type = CH_OP_ROLLBACK, .u.rollback = {.name = NAME}};
	struct ch_store_order *order;

	fx_add(fx, NAME);
	fx_issue(fx, fx_lease_one(fx));
	test_now_ms += RENEW_MS;
	fx_issue(fx, fx_lease_one(fx));
	assert_ok(fx_run(fx, &back));
	carry_out(fx, fx_lease_one(fx));
	assert_true(fx_get(fx, NAME).cert->origin != 0);
	assert_null(fx_get(fx, NAME).cert->ca);
	put(fx, NAME, NULL, "backup");
	order = lease_one(fx, &cas);
	assert_true(order->standby);
	fx_issue(fx, order);
	assert_refused(fx, put_live_from(fx, NAME, "main"), CH_ECONFLICT, "standby-not-ready");
	assert_ok(put_live(fx, NAME));
}

static size_t asked_of(struct fixture *fx, const char *ca, struct ch_store_ask **asks)
{
	struct ch_store_op op = {.type = CH_OP_ASK_LEASE,
		.u.ask_lease = {.ca = ca, .max = 10, .lease_ms = CH_SECOND_MS}};

	assert_ok(fx_run(fx, &op));
	*asks = op.u.ask_lease.asks;
	return op.u.ask_lease.n_asks;
}

static void issue_with_id(
	struct fixture *fx, const struct ch_store_order *order, const char *id)
{
	struct ch_op_publish *publish;

	fx_seal(fx, order);
	publish = fx_publication(fx, order, (uint8_t)order->id);
	publish->ari_id = id;
	assert_ok(fx_publish(fx, publish));
	fx_finish(fx, order);
}

static void its_ca_is_asked_about_it_before_and_when_it_is_live(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_order *order;
	struct ch_store_ask *asks;
	uint64_t id;

	put(fx, NAME, NULL, "backup");
	issue_with_id(fx, lease_one(fx, &cas), "b25l.AQ");
	issue_with_id(fx, lease_one(fx, &cas), "dHdv.Ag");
	assert_int_equal(asked_of(fx, "two.test", &asks), 1);
	assert_int_equal(asked_of(fx, "one.test", &asks), 1);
	assert_ok(put_live(fx, NAME));
	id = carry_out(fx, lease_one(fx, &cas));
	assert_int_equal(asked_of(fx, "two.test", &asks), 1);
	assert_int_equal(asks[0].version, id);
	assert_string_equal(asks[0].ari_id, "dHdv.Ag");
	test_now_ms += CH_MINUTE_MS;
	assert_int_equal(asked_of(fx, "one.test", &asks), 0);
	order = lease_one(fx, &cas);
	assert_true(order->standby);
	issue_with_id(fx, order, "dGhyZWU.Aw");
	/* Its renewal, by that CA, names it; one by another could not. */
	test_now_ms = fx_get(fx, NAME).next_at_ms;
	cas.list[0] = all_cas(NULL).list[1];
	cas.n = 1;
	assert_string_equal(lease_one(fx, &cas)->replaces, "dHdv.Ag");
}

static void when_the_live_one_comes_from_its_ca_another_is_made(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_order *order;

	ready(fx, &cas, NAME);
	test_now_ms += RENEW_MS - CH_HOUR_MS;
	cas.list[0].out = true;
	assert_ok(fx_name_op(fx, CH_OP_RETRY, NAME));
	order = lease_one(fx, &cas);
	assert_string_equal(order->account, BACKUP);
	fx_issue(fx, order);
	/* Not from main, which is out of order. */
	order = lease_one(fx, &cas);
	assert_true(order->standby);
	assert_string_equal(order->account, THIRD);
}

static void a_pair_goes_along(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas("backup");
	struct ch_store_order *order;

	fx_add_pair(fx, NAME);
	fx_issue(fx, lease_one(fx, &cas));
	order = lease_one(fx, &cas);
	assert_true(order->standby);
	assert_int_equal(order->n_names, 2);
	fx_issue(fx, order);
	assert_true(fx_get(fx, "www.a.example").standby->ready);
	assert_ok(put_live(fx, "www.a.example"));
	order = lease_one(fx, &cas);
	assert_int_equal(order->n_names, 2);
	carry_out(fx, order);
	assert_int_equal(fx_get(fx, NAME).cert->version, order->id);
	assert_int_equal(fx_get(fx, "www.a.example").cert->version, order->id);
}

static void a_default_reaches_the_names_that_are_there(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_order *orders;
	char name[32];
	size_t n;

	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		fx_add(fx, name);
	}
	put(fx, "not.example", NULL, "none");
	n = lease(fx, &cas, 10, &orders);
	assert_int_equal(n, 7);
	for (size_t i = 0; i < n; i++)
		fx_issue(fx, &orders[i]);
	lease_none(fx, &cas);
	assert_null(fx_get(fx, "n0.example").standby);
	cas.standby = "backup";
	n = lease(fx, &cas, 10, &orders);
	assert_int_equal(n, 6);
	for (size_t i = 0; i < n; i++) {
		assert_true(orders[i].standby);
		fx_issue(fx, &orders[i]);
	}
	lease_none(fx, &cas);
	assert_null(fx_get(fx, "not.example").standby);
	/* What there is stays when none is wanted any more, and goes with the name's own word.
	 */
	cas.standby = NULL;
	lease_none(fx, &cas);
	assert_null(fx_get(fx, "n0.example").standby->wanted);
	assert_true(fx_get(fx, "n0.example").standby->ready);
	put(fx, "n0.example", NULL, "none");
	assert_null(fx_get(fx, "n0.example").standby);
	assert_refused(fx, put_live(fx, "n0.example"), CH_ECONFLICT, "standby-not-ready");
}

static void it_comes_after_everything_else_and_waits_for_room(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_order *orders;
	char name[32];
	int64_t due;
	size_t n;

	cas.list[1] = pace_of("backup", BACKUP, "3/3d");
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		put(fx, name, NULL, "backup");
	}
	n = lease(fx, &cas, 10, &orders);
	for (size_t i = 0; i < n; i++)
		fx_issue(fx, &orders[i]);
	fx_add(fx, "z.example");
	assert_int_equal(lease(fx, &cas, 1, &orders), 1);
	assert_string_equal(orders[0].names[0].name, "z.example");
	fx_issue(fx, &orders[0]);
	/* One of three tokens is kept back. */
	assert_int_equal(lease(fx, &cas, 10, &orders), 2);
	fx_issue(fx, &orders[0]);
	fx_issue(fx, &orders[1]);
	lease_none(fx, &cas);
	assert_ok(ch_store_next_due(fx->store, &due));
	assert_true(due > test_now_ms);
	test_now_ms += CH_DAY_MS;
	assert_int_equal(lease(fx, &cas, 10, &orders), 1);
}

/* Many that cannot have theirs, since the CA that has failed is down, hold up no other. */
static void those_of_a_ca_that_is_down_keep_no_other_waiting(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_order *orders;
	char name[32];
	size_t n;

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		put(fx, name, "backup", "main");
	}
	n = lease(fx, &cas, 40, &orders);
	assert_int_equal(n, 40);
	for (size_t i = 0; i < n; i++)
		fx_issue(fx, &orders[i]);
	cas.list[0].out = true;
	lease_none(fx, &cas);
	test_now_ms += CH_HOUR_MS;
	put(fx, "z.example", "third", "backup");
	fx_issue(fx, lease_one(fx, &cas));
	assert_string_equal(lease_one(fx, &cas)->names[0].name, "z.example");
	cas.list[0].out = false;
	assert_int_equal(lease(fx, &cas, 50, &orders), 40);
}

static void its_order_makes_way_for_a_renewal(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_order *order;
	struct ch_op_patch patch;

	put(fx, NAME, NULL, "backup");
	fx_issue(fx, lease_one(fx, &cas));
	order = lease_one(fx, &cas);
	assert_true(order->standby);
	patch = (struct ch_op_patch){.id = order->id, .fence = order->fence};
	assert_ok(fx_patch(fx, &patch));
	test_now_ms += RENEW_MS;
	order = lease_one(fx, &cas);
	assert_false(order->standby);
	fx_issue(fx, order);
	/* And for somebody who asks. */
	order = lease_one(fx, &cas);
	assert_true(order->standby);
	assert_ok(fx_name_op(fx, CH_OP_RETRY, NAME));
	order = lease_one(fx, &cas);
	assert_false(order->standby);
}

static void without_another_ca_it_says_so(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);

	put(fx, NAME, "main", "main");
	fx_issue(fx, lease_one(fx, &cas));
	lease_none(fx, &cas);
	assert_string_equal(fx_get(fx, NAME).standby->reason.code, "standby-no-ca");
	assert_int_equal(fx_get(fx, NAME).standby->reason.actor, CH_ACTOR_OPERATOR);
	put(fx, NAME, NULL, "nonesuch");
	lease_none(fx, &cas);
	assert_string_equal(fx_get(fx, NAME).standby->reason.code, "ca-unknown");
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	put(fx, NAME, NULL, "third");
	assert_string_equal(lease_one(fx, &cas)->account, THIRD);
}

static void what_cannot_be_put_live_is_told(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);

	assert_refused(fx, put_live(fx, "none.example"), CH_ENOTFOUND, "domain-not-found");
	fx_add(fx, "b.example");
	assert_refused(fx, put_live(fx, "b.example"), CH_ECONFLICT, "standby-not-ready");
	assert_non_null(strstr(fx->err.detail, "is to have no standby"));
	put(fx, "b.example", NULL, "backup");
	assert_refused(fx, put_live(fx, "b.example"), CH_ECONFLICT, "standby-not-ready");
	assert_non_null(strstr(fx->err.detail, "no standby certificate yet"));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "b.example"));
	ready(fx, &cas, NAME);
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, NAME));
	assert_refused(fx, put_live(fx, NAME), CH_ECONFLICT, "domain-paused");
	lease_none(fx, &cas);
	assert_ok(fx_name_op(fx, CH_OP_RESUME, NAME));
	test_now_ms += LIFETIME_MS;
	assert_refused(fx, put_live(fx, NAME), CH_ECONFLICT, "standby-not-ready");
	assert_false(fx_get(fx, NAME).standby->ready);
}

/* The CA that it is with may be the one that has failed. */
static void an_order_that_is_under_way_is_given_up(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_order *order;
	struct ch_op_patch patch;

	ready(fx, &cas, NAME);
	assert_ok(fx_name_op(fx, CH_OP_RETRY, NAME));
	order = lease_one(fx, &cas);
	fx_seal(fx, order);
	assert_ok(put_live(fx, NAME));
	patch = fx_step(order, CH_ORDER_FINALIZING);
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "fence-lost");
	order = lease_one(fx, &cas);
	assert_true(order->old.version != 0);
	carry_out(fx, order);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
}

static void all_of_a_ca_go_over_in_parts(void **state)
{
	struct fixture *fx = *state;
	struct cas cas = all_cas(NULL);
	struct ch_store_order *orders;
	struct ch_op_standby op;
	char after[CH_NAME_MAX + 1] = "";
	char name[32];
	size_t begun = 0, not_ready = 0, parts = 0, n;

	for (int i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		ready(fx, &cas, name);
	}
	/* Of the other CA, and without a standby. */
	put(fx, "other.example", "backup", NULL);
	put(fx, "plain.example", NULL, NULL);
	n = lease(fx, &cas, 10, &orders);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++)
		fx_issue(fx, &orders[i]);
	assert_refused(fx, put_all(fx, "nonesuch", NULL, 10, false, &op), CH_ENOTFOUND,
		"ca-not-found");
	assert_refused(fx, put_all(fx, "main", NULL, 0, false, &op), CH_EINVAL, "bad-field");
	assert_ok(put_all(fx, "main", NULL, 100, true, &op));
	assert_int_equal(op.begun, 7);
	assert_int_equal(op.not_ready, 1);
	lease_none(fx, &cas);
	do {
		assert_ok(put_all(fx, "main", after, 3, false, &op));
		begun += op.begun;
		not_ready += op.not_ready;
		snprintf(after, sizeof(after), "%s", op.last ? op.last : "");
		/* Begun anew, as after a break: those of before are counted, not begun. */
		if (parts++ == 1) {
			assert_ok(put_all(fx, "main", NULL, 3, false, &op));
			assert_int_equal(op.begun, 3);
		}
	} while (*after);
	assert_int_equal(parts, 4);
	assert_int_equal(begun, 7);
	assert_int_equal(not_ready, 1);
	n = lease(fx, &cas, 20, &orders);
	assert_int_equal(n, 7);
	for (size_t i = 0; i < n; i++)
		carry_out(fx, &orders[i]);
	assert_int_equal(fx_get(fx, "other.example").cert->origin, 0);
	assert_int_equal(fx_get(fx, "plain.example").cert->origin, 0);
	assert_ok(put_all(fx, "main", NULL, 100, false, &op));
	assert_int_equal(op.begun, 0);
	assert_int_equal(op.not_ready, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_is_kept_and_goes_to_no_edge),
		T(it_is_renewed_after_what_is_live),
		T(its_failure_is_its_own),
		T(one_command_puts_it_live_and_the_next_comes_from_the_other),
		T(who_repeats_it_does_not_go_back),
		T(what_is_of_a_ca_without_a_name_can_be_left),
		T(its_ca_is_asked_about_it_before_and_when_it_is_live),
		T(when_the_live_one_comes_from_its_ca_another_is_made),
		T(a_pair_goes_along),
		T(a_default_reaches_the_names_that_are_there),
		T(it_comes_after_everything_else_and_waits_for_room),
		T(those_of_a_ca_that_is_down_keep_no_other_waiting),
		T(its_order_makes_way_for_a_renewal),
		T(without_another_ca_it_says_so),
		T(what_cannot_be_put_live_is_told),
		T(an_order_that_is_under_way_is_given_up),
		T(all_of_a_ca_go_over_in_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
