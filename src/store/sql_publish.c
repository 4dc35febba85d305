/* CH_OP_PUBLISH. */
#include <string.h>

#include "crypto/keys.h"
#include "store/sql_calendar.h"

/* An account that nobody has: what replaces such a certificate is no renewal to any CA, since
 * it is not for the same set of names. */
#define NOBODYS "adopted/"

struct publication {
	struct ch_op_publish *in;
	enum ch_record_kind kind;
	enum ch_key_type key;
	bool standby;	/* for no edge */
	bool adopted;	/* by no order */
	bool other;	/* adopted: it covers more names than these */
	const char *ca; /* adopted: that knows it; NULL: none */
	struct ch_order_names names;
	int64_t renew_at;
	uint64_t order;	   /* 0: adopted */
	uint64_t rollback; /* the version to put back; 0: none */
	uint64_t key_version;
	uint8_t leaf_sha256[32];
	uint8_t chain_id[CH_CHAIN_ID_B];
	const struct ch_store_record_bytes *records[CH_STORE_ORDER_NAMES_MAX]; /* as names */
};

/* The version that this certificate had before; 0: it is new. */
static uint64_t came_from(const struct publication *pub)
{
	return pub->rollback			 ? pub->rollback
	       : pub->key_version != pub->in->id ? pub->key_version
						 : 0;
}

static int bad(struct ch_work *w, const char *detail)
{
	return ch_err_set(&w->op->err, CH_EINVAL, "bad-record", "%s", detail);
}

static int hash_parts(struct ch_work *w, struct publication *pub)
{
	const struct ch_op_publish *in = pub->in;
	struct ch_chain chain;

	if (!in->leaf_len || in->leaf_len > CH_RECORD_LEAF_MAX_B)
		return bad(w, "leaf: 1 to 8192 bytes of DER");
	if (ch_sha256(in->leaf, in->leaf_len, pub->leaf_sha256))
		return CH_ECRYPTO;
	memset(pub->chain_id, 0, sizeof(pub->chain_id));
	if (!in->chain)
		return CH_OK;
	if (ch_chain_decode(in->chain, in->chain_len, &chain))
		return bad(w, "chain: not a chain block");
	return ch_chain_id(in->chain, in->chain_len, pub->chain_id) ? CH_ECRYPTO : CH_OK;
}

static int find_name(const struct ch_order_names *names, const struct ch_record *record)
{
	for (size_t i = 0; i < names->n; i++)
		if (strlen(names->rows[i].name) == record->name_len &&
			memcmp(names->rows[i].name, record->name, record->name_len) == 0)
			return (int)i;
	return -1;
}

static int check_record(
	struct ch_work *w, struct publication *pub, const struct ch_store_record_bytes *bytes)
{
	const struct ch_op_publish *in = pub->in;
	struct ch_record record;
	int at;

	if (ch_record_decode(bytes->bytes, bytes->len, &record))
		return bad(w, "a record cannot be decoded");
	if (record.kind != pub->kind || !ch_record_has_cert(&record))
		return bad(
			w, pub->kind == CH_RECORD_CERT
				   ? "a record is not of the kind CERT"
				   : "a record is not of the kind SECOND, with a certificate");
	/* What others hand back may have been put back before, under a newer version. */
	if (record.version != in->id || record.key_version > in->id ||
		(!pub->rollback && !pub->adopted && record.key_version != in->id))
		return bad(w, "a record's version is not the id of the order");
	if (pub->rollback) {
		int rc = ch_work_check_rollback(w, pub->rollback, &record);

		if (rc)
			return rc;
	}
	pub->key_version = record.key_version;
	if (record.leaf_len != in->leaf_len || memcmp(record.leaf, in->leaf, in->leaf_len) != 0)
		return bad(w, "a record carries another leaf");
	if (memcmp(record.chain_id, pub->chain_id, CH_CHAIN_ID_B) != 0)
		return bad(w, "a record names another chain");
	at = find_name(&pub->names, &record);
	if (at < 0)
		return bad(w, "a record is for a name that is not in the order");
	if (pub->records[at])
		return bad(w, "two records for one name");
	pub->records[at] = bytes;
	return CH_OK;
}

