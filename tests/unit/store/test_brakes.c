/* What is held back from edges: a frozen feed, and what waits for a canary. */
#include "fixture.h"

#define SOAK_MS (10 * CH_MINUTE_MS)

static int pool_op(struct fixture *fx, struct ch_op_pool pool)
{
	struct ch_store_op op = {
		.type = CH_OP_POOL, .who = "operator/default/admin", .u.pool = pool};

	if (!op.u.pool.pool)
		op.u.pool.pool = "default";
	return fx_run(fx, &op);
}

static int freeze(struct fixture *fx, const char *why)
{
	return pool_op(fx, (struct ch_op_pool){.action = CH_POOL_FREEZE, .why = why});
}

static int act(struct fixture *fx, enum ch_pool_action action)
{
	return pool_op(fx, (struct ch_op_pool){.action = action});
}

static int canary(struct fixture *fx, const char *edge)
{
	return pool_op(fx, (struct ch_op_pool){
				   .action = CH_POOL_CANARY, .edge = edge, .soak_ms = SOAK_MS});
}

/* What a look releases; *ret_more may be NULL. */
static size_t release(struct fixture *fx, size_t max_rows, bool *ret_more)
{
	struct ch_store_op op = {.type = CH_OP_RELEASE, .u.release = {.max_rows = max_rows}};

	assert_ok(fx_run(fx, &op));
	if (ret_more)
		*ret_more = op.u.release.more;
	return op.u.release.released;
}

struct seen {
	struct {
		char name[64];
		enum ch_record_kind kind;
		uint64_t version;
		uint64_t seq;
	} row[64];
	size_t n;
	struct ch_store_feed_info info;
};

static int see(const struct ch_store_feed_row *row, void *arg)
{
	struct seen *seen = arg;
	struct ch_record record;

	assert_true(seen->n < 64);
	assert_ok(ch_record_decode(row->record, row->record_len, &record));
	assert_true(row->seq == 0 || seen->n == 0 || row->seq > seen->row[seen->n - 1].seq);
	snprintf(seen->row[seen->n].name, 64, "%.*s", (int)record.name_len, record.name);
	seen->row[seen->n].kind = record.kind;
	seen->row[seen->n].version = record.version;
	seen->row[seen->n].seq = row->seq;
	seen->n++;
	return 0;
}

/* As this edge: what is newer than `after`. */
static struct seen feed(struct fixture *fx, const char *edge, uint64_t after)
{
	struct seen seen = {.n = 0};

	assert_ok(ch_store_read_feed_as(
		fx->store, "default", edge, after, see, &seen, &seen.info));
	return seen;
}

/* The same by name. */
static struct seen snapshot(
	struct fixture *fx, const char *edge, struct ch_store_records_info *ret_info)
{
	struct ch_store_records_filter filter = {.pool = "default", .edge = edge, .limit = 100};
	struct seen seen = {.n = 0};

	assert_ok(ch_store_read_records(fx->store, &filter, see, &seen, ret_info));
	assert_false(ret_info->more);
	return seen;
}

static struct ch_store_pool look(struct fixture *fx)
{
	struct ch_store_pool *pools;
	size_t n;

	assert_ok(ch_store_list_pools(fx->store, "default", fx->arena, &pools, &n));
	assert_int_equal(n, 1);
	return pools[0];
}

static int ack_with(struct fixture *fx, const char *id, uint64_t seq, const char *error)
{
	struct ch_store_op op = {.type = CH_OP_EDGE_ACK,
		.u.edge_ack = {.pool = "default",
			.id = id,
			.seq = seq,
			.software = "t",
			.error = error}};
	struct ch_store_feed_info info = fx_feed_info(fx);

	memcpy(op.u.edge_ack.epoch, info.epoch, CH_EPOCH_B);
	return fx_run(fx, &op);
}

/* As the issuer does when a lease says that something is held back. */
static struct ch_op_patch waits_for(
	const struct ch_store_order *order, enum ch_order_state state, const char *code)
{
	struct ch_op_patch patch = fx_step(order, state);

	patch.keep_lease = false;
	patch.next_at_ms = test_now_ms + CH_HOUR_MS;
	patch.has_reason = true;
	patch.reason = (struct ch_store_reason){code, "It waits.", CH_ACTOR_OPERATOR};
	return patch;
}

/* Opens a name's order and publishes; the order is `confirming` then. */
static struct ch_store_order *publish(struct fixture *fx, const char *name, uint8_t leaf)
{
	struct ch_store_order *order;

