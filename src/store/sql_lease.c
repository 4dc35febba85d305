/* CH_OP_LEASE. */
#include <string.h>

#include "store/sql_calendar.h"
#include "store/sql_pace.h"

/* Names that wait for a limit, looked at by one lease. */
#define PACED_LOOKS 500

int ch_work_add_member(struct ch_work *w, uint64_t id, const struct ch_name_row *row)
{
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
				row->state == CH_NAME_MOVED
					? CH_NAME_MOVED
					: ch_name_state_during(CH_ORDER_NEW, row->cert != 0)),
			w->now, row->name);
	if (!rc)
		rc = ch_work_history(
			w, row->name, "order", "An order was opened.", CH_ACTOR_NOBODY);
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
	if (second && (ret_mate->keys != CH_KEYS_BOTH || !ret_mate->cert || ret_mate->failures))
		return CH_ENOTFOUND;
	return CH_OK;
}

static bool has_cert(const struct ch_name_row *row, bool second)
{
	return second ? row->second_cert : row->cert;
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
	bool renewal;	       /* each name has a certificate */
	struct as_known known; /* of admit */
};

static int make_plan(struct ch_work *w, const char *name, bool second, struct plan *plan)
{
	int rc = ch_name_row_load(w->db, name, &plan->row);

	if (rc)
		return rc;
	plan->second = second || ch_work_second_goes_first(w, &plan->row);
	rc = load_mate(w, &plan->row, plan->second, &plan->mate);
	plan->has_mate = rc == CH_OK;
	plan->renewal = has_cert(&plan->row, plan->second) &&
			(!plan->has_mate || has_cert(&plan->mate, plan->second));
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

static enum ch_class class_of(const struct plan *plan, bool in_danger)
{
	const struct ch_name_row *row = &plan->row;

	/* With another set of names than before, or else it would need no turn. */
	if (row->cert)
		return in_danger ? CH_CLASS_DANGER : CH_CLASS_RENEWAL;
	return row->imported || row->failures ? CH_CLASS_BACKLOG : CH_CLASS_NEW;
}

/* Whether the CA takes the order for a renewal: by the names of what is live, not by there
 * being something live. */
static int compare(struct ch_work *w, const char *account, const struct plan *plan,
	struct as_known *ret_known)
{
	const char *names[] = {plan->row.name, plan->mate.name};
	size_t n = plan->has_mate ? 2 : 1;
	uint64_t own = plan->second ? plan->row.second_cert : plan->row.cert;
	uint64_t other = plan->second ? plan->row.cert : plan->row.second_cert;
	struct ch_live_cert first;
	int rc;

	memset(ret_known, 0, sizeof(*ret_known));
	if (!account)
		return CH_OK;
	rc = ch_work_live_cert(w, own, account, names, n, &ret_known->live);
	if (!rc)
		rc = ch_work_live_cert(w, other, account, names, n, &first);
	ret_known->same = !rc && (ret_known->live.same || first.same);
	return rc;
}

/* *ret_pace: under which account; then the plan knows what that one's CA knows. */
static int admit(struct ch_work *w, const struct ch_op_lease *lease, struct plan *plan,
	bool in_turn, const struct ch_store_pace **ret_pace, enum ch_pace_verdict *ret_verdict)
{
	struct as_known known[1 + CH_STORE_FALLBACK_MAX];
	struct ch_pace_list paces;
	size_t at = 0;
	int rc;
	struct ch_pace_order order = {
		.names = {plan->row.name, plan->mate.name},
		.n_names = plan->has_mate ? 2 : 1,
		.tenant = plan->row.tenant,
		.second = plan->second,
		.due_ms = plan->row.next_at,
	};

	ch_pace_list(lease, &paces);
	for (size_t i = 0; i < paces.n; i++) {
		rc = compare(w, paces.list[i]->account, plan, &known[i]);
		if (rc)
			return rc;
		order.known[i] = (struct ch_pace_known){
			.renewal = known[i].same, .exempt = known[i].live.in_window};
	}
	order.class = class_of(plan, known[0].live.in_danger);
	rc = ch_pace_admit(w, &paces, &order, in_turn, &at, ret_verdict);
	if (!rc && *ret_verdict == CH_PACE_GO) {
		*ret_pace = paces.list[at];
		plan->known = known[at];
	}
	return rc;
}

static int make_order(struct ch_work *w, const struct ch_store_pace *pace,
	const struct plan *plan, uint64_t *ret_id)
{
	uint64_t id = ch_work_id(w);
	enum ch_key_type key = plan->second ? CH_KEY_RSA : ch_keys_first(plan->row.keys);
	int rc = ch_db_run(w->db,
		"INSERT INTO orders (id, state, pool, fence, attempts, renewal, "
		"next_at, created_at, updated_at, key, second, paced, free, replaces) "
		"VALUES (?1, 'new', ?2, 0, 0, ?3, ?4, ?4, ?4, ?5, ?6, ?7, ?8, ?9)",
		"itiititit", id, plan->row.pool, (int64_t)plan->renewal, w->now,
		ch_key_type_str(key), (int64_t)plan->second, pace->account,
		(int64_t)(plan->known.live.in_window ? 2
			  : plan->known.same	     ? 1
						     : 0),
		plan->known.live.ari_id[0] ? plan->known.live.ari_id : NULL);

	if (!rc)
		rc = ch_work_add_member(w, id, &plan->row);
	if (!rc)
		rc = ch_pace_forget(w, plan->row.name);
	if (!rc && plan->has_mate)
		rc = ch_work_add_member(w, id, &plan->mate);
	if (!rc && plan->has_mate)
		rc = ch_pace_forget(w, plan->mate.name);
	if (!rc)
		*ret_id = id;
	return rc;
}

static int load_answerers(struct ch_work *w, struct ch_store_order *order)
{
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < order->n_names; i++)
		if (!order->names[i].gone)
			rc = ch_work_answerer(w, order->pool, order->names[i].name,
				&order->names[i].account_hint);
	return rc;
}

