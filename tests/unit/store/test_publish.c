/* Publication, certificates, and what the feed and the edges make of them. */
#include "fixture.h"

static struct ch_store_order *sealed_order(struct fixture *fx, const char *name)
{
	struct ch_store_order *order;

	fx_add_pair(fx, name);
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	return order;
}

static void a_publication_is_live_at_once(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order = sealed_order(fx, "a.example");
	struct ch_store_certs certs;
	struct ch_store_domain domain;

	assert_ok(fx_publish(fx, fx_publication(fx, order, 1)));
	domain = fx_get(fx, "www.a.example");
	assert_int_equal(domain.version, order->id);
	assert_int_equal(domain.order_id, order->id);
	assert_int_equal(domain.next_at_ms, START_MS + RENEW_MS);
	assert_int_equal(domain.cert->version, order->id);
	assert_string_equal(domain.cert->serial, "0a0b");
	assert_string_equal(domain.cert->issuer, "CN=Test");
	assert_int_equal(domain.cert->not_after_ms, START_MS + LIFETIME_MS);
	assert_int_equal(domain.cert->n_names, 2);
	assert_string_equal(domain.cert->names[0], "a.example");
	assert_string_equal(domain.cert->names[1], "www.a.example");
	assert_ok(ch_store_get_certs(fx->store, "www.a.example", fx->arena, &certs));
	assert_int_equal(certs.current->version, order->id);
	assert_int_equal(certs.current->leaf_len, 100);
	assert_int_equal(certs.current->leaf[99], 1);
	assert_int_equal(certs.current->chain_len, 7);
	assert_int_equal(certs.current->n_recipients, 1);
	assert_memory_equal(certs.current->recipients[0], "recipien", CH_RECIPIENT_ID_B);
	assert_int_equal(certs.current->published_at_ms, START_MS);
	assert_null(certs.previous);
	assert_int_equal(fx_get_order(fx, order->id).state, CH_ORDER_CONFIRMING);
	/* The lease was given back. */
	order = fx_lease_one(fx);
	assert_true(order->has_leaf);
	assert_int_equal(order->state, CH_ORDER_CONFIRMING);
}

static void a_published_order_is_due_when_the_issuer_says(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_publish *publish = fx_publication(fx, sealed_order(fx, "a.example"), 1);

	publish->next_at_ms = START_MS + 250;
	assert_ok(fx_publish(fx, publish));
	fx_lease_none(fx);
	test_now_ms += 250;
	assert_int_equal(fx_lease_one(fx)->state, CH_ORDER_CONFIRMING);
}

static void the_same_leaf_again_is_answered_as_the_first_time(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order = sealed_order(fx, "a.example");
	struct ch_op_publish *publish = fx_publication(fx, order, 1);
	uint64_t head;

	assert_ok(fx_publish(fx, publish));
	head = fx_feed_info(fx).head;
	assert_ok(fx_publish(fx, publish));
	fx_lease_one(fx); /* a new fence */
	assert_ok(fx_publish(fx, publish));
	assert_int_equal(fx_feed_info(fx).head, head);
	assert_refused(
		fx, fx_publish(fx, fx_publication(fx, order, 2)), CH_ECONFLICT, "fence-lost");
	publish->fence++;
	((uint8_t *)publish->leaf)[0]++;
	assert_refused(fx, fx_publish(fx, publish), CH_ECONFLICT, "order-state");
}

static void publication_comes_after_sealed(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_publish *publish;
	struct ch_store_order *order;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	publish = fx_publication(fx, order, 1);
	assert_refused(fx, fx_publish(fx, publish), CH_ECONFLICT, "order-state");
	publish->id = 999;
	assert_refused(fx, fx_publish(fx, publish), CH_ENOTFOUND, "order-not-found");
}

