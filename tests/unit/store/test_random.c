/* Random operations on a few names; after each, what must hold always holds. */
#include "fixture.h"

#define ROUNDS 2500
#define DOMAINS 4 /* each with a www name beside it */

struct walk {
	struct fixture *fx;
	uint64_t seed;
	uint64_t versions[2 * DOMAINS]; /* highest seen per name, across deletions */
	struct ch_store_order held[8];	/* leased lately, perhaps lost since */
	size_t n_held;
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
	static const char *const names[2 * DOMAINS] = {"a.example", "www.a.example",
		"b.example", "www.b.example", "c.example", "www.c.example", "d.example",
		"www.d.example"};

	return names[i];
}

static void walk_put(struct walk *walk)
{
	static const char *const pools[] = {NULL, NULL, NULL, NULL, "default", "eu"};
	enum ch_store_tri www = (enum ch_store_tri)roll(walk, 3);

	assert_ok(fx_put(walk->fx, name_of(roll(walk, 2 * DOMAINS)), www, NULL,
		pools[roll(walk, CH_ARRAY_LEN(pools))], NULL));
}

static void walk_keys(struct walk *walk)
{
	assert_ok(fx_put_keys(walk->fx, name_of(roll(walk, 2 * DOMAINS)), CH_TRI_KEEP,
		(enum ch_keys)roll(walk, CH_KEYS_COUNT), NULL));
}

static void walk_cas(struct walk *walk)
{
	static const char *const lists[] = {NULL, "", "main", "backup", "backup,main", "none"};
	static const char *const standbys[] = {NULL, "", "main", "backup", "none", "nonesuch"};
	struct ch_store_put_item item = {.name = name_of(roll(walk, 2 * DOMAINS)),
		.cas = lists[roll(walk, CH_ARRAY_LEN(lists))],
		.standby = standbys[roll(walk, CH_ARRAY_LEN(standbys))]};
	struct ch_store_op op = {.type = CH_OP_PUT};

	op.u.put.items = &item;
	op.u.put.n_items = 1;
	assert_ok(fx_run(walk->fx, &op));
}

static void walk_standby(struct walk *walk)
{
	struct ch_store_op op = {.type = CH_OP_STANDBY};
	int rc;

	if (roll(walk, 3))
		op.u.standby = (struct ch_op_standby){.name = name_of(roll(walk, 2 * DOMAINS)),
			.ca = roll(walk, 2)   ? NULL
			      : roll(walk, 2) ? "main"
					      : "backup",
			.partly = roll(walk, 2)};
	else
		op.u.standby = (struct ch_op_standby){.ca = roll(walk, 2) ? "main" : "backup",
			.max = 1 + roll(walk, 10),
			.partly = roll(walk, 2)};
	rc = fx_run(walk->fx, &op);
	assert_true(
		rc == CH_OK || rc == CH_ENOTFOUND || (rc == CH_ECONFLICT && op.u.standby.name));
}

static void walk_rollback(struct walk *walk)
{
	struct ch_store_op op = {.type = CH_OP_ROLLBACK,
		.u.rollback = {.name = name_of(roll(walk, 2 * DOMAINS))}};
	int rc = fx_run(walk->fx, &op);

	assert_true(rc == CH_OK || rc == CH_ENOTFOUND || rc == CH_ECONFLICT);
}

static void walk_name(struct walk *walk, enum ch_store_op_type type)
{
	int rc = fx_name_op(walk->fx, type, name_of(roll(walk, 2 * DOMAINS)));

	assert_true(rc == CH_OK || rc == CH_ENOTFOUND ||
		    (rc == CH_ECONFLICT && type == CH_OP_RETRY));
}

