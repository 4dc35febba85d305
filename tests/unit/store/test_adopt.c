/* Certificates that others have issued. */
#include "fixture.h"

#include "base/buf.h"

static struct ch_store_adopt_item item_for(const char *name)
{
	return (struct ch_store_adopt_item){.names = {name},
		.n_names = 1,
		.key = CH_KEY_ECDSA,
		.not_after_ms = test_now_ms + LIFETIME_MS};
}

static int adopt(struct fixture *fx, struct ch_store_adopt_item *items, size_t n,
	struct ch_store_put_item settings, bool dry_run)
{
	struct ch_store_op op = {.type = CH_OP_ADOPT};

	op.u.adopt = (struct ch_op_adopt){
		.settings = &settings, .items = items, .n_items = n, .dry_run = dry_run};
	return fx_run(fx, &op);
}

static struct ch_store_adopt_item ask(
	struct fixture *fx, struct ch_store_adopt_item item, struct ch_store_put_item settings)
{
	assert_ok(adopt(fx, &item, 1, settings, false));
	return item;
}

/* The publication of what was asked about. */
static void fill(struct fixture *fx, struct ch_store_adopt_item *item)
{
	struct ch_store_order order = {
		.id = item->version, .n_names = item->n_names, .second = item->second};

	for (size_t i = 0; i < item->n_names; i++)
		order.names[i].name = item->names[i];
	item->publish = fx_publication(fx, &order, (uint8_t)item->version);
	item->publish->not_after_ms = item->not_after_ms;
	item->publish->renew_from_ms = test_now_ms + CH_DAY_MS;
}

/* Asks, then makes it live. */
static struct ch_store_adopt_item take(
	struct fixture *fx, struct ch_store_adopt_item item, struct ch_store_put_item settings)
{
	struct ch_store_adopt_item asked = item;

	asked.n_names = 1;
	asked = ask(fx, asked, settings);
	if (asked.result != CH_ADOPT_READY)
		return asked;
	item.version = asked.version;
	fill(fx, &item);
	assert_ok(adopt(fx, &item, 1, settings, false));
	return item;
}

#define LONG_MS (1000 * CH_DAY_MS)
#define NO_SETTINGS ((struct ch_store_put_item){.name = NULL})

static void a_new_name_is_registered_and_live(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item item = take(fx, item_for("a.example"),
		(struct ch_store_put_item){
			.tenant = "t1", .policy[CH_POLICY_UPSTREAM] = "blue"});
	struct ch_store_domain domain = fx_get(fx, "a.example");

	assert_int_equal(item.result, CH_ADOPT_DONE);
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_string_equal(domain.tenant, "t1");
	assert_true(domain.next_at_ms >= test_now_ms + CH_DAY_MS);
	assert_true(domain.next_at_ms <= test_now_ms + RENEW_MS);
	fx_lease_none(fx);
	test_now_ms = domain.next_at_ms;
	assert_string_equal(fx_lease_one(fx)->names[0].name, "a.example");
}

static size_t n_asked(struct fixture *fx, const char *ca)
{
	struct ch_store_op op = {.type = CH_OP_ASK_LEASE};

	op.u.ask_lease =
		(struct ch_op_ask_lease){.ca = ca, .max = 10, .lease_ms = CH_MINUTE_MS};
	assert_ok(fx_run(fx, &op));
	return op.u.ask_lease.n_asks;
}

/* As issuers do when they ask for work. */
static void tell_of_cas(struct fixture *fx)
{
	struct ch_store_op op = {.type = CH_OP_LEASE,
		.u.lease = {.issuer = "issuer/default/i1",
			.max = 1,
			.lease_ms = LEASE_MS,
			.pace = {.account = "one.test/thumb", .ca = "main"},
			.fallback = {{.account = "two.test/thumb", .ca = "backup"}},
			.n_fallback = 1}};

	assert_ok(fx_run(fx, &op));
}

static void the_ca_that_it_is_from_is_asked_when_to_renew_it(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_order *order;
	struct ch_store_adopt_item item = ask(fx, item_for("a.example"), NO_SETTINGS);

	tell_of_cas(fx);
	fill(fx, &item);
	item.publish->ari_id = "a2V5.c2VyaWFs";
	item.ca = "two.test";
	assert_ok(adopt(fx, &item, 1, NO_SETTINGS, false));
	assert_int_equal(item.result, CH_ADOPT_DONE);
	assert_string_equal(fx_get(fx, "a.example").cert->ca, "backup");
	assert_int_equal(n_asked(fx, "one.test"), 0);
	assert_int_equal(n_asked(fx, "two.test"), 1);
	/* It is not our account's: an order that named it would be refused. */
	test_now_ms = fx_get(fx, "a.example").next_at_ms;
	order = fx_lease_one(fx);
	assert_true(order->renewal);
	assert_null(order->replaces);
}

