#include "store/sql_pace.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "wire/name.h"

#define PLAIN_B (16 + CH_STORE_ACCOUNT_MAX + 2 * (CH_NAME_MAX + 1))
/* What a CA has said of a bucket, in a row of its own: in the bucket's, whose tokens who is
 * exempt does not need, it cannot be told from what we used up.  As a set's key, which no set
 * of names has, stores of before have a word for it. */
#define TAUGHT "set:="
#define KEY_B (sizeof(TAUGHT) - 1 + PLAIN_B)
#define YEAR_MS (366 * CH_DAY_MS)
/* The issuer's configuration may have changed. */
#define UNKNOWN_WAIT_MS (10 * CH_MINUTE_MS)
/* So far apart classes look at a domain's token: a look at the name before takes less. */
#define MOMENT_MS (10 * CH_SECOND_MS)
/* What was learned of a limit that nobody configured holds until its time, as a bucket of one.
 */
#define LEARNED ((struct ch_limit){.size = 1, .refill_us = 1})

static bool is_learned(const struct ch_limit *limit)
{
	return limit->size == LEARNED.size && limit->refill_us == LEARNED.refill_us;
}

static const char *const words[CH_PACED_COUNT] = {
#define X(name, text) [name] = text,
	CH_PACED_LIST(X)
#undef X
};

const char *ch_paced_str(enum ch_paced paced)
{
	return words[paced];
}

int ch_paced_parse(const char *text, enum ch_paced *ret_paced)
{
	for (int i = 0; i < CH_PACED_COUNT; i++) {
		if (strcmp(text, words[i]) == 0) {
			*ret_paced = (enum ch_paced)i;
			return CH_OK;
		}
	}
	return CH_EINVAL;
}

struct row {
	char key[KEY_B];
	struct ch_limit limit; /* size 0: there is none */
	struct ch_limit kept;  /* what it was under when it was saved; size 0: never */
	struct ch_bucket bucket;
	int64_t tail_ms;
};

static int make_key(char ret_key[PLAIN_B], enum ch_paced paced, const char *account,
	const char *const *names, size_t n_names)
{
	int ca = (int)strcspn(account, "/");
	char domain[CH_NAME_TEXT_B];
	bool swap;
	int rc;

	switch (paced) {
	case CH_PACED_ACCOUNT:
		snprintf(ret_key, PLAIN_B, "account:%s", account);
		return CH_OK;
	case CH_PACED_DOMAIN:
		rc = ch_name_registered(names[0], domain);
		if (rc)
			return rc;
		snprintf(ret_key, PLAIN_B, "domain:%.*s:%s", ca, account, domain);
		return CH_OK;
	default:
		/* Whichever of the two is due first. */
		swap = n_names > 1 && strcmp(names[0], names[1]) > 0;
		snprintf(ret_key, PLAIN_B, "set:%.*s:%s%s%s", ca, account, names[swap],
			n_names > 1 ? " " : "", n_names > 1 ? names[!swap] : "");
		return CH_OK;
	}
}

static int make_taught_key(char ret_key[KEY_B], enum ch_paced paced, const char *account,
	const char *const *names, size_t n_names)
{
	strcpy(ret_key, TAUGHT);
	return make_key(ret_key + strlen(TAUGHT), paced, account, names, n_names);
}

/* No further ahead than an empty bucket of this limit, and what a CA can teach on top: whatever
 * limit an issuer named before, and whatever it says that a CA has said.  Whether it was. */
static bool clamp(const struct ch_work *w, struct row *row)
{
	int64_t most_us = (w->now + CH_STORE_LEARN_MAX_MS) * 1000 +
			  row->limit.size * row->limit.refill_us;

	if (row->bucket.tat_us <= most_us)
		return false;
	row->bucket.tat_us = most_us;
	return true;
}

