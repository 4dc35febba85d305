/* What edges hand back after a restore. */
#include "handback.h"

#include "store/db_postgres.h"
#include "store/db_sqlite.h"

static void nothing_is_taken_without_a_restore(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_handback_item item = {.publish = NULL};

	fx_add(fx, "a.example");
	assert_refused(fx, hand_back(fx, "a.example", LOST_ID, "default", &item), CH_ECONFLICT,
		"not-restored");
	lose_and_restore(fx);
	test_now_ms += CH_RESTORE_WINDOW_MS;
	assert_refused(fx, hand_back(fx, "a.example", LOST_ID, "default", &item), CH_ECONFLICT,
		"not-restored");
}

static void a_newer_certificate_is_live_again(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_feed_info before;
	uint64_t version;

	fx_add(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	version = live_version(fx, "a.example");
	lose_and_restore(fx);
	before = fx_feed_info(fx);
	assert_result(fx, "a.example", version, CH_HANDBACK_OLD);
	assert_result(fx, "a.example", LOST_ID, CH_HANDBACK_TAKEN);
	assert_int_equal(live_version(fx, "a.example"), LOST_ID);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
	assert_int_equal(fx_feed_info(fx).head, before.head + 1);
	/* Each edge says the same. */
	assert_result(fx, "a.example", LOST_ID, CH_HANDBACK_OLD);
	assert_int_equal(fx_feed_info(fx).head, before.head + 1);
	test_now_ms += CH_RESTORE_GRACE_MS;
	fx_lease_none(fx);
}

static void a_forgotten_name_is_registered_again(void **state)
{
	struct fixture *fx = *state;

	lose_and_restore(fx);
	assert_result(fx, "new.example", LOST_ID, CH_HANDBACK_TAKEN);
	assert_int_equal(fx_get(fx, "new.example").state, CH_NAME_ACTIVE);
	assert_string_equal(fx_get(fx, "new.example").tenant, "acme");
	assert_int_equal(live_version(fx, "new.example"), LOST_ID);
	fx_lease_none(fx);
}

/* As an edge, the second certificate of a name. */
static struct ch_store_handback_item hand_second(
	struct fixture *fx, const char *name, uint64_t version, enum ch_key_type key)
{
	struct ch_store_order order = {.id = version, .n_names = 1, .second = true};
	struct ch_store_handback_item item = {.name = name, .key = key, .second = true};
	struct ch_store_op op = {.type = CH_OP_HANDBACK,
		.u.handback = {.pool = "default", .items = &item, .n_items = 1}};

	order.names[0].name = name;
	item.publish = fx_publication(fx, &order, (uint8_t)version);
	assert_ok(fx_run(fx, &op));
	return item;
}

static void a_second_certificate_is_live_again(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain domain;

	assert_ok(fx_put_keys(fx, "a.example", CH_TRI_NO, CH_KEYS_BOTH, NULL));
	fx_issue(fx, fx_lease_one(fx));
	fx_issue(fx, fx_lease_one(fx));
	lose_and_restore(fx);
	/* The older one first, as edges send them. */
	assert_int_equal(
		hand_second(fx, "a.example", LOST_ID, CH_KEY_RSA).result, CH_HANDBACK_TAKEN);
	assert_result(fx, "a.example", LOST_ID + 1, CH_HANDBACK_TAKEN);
	domain = fx_get(fx, "a.example");
	assert_int_equal(domain.second->cert->version, LOST_ID);
	assert_int_equal(domain.cert->version, LOST_ID + 1);
	assert_string_equal(domain.second->reason.code, "ok");
	/* Each edge says the same, or has an older one. */
	assert_int_equal(
		hand_second(fx, "a.example", LOST_ID, CH_KEY_RSA).result, CH_HANDBACK_OLD);
	assert_int_equal(
		hand_second(fx, "a.example", LOST_ID - 1, CH_KEY_RSA).result, CH_HANDBACK_OLD);
	test_now_ms += CH_RESTORE_GRACE_MS;
	fx_lease_none(fx);
}

static void a_second_certificate_that_is_not_wanted_is_refused(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "one.example");
	fx_issue(fx, fx_lease_one(fx));
	assert_ok(fx_put_keys(fx, "two.example", CH_TRI_NO, CH_KEYS_BOTH, NULL));
	lose_and_restore(fx);
	assert_string_equal(
		hand_second(fx, "one.example", LOST_ID, CH_KEY_RSA).code, "second-not-wanted");
	assert_string_equal(hand_second(fx, "two.example", LOST_ID, CH_KEY_RSA).code,
		"second-not-wanted"); /* it has no first */
	assert_string_equal(
		hand_second(fx, "gone.example", LOST_ID, CH_KEY_RSA).code, "second-not-wanted");
	assert_result(fx, "two.example", LOST_ID + 1, CH_HANDBACK_TAKEN);
	assert_string_equal(hand_second(fx, "two.example", LOST_ID + 2, CH_KEY_ECDSA).code,
		"second-not-wanted");
	assert_int_equal(hand_second(fx, "two.example", LOST_ID + 3, CH_KEY_RSA).result,
		CH_HANDBACK_TAKEN);
}

