#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "world.h"

static void a_snapshot_is_taken_and_changes_follow(void **state)
{
	struct world *w = *state;

	w->follow.poll_wait_ms = 7000;
	fake_store_put_cert(&w->store, "a.example.com", 1);
	fake_store_put_name(&w->store, "b.example.com", 1);
	world_steps(w, 1);
	assert_null(strstr(w->store.last_path, "epoch="));
	/* After a start an edge reports at once, also when there is nothing new for it. */
	assert_non_null(strstr(w->store.last_path, "wait_ms=0"));
	assert_int_equal(w->store.acks, 1);
	assert_int_equal(world_version_of(w, "a.example.com"), 1);
	assert_int_equal(world_version_of(w, "b.example.com"), 1);
	assert_int_equal(world_cursor_of(w).seq, 2);
	fake_store_put_cert(&w->store, "b.example.com", 2);
	fake_store_put_tombstone(&w->store, "a.example.com", 2);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_path, "&after=2&base=2"));
	assert_null(strstr(w->store.last_path, "wait_ms=0"));
	assert_int_equal(world_version_of(w, "b.example.com"), 2);
	assert_int_equal(world_version_of(w, "a.example.com"), 0);
	assert_int_equal(world_live_names(w), 1);
}

static void the_acknowledgement_says_what_is_on_disk(void **state)
{
	struct world *w = *state;

	fake_store_put_name(&w->store, "a.example.com", 1);
	world_steps(w, 1);
	assert_int_equal(w->store.acks, 1);
	assert_string_equal(w->store.last_ack,
		"{\"epoch\":\"e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1\",\"seq\":1,\"names\":1,"
		"\"software\":\"certherd/" CH_VERSION "\",\"error\":null}");
	world_steps(w, 1);
	assert_int_equal(w->store.acks, 1);
	w->now_ms += CH_HEARTBEAT_MS;
	world_steps(w, 1);
	assert_int_equal(w->store.acks, 2);
	fake_store_put_name(&w->store, "b.example.com", 1);
	world_steps(w, 1);
	assert_int_equal(w->store.acks, 3);
	assert_non_null(strstr(w->store.last_ack, "\"seq\":2"));
}

static void a_snapshot_resumes_in_the_middle_after_a_restart(void **state)
{
	struct world *w = *state;

	world_put_many(w, 10, 1);
	w->store.frames_max = 4;
	assert_int_equal(world_step(w), 0);
	assert_int_equal(world_cursor_of(w).seq, 4);
	assert_int_equal(world_cursor_of(w).base, 10);
	ch_follow_close(&w->follow);
	world_open_follow(w);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_path, "&after=4&base=10"));
	world_steps(w, 1);
	assert_int_equal(world_live_names(w), 10);
	assert_int_equal(world_cursor_of(w).base, 10);
	assert_int_equal(world_cursor_of(w).seq, 10);
}

static void numbers_of_other_pools_are_passed_over(void **state)
{
	struct world *w = *state;

	fake_store_put_name(&w->store, "a.example.com", 1);
	w->store.head = 50;
	world_steps(w, 1);
	assert_int_equal(world_cursor_of(w).seq, 50);
	assert_int_equal(world_cursor_of(w).base, 50);
}

static void an_older_version_is_not_applied(void **state)
{
	struct world *w = *state;

	fake_store_put_cert(&w->store, "a.example.com", 7);
	world_steps(w, 1);
	fake_store_put_cert(&w->store, "a.example.com", 6);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, "a.example.com"), 7);
	assert_int_equal(world_cursor_of(w).seq, 2);
	fake_store_put_tombstone(&w->store, "a.example.com", 7);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, "a.example.com"), 7);
}

