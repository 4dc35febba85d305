/* CH_OP_STANDBY: standby certificates are put live (store_standby.h). */
#include <string.h>

#include "store/sql_work.h"

enum outcome {
	BEGUN,
	NOT_READY,
	HALF_READY,
	PASSED_OVER, /* paused, or a roll-back is under way */
};

struct attempt {
	enum outcome outcome;
	size_t names; /* BEGUN: with its www name */
	const char *code;
	const char *why;
	struct ch_put_back what;
};

static void refuse(struct attempt *a, enum outcome outcome, const char *code, const char *why)
{
	*a = (struct attempt){.outcome = outcome, .code = code, .why = why};
}

/* One of a name's two certificates. */
struct part {
	uint64_t live;
	uint64_t standby;
	char host[CH_STORE_ACCOUNT_MAX + 1]; /* of what is live; "": not known */
	bool by_command;		     /* put it there, and its CA has a name */
	bool meant;			     /* it is to be replaced, */
	const char *why;		     /* which is not possible; NULL: it is */
};

struct parts {
	struct part first;
	struct part second;
};

static int load_part(struct ch_work *w, uint64_t live, uint64_t standby, struct part *part)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = CH_OK;

	*part = (struct part){.live = live, .standby = standby};
	if (live)
		rc = ch_db_query(w->db, &stmt,
			"SELECT coalesce(c.ari_ca, ''), (SELECT count(*) FROM ca WHERE "
			"host = c.ari_ca AND c.origin <> 0) FROM cert c WHERE c.version = ?",
			"i", live);
	if (!rc && live)
		rc = ch_db_step(w->db, stmt);
	if (rc < 0 || !live)
		return rc;
	if (rc == 0)
		return CH_ECORRUPT;
	rc = CH_OK;
	ch_db_copy(stmt, 0, part->host, sizeof(part->host), &rc);
	part->by_command = ch_db_i64(stmt, 1) > 0;
	return rc;
}

/* host: the CA that has failed; NULL: none in particular. */
static int judge(
	struct ch_work *w, const struct ch_name_row *row, const char *host, struct part *part)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	char wanted[CH_STORE_CA_NAME_MAX + 1];
	int rc;

	if (!part->standby) {
		rc = ch_db_standby_wanted(w->db, row->standby, wanted);
		part->why = !rc && !wanted[0]
				    ? "is to have no standby certificate: `domain add "
				      "--standby CA`, or `standby` of [issuer], orders one"
				    : "has no standby certificate yet; `certherd domain "
				      "show` says when it comes, or why it does not";
		return rc;
	}
	rc = ch_db_query(w->db, &stmt,
		"SELECT c.not_after, iif(x.record IS NULL, 0, 1), "
		"iif(c.ari_ca = ?3, 1, 0) "
		"FROM cert c JOIN cert_name x ON x.version = c.version AND x.name "
		"IN " CH_KEPT_AS("?2") " WHERE c.version = ?1",
		"itt", part->standby, row->name, host);
	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	if (ch_db_i64(stmt, 0) <= w->now || !ch_db_i64(stmt, 1))
		part->why = "has a standby certificate that has expired";
	else if (ch_db_i64(stmt, 2))
		part->why = "has a standby of the same CA";
	else
		part->why = NULL;
	return CH_OK;
}

static bool is_hit(const struct part *part, const char *host)
{
	return part->live && (!host || strcmp(part->host, host) == 0);
}

/* A second certificate that is live and wanted is meant too. */
static int load_parts(
	struct ch_work *w, const struct ch_name_row *row, const char *host, struct parts *parts)
{
	struct part *second = &parts->second;
	int rc = load_part(w, row->cert, row->standby_cert, &parts->first);

	if (!rc)
		rc = load_part(w, ch_keys_both(row->keys) ? row->second_cert : 0,
			row->second_standby_cert, second);
	if (rc)
		return rc;
	parts->first.meant = host ? is_hit(&parts->first, host) : true;
	second->meant = is_hit(second, host);
	rc = judge(w, row, host, &parts->first);
	return rc ? rc : judge(w, row, host, second);
}

/* Without a CA that has failed nobody could say which of the two is to go. */
static bool is_ambiguous(const struct parts *parts, const char *host)
{
	return !host && parts->second.live && parts->first.host[0] && parts->second.host[0] &&
	       strcmp(parts->first.host, parts->second.host) != 0;
}

