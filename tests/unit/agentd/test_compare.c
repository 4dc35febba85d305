/* A replica against a store: what is found, and what is not taken for a difference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agentd/compare.h"
#include "base/mem.h"
#include "world.h"

struct seen {
	struct ch_compare compare; /* its results */
	char text[4096];	   /* "missing a.example.com;…" */
	struct ch_err err;
};

static void note(const struct ch_difference *d, void *arg)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->text);

	snprintf(seen->text + len, sizeof(seen->text) - len, "%s %s;",
		ch_difference_str(d->kind), d->name);
}

/* The agent is closed meanwhile: a process must not have a generation open twice. */
static int compare(struct world *w, struct seen *ret_seen)
{
	struct ch_replica_reader *reader;
	int rc;

	memset(ret_seen, 0, sizeof(*ret_seen));
	ch_follow_close(&w->follow);
	assert_int_equal(ch_replica_reader_new(w->replica, &reader), CH_OK);
	ret_seen->compare.api = w->api;
	ret_seen->compare.reader = reader;
	ret_seen->compare.found = note;
	ret_seen->compare.found_arg = ret_seen;
	rc = ch_compare_run(&ret_seen->compare, &ret_seen->err);
	ch_replica_reader_free(reader);
	world_open_follow(w);
	return rc;
}

#define assert_found(w, what)                                                                  \
	do {                                                                                   \
		struct seen seen_;                                                             \
		assert_int_equal(compare(w, &seen_), CH_OK);                                   \
		assert_string_equal(seen_.text, what);                                         \
		assert_int_equal(seen_.compare.unsettled, 0);                                  \
	} while (0)

/* Writes a record over the agent's head. */
static void put_in_replica(
	struct world *w, const char *name, uint64_t version, const void *bytes, size_t len)
{
	struct ch_record r = {.kind = CH_RECORD_NAME,
		.version = version,
		.name = name,
		.name_len = strlen(name)};
	struct ch_cursor cursor = {.valid = true, .seq = w->store.head, .base = w->store.head};
	enum ch_apply_effect effect;

	memcpy(cursor.epoch, w->store.epoch, CH_EPOCH_B);
	assert_int_equal(ch_replica_apply_begin(w->follow.writer), CH_OK);
	assert_int_equal(ch_replica_put(w->follow.writer, &r, bytes, len, &effect), CH_OK);
	assert_int_equal(ch_replica_apply_commit(w->follow.writer, &cursor, NULL), CH_OK);
}

static void a_replica_that_followed_is_the_same(void **state)
{
	struct world *w = *state;
	struct seen seen;

	assert_int_equal(compare(w, &seen), CH_ENOTFOUND);
	assert_string_equal(seen.err.problem, "replica-open");
	world_steps(w, 1);
	assert_found(w, "");
	world_put_many(w, 20, 1);
	fake_store_put_name(&w->store, "new.example.com", 21);
	fake_store_put_tombstone(&w->store, "n03.example.com", 22);
	fake_store_put_cert_with_chain(&w->store, "chained.example.com", 23, true, true);
	world_steps(w, 1);
	assert_int_equal(compare(w, &seen), CH_OK);
	assert_string_equal(seen.text, "");
	assert_int_equal(seen.compare.names, 21);
	assert_int_equal(seen.compare.differing, 0);
	assert_int_equal(seen.compare.head, w->store.head);
	assert_string_equal(seen.compare.pool, "default");
	w->store.range_max = 4;
	assert_int_equal(compare(w, &seen), CH_OK);
	assert_int_equal(seen.compare.names, 21);
}

static void what_an_agent_refused_is_found(void **state)
{
	struct world *w = *state;

	world_put_many(w, 3, 1);
	world_steps(w, 1);
	fake_store_put_forged(&w->store, "a.example.com", 5);
	fake_store_put_forged(&w->store, "n01.example.com", 5);
	world_steps(w, 1);
	assert_found(w, "missing a.example.com;version n01.example.com;");
	w->store.range_max = 1;
	assert_found(w, "missing a.example.com;version n01.example.com;");
	fake_store_put_cert(&w->store, "a.example.com", 6);
	fake_store_put_cert(&w->store, "n01.example.com", 6);
	world_steps(w, 1);
	assert_found(w, "");
}

static void what_a_store_forgot_or_altered_is_found(void **state)
{
	struct world *w = *state;
	struct fake_row *row;

	world_put_many(w, 9, 1);
	world_steps(w, 1);
	fake_store_forget(&w->store, "n00.example.com");
	fake_store_forget(&w->store, "n08.example.com");
	row = fake_store_row(&w->store, "n04.example.com");
	row->record.data[row->record.len - 1] ^= 1;
	assert_found(w, "extra n00.example.com;content n04.example.com;extra n08.example.com;");
	w->store.range_max = 3;
	assert_found(w, "extra n00.example.com;content n04.example.com;extra n08.example.com;");
}

static void what_is_damaged_in_the_replica_is_found(void **state)
{
	struct world *w = *state;
	struct fake_row *row;

	world_put_many(w, 4, 1);
	world_steps(w, 1);
	put_in_replica(w, "n02.example.com", 2, "garbage", 7);
	put_in_replica(w, "zzz.example.com", 2, "garbage", 7);
	/* A good record in another's place. */
	row = fake_store_row(&w->store, "n01.example.com");
	put_in_replica(w, "n03.example.com", 2, row->record.data, row->record.len);
	assert_found(w, "damaged n02.example.com;damaged n03.example.com;"
			"damaged zzz.example.com;");
}

