/* A batch of names ends as the same names do one by one, though what it asks the database is
 * asked for all of them at once, before anything is written. */
#include "base/buf.h"
#include "fixture.h"
#include "store/store_pool.h"

#define ROUNDS 60
#define ITEMS_MAX 24 /* of which some are the same name */

static const char *const names[] = {"a.example", "www.a.example", "*.a.example", "b.a.example",
	"b.example", "www.b.example", "c.example", "www.c.example", "*.c.example",
	"d.c.example", "e.d.c.example", "f.example", "*.example", "g.example", "www.g.example",
	"h.example"};

struct pair {
	struct fixture *fx;
	struct ch_store *singly;
	uint64_t seed;
};

static uint64_t roll(struct pair *pair, uint64_t sides)
{
	pair->seed ^= pair->seed << 13;
	pair->seed ^= pair->seed >> 7;
	pair->seed ^= pair->seed << 17;
	return pair->seed % sides;
}

#define ONE_OF(pair, list) list[roll(pair, CH_ARRAY_LEN(list))]

static struct ch_store_put_item random_item(struct pair *pair)
{
	static const char *const tenants[] = {NULL, NULL, "t1", "t1", "t2", "default"};
	static const char *const pools[] = {NULL, NULL, NULL, "default", "eu"};
	static const char *const hsts[] = {NULL, NULL, NULL, "", "max-age=60"};
	static const char *const redirects[] = {
		NULL, NULL, NULL, "", "a.example", "b.example", "none"};
	struct ch_store_put_item item = {.name = ONE_OF(pair, names),
		.tenant = ONE_OF(pair, tenants),
		.pool = ONE_OF(pair, pools),
		.www = (enum ch_store_tri)roll(pair, 3),
		.ask_proof = roll(pair, 2) == 0,
		.has_keys = roll(pair, 6) == 0,
		.keys = (enum ch_keys)roll(pair, CH_KEYS_COUNT)};

	item.policy[CH_POLICY_HSTS] = ONE_OF(pair, hsts);
	item.policy[CH_POLICY_REDIRECT] = ONE_OF(pair, redirects);
	return item;
}

static void run(struct pair *pair, struct ch_store *store, struct ch_store_op *op)
{
	op->arena = pair->fx->arena;
	op->who = "operator/default/admin";
	(void)!ch_store_run(store, op);
}

static void put(
	struct pair *pair, struct ch_store *store, struct ch_store_put_item *items, size_t n)
{
	struct ch_store_op op = {.type = CH_OP_PUT, .u.put = {.items = items, .n_items = n}};

	run(pair, store, &op);
	assert_ok(op.rc);
}

static void assert_text(const char *got, const char *want)
{
	assert_string_equal(got ? got : "(none)", want ? want : "(none)");
}

static void compare_items(
	const struct ch_store_put_item *batch, const struct ch_store_put_item *singly, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(batch[i].result, singly[i].result);
		assert_text(batch[i].problem, singly[i].problem);
	}
}

static void compare_names(struct pair *pair)
{
	for (size_t i = 0; i < CH_ARRAY_LEN(names); i++) {
		struct ch_store_domain a;
		struct ch_store_domain b;
		int rc = ch_store_get_domain(pair->fx->store, names[i], pair->fx->arena, &a);

		assert_int_equal(
			ch_store_get_domain(pair->singly, names[i], pair->fx->arena, &b), rc);
		if (rc)
			continue;
		assert_text(a.tenant, b.tenant);
		assert_text(a.pool, b.pool);
		assert_int_equal(a.www, b.www);
		assert_text(a.www_of, b.www_of);
		assert_int_equal(a.state, b.state);
		assert_int_equal(a.version, b.version);
		assert_int_equal(a.keys, b.keys);
		for (int tag = CH_STORE_POLICY_FIRST; tag < CH_POLICY_TAG_COUNT; tag++)
			assert_text(a.policy[tag], b.policy[tag]);
		assert_int_equal(a.updated_at_ms, b.updated_at_ms);
	}
}

static int note_row(const struct ch_store_feed_row *row, void *arg)
{
	struct ch_buf *buf = arg;

	ch_buf_add_u64(buf, row->seq);
	return ch_buf_add(buf, row->record, row->record_len);
}

static void read_feed(struct ch_store *store, const char *pool, struct ch_buf *buf)
{
	struct ch_store_feed_info info;

	ch_buf_init(buf, 1 << 20);
	assert_ok(ch_store_read_feed(store, pool, 0, note_row, buf, &info));
	assert_ok(buf->rc);
}

