/* What is too old goes from the history of names and from the audit log.  Both are in the order
 * of ids, which is that of time but for what a clock that was wrong has put into the future:
 * that stays until it is long ago, and must not keep what came after it.
 *
 * History: the last entries of names that are there stay.  A mark moves over the table, so that
 * each entry is looked at once and a turn costs what it passes.  What it passes and leaves
 * stands below the mark: it goes when a later entry of the same name is passed.  Of a name that
 * is gone there may be none, so what stands below the mark is looked at again and
 * again, a small part in each turn. */
#include "base/clock.h"
#include "store/sql_work.h"

#define MARK "history-swept"
/* So many rows a turn looks at for each that it may remove: of housekeeping's 250 some
 * milliseconds. */
#define LOOK_EACH 200
/* … and so many of those below the mark, most of which are the last of names that are there. */
#define AGAIN_EACH 20
#define AGAIN "history-again"

/* Where a turn begins to look, when more rows are dated ahead than one looks at: so a later
 * turn gets past them, and the one after the last begins at the front again, as they are due
 * some day. */
struct look {
	const char *key;
	const char *first;
	const char *window;
};
#define LOOK(table)                                                                            \
	{                                                                                      \
		table "-looked", "SELECT at FROM " table " WHERE id > ? ORDER BY id LIMIT 1",  \
			"SELECT count(*), count(CASE WHEN at > ?3 THEN 1 END), max(id) FROM "  \
			"(SELECT id, at FROM " table                                           \
			" WHERE id > ?1 ORDER BY id LIMIT ?2) AS seen"                         \
	}
static const struct look look_history = LOOK("history");
static const struct look look_audit = LOOK("audit");

static int load_mark(struct ch_work *w, const char *key, int64_t *ret_mark)
{
	int rc =
		ch_db_get_i64(w->db, ret_mark, "SELECT n FROM counter WHERE key = ?", "t", key);

	if (rc == CH_ENOTFOUND) {
		*ret_mark = 0;
		rc = CH_OK;
	}
	return rc;
}

static int set_mark(struct ch_work *w, const char *key, int64_t mark)
{
	return ch_db_run(w->db,
		"INSERT INTO counter (key, n) VALUES (?, ?) "
		"ON CONFLICT (key) DO UPDATE SET n = excluded.n",
		"ti", key, mark);
}

static bool is_ahead(const struct ch_work *w, int64_t at_ms)
{
	return at_ms > w->now + CH_DAY_MS;
}

/* *ret_to: the last of the rows that a turn looks at, if all of them are dated ahead, else 0.
 */
static int pass_over(
	struct ch_work *w, const struct look *look, int64_t from, int64_t rows, int64_t *ret_to)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int64_t at_ms;
	int rc = ch_db_get_i64(w->db, &at_ms, look->first, "i", from);

	*ret_to = 0;
	if (rc || !is_ahead(w, at_ms))
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	rc = ch_db_query(w->db, &stmt, look->window, "iii", from, rows, w->now + CH_DAY_MS);
	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc;
	if (ch_db_i64(stmt, 0) == rows && ch_db_i64(stmt, 1) == rows)
		*ret_to = ch_db_i64(stmt, 2);
	return CH_OK;
}

static int look_on(
	struct ch_work *w, const struct look *look, int64_t from, struct ch_sweep *sweep)
{
	int64_t looked;
	int64_t to;
	int rc = load_mark(w, look->key, &looked);

	if (!rc)
		rc = pass_over(w, look, from, LOOK_EACH * sweep->max_rows, &to);
	if (rc)
		return rc;
	sweep->more = to != 0;
	return to == looked ? CH_OK : set_mark(w, look->key, to);
}

/* The window of this turn: (from, *ret_to], all of it too old, but for what is dated ahead. Its
 * rows that are: *ret_n. */
static int find_window(struct ch_work *w, const struct ch_sweep *sweep, int64_t from,
	int64_t *ret_to, int64_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT id, at FROM (SELECT id, at FROM history WHERE id > ? ORDER BY id "
		"LIMIT ?) AS seen WHERE at <= ? ORDER BY id LIMIT ?",
		"iiii", from, LOOK_EACH * sweep->max_rows, w->now + CH_DAY_MS, sweep->max_rows);

	*ret_n = 0;
	while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
		if (ch_db_i64(stmt, 1) >= sweep->before_ms)
			return CH_OK;
		*ret_to = ch_db_i64(stmt, 0);
		(*ret_n)++;
		rc = CH_OK;
	}
	return rc;
}

