/* Whose turn it is among those who wait for an account: store/pace.h. */
#include <stdio.h>
#include <string.h>

#include "store/sql_pace.h"

static int insert_waiting(
	struct ch_work *w, const struct ch_pace_order *order, int64_t since_ms)
{
	return ch_db_run(w->db,
		"INSERT INTO waiting (name, class, tenant, since, cas) VALUES (?, ?, ?, ?, ?) "
		"ON CONFLICT (name) DO NOTHING",
		"titit", order->names[0], (int64_t)order->class, order->tenant, since_ms,
		order->cas);
}

/* It keeps its age: only by its urgency it comes before others. */
int ch_pace_stand(struct ch_work *w, const struct ch_pace_order *order)
{
	int64_t since_ms;
	int rc = insert_waiting(w, order, order->due_ms);

	if (rc || ch_db_changes(w->db))
		return rc;
	rc = ch_db_get_i64(w->db, &since_ms,
		"SELECT since FROM waiting WHERE name = ? AND class > ?", "ti", order->names[0],
		(int64_t)order->class);
	if (rc)
		return rc == CH_ENOTFOUND ? CH_OK : rc;
	/* What waits of each class is counted as it comes and goes. */
	rc = ch_pace_forget(w, order->names[0]);
	return rc ? rc : insert_waiting(w, order, since_ms);
}

int ch_pace_reclass(struct ch_work *w, const char *name, enum ch_class class, int64_t since_ms)
{
	char tenant[CH_STORE_LABEL_MAX + 1];
	char cas[CH_STORE_CAS_TEXT_B];
	struct ch_pace_order order = {
		.names = {name}, .n_names = 1, .tenant = tenant, .cas = cas, .class = class};
	int rc;

	{
		CH_AUTO_STMT struct ch_stmt *stmt = NULL;

		rc = ch_db_query(w->db, &stmt, "SELECT tenant, cas FROM waiting WHERE name = ?",
			"t", name);
		if (!rc)
			rc = ch_db_step(w->db, stmt);
		if (rc <= 0)
			return rc;
		rc = CH_OK;
		ch_db_copy(stmt, 0, tenant, sizeof(tenant), &rc);
		ch_db_copy(stmt, 1, cas, sizeof(cas), &rc);
	}
	if (!rc)
		rc = ch_pace_forget(w, name);
	return rc ? rc : insert_waiting(w, &order, since_ms);
}

bool ch_pace_is_limited(const struct ch_op_lease *lease)
{
	bool limited = false;

	for (size_t n = 0; n <= lease->n_fallback; n++) {
		const struct ch_store_pace *pace = n ? &lease->fallback[n - 1] : &lease->pace;

		for (int i = 0; i < CH_PACED_COUNT; i++)
			limited |= pace->account && pace->limits[i].size != 0;
	}
	return limited;
}

enum ch_class ch_pace_class_of_first(bool wanted, bool imported, uint64_t failures)
{
	if (wanted)
		return CH_CLASS_VISITOR;
	return imported || failures ? CH_CLASS_BACKLOG : CH_CLASS_NEW;
}

static const char cas_sql[] =
	"SELECT cas FROM turn WHERE n > 0 AND cas >= ? ORDER BY cas LIMIT 1";

int ch_pace_turn_ask(struct ch_work *w)
{
	return ch_db_ask(w->db, cas_sql, "t", "");
}

/* The lists of those who wait, one after the other: *ret_cas is the first from this text on. */
static int next_cas(struct ch_work *w, const char *from, char ret_cas[CH_STORE_CAS_TEXT_B])
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt, cas_sql, "t", from);

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	rc = CH_OK;
	ch_db_copy(stmt, 0, ret_cas, CH_STORE_CAS_TEXT_B, &rc);
	return rc;
}

struct turn {
	int64_t class;
	int64_t served;
	char tenant[CH_STORE_LABEL_MAX + 1];
	char cas[CH_STORE_CAS_TEXT_B];
};

/* Whose turn it is among those with this list, of this class or a less urgent one; *turn stays
 * when it is another one's before. */
static int look_at_line(
	struct ch_work *w, const char *cas, enum ch_class class, struct turn *turn)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT class, served, tenant FROM turn WHERE n > 0 AND cas = ? "
		"AND class >= ? ORDER BY class, served, tenant LIMIT 1",
		"ti", cas, (int64_t) class);

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc;
	rc = CH_OK;
	if (ch_db_i64(stmt, 0) > turn->class ||
		(ch_db_i64(stmt, 0) == turn->class && ch_db_i64(stmt, 1) >= turn->served))
		return CH_OK;
	turn->class = ch_db_i64(stmt, 0);
	turn->served = ch_db_i64(stmt, 1);
	ch_db_copy(stmt, 2, turn->tenant, sizeof(turn->tenant), &rc);
	strcpy(turn->cas, cas);
	return rc;
}

/* Of the lines whose accounts have a token: those of the others keep nobody waiting. */
static int find_turn(struct ch_work *w, const struct ch_op_lease *lease, enum ch_class class,
	struct turn *ret_turn)
{
	char cas[CH_STORE_CAS_TEXT_B] = "";
	char from[CH_STORE_CAS_TEXT_B + 1] = "";
	int rc;

