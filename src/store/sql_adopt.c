/* CH_OP_ADOPT. */
#include <string.h>

#include "crypto/keys.h"
#include "store/sql_work.h"

static void judge(struct ch_store_adopt_item *item, enum ch_store_adopt_result result,
	const char *code, const char *detail)
{
	item->result = result;
	item->code = code;
	item->detail = detail;
}

static void changed(struct ch_store_adopt_item *item)
{
	judge(item, CH_ADOPT_REFUSED, "changed-meanwhile",
		"The name was changed since it was asked about: run it again.");
}

/* When the certificate ends that is live in this one's place; 0: there is none. */
static int load_end(struct ch_work *w, const struct ch_name_row *row, bool second,
	int64_t *ret_end_ms, enum ch_key_type *ret_key)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	uint64_t live = second ? row->second_cert : row->cert;
	int rc;

	*ret_end_ms = 0;
	*ret_key = second ? CH_KEY_RSA : row->cert_key;
	if (!live)
		return CH_OK;
	rc = ch_db_query(
		w->db, &stmt, "SELECT not_after FROM cert WHERE version = ?", "i", live);
	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	*ret_end_ms = ch_db_i64(stmt, 0);
	return CH_OK;
}

/* As that of a certificate which the name would get from a CA. */
static bool is_wanted(const struct ch_name_row *row, enum ch_key_type key)
{
	return key == ch_keys_first(row->keys);
}

static int look_at_live(struct ch_work *w, const struct ch_name_row *row, bool second,
	struct ch_store_adopt_item *item)
{
	enum ch_key_type key;
	int64_t end_ms;
	int rc = load_end(w, row, second, &end_ms, &key);

	if (rc)
		return rc;
	if (end_ms >= item->not_after_ms)
		judge(item, CH_ADOPT_KEPT, "live-already",
			"The name has a live certificate that ends no earlier.");
	/* It has more than it lacks: what a name is to have is not given up for a later end. */
	else if (end_ms > w->now && is_wanted(row, key) && !second &&
		 !is_wanted(row, item->key))
		judge(item, CH_ADOPT_KEPT, "live-already",
			"The name has a live certificate with the key that it is to have.");
	return CH_OK;
}

static void look_at_second(const struct ch_name_row *row, struct ch_store_adopt_item *item)
{
	if (!ch_keys_both(row->keys) || item->key != CH_KEY_RSA)
		judge(item, CH_ADOPT_KEPT, "second-not-wanted",
			"The name is to have one certificate, by its \"keys\".");
	else if (!row->cert)
		judge(item, CH_ADOPT_REFUSED, "no-first",
			"The name has no first certificate to which this one would be the "
			"second.");
	else if (row->cert_key == CH_KEY_RSA)
		judge(item, CH_ADOPT_KEPT, "second-not-wanted",
			"The name's first certificate has an RSA key already.");
}

/* A new certificate was asked for, for a reason: what others have issued before is none. */
static int look_at_rekey(
	struct ch_work *w, const struct ch_name_row *row, struct ch_store_adopt_item *item)
{
	int64_t one;
	int rc = ch_db_get_i64(w->db, &one,
		"SELECT 1 FROM rekey WHERE name = ? AND second = ? LIMIT 1", "ti", row->name,
		(int64_t)item->second);