/* The newest entry of all stays in any case: the database would give its id out again, below
 * the mark. */
static int remove_passed(
	struct ch_work *w, const struct ch_sweep *sweep, int64_t from, int64_t to)
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
		"iiiii", from, to, sweep->least, sweep->before_ms, sweep->max_rows);
}

#define BELOW                                                                                  \
	"(SELECT id, name, at FROM history WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3) "  \
	"AS below "

/* Of names that are gone, what was dated ahead when the mark passed it and is too old by now.
 * What has a later entry above the mark goes with that. */
static int remove_left(struct ch_work *w, struct ch_sweep *sweep, int64_t mark)
{
	int64_t rows = AGAIN_EACH * sweep->max_rows;
	int64_t from;
	int64_t last;
	int rc = load_mark(w, AGAIN, &from);

	if (rc)
		return rc;
	/* Where the part ends; there is none behind the last one, and the next is the first. */
	rc = ch_db_get_i64(w->db, &last,
		"SELECT id FROM " BELOW "ORDER BY id LIMIT 1 OFFSET ?4", "iiii", from, mark,
		rows, rows - 1);
	if (rc == CH_ENOTFOUND)
		last = 0;
	else if (rc)
		return rc;
	rc = ch_db_run(w->db,
		"DELETE FROM history WHERE id IN (SELECT id FROM " BELOW
		"WHERE at < ?4 AND NOT EXISTS (SELECT 1 FROM name n WHERE n.name = below.name) "
		"AND NOT EXISTS (SELECT 1 FROM history k WHERE k.name = below.name "
		"AND k.id > ?2) ORDER BY id LIMIT ?5) AND id < (SELECT max(id) FROM history)",
		"iiiii", from, mark, rows, sweep->before_ms, sweep->max_rows);
	if (rc)
		return rc;
	sweep->removed = ch_db_changes(w->db);
	sweep->more = sweep->removed == sweep->max_rows;
	return sweep->more || last == from ? CH_OK : set_mark(w, AGAIN, last);
}

int ch_work_sweep_history(struct ch_work *w, struct ch_sweep *sweep)
{
	int64_t mark;
	int64_t from;
	int64_t to;
	int64_t n;
	int rc = load_mark(w, MARK, &mark);

	if (!rc)
		rc = load_mark(w, look_history.key, &from);
	if (rc)
		return rc;
	if (from < mark)
		from = mark;
	rc = find_window(w, sweep, from, &to, &n);
	if (!rc && !n)
		rc = look_on(w, &look_history, from, sweep);
	if (!rc && !n && !sweep->more)
		return remove_left(w, sweep, mark);
	if (rc || !n)
		return rc;
	rc = remove_passed(w, sweep, from, to);
	if (rc)
		return rc;
	sweep->removed = ch_db_changes(w->db);
	sweep->more = n == sweep->max_rows || sweep->removed == sweep->max_rows;
	if (sweep->removed == sweep->max_rows)
		return CH_OK; /* the same window again: more of it may have to go */
	return set_mark(w, MARK, to);
}

/* The newest one stays however old it is: SQLite would give its id out again, and who has
 * copied the log would take what comes then for what he has. */
int ch_work_sweep_audit(struct ch_work *w, struct ch_sweep *sweep)
{
	int64_t from;
	int rc = load_mark(w, look_audit.key, &from);

	if (rc)
		return rc;
	rc = ch_db_run(w->db,
		"DELETE FROM audit WHERE id IN (SELECT id FROM (SELECT id, at FROM audit "
		"WHERE id > ? ORDER BY id LIMIT ?) AS front WHERE at < ? ORDER BY id LIMIT ?) "
		"AND id < (SELECT max(id) FROM audit)",
		"iiii", from, LOOK_EACH * sweep->max_rows, sweep->before_ms, sweep->max_rows);
	if (rc)
		return rc;
	sweep->removed = ch_db_changes(w->db);
	sweep->more = sweep->removed == sweep->max_rows;
	return sweep->more ? CH_OK : look_on(w, &look_audit, from, sweep);
}
