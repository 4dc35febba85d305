#include "edge/replica.h"

#include "base/clock.h"
#include "edge/replica_writer.h"

/* What a generation under construction lacks of the live one, and what it takes over. */

/* Records of formats that are not understood here count as good. */
static bool is_expired(const MDB_val *val, int64_t now_s)
{
	struct ch_record record;

	return ch_record_decode(val->mv_data, val->mv_size, &record) == CH_OK &&
	       ch_record_has_cert(&record) && record.not_after_s <= now_s;
}

/* newer: what to take a record for that is not understood here. */
static bool has_cert(const MDB_val *val, bool newer)
{
	struct ch_record record;
	int rc;

	switch (ch_generation_kind(val)) {
	case CH_RECORD_CERT:
		return true;
	case CH_RECORD_NAME:
	case CH_RECORD_TOMBSTONE:
	case CH_RECORD_POLICY:
	case CH_RECORD_CHALLENGE:
		return false;
	default:
		rc = ch_record_decode(val->mv_data, val->mv_size, &record);
		return rc == CH_OK ? ch_record_has_cert(&record) : newer;
	}
}

/* Whether a visitor would find less: no certificate where there was one, or, from a store that
 * has gone back in time, one that expired long ago.  after NULL: there is none. */
static bool is_lost(const MDB_val *before, const MDB_val *after, int64_t now_s)
{
	if (!has_cert(before, false))
		return false;
	if (!after || !has_cert(after, true))
		return true;
	return is_expired(after, now_s) && !is_expired(before, now_s);
}

/* Adds to *missing. */
static int count_missing(
	MDB_txn *live_txn, MDB_dbi live, MDB_txn *build_txn, MDB_dbi build, uint64_t *missing)
{
	MDB_cursor *cursor;
	MDB_val key;
	MDB_val val;
	int64_t now_s = ch_now_ms() / CH_SECOND_MS;
	int mdb_rc = mdb_cursor_open(live_txn, live, &cursor);

	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	while ((mdb_rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT)) == 0) {
		MDB_val other;
		int get_rc = mdb_get(build_txn, build, &key, &other);

		if (get_rc && get_rc != MDB_NOTFOUND) {
			mdb_rc = get_rc;
			break;
		}
		*missing += is_lost(&val, get_rc ? NULL : &other, now_s);
	}
	mdb_cursor_close(cursor);
	return mdb_rc == MDB_NOTFOUND ? CH_OK : ch_lmdb_rc(mdb_rc);
}

int ch_replica_writer_missing(struct ch_replica_writer *writer, uint64_t *ret_missing)
{
	MDB_txn *live_txn;
	MDB_txn *build_txn;
	uint64_t missing = 0;
	int rc;
	int mdb_rc;

	if (!writer->build.env)
		return CH_EINVAL;
	if (!writer->live.env) {
		*ret_missing = 0;
		return CH_OK;
	}
	rc = ch_generation_check_size(&writer->live);
	if (rc == CH_OK)
		rc = ch_generation_check_size(&writer->build);
	if (rc)
		return rc;
	mdb_rc = mdb_txn_begin(writer->live.env, NULL, MDB_RDONLY, &live_txn);
	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	mdb_rc = mdb_txn_begin(writer->build.env, NULL, MDB_RDONLY, &build_txn);
	if (mdb_rc) {
		mdb_txn_abort(live_txn);
		return ch_lmdb_rc(mdb_rc);
	}
	rc = count_missing(
		live_txn, writer->live.names, build_txn, writer->build.names, &missing);
	if (rc == CH_OK)
		rc = count_missing(live_txn, writer->live.extras, build_txn,
			writer->build.extras, &missing);
	if (rc == CH_OK)
		*ret_missing = missing;
	mdb_txn_abort(build_txn);
	mdb_txn_abort(live_txn);
	return rc;
}

static int carry_record(struct ch_replica_writer *writer, MDB_txn *live_txn,
	enum ch_record_kind kind, MDB_val *key)
{
	enum ch_apply_effect effect;
	struct ch_record record;
	MDB_val val;
	MDB_val chain_key;
	MDB_val block;
	MDB_dbi dbi = kind == CH_RECORD_CERT ? writer->live.names : writer->live.extras;
	int rc = ch_lmdb_rc(mdb_get(live_txn, dbi, key, &val));

	if (rc == CH_OK)
		rc = ch_record_decode(val.mv_data, val.mv_size, &record);
	if (rc == CH_OK && record.kind != kind)
		rc = CH_ENOTFOUND;
	if (rc)
		return rc;
	chain_key = (MDB_val){.mv_size = CH_CHAIN_ID_B, .mv_data = (void *)record.chain_id};
	if (mdb_get(live_txn, writer->live.chains, &chain_key, &block) == 0)
		rc = ch_replica_put_chain(
			writer, record.chain_id, block.mv_data, block.mv_size);
	if (rc == CH_OK)
		rc = ch_replica_put(writer, &record, val.mv_data, val.mv_size, &effect);
	return rc;
}

int ch_replica_carry_over(struct ch_replica_writer *writer, enum ch_record_kind kind,
	const char *name, size_t name_len)
{
	char key_text[CH_RECORD_KEY_B];
	MDB_val key = {.mv_data = key_text};
	MDB_txn *live_txn;
	int rc;
	int mdb_rc;

	if (!writer->txn || !writer->build.env || name_len == 0 || name_len > CH_NAME_MAX)
		return CH_EINVAL;
	if (!writer->live.env)
		return CH_ENOTFOUND;
	rc = ch_generation_check_size(&writer->live);
	if (rc)
		return rc;
	key.mv_size = ch_record_key(kind, name, name_len, key_text);
	mdb_rc = mdb_txn_begin(writer->live.env, NULL, MDB_RDONLY, &live_txn);
	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	rc = carry_record(writer, live_txn, kind, &key);
	mdb_txn_abort(live_txn);
	return rc;
}
