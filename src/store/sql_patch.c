/* CH_OP_PATCH: one step of an order is written back. */
#include <jansson.h>
#include <string.h>

#include "store/sql_hold.h"
#include "store/sql_pace.h"
#include "store/sql_work.h"

static int refuse(struct ch_work *w, const char *detail)
{
	return ch_err_set(&w->op->err, CH_ECONFLICT, "order-state", "%s", detail);
}

static const struct ch_store_outcome *find_outcome(
	const struct ch_op_patch *patch, const char *name)
{
	for (size_t i = 0; i < patch->n_outcomes; i++)
		if (strcmp(patch->outcomes[i].name, name) == 0)
			return &patch->outcomes[i];
	return NULL;
}

static int check_sizes(struct ch_work *w, const struct ch_op_patch *patch)
{
	struct ch_err *err = &w->op->err;

	if (patch->acme && strlen(patch->acme) > CH_STORE_ACME_MAX_B)
		return ch_err_set(err, CH_ETOOBIG, "bad-field", "acme: at most %u bytes",
			CH_STORE_ACME_MAX_B);
	if (patch->csr && patch->csr_len > CH_STORE_CSR_MAX_B)
		return ch_err_set(err, CH_ETOOBIG, "bad-field", "csr: at most %u bytes",
			CH_STORE_CSR_MAX_B);
	if (patch->sealed && patch->sealed_len > CH_STORE_SEALED_MAX_B)
		return ch_err_set(err, CH_ETOOBIG, "bad-field", "sealed: at most %u bytes",
			CH_STORE_SEALED_MAX_B);
	return CH_OK;
}

static int check_failed(struct ch_work *w, const struct ch_op_patch *patch)
{
	struct ch_order_names names;
	int rc = ch_order_names_load(w->db, patch->id, &names);

	if (rc)
		return rc;
	for (size_t i = 0; i < names.n; i++)
		if (!names.rows[i].gone && !find_outcome(patch, names.rows[i].name))
			return refuse(w, "failed needs names: what becomes of each name");
	for (size_t i = 0; i < patch->n_outcomes; i++)
		if (!patch->outcomes[i].reason.code)
			return refuse(w, "names: each has a reason");
	for (size_t i = 0; i < patch->n_outcomes; i++)
		if (patch->outcomes[i].state != CH_NAME_FAILED &&
			patch->outcomes[i].state != CH_NAME_MOVED &&
			patch->outcomes[i].state != CH_NAME_PAUSED)
			return refuse(w, "names: the state is failed, moved or paused");
	return CH_OK;
}

static int check_state(
	struct ch_work *w, const struct ch_op_patch *patch, const struct ch_order_row *order)
{
	if (order->rollback && patch->state > CH_ORDER_NEW &&
		patch->state < CH_ORDER_CONFIRMING)
		return refuse(w, "a roll-back goes from new to publish");
	switch (patch->state) {
	case CH_ORDER_NEW:
		return order->has_leaf ? refuse(w, "a published order cannot begin again")
				       : CH_OK;
	case CH_ORDER_FAILED:
		return check_failed(w, patch);
	case CH_ORDER_DONE:
		return order->has_leaf ? CH_OK : refuse(w, "done comes after the publication");
	case CH_ORDER_CONFIRMING:
		return order->has_leaf ? CH_OK : refuse(w, "confirming comes with publish");
	default:
		break;
	}
	if (patch->state < order->state)
		return refuse(w, "a state never goes back, except to new");
	if (patch->state >= CH_ORDER_SEALED && !order->has_csr && !patch->csr)
		return refuse(w, "from sealed on, csr and sealed must have been written");
	return CH_OK;
}

static int check(
	struct ch_work *w, const struct ch_op_patch *patch, const struct ch_order_row *order)
{
	int rc = check_sizes(w, patch);

	if (rc)
		return rc;
	if (!patch->csr != !patch->sealed ||
		(patch->csr && !(patch->has_state && patch->state == CH_ORDER_SEALED)))
		return refuse(w, "csr and sealed come together, with state sealed");
	return patch->has_state ? check_state(w, patch, order) : CH_OK;
}

/* Why an order failed is why the first of its names did. */
static const struct ch_store_reason *order_reason(const struct ch_op_patch *patch)
{
	if (patch->has_reason)
		return &patch->reason;
	for (size_t i = 0;
		patch->has_state && patch->state == CH_ORDER_FAILED && i < patch->n_outcomes;
		i++)
		if (patch->outcomes[i].failed)
			return &patch->outcomes[i].reason;
	return NULL;
}