static int load_leased(struct ch_work *w, uint64_t id, struct ch_store_order *ret_order)
{
	struct ch_order_names names;
	int rc = ch_db_order_load(w->db, id, w->now, true, w->op->arena, ret_order);

	if (!rc && ret_order->rollback && !ret_order->has_leaf)
		rc = ch_db_rollback_load(w->db, w->op->arena, ret_order);
	if (!rc && ret_order->state == CH_ORDER_NEW)
		rc = load_answerers(w, ret_order);
	if (!rc)
		rc = ch_order_names_load(w->db, id, &names);
	return rc ? rc : ch_work_edges_state(w, ret_order->pool, &names, &ret_order->edges);
}

static int take(struct ch_work *w, struct ch_op_lease *lease, uint64_t id)
{
	int rc = ch_db_run(w->db,
		"UPDATE orders SET fence = fence + 1, lease_issuer = ?1, lease_until = ?2, "
		"next_at = ?2, updated_at = ?3 WHERE id = ?4",
		"tiii", lease->issuer, w->now + lease->lease_ms, w->now, id);

	ch_work_due(w, w->now + lease->lease_ms);
	if (!rc)
		rc = load_leased(w, id, &lease->orders[lease->n_orders]);
	if (!rc)
		lease->n_orders++;
	return rc;
}

/* Ids first, changes afterwards: an update would move the row under the running query. */
static int lease_open(struct ch_work *w, struct ch_op_lease *lease, size_t most)
{
	uint64_t ids[CH_STORE_LEASE_MAX];
	size_t n = 0;
	int rc;

	{
		CH_AUTO_STMT struct ch_stmt *stmt = NULL;

		rc = ch_db_query(w->db, &stmt,
			"SELECT id FROM orders WHERE ended_at IS NULL AND next_at <= ? "
			"ORDER BY next_at LIMIT ?",
			"ii", w->now, (int64_t)(most - lease->n_orders));
		while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
			ids[n++] = ch_db_u64(stmt, 0);
			rc = CH_OK;
		}
	}
	for (size_t i = 0; !rc && i < n; i++)
		rc = take(w, lease, ids[i]);
	return rc;
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

static bool is_limited(const struct ch_op_lease *lease)
{
	struct ch_pace_list paces;
	bool limited = false;

	ch_pace_list(lease, &paces);
	for (size_t n = 0; n < paces.n; n++)
		for (int i = 0; i < CH_PACED_COUNT; i++)
			limited |= paces.list[n]->account && paces.list[n]->limits[i].size != 0;
	return limited;
}

