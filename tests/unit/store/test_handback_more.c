/* What edges hand back besides: to a pool that is frozen or has a canary, after a second
 * restore, a standby that was put live, ticket keys. */
#include "handback.h"

static void hold(struct fixture *fx, struct ch_op_pool rule)
{
	struct ch_store_op op = {.type = CH_OP_POOL, .who = "operator/x/y", .u.pool = rule};

	op.u.pool.pool = "default";
	assert_ok(fx_run(fx, &op));
}

static size_t release(struct fixture *fx)
{
	struct ch_store_op op = {.type = CH_OP_RELEASE};

	assert_ok(fx_run(fx, &op));
	return op.u.release.released;
}

static int see(const struct ch_store_feed_row *row, void *arg)
{
	struct ch_record record;
	uint64_t *version = arg;

	assert_ok(ch_record_decode(row->record, row->record_len, &record));
	if (record.kind == CH_RECORD_CERT)
		*version = record.version;
	return 0;
}

/* Of the certificate that an edge gets which begins now, for the only name; 0: none. */
static uint64_t edges_version(struct fixture *fx)
{
	struct ch_store_records_filter filter = {.pool = "default", .limit = 10};
	struct ch_store_records_info info;
	uint64_t version = 0;

	assert_ok(ch_store_read_records(fx->store, &filter, see, &version, &info));
	return version;
}

/* One edge is as good as another: none may lose what it has because another was first. */
static void assert_all_keep(struct fixture *fx, const char *name)
{
	assert_result(fx, name, LOST_ID + 2, CH_HANDBACK_TAKEN);
	assert_int_equal(edges_version(fx), 0);
	assert_result(fx, name, LOST_ID + 2, CH_HANDBACK_TAKEN);
	/* An edge that the newer one had not reached. */
	assert_result(fx, name, LOST_ID + 1, CH_HANDBACK_TAKEN);
	assert_int_equal(live_version(fx, name), LOST_ID + 2);
}

static void in_a_frozen_pool_all_edges_keep_what_they_have(void **state)
{
	struct fixture *fx = *state;

	hold(fx, (struct ch_op_pool){.action = CH_POOL_FREEZE, .why = "x"});
	lose_and_restore(fx);
	assert_all_keep(fx, "a.example");
	assert_int_equal(release(fx), 0);
	hold(fx, (struct ch_op_pool){.action = CH_POOL_THAW});
	assert_true(release(fx) > 0);
	assert_int_equal(edges_version(fx), LOST_ID + 2);
	assert_result(fx, "a.example", LOST_ID + 2, CH_HANDBACK_OLD);
	assert_result(fx, "a.example", LOST_ID + 1, CH_HANDBACK_OLD);
}

static void what_a_frozen_pool_is_to_get_signed_anew_is_kept_too(void **state)
{
	struct fixture *fx = *state;

	hold(fx, (struct ch_op_pool){.action = CH_POOL_FREEZE, .why = "x"});
	lose_and_restore(fx);
	fx_add(fx, "a.example");
	assert_result(fx, "a.example", LOST_ID, CH_HANDBACK_TAKEN);
	assert_int_equal(fx_lease_one(fx)->old.version, LOST_ID);
	assert_int_equal(edges_version(fx), 0);
}

static void behind_a_canary_all_edges_keep_what_they_have(void **state)
{
	struct fixture *fx = *state;

	assert_ok(fx_ack(fx, "default", "c1", fx_feed_info(fx).head));
	hold(fx, (struct ch_op_pool){
			 .action = CH_POOL_CANARY, .edge = "c1", .soak_ms = CH_MINUTE_MS});
	lose_and_restore(fx);
	assert_all_keep(fx, "a.example");
	assert_int_equal(release(fx), 0);
	/* The canary soaks what came back like any other change. */
	assert_ok(fx_ack(fx, "default", "c1", fx_feed_info(fx).head));
	assert_int_equal(release(fx), 0);
	test_now_ms += CH_MINUTE_MS;
	assert_ok(fx_ack(fx, "default", "c1", fx_feed_info(fx).head));
	assert_true(release(fx) > 0);
	assert_int_equal(edges_version(fx), LOST_ID + 2);
	assert_result(fx, "a.example", LOST_ID + 1, CH_HANDBACK_OLD);
}

