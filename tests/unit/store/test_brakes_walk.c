/* Random changes under random brakes, followed by edges as an agent follows the feed: none
 * misses a change, a frozen one sees none, and all end up with the same. */
#include "fixture.h"

#define ROUNDS 1500
#define NAMES 6
#define EDGES 3 /* the first is never a canary */
#define KEYS (4 * NAMES)

struct edge {
	const char *id;
	uint64_t cursor;
	struct {
		uint64_t version;
		bool there;
	} key[KEYS]; /* names, then their policies, then their second certificates */
};

struct walk {
	struct fixture *fx;
	uint64_t seed;
	struct edge edges[EDGES];
	struct edge *reading;
	bool frozen;
	int canary; /* 0: none */
};

static uint64_t roll(struct walk *walk, uint64_t sides)
{
	walk->seed ^= walk->seed << 13;
	walk->seed ^= walk->seed >> 7;
	walk->seed ^= walk->seed << 17;
	return walk->seed % sides;
}

static const char *name_of(size_t i)
{
	static const char *const names[NAMES] = {
		"a.example", "b.example", "c.example", "d.example", "e.example", "f.example"};

	return names[i];
}

static size_t key_of(const struct ch_record *record)
{
	for (size_t i = 0; i < NAMES; i++)
		if (strlen(name_of(i)) == record->name_len &&
			memcmp(name_of(i), record->name, record->name_len) == 0)
			return record->kind == CH_RECORD_CHALLENGE ? 3 * NAMES + i
			       : record->kind == CH_RECORD_SECOND  ? 2 * NAMES + i
			       : record->kind == CH_RECORD_POLICY  ? NAMES + i
								   : i;
	fail_msg("a record of no name");
	return 0;
}

/* As the replica does. */
static int apply(const struct ch_store_feed_row *row, void *arg)
{
	struct walk *walk = arg;
	struct edge *edge = walk->reading;
	struct ch_record record;
	size_t key;

	assert_ok(ch_record_decode(row->record, row->record_len, &record));
	key = key_of(&record);
	edge->cursor = row->seq;
	if (record.version <= edge->key[key].version)
		return 0;
	edge->key[key].version = record.version;
	edge->key[key].there = record.kind != CH_RECORD_TOMBSTONE;
	if (record.kind == CH_RECORD_TOMBSTONE) {
		edge->key[NAMES + key].there = false;
		edge->key[2 * NAMES + key].there = false;
		edge->key[3 * NAMES + key].there = false;
	}
	return 0;
}

static int look_up(const struct ch_store_feed_row *row, void *arg)
{
	struct edge *shown = arg;
	struct ch_record record;
	size_t key;

	assert_ok(ch_record_decode(row->record, row->record_len, &record));
	key = key_of(&record);
	assert_false(shown->key[key].there);
	shown->key[key].there = true;
	shown->key[key].version = record.version;
	return 0;
}

static void assert_has_what_a_snapshot_has(struct walk *walk, const struct edge *edge)
{
	struct ch_store_records_filter filter = {
		.pool = "default", .edge = edge->id, .limit = 100};
	static const char *const what[] = {
		"the name", "the policy", "the second", "the challenge"};
	struct ch_store_records_info info;
	struct edge shown = {.id = edge->id};

	assert_ok(ch_store_read_records(walk->fx->store, &filter, look_up, &shown, &info));
	for (size_t i = 0; i < KEYS; i++) {
		if (edge->key[i].there != shown.key[i].there ||
			(shown.key[i].there && edge->key[i].version != shown.key[i].version))
			print_error("%s of %s at %s: %d %ju, but %d %ju\n", what[i / NAMES],
				name_of(i % NAMES), edge->id, edge->key[i].there,
				(uintmax_t)edge->key[i].version, shown.key[i].there,
				(uintmax_t)shown.key[i].version);
		assert_int_equal(edge->key[i].there, shown.key[i].there);
		if (shown.key[i].there)
			assert_int_equal(edge->key[i].version, shown.key[i].version);
	}
}

