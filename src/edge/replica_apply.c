#include "edge/replica.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "edge/replica_writer.h"

/* Room that is always there behind the last page, as a hole: LMDB may leave pages at the very
 * end unwritten that it freed within the same transaction, and readers rightly refuse a file
 * that ends before its last page. */
#define ROOM_B ((off_t)256 << 20)

/* With less than this left, what was not written did not find room. */
#define FULL_B 65536

static int keep_room(struct ch_generation *gen, off_t room_b)
{
	MDB_envinfo info;
	MDB_stat env_stat;
	struct stat st;
	off_t want_b;

	if (mdb_env_info(gen->env, &info) || mdb_env_stat(gen->env, &env_stat) ||
		fstat(gen->fd, &st) < 0)
		return CH_EIO;
	want_b = ((off_t)info.me_last_pgno + 1) * (off_t)env_stat.ms_psize + room_b;
	if (want_b > (off_t)info.me_mapsize)
		want_b = (off_t)info.me_mapsize;
	if (st.st_size >= want_b || ftruncate(gen->fd, want_b) == 0)
		return CH_OK;
	return ch_lmdb_rc(errno);
}

int ch_replica_apply_begin(struct ch_replica_writer *writer)
{
	struct ch_generation *gen = ch_replica_target(writer);
	MDB_txn *txn;
	int rc;
	int mdb_rc;

	if (!gen->env || writer->txn)
		return CH_EINVAL;
	/* In this order: room must not make a file that was cut look whole. */
	rc = ch_generation_check_size(gen);
	if (rc == CH_OK)
		rc = keep_room(gen, ROOM_B);
	if (rc)
		return rc;
	mdb_rc = mdb_txn_begin(gen->env, NULL, 0, &txn);
	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	rc = ch_generation_count(gen, txn, &writer->names);
	if (rc == CH_OK)
		rc = ch_generation_certs(gen, txn, &writer->certs);
	if (rc) {
		mdb_txn_abort(txn);
		return rc;
	}
	writer->txn = txn;
	writer->txn_rc = CH_OK;
	return CH_OK;
}

/* What matters of a stored record, read by hand: it may be of a later format than ours, and its
 * head has the same shape in all of them. */
struct stored {
	bool there;
	bool live;
	bool cert;
	uint64_t version;
};

static int look_up(
	struct ch_replica_writer *writer, MDB_dbi dbi, MDB_val *key, struct stored *ret_stored)
{
	struct stored stored = {.there = false};
	struct ch_reader r;
	MDB_val val;
	int mdb_rc = mdb_get(writer->txn, dbi, key, &val);

	if (mdb_rc && mdb_rc != MDB_NOTFOUND)
		return ch_lmdb_rc(mdb_rc);
	if (mdb_rc == 0) {
		ch_reader_init(&r, val.mv_data, val.mv_size);
		(void)ch_read_u8(&r);
		stored.there = true;
		stored.live = ch_generation_kind(&val) != CH_RECORD_TOMBSTONE;
		stored.cert = ch_generation_kind(&val) == CH_RECORD_CERT;
		(void)ch_read_u8(&r);
		(void)ch_read_u16(&r);
		stored.version = ch_read_u64(&r);
		if (r.rc)
			return CH_ECORRUPT;
	}
	*ret_stored = stored;
	return CH_OK;
}