static void bad_records_are_refused_and_change_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order = sealed_order(fx, "a.example");
	struct ch_store_record_bytes *records;
	struct ch_op_publish *publish;
	struct ch_store_order other = *order;
	uint64_t head = fx_feed_info(fx).head;

	for (int fault = 0; fault < 9; fault++) {
		publish = fx_publication(fx, order, 1);
		records = (struct ch_store_record_bytes *)publish->records;
		switch (fault) {
		case 0:
			records[1].len--;
			break;
		case 1:
			publish->n_records = 1;
			break;
		case 2:
			records[1] = records[0];
			break;
		case 3: /* another leaf than the publication's */
			publish->leaf = fx_publication(fx, order, 2)->leaf;
			break;
		case 4: /* another chain */
			publish->chain = NULL;
			break;
		case 5: /* not a chain block */
			publish->chain_len--;
			break;
		case 6: /* another version */
			other.id = order->id + 1;
			publish->records = fx_publication(fx, &other, 1)->records;
			break;
		case 7: /* a name that is not in the order */
			other = *order;
			other.names[1].name = "b.example";
			publish->records = fx_publication(fx, &other, 1)->records;
			break;
		default:
			publish->leaf_len = 0;
			break;
		}
		assert_refused(fx, fx_publish(fx, publish), CH_EINVAL, "bad-record");
	}
	assert_int_equal(fx_feed_info(fx).head, head);
	assert_null(fx_get(fx, "a.example").cert);
	assert_ok(fx_publish(fx, fx_publication(fx, order, 1)));
}

static void the_certificate_before_is_kept_and_no_older_one(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_certs certs;
	uint64_t ids[3];

	fx_add(fx, "a.example");
	for (size_t i = 0; i < 3; i++) {
		struct ch_store_order *order = fx_lease_one(fx);

		ids[i] = order->id;
		fx_issue(fx, order);
		test_now_ms += RENEW_MS;
	}
	assert_ok(ch_store_get_certs(fx->store, "a.example", fx->arena, &certs));
	assert_int_equal(certs.current->version, ids[2]);
	assert_int_equal(certs.previous->version, ids[1]);
	assert_int_equal(certs.previous->leaf[0], (uint8_t)ids[1]);
	assert_int_equal(certs.previous->n_recipients, 1);
	assert_int_equal(certs.current->n_recipients, 1);
}

struct seen {
	uint64_t seq[64];
	struct ch_record record[64];
	char name[64][64];
	size_t n;
	size_t chains;
	size_t stop_at;
};

static int see(const struct ch_store_feed_row *row, void *arg)
{
	struct seen *seen = arg;

	if (seen->n == seen->stop_at)
		return 1;
	assert_true(seen->n < 64);
	assert_int_equal(!row->chain_id, !row->chain);
	seen->chains += row->chain != NULL;
	seen->seq[seen->n] = row->seq;
	assert_ok(ch_record_decode(row->record, row->record_len, &seen->record[seen->n]));
	snprintf(seen->name[seen->n], 64, "%.*s", (int)seen->record[seen->n].name_len,
		seen->record[seen->n].name);
	seen->n++;
	return 0;
}

static struct ch_store_feed_info read_feed(
	struct fixture *fx, const char *pool, uint64_t after, struct seen *seen)
{
	struct ch_store_feed_info info;
	size_t stop_at = seen->stop_at ? seen->stop_at : 64;

	*seen = (struct seen){.stop_at = stop_at};
	assert_ok(ch_store_read_feed(fx->store, pool, after, see, seen, &info));
	for (size_t i = 1; i < seen->n; i++)
		assert_true(seen->seq[i] > seen->seq[i - 1]);
	return info;
}

static void the_feed_has_each_name_once_with_its_newest_record(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_feed_info info;
	struct seen seen = {0};
	uint64_t after;

	fx_add_pair(fx, "a.example");
	fx_add(fx, "b.example");
	info = read_feed(fx, "default", 0, &seen);
	assert_int_equal(seen.n, 3);
	assert_string_equal(seen.name[0], "a.example");
	assert_int_equal(seen.record[0].kind, CH_RECORD_NAME);
	assert_int_equal(seen.record[0].version, fx_get(fx, "a.example").version);
	assert_int_equal(info.head, seen.seq[2]);
	assert_int_equal(info.floor, 0);
	assert_false(info.more);
	after = info.head;
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "b.example"));
	fx_issue(fx, fx_lease_one(fx));
	info = read_feed(fx, "default", after, &seen);
	assert_int_equal(seen.n, 3);
	assert_string_equal(seen.name[0], "b.example");
	assert_int_equal(seen.record[0].kind, CH_RECORD_TOMBSTONE);
	assert_int_equal(seen.record[1].kind, CH_RECORD_CERT);
	assert_int_equal(seen.record[2].kind, CH_RECORD_CERT);
	assert_int_equal(seen.chains, 1);
	read_feed(fx, "default", 0, &seen);
	assert_int_equal(seen.n, 3);
	read_feed(fx, "default", info.head, &seen);
	assert_int_equal(seen.n, 0);
}