static int save(struct ch_work *w, struct row *row)
{
	(void)clamp(w, row);
	return ch_db_run(w->db,
		"INSERT INTO bucket (key, tat, size, refill, tail) VALUES (?, ?, ?, ?, ?) "
		"ON CONFLICT (key) DO UPDATE SET tat = excluded.tat, size = excluded.size, "
		"refill = excluded.refill, tail = excluded.tail",
		"tiiii", row->key, row->bucket.tat_us, (int64_t)row->limit.size,
		row->limit.refill_us, row->tail_ms);
}

static const char bucket_sql[] = "SELECT tat, tail, size, refill FROM bucket WHERE key = ?";

/* wanted: the limit as configured. */
static int load(struct ch_work *w, const struct ch_limit *wanted, struct row *row)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	int rc = ch_db_query(w->db, &stmt, bucket_sql, "t", row->key);

	memset(&row->kept, 0, sizeof(row->kept));
	row->limit = wanted->size ? ch_limit_with_margin(wanted) : *wanted;
	row->bucket.tat_us = 0;
	row->tail_ms = 0;
	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc;
	row->bucket.tat_us = ch_db_i64(stmt, 0);
	row->tail_ms = ch_db_i64(stmt, 1);
	row->kept.size = (uint32_t)ch_db_i64(stmt, 2);
	row->kept.refill_us = ch_db_i64(stmt, 3);
	/* Of a limit that was configured once nothing is left when it no longer is. */
	if (!row->limit.size && is_learned(&row->kept) && row->bucket.tat_us > w->now * 1000)
		row->limit = LEARNED;
	/* Written, so that it comes nearer. */
	return row->limit.size && clamp(w, row) ? save(w, row) : CH_OK;
}

static int64_t ready_at(const struct ch_work *w, const struct row *row)
{
	return row->limit.size ? ch_bucket_ready_at_ms(&row->bucket, &row->limit, 1, w->now)
			       : w->now;
}

static int load_for(struct ch_work *w, const struct ch_store_pace *pace, enum ch_paced paced,
	const struct ch_pace_order *order, struct row *row)
{
	int rc = make_key(row->key, paced, pace->account, order->names, order->n_names);

	return rc ? rc : load(w, &pace->limits[paced], row);
}

static int wait_until(struct ch_work *w, const struct ch_pace_order *order, int64_t at_ms,
	const char *code, const char *detail, enum ch_actor actor)
{
	static const char second[] =
		"UPDATE name SET second_at = ?1, second_code = ?2, second_detail = ?3, "
		"second_actor = ?6, updated_at = ?4 WHERE name = ?5";
	static const char first[] =
		"UPDATE name SET next_at = ?1, code = ?2, detail = ?3, actor = ?6, "
		"updated_at = ?4 WHERE name = ?5";

	static const char standby[] =
		"UPDATE name SET standby_at = ?1, standby_code = ?2, standby_detail = ?3, "
		"standby_actor = ?6, updated_at = ?4 WHERE name = ?5";
	static const char second_standby[] =
		"UPDATE name SET second_standby_at = ?1, second_standby_code = ?2, "
		"second_standby_detail = ?3, second_standby_actor = ?6, updated_at = ?4 "
		"WHERE name = ?5";

	ch_work_due(w, at_ms);
	w->tx.changed = true;
	return ch_db_run(w->db,
		order->standby && order->second ? second_standby
		: order->standby		? standby
		: order->second			? second
						: first,
		"ittitt", at_ms, code, detail, w->now, order->names[0], ch_actor_str(actor));
}

/* For another reason than that it has no turn yet: it is wanted no longer, so that others
 * are. */
static int wait_aside(struct ch_work *w, const struct ch_pace_order *order, int64_t at_ms,
	const char *code, const char *detail, enum ch_actor actor)
{
	int rc = wait_until(w, order, at_ms, code, detail, actor);

	if (rc || order->class != CH_CLASS_VISITOR)
		return rc;
	return ch_db_run(
		w->db, "UPDATE name SET wanted_at = NULL WHERE name = ?", "t", order->names[0]);
}