static void a_wrong_signature_is_refused_and_blocks_nobody(void **state)
{
	struct world *w = *state;

	fake_store_put_cert(&w->store, "a.example.com", 1);
	world_steps(w, 1);
	fake_store_put_forged(&w->store, "a.example.com", 2);
	fake_store_put_forged(&w->store, "new.example.com", 2);
	fake_store_put_cert(&w->store, "b.example.com", 2);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, "a.example.com"), 1);
	assert_int_equal(world_version_of(w, "new.example.com"), 0);
	assert_int_equal(world_version_of(w, "b.example.com"), 2);
	assert_int_equal(world_cursor_of(w).seq, 4);
	assert_non_null(strstr(w->store.last_ack,
		"\"error\":\"2 records refused: a.example.com (not signed by a pinned key), "
		"new.example.com (not signed by a pinned key).\""));
	fake_store_put_cert(&w->store, "a.example.com", 3);
	fake_store_put_cert(&w->store, "new.example.com", 3);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_ack, "\"error\":null"));
	assert_int_equal(world_version_of(w, "a.example.com"), 3);
}

/* As after a change of the issuer's signing key that this edge was not told of. */
static void that_nothing_is_taken_is_critical_until_something_is(void **state)
{
	struct world *w = *state;

	fake_store_put_cert(&w->store, "a.example.com", 1);
	world_steps(w, 1);
	fake_store_put_forged(&w->store, "a.example.com", 2);
	fake_store_put_forged(&w->store, "b.example.com", 2);
	world_steps(w, 1);
	assert_null(strstr(w->store.last_ack, CH_EDGE_CRITICAL));
	/* A name that is registered is no certificate. */
	fake_store_put_name(&w->store, "plain.example.com", 2);
	fake_store_put_forged(&w->store, "c.example.com", 2);
	world_steps(w, 1);
	assert_non_null(strstr(
		w->store.last_ack, "\"error\":\"" CH_EDGE_CRITICAL "this edge takes none"));
	assert_non_null(strstr(w->store.last_ack, "3 records refused"));
	fake_store_put_cert(&w->store, "d.example.com", 3);
	world_steps(w, 1);
	assert_null(strstr(w->store.last_ack, CH_EDGE_CRITICAL));
	assert_non_null(strstr(w->store.last_ack, "3 records refused"));
}

static void the_only_certificate_refused_is_critical(void **state)
{
	struct world *w = *state;

	fake_store_put_forged(&w->store, "a.example.com", 1);
	world_steps(w, 2);
	assert_non_null(strstr(w->store.last_ack, CH_EDGE_CRITICAL));
	fake_store_put_cert(&w->store, "a.example.com", 2);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_ack, "\"error\":null"));
}

static void what_the_feed_brings_again_counts_once(void **state)
{
	struct ch_refused refused = {0};

	for (int i = 0; i < 10; i++)
		ch_refused_count(&refused, 7);
	assert_false(ch_refused_is_all(&refused, 1));
	assert_true(ch_refused_is_all(&refused, 0));
	ch_refused_count(&refused, 8);
	ch_refused_count(&refused, 9);
	assert_true(ch_refused_is_all(&refused, 1));
	ch_refused_taken(&refused);
	assert_false(ch_refused_is_all(&refused, 0));
	/* A snapshot numbers nothing. */
	for (int i = 0; i < CH_REFUSED_ALL; i++)
		ch_refused_count(&refused, 0);
	assert_true(ch_refused_is_all(&refused, 1));
}

static void an_altered_record_is_refused(void **state)
{
	struct world *w = *state;

	for (int at = 0; at < 3; at++) {
		static const size_t from_end[] = {1, 64, 90};
		struct fake_row *row;

		fake_store_put_cert(&w->store, "a.example.com", (uint64_t)at + 1);
		row = &w->store.rows[0];
		row->record.data[row->record.len - from_end[at]] ^= 1;
		world_steps(w, 1);
		assert_int_equal(world_version_of(w, "a.example.com"), 0);
	}
}

static void put_policy(
	struct world *w, uint64_t version, enum ch_policy_tag tag, const char *text)
{
	CH_AUTO_BUF struct ch_buf bytes;
	struct ch_record record = {.kind = CH_RECORD_POLICY,
		.version = version,
		.name = "a.example.com",
		.name_len = 13};

	record.policy[tag] = (struct ch_text_view){text, strlen(text)};
	ch_buf_init(&bytes, CH_RECORD_MAX_B);
	assert_int_equal(ch_record_encode(&record, &bytes), CH_OK);
	fake_store_put_raw(&w->store, "a.example.com/4", CH_FEED_RECORD, bytes.data, bytes.len);
}