	fx_add(fx, name);
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	assert_ok(fx_publish(fx, fx_publication(fx, order, leaf)));
	return order;
}

static void a_frozen_feed_stands_still_and_goes_on_when_thawed(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_records_info info;
	struct seen seen;
	uint64_t head;

	publish(fx, "a.example", 1);
	fx_add(fx, "b.example");
	head = fx_feed_info(fx).head;
	assert_ok(freeze(fx, "a bad day"));
	fx_add(fx, "c.example");
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_int_equal(release(fx, 0, NULL), 0);
	seen = feed(fx, "e1", head);
	assert_int_equal(seen.n, 0);
	assert_int_equal(seen.info.head, head);
	/* An edge that begins now gets what the others have. */
	seen = snapshot(fx, "e1", &info);
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.row[0].name, "a.example");
	assert_int_equal(seen.row[0].kind, CH_RECORD_CERT);
	assert_int_equal(info.feed_head, head);
	assert_int_equal(look(fx).held, 2);
	fx_reopen(fx);
	assert_int_equal(feed(fx, "e1", head).n, 0);
	assert_string_equal(look(fx).frozen_why, "a bad day");
	assert_ok(act(fx, CH_POOL_THAW));
	assert_int_equal(release(fx, 0, NULL), 2);
	seen = feed(fx, "e1", head);
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.row[0].name, "c.example");
	assert_int_equal(seen.row[1].kind, CH_RECORD_TOMBSTONE);
	assert_int_equal(look(fx).held, 0);
}

static void a_thaw_goes_in_parts(void **state)
{
	struct fixture *fx = *state;
	bool more;

	assert_ok(freeze(fx, "x"));
	fx_add(fx, "a.example");
	fx_add(fx, "b.example");
	fx_add(fx, "c.example");
	assert_ok(act(fx, CH_POOL_THAW));
	assert_int_equal(release(fx, 2, &more), 2);
	assert_true(more);
	/* What changes while it goes on is not overtaken by what was held. */
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "c.example"));
	assert_int_equal(release(fx, 2, &more), 0);
	assert_false(more);
	assert_int_equal(feed(fx, NULL, 0).row[2].kind, CH_RECORD_TOMBSTONE);
}

static void freezing_twice_keeps_the_first(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_audit *entries;
	struct ch_store_pool pool;
	uint64_t before;
	size_t n;

	assert_ok(act(fx, CH_POOL_THAW)); /* nothing to do */
	assert_ok(freeze(fx, "first"));
	test_now_ms += 1000;
	assert_ok(freeze(fx, "second"));
	pool = look(fx);
	assert_string_equal(pool.frozen_why, "first");
	assert_string_equal(pool.frozen_by, "operator/default/admin");
	assert_int_equal(pool.frozen_at_ms, START_MS);
	assert_ok(act(fx, CH_POOL_THAW));
	assert_ok(act(fx, CH_POOL_THAW));
	assert_int_equal(look(fx).frozen_at_ms, 0);
	assert_ok(ch_store_list_audit(fx->store, 0, 10, fx->arena, &entries, &n, &before));
	assert_int_equal(n, 2);
	assert_string_equal(entries[1].action, "feed.freeze");
	assert_string_equal(entries[0].action, "feed.thaw");
	assert_string_equal(entries[0].target, "default");
}

static void pools_and_edges_that_nobody_has_seen_are_refused(void **state)
{
	struct fixture *fx = *state;

	assert_refused(fx, pool_op(fx, (struct ch_op_pool){.pool = "defualt", .why = "x"}),
		CH_ENOTFOUND, "pool-not-found");
	assert_refused(fx, canary(fx, "e9"), CH_ENOTFOUND, "edge-not-found");
	assert_null(look(fx).canary);
}

static void an_order_says_that_the_feed_is_frozen(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	fx_add(fx, "a.example");
	assert_ok(fx_ack(fx, "default", "e1", fx_feed_info(fx).head));
	assert_ok(freeze(fx, "x"));
	order = fx_lease_one(fx); /* its record went out before */
	fx_add(fx, "b.example");
	assert_true(order->edges.ready);
	assert_null(order->edges.held.code);
	order = fx_lease_one(fx);
	assert_false(order->edges.ready);
	assert_int_equal(order->edges.known, 1);
	assert_int_equal(order->edges.caught_up, 0);
	assert_string_equal(order->edges.held.code, "feed-frozen");
	assert_int_equal(order->edges.held.actor, CH_ACTOR_OPERATOR);
	assert_non_null(strstr(order->edges.held.detail, "certherd feed thaw"));
}

