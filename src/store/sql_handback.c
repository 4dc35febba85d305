/* CH_OP_HANDBACK. */
#include <string.h>

#include "crypto/keys.h"
#include "store/counters.h"
#include "store/sql_work.h"
#include "store/transfer.h"

#define SETTLED "Handed back by an edge after a restore; served by the edges."

static void refuse(struct ch_store_handback_item *item, const char *code)
{
	item->result = CH_HANDBACK_REFUSED;
	item->code = code;
}

/* A certificate of this version that the store has is the same one, or another name's order has
 * the number: then it is no certificate of ours. */
static int is_known_as_another(
	struct ch_work *w, const struct ch_op_publish *in, bool *ret_another)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	uint8_t sha256[CH_SHA256_B];
	int rc = ch_sha256(in->leaf, in->leaf_len, sha256);

	if (!rc)
		rc = ch_db_query(w->db, &stmt, "SELECT leaf_sha256 FROM cert WHERE version = ?",
			"i", in->id);
	if (!rc)
		rc = ch_db_step(w->db, stmt);
	*ret_another = rc == 1 &&
		       (ch_db_col_len(stmt, 0) != sizeof(sha256) ||
			       memcmp(ch_db_col_blob(stmt, 0), sha256, sizeof(sha256)) != 0);
	return rc < 0 ? rc : CH_OK;
}

static int is_order_of_another(
	struct ch_work *w, const char *name, uint64_t version, bool *ret_another)
{
	int64_t one;
	int rc = ch_db_get_i64(w->db, &one,
		"SELECT 1 FROM orders o WHERE o.id = ?1 AND NOT EXISTS (SELECT 1 FROM "
		"order_name n WHERE n.order_id = ?1 AND n.name = ?2) LIMIT 1",
		"it", version, name);

