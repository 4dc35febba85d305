#include <string.h>

#include "store/sql_ahead.h"

/* What goes with a name beside its record. */
static const enum ch_record_kind extras[] = {
	CH_RECORD_POLICY, CH_RECORD_SECOND, CH_RECORD_CHALLENGE};

/* Names and removals do not wait for a canary: no challenge could be answered, and what is gone
 * is to be gone. */
static bool is_held(const struct ch_hold_rules *rules, enum ch_record_kind kind)
{
	return rules->frozen ||
	       (rules->canary[0] && (kind == CH_RECORD_CERT || kind == CH_RECORD_POLICY ||
					    kind == CH_RECORD_SECOND));
}

/* The next sequence number. */
static void advance(struct ch_work *w)
{
	w->tx.head++;
	w->tx.changed = true;
	w->tx.change.feed = true;
	w->tx.change.feed_head = w->tx.head;
}

static int put(struct ch_work *w, const char *pool, const char *name, uint64_t version,
	enum ch_record_kind kind, const uint8_t *record, size_t record_len,
	const uint8_t *chain_id)
{
	bool is_first = ch_ahead_lacks(w, CH_AHEAD_RECORD, name);
	int rc = CH_OK;

	ch_ahead_changed(w, CH_AHEAD_RECORD, name);
	if (!is_first)
		rc = ch_db_run(w->db, "DELETE FROM held WHERE name = ? AND pool = ?", "tt",
			name, pool);
	if (!rc && !is_first)
		rc = ch_db_run(w->db, "DELETE FROM edge_record WHERE name = ? AND pool = ?",
			"tt", name, pool);
	return rc ? rc
		  : ch_db_run(w->db,
			    "INSERT INTO edge_record (seq, pool, name, version, kind, record, "
			    "chain_id, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			    "ittiibbi", w->tx.head, pool, name, version, (int64_t)kind, record,
			    record_len, chain_id, (size_t)CH_CHAIN_ID_B, w->now);
}

static int emit(struct ch_work *w, const char *pool, const char *name, uint64_t version,
	enum ch_record_kind kind, const uint8_t *record, size_t record_len,
	const uint8_t *chain_id, bool may_wait)
{
	struct ch_hold_rules rules;
	int rc = ch_work_hold_rules(w, pool, &rules);

	if (rc)
		return rc;
	if (!may_wait)
		rules.canary[0] = 0;
	advance(w);
	return (is_held(&rules, kind) ? ch_work_hold : put)(
		w, pool, name, version, kind, record, record_len, chain_id);
}

int ch_work_emit(struct ch_work *w, const char *pool, const char *name, uint64_t version,
	enum ch_record_kind kind, const uint8_t *record, size_t record_len,
	const uint8_t *chain_id)
{
	return emit(w, pool, name, version, kind, record, record_len, chain_id, true);
}

int ch_work_drop_extras(struct ch_work *w, const char *pool, const char *name)
{
	struct ch_hold_rules rules;
	char key[CH_RECORD_KEY_B];
	int rc = ch_work_hold_rules(w, pool, &rules);

	for (size_t i = 0; !rc && i < CH_ARRAY_LEN(extras); i++) {
		ch_record_key(extras[i], name, strlen(name), key);
		rc = ch_db_run(
			w->db, "DELETE FROM held WHERE name = ? AND pool = ?", "tt", key, pool);
		/* The edges of a frozen pool keep it as long as they keep the name. */
		if (!rc && !rules.frozen)
			rc = ch_db_run(w->db,
				"DELETE FROM edge_record WHERE name = ? AND pool = ?", "tt",
				key, pool);
	}
	return rc;
}

/* That the name has no such record any more. */
static int reset(
	struct ch_work *w, const char *pool, const char *name, enum ch_record_kind kind)
{
	struct ch_record record = {.kind = kind,
		.withdrawn = true,
		.version = ch_work_id(w),
		.name = name,
		.name_len = strlen(name)};
	CH_CLEANUP(ch_buf_done) struct ch_buf buf;
	char key[CH_RECORD_KEY_B];
	int rc;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	ch_record_key(record.kind, name, record.name_len, key);
	rc = ch_record_encode(&record, &buf);
	return rc ? rc
		  : emit(w, pool, key, record.version, record.kind, buf.data, buf.len, NULL,
			    false);
}

static int reset_extras(struct ch_work *w, const char *pool, const char *name)
{
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < CH_ARRAY_LEN(extras); i++)
		rc = reset(w, pool, name, extras[i]);
	return rc;
}

int ch_work_has_record(struct ch_work *w, const char *pool, const char *key, bool *ret_has)
{
	int64_t one;
	int rc = ch_ahead_lacks(w, CH_AHEAD_RECORD, key)
			 ? CH_ENOTFOUND
			 : ch_db_get_i64(w->db, &one,
				   "SELECT 1 FROM edge_record WHERE name = ?1 AND pool = ?2 "
				   "UNION ALL SELECT 1 FROM held WHERE name = ?1 AND pool = ?2 "
				   "LIMIT 1",
				   "tt", key, pool);

	*ret_has = rc == CH_OK;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

int ch_work_come_back(struct ch_work *w, const char *pool, const char *name)
{
	bool was = false;
	int rc = ch_work_has_record(w, pool, name, &was);

	return rc || !was ? rc : reset_extras(w, pool, name);
}

int ch_work_emit_plain(struct ch_work *w, const char *pool, const char *name,
	enum ch_record_kind kind, uint64_t *ret_version)
{
	struct ch_record record = {
		.kind = kind, .version = ch_work_id(w), .name = name, .name_len = strlen(name)};
	CH_CLEANUP(ch_buf_done) struct ch_buf buf;
	bool was = false;
	int rc = ch_work_has_record(w, pool, name, &was);

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	if (!rc)
		rc = ch_record_encode(&record, &buf);
	if (!rc)
		rc = ch_work_emit(w, pool, name, record.version, kind, buf.data, buf.len, NULL);
	if (!rc && kind == CH_RECORD_TOMBSTONE)
		rc = ch_work_drop_extras(w, pool, name);
	/* This record takes the tombstone's place: an edge that has not seen it yet would keep
	 * what the name had beside it before it was removed. */
	if (!rc && kind == CH_RECORD_NAME && was)
		rc = reset_extras(w, pool, name);
	if (!rc)
		*ret_version = record.version;
	return rc;
}