static void release(struct walk *walk, size_t max_rows)
{
	struct ch_store_op op = {.type = CH_OP_RELEASE, .u.release = {.max_rows = max_rows}};

	assert_ok(fx_run(walk->fx, &op));
}

static void follow(struct walk *walk, int at)
{
	struct edge *edge = &walk->edges[at];
	struct edge before = *edge;
	struct ch_store_feed_info info;

	/* What is thawed is on its way: a canary's snapshot is whole again when it has come. */
	if (at == walk->canary && !walk->frozen)
		release(walk, 0);
	walk->reading = edge;
	assert_ok(ch_store_read_feed_as(
		walk->fx->store, "default", edge->id, edge->cursor, apply, walk, &info));
	/* "Ahead of the head" would make an agent begin again. */
	assert_true(edge->cursor <= info.head && info.floor <= info.head);
	edge->cursor = info.head;
	if (walk->frozen && at == 0)
		assert_memory_equal(before.key, edge->key, sizeof(edge->key));
	if (at == 0 || (at == walk->canary && !walk->frozen))
		assert_has_what_a_snapshot_has(walk, edge);
	assert_ok(fx_ack(walk->fx, "default", edge->id, edge->cursor));
}

static int pool(struct walk *walk, struct ch_op_pool pool)
{
	struct ch_store_op op = {.type = CH_OP_POOL, .u.pool = pool};

	op.u.pool.pool = "default";
	op.u.pool.why = "a walk";
	return fx_run(walk->fx, &op);
}

static void walk_brakes(struct walk *walk)
{
	int at = 1 + (int)roll(walk, EDGES - 1);

	switch (roll(walk, 6)) {
	case 0:
		/* All have read all, or what they get now is not a frozen pool's doing. */
		follow(walk, 0);
		assert_ok(pool(walk, (struct ch_op_pool){.action = CH_POOL_FREEZE}));
		walk->frozen = true;
		break;
	case 1:
	case 2:
		assert_ok(pool(walk, (struct ch_op_pool){.action = CH_POOL_THAW}));
		walk->frozen = false;
		break;
	case 3:
		assert_ok(pool(walk, (struct ch_op_pool){.action = CH_POOL_CANARY,
					     .edge = walk->edges[at].id,
					     .soak_ms = 1000}));
		walk->canary = at;
		break;
	case 4:
		assert_ok(pool(walk, (struct ch_op_pool){.action = CH_POOL_NO_CANARY}));
		walk->canary = 0;
		break;
	default:
		assert_ok(pool(walk, (struct ch_op_pool){.action = CH_POOL_RELEASE}));
	}
}

/* A roll-back's is the old one. */
static uint8_t leaf_of(const struct ch_store_order *order)
{
	struct ch_record old;

	if (!order->old.version)
		return (uint8_t)order->id;
	assert_ok(ch_record_decode(order->old.records[0], order->old.record_lens[0], &old));
	return old.leaf[0];
}

static void answer_under(struct walk *walk, const struct ch_store_order *order)
{
	struct ch_store_answerer answerer = {order->names[0].name, 1 + roll(walk, 2)};
	struct ch_op_patch patch = {.id = order->id,
		.fence = order->fence,
		.keep_lease = true,
		.answerers = &answerer,
		.n_answerers = 1};

	assert_ok(fx_patch(walk->fx, &patch));
}

static void walk_issue(struct walk *walk)
{
	struct ch_store_order *orders;
	size_t n;

	orders = fx_lease(walk->fx, 1 + roll(walk, 3), &n);
	for (size_t i = 0; i < n; i++) {
		struct ch_store_order *order = &orders[i];

		if (!order->has_leaf && !order->old.version && order->state < CH_ORDER_SEALED)
			fx_seal(walk->fx, order);
		if (!order->has_leaf && roll(walk, 2))
			answer_under(walk, order);
		if (!order->has_leaf)
			assert_ok(fx_publish(
				walk->fx, fx_publication(walk->fx, order, leaf_of(order))));
		if (roll(walk, 2))
			fx_finish(walk->fx, order);
	}
}