int ch_pace_refuse(struct ch_work *w, const struct ch_pace_order *order)
{
	char detail[CH_STORE_CAS_TEXT_B + 150];

	snprintf(detail, sizeof(detail),
		"The name may have certificates from %s only, and the issuer has not "
		"configured any of these.",
		order->cas);
	return ch_pace_refuse_as(w, order, "ca-unknown", detail);
}

int ch_pace_refuse_as(struct ch_work *w, const struct ch_pace_order *order, const char *code,
	const char *detail)
{
	return wait_aside(w, order, w->now + UNKNOWN_WAIT_MS, code, detail, CH_ACTOR_OPERATOR);
}

/* A standby comes after all others, though its name has a certificate. */
static bool is_urgent(const struct ch_pace_order *order)
{
	return order->class <= CH_CLASS_RENEWAL && !order->standby;
}

/* A turn of its own, so that not all of a domain come back at the same moment.  Renewals look
 * at each token instead, those in danger first, a moment before whoever it was promised to. */
static int64_t turn_at(const struct ch_work *w, const struct ch_pace_order *order,
	enum ch_paced paced, const struct row *row)
{
	int64_t step_ms = row->limit.refill_us / 1000;
	int64_t moment_ms = step_ms / 100 < MOMENT_MS ? step_ms / 100 : MOMENT_MS;
	int64_t after_ms = moment_ms * (is_urgent(order) ? (int64_t)order->class : 2);
	int64_t at_ms = ready_at(w, row) + (paced == CH_PACED_DOMAIN ? after_ms : 0);
	/* Turns of names that have been retried, or are gone, stay behind: no further ahead
	 * than a bucket's worth, where all look again. */
	int64_t most_ms = at_ms + step_ms * row->limit.size;

	if (paced == CH_PACED_DOMAIN && !is_urgent(order) && row->tail_ms >= at_ms)
		at_ms = row->tail_ms + step_ms;
	if (at_ms > most_ms)
		at_ms = most_ms;
	return at_ms < w->now + YEAR_MS ? at_ms : w->now + YEAR_MS;
}

static int wait_for_bucket(struct ch_work *w, const struct ch_pace_order *order,
	enum ch_paced paced, struct row *row)
{
	char limit[CH_LIMIT_TEXT_B];
	char at[CH_TIME_STR_B];
	char code[32];
	char detail[300];
	int64_t at_ms = turn_at(w, order, paced, row);
	int rc;

	if (!is_urgent(order))
		row->tail_ms = at_ms;
	rc = save(w, row);
	snprintf(code, sizeof(code), "ca-limit-%s", words[paced]);
	snprintf(detail, sizeof(detail),
		"Waits for its turn at %s: the CA allows %s certificates for %s.",
		ch_time_str(at_ms, at), ch_limit_str(&row->limit, limit),
		paced == CH_PACED_DOMAIN ? "a registered domain" : "the same set of names");
	return rc ? rc : wait_aside(w, order, at_ms, code, detail, CH_ACTOR_NOBODY);
}

/* Of a limit that the order is exempt from. */
static int wait_as_taught(struct ch_work *w, const struct ch_pace_order *order,
	enum ch_paced paced, int64_t at_ms)
{
	static const char *const of[CH_PACED_COUNT] = {[CH_PACED_ACCOUNT] = "this account",
		[CH_PACED_DOMAIN] = "this registered domain",
		[CH_PACED_SET] = "this set of names"};
	char at[CH_TIME_STR_B];
	char code[32];
	char detail[200];

	snprintf(code, sizeof(code), "ca-limit-%s", words[paced]);
	snprintf(detail, sizeof(detail),
		"Waits until %s: the CA has said that it takes no order of %s before.",
		ch_time_str(at_ms, at), of[paced]);
	return wait_aside(w, order, at_ms, code, detail, CH_ACTOR_NOBODY);
}