	*ret_another = rc == CH_OK;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

/* Of a name that nobody has: an edge that was away when it was removed does not know. */
static int is_removed_since(struct ch_work *w, const char *pool, const char *name,
	uint64_t version, bool *ret_removed)
{
	int64_t one;
	int rc = ch_db_get_i64(w->db, &one,
		"SELECT 1 FROM edge_record WHERE name = ?1 AND pool = ?2 AND version > ?3 "
		"UNION ALL SELECT 1 FROM held WHERE name = ?1 AND pool = ?2 AND version > ?3 "
		"LIMIT 1",
		"tti", name, pool, version);

	*ret_removed = rc == CH_OK;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

static int settle(struct ch_work *w, const char *name)
{
	int rc = ch_db_run(w->db,
		"UPDATE name SET code = 'ok', detail = '" SETTLED "', actor = 'nobody' "
		"WHERE name = ?",
		"t", name);

	if (!rc)
		rc = ch_work_settle(w, name);
	if (!rc)
		rc = ch_work_history(w, name, "handed-back", SETTLED, CH_ACTOR_NOBODY);
	return rc;
}

/* The certificate is for the name and its mate, as the name is registered; the mate has a
 * record of its own, which some edge hands back too. */
static void list_names(struct ch_order_names *names, const char *name, const char *mate)
{
	bool is_www = mate[0] && strlen(mate) < strlen(name);

	*names = (struct ch_order_names){.n = mate[0] ? 2 : 1};
	strcpy(names->rows[is_www ? 1 : 0].name, name);
	if (mate[0]) {
		strcpy(names->rows[is_www ? 0 : 1].name, mate);
		names->rows[is_www ? 0 : 1].gone = true;
	}
}

/* A name that the store has forgotten. */
static int register_again(
	struct ch_work *w, const struct ch_op_handback *op, struct ch_store_handback_item *item)
{
	struct ch_store_put_item put = {.name = item->name,
		.tenant = item->tenant,
		.pool = op->pool,
		.www = CH_TRI_NO,
		.ask_proof = true};
	struct ch_order_names names;
	bool removed = false;
	bool refused = false;
	int rc = is_removed_since(w, op->pool, item->name, item->publish->id, &removed);

	if (rc || removed)
		return rc;
	rc = ch_work_check_claim(
		w, &put, item->tenant ? item->tenant : CH_STORE_LABEL_DEFAULT, &refused);
	if (rc)
		return rc;
	if (refused) {
		refuse(item, "claim-needed");
		return CH_OK;
	}
	list_names(&names, item->name, "");
	rc = ch_work_create_adopted(w, &put, op->keys, item->publish->id);
	if (!rc)
		rc = ch_work_publish_adopted(
			w, item->publish, &names, &(struct ch_work_adopted){.key = item->key});
	if (!rc)
		rc = settle(w, item->name);
	item->result = CH_HANDBACK_TAKEN;
	return rc;
}

/* Another edge has handed it back already, and the issuer is to sign it. */
static int is_put_back(struct ch_work *w, uint64_t order_id, uint64_t version, bool *ret_is)
{
	struct ch_order_row order;
	int rc;

	*ret_is = false;
	if (!order_id)
		return CH_OK;
	rc = ch_order_row_load(w->db, order_id, &order);
	*ret_is = !rc && order.rollback == version;
	return rc == CH_ENOTFOUND ? CH_ECORRUPT : rc;
}

/* The order that is over was for the mate too, whose own record is to come yet: nothing begins
 * for it before the grace is over. */
static int keep_mate_waiting(struct ch_work *w, const char *mate, int64_t grace_end)
{
	return mate[0] ? ch_db_run(w->db,
				 "UPDATE name SET next_at = ?1 WHERE name = ?2 AND order_id IS "
				 "NULL AND next_at < ?1",
				 "it", grace_end, mate)
		       : CH_OK;
}

/* An order of before the backup has been overtaken: it ends here, whatever became of it at the
 * CA.  *ret_row is the name as it is then, *ret_names has its mate too. */
static int set_free(struct ch_work *w, const struct ch_name_row *before, int64_t grace_end,
	struct ch_name_row *ret_row, struct ch_order_names *ret_names)
{
	char mate[CH_NAME_MAX + 1];
	int rc = ch_work_detach(w, before->name, before->order_id);

	if (!rc)
		rc = ch_name_row_load(w->db, before->name, ret_row);
	if (rc)
		return rc;
	ch_name_row_mate(ret_row, mate);
	rc = keep_mate_waiting(w, mate, grace_end);
	if (!rc)
		list_names(ret_names, ret_row->name, mate);
	return rc;
}

/* What brought this very certificate has done so. */
static int take(struct ch_work *w, struct ch_store_handback_item *item,
	const struct ch_name_row *before, int64_t grace_end)
{
	struct ch_order_names names;
	struct ch_name_row row;
	bool is_soon = false;
	int rc = is_put_back(w, before->order_id, item->publish->id, &is_soon);

	if (is_soon)
		item->result = CH_HANDBACK_SOON;
	if (rc || is_soon)
		return rc;
	rc = set_free(w, before, grace_end, &row, &names);
	if (rc)
		return rc;
	if (row.version < item->publish->id) {
		item->result = CH_HANDBACK_TAKEN;
		rc = ch_work_publish_adopted(
			w, item->publish, &names, &(struct ch_work_adopted){.key = item->key});
		return rc ? rc : settle(w, item->name);
	}
	/* Edges have something newer of the name, if only that it was registered anew. */
	item->result = CH_HANDBACK_SOON;
	rc = ch_work_keep_adopted(w, item->publish, &names, item->key);
	return rc ? rc
		  : ch_work_put_back(w, &row, NULL,
			    &(struct ch_put_back){
				    .first = item->publish->id, .event = "handed-back"});
}

/* Whether edges would take it for the newest of this kind, and nobody has written the name's
 * row since with a higher version. */
static int is_second_newest(
	struct ch_work *w, const struct ch_name_row *row, uint64_t version, bool *ret_is)
{
	char key[CH_RECORD_KEY_B];
	bool removed = false;
	int rc;

	ch_record_key(CH_RECORD_SECOND, row->name, strlen(row->name), key);
	rc = is_removed_since(w, row->pool, key, version, &removed);
	*ret_is = !removed && row->version < version && row->second_cert < version;
	return rc;
}

static int settle_second(struct ch_work *w, const char *name)
{
	int rc = ch_db_run(w->db,
		"UPDATE name SET second_code = 'ok', second_detail = '" SETTLED "', "
		"second_actor = 'nobody' WHERE name = ?",
		"t", name);

	if (!rc)
		rc = ch_work_settle(w, name);
	return rc ? rc : ch_work_history(w, name, "handed-back", SETTLED, CH_ACTOR_NOBODY);
}

/* One that cannot be live under its version is ordered anew: it goes beside one that serves. */
static int take_second(struct ch_work *w, struct ch_store_handback_item *item,
	const struct ch_name_row *before, int64_t grace_end)
{
	struct ch_order_names names;
	struct ch_name_row row;
	bool newest = false;
	int rc;

	if (!ch_keys_both(before->keys) || item->key != CH_KEY_RSA || !before->cert ||
		before->cert_key == CH_KEY_RSA) {
		refuse(item, "second-not-wanted");
		return CH_OK;
	}
	rc = is_second_newest(w, before, item->publish->id, &newest);
	if (rc || !newest)
		return rc;
	rc = set_free(w, before, grace_end, &row, &names);
	if (rc)
		return rc;
	item->result = CH_HANDBACK_TAKEN;
	rc = ch_work_publish_adopted(w, item->publish, &names,
		&(struct ch_work_adopted){.second = true, .key = item->key});
	return rc ? rc : settle_second(w, item->name);
}

/* Edges that hold a higher version would refuse all that an issuer makes anew. */
static int take_tickets(
	struct ch_work *w, const struct ch_op_handback *op, struct ch_store_handback_item *item)
{
	bool taken = false;
	int rc;

	item->code = NULL;
	if (strcmp(item->tickets->pool, op->pool) != 0) {
		refuse(item, "pool");
		return CH_OK;
	}
	rc = ch_work_tickets_back(w, item->tickets, &taken);
	item->result = taken ? CH_HANDBACK_TAKEN : CH_HANDBACK_OLD;
	return rc;
}

/* What is as new waits for a thaw or a canary's soak: until then the edges that have this one
 * keep it, and do not go back to what the backup has. */
static int keep_meanwhile(
	struct ch_work *w, const char *pool, struct ch_store_handback_item *item)
{
	char key[CH_RECORD_KEY_B];
	int64_t one;
	int rc;

	if (item->result != CH_HANDBACK_OLD && item->result != CH_HANDBACK_SOON)
		return CH_OK;
	ch_record_key(item->second ? CH_RECORD_SECOND : CH_RECORD_CERT, item->name,
		strlen(item->name), key);
	rc = ch_db_get_i64(w->db, &one,
		"SELECT 1 FROM held WHERE name = ?1 AND pool = ?2 AND version >= ?3 AND NOT "
		"EXISTS (SELECT 1 FROM edge_record WHERE name = ?1 AND pool = ?2 AND version "
		">= ?3) LIMIT 1",
		"tti", key, pool, item->publish->id);
	if (!rc)
		item->result = CH_HANDBACK_TAKEN;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

static int take_item(struct ch_work *w, const struct ch_op_handback *op,
	struct ch_store_handback_item *item, int64_t grace_end)
{
	struct ch_name_row row;
	bool another = false;
	int rc = is_known_as_another(w, item->publish, &another);

	item->code = NULL;
	item->result = CH_HANDBACK_OLD;
	if (!rc && !another)
		rc = is_order_of_another(w, item->name, item->publish->id, &another);
	if (!rc)
		rc = ch_name_row_load(w->db, item->name, &row);
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	if (another || item->publish->id > w->tx.last_id) {
		refuse(item, "bad-record");
		return CH_OK;
	}
	if (item->publish->not_after_ms <= w->now) {
		refuse(item, "expired");
		return CH_OK;
	}
	if (rc == CH_ENOTFOUND && item->second) {
		refuse(item, "second-not-wanted"); /* its first is to come, and says so */
		return CH_OK;
	}
	if (rc == CH_ENOTFOUND)
		return register_again(w, op, item);
	if ((item->second ? row.second_cert : row.cert) >= item->publish->id)
		return CH_OK;
	if (strcmp(row.pool, op->pool) != 0)
		refuse(item, "pool");
	else if (row.state == CH_NAME_PAUSED)
		refuse(item, "domain-paused");
	if (item->code)
		return CH_OK;
	return (item->second ? take_second : take)(w, item, &row, grace_end);
}

int ch_work_handback(struct ch_work *w, struct ch_op_handback *op)
{
	int64_t until = 0;
	int rc = ch_db_get_i64(w->db, &until,
		"SELECT n FROM counter WHERE key = '" CH_COUNTER_HANDBACK_UNTIL "'", "");

	if (rc && rc != CH_ENOTFOUND)
		return rc;
	if (until <= w->now)
		return ch_err_set(&w->op->err, CH_ECONFLICT, "not-restored",
			"this database was not restored lately: nothing is to be handed back");
	if (!op->n_items || op->n_items > CH_STORE_HANDBACK_MAX)
		return ch_err_set(&w->op->err, CH_ETOOBIG, "batch-too-large",
			"1 to %d records at a time", CH_STORE_HANDBACK_MAX);
	for (size_t i = 0; i < op->n_items; i++) {
		struct ch_store_handback_item *item = &op->items[i];

		rc = item->tickets
			     ? take_tickets(w, op, item)
			     : take_item(w, op, item,
				       until - CH_RESTORE_WINDOW_MS + CH_RESTORE_GRACE_MS);
		if (!rc && !item->tickets)
			rc = keep_meanwhile(w, op->pool, item);
		if (rc)
			return rc;
	}
	return CH_OK;
}