static void what_is_let_go_wakes_its_order(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;

	assert_ok(freeze(fx, "x"));
	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	patch = waits_for(order, CH_ORDER_ORDERED, "feed-frozen");
	assert_ok(fx_patch(fx, &patch));
	fx_lease_none(fx);
	assert_ok(act(fx, CH_POOL_THAW));
	release(fx, 0, NULL);
	assert_int_equal(fx_lease_one(fx)->id, order->id);
}

/* A CA's Retry-After is not cut short by it. */
static void what_waits_for_something_else_is_not_woken(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_patch patch;

	assert_ok(freeze(fx, "x"));
	fx_add(fx, "a.example");
	patch = waits_for(fx_lease_one(fx), CH_ORDER_ORDERED, "ca-rate-limited");
	assert_ok(fx_patch(fx, &patch));
	assert_ok(act(fx, CH_POOL_THAW));
	assert_int_equal(release(fx, 0, NULL), 1);
	fx_lease_none(fx);
	test_now_ms += CH_HOUR_MS;
	(void)fx_lease_one(fx);
}

static void what_is_let_go_while_its_order_is_leased_is_due_at_once(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;

	assert_ok(freeze(fx, "x"));
	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	assert_ok(act(fx, CH_POOL_THAW));
	assert_int_equal(release(fx, 0, NULL), 1);
	patch = waits_for(order, CH_ORDER_ORDERED, "feed-frozen");
	assert_ok(fx_patch(fx, &patch));
	order = fx_lease_one(fx);
	assert_null(order->edges.held.code);
	/* Held back as before, it waits. */
	assert_ok(freeze(fx, "x"));
	fx_add(fx, "b.example");
	patch = waits_for(fx_lease_one(fx), CH_ORDER_ORDERED, "feed-frozen");
	assert_ok(fx_patch(fx, &patch));
	fx_lease_none(fx);
}

static void pools_are_let_go_side_by_side(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_pool_head head;
	uint64_t before;
	bool more;

	assert_ok(freeze(fx, "x"));
	assert_ok(fx_put(fx, "z.example", CH_TRI_KEEP, NULL, "zone", NULL));
	assert_ok(ch_store_pool_head(fx->store, "zone", &head));
	before = head.seq;
	assert_ok(pool_op(
		fx, (struct ch_op_pool){.pool = "zone", .action = CH_POOL_FREEZE, .why = "x"}));
	for (char name[] = "a.example"; name[0] < 'k'; name[0]++)
		fx_add(fx, name);
	assert_ok(fx_put(fx, "y.example", CH_TRI_KEEP, NULL, "zone", NULL));
	assert_ok(act(fx, CH_POOL_THAW));
	assert_ok(pool_op(fx, (struct ch_op_pool){.pool = "zone", .action = CH_POOL_THAW}));
	assert_int_equal(release(fx, 4, &more), 3);
	assert_true(more);
	assert_ok(ch_store_pool_head(fx->store, "zone", &head));
	assert_true(head.seq > before);
	while (more)
		release(fx, 4, &more);
	assert_int_equal(feed(fx, NULL, 0).n, 10);
}

static void a_policy_stays_with_its_name_in_a_frozen_pool(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_records_info info;

	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, "acme", NULL, NULL));
	assert_int_equal(snapshot(fx, NULL, &info).n, 2);
	assert_ok(freeze(fx, "x"));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_int_equal(snapshot(fx, NULL, &info).n, 2);
	assert_ok(act(fx, CH_POOL_THAW));
	release(fx, 0, NULL);
	assert_int_equal(snapshot(fx, NULL, &info).n, 0);
	assert_int_equal(feed(fx, NULL, 0).n, 1);
}

static void a_frozen_pools_edges_can_go_on_after_a_long_time(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_HOUSEKEEP,
		.u.housekeep = {.tombstone_keep_ms = 1000,
			.history_keep_ms = CH_DAY_MS,
			.orders_keep_ms = CH_DAY_MS,
			.audit_keep_ms = CH_DAY_MS}};
	uint64_t head;

	fx_add(fx, "a.example");
	head = fx_feed_info(fx).head;
	assert_ok(freeze(fx, "x"));
	assert_ok(fx_put(fx, "b.example", CH_TRI_KEEP, NULL, "eu", NULL));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "b.example"));
	test_now_ms += CH_HOUR_MS;
	assert_ok(fx_run(fx, &op));
	assert_true(fx_feed_info(fx).floor <= head);
	assert_ok(act(fx, CH_POOL_THAW));
	assert_ok(fx_run(fx, &op));
	assert_true(fx_feed_info(fx).floor > head);
}

