/* Tokens of tls-alpn-01: edges get them with an order and lose them with it. */
#include "fixture.h"

#include "wire/record.h"

#define HINT UINT64_C(0x0123456789abcdef)

/* As an issuer's, but for the signature, which the edges check. */
static struct ch_store_record_bytes record_of(
	struct fixture *fx, const char *name, const char *token, enum ch_record_kind kind)
{
	struct ch_record record = {.kind = kind,
		.account_hint = HINT,
		.name = name,
		.name_len = strlen(name),
		.token = {token, strlen(token)},
		.token_until_s = 1790086400,
		.signer_id = (const uint8_t *)"signerid"};
	CH_CLEANUP(ch_buf_done) struct ch_buf bytes;
	struct ch_store_record_bytes made;

	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	assert_ok(ch_record_encode(&record, &bytes));
	if (ch_record_is_signed(&record))
		for (int i = 0; i < CH_SIGNATURE_B / 8; i++)
			assert_ok(ch_buf_add(&bytes, "signed!!", 8));
	made.bytes = ch_arena_copy(fx->arena, bytes.data, bytes.len);
	made.len = bytes.len;
	assert_non_null(made.bytes);
	return made;
}

static int give_record(struct fixture *fx, const struct ch_store_order *order,
	enum ch_order_state state, const struct ch_store_record_bytes *record,
	struct ch_store_edges_state *ret_edges)
{
	struct ch_op_patch patch = fx_step(order, state);
	int rc;

	patch.keep_lease = true;
	patch.challenges = record;
	patch.n_challenges = 1;
	rc = fx_patch(fx, &patch);
	if (ret_edges)
		*ret_edges = patch.answer.edges;
	return rc;
}

static int give(struct fixture *fx, const struct ch_store_order *order, const char *name,
	const char *token)
{
	struct ch_store_record_bytes record = record_of(fx, name, token, CH_RECORD_CHALLENGE);

	return give_record(fx, order, CH_ORDER_ORDERED, &record, NULL);
}

struct seen {
	const char *name;
	size_t records; /* of the kind CHALLENGE */
	uint64_t version;
	uint64_t hint;
	size_t token_len;
	bool has_cert; /* the name's own record */
};

static int see(const struct ch_store_feed_row *row, void *arg)
{
	struct seen *seen = arg;
	struct ch_record record;

	assert_ok(ch_record_decode(row->record, row->record_len, &record));
	if (record.name_len != strlen(seen->name) ||
		memcmp(record.name, seen->name, record.name_len) != 0)
		return 0;
	seen->has_cert |= ch_record_has_cert(&record);
	if (record.kind != CH_RECORD_CHALLENGE)
		return 0;
	seen->records++;
	seen->version = record.version;
	seen->hint = record.account_hint;
	seen->token_len = record.token.len;
	return 0;
}

/* What an edge that reads everything has of the name. */
static struct seen look(struct fixture *fx, const char *name)
{
	struct ch_store_feed_info info;
	struct seen seen = {.name = name};

	assert_ok(ch_store_read_feed(fx->store, "default", 0, see, &seen, &info));
	return seen;
}

static void fail_order(struct fixture *fx, const struct ch_store_order *order)
{
	struct ch_store_outcome outcomes[CH_STORE_ORDER_NAMES_MAX];
	struct ch_op_patch patch = fx_step(order, CH_ORDER_FAILED);

	for (size_t i = 0; i < order->n_names; i++)
		outcomes[i] = (struct ch_store_outcome){.name = order->names[i].name,
			.next_at_ms = test_now_ms + CH_HOUR_MS,
			.failed = true,
			.state = CH_NAME_FAILED,
			.reason = {.code = "wrong-answer", .detail = "d"}};
	patch.outcomes = outcomes;
	patch.n_outcomes = order->n_names;
	assert_ok(fx_patch(fx, &patch));
}