/* Removes what is kept beside the record of a name: keys that are the name, '/' and more. */
static int drop_extras(struct ch_replica_writer *writer, const char *name, size_t name_len)
{
	char prefix[CH_RECORD_KEY_B];
	MDB_val key = {.mv_size = name_len + 1, .mv_data = prefix};
	MDB_cursor *cursor;
	int mdb_rc = mdb_cursor_open(writer->txn, ch_replica_target(writer)->extras, &cursor);

	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	memcpy(prefix, name, name_len);
	prefix[name_len] = '/';
	mdb_rc = mdb_cursor_get(cursor, &key, NULL, MDB_SET_RANGE);
	while (mdb_rc == 0 && key.mv_size > name_len &&
		memcmp(key.mv_data, prefix, name_len + 1) == 0) {
		mdb_rc = mdb_cursor_del(cursor, 0);
		if (mdb_rc == 0)
			mdb_rc = mdb_cursor_get(cursor, &key, NULL, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return mdb_rc == MDB_NOTFOUND ? CH_OK : ch_lmdb_rc(mdb_rc);
}

/* *ret_stored: what was there before.  CH_EAGAIN: it is not older than the record. */
static int put_newer(struct ch_replica_writer *writer, MDB_dbi dbi,
	const struct ch_record *record, const uint8_t *bytes, size_t len,
	struct stored *ret_stored)
{
	char text[CH_RECORD_KEY_B];
	MDB_val key = {.mv_data = text};
	MDB_val val = {.mv_size = len, .mv_data = (void *)bytes};
	int rc;

	key.mv_size = ch_record_key(record->kind, record->name, record->name_len, text);
	if (writer->build.env) {
		int mdb_rc = mdb_put(writer->txn, dbi, &key, &val, MDB_APPEND);

		/* Pages that are appended to are filled; others are split in half. */
		if (mdb_rc != MDB_KEYEXIST)
			return ch_lmdb_rc(mdb_rc);
	}
	rc = look_up(writer, dbi, &key, ret_stored);
	if (rc)
		return rc;
	if (ret_stored->there && record->version <= ret_stored->version)
		return CH_EAGAIN;
	return ch_lmdb_rc(mdb_put(writer->txn, dbi, &key, &val, 0));
}

/* What is older than the tombstone of its name went with it, and must not be there when the
 * name comes again. */
static int outlived(
	struct ch_replica_writer *writer, const struct ch_record *record, bool *ret_outlived)
{
	MDB_val key = {.mv_size = record->name_len, .mv_data = (void *)record->name};
	struct stored stored;
	int rc = look_up(writer, ch_replica_target(writer)->names, &key, &stored);

	if (rc == CH_OK)
		*ret_outlived =
			stored.there && !stored.live && record->version < stored.version;
	return rc;
}

static int put_extra(struct ch_replica_writer *writer, const struct ch_record *record,
	const uint8_t *bytes, size_t len, enum ch_apply_effect *ret_effect)
{
	struct stored stored = {.there = false};
	bool is_outlived;
	int rc = outlived(writer, record, &is_outlived);

	if (rc == CH_OK)
		rc = is_outlived ? CH_EAGAIN
				 : put_newer(writer, ch_replica_target(writer)->extras, record,
					   bytes, len, &stored);
	*ret_effect = rc ? CH_APPLY_STALE : CH_APPLY_CHANGED;
	return rc == CH_EAGAIN ? CH_OK : rc;
}

static int put_record(struct ch_replica_writer *writer, const struct ch_record *record,
	const uint8_t *bytes, size_t len, enum ch_apply_effect *ret_effect)
{
	bool live = record->kind != CH_RECORD_TOMBSTONE;
	struct stored stored = {.there = false};
	int rc;

	if (record->kind == CH_RECORD_POLICY || record->kind == CH_RECORD_SECOND ||
		record->kind == CH_RECORD_CHALLENGE)
		return put_extra(writer, record, bytes, len, ret_effect);
	if (record->kind == CH_RECORD_TICKETS)
		return ch_replica_put_tickets(writer, record, bytes, len, ret_effect);
	rc = put_newer(writer, ch_replica_target(writer)->names, record, bytes, len, &stored);
	if (rc == CH_EAGAIN) {
		*ret_effect = CH_APPLY_STALE;
		return CH_OK;
	}
	if (rc == CH_OK && !live)
		rc = drop_extras(writer, record->name, record->name_len);
	if (rc)
		return rc;
	if (live)
		*ret_effect = stored.live ? CH_APPLY_CHANGED : CH_APPLY_ADDED;
	else
		*ret_effect = stored.live ? CH_APPLY_REMOVED : CH_APPLY_STALE;
	writer->names += (uint64_t)(live && !stored.live);
	writer->names -= (uint64_t)(!live && stored.live);
	writer->certs += (uint64_t)(record->kind == CH_RECORD_CERT && !stored.cert);
	writer->certs -= (uint64_t)(record->kind != CH_RECORD_CERT && stored.cert);
	return CH_OK;
}

int ch_replica_put(struct ch_replica_writer *writer, const struct ch_record *record,
	const uint8_t *bytes, size_t len, enum ch_apply_effect *ret_effect)
{
	if (!writer->txn)
		return CH_EINVAL;
	if (record->name_len == 0 || record->name_len > CH_NAME_MAX || len > CH_RECORD_MAX_B)
		return CH_EINVAL;
	if (writer->txn_rc == CH_OK)
		writer->txn_rc = put_record(writer, record, bytes, len, ret_effect);
	return writer->txn_rc;
}

int ch_replica_put_chain(struct ch_replica_writer *writer, const uint8_t id[CH_CHAIN_ID_B],
	const uint8_t *block, size_t len)
{
	MDB_val key = {.mv_size = CH_CHAIN_ID_B, .mv_data = (void *)id};
	MDB_val val = {.mv_size = len, .mv_data = (void *)block};

	if (!writer->txn || len > CH_CHAIN_MAX_B)
		return CH_EINVAL;
	if (writer->txn_rc == CH_OK)
		writer->txn_rc = ch_lmdb_rc(
			mdb_put(writer->txn, ch_replica_target(writer)->chains, &key, &val, 0));
	return writer->txn_rc;
}

int ch_replica_has_chain(
	struct ch_replica_writer *writer, const uint8_t id[CH_CHAIN_ID_B], bool *ret_there)
{
	MDB_val key = {.mv_size = CH_CHAIN_ID_B, .mv_data = (void *)id};
	MDB_val val;
	int mdb_rc;

	if (!writer->txn)
		return CH_EINVAL;
	mdb_rc = mdb_get(writer->txn, ch_replica_target(writer)->chains, &key, &val);
	if (mdb_rc && mdb_rc != MDB_NOTFOUND)
		return ch_lmdb_rc(mdb_rc);
	*ret_there = mdb_rc == 0;
	return CH_OK;
}

static int put_meta(
	struct ch_replica_writer *writer, const char *name, const struct ch_buf *buf)
{
	MDB_val key = {.mv_size = strlen(name), .mv_data = (void *)name};
	MDB_val val = {.mv_size = buf->len, .mv_data = buf->data};

	if (buf->rc)
		return buf->rc;
	return ch_lmdb_rc(mdb_put(writer->txn, ch_replica_target(writer)->meta, &key, &val, 0));
}

static int put_counts(struct ch_replica_writer *writer)
{
	CH_AUTO_BUF struct ch_buf buf;
	int rc;

	ch_buf_init(&buf, 16);
	ch_buf_add_u64(&buf, writer->names);
	rc = put_meta(writer, "names", &buf);
	if (rc)
		return rc;
	ch_buf_reset(&buf);
	ch_buf_add_u64(&buf, writer->certs);
	ch_buf_add_u64(&buf, mdb_txn_id(writer->txn));
	return put_meta(writer, "certs", &buf);
}

static int put_cursor(struct ch_replica_writer *writer, const struct ch_cursor *cursor)
{
	CH_AUTO_BUF struct ch_buf buf;

	ch_buf_init(&buf, 64);
	ch_buf_add(&buf, cursor->epoch, CH_EPOCH_B);
	ch_buf_add_u64(&buf, cursor->seq);
	ch_buf_add_u64(&buf, cursor->base);
	return put_meta(writer, "cursor", &buf);
}

static int put_place(struct ch_replica_writer *writer, const struct ch_place *place)
{
	CH_AUTO_BUF struct ch_buf buf;

	ch_buf_init(&buf, 64 + CH_RECORD_KEY_B);
	ch_buf_add_u8(&buf, place->done);
	ch_buf_add(&buf, place->epoch, CH_EPOCH_B);
	ch_buf_add_u64(&buf, place->head);
	ch_buf_add_str(&buf, place->key);
	return put_meta(writer, "place", &buf);
}

/* cursor NULL: there is none yet; place NULL: not of a snapshot by name. */
/* Of a write that the disk took only in part, as one does that gets full, LMDB says EIO. */
static int why_not_written(int fd, int mdb_rc)
{
	struct statvfs fs;

	if (mdb_rc == EIO && fstatvfs(fd, &fs) == 0 && fs.f_bavail * fs.f_frsize < FULL_B)
		return ENOSPC;
	return mdb_rc;
}

static int commit(struct ch_replica_writer *writer, const struct ch_place *place,
	const struct ch_cursor *cursor, struct ch_err *err)
{
	struct ch_generation *gen = ch_replica_target(writer);
	int rc = writer->txn_rc;
	int mdb_rc = 0;

	if (!writer->txn || (cursor && !cursor->valid)) {
		ch_replica_apply_abort(writer);
		return ch_err_set(err, CH_EINVAL, "replica", "nothing to commit");
	}
	if (rc == CH_OK && place)
		rc = put_place(writer, place);
	if (rc == CH_OK && cursor)
		rc = put_cursor(writer, cursor);
	if (rc == CH_OK)
		rc = put_counts(writer);
	if (rc) {
		ch_replica_apply_abort(writer);
		return ch_err_set(err, rc, "replica", "cannot write to replica %s: %s",
			gen->name, ch_rc_str(rc));
	}
	mdb_rc = mdb_txn_commit(writer->txn); /* frees it in any case */
	writer->txn = NULL;
	if (mdb_rc)
		return ch_lmdb_fail(
			err, why_not_written(gen->fd, mdb_rc), "commit a change", gen->name);
	rc = keep_room(gen, 0);
	return rc ? ch_err_set(err, rc, "replica", "cannot extend replica %s", gen->name)
		  : CH_OK;
}

int ch_replica_apply_commit(
	struct ch_replica_writer *writer, const struct ch_cursor *cursor, struct ch_err *err)
{
	return commit(writer, NULL, cursor, err);
}

int ch_replica_apply_commit_place(struct ch_replica_writer *writer,
	const struct ch_place *place, const struct ch_cursor *cursor, struct ch_err *err)
{
	return commit(writer, place, place->done ? cursor : NULL, err);
}

void ch_replica_apply_abort(struct ch_replica_writer *writer)
{
	if (writer->txn)
		mdb_txn_abort(writer->txn);
	writer->txn = NULL;
}

/* Reads outside of an open transaction, from a snapshot of the generation. */
static int read_snapshot(struct ch_generation *gen,
	int (*read)(const struct ch_generation *gen, MDB_txn *txn, void *ret_value),
	void *ret_value)
{
	MDB_txn *txn;
	int rc;
	int mdb_rc;

	if (!gen->env)
		return CH_EINVAL;
	rc = ch_generation_check_size(gen);
	if (rc)
		return rc;
	mdb_rc = mdb_txn_begin(gen->env, NULL, MDB_RDONLY, &txn);
	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	rc = read(gen, txn, ret_value);
	mdb_txn_abort(txn);
	return rc;
}

static int read_cursor(const struct ch_generation *gen, MDB_txn *txn, void *ret_value)
{
	return ch_generation_cursor(gen, txn, ret_value);
}

static int read_certs(const struct ch_generation *gen, MDB_txn *txn, void *ret_value)
{
	return ch_generation_certs(gen, txn, ret_value);
}

static int read_place(const struct ch_generation *gen, MDB_txn *txn, void *ret_value)
{
	return ch_generation_place(gen, txn, ret_value);
}

static int read_count(const struct ch_generation *gen, MDB_txn *txn, void *ret_value)
{
	return ch_generation_count(gen, txn, ret_value);
}

int ch_replica_writer_cursor(struct ch_replica_writer *writer, struct ch_cursor *ret_cursor)
{
	return read_snapshot(ch_replica_target(writer), read_cursor, ret_cursor);
}

int ch_replica_writer_live_cursor(
	struct ch_replica_writer *writer, struct ch_cursor *ret_cursor)
{
	return read_snapshot(&writer->live, read_cursor, ret_cursor);
}

int ch_replica_writer_place(struct ch_replica_writer *writer, struct ch_place *ret_place)
{
	return read_snapshot(ch_replica_target(writer), read_place, ret_place);
}

int ch_replica_writer_count(struct ch_replica_writer *writer, uint64_t *ret_names)
{
	return read_snapshot(ch_replica_target(writer), read_count, ret_names);
}

int ch_replica_writer_live_certs(struct ch_replica_writer *writer, uint64_t *ret_certs)
{
	if (writer->live.env)
		return read_snapshot(&writer->live, read_certs, ret_certs);
	*ret_certs = 0;
	return CH_OK;
}

int ch_replica_writer_live_count(struct ch_replica_writer *writer, uint64_t *ret_names)
{
	if (writer->live.env)
		return read_snapshot(&writer->live, read_count, ret_names);
	*ret_names = 0;
	return CH_OK;
}

struct get {
	const char *key;
	size_t key_len;
	struct ch_buf *out;
};

static int read_record(const struct ch_generation *gen, MDB_txn *txn, void *ret_value)
{
	struct get *get = ret_value;
	MDB_val key = {.mv_size = get->key_len, .mv_data = (void *)get->key};
	MDB_dbi dbi = memchr(get->key, '/', get->key_len) ? gen->extras : gen->names;
	MDB_val val;
	int rc = ch_lmdb_rc(mdb_get(txn, dbi, &key, &val));

	return rc ? rc : ch_buf_add(get->out, val.mv_data, val.mv_size);
}

int ch_replica_writer_get(
	struct ch_replica_writer *writer, const char *key, size_t key_len, struct ch_buf *out)
{
	struct get get = {.key = key, .key_len = key_len, .out = out};

	if (key_len == 0 || key_len >= CH_RECORD_KEY_B)
		return CH_ENOTFOUND;
	return read_snapshot(ch_replica_target(writer), read_record, &get);
}