static void certificates_wait_for_the_canary_and_its_soak(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	uint64_t head;

	assert_ok(fx_ack(fx, "default", "e1", 0));
	assert_ok(canary(fx, "e1"));
	order = publish(fx, "a.example", 1);
	/* The name went out, or no challenge could be answered. */
	assert_int_equal(feed(fx, "e2", 0).n, 1);
	assert_int_equal(feed(fx, "e2", 0).row[0].kind, CH_RECORD_NAME);
	assert_int_equal(feed(fx, "e1", 0).n, 2);
	assert_int_equal(feed(fx, "e1", 0).row[1].kind, CH_RECORD_CERT);
	head = fx_feed_info(fx).head;
	assert_int_equal(fx_pool_head(fx, "default").canary_seq, head);
	assert_int_equal(fx_pool_head(fx, "default").seq, feed(fx, "e2", 0).row[0].seq);
	assert_string_equal(fx_pool_head(fx, "default").canary, "e1");
	assert_int_equal(look(fx).state, CH_CANARY_BEHIND);
	assert_ok(fx_ack(fx, "default", "e1", head));
	assert_int_equal(look(fx).state, CH_CANARY_SOAKING);
	order = fx_lease_one(fx);
	assert_string_equal(order->edges.held.code, "canary-soak");
	assert_int_equal(order->edges.held.actor, CH_ACTOR_NOBODY);
	fx_reopen(fx);
	for (int64_t ms = 0; ms < SOAK_MS; ms += EDGE_TIMEOUT_MS / 2) {
		assert_int_equal(release(fx, 0, NULL), 0);
		test_now_ms += EDGE_TIMEOUT_MS / 2;
		assert_ok(fx_ack(fx, "default", "e1", head));
	}
	assert_int_equal(release(fx, 0, NULL), 1);
	assert_int_equal(feed(fx, "e2", head).row[0].kind, CH_RECORD_CERT);
	assert_int_equal(look(fx).state, CH_CANARY_IDLE);
}

static void a_second_certificate_waits_and_wakes_its_order(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;
	uint64_t head;

	assert_ok(fx_put_keys(fx, "a.example", CH_TRI_KEEP, CH_KEYS_BOTH, NULL));
	fx_issue(fx, fx_lease_one(fx));
	assert_ok(fx_ack(fx, "default", "e1", 0));
	assert_ok(canary(fx, "e1"));
	order = fx_lease_one(fx);
	assert_true(order->second);
	head = fx_feed_info(fx).head;
	fx_seal(fx, order);
	assert_ok(fx_publish(fx, fx_publication(fx, order, 2)));
	assert_int_equal(feed(fx, "e2", head).n, 0);
	assert_int_equal(feed(fx, "e1", head).row[0].kind, CH_RECORD_SECOND);
	assert_int_equal(release(fx, 0, NULL), 0);
	order = fx_lease_one(fx);
	assert_string_equal(order->edges.held.code, "canary-soak");
	patch = waits_for(order, CH_ORDER_CONFIRMING, "canary-soak");
	assert_ok(fx_patch(fx, &patch));
	fx_lease_none(fx);
	assert_ok(act(fx, CH_POOL_RELEASE));
	assert_int_equal(release(fx, 0, NULL), 1);
	assert_int_equal(feed(fx, "e2", head).row[0].kind, CH_RECORD_SECOND);
	assert_int_equal(fx_lease_one(fx)->id, order->id);
}

/* The edge that was away between keeps nothing of before. */
static void a_name_that_comes_back_has_no_second_certificate(void **state)
{
	struct fixture *fx = *state;
	struct seen seen;
	uint64_t head;

	assert_ok(fx_put_keys(fx, "a.example", CH_TRI_KEEP, CH_KEYS_BOTH, NULL));
	fx_issue(fx, fx_lease_one(fx));
	fx_issue(fx, fx_lease_one(fx));
	head = fx_feed_info(fx).head;
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	fx_add(fx, "a.example");
	seen = feed(fx, "e1", head);
	assert_int_equal(seen.n, 4);
	assert_int_equal(seen.row[0].kind, CH_RECORD_NAME);
	assert_int_equal(seen.row[1].kind, CH_RECORD_SECOND);
	assert_true(seen.row[1].version > seen.row[0].version);
}