/* Numbers and versions too. */
static void compare_feeds(struct pair *pair)
{
	static const char *const pools[] = {"default", "eu"};

	for (size_t i = 0; i < CH_ARRAY_LEN(pools); i++) {
		CH_CLEANUP(ch_buf_done) struct ch_buf a;
		CH_CLEANUP(ch_buf_done) struct ch_buf b;

		read_feed(pair->fx->store, pools[i], &a);
		read_feed(pair->singly, pools[i], &b);
		assert_int_equal(a.len, b.len);
		assert_memory_equal(a.data, b.data, a.len);
	}
}

/* Between batches: names go, and are remembered; what pools get is held back, or is not. */
static void disturb(struct pair *pair)
{
	struct ch_store_op op = {.type = CH_OP_DELETE, .u.name.name = ONE_OF(pair, names)};

	if (roll(pair, 5) == 0) {
		op.type = CH_OP_POOL;
		op.u.pool = (struct ch_op_pool){.pool = "default",
			.action = roll(pair, 2) ? CH_POOL_FREEZE : CH_POOL_THAW,
			.why = "test"};
	}
	run(pair, pair->fx->store, &op);
	run(pair, pair->singly, &op);
	op = (struct ch_store_op){.type = CH_OP_RELEASE};
	run(pair, pair->fx->store, &op);
	op = (struct ch_store_op){.type = CH_OP_RELEASE};
	run(pair, pair->singly, &op);
}

static void a_batch_ends_as_its_names_one_by_one(void **state)
{
	struct pair pair = {.fx = *state, .seed = 20261127};
	char other[FX_URL_B];
	const struct ch_store_options options = {
		.database = other, .edge_timeout_ms = EDGE_TIMEOUT_MS, .readers = 2};
	size_t rejected = 0;

	if (getenv("CH_TEST_SEED"))
		pair.seed = strtoull(getenv("CH_TEST_SEED"), NULL, 10);
	fx_other_database(pair.fx, other);
	assert_ok(ch_store_open(&options, &pair.singly, &pair.fx->err));
	for (size_t round = 0; round < ROUNDS; round++) {
		struct ch_store_put_item batch[ITEMS_MAX];
		struct ch_store_put_item singly[ITEMS_MAX];
		size_t n = 2 + roll(&pair, ITEMS_MAX - 1);

		for (size_t i = 0; i < n; i++)
			batch[i] = singly[i] = random_item(&pair);
		put(&pair, pair.fx->store, batch, n);
		for (size_t i = 0; i < n; i++)
			put(&pair, pair.singly, &singly[i], 1);
		compare_items(batch, singly, n);
		compare_names(&pair);
		compare_feeds(&pair);
		for (size_t i = 0; i < n; i++)
			rejected += batch[i].result == CH_PUT_REJECTED;
		for (size_t i = roll(&pair, 4); i; i--)
			disturb(&pair);
		test_now_ms += CH_SECOND_MS;
	}
	assert_true(rejected > ROUNDS);
	ch_store_close(pair.singly);
}

/* More than one question each, and the largest that there may be. */
static void a_batch_of_a_thousand_is_taken_twice(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_put_item *items =
		ch_arena_array(fx->arena, CH_STORE_PUT_MAX, sizeof(*items));
	struct ch_store_op op = {.type = CH_OP_PUT};

	for (size_t i = 0; i < CH_STORE_PUT_MAX; i++)
		items[i] = (struct ch_store_put_item){
			.name = ch_arena_fmt(fx->arena, "n%zu.example", i),
			.tenant = "t1",
			.www = i % 3 ? CH_TRI_NO : CH_TRI_YES,
			.ask_proof = true};
	op.u.put.items = items;
	op.u.put.n_items = CH_STORE_PUT_MAX;
	for (size_t round = 0; round < 2; round++) {
		assert_ok(fx_run(fx, &op));
		for (size_t i = 0; i < CH_STORE_PUT_MAX; i++)
			assert_int_equal(
				items[i].result, round ? CH_PUT_EXISTS : CH_PUT_CREATED);
	}
	/* Nothing was to change: nothing was written. */
	assert_int_equal(
		fx_feed_info(fx).head, 2 * (CH_STORE_PUT_MAX + CH_STORE_PUT_MAX / 3 + 1));
	for (size_t i = 0; i < CH_STORE_PUT_MAX; i++)
		items[i].tenant = "t2";
	assert_ok(fx_run(fx, &op));
	for (size_t i = 0; i < CH_STORE_PUT_MAX; i++)
		assert_int_equal(items[i].result, CH_PUT_REJECTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_batch_ends_as_its_names_one_by_one, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(
			a_batch_of_a_thousand_is_taken_twice, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