/* The time is that of the last turn: earlier when fewer tenants or classes are before it. */
static int wait_in_line(struct ch_work *w, const struct ch_pace_order *order,
	const struct row *account, bool in_turn)
{
	char limit[CH_LIMIT_TEXT_B];
	char detail[300];
	int64_t waiting = 0;
	int64_t look_ms;
	int64_t at_ms;
	/* It had its turn for another account's token, which its own bucket there keeps from
	 * it: back in line it would have it again at once. */
	int rc = in_turn ? CH_OK : ch_pace_stand(w, order);

	if (!rc)
		rc = ch_db_get_i64(
			w->db, &waiting, "SELECT n FROM counter WHERE key = 'waiting'", "");
	if (rc)
		return rc;
	at_ms = ready_at(w, account);
	if (!in_turn && waiting < YEAR_MS * 1000 / account->limit.refill_us)
		at_ms += waiting * account->limit.refill_us / 1000;
	if (at_ms > w->now + YEAR_MS)
		at_ms = w->now + YEAR_MS;
	/* Not to be looked at again and again just before its turn. */
	if (at_ms < w->now + CH_MINUTE_MS)
		at_ms = w->now + CH_MINUTE_MS;
	look_ms = order->danger_ms > w->now && order->danger_ms < at_ms ? order->danger_ms
									: at_ms;
	if (is_learned(&account->limit))
		snprintf(detail, sizeof(detail),
			"Waits for its turn: a limit of the CA is reached.");
	else
		snprintf(detail, sizeof(detail),
			"Waits for its turn: the CA allows %s new orders.",
			ch_limit_str(&account->limit, limit));
	return wait_until(w, order, look_ms, "ca-limit-account", detail, CH_ACTOR_NOBODY);
}

static int take(struct ch_work *w, struct row *row)
{
	if (!row->limit.size)
		return CH_OK;
	(void)ch_bucket_take(&row->bucket, &row->limit, w->now);
	return save(w, row);
}

/* What stands in the way of an order under one account. */
enum obstacle {
	NOTHING,
	TAUGHT_UNTIL, /* the CA said so, which an exemption is no exemption from: ->taught */
	BUCKET,	      /* of its own names: ->blocked */
	LINE,	      /* the account's: it waits for its turn */
};

struct look {
	struct row rows[CH_PACED_COUNT];
	struct row taught;
	enum ch_paced blocked;
};

/* Which rows an order is looked at by: of a limit that it is exempt from, what the CA said. */
static int row_key(const struct ch_store_pace *pace, const struct ch_pace_order *order,
	const struct ch_pace_known *known, enum ch_paced paced, char ret_key[KEY_B])
{
	bool exempt = known->exempt || (known->renewal && paced != CH_PACED_SET);

	return (exempt ? make_taught_key : make_key)(
		ret_key, paced, pace->account, order->names, order->n_names);
}

static int ask_buckets(struct ch_work *w, const struct ch_store_pace *pace,
	const struct ch_pace_order *order, const struct ch_pace_known *known)
{
	char key[KEY_B];
	int rc = CH_OK;

	for (int paced = 0; !rc && paced < CH_PACED_COUNT; paced++) {
		rc = row_key(pace, order, known, (enum ch_paced)paced, key);
		if (!rc)
			rc = ch_db_ask(w->db, bucket_sql, "t", key);
	}
	return rc;
}

/* Of several the one that holds longest. */
static int look_at_taught(struct ch_work *w, const struct ch_store_pace *pace,
	const struct ch_pace_order *order, const struct ch_pace_known *known, struct look *look,
	enum obstacle *ret_obstacle)
{
	static const struct ch_limit none;
	int64_t until_ms = w->now;
	int rc = CH_OK;

	for (int paced = 0; !rc && paced < CH_PACED_COUNT; paced++) {
		struct row row;

		if (paced == CH_PACED_SET && !known->exempt)
			continue;
		rc = row_key(pace, order, known, (enum ch_paced)paced, row.key);
		if (!rc)
			rc = load(w, &none, &row);
		if (rc || ready_at(w, &row) <= until_ms)
			continue;
		until_ms = ready_at(w, &row);
		look->taught = row;
		look->blocked = (enum ch_paced)paced;
		*ret_obstacle = TAUGHT_UNTIL;
	}
	return rc;
}

