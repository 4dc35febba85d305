/* Roll-back: the certificate before is live again. */
#include "fixture.h"

static int roll_back(struct fixture *fx, const char *name, uint64_t to)
{
	struct ch_store_op op = {.type = CH_OP_ROLLBACK,
		.who = "operator/default/admin",
		.u.rollback = {.name = name, .to = to}};

	return fx_run(fx, &op);
}

/* A name, or with a dot in front a pair, that has been renewed once. */
static void renewed(struct fixture *fx, const char *name, bool pair, uint64_t ret_versions[2])
{
	if (pair)
		fx_add_pair(fx, name);
	else
		fx_add(fx, name);
	for (int i = 0; i < 2; i++) {
		struct ch_store_order *order = fx_lease_one(fx);

		ret_versions[i] = order->id;
		fx_issue(fx, order);
		if (i == 0)
			test_now_ms += RENEW_MS;
	}
}

/* Carries the order out, as the issuer does. */
static uint64_t carry_out(struct fixture *fx)
{
	struct ch_store_order *order = fx_lease_one(fx);

	assert_true(order->old.version != 0);
	assert_int_equal(order->state, CH_ORDER_NEW);
	assert_ok(fx_publish(fx, fx_publication(fx, order, (uint8_t)order->old.version)));
	fx_finish(fx, order);
	return order->id;
}

static void the_one_before_is_live_again_under_a_new_version(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_certs certs;
	struct ch_store_order *order;
	struct ch_record record;
	uint64_t v[2];
	uint64_t id;

	renewed(fx, "a.example", true, v);
	assert_ok(roll_back(fx, "a.example", 0));
	assert_int_equal(fx_get(fx, "www.a.example").state, CH_NAME_RENEWING);
	order = fx_lease_one(fx);
	assert_int_equal(order->old.version, v[0]);
	assert_int_equal(order->n_names, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_ok(ch_record_decode(
			order->old.records[i], order->old.record_lens[i], &record));
		assert_int_equal(record.version, v[0]);
		assert_int_equal(record.name_len, strlen(order->names[i].name));
	}
	assert_int_equal(order->old.chain_len, 7);
	id = order->id;
	assert_ok(fx_publish(fx, fx_publication(fx, order, (uint8_t)v[0])));
	order = fx_lease_one(fx);
	assert_null(order->old.records[0]);
	fx_finish(fx, order);
	assert_ok(ch_store_get_certs(fx->store, "www.a.example", fx->arena, &certs));
	assert_int_equal(certs.current->version, id);
	assert_int_equal(certs.current->origin, v[0]);
	assert_int_equal(certs.current->leaf[0], (uint8_t)v[0]);
	assert_int_equal(certs.current->n_recipients, 1);
	assert_int_equal(certs.previous->version, v[1]);
	assert_int_equal(certs.previous->origin, 0);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
	assert_int_equal(fx_get(fx, "a.example").version, id);
	assert_int_equal(fx_get(fx, "a.example").cert->origin, v[0]);
	assert_int_equal(fx_get(fx, "a.example").next_at_ms, test_now_ms + RENEW_MS);
	fx_lease_none(fx);
}

static void twice_needs_to_be_meant(void **state)
{
	struct fixture *fx = *state;
	uint64_t v[2];
	uint64_t id;

	renewed(fx, "a.example", false, v);
	assert_refused(
		fx, roll_back(fx, "a.example", v[0] + 100), CH_ENOTFOUND, "version-not-found");
	assert_ok(roll_back(fx, "a.example", v[1])); /* is live */
	fx_lease_none(fx);
	assert_ok(roll_back(fx, "a.example", v[0]));
	id = carry_out(fx);
	assert_refused(fx, roll_back(fx, "a.example", 0), CH_ECONFLICT, "rolled-back");
	assert_ok(roll_back(fx, "a.example", v[0])); /* is live */
	assert_ok(roll_back(fx, "a.example", id));
	fx_lease_none(fx);
	assert_ok(roll_back(fx, "a.example", v[1]));
	carry_out(fx);
	assert_int_equal(fx_get(fx, "a.example").cert->origin, v[1]);
	/* The first one is the one before again, under the name it had first. */
	assert_ok(roll_back(fx, "a.example", v[0]));
}

