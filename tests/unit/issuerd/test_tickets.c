/* The rotation of ticket keys, in virtual time, against a store in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/codec.h"
#include "bench.h"
#include "issuerd/tickets.h"
#include "net/http_impl.h"

#define ROTATION_S INT64_C(86400)
#define POOLS 2

struct fake_pool {
	const char *name;
	uint64_t version;
	char *record; /* base64url; NULL: none */
};

/* Two pools, and the rule of the API: what is replaced must be what is there. */
static struct {
	struct ch_http http;
	struct fake_pool pools[POOLS];
	size_t n_pools;
	const char *list; /* instead of the list of pools */
	bool loses_answers;
	bool away;
	unsigned puts;
	unsigned conflicts;
} store;

static struct bench *b;
static struct ch_queue queue;
static struct ch_ticket_keeper keepers[2];

static void answer_list(struct ch_buf *out)
{
	if (store.list) {
		ch_buf_add_str(out, store.list);
		return;
	}
	ch_buf_add_str(out, "{\"pools\":[");
	for (size_t i = 0; i < store.n_pools; i++) {
		const struct fake_pool *pool = &store.pools[i];

		ch_buf_addf(out, "%s{\"pool\":\"%s\",\"version\":%llu,\"record\":%s%s%s}",
			i ? "," : "", pool->name, (unsigned long long)pool->version,
			pool->record ? "\"" : "", pool->record ? pool->record : "null",
			pool->record ? "\"" : "");
	}
	ch_buf_add_str(out, "]}");
}

static uint64_t version_of(const char *text)
{
	CH_AUTO_FREE uint8_t *bytes = NULL;
	struct ch_record record;
	size_t len;

	assert_int_equal(ch_b64u_decode_alloc(text, CH_RECORD_MAX_B, &bytes, &len), CH_OK);
	assert_int_equal(ch_record_decode(bytes, len, &record), CH_OK);
	return record.version;
}

static int take_put(const struct ch_http_req *req, struct ch_http_resp *resp)
{
	json_auto_t *body = json_loadb(req->body, req->body_len, 0, NULL);
	const char *record = json_string_value(json_object_get(body, "record"));
	json_int_t replaces = json_integer_value(json_object_get(body, "replaces"));

	for (size_t i = 0; i < store.n_pools; i++) {
		struct fake_pool *pool = &store.pools[i];

		if (strcmp(strrchr(req->url, '/') + 1, pool->name) != 0)
			continue;
		if ((uint64_t)replaces != pool->version) {
			store.conflicts++;
			resp->status = 409;
			ch_buf_add_str(&resp->body,
				"{\"code\":\"tickets-changed\",\"detail\":\"Look again.\"}");
			return CH_OK;
		}
		assert_true(version_of(record) > pool->version);
		free(pool->record);
		pool->record = strdup(record);
		pool->version = version_of(record);
		store.puts++;
		resp->status = 204;
		return CH_OK;
	}
	fail_msg("%s", req->url);
	return CH_EIO;
}

static int store_send(struct ch_http *http, const struct ch_http_req *req,
	struct ch_http_resp *resp, struct ch_err *err)
{
	const char *type = "Content-Type: application/json";
	bool is_put = strcmp(req->method, "PUT") == 0;

	ch_http_resp_restart(resp, req->max_answer_b);
	if (store.away)
		return ch_err_set(err, CH_ENETWORK, "http-connect", "away");
	resp->status = 200;
	if (is_put)
		assert_int_equal(take_put(req, resp), CH_OK);
	else
		answer_list(&resp->body);
	if (is_put && store.loses_answers)
		return ch_err_set(err, CH_ENETWORK, "http-cut", "cut");
	if (resp->status >= 400)
		type = "Content-Type: application/problem+json";
	return ch_http_resp_add_line(resp, type, strlen(type));
}

static void store_free(struct ch_http *http)
{
}

static void keeper_begin(struct ch_ticket_keeper *keeper)
{
	struct ch_api_options options = {.urls = {"https://store.test"}, .n_urls = 1};
	struct ch_api *api;
	struct ch_err err;

	assert_int_equal(ch_api_new_over(&options, &store.http, &api, &err), CH_OK);
	assert_int_equal(ch_ticket_keeper_init(keeper, b->issuer, &queue, api, &err), CH_OK);
}