static void edges_get_it_under_a_new_version_and_are_waited_for(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_record_bytes record =
		record_of(fx, "a.example", "token", CH_RECORD_CHALLENGE);
	struct ch_store_edges_state edges;
	struct ch_store_order *order;
	uint64_t first;

	fx_add(fx, "a.example");
	assert_ok(fx_ack(fx, "default", "e1", fx_feed_info(fx).head));
	order = fx_lease_one(fx);
	assert_ok(give_record(fx, order, CH_ORDER_ORDERED, &record, &edges));
	assert_false(edges.ready);
	first = look(fx, "a.example").version;
	assert_true(first > order->id);
	assert_int_equal(look(fx, "a.example").token_len, 5);
	assert_true(look(fx, "a.example").hint == HINT);
	assert_ok(fx_ack(fx, "default", "e1", fx_feed_info(fx).head));
	/* The same once more: as after a crash. */
	assert_ok(give_record(fx, order, CH_ORDER_ORDERED, &record, &edges));
	assert_int_equal(look(fx, "a.example").records, 1);
	assert_true(look(fx, "a.example").version > first);
	assert_false(edges.ready);
}

static int pool_op(struct fixture *fx, struct ch_op_pool pool)
{
	struct ch_store_op op = {.type = CH_OP_POOL, .u.pool = pool};

	op.u.pool.pool = "default";
	return fx_run(fx, &op);
}

static void release(struct fixture *fx)
{
	struct ch_store_op op = {.type = CH_OP_RELEASE, .u.release = {.max_rows = 100}};

	assert_ok(fx_run(fx, &op));
}

/* The edges of a frozen pool get nothing: the order is told why it has to wait. */
static void in_a_frozen_pool_it_waits(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_record_bytes record =
		record_of(fx, "a.example", "token", CH_RECORD_CHALLENGE);
	struct ch_store_edges_state edges;
	struct ch_store_order *order;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	assert_ok(
		pool_op(fx, (struct ch_op_pool){.action = CH_POOL_FREEZE, .why = "a bad day"}));
	assert_ok(give_record(fx, order, CH_ORDER_ORDERED, &record, &edges));
	assert_string_equal(edges.held.code, "feed-frozen");
	assert_int_equal(look(fx, "a.example").records, 0);
	/* Its end waits in its place. */
	fail_order(fx, order);
	assert_int_equal(look(fx, "a.example").records, 0);
	assert_ok(pool_op(fx, (struct ch_op_pool){.action = CH_POOL_THAW}));
	release(fx);
	assert_int_equal(look(fx, "a.example").records, 1);
	assert_int_equal(look(fx, "a.example").token_len, 0);
}

/* What is let through with its name is not let through, and lost, a second time. */
static void behind_a_canary_it_comes_with_its_name_after_a_thaw(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_record_bytes record =
		record_of(fx, "a.example", "token", CH_RECORD_CHALLENGE);
	struct ch_store_edges_state edges;
	struct ch_store_order *order;

	assert_ok(fx_ack(fx, "default", "e1", fx_feed_info(fx).head));
	assert_ok(pool_op(fx, (struct ch_op_pool){.action = CH_POOL_CANARY, .edge = "e1"}));
	assert_ok(pool_op(fx, (struct ch_op_pool){.action = CH_POOL_FREEZE, .why = "x"}));
	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	assert_ok(give_record(fx, order, CH_ORDER_ORDERED, &record, &edges));
	assert_string_equal(edges.held.code, "feed-frozen");
	assert_ok(pool_op(fx, (struct ch_op_pool){.action = CH_POOL_THAW}));
	release(fx);
	assert_int_equal(look(fx, "a.example").records, 1);
	assert_int_equal(look(fx, "a.example").token_len, 5);
}

static void it_ends_when_the_order_gets_on(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;
	uint64_t given;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	assert_ok(give(fx, order, "a.example", "token"));
	given = look(fx, "a.example").version;
	patch = fx_step(order, CH_ORDER_VALIDATING);
	patch.keep_lease = true;
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(look(fx, "a.example").version, given);
	fx_seal(fx, order);
	assert_int_equal(look(fx, "a.example").token_len, 0);
	assert_true(look(fx, "a.example").version > given);
	/* The account stays: it is what edges would answer http-01 under. */
	assert_true(look(fx, "a.example").hint == HINT);
	given = look(fx, "a.example").version;
	assert_ok(fx_publish(fx, fx_publication(fx, order, 1)));
	fx_finish(fx, order);
	assert_int_equal(look(fx, "a.example").version, given);
	assert_true(look(fx, "a.example").has_cert);
}