/* What came after the first time has ids of its own, and is newer than the backup still. */
static void a_backup_is_restored_twice(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_backup_info info;
	char path[FX_URL_B];
	char again[FX_URL_B];
	uint64_t version;
	uint64_t fence;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	lose_and_restore(fx);
	fx_add(fx, "b.example");
	fx_issue(fx, fx_lease_one(fx));
	test_now_ms += CH_RESTORE_GRACE_MS;
	order = fx_lease_one(fx);
	assert_int_equal(order->names[0].name[0], 'a');
	fence = order->fence;
	version = live_version(fx, "b.example");
	snprintf(path, sizeof(path), "%s/backup", fx->dir);
	snprintf(again, sizeof(again), "sqlite:%s/again.db", fx->dir);
	assert_ok(ch_backup_restore(path, again, NULL, &info, &fx->err));
	go_on_with(fx, again);
	assert_result(fx, "b.example", version, CH_HANDBACK_TAKEN);
	assert_int_equal(live_version(fx, "b.example"), version);
	fx_add(fx, "c.example");
	order = fx_lease_one(fx);
	assert_true(order->id > version);
	fx_issue(fx, order);
	test_now_ms += CH_RESTORE_GRACE_MS;
	/* Whoever has been away all the time cannot write with the lease of then. */
	assert_true(fx_lease_one(fx)->fence > fence);
}

static struct ch_store_order *lease_from(struct fixture *fx, bool with_backup)
{
	struct ch_store_op op = {.type = CH_OP_LEASE,
		.u.lease = {.issuer = "issuer/default/i1", .max = 10, .lease_ms = LEASE_MS}};

	op.u.lease.pace = (struct ch_store_pace){.account = "one.test/thumb", .ca = "main"};
	op.u.lease.fallback[0] =
		(struct ch_store_pace){.account = "two.test/thumb", .ca = "backup"};
	op.u.lease.n_fallback = with_backup;
	assert_ok(fx_run(fx, &op));
	assert_int_equal(op.u.lease.n_orders, 1);
	return op.u.lease.orders;
}

static const char *standby_code(struct fixture *fx, const char *name)
{
	struct ch_store_op op = {
		.type = CH_OP_STANDBY, .who = "operator/x/y", .u.standby = {.name = name}};

	return fx_run(fx, &op) ? fx->err.problem : "ok";
}

/* It was put live after the backup, in which it stands by still: what is live is none. */
static void a_standby_that_was_put_live_stands_by_no_more(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item item = {.name = "a.example", .standby = "backup"};
	struct ch_store_op put = {.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};
	struct ch_op_publish *live;
	struct ch_backup_info info;
	char path[FX_URL_B];
	char other[FX_URL_B];
	struct ch_store_handback_item back = {.name = "a.example", .tenant = "acme"};
	struct ch_store_op op = {.type = CH_OP_HANDBACK,
		.u.handback = {.pool = "default", .items = &back, .n_items = 1}};
	struct ch_store_order *order;

	assert_ok(fx_run(fx, &put));
	fx_issue(fx, lease_from(fx, true));
	order = lease_from(fx, true);
	assert_true(order->standby);
	fx_issue(fx, order);
	snprintf(path, sizeof(path), "%s/backup", fx->dir);
	assert_ok(ch_backup_write(fx->database, path, NULL, &info, &fx->err));
	assert_string_equal(standby_code(fx, "a.example"), "ok");
	order = lease_from(fx, true);
	live = fx_publication(fx, order, (uint8_t)order->old.version);
	fx_other_database(fx, other);
	assert_ok(ch_backup_restore(path, other, NULL, &info, &fx->err));
	go_on_with(fx, other);
	back.publish = live;
	assert_ok(fx_run(fx, &op));
	assert_int_equal(back.result, CH_HANDBACK_TAKEN);
	assert_int_equal(live_version(fx, "a.example"), live->id);
	assert_string_equal(standby_code(fx, "a.example"), "standby-not-ready");
	/* Another one is ordered, and another time that is the one. */
	test_now_ms += CH_RESTORE_GRACE_MS;
	order = lease_from(fx, true);
	assert_true(order->standby);
	fx_issue(fx, order);
	assert_string_equal(standby_code(fx, "a.example"), "ok");
}