static int set_up(void **state)
{
	b = bench_new("shop.test", NULL);
	b->config.ticket_rotation_ms = ROTATION_S * CH_SECOND_MS;
	memset(&store, 0, sizeof(store));
	store.http.send = store_send;
	store.http.free = store_free;
	store.pools[0].name = "default";
	store.pools[1].name = "eu-1";
	store.n_pools = 1;
	ch_queue_init(&queue, 4);
	for (size_t i = 0; i < 2; i++)
		keeper_begin(&keepers[i]);
	return 0;
}

static int tear_down(void **state)
{
	for (size_t i = 0; i < 2; i++)
		ch_ticket_keeper_done(&keepers[i]);
	for (size_t i = 0; i < POOLS; i++)
		free(store.pools[i].record);
	ch_queue_done(&queue);
	bench_free(b);
	return 0;
}

/* What edges of the pool have then. */
struct set {
	uint8_t bytes[CH_RECORD_MAX_B];
	struct ch_record record;
	struct ch_tickets tickets;
};

static void read_set(size_t pool, struct set *ret_set)
{
	CH_AUTO_FREE uint8_t *bytes = NULL;
	size_t len;

	memset(&ret_set->tickets, 0, sizeof(ret_set->tickets));
	if (!store.pools[pool].record)
		return;
	assert_int_equal(
		ch_b64u_decode_alloc(store.pools[pool].record, CH_RECORD_MAX_B, &bytes, &len),
		CH_OK);
	memcpy(ret_set->bytes, bytes, len);
	assert_int_equal(ch_record_decode(ret_set->bytes, len, &ret_set->record), CH_OK);
	assert_int_equal(
		ch_record_verify(&ret_set->record, ret_set->bytes, keepers[0].own), CH_OK);
	assert_int_equal(ch_tickets_decode(ret_set->record.tickets, ret_set->record.tickets_len,
				 &ret_set->tickets),
		CH_OK);
}

static int64_t now_s(void)
{
	return bench_now_ms / CH_SECOND_MS;
}

static bool has(const struct ch_tickets *tickets, const uint8_t *id)
{
	for (size_t i = 0; i < tickets->n; i++)
		if (memcmp(tickets->keys[i].id, id, CH_TICKET_ID_B) == 0)
			return true;
	return false;
}

static void each_key_is_there_before_its_time_and_gone_after_two_rotations(void **state)
{
	static struct set before;
	static struct set set;
	unsigned made = 0;

	for (int64_t round = 0; round < 30 * 24 * 6; round++) {
		read_set(0, &before);
		(void)!ch_ticket_round(&keepers[round % 2]);
		read_set(0, &set);
		assert_in_range(set.tickets.n, 1, 3);
		assert_true(ch_tickets_current(&set.tickets, now_s()) < set.tickets.n);
		for (size_t i = 0; i < set.tickets.n; i++) {
			const struct ch_ticket_key *key = &set.tickets.keys[i];

			assert_int_equal(key->until_s - key->from_s, 2 * ROTATION_S);
			assert_true(key->until_s > now_s());
			assert_int_equal(key->n_sealed, 1);
			if (round && !has(&before.tickets, key->id)) {
				assert_int_equal(key->from_s, now_s() + ROTATION_S / 2);
				made++;
			}
		}
		bench_now_ms += 10 * CH_MINUTE_MS;
	}
	assert_int_equal(made, 30);
	assert_int_equal(store.conflicts, 0);
	/* One more and one less each time, in separate sets, and the first. */
	assert_true(store.puts <= 60);
}

static void tickets_of_before_open_in_every_later_set_until_then(void **state)
{
	static struct set set;
	static struct set later;
	size_t current;

	(void)!ch_ticket_round(&keepers[0]);
	read_set(0, &set);
	current = ch_tickets_current(&set.tickets, now_s());
	for (int64_t end_ms = bench_now_ms + 2 * ROTATION_S * CH_SECOND_MS;
		bench_now_ms < end_ms; bench_now_ms += 10 * CH_MINUTE_MS) {
		(void)!ch_ticket_round(&keepers[0]);
		read_set(0, &later);
		assert_true(has(&later.tickets, set.tickets.keys[current].id));
	}
	(void)!ch_ticket_round(&keepers[0]);
	read_set(0, &later);
	assert_false(has(&later.tickets, set.tickets.keys[current].id));
}