/* The standby of what was put live is from the CA that was left: who repeats the command must
 * not go back there. */
static bool is_repeated(const struct parts *parts, const char *host)
{
	return !host && (parts->first.by_command || parts->second.by_command);
}

static void choose(const struct parts *parts, const char *host, bool partly, struct attempt *a)
{
	const struct part *first = &parts->first;
	const struct part *second = &parts->second;
	bool takes_first = first->meant && !first->why;
	bool takes_second = second->meant && !second->why;

	if (is_repeated(parts, host)) {
		refuse(a, NOT_READY, "ca-needed",
			"has a certificate live that was put there by a command: if its CA has "
			"failed too, say which that is (--ca)");
		return;
	}
	if (is_ambiguous(parts, host)) {
		refuse(a, NOT_READY, "ca-needed",
			"has its two certificates from different CAs: say which CA has failed "
			"(--ca)");
		return;
	}
	/* What a command put live is what this one asks for: it has been done. */
	if (!first->meant && !second->meant) {
		refuse(a, NOT_READY,
			first->by_command || second->by_command ? NULL : "standby-not-ready",
			"has nothing live from this CA");
		return;
	}
	if (!takes_first && !takes_second) {
		refuse(a, NOT_READY, "standby-not-ready",
			first->meant ? first->why : second->why);
		return;
	}
	if (takes_first != first->meant && !partly) {
		refuse(a, HALF_READY, "standby-half-ready",
			"has a standby of its second certificate only; wait for the first "
			"one's, or put live what is ready (--partly)");
		return;
	}
	if (takes_second != second->meant && !partly) {
		refuse(a, HALF_READY, "standby-half-ready",
			"has a standby of its first certificate only; wait for the second "
			"one's, or put live what is ready (--partly)");
		return;
	}
	*a = (struct attempt){.outcome = BEGUN,
		.names = 1,
		.code = "ok",
		.what = {.first = takes_first ? first->standby : 0,
			.second = takes_second ? second->standby : 0,
			.event = "standby"}};
}

/* One that asks a CA for something is given up: it may be the CA that has failed. */
static int look_at_order(struct ch_work *w, const struct ch_name_row *row, struct attempt *a)
{
	struct ch_order_row order;
	int rc;

	if (!row->order_id)
		return CH_OK;
	rc = ch_order_row_load(w->db, row->order_id, &order);
	if (rc)
		return rc;
	if (order.rollback && order.state == CH_ORDER_NEW)
		refuse(a, PASSED_OVER,
			order.rollback == row->standby_cert ||
					order.rollback == row->second_standby_cert
				? NULL
				: "order-open",
			"has a roll-back under way: wait for its end");
	return CH_OK;
}

static int detach(struct ch_work *w, const struct ch_name_row *row)
{
	return row->order_id ? ch_work_detach(w, row->name, row->order_id) : CH_OK;
}

/* CH_ENOTFOUND: the name goes alone. */
static int load_mate(struct ch_work *w, const struct ch_name_row *row,
	const struct ch_put_back *what, struct ch_name_row *ret_mate)
{
	int rc = ch_work_shares(w, row, what, ret_mate);

	if (rc)
		return rc;
	if ((what->first && ret_mate->standby_cert != what->first) ||
		(what->second && ret_mate->second_standby_cert != what->second))
		return CH_ENOTFOUND;
	return CH_OK;
}

static int put_live(struct ch_work *w, const struct ch_name_row *row, const char *host,
	const struct ch_op_standby *op, struct attempt *a)
{
	struct ch_name_row mate;
	struct parts parts;
	bool has_mate;
	int rc;

	if (row->state == CH_NAME_PAUSED) {
		refuse(a, PASSED_OVER, "domain-paused", "is paused; resume it first");
		return CH_OK;
	}
	rc = load_parts(w, row, host, &parts);
	if (rc)
		return rc;
	choose(&parts, host, op->partly, a);
	if (a->outcome == BEGUN)
		rc = look_at_order(w, row, a);
	if (rc || a->outcome != BEGUN)
		return rc;
	rc = load_mate(w, row, &a->what, &mate);
	has_mate = !rc;
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	a->names += has_mate;
	if (op->dry_run)
		return CH_OK;
	rc = detach(w, row);
	/* Its order may have been the same one. */
	if (!rc && has_mate)
		rc = ch_name_row_load(w->db, mate.name, &mate);
	if (!rc && has_mate)
		rc = detach(w, &mate);
	return rc ? rc : ch_work_put_back(w, row, has_mate ? &mate : NULL, &a->what);
}