/* The version of a.example.com's policy in the live generation; 0: none. */
static uint64_t policy_version(struct world *w)
{
	struct ch_replica_reader *reader;
	struct ch_record record = {.version = 0};
	struct ch_err err;
	int rc;

	ch_follow_close(&w->follow);
	assert_int_equal(ch_replica_reader_open(w->replica, &reader, &err), CH_OK);
	assert_int_equal(ch_replica_begin(reader), CH_OK);
	rc = ch_replica_get_policy(reader, "a.example.com", 13, &record);
	ch_replica_end(reader);
	ch_replica_reader_free(reader);
	world_open_follow(w);
	return rc == CH_OK ? record.version : 0;
}

static void a_policy_out_of_form_is_refused_and_the_old_one_stays(void **state)
{
	struct world *w = *state;
	static const struct {
		enum ch_policy_tag tag;
		const char *text;
	} bad[] = {
		{CH_POLICY_REDIRECT, "evil.example/x?"},
		{CH_POLICY_REDIRECT, "https://evil.example"},
		{CH_POLICY_HSTS, "max-age=1, evil"},
		{CH_POLICY_UPSTREAM, "10.0.0.1:80"},
		{CH_POLICY_TENANT, "../other"},
	};
	uint64_t version = 2;

	fake_store_put_cert(&w->store, "a.example.com", 1);
	put_policy(w, 2, CH_POLICY_REDIRECT, "b.example.com");
	world_steps(w, 1);
	assert_int_equal(policy_version(w), 2);
	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		put_policy(w, ++version, bad[i].tag, bad[i].text);
		fake_store_put_cert(&w->store, "a.example.com", version);
		world_steps(w, 1);
		/* Only a good policy ends it, not another record of the name. */
		assert_non_null(strstr(w->store.last_ack,
			"\"1 record refused: a.example.com (its policy is no policy).\""));
		assert_int_equal(world_version_of(w, "a.example.com"), version);
		assert_int_equal(policy_version(w), 2);
	}
	put_policy(w, ++version, CH_POLICY_HSTS, "max-age=300");
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_ack, "\"error\":null"));
	assert_int_equal(policy_version(w), version);
	put_policy(w, ++version, CH_POLICY_HSTS, "for ever");
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_ack, "1 record refused"));
	fake_store_put_tombstone(&w->store, "a.example.com", version + 1);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_ack, "\"error\":null"));
	assert_int_equal(policy_version(w), 0);
}

static void chains_come_before_their_record_and_must_match_it(void **state)
{
	struct world *w = *state;

	fake_store_put_cert_with_chain(&w->store, "none.example.com", 1, false, true);
	fake_store_put_cert_with_chain(&w->store, "wrong.example.com", 1, true, false);
	fake_store_put_cert_with_chain(&w->store, "right.example.com", 1, true, true);
	fake_store_put_cert_with_chain(&w->store, "later.example.com", 1, false, true);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, "none.example.com"), 0);
	assert_int_equal(world_version_of(w, "wrong.example.com"), 0);
	assert_int_equal(world_version_of(w, "right.example.com"), 1);
	assert_int_equal(world_version_of(w, "later.example.com"), 1);
	assert_non_null(strstr(w->store.last_ack, "intermediates are missing"));
}

static void what_a_newer_store_sends_is_skipped_and_counted(void **state)
{
	static const uint8_t format_9[] = {9, 2, 0, 0};
	static const uint8_t kind_77[] = {
		1, 77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'x'};
	struct world *w = *state;

	fake_store_put_raw(&w->store, "f", 99, "?", 1);
	fake_store_put_raw(&w->store, "g", CH_FEED_RECORD, format_9, sizeof(format_9));
	fake_store_put_raw(&w->store, "h", CH_FEED_RECORD, kind_77, sizeof(kind_77));
	fake_store_put_name(&w->store, "a.example.com", 1);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, "a.example.com"), 1);
	assert_int_equal(world_cursor_of(w).seq, 4);
	assert_non_null(strstr(w->store.last_ack, "3 records of a newer kind skipped"));
}

