/* The pools' ticket keys: kept, replaced by one issuer at a time, in the feed and in snapshots,
 * and forgotten when they are of no use. */
#include "fixture.h"

/* A record is opaque to the store: only its bytes count. */
static int put(struct fixture *fx, const char *pool, uint64_t replaces, uint64_t version,
	const char *record)
{
	struct ch_store_op op = {.type = CH_OP_TICKETS};

	op.u.tickets = (struct ch_op_tickets){.pool = pool,
		.replaces = replaces,
		.version = version,
		.until_s = test_now_ms / 1000 + 100,
		.record = (const uint8_t *)record,
		.record_len = strlen(record)};
	return fx_run(fx, &op);
}

static const struct ch_store_tickets *list(struct fixture *fx, size_t want)
{
	struct ch_store_tickets *tickets;
	size_t n;

	assert_ok(ch_store_list_tickets(fx->store, fx->arena, &tickets, &n));
	assert_int_equal(n, want);
	return tickets;
}

struct seen {
	char text[512]; /* of what is no name's record */
	size_t rows;
	size_t most; /* rows that are taken; 0: all */
	uint64_t last;
};

static int note(const struct ch_store_feed_row *row, void *arg)
{
	struct seen *seen = arg;
	struct ch_record r;
	size_t len = strlen(seen->text);

	if (seen->most && seen->rows == seen->most)
		return 1;
	assert_true(row->seq == 0 || row->seq > seen->last);
	seen->last = row->seq;
	seen->rows++;
	if (ch_record_decode(row->record, row->record_len, &r) == CH_OK)
		snprintf(seen->text + len, sizeof(seen->text) - len, "%.*s ", (int)r.name_len,
			r.name);
	else
		snprintf(seen->text + len, sizeof(seen->text) - len, "[%.*s] ",
			(int)row->record_len, row->record);
	return 0;
}

static struct seen feed_after(struct fixture *fx, const char *pool, uint64_t after, size_t most,
	struct ch_store_feed_info *ret_info)
{
	struct seen seen = {.most = most};

	assert_ok(ch_store_read_feed(fx->store, pool, after, note, &seen, ret_info));
	return seen;
}

static void a_set_is_kept_and_replaced_in_turn(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_tickets *tickets;

	list(fx, 0);
	assert_ok(put(fx, "default", 0, 5, "one"));
	fx_reopen(fx);
	tickets = list(fx, 1);
	assert_string_equal(tickets[0].pool, "default");
	assert_int_equal(tickets[0].version, 5);
	assert_int_equal(tickets[0].record_len, 3);
	assert_memory_equal(tickets[0].record, "one", 3);
	/* Another issuer, which has not seen it. */
	assert_refused(fx, put(fx, "default", 0, 6, "two"), CH_ECONFLICT, "tickets-changed");
	assert_refused(fx, put(fx, "default", 4, 6, "two"), CH_ECONFLICT, "tickets-changed");
	assert_refused(fx, put(fx, "default", 5, 5, "two"), CH_EINVAL, "bad-record");
	assert_refused(fx, put(fx, "default", 5, 4, "two"), CH_EINVAL, "bad-record");
	assert_ok(put(fx, "default", 5, 6, "two"));
	/* The answer was lost: the same again. */
	assert_ok(put(fx, "default", 5, 6, "two"));
	assert_refused(fx, put(fx, "default", 5, 7, "three"), CH_ECONFLICT, "tickets-changed");
	assert_memory_equal(list(fx, 1)[0].record, "two", 3);
}

static void pools_with_edges_are_listed_before_they_have_any(void **state)
{
	struct fixture *fx = *state;
	const struct ch_store_tickets *tickets;

	assert_ok(fx_ack(fx, "p2", "e1", 0));
	assert_ok(fx_ack(fx, "p2", "e2", 0));
	assert_ok(put(fx, "p1", 0, 5, "one"));
	tickets = list(fx, 2);
	assert_string_equal(tickets[0].pool, "p1");
	assert_string_equal(tickets[1].pool, "p2");
	assert_int_equal(tickets[1].version, 0);
	assert_null(tickets[1].record);
}