static int load_host(struct ch_work *w, const char *ca, char ret_host[CH_STORE_ACCOUNT_MAX + 1])
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt, "SELECT host FROM ca WHERE name = ?", "t", ca);

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return ch_err_set(&w->op->err, CH_ENOTFOUND, "ca-not-found",
			"no issuer has a CA that it calls \"%s\": main, or NAME of a section "
			"[ca NAME]",
			ca);
	rc = CH_OK;
	ch_db_copy(stmt, 0, ret_host, CH_STORE_ACCOUNT_MAX + 1, &rc);
	return rc;
}

static int put_one(struct ch_work *w, struct ch_op_standby *op)
{
	char host[CH_STORE_ACCOUNT_MAX + 1];
	struct ch_name_row row;
	struct attempt a;
	int rc = ch_name_row_load(w->db, op->name, &row);

	if (rc == CH_ENOTFOUND)
		return ch_err_set(&w->op->err, rc, "domain-not-found",
			"%s is not registered here", op->name);
	if (!rc && op->ca)
		rc = load_host(w, op->ca, host);
	if (!rc)
		rc = put_live(w, &row, op->ca ? host : NULL, op, &a);
	if (rc)
		return rc;
	if (a.outcome != BEGUN && a.code)
		return ch_err_set(&w->op->err, CH_ECONFLICT, a.code, "%s %s", op->name, a.why);
	op->begun = a.outcome == BEGUN ? a.names : 0;
	return ch_work_audit(w, "cert.standby", op->name);
}

struct found {
	const char *name;
	bool meant;
};

/* The next names, whatever is live for them: so that no call looks at more than these. */
static int find(struct ch_work *w, struct ch_op_standby *op, const char *host,
	struct found *list, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	size_t n = 0;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT n.name, iif(c.ari_ca = ?1 OR s.ari_ca = ?1, 1, 0) FROM name n "
		"LEFT JOIN cert c ON c.version = n.cert LEFT JOIN cert s ON "
		"s.version = n.second_cert AND n.keys LIKE '%+rsa' "
		"WHERE n.name > ?2 ORDER BY n.name LIMIT ?3",
		"tti", host, op->after ? op->after : "", (int64_t)op->max);

	while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
		rc = CH_OK;
		list[n].name = ch_db_text(w->op->arena, stmt, 0, &rc);
		list[n++].meant = ch_db_i64(stmt, 1);
	}
	*ret_n = n;
	return rc;
}

static int put_some(struct ch_work *w, struct ch_op_standby *op)
{
	char host[CH_STORE_ACCOUNT_MAX + 1];
	struct found *list = ch_arena_array(w->op->arena, op->max, sizeof(*list));
	size_t n = 0;
	int rc = list ? load_host(w, op->ca, host) : CH_ENOMEM;

	if (!rc)
		rc = find(w, op, host, list, &n);
	for (size_t i = 0; !rc && i < n; i++) {
		struct ch_name_row row;
		struct attempt a;

		if (!list[i].meant)
			continue;
		rc = ch_name_row_load(w->db, list[i].name, &row);
		if (!rc)
			rc = put_live(w, &row, host, op, &a);
		if (rc)
			break;
		/* Without a code: it is on its way already, by an earlier call or with its
		 * other name. */
		op->begun += a.outcome == BEGUN || !a.code;
		op->not_ready += a.outcome == NOT_READY || a.outcome == HALF_READY;
		op->half_ready += a.outcome == HALF_READY;
		op->passed_over += a.outcome == PASSED_OVER && a.code;
	}
	if (!rc && n == op->max)
		op->last = list[n - 1].name;
	if (!rc && !op->after && !op->dry_run)
		rc = ch_work_audit(w, "cert.standby-all", op->ca);
	return rc;
}

int ch_work_standby(struct ch_work *w, struct ch_op_standby *op)
{
	op->begun = op->not_ready = op->half_ready = op->passed_over = 0;
	op->last = NULL;
	if (op->name)
		return put_one(w, op);
	if (!op->max || op->max > CH_STORE_STANDBY_MAX)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-field", "max must be 1 to %d",
			CH_STORE_STANDBY_MAX);
	return put_some(w, op);
}