static void a_damaged_record_is_skipped_and_a_damaged_answer_is_not_applied(void **state)
{
	struct world *w = *state;

	fake_store_put_name(&w->store, "a.example.com", 1);
	world_steps(w, 1);
	fake_store_put_raw(&w->store, "x", CH_FEED_RECORD, "\1\1\0\0rubbish", 11);
	fake_store_put_name(&w->store, "b.example.com", 1);
	world_steps(w, 1);
	assert_int_equal(world_version_of(w, "b.example.com"), 1);
	assert_non_null(strstr(w->store.last_ack, "damaged record"));
	w->store.bad_answer = "CHF1 and rubbish";
	assert_true(world_step(w) > 0);
	w->store.bad_answer = "";
	assert_true(world_step(w) > 0);
	assert_int_equal(world_cursor_of(w).seq, 3);
	w->store.bad_answer = NULL;
	fake_store_put_name(&w->store, "c.example.com", 1);
	fake_store_put_raw(&w->store, "y", CH_FEED_CHAIN, "short", 5);
	assert_true(world_step(w) > 0);
	assert_int_equal(world_version_of(w, "c.example.com"), 0);
	assert_int_equal(world_cursor_of(w).seq, 3);
}

static void sequence_numbers_that_do_not_ascend_are_an_error(void **state)
{
	struct world *w = *state;
	struct ch_apply apply = {.writer = w->follow.writer,
		.pool = "default",
		.signers = w->signers,
		.refused = &w->follow.refused,
		.brake = &w->follow.brake};
	static const uint64_t bad[][2] = {{5, 4}, {0, 1}, {1, UINT64_C(1) << 53}};
	struct ch_feed_header header = {.head = 9};
	struct ch_apply_counts counts;
	struct ch_err err;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		struct ch_cursor cursor = {.valid = false};
		struct ch_feed_frame frame = {.type = 99};
		CH_AUTO_BUF struct ch_buf buf;
		struct ch_reader r;

		ch_buf_init(&buf, 1000);
		for (int k = 0; k < 2; k++) {
			frame.seq = bad[i][k];
			assert_int_equal(ch_feed_add_frame(&buf, &frame), CH_OK);
		}
		ch_reader_init(&r, buf.data, buf.len);
		assert_int_equal(ch_apply_answer(&apply, &header, &r, &cursor, &counts, &err),
			CH_EPROTO);
		assert_string_equal(err.problem, "feed-order");
		assert_false(cursor.valid);
	}
}

static void reset_makes_a_new_generation_that_goes_live_when_complete(void **state)
{
	struct world *w = *state;

	world_put_many(w, 10, 5);
	world_steps(w, 1);
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	fake_store_put_cert(&w->store, "n00.example.com", 3);
	fake_store_forget(&w->store, "n09.example.com");
	w->store.frames_max = 4;
	world_steps(w, 2);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_live_names(w), 10);
	world_steps(w, 1);
	assert_non_null(strstr(w->store.last_path, "epoch=e2e2"));
	world_steps(w, 3);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_live_names(w), 9);
	/* A restored store may go back to an older version. */
	assert_int_equal(world_version_of(w, "n00.example.com"), 3);
	assert_int_equal(world_version_of(w, "n09.example.com"), 0);
}

static void while_rebuilding_nothing_is_acknowledged(void **state)
{
	struct world *w = *state;

	world_put_many(w, 3, 5);
	world_steps(w, 1);
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	w->store.frames_max = 1;
	world_steps(w, 2);
	w->now_ms += CH_HEARTBEAT_MS;
	world_steps(w, 1);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_non_null(strstr(w->store.last_ack,
		"\"epoch\":\"e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2\",\"seq\":0,\"names\":3"));
	world_steps(w, 3);
	assert_non_null(strstr(w->store.last_ack, "\"seq\":3,\"names\":3"));
}

static void a_rebuild_resumes_after_a_restart(void **state)
{
	struct world *w = *state;

	world_put_many(w, 10, 5);
	world_steps(w, 1);
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	w->store.frames_max = 4;
	world_steps(w, 2);
	assert_int_equal(world_cursor_of(w).seq, 4);
	ch_follow_close(&w->follow);
	world_open_follow(w);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	world_steps(w, 2);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_live_names(w), 10);
}

