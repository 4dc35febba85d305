/* What one transaction does, and what a reader sees of it. */
#include "edge/replica_writer.h"
#include "replica_fixture.h"

static const char *shop = "shop.example.com";

static void a_new_folder_has_an_empty_live_generation(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	struct ch_cursor cursor;
	uint64_t names = 1;

	assert_false(ch_replica_writer_is_rebuilding(writer));
	assert_int_equal(ch_replica_writer_cursor(writer, &cursor), CH_OK);
	assert_false(cursor.valid);
	assert_int_equal(ch_replica_writer_count(writer, &names), CH_OK);
	assert_int_equal(names, 0);
	assert_int_equal(in_child(open_rc, f), 0);
	ch_replica_writer_free(writer);
}

static void only_a_higher_version_is_applied(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	CH_AUTO_BUF struct ch_buf buf;
	struct ch_record record;

	assert_int_equal(apply(writer, shop, 5, CH_RECORD_NAME), CH_APPLY_ADDED);
	assert_int_equal(apply(writer, shop, 5, CH_RECORD_NAME), CH_APPLY_STALE);
	assert_int_equal(apply(writer, shop, 4, CH_RECORD_TOMBSTONE), CH_APPLY_STALE);
	assert_int_equal(apply(writer, shop, 6, CH_RECORD_NAME), CH_APPLY_CHANGED);
	ch_buf_init(&buf, CH_RECORD_MAX_B);
	assert_int_equal(ch_replica_writer_get(writer, shop, strlen(shop), &buf), CH_OK);
	assert_int_equal(ch_record_decode(buf.data, buf.len, &record), CH_OK);
	assert_int_equal(record.version, 6);
	assert_int_equal(record.kind, CH_RECORD_NAME);
	assert_int_equal(
		ch_replica_writer_get(writer, "other.example", 13, &buf), CH_ENOTFOUND);
	ch_replica_writer_free(writer);
}

static int shop_is_gone(struct fixture *f)
{
	struct ch_replica_reader *reader;

	if (ch_replica_reader_open(f->dir, &reader, NULL))
		return 50;
	if (find(reader, shop, 2) != -CH_ENOTFOUND)
		return 51;
	if (find(reader, "kept.example.com", 3) != 0)
		return 52;
	ch_replica_reader_free(reader);
	return 0;
}

static void a_tombstone_removes_a_name_and_keeps_older_versions_out(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	uint64_t names;

	assert_int_equal(apply(writer, shop, 1, CH_RECORD_NAME), CH_APPLY_ADDED);
	assert_int_equal(apply(writer, shop, 4, CH_RECORD_TOMBSTONE), CH_APPLY_REMOVED);
	assert_int_equal(apply(writer, shop, 2, CH_RECORD_NAME), CH_APPLY_STALE);
	assert_int_equal(
		apply(writer, "never.example", 9, CH_RECORD_TOMBSTONE), CH_APPLY_STALE);
	assert_int_equal(apply(writer, "never.example", 8, CH_RECORD_NAME), CH_APPLY_STALE);
	assert_int_equal(apply(writer, "kept.example.com", 3, CH_RECORD_NAME), CH_APPLY_ADDED);
	assert_int_equal(ch_replica_writer_count(writer, &names), CH_OK);
	assert_int_equal(names, 1);
	assert_int_equal(in_child(shop_is_gone, f), 0);
	assert_int_equal(apply(writer, shop, 10, CH_RECORD_NAME), CH_APPLY_ADDED);
	ch_replica_writer_free(writer);
}

static int put_policy(struct ch_replica_writer *writer, const char *name, uint64_t version,
	const char *hsts, enum ch_apply_effect *ret_effect)
{
	CH_AUTO_BUF struct ch_buf buf;
	struct ch_record record = {.kind = CH_RECORD_POLICY,
		.version = version,
		.name = name,
		.name_len = strlen(name)};

	record.policy[CH_POLICY_HSTS] = (struct ch_text_view){hsts, strlen(hsts)};
	ch_buf_init(&buf, CH_RECORD_MAX_B);
	assert_int_equal(ch_record_encode(&record, &buf), CH_OK);
	return ch_replica_put(writer, &record, buf.data, buf.len, ret_effect);
}

