/* Pages of names, and many of them. */
#include "fixture.h"

static void add_many(struct fixture *fx, int from, int n, const char *tenant, const char *pool)
{
	struct ch_store_put_item *items = ch_arena_array(fx->arena, (size_t)n, sizeof(*items));
	struct ch_store_op op = {.type = CH_OP_PUT};

	assert_non_null(items);
	for (int i = 0; i < n; i++)
		items[i] = (struct ch_store_put_item){
			.name = ch_arena_fmt(fx->arena, "n%06d.example", from + i),
			.tenant = tenant,
			.pool = pool};
	op.u.put.items = items;
	op.u.put.n_items = (size_t)n;
	assert_ok(fx_run(fx, &op));
	for (int i = 0; i < n; i++)
		assert_int_equal(items[i].result, CH_PUT_CREATED);
}

/* Reads all pages; checks order and that nothing comes twice. */
static size_t count(struct fixture *fx, struct ch_store_domain_filter filter, size_t *ret_pages)
{
	char last[CH_NAME_MAX + 1] = "";
	size_t n = 0;
	size_t pages = 0;

	do {
		struct ch_store_domain_page page;

		assert_ok(ch_store_list_domains(fx->store, &filter, fx->arena, &page));
		assert_true(page.n_domains <= filter.limit);
		for (size_t i = 0; i < page.n_domains; i++) {
			assert_true(strcmp(page.domains[i].name, last) > 0);
			snprintf(last, sizeof(last), "%s", page.domains[i].name);
		}
		n += page.n_domains;
		filter.after = page.after;
		pages++;
	} while (filter.after);
	if (ret_pages)
		*ret_pages = pages;
	return n;
}

static void names_are_listed_in_pages(void **state)
{
	struct fixture *fx = *state;
	size_t pages;

	assert_int_equal(count(fx, (struct ch_store_domain_filter){.limit = 10}, &pages), 0);
	assert_int_equal(pages, 1);
	add_many(fx, 0, 25, NULL, NULL);
	assert_int_equal(count(fx, (struct ch_store_domain_filter){.limit = 10}, &pages), 25);
	assert_int_equal(pages, 3);
	assert_int_equal(count(fx, (struct ch_store_domain_filter){.limit = 5}, &pages), 25);
	assert_int_equal(pages, 5);
	assert_int_equal(count(fx, (struct ch_store_domain_filter){.limit = 1000}, &pages), 25);
	assert_int_equal(pages, 1);
}

static void filters_combine(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain_filter filter = {.limit = 3};

	add_many(fx, 0, 10, "t1", NULL);
	add_many(fx, 10, 10, "t2", "eu");
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "n000003.example"));
	assert_ok(fx_name_op(fx, CH_OP_PAUSE, "n000013.example"));
	filter.tenant = "t1";
	assert_int_equal(count(fx, filter, NULL), 10);
	filter.pool = "eu";
	assert_int_equal(count(fx, filter, NULL), 0);
	filter.tenant = NULL;
	assert_int_equal(count(fx, filter, NULL), 10);
	filter.has_state = true;
	filter.state = CH_NAME_PAUSED;
	assert_int_equal(count(fx, filter, NULL), 1);
	filter.pool = NULL;
	assert_int_equal(count(fx, filter, NULL), 2);
	filter.has_actor = true;
	filter.actor = CH_ACTOR_NOBODY;
	assert_int_equal(count(fx, filter, NULL), 2);
	fx_rewrite(fx, "UPDATE name SET actor = 'platform' WHERE state = 'paused'");
	filter.actor = CH_ACTOR_PLATFORM;
	assert_int_equal(count(fx, filter, NULL), 2);
	filter.has_state = false;
	filter.tenant = "t2";
	assert_int_equal(count(fx, filter, NULL), 1);
	filter.tenant = NULL;
	filter.actor = CH_ACTOR_CA;
	assert_int_equal(count(fx, filter, NULL), 0);
	filter.actor = CH_ACTOR_NOBODY;
	assert_int_equal(count(fx, filter, NULL), 18);
}