/* How many of six adopted names that are due have an order at once, where one new order fits.
 */
static size_t n_renewed(
	struct fixture *fx, const char *ca, const char *issuer, const char *account)
{
	struct ch_store_op op = {.type = CH_OP_LEASE,
		.u.lease = {.issuer = "issuer/default/i1",
			.max = 50,
			.lease_ms = LONG_MS,
			.pace = {.account = account}}};
	char name[32];

	assert_ok(ch_limit_parse("2/365d", &op.u.lease.pace.limits[CH_PACED_ACCOUNT]));
	assert_ok(ch_limit_parse("2/365d", &op.u.lease.pace.limits[CH_PACED_DOMAIN]));
	assert_ok(ch_limit_parse("5/7d", &op.u.lease.pace.limits[CH_PACED_SET]));
	for (int i = 0; i < 6; i++) {
		struct ch_store_adopt_item item;

		snprintf(name, sizeof(name), "n%d.%s.example", i, strchr(account, '/') + 1);
		item = ask(fx, item_for(name), NO_SETTINGS);
		fill(fx, &item);
		item.ca = ca;
		item.publish->issuer = issuer;
		assert_ok(adopt(fx, &item, 1, NO_SETTINGS, false));
		assert_int_equal(item.result, CH_ADOPT_DONE);
	}
	test_now_ms += RENEW_MS;
	assert_ok(fx_run(fx, &op));
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "n%d.%s.example", i, strchr(account, '/') + 1);
		assert_ok(fx_name_op(fx, CH_OP_DELETE, name));
	}
	return op.u.lease.n_orders;
}

/* Limits are a CA's own: where it is not known to have issued the certificate, or is known not
 * to have, it counts the first order as a new one. */
static void only_the_ca_that_it_is_from_takes_it_for_a_renewal(void **state)
{
	static const char le[] = "CN=E7,O=Let's Encrypt,C=US";
	static const char staging[] = "CN=E7,O=(STAGING) Let's Encrypt,C=US";
	struct fixture *fx = *state;

	assert_int_equal(n_renewed(fx, NULL, "CN=Test", "a.test/a"), 1);
	assert_int_equal(n_renewed(fx, "b.test", "CN=Test", "b.test/b"), 6);
	assert_int_equal(n_renewed(fx, "b.test", "CN=Test", "c.test/c"), 1);
	assert_int_equal(n_renewed(fx, NULL, le, "d.test/d"), 1);
	assert_int_equal(n_renewed(fx, NULL, le, "acme-v02.api.letsencrypt.org/e"), 6);
	assert_int_equal(n_renewed(fx, NULL, staging, "acme-v02.api.letsencrypt.org/f"), 1);
	/* Who was told has not to guess. */
	assert_int_equal(n_renewed(fx, "e.test", le, "acme-v02.api.letsencrypt.org/g"), 1);
}

static void where_no_ca_is_given_none_is_asked(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item item = ask(fx, item_for("a.example"), NO_SETTINGS);

	tell_of_cas(fx);
	fill(fx, &item);
	item.publish->ari_id = "a2V5.c2VyaWFs";
	assert_ok(adopt(fx, &item, 1, NO_SETTINGS, false));
	assert_null(fx_get(fx, "a.example").cert->ca);
	assert_int_equal(n_asked(fx, "one.test"), 0);
	assert_int_equal(n_asked(fx, "two.test"), 0);
	assert_int_equal(n_asked(fx, "adopted"), 0);
}

static void again_it_is_kept(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item item = take(fx, item_for("a.example"), NO_SETTINGS);
	struct ch_store_feed_info before = fx_feed_info(fx);

	assert_int_equal(item.result, CH_ADOPT_DONE);
	item = ask(fx, item_for("a.example"), NO_SETTINGS);
	assert_int_equal(item.result, CH_ADOPT_KEPT);
	assert_string_equal(item.code, "live-already");
	assert_int_equal(fx_feed_info(fx).head, before.head);
	/* One that ends later takes its place. */
	item = item_for("a.example");
	item.not_after_ms += CH_DAY_MS;
	assert_int_equal(take(fx, item, NO_SETTINGS).result, CH_ADOPT_DONE);
}

