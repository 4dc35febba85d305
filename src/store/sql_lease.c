/* CH_OP_LEASE. */
#include <string.h>

#include "base/clock.h"
#include "store/sql_calendar.h"
#include "store/sql_look.h"

/* Names that wait for a limit, looked at by one lease. */
#define PACED_LOOKS 500
/* Standbys, beside those that there is room for. */
#define STANDBY_LOOKS 20
#define STANDBY_HOLD_MS (5 * CH_SECOND_MS)
/* A second certificate that is on its way out has no standby; should it stay after all … */
#define NOT_WANTED_MS CH_DAY_MS

/* Which of a name's certificates an order brings. */
enum slot { SLOT_FIRST, SLOT_SECOND, SLOT_STANDBY, SLOT_SECOND_STANDBY };

int ch_work_add_member(
	struct ch_work *w, uint64_t id, const struct ch_name_row *row, bool quiet, bool second)
{
	static const char *const details[2][2] = {
		{"An order was opened.", "An order for the second certificate was opened."},
		{"An order for a standby was opened.",
			"An order for a standby of the second certificate was opened."}};
	int rc = ch_db_run(w->db,
		"INSERT INTO order_name (order_id, name, had_cert, prev_state, gone) "
		"VALUES (?, ?, ?, ?, 0)",
		"itit", id, row->name, (int64_t)(row->cert != 0),
		ch_name_state_str(row->state));

	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET order_id = ?, solo = 0, state = ?, updated_at = ? "
			"WHERE name = ?",
			"itit", id,
			ch_name_state_str(
				quiet || row->state == CH_NAME_MOVED
					? row->state
					: ch_name_state_during(CH_ORDER_NEW, row->cert != 0)),
			w->now, row->name);
	if (!rc)
		rc = ch_work_history(
			w, row->name, "order", details[quiet][second], CH_ACTOR_NOBODY);
	return rc;
}

/* CH_ENOTFOUND: the name goes alone. */
static int load_mate(struct ch_work *w, const struct ch_name_row *row, bool second,
	struct ch_name_row *ret_mate)
{
	char name[CH_NAME_MAX + 1];
	int rc;

	ch_name_row_mate(row, name);
	if (row->solo || !name[0])
		return CH_ENOTFOUND;
	rc = ch_name_row_load(w->db, name, ret_mate);
	if (rc)
		return rc;
	if (ret_mate->state == CH_NAME_PAUSED || ret_mate->order_id || ret_mate->solo)
		return CH_ENOTFOUND;
	if (second && (!ch_keys_both(ret_mate->keys) || !ret_mate->cert || ret_mate->failures))
		return CH_ENOTFOUND;
	return CH_OK;
}

static uint64_t cert_of(const struct ch_name_row *row, bool second, bool standby)
{
	if (standby)
		return second ? row->second_standby_cert : row->standby_cert;
	return second ? row->second_cert : row->cert;
}

/* The other one that may be of the same CA. */
static uint64_t other_of(const struct ch_name_row *row, bool second, bool standby)
{
	if (standby && second)
		return row->standby_cert;
	return second ? row->cert : row->second_cert;
}

/* What a CA takes an order for. */
struct as_known {
	struct ch_live_cert live; /* the certificate that it renews as it is */
	bool same;		  /* such a set was issued before, by this CA */
};

/* An order for a name that is due, and for its other name if they go together. */
struct plan {
	struct ch_name_row row;
	struct ch_name_row mate;
	bool has_mate;
	bool second;
	bool standby;
	bool renewal;	       /* each name has a certificate */
	struct as_known known; /* of admit */
};