static void the_feed_stops_where_the_reader_says(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_feed_info info;
	struct seen seen = {.stop_at = 2};

	fx_add_pair(fx, "a.example");
	fx_add(fx, "b.example");
	info = read_feed(fx, "default", 0, &seen);
	assert_int_equal(seen.n, 2);
	assert_true(info.more);
	info = read_feed(fx, "default", seen.seq[1], &seen);
	assert_int_equal(seen.n, 1);
	assert_false(info.more);
	assert_string_equal(seen.name[0], "b.example");
	/* Absurd cursors are no trouble. */
	read_feed(fx, "default", UINT64_MAX, &seen);
	assert_int_equal(seen.n, 0);
	read_feed(fx, "default", CH_STORE_ID_MAX, &seen);
	assert_int_equal(seen.n, 0);
}

static int refuse_row(const struct ch_store_feed_row *row, void *arg)
{
	return CH_ETOOBIG;
}

static void an_error_of_the_reader_ends_the_feed(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_feed_info info;

	fx_add(fx, "a.example");
	assert_int_equal(ch_store_read_feed(fx->store, "default", 0, refuse_row, NULL, &info),
		CH_ETOOBIG);
	fx_add(fx, "b.example");
}

static void pools_have_their_own_feeds(void **state)
{
	struct fixture *fx = *state;
	struct seen seen = {0};
	uint64_t head;

	fx_add(fx, "a.example");
	assert_ok(fx_put(fx, "b.example", CH_TRI_KEEP, NULL, "eu", NULL));
	read_feed(fx, "eu", 0, &seen);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.name[0], "b.example");
	head = fx_pool_head(fx, "eu").seq;
	assert_int_equal(head, seen.seq[0]);
	head = fx_pool_head(fx, "none").seq;
	assert_int_equal(head, 0);
	/* A move is a removal in one and a beginning in the other. */
	assert_ok(fx_put(fx, "a.example", CH_TRI_KEEP, NULL, "eu", NULL));
	read_feed(fx, "default", 0, &seen);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.record[0].kind, CH_RECORD_TOMBSTONE);
	read_feed(fx, "eu", head, &seen);
	assert_int_equal(seen.record[seen.n - 1].kind, CH_RECORD_NAME);
}

static struct ch_op_housekeep housekeep(struct fixture *fx, size_t max_rows)
{
	struct ch_store_op op = {.type = CH_OP_HOUSEKEEP};

	op.u.housekeep = (struct ch_op_housekeep){.tombstone_keep_ms = CH_DAY_MS,
		.history_keep_ms = 10 * CH_DAY_MS,
		.orders_keep_ms = 10 * CH_DAY_MS,
		.audit_keep_ms = 10 * CH_DAY_MS,
		.max_rows = max_rows};
	assert_ok(fx_run(fx, &op));
	return op.u.housekeep;
}

static void old_tombstones_are_forgotten_and_raise_the_floor(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_housekeep house;
	struct ch_store_feed_info info;
	struct seen seen = {0};
	uint64_t second;

	fx_add(fx, "a.example");
	fx_add(fx, "b.example");
	fx_add(fx, "c.example");
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "b.example"));
	second = fx_feed_info(fx).head;
	test_now_ms += CH_DAY_MS;
	house = housekeep(fx, 0);
	assert_int_equal(house.removed, 0);
	assert_int_equal(fx_feed_info(fx).floor, 0);
	test_now_ms += 1;
	house = housekeep(fx, 1);
	assert_int_equal(house.removed, 1);
	assert_true(house.more);
	assert_int_equal(fx_feed_info(fx).floor, second - 1);
	house = housekeep(fx, 10);
	assert_int_equal(house.removed, 1);
	assert_false(house.more);
	info = read_feed(fx, "default", 0, &seen);
	assert_int_equal(info.floor, second);
	assert_int_equal(seen.n, 1);
	fx_reopen(fx);
	assert_int_equal(fx_feed_info(fx).floor, second);
	fx_add(fx, "a.example");
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_PENDING);
}

/* Finishes the name's order although an edge is behind. */
static uint64_t finish_behind(struct fixture *fx, const char *name, const char *code)
{
	struct ch_store_order *order;
	struct ch_op_patch patch;

	fx_add(fx, name);
	order = fx_lease_one(fx);
	fx_seal(fx, order);
	assert_ok(fx_publish(fx, fx_publication(fx, order, 1)));
	order = fx_lease_one(fx);
	patch = fx_step(order, CH_ORDER_DONE);
	patch.has_reason = true;
	patch.reason = (struct ch_store_reason){code, "e1", CH_ACTOR_PLATFORM};
	assert_ok(fx_patch(fx, &patch));
	assert_string_equal(fx_get(fx, name).reason.code, code);
	return fx_feed_info(fx).head;
}