static int lease_name(struct ch_work *w, struct ch_op_lease *lease, const char *name,
	bool second, bool in_turn)
{
	const struct ch_store_pace *pace = &lease->pace;
	enum ch_pace_verdict verdict;
	struct plan plan;
	uint64_t id;
	int rc = make_plan(w, name, second, &plan);

	if (rc)
		return rc;
	if (plan.row.order_id) /* came into the order of its mate just now */
		return CH_OK;
	rc = admit(w, lease, &plan, in_turn, &pace, &verdict);
	if (!rc && verdict == CH_PACE_WAITS && must_renew(w, &plan, &rc)) {
		plan.has_mate = false;
		plan.renewal = true;
		rc = admit(w, lease, &plan, in_turn, &pace, &verdict);
	}
	if (rc || verdict == CH_PACE_WAITS)
		return rc;
	rc = make_order(w, pace, &plan, &id);
	return rc ? rc : take(w, lease, id);
}

/* second: of names that are due for that. */
static int lease_new(struct ch_work *w, struct ch_op_lease *lease, bool second)
{
	static const char first_due[] =
		"SELECT name FROM name WHERE order_id IS NULL AND next_at IS NOT NULL "
		"AND next_at <= ? ORDER BY next_at LIMIT ?";
	static const char second_due[] =
		"SELECT name FROM name WHERE order_id IS NULL AND second_at IS NOT NULL "
		"AND second_at <= ? AND cert IS NOT NULL AND failures = 0 "
		"ORDER BY second_at LIMIT ?";
	/* Those that have to wait make no order: so many more are looked at. */
	size_t most = lease->max - lease->n_orders + (is_limited(lease) ? PACED_LOOKS : 0);
	const char **names = ch_arena_array(w->op->arena, most, sizeof(*names));
	size_t n = 0;
	int rc;

	if (!names)
		return CH_ENOMEM;
	{
		CH_AUTO_STMT struct ch_stmt *stmt = NULL;

		rc = ch_db_query(w->db, &stmt, second ? second_due : first_due, "ii", w->now,
			(int64_t)most);
		while (!rc && (rc = ch_db_step(w->db, stmt)) == 1) {
			rc = CH_OK;
			names[n++] = ch_db_text(w->op->arena, stmt, 0, &rc);
		}
	}
	for (size_t i = 0; !rc && i < n && lease->n_orders < lease->max; i++)
		rc = lease_name(w, lease, names[i], second, false);
	return rc;
}

/* Names whose turn has come. */
static int lease_waiting(struct ch_work *w, struct ch_op_lease *lease)
{
	char name[CH_NAME_MAX + 1];
	struct ch_pace_list paces;
	int rc = CH_OK;

	ch_pace_list(lease, &paces);
	for (int i = 0; !rc && i < PACED_LOOKS && lease->n_orders < lease->max; i++) {
		struct ch_name_row row;

		rc = ch_pace_turn(w, &paces, name);
		if (rc == CH_ENOTFOUND)
			return CH_OK;
		if (!rc)
			rc = ch_name_row_load(w->db, name, &row);
		if (rc == CH_ENOTFOUND)
			rc = CH_OK;
		else if (!rc && !row.order_id && row.next_at && row.state != CH_NAME_PAUSED)
			rc = lease_name(w, lease, name, false, true);
	}
	return rc;
}

int ch_work_lease(struct ch_work *w, struct ch_op_lease *lease)
{
	int rc;

	if (!lease->max || lease->max > CH_STORE_LEASE_MAX || lease->lease_ms <= 0)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-field",
			"max must be 1 to %d and lease_ms above 0", CH_STORE_LEASE_MAX);
	if (lease->n_fallback > CH_STORE_FALLBACK_MAX)
		return ch_err_set(&w->op->err, CH_EINVAL, "bad-field",
			"fallback: at most %d accounts", CH_STORE_FALLBACK_MAX);
	lease->n_orders = 0;
	lease->now_ms = w->now;
	lease->orders = ch_arena_array(w->op->arena, lease->max, sizeof(*lease->orders));
	if (!lease->orders)
		return CH_ENOMEM;
	/* A quarter is for names without an order: those that have one may be many, and wait
	 * long, behind a canary say. */
	rc = lease_open(w, lease, lease->max - lease->max / 4);
	if (!rc && lease->n_orders < lease->max)
		rc = lease_new(w, lease, false);
	if (!rc && lease->n_orders < lease->max)
		rc = lease_waiting(w, lease);
	if (!rc && lease->n_orders < lease->max)
		rc = lease_new(w, lease, true);
	if (!rc && lease->n_orders < lease->max)
		rc = lease_open(w, lease, lease->max);
	return rc;
}