static void a_prefix_is_not_a_pattern(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain_filter filter = {.limit = 4};

	add_many(fx, 0, 25, NULL, NULL);
	fx_add(fx, "a_b.example");
	filter.prefix = "n00001";
	assert_int_equal(count(fx, filter, NULL), 10);
	filter.prefix = "n%";
	assert_int_equal(count(fx, filter, NULL), 0);
	filter.prefix = "a_";
	assert_int_equal(count(fx, filter, NULL), 1);
	filter.prefix = "";
	assert_int_equal(count(fx, filter, NULL), 26);
	filter.prefix = "zzz";
	assert_int_equal(count(fx, filter, NULL), 0);
	filter.prefix = "n00002";
	filter.after = "n000022.example";
	assert_int_equal(count(fx, filter, NULL), 2);
	filter.after = "~";
	assert_int_equal(count(fx, filter, NULL), 0);
}

static void bad_limits_are_refused(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain_filter filter = {.limit = 0};
	struct ch_store_domain_page page;

	assert_int_equal(
		ch_store_list_domains(fx->store, &filter, fx->arena, &page), CH_EINVAL);
	filter.limit = CH_STORE_LIST_MAX + 1;
	assert_int_equal(
		ch_store_list_domains(fx->store, &filter, fx->arena, &page), CH_EINVAL);
}

static int count_row(const struct ch_store_feed_row *row, void *arg)
{
	++*(size_t *)arg;
	return 0;
}

static void a_hundred_thousand_names_are_no_trouble(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_domain_filter filter = {
		.limit = 100, .pool = "eu", .has_state = true, .state = CH_NAME_PENDING};
	struct ch_store_status status;
	struct ch_store_feed_info info;
	struct ch_store_order *orders;
	size_t pages;
	size_t n;

	for (int from = 0; from < 100000; from += CH_STORE_PUT_MAX) {
		ch_arena_free(fx->arena);
		assert_ok(ch_arena_new(0, &fx->arena));
		add_many(fx, from, CH_STORE_PUT_MAX, NULL, from == 50000 ? "eu" : NULL);
	}
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.names_total, 100000);
	assert_int_equal(status.names[CH_NAME_PENDING], 100000);
	/* Bounded scanning: pages may be empty, the end is reached. */
	assert_int_equal(count(fx, filter, &pages), 1000);
	assert_true(pages >= 10 && pages < 100);
	n = 0;
	assert_ok(ch_store_read_feed(fx->store, "default", 0, count_row, &n, &info));
	assert_int_equal(n, 99000);
	assert_int_equal(info.head, 100000);
	orders = fx_lease(fx, CH_STORE_LEASE_MAX, &n);
	assert_int_equal(n, CH_STORE_LEASE_MAX);
	fx_issue(fx, &orders[255]);
	assert_ok(ch_store_get_status(fx->store, fx->arena, &status));
	assert_int_equal(status.orders_open, 255);
	assert_int_equal(status.names[CH_NAME_ACTIVE], 1);
}

struct records {
	char names[2000];
	size_t n;
	int rc; /* what the callback answers */
};

static int add_record(const struct ch_store_feed_row *row, void *arg)
{
	struct records *records = arg;
	struct ch_record record;

	assert_ok(ch_record_decode(row->record, row->record_len, &record));
	strncat(records->names, record.name, record.name_len);
	strcat(records->names, " ");
	records->n++;
	return records->rc;
}

static struct records read_records(
	struct fixture *fx, struct ch_store_records_filter filter, size_t *ret_pages)
{
	struct ch_store_records_info info;
	struct records records = {.n = 0};