static void the_soak_ends_only_with_a_report(void **state)
{
	struct fixture *fx = *state;

	assert_ok(fx_ack(fx, "default", "e1", 0));
	assert_ok(canary(fx, "e1"));
	publish(fx, "a.example", 1);
	assert_ok(fx_ack(fx, "default", "e1", fx_feed_info(fx).head));
	test_now_ms += SOAK_MS;
	assert_int_equal(look(fx).state, CH_CANARY_SILENT);
	assert_int_equal(release(fx, 0, NULL), 0);
	/* It was away: it begins again. */
	assert_ok(fx_ack(fx, "default", "e1", fx_feed_info(fx).head));
	assert_int_equal(release(fx, 0, NULL), 0);
	assert_int_equal(look(fx).state, CH_CANARY_SOAKING);
}

static void a_canary_in_trouble_holds_the_rest_back(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	uint64_t head;

	assert_ok(fx_ack(fx, "default", "e1", 0));
	assert_ok(canary(fx, "e1"));
	publish(fx, "a.example", 1);
	head = fx_feed_info(fx).head;
	assert_ok(ack_with(fx, "e1", head, "1 record was refused"));
	order = fx_lease_one(fx);
	assert_string_equal(order->edges.held.code, "canary-stuck");
	assert_int_equal(order->edges.held.actor, CH_ACTOR_OPERATOR);
	assert_non_null(strstr(order->edges.held.detail, "1 record was refused"));
	assert_non_null(strstr(order->edges.held.detail, "certherd feed canary --release"));
	assert_int_equal(look(fx).state, CH_CANARY_TROUBLE);
	assert_string_equal(look(fx).trouble, "1 record was refused");
	for (int64_t ms = 0; ms < SOAK_MS; ms += EDGE_TIMEOUT_MS / 2) {
		test_now_ms += EDGE_TIMEOUT_MS / 2;
		assert_ok(ack_with(fx, "e1", head, "1 record was refused"));
		assert_int_equal(release(fx, 0, NULL), 0);
	}
	assert_ok(act(fx, CH_POOL_RELEASE));
	assert_int_equal(release(fx, 0, NULL), 1);
	assert_int_equal(look(fx).held, 0);
	/* The next change waits again. */
	fx_finish(fx, order);
	publish(fx, "b.example", 2);
	assert_int_equal(release(fx, 0, NULL), 0);
	assert_int_equal(look(fx).held, 1);
}

static void without_a_canary_all_goes_on(void **state)
{
	struct fixture *fx = *state;

	assert_ok(fx_ack(fx, "default", "e1", 0));
	assert_ok(canary(fx, "e1"));
	publish(fx, "a.example", 1);
	assert_ok(act(fx, CH_POOL_NO_CANARY));
	assert_int_equal(release(fx, 0, NULL), 1);
	assert_null(look(fx).canary);
}

static void a_new_canary_gets_what_the_old_one_had(void **state)
{
	struct fixture *fx = *state;
	uint64_t head;

	assert_ok(fx_ack(fx, "default", "e1", 0));
	assert_ok(fx_ack(fx, "default", "e2", 0));
	assert_ok(canary(fx, "e1"));
	publish(fx, "a.example", 1);
	head = fx_feed_info(fx).head;
	assert_ok(fx_ack(fx, "default", "e2", head)); /* it has read past it */
	assert_ok(canary(fx, "e2"));
	assert_int_equal(feed(fx, "e2", head).n, 1);
	assert_int_equal(feed(fx, "e2", head).row[0].kind, CH_RECORD_CERT);
	assert_int_equal(feed(fx, "e1", head).n, 0);
	assert_int_equal(look(fx).state, CH_CANARY_BEHIND);
}

static void a_removal_takes_what_waits_along(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_records_info info;

	assert_ok(fx_ack(fx, "default", "e1", 0));
	assert_ok(canary(fx, "e1"));
	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, "acme", NULL, NULL));
	fx_issue(fx, fx_lease_one(fx));
	assert_int_equal(look(fx).held, 2);
	assert_int_equal(snapshot(fx, "e1", &info).n, 2);
	assert_int_equal(snapshot(fx, "e2", &info).n, 1);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_int_equal(look(fx).held, 0);
	assert_int_equal(snapshot(fx, "e1", &info).n, 0);
	assert_int_equal(feed(fx, "e2", 0).row[0].kind, CH_RECORD_TOMBSTONE);
}

