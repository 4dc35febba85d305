/* Names with two certificates have two standbys, which are put live and taken back together. */
#include "fixture.h"

#define NAME "a.example"
#define WWW "www.a.example"
#define MAIN "one.test/thumb"
#define BACKUP "two.test/thumb"

/* An issuer with two CAs. */
struct issuer {
	const char *standby;
	bool is_of_before; /* it knows of no standbys of second certificates */
	bool main_is_out;
};

static const struct issuer usual = {NULL, false, false};
static const struct issuer of_before = {NULL, true, false};

static size_t lease(struct fixture *fx, const struct issuer *issuer, size_t max,
	struct ch_store_order **orders)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};

	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = max,
		.lease_ms = LEASE_MS,
		.pace = {.account = MAIN, .ca = "main", .out = issuer->main_is_out},
		.fallback = {{.account = BACKUP, .ca = "backup"}},
		.n_fallback = 1,
		.standby = issuer->standby,
		.second_standbys = !issuer->is_of_before};
	assert_ok(fx_run(fx, &op));
	*orders = op.u.lease.orders;
	return op.u.lease.n_orders;
}

static struct ch_store_order *lease_one(struct fixture *fx, const struct issuer *issuer)
{
	struct ch_store_order *orders;

	assert_int_equal(lease(fx, issuer, 10, &orders), 1);
	return orders;
}

static void lease_none(struct fixture *fx, const struct issuer *issuer)
{
	struct ch_store_order *orders;

	assert_int_equal(lease(fx, issuer, 10, &orders), 0);
}

static void put(struct fixture *fx, const char *name, enum ch_store_tri www, enum ch_keys keys,
	const char *standby)
{
	struct ch_store_put_item item = {
		.name = name, .www = www, .standby = standby, .has_keys = true, .keys = keys};
	struct ch_store_op op = {.type = CH_OP_PUT};

	op.u.put.items = &item;
	op.u.put.n_items = 1;
	assert_ok(fx_run(fx, &op));
	assert_int_not_equal(item.result, CH_PUT_REJECTED);
}

/* The one order that is due is for this, and is issued. */
static uint64_t issue(struct fixture *fx, const struct issuer *issuer, bool second,
	bool standby, const char *account)
{
	struct ch_store_order *order = lease_one(fx, issuer);

	assert_int_equal(order->second, second);
	assert_int_equal(order->standby, standby);
	assert_int_equal(order->key, second ? CH_KEY_RSA : CH_KEY_ECDSA);
	assert_string_equal(order->account, account);
	fx_issue(fx, order);
	return order->id;
}

/* Live from main, with the first one's standby. */
static void half_ready(struct fixture *fx, const char *name)
{
	put(fx, name, CH_TRI_NO, CH_KEYS_BOTH, "backup");
	issue(fx, &usual, false, false, MAIN);
	issue(fx, &usual, true, false, MAIN);
	issue(fx, &usual, false, true, BACKUP);
}

static void ready(struct fixture *fx, const char *name)
{
	half_ready(fx, name);
	issue(fx, &usual, true, true, BACKUP);
}

static int put_live(struct fixture *fx, const char *name, const char *ca, bool partly)
{
	struct ch_store_op op = {.type = CH_OP_STANDBY,
		.who = "operator/default/admin",
		.u.standby = {.name = name, .ca = ca, .partly = partly}};

	return fx_run(fx, &op);
}

static struct ch_op_standby put_all(struct fixture *fx, bool partly, bool dry_run)
{
	struct ch_store_op op = {.type = CH_OP_STANDBY,
		.who = "operator/default/admin",
		.u.standby = {.ca = "main", .max = 100, .partly = partly, .dry_run = dry_run}};

	assert_ok(fx_run(fx, &op));
	return op.u.standby;
}

static void carry_out(struct fixture *fx, const struct ch_store_order *order)
{
	assert_ok(fx_publish(fx, fx_publication(fx, order, (uint8_t)order->old.version)));
	fx_finish(fx, order);
}

static const struct ch_store_standby *standby_of(struct fixture *fx, const char *name)
{
	return fx_get(fx, name).second->standby;
}