static void names_whose_edges_have_caught_up_say_so(void **state)
{
	struct fixture *fx = *state;
	uint64_t head = finish_behind(fx, "a.example", "edges-behind");

	assert_int_equal(housekeep(fx, 0).caught_up, 0); /* no edge */
	assert_ok(fx_ack(fx, "default", "e1", head - 1));
	assert_ok(fx_ack(fx, "default", "e2", head));
	assert_int_equal(housekeep(fx, 0).caught_up, 0);
	assert_string_equal(fx_get(fx, "a.example").reason.code, "edges-behind");
	assert_ok(fx_ack(fx, "default", "e1", head));
	assert_int_equal(housekeep(fx, 0).caught_up, 1);
	assert_string_equal(fx_get(fx, "a.example").reason.code, "ok");
	assert_int_equal(fx_get(fx, "a.example").reason.actor, CH_ACTOR_NOBODY);
	assert_int_equal(housekeep(fx, 0).caught_up, 0);
}

static void other_reasons_stay_when_edges_have_caught_up(void **state)
{
	struct fixture *fx = *state;
	uint64_t head = finish_behind(fx, "a.example", "probe-mismatch");

	assert_ok(fx_ack(fx, "default", "e1", head));
	assert_int_equal(housekeep(fx, 0).caught_up, 0);
	assert_string_equal(fx_get(fx, "a.example").reason.code, "probe-mismatch");
}

static void edges_that_vanished_do_not_keep_a_name_behind(void **state)
{
	struct fixture *fx = *state;
	uint64_t head = finish_behind(fx, "a.example", "edges-behind");

	assert_ok(fx_ack(fx, "default", "gone", head - 1));
	test_now_ms += EDGE_TIMEOUT_MS + 1;
	assert_ok(fx_ack(fx, "default", "e1", head));
	assert_int_equal(housekeep(fx, 0).caught_up, 1);
}

static void old_orders_history_and_audit_are_pruned_in_shares(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_store_event *events;
	struct ch_store_audit *entries;
	struct ch_store_order gone;
	struct ch_op_housekeep house;
	uint64_t before;
	size_t n;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	fx_issue(fx, order);
	fx_add(fx, "b.example");
	test_now_ms += 10 * CH_DAY_MS + 1;
	fx_add(fx, "c.example");
	do
		house = housekeep(fx, 1);
	while (house.more);
	assert_int_equal(
		ch_store_get_order(fx->store, order->id, fx->arena, &gone), CH_ENOTFOUND);
	assert_ok(ch_store_get_history(fx->store, "a.example", 9, fx->arena, &events, &n));
	assert_int_equal(n, 0);
	assert_ok(ch_store_get_history(fx->store, "c.example", 9, fx->arena, &events, &n));
	assert_int_equal(n, 1);
	assert_ok(ch_store_list_audit(fx->store, 0, 9, fx->arena, &entries, &n, &before));
	assert_int_equal(n, 1);
	/* What is live stays. */
	assert_int_equal(fx_get(fx, "a.example").cert->version, order->id);
	assert_int_equal(fx_get(fx, "a.example").state, CH_NAME_ACTIVE);
}

static void edges_are_ready_when_all_have_the_newest_record(void **state)
{
	struct fixture *fx = *state;
	struct ch_op_patch patch;
	struct ch_store_order *order;
	uint64_t seq;

	fx_add(fx, "a.example");
	seq = fx_pool_head(fx, "default").seq;
	assert_ok(fx_put(fx, "b.example", CH_TRI_KEEP, NULL, "eu", NULL));
	assert_ok(fx_ack(fx, "eu", "e9", 0));
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "b.example"));
	order = fx_lease_one(fx);
	assert_int_equal(order->edges.known, 0);
	assert_false(order->edges.ready);
	assert_ok(fx_ack(fx, "default", "e1", seq));
	assert_ok(fx_ack(fx, "default", "e2", seq - 1));
	patch = (struct ch_op_patch){
		.id = order->id, .fence = order->fence, .keep_lease = true};
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(patch.answer.edges.known, 2);
	assert_int_equal(patch.answer.edges.caught_up, 1);
	assert_false(patch.answer.edges.ready);
	assert_int_equal(patch.answer.edges.n_behind, 1);
	assert_string_equal(patch.answer.edges.behind[0], "edge/default/e2");
	assert_ok(fx_ack(fx, "default", "e2", seq));
	assert_ok(fx_patch(fx, &patch));
	assert_true(patch.answer.edges.ready);
	assert_int_equal(patch.answer.edges.caught_up, 2);
	assert_int_equal(patch.answer.edges.n_behind, 0);
	/* Nobody was seen for long. */
	test_now_ms += EDGE_TIMEOUT_MS + 1;
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(patch.answer.edges.known, 0);
	assert_false(patch.answer.edges.ready);
}

