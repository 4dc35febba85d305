#include <stdio.h>
#include <string.h>

#include "store/sql_work.h"

void ch_name_row_read(struct ch_stmt *stmt, struct ch_name_row *row, int *rc)
{
	char word[16];

	ch_db_copy(stmt, 0, row->name, sizeof(row->name), rc);
	ch_db_copy(stmt, 1, row->tenant, sizeof(row->tenant), rc);
	ch_db_copy(stmt, 2, row->pool, sizeof(row->pool), rc);
	row->www = (int)ch_db_i64(stmt, 3);
	ch_db_copy(stmt, 4, row->www_of, sizeof(row->www_of), rc);
	ch_db_copy(stmt, 5, word, sizeof(word), rc);
	if (ch_name_state_parse(word, &row->state))
		*rc = CH_ECORRUPT;
	row->next_at = ch_db_i64(stmt, 6);
	row->failures = ch_db_u64(stmt, 7);
	row->version = ch_db_u64(stmt, 8);
	row->order_id = ch_db_u64(stmt, 9);
	row->solo = (int)ch_db_i64(stmt, 10);
	row->cert = ch_db_u64(stmt, 11);
	row->prev_cert = ch_db_u64(stmt, 12);
	ch_db_copy(stmt, 13, word, sizeof(word), rc);
	if (ch_keys_parse(word, &row->keys))
		*rc = CH_ECORRUPT;
	ch_db_copy(stmt, 14, word, sizeof(word), rc);
	if (ch_key_type_parse(word, &row->cert_key))
		*rc = CH_ECORRUPT;
	row->second_cert = ch_db_u64(stmt, 15);
	row->second_prev = ch_db_u64(stmt, 16);
	row->second_at = ch_db_i64(stmt, 17);
	row->second_failures = ch_db_u64(stmt, 18);
	row->policy[CH_POLICY_TENANT][0] = '\0';
	for (int tag = CH_STORE_POLICY_FIRST; tag < CH_POLICY_TAG_COUNT; tag++)
		ch_db_copy(stmt, 19 + tag - CH_STORE_POLICY_FIRST, row->policy[tag],
			sizeof(row->policy[tag]), rc);
	row->imported = ch_db_i64(stmt, 19 + CH_POLICY_TAG_COUNT - CH_STORE_POLICY_FIRST);
	ch_db_copy(stmt, 20 + CH_POLICY_TAG_COUNT - CH_STORE_POLICY_FIRST, row->cas,
		sizeof(row->cas), rc);
	ch_db_copy(stmt, 21 + CH_POLICY_TAG_COUNT - CH_STORE_POLICY_FIRST, row->standby,
		sizeof(row->standby), rc);
	row->standby_cert = ch_db_u64(stmt, 22 + CH_POLICY_TAG_COUNT - CH_STORE_POLICY_FIRST);
	row->standby_at = ch_db_i64(stmt, 23 + CH_POLICY_TAG_COUNT - CH_STORE_POLICY_FIRST);
	row->standby_failures =
		ch_db_u64(stmt, 24 + CH_POLICY_TAG_COUNT - CH_STORE_POLICY_FIRST);
	row->second_standby_cert =
		ch_db_u64(stmt, 25 + CH_POLICY_TAG_COUNT - CH_STORE_POLICY_FIRST);
	row->wanted_at = ch_db_i64(stmt, 26 + CH_POLICY_TAG_COUNT - CH_STORE_POLICY_FIRST);
	row->look_was_at = ch_db_i64(stmt, 27 + CH_POLICY_TAG_COUNT - CH_STORE_POLICY_FIRST);
}

static const char name_sql[] = "SELECT " CH_NAME_ROW " FROM name WHERE name = ?";

int ch_name_row_ask(struct ch_db *db, const char *name)
{
	return ch_db_ask(db, name_sql, "t", name);
}