static int look_at(struct ch_work *w, const struct ch_pace_list *paces, size_t at,
	const struct ch_pace_order *order, bool in_turn, struct look *look,
	enum obstacle *ret_obstacle)
{
	const struct ch_store_pace *pace = paces->list[at];
	const struct ch_pace_known *known = &order->known[at];
	static const enum ch_paced checked[] = {CH_PACED_SET, CH_PACED_DOMAIN};
	struct row *account = &look->rows[CH_PACED_ACCOUNT];
	int rc;

	memset(look, 0, sizeof(*look));
	*ret_obstacle = NOTHING;
	if (!pace->account)
		return CH_OK;
	rc = ask_buckets(w, pace, order, known);
	if (!rc && (known->renewal || known->exempt))
		rc = look_at_taught(w, pace, order, known, look, ret_obstacle);
	if (rc || known->exempt || *ret_obstacle != NOTHING)
		return rc;
	for (size_t i = 0; i < (known->renewal ? 1 : CH_ARRAY_LEN(checked)); i++) {
		struct row *row = &look->rows[checked[i]];

		rc = load_for(w, pace, checked[i], order, row);
		if (rc)
			return rc;
		if (ready_at(w, row) > w->now) {
			look->blocked = checked[i];
			*ret_obstacle = BUCKET;
			return CH_OK;
		}
	}
	if (known->renewal)
		return CH_OK;
	rc = load_for(w, pace, CH_PACED_ACCOUNT, order, account);
	if (!rc && account->limit.size && (!in_turn || ready_at(w, account) > w->now))
		*ret_obstacle = LINE;
	return rc;
}

static int take_all(struct ch_work *w, struct look *look)
{
	int rc = CH_OK;

	for (size_t i = 0; !rc && i < CH_PACED_COUNT; i++)
		rc = take(w, &look->rows[i]);
	return rc;
}

static const struct ch_store_pace *pace_at(const struct ch_op_lease *lease, size_t at)
{
	return at ? &lease->fallback[at - 1] : &lease->pace;
}

const struct ch_store_pace *ch_pace_of(
	const struct ch_op_lease *lease, const char *ca, size_t len)
{
	for (size_t i = 0; i <= lease->n_fallback; i++) {
		const struct ch_store_pace *pace = pace_at(lease, i);

		if (pace->ca && strlen(pace->ca) == len && memcmp(pace->ca, ca, len) == 0)
			return pace;
	}
	return NULL;
}

/* The first one that is out is kept for when all are. */
static void add_pace(struct ch_pace_list *list, const struct ch_store_pace *pace,
	const struct ch_store_pace **first_out)
{
	if (pace && !pace->out && list->n < CH_ARRAY_LEN(list->list))
		list->list[list->n++] = pace;
	else if (pace && !*first_out)
		*first_out = pace;
}

void ch_pace_list(
	const struct ch_op_lease *lease, const char *cas, struct ch_pace_list *ret_list)
{
	const struct ch_store_pace *first_out = NULL;

	ret_list->n = 0;
	for (size_t i = 0; !*cas && i <= lease->n_fallback; i++)
		add_pace(ret_list, pace_at(lease, i), &first_out);
	for (size_t len; *cas; cas += len + (cas[len] == ',')) {
		len = strcspn(cas, ",");
		add_pace(ret_list, ch_pace_of(lease, cas, len), &first_out);
	}
	if (!ret_list->n && first_out)
		ret_list->list[ret_list->n++] = first_out;
}

static int64_t ends_at(const struct ch_work *w, enum obstacle obstacle, const struct look *look)
{
	return ready_at(
		w, obstacle == TAUGHT_UNTIL ? &look->taught : &look->rows[look->blocked]);
}

/* The account whose line is the reason, or else the first; but what one CA has said holds
 * nobody up for longer than another one does. */