	*ret_pages = 0;
	do {
		assert_ok(
			ch_store_read_records(fx->store, &filter, add_record, &records, &info));
		filter.after = ch_arena_fmt(fx->arena, "%s", info.last);
		++*ret_pages;
	} while (info.more);
	assert_int_equal(info.head, fx_feed_info(fx).head);
	assert_memory_equal(info.epoch, fx_feed_info(fx).epoch, CH_EPOCH_B);
	return records;
}

static void add_in_two_pools(struct fixture *fx)
{
	static const char *const names[] = {"b.example", "a.b.example", "a-b.example",
		"ab.example", "c.example", "d.example"};

	for (size_t i = 0; i < CH_ARRAY_LEN(names); i++)
		fx_add(fx, names[i]);
	assert_ok(fx_name_op(fx, CH_OP_DELETE, "ab.example"));
	/* Leaves a tombstone in the old pool. */
	assert_ok(fx_put(fx, "c.example", CH_TRI_KEEP, NULL, "eu", NULL));
}

static void records_come_in_the_order_of_names(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_records_filter filter = {.pool = "default", .limit = 100};
	struct records records;
	size_t pages;

	add_in_two_pools(fx);
	filter.pool = "eu";
	records = read_records(fx, filter, &pages);
	assert_string_equal(records.names, "c.example ");
	fx_add(fx, "e.example");
	filter.pool = "default";
	records = read_records(fx, filter, &pages);
	assert_string_equal(
		records.names, "a-b.example a.b.example b.example d.example e.example ");
	assert_int_equal(pages, 1);
	for (filter.limit = 1; filter.limit < 8; filter.limit++) {
		struct records same = read_records(fx, filter, &pages);

		assert_string_equal(same.names, records.names);
		assert_int_equal(pages, (7 + filter.limit - 1) / filter.limit);
	}
	filter.after = "a.b.example";
	filter.until = "d.example";
	records = read_records(fx, filter, &pages);
	assert_string_equal(records.names, "b.example d.example ");
}

static void reading_records_can_be_ended_and_has_bounds(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_records_filter filter = {.pool = "default"};
	struct records records = {.rc = CH_ENOMEM};
	struct ch_store_records_info info;

	add_in_two_pools(fx);
	assert_int_equal(ch_store_read_records(fx->store, &filter, add_record, &records, &info),
		CH_EINVAL);
	filter.limit = CH_STORE_RECORDS_MAX + 1;
	assert_int_equal(ch_store_read_records(fx->store, &filter, add_record, &records, &info),
		CH_EINVAL);
	filter.limit = 10;
	assert_int_equal(ch_store_read_records(fx->store, &filter, add_record, &records, &info),
		CH_ENOMEM);
	assert_int_equal(records.n, 1);
	records = (struct records){.n = 0};
	filter.pool = "none";
	assert_ok(ch_store_read_records(fx->store, &filter, add_record, &records, &info));
	assert_int_equal(records.n, 0);
	assert_int_equal(info.head, 0);
	assert_false(info.more);
}

struct taken {
	const char *refuse; /* a name whose record is not taken */
	char names[2000];
	size_t chains;
};

static int take_record(const struct ch_store_feed_row *row, void *arg)
{
	struct taken *taken = arg;
	struct ch_record record;

	assert_ok(ch_record_decode(row->record, row->record_len, &record));
	if (taken->refuse && strlen(taken->refuse) == record.name_len &&
		memcmp(taken->refuse, record.name, record.name_len) == 0)
		return 1;
	strncat(taken->names, record.name, record.name_len);
	strcat(taken->names, " ");
	taken->chains += row->chain != NULL;
	return 0;
}

