/* Names with two certificates: which order comes when, what a name's state says, what edges
 * get. */
#include "fixture.h"

#define NAME "a.example"
#define KEY "a.example/6"

static void add_both(struct fixture *fx, const char *name, enum ch_store_tri www)
{
	struct ch_store_put_item item;

	assert_ok(fx_put_keys(fx, name, www, CH_KEYS_BOTH, &item));
	assert_int_equal(item.result, CH_PUT_CREATED);
}

static void set_keys(struct fixture *fx, enum ch_keys keys)
{
	struct ch_store_put_item item;

	assert_ok(fx_put_keys(fx, NAME, CH_TRI_KEEP, keys, &item));
	assert_int_equal(item.result, CH_PUT_EXISTS);
}

/* Leases the one order that is due, which must be for this, and issues it. */
static uint64_t issue(struct fixture *fx, enum ch_key_type key, bool second)
{
	struct ch_store_order *order = fx_lease_one(fx);

	assert_int_equal(order->key, key);
	assert_int_equal(order->second, second);
	fx_issue(fx, order);
	return order->id;
}

static void issue_both(struct fixture *fx)
{
	add_both(fx, NAME, CH_TRI_KEEP);
	issue(fx, CH_KEY_ECDSA, false);
	issue(fx, CH_KEY_RSA, true);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
}

/* What the edges have under a key: its kind, 0 when nothing; and whether it has a certificate.
 */
struct found {
	char key[CH_RECORD_KEY_B];
	int kind;
	bool has_cert;
	uint64_t version;
};

static int look(const struct ch_store_feed_row *row, void *arg)
{
	struct found *found = arg;
	char key[CH_RECORD_KEY_B];
	struct ch_record record;

	assert_ok(ch_record_decode(row->record, row->record_len, &record));
	ch_record_key(record.kind, record.name, record.name_len, key);
	if (strcmp(key, found->key) != 0)
		return 0;
	assert_int_equal(found->kind, 0);
	found->kind = record.kind;
	found->has_cert = ch_record_has_cert(&record);
	found->version = record.version;
	return 0;
}

static struct found find(struct fixture *fx, const char *key)
{
	struct found found = {.kind = 0};
	struct ch_store_feed_info info;

	snprintf(found.key, sizeof(found.key), "%s", key);
	assert_ok(ch_store_read_feed(fx->store, "default", 0, look, &found, &info));
	return found;
}

static int fail_order(struct fixture *fx, const struct ch_store_order *order, bool at_fault,
	enum ch_name_state state)
{
	struct ch_store_outcome outcomes[2];
	struct ch_op_patch patch = fx_step(order, CH_ORDER_FAILED);

	for (size_t i = 0; i < order->n_names; i++)
		outcomes[i] = (struct ch_store_outcome){.name = order->names[i].name,
			.next_at_ms = test_now_ms + CH_HOUR_MS,
			.failed = at_fault,
			.state = state,
			.reason = {"no-rsa", "The CA is out of primes.", CH_ACTOR_CA}};
	patch.outcomes = outcomes;
	patch.n_outcomes = order->n_names;
	return fx_patch(fx, &patch);
}

static bool history_has(struct fixture *fx, const char *detail)
{
	struct ch_store_event *events;
	size_t n;

	assert_ok(ch_store_get_history(fx->store, NAME, 50, fx->arena, &events, &n));
	for (size_t i = 0; i < n; i++)
		if (strcmp(events[i].detail, detail) == 0)
			return true;
	return false;
}

static void a_name_with_two_is_active_when_both_are_live(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain domain;
	struct ch_store_certs certs;
	uint64_t first_id, second_id;

	add_both(fx, NAME, CH_TRI_KEEP);
	domain = fx_get(fx, NAME);
	assert_int_equal(domain.state, CH_NAME_PENDING);
	assert_non_null(domain.second);
	assert_null(domain.second->cert);
	first_id = issue(fx, CH_KEY_ECDSA, false);
	domain = fx_get(fx, NAME);
	assert_int_equal(domain.state, CH_NAME_RENEWING);
	assert_string_equal(domain.reason.code, "queued");
	assert_int_equal(domain.next_at_ms, test_now_ms);
	assert_int_equal(find(fx, KEY).kind, 0);
	second_id = issue(fx, CH_KEY_RSA, true);
	domain = fx_get(fx, NAME);
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_string_equal(domain.reason.code, "ok");
	assert_int_equal(domain.cert->version, first_id);
	assert_int_equal(domain.second->cert->version, second_id);
	assert_int_equal(domain.second->next_at_ms, START_MS + RENEW_MS);
	assert_int_equal(find(fx, NAME).version, first_id);
	assert_int_equal(find(fx, KEY).version, second_id);
	assert_true(find(fx, KEY).has_cert);
	assert_ok(ch_store_get_certs(fx->store, NAME, fx->arena, &certs));
	assert_int_equal(certs.second->version, second_id);
	assert_int_equal(certs.second->n_recipients, 1);
	fx_lease_none(fx);
	assert_true(history_has(fx, "An order was opened."));
	assert_true(history_has(fx, "An order for the second certificate was opened."));
	assert_false(history_has(fx, "An order for a standby was opened."));
}