static void a_name_that_another_tenant_held_takes_proof(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain domain;

	assert_ok(fx_put(fx, "held.example", CH_TRI_NO, "other", NULL, NULL));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "held.example"));
	lose_and_restore(fx);
	assert_no(fx, "held.example", LOST_ID, "default", "claim-needed");
	assert_int_equal(ch_store_get_domain(fx->store, "held.example", fx->arena, &domain),
		CH_ENOTFOUND);
}

static void an_order_of_before_is_overtaken(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	fx_add(fx, "b.example");
	lose_and_restore(fx);
	/* Whether this very order brought it, or a later one. */
	assert_result(fx, "a.example", order->id, CH_HANDBACK_TAKEN);
	assert_result(fx, "b.example", LOST_ID, CH_HANDBACK_TAKEN);
	assert_true(fx_get_order(fx, order->id).state == CH_ORDER_FAILED);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
	test_now_ms += CH_RESTORE_GRACE_MS;
	fx_lease_none(fx);
}

/* Edges have a newer NAME record then, over which they would not take the old version. */
static void a_name_that_was_put_again_gets_it_signed_anew(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	lose_and_restore(fx);
	assert_ok(fx_put(fx, "a.example", CH_TRI_NO, "acme", NULL, NULL));
	assert_result(fx, "a.example", LOST_ID, CH_HANDBACK_SOON);
	order = fx_lease_one(fx);
	assert_int_equal(order->old.version, LOST_ID);
	fx_lease_none(fx);
	assert_ok(fx_publish(fx, fx_publication(fx, order, (uint8_t)LOST_ID)));
	assert_int_equal(live_version(fx, "a.example"), order->id);
	assert_true(order->id > CH_RESTORE_IDS);
}

/* Every edge of the pool says the same, before and after the issuer has signed. */
static void others_may_hand_back_what_is_being_signed_anew(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	lose_and_restore(fx);
	assert_ok(fx_put(fx, "a.example", CH_TRI_NO, "acme", NULL, NULL));
	assert_result(fx, "a.example", LOST_ID, CH_HANDBACK_SOON);
	order = fx_lease_one(fx);
	assert_result(fx, "a.example", LOST_ID, CH_HANDBACK_SOON);
	fx_lease_none(fx);
	assert_ok(fx_publish(fx, fx_publication(fx, order, (uint8_t)LOST_ID)));
	assert_int_equal(live_version(fx, "a.example"), order->id);
	assert_result(fx, "a.example", LOST_ID, CH_HANDBACK_OLD);
}

