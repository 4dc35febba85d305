/* The keys of session tickets: one record, beside the names. */
#include <string.h>

#include "edge/replica.h"
#include "edge/replica_writer.h"
#include "wire/tickets.h"

static MDB_val key_of(const char *text)
{
	return (MDB_val){.mv_size = strlen(text), .mv_data = (void *)text};
}

/* 0: none was ever taken. */
static int read_version(MDB_txn *txn, MDB_dbi meta, uint64_t *ret_version)
{
	MDB_val key = key_of(CH_META_TICKETS_VERSION);
	struct ch_reader r;
	MDB_val val;
	int mdb_rc = mdb_get(txn, meta, &key, &val);

	*ret_version = 0;
	if (mdb_rc)
		return mdb_rc == MDB_NOTFOUND ? CH_OK : ch_lmdb_rc(mdb_rc);
	ch_reader_init(&r, val.mv_data, val.mv_size);
	*ret_version = ch_read_u64(&r);
	return r.rc ? CH_ECORRUPT : CH_OK;
}

static int write_version(MDB_txn *txn, MDB_dbi meta, uint64_t version)
{
	MDB_val key = key_of(CH_META_TICKETS_VERSION);
	uint8_t bytes[8];
	MDB_val val = {.mv_size = sizeof(bytes), .mv_data = bytes};

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(version >> (56 - 8 * i));
	return ch_lmdb_rc(mdb_put(txn, meta, &key, &val, 0));
}

int ch_replica_put_tickets(struct ch_replica_writer *writer, const struct ch_record *record,
	const uint8_t *bytes, size_t len, enum ch_apply_effect *ret_effect)
{
	MDB_dbi meta = ch_replica_target(writer)->meta;
	MDB_val key = key_of(CH_META_TICKETS);
	MDB_val val = {.mv_size = len, .mv_data = (void *)bytes};
	uint64_t version;
	int rc = read_version(writer->txn, meta, &version);

	if (rc)
		return rc;
	*ret_effect = record->version > version ? CH_APPLY_CHANGED : CH_APPLY_STALE;
	if (record->version <= version)
		return CH_OK;
	rc = ch_lmdb_rc(mdb_put(writer->txn, meta, &key, &val, 0));
	return rc ? rc : write_version(writer->txn, meta, record->version);
}

int ch_replica_writer_tickets(struct ch_replica_writer *writer, struct ch_buf *out)
{
	struct ch_generation *gen = ch_replica_target(writer);
	MDB_val key = key_of(CH_META_TICKETS);
	MDB_txn *txn;
	MDB_val val;
	int mdb_rc;
	int rc;

	if (!gen->env || writer->txn)
		return CH_EINVAL;
	rc = ch_generation_check_size(gen);
	if (rc == CH_OK)
		rc = ch_lmdb_rc(mdb_txn_begin(gen->env, NULL, MDB_RDONLY, &txn));
	if (rc)
		return rc;
	mdb_rc = mdb_get(txn, gen->meta, &key, &val);
	rc = mdb_rc ? mdb_rc == MDB_NOTFOUND ? CH_ENOTFOUND : ch_lmdb_rc(mdb_rc)
		    : ch_buf_add(out, val.mv_data, val.mv_size);
	mdb_txn_abort(txn);
	return rc;
}

static int copy(MDB_txn *from_txn, MDB_dbi from, MDB_txn *to_txn, MDB_dbi to)
{
	static const char *const keys[] = {CH_META_TICKETS, CH_META_TICKETS_VERSION};

	for (size_t i = 0; i < CH_ARRAY_LEN(keys); i++) {
		MDB_val key = key_of(keys[i]);
		MDB_val val;
		int mdb_rc = mdb_get(from_txn, from, &key, &val);

		if (mdb_rc == 0)
			mdb_rc = mdb_put(to_txn, to, &key, &val, 0);
		if (mdb_rc && mdb_rc != MDB_NOTFOUND)
			return ch_lmdb_rc(mdb_rc);
	}
	return CH_OK;
}

int ch_replica_copy_tickets(struct ch_generation *from, struct ch_generation *to)
{
	MDB_txn *from_txn;
	MDB_txn *to_txn;
	int rc;

	/* A damaged one is being replaced: then there is nothing to keep. */
	if (!from->env || ch_generation_check_size(from) ||
		mdb_txn_begin(from->env, NULL, MDB_RDONLY, &from_txn))
		return CH_OK;
	rc = ch_lmdb_rc(mdb_txn_begin(to->env, NULL, 0, &to_txn));
	if (rc == CH_OK) {
		rc = copy(from_txn, from->meta, to_txn, to->meta);
		if (rc == CH_OK)
			rc = ch_lmdb_rc(mdb_txn_commit(to_txn));
		else
			mdb_txn_abort(to_txn);
	}
	mdb_txn_abort(from_txn);
	return rc;
}

/* Whether there are keys, and all of them are of no use any more.  What cannot be read is. */
static bool is_expired(MDB_txn *txn, MDB_dbi meta, int64_t now_s)
{
	MDB_val key = key_of(CH_META_TICKETS);
	struct ch_tickets tickets;
	struct ch_record record;
	MDB_val val;

	if (mdb_get(txn, meta, &key, &val))
		return false;
	if (ch_record_decode(val.mv_data, val.mv_size, &record) ||
		record.kind != CH_RECORD_TICKETS ||
		ch_tickets_decode(record.tickets, record.tickets_len, &tickets))
		return true;
	for (size_t i = 0; i < tickets.n; i++)
		if (tickets.keys[i].until_s > now_s)
			return false;
	return true;
}

int ch_replica_expire_tickets(struct ch_replica_writer *writer, int64_t now_s)
{
	struct ch_generation *gen = ch_replica_target(writer);
	MDB_val key = key_of(CH_META_TICKETS);
	bool expired;
	int rc;

	if (!gen->env || writer->txn)
		return CH_EINVAL;
	rc = ch_generation_check_size(gen);
	if (rc == CH_OK)
		rc = ch_lmdb_rc(mdb_txn_begin(gen->env, NULL, MDB_RDONLY, &writer->txn));
	if (rc)
		return rc;
	expired = is_expired(writer->txn, gen->meta, now_s);
	ch_replica_apply_abort(writer);
	if (!expired)
		return CH_OK;
	rc = ch_replica_apply_begin(writer);
	if (rc)
		return rc;
	writer->txn_rc = ch_lmdb_rc(mdb_del(writer->txn, gen->meta, &key, NULL));
	return ch_replica_apply_commit(writer, NULL, NULL);
}