static void p384_goes_alone_or_with_a_second(void **state)
{
	struct fixture *fx = *state;

	issue_both(fx);
	set_keys(fx, CH_KEYS_P384_BOTH);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_RENEWING);
	issue(fx, CH_KEY_P384, false);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	assert_true(find(fx, KEY).has_cert);
	fx_lease_none(fx);
	test_now_ms += RENEW_MS;
	issue(fx, CH_KEY_P384, false);
	issue(fx, CH_KEY_RSA, true);
	set_keys(fx, CH_KEYS_P384);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	assert_null(fx_get(fx, NAME).second);
	assert_false(find(fx, KEY).has_cert);
	fx_lease_none(fx);
	set_keys(fx, CH_KEYS_ECDSA);
	issue(fx, CH_KEY_ECDSA, false);
	fx_lease_none(fx);
}

static void each_is_renewed_and_keeps_its_predecessor(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_certs certs;
	uint64_t first_id, second_id;

	issue_both(fx);
	first_id = fx_get(fx, NAME).cert->version;
	test_now_ms += RENEW_MS;
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	issue(fx, CH_KEY_ECDSA, false);
	/* The second one of before is still served. */
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	assert_true(find(fx, KEY).has_cert);
	second_id = issue(fx, CH_KEY_RSA, true);
	fx_lease_none(fx);
	assert_ok(ch_store_get_certs(fx->store, NAME, fx->arena, &certs));
	assert_int_equal(certs.previous->version, first_id);
	assert_int_equal(certs.previous->n_recipients, 1);
	assert_int_equal(certs.second->version, second_id);
	assert_int_equal(find(fx, KEY).version, second_id);
}

static void a_failing_second_takes_nothing_away_and_says_so(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_store_domain domain;

	add_both(fx, NAME, CH_TRI_KEEP);
	issue(fx, CH_KEY_ECDSA, false);
	order = fx_lease_one(fx);
	assert_ok(fail_order(fx, order, true, CH_NAME_FAILED));
	domain = fx_get(fx, NAME);
	assert_int_equal(domain.state, CH_NAME_FAILED);
	assert_string_equal(domain.reason.code, "no-rsa");
	assert_int_equal(domain.failures, 0);
	assert_int_equal(domain.second->failures, 1);
	assert_string_equal(domain.second->reason.code, "no-rsa");
	assert_int_equal(domain.second->next_at_ms, test_now_ms + CH_HOUR_MS);
	assert_int_equal(domain.next_at_ms, test_now_ms + CH_HOUR_MS);
	assert_true(find(fx, NAME).has_cert);
	fx_lease_none(fx);
	test_now_ms += CH_HOUR_MS;
	order = fx_lease_one(fx);
	assert_true(order->second);
	assert_int_equal(order->names[0].failures, 1);
	fx_issue(fx, order);
	domain = fx_get(fx, NAME);
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_int_equal(domain.second->failures, 0);
	assert_string_equal(domain.second->reason.code, "ok");
}

static void a_renewal_of_the_first_does_not_hide_that_the_second_fails(void **state)
{
	struct fixture *fx = *state;

	add_both(fx, NAME, CH_TRI_KEEP);
	issue(fx, CH_KEY_ECDSA, false);
	test_now_ms += RENEW_MS - CH_MINUTE_MS;
	assert_ok(fail_order(fx, fx_lease_one(fx), true, CH_NAME_FAILED));
	test_now_ms += CH_MINUTE_MS;
	issue(fx, CH_KEY_ECDSA, false);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_FAILED);
	assert_string_equal(fx_get(fx, NAME).reason.code, "no-rsa");
	assert_int_equal(fx_get(fx, NAME).reason.actor, CH_ACTOR_CA);
}

