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

int ch_work_emit_policy_of(struct ch_work *w, const struct ch_name_row *row)
{
	struct ch_record record = {.kind = CH_RECORD_POLICY};
	CH_CLEANUP(ch_buf_done) struct ch_buf buf;
	bool is_default = fill(row, record.policy);
	char key[CH_RECORD_KEY_B];
	bool has;
	int rc;

	ch_buf_init(&buf, CH_RECORD_MAX_B);
	ch_record_key(record.kind, row->name, strlen(row->name), key);
	rc = ch_work_has_record(w, row->pool, key, &has);
	/* Edges that know of none need not hear that there is none. */
	if (rc || (is_default && !has))
		return rc;
	record.version = ch_work_id(w);
	record.name = row->name;
	record.name_len = strlen(row->name);
	rc = ch_record_encode(&record, &buf);
	return rc ? rc
		  : ch_work_emit(w, row->pool, key, record.version, record.kind, buf.data,
			    buf.len, NULL);
}

int ch_work_emit_policy(struct ch_work *w, const char *name)
{
	struct ch_name_row row;
	int rc = ch_name_row_load(w->db, name, &row);

	return rc ? rc : ch_work_emit_policy_of(w, &row);
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