static void it_comes_last_from_the_same_ca_and_goes_to_no_edge(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_certs certs;
	struct ch_store_order *order;
	uint64_t head;
	int64_t due;

	half_ready(fx, NAME);
	assert_string_equal(standby_of(fx, NAME)->wanted, "backup");
	assert_string_equal(standby_of(fx, NAME)->reason.code, "queued");
	assert_false(standby_of(fx, NAME)->ready);
	assert_ok(ch_store_next_due(fx->store, &due));
	assert_true(due <= test_now_ms);
	head = fx_feed_info(fx).head;
	order = lease_one(fx, &usual);
	assert_true(order->standby && order->second);
	assert_false(order->renewal);
	assert_int_equal(order->key, CH_KEY_RSA);
	assert_string_equal(order->account, BACKUP);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	fx_issue(fx, order);
	assert_int_equal(fx_feed_info(fx).head, head);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	assert_true(standby_of(fx, NAME)->ready);
	assert_string_equal(standby_of(fx, NAME)->ca, "backup");
	assert_int_equal(standby_of(fx, NAME)->cert->version, order->id);
	assert_ok(ch_store_get_certs(fx->store, NAME, fx->arena, &certs));
	assert_int_equal(certs.second_standby->version, order->id);
	assert_string_equal(certs.second_standby->ca, "backup");
	assert_int_equal(certs.second_standby->n_recipients, 1);
	assert_string_equal(certs.second->ca, "main");
	assert_int_equal(standby_of(fx, NAME)->next_at_ms, test_now_ms + RENEW_MS);
	/* The first one's is there beside it. */
	assert_true(fx_get(fx, NAME).standby->ready);
	lease_none(fx, &usual);
	assert_ok(ch_store_next_due(fx->store, &due));
	assert_true(due > test_now_ms);
}

static void it_is_renewed_after_all_else(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	uint64_t first;

	ready(fx, NAME);
	first = standby_of(fx, NAME)->cert->version;
	test_now_ms += RENEW_MS;
	issue(fx, &usual, false, false, MAIN);
	issue(fx, &usual, true, false, MAIN);
	issue(fx, &usual, false, true, BACKUP);
	assert_int_equal(standby_of(fx, NAME)->cert->version, first);
	order = lease_one(fx, &usual);
	assert_true(order->standby && order->second && order->renewal);
	fx_issue(fx, order);
	assert_int_equal(standby_of(fx, NAME)->cert->version, order->id);
	lease_none(fx, &usual);
}

static void its_failure_is_its_own(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_outcome outcome = {.name = NAME,
		.next_at_ms = test_now_ms + CH_HOUR_MS,
		.failed = true,
		.state = CH_NAME_FAILED,
		.reason = {"wrong-answer", "No.", CH_ACTOR_CUSTOMER}};
	struct ch_op_patch patch;
	struct ch_store_order *order;
	struct ch_store_domain domain;

	half_ready(fx, NAME);
	order = lease_one(fx, &usual);
	patch = fx_step(order, CH_ORDER_FAILED);
	patch.outcomes = &outcome;
	patch.n_outcomes = 1;
	assert_ok(fx_patch(fx, &patch));
	domain = fx_get(fx, NAME);
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_int_equal(domain.failures, 0);
	assert_int_equal(domain.second->failures, 0);
	assert_int_equal(domain.standby->failures, 0);
	assert_true(domain.standby->ready);
	assert_string_equal(domain.second->reason.code, "ok");
	assert_int_equal(domain.second->standby->failures, 1);
	assert_string_equal(domain.second->standby->reason.code, "wrong-answer");
	assert_int_equal(domain.second->standby->next_at_ms, test_now_ms + CH_HOUR_MS);
	lease_none(fx, &usual);
	test_now_ms += CH_HOUR_MS;
	order = lease_one(fx, &usual);
	assert_int_equal(order->names[0].failures, 1);
	patch = fx_step(order, CH_ORDER_FAILED);
	patch.outcomes = &outcome;
	patch.n_outcomes = 1;
	outcome.next_at_ms = test_now_ms + CH_DAY_MS;
	assert_ok(fx_patch(fx, &patch));
	assert_ok(fx_name_op(fx, CH_OP_RETRY, NAME));
	assert_int_equal(standby_of(fx, NAME)->failures, 0);
	assert_int_equal(standby_of(fx, NAME)->next_at_ms, test_now_ms);
}