/* As an edge of this pool, the ticket keys of one. */
static struct ch_store_handback_item hand_tickets(
	struct fixture *fx, const char *of, const char *pool, uint64_t version)
{
	static const char record[] = "sealed ticket keys of before";
	struct ch_op_tickets tickets = {.pool = of,
		.version = version,
		.until_s = START_MS / 1000 + 3600,
		.record = (const uint8_t *)record,
		.record_len = sizeof(record) - 1};
	struct ch_store_handback_item item = {.tickets = &tickets};
	struct ch_store_op op = {.type = CH_OP_HANDBACK,
		.u.handback = {.pool = pool, .items = &item, .n_items = 1}};

	assert_ok(fx_run(fx, &op));
	return item;
}

static int put_tickets(struct fixture *fx, uint64_t replaces, uint64_t version)
{
	static const char record[] = "sealed ticket keys that are new";
	struct ch_store_op op = {.type = CH_OP_TICKETS,
		.u.tickets = {.pool = "default",
			.replaces = replaces,
			.version = version,
			.until_s = START_MS / 1000 + 3600,
			.record = (const uint8_t *)record,
			.record_len = sizeof(record) - 1}};

	return fx_run(fx, &op);
}

static void assert_tickets(struct fixture *fx, uint64_t version)
{
	struct ch_store_tickets *sets;
	size_t n;

	assert_ok(ch_store_list_tickets(fx->store, fx->arena, &sets, &n));
	assert_int_equal(n, 1);
	assert_int_equal(sets[0].version, version);
	assert_true(sets[0].record_len > 0);
}

/* Edges take no set of a lower version than they have: so the next one must be above it, even
 * if the clock was ahead when that was made. */
static void ticket_keys_go_on_above_what_edges_have(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_feed_info before;
	struct ch_store_handback_item item;

	assert_ok(put_tickets(fx, 0, 900));
	lose_and_restore(fx);
	assert_ok(put_tickets(fx, 0, 500)); /* an issuer was quicker than the edges */
	before = fx_feed_info(fx);
	assert_int_equal(hand_tickets(fx, "default", "default", 500).result, CH_HANDBACK_OLD);
	assert_tickets(fx, 500);
	assert_int_equal(fx_feed_info(fx).head, before.head);
	item = hand_tickets(fx, "default", "elsewhere", 900);
	assert_int_equal(item.result, CH_HANDBACK_REFUSED);
	assert_string_equal(item.code, "pool");
	assert_tickets(fx, 500);
	assert_int_equal(hand_tickets(fx, "default", "default", 900).result, CH_HANDBACK_TAKEN);
	assert_tickets(fx, 900);
	assert_int_equal(fx_feed_info(fx).head, before.head + 1);
	assert_refused(fx, put_tickets(fx, 900, 600), CH_EINVAL, "bad-record");
	assert_ok(put_tickets(fx, 900, 901));
	assert_tickets(fx, 901);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(in_a_frozen_pool_all_edges_keep_what_they_have),
		T(what_a_frozen_pool_is_to_get_signed_anew_is_kept_too),
		T(behind_a_canary_all_edges_keep_what_they_have),
		T(a_backup_is_restored_twice),
		T(a_standby_that_was_put_live_stands_by_no_more),
		T(ticket_keys_go_on_above_what_edges_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