static void what_cannot_be_put_back_is_told(void **state)
{
	struct fixture *fx = *state;
	uint64_t v[2];

	assert_refused(fx, roll_back(fx, "none.example", 0), CH_ENOTFOUND, "domain-not-found");
	fx_add(fx, "b.example");
	assert_refused(fx, roll_back(fx, "b.example", 0), CH_ECONFLICT, "nothing-to-roll-back");
	fx_issue(fx, fx_lease_one(fx));
	assert_refused(fx, roll_back(fx, "b.example", 0), CH_ECONFLICT, "nothing-to-roll-back");
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "b.example"));
	renewed(fx, "a.example", false, v);
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "a.example"));
	assert_refused(fx, roll_back(fx, "a.example", 0), CH_ECONFLICT, "domain-paused");
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "a.example"));
	fx_lease_one(fx);
	assert_refused(fx, roll_back(fx, "a.example", 0), CH_ECONFLICT, "order-open");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "a.example"));
	assert_ok(fx_name_op(fx, CH_OP_RESUME, "a.example"));
	test_now_ms += LIFETIME_MS - RENEW_MS;
	assert_refused(fx, roll_back(fx, "a.example", 0), CH_ECONFLICT, "cert-expired");
}

static void an_order_that_is_only_confirmed_is_given_up(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;
	uint64_t first;

	fx_add_pair(fx, "a.example");
	order = fx_lease_one(fx);
	first = order->id;
	fx_issue(fx, order);
	test_now_ms += RENEW_MS;
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	assert_ok(fx_publish(fx, fx_publication(fx, order, 9)));
	order = fx_lease_one(fx); /* somebody is at it */
	assert_ok(roll_back(fx, "www.a.example", 0));
	patch = fx_step(order, CH_ORDER_DONE);
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "fence-lost");
	assert_int_equal(fx_lease_one(fx)->old.version, first);
	assert_int_equal(
		fx_get(fx, "a.example").order_id, fx_get(fx, "www.a.example").order_id);
}

static void only_what_was_live_is_published(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_publish *publish;
	struct ch_op_patch patch;
	uint64_t v[2];

	renewed(fx, "a.example", false, v);
	assert_ok(roll_back(fx, "a.example", 0));
	order = fx_lease_one(fx);
	/* Not a step of an order at the CA. */
	patch = fx_step(order, CH_ORDER_ORDERED);
	assert_refused(fx, fx_patch(fx, &patch), CH_ECONFLICT, "order-state");
	publish = fx_publication(fx, order, (uint8_t)(v[0] + 50));
	assert_refused(fx, fx_publish(fx, publish), CH_EINVAL, "bad-record");
	order->old.version = v[1]; /* another key's version */
	order->old.records[0] = NULL;
	publish = fx_publication(fx, order, (uint8_t)v[0]);
	assert_refused(fx, fx_publish(fx, publish), CH_EINVAL, "bad-record");
	order->old.version = v[0];
	assert_ok(fx_publish(fx, fx_publication(fx, order, (uint8_t)v[0])));
}

static void a_roll_back_that_is_refused_leaves_all_as_it_was(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_outcome outcome = {.name = "a.example",
		.state = CH_NAME_FAILED,
		.reason = {"rollback-refused", "No.", CH_ACTOR_OPERATOR}};
	struct ch_store_order *order;
	struct ch_op_patch patch;
	struct ch_store_domain domain;
	int64_t renew_at_ms;
	uint64_t v[2];

	renewed(fx, "a.example", false, v);
	renew_at_ms = fx_get(fx, "a.example").next_at_ms;
	assert_ok(roll_back(fx, "a.example", 0));
	order = fx_lease_one(fx);
	patch = fx_step(order, CH_ORDER_FAILED);
	patch.outcomes = &outcome;
	patch.n_outcomes = 1;
	assert_ok(fx_patch(fx, &patch));
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_int_equal(domain.failures, 0);
	assert_int_equal(domain.cert->version, v[1]);
	assert_int_equal(domain.next_at_ms, renew_at_ms);
	assert_string_equal(domain.reason.code, "rollback-refused");
	assert_ok(roll_back(fx, "a.example", 0));
}