/* Columns that a NULL leaves alone. */
static int write_order(
	struct ch_work *w, const struct ch_op_patch *patch, enum ch_order_state state)
{
	const struct ch_store_reason *reason = order_reason(patch);
	int rc;

	if (patch->has_state && state == CH_ORDER_NEW) {
		rc = ch_db_run(w->db,
			"UPDATE orders SET acme = NULL, csr = NULL, sealed = NULL WHERE id = ?",
			"i", patch->id);
		if (rc)
			return rc;
	}
	rc = ch_db_run(w->db,
		"UPDATE orders SET state = ?1, acme = coalesce(?2, acme), csr = coalesce(?3, "
		"csr), "
		"sealed = coalesce(?4, sealed), code = coalesce(?5, code), "
		"detail = coalesce(?6, detail), actor = coalesce(?7, actor), "
		"attempts = iif(?8, ?9, attempts), updated_at = ?10 WHERE id = ?11",
		"ttbbtttiiii", ch_order_state_str(state), patch->acme, patch->csr,
		patch->csr_len, patch->sealed, patch->sealed_len,
		reason ? ch_work_cut(w, reason->code, CH_STORE_CODE_MAX) : NULL,
		reason ? ch_work_cut(w, reason->detail, CH_STORE_DETAIL_MAX) : NULL,
		reason ? ch_actor_str(reason->actor) : NULL, (int64_t)patch->has_attempts,
		patch->attempts, w->now, patch->id);
	return rc;
}

/* least_ms: not due before that. */
static int give_back(struct ch_work *w, const struct ch_op_patch *patch, int64_t least_ms)
{
	int64_t next_at = patch->next_at_ms ? patch->next_at_ms : w->now;

	if (patch->keep_lease)
		return CH_OK;
	if (next_at < least_ms)
		next_at = least_ms;
	ch_work_due(w, next_at);
	return ch_db_run(w->db,
		"UPDATE orders SET next_at = ?, lease_issuer = NULL, lease_until = NULL "
		"WHERE id = ?",
		"ii", next_at, patch->id);
}

static int end_order(struct ch_work *w, uint64_t id)
{
	return ch_db_run(w->db,
		"UPDATE orders SET next_at = NULL, lease_issuer = NULL, lease_until = NULL, "
		"acme = NULL, csr = NULL, sealed = NULL, ended_at = ?1 WHERE id = ?2",
		"ii", w->now, id);
}

static int write_reason(struct ch_work *w, const struct ch_order_row *order, const char *name,
	const struct ch_store_reason *reason)
{
	int rc = CH_OK;

	/* What is live is as it was. */
	if (order->standby)
		return ch_work_standby_reason(w, name, order, reason);
	if (order->second)
		rc = ch_work_second_reason(w, name, order->id, reason);
	return rc ? rc
		  : ch_db_run(w->db,
			    "UPDATE name SET code = ?1, detail = ?2, actor = ?3, updated_at = "
			    "?4 "
			    "WHERE name = ?5 AND order_id = ?6 AND (code <> ?1 OR detail <> ?2 "
			    "OR actor <> "
			    "?3)",
			    "tttiti", ch_work_cut(w, reason->code, CH_STORE_CODE_MAX),
			    ch_work_cut(w, reason->detail, CH_STORE_DETAIL_MAX),
			    ch_actor_str(reason->actor), w->now, name, order->id);
}

/* The name's state follows the order's; written only when it changes. */
static int step_name(struct ch_work *w, const struct ch_op_patch *patch,
	const struct ch_order_name_row *row, const struct ch_order_row *order,
	enum ch_order_state after)
{
	static const struct ch_store_reason under_way = {
		"in-progress", "An order is under way.", CH_ACTOR_NOBODY};
	enum ch_name_state state = ch_name_state_during(after, row->had_cert);
	int rc = CH_OK;

	if (order->state != after && !order->standby)
		rc = ch_db_run(w->db,
			"UPDATE name SET state = ?1, updated_at = ?2 "
			"WHERE name = ?3 AND order_id = ?4 AND state <> ?1",
			"titi", ch_name_state_str(state), w->now, row->name, patch->id);
	if (rc || (!patch->has_reason && (order->state == after || after == CH_ORDER_NEW)))
		return rc;
	return write_reason(
		w, order, row->name, patch->has_reason ? &patch->reason : &under_way);
}