static void a_canary_in_a_frozen_pool_gets_the_rest_after_the_thaw(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_records_info info;
	uint64_t head;

	fx_add(fx, "a.example");
	assert_ok(fx_ack(fx, "default", "e1", fx_feed_info(fx).head));
	assert_ok(canary(fx, "e1"));
	head = fx_feed_info(fx).head;
	assert_ok(freeze(fx, "x"));
	fx_issue(fx, fx_lease_one(fx));
	fx_add(fx, "b.example");
	assert_int_equal(feed(fx, "e1", 0).n, 1);
	assert_int_equal(feed(fx, "e1", 0).info.head, head);
	assert_int_equal(snapshot(fx, "e1", &info).n, 1);
	assert_int_equal(info.feed_head, head);
	assert_ok(act(fx, CH_POOL_THAW));
	assert_int_equal(release(fx, 0, NULL), 1); /* the name */
	assert_int_equal(feed(fx, "e1", head).n, 2);
	assert_int_equal(feed(fx, "e2", head).n, 1);
	assert_int_equal(feed(fx, "e2", head).row[0].kind, CH_RECORD_NAME);
}

/* The edges never saw its removal: what they have of its policy is another tenant's. */
static void a_name_that_is_back_after_a_thaw_brings_its_own_policy(void **state)
{
	struct fixture *fx = *state;
	struct seen seen;
	uint64_t head;

	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, "one", NULL, NULL));
	assert_ok(fx_ack(fx, "default", "e1", fx_feed_info(fx).head));
	assert_ok(canary(fx, "e1"));
	assert_ok(freeze(fx, "x"));
	head = fx_feed_info(fx).head;
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, "two", NULL, NULL));
	assert_ok(act(fx, CH_POOL_THAW));
	release(fx, 0, NULL);
	seen = feed(fx, "e2", head);
	assert_true(seen.n >= 2);
	assert_int_equal(seen.row[0].kind, CH_RECORD_NAME);
	assert_int_equal(seen.row[1].kind, CH_RECORD_POLICY);
	/* A change of it afterwards waits for the canary, as ever. */
	head = fx_feed_info(fx).head;
	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, "three", NULL, NULL));
	release(fx, 0, NULL);
	assert_int_equal(feed(fx, "e2", head).n, 0);
}

static void the_certificate_before_is_kept_although_it_waited(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_certs certs;

	assert_ok(fx_ack(fx, "default", "e1", 0));
	assert_ok(canary(fx, "e1"));
	fx_add(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	test_now_ms += RENEW_MS;
	fx_issue(fx, fx_lease_one(fx));
	assert_ok(ch_store_get_certs(fx->store, "a.example", fx->arena, &certs));
	assert_int_equal(certs.current->n_recipients, 1);
	assert_int_equal(certs.previous->n_recipients, 1);
	assert_int_equal(look(fx).held, 1);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_frozen_feed_stands_still_and_goes_on_when_thawed),
		T(a_thaw_goes_in_parts),
		T(freezing_twice_keeps_the_first),
		T(pools_and_edges_that_nobody_has_seen_are_refused),
		T(an_order_says_that_the_feed_is_frozen),
		T(what_is_let_go_wakes_its_order),
		T(what_waits_for_something_else_is_not_woken),
		T(what_is_let_go_while_its_order_is_leased_is_due_at_once),
		T(pools_are_let_go_side_by_side),
		T(a_name_that_is_back_after_a_thaw_brings_its_own_policy),
		T(a_policy_stays_with_its_name_in_a_frozen_pool),
		T(a_frozen_pools_edges_can_go_on_after_a_long_time),
		T(certificates_wait_for_the_canary_and_its_soak),
		T(a_second_certificate_waits_and_wakes_its_order),
		T(a_name_that_comes_back_has_no_second_certificate),
		T(the_soak_ends_only_with_a_report),
		T(a_canary_in_trouble_holds_the_rest_back),
		T(without_a_canary_all_goes_on),
		T(a_new_canary_gets_what_the_old_one_had),
		T(a_removal_takes_what_waits_along),
		T(a_canary_in_a_frozen_pool_gets_the_rest_after_the_thaw),
		T(the_certificate_before_is_kept_although_it_waited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