static int make_plan(struct ch_work *w, const char *name, enum slot slot, struct plan *plan)
{
	int rc = ch_name_row_load(w->db, name, &plan->row);

	if (rc)
		return rc;
	plan->standby = slot == SLOT_STANDBY || slot == SLOT_SECOND_STANDBY;
	plan->second = slot == SLOT_SECOND || slot == SLOT_SECOND_STANDBY ||
		       (!plan->standby && ch_work_second_goes_first(w, &plan->row));
	rc = load_mate(w, &plan->row, plan->second, &plan->mate);
	/* The two are put live together, or not at all. */
	if (!rc && plan->standby &&
		(cert_of(&plan->mate, plan->second, false) !=
				cert_of(&plan->row, plan->second, false) ||
			plan->mate.failures))
		rc = CH_ENOTFOUND;
	plan->has_mate = rc == CH_OK;
	plan->renewal = cert_of(&plan->row, plan->second, plan->standby) &&
			(!plan->has_mate || cert_of(&plan->mate, plan->second, plan->standby));
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

static enum ch_class class_of(const struct plan *plan, int64_t danger_ms, int64_t now)
{
	const struct ch_name_row *row = &plan->row;

	/* It needs a turn where renewals are not exempt, or with another set of names than
	 * before. */
	if (row->cert)
		return danger_ms <= now ? CH_CLASS_DANGER : CH_CLASS_RENEWAL;
	return ch_pace_class_of_first(row->wanted_at, row->imported, row->failures);
}

/* Whether the CA takes the order for a renewal: by the names of what is live, not by there
 * being something live. */
static int compare(struct ch_work *w, const char *account, const struct plan *plan,
	struct as_known *ret_known)
{
	const char *names[] = {plan->row.name, plan->mate.name};
	size_t n = plan->has_mate ? 2 : 1;
	uint64_t own = cert_of(&plan->row, plan->second, plan->standby);
	uint64_t other = other_of(&plan->row, plan->second, plan->standby);
	struct ch_live_cert first;
	int rc;

	*ret_known = (struct as_known){.live.danger_ms = INT64_MAX};
	if (!account)
		return CH_OK;
	rc = ch_work_live_cert(w, own, account, names, n, &ret_known->live);
	if (!rc)
		rc = ch_work_live_cert(w, other, account, names, n, &first);
	ret_known->same = !rc && (ret_known->live.same || first.same);
	return rc;
}

/* As orders have it: 1: of the limits of account and domain, 2: of that of its names too. */
static int64_t free_of(const struct as_known *known, const struct ch_store_pace *pace)
{
	if (pace->renewals_count)
		return 0;
	return known->live.in_window ? 2 : known->same;
}

/* One that was handed out to be looked at stands in line from now on. */
static struct ch_pace_order order_of(const struct plan *plan, int64_t now)
{
	return (struct ch_pace_order){
		.names = {plan->row.name, plan->mate.name},
		.n_names = plan->has_mate ? 2 : 1,
		.tenant = plan->row.tenant,
		.cas = plan->row.cas,
		.second = plan->second,
		.standby = plan->standby,
		.class = class_of(plan, INT64_MAX, now),
		.due_ms = plan->row.wanted_at	    ? plan->row.wanted_at
			  : plan->row.next_at < now ? plan->row.next_at
						    : now,
	};
}

/* *ret_pace: under which account; then the plan knows what that one's CA knows. */
static int admit(struct ch_work *w, const struct ch_pace_list *paces, struct plan *plan,
	bool in_turn, const struct ch_store_pace **ret_pace, enum ch_pace_verdict *ret_verdict)
{
	struct as_known known[1 + CH_STORE_FALLBACK_MAX];
	size_t at = 0;
	int rc;
	struct ch_pace_order order = order_of(plan, w->now);

	if (!paces->n) {
		*ret_verdict = CH_PACE_WAITS;
		return ch_pace_refuse(w, &order);
	}
	for (size_t i = 0; i < paces->n; i++) {
		rc = compare(w, paces->list[i]->account, plan, &known[i]);
		if (rc)
			return rc;
		order.known[i] = (struct ch_pace_known){
			.renewal = free_of(&known[i], paces->list[i]) == 1,
			.exempt = free_of(&known[i], paces->list[i]) == 2};
	}
	order.danger_ms = known[0].live.danger_ms;
	order.class = class_of(plan, order.danger_ms, w->now);
	rc = ch_pace_admit(w, paces, &order, in_turn, &at, ret_verdict);
	if (!rc && *ret_verdict == CH_PACE_GO) {
		*ret_pace = paces->list[at];
		plan->known = known[at];
	}
	return rc;
}

static int make_order(struct ch_work *w, struct ch_op_lease *lease,
	const struct ch_store_pace *pace, const struct plan *plan)
{
	uint64_t id = ch_work_id(w);
	struct ch_store_order order = {.id = id,
		.second = plan->second,
		.standby = plan->standby,
		.pool = ch_arena_str(w->op->arena, plan->row.pool),
		.n_names = plan->has_mate ? 2 : 1};
	enum ch_key_type key = plan->second ? CH_KEY_RSA : ch_keys_first(plan->row.keys);
	int rc = ch_db_run(w->db,
		"INSERT INTO orders (id, state, pool, fence, attempts, renewal, "
		"next_at, created_at, updated_at, key, second, paced, free, replaces, standby) "
		"VALUES (?1, 'new', ?2, 0, 0, ?3, ?4, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
		"itiitititi", id, plan->row.pool, (int64_t)plan->renewal, w->now,
		ch_key_type_str(key), (int64_t)plan->second, pace->account,
		free_of(&plan->known, pace),
		plan->known.live.ari_id[0] ? plan->known.live.ari_id : NULL,
		(int64_t)plan->standby);

	if (!rc)
		rc = ch_work_add_member(w, id, &plan->row, plan->standby, plan->second);
	if (!rc)
		rc = ch_pace_forget(w, plan->row.name);
	if (!rc && plan->has_mate)
		rc = ch_work_add_member(w, id, &plan->mate, plan->standby, plan->second);
	if (!rc && plan->has_mate)
		rc = ch_pace_forget(w, plan->mate.name);
	order.names[0].name = ch_arena_str(w->op->arena, plan->row.name);
	if (plan->has_mate)
		order.names[1].name = ch_arena_str(w->op->arena, plan->mate.name);
	if (!rc &&
		(!order.pool || !order.names[0].name || !order.names[order.n_names - 1].name))
		rc = CH_ENOMEM;
	return rc ? rc : ch_work_lease_order(w, lease, &order);
}

/* A certificate's renewal does not wait for another name that is to join it. */
static bool must_renew(struct ch_work *w, const struct plan *plan, int *rc)
{
	int64_t renew_at;

	if (!plan->has_mate || plan->second || !plan->row.cert)
		return false;
	*rc = ch_db_get_i64(w->db, &renew_at, "SELECT renew_at FROM cert WHERE version = ?",
		"i", plan->row.cert);
	return !*rc && renew_at <= w->now;
}

/* The first certificate goes before the others: what is about to be due, or has been handed out
 * to be looked at, is left to it. */
static bool is_left_to_first(const struct ch_work *w, const struct plan *plan)
{
	return plan->row.next_at && plan->row.next_at <= w->now + CH_STORE_LOOK_MS;
}

static int lease_name(struct ch_work *w, struct ch_op_lease *lease, const char *name,
	enum slot slot, bool in_turn)
{
	const struct ch_store_pace *pace = &lease->pace;
	enum ch_pace_verdict verdict;
	struct ch_pace_list paces;
	struct plan plan;
	int rc = make_plan(w, name, slot, &plan);

	if (rc)
		return rc;
	if (plan.row.order_id) /* came into the order of its mate just now */
		return CH_OK;
	if (slot == SLOT_SECOND && is_left_to_first(w, &plan))
		return CH_OK;
	ch_pace_list(lease, plan.row.cas, &paces);
	rc = admit(w, &paces, &plan, in_turn, &pace, &verdict);
	if (!rc && verdict == CH_PACE_WAITS && must_renew(w, &plan, &rc)) {
		plan.has_mate = false;
		plan.renewal = true;
		rc = admit(w, &paces, &plan, in_turn, &pace, &verdict);
	}
	if (rc || verdict == CH_PACE_WAITS)
		return rc;
	return make_order(w, lease, pace, &plan);
}

#define FIRST_DUE                                                                              \
	"SELECT name FROM name WHERE order_id IS NULL AND next_at IS NOT NULL "                \
	"AND next_at <= ? ORDER BY next_at "
static const char first_due[] = FIRST_DUE "LIMIT ?";
static const char first_due_last[] = FIRST_DUE "DESC LIMIT ?";
/* That they have no order goes without saying.  Said, PostgreSQL would take the index of all
 * that are due. */
static const char wanted_due[] =
	"SELECT name FROM name INDEXED BY name_wanted WHERE wanted_at IS NOT NULL "
	"AND next_at <= ? ORDER BY wanted_at, next_at LIMIT ?";
static const char second_due[] =
	"SELECT name FROM name WHERE order_id IS NULL AND second_at IS NOT NULL "
	"AND second_at <= ? AND cert IS NOT NULL AND failures = 0 "
	"ORDER BY second_at LIMIT ?";

/* Those that have to wait make no order: so many more are looked at. */
static size_t most_new(const struct ch_op_lease *lease, size_t n_orders)
{
	return lease->max - n_orders + (ch_pace_is_limited(lease) ? PACED_LOOKS : 0);
}

static int find_due(
	struct ch_work *w, const char *sql, size_t most, const char **names, size_t *ret_n)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt, sql, "ii", w->now, (int64_t)most);
	size_t n = 0;

	while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
		rc = CH_OK;
		names[n++] = ch_db_text(w->op->arena, stmt, 0, &rc);
	}
	*ret_n = n;
	return rc;
}

