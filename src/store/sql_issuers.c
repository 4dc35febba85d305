/* CH_OP_ISSUER, and the list of what issuers have said. */
#include <string.h>

#include "base/clock.h"
#include "store/sql_work.h"

/* A clock that was wrong is not wrong by less. */
#define FUTURE_MS CH_DAY_MS

int ch_work_issuer(struct ch_work *w, const struct ch_op_issuer *issuer)
{
	const char *software = issuer->software ? issuer->software : "";

	if (strlen(issuer->says) > CH_STORE_SAYS_MAX_B ||
		strlen(software) > CH_STORE_SOFTWARE_MAX)
		return ch_err_set(&w->op->err, CH_ETOOBIG, "bad-field",
			"what an issuer says of itself has at most %u bytes, its version %d",
			CH_STORE_SAYS_MAX_B, CH_STORE_SOFTWARE_MAX);
	/* What another store has confirmed meanwhile is left alone; what a wrong clock has
	 * confirmed for the time to come is not, nor what a store did that knows no versions.
	 */
	return ch_db_run(w->db,
		"INSERT INTO issuer (id, says, changed_at, confirmed_at, software, "
		"software_at) "
		"VALUES (?1, ?2, ?3, ?3, ?5, ?3) ON CONFLICT (id) DO UPDATE SET "
		"changed_at = iif(issuer.says = ?2, issuer.changed_at, ?3), says = ?2, "
		"confirmed_at = ?3, software = ?5, software_at = ?3 WHERE issuer.says <> ?2 "
		"OR issuer.confirmed_at <= ?4 OR issuer.confirmed_at > ?3 "
		"OR issuer.software <> ?5 OR issuer.software_at <> issuer.confirmed_at",
		"ttiit", issuer->id, issuer->says, w->now, w->now - CH_STORE_ISSUER_CONFIRM_MS,
		software);
}

int ch_work_prune_issuers(
	struct ch_work *w, int64_t before, int64_t max_rows, int64_t *ret_removed)
{
	int rc = ch_db_run(w->db,
		"DELETE FROM issuer WHERE id IN (SELECT id FROM issuer "
		"WHERE confirmed_at < ? OR confirmed_at > ? LIMIT ?)",
		"iii", before, w->now + FUTURE_MS, max_rows);

	*ret_removed = ch_db_changes(w->db);
	return rc;
}

static int read_issuers(
	struct ch_db *db, struct ch_arena *arena, struct ch_store_issuer *list, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	size_t n = 0;
	int rc = ch_db_query(db, &stmt,
		"SELECT id, says, changed_at, confirmed_at, "
		"iif(software_at = confirmed_at, software, '') FROM issuer "
		"WHERE confirmed_at >= ? ORDER BY confirmed_at DESC, id LIMIT ?",
		"ii", ch_now_ms() - CH_STORE_ISSUER_KEEP_MS, (int64_t)CH_STORE_ISSUERS_MAX);

	while (!rc && (rc = ch_db_step(db, stmt)) == 1) {
		rc = CH_OK;
		list[n++] = (struct ch_store_issuer){
			.id = ch_db_text(arena, stmt, 0, &rc),
			.says = ch_db_text(arena, stmt, 1, &rc),
			.changed_at_ms = ch_db_i64(stmt, 2),
			.confirmed_at_ms = ch_db_i64(stmt, 3),
			.software = ch_db_text(arena, stmt, 4, &rc),
		};
	}
	*ret_n = n;
	return rc;
}

int ch_sql_list_issuers(struct ch_store *base, struct ch_arena *arena,
	struct ch_store_issuer **ret_issuers, size_t *ret_n)
{
	struct ch_sql_store *store = ch_sql_of(base);
	struct ch_store_issuer *list =
		ch_arena_array(arena, CH_STORE_ISSUERS_MAX, sizeof(*list));
	struct ch_db *db;
	size_t n;
	int rc = list ? ch_sql_read_begin(store, &db) : CH_ENOMEM;

	if (rc)
		return rc;
	rc = read_issuers(db, arena, list, &n);
	ch_sql_read_end(store, db);
	if (rc)
		return rc;
	*ret_issuers = list;
	*ret_n = n;
	return CH_OK;
}