static void the_second_waits_for_the_first(void **state)
{
	struct fixture *fx = *state;

	add_both(fx, NAME, CH_TRI_KEEP);
	assert_ok(fail_order(fx, fx_lease_one(fx), true, CH_NAME_FAILED));
	fx_lease_none(fx);
	assert_int_equal(fx_get(fx, NAME).next_at_ms, test_now_ms + CH_HOUR_MS);
	test_now_ms += CH_HOUR_MS;
	issue(fx, CH_KEY_ECDSA, false);
	issue(fx, CH_KEY_RSA, true);
	test_now_ms += RENEW_MS;
	/* A renewal that fails most likely fails for both: one failed validation, not two. */
	assert_ok(fail_order(fx, fx_lease_one(fx), true, CH_NAME_FAILED));
	fx_lease_none(fx);
}

static void a_set_back_that_is_nobodys_fault_counts_for_neither(void **state)
{
	struct fixture *fx = *state;

	add_both(fx, NAME, CH_TRI_KEEP);
	issue(fx, CH_KEY_ECDSA, false);
	assert_ok(fail_order(fx, fx_lease_one(fx), false, CH_NAME_FAILED));
	assert_int_equal(fx_get(fx, NAME).second->failures, 0);
	assert_int_equal(fx_get(fx, NAME).second->next_at_ms, test_now_ms + CH_HOUR_MS);
	assert_true(find(fx, NAME).has_cert);
	fx_lease_none(fx);
}

static void a_second_that_the_ca_pauses_pauses_the_name(void **state)
{
	struct fixture *fx = *state;

	add_both(fx, NAME, CH_TRI_KEEP);
	issue(fx, CH_KEY_ECDSA, false);
	assert_ok(fail_order(fx, fx_lease_one(fx), true, CH_NAME_PAUSED));
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_PAUSED);
	assert_int_equal(fx_get(fx, NAME).second->next_at_ms, 0);
	test_now_ms += 2 * RENEW_MS;
	fx_lease_none(fx);
	assert_ok(fx_name_op(fx, CH_OP_RESUME, NAME));
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_RENEWING);
	issue(fx, CH_KEY_ECDSA, false);
	issue(fx, CH_KEY_RSA, true);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
}

static void records_must_be_of_the_orders_kind(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_store_order other;

	add_both(fx, NAME, CH_TRI_KEEP);
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	other = *order;
	other.second = true;
	assert_refused(
		fx, fx_publish(fx, fx_publication(fx, &other, 1)), CH_EINVAL, "bad-record");
	assert_ok(fx_publish(fx, fx_publication(fx, order, 1)));
	fx_finish(fx, order);
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	other = *order;
	other.second = false;
	assert_refused(
		fx, fx_publish(fx, fx_publication(fx, &other, 2)), CH_EINVAL, "bad-record");
	assert_int_equal(find(fx, KEY).kind, 0);
	assert_ok(fx_publish(fx, fx_publication(fx, order, 2)));
}

static void edges_must_have_the_second_too(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	uint64_t head;

	add_both(fx, NAME, CH_TRI_KEEP);
	issue(fx, CH_KEY_ECDSA, false);
	head = fx_feed_info(fx).head;
	assert_ok(fx_ack(fx, "default", "e1", head));
	order = fx_lease_one(fx);
	assert_true(order->edges.ready);
	fx_seal(fx, order);
	assert_ok(fx_publish(fx, fx_publication(fx, order, 2)));
	order = fx_lease_one(fx);
	assert_false(order->edges.ready);
	assert_int_equal(order->edges.n_behind, 1);
}

/* An edge that has the name's own certificate, but not the second, is behind. */
static void behind_is_behind_with_either(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;
	uint64_t head;

	add_both(fx, NAME, CH_TRI_KEEP);
	issue(fx, CH_KEY_ECDSA, false);
	head = fx_feed_info(fx).head;
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	assert_ok(fx_publish(fx, fx_publication(fx, order, 2)));
	patch = fx_step(order, CH_ORDER_DONE);
	patch.has_reason = true;
	patch.reason =
		(struct ch_store_reason){"edges-behind", "e1 is behind.", CH_ACTOR_PLATFORM};
	assert_ok(fx_patch(fx, &patch));
	assert_ok(fx_ack(fx, "default", "e1", head));
	assert_int_equal(fx_housekeep(fx).caught_up, 0);
	assert_string_equal(fx_get(fx, NAME).reason.code, "edges-behind");
	assert_ok(fx_ack(fx, "default", "e1", fx_feed_info(fx).head));
	assert_int_equal(fx_housekeep(fx).caught_up, 1);
	assert_string_equal(fx_get(fx, NAME).reason.code, "ok");
	assert_string_equal(fx_get(fx, NAME).second->reason.code, "ok");
}

