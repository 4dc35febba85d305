/* Ticket keys in a replica: newer ones only, over generations too, and gone when they are of no
 * use. */
#include "replica_fixture.h"
#include "wire/tickets.h"

static const uint8_t ct[CH_TICKET_CT_B] = {7};
static const uint8_t zeros[65];

/* Unsigned: whoever puts it has checked that. */
static enum ch_apply_effect put(
	struct ch_replica_writer *writer, uint64_t version, int64_t until_s)
{
	CH_AUTO_BUF struct ch_buf keys;
	CH_AUTO_BUF struct ch_buf buf;
	struct ch_tickets tickets = {.n = 1};
	struct ch_record record = {.kind = CH_RECORD_TICKETS,
		.version = version,
		.name = "default",
		.name_len = 7,
		.signer_id = zeros};
	struct ch_cursor cursor = cursor_at(version);
	enum ch_apply_effect effect;

	ch_buf_init(&keys, CH_RECORD_MAX_B);
	ch_buf_init(&buf, CH_RECORD_MAX_B);
	tickets.keys[0] = (struct ch_ticket_key){
		.id = zeros, .from_s = 1, .until_s = until_s, .n_sealed = 1};
	tickets.keys[0].sealed[0] =
		(struct ch_sealed_view){zeros, 0x20, zeros, 32, ct, sizeof(ct)};
	assert_int_equal(ch_tickets_encode(&tickets, &keys), CH_OK);
	record.tickets = keys.data;
	record.tickets_len = keys.len;
	assert_int_equal(ch_record_encode(&record, &buf), CH_OK);
	assert_int_equal(ch_buf_add(&buf, zeros, CH_SIGNATURE_B), CH_OK);
	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	assert_int_equal(ch_replica_put(writer, &record, buf.data, buf.len, &effect), CH_OK);
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, NULL), CH_OK);
	return effect;
}

/* For children: the version of the live generation's keys, 0 for none, 99 for an error. */
static int version_now(struct fixture *f)
{
	struct ch_replica_reader *reader;
	struct ch_record record;
	int rc = ch_replica_reader_open(f->dir, &reader, &f->err);

	if (rc || ch_replica_begin(reader))
		return 99;
	rc = ch_replica_get_tickets(reader, &record);
	if (rc)
		return rc == CH_ENOTFOUND ? 0 : 99;
	return (int)record.version;
}

static void only_newer_keys_are_taken(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	uint64_t names;

	assert_int_equal(in_child(version_now, f), 0);
	assert_int_equal(put(writer, 5, 100), CH_APPLY_CHANGED);
	assert_int_equal(in_child(version_now, f), 5);
	assert_int_equal(put(writer, 5, 100), CH_APPLY_STALE);
	assert_int_equal(put(writer, 4, 100), CH_APPLY_STALE);
	assert_int_equal(in_child(version_now, f), 5);
	assert_int_equal(put(writer, 6, 100), CH_APPLY_CHANGED);
	assert_int_equal(in_child(version_now, f), 6);
	/* They are no name. */
	assert_int_equal(ch_replica_writer_count(writer, &names), CH_OK);
	assert_int_equal(names, 0);
	ch_replica_writer_free(writer);
	writer = open_writer(f);
	assert_int_equal(put(writer, 5, 100), CH_APPLY_STALE);
	ch_replica_writer_free(writer);
}

static void a_new_generation_knows_what_the_old_one_had(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);

	assert_int_equal(put(writer, 5, 100), CH_APPLY_CHANGED);
	assert_int_equal(ch_replica_writer_new_generation(writer, &f->err), CH_OK);
	assert_int_equal(put(writer, 4, 100), CH_APPLY_STALE);
	assert_int_equal(ch_replica_writer_publish(writer, &f->err), CH_OK);
	assert_int_equal(in_child(version_now, f), 5);
	/* One that is thrown away takes nothing with it. */
	assert_int_equal(ch_replica_writer_new_generation(writer, &f->err), CH_OK);
	assert_int_equal(put(writer, 7, 100), CH_APPLY_CHANGED);
	assert_int_equal(ch_replica_writer_new_generation(writer, &f->err), CH_OK);
	assert_int_equal(put(writer, 6, 100), CH_APPLY_CHANGED);
	assert_int_equal(ch_replica_writer_publish(writer, &f->err), CH_OK);
	assert_int_equal(in_child(version_now, f), 6);
	ch_replica_writer_free(writer);
}

static void keys_of_no_use_are_removed_and_do_not_come_back(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	struct ch_cursor cursor;

	assert_int_equal(ch_replica_expire_tickets(writer, 1000), CH_OK);
	assert_int_equal(put(writer, 5, 100), CH_APPLY_CHANGED);
	assert_int_equal(ch_replica_expire_tickets(writer, 99), CH_OK);
	assert_int_equal(in_child(version_now, f), 5);
	assert_int_equal(ch_replica_expire_tickets(writer, 100), CH_OK);
	assert_int_equal(in_child(version_now, f), 0);
	assert_int_equal(put(writer, 5, 1000), CH_APPLY_STALE);
	assert_int_equal(in_child(version_now, f), 0);
	assert_int_equal(ch_replica_writer_cursor(writer, &cursor), CH_OK);
	assert_int_equal(cursor.seq, 5);
	assert_int_equal(ch_replica_writer_new_generation(writer, &f->err), CH_OK);
	assert_int_equal(put(writer, 5, 1000), CH_APPLY_STALE);
	assert_int_equal(put(writer, 6, 1000), CH_APPLY_CHANGED);
	assert_int_equal(ch_replica_writer_publish(writer, &f->err), CH_OK);
	assert_int_equal(in_child(version_now, f), 6);
	ch_replica_writer_free(writer);
}

static void they_share_a_transaction_with_names(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	uint64_t names;

	apply(writer, "a.example.com", 1, CH_RECORD_NAME);
	assert_int_equal(put(writer, 5, 100), CH_APPLY_CHANGED);
	assert_int_equal(ch_replica_expire_tickets(writer, 100), CH_OK);
	assert_int_equal(ch_replica_writer_count(writer, &names), CH_OK);
	assert_int_equal(names, 1);
	/* A transaction is open: not now. */
	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	assert_int_equal(ch_replica_expire_tickets(writer, 100), CH_EINVAL);
	ch_replica_apply_abort(writer);
	ch_replica_writer_free(writer);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(only_newer_keys_are_taken),
		T(a_new_generation_knows_what_the_old_one_had),
		T(keys_of_no_use_are_removed_and_do_not_come_back),
		T(they_share_a_transaction_with_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