/* well: all CAs are there, and the issuer knows of all kinds of orders. */
static size_t lease(struct walk *walk, bool well, struct ch_store_order **ret_orders)
{
	struct ch_store_op op = {.type = CH_OP_LEASE};
	struct ch_store_order *orders;
	size_t n;

	op.u.lease = (struct ch_op_lease){.issuer = "issuer/default/i1",
		.max = 1 + roll(walk, 4),
		.lease_ms = LEASE_MS,
		.pace = {.account = "ca.test/account",
			.ca = "main",
			.out = !well && !roll(walk, 8)},
		.fallback = {{.account = "other.test/account",
			.ca = "backup",
			.out = !well && !roll(walk, 8)}},
		.n_fallback = 1,
		.standby = roll(walk, 20) ? "backup" : NULL,
		.second_standbys = well || roll(walk, 4)};
	assert_ok(fx_run(walk->fx, &op));
	orders = op.u.lease.orders;
	n = op.u.lease.n_orders;
	for (size_t i = 0; i < n; i++)
		walk->held[walk->n_held++ % CH_ARRAY_LEN(walk->held)] = orders[i];
	*ret_orders = orders;
	return n;
}

static void walk_lease(struct walk *walk)
{
	struct ch_store_order *orders;

	(void)lease(walk, false, &orders);
}

static const struct ch_store_order *any_held(struct walk *walk)
{
	size_t n = walk->n_held < CH_ARRAY_LEN(walk->held) ? walk->n_held
							   : CH_ARRAY_LEN(walk->held);

	return n ? &walk->held[roll(walk, n)] : NULL;
}

static void walk_patch(struct walk *walk)
{
	const struct ch_store_order *order = any_held(walk);
	struct ch_store_outcome outcomes[2];
	struct ch_op_patch patch;
	int rc;

	if (!order)
		return;
	patch = fx_step(order, (enum ch_order_state)roll(walk, CH_ORDER_STATE_COUNT));
	patch.keep_lease = roll(walk, 2);
	patch.next_at_ms = test_now_ms + (int64_t)roll(walk, 5000);
	if (patch.state == CH_ORDER_SEALED) {
		patch.csr = patch.sealed = (const uint8_t *)"x";
		patch.csr_len = patch.sealed_len = 1;
	}
	for (size_t i = 0; i < order->n_names; i++)
		outcomes[i] = (struct ch_store_outcome){.name = order->names[i].name,
			.next_at_ms = test_now_ms + (int64_t)roll(walk, 5000),
			.failed = roll(walk, 2),
			.check = !roll(walk, 4),
			.state = roll(walk, 8) ? CH_NAME_FAILED : CH_NAME_PAUSED,
			.reason = {"dns-failed", "A walk.", CH_ACTOR_CA}};
	patch.outcomes = outcomes;
	patch.n_outcomes = order->n_names;
	rc = fx_patch(walk->fx, &patch);
	assert_true(rc == CH_OK || rc == CH_ECONFLICT || rc == CH_ENOTFOUND);
}

static void walk_publish(struct walk *walk)
{
	const struct ch_store_order *order = any_held(walk);
	struct ch_op_publish *publish;
	int rc;

	if (!order)
		return;
	publish = fx_publication(walk->fx, order, (uint8_t)roll(walk, 2));
	if (roll(walk, 2)) {
		publish->renew_from_ms = test_now_ms + CH_DAY_MS;
		publish->ari_id = "a2V5.c2Vy";
	}
	rc = fx_publish(walk->fx, publish);
	/* Of a roll-back the leaf has to be that of before. */
	assert_true(rc == CH_OK || rc == CH_ECONFLICT || rc == CH_ENOTFOUND ||
		    (rc == CH_EINVAL && order->old.version));
}

/* What a roll-back has to bring, or any leaf. */
static uint8_t leaf_of(const struct ch_store_order *order)
{
	struct ch_record old;

	for (size_t i = 0; order->old.version && i < order->n_names; i++)
		if (order->old.records[i]) {
			assert_ok(ch_record_decode(
				order->old.records[i], order->old.record_lens[i], &old));
			return old.leaf[0];
		}
	return 77;
}

/* One that goes well, as far as it is still ours: else nothing would ever be live for long. */
static void issue(struct walk *walk, const struct ch_store_order *order)
{
	struct ch_op_patch patch;
	int rc = CH_OK;

	if (!order->old.version) {
		patch = fx_step(order, CH_ORDER_SEALED);
		patch.keep_lease = true;
		patch.csr = patch.sealed = (const uint8_t *)"x";
		patch.csr_len = patch.sealed_len = 1;
		rc = fx_patch(walk->fx, &patch);
	}
	if (!rc)
		rc = fx_publish(walk->fx, fx_publication(walk->fx, order, leaf_of(order)));
	if (rc || roll(walk, 4) == 0)
		return;
	patch = fx_step(order, CH_ORDER_DONE);
	rc = fx_patch(walk->fx, &patch);
	/* What was published before is answered as it was then, whoever asks. */
	assert_true(rc == CH_OK || rc == CH_ECONFLICT);
}