static int check_records(struct ch_work *w, struct publication *pub)
{
	for (size_t i = 0; i < pub->in->n_records; i++) {
		int rc = check_record(w, pub, &pub->in->records[i]);

		if (rc)
			return rc;
	}
	for (size_t i = 0; i < pub->names.n; i++)
		if (!pub->names.rows[i].gone && !pub->records[i])
			return bad(w, "a name of the order has no record");
	return CH_OK;
}

/* A standby that is put live is asked about as it was; what a roll-back brings back is not: a
 * window that is over would have it renewed at once. */
static int write_cert(struct ch_work *w, const struct publication *pub)
{
	const struct ch_op_publish *in = pub->in;
	const struct ch_order_names *names = &pub->names;
	const char *text = ch_arena_fmt(w->op->arena, "%s%s%s", names->rows[0].name,
		names->n > 1 ? " " : "", names->n > 1 ? names->rows[1].name : "");
	int rc;

	if (!text)
		return CH_ENOMEM;
	if (in->chain) {
		rc = ch_db_run(w->db,
			"INSERT INTO chain (id, block) VALUES (?, ?) "
			"ON CONFLICT DO NOTHING",
			"bb", pub->chain_id, sizeof(pub->chain_id), in->chain, in->chain_len);
		if (rc)
			return rc;
	}
	return ch_db_run(w->db,
		"INSERT INTO cert (version, names, leaf, leaf_sha256, chain_id, serial, "
		"issuer, "
		"not_before, not_after, renew_at, spki_sha256, published_at, origin, key, "
		"ari_id, paced, ari_ca) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
		"?12, ?13, "
		"?14, coalesce(?15, o.ari_id), o.paced, "
		"coalesce(?19, substr(o.paced, 1, instr(o.paced || '/', '/') - 1)) "
		"FROM (SELECT coalesce((SELECT paced FROM cert WHERE version = ?18), "
		"(SELECT paced FROM orders WHERE id = ?1 UNION ALL SELECT ?16 "
		"WHERE ?17 LIMIT 1)) AS paced, (SELECT c.ari_id FROM cert c JOIN cert_name x "
		"ON x.version = c.version LEFT JOIN name n ON n.name = x.name "
		"WHERE c.version = ?18 AND (n.standby_cert = c.version OR x.name LIKE '%/6') "
		"LIMIT 1) AS ari_id) o",
		"itbbbttiiibiztttlit", in->id, text, in->leaf, in->leaf_len, pub->leaf_sha256,
		sizeof(pub->leaf_sha256), in->chain ? pub->chain_id : NULL,
		sizeof(pub->chain_id), in->serial, in->issuer, in->not_before_ms,
		in->not_after_ms, pub->renew_at, in->spki_sha256, sizeof(in->spki_sha256),
		w->now, pub->key_version != in->id ? pub->key_version : 0,
		ch_key_type_str(pub->key), in->ari_id, pub->other ? NOBODYS : NULL,
		(int64_t)pub->adopted, pub->rollback, pub->ca);
}

/* The record that was live stays with its certificate, so that one can go back to it. */
static int keep_previous(struct ch_work *w, const struct publication *pub, const char *key,
	const struct ch_name_row *row)
{
	uint64_t live = pub->kind == CH_RECORD_SECOND ? row->second_cert : row->cert;

	if (!live)
		return CH_OK;
	return ch_db_run(w->db,
		"UPDATE cert_name SET record = coalesce((SELECT record FROM held WHERE "
		"name = ?1 AND pool = ?2 AND version = ?3), (SELECT record FROM edge_record "
		"WHERE name = ?1 AND pool = ?2 AND version = ?3)) "
		"WHERE name = ?4 AND version = ?3",
		"ttit", key, row->pool, live, row->name);
}

