/* Inside the SQLite backend: store/pace.h. */
#ifndef CH_STORE_SQL_PACE_H
#define CH_STORE_SQL_PACE_H

#include "pace/scheduler.h"
#include "store/sql_work.h"

/* What an account's CA exempts an order from that could be made. */
struct ch_pace_known {
	bool renewal; /* of the same names: free of all limits but theirs */
	bool exempt;  /* … in the CA's window: free of that too */
};

/* An order that could be made. */
struct ch_pace_order {
	struct ch_pace_known known[1 + CH_STORE_FALLBACK_MAX]; /* as the list of accounts */
	const char *names[CH_STORE_ORDER_NAMES_MAX]; /* the first is the one that is due */
	size_t n_names;
	const char *tenant;
	const char *cas; /* of the first, "": any */
	bool second;
	bool standby; /* comes after all others, and stands in no line */
	enum ch_class class;
	int64_t danger_ms; /* when it becomes CH_CLASS_DANGER; INT64_MAX: never */
	int64_t due_ms;	   /* since when */
};

enum ch_pace_verdict {
	CH_PACE_GO,    /* the tokens are taken */
	CH_PACE_WAITS, /* it waits, and its row says why */
	CH_PACE_FULL,  /* a standby: the account has no token; nothing is written */
};

/* Accounts in the order in which they are to be used. */
struct ch_pace_list {
	const struct ch_store_pace *list[1 + CH_STORE_FALLBACK_MAX];
	size_t n;
};
/* For a name that has this list of CAs; "": none of its own.  Empty: it has none of those that
 * the lease has. */
void ch_pace_list(
	const struct ch_op_lease *lease, const char *cas, struct ch_pace_list *ret_list);

/* The one that a CA's name means; NULL: the lease has none. */
const struct ch_store_pace *ch_pace_of(
	const struct ch_op_lease *lease, const char *ca, size_t len);
/* in_turn: it comes from ch_pace_turn.  paces: not empty.  *ret_at, with CH_PACE_GO: under
 * which account. */
CH_MUST int ch_pace_admit(struct ch_work *w, const struct ch_pace_list *paces,
	const struct ch_pace_order *order, bool in_turn, size_t *ret_at,
	enum ch_pace_verdict *ret_verdict);
/* Whether one of the accounts can be used now, as far as its own limit goes. */
CH_MUST int ch_pace_any_ready(
	struct ch_work *w, const struct ch_pace_list *paces, bool *ret_ready);
/* A name whose list has no CA of the lease's: it waits, and its row says so. */
CH_MUST int ch_pace_refuse(struct ch_work *w, const struct ch_pace_order *order);
/* The same, for another reason that is the operator's to mend. */
CH_MUST int ch_pace_refuse_as(struct ch_work *w, const struct ch_pace_order *order,
	const char *code, const char *detail);
/* sql_standby.c: under which account the standby of a name is made whose live certificate this
 * is: that which is asked for, or, when what is live is of its CA, the first other one that the
 * name may use.  *ret_pace NULL: none; *ret_code says why. */
CH_MUST int ch_pace_standby(struct ch_work *w, const struct ch_op_lease *lease,
	const struct ch_name_row *row, uint64_t live, const struct ch_store_pace **ret_pace,
	const char **ret_code);
/* Whose turn it is, if an account that it may use has a token for it; it waits no longer then.
 * CH_ENOTFOUND. */
CH_MUST int ch_pace_turn_ask(struct ch_work *w);
CH_MUST int ch_pace_turn(
	struct ch_work *w, const struct ch_op_lease *lease, char ret_name[CH_NAME_MAX + 1]);
CH_MUST int ch_pace_learn(
	struct ch_work *w, uint64_t order_id, const struct ch_store_limited *limited);
/* Puts the name in line.  One that stands there stays where it is, but that it comes to be of a
 * more urgent class. */
CH_MUST int ch_pace_stand(struct ch_work *w, const struct ch_pace_order *order);
/* Whether any of the accounts has a limit. */
bool ch_pace_is_limited(const struct ch_op_lease *lease);
/* Of one that stands in line: among those of the class it came then. */
CH_MUST int ch_pace_reclass(
	struct ch_work *w, const char *name, enum ch_class class, int64_t since_ms);
/* Of a name that has no certificate yet. */
enum ch_class ch_pace_class_of_first(bool wanted, bool imported, uint64_t failures);
/* The name waits for no turn any more. */
CH_MUST int ch_pace_forget(struct ch_work *w, const char *name);
/* The order begins again, and the CA will count a new one: takes another token of its account,
 * also one that is not there yet.  *ret_at_ms: when it is. */
CH_MUST int ch_pace_again(struct ch_work *w, uint64_t order_id, int64_t *ret_at_ms);
/* The order has failed and no certificate was asked for: those tokens are there again that the
 * CA counts by certificates, of the set and of the domain; unless `ordered`, before the CA was
 * asked for anything, that of the account too.  Of one that has begun again nothing. */
CH_MUST int ch_pace_refund(struct ch_work *w, uint64_t order_id, bool ordered);
/* When ch_pace_turn could have something: INT64_MAX: nothing waits. */
CH_MUST int ch_pace_next_ask(struct ch_db *db);
CH_MUST int ch_pace_next(struct ch_db *db, int64_t now_ms, int64_t *ret_at_ms);
/* Buckets that are full again: they are as good as none. */
CH_MUST int ch_pace_prune(struct ch_work *w, int64_t max_rows, int64_t *ret_removed);

#endif