static void they_are_in_the_feed_of_their_pool_where_they_belong(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_feed_info info;
	struct ch_store_pool_head head;

	fx_add(fx, "a.example");
	assert_ok(put(fx, "default", 0, 5, "one"));
	fx_add(fx, "b.example");
	assert_string_equal(
		feed_after(fx, "default", 0, 0, &info).text, "a.example [one] b.example ");
	assert_int_equal(info.head, 3);
	assert_string_equal(feed_after(fx, "default", 1, 0, &info).text, "[one] b.example ");
	assert_string_equal(feed_after(fx, "default", 2, 0, &info).text, "b.example ");
	assert_int_equal(feed_after(fx, "other", 0, 0, &info).rows, 0);
	assert_ok(put(fx, "default", 5, 6, "two"));
	assert_string_equal(
		feed_after(fx, "default", 0, 0, &info).text, "a.example b.example [two] ");
	assert_false(info.more);
	/* What a page has no room for comes with the next one. */
	for (size_t most = 1; most < 3; most++) {
		struct seen first = feed_after(fx, "default", 0, most, &info);

		assert_true(info.more);
		assert_int_equal(first.rows, most);
		assert_int_equal(
			feed_after(fx, "default", first.last, 0, &info).rows, 3 - most);
	}
	assert_ok(ch_store_pool_head(fx->store, "default", &head));
	assert_int_equal(head.seq, 4);
	assert_ok(ch_store_pool_head(fx->store, "other", &head));
	assert_int_equal(head.seq, 0);
}

static void they_come_first_in_a_snapshot_and_in_no_checksum(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_records_filter filter = {.pool = "default", .limit = 10};
	struct ch_store_records_info info;
	struct seen seen = {.rows = 0};

	fx_add(fx, "a.example");
	assert_ok(put(fx, "default", 0, 5, "one"));
	assert_ok(ch_store_read_records(fx->store, &filter, note, &seen, &info));
	assert_string_equal(seen.text, "a.example ");
	filter.tickets = true;
	seen = (struct seen){.rows = 0};
	assert_ok(ch_store_read_records(fx->store, &filter, note, &seen, &info));
	assert_string_equal(seen.text, "[one] a.example ");
	filter.after = "0";
	seen = (struct seen){.rows = 0};
	assert_ok(ch_store_read_records(fx->store, &filter, note, &seen, &info));
	assert_string_equal(seen.text, "a.example ");
}

static void what_is_of_no_use_is_removed(void **state)
{
	struct fixture *fx = *state;
	struct ch_store_feed_info info;
	struct ch_store_pool_head head;

	assert_ok(put(fx, "default", 0, 5, "one"));
	test_now_ms += 99 * CH_SECOND_MS;
	assert_int_equal(fx_housekeep(fx).removed, 0);
	assert_ok(put(fx, "later", 0, 5, "one"));
	test_now_ms += CH_SECOND_MS;
	assert_int_equal(fx_housekeep(fx).removed, 1);
	assert_string_equal(list(fx, 2)[0].pool, "default");
	assert_null(list(fx, 2)[0].record);
	assert_int_equal(list(fx, 2)[0].version, 5);
	assert_string_equal(list(fx, 2)[1].pool, "later");
	assert_non_null(list(fx, 2)[1].record);
	assert_int_equal(feed_after(fx, "default", 0, 0, &info).rows, 0);
	assert_ok(ch_store_pool_head(fx->store, "default", &head));
	assert_int_equal(head.seq, 0);
	assert_int_equal(fx_housekeep(fx).removed, 0);
	/* Edges remember the highest version that they had: the next one goes on from it. */
	assert_refused(fx, put(fx, "default", 0, 6, "two"), CH_ECONFLICT, "tickets-changed");
	assert_refused(fx, put(fx, "default", 5, 5, "two"), CH_EINVAL, "bad-record");
	assert_ok(put(fx, "default", 5, 6, "two"));
	assert_string_equal(feed_after(fx, "default", 0, 0, &info).text, "[two] ");
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fx_setup, fx_teardown)
	const struct CMUnitTest tests[] = {
		T(a_set_is_kept_and_replaced_in_turn),
		T(pools_with_edges_are_listed_before_they_have_any),
		T(they_are_in_the_feed_of_their_pool_where_they_belong),
		T(they_come_first_in_a_snapshot_and_in_no_checksum),
		T(what_is_of_no_use_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