/* The operator went back to the one before; what he went back from is still where it was. */
static void what_was_live_does_not_come_back(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item bad = item_for("a.example");
	struct ch_store_adopt_item again;
	struct ch_store_op back = {.type = CH_OP_ROLLBACK, .u.rollback = {.name = "a.example"}};
	struct ch_op_patch done;
	struct ch_store_order *order;

	assert_int_equal(take(fx, item_for("a.example"), NO_SETTINGS).result, CH_ADOPT_DONE);
	bad.not_after_ms += CH_DAY_MS;
	bad = take(fx, bad, NO_SETTINGS);
	assert_int_equal(bad.result, CH_ADOPT_DONE);
	assert_ok(fx_run(fx, &back));
	order = fx_lease_one(fx);
	assert_ok(fx_publish(fx, fx_publication(fx, order, (uint8_t)order->old.version)));
	order = fx_lease_one(fx);
	done = fx_step(order, CH_ORDER_DONE);
	assert_ok(fx_patch(fx, &done));
	again = item_for("a.example");
	again.not_after_ms = bad.not_after_ms;
	again = ask(fx, again, NO_SETTINGS);
	assert_int_equal(again.result, CH_ADOPT_READY);
	fill(fx, &again);
	again.publish->leaf = bad.publish->leaf;
	assert_ok(adopt(fx, &again, 1, NO_SETTINGS, false));
	assert_int_equal(again.result, CH_ADOPT_KEPT);
	assert_string_equal(again.code, "was-live");
}

static void a_dry_run_gives_out_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item item = item_for("a.example");
	struct ch_store_domain domain;

	assert_ok(adopt(fx, &item, 1, NO_SETTINGS, true));
	assert_int_equal(item.result, CH_ADOPT_READY);
	assert_int_equal(item.place, CH_ADOPT_FRESH);
	assert_int_equal(item.version, 0);
	assert_int_equal(
		ch_store_get_domain(fx->store, "a.example", fx->arena, &domain), CH_ENOTFOUND);
}

static void a_name_and_its_www_name_share_it(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item item = item_for("a.example");
	struct ch_store_order *order;

	item.names[1] = "www.a.example";
	item.n_names = 2;
	assert_int_equal(take(fx, item, NO_SETTINGS).result, CH_ADOPT_DONE);
	assert_true(fx_get(fx, "a.example").www);
	assert_string_equal(fx_get(fx, "www.a.example").www_of, "a.example");
	assert_int_equal(
		fx_get(fx, "a.example").next_at_ms, fx_get(fx, "www.a.example").next_at_ms);
	test_now_ms = fx_get(fx, "a.example").next_at_ms;
	order = fx_lease_one(fx);
	assert_int_equal(order->n_names, 2);
	/* Of two that are no such pair nothing is done. */
	item.names[1] = "b.example";
	item.version = 1;
	fill(fx, &item);
	assert_ok(adopt(fx, &item, 1, NO_SETTINGS, false));
	assert_int_equal(item.result, CH_ADOPT_REFUSED);
	assert_string_equal(item.code, "bad-field");
}

static void what_another_tenant_holds_is_refused(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_put_item t2 = {.tenant = "t2"};
	struct ch_store_adopt_item item;

	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, "t1", NULL, NULL));
	item = ask(fx, item_for("a.example"), t2);
	assert_int_equal(item.result, CH_ADOPT_REFUSED);
	assert_string_equal(item.code, "tenant");
	/* What it held before, and what is below its wildcard. */
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	item = ask(fx, item_for("a.example"), t2);
	assert_string_equal(item.code, "claim-needed");
	assert_ok(fx_put(fx, "*.c.example", CH_TRI_KEEP, "t1", NULL, NULL));
	item = ask(fx, item_for("b.c.example"), t2);
	assert_string_equal(item.code, "claim-needed");
	item = ask(fx, item_for("b.c.example"), (struct ch_store_put_item){.tenant = "t1"});
	assert_int_equal(item.result, CH_ADOPT_READY);
	assert_ok(fx_put(fx, "d.example", CH_TRI_KEEP, NULL, "p1", NULL));
	item = ask(fx, item_for("d.example"), (struct ch_store_put_item){.pool = "p2"});
	assert_string_equal(item.code, "pool");
}