static void the_second_can_be_added_and_taken_away(void **state)
{
	struct fixture *fx = *state;
	uint64_t version;

	fx_add(fx, NAME);
	fx_issue(fx, fx_lease_one(fx));
	assert_null(fx_get(fx, NAME).second);
	set_keys(fx, CH_KEYS_BOTH);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_RENEWING);
	version = issue(fx, CH_KEY_RSA, true);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	set_keys(fx, CH_KEYS_ECDSA);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	assert_null(fx_get(fx, NAME).second);
	assert_int_equal(find(fx, KEY).kind, CH_RECORD_SECOND);
	assert_false(find(fx, KEY).has_cert);
	assert_true(find(fx, KEY).version > version);
	assert_true(find(fx, NAME).has_cert);
	fx_lease_none(fx);
	/* And again: with a version that edges take. */
	set_keys(fx, CH_KEYS_BOTH);
	version = find(fx, KEY).version;
	issue(fx, CH_KEY_RSA, true);
	assert_true(find(fx, KEY).has_cert);
	assert_true(find(fx, KEY).version > version);
}

static void taking_a_failing_second_away_makes_the_name_active(void **state)
{
	struct fixture *fx = *state;

	add_both(fx, NAME, CH_TRI_KEEP);
	issue(fx, CH_KEY_ECDSA, false);
	assert_ok(fail_order(fx, fx_lease_one(fx), true, CH_NAME_FAILED));
	set_keys(fx, CH_KEYS_ECDSA);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	assert_string_equal(fx_get(fx, NAME).reason.code, "ok");
	assert_int_equal(find(fx, KEY).kind, 0);
	test_now_ms += CH_HOUR_MS;
	fx_lease_none(fx);
}

static void an_open_order_for_a_key_no_longer_wanted_is_stopped(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	add_both(fx, NAME, CH_TRI_KEEP);
	issue(fx, CH_KEY_ECDSA, false);
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	set_keys(fx, CH_KEYS_ECDSA);
	assert_refused(
		fx, fx_publish(fx, fx_publication(fx, order, 2)), CH_ECONFLICT, "fence-lost");
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	assert_int_equal(fx_get_order(fx, order->id).state, CH_ORDER_FAILED);
	fx_lease_none(fx);
	/* One that is still wanted goes on. */
	set_keys(fx, CH_KEYS_BOTH);
	test_now_ms += RENEW_MS;
	order = fx_lease_one(fx);
	assert_false(order->second);
	fx_seal(fx, order);
	set_keys(fx, CH_KEYS_ECDSA);
	fx_issue(fx, order);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
}

static void rsa_alone_is_the_names_own_certificate(void **state)
{
	struct fixture *fx = *state;

	assert_ok(fx_put_keys(fx, NAME, CH_TRI_KEEP, CH_KEYS_RSA, NULL));
	issue(fx, CH_KEY_RSA, false);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	assert_null(fx_get(fx, NAME).second);
	assert_int_equal(find(fx, NAME).kind, CH_RECORD_CERT);
	assert_int_equal(find(fx, KEY).kind, 0);
	fx_lease_none(fx);
}

/* Those that can use RSA only are never left without. */
static void from_rsa_to_both_and_back_somebody_is_always_served(void **state)
{
	struct fixture *fx = *state;
	uint64_t rsa_id;

	assert_ok(fx_put_keys(fx, NAME, CH_TRI_KEEP, CH_KEYS_RSA, NULL));
	rsa_id = issue(fx, CH_KEY_RSA, false);
	set_keys(fx, CH_KEYS_BOTH);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_RENEWING);
	assert_int_equal(find(fx, NAME).version, rsa_id);
	issue(fx, CH_KEY_RSA, true);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_RENEWING);
	issue(fx, CH_KEY_ECDSA, false);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	set_keys(fx, CH_KEYS_RSA);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_RENEWING);
	assert_true(find(fx, KEY).has_cert);
	issue(fx, CH_KEY_RSA, false);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_ACTIVE);
	assert_false(find(fx, KEY).has_cert);
	fx_lease_none(fx);
}

