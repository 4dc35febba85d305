/* CH_OP_ROLLBACK, and what a roll-back's order carries. */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "store/sql_work.h"

/* A name's live certificate and the one before it; versions 0: none. */
struct pair {
	uint64_t live;
	uint64_t live_origin;
	uint64_t before;
	uint64_t before_origin;
	int64_t before_ends_at;
};

static int refuse(struct ch_work *w, const char *code, const char *name, const char *why)
{
	return ch_err_set(&w->op->err, CH_ECONFLICT, code, "%s %s", name, why);
}

/* *ret_origin is 0 for a certificate that no roll-back brought. */
static int load_cert(
	struct ch_work *w, uint64_t version, uint64_t *ret_origin, int64_t *ret_ends_at)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT origin, not_after FROM cert WHERE version = ?", "i", version);

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	*ret_origin = ch_db_u64(stmt, 0);
	*ret_ends_at = ch_db_i64(stmt, 1);
	return CH_OK;
}

static int has_record(struct ch_work *w, const char *name, uint64_t version, bool *ret_has)
{
	int64_t one;
	int rc = ch_db_get_i64(w->db, &one,
		"SELECT 1 FROM cert_name WHERE name IN " CH_KEPT_AS(
			"?1") " AND version = ?2 AND record IS NOT NULL",
		"ti", name, version);

	*ret_has = rc == CH_OK;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

static int load_pair(struct ch_work *w, const struct ch_name_row *row, struct pair *pair)
{
	int64_t ends_at;
	bool has;
	int rc = CH_OK;

	*pair = (struct pair){.live = row->cert, .before = row->prev_cert};
	if (pair->live)
		rc = load_cert(w, pair->live, &pair->live_origin, &ends_at);
	if (!rc && pair->before)
		rc = has_record(w, row->name, pair->before, &has);
	if (rc || !pair->before)
		return rc;
	if (!has) {
		pair->before = 0;
		return CH_OK;
	}
	return load_cert(w, pair->before, &pair->before_origin, &pair->before_ends_at);
}

static bool is_version(uint64_t asked, uint64_t version, uint64_t origin)
{
	return asked && (asked == version || asked == origin);
}

/* Whether there is something to go back to that `to` means. */
static int check_pair(struct ch_work *w, const char *name, uint64_t to, const struct pair *pair)
{
	if (!pair->live || !pair->before)
		return refuse(w, "nothing-to-roll-back", name,
			"has no certificate before the live one");
	if (!to && pair->live_origin)
		return ch_err_set(&w->op->err, CH_ECONFLICT, "rolled-back",
			"%s has the certificate of version %" PRIu64
			" live, which was put there by a command; version %" PRIu64
			" is the one before: name it (--to) to put that back",
			name, pair->live_origin, pair->before);
	if (to && !is_version(to, pair->before, pair->before_origin))
		return ch_err_set(&w->op->err, CH_ENOTFOUND, "version-not-found",
			"version %" PRIu64 " of %s is not kept; the one before the live one "
			"is %" PRIu64,
			to, name, pair->before);
	if (pair->before_ends_at <= w->now)
		return refuse(w, "cert-expired", name,
			"cannot go back: the certificate before has expired");
	return CH_OK;
}

/* What is published already need not be waited for; what the CA is asked for now must. */
static int leave_order(struct ch_work *w, const struct ch_name_row *row)
{
	static const struct ch_store_reason served = {
		"ok", "Served by the edges.", CH_ACTOR_NOBODY};
	struct ch_order_row order;
	int rc;

	if (!row->order_id)
		return CH_OK;
	rc = ch_order_row_load(w->db, row->order_id, &order);
	if (!rc && order.state != CH_ORDER_CONFIRMING && !order.standby)
		return ch_err_set(&w->op->err, CH_ECONFLICT, "order-open",
			"an order for %s is under way (%s, %s): wait for its end", row->name,
			order.rollback ? "a roll-back" : "a new certificate",
			ch_order_state_str(order.state));
	/* It stays, and nobody is going to confirm it. */
	if (!rc && order.second)
		rc = ch_work_second_reason(w, row->name, row->order_id, &served);
	return rc ? rc : ch_work_detach(w, row->name, row->order_id);
}

int ch_work_shares(struct ch_work *w, const struct ch_name_row *row,
	const struct ch_put_back *what, struct ch_name_row *ret_mate)
{
	char name[CH_NAME_MAX + 1];
	bool has = true;
	int rc;

	ch_name_row_mate(row, name);
	if (!name[0])
		return CH_ENOTFOUND;
	rc = ch_name_row_load(w->db, name, ret_mate);
	if (!rc && what->first)
		rc = has_record(w, name, what->first, &has);
	if (!rc && has && what->second)
		rc = has_record(w, name, what->second, &has);
	if (rc)
		return rc;
	return has && ret_mate->state != CH_NAME_PAUSED &&
			       (!what->first || ret_mate->cert == row->cert) &&
			       (!what->second || ret_mate->second_cert == row->second_cert)
		       ? CH_OK
		       : CH_ENOTFOUND;
}

/* CH_ENOTFOUND: it goes alone. */
static int load_mate(struct ch_work *w, const struct ch_name_row *row,
	const struct ch_put_back *what, struct ch_name_row *ret_mate)
{
	int rc = ch_work_shares(w, row, what, ret_mate);

	return !rc && (ret_mate->prev_cert != row->prev_cert ||
			      (what->second && ret_mate->second_prev != row->second_prev))
		       ? CH_ENOTFOUND
		       : rc;
}

static const char *describe(struct ch_work *w, const struct ch_put_back *what)
{
	const char *put = strcmp(what->event, "standby") == 0 ? "put live" : "put back";

	if (what->first && what->second)
		return ch_arena_fmt(w->op->arena,
			"Versions %" PRIu64 " and, as the second, %" PRIu64 " are to be %s.",
			what->first, what->second, put);
	return ch_arena_fmt(w->op->arena, "Version %" PRIu64 " is to be %s%s.",
		what->first ? what->first : what->second, put,
		what->first ? "" : " as the second");
}

static int join(
	struct ch_work *w, uint64_t id, const char *name, const struct ch_put_back *what)
{
	const char *detail = describe(w, what);
	struct ch_name_row row;
	int rc = detail ? ch_name_row_load(w->db, name, &row) : CH_ENOMEM;

	if (!rc)
		rc = ch_work_add_member(w, id, &row, false, false);
	return rc ? rc : ch_work_history(w, name, what->event, detail, CH_ACTOR_NOBODY);
}

/* Under the account of the certificate, of which nothing is taken: free of all limits. */
int ch_work_put_back(struct ch_work *w, const struct ch_name_row *row,
	const struct ch_name_row *mate, const struct ch_put_back *what)
{
	bool both = what->first && what->second;
	uint64_t id = ch_work_id(w);
	int rc;

	/* The version of the second record, which must be one of its own. */
	if (both)
		(void)ch_work_id(w);
	rc = ch_db_run(w->db,
		"INSERT INTO orders (id, state, pool, fence, attempts, renewal, next_at, "
		"created_at, updated_at, rollback, key, paced, free, second, rollback_second) "
		"SELECT ?1, 'new', ?2, 0, 0, 1, ?3, ?3, ?3, version, key, paced, 2, ?5, ?6 "
		"FROM cert WHERE version = ?4",
		"itiiiz", id, row->pool, w->now, what->first ? what->first : what->second,
		(int64_t)!what->first, both ? what->second : 0);
	ch_work_due(w, w->now);
	if (!rc)
		rc = join(w, id, row->name, what);
	if (!rc && mate)
		rc = join(w, id, mate->name, what);
	return rc;
}

/* What one order put live goes back together, as long as it is live and what was before is
 * there and good: else the second certificate stays. */
static int find_second(
	struct ch_work *w, const struct ch_name_row *row, bool came_back, uint64_t *ret_version)
{
	uint64_t origin = 0;
	int64_t ends_at = 0;
	bool has = false;
	int rc = CH_OK;

	*ret_version = 0;
	if (!came_back || row->second_cert != row->cert + 1 || !row->second_prev ||
		!ch_keys_both(row->keys))
		return CH_OK;
	rc = load_cert(w, row->second_cert, &origin, &ends_at);
	if (!rc && origin)
		rc = has_record(w, row->name, row->second_prev, &has);
	if (!rc && has)
		rc = load_cert(w, row->second_prev, &origin, &ends_at);
	if (!rc && has && ends_at > w->now)
		*ret_version = row->second_prev;
	return rc;
}

int ch_work_rollback(struct ch_work *w, const struct ch_op_rollback *op)
{
	struct ch_name_row row;
	struct ch_name_row mate;
	struct ch_put_back what = {.event = "rollback"};
	struct pair pair;
	int mate_rc;
	int rc = ch_name_row_load(w->db, op->name, &row);

	if (rc == CH_ENOTFOUND)
		return ch_err_set(&w->op->err, rc, "domain-not-found",
			"%s is not registered here", op->name);
	if (!rc)
		rc = load_pair(w, &row, &pair);
	if (rc || is_version(op->to, pair.live, pair.live_origin))
		return rc;
	if (row.state == CH_NAME_PAUSED)
		return refuse(w, "domain-paused", op->name, "is paused; resume it first");
	rc = check_pair(w, op->name, op->to, &pair);
	what.first = row.prev_cert;
	if (!rc)
		rc = find_second(w, &row, pair.live_origin != 0, &what.second);
	if (rc)
		return rc;
	mate_rc = load_mate(w, &row, &what, &mate);
	rc = mate_rc == CH_ENOTFOUND ? CH_OK : mate_rc;
	if (!rc)
		rc = leave_order(w, &row);
	if (!rc && !mate_rc)
		rc = leave_order(w, &mate);
	if (!rc)
		rc = ch_work_put_back(w, &row, mate_rc ? NULL : &mate, &what);
	return rc ? rc : ch_work_audit(w, "cert.rollback", op->name);
}

int ch_work_check_rollback(struct ch_work *w, uint64_t version, const struct ch_record *record)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	char name[CH_NAME_MAX + 1];
	struct ch_record old;
	int rc;

	memcpy(name, record->name, record->name_len);
	name[record->name_len] = 0;
	rc = ch_db_query(w->db, &stmt,
		"SELECT record FROM cert_name WHERE name IN " CH_KEPT_AS(
			"?1") " AND version = ?2",
		"ti", name, version);
	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc < 0)
		return rc;
	if (rc == 0 ||
		ch_record_decode(ch_db_col_blob(stmt, 0), (size_t)ch_db_col_len(stmt, 0), &old))
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-record",
			"a record is for a name that has no certificate to go back to");
	if (record->key_version != old.key_version || record->leaf_len != old.leaf_len ||
		memcmp(record->leaf, old.leaf, old.leaf_len) != 0)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-record",
			"a record has another leaf or key than what is put back");
	return CH_OK;
}

static int load_record(struct ch_db *db, struct ch_arena *arena, const char *name, size_t at,
	struct ch_store_old *old)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt,
		"SELECT x.record, h.block FROM cert_name x JOIN cert c ON c.version = "
		"x.version LEFT JOIN chain h ON h.id = c.chain_id "
		"WHERE x.name IN " CH_KEPT_AS("?1") " AND x.version = ?2",
		"ti", name, old->version);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc;
	rc = CH_OK;
	old->records[at] = ch_db_blob(arena, stmt, 0, &old->record_lens[at], &rc);
	old->chain = ch_db_blob(arena, stmt, 1, &old->chain_len, &rc);
	return rc;
}

int ch_db_rollback_load(struct ch_db *db, struct ch_arena *arena, struct ch_store_order *order)
{
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < order->n_names; i++) {
		const struct ch_store_order_name *name = &order->names[i];

		if (!name->gone)
			rc = load_record(db, arena, name->name, i, &order->old);
		if (!rc && !name->gone && order->old_second.version)
			rc = load_record(db, arena, name->name, i, &order->old_second);
	}
	return rc;
}