static void both_go_live_in_one_transaction(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_publish *publish;
	struct ch_store_order *order;
	struct ch_store_domain domain;
	uint64_t kept[2], live[2], head;

	ready(fx, NAME);
	domain = fx_get(fx, NAME);
	kept[0] = domain.standby->cert->version;
	kept[1] = domain.second->standby->cert->version;
	live[0] = domain.cert->version;
	live[1] = domain.second->cert->version;
	assert_ok(put_live(fx, NAME, NULL, false));
	assert_ok(put_live(fx, NAME, NULL, false)); /* it is on its way */
	order = lease_one(fx, &usual);
	assert_int_equal(order->old.version, kept[0]);
	assert_int_equal(order->old_second.version, kept[1]);
	assert_non_null(order->old_second.records[0]);
	/* Neither without the other. */
	head = fx_feed_info(fx).head;
	publish = fx_publication(fx, order, (uint8_t)kept[0]);
	publish->second->records = publish->records;
	assert_refused(fx, fx_publish(fx, publish), CH_EINVAL, "bad-record");
	domain = fx_get(fx, NAME);
	assert_int_equal(domain.cert->version, live[0]);
	assert_int_equal(domain.second->cert->version, live[1]);
	assert_int_equal(fx_feed_info(fx).head, head);
	carry_out(fx, order);
	assert_int_equal(fx_feed_info(fx).head, head + 2);
	domain = fx_get(fx, NAME);
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_int_equal(domain.cert->version, order->id);
	assert_int_equal(domain.cert->origin, kept[0]);
	assert_int_equal(domain.second->cert->version, order->id + 1);
	assert_int_equal(domain.second->cert->origin, kept[1]);
	assert_int_equal(domain.version, order->id + 1);
	assert_null(domain.standby->cert);
	assert_null(domain.second->standby->cert);
	/* The next ones come from the other CA. */
	issue(fx, &usual, false, true, MAIN);
	issue(fx, &usual, true, true, MAIN);
	assert_string_equal(standby_of(fx, NAME)->ca, "main");
	/* And there and back, but not by saying the same twice. */
	assert_refused(fx, put_live(fx, NAME, NULL, false), CH_ECONFLICT, "ca-needed");
	assert_ok(put_live(fx, NAME, "backup", false));
	carry_out(fx, lease_one(fx, &usual));
	issue(fx, &usual, false, true, BACKUP);
	issue(fx, &usual, true, true, BACKUP);
}

static void a_roll_back_takes_both_back(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain before, after;
	struct ch_store_op back = {.type = CH_OP_ROLLBACK, .u.rollback = {.name = NAME}};
	struct ch_store_order *order;

	ready(fx, NAME);
	before = fx_get(fx, NAME);
	assert_ok(put_live(fx, NAME, NULL, false));
	carry_out(fx, lease_one(fx, &usual));
	back.u.rollback.to = before.cert->version;
	assert_ok(fx_run(fx, &back));
	order = lease_one(fx, &usual);
	assert_int_equal(order->old.version, before.cert->version);
	assert_int_equal(order->old_second.version, before.second->cert->version);
	carry_out(fx, order);
	after = fx_get(fx, NAME);
	assert_int_equal(after.cert->origin, before.cert->version);
	assert_int_equal(after.second->cert->origin, before.second->cert->version);
	/* A first one that was renewed since goes back alone. */
	test_now_ms = after.next_at_ms;
	issue(fx, &usual, false, false, MAIN);
	back.u.rollback.to = 0;
	assert_ok(fx_run(fx, &back));
	assert_int_equal(lease_one(fx, &usual)->old_second.version, 0);
}