static int lease_list(struct ch_work *w, struct ch_op_lease *lease, const char **names,
	size_t n, enum slot slot, size_t most)
{
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < n && i < lease->max; i++)
		rc = ch_name_row_ask(w->db, names[i]);
	for (size_t i = 0; !rc && i < n && lease->n_orders < most; i++)
		rc = lease_name(w, lease, names[i], slot, false);
	return rc;
}

static size_t half_of(size_t n)
{
	return (n + 1) / 2;
}

/* Those that visitors ask for, for up to a half of the room. */
static int lease_wanted(
	struct ch_work *w, struct ch_op_lease *lease, const char **names, size_t most)
{
	size_t room = lease->max - lease->n_orders;
	size_t n = 0;
	int rc = find_due(w, wanted_due, most, names, &n);

	return rc ? rc
		  : lease_list(w, lease, names, n, SLOT_FIRST, lease->n_orders + half_of(room));
}

/* second: of names that are due for that.  Those that are due the longest; behind very many a
 * quarter of the room is for those that came last, as where names are looked at. */
static int lease_new(struct ch_work *w, struct ch_op_lease *lease, bool second)
{
	size_t most = most_new(lease, lease->n_orders);
	size_t room = lease->max - lease->n_orders;
	size_t share = second ? 0 : room / 4;
	const char **names = ch_arena_array(w->op->arena, most, sizeof(*names));
	enum slot slot = second ? SLOT_SECOND : SLOT_FIRST;
	size_t n = 0;
	int rc;

	if (!names)
		return CH_ENOMEM;
	rc = second ? CH_OK : lease_wanted(w, lease, names, half_of(most));
	if (!rc)
		rc = find_due(w, second ? second_due : first_due, most, names, &n);
	share = n == most ? share : 0;
	if (!rc)
		rc = lease_list(w, lease, names, n, slot, lease->max - share);
	if (!rc && share)
		rc = find_due(w, first_due_last, lease->max - lease->n_orders, names, &n);
	return rc || !share ? rc : lease_list(w, lease, names, n, slot, lease->max);
}

