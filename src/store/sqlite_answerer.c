/* Under which account the edges answer a name's challenges. */
#include <string.h>

#include "store/sqlite_work.h"

/* What the newest record under the key says, whether edges get it yet or not.  CH_ENOTFOUND. */
static int hint_of(struct ch_work *w, const char *pool, const char *key, uint64_t *ret_hint)
{
	CH_AUTO_STMT sqlite3_stmt *stmt = NULL;
	uint8_t bytes[8];
	uint64_t hint = 0;
	int rc = ch_sq_query(w->sq, &stmt,
		"SELECT substr(record, ?3, 8) FROM held WHERE name = ?1 AND pool = ?2 "
		"UNION ALL SELECT substr(record, ?3, 8) FROM edge_record "
		"WHERE name = ?1 AND pool = ?2 LIMIT 1",
		"tti", key, pool, (int64_t)CH_RECORD_AT_HINT + 1);

	if (!rc)
		rc = ch_sq_step(w->sq, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	rc = CH_OK;
	ch_sq_bytes(stmt, 0, bytes, sizeof(bytes), &rc);
	for (size_t i = 0; i < sizeof(bytes); i++)
		hint = hint << 8 | bytes[i];
	if (!rc)
		*ret_hint = hint;
	return rc;
}

int ch_work_answerer(struct ch_work *w, const char *pool, const char *name, uint64_t *ret_hint)
{
	char key[CH_RECORD_KEY_B];
	uint64_t hint = 0;
	int rc;

	ch_record_key(CH_RECORD_CHALLENGE, name, strlen(name), key);
	rc = hint_of(w, pool, key, &hint);
	if (rc == CH_ENOTFOUND || (!rc && !hint))
		rc = hint_of(w, pool, name, &hint);
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	*ret_hint = hint;
	return CH_OK;
}

int ch_work_answer_under(struct ch_work *w, const char *pool, const char *name, uint64_t hint)
{
	struct ch_record record = {.kind = CH_RECORD_CHALLENGE,
		.account_hint = hint,
		.name = name,
		.name_len = strlen(name)};
	CH_CLEANUP(ch_buf_done) struct ch_buf buf;
	char key[CH_RECORD_KEY_B];
	uint64_t before = 0;
	int rc = ch_work_answerer(w, pool, name, &before);

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	if (rc || before == hint)
		return rc;
	ch_record_key(record.kind, name, record.name_len, key);
	record.version = ch_work_id(w);
	rc = ch_record_encode(&record, &buf);
	return rc ? rc
		  : ch_work_emit(
			    w, pool, key, record.version, record.kind, buf.data, buf.len, NULL);
}