static void half_of_it_is_put_live_on_request_only(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain domain;
	struct ch_store_order *order;
	uint64_t second;

	half_ready(fx, NAME);
	second = fx_get(fx, NAME).second->cert->version;
	assert_refused(fx, put_live(fx, NAME, NULL, false), CH_ECONFLICT, "standby-half-ready");
	assert_non_null(strstr(fx->err.detail, "first certificate only"));
	assert_ok(put_live(fx, NAME, NULL, true));
	order = lease_one(fx, &usual);
	assert_int_equal(order->old_second.version, 0);
	carry_out(fx, order);
	domain = fx_get(fx, NAME);
	assert_int_equal(domain.cert->version, order->id);
	assert_int_equal(domain.second->cert->version, second);
	issue(fx, &usual, false, true, MAIN);
	issue(fx, &usual, true, true, BACKUP);
	/* Which of the two is to go nobody can tell. */
	assert_refused(fx, put_live(fx, NAME, NULL, true), CH_ECONFLICT, "ca-needed");
	assert_refused(fx, put_live(fx, NAME, "nonesuch", true), CH_ENOTFOUND, "ca-not-found");
	assert_ok(put_live(fx, NAME, "main", false));
	order = lease_one(fx, &usual);
	assert_true(order->second);
	assert_int_equal(order->old_second.version, 0);
	carry_out(fx, order);
	domain = fx_get(fx, NAME);
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_int_equal(domain.second->cert->version, order->id);
	assert_null(domain.second->standby->cert);
	assert_true(domain.standby->ready);
	assert_ok(put_live(fx, NAME, "main", true));
}

static void a_pair_goes_along(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	put(fx, NAME, CH_TRI_YES, CH_KEYS_BOTH, "backup");
	for (int i = 0; i < 4; i++) {
		order = lease_one(fx, &usual);
		assert_int_equal(order->n_names, 2);
		fx_issue(fx, order);
	}
	assert_true(standby_of(fx, WWW)->ready);
	assert_ok(put_live(fx, WWW, NULL, false));
	order = lease_one(fx, &usual);
	assert_int_equal(order->n_names, 2);
	carry_out(fx, order);
	assert_int_equal(fx_get(fx, NAME).second->cert->version, order->id + 1);
	assert_int_equal(fx_get(fx, WWW).second->cert->version, order->id + 1);
	/* One that is left alone takes over what it has. */
	fx_issue(fx, lease_one(fx, &usual));
	fx_issue(fx, lease_one(fx, &usual));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, WWW));
	assert_ok(put_live(fx, NAME, "backup", false));
	order = lease_one(fx, &usual);
	assert_int_equal(order->n_names, 1);
	assert_true(order->old_second.version != 0);
	carry_out(fx, order);
}

static void all_of_a_ca_go_over_and_what_is_half_ready_is_counted(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *orders;
	struct ch_op_standby op;
	size_t n;

	ready(fx, "both.example");
	half_ready(fx, "half.example");
	put(fx, "one.example", CH_TRI_NO, CH_KEYS_ECDSA, "none");
	n = lease(fx, &usual, 10, &orders);
	for (size_t i = 0; i < n; i++)
		if (!orders[i].standby)
			fx_issue(fx, &orders[i]);
	op = put_all(fx, false, true);
	assert_int_equal(op.begun, 1);
	assert_int_equal(op.not_ready, 2);
	assert_int_equal(op.half_ready, 1);
	op = put_all(fx, true, true);
	assert_int_equal(op.begun, 2);
	assert_int_equal(op.not_ready, 1);
	assert_int_equal(op.half_ready, 0);
	op = put_all(fx, false, false);
	assert_int_equal(op.begun, 1);
	carry_out(fx, lease_one(fx, &usual));
	assert_true(fx_get(fx, "both.example").second->cert->origin != 0);
	op = put_all(fx, true, false);
	assert_int_equal(op.begun, 1);
	n = lease(fx, &usual, 10, &orders);
	for (size_t i = 0; i < n; i++)
		if (orders[i].old.version)
			carry_out(fx, &orders[i]);
	assert_true(fx_get(fx, "half.example").cert->origin != 0);
	assert_int_equal(fx_get(fx, "half.example").second->cert->origin, 0);
}