/* Those that an issuer has looked at, as long as there is room. */
static int lease_looked(struct ch_work *w, struct ch_op_lease *lease)
{
	struct ch_store_looking *looking = lease->looking;
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < looking->n_looked; i++)
		rc = ch_name_row_ask(w->db, looking->looked[i].name);
	while (!rc && looking->n_dealt < looking->n_looked && lease->n_orders < lease->max) {
		const struct ch_store_look_key *key = &looking->looked[looking->n_dealt++];
		bool still;

		rc = ch_work_looked_at(w, key, &still);
		if (!rc && still)
			rc = lease_name(w, lease, key->name, SLOT_FIRST, false);
	}
	return rc;
}

/* Names without an order that are due. */
static int lease_due(struct ch_work *w, struct ch_op_lease *lease)
{
	int rc;

	if (!lease->looking)
		return lease->n_orders < lease->max ? lease_new(w, lease, false) : CH_OK;
	rc = ch_work_bury(w, lease->looking);
	/* Looks that are over hold as long as they are not another one's. */
	if (!rc)
		rc = lease_looked(w, lease);
	return rc ? rc : ch_work_hand_out(w, lease);
}

static int lease_in_turn(
	struct ch_work *w, struct ch_op_lease *lease, const struct ch_name_row *row)
{
	bool second;
	int rc = ch_work_second_waits(w, row, &second);