static void removal_pool_and_pause_take_the_second_along(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item;

	issue_both(fx);
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, NAME));
	test_now_ms += 2 * RENEW_MS;
	fx_lease_none(fx);
	assert_ok(fx_name_op(fx, CH_OP_RESUME, NAME));
	assert_ok(fx_put(fx, NAME, CH_TRI_KEEP, NULL, "p2", &item));
	assert_int_equal(find(fx, NAME).kind, CH_RECORD_TOMBSTONE);
	assert_int_equal(find(fx, KEY).kind, 0);
	assert_int_equal(fx_get(fx, NAME).state, CH_NAME_PENDING);
	assert_null(fx_get(fx, NAME).second->cert);
	issue(fx, CH_KEY_ECDSA, false);
	issue(fx, CH_KEY_RSA, true);
	assert_ok(fx_put(fx, NAME, CH_TRI_KEEP, NULL, "default", &item));
	issue(fx, CH_KEY_ECDSA, false);
	issue(fx, CH_KEY_RSA, true);
	assert_true(find(fx, KEY).has_cert);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, NAME));
	assert_int_equal(find(fx, NAME).kind, CH_RECORD_TOMBSTONE);
	assert_int_equal(find(fx, KEY).kind, 0);
	fx_lease_none(fx);
}

static void a_retry_is_for_what_failed(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	add_both(fx, NAME, CH_TRI_KEEP);
	issue(fx, CH_KEY_ECDSA, false);
	assert_ok(fail_order(fx, fx_lease_one(fx), true, CH_NAME_FAILED));
	assert_ok(fx_name_op(fx, CH_OP_RETRY, NAME));
	assert_int_equal(fx_get(fx, NAME).second->failures, 0);
	issue(fx, CH_KEY_RSA, true);
	fx_lease_none(fx);
	/* Nothing has failed: both are made anew. */
	assert_ok(fx_name_op(fx, CH_OP_RETRY, NAME));
	issue(fx, CH_KEY_ECDSA, false);
	order = fx_lease_one(fx);
	assert_true(order->second);
}

static void a_www_name_has_the_keys_of_its_first_name(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item;
	struct ch_store_order *order;

	add_both(fx, NAME, CH_TRI_YES);
	order = fx_lease_one(fx);
	assert_int_equal(order->n_names, 2);
	fx_issue(fx, order);
	order = fx_lease_one(fx);
	assert_true(order->second);
	assert_int_equal(order->n_names, 2);
	fx_issue(fx, order);
	assert_int_equal(fx_get(fx, "www." NAME).state, CH_NAME_ACTIVE);
	assert_true(find(fx, "www." KEY).has_cert);
	assert_ok(fx_put_keys(fx, "www." NAME, CH_TRI_KEEP, CH_KEYS_ECDSA, &item));
	assert_int_equal(item.result, CH_PUT_REJECTED);
	set_keys(fx, CH_KEYS_ECDSA);
	assert_false(find(fx, "www." KEY).has_cert);
	assert_int_equal(fx_get(fx, "www." NAME).keys, CH_KEYS_ECDSA);
	assert_int_equal(fx_get(fx, "www." NAME).state, CH_NAME_ACTIVE);
}

static void the_operation_says_what_new_names_have(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {.name = NAME};
	struct ch_store_op op = {.type = CH_OP_PUT};

	op.u.put.items = &item;
	op.u.put.n_items = 1;
	op.u.put.keys = CH_KEYS_BOTH;
	assert_ok(fx_run(fx, &op));
	assert_int_equal(fx_get(fx, NAME).keys, CH_KEYS_BOTH);
	op.u.put.keys = CH_KEYS_ECDSA;
	assert_ok(fx_run(fx, &op));
	assert_int_equal(fx_get(fx, NAME).keys, CH_KEYS_BOTH);
}

static void what_is_due_next_counts_the_second(void **state)
{
	struct fixture *fx = *state;
	int64_t due;

	add_both(fx, NAME, CH_TRI_KEEP);
	issue(fx, CH_KEY_ECDSA, false);
	assert_ok(ch_store_next_due(fx->store, &due));
	assert_true(due <= test_now_ms);
	issue(fx, CH_KEY_RSA, true);
	assert_ok(ch_store_next_due(fx->store, &due));
	assert_int_equal(due, START_MS + RENEW_MS);
}