static uint64_t issue(struct fixture *fx, bool second)
{
	struct ch_store_order *order = fx_lease_one(fx);

	assert_int_equal(order->second, second);
	fx_issue(fx, order);
	return order->id;
}

/* A name with two certificates, the first of which has been renewed; the second is due.
 */
static uint64_t renewed_both(struct fixture *fx)
{
	uint64_t second;

	assert_ok(fx_put_keys(fx, "a.example", CH_TRI_KEEP, CH_KEYS_BOTH, NULL));
	issue(fx, false);
	second = issue(fx, true);
	test_now_ms += RENEW_MS;
	issue(fx, false);
	return second;
}

static void the_second_certificate_stays_as_it_is(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_store_domain domain;
	uint64_t second;
	uint64_t id;

	renewed_both(fx);
	order = fx_lease_one(fx);
	assert_true(order->second);
	assert_refused(fx, roll_back(fx, "a.example", 0), CH_ECONFLICT, "order-open");
	fx_seal(fx, order);
	assert_ok(fx_publish(fx, fx_publication(fx, order, 9)));
	second = order->id;
	assert_ok(roll_back(fx, "a.example", 0));
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.second->cert->version, second);
	assert_string_equal(domain.second->reason.code, "ok");
	id = carry_out(fx);
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.state, CH_NAME_ACTIVE);
	assert_int_equal(domain.cert->version, id);
	assert_int_equal(domain.second->cert->version, second);
	assert_string_equal(domain.second->reason.code, "ok");
	fx_lease_none(fx);
	/* Both are renewed again. */
	test_now_ms += RENEW_MS;
	issue(fx, false);
	issue(fx, true);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
}

/* That is withdrawn when the first has an RSA key that was asked for. */
static void a_second_that_is_to_go_later_stays_too(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_certs certs;
	uint64_t version = renewed_both(fx);

	version = issue(fx, true);
	assert_ok(fx_put_keys(fx, "a.example", CH_TRI_KEEP, CH_KEYS_RSA, NULL));
	assert_ok(roll_back(fx, "a.example", 0));
	carry_out(fx);
	assert_ok(ch_store_get_certs(fx->store, "a.example", fx->arena, &certs));
	assert_int_equal(certs.second->version, version);
	assert_non_null(strstr(fx_get(fx, "a.example").reason.detail, "next renewal brings"));
	test_now_ms += RENEW_MS;
	issue(fx, false);
	assert_ok(ch_store_get_certs(fx->store, "a.example", fx->arena, &certs));
	assert_null(certs.second);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
}

static void the_kind_of_key_that_is_put_back_is_known(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	assert_ok(fx_put_keys(fx, "a.example", CH_TRI_KEEP, CH_KEYS_RSA, NULL));
	issue(fx, false);
	assert_ok(fx_put_keys(fx, "a.example", CH_TRI_KEEP, CH_KEYS_ECDSA, NULL));
	issue(fx, false);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
	assert_ok(roll_back(fx, "a.example", 0));
	order = fx_lease_one(fx);
	assert_int_equal(order->key, CH_KEY_RSA);
	assert_ok(fx_publish(fx, fx_publication(fx, order, (uint8_t)order->old.version)));
	fx_finish(fx, order);
	/* It is not the kind that was asked for, which comes when this one is renewed. */
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
	assert_non_null(strstr(fx_get(fx, "a.example").reason.detail, "next renewal brings"));
	fx_lease_none(fx);
	test_now_ms += RENEW_MS;
	assert_int_equal(fx_lease_one(fx)->key, CH_KEY_ECDSA);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(the_one_before_is_live_again_under_a_new_version),
		T(twice_needs_to_be_meant),
		T(what_cannot_be_put_back_is_told),
		T(an_order_that_is_only_confirmed_is_given_up),
		T(only_what_was_live_is_published),
		T(a_roll_back_that_is_refused_leaves_all_as_it_was),
		T(the_second_certificate_stays_as_it_is),
		T(a_second_that_is_to_go_later_stays_too),
		T(the_kind_of_key_that_is_put_back_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