	return rc ? rc
		  : lease_name(w, lease, row->name, second ? SLOT_SECOND : SLOT_FIRST, true);
}

/* Names whose turn has come. */
static int lease_waiting(struct ch_work *w, struct ch_op_lease *lease)
{
	char name[CH_NAME_MAX + 1];
	int rc = CH_OK;

	for (int i = 0; !rc && i < PACED_LOOKS && lease->n_orders < lease->max; i++) {
		struct ch_name_row row;

		rc = ch_pace_turn(w, lease, name);
		if (rc == CH_ENOTFOUND)
			return CH_OK;
		if (!rc)
			rc = ch_name_row_load(w->db, name, &row);
		if (rc == CH_ENOTFOUND)
			rc = CH_OK;
		else if (!rc && !row.order_id && row.next_at && row.state != CH_NAME_PAUSED)
			rc = lease_in_turn(w, lease, &row);
	}
	return rc;
}

static int put_off_second_standby(struct ch_work *w, const char *name)
{
	return ch_db_run(w->db, "UPDATE name SET second_standby_at = ? WHERE name = ?", "it",
		w->now + NOT_WANTED_MS, name);
}

/* *ret_full: the account has no room, or is out of order. */
static int lease_standby(struct ch_work *w, struct ch_op_lease *lease, const char *name,
	enum slot slot, bool *ret_full)
{
	const struct ch_store_pace *pace = NULL;
	enum ch_pace_verdict verdict;
	struct ch_pace_order order;
	struct ch_pace_list paces;
	const char *code;
	struct plan plan;
	int rc = make_plan(w, name, slot, &plan);

	*ret_full = false;
	if (rc || plan.row.order_id || is_left_to_first(w, &plan))
		return rc;
	if (plan.second && !ch_keys_both(plan.row.keys))
		return put_off_second_standby(w, name);
	rc = ch_pace_standby(
		w, lease, &plan.row, cert_of(&plan.row, plan.second, false), &pace, &code);
	if (rc)
		return rc;
	order = order_of(&plan, w->now);
	if (!pace)
		return ch_pace_refuse_as(w, &order, code,
			*code == 'c' ? "The standby is to come from a CA that the issuer has "
				       "not configured."
				     : "The standby needs another CA than what is live, and "
				       "the name has none.");
	*ret_full = pace->out;
	if (pace->out)
		return CH_OK;
	paces = (struct ch_pace_list){{pace}, 1};
	rc = admit(w, &paces, &plan, true, &pace, &verdict);
	*ret_full = !rc && verdict == CH_PACE_FULL;
	if (rc || verdict != CH_PACE_GO)
		return rc;
	return make_order(w, lease, pace, &plan);
}