static void walk_issue(struct walk *walk)
{
	const struct ch_store_order *order = any_held(walk);

	if (order)
		issue(walk, order);
}

/* A CA has failed: chance alone would hardly ever have two certificates, and two standbys. */
static void walk_switch(struct walk *walk)
{
	struct ch_store_put_item item = {.name = name_of(2 * roll(walk, DOMAINS)),
		.cas = "",
		.standby = "backup",
		.has_keys = true,
		.keys = CH_KEYS_BOTH};
	struct ch_store_op op = {.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};
	struct ch_store_order *orders;
	int rc;

	assert_ok(fx_run(walk->fx, &op));
	for (int turn = 0; turn < 14; turn++) {
		size_t n = lease(walk, true, &orders);

		for (size_t i = 0; i < n; i++)
			issue(walk, &orders[i]);
		op = (struct ch_store_op){.type = CH_OP_STANDBY,
			.u.standby = {.name = item.name,
				.ca = turn % 2 ? "main" : "backup",
				.partly = true}};
		rc = turn < 10 ? CH_OK : fx_run(walk->fx, &op);
		assert_true(rc == CH_OK || rc == CH_ECONFLICT);
	}
}

static void walk_ask(struct walk *walk)
{
	struct ch_store_heard heard[10];
	struct ch_store_op op = {.type = CH_OP_ASK_LEASE};
	struct ch_store_ask *asks;

	op.u.ask_lease = (struct ch_op_ask_lease){
		.ca = "ca.test", .max = CH_ARRAY_LEN(heard), .lease_ms = LEASE_MS};
	assert_ok(fx_run(walk->fx, &op));
	asks = op.u.ask_lease.asks;
	for (size_t i = 0; i < op.u.ask_lease.n_asks; i++) {
		int64_t start_ms = test_now_ms + (int64_t)roll(walk, RENEW_MS);

		heard[i] = (struct ch_store_heard){.version = asks[i].version,
			.next_at_ms = test_now_ms + CH_HOUR_MS,
			.failed = roll(walk, 4) == 0,
			.start_ms = start_ms,
			.end_ms = start_ms + CH_DAY_MS,
			.from_ms = start_ms,
			.until_ms = start_ms + CH_DAY_MS};
	}
	if (op.u.ask_lease.n_asks == 0)
		return;
	op.type = CH_OP_ASK_WRITE;
	op.u.ask_write =
		(struct ch_op_ask_write){.heard = heard, .n_heard = op.u.ask_lease.n_asks};
	assert_ok(fx_run(walk->fx, &op));
}

static void walk_want(struct walk *walk)
{
	const char *names[] = {
		name_of(roll(walk, 2 * DOMAINS)), name_of(roll(walk, 2 * DOMAINS))};
	struct ch_store_op op = {.type = CH_OP_WANTED,
		.u.wanted = {.pool = "default", .names = names, .n_names = 2}};

	assert_ok(fx_run(walk->fx, &op));
}

static void walk_step(struct walk *walk)
{
	switch (roll(walk, 20)) {
	case 19:
		walk_want(walk);
		break;
	case 16:
	case 17:
	case 18:
		walk_issue(walk);
		break;
	case 15:
		if (!roll(walk, 5))
			walk_switch(walk);
		else
			(roll(walk, 3) ? walk_standby : walk_rollback)(walk);
		break;
	case 14:
		walk_cas(walk);
		break;
	case 13:
		walk_ask(walk);
		break;
	case 0:
	case 1:
		walk_put(walk);
		break;
	case 2:
		walk_name(walk, CH_OP_DELETE);
		break;
	case 3:
		walk_name(walk, CH_OP_RETRY);
		break;
	case 4:
		walk_name(walk, CH_OP_PAUSE);
		break;
	case 5:
		walk_name(walk, CH_OP_RESUME);
		break;
	case 6:
	case 7:
		walk_lease(walk);
		break;
	case 8:
		walk_publish(walk);
		break;
	case 9:
		test_now_ms += (int64_t)roll(walk, roll(walk, 20) ? 3000 : RENEW_MS);
		break;
	case 10:
		walk_keys(walk);
		break;
	default:
		walk_patch(walk);
	}
}

