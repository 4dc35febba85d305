#include "edge/replica.h"

#include <lmdb.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "edge/generation.h"

struct ch_replica_reader {
	char dir[CH_REPLICA_DIR_B];
	struct ch_generation gen; /* gen.env NULL: nothing open yet */
	MDB_txn *txn;		  /* owned; reset between lookups, so that it holds no page */
	bool in_lookup;
};

int ch_replica_reader_new(const char *dir, struct ch_replica_reader **ret_reader)
{
	struct ch_replica_reader *reader;

	if (strlen(dir) >= CH_REPLICA_DIR_B)
		return CH_ETOOBIG;
	reader = calloc(1, sizeof(*reader));
	if (!reader)
		return CH_ENOMEM;
	memcpy(reader->dir, dir, strlen(dir) + 1);
	*ret_reader = reader;
	return CH_OK;
}

static void close_generation(struct ch_generation *gen, MDB_txn **txn)
{
	if (*txn)
		mdb_txn_abort(*txn);
	*txn = NULL;
	ch_generation_close(gen);
}

void ch_replica_reader_free(struct ch_replica_reader *reader)
{
	if (!reader)
		return;
	close_generation(&reader->gen, &reader->txn);
	free(reader);
}

static void reader_free_p(struct ch_replica_reader **reader)
{
	ch_replica_reader_free(*reader);
}

bool ch_replica_reader_is_open(const struct ch_replica_reader *reader)
{
	return reader->gen.env != NULL;
}

/* Opens the generation beside what is open now, and only then swaps. */
static int switch_to(struct ch_replica_reader *reader, const char *name, struct ch_err *err)
{
	struct ch_generation_open how = {.writer = false};
	struct ch_generation gen;
	MDB_txn *txn;
	int rc = ch_generation_check(reader->dir, name, err);
	int mdb_rc;

	if (rc == CH_OK)
		rc = ch_generation_open(reader->dir, name, &how, &gen, err);
	if (rc)
		return rc;
	/* Takes this process's place in the table of readers; from now on without a lock. */
	mdb_rc = mdb_txn_begin(gen.env, NULL, MDB_RDONLY, &txn);
	if (mdb_rc) {
		rc = ch_lmdb_fail(err, mdb_rc, "become a reader", name);
		ch_generation_close(&gen);
		return rc;
	}
	mdb_txn_reset(txn);
	close_generation(&reader->gen, &reader->txn);
	reader->gen = gen;
	reader->txn = txn;
	return CH_OK;
}

int ch_replica_reader_poll(struct ch_replica_reader *reader, struct ch_err *err)
{
	char name[CH_GENERATION_NAME_B];
	char again[CH_GENERATION_NAME_B];
	int rc;

	if (reader->in_lookup)
		return ch_err_set(err, CH_EINVAL, "replica", "polled within a lookup");
	rc = ch_generation_read_pointer(reader->dir, CH_REPLICA_CURRENT, name, err);
	for (int tries = 0; rc == CH_OK && tries < 3; tries++) {
		if (reader->gen.env && strcmp(name, reader->gen.name) == 0)
			return 0;
		rc = switch_to(reader, name, err);
		if (rc == CH_OK)
			return 1;
		/* The writer may have replaced and removed it meanwhile. */
		if (ch_generation_read_pointer(reader->dir, CH_REPLICA_CURRENT, again, NULL) ||
			strcmp(name, again) == 0)
			return rc;
		memcpy(name, again, sizeof(name));
		rc = CH_OK;
	}
	return rc ? rc : CH_EAGAIN;
}

int ch_replica_reader_open(
	const char *dir, struct ch_replica_reader **ret_reader, struct ch_err *err)
{
	CH_CLEANUP(reader_free_p) struct ch_replica_reader *reader = NULL;
	int rc = ch_replica_reader_new(dir, &reader);

	if (rc)
		return ch_err_set(err, rc, "replica", "cannot read a replica at %s: %s", dir,
			ch_rc_str(rc));
	rc = ch_replica_reader_poll(reader, err);
	if (rc < 0)
		return rc;
	*ret_reader = TAKE_PTR(reader);
	return CH_OK;
}