static int finish_name(struct ch_work *w, const struct ch_op_patch *patch,
	const struct ch_order_name_row *row, const struct ch_order_row *order)
{
	static const struct ch_store_reason ok = {
		"ok", "Served by all edges.", CH_ACTOR_NOBODY};
	const char *event = order->standby && order->second ? "second-standby-ready"
			    : order->standby		    ? "standby-ready"
			    : order->second		    ? "second-active"
							    : "active";
	static const struct ch_store_reason kept = {
		"ok", "Ready to be put live.", CH_ACTOR_NOBODY};
	const struct ch_store_reason *reason = patch->has_reason ? &patch->reason
					       : order->standby	 ? &kept
								 : &ok;
	int64_t next_at;
	int rc = write_reason(w, order, row->name, reason);

	if (!rc)
		rc = ch_db_run(w->db,
			"UPDATE name SET state = 'active', order_id = NULL, updated_at = ? "
			"WHERE name = ? AND order_id = ?",
			"iti", w->now, row->name, patch->id);
	if (!rc && order->standby)
		rc = ch_work_served(w, row->name);
	if (!rc)
		rc = ch_work_settle(w, row->name);
	if (!rc)
		rc = ch_work_history(w, row->name, event, reason->detail, reason->actor);
	if (!rc)
		rc = ch_db_get_i64(w->db, &next_at,
			"SELECT min(min(min(next_at, coalesce(second_at, next_at)), "
			"coalesce(standby_at, next_at)), "
			"coalesce(iif(standby_at IS NULL, NULL, second_standby_at), next_at)) "
			"FROM name WHERE name = ?",
			"t", row->name);
	if (!rc)
		ch_work_due(w, next_at);
	return rc == CH_ENOTFOUND ? CH_OK : rc;
}

/* What becomes of one name of a failed order: store.h, CH_OP_PATCH. */
static int fail_first(struct ch_work *w, const struct ch_name_row *name,
	const struct ch_store_outcome *outcome, bool another_failed)
{
	enum ch_name_state state = outcome->state;
	int64_t next_at = state == CH_NAME_PAUSED ? 0 : outcome->next_at_ms;
	/* Before its time, since a visitor came: its ladder is as it was. */
	bool again = outcome->failed && outcome->check && name->look_was_at > w->now;
	bool solo = false;
	int rc;

	if (again && state != CH_NAME_PAUSED)
		next_at = name->look_was_at;
	if (state != CH_NAME_PAUSED && !next_at)
		next_at = w->now;
	if (!outcome->failed) {
		/* It may have been handed out to be looked at a moment ago. */
		bool due = !name->cert ||
			   (name->next_at && name->next_at <= w->now + CH_STORE_LOOK_MS);

		if (!due) {
			next_at = name->next_at;
			state = name->failures ? CH_NAME_FAILED : CH_NAME_ACTIVE;
		} else if (another_failed) {
			next_at = w->now;
			solo = true;
			state = name->cert ? CH_NAME_ACTIVE : CH_NAME_PENDING;
		}
	}
	rc = ch_db_run(w->db,
		"UPDATE name SET state = ?1, next_at = ?2, failures = failures + ?9, solo = "
		"?4, "
		"second_at = iif(?2 IS NULL, NULL, second_at), order_id = NULL, "
		"checks_failed = checks_failed + ?7, "
		"away_since = iif(?3, iif(?8, coalesce(away_since, ?5), NULL), away_since), "
		"look_was_at = iif(?3, NULL, look_was_at), updated_at = ?5 WHERE name = ?6",
		"tziiitiii", ch_name_state_str(state), next_at, (int64_t)outcome->failed,
		(int64_t)solo, w->now, name->name,
		(int64_t)(outcome->failed && outcome->check && !again),
		(int64_t)(outcome->failed && outcome->away),
		(int64_t)(outcome->failed && !again));
	if (!rc && next_at)
		ch_work_due(w, next_at);
	return rc;
}

/* "moved" is what happens to a name that changes its pool. */
static const char *fail_event(const struct ch_store_outcome *outcome)
{
	if (!outcome->failed)
		return "set-back";
	return outcome->state == CH_NAME_MOVED ? "moved-away"
					       : ch_name_state_str(outcome->state);
}

