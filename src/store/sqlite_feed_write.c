#include <string.h>

#include "store/sqlite_work.h"

/* Names and removals do not wait for a canary: no challenge could be answered, and what is gone
 * is to be gone. */
static bool is_held(const struct ch_hold_rules *rules, enum ch_record_kind kind)
{
	return rules->frozen ||
	       (rules->canary[0] && (kind == CH_RECORD_CERT || kind == CH_RECORD_POLICY));
}

int ch_work_emit(struct ch_work *w, const char *pool, const char *name, uint64_t version,
	enum ch_record_kind kind, const uint8_t *record, size_t record_len,
	const uint8_t *chain_id)
{
	struct ch_hold_rules rules;
	int rc = ch_hold_rules_load(w->sq, pool, &rules);

	if (rc)
		return rc;
	w->tx.head++;
	w->tx.changed = true;
	w->tx.change.feed = true;
	w->tx.change.feed_head = w->tx.head;
	if (is_held(&rules, kind))
		return ch_work_hold(w, pool, name, version, kind, record, record_len, chain_id);
	rc = ch_sq_run(w->sq, "DELETE FROM held WHERE name = ? AND pool = ?", "tt", name, pool);
	if (!rc)
		rc = ch_sq_run(w->sq, "DELETE FROM edge_record WHERE name = ? AND pool = ?",
			"tt", name, pool);
	if (rc)
		return rc;
	return ch_sq_run(w->sq,
		"INSERT INTO edge_record (seq, pool, name, version, kind, record, chain_id, "
		"at) "
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		"ittiibbi", w->tx.head, pool, name, version, (int64_t)kind, record, record_len,
		chain_id, (size_t)CH_CHAIN_ID_B, w->now);
}

int ch_work_emit_plain(struct ch_work *w, const char *pool, const char *name,
	enum ch_record_kind kind, uint64_t *ret_version)
{
	struct ch_record record = {
		.kind = kind, .version = ch_work_id(w), .name = name, .name_len = strlen(name)};
	CH_CLEANUP(ch_buf_done) struct ch_buf buf;
	int rc;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	rc = ch_record_encode(&record, &buf);
	if (!rc)
		rc = ch_work_emit(w, pool, name, record.version, kind, buf.data, buf.len, NULL);
	if (!rc && kind == CH_RECORD_TOMBSTONE)
		rc = ch_work_drop_policy(w, pool, name);
	if (!rc)
		*ret_version = record.version;
	return rc;
}