static void it_goes_with_the_second_certificate_and_comes_again(void **state)
{
	struct fixture *fx = *state;

	ready(fx, NAME);
	put(fx, NAME, CH_TRI_NO, CH_KEYS_ECDSA, NULL);
	assert_null(fx_get(fx, NAME).second);
	lease_none(fx, &usual);
	/* What is left is put live as that of any other name. */
	put(fx, NAME, CH_TRI_NO, CH_KEYS_BOTH, NULL);
	assert_null(standby_of(fx, NAME)->cert);
	issue(fx, &usual, true, false, MAIN);
	issue(fx, &usual, true, true, BACKUP);
	assert_true(standby_of(fx, NAME)->ready);
	put(fx, NAME, CH_TRI_NO, CH_KEYS_BOTH, "none");
	assert_null(standby_of(fx, NAME));
	assert_refused(fx, put_live(fx, NAME, NULL, true), CH_ECONFLICT, "standby-not-ready");
	lease_none(fx, &usual);
	put(fx, NAME, CH_TRI_NO, CH_KEYS_BOTH, "backup");
	issue(fx, &usual, false, true, BACKUP);
	issue(fx, &usual, true, true, BACKUP);
}

static void its_order_ends_when_the_second_is_not_wanted(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;

	half_ready(fx, NAME);
	order = lease_one(fx, &usual);
	assert_true(order->second && order->standby);
	put(fx, NAME, CH_TRI_NO, CH_KEYS_ECDSA, NULL);
	patch = fx_step(order, CH_ORDER_ORDERED);
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "fence-lost");
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	assert_int_equal(fx_get(fx, NAME).order_id, 0);
	assert_ok(put_live(fx, NAME, NULL, false));
	assert_int_equal(lease_one(fx, &usual)->old_second.version, 0);
}

static void a_default_reaches_it_too(void **state)
{
	struct fixture *fx = *state;
	struct issuer issuer = usual;

	put(fx, NAME, CH_TRI_NO, CH_KEYS_BOTH, NULL);
	issue(fx, &issuer, false, false, MAIN);
	issue(fx, &issuer, true, false, MAIN);
	lease_none(fx, &issuer);
	assert_null(standby_of(fx, NAME));
	issuer.standby = "backup";
	issue(fx, &issuer, false, true, BACKUP);
	issue(fx, &issuer, true, true, BACKUP);
	lease_none(fx, &issuer);
	issuer.standby = NULL;
	lease_none(fx, &issuer);
	assert_null(standby_of(fx, NAME)->wanted);
	assert_true(standby_of(fx, NAME)->ready);
}

/* Its own CA has become what is live: it would be worth nothing. */
static void it_follows_what_is_live(void **state)
{
	struct fixture *fx = *state;
	struct issuer issuer = usual;

	ready(fx, NAME);
	test_now_ms += RENEW_MS - CH_HOUR_MS;
	issuer.main_is_out = true;
	assert_ok(fx_name_op(fx, CH_OP_RETRY, NAME));
	issue(fx, &issuer, false, false, BACKUP);
	issue(fx, &issuer, true, false, BACKUP);
	lease_none(fx, &issuer);
	issuer.main_is_out = false;
	test_now_ms += 10 * CH_MINUTE_MS;
	issue(fx, &issuer, false, true, MAIN);
	issue(fx, &issuer, true, true, MAIN);
}

static void an_issuer_of_before_is_given_none_and_wakes_nobody(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;
	int64_t due;

	half_ready(fx, NAME);
	lease_none(fx, &of_before);
	assert_ok(ch_store_next_due(fx->store, &due));
	assert_true(due > test_now_ms);
	/* One that knows of them is not kept from it. */
	order = lease_one(fx, &usual);
	assert_true(order->second && order->standby);
	patch = (struct ch_op_patch){.id = order->id, .fence = order->fence};
	assert_ok(fx_patch(fx, &patch));
	/* What such a one has left behind is nobody's in the end. */
	lease_none(fx, &of_before);
	assert_int_equal(fx_get(fx, NAME).order_id, order->id);
	test_now_ms += 2 * CH_MINUTE_MS;
	lease_none(fx, &of_before);
	assert_int_equal(fx_get(fx, NAME).order_id, 0);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	test_now_ms += RENEW_MS;
	issue(fx, &of_before, false, false, MAIN);
}