static void an_edge_of_another_epoch_is_behind(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_EDGE_ACK};
	struct ch_store_order *order;
	struct ch_store_edge *edges;
	size_t n;

	fx_add(fx, "a.example");
	op.u.edge_ack = (struct ch_op_edge_ack){
		.pool = "default", .id = "e1", .seq = 1000, .software = "x"};
	assert_ok(fx_run(fx, &op));
	order = fx_lease_one(fx);
	assert_int_equal(order->edges.known, 1);
	assert_int_equal(order->edges.caught_up, 0);
	assert_false(order->edges.ready);
	assert_ok(ch_store_list_edges(fx->store, fx->arena, &edges, &n));
	assert_int_equal(edges[0].lag, 1);
}

static void a_cursor_ahead_of_the_feed_is_refused(void **state)
{
	struct fixture *fx = *state;

	fx_add(fx, "a.example");
	assert_refused(fx, fx_ack(fx, "default", "e1", fx_feed_info(fx).head + 1), CH_EINVAL,
		"bad-cursor");
}

static void edges_are_listed_and_forgotten(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_op op = {.type = CH_OP_EDGE_FORGET, .who = "operator/default/admin"};
	struct ch_store_edge *edges;
	size_t n;

	fx_add(fx, "a.example");
	fx_add(fx, "b.example");
	assert_ok(ch_store_list_edges(fx->store, fx->arena, &edges, &n));
	assert_int_equal(n, 0);
	assert_ok(fx_ack(fx, "default", "e2", 1));
	test_now_ms += EDGE_TIMEOUT_MS + 1;
	assert_ok(fx_ack(fx, "default", "e1", 2));
	assert_ok(ch_store_list_edges(fx->store, fx->arena, &edges, &n));
	assert_int_equal(n, 2);
	assert_string_equal(edges[0].id, "edge/default/e1");
	assert_true(edges[0].live);
	assert_int_equal(edges[0].lag, 0);
	assert_int_equal(edges[0].names, 3);
	assert_null(edges[0].error);
	assert_string_equal(edges[1].id, "edge/default/e2");
	assert_false(edges[1].live);
	assert_int_equal(edges[1].lag, 1);
	op.u.edge_forget = (struct ch_op_edge_forget){.pool = "default", .id = "e2"};
	assert_ok(fx_run(fx, &op));
	assert_refused(fx, fx_run(fx, &op), CH_ENOTFOUND, "edge-not-found");
	assert_ok(ch_store_list_edges(fx->store, fx->arena, &edges, &n));
	assert_int_equal(n, 1);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_publication_is_live_at_once),
		T(a_published_order_is_due_when_the_issuer_says),
		T(the_same_leaf_again_is_answered_as_the_first_time),
		T(publication_comes_after_sealed),
		T(bad_records_are_refused_and_change_nothing),
		T(the_certificate_before_is_kept_and_no_older_one),
		T(the_feed_has_each_name_once_with_its_newest_record),
		T(the_feed_stops_where_the_reader_says),
		T(an_error_of_the_reader_ends_the_feed),
		T(pools_have_their_own_feeds),
		T(old_tombstones_are_forgotten_and_raise_the_floor),
		T(names_whose_edges_have_caught_up_say_so),
		T(other_reasons_stay_when_edges_have_caught_up),
		T(edges_that_vanished_do_not_keep_a_name_behind),
		T(old_orders_history_and_audit_are_pruned_in_shares),
		T(edges_are_ready_when_all_have_the_newest_record),
		T(an_edge_of_another_epoch_is_behind),
		T(a_cursor_ahead_of_the_feed_is_refused),
		T(edges_are_listed_and_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
