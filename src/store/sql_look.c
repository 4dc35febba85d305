/* Names that are looked at before there is an order: store/store_look.h. */
#include <string.h>

#include "store/sql_look.h"

static int read_look(
	struct ch_work *w, struct ch_stmt *stmt, int64_t until_ms, struct ch_store_look *look)
{
	int rc = CH_OK;

	look->key.name = ch_db_text(w->op->arena, stmt, 0, &rc);
	look->key.until_ms = until_ms;
	look->failures = ch_db_u64(stmt, 1);
	look->checks_failed = ch_db_u64(stmt, 2);
	look->away_since_ms = ch_db_i64(stmt, 3);
	look->needed_by_ms = ch_db_needed_by(stmt, 4, w->now);
	return rc;
}

#define NAMES                                                                                  \
	"SELECT n.name, n.failures, n.checks_failed, n.away_since, "                           \
	"c.not_before, c.not_after, c.ari_start, c.ari_end, r.at FROM name n "
#define AND_MORE                                                                               \
	"LEFT JOIN cert c ON c.version = n.cert "                                              \
	"LEFT JOIN rekey r ON r.name = n.name AND r.second = 0 "
#define DUE                                                                                    \
	AND_MORE                                                                               \
	"WHERE n.order_id IS NULL AND n.next_at IS NOT NULL AND n.next_at <= ? "

/* most: of these. */
static int hand_out(struct ch_work *w, struct ch_store_looking *looking, const char *sql,
	size_t most, int64_t until_ms)
{
	size_t first = looking->n_looks;
	size_t n = first;
	int rc;

	{
		CH_AUTO_STMT struct ch_stmt *stmt = NULL;

		rc = ch_db_query(w->db, &stmt, sql, "ii", w->now, (int64_t)most);
		while (!rc && (rc = ch_db_step(w->db, stmt)) == 1)
			rc = read_look(w, stmt, until_ms, &looking->looks[n++]);
	}
	/* Afterwards: an update would move the row under the running query. */
	for (size_t i = first; !rc && i < n; i++)
		rc = ch_db_run(w->db, "UPDATE name SET next_at = ? WHERE name = ?", "it",
			until_ms, looking->looks[i].key.name);
	looking->n_looks = n;
	return rc;
}

/* First, as half of all at the most, those that visitors ask for.  Then those that are due the
 * longest; behind very many a quarter is for those that came last, whose customers may be
 * waiting. */
int ch_work_hand_out(struct ch_work *w, const struct ch_op_lease *lease)
{
	/* As sql_lease.c does: they have no order. */
	static const char wanted[] = NAMES "INDEXED BY name_wanted " AND_MORE
					   "WHERE n.wanted_at IS NOT NULL AND n.next_at <= ? "
					   "ORDER BY n.wanted_at, n.next_at LIMIT ?";
	static const char oldest[] = NAMES DUE "ORDER BY n.next_at LIMIT ?";
	static const char newest[] = NAMES DUE "ORDER BY n.next_at DESC LIMIT ?";
	struct ch_store_looking *looking = lease->looking;
	size_t most_wanted = (looking->most + 1) / 2;
	size_t left;
	size_t share;
	int64_t until_ms = w->now + (lease->lease_ms < CH_STORE_LOOK_MS ? lease->lease_ms
									: CH_STORE_LOOK_MS);
	int rc;

	if (!looking->most)
		return CH_OK;
	looking->looks = ch_arena_array(w->op->arena, looking->most, sizeof(*looking->looks));
	if (!looking->looks)
		return CH_ENOMEM;
	/* Mostly nobody asks for anything. */
	rc = ch_db_ask(w->db, wanted, "ii", w->now, (int64_t)most_wanted);
	if (!rc)
		rc = ch_db_ask(w->db, oldest, "ii", w->now,
			(int64_t)(looking->most - looking->most / 4));
	if (!rc)
		rc = hand_out(w, looking, wanted, most_wanted, until_ms);
	left = looking->most - looking->n_looks;
	share = left / 4;
	if (!rc)
		rc = hand_out(w, looking, oldest, left - share, until_ms);
	if (!rc && share && looking->n_looks == looking->most - share)
		rc = hand_out(w, looking, newest, share, until_ms);
	if (!rc && looking->n_looks)
		ch_work_due(w, until_ms);
	return rc;
}

