/* What a store that was restored has forgotten. */
#include "replica_fixture.h"

#define LATER INT64_MAX

static const uint8_t zeros[CH_SIGNATURE_B];

static void put_as(struct ch_replica_writer *writer, enum ch_record_kind kind, const char *name,
	uint64_t version, int64_t not_after_s)
{
	CH_AUTO_BUF struct ch_buf buf;
	struct ch_record record = {.kind = kind,
		.version = version,
		.name = name,
		.name_len = strlen(name),
		.not_after_s = not_after_s,
		.chain_id = zeros,
		.leaf = zeros,
		.leaf_len = 1,
		.signer_id = zeros,
		.n_sealed = 1};
	struct ch_cursor cursor = cursor_at(version);
	enum ch_apply_effect effect;

	record.sealed[0] = (struct ch_sealed_view){zeros, 32, zeros, 32, zeros, 49};
	ch_buf_init(&buf, CH_RECORD_MAX_B);
	assert_int_equal(ch_record_encode(&record, &buf), CH_OK);
	assert_int_equal(ch_buf_add(&buf, zeros, CH_SIGNATURE_B), CH_OK);
	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	assert_int_equal(ch_replica_put(writer, &record, buf.data, buf.len, &effect), CH_OK);
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, NULL), CH_OK);
}

static void put_cert(struct ch_replica_writer *writer, const char *name, uint64_t version,
	int64_t not_after_s)
{
	put_as(writer, CH_RECORD_CERT, name, version, not_after_s);
}

static int note_ahead(const struct ch_replica_ahead *item, void *arg)
{
	char *list = arg;

	strcat(list, item->name);
	if (item->second.record)
		strcat(list, item->first.record ? "+2" : "=2");
	strcat(list, " ");
	return strcmp(item->name, "stop.example") == 0 ? CH_EAGAIN : CH_OK;
}

static void assert_ahead(
	struct ch_replica_writer *writer, const char *after, int rc, const char *want)
{
	char list[512] = "";

	assert_int_equal(ch_replica_writer_ahead(writer, after, note_ahead, list), rc);
	assert_string_equal(list, want);
}

static void second_certificates_are_found_with_their_first(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);

	for (const char *const *name = (const char *const[]){"a.example", "b.example",
		     "c.example", "d.example", "e.example", NULL};
		*name; name++) {
		put_cert(writer, *name, 5, LATER);
		put_as(writer, CH_RECORD_SECOND, *name, 6,
			strcmp(*name, "e.example") == 0 ? 1 : LATER);
	}
	assert_int_equal(ch_replica_writer_new_generation(writer, &f->err), CH_OK);
	assert_ahead(writer, "", CH_OK,
		"a.example+2 b.example+2 c.example+2 d.example+2 e.example ");
	put_cert(writer, "a.example", 5, LATER);
	put_cert(writer, "b.example", 5, LATER);
	put_as(writer, CH_RECORD_SECOND, "b.example", 6, LATER);
	put_as(writer, CH_RECORD_SECOND, "c.example", 6, LATER);
	apply(writer, "d.example", 10, CH_RECORD_TOMBSTONE);
	assert_ahead(writer, "", CH_OK, "a.example=2 c.example e.example ");
	/* What the store has taken comes along, each by itself. */
	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	assert_int_equal(
		ch_replica_carry_over(writer, CH_RECORD_SECOND, "a.example", 9), CH_OK);
	assert_int_equal(
		ch_replica_carry_over(writer, CH_RECORD_SECOND, "x.example", 9), CH_ENOTFOUND);
	ch_replica_apply_abort(writer);
	ch_replica_writer_free(writer);
}

/* A store that was restored gives less than was there. */
static void what_a_new_generation_is_behind_in_is_found(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);

	put_cert(writer, "a.example", 5, LATER);
	put_cert(writer, "b.example", 6, LATER);
	put_cert(writer, "c.example", 7, LATER);
	apply(writer, "d.example", 8, CH_RECORD_NAME);
	put_cert(writer, "e.example", 9, LATER);
	assert_int_equal(ch_replica_writer_ahead(writer, "", note_ahead, NULL), CH_EINVAL);
	assert_int_equal(ch_replica_writer_new_generation(writer, &f->err), CH_OK);
	assert_ahead(writer, "", CH_OK, "a.example b.example c.example e.example ");
	put_cert(writer, "a.example", 5, LATER);
	put_cert(writer, "b.example", 4, LATER);
	apply(writer, "c.example", 10, CH_RECORD_TOMBSTONE);
	apply(writer, "e.example", 11, CH_RECORD_NAME);
	assert_ahead(writer, "", CH_OK, "b.example e.example ");
	assert_ahead(writer, "b.example", CH_OK, "e.example ");
	assert_ahead(writer, "bb.example", CH_OK, "e.example ");
	assert_ahead(writer, "e.example", CH_OK, "");
	ch_replica_writer_free(writer);
}

static void looking_for_it_can_be_ended(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);

	put_cert(writer, "stop.example", 5, LATER);
	put_cert(writer, "z.example", 6, LATER);
	assert_int_equal(ch_replica_writer_new_generation(writer, &f->err), CH_OK);
	assert_ahead(writer, "", CH_EAGAIN, "stop.example ");
	ch_replica_writer_free(writer);
}

static void what_has_expired_is_of_no_use(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);

	put_cert(writer, "a.example", 1, 1000);
	put_cert(writer, "b.example", 2, LATER);
	assert_int_equal(ch_replica_writer_new_generation(writer, &f->err), CH_OK);
	assert_ahead(writer, "", CH_OK, "b.example ");
	ch_replica_writer_free(writer);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_a_new_generation_is_behind_in_is_found),
		TEST(second_certificates_are_found_with_their_first),
		TEST(looking_for_it_can_be_ended),
		TEST(what_has_expired_is_of_no_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