/* The name's row, once its first certificate is live. */
static int write_first(struct ch_work *w, const struct publication *pub,
	const struct ch_name_row *row, enum ch_name_state state)
{
	int rc = ch_db_run(w->db,
		"UPDATE name SET cert = ?1, prev_cert = cert, not_after = ?2, version = ?1, "
		"next_at = ?3, failures = 0, state = ?4, updated_at = ?5, cert_key = ?7, "
		"standby_cert = nullif(standby_cert, ?8), danger_at = ?9 WHERE name = ?6",
		"iiitittzi", pub->in->id, pub->in->not_after_ms, pub->renew_at,
		ch_name_state_str(state), w->now, row->name, ch_key_type_str(pub->key),
		came_from(pub),
		ch_calendar_danger_ms(pub->in->not_before_ms, pub->in->not_after_ms));
	struct ch_name_row now;

	/* Who can use RSA only is served with the second one until the first has such a key,
	 * wherever that comes from. */
	if (rc || !row->second_cert || ch_keys_both(row->keys) ||
		(row->keys == CH_KEYS_RSA && pub->key != CH_KEY_RSA))
		return rc;
	rc = ch_name_row_load(w->db, row->name, &now);
	return rc ? rc : ch_work_withdraw_second(w, &now);
}

static int write_second(struct ch_work *w, const struct publication *pub,
	const struct ch_name_row *row, enum ch_name_state state)
{
	return ch_db_run(w->db,
		"UPDATE name SET second_cert = ?1, second_prev = second_cert, version = ?1, "
		"second_at = ?2, second_failures = 0, state = ?3, updated_at = ?4, "
		"second_standby_cert = nullif(second_standby_cert, ?6) WHERE name = ?5",
		"iititz", pub->in->id, pub->renew_at, ch_name_state_str(state), w->now,
		row->name, came_from(pub));
}

/* Its record is kept with it, as that of one that was live before. */
static int write_standby(struct ch_work *w, const struct publication *pub, size_t at,
	const struct ch_name_row *row)
{
	static const char of_first[] = "UPDATE name SET standby_cert = ?1, standby_at = ?2, "
				       "standby_failures = 0, updated_at = ?3 WHERE name = ?4";
	static const char of_second[] =
		"UPDATE name SET second_standby_cert = ?1, second_standby_at = ?2, "
		"second_standby_failures = 0, updated_at = ?3 WHERE name = ?4";
	const struct ch_store_record_bytes *record = pub->records[at];
	bool second = pub->kind == CH_RECORD_SECOND;
	char key[CH_RECORD_KEY_B];
	int rc;

	ch_record_key(pub->kind, row->name, strlen(row->name), key);
	rc = ch_db_run(w->db, "INSERT INTO cert_name (name, version, record) VALUES (?, ?, ?)",
		"tib", key, pub->in->id, record->bytes, record->len);
	if (!rc)
		rc = ch_db_run(w->db, second ? of_second : of_first, "iiit", pub->in->id,
			pub->renew_at, w->now, row->name);
	if (rc || second)
		return rc ? rc : ch_work_trim_second_standbys(w, row->name, pub->in->id);
	return ch_work_trim_certs(w, row->name,
		(const uint64_t[CH_KEPT_CERTS]){pub->in->id, row->cert, row->prev_cert,
			row->second_cert, row->second_prev});
}

/* Which event of the name's history it is. */
static const char *event_of(const struct publication *pub, const struct ch_name_row *row)
{
	if (pub->adopted)
		return "adopted";
	if (!pub->rollback)
		return "published";
	if (pub->rollback == row->standby_cert)
		return "standby-live";
	return pub->rollback == row->second_standby_cert ? "second-standby-live"
							 : "rolled-back";
}