static enum ch_apply_effect apply_policy(
	struct ch_replica_writer *writer, const char *name, uint64_t version, const char *hsts)
{
	struct ch_cursor cursor = cursor_at(version);
	enum ch_apply_effect effect;

	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	assert_int_equal(put_policy(writer, name, version, hsts, &effect), CH_OK);
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, NULL), CH_OK);
	return effect;
}

/* 0: it is this one; else the negated rc, or 99. */
static int find_policy(struct ch_replica_reader *reader, const char *name, const char *hsts)
{
	struct ch_record r;
	int rc = ch_replica_begin(reader);

	if (rc)
		return -rc;
	rc = ch_replica_get_policy(reader, name, strlen(name), &r);
	if (rc == CH_OK &&
		(r.policy[CH_POLICY_HSTS].len != strlen(hsts) ||
			memcmp(r.policy[CH_POLICY_HSTS].text, hsts, strlen(hsts)) != 0))
		rc = -99;
	ch_replica_end(reader);
	return -rc;
}

static int policies_are_there(struct fixture *f)
{
	struct ch_replica_reader *reader;
	struct ch_replica_entry entry;
	char seen[128] = "";
	size_t len = 0;

	if (ch_replica_reader_open(f->dir, &reader, NULL))
		return 50;
	if (find_policy(reader, "a.example", "max-age=2") != 0)
		return 51;
	if (find_policy(reader, "b.example", "") != -CH_ENOTFOUND)
		return 52;
	if (find_policy(reader, "a.exampl", "") != -CH_ENOTFOUND)
		return 53;
	if (ch_replica_begin(reader))
		return 54;
	for (entry.key = "", entry.key_len = 0;
		ch_replica_next(reader, entry.key, entry.key_len, &entry) == CH_OK;)
		len += (size_t)snprintf(
			seen + len, sizeof(seen) - len, "%.*s ", (int)entry.key_len, entry.key);
	ch_replica_end(reader);
	ch_replica_reader_free(reader);
	return strcmp(seen, "a.example a.example.x a.example/4 b.example ") == 0 ? 0 : 55;
}

static void policies_lie_beside_their_names(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	uint64_t names;

	apply(writer, "b.example", 1, CH_RECORD_NAME);
	apply(writer, "a.example", 2, CH_RECORD_NAME);
	apply(writer, "a.example.x", 3, CH_RECORD_NAME);
	assert_int_equal(apply_policy(writer, "a.example", 4, "max-age=1"), CH_APPLY_CHANGED);
	assert_int_equal(apply_policy(writer, "a.example", 6, "max-age=2"), CH_APPLY_CHANGED);
	assert_int_equal(apply_policy(writer, "a.example", 5, "max-age=3"), CH_APPLY_STALE);
	assert_int_equal(ch_replica_writer_count(writer, &names), CH_OK);
	assert_int_equal(names, 3);
	assert_int_equal(in_child(policies_are_there, f), 0);
	ch_replica_writer_free(writer);
}

static int only_the_others_policy_is_there(struct fixture *f)
{
	struct ch_replica_reader *reader;

	if (ch_replica_reader_open(f->dir, &reader, NULL))
		return 50;
	if (find_policy(reader, "a.example", "") != -CH_ENOTFOUND)
		return 51;
	if (find_policy(reader, "a.example.x", "max-age=2") != 0)
		return 52;
	ch_replica_reader_free(reader);
	return 0;
}

static void a_tombstone_takes_the_policy_along(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);

	apply(writer, "a.example", 1, CH_RECORD_NAME);
	apply(writer, "a.example.x", 2, CH_RECORD_NAME);
	apply_policy(writer, "a.example", 3, "max-age=1");
	apply_policy(writer, "a.example.x", 4, "max-age=2");
	assert_int_equal(apply(writer, "a.example", 5, CH_RECORD_TOMBSTONE), CH_APPLY_REMOVED);
	assert_int_equal(in_child(only_the_others_policy_is_there, f), 0);
	ch_replica_writer_free(writer);
}