static void a_forged_record_in_a_snapshot_leaves_the_old_certificate(void **state)
{
	struct world *w = *state;

	fake_store_put_cert(&w->store, "a.example.com", 1);
	fake_store_put_cert_with_chain(&w->store, "b.example.com", 1, true, true);
	world_steps(w, 1);
	fake_store_put_forged(&w->store, "a.example.com", 9);
	fake_store_put_forged(&w->store, "b.example.com", 9);
	fake_store_put_forged(&w->store, "c.example.com", 9);
	memset(w->store.epoch, 0xe2, CH_EPOCH_B);
	world_steps(w, 2);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_version_of(w, "a.example.com"), 1);
	assert_int_equal(world_version_of(w, "b.example.com"), 1);
	assert_int_equal(world_version_of(w, "c.example.com"), 0);
	assert_non_null(strstr(w->store.last_ack, "3 records refused"));
}

static void a_cursor_that_is_too_old_starts_again(void **state)
{
	struct world *w = *state;

	world_put_many(w, 4, 1);
	world_steps(w, 1);
	world_put_many(w, 4, 2);
	w->store.floor = 6;
	world_steps(w, 2);
	assert_int_equal(world_cursor_of(w).seq, 8);
	assert_int_equal(world_version_of(w, "n00.example.com"), 2);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
}

static void a_cursor_ahead_of_the_store_starts_again(void **state)
{
	struct world *w = *state;

	world_put_many(w, 4, 1);
	world_steps(w, 1);
	w->store.status = 400;
	w->store.bad_answer = "{\"code\":\"bad-cursor\",\"detail\":\"ahead of the head\"}";
	assert_true(world_step(w) > 0);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_true(world_step(w) > 0);
	w->store.status = 0;
	w->store.bad_answer = NULL;
	world_steps(w, 1);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_live_names(w), 4);
}

static void without_a_store_it_waits_longer_each_time_and_goes_on(void **state)
{
	struct world *w = *state;
	int64_t first;
	int64_t last = 0;

	w->store.down = true;
	first = world_step(w);
	for (int i = 0; i < 10; i++)
		last = world_step(w);
	assert_in_range(first, 250, 500);
	assert_in_range(last, 15000, 30000);
	w->store.down = false;
	fake_store_put_name(&w->store, "a.example.com", 1);
	assert_int_equal(world_step(w), 0);
	assert_int_equal(world_live_names(w), 1);
	w->store.down = true;
	assert_in_range(world_step(w), 250, 500);
}

static time_t heard_at(struct world *w)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/writer.lock", w->replica);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mtime;
}

static void edges_see_when_the_store_last_answered(void **state)
{
	struct world *w = *state;
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	char path[128];

	world_steps(w, 1);
	snprintf(path, sizeof(path), "%s/writer.lock", w->replica);
	assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
	w->store.down = true;
	world_steps(w, 3);
	assert_int_equal(heard_at(w), 1000);
	/* There is nothing new, but that is an answer. */
	w->store.down = false;
	world_steps(w, 1);
	assert_int_not_equal(heard_at(w), 1000);
}

static int reader_rc(struct world *w)
{
	struct ch_replica_reader *reader;
	struct ch_err err;
	int rc;

	ch_follow_close(&w->follow);
	rc = ch_replica_reader_open(w->replica, &reader, &err);
	if (rc == CH_OK)
		ch_replica_reader_free(reader);
	world_open_follow(w);
	return rc;
}

static void readers_get_a_first_replica_when_it_is_whole(void **state)
{
	struct world *w = *state;

	w->store.down = true;
	world_steps(w, 1);
	assert_int_equal(reader_rc(w), CH_ENOTFOUND);
	w->store.down = false;
	world_put_many(w, 3, 1);
	w->store.frames_max = 2;
	world_steps(w, 1);
	assert_int_equal(reader_rc(w), CH_ENOTFOUND);
	world_steps(w, 1);
	assert_int_equal(reader_rc(w), CH_OK);
	assert_int_equal(world_live_names(w), 3);
}