static struct ch_store_danger danger(struct fixture *fx)
{
	struct ch_store_danger found;

	assert_ok(ch_store_get_danger(fx->store, fx->arena, &found));
	return found;
}

/* What monitoring is told: the end that comes first, and whether it is within a week. */
static void assert_ends(struct fixture *fx, int64_t end_ms, uint64_t within_a_week)
{
	struct ch_store_figures figures;
	struct ch_store_status status;

	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_string_equal(status.expiry_name, NAME);
	assert_int_equal(status.expiry_ms, end_ms);
	assert_ok(ch_store_get_figures(fx->store, &figures));
	assert_int_equal(figures.ending[CH_STORE_ENDING_N - 1], within_a_week);
}

/* The first is renewed in time, the second is not. */
static void let_the_second_fail(struct fixture *fx)
{
	issue_both(fx);
	test_now_ms = START_MS + RENEW_MS;
	issue(fx, CH_KEY_ECDSA, false);
	assert_ok(fail_order(fx, fx_lease_one(fx), true, CH_NAME_FAILED));
	test_now_ms = START_MS + 80 * CH_DAY_MS;
	assert_int_equal(danger(fx).n, 0);
	test_now_ms = START_MS + 82 * CH_DAY_MS;
	assert_int_equal(danger(fx).n, 1);
	assert_string_equal(danger(fx).name, NAME);
	assert_int_equal(danger(fx).ends_ms, START_MS + 90 * CH_DAY_MS);
	assert_ends(fx, START_MS + 90 * CH_DAY_MS, 0);
	test_now_ms = START_MS + 84 * CH_DAY_MS;
	assert_ends(fx, START_MS + 90 * CH_DAY_MS, 1);
}

static void a_second_that_is_not_renewed_is_in_danger(void **state)
{
	struct fixture *fx = *state;

	let_the_second_fail(fx);
	issue(fx, CH_KEY_RSA, true);
	assert_int_equal(danger(fx).n, 0);
	assert_ends(fx, START_MS + RENEW_MS + LIFETIME_MS, 0);
}

/* It stays with the edges, and is told of no more; what becomes of the first is. */
static void a_second_that_ended_long_ago_does_not_hide_the_first(void **state)
{
	struct fixture *fx = *state;

	let_the_second_fail(fx);
	test_now_ms = START_MS + 98 * CH_DAY_MS;
	assert_ends(fx, START_MS + 90 * CH_DAY_MS, 0);
	assert_int_equal(danger(fx).n, 1);
}

static void one_that_is_withdrawn_is_in_no_danger(void **state)
{
	struct fixture *fx = *state;

	let_the_second_fail(fx);
	set_keys(fx, CH_KEYS_ECDSA);
	assert_int_equal(danger(fx).n, 0);
	assert_ends(fx, START_MS + RENEW_MS + LIFETIME_MS, 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_name_with_two_is_active_when_both_are_live),
		T(p384_goes_alone_or_with_a_second),
		T(each_is_renewed_and_keeps_its_predecessor),
		T(a_failing_second_takes_nothing_away_and_says_so),
		T(a_renewal_of_the_first_does_not_hide_that_the_second_fails),
		T(the_second_waits_for_the_first),
		T(a_set_back_that_is_nobodys_fault_counts_for_neither),
		T(a_second_that_the_ca_pauses_pauses_the_name),
		T(records_must_be_of_the_orders_kind),
		T(edges_must_have_the_second_too),
		T(behind_is_behind_with_either),
		T(the_second_can_be_added_and_taken_away),
		T(taking_a_failing_second_away_makes_the_name_active),
		T(an_open_order_for_a_key_no_longer_wanted_is_stopped),
		T(rsa_alone_is_the_names_own_certificate),
		T(from_rsa_to_both_and_back_somebody_is_always_served),
		T(removal_pool_and_pause_take_the_second_along),
		T(a_retry_is_for_what_failed),
		T(a_www_name_has_the_keys_of_its_first_name),
		T(the_operation_says_what_new_names_have),
		T(what_is_due_next_counts_the_second),
		T(a_second_that_is_not_renewed_is_in_danger),
		T(a_second_that_ended_long_ago_does_not_hide_the_first),
		T(one_that_is_withdrawn_is_in_no_danger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
