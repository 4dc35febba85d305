/* CH_OP_REKEY, and how far it is. */
#include "base/clock.h"
#include "store/sql_read.h"
#include "store/sql_work.h"

#define LATE_MAX 10000
/* Whatever is asked for: all other writes wait for as long as these take. */
#define PLAN_MAX 100

/* A certificate is live for a name as its first or its second. */
struct use {
	char name[CH_NAME_MAX + 1];
	bool second;
};

/* Those of one batch: a certificate has two names at most. */
struct uses {
	struct use *list;
	size_t n;
	size_t passed_over;
};

static int read_uses(
	struct ch_work *w, const struct ch_op_rekey *in, uint64_t last, struct uses *ret_uses)
{
	const struct ch_store_rekey_filter *f = &in->filter;
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT n.name, c.version IS NOT DISTINCT FROM n.second_cert, n.state IN "
		"('paused', 'moved') "
		"OR n.order_id IS NOT NULL OR n.next_at IS NULL "
		"FROM cert c JOIN cert_name m ON m.version = c.version "
		"JOIN name n ON n.name = m.name AND c.version IN (n.cert, n.second_cert) "
		"WHERE c.version > ?1 AND c.version <= ?2 AND (?3 = 0 OR c.published_at < ?3) "
		"AND (?4 IS NULL OR instr(lower(c.issuer), lower(?4)) > 0) AND (?5 IS NULL OR "
		"n.tenant = ?5) "
		"AND (?6 IS NULL OR n.pool = ?6) AND NOT EXISTS (SELECT 1 FROM name f WHERE "
		"f.name = n.www_of "
		"AND c.version IN (f.cert, f.second_cert)) ORDER BY c.version",
		"iiittt", in->after, last, f->issued_before_ms, f->issuer, f->tenant, f->pool);

	while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
		struct use *use = &ret_uses->list[ret_uses->n];

		rc = CH_OK;
		ch_db_copy(stmt, 0, use->name, sizeof(use->name), &rc);
		use->second = (int)ch_db_i64(stmt, 1);
		if ((int)ch_db_i64(stmt, 2))
			ret_uses->passed_over++;
		else if (++ret_uses->n == 2 * in->max)
			break;
	}
	return rc;
}

static int plan(struct ch_work *w, const struct use *use, int64_t at_ms)
{
	static const char first[] =
		"UPDATE name SET next_at = min(next_at, ?1), updated_at = ?2 WHERE name = ?3";
	static const char second[] = "UPDATE name SET second_at = min(second_at, ?1), "
				     "updated_at = ?2 WHERE name = ?3";
	char at[CH_TIME_STR_B];
	const char *detail;
	int rc = ch_db_run(w->db,
		"INSERT INTO rekey (name, second, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		"tii", use->name, (int64_t)use->second, at_ms);

	if (rc || !ch_db_changes(w->db))
		return rc;
	rc = ch_db_run(w->db, use->second ? second : first, "iit", at_ms, w->now, use->name);
	detail = ch_arena_fmt(w->op->arena, "A new certificate is planned for %s, on request.",
		ch_time_str(at_ms, at));
	if (!rc)
		rc = detail ? ch_work_history(w, use->name, "rekey", detail, CH_ACTOR_NOBODY)
			    : CH_ENOMEM;
	ch_work_due(w, at_ms);
	return rc;
}

static int begin(struct ch_work *w)
{
	int64_t left;
	int rc = ch_db_get_i64(w->db, &left, "SELECT n FROM counter WHERE key = 'rekey'", "");

	if (!rc && !left)
		rc = ch_db_run(w->db, "UPDATE counter SET n = 0 WHERE key = 'rekey-total'", "");
	if (!rc && !left)
		rc = ch_db_run(w->db, "UPDATE counter SET n = ? WHERE key = 'rekey-began'", "i",
			w->now);
	return rc ? rc : ch_work_audit(w, "rekey", "certificates");
}

/* The last version of the batch: 0 when there is none. */
static int find_last(struct ch_work *w, struct ch_op_rekey *in)
{
	size_t most = !in->dry_run && in->max > PLAN_MAX ? PLAN_MAX : in->max;
	int64_t last = 0;
	int64_t n = 0;
	int rc = ch_db_get_i64(w->db, &last,
		"SELECT max(version) FROM (SELECT version FROM cert WHERE version > ? "
		"ORDER BY version LIMIT ?) AS next",
		"ii", in->after, (int64_t)most);

	if (!rc)
		rc = ch_db_get_i64(w->db, &n,
			"SELECT count(*) FROM (SELECT 1 FROM cert WHERE version > ? LIMIT 1) "
			"AS one",
			"i", last);
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	in->last = (uint64_t)last;
	in->more = n > 0 && last > 0;
	return CH_OK;
}

int ch_work_rekey(struct ch_work *w, struct ch_op_rekey *in)
{
	int64_t at_ms = in->at_ms > w->now ? in->at_ms : w->now;
	struct uses uses = {.n = 0};
	int rc;

	if (!in->max || in->max > CH_STORE_REKEY_MAX || in->spacing_us < 0)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-field",
			"max must be 1 to %d and spacing not below 0", CH_STORE_REKEY_MAX);
	uses.list = ch_arena_array(w->op->arena, 2 * in->max, sizeof(*uses.list));
	rc = uses.list ? find_last(w, in) : CH_ENOMEM;
	if (!rc)
		rc = read_uses(w, in, in->last, &uses);
	if (!rc && in->begin && !in->dry_run)
		rc = begin(w);
	for (size_t i = 0; !rc && !in->dry_run && i < uses.n; i++)
		rc = plan(w, &uses.list[i], at_ms + in->spacing_us * (int64_t)i / 1000);
	w->tx.changed |= !in->dry_run;
	in->matched = uses.n;
	in->passed_over = uses.passed_over;
	return rc;
}

int ch_work_rekeyed(struct ch_work *w, const char *name, bool second)
{
	return ch_db_run(w->db, "DELETE FROM rekey WHERE name = ? AND second = ?", "ti", name,
		(int64_t)second);
}

static int read_rekey(struct ch_db *db, int64_t now, struct ch_store_rekey *rekey)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(db, &stmt,
		"SELECT (SELECT n FROM counter WHERE key = 'rekey-total'), "
		"(SELECT n FROM counter WHERE key = 'rekey'), "
		"(SELECT n FROM counter WHERE key = 'rekey-began'), "
		"coalesce((SELECT max(at) FROM rekey), 0), "
		"(SELECT count(*) FROM (SELECT 1 FROM rekey WHERE at < ? LIMIT ?) AS few)",
		"ii", now - CH_HOUR_MS, (int64_t)LATE_MAX);

	if (!rc)
		rc = ch_db_step(db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ECORRUPT;
	rekey->total = ch_db_u64(stmt, 0);
	rekey->left = ch_db_u64(stmt, 1);
	rekey->began_ms = ch_db_i64(stmt, 2);
	rekey->until_ms = ch_db_i64(stmt, 3);
	rekey->late = ch_db_u64(stmt, 4);
	return CH_OK;
}

int ch_sql_get_rekey(struct ch_store *base, struct ch_store_rekey *ret_rekey)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_rekey rekey;
	struct ch_db *db;
	int rc = ch_sql_read_begin(store, &db);

	if (rc)
		return rc;
	rc = read_rekey(db, ch_now_ms(), &rekey);
	ch_sql_read_end(store, db);
	if (!rc)
		*ret_rekey = rekey;
	return rc;
}