static uint64_t version_of(struct ch_replica_writer *writer, const char *name)
{
	CH_AUTO_BUF struct ch_buf buf;
	struct ch_record record;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	if (ch_replica_writer_get(writer, name, strlen(name), &buf))
		return 0;
	assert_int_equal(ch_record_decode(buf.data, buf.len, &record), CH_OK);
	return record.version;
}

static const uint8_t zeros[CH_SIGNATURE_B];

static struct ch_record second_of(const char *name, uint64_t version, bool there)
{
	struct ch_record record = {.kind = CH_RECORD_SECOND,
		.withdrawn = !there,
		.version = version,
		.name = name,
		.name_len = strlen(name),
		.not_after_s = INT64_MAX,
		.leaf = zeros,
		.leaf_len = 1,
		.signer_id = zeros,
		.n_sealed = 1};

	record.sealed[0] = (struct ch_sealed_view){zeros, 32, zeros, 32, zeros, 49};
	return record;
}

static enum ch_apply_effect apply_second(
	struct ch_replica_writer *writer, const char *name, uint64_t version, bool there)
{
	CH_AUTO_BUF struct ch_buf buf;
	struct ch_record record = second_of(name, version, there);
	struct ch_cursor cursor = cursor_at(version);
	enum ch_apply_effect effect;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	assert_int_equal(ch_record_encode(&record, &buf), CH_OK);
	if (there)
		assert_int_equal(ch_buf_add(&buf, zeros, CH_SIGNATURE_B), CH_OK);
	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	assert_int_equal(ch_replica_put(writer, &record, buf.data, buf.len, &effect), CH_OK);
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, NULL), CH_OK);
	return effect;
}

/* 0: there is none. */
static int second_version(struct fixture *f)
{
	struct ch_replica_reader *reader;
	struct ch_record record = {.version = 0};

	if (ch_replica_reader_open(f->dir, &reader, NULL) || ch_replica_begin(reader))
		return 99;
	if (ch_replica_get_second(reader, "a.example", 9, &record) == CH_OK &&
		!ch_record_has_cert(&record))
		return 98;
	ch_replica_end(reader);
	ch_replica_reader_free(reader);
	return (int)record.version;
}

static void second_certificates_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	uint64_t names;

	apply(writer, "a.example", 1, CH_RECORD_NAME);
	assert_int_equal(in_child(second_version, f), 0);
	assert_int_equal(apply_second(writer, "a.example", 3, true), CH_APPLY_CHANGED);
	assert_int_equal(in_child(second_version, f), 3);
	assert_int_equal(apply_second(writer, "a.example", 2, false), CH_APPLY_STALE);
	assert_int_equal(in_child(second_version, f), 3);
	assert_int_equal(version_of(writer, "a.example/6"), 3);
	assert_int_equal(apply_second(writer, "a.example", 4, false), CH_APPLY_CHANGED);
	assert_int_equal(in_child(second_version, f), 0);
	assert_int_equal(apply_second(writer, "a.example", 3, true), CH_APPLY_STALE);
	assert_int_equal(apply_second(writer, "a.example", 5, true), CH_APPLY_CHANGED);
	assert_int_equal(ch_replica_writer_count(writer, &names), CH_OK);
	assert_int_equal(names, 1);
	ch_replica_writer_free(writer);
}