	if (!rc)
		judge(item, CH_ADOPT_KEPT, "rekey-planned",
			"The name is to have a new key, as was asked for.");
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

static int look_at_row(struct ch_work *w, const struct ch_op_adopt *op,
	const struct ch_name_row *row, struct ch_store_adopt_item *item)
{
	const struct ch_store_put_item *want = op->settings;
	int rc;

	item->place = row->www || row->www_of[0] ? CH_ADOPT_WWW : CH_ADOPT_ALONE;
	if (want->tenant && strcmp(want->tenant, row->tenant) != 0)
		judge(item, CH_ADOPT_REFUSED, "tenant", "Another tenant holds the name.");
	else if (want->pool && strcmp(want->pool, row->pool) != 0)
		judge(item, CH_ADOPT_REFUSED, "pool", "The name is in another pool.");
	else if (row->state == CH_NAME_PAUSED)
		judge(item, CH_ADOPT_KEPT, "domain-paused", "The name is paused.");
	else if (row->order_id)
		judge(item, CH_ADOPT_KEPT, "order-open",
			"An order is under way that brings the name a certificate.");
	else if (item->second)
		look_at_second(row, item);
	rc = item->code ? CH_OK : look_at_rekey(w, row, item);
	return rc || item->code ? rc : look_at_live(w, row, item->second, item);
}

static int look_at_fresh(struct ch_work *w, const struct ch_op_adopt *op, const char *name,
	struct ch_store_adopt_item *item)
{
	struct ch_store_put_item claim = *op->settings;
	bool refused = false;
	int rc;

	item->place = CH_ADOPT_FRESH;
	if (item->second) {
		judge(item, CH_ADOPT_REFUSED, "no-first", "The name is not registered.");
		return CH_OK;
	}
	claim.name = name;
	claim.www = CH_TRI_NO;
	claim.ask_proof = true;
	claim.proof = NULL;
	rc = ch_work_check_claim(
		w, &claim, claim.tenant ? claim.tenant : CH_STORE_LABEL_DEFAULT, &refused);
	if (!rc && refused)
		judge(item, CH_ADOPT_REFUSED, claim.problem, claim.detail);
	return rc;
}

/* Leaves the code NULL when nothing is in the way. */
static int look_at_name(struct ch_work *w, const struct ch_op_adopt *op, const char *name,
	struct ch_store_adopt_item *item, struct ch_name_row *ret_row)
{
	int rc = ch_name_row_load(w->db, name, ret_row);

	if (rc == CH_ENOTFOUND)
		return look_at_fresh(w, op, name, item);
	return rc ? rc : look_at_row(w, op, ret_row, item);
}

static int ask(
	struct ch_work *w, const struct ch_op_adopt *op, struct ch_store_adopt_item *item)
{
	struct ch_name_row row;
	int rc = look_at_name(w, op, item->names[0], item, &row);