/* The open order of a name names it, and it is not among those that have gone. */
static void check_order_of(struct fixture *fx, const struct ch_store_domain *domain)
{
	struct ch_store_order order = fx_get_order(fx, domain->order_id);
	bool found = false;

	assert_true(order.state != CH_ORDER_DONE && order.state != CH_ORDER_FAILED);
	assert_string_equal(order.pool, domain->pool);
	for (size_t i = 0; i < order.n_names; i++)
		found |= strcmp(order.names[i].name, domain->name) == 0 && !order.names[i].gone;
	assert_true(found);
	assert_true(order.next_at_ms > 0);
}

static void check_pair(struct fixture *fx, const struct ch_store_domain *domain)
{
	if (domain->www) {
		struct ch_store_domain www =
			fx_get(fx, ch_arena_fmt(fx->arena, "www.%s", domain->name));

		assert_string_equal(www.www_of, domain->name);
		assert_string_equal(www.pool, domain->pool);
	}
	if (domain->www_of)
		assert_true(fx_get(fx, domain->www_of).www);
}

struct records {
	const struct ch_store_domain *domain;
	uint64_t first; /* version of what is served, 0: nothing */
	uint64_t second;
};

static int find_records(const struct ch_store_feed_row *row, void *arg)
{
	struct records *found = arg;
	struct ch_record record;

	assert_ok(ch_record_decode(row->record, row->record_len, &record));
	if (strlen(found->domain->name) != record.name_len ||
		memcmp(found->domain->name, record.name, record.name_len) != 0)
		return 0;
	if (record.kind == CH_RECORD_CERT)
		found->first = record.version;
	if (record.kind == CH_RECORD_SECOND && ch_record_has_cert(&record))
		found->second = record.version;
	return 0;
}

/* Edges have what the name says, and an active name has all that it is to have. */
static void check_records(struct fixture *fx, const struct ch_store_domain *domain)
{
	const struct ch_store_cert *second = domain->second ? domain->second->cert : NULL;
	struct records found = {.domain = domain};
	struct ch_store_feed_info info;

	assert_ok(ch_store_read_feed(fx->store, domain->pool, 0, find_records, &found, &info));
	assert_int_equal(found.first, domain->cert ? domain->cert->version : 0);
	/* With RSA alone a second one may be left, until the first has an RSA key. */
	if (domain->keys != CH_KEYS_RSA)
		assert_int_equal(found.second, second ? second->version : 0);
	assert_true(!found.second || found.first);
	assert_int_equal(domain->second != NULL, ch_keys_both(domain->keys));
	if (domain->state == CH_NAME_ACTIVE)
		assert_true(domain->cert && (!domain->second || second));
	/* What was put back with another key than is wanted stays until it is to be renewed. */
	if (domain->state == CH_NAME_ACTIVE && domain->keys == CH_KEYS_RSA &&
		!strstr(domain->reason.detail, "renewal brings the key"))
		assert_int_equal(found.second, 0);
}

/* Certificates that are to be renewed, counted one by one. */
struct recount {
	const struct ch_store_cert *certs[6 * DOMAINS];
	size_t n;
};

static void count_cert(struct recount *recount, const struct ch_store_cert *cert)
{
	for (size_t i = 0; cert && i < recount->n; i++)
		if (recount->certs[i]->version == cert->version)
			return;
	if (cert)
		recount->certs[recount->n++] = cert;
}

static uint64_t planned_on(const struct recount *recount, int64_t day_ms)
{
	int64_t today_ms = test_now_ms / CH_HOUR_MS * CH_HOUR_MS;
	uint64_t n = 0;

	for (size_t i = 0; i < recount->n; i++) {
		int64_t at_ms = recount->certs[i]->renew_at_ms;

		n += at_ms >= today_ms && at_ms / CH_DAY_MS * CH_DAY_MS == day_ms;
	}
	return n;
}