/* Fed twice, or late: it must not be there when the name comes again. */
static void a_tombstone_takes_the_second_along_for_good(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);

	apply(writer, "a.example", 1, CH_RECORD_NAME);
	apply_second(writer, "a.example", 3, true);
	apply(writer, "a.example", 5, CH_RECORD_TOMBSTONE);
	assert_int_equal(in_child(second_version, f), 0);
	assert_int_equal(apply_second(writer, "a.example", 3, true), CH_APPLY_STALE);
	assert_int_equal(apply_second(writer, "a.example", 4, true), CH_APPLY_STALE);
	apply(writer, "a.example", 6, CH_RECORD_NAME);
	assert_int_equal(in_child(second_version, f), 0);
	assert_int_equal(apply_second(writer, "a.example", 7, true), CH_APPLY_CHANGED);
	assert_int_equal(in_child(second_version, f), 7);
	ch_replica_writer_free(writer);
}

static void a_lost_second_counts_as_missing(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	uint64_t missing;

	apply(writer, "a.example", 1, CH_RECORD_NAME);
	apply_second(writer, "a.example", 3, true);
	apply_second(writer, "b.example", 4, false);
	assert_int_equal(ch_replica_writer_new_generation(writer, &f->err), CH_OK);
	apply(writer, "a.example", 1, CH_RECORD_NAME);
	assert_int_equal(ch_replica_writer_missing(writer, &missing), CH_OK);
	assert_int_equal(missing, 1);
	apply_second(writer, "a.example", 4, false);
	assert_int_equal(ch_replica_writer_missing(writer, &missing), CH_OK);
	assert_int_equal(missing, 1);
	apply_second(writer, "a.example", 5, true);
	assert_int_equal(ch_replica_writer_missing(writer, &missing), CH_OK);
	assert_int_equal(missing, 0);
	ch_replica_writer_free(writer);
}

static void chains_are_stored_once_and_found_by_their_id(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	struct ch_cursor cursor = cursor_at(1);
	struct ch_replica_reader *reader;
	const uint8_t id[CH_CHAIN_ID_B] = {1};
	const uint8_t other[CH_CHAIN_ID_B] = {2};
	const uint8_t *block;
	size_t len;
	bool there = true;

	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	assert_int_equal(ch_replica_has_chain(writer, id, &there), CH_OK);
	assert_false(there);
	assert_int_equal(ch_replica_put_chain(writer, id, (const uint8_t *)"block", 5), CH_OK);
	assert_int_equal(ch_replica_has_chain(writer, id, &there), CH_OK);
	assert_true(there);
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, NULL), CH_OK);
	ch_replica_writer_free(writer);

	assert_int_equal(ch_replica_reader_open(f->dir, &reader, NULL), CH_OK);
	assert_int_equal(ch_replica_begin(reader), CH_OK);
	assert_int_equal(ch_replica_get_chain(reader, id, &block, &len), CH_OK);
	assert_int_equal(len, 5);
	assert_memory_equal(block, "block", 5);
	assert_int_equal(ch_replica_get_chain(reader, other, &block, &len), CH_ENOTFOUND);
	ch_replica_end(reader);
	ch_replica_reader_free(reader);
}

/* Only the head of the record matters here. */
static void put_kind(struct ch_replica_writer *writer, const char *name, uint8_t version,
	enum ch_record_kind kind)
{
	const uint8_t bytes[] = {1, (uint8_t)kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, version};
	struct ch_record record = {
		.kind = kind, .version = version, .name = name, .name_len = strlen(name)};
	struct ch_cursor cursor = cursor_at(version);
	enum ch_apply_effect effect;

	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	assert_int_equal(ch_replica_put(writer, &record, bytes, sizeof(bytes), &effect), CH_OK);
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, NULL), CH_OK);
}

static uint64_t certs_of(struct ch_replica_writer *writer)
{
	uint64_t certs;

	assert_int_equal(ch_replica_writer_live_certs(writer, &certs), CH_OK);
	return certs;
}