static bool is_reason(const struct ch_work *w, enum obstacle before, const struct look *first,
	enum obstacle obstacle, const struct look *look)
{
	if (before == NOTHING || before == LINE || obstacle == LINE)
		return before != LINE;
	return before == TAUGHT_UNTIL && ends_at(w, obstacle, look) < ends_at(w, before, first);
}

/* Whoever would have to stand in the line of an account stands there, before one that comes
 * after it is thought of: when it is his turn, and that account is short of tokens, it is. */
int ch_pace_admit(struct ch_work *w, const struct ch_pace_list *paces,
	const struct ch_pace_order *order, bool in_turn, size_t *ret_at,
	enum ch_pace_verdict *ret_verdict)
{
	struct look first = {.blocked = CH_PACED_SET};
	enum obstacle first_obstacle = NOTHING;

	*ret_verdict = CH_PACE_WAITS;
	for (size_t i = 0; i < paces->n; i++) {
		enum obstacle obstacle;
		struct look look;
		int rc = look_at(w, paces, i, order, in_turn, &look, &obstacle);

		if (rc)
			return rc;
		if (obstacle == NOTHING) {
			*ret_verdict = CH_PACE_GO;
			*ret_at = i;
			return take_all(w, &look);
		}
		if (obstacle == LINE && !in_turn)
			return wait_in_line(w, order, &look.rows[CH_PACED_ACCOUNT], false);
		if (is_reason(w, first_obstacle, &first, obstacle, &look)) {
			first = look;
			first_obstacle = obstacle;
		}
	}
	if (order->standby && first_obstacle == LINE) {
		*ret_verdict = CH_PACE_FULL;
		return CH_OK;
	}
	if (first_obstacle == LINE)
		return wait_in_line(w, order, &first.rows[CH_PACED_ACCOUNT], in_turn);
	return first_obstacle == TAUGHT_UNTIL
		       ? wait_as_taught(w, order, first.blocked, ready_at(w, &first.taught))
		       : wait_for_bucket(w, order, first.blocked, &first.rows[first.blocked]);
}

int ch_pace_any_ready(struct ch_work *w, const struct ch_pace_list *paces, bool *ret_ready)
{
	*ret_ready = false;
	for (size_t i = 0; i < paces->n && !*ret_ready; i++) {
		const struct ch_store_pace *pace = paces->list[i];
		struct row account;
		int rc;

		*ret_ready = !pace->account;
		if (*ret_ready)
			break;
		rc = make_key(account.key, CH_PACED_ACCOUNT, pace->account, NULL, 0);
		if (!rc)
			rc = load(w, &pace->limits[CH_PACED_ACCOUNT], &account);
		if (rc)
			return rc;
		*ret_ready = ready_at(w, &account) <= w->now;
	}
	return CH_OK;
}

int ch_pace_forget(struct ch_work *w, const char *name)
{
	return ch_db_run(w->db, "DELETE FROM waiting WHERE name = ?", "t", name);
}

static int learn(struct ch_work *w, struct row *row, int64_t until_ms)
{
	static const struct ch_limit none;
	int rc = load(w, &none, row);

	if (rc)
		return rc;
	row->limit = row->kept.size ? row->kept : LEARNED;
	ch_bucket_learn(&row->bucket, &row->limit, until_ms);
	return save(w, row);
}

int ch_pace_learn(struct ch_work *w, uint64_t order_id, const struct ch_store_limited *limited)
{
	const char *list[CH_STORE_ORDER_NAMES_MAX];
	struct ch_order_names names;
	int64_t until_ms = limited->until_ms;
	int64_t free = 0;
	struct row row;
	int rc = ch_order_names_load(w->db, order_id, &names);

	if (rc)
		return rc;
	for (size_t i = 0; i < names.n; i++)
		list[i] = names.rows[i].name;
	if (until_ms > w->now + CH_STORE_LEARN_MAX_MS)
		until_ms = w->now + CH_STORE_LEARN_MAX_MS;
	rc = make_key(row.key, limited->paced, limited->account, list, names.n);
	if (!rc)
		rc = learn(w, &row, until_ms);
	/* What a new order is refused for says nothing of those that are exempt. */
	if (!rc)
		rc = ch_db_get_i64(
			w->db, &free, "SELECT free FROM orders WHERE id = ?", "i", order_id);
	if (rc || !free)
		return rc;
	rc = make_taught_key(row.key, limited->paced, limited->account, list, names.n);
	return rc ? rc : learn(w, &row, until_ms);
}