static void intermediates_that_are_missing_are_found(void **state)
{
	struct world *w = *state;
	struct fake_row *row;

	world_steps(w, 1);
	fake_store_put_cert_with_chain(&w->store, "a.example.com", 1, true, true);
	row = fake_store_row(&w->store, "a.example.com");
	put_in_replica(w, "a.example.com", 1, row->record.data, row->record.len);
	assert_found(w, "chain a.example.com;");
}

static void more_than_fits_one_look_is_counted(void **state)
{
	struct world *w = *state;
	struct ch_cursor cursor = {.valid = true};
	struct seen seen;

	world_steps(w, 1);
	memcpy(cursor.epoch, w->store.epoch, CH_EPOCH_B);
	assert_int_equal(ch_replica_apply_begin(w->follow.writer), CH_OK);
	for (int i = 0; i < 4500; i++) {
		char name[32];
		struct ch_record r = {.kind = CH_RECORD_NAME, .version = 1, .name = name};
		enum ch_apply_effect effect;
		CH_AUTO_BUF struct ch_buf buf;

		snprintf(name, sizeof(name), "x%05d.example.com", i);
		r.name_len = strlen(name);
		ch_buf_init(&buf, CH_RECORD_MAX_B);
		assert_int_equal(ch_record_encode(&r, &buf), CH_OK);
		assert_int_equal(
			ch_replica_put(w->follow.writer, &r, buf.data, buf.len, &effect),
			CH_OK);
	}
	assert_int_equal(ch_replica_apply_commit(w->follow.writer, &cursor, NULL), CH_OK);
	assert_int_equal(compare(w, &seen), CH_OK);
	assert_int_equal(seen.compare.names, 4500);
	assert_int_equal(seen.compare.differing, 4500);
}

static void a_replica_behind_is_told_from_a_different_one(void **state)
{
	struct world *w = *state;
	struct seen seen;

	world_put_many(w, 3, 1);
	world_steps(w, 1);
	fake_store_put_cert(&w->store, "n00.example.com", 2);
	assert_int_equal(compare(w, &seen), CH_EAGAIN);
	assert_string_equal(seen.err.problem, "replica-behind");
	assert_non_null(strstr(seen.err.detail, "at 3, the store at 4"));
	world_steps(w, 1);
	assert_found(w, "");
	w->store.epoch[0] ^= 1;
	assert_int_equal(compare(w, &seen), CH_EAGAIN);
	assert_non_null(strstr(seen.err.detail, "another epoch"));
}

static void without_a_replica_it_says_so(void **state)
{
	struct world *w = *state;
	struct seen seen;

	ch_follow_close(&w->follow);
	world_remove_tree(w->replica);
	assert_int_equal(compare(w, &seen), CH_ENOTFOUND);
	assert_memory_equal(seen.err.problem, "replica", 7);
}

static void change_a_name(struct fake_store *s)
{
	static uint64_t version = 100;

	s->head--; /* the replica keeps up with everything else */
	fake_store_put_cert(s, "n01.example.com", version++);
}

static void what_changes_all_the_time_is_not_called_different(void **state)
{
	struct world *w = *state;
	struct seen seen;

	world_put_many(w, 3, 1);
	world_steps(w, 1);
	w->store.asked = change_a_name;
	fake_store_put_cert(&w->store, "n01.example.com", 99);
	w->store.head--;
	assert_int_equal(compare(w, &seen), CH_OK);
	assert_string_equal(seen.text, "");
	assert_int_equal(seen.compare.unsettled, 1);
	assert_int_equal(seen.compare.names, 3);
}

static void answers_that_are_none_are_refused(void **state)
{
#define HEX16 "00112233445566778899aabbccddeeff"
#define START "{\"pool\":\"default\",\"epoch\":\"" HEX16 "\",\"head\":0,\"count\":0,"
	static const char *const bad[] = {"", "[]", "{}", "nonsense",
		START "\"sha256\":\"00\",\"last\":null}",
		START "\"sha256\":\"" HEX16 HEX16 "\",\"last\":7}",
		/* This one would lead in a circle. */
		START "\"sha256\":\"" HEX16 HEX16 "\",\"last\":\"\"}",
		"{\"pool\":\"default\",\"epoch\":\"" HEX16 "\",\"head\":-1,\"count\":0,"
		"\"sha256\":\"" HEX16 HEX16 "\",\"last\":null}"};
	struct world *w = *state;
	struct seen seen;

	world_steps(w, 1);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		w->store.bad_answer = bad[i];
		assert_int_equal(compare(w, &seen), CH_EPROTO);
		assert_memory_not_equal(seen.err.problem, "replica", 7);
	}
	w->store.bad_answer = NULL;
	w->store.down = true;
	assert_int_equal(compare(w, &seen), CH_ENETWORK);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		T(a_replica_that_followed_is_the_same),
		T(what_an_agent_refused_is_found),
		T(what_a_store_forgot_or_altered_is_found),
		T(what_is_damaged_in_the_replica_is_found),
		T(intermediates_that_are_missing_are_found),
		T(more_than_fits_one_look_is_counted),
		T(a_replica_behind_is_told_from_a_different_one),
		T(without_a_replica_it_says_so),
		T(what_changes_all_the_time_is_not_called_different),
		T(answers_that_are_none_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
