/* What the live generation has that is newer than what a store gives for the next one: that
 * store was restored from a backup. */
#include <string.h>

#include "base/clock.h"
#include "edge/replica.h"
#include "edge/replica_writer.h"

struct walk {
	struct ch_replica_writer *writer;
	MDB_txn *live;
	MDB_txn *build;
	int64_t now_s;
};

/* Whether what is under construction has less under this key than this. */
static int is_ahead(const struct walk *w, MDB_dbi build, MDB_val *key,
	const struct ch_record *record, bool *ret_ahead)
{
	struct ch_record other;
	MDB_val val;
	int mdb_rc = mdb_get(w->build, build, key, &val);

	*ret_ahead = true;
	if (mdb_rc == MDB_NOTFOUND)
		return CH_OK;
	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	/* What is not understood here is from a newer program: leave it. */
	if (ch_record_decode(val.mv_data, val.mv_size, &other) ||
		other.kind == CH_RECORD_TOMBSTONE)
		*ret_ahead = false;
	else if (ch_record_has_cert(&other))
		*ret_ahead = other.version < record->version;
	return CH_OK;
}

/* The certificate of this kind that is live, if it is ahead. */
static int find_record(const struct walk *w, const MDB_val *live, enum ch_record_kind kind,
	MDB_dbi build, MDB_val *key, struct ch_replica_ahead_record *ret_ahead)
{
	struct ch_record record;
	MDB_val chain_key;
	MDB_val chain;
	bool ahead;
	int rc;

	if (ch_record_decode(live->mv_data, live->mv_size, &record) || record.kind != kind ||
		record.not_after_s <= w->now_s)
		return CH_OK;
	rc = is_ahead(w, build, key, &record, &ahead);
	if (rc || !ahead)
		return rc;
	*ret_ahead = (struct ch_replica_ahead_record){.record = live->mv_data,
		.record_len = live->mv_size,
		.version = record.version};
	chain_key = (MDB_val){.mv_size = CH_CHAIN_ID_B, .mv_data = (void *)record.chain_id};
	if (mdb_get(w->live, w->writer->live.chains, &chain_key, &chain) == 0) {
		ret_ahead->chain = chain.mv_data;
		ret_ahead->chain_len = chain.mv_size;
	}
	return CH_OK;
}

static int find_second(const struct walk *w, struct ch_replica_ahead *item)
{
	char key_text[CH_RECORD_KEY_B];
	MDB_val key = {.mv_data = key_text};
	MDB_val val;

	key.mv_size = ch_record_key(CH_RECORD_SECOND, item->name, strlen(item->name), key_text);
	if (mdb_get(w->live, w->writer->live.extras, &key, &val) != 0)
		return CH_OK;
	return find_record(
		w, &val, CH_RECORD_SECOND, w->writer->build.extras, &key, &item->second);
}

/* Gone, for the store: then its second certificate is of no use either. */
static bool is_removed(const struct walk *w, MDB_val *key)
{
	struct ch_record other;
	MDB_val val;

	return mdb_get(w->build, w->writer->build.names, key, &val) == 0 &&
	       ch_record_decode(val.mv_data, val.mv_size, &other) == CH_OK &&
	       other.kind == CH_RECORD_TOMBSTONE;
}

static void find_tenant(const struct walk *w, struct ch_replica_ahead *item)
{
	char key_text[CH_RECORD_KEY_B];
	MDB_val key = {.mv_data = key_text};
	struct ch_record policy;
	MDB_val val;

	key.mv_size = ch_record_key(CH_RECORD_POLICY, item->name, strlen(item->name), key_text);
	if (mdb_get(w->live, w->writer->live.extras, &key, &val) == 0 &&
		ch_record_decode(val.mv_data, val.mv_size, &policy) == CH_OK)
		item->tenant = policy.policy[CH_POLICY_TENANT];
}

static int look(const struct walk *w, MDB_val *key, const MDB_val *val,
	int (*fn)(const struct ch_replica_ahead *item, void *arg), void *arg)
{
	struct ch_replica_ahead item = {.name = ""};
	int rc;

	if (key->mv_size >= sizeof(item.name) || is_removed(w, key))
		return CH_OK;
	memcpy(item.name, key->mv_data, key->mv_size);
	item.name[key->mv_size] = 0;
	rc = find_record(w, val, CH_RECORD_CERT, w->writer->build.names, key, &item.first);
	if (rc == CH_OK)
		rc = find_second(w, &item);
	if (rc || (!item.first.record && !item.second.record))
		return rc;
	find_tenant(w, &item);
	return fn(&item, arg);
}

static int walk_names(struct walk *w, const char *after,
	int (*fn)(const struct ch_replica_ahead *item, void *arg), void *arg)
{
	MDB_val key = {.mv_size = strlen(after), .mv_data = (void *)after};
	MDB_cursor *cursor;
	MDB_val val;
	int rc = CH_OK;
	int mdb_rc = mdb_cursor_open(w->live, w->writer->live.names, &cursor);

	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	mdb_rc = mdb_cursor_get(cursor, &key, &val, *after ? MDB_SET_RANGE : MDB_FIRST);
	if (!mdb_rc && *after && key.mv_size == strlen(after) &&
		memcmp(key.mv_data, after, key.mv_size) == 0)
		mdb_rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
	for (; !mdb_rc && !rc; mdb_rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT))
		rc = look(w, &key, &val, fn, arg);
	mdb_cursor_close(cursor);
	if (rc || mdb_rc == MDB_NOTFOUND)
		return rc;
	return ch_lmdb_rc(mdb_rc);
}

int ch_replica_writer_ahead(struct ch_replica_writer *writer, const char *after,
	int (*fn)(const struct ch_replica_ahead *item, void *arg), void *arg)
{
	struct walk w = {.writer = writer, .now_s = ch_now_ms() / CH_SECOND_MS};
	int rc;
	int mdb_rc;

	if (!writer->build.env)
		return CH_EINVAL;
	if (!writer->live.env)
		return CH_OK;
	rc = ch_generation_check_size(&writer->live);
	if (rc == CH_OK)
		rc = ch_generation_check_size(&writer->build);
	if (rc)
		return rc;
	mdb_rc = mdb_txn_begin(writer->live.env, NULL, MDB_RDONLY, &w.live);
	if (mdb_rc)
		return ch_lmdb_rc(mdb_rc);
	mdb_rc = mdb_txn_begin(writer->build.env, NULL, MDB_RDONLY, &w.build);
	rc = mdb_rc ? ch_lmdb_rc(mdb_rc) : walk_names(&w, after, fn, arg);
	if (!mdb_rc)
		mdb_txn_abort(w.build);
	mdb_txn_abort(w.live);
	return rc;
}