static void check_calendar(struct walk *walk)
{
	struct recount recount = {.n = 0};
	struct ch_store_calendar calendar;
	struct ch_store_domain domain;
	uint64_t ahead = 0;

	for (size_t i = 0; i < 2 * DOMAINS; i++) {
		if (ch_store_get_domain(
			    walk->fx->store, name_of(i), walk->fx->arena, &domain) ||
			domain.state == CH_NAME_PAUSED || domain.state == CH_NAME_MOVED)
			continue;
		count_cert(&recount, domain.cert);
		if (domain.second)
			count_cert(&recount, domain.second->cert);
		if (domain.standby)
			count_cert(&recount, domain.standby->cert);
		if (domain.second && domain.second->standby)
			count_cert(&recount, domain.second->standby->cert);
	}
	assert_ok(ch_store_get_calendar(walk->fx->store, walk->fx->arena, &calendar));
	for (size_t i = 0; i < calendar.n_days; i++) {
		assert_int_equal(
			calendar.days[i].n, planned_on(&recount, calendar.days[i].at_ms));
		ahead += calendar.days[i].n;
	}
	assert_int_equal(calendar.total, recount.n);
	assert_int_equal(calendar.total, calendar.overdue + ahead + calendar.later);
}

static void check_domain(struct walk *walk, size_t i, struct ch_store_status *counted)
{
	struct fixture *fx = walk->fx;
	struct ch_store_domain domain;

	if (ch_store_get_domain(fx->store, name_of(i), fx->arena, &domain) == CH_ENOTFOUND)
		return;
	counted->names[domain.state]++;
	counted->names_total++;
	assert_true(domain.version >= walk->versions[i]);
	walk->versions[i] = domain.version;
	assert_int_equal(domain.state == CH_NAME_PAUSED, domain.next_at_ms == 0);
	if (domain.order_id)
		check_order_of(fx, &domain);
	if (domain.cert)
		assert_true(domain.version >= domain.cert->version);
	check_records(fx, &domain);
	assert_true(domain.cert ||
		    (domain.state != CH_NAME_ACTIVE && domain.state != CH_NAME_RENEWING));
	assert_true(!domain.wanted_at_ms ||
		    (!domain.cert && !domain.order_id && domain.state != CH_NAME_PAUSED));
	assert_true(domain.checks_failed <= domain.failures);
	check_pair(fx, &domain);
}

static int find_newest(const struct ch_store_feed_row *row, void *arg)
{
	struct walk *walk = arg;
	struct ch_record record;

	assert_ok(ch_record_decode(row->record, row->record_len, &record));
	for (size_t i = 0; i < 2 * DOMAINS; i++)
		if (strlen(name_of(i)) == record.name_len &&
			memcmp(name_of(i), record.name, record.name_len) == 0 &&
			record.kind == CH_RECORD_TOMBSTONE &&
			record.version > walk->versions[i])
			walk->versions[i] = record.version;
	return 0;
}

static void check_all(struct walk *walk)
{
	struct fixture *fx = walk->fx;
	struct ch_store_order_filter filter = {.limit = CH_STORE_LIST_MAX};
	struct ch_store_status counted = {0}, status;
	struct ch_store_order_page page;
	struct ch_store_feed_info info;
	uint64_t open = 0;

	for (size_t i = 0; i < 2 * DOMAINS; i++)
		check_domain(walk, i, &counted);
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_memory_equal(status.names, counted.names, sizeof(counted.names));
	assert_int_equal(status.names_total, counted.names_total);
	assert_ok(ch_store_list_orders(fx->store, &filter, fx->arena, &page));
	for (size_t i = 0; i < page.n_orders; i++) {
		bool is_open = page.orders[i].state < CH_ORDER_DONE;

		open += is_open;
		for (size_t k = 0; is_open && k < page.orders[i].n_names; k++)
			if (!page.orders[i].names[k].gone)
				assert_int_equal(
					fx_get(fx, page.orders[i].names[k].name).order_id,
					page.orders[i].id);
	}
	assert_int_equal(status.orders_open, open);
	check_calendar(walk);
	/* Removals are versions too. */
	assert_ok(ch_store_read_feed(fx->store, "default", 0, find_newest, walk, &info));
	assert_ok(ch_store_read_feed(fx->store, "eu", 0, find_newest, walk, &info));
}