int ch_replica_begin(struct ch_replica_reader *reader)
{
	int rc;
	int mdb_rc;

	if (!reader->gen.env)
		return CH_ENOTFOUND;
	if (reader->in_lookup)
		return CH_EINVAL;
	rc = ch_generation_check_size(&reader->gen);
	if (rc)
		return rc;
	mdb_rc = mdb_txn_renew(reader->txn);
	if (mdb_rc == MDB_MAP_RESIZED) { /* the writer was given a larger map */
		mdb_rc = mdb_env_set_mapsize(reader->gen.env, 0);
		if (mdb_rc == 0)
			mdb_rc = mdb_txn_renew(reader->txn);
	}
	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	reader->in_lookup = true;
	return CH_OK;
}

void ch_replica_end(struct ch_replica_reader *reader)
{
	if (!reader->in_lookup)
		return;
	mdb_txn_reset(reader->txn);
	reader->in_lookup = false;
}

int ch_replica_get(struct ch_replica_reader *reader, const char *name, size_t name_len,
	struct ch_record *ret_record, const uint8_t **ret_bytes, size_t *ret_len)
{
	MDB_val key = {.mv_size = name_len, .mv_data = (void *)name};
	MDB_val val;
	struct ch_record record;
	int rc;

	if (!reader->in_lookup || name_len == 0 || name_len > CH_NAME_MAX)
		return reader->in_lookup ? CH_ENOTFOUND : CH_EINVAL;
	rc = ch_lmdb_rc(mdb_get(reader->txn, reader->gen.names, &key, &val));
	if (rc == CH_OK)
		rc = ch_record_decode(val.mv_data, val.mv_size, &record);
	if (rc)
		return rc == CH_EPROTO ? CH_ECORRUPT : rc;
	/* A record is only ever answered for the name that it speaks of. */
	if (record.name_len != name_len || memcmp(record.name, name, name_len) != 0)
		return CH_ECORRUPT;
	if (record.kind == CH_RECORD_TOMBSTONE)
		return CH_ENOTFOUND;
	*ret_record = record;
	*ret_bytes = val.mv_data;
	*ret_len = val.mv_size;
	return CH_OK;
}

static int get_extra(struct ch_replica_reader *reader, enum ch_record_kind kind,
	const char *name, size_t name_len, struct ch_record *ret_record)
{
	char text[CH_RECORD_KEY_B];
	MDB_val key = {.mv_data = text};
	MDB_val val;
	struct ch_record record;
	int rc;

	if (!reader->in_lookup || name_len == 0 || name_len > CH_NAME_MAX)
		return reader->in_lookup ? CH_ENOTFOUND : CH_EINVAL;
	key.mv_size = ch_record_key(kind, name, name_len, text);
	rc = ch_lmdb_rc(mdb_get(reader->txn, reader->gen.extras, &key, &val));
	if (rc == CH_OK)
		rc = ch_record_decode(val.mv_data, val.mv_size, &record);
	if (rc)
		return rc == CH_EPROTO ? CH_ECORRUPT : rc;
	if (record.kind != kind || record.name_len != name_len ||
		memcmp(record.name, name, name_len) != 0)
		return CH_ECORRUPT;
	*ret_record = record;
	return CH_OK;
}

int ch_replica_get_policy(struct ch_replica_reader *reader, const char *name, size_t name_len,
	struct ch_record *ret_record)
{
	return get_extra(reader, CH_RECORD_POLICY, name, name_len, ret_record);
}

int ch_replica_get_challenge(struct ch_replica_reader *reader, const char *name,
	size_t name_len, struct ch_record *ret_record)
{
	return get_extra(reader, CH_RECORD_CHALLENGE, name, name_len, ret_record);
}

int ch_replica_get_second(struct ch_replica_reader *reader, const char *name, size_t name_len,
	struct ch_record *ret_record)
{
	struct ch_record record;
	int rc = get_extra(reader, CH_RECORD_SECOND, name, name_len, &record);

	if (rc)
		return rc;
	if (record.withdrawn)
		return CH_ENOTFOUND;
	*ret_record = record;
	return CH_OK;
}

int ch_replica_get_tickets(struct ch_replica_reader *reader, struct ch_record *ret_record)
{
	MDB_val key = {.mv_size = sizeof(CH_META_TICKETS) - 1, .mv_data = CH_META_TICKETS};
	struct ch_record record;
	MDB_val val;
	int rc;

	if (!reader->in_lookup)
		return CH_EINVAL;
	rc = ch_lmdb_rc(mdb_get(reader->txn, reader->gen.meta, &key, &val));
	if (rc == CH_OK)
		rc = ch_record_decode(val.mv_data, val.mv_size, &record);
	if (rc == CH_OK && record.kind != CH_RECORD_TICKETS)
		rc = CH_EPROTO;
	if (rc)
		return rc == CH_EPROTO ? CH_ECORRUPT : rc;
	*ret_record = record;
	return CH_OK;
}