static void names_with_a_certificate_are_counted(void **state)
{
	struct ch_replica_writer *writer = open_writer(*state);

	put_kind(writer, "a.example", 1, CH_RECORD_CERT);
	put_kind(writer, "b.example", 2, CH_RECORD_CERT);
	put_kind(writer, "c.example", 3, CH_RECORD_NAME);
	assert_int_equal(certs_of(writer), 2);
	put_kind(writer, "a.example", 4, CH_RECORD_CERT);
	put_kind(writer, "b.example", 5, CH_RECORD_NAME);
	assert_int_equal(certs_of(writer), 1);
	put_kind(writer, "c.example", 6, CH_RECORD_CERT);
	put_kind(writer, "c.example", 7, CH_RECORD_TOMBSTONE);
	put_kind(writer, "a.example", 8, CH_RECORD_TOMBSTONE);
	assert_int_equal(certs_of(writer), 0);
	ch_replica_writer_free(writer);
}

/* As an agent of the version before does, which does not know of the count. */
static void write_without_the_count(struct ch_replica_writer *writer, const char *name)
{
	uint8_t bytes[] = {1, CH_RECORD_CERT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9};
	MDB_val key = {.mv_size = strlen(name), .mv_data = (void *)name};
	MDB_val val = {.mv_size = sizeof(bytes), .mv_data = bytes};
	MDB_txn *txn;

	assert_int_equal(mdb_txn_begin(writer->live.env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_put(txn, writer->live.names, &key, &val, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
}

static void a_count_that_somebody_has_not_kept_is_made_anew(void **state)
{
	struct ch_replica_writer *writer = open_writer(*state);

	put_kind(writer, "a.example", 1, CH_RECORD_CERT);
	write_without_the_count(writer, "b.example");
	write_without_the_count(writer, "c.example");
	assert_int_equal(certs_of(writer), 3);
	put_kind(writer, "a.example", 10, CH_RECORD_TOMBSTONE);
	assert_int_equal(certs_of(writer), 2);
	ch_replica_writer_free(writer);
}

static void an_aborted_transaction_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	enum ch_apply_effect effect;
	struct ch_cursor cursor;
	uint64_t names;

	apply(writer, shop, 1, CH_RECORD_NAME);
	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	assert_int_equal(put_name(writer, "b.example", 2, CH_RECORD_NAME, &effect), CH_OK);
	ch_replica_apply_abort(writer);
	assert_int_equal(ch_replica_writer_cursor(writer, &cursor), CH_OK);
	assert_int_equal(cursor.seq, 1);
	assert_int_equal(ch_replica_writer_count(writer, &names), CH_OK);
	assert_int_equal(names, 1);
	ch_replica_writer_free(writer);
}

static void without_a_transaction_nothing_can_be_put(void **state)
{
	struct ch_replica_writer *writer = open_writer(*state);
	struct ch_cursor cursor = cursor_at(1);
	enum ch_apply_effect effect;

	assert_int_equal(put_name(writer, shop, 1, CH_RECORD_NAME, &effect), CH_EINVAL);
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, NULL), CH_EINVAL);
	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	assert_int_equal(ch_replica_apply_begin(writer), CH_EINVAL);
	cursor.valid = false;
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, NULL), CH_EINVAL);
	ch_replica_writer_free(writer);
}

static int lookups_have_an_end(struct fixture *f)
{
	struct ch_replica_reader *reader;
	struct ch_record record;
	const uint8_t *bytes;
	size_t len;

	if (ch_replica_reader_open(f->dir, &reader, NULL))
		return 50;
	if (ch_replica_get(reader, shop, strlen(shop), &record, &bytes, &len) != CH_EINVAL)
		return 51;
	if (ch_replica_begin(reader) || ch_replica_begin(reader) != CH_EINVAL)
		return 52;
	if (ch_replica_reader_poll(reader, NULL) != CH_EINVAL)
		return 53;
	if (ch_replica_get(reader, "", 0, &record, &bytes, &len) != CH_ENOTFOUND)
		return 54;
	ch_replica_end(reader);
	ch_replica_end(reader);
	ch_replica_reader_free(reader);
	return 0;
}

static void a_lookup_is_between_begin_and_end(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);

	assert_int_equal(in_child(lookups_have_an_end, f), 0);
	ch_replica_writer_free(writer);
}