int ch_name_row_load(struct ch_db *db, const char *name, struct ch_name_row *ret_row)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_name_row row;
	int rc = ch_db_query(db, &stmt, name_sql, "t", name);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	rc = CH_OK;
	ch_name_row_read(stmt, &row, &rc);
	if (!rc)
		*ret_row = row;
	return rc;
}

void ch_name_row_mate(const struct ch_name_row *row, char ret_name[CH_NAME_MAX + 1])
{
	ret_name[0] = '\0';
	if (row->www_of[0])
		memcpy(ret_name, row->www_of, sizeof(row->www_of));
	else if (row->www)
		snprintf(ret_name, CH_NAME_MAX + 1, "www.%.*s", CH_NAME_MAX - 4, row->name);
}

static const char order_sql[] =
	"SELECT state, pool, fence, ended_at, csr IS NOT NULL, leaf_sha256, rollback, "
	"key, second, standby, rollback_second FROM orders WHERE id = ?";
static const char order_names_sql[] =
	"SELECT name, had_cert, prev_state, gone FROM order_name WHERE order_id = ? "
	"ORDER BY length(name), name";

int ch_order_row_ask(struct ch_db *db, uint64_t id)
{
	return ch_db_ask(db, order_sql, "i", id);
}

int ch_order_names_ask(struct ch_db *db, uint64_t id)
{
	return ch_db_ask(db, order_names_sql, "i", id);
}

int ch_order_row_load(struct ch_db *db, uint64_t id, struct ch_order_row *ret_row)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_order_row row = {.id = id};
	char state[16];
	int rc = ch_db_query(db, &stmt, order_sql, "i", id);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	rc = CH_OK;
	ch_db_copy(stmt, 0, state, sizeof(state), &rc);
	if (ch_order_state_parse(state, &row.state))
		rc = CH_ECORRUPT;
	ch_db_copy(stmt, 1, row.pool, sizeof(row.pool), &rc);
	row.fence = ch_db_u64(stmt, 2);
	row.ended_at = ch_db_i64(stmt, 3);
	row.has_csr = (int)ch_db_i64(stmt, 4);
	row.rollback = ch_db_u64(stmt, 6);
	row.has_leaf = !ch_db_is_null(stmt, 5);
	if (row.has_leaf)
		ch_db_bytes(stmt, 5, row.leaf_sha256, sizeof(row.leaf_sha256), &rc);
	ch_db_copy(stmt, 7, state, sizeof(state), &rc);
	if (ch_key_type_parse(state, &row.key))
		rc = CH_ECORRUPT;
	row.second = ch_db_i64(stmt, 8);
	row.standby = ch_db_i64(stmt, 9);
	row.rollback_second = ch_db_u64(stmt, 10);
	if (!rc)
		*ret_row = row;
	return rc;
}

int ch_order_names_load(struct ch_db *db, uint64_t id, struct ch_order_names *ret_names)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct ch_order_names names = {.n = 0};
	int rc = ch_db_query(db, &stmt, order_names_sql, "i", id);

	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		struct ch_order_name_row *row = &names.rows[names.n];
		char state[16];

		if (names.n++ == CH_STORE_ORDER_NAMES_MAX)
			return CH_ECORRUPT;
		rc = CH_OK;
		ch_db_copy(stmt, 0, row->name, sizeof(row->name), &rc);
		row->had_cert = (int)ch_db_i64(stmt, 1);
		ch_db_copy(stmt, 2, state, sizeof(state), &rc);
		if (ch_name_state_parse(state, &row->prev_state))
			rc = CH_ECORRUPT;
		row->gone = (int)ch_db_i64(stmt, 3);
	}
	if (!rc)
		*ret_names = names;
	return rc;
}

enum ch_name_state ch_name_state_during(enum ch_order_state order, bool had_cert)
{
	if (had_cert)
		return CH_NAME_RENEWING;
	switch (order) {
	case CH_ORDER_NEW:
		return CH_NAME_PENDING;
	case CH_ORDER_ORDERED:
	case CH_ORDER_VALIDATING:
		return CH_NAME_VALIDATING;
	default:
		return CH_NAME_ISSUING;
	}
}
