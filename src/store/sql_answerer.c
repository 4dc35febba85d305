/* Under which account the edges answer a name's challenges. */
#include <string.h>

#include "store/sql_work.h"

static const char hint_sql[] = "SELECT substr(record, ?3, 8) FROM held WHERE name = ?1 AND "
			       "pool = ?2 UNION ALL SELECT substr(record, ?3, 8) FROM "
			       "edge_record WHERE name = ?1 AND pool = ?2 LIMIT 1";

static int hint_ask(struct ch_work *w, const char *pool, const char *key)
{
	return ch_db_ask(w->db, hint_sql, "tti", key, pool, (int64_t)CH_RECORD_AT_HINT + 1);
}

int ch_work_answerer_ask(struct ch_work *w, const char *pool, const char *name)
{
	char key[CH_RECORD_KEY_B];
	int rc;

	ch_record_key(CH_RECORD_CHALLENGE, name, strlen(name), key);
	rc = hint_ask(w, pool, key);
	return rc ? rc : hint_ask(w, pool, name);
}

/* What the newest record under the key says, whether edges get it yet or not.  CH_ENOTFOUND. */
static int hint_of(struct ch_work *w, const char *pool, const char *key, uint64_t *ret_hint)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	uint8_t bytes[8];
	uint64_t hint = 0;
	int rc = ch_db_query(
		w->db, &stmt, hint_sql, "tti", key, pool, (int64_t)CH_RECORD_AT_HINT + 1);

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	rc = CH_OK;
	ch_db_bytes(stmt, 0, bytes, sizeof(bytes), &rc);
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

/* The record without a token. */
static int emit_hint(struct ch_work *w, const char *pool, const char *name, uint64_t hint)
{
	struct ch_record record = {.kind = CH_RECORD_CHALLENGE,
		.account_hint = hint,
		.name = name,
		.name_len = strlen(name),
		.version = ch_work_id(w)};
	CH_CLEANUP(ch_buf_done) struct ch_buf buf;
	char key[CH_RECORD_KEY_B];
	int rc;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	ch_record_key(record.kind, name, record.name_len, key);
	rc = ch_record_encode(&record, &buf);
	return rc ? rc
		  : ch_work_emit(
			    w, pool, key, record.version, record.kind, buf.data, buf.len, NULL);
}

int ch_work_answer_under(struct ch_work *w, const char *pool, const char *name, uint64_t hint)
{
	uint64_t before = 0;
	int rc = ch_work_answerer(w, pool, name, &before);

	return rc || before == hint ? rc : emit_hint(w, pool, name, hint);
}

int ch_work_begin_challenge(struct ch_work *w, const char *pool, const char *name,
	const struct ch_store_record_bytes *record)
{
	uint8_t *bytes = ch_arena_copy(w->op->arena, record->bytes, record->len);
	uint64_t version = ch_work_id(w);
	char key[CH_RECORD_KEY_B];

	if (!bytes)
		return CH_ENOMEM;
	ch_record_set_version(bytes, version);
	ch_record_key(CH_RECORD_CHALLENGE, name, strlen(name), key);
	return ch_work_emit(
		w, pool, key, version, CH_RECORD_CHALLENGE, bytes, record->len, NULL);
}

/* One without is as long as its head, and one byte for "none". */
static const char len_sql[] =
	"SELECT max(length(record)) FROM (SELECT record FROM held WHERE name = ?1 AND "
	"pool = ?2 UNION ALL SELECT record FROM edge_record WHERE name = ?1 AND "
	"pool = ?2) AS records";

int ch_work_end_challenges_ask(
	struct ch_work *w, const char *pool, const struct ch_order_names *names)
{
	char key[CH_RECORD_KEY_B];
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < names->n; i++) {
		const char *name = names->rows[i].name;

		ch_record_key(CH_RECORD_CHALLENGE, name, strlen(name), key);
		if (!names->rows[i].gone)
			rc = ch_db_ask(w->db, len_sql, "tt", key, pool);
	}
	return rc;
}

/* Whether the edges have, or get, a token for the name. */
static int has_token(struct ch_work *w, const char *pool, const char *key, bool *ret_has)
{
	int64_t len;
	int rc = ch_db_get_i64(w->db, &len, len_sql, "tt", key, pool);

	*ret_has = rc == CH_OK && (size_t)len > CH_RECORD_AT_NAME + strlen(key) - 2 + 1;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

static int end_challenge(struct ch_work *w, const char *pool, const char *name)
{
	char key[CH_RECORD_KEY_B];
	uint64_t hint = 0;
	bool has;
	int rc;

	ch_record_key(CH_RECORD_CHALLENGE, name, strlen(name), key);
	rc = has_token(w, pool, key, &has);
	if (rc || !has)
		return rc;
	rc = hint_of(w, pool, key, &hint);
	return rc ? rc : emit_hint(w, pool, name, hint);
}

bool ch_work_is_validated(enum ch_order_state state)
{
	return state == CH_ORDER_ORDERED || state == CH_ORDER_VALIDATING;
}

int ch_work_end_challenges(
	struct ch_work *w, const char *pool, const struct ch_order_names *names)
{
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < names->n; i++)
		if (!names->rows[i].gone)
			rc = end_challenge(w, pool, names->rows[i].name);
	return rc;
}