/* Those that are due, by one of the texts below. */
static int look_at_standbys(struct ch_work *w, struct ch_op_lease *lease, enum slot slot,
	const char *sql, size_t most, size_t *n_full)
{
	const char **names = ch_arena_array(w->op->arena, most, sizeof(*names));
	size_t n = 0;
	int rc = names ? CH_OK : CH_ENOMEM;

	{
		CH_AUTO_STMT struct ch_stmt *stmt = NULL;

		if (!rc)
			rc = ch_db_query(w->db, &stmt, sql, "ii", w->now, (int64_t)most);
		while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
			rc = CH_OK;
			names[n++] = ch_db_text(w->op->arena, stmt, 0, &rc);
		}
	}
	for (size_t i = 0; !rc && i < n && lease->n_orders < lease->max; i++) {
		bool full;

		rc = lease_standby(w, lease, names[i], slot, &full);
		*n_full += !rc && full;
	}
	return rc;
}

#define OLDEST " AND standby_at <= ? ORDER BY standby_at LIMIT ?"
#define NEWEST " AND standby_at <= ? ORDER BY standby_at DESC LIMIT ?"
#define SECOND_OLDEST " AND second_standby_at <= ? ORDER BY second_standby_at LIMIT ?"
#define SECOND_NEWEST " AND second_standby_at <= ? ORDER BY second_standby_at DESC LIMIT ?"
#define NAMES "SELECT name FROM name WHERE "

static const struct {
	const char *oldest;
	const char *newest;
} standby_sql[2][2] = {
	{{NAMES CH_STANDBY_DEFAULT OLDEST, NAMES CH_STANDBY_DEFAULT NEWEST},
		{NAMES CH_STANDBY_OWN OLDEST, NAMES CH_STANDBY_OWN NEWEST}},
	{{NAMES CH_SECOND_STANDBY_DEFAULT SECOND_OLDEST,
		 NAMES CH_SECOND_STANDBY_DEFAULT SECOND_NEWEST},
		{NAMES CH_SECOND_STANDBY_OWN SECOND_OLDEST,
			NAMES CH_SECOND_STANDBY_OWN SECOND_NEWEST}},
};

/* After all else.  When there is no room for the oldest there is none for many, all that were
 * from a CA that has failed, say: then a few of the newest are looked at, which may be for
 * another one. */
static int lease_standbys(
	struct ch_work *w, struct ch_op_lease *lease, enum slot slot, bool own)
{
	bool second = slot == SLOT_SECOND_STANDBY;
	const char *oldest = standby_sql[second][own].oldest;
	const char *newest = standby_sql[second][own].newest;
	size_t most = lease->max - lease->n_orders + STANDBY_LOOKS;
	size_t n_full = 0;
	int rc;

	if (lease->n_orders >= lease->max)
		return CH_OK;
	rc = look_at_standbys(w, lease, slot, oldest, most, &n_full);
	if (!rc && n_full && lease->n_orders < lease->max)
		rc = look_at_standbys(w, lease, slot, newest, STANDBY_LOOKS, &n_full);
	if (!rc && n_full)
		rc = ch_work_hold_standbys(w, w->now + STANDBY_HOLD_MS);
	return rc;
}

static int lease_all_standbys(struct ch_work *w, struct ch_op_lease *lease)
{
	int rc = lease_standbys(w, lease, SLOT_STANDBY, true);

	if (!rc && lease->standby)
		rc = lease_standbys(w, lease, SLOT_STANDBY, false);
	if (!rc && !lease->second_standbys)
		return ch_work_pass_over_seconds(w);
	if (!rc)
		rc = lease_standbys(w, lease, SLOT_SECOND_STANDBY, true);
	if (!rc && lease->standby)
		rc = lease_standbys(w, lease, SLOT_SECOND_STANDBY, false);
	return rc;
}

/* A quarter is for names without an order: those that have one may be many, and wait long,
 * behind a canary say. */
static size_t most_open(const struct ch_op_lease *lease)
{
	return lease->max - lease->max / 4;
}