static void an_order_under_way_and_a_pause_are_left_alone(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item item;

	fx_add(fx, "a.example");
	/* Registered and waiting: it needs no CA any more. */
	item = ask(fx, item_for("a.example"), NO_SETTINGS);
	assert_int_equal(item.result, CH_ADOPT_READY);
	fx_lease_one(fx);
	item = ask(fx, item_for("a.example"), NO_SETTINGS);
	assert_int_equal(item.result, CH_ADOPT_KEPT);
	assert_string_equal(item.code, "order-open");
	fx_add(fx, "b.example");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "b.example"));
	assert_string_equal(ask(fx, item_for("b.example"), NO_SETTINGS).code, "domain-paused");
	fx_add(fx, "c.example");
	assert_int_equal(take(fx, item_for("c.example"), NO_SETTINGS).result, CH_ADOPT_DONE);
	assert_int_equal(fx_get(fx, "c.example").state, CH_NAME_ACTIVE);
}

static void what_was_changed_since_is_not_done(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item item = ask(fx, item_for("a.example"), NO_SETTINGS);

	fx_add(fx, "a.example");
	fill(fx, &item);
	assert_ok(adopt(fx, &item, 1, NO_SETTINGS, false));
	assert_int_equal(item.result, CH_ADOPT_REFUSED);
	assert_string_equal(item.code, "changed-meanwhile");
	/* Removed again: edges have heard of a higher version. */
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_ok(adopt(fx, &item, 1, NO_SETTINGS, false));
	assert_string_equal(item.code, "changed-meanwhile");
	/* A version that was never given out. */
	item = item_for("b.example");
	item.version = 1000000;
	fill(fx, &item);
	assert_ok(adopt(fx, &item, 1, NO_SETTINGS, false));
	assert_string_equal(item.code, "changed-meanwhile");
	assert_int_equal(take(fx, item_for("a.example"), NO_SETTINGS).result, CH_ADOPT_DONE);
}

static void an_answer_that_was_lost_is_given_again(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item item = take(fx, item_for("a.example"), NO_SETTINGS);
	struct ch_store_feed_info before = fx_feed_info(fx);
	struct ch_store_adopt_item again = item;
	uint8_t other = 0;

	assert_int_equal(item.result, CH_ADOPT_DONE);
	assert_ok(adopt(fx, &again, 1, NO_SETTINGS, false));
	assert_int_equal(again.result, CH_ADOPT_DONE);
	assert_null(again.code);
	assert_int_equal(fx_feed_info(fx).head, before.head);
	/* Another certificate under its version is none of that. */
	again = item;
	fill(fx, &again);
	again.publish->leaf = &other;
	again.publish->leaf_len = 1;
	assert_ok(adopt(fx, &again, 1, NO_SETTINGS, false));
	assert_string_equal(again.code, "changed-meanwhile");
	/* Nor what something has taken the place of since. */
	again = item_for("a.example");
	again.not_after_ms += CH_DAY_MS;
	assert_int_equal(take(fx, again, NO_SETTINGS).result, CH_ADOPT_DONE);
	assert_ok(adopt(fx, &item, 1, NO_SETTINGS, false));
	assert_string_equal(item.code, "changed-meanwhile");
}

static void a_new_key_that_was_asked_for_still_comes(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_REKEY};
	struct ch_store_adopt_item item = item_for("a.example");

	assert_int_equal(take(fx, item, NO_SETTINGS).result, CH_ADOPT_DONE);
	op.u.rekey = (struct ch_op_rekey){.max = CH_STORE_REKEY_MAX};
	assert_ok(fx_run(fx, &op));
	assert_int_equal(op.u.rekey.matched, 1);
	item.not_after_ms += CH_DAY_MS;
	item = ask(fx, item, NO_SETTINGS);
	assert_int_equal(item.result, CH_ADOPT_KEPT);
	assert_string_equal(item.code, "rekey-planned");
}

static void a_www_name_has_none_of_its_own(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item item = item_for("www.a.example");

	item.names[1] = "www.www.a.example";
	item.n_names = 2;
	item = take(fx, item, NO_SETTINGS);
	assert_int_equal(item.result, CH_ADOPT_REFUSED);
	assert_string_equal(item.code, "bad-field");
}