static void a_full_map_is_told_and_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer;
	struct ch_cursor cursor = cursor_at(2);
	static uint8_t block[CH_CHAIN_MAX_B];
	uint8_t id[CH_CHAIN_ID_B] = {0};
	int rc;

	f->options.map_b = (size_t)1 << 20;
	writer = open_writer(f);
	apply(writer, shop, 1, CH_RECORD_NAME);
	assert_int_equal(ch_replica_apply_begin(writer), CH_OK);
	do {
		rc = ch_replica_put_chain(writer, id, block, sizeof(block));
		id[0]++;
	} while (rc == CH_OK && id[0]);
	assert_int_equal(rc, CH_EFULL);
	/* The first error stays, whatever is put afterwards. */
	assert_int_equal(ch_replica_put_chain(writer, id, block, 1), CH_EFULL);
	assert_int_equal(ch_replica_apply_commit(writer, &cursor, &f->err), CH_EFULL);
	assert_int_equal(f->err.rc, CH_EFULL);
	assert_int_equal(ch_replica_writer_cursor(writer, &cursor), CH_OK);
	assert_int_equal(cursor.seq, 1);
	/* And there is still room for little things. */
	assert_int_equal(apply(writer, "b.example", 3, CH_RECORD_NAME), CH_APPLY_ADDED);
	ch_replica_writer_free(writer);
}

/* The child applies transaction after transaction; each sets two names and the cursor to the
 * same number. */
static int apply_until_killed(struct fixture *f)
{
	struct ch_replica_writer *writer = open_writer(f);
	struct ch_cursor cursor;
	enum ch_apply_effect effect;

	if (ch_replica_writer_cursor(writer, &cursor))
		return 50;
	for (uint64_t n = cursor.seq + 1;; n++) {
		cursor = cursor_at(n);
		if (ch_replica_apply_begin(writer) ||
			put_name(writer, "a.example", n, CH_RECORD_NAME, &effect) ||
			put_name(writer, "b.example", n, CH_RECORD_NAME, &effect) ||
			ch_replica_apply_commit(writer, &cursor, NULL))
			return 51;
	}
}

static void a_writer_that_is_killed_leaves_data_and_cursor_in_step(void **state)
{
	struct fixture *f = *state;
	uint64_t seen = 0;

	for (int round = 0; round < 16; round++) {
		struct ch_replica_writer *writer;
		struct ch_cursor cursor;
		int status;
		pid_t pid = fork();

		if (pid == 0)
			_exit(apply_until_killed(f));
		/* The first rounds end it while it makes the folder. */
		usleep((useconds_t)(round * round * 250));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));

		writer = open_writer(f);
		if (f->err.rc)
			print_message("round %d: %s\n", round, f->err.detail);
		assert_int_equal(f->err.rc, CH_OK); /* nothing was found damaged */
		assert_false(ch_replica_writer_is_rebuilding(writer));
		assert_int_equal(ch_replica_writer_cursor(writer, &cursor), CH_OK);
		assert_true(cursor.seq >= seen);
		seen = cursor.seq;
		assert_int_equal(version_of(writer, "a.example"), seen);
		assert_int_equal(version_of(writer, "b.example"), seen);
		ch_replica_writer_free(writer);
	}
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

/* Which entry comes first above a name, as one letter; '-': none; '!': an error. */
static char next_letter(struct ch_replica_reader *reader, const char *after)
{
	struct ch_replica_entry entry;
	int rc = ch_replica_next(reader, after, strlen(after), &entry);

	return rc == CH_ENOTFOUND ? '-' : rc ? '!' : entry.key[0];
}

static int walk_in_order(struct fixture *f)
{
	struct ch_replica_reader *reader;
	int ok;

	if (ch_replica_reader_open(f->dir, &reader, NULL))
		return 50;
	if (next_letter(reader, "") != '!') /* outside of a lookup */
		return 51;
	if (ch_replica_begin(reader))
		return 52;
	ok = next_letter(reader, "") == 'a' && next_letter(reader, "a.example") == 'b' &&
	     next_letter(reader, "a") == 'a' && next_letter(reader, "a.examplf") == 'b' &&
	     next_letter(reader, "b.example") == 'c' && next_letter(reader, "c.example") == '-';
	ch_replica_end(reader);
	ch_replica_reader_free(reader);
	return ok ? 0 : 53;
}