	*ret_turn = (struct turn){.class = INT64_MAX};
	while ((rc = next_cas(w, from, cas)) == CH_OK) {
		struct ch_pace_list paces;
		bool ready = true;

		ch_pace_list(lease, cas, &paces);
		/* Without one of its CAs a name is told so. */
		if (paces.n)
			rc = ch_pace_any_ready(w, &paces, &ready);
		if (!rc && ready)
			rc = look_at_line(w, cas, class, ret_turn);
		if (rc)
			return rc;
		snprintf(from, sizeof(from), "%s\x01", cas);
	}
	if (rc != CH_ENOTFOUND)
		return rc;
	return ret_turn->class == INT64_MAX ? CH_ENOTFOUND : CH_OK;
}

/* Who waits, class by class, from that of *first on: as many as the turn depends on.  All of
 * them only where it is a less urgent one's. */
static int find_others(struct ch_work *w, const struct ch_op_lease *lease, int64_t number,
	const struct turn *first, struct turn found[CH_CLASS_COUNT], unsigned *ret_waiting)
{
	int most = number % CH_SCHED_SHARE == CH_SCHED_SHARE - 1 ? CH_CLASS_COUNT : 2;
	struct turn next = *first;
	unsigned waiting = 0;
	int rc = CH_OK;

	for (int n = 0; rc == CH_OK && n < most; n++) {
		if (next.class < 0 || next.class >= CH_CLASS_COUNT)
			return CH_ECORRUPT;
		found[next.class] = next;
		waiting |= 1u << next.class;
		rc = next.class + 1 < CH_CLASS_COUNT
			     ? find_turn(w, lease, (enum ch_class)(next.class + 1), &next)
			     : CH_ENOTFOUND;
	}
	*ret_waiting = waiting;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

/* The backlog alone has no turn to give back while others wait in a line whose account is short
 * of tokens just now: those may have had theirs before it. */
static int give_back_turns(struct ch_work *w, int64_t number, int64_t *after)
{
	int64_t others = 0;
	int rc;

	if (*after >= number)
		return CH_OK;
	rc = ch_db_get_i64(w->db, &others,
		"SELECT 1 FROM turn WHERE n > 0 AND class <> ? LIMIT 1", "i",
		(int64_t)CH_CLASS_BACKLOG);
	if (others)
		*after = number;
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

static int take_turn(struct ch_work *w, const struct ch_op_lease *lease, struct turn *ret_turn)
{
	struct turn found[CH_CLASS_COUNT];
	unsigned waiting = 0;
	int64_t number = 0;
	int64_t after;
	int rc = find_turn(w, lease, CH_CLASS_DANGER, ret_turn);

	if (!rc) {
		rc = ch_db_get_i64(
			w->db, &number, "SELECT n FROM counter WHERE key = 'turns'", "");
		rc = rc == CH_ENOTFOUND ? CH_OK : rc;
	}
	if (!rc)
		rc = find_others(w, lease, number, ret_turn, found, &waiting);
	if (rc)
		return rc;
	*ret_turn = found[ch_sched_class(waiting, (uint64_t)number)];
	after = (int64_t)ch_sched_next_turn(waiting, (uint64_t)number);
	rc = give_back_turns(w, number, &after);
	if (rc || after == number)
		return rc;
	return ch_db_run(w->db,
		"INSERT INTO counter (key, n) VALUES ('turns', ?) "
		"ON CONFLICT (key) DO UPDATE SET n = excluded.n",
		"i", after);
}

int ch_pace_turn(
	struct ch_work *w, const struct ch_op_lease *lease, char ret_name[CH_NAME_MAX + 1])
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	struct turn turn;
	int rc = take_turn(w, lease, &turn);

	if (!rc)
		rc = ch_db_query(w->db, &stmt,
			"SELECT name FROM waiting WHERE class = ? AND tenant = ? AND cas = ? "
			"ORDER BY since, name LIMIT 1",
			"itt", turn.class, turn.tenant, turn.cas);
	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc ? rc : CH_ENOTFOUND;
	rc = CH_OK;
	ch_db_copy(stmt, 0, ret_name, CH_NAME_MAX + 1, &rc);
	ch_db_reset_p(&stmt);
	stmt = NULL;
	if (!rc)
		rc = ch_pace_forget(w, ret_name);
	w->tx.changed = true;
	return rc ? rc
		  : ch_db_run(w->db,
			    "UPDATE turn SET served = ? WHERE class = ? AND tenant = ? "
			    "AND cas = ?",
			    "iitt", ch_work_id(w), turn.class, turn.tenant, turn.cas);
}

static const char waiting_sql[] = "SELECT n FROM counter WHERE key = 'waiting'";

int ch_pace_next_ask(struct ch_db *db)
{
	return ch_db_ask(db, waiting_sql, "");
}

int ch_pace_next(struct ch_db *db, int64_t now_ms, int64_t *ret_at_ms)
{
	int64_t waiting = 0;
	int64_t at_us;
	int rc = ch_db_get_i64(db, &waiting, waiting_sql, "");

	*ret_at_ms = INT64_MAX;
	if (rc || !waiting)
		return rc;
	/* Any account that has a token: whose it is, the lease will tell. */
	rc = ch_db_get_i64(db, &at_us,
		"SELECT min(tat - (size - 1) * refill) FROM bucket "
		"WHERE key >= 'account:' AND key < 'account;'",
		"");
	if (rc && rc != CH_ENOTFOUND)
		return rc;
	*ret_at_ms = rc ? now_ms : (at_us + 999) / 1000;
	return CH_OK;
}