/* By whoever saw it with one edge, before another one came back. */
static void what_was_removed_since_stays_removed(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain domain;

	lose_and_restore(fx);
	assert_result(fx, "gone.example", LOST_ID, CH_HANDBACK_TAKEN);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "gone.example"));
	assert_result(fx, "gone.example", LOST_ID, CH_HANDBACK_OLD);
	assert_int_equal(ch_store_get_domain(fx->store, "gone.example", fx->arena, &domain),
		CH_ENOTFOUND);
}

/* The backup knows that it was removed; an edge that was away then does not. */
static void what_was_removed_before_stays_removed(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain domain;
	uint64_t version;

	fx_add(fx, "gone.example");
	fx_issue(fx, fx_lease_one(fx));
	version = live_version(fx, "gone.example");
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "gone.example"));
	lose_and_restore(fx);
	assert_result(fx, "gone.example", version, CH_HANDBACK_OLD);
	assert_int_equal(ch_store_get_domain(fx->store, "gone.example", fx->arena, &domain),
		CH_ENOTFOUND);
}

/* An order of another name has the number: what it brings would have no place. */
static void a_number_that_an_open_order_has_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	uint64_t id;

	fx_add(fx, "a.example");
	id = fx_lease_one(fx)->id;
	lose_and_restore(fx);
	assert_no(fx, "evil.example", id, "default", "bad-record");
	test_now_ms += CH_RESTORE_GRACE_MS;
	order = fx_lease_one(fx);
	fx_issue(fx, order);
	assert_int_equal(live_version(fx, "a.example"), id);
}

static void a_pair_shares_its_certificate(void **state)
{
	struct fixture *fx = *state;

	fx_add_pair(fx, "pair.example");
	fx_issue(fx, fx_lease_one(fx));
	lose_and_restore(fx);
	assert_result(fx, "pair.example", LOST_ID, CH_HANDBACK_TAKEN);
	assert_result(fx, "www.pair.example", LOST_ID, CH_HANDBACK_TAKEN);
	assert_int_equal(live_version(fx, "pair.example"), LOST_ID);
	assert_int_equal(live_version(fx, "www.pair.example"), LOST_ID);
}

static void what_cannot_be_is_refused(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_publish ended = {.not_after_ms = START_MS};
	struct ch_store_handback_item item = {.publish = &ended};

	fx_add(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	fx_add(fx, "paused.example");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "paused.example"));
	lose_and_restore(fx);
	assert_no(fx, "a.example", LOST_ID, "elsewhere", "pool");
	assert_no(fx, "paused.example", LOST_ID, "default", "domain-paused");
	assert_no(fx, "a.example", CH_STORE_ID_MAX - 1, "default", "bad-record");
	other_leaf = 1;
	assert_no(fx, "b.example", live_version(fx, "a.example"), "default", "bad-record");
	other_leaf = 0;
	assert_ok(hand_back(fx, "a.example", LOST_ID, "default", &item));
	assert_int_equal(item.result, CH_HANDBACK_REFUSED);
	assert_string_equal(item.code, "expired");
}

static void assert_none(struct ch_db *db, const char *sql)
{
	int64_t n;

	assert_ok(ch_db_get_i64(db, &n, sql, ""));
	if (n)
		fail_msg("%jd of: %s", (intmax_t)n, sql);
}

