/* History that is too old goes, but for the last entries of names that are there.  A mark moves
 * over the table in the order of ids, which is that of time, so that each entry is looked at
 * once and a turn costs what it passes.  What it passes and leaves stands below the mark: it
 * goes when a later entry of the same name is passed. */
#include "base/clock.h"
#include "store/sql_work.h"

#define MARK "history-swept"

/* The window of this turn: (mark, *ret_to], all of it too old, but for what a clock that was
 * wrong has put into the future: else nothing would go until then.  Its rows: *ret_n. */
static int find_window(struct ch_work *w, const struct ch_sweep *sweep, int64_t mark,
	int64_t *ret_to, int64_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT id, at FROM history WHERE id > ? ORDER BY id LIMIT ?", "ii", mark,
		sweep->max_rows);

	*ret_to = mark;
	*ret_n = 0;
	for (int64_t n = 1; !rc && (rc = ch_db_step(w->db, stmt)) == 1; n++) {
		int64_t at_ms = ch_db_i64(stmt, 1);

		rc = CH_OK;
		if (at_ms < sweep->before_ms) {
			*ret_to = ch_db_i64(stmt, 0);
			*ret_n = n;
		} else if (at_ms <= w->now + CH_DAY_MS) {
			return CH_OK;
		}
	}
	return rc;
}

/* The newest entry of all stays in any case: the database would give its id out again, below
 * the mark. */
static int remove_passed(
	struct ch_work *w, const struct ch_sweep *sweep, int64_t mark, int64_t to)
{
	return ch_db_run(w->db,
		"DELETE FROM history WHERE id IN (SELECT h.id FROM "
		"(SELECT g.name AS name, g.upto AS upto, CASE WHEN EXISTS "
		"(SELECT 1 FROM name n WHERE n.name = g.name) THEN coalesce((SELECT k.id "
		"FROM history k WHERE k.name = g.name ORDER BY k.id DESC LIMIT 1 OFFSET ?3), "
		"0) ELSE g.upto END AS bound FROM (SELECT s.name AS name, max(s.id) AS upto "
		"FROM history s WHERE s.id > ?1 AND s.id <= ?2 GROUP BY s.name) AS g) AS swept "
		"JOIN history h ON h.name = swept.name AND h.id <= swept.upto "
		"AND h.id <= swept.bound WHERE h.at < ?4 "
		"AND h.id < (SELECT max(id) FROM history) LIMIT ?5)",
		"iiiii", mark, to, sweep->least, sweep->before_ms, sweep->max_rows);
}

int ch_work_sweep_history(struct ch_work *w, struct ch_sweep *sweep)
{
	int64_t mark = 0;
	int64_t to;
	int64_t n;
	int rc =
		ch_db_get_i64(w->db, &mark, "SELECT n FROM counter WHERE key = '" MARK "'", "");

	if (rc && rc != CH_ENOTFOUND)
		return rc;
	rc = find_window(w, sweep, mark, &to, &n);
	if (rc || !n)
		return rc;
	rc = remove_passed(w, sweep, mark, to);
	if (rc)
		return rc;
	sweep->removed = ch_db_changes(w->db);
	sweep->more = n == sweep->max_rows || sweep->removed == sweep->max_rows;
	if (sweep->removed == sweep->max_rows)
		return CH_OK; /* the same window again: more of it may have to go */
	return ch_db_run(w->db,
		"INSERT INTO counter (key, n) VALUES ('" MARK "', ?) "
		"ON CONFLICT (key) DO UPDATE SET n = excluded.n",
		"i", to);
}