/* Also where rows of other pools with the same name came before it. */
static void a_record_that_is_not_taken_comes_again(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_records_filter filter = {.pool = "eu", .limit = 100};
	struct taken taken = {.refuse = "c.example"};
	struct ch_store_records_info info;

	add_in_two_pools(fx);
	fx_add(fx, "zz.example");
	assert_ok(fx_put(fx, "b.example", CH_TRI_KEEP, NULL, "eu", NULL));
	assert_ok(fx_put(fx, "d.example", CH_TRI_KEEP, NULL, "eu", NULL));
	assert_ok(ch_store_read_records(fx->store, &filter, take_record, &taken, &info));
	assert_true(info.more);
	assert_string_equal(taken.names, "b.example ");
	assert_string_equal(info.last, "b.example");
	assert_int_equal(info.feed_head, fx_feed_info(fx).head);
	filter.after = ch_arena_fmt(fx->arena, "%s", info.last);
	taken.refuse = NULL;
	assert_ok(ch_store_read_records(fx->store, &filter, take_record, &taken, &info));
	assert_false(info.more);
	assert_string_equal(taken.names, "b.example c.example d.example ");
	/* The first of a page: then the page is empty, and goes on where it began. */
	taken = (struct taken){.refuse = "c.example"};
	assert_ok(ch_store_read_records(fx->store, &filter, take_record, &taken, &info));
	assert_true(info.more);
	assert_string_equal(info.last, "b.example");
}

static void a_chain_is_handed_out_once_if_it_is_asked_for(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_records_filter filter = {.pool = "default", .limit = 100};
	struct taken taken = {.refuse = NULL};
	struct ch_store_records_info info;
	struct ch_store_order *orders;
	size_t n;

	fx_add(fx, "a.example");
	fx_add(fx, "b.example");
	orders = fx_lease(fx, 2, &n);
	assert_int_equal(n, 2);
	fx_issue(fx, &orders[0]);
	fx_issue(fx, &orders[1]);
	assert_ok(ch_store_read_records(fx->store, &filter, take_record, &taken, &info));
	assert_string_equal(taken.names, "a.example b.example ");
	assert_int_equal(taken.chains, 0);
	taken = (struct taken){.refuse = NULL};
	filter.chains = true;
	assert_ok(ch_store_read_records(fx->store, &filter, take_record, &taken, &info));
	assert_int_equal(taken.chains, 1);
}

static void the_lag_of_edges_is_counted_up_to_a_limit(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_edge *edges;
	uint64_t head;
	size_t n;

	add_many(fx, 0, 3, NULL, "other");
	for (int at = 0; at < CH_STORE_LAG_MAX + 1000; at += 1000)
		add_many(fx, 10 + at, 1000, NULL, NULL);
	head = fx_pool_head(fx, "default").seq;
	assert_ok(fx_ack(fx, "default", "a", 0));
	assert_ok(fx_ack(fx, "default", "b", head - CH_STORE_LAG_MAX));
	assert_ok(fx_ack(fx, "default", "c", head - CH_STORE_LAG_MAX + 1));
	assert_ok(fx_ack(fx, "default", "d", head));
	assert_ok(fx_ack(fx, "default", "e", head - 7));
	assert_ok(fx_ack(fx, "empty", "f", 0));
	assert_ok(fx_ack(fx, "other", "g", 1));
	assert_ok(ch_store_list_edges(fx->store, fx->arena, &edges, &n));
	assert_int_equal(n, 7);
	assert_int_equal(edges[0].lag, CH_STORE_LAG_MAX);
	assert_int_equal(edges[1].lag, CH_STORE_LAG_MAX);
	assert_int_equal(edges[2].lag, CH_STORE_LAG_MAX - 1);
	assert_int_equal(edges[3].lag, 0);
	assert_int_equal(edges[4].lag, 7);
	assert_int_equal(edges[5].lag, 0);
	assert_int_equal(edges[6].lag, 2);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(names_are_listed_in_pages),
		T(filters_combine),
		T(a_prefix_is_not_a_pattern),
		T(bad_limits_are_refused),
		T(records_come_in_the_order_of_names),
		T(reading_records_can_be_ended_and_has_bounds),
		T(a_record_that_is_not_taken_comes_again),
		T(a_chain_is_handed_out_once_if_it_is_asked_for),
		T(the_lag_of_edges_is_counted_up_to_a_limit),
		T(a_hundred_thousand_names_are_no_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