/* The CA knows of it, and whoever is to go on with it may be busy, or be upgraded. */
static void an_order_that_was_begun_is_not_dropped_so_soon(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;

	half_ready(fx, NAME);
	order = lease_one(fx, &usual);
	patch = fx_step(order, CH_ORDER_ORDERED);
	assert_ok(fx_patch(fx, &patch));
	test_now_ms += LEASE_MS + 2 * CH_MINUTE_MS;
	lease_none(fx, &of_before);
	assert_int_equal(fx_get(fx, NAME).order_id, order->id);
	test_now_ms += CH_HOUR_MS;
	lease_none(fx, &of_before);
	assert_int_equal(fx_get(fx, NAME).order_id, 0);
}

static void the_first_goes_on_when_a_second_is_not_wanted_any_more(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *leased, *order;
	struct ch_op_publish *publish;
	uint64_t kept;

	ready(fx, NAME);
	kept = fx_get(fx, NAME).standby->cert->version;
	assert_ok(put_live(fx, NAME, NULL, false));
	leased = lease_one(fx, &usual);
	publish = fx_publication(fx, leased, (uint8_t)kept);
	put(fx, NAME, CH_TRI_NO, CH_KEYS_ECDSA, NULL);
	assert_refused(fx, fx_publish(fx, publish), CH_ECONFLICT, "fence-lost");
	order = lease_one(fx, &usual);
	assert_int_equal(order->id, leased->id);
	assert_int_equal(order->old.version, kept);
	assert_int_equal(order->old_second.version, 0);
	carry_out(fx, order);
	assert_int_equal(fx_get(fx, NAME).cert->origin, kept);
	assert_null(fx_get(fx, NAME).second);
}

/* Better than nothing, when there is no other: the first certificate alone. */
static void an_issuer_of_before_puts_the_first_live_when_no_other_does(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_publish *publish;
	struct ch_store_domain before, after;
	struct ch_store_order *order;

	ready(fx, NAME);
	before = fx_get(fx, NAME);
	assert_ok(put_live(fx, NAME, NULL, false));
	lease_none(fx, &of_before);
	test_now_ms += 2 * CH_MINUTE_MS;
	order = lease_one(fx, &of_before);
	publish = fx_publication(fx, order, (uint8_t)order->old.version);
	publish->second = NULL;
	assert_ok(fx_publish(fx, publish));
	fx_finish(fx, order);
	after = fx_get(fx, NAME);
	assert_int_equal(after.cert->version, order->id);
	assert_int_equal(after.second->cert->version, before.second->cert->version);
	assert_true(after.second->standby->ready);
	/* And the rest later, by the same command. */
	issue(fx, &of_before, false, true, MAIN);
	assert_ok(put_live(fx, NAME, "main", false));
	lease_none(fx, &of_before);
	order = lease_one(fx, &usual);
	assert_true(order->second);
	carry_out(fx, order);
	assert_int_equal(fx_get(fx, NAME).second->cert->version, order->id);
}

static void a_second_that_the_order_does_not_ask_for_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_publish *publish;
	struct ch_store_order *order;

	half_ready(fx, NAME);
	assert_ok(put_live(fx, NAME, NULL, true));
	order = lease_one(fx, &usual);
	publish = fx_publication(fx, order, (uint8_t)order->old.version);
	publish->second = fx_publication(fx, order, (uint8_t)order->old.version);
	assert_refused(fx, fx_publish(fx, publish), CH_EINVAL, "bad-record");
	publish->second = NULL;
	assert_ok(fx_publish(fx, publish));
}

static size_t asked_of(struct fixture *fx, const char *ca, struct ch_store_ask **asks)
{
	struct ch_store_op op = {.type = CH_OP_ASK_LEASE,
		.u.ask_lease = {.ca = ca, .max = 10, .lease_ms = CH_SECOND_MS}};

	assert_ok(fx_run(fx, &op));
	*asks = op.u.ask_lease.asks;
	return op.u.ask_lease.n_asks;
}