static void a_record_that_says_something_else_undoes_the_batch(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item items[2] = {item_for("a.example"), item_for("b.example")};
	struct ch_store_domain domain;

	assert_ok(adopt(fx, items, 2, NO_SETTINGS, false));
	fill(fx, &items[0]);
	items[1].names[0] = "c.example";
	fill(fx, &items[1]);
	items[1].names[0] = "b.example";
	assert_refused(fx, adopt(fx, items, 2, NO_SETTINGS, false), CH_EINVAL, "bad-record");
	assert_int_equal(
		ch_store_get_domain(fx->store, "a.example", fx->arena, &domain), CH_ENOTFOUND);
	assert_refused(
		fx, adopt(fx, items, 0, NO_SETTINGS, false), CH_ETOOBIG, "batch-too-large");
}

static struct ch_store_adopt_item second_for(const char *name)
{
	struct ch_store_adopt_item item = item_for(name);

	item.second = true;
	item.key = CH_KEY_RSA;
	return item;
}

static void a_second_one_goes_beside_the_first(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_put_item both = {.has_keys = true, .keys = CH_KEYS_BOTH};
	struct ch_store_domain domain;

	assert_string_equal(ask(fx, second_for("a.example"), both).code, "no-first");
	assert_int_equal(take(fx, item_for("a.example"), both).result, CH_ADOPT_DONE);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_RENEWING);
	assert_int_equal(take(fx, second_for("a.example"), both).result, CH_ADOPT_DONE);
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_string_equal(domain.reason.code, "ok");
	fx_lease_none(fx);
	assert_string_equal(ask(fx, second_for("a.example"), both).code, "live-already");
	assert_int_equal(take(fx, item_for("b.example"), NO_SETTINGS).result, CH_ADOPT_DONE);
	assert_string_equal(
		ask(fx, second_for("b.example"), NO_SETTINGS).code, "second-not-wanted");
}

/* Served as it is, and nothing is on its way before its renewal. */
static void another_key_than_is_wanted_stays_until_the_renewal(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item item = item_for("a.example");
	struct ch_store_put_item change = {
		.name = "b.example", .has_keys = true, .keys = CH_KEYS_P384};
	struct ch_store_op op = {.type = CH_OP_PUT};
	struct ch_store_domain domain;
	struct ch_store_order *order;

	item.key = CH_KEY_RSA;
	assert_int_equal(take(fx, item, NO_SETTINGS).result, CH_ADOPT_DONE);
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.keys, CH_KEYS_ECDSA);
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_string_equal(domain.reason.code, "ok");
	assert_int_equal(domain.reason.actor, CH_ACTOR_NOBODY);
	assert_non_null(strstr(domain.reason.detail, "renewal"));
	assert_true(domain.next_at_ms >= test_now_ms + CH_DAY_MS);
	fx_lease_none(fx);
	test_now_ms = domain.next_at_ms - 1;
	fx_lease_none(fx);
	test_now_ms++;
	order = fx_lease_one(fx);
	assert_int_equal(order->key, CH_KEY_ECDSA);
	assert_true(order->renewal);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_RENEWING);
	fx_issue(fx, order);
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_null(strstr(domain.reason.detail, "renewal"));
	/* What somebody asks for afterwards comes now, and is on its way. */
	item = item_for("b.example");
	item.key = CH_KEY_RSA;
	assert_int_equal(take(fx, item, NO_SETTINGS).result, CH_ADOPT_DONE);
	op.u.put.items = &change;
	op.u.put.n_items = 1;
	assert_ok(fx_run(fx, &op));
	assert_int_equal(fx_get(fx, "b.example").state, CH_NAME_RENEWING);
	assert_int_equal(fx_lease_one(fx)->key, CH_KEY_P384);
}

/* As stores of before said of each whose key is another one. */
#define AS_BEFORE                                                                              \
	"UPDATE name SET state = 'renewing', code = 'queued', detail = 'Served; a "            \
	"certificate that is asked for is still to come.' WHERE name = "

static void what_was_left_renewing_is_active_again(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_adopt_item item = item_for("a.example");
	struct ch_store_domain before;
	struct ch_store_domain domain;

	item.key = CH_KEY_RSA;
	assert_int_equal(take(fx, item, NO_SETTINGS).result, CH_ADOPT_DONE);
	before = fx_get(fx, "a.example");
	fx_rewrite(fx, AS_BEFORE "'a.example'");
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_RENEWING);
	(void)fx_housekeep(fx);
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_string_equal(domain.reason.code, "ok");
	assert_string_equal(domain.reason.detail, before.reason.detail);
	assert_int_equal(domain.reason.actor, CH_ACTOR_NOBODY);
	assert_true(domain.next_at_ms == before.next_at_ms);
}