/* A new one needs time to get to the edges, whenever the issuer comes back. */
static void an_issuer_that_was_away_goes_on(void **state)
{
	static struct set before;
	static struct set set;
	int without = 0;

	for (int64_t away_h = 1; away_h < 90; away_h++) {
		bool had_current;

		(void)!ch_ticket_round(&keepers[0]);
		bench_now_ms += away_h * CH_HOUR_MS;
		read_set(0, &before);
		had_current = ch_tickets_current(&before.tickets, now_s()) < before.tickets.n;
		without += !had_current;
		(void)!ch_ticket_round(&keepers[0]);
		read_set(0, &set);
		assert_true(ch_tickets_current(&set.tickets, now_s()) < set.tickets.n);
		for (size_t i = 0; had_current && i < set.tickets.n; i++)
			if (!has(&before.tickets, set.tickets.keys[i].id))
				assert_true(
					set.tickets.keys[i].from_s >= now_s() + ROTATION_S / 4);
	}
	assert_in_range(without, 15, 60);
}

static void of_two_at_once_one_wins_and_the_other_looks_again(void **state)
{
	static struct set set;
	char stale[4096];

	(void)!ch_ticket_round(&keepers[0]);
	bench_now_ms += ROTATION_S * CH_SECOND_MS * 3 / 4;
	/* What the second one was told before the first has replaced it. */
	snprintf(stale, sizeof(stale),
		"{\"pools\":[{\"pool\":\"default\",\"version\":%llu,\"record\":\"%s\"}]}",
		(unsigned long long)store.pools[0].version, store.pools[0].record);
	(void)!ch_ticket_round(&keepers[0]);
	store.list = stale;
	(void)!ch_ticket_round(&keepers[1]);
	store.list = NULL;
	assert_int_equal(store.conflicts, 1);
	assert_int_equal(store.puts, 2);
	(void)!ch_ticket_round(&keepers[1]);
	read_set(0, &set);
	assert_int_equal(set.tickets.n, 2);
	assert_int_equal(store.puts, 2);
}

static void a_write_whose_answer_is_lost_is_not_made_twice(void **state)
{
	static struct set set;

	store.loses_answers = true;
	for (int i = 0; i < 5; i++)
		(void)!ch_ticket_round(&keepers[0]);
	read_set(0, &set);
	assert_int_equal(set.tickets.n, 1);
	assert_int_equal(store.puts, 1);
}

static void each_pool_has_its_own(void **state)
{
	static struct set one;
	static struct set two;

	store.n_pools = 2;
	assert_true(ch_ticket_round(&keepers[0]) <= 10 * CH_SECOND_MS);
	read_set(0, &one);
	read_set(1, &two);
	assert_memory_equal(two.record.name, "eu-1", two.record.name_len);
	assert_int_equal(one.tickets.n, 1);
	assert_int_equal(two.tickets.n, 1);
	assert_false(has(&one.tickets, two.tickets.keys[0].id));
}

static void a_clock_that_jumps_leaves_no_pool_without_a_key(void **state)
{
	static const int64_t jumps_s[] = {
		400 * ROTATION_S, -400 * ROTATION_S, -3600, 3 * ROTATION_S, -ROTATION_S, 7200};
	static struct set set;
	uint64_t version = 0;

	for (size_t i = 0; i < CH_ARRAY_LEN(jumps_s); i++) {
		for (int round = 0; round < 5; round++) {
			(void)!ch_ticket_round(&keepers[0]);
			read_set(0, &set);
			assert_true(ch_tickets_current(&set.tickets, now_s()) < set.tickets.n);
			assert_true(set.record.version >= version);
			version = set.record.version;
			bench_now_ms += CH_HOUR_MS;
		}
		bench_now_ms += jumps_s[i] * CH_SECOND_MS;
	}
}