static void its_ca_is_asked_about_it_before_and_when_it_is_live(void **state)
{
	static const char *const ids[] = {"b25l.AQ", "b25l.Ag", "dHdv.AQ", "dHdv.Ag"};
	struct fixture *fx = *state;
	struct ch_store_heard heard = {.from_ms = test_now_ms + CH_DAY_MS,
		.until_ms = test_now_ms + 2 * CH_DAY_MS,
		.start_ms = test_now_ms,
		.end_ms = test_now_ms + 2 * CH_DAY_MS,
		.next_at_ms = test_now_ms + CH_HOUR_MS};
	struct ch_store_op write = {
		.type = CH_OP_ASK_WRITE, .u.ask_write = {.heard = &heard, .n_heard = 1}};
	struct ch_store_ask *asks;

	put(fx, NAME, CH_TRI_NO, CH_KEYS_BOTH, "backup");
	for (size_t i = 0; i < CH_ARRAY_LEN(ids); i++) {
		struct ch_store_order *order = lease_one(fx, &usual);
		struct ch_op_publish *publish;

		fx_seal(fx, order);
		publish = fx_publication(fx, order, (uint8_t)order->id);
		publish->ari_id = ids[i];
		assert_ok(fx_publish(fx, publish));
		fx_finish(fx, order);
	}
	assert_int_equal(asked_of(fx, "two.test", &asks), 2);
	/* Its renewal moves into the CA's window. */
	heard.version = standby_of(fx, NAME)->cert->version;
	assert_ok(fx_run(fx, &write));
	assert_int_equal(write.u.ask_write.moved, 1);
	assert_in_range(standby_of(fx, NAME)->next_at_ms, heard.from_ms, heard.until_ms);
	assert_ok(put_live(fx, NAME, NULL, false));
	carry_out(fx, lease_one(fx, &usual));
	assert_int_equal(asked_of(fx, "two.test", &asks), 2);
	assert_string_not_equal(asks[0].ari_id, asks[1].ari_id);
	for (size_t i = 0; i < 2; i++)
		assert_true(strcmp(asks[i].ari_id, ids[2]) == 0 ||
			    strcmp(asks[i].ari_id, ids[3]) == 0);
}

/* A name that comes back in another pool has none of what it had. */
static void it_is_forgotten_with_the_name(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item;

	ready(fx, NAME);
	assert_ok(fx_put(fx, NAME, CH_TRI_KEEP, NULL, "other", &item));
	assert_null(standby_of(fx, NAME)->cert);
	assert_int_equal(standby_of(fx, NAME)->failures, 0);
	issue(fx, &usual, false, false, MAIN);
	issue(fx, &usual, true, false, MAIN);
	issue(fx, &usual, false, true, BACKUP);
	issue(fx, &usual, true, true, BACKUP);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, NAME));
	put(fx, NAME, CH_TRI_NO, CH_KEYS_BOTH, "backup");
	assert_null(standby_of(fx, NAME)->cert);
	issue(fx, &usual, false, false, MAIN);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_comes_last_from_the_same_ca_and_goes_to_no_edge),
		T(it_is_renewed_after_all_else),
		T(its_failure_is_its_own),
		T(both_go_live_in_one_transaction),
		T(a_roll_back_takes_both_back),
		T(half_of_it_is_put_live_on_request_only),
		T(a_pair_goes_along),
		T(all_of_a_ca_go_over_and_what_is_half_ready_is_counted),
		T(it_goes_with_the_second_certificate_and_comes_again),
		T(its_order_ends_when_the_second_is_not_wanted),
		T(a_default_reaches_it_too),
		T(it_follows_what_is_live),
		T(an_issuer_of_before_is_given_none_and_wakes_nobody),
		T(an_order_that_was_begun_is_not_dropped_so_soon),
		T(the_first_goes_on_when_a_second_is_not_wanted_any_more),
		T(an_issuer_of_before_puts_the_first_live_when_no_other_does),
		T(a_second_that_the_order_does_not_ask_for_is_refused),
		T(its_ca_is_asked_about_it_before_and_when_it_is_live),
		T(it_is_forgotten_with_the_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