static struct ch_op_housekeep forget_ended_orders(struct fixture *fx)
{
	struct ch_store_op op = {.type = CH_OP_HOUSEKEEP};

	op.u.housekeep = (struct ch_op_housekeep){.tombstone_keep_ms = CH_DAY_MS * 10000,
		.history_keep_ms = 1000,
		.orders_keep_ms = 1000,
		.audit_keep_ms = 1000};
	assert_ok(fx_run(fx, &op));
	return op.u.housekeep;
}

static void new_arena(struct walk *walk)
{
	struct ch_arena *arena;

	assert_ok(ch_arena_new(0, &arena));
	/* What is held may still be looked at: its strings move along. */
	for (size_t i = 0; i < CH_ARRAY_LEN(walk->held); i++)
		for (size_t k = 0; k < walk->held[i].n_names; k++) {
			walk->held[i].names[k].name =
				ch_arena_str(arena, walk->held[i].names[k].name);
			walk->held[i].old.records[k] = NULL;
			walk->held[i].old_second.records[k] = NULL;
		}
	ch_arena_free(walk->fx->arena);
	walk->fx->arena = arena;
}

/* The issuer that finishes all has no CAs by name. */
static void forget_cas(struct fixture *fx, const char *name)
{
	struct ch_store_put_item item = {.name = name, .cas = "", .standby = "none"};
	struct ch_store_op op = {.type = CH_OP_PUT};

	op.u.put.items = &item;
	op.u.put.n_items = 1;
	assert_ok(fx_run(fx, &op));
}

/* Whatever happened: when all goes well from here on, every name gets its certificate. */
static void finish_all(struct walk *walk)
{
	struct fixture *fx = walk->fx;

	for (size_t i = 0; i < 2 * DOMAINS; i++)
		assert_true(fx_name_op(fx, CH_OP_RESUME, name_of(i)) != CH_EIO);
	for (size_t i = 0; i < 2 * DOMAINS; i++)
		forget_cas(fx, name_of(i));
	for (int turn = 0; turn < 10; turn++) {
		struct ch_store_order *orders;
		size_t n;

		/* What was put back may have another key than is asked for, and is not
		 * replaced before its time. */
		for (size_t i = 0; turn == 5 && i < 2 * DOMAINS; i++)
			assert_ok(fx_name_op(fx, CH_OP_RETRY, name_of(i)));
		test_now_ms += LEASE_MS;
		orders = fx_lease(fx, CH_STORE_LEASE_MAX, &n);
		for (size_t i = 0; i < n; i++) {
			if (!orders[i].has_leaf) {
				if (!orders[i].old.version && orders[i].state < CH_ORDER_SEALED)
					fx_seal(fx, &orders[i]);
				assert_ok(fx_publish(fx,
					fx_publication(fx, &orders[i], leaf_of(&orders[i]))));
			}
			fx_finish(fx, &orders[i]);
		}
		check_all(walk);
	}
	for (size_t i = 0; i < 2 * DOMAINS; i++) {
		struct ch_store_domain domain;

		if (ch_store_get_domain(fx->store, name_of(i), fx->arena, &domain) ==
			CH_ENOTFOUND)
			continue;
		assert_int_equal(domain.state, CH_NAME_ACTIVE);
		assert_non_null(domain.cert);
	}
}

static void random_walks_break_no_rule(void **state)
{
	struct walk walk = {.fx = *state, .seed = UINT64_C(0x9e3779b97f4a7c15)};
	const char *seed = getenv("CH_TEST_SEED");

	if (seed)
		walk.seed = strtoull(seed, NULL, 0);
	print_message("CH_TEST_SEED=%#llx\n", (unsigned long long)walk.seed);
	for (int round = 0; round < ROUNDS; round++) {
		walk_step(&walk);
		check_all(&walk);
		if (round % 100 == 0) {
			forget_ended_orders(walk.fx);
			new_arena(&walk);
		}
	}
	finish_all(&walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			random_walks_break_no_rule, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