/* Edges take only what is newer than all they have seen. */
static void a_store_that_goes_back_in_time_does_not_take_the_version_back(void **state)
{
	static struct set set;
	uint64_t old_version;
	uint64_t version;
	char *old;

	(void)!ch_ticket_round(&keepers[0]);
	old = strdup(store.pools[0].record);
	old_version = store.pools[0].version;
	for (int i = 0; i < 4; i++) {
		bench_now_ms += ROTATION_S / 2 * CH_SECOND_MS;
		(void)!ch_ticket_round(&keepers[0]);
	}
	read_set(0, &set);
	version = set.record.version;
	bench_now_ms += ROTATION_S / 2 * CH_SECOND_MS;
	free(store.pools[0].record);
	store.pools[0].record = old;
	store.pools[0].version = old_version;
	(void)!ch_ticket_round(&keepers[0]);
	read_set(0, &set);
	assert_true(set.record.version > version);
	/* And with everything lost. */
	version = set.record.version;
	free(store.pools[0].record);
	store.pools[0].record = NULL;
	store.pools[0].version = 0;
	bench_now_ms += CH_SECOND_MS;
	(void)!ch_ticket_round(&keepers[0]);
	read_set(0, &set);
	assert_true(set.record.version > version);
}

static void what_the_store_makes_up_is_not_built_upon(void **state)
{
	static struct set set;
	uint8_t id[CH_TICKET_ID_B];

	/* A set of another issuer, whose key is not ours: left alone while it is in order. */
	(void)!ch_ticket_round(&keepers[0]);
	read_set(0, &set);
	memcpy(id, set.tickets.keys[0].id, sizeof(id));
	(void)remove(b->path[1]);
	assert_int_equal(ch_sign_key_create(b->path[1], NULL), CH_OK);
	ch_sign_key_free(b->issuer->signer);
	assert_int_equal(ch_sign_key_load(b->path[1], &b->issuer->signer, NULL), CH_OK);
	ch_ticket_keeper_done(&keepers[0]);
	keeper_begin(&keepers[0]);
	(void)!ch_ticket_round(&keepers[0]);
	assert_int_equal(store.puts, 1);
	/* When it must be rotated, nothing of it is kept. */
	bench_now_ms += ROTATION_S / 2 * CH_SECOND_MS;
	(void)!ch_ticket_round(&keepers[0]);
	assert_int_equal(store.puts, 2);
	read_set(0, &set);
	assert_false(has(&set.tickets, id));
}

static void lists_that_are_none_are_survived(void **state)
{
	static const char too_high[] = "{\"pools\":[{\"pool\":\"default\","
				       "\"version\":9007199254740991,\"record\":null}]}";
	static const char *const lists[] = {"{}", "{\"pools\":null}", "{\"pools\":[1]}",
		"{\"pools\":[{\"pool\":\"../x\",\"version\":0,\"record\":null}]}",
		"{\"pools\":[{\"pool\":\"A\",\"version\":0,\"record\":null}]}",
		"{\"pools\":[{\"pool\":\"\",\"version\":0,\"record\":null}]}",
		"{\"pools\":[{\"pool\":\"default\",\"version\":-1,\"record\":null}]}",
		"{\"pools\":[{\"pool\":\"default\",\"record\":null}]}", too_high};

	for (size_t i = 0; i < CH_ARRAY_LEN(lists); i++) {
		store.list = lists[i];
		assert_true(ch_ticket_round(&keepers[0]) > 0);
	}
	assert_int_equal(store.puts + store.conflicts, 0);
	/* A record that is none is like no record. */
	store.list = "{\"pools\":[{\"pool\":\"default\",\"version\":0,\"record\":\"AQU\"}]}";
	(void)!ch_ticket_round(&keepers[0]);
	assert_int_equal(store.puts, 1);
	store.list = NULL;
	store.away = true;
	assert_true(ch_ticket_round(&keepers[0]) > 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(each_key_is_there_before_its_time_and_gone_after_two_rotations),
		T(tickets_of_before_open_in_every_later_set_until_then),
		T(an_issuer_that_was_away_goes_on),
		T(of_two_at_once_one_wins_and_the_other_looks_again),
		T(a_write_whose_answer_is_lost_is_not_made_twice),
		T(each_pool_has_its_own),
		T(a_clock_that_jumps_leaves_no_pool_without_a_key),
		T(a_store_that_goes_back_in_time_does_not_take_the_version_back),
		T(what_the_store_makes_up_is_not_built_upon),
		T(lists_that_are_none_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