static void a_full_disk_is_reported_and_tried_again(void **state)
{
	struct world *w = *state;
	char name[32];

	/* A small map stands for a small disk. */
	ch_follow_close(&w->follow);
	world_remove_tree(w->replica);
	w->map_b = 64u << 10;
	world_open_follow(w);
	fake_store_put_name(&w->store, "first.example.com", 1);
	world_steps(w, 1);
	for (int i = 0; i < 190; i++) {
		snprintf(name, sizeof(name), "n%03d.example.com", i);
		fake_store_put_cert(&w->store, name, 1);
	}
	assert_true(world_step(w) > 0);
	assert_int_equal(world_live_names(w), 1);
	assert_int_equal(world_version_of(w, "first.example.com"), 1);
	assert_non_null(strstr(w->store.last_ack, "\"seq\":1,"));
	assert_non_null(strstr(w->store.last_ack, "no space left"));
	assert_true(world_step(w) > 0);
	ch_follow_close(&w->follow);
	w->map_b = 16u << 20;
	world_open_follow(w);
	assert_int_equal(world_step(w), 0);
	assert_int_equal(world_live_names(w), 191);
	assert_non_null(strstr(w->store.last_ack, "\"error\":null"));
}

static void a_damaged_replica_is_fetched_anew(void **state)
{
	struct world *w = *state;
	char path[256];
	char generation[64] = "";
	struct ch_err err = {0};
	CH_AUTO_FREE char *text = NULL;
	size_t len;

	world_put_many(w, 10, 1);
	world_steps(w, 1);
	ch_follow_close(&w->follow);
	snprintf(path, sizeof(path), "%s/current", w->replica);
	assert_int_equal(ch_file_read(path, 100, &text, &len, &err), CH_OK);
	snprintf(generation, sizeof(generation), "%.*s", (int)strcspn(text, "\n"), text);
	snprintf(path, sizeof(path), "%s/%s/data.mdb", w->replica, generation);
	assert_int_equal(truncate(path, 5000), 0);
	world_open_follow(w);
	assert_true(ch_replica_writer_is_rebuilding(w->follow.writer));
	world_steps(w, 1);
	assert_false(ch_replica_writer_is_rebuilding(w->follow.writer));
	assert_int_equal(world_live_names(w), 10);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_snapshot_is_taken_and_changes_follow),
		TEST(the_acknowledgement_says_what_is_on_disk),
		TEST(a_snapshot_resumes_in_the_middle_after_a_restart),
		TEST(numbers_of_other_pools_are_passed_over),
		TEST(an_older_version_is_not_applied),
		TEST(a_wrong_signature_is_refused_and_blocks_nobody),
		TEST(that_nothing_is_taken_is_critical_until_something_is),
		TEST(the_only_certificate_refused_is_critical),
		TEST(what_the_feed_brings_again_counts_once),
		TEST(an_altered_record_is_refused),
		TEST(a_policy_out_of_form_is_refused_and_the_old_one_stays),
		TEST(chains_come_before_their_record_and_must_match_it),
		TEST(what_a_newer_store_sends_is_skipped_and_counted),
		TEST(a_damaged_record_is_skipped_and_a_damaged_answer_is_not_applied),
		TEST(sequence_numbers_that_do_not_ascend_are_an_error),
		TEST(reset_makes_a_new_generation_that_goes_live_when_complete),
		TEST(while_rebuilding_nothing_is_acknowledged),
		TEST(a_rebuild_resumes_after_a_restart),
		TEST(a_forged_record_in_a_snapshot_leaves_the_old_certificate),
		TEST(a_cursor_that_is_too_old_starts_again),
		TEST(a_cursor_ahead_of_the_store_starts_again),
		TEST(without_a_store_it_waits_longer_each_time_and_goes_on),
		TEST(edges_see_when_the_store_last_answered),
		TEST(readers_get_a_first_replica_when_it_is_whole),
		TEST(a_full_disk_is_reported_and_tried_again),
		TEST(a_damaged_replica_is_fetched_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