static void it_ends_when_the_order_fails_or_begins_again(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;
	struct ch_op_patch patch;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	assert_ok(give(fx, order, "a.example", "token"));
	patch = fx_step(order, CH_ORDER_NEW);
	patch.keep_lease = true;
	assert_ok(fx_patch(fx, &patch));
	assert_int_equal(look(fx, "a.example").token_len, 0);
	assert_ok(give(fx, order, "a.example", "other-token"));
	assert_int_equal(look(fx, "a.example").token_len, 11);
	fail_order(fx, order);
	assert_int_equal(look(fx, "a.example").token_len, 0);
	assert_int_equal(look(fx, "a.example").records, 1);
}

static void it_ends_with_a_pause_and_a_removal(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	fx_add_pair(fx, "a.example");
	order = fx_lease_one(fx);
	assert_ok(give(fx, order, "a.example", "token"));
	assert_ok(give(fx, order, "www.a.example", "token"));
	/* The other name's order is canceled with it. */
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "www.a.example"));
	assert_int_equal(look(fx, "www.a.example").token_len, 0);
	assert_int_equal(look(fx, "a.example").token_len, 0);
	order = fx_lease_one(fx);
	assert_ok(give(fx, order, "a.example", "token"));
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "a.example"));
	assert_int_equal(look(fx, "a.example").records, 0);
}

static void an_order_without_tokens_tells_the_edges_nothing(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	fx_issue(fx, order);
	assert_int_equal(look(fx, "a.example").records, 0);
}

static void a_certificate_that_is_live_stays(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_order *order;

	fx_add(fx, "a.example");
	fx_issue(fx, fx_lease_one(fx));
	assert_ok(fx_name_op(fx, CH_OP_RETRY, "a.example"));
	order = fx_lease_one(fx);
	assert_ok(give(fx, order, "a.example", "token"));
	assert_true(look(fx, "a.example").has_cert);
	fail_order(fx, order);
	assert_true(look(fx, "a.example").has_cert);
	assert_int_equal(look(fx, "a.example").token_len, 0);
}

static void what_is_no_token_of_the_order_is_refused(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_record_bytes bad[] = {
		record_of(fx, "a.example", "", CH_RECORD_CHALLENGE),
		record_of(fx, "b.example", "token", CH_RECORD_CHALLENGE),
		record_of(fx, "a.example", "token", CH_RECORD_NAME),
		record_of(fx, "a.example", "token", CH_RECORD_TOMBSTONE),
		{(const uint8_t *)"\1\7", 2},
	};
	struct ch_store_record_bytes good =
		record_of(fx, "a.example", "token", CH_RECORD_CHALLENGE);
	uint64_t head;
	struct ch_store_order *order;

	fx_add(fx, "b.example");
	(void)fx_lease_one(fx);
	fx_add(fx, "a.example");
	order = fx_lease_one(fx);
	head = fx_feed_info(fx).head;
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_refused(fx, give_record(fx, order, CH_ORDER_ORDERED, &bad[i], NULL),
			CH_EINVAL, "bad-record");
	assert_refused(fx, give_record(fx, order, CH_ORDER_NEW, &good, NULL), CH_ECONFLICT,
		"order-state");
	assert_refused(fx, give_record(fx, order, CH_ORDER_VALID, &good, NULL), CH_ECONFLICT,
		"order-state");
	order->fence--;
	assert_refused(fx, give_record(fx, order, CH_ORDER_ORDERED, &good, NULL), CH_ECONFLICT,
		"fence-lost");
	order->fence++;
	assert_int_equal(fx_feed_info(fx).head, head);
	assert_int_equal(look(fx, "a.example").records, 0);
	assert_ok(give_record(fx, order, CH_ORDER_ORDERED, &good, NULL));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(edges_get_it_under_a_new_version_and_are_waited_for),
		T(in_a_frozen_pool_it_waits),
		T(behind_a_canary_it_comes_with_its_name_after_a_thaw),
		T(it_ends_when_the_order_gets_on),
		T(it_ends_when_the_order_fails_or_begins_again),
		T(it_ends_with_a_pause_and_a_removal),
		T(an_order_without_tokens_tells_the_edges_nothing),
		T(a_certificate_that_is_live_stays),
		T(what_is_no_token_of_the_order_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