static int write_name(struct ch_work *w, const struct publication *pub, size_t at)
{
	const struct ch_op_publish *in = pub->in;
	const struct ch_order_name_row *order_name = &pub->names.rows[at];
	enum ch_name_state state =
		pub->adopted ? CH_NAME_ACTIVE
			     : ch_name_state_during(CH_ORDER_CONFIRMING, order_name->had_cert);
	bool second = pub->kind == CH_RECORD_SECOND;
	char key[CH_RECORD_KEY_B];
	struct ch_name_row row;
	int rc = ch_name_row_load(w->db, order_name->name, &row);

	if (rc || row.order_id != pub->order || row.version > in->id ||
		(row.version == in->id && !pub->adopted))
		return rc && rc != CH_ENOTFOUND ? rc : CH_ECORRUPT;
	if (pub->standby)
		return write_standby(w, pub, at, &row);
	ch_record_key(pub->kind, row.name, strlen(row.name), key);
	rc = keep_previous(w, pub, key, &row);
	if (!rc)
		rc = ch_db_run(w->db, "INSERT INTO cert_name (name, version) VALUES (?, ?)",
			"ti", row.name, in->id);
	if (!rc)
		rc = ch_work_trim_certs(w, row.name,
			(const uint64_t[CH_KEPT_CERTS]){in->id, row.cert, row.second_cert,
				second ? row.prev_cert : row.second_prev,
				came_from(pub) == row.standby_cert ? 0 : row.standby_cert});
	if (!rc)
		rc = ch_work_emit(w, row.pool, key, in->id, pub->kind, pub->records[at]->bytes,
			pub->records[at]->len, in->chain ? pub->chain_id : NULL);
	if (!rc)
		rc = (second ? write_second : write_first)(w, pub, &row, state);
	if (!rc && came_from(pub) && came_from(pub) == row.second_standby_cert)
		rc = ch_work_trim_second_standbys(w, row.name, 0);
	if (!rc && (second || row.second_cert))
		rc = ch_work_both_end(w, row.name);
	if (!rc && !pub->rollback)
		rc = ch_work_rekeyed(w, row.name, second);
	if (!rc)
		rc = ch_work_plan_standby(w, &row, second, in->id);
	return rc ? rc
		  : ch_work_history(
			    w, row.name, event_of(pub, &row), in->serial, CH_ACTOR_NOBODY);
}

static int plan(struct ch_work *w, struct publication *pub)
{
	const struct ch_op_publish *in = pub->in;

	pub->renew_at = in->renew_at_ms;
	return in->renew_from_ms
		       ? ch_work_plan(w, in->renew_from_ms, in->renew_at_ms, in->not_before_ms,
				 in->not_after_ms, in->id, &pub->renew_at)
		       : CH_OK;
}

/* Of a certificate for two names one may have been adopted before. */
static bool is_written(struct ch_work *w, const struct publication *pub, int *rc)
{
	int64_t one;

	if (!pub->adopted)
		return false;
	*rc = ch_db_get_i64(
		w->db, &one, "SELECT 1 FROM cert WHERE version = ?", "i", pub->in->id);
	if (*rc != CH_ENOTFOUND)
		return true;
	*rc = CH_OK;
	return false;
}

static int write_names(struct ch_work *w, const struct publication *pub)
{
	bool any = false;
	int rc = CH_OK;

	for (size_t i = 0; i < pub->names.n; i++)
		any |= !pub->names.rows[i].gone;
	if (any && !is_written(w, pub, &rc))
		rc = write_cert(w, pub);
	for (size_t i = 0; !rc && i < pub->names.n; i++)
		if (!pub->names.rows[i].gone)
			rc = write_name(w, pub, i);
	return rc;
}

/* second: what is put live together with it; NULL: nothing. */
static int write_all(
	struct ch_work *w, const struct publication *pub, const struct publication *second)
{
	const struct ch_op_publish *in = pub->in;
	int64_t due = in->next_at_ms > w->now ? in->next_at_ms : w->now;
	int rc = write_names(w, pub);

	if (!rc && second)
		rc = write_names(w, second);
	ch_work_due(w, due);
	return rc ? rc
		  : ch_db_run(w->db,
			    "UPDATE orders SET state = 'confirming', leaf_sha256 = ?1, "
			    "csr = NULL, sealed = NULL, next_at = ?2, lease_issuer = NULL, "
			    "lease_until = NULL, "
			    "updated_at = ?3 WHERE id = ?4",
			    "biii", pub->leaf_sha256, sizeof(pub->leaf_sha256), due, w->now,
			    in->id);
}

static bool may_publish(const struct ch_order_row *order)
{
	if (order->rollback)
		return order->state == CH_ORDER_NEW;
	return order->state == CH_ORDER_SEALED || order->state == CH_ORDER_FINALIZING;
}

/* An issuer that knows of no second one brings the first alone. */
static int check_second(struct ch_work *w, const struct ch_order_row *order,
	struct ch_op_publish *in, struct publication *second)
{
	int rc;

	if (!order->rollback_second)
		return bad(w, "second: the order puts one certificate back");
	in->id = order->id + 1;
	second->in = in;
	second->rollback = order->rollback_second;
	second->kind = CH_RECORD_SECOND;
	second->key = CH_KEY_RSA;
	second->order = order->id;
	rc = hash_parts(w, second);
	if (!rc)
		rc = check_records(w, second);
	return rc ? rc : plan(w, second);
}