static int next_of(struct ch_replica_reader *reader, MDB_dbi dbi, const char *after, size_t len,
	struct ch_replica_entry *ret_entry)
{
	MDB_val key = {.mv_size = len, .mv_data = (void *)after};
	MDB_cursor *cursor;
	MDB_val val;
	int mdb_rc;

	mdb_rc = mdb_cursor_open(reader->txn, dbi, &cursor);
	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	mdb_rc = mdb_cursor_get(cursor, &key, &val, len ? MDB_SET_RANGE : MDB_FIRST);
	if (mdb_rc == 0 && key.mv_size == len && memcmp(key.mv_data, after, len) == 0)
		mdb_rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
	mdb_cursor_close(cursor);
	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	*ret_entry = (struct ch_replica_entry){.key = key.mv_data,
		.key_len = key.mv_size,
		.bytes = val.mv_data,
		.len = val.mv_size};
	return CH_OK;
}

static bool is_below(const struct ch_replica_entry *a, const struct ch_replica_entry *b)
{
	size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
	int order = memcmp(a->key, b->key, len);

	return order < 0 || (order == 0 && a->key_len < b->key_len);
}

int ch_replica_next(struct ch_replica_reader *reader, const char *after, size_t len,
	struct ch_replica_entry *ret_entry)
{
	struct ch_replica_entry name;
	struct ch_replica_entry extra;
	int name_rc;
	int extra_rc;

	if (!reader->in_lookup)
		return CH_EINVAL;
	name_rc = next_of(reader, reader->gen.names, after, len, &name);
	extra_rc = next_of(reader, reader->gen.extras, after, len, &extra);
	if (name_rc && name_rc != CH_ENOTFOUND)
		return name_rc;
	if (extra_rc && extra_rc != CH_ENOTFOUND)
		return extra_rc;
	if (name_rc && extra_rc)
		return CH_ENOTFOUND;
	*ret_entry = name_rc || (!extra_rc && is_below(&extra, &name)) ? extra : name;
	return CH_OK;
}

int ch_replica_get_chain(struct ch_replica_reader *reader, const uint8_t id[CH_CHAIN_ID_B],
	const uint8_t **ret_block, size_t *ret_len)
{
	MDB_val key = {.mv_size = CH_CHAIN_ID_B, .mv_data = (void *)id};
	MDB_val val;
	int rc;

	if (!reader->in_lookup)
		return CH_EINVAL;
	rc = ch_lmdb_rc(mdb_get(reader->txn, reader->gen.chains, &key, &val));
	if (rc)
		return rc;
	*ret_block = val.mv_data;
	*ret_len = val.mv_size;
	return CH_OK;
}

int ch_replica_cursor(struct ch_replica_reader *reader, struct ch_cursor *ret_cursor)
{
	if (!reader->in_lookup)
		return CH_EINVAL;
	return ch_generation_cursor(&reader->gen, reader->txn, ret_cursor);
}

bool ch_replica_is_superseded(struct ch_replica_reader *reader)
{
	MDB_val key = {.mv_size = sizeof(CH_META_NEXT) - 1, .mv_data = CH_META_NEXT};
	MDB_val val;

	return reader->in_lookup && mdb_get(reader->txn, reader->gen.meta, &key, &val) == 0;
}

int ch_replica_changed_at(const struct ch_replica_reader *reader, int64_t *ret_s)
{
	struct stat st;

	if (!reader->gen.env)
		return CH_ENOTFOUND;
	if (fstat(reader->gen.fd, &st))
		return CH_EIO;
	*ret_s = st.st_mtime;
	return CH_OK;
}

int ch_replica_heard_at(const struct ch_replica_reader *reader, int64_t *ret_s)
{
	char path[CH_REPLICA_PATH_B];
	struct stat st;
	int rc = ch_generation_path(path, reader->dir, CH_REPLICA_LOCK, NULL);

	if (rc)
		return rc;
	if (lstat(path, &st))
		return errno == ENOENT ? CH_ENOTFOUND : CH_EIO;
	*ret_s = st.st_mtime;
	return CH_OK;
}