static int give_back(struct ch_work *w, struct row *row)
{
	static const struct ch_limit none;
	int rc = load(w, &none, row);

	if (rc || !row->kept.size)
		return rc;
	row->limit = row->kept;
	row->bucket.tat_us -= row->kept.refill_us;
	return save(w, row);
}

int ch_pace_again(struct ch_work *w, uint64_t order_id, int64_t *ret_at_ms)
{
	static const struct ch_limit none;
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	char account[CH_STORE_ACCOUNT_MAX + 1];
	struct row row;
	int rc = ch_db_query(w->db, &stmt,
		"SELECT paced FROM orders WHERE id = ? AND paced IS NOT NULL AND free = 0", "i",
		order_id);

	*ret_at_ms = w->now;
	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc;
	rc = CH_OK;
	ch_db_copy(stmt, 0, account, sizeof(account), &rc);
	if (!rc)
		rc = make_key(row.key, CH_PACED_ACCOUNT, account, NULL, 0);
	if (!rc)
		rc = load(w, &none, &row);
	/* One that is not there is full. */
	if (rc || !row.kept.size)
		return rc;
	row.limit = row.kept;
	*ret_at_ms = ready_at(w, &row);
	if (row.bucket.tat_us < w->now * 1000)
		row.bucket.tat_us = w->now * 1000;
	row.bucket.tat_us += row.limit.refill_us;
	return save(w, &row);
}

int ch_pace_refund(struct ch_work *w, uint64_t order_id, bool ordered)
{
	CH_AUTO_STMT struct ch_stmt *stmt = NULL;
	const char *list[CH_STORE_ORDER_NAMES_MAX];
	char account[CH_STORE_ACCOUNT_MAX + 1];
	struct ch_order_names names;
	bool set_only;
	/* One that has begun again may have been given a certificate before that was lost. */
	int rc = ch_db_query(w->db, &stmt,
		"SELECT paced, free FROM orders WHERE id = ? "
		"AND paced IS NOT NULL AND free < 2 AND attempts = 0",
		"i", order_id);

	if (!rc)
		rc = ch_db_step(w->db, stmt);
	if (rc <= 0)
		return rc;
	rc = CH_OK;
	ch_db_copy(stmt, 0, account, sizeof(account), &rc);
	set_only = (int)ch_db_i64(stmt, 1);
	if (!rc)
		rc = ch_order_names_load(w->db, order_id, &names);
	for (size_t i = 0; !rc && i < names.n; i++)
		list[i] = names.rows[i].name;
	for (int paced = 0; !rc && paced < CH_PACED_COUNT; paced++) {
		struct row row;

		if ((set_only && paced != CH_PACED_SET) ||
			(ordered && paced == CH_PACED_ACCOUNT))
			continue;
		rc = make_key(row.key, (enum ch_paced)paced, account, list, names.n);
		if (!rc)
			rc = give_back(w, &row);
	}
	return rc;
}

int ch_pace_prune(struct ch_work *w, int64_t max_rows, int64_t *ret_removed)
{
	int rc = ch_db_run(w->db,
		"DELETE FROM bucket WHERE key IN (SELECT key FROM bucket WHERE tat < ?1 "
		"AND tail < ?2 ORDER BY tat LIMIT ?3)",
		"iii", w->now * 1000, w->now, max_rows);

	*ret_removed = ch_db_changes(w->db);
	return rc;
}
