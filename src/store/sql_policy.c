/* What a name's record of kind POLICY says: made anew when one of its parts changed. */
#include <string.h>

#include "store/sql_work.h"

static struct ch_text_view view(const char *text, const char *by_default)
{
	if (strcmp(text, by_default) == 0)
		return (struct ch_text_view){.len = 0};
	return (struct ch_text_view){.text = text, .len = strlen(text)};
}

/* True when there is nothing to say. */
static bool fill(const struct ch_name_row *row, struct ch_text_view policy[CH_POLICY_TAG_COUNT])
{
	size_t given_b;

	policy[CH_POLICY_TENANT] = view(row->tenant, CH_STORE_LABEL_DEFAULT);
	given_b = policy[CH_POLICY_TENANT].len;
	for (int tag = CH_STORE_POLICY_FIRST; tag < CH_POLICY_TAG_COUNT; tag++) {
		policy[tag] = view(row->policy[tag], "");
		given_b += policy[tag].len;
	}
	return given_b == 0;
}

static int has_policy(struct ch_work *w, const char *key, const char *pool, bool *ret_has)
{
	int64_t one;
	int rc = ch_db_get_i64(w->db, &one,
		"SELECT 1 FROM edge_record WHERE name = ?1 AND pool = ?2 "
		"UNION ALL SELECT 1 FROM held WHERE name = ?1 AND pool = ?2 LIMIT 1",
		"tt", key, pool);

	*ret_has = rc == CH_OK;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

int ch_work_emit_policy(struct ch_work *w, const char *name)
{
	struct ch_record record = {.kind = CH_RECORD_POLICY};
	CH_CLEANUP(ch_buf_done) struct ch_buf buf;
	char key[CH_RECORD_KEY_B];
	struct ch_name_row row;
	bool is_default;
	bool has;
	int rc = ch_name_row_load(w->db, name, &row);

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	if (rc)
		return rc;
	ch_record_key(record.kind, row.name, strlen(row.name), key);
	is_default = fill(&row, record.policy);
	rc = has_policy(w, key, row.pool, &has);
	/* Edges that know of none need not hear that there is none. */
	if (rc || (is_default && !has))
		return rc;
	record.version = ch_work_id(w);
	record.name = row.name;
	record.name_len = strlen(row.name);
	rc = ch_record_encode(&record, &buf);
	return rc ? rc
		  : ch_work_emit(w, row.pool, key, record.version, record.kind, buf.data,
			    buf.len, NULL);
}

int ch_work_emit_tenants(struct ch_work *w)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	char name[CH_NAME_MAX + 1];
	int rc = ch_db_query(w->db, &stmt, "SELECT name FROM name WHERE tenant <> ?", "t",
		CH_STORE_LABEL_DEFAULT);
	int row = rc;

	while (!rc && (row = ch_db_step(w->db, stmt)) > 0) {
		ch_db_copy(stmt, 0, name, sizeof(name), &rc);
		if (!rc)
			rc = ch_work_emit_policy(w, name);
	}
	return rc ? rc : row;
}