static void walk_name(struct walk *walk)
{
	static const char *const tenants[] = {NULL, "default", "t1", "t2"};
	const char *name = name_of(roll(walk, NAMES));
	struct ch_store_op op = {.type = CH_OP_ROLLBACK, .u.rollback = {.name = name}};
	int rc;

	switch (roll(walk, 7)) {
	case 0:
		rc = fx_name_op(walk->fx, CH_OP_DELETE, name);
		break;
	case 1:
		rc = fx_name_op(walk->fx, CH_OP_RETRY, name);
		break;
	case 2:
		rc = fx_run(walk->fx, &op);
		break;
	case 3:
		rc = fx_put_keys(walk->fx, name, CH_TRI_KEEP,
			(enum ch_keys)roll(walk, CH_KEYS_COUNT), NULL);
		break;
	default:
		rc = fx_put(walk->fx, name, CH_TRI_KEEP,
			tenants[roll(walk, CH_ARRAY_LEN(tenants))], NULL, NULL);
	}
	assert_true(rc == CH_OK || rc == CH_ENOTFOUND || rc == CH_ECONFLICT);
}

static void walk_step(struct walk *walk)
{
	switch (roll(walk, 8)) {
	case 0:
		walk_brakes(walk);
		break;
	case 1:
	case 2:
		walk_name(walk);
		break;
	case 3:
		walk_issue(walk);
		break;
	case 4:
		release(walk, 1 + roll(walk, 4));
		break;
	case 5:
		test_now_ms += (int64_t)roll(walk, 2000);
		break;
	default:
		follow(walk, (int)roll(walk, EDGES));
	}
}

static void assert_has_what_the_store_says(struct walk *walk, const struct edge *edge, size_t i)
{
	struct ch_store_domain domain;
	bool there = ch_store_get_domain(
			     walk->fx->store, name_of(i), walk->fx->arena, &domain) == CH_OK;

	assert_int_equal(edge->key[i].there, there);
	if (!there)
		return;
	assert_int_equal(
		edge->key[i].version, domain.cert ? domain.cert->version : domain.version);
	if (!domain.second || !domain.second->cert)
		return;
	assert_true(edge->key[2 * NAMES + i].there);
	assert_int_equal(edge->key[2 * NAMES + i].version, domain.second->cert->version);
}

/* Without brakes every edge comes to have what the store says of each name. */
static void settle(struct walk *walk)
{
	assert_ok(pool(walk, (struct ch_op_pool){.action = CH_POOL_THAW}));
	assert_ok(pool(walk, (struct ch_op_pool){.action = CH_POOL_NO_CANARY}));
	walk->frozen = false;
	walk->canary = 0;
	release(walk, 0);
	for (int at = 0; at < EDGES; at++) {
		follow(walk, at);
		assert_has_what_a_snapshot_has(walk, &walk->edges[at]);
		for (size_t i = 0; i < NAMES; i++)
			assert_has_what_the_store_says(walk, &walk->edges[at], i);
	}
}

static void no_edge_misses_a_change(void **state)
{
	static const char *const ids[EDGES] = {"e0", "e1", "e2"};
	struct walk walk = {.fx = *state, .seed = UINT64_C(0x9e3779b97f4a7c15)};
	const char *seed = getenv("CH_TEST_SEED");

	if (seed)
		walk.seed = strtoull(seed, NULL, 0);
	print_message("CH_TEST_SEED=%#llx\n", (unsigned long long)walk.seed);
	for (int i = 0; i < EDGES; i++) {
		walk.edges[i].id = ids[i];
		follow(&walk, i);
	}
	for (int round = 1; round <= ROUNDS; round++) {
		walk_step(&walk);
		if (round % 500 == 0) {
			settle(&walk);
			fx_reopen(walk.fx);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_edge_misses_a_change, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