static void a_reader_walks_through_all_entries_in_order(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);

	assert_int_equal(apply(writer, "c.example", 1, CH_RECORD_NAME), CH_APPLY_ADDED);
	assert_int_equal(apply(writer, "a.example", 1, CH_RECORD_NAME), CH_APPLY_ADDED);
	assert_int_equal(apply(writer, "b.example", 1, CH_RECORD_NAME), CH_APPLY_ADDED);
	assert_int_equal(apply(writer, "b.example", 2, CH_RECORD_TOMBSTONE), CH_APPLY_REMOVED);
	assert_int_equal(in_child(walk_in_order, f), 0);
	ch_replica_writer_free(writer);
}

/* As touch does, a long time ago. */
static void make_old(const char *path)
{
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* 0: both are old; bit 0: it was changed since, bit 1: heard of since. */
static int what_is_new(struct fixture *f)
{
	struct ch_replica_reader *reader;
	int64_t changed_s = 0;
	int64_t heard_s = 0;

	if (ch_replica_reader_open(f->dir, &reader, NULL) ||
		ch_replica_changed_at(reader, &changed_s) ||
		ch_replica_heard_at(reader, &heard_s))
		return 90;
	ch_replica_reader_free(reader);
	return (changed_s != 1000) + 2 * (heard_s != 1000);
}

static int nothing_is_known(struct fixture *f)
{
	struct ch_replica_reader *reader;
	int64_t at_s = 0;

	if (ch_replica_reader_new("/nowhere/at/all", &reader))
		return 90;
	if (ch_replica_changed_at(reader, &at_s) != CH_ENOTFOUND)
		return 91;
	if (ch_replica_heard_at(reader, &at_s) != CH_ENOTFOUND)
		return 92;
	ch_replica_reader_free(reader);
	(void)f;
	return 0;
}

static void readers_see_when_it_was_changed_and_heard_of(void **state)
{
	struct fixture *f = *state;
	struct ch_replica_writer *writer = open_writer(f);
	char data[256];
	char lock[128];

	live_path(f, "data.mdb", data);
	snprintf(lock, sizeof(lock), "%s/writer.lock", f->dir);
	make_old(data);
	make_old(lock);
	assert_int_equal(in_child(what_is_new, f), 0);
	assert_int_equal(apply(writer, shop, 5, CH_RECORD_NAME), CH_APPLY_ADDED);
	assert_int_equal(in_child(what_is_new, f), 1);
	make_old(data);
	ch_replica_writer_heard(writer);
	assert_int_equal(in_child(what_is_new, f), 2);
	assert_int_equal(in_child(nothing_is_known, f), 0);
	ch_replica_writer_free(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_folder_has_an_empty_live_generation),
		TEST(only_a_higher_version_is_applied),
		TEST(a_tombstone_removes_a_name_and_keeps_older_versions_out),
		TEST(policies_lie_beside_their_names),
		TEST(a_tombstone_takes_the_policy_along),
		TEST(second_certificates_come_and_go),
		TEST(a_tombstone_takes_the_second_along_for_good),
		TEST(a_lost_second_counts_as_missing),
		TEST(chains_are_stored_once_and_found_by_their_id),
		TEST(names_with_a_certificate_are_counted),
		TEST(a_count_that_somebody_has_not_kept_is_made_anew),
		TEST(an_aborted_transaction_changes_nothing),
		TEST(without_a_transaction_nothing_can_be_put),
		TEST(a_lookup_is_between_begin_and_end),
		TEST(a_reader_walks_through_all_entries_in_order),
		TEST(readers_see_when_it_was_changed_and_heard_of),
		TEST(a_full_map_is_told_and_changes_nothing),
		TEST(a_writer_that_is_killed_leaves_data_and_cursor_in_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