	if (rc || item->code)
		return rc;
	item->result = CH_ADOPT_READY;
	item->version = op->dry_run ? 0 : ch_work_id(w);
	return CH_OK;
}

/* Whether edges would take a record of this version for the newest of the name. */
static int is_newest(struct ch_work *w, const char *pool, const char *name, uint64_t version,
	bool second, bool *ret_is)
{
	char key[CH_RECORD_KEY_B];
	int64_t one;
	int rc;

	ch_record_key(second ? CH_RECORD_SECOND : CH_RECORD_CERT, name, strlen(name), key);
	rc = ch_db_get_i64(w->db, &one,
		"SELECT 1 FROM edge_record WHERE name = ?1 AND pool = ?2 AND version >= ?3 "
		"UNION ALL SELECT 1 FROM held WHERE name = ?1 AND pool = ?2 AND version >= ?3 "
		"LIMIT 1",
		"tti", key, pool, version);
	*ret_is = rc == CH_ENOTFOUND;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

/* A version that was given out, and that nothing has used since. */
static int is_free(struct ch_work *w, uint64_t version, bool *ret_is)
{
	int64_t one;
	int rc = ch_db_get_i64(w->db, &one,
		"SELECT 1 FROM cert WHERE version = ?1 UNION ALL SELECT 1 FROM orders WHERE id "
		"= ?1 "
		"LIMIT 1",
		"i", version);

	*ret_is = rc == CH_ENOTFOUND && version > 0 && version <= w->tx.last_id;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

/* The name had it, or one with its key, and something took its place: perhaps a roll-back, or a
 * rekey after the key had become known.  A client may keep its key, so that of what is live is
 * no reason. */
static int look_at_past(
	struct ch_work *w, const struct ch_name_row *row, struct ch_store_adopt_item *item)
{
	const struct ch_op_publish *in = item->publish;
	uint8_t sha256[CH_SHA256_B];
	int64_t one;
	int rc = ch_sha256(in->leaf, in->leaf_len, sha256);

	if (!rc)
		rc = ch_db_get_i64(w->db, &one,
			"SELECT 1 FROM cert_name x JOIN cert c ON c.version = x.version "
			"WHERE x.name = ? AND (c.leaf_sha256 = ? OR (c.spki_sha256 = ? AND "
			"x.version NOT IN (?, ?))) LIMIT 1",
			"tbbii", row->name, sha256, sizeof(sha256), in->spki_sha256,
			sizeof(in->spki_sha256), row->cert, row->second_cert);
	if (!rc)
		judge(item, CH_ADOPT_KEPT, "was-live",
			"The name had this certificate, or its key, before: it does not come "
			"back over what took its place.");
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

struct live {
	struct ch_order_names names;
	struct ch_name_row rows[CH_STORE_ADOPT_NAMES];
	enum ch_store_adopt_place places[CH_STORE_ADOPT_NAMES];
};

static int look_at_all(struct ch_work *w, const struct ch_op_adopt *op,
	struct ch_store_adopt_item *item, struct live *live)
{
	uint64_t version = item->publish->id;
	bool good = true;
	int rc = is_free(w, version, &good);

	for (size_t i = 0; !rc && good && !item->code && i < item->n_names; i++) {
		struct ch_name_row *row = &live->rows[i];
		const char *pool =
			op->settings->pool ? op->settings->pool : CH_STORE_LABEL_DEFAULT;

		rc = look_at_name(w, op, item->names[i], item, row);
		if (!rc && !item->code && item->place != CH_ADOPT_FRESH)
			rc = look_at_past(w, row, item);
		if (rc || item->code)
			break;
		live->places[i] = item->place;
		if (item->place != CH_ADOPT_FRESH)
			pool = row->pool;
		good = item->place == CH_ADOPT_FRESH || row->version < version;
		if (good)
			rc = is_newest(w, pool, item->names[i], version, item->second, &good);
		strcpy(live->names.rows[i].name, item->names[i]);
	}
	live->names.n = item->n_names;
	if (item->n_names > 1 && live->places[0] != live->places[1])
		good = false;
	if (!rc && !item->code &&
		(!good || (item->n_names > 1 && item->place == CH_ADOPT_ALONE)))
		changed(item);
	return rc;
}

static bool is_pair(const struct ch_store_adopt_item *item)
{
	return item->n_names < 2 || (strncmp(item->names[0], "www.", 4) != 0 &&
					    strncmp(item->names[1], "www.", 4) == 0 &&
					    strcmp(item->names[1] + 4, item->names[0]) == 0);
}

/* Whether it was done already, and only the answer was lost: it is live under this very
 * version. */
static int is_done(struct ch_work *w, const struct ch_store_adopt_item *item, bool *ret_done)
{
	const struct ch_op_publish *in = item->publish;
	uint8_t sha256[CH_SHA256_B];
	int rc = ch_sha256(in->leaf, in->leaf_len, sha256);

	*ret_done = false;
	for (size_t i = 0; !rc && i < item->n_names; i++) {
		int64_t one;

		rc = ch_db_get_i64(w->db, &one,
			"SELECT 1 FROM name n JOIN cert c ON c.version = ?2 WHERE n.name = ?1 "
			"AND c.leaf_sha256 = ?3 AND ((n.cert = ?2 AND ?4 = 0) OR "
			"(n.second_cert = ?2 AND ?4 = 1)) LIMIT 1",
			"tibi", item->names[i], in->id, sha256, sizeof(sha256),
			(int64_t)item->second);
	}
	*ret_done = rc == CH_OK;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

/* What a name says that has its certificate. */
static int settle(struct ch_work *w, const char *name, bool second)
{
	int rc = ch_db_run(w->db,
		"UPDATE name SET code = 'ok', detail = 'Adopted; served by the edges.', "
		"actor = 'nobody', second_code = iif(?2, 'ok', second_code), "
		"second_detail = iif(?2, 'Adopted; served by the edges.', second_detail) "
		"WHERE name = ?1",
		"tl", name, (int64_t)second);

	return rc ? rc : ch_work_settle(w, name);
}

static int make_live(struct ch_work *w, const struct ch_op_adopt *op,
	struct ch_store_adopt_item *item, const struct live *live)
{
	const struct ch_work_adopted what = {
		.second = item->second, .key = item->key, .other = item->other, .ca = item->ca};
	struct ch_store_put_item fresh = *op->settings;
	int rc = CH_OK;

	fresh.name = item->names[0];
	fresh.www = item->n_names > 1 ? CH_TRI_YES : CH_TRI_NO;
	if (live->places[0] == CH_ADOPT_FRESH)
		rc = ch_work_create_adopted(w, &fresh, op->keys, item->publish->id);
	if (!rc)
		rc = ch_work_publish_adopted(w, item->publish, &live->names, &what);
	for (size_t i = 0; !rc && i < item->n_names; i++)
		rc = settle(w, item->names[i], item->second);
	if (!rc)
		rc = ch_work_audit(w, "domain.adopt", item->names[0]);
	if (!rc)
		item->result = CH_ADOPT_DONE;
	return rc;
}

static int publish(
	struct ch_work *w, const struct ch_op_adopt *op, struct ch_store_adopt_item *item)
{
	struct live live = {.names = {.n = 0}};
	bool done = false;
	int rc;

	if (item->publish->not_after_ms != item->not_after_ms)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-record",
			"the certificate ends at another time than the item says");
	if (!is_pair(item) || (item->second && item->key != CH_KEY_RSA)) {
		judge(item, CH_ADOPT_REFUSED, "bad-field",
			"Two names are a name and its www name; a second certificate has an "
			"RSA key.");
		return CH_OK;
	}
	rc = is_done(w, item, &done);
	if (rc)
		return rc;
	if (done) {
		item->result = CH_ADOPT_DONE;
		return CH_OK;
	}
	rc = look_at_all(w, op, item, &live);
	return rc || item->code ? rc : make_live(w, op, item, &live);
}

/* Of no name alone: the settings are those of all that are new. */
static int check_settings(struct ch_work *w, const struct ch_op_adopt *op)
{
	const struct ch_name_row none = {.name = ""};
	const char *detail;
	int rc = ch_work_judge_cas(w, op->settings, op->known_cas, &none, &detail);

	return rc || !detail
		       ? rc
		       : ch_err_set(&w->op->err, CH_ECONFLICT, "ca-unknown", "%s", detail);
}

int ch_work_adopt(struct ch_work *w, struct ch_op_adopt *op)
{
	int rc;

	if (!op->n_items || op->n_items > CH_STORE_ADOPT_MAX)
		return ch_err_set(&w->op->err, CH_ETOOBIG, "batch-too-large",
			"1 to %d certificates at a time", CH_STORE_ADOPT_MAX);
	rc = check_settings(w, op);
	for (size_t i = 0; !rc && i < op->n_items; i++) {
		struct ch_store_adopt_item *item = &op->items[i];

		item->code = item->detail = NULL;
		item->version = 0;
		if (!item->n_names || item->n_names > CH_STORE_ADOPT_NAMES ||
			(!item->publish && item->n_names > 1))
			return ch_err_set(&w->op->err, CH_EINVAL, "bad-field",
				"one name, or to be made live with its www name two");
		rc = item->publish ? publish(w, op, item) : ask(w, op, item);
	}
	return rc;
}