static int fail_name(struct ch_work *w, const struct ch_order_name_row *row,
	const struct ch_order_row *order, const struct ch_store_outcome *outcome,
	bool another_failed)
{
	struct ch_name_row name;
	int rc = ch_name_row_load(w->db, row->name, &name);

	if (rc)
		return rc == CH_ENOTFOUND ? CH_ECORRUPT : rc;
	rc = write_reason(w, order, row->name, &outcome->reason);
	if (!rc)
		rc = order->standby ? ch_work_fail_standby(w, &name, order->second, outcome)
				    : (order->second ? ch_work_fail_second : fail_first)(
					      w, &name, outcome, another_failed);
	if (!rc)
		rc = ch_work_settle(w, row->name);
	return rc ? rc
		  : ch_work_history(w, row->name,
			    order->standby && order->second ? "second-standby-failed"
			    : order->standby		    ? "standby-failed"
							    : fail_event(outcome),
			    outcome->reason.detail, outcome->reason.actor);
}

static int write_names(struct ch_work *w, const struct ch_op_patch *patch,
	const struct ch_order_row *order, enum ch_order_state after)
{
	struct ch_order_names names;
	bool any_failed = false;
	int rc = ch_order_names_load(w->db, patch->id, &names);

	for (size_t i = 0; i < patch->n_outcomes; i++)
		any_failed |= patch->outcomes[i].failed;
	for (size_t i = 0; !rc && i < names.n; i++) {
		const struct ch_order_name_row *row = &names.rows[i];

		if (row->gone)
			continue;
		if (after == CH_ORDER_FAILED)
			rc = fail_name(
				w, row, order, find_outcome(patch, row->name), any_failed);
		else if (after == CH_ORDER_DONE)
			rc = finish_name(w, patch, row, order);
		else
			rc = step_name(w, patch, row, order, after);
	}
	return rc;
}

/* By this order; what was found out about its names before cost the CA nothing. */
static bool never_asked(const struct ch_op_patch *patch, const struct ch_order_row *order)
{
	bool checked = order->state == CH_ORDER_NEW && patch->n_outcomes > 0;

	for (size_t i = 0; i < patch->n_outcomes; i++)
		checked &= patch->outcomes[i].check || !patch->outcomes[i].failed;
	return checked;
}

/* The CA was only presumed to have validated the names, and has called one of them invalid: who
 * fails the order for that, and for nothing else, says so with his notes. */
static bool was_never_validated(const struct ch_op_patch *patch)
{
	json_auto_t *notes = patch->acme ? json_loads(patch->acme, 0, NULL) : NULL;

	return json_is_true(json_object_get(notes, "presumed"));
}

/* From the sealed key on a certificate may have been issued, and lost. */
static bool nothing_was_issued(
	const struct ch_op_patch *patch, const struct ch_order_row *order)
{
	if (order->state == CH_ORDER_SEALED)
		return !order->has_leaf && was_never_validated(patch);
	return order->state > CH_ORDER_NEW && order->state < CH_ORDER_SEALED;
}

static int refund(
	struct ch_work *w, const struct ch_op_patch *patch, const struct ch_order_row *order)
{
	if (never_asked(patch, order))
		return ch_pace_refund(w, patch->id, false);
	return nothing_was_issued(patch, order) ? ch_pace_refund(w, patch->id, true) : CH_OK;
}

static int tell_answerers(
	struct ch_work *w, const struct ch_op_patch *patch, const struct ch_order_row *order)
{
	struct ch_order_names names;
	int rc = patch->n_answerers ? ch_order_names_load(w->db, patch->id, &names) : CH_OK;

	for (size_t i = 0; !rc && i < patch->n_answerers; i++) {
		const struct ch_store_answerer *one = &patch->answerers[i];

		for (size_t n = 0; !rc && n < names.n; n++)
			if (!names.rows[n].gone && strcmp(names.rows[n].name, one->name) == 0)
				rc = ch_work_answer_under(
					w, order->pool, one->name, one->account_hint);
	}
	return rc;
}

static int bad_record(struct ch_work *w, const char *detail)
{
	return ch_err_set(&w->op->err, CH_EINVAL, "bad-record", "%s", detail);
}