static void what_is_on_its_way_stays_renewing(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_put_item both = {.has_keys = true, .keys = CH_KEYS_BOTH};
	struct ch_store_adopt_item item = item_for("key.example");

	/* A second certificate is missing; the last try has failed; the renewal comes at once;
	 * there is an order. */
	assert_int_equal(take(fx, item_for("second.example"), both).result, CH_ADOPT_DONE);
	fx_rewrite(fx, AS_BEFORE "'second.example'");
	fx_rewrite(fx, "UPDATE name SET cert_key = 'p384' WHERE name = 'second.example'");
	item.key = CH_KEY_RSA;
	item.names[0] = "failed.example";
	assert_int_equal(take(fx, item, NO_SETTINGS).result, CH_ADOPT_DONE);
	fx_rewrite(fx, AS_BEFORE "'failed.example'");
	fx_rewrite(fx, "UPDATE name SET failures = 1 WHERE name = 'failed.example'");
	item.names[0] = "key.example";
	assert_int_equal(take(fx, item, NO_SETTINGS).result, CH_ADOPT_DONE);
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "key.example"));
	fx_rewrite(fx, AS_BEFORE "'key.example'");
	(void)fx_housekeep(fx);
	assert_int_equal(fx_get(fx, "second.example").state, CH_NAME_RENEWING);
	assert_int_equal(fx_get(fx, "failed.example").state, CH_NAME_RENEWING);
	assert_int_equal(fx_get(fx, "key.example").state, CH_NAME_RENEWING);
	assert_non_null(fx_lease_one(fx));
	(void)fx_housekeep(fx);
	assert_int_equal(fx_get(fx, "key.example").state, CH_NAME_RENEWING);
}

static void the_calendar_is_level(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_calendar calendar;
	uint64_t most = 0;

	for (int i = 0; i < 240; i++) {
		char name[32];
		struct ch_store_adopt_item item;

		snprintf(name, sizeof(name), "n%d.example", i);
		item = item_for(ch_arena_str(fx->arena, name));
		item.key = i % 2 ? CH_KEY_RSA : CH_KEY_ECDSA;
		item = ask(fx, item, NO_SETTINGS);
		fill(fx, &item);
		item.publish->renew_at_ms = test_now_ms + 11 * CH_DAY_MS;
		assert_ok(adopt(fx, &item, 1, NO_SETTINGS, false));
		assert_int_equal(item.result, CH_ADOPT_DONE);
	}
	assert_ok(ch_store_get_calendar(fx->store, fx->arena, &calendar));
	assert_int_equal(calendar.total, 240);
	for (size_t i = 0; i < calendar.n_hours; i++)
		if (calendar.hours[i].n > most)
			most = calendar.hours[i].n;
	assert_true(most <= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_new_name_is_registered_and_live, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			the_ca_that_it_is_from_is_asked_when_to_renew_it, fx_setup,
			fx_teardown),
		cmocka_unit_test_setup_teardown(
			only_the_ca_that_it_is_from_takes_it_for_a_renewal, fx_setup,
			fx_teardown),
		cmocka_unit_test_setup_teardown(
			where_no_ca_is_given_none_is_asked, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(again_it_is_kept, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			what_was_live_does_not_come_back, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			a_dry_run_gives_out_nothing, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			a_name_and_its_www_name_share_it, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			what_another_tenant_holds_is_refused, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			an_order_under_way_and_a_pause_are_left_alone, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			what_was_changed_since_is_not_done, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			an_answer_that_was_lost_is_given_again, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			a_record_that_says_something_else_undoes_the_batch, fx_setup,
			fx_teardown),
		cmocka_unit_test_setup_teardown(
			a_new_key_that_was_asked_for_still_comes, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			a_www_name_has_none_of_its_own, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			a_second_one_goes_beside_the_first, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			another_key_than_is_wanted_stays_until_the_renewal, fx_setup,
			fx_teardown),
		cmocka_unit_test_setup_teardown(
			what_was_left_renewing_is_active_again, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			what_is_on_its_way_stays_renewing, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(the_calendar_is_level, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