int ch_work_looked_at(struct ch_work *w, const struct ch_store_look_key *key, bool *ret_still)
{
	struct ch_name_row row;
	int rc = ch_name_row_load(w->db, key->name, &row);

	*ret_still = !rc && !row.order_id && row.next_at == key->until_ms &&
		     row.state != CH_NAME_PAUSED;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

/* The other name of the group, when it is due or being looked at too, waits for nobody. */
static int part_mate(struct ch_work *w, const struct ch_name_row *row)
{
	char mate[CH_NAME_MAX + 1];

	ch_name_row_mate(row, mate);
	return mate[0] ? ch_db_run(w->db,
				 "UPDATE name SET solo = 1 WHERE name = ? AND order_id IS NULL "
				 "AND solo = 0 AND (cert IS NULL OR next_at <= ?)",
				 "ti", mate, w->now + CH_STORE_LOOK_MS)
		       : CH_OK;
}

/* Strangers can have a name looked at before its time: then it is as if it had not been. */
static int put_back(struct ch_work *w, const struct ch_name_row *row,
	const struct ch_store_outcome *outcome)
{
	const struct ch_store_reason *reason = &outcome->reason;
	int rc = ch_db_run(w->db,
		"UPDATE name SET next_at = look_was_at, look_was_at = NULL, wanted_at = NULL, "
		"code = ?, detail = ?, actor = ? WHERE name = ?",
		"tttt", ch_work_cut(w, reason->code, CH_STORE_CODE_MAX),
		ch_work_cut(w, reason->detail, CH_STORE_DETAIL_MAX),
		ch_actor_str(reason->actor), row->name);

	ch_work_due(w, row->look_was_at);
	if (!rc)
		rc = ch_pace_forget(w, row->name);
	return rc ? rc : part_mate(w, row);
}

static int bury(struct ch_work *w, const struct ch_name_row *row,
	const struct ch_store_outcome *outcome)
{
	const struct ch_store_reason *reason = &outcome->reason;
	bool moved = outcome->state == CH_NAME_MOVED;
	int64_t next_at = outcome->next_at_ms ? outcome->next_at_ms : w->now;
	int rc = ch_db_run(w->db,
		"UPDATE name SET state = ?1, next_at = ?2, failures = failures + 1, "
		"checks_failed = checks_failed + 1, solo = 0, "
		"away_since = iif(?3, coalesce(away_since, ?4), NULL), code = ?5, detail = ?6, "
		"actor = ?7, updated_at = ?4 WHERE name = ?8",
		"tiiitttt", ch_name_state_str(outcome->state), next_at, (int64_t)outcome->away,
		w->now, ch_work_cut(w, reason->code, CH_STORE_CODE_MAX),
		ch_work_cut(w, reason->detail, CH_STORE_DETAIL_MAX),
		ch_actor_str(reason->actor), row->name);

	ch_work_due(w, next_at);
	if (!rc)
		rc = ch_pace_forget(w, row->name);
	if (!rc)
		rc = part_mate(w, row);
	return rc ? rc
		  : ch_work_history(w, row->name, moved ? "moved-away" : "failed",
			    reason->detail, reason->actor);
}

int ch_work_bury(struct ch_work *w, const struct ch_store_looking *looking)
{
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < looking->n_dead; i++)
		rc = ch_name_row_ask(w->db, looking->dead[i].name);
	for (size_t i = 0; !rc && i < looking->n_dead; i++) {
		const struct ch_store_outcome *outcome = &looking->dead[i];
		struct ch_name_row row;

		rc = ch_name_row_load(w->db, outcome->name, &row);
		if (rc == CH_ENOTFOUND)
			rc = CH_OK;
		else if (!rc && !row.order_id && row.next_at == looking->dead_until_ms[i])
			rc = row.look_was_at > w->now ? put_back(w, &row, outcome)
						      : bury(w, &row, outcome);
	}
	return rc;
}