/* What triggers count beside the rows is what the rows say. */
static void assert_counts(struct fixture *fx, const char *database)
{
	struct ch_db *db;

	if (fx_is_postgres())
		assert_ok(ch_db_postgres_open(database, "SET jit = off", &db, &fx->err));
	else
		assert_ok(ch_db_sqlite_open(
			database + strlen("sqlite:"), SQLITE_OPEN_READONLY, &db, &fx->err));
	assert_none(db,
		"SELECT count(*) FROM cert c WHERE live <> (SELECT count(*) FROM name n "
		"WHERE state NOT IN ('paused', 'moved') AND c.version IN (n.cert, "
		"CASE WHEN n.keys LIKE '%+rsa' THEN n.second_cert END, n.standby_cert))");
	assert_none(db, "SELECT count(*) FROM renewal_slot s WHERE n <> (SELECT count(*) FROM "
			"cert WHERE live > 0 AND renew_at / 3600000 = s.slot)");
	assert_none(db,
		"SELECT count(*) FROM cert WHERE live > 0 AND renew_at / 3600000 NOT IN "
		"(SELECT slot FROM renewal_slot)");
	assert_none(db, "SELECT count(*) FROM counter c WHERE key IN ('pending', 'validating', "
			"'issuing', 'active', 'paused', 'failing', 'moved') AND n <> (SELECT "
			"count(*) FROM name WHERE state = c.key)");
	assert_none(db, "SELECT n - (SELECT count(*) FROM orders WHERE ended_at IS NULL) FROM "
			"counter WHERE key = 'orders-open'");
	assert_none(db, "SELECT n - (SELECT count(*) FROM waiting) FROM counter WHERE key = "
			"'waiting'");
	assert_none(db, "SELECT count(*) FROM name WHERE cert IS NOT NULL AND NOT EXISTS "
			"(SELECT 1 FROM cert_name c WHERE c.name = name.name AND c.version = "
			"name.cert)");
	ch_db_close(db);
}

static void what_is_counted_stays_right(void **state)
{
	struct fixture *fx = *state;
	char other[FX_URL_B];
	struct ch_backup_info info;
	char path[FX_URL_B];
	struct ch_store_order *order;

	fx_add(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	fx_add_pair(fx, "pair.example");
	fx_issue(fx, fx_lease_one(fx));
	fx_add_pair(fx, "open.example");
	fx_lease_one(fx);
	fx_add(fx, "waiting.example");
	fx_add(fx, "paused.example");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "paused.example"));
	snprintf(path, sizeof(path), "%s/backup", fx->dir);
	assert_ok(ch_backup_write(fx->database, path, NULL, &info, &fx->err));
	fx_other_database(fx, other);
	assert_ok(ch_backup_restore(path, other, NULL, &info, &fx->err));
	go_on_with(fx, other);
	assert_counts(fx, other);
	assert_result(fx, "a.example", LOST_ID, CH_HANDBACK_TAKEN);
	assert_result(fx, "pair.example", LOST_ID + 1, CH_HANDBACK_TAKEN);
	assert_result(fx, "open.example", LOST_ID + 2, CH_HANDBACK_TAKEN);
	assert_result(fx, "waiting.example", LOST_ID + 3, CH_HANDBACK_TAKEN);
	assert_result(fx, "new.example", LOST_ID + 4, CH_HANDBACK_TAKEN);
	assert_counts(fx, other);
	assert_result(fx, "www.pair.example", LOST_ID + 1, CH_HANDBACK_TAKEN);
	/* Its mate has a record of its own: it waits for that, as all do. */
	fx_lease_none(fx);
	assert_counts(fx, other);
	assert_ok(fx_put(fx, "again.example", CH_TRI_NO, "acme", NULL, NULL));
	assert_result(fx, "again.example", LOST_ID + 5, CH_HANDBACK_SOON);
	order = fx_lease_one(fx);
	assert_ok(fx_publish(fx, fx_publication(fx, order, (uint8_t)(LOST_ID + 5))));
	assert_counts(fx, other);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "pair.example"));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "new.example"));
	assert_counts(fx, other);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_is_taken_without_a_restore),
		T(a_newer_certificate_is_live_again),
		T(a_second_certificate_is_live_again),
		T(a_second_certificate_that_is_not_wanted_is_refused),
		T(a_forgotten_name_is_registered_again),
		T(a_name_that_another_tenant_held_takes_proof),
		T(an_order_of_before_is_overtaken),
		T(a_name_that_was_put_again_gets_it_signed_anew),
		T(others_may_hand_back_what_is_being_signed_anew),
		T(what_was_removed_since_stays_removed),
		T(what_was_removed_before_stays_removed),
		T(a_number_that_an_open_order_has_is_refused),
		T(a_pair_shares_its_certificate),
		T(what_cannot_be_is_refused),
		T(what_is_counted_stays_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