static int begin_challenge(struct ch_work *w, const struct ch_order_row *order,
	const struct ch_order_names *names, const struct ch_store_record_bytes *bytes)
{
	struct ch_record record;

	if (ch_record_decode(bytes->bytes, bytes->len, &record) ||
		record.kind != CH_RECORD_CHALLENGE || !ch_record_is_signed(&record))
		return bad_record(w, "challenges: not a CHALLENGE record with a token");
	for (size_t i = 0; i < names->n; i++) {
		const struct ch_order_name_row *row = &names->rows[i];

		if (strlen(row->name) != record.name_len ||
			memcmp(row->name, record.name, record.name_len) != 0)
			continue;
		/* One that was removed meanwhile is left out. */
		return row->gone ? CH_OK
				 : ch_work_begin_challenge(w, order->pool, row->name, bytes);
	}
	return bad_record(w, "challenges: for a name that is not in the order");
}

/* What the edges answer to a CA that comes by tls-alpn-01. */
static int tell_challenges(struct ch_work *w, const struct ch_op_patch *patch,
	const struct ch_order_row *order, enum ch_order_state after)
{
	bool is_over = ch_work_is_validated(order->state) && !ch_work_is_validated(after);
	struct ch_order_names names;
	int rc;

	if (patch->n_challenges && !ch_work_is_validated(after))
		return refuse(w, "challenges come with an order that is to be validated");
	if (!patch->n_challenges && !is_over)
		return CH_OK;
	rc = ch_order_names_load(w->db, patch->id, &names);
	for (size_t i = 0; !rc && i < patch->n_challenges; i++)
		rc = begin_challenge(w, order, &names, &patch->challenges[i]);
	return rc || !is_over ? rc : ch_work_end_challenges(w, order->pool, &names);
}

/* It was released while the order was leased: nobody could wake it then. */
static int wake_if_released(
	struct ch_work *w, const struct ch_op_patch *patch, enum ch_order_state after)
{
	if (!patch->has_reason || patch->keep_lease || patch->answer.edges.held.code ||
		after == CH_ORDER_DONE || after == CH_ORDER_FAILED)
		return CH_OK;
	ch_work_due(w, w->now);
	return ch_db_run(w->db,
		"UPDATE orders SET next_at = ?1 WHERE id = ?2 AND next_at > ?1 "
		"AND code IN " CH_HELD_CODES,
		"ii", w->now, patch->id);
}

int ch_work_patch(struct ch_work *w, struct ch_op_patch *patch)
{
	struct ch_order_row order;
	enum ch_order_state after;
	int64_t least_ms = w->now;
	int rc = ch_work_ask_order(w->db, patch->id);

	if (!rc)
		rc = ch_order_row_load(w->db, patch->id, &order);
	if (rc == CH_ENOTFOUND)
		return ch_err_set(&w->op->err, rc, "order-not-found", "there is no such order");
	if (rc)
		return rc;
	if (order.fence != patch->fence)
		return ch_err_set(&w->op->err, CH_ECONFLICT, "fence-lost",
			"the lease ran out or the order was canceled: take another");
	after = patch->has_state ? patch->state : order.state;
	if (order.ended_at) {
		if (!patch->has_state || after != order.state)
			return refuse(w, "the order is finished");
		return ch_work_order_answer(w, &order, &patch->answer);
	}
	rc = check(w, patch, &order);
	if (!rc && after == CH_ORDER_FAILED)
		rc = refund(w, patch, &order);
	if (!rc && after == CH_ORDER_NEW && order.state != CH_ORDER_NEW)
		rc = ch_pace_again(w, patch->id, &least_ms);
	if (!rc && patch->limited.account)
		rc = ch_pace_learn(w, patch->id, &patch->limited);
	if (!rc)
		rc = write_order(w, patch, after);
	if (!rc)
		rc = write_names(w, patch, &order, after);
	if (!rc)
		rc = tell_answerers(w, patch, &order);
	if (!rc)
		rc = tell_challenges(w, patch, &order, after);
	if (!rc)
		rc = after == CH_ORDER_DONE || after == CH_ORDER_FAILED
			     ? end_order(w, patch->id)
			     : give_back(w, patch, least_ms);
	order.state = after;
	order.ended_at = after == CH_ORDER_DONE || after == CH_ORDER_FAILED ? w->now : 0;
	if (!rc)
		rc = ch_work_order_answer(w, &order, &patch->answer);
	return rc ? rc : wake_if_released(w, patch, after);
}