int ch_work_lease_ask(struct ch_work *w, const struct ch_op_lease *lease)
{
	int rc = ch_db_standby_setting_ask(w->db);

	if (!rc && lease->max <= CH_STORE_LEASE_MAX)
		rc = ch_work_lease_open_ask(w, lease, most_open(lease));
	if (rc || lease->max > CH_STORE_LEASE_MAX || lease->looking)
		return rc;
	rc = ch_db_ask(w->db, wanted_due, "ii", w->now, (int64_t)half_of(most_new(lease, 0)));
	return rc ? rc : ch_db_ask(w->db, first_due, "ii", w->now, (int64_t)most_new(lease, 0));
}

int ch_work_lease_ask_more(struct ch_work *w, const struct ch_op_lease *lease)
{
	return lease->max <= CH_STORE_LEASE_MAX
		       ? ch_work_lease_open_ask_names(w, lease, most_open(lease))
		       : CH_OK;
}

/* What is looked for when there is room left, as there mostly is. */
static int ask_the_rest(struct ch_work *w, const struct ch_op_lease *lease)
{
	int64_t most = (int64_t)(lease->max - lease->n_orders + STANDBY_LOOKS);
	int rc = ch_pace_turn_ask(w);

	if (!rc)
		rc = ch_db_ask(w->db, second_due, "ii", w->now,
			(int64_t)most_new(lease, lease->n_orders));
	if (!rc)
		rc = ch_db_ask(w->db, standby_sql[0][true].oldest, "ii", w->now, most);
	if (!rc && lease->second_standbys)
		rc = ch_db_ask(w->db, standby_sql[1][true].oldest, "ii", w->now, most);
	return rc ? rc : ch_work_lease_open_ask(w, lease, lease->max - lease->n_orders);
}

static bool is_in_limits(const struct ch_store_looking *looking)
{
	return looking->most <= CH_STORE_LOOKS_MAX &&
	       looking->n_looked <= CH_STORE_LOOKED_MAX &&
	       looking->n_dead <= CH_STORE_LOOKED_MAX;
}

int ch_work_lease(struct ch_work *w, struct ch_op_lease *lease)
{
	int rc;

	if ((!lease->max && !lease->looking) || lease->max > CH_STORE_LEASE_MAX ||
		lease->lease_ms <= 0)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-field",
			"max must be 1 to %d and lease_ms above 0", CH_STORE_LEASE_MAX);
	if (lease->looking && !is_in_limits(lease->looking))
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-field",
			"at most %d looks, and %d of names looked at and dead ones",
			CH_STORE_LOOKS_MAX, CH_STORE_LOOKED_MAX);
	if (lease->n_fallback > CH_STORE_FALLBACK_MAX)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-field",
			"fallback: at most %d accounts", CH_STORE_FALLBACK_MAX);
	lease->n_orders = 0;
	lease->now_ms = w->now;
	if (lease->looking)
		lease->looking->n_looks = lease->looking->n_dealt = 0;
	lease->orders = ch_arena_array(w->op->arena, lease->max + 1, sizeof(*lease->orders));
	if (!lease->orders)
		return CH_ENOMEM;
	rc = ch_work_lease_ask(w, lease);
	if (!rc)
		rc = ch_work_note_cas(w, lease);
	if (!rc)
		rc = ch_work_lease_open(w, lease, most_open(lease));
	if (!rc)
		rc = lease_due(w, lease);
	if (!rc && lease->n_orders < lease->max)
		rc = ask_the_rest(w, lease);
	if (!rc && lease->n_orders < lease->max)
		rc = lease_waiting(w, lease);
	if (!rc && lease->n_orders < lease->max)
		rc = lease_new(w, lease, true);
	if (!rc && lease->n_orders < lease->max)
		rc = lease_all_standbys(w, lease);
	if (!rc && lease->n_orders < lease->max)
		rc = ch_work_lease_open(w, lease, lease->max);
	return rc ? rc : ch_work_lease_load(w, lease);
}