int ch_work_publish(struct ch_work *w, struct ch_op_publish *in)
{
	struct publication pub = {.in = in, .order = in->id};
	struct publication second = {.in = NULL};
	struct ch_order_row order;
	int rc = ch_work_ask_order(w->db, in->id);

	if (!rc)
		rc = ch_order_row_load(w->db, in->id, &order);
	if (rc == CH_ENOTFOUND)
		return ch_err_set(&w->op->err, rc, "order-not-found", "there is no such order");
	if (!rc)
		rc = ch_order_names_load(w->db, in->id, &pub.names);
	pub.kind = order.second ? CH_RECORD_SECOND : CH_RECORD_CERT;
	pub.key = order.key;
	if (!rc)
		rc = hash_parts(w, &pub);
	if (rc)
		return rc;
	if (order.has_leaf && memcmp(order.leaf_sha256, pub.leaf_sha256, 32) == 0)
		return ch_work_order_answer(w, &order, &in->answer);
	if (order.fence != in->fence)
		return ch_err_set(&w->op->err, CH_ECONFLICT, "fence-lost",
			"the lease ran out or the order was canceled: take another");
	if (!may_publish(&order))
		return ch_err_set(&w->op->err, CH_ECONFLICT, "order-state",
			"publish comes after sealed and once, not in state %s",
			ch_order_state_str(order.state));
	pub.rollback = order.rollback;
	pub.standby = order.standby;
	rc = check_records(w, &pub);
	if (!rc)
		rc = plan(w, &pub);
	second.names = pub.names;
	if (!rc && in->second)
		rc = check_second(w, &order, in->second, &second);
	if (!rc)
		rc = write_all(w, &pub, in->second ? &second : NULL);
	order.state = CH_ORDER_CONFIRMING;
	return rc ? rc : ch_work_order_answer(w, &order, &in->answer);
}

int ch_work_publish_adopted(struct ch_work *w, struct ch_op_publish *in,
	const struct ch_order_names *names, const struct ch_work_adopted *what)
{
	struct publication pub = {.in = in,
		.kind = what->second ? CH_RECORD_SECOND : CH_RECORD_CERT,
		.key = what->key,
		.adopted = true,
		.other = what->other,
		.ca = what->ca,
		.names = *names};
	int rc = hash_parts(w, &pub);

	if (!rc)
		rc = check_records(w, &pub);
	if (!rc)
		rc = plan(w, &pub);
	if (!rc)
		rc = write_names(w, &pub);
	if (!rc)
		ch_work_due(w, pub.renew_at);
	return rc;
}

static int keep_record(struct ch_work *w, const struct publication *pub, size_t at)
{
	const char *name = pub->names.rows[at].name;
	const struct ch_store_record_bytes *record = pub->records[at];
	struct ch_name_row row;
	int rc = ch_name_row_load(w->db, name, &row);

	if (!rc)
		rc = ch_db_run(w->db,
			"INSERT INTO cert_name (name, version, record) VALUES (?, ?, ?) "
			"ON CONFLICT (name, version) DO UPDATE SET record = excluded.record",
			"tib", name, pub->in->id, record->bytes, record->len);
	return rc ? rc
		  : ch_work_trim_certs(w, name,
			    (const uint64_t[CH_KEPT_CERTS]){pub->in->id, row.cert,
				    row.second_cert, row.prev_cert, row.standby_cert});
}

int ch_work_keep_adopted(struct ch_work *w, struct ch_op_publish *in,
	const struct ch_order_names *names, enum ch_key_type key)
{
	struct publication pub = {
		.in = in, .kind = CH_RECORD_CERT, .key = key, .adopted = true, .names = *names};
	bool written = false;
	int rc = hash_parts(w, &pub);

	if (!rc)
		rc = check_records(w, &pub);
	if (!rc)
		rc = plan(w, &pub);
	if (!rc)
		written = is_written(w, &pub, &rc);
	if (!rc && !written)
		rc = write_cert(w, &pub);
	for (size_t i = 0; !rc && i < pub.names.n; i++)
		if (!pub.names.rows[i].gone)
			rc = keep_record(w, &pub, i);
	return rc;
}
