/* What one operation works with on the writer thread, and the steps that several share. */
#ifndef CH_STORE_SQL_WORK_H
#define CH_STORE_SQL_WORK_H

#include "store/sql_hold.h"
#include "store/sql_store.h"

/* Counters and notes of the open transaction: kept here, written once before the commit, and
 * put back when an operation's savepoint is rolled back. */
struct ch_work_tx {
	uint64_t last_id;
	uint64_t head;
	uint64_t floor;
	bool changed;
	struct ch_store_change change;
};

struct ch_slots;
struct ch_order_names;
struct ch_name_row;
struct ch_work_edges; /* the edges of one pool, read once per operation */
struct ch_ahead;      /* what was asked ahead: sql_ahead.h */

struct ch_work {
	struct ch_db *db;
	struct ch_store_op *op;
	int64_t now; /* one for all operations of a transaction */
	int64_t edge_timeout_ms;
	uint8_t epoch[CH_EPOCH_B];
	uint64_t compatible_from; /* store/schema.h */
	struct ch_work_tx tx;
	struct ch_slots *slots;	     /* the store's; sql_calendar.h */
	struct ch_work_edges *edges; /* in op->arena; NULL: not read yet */
	struct ch_ahead *ahead;	     /* the same, or that of several operations: */
	struct ch_ahead *gathered;   /* in arena, the transaction's; NULL: none */
	struct ch_arena *arena;
	char ruled[CH_STORE_LABEL_MAX + 1]; /* the pool of the rules below; "": none yet */
	struct ch_hold_rules rules;
};

/* ---- sql_writer.c: the row that holds ids and feed numbers, read after a transaction was
 * begun and written before it is committed ---- */
CH_MUST int ch_work_load_meta(struct ch_work *w);
CH_MUST int ch_work_save_meta(struct ch_work *w, const struct ch_work_tx *before);

/* The operations; each fills op->err when it fails in a way that is the caller's to mend. */
CH_MUST int ch_work_put(struct ch_work *w, struct ch_op_put *put);
CH_MUST int ch_work_delete(struct ch_work *w, const char *name);
CH_MUST int ch_work_retry(struct ch_work *w, const char *name);
CH_MUST int ch_work_pause(struct ch_work *w, const char *name);
CH_MUST int ch_work_resume(struct ch_work *w, const char *name);
CH_MUST int ch_work_lease(struct ch_work *w, struct ch_op_lease *lease);
CH_MUST int ch_work_patch(struct ch_work *w, struct ch_op_patch *patch);
CH_MUST int ch_work_publish(struct ch_work *w, struct ch_op_publish *publish);
CH_MUST int ch_work_edge_ack(struct ch_work *w, struct ch_op_edge_ack *ack);
CH_MUST int ch_work_edge_forget(struct ch_work *w, const struct ch_op_edge_forget *forget);
CH_MUST int ch_work_tickets(struct ch_work *w, const struct ch_op_tickets *tickets);
CH_MUST int ch_work_housekeep(struct ch_work *w, struct ch_op_housekeep *house);
CH_MUST int ch_work_pool(struct ch_work *w, const struct ch_op_pool *pool);
CH_MUST int ch_work_release(struct ch_work *w, struct ch_op_release *release);
CH_MUST int ch_work_rollback(struct ch_work *w, const struct ch_op_rollback *rollback);
CH_MUST int ch_work_rekey(struct ch_work *w, struct ch_op_rekey *rekey);
CH_MUST int ch_work_alerts(struct ch_work *w, struct ch_op_alerts *alerts);
CH_MUST int ch_work_adopt(struct ch_work *w, struct ch_op_adopt *adopt);
CH_MUST int ch_work_handback(struct ch_work *w, struct ch_op_handback *handback);
CH_MUST int ch_work_issuer(struct ch_work *w, const struct ch_op_issuer *issuer);
CH_MUST int ch_work_wanted(struct ch_work *w, struct ch_op_wanted *wanted);
CH_MUST int ch_work_ask_lease(struct ch_work *w, struct ch_op_ask_lease *lease);
CH_MUST int ch_work_ask_write(struct ch_work *w, struct ch_op_ask_write *write);

/* ---- sql_ask.c: each X_ask says that X is soon to be done (ch_db_ask) ---- */
/* What the operation begins with. */
CH_MUST int ch_work_ask_op(struct ch_work *w, const struct ch_store_op *op);
/* What it goes on with, once that has been answered. */
CH_MUST int ch_work_ask_more(struct ch_work *w, const struct ch_store_op *op);
/* An order and its names. */
CH_MUST int ch_work_ask_order(struct ch_db *db, uint64_t id);

/* ---- sql_work.c ---- */
/* The next id: higher than every order's and every record's version so far. */
uint64_t ch_work_id(struct ch_work *w);
/* Something can be leased from at_ms on. */
void ch_work_due(struct ch_work *w, int64_t at_ms);
CH_MUST int ch_work_history(struct ch_work *w, const char *name, const char *event,
	const char *detail, enum ch_actor actor);
/* Nothing when the operation has no `who`. */
CH_MUST int ch_work_audit(struct ch_work *w, const char *action, const char *target);
/* Cut at the limit of details, so that it ends in whole UTF-8 characters. */
const char *ch_work_cut(struct ch_work *w, const char *text, size_t max_b);

/* ---- sql_feed_write.c ---- */
/* Makes this the newest record of the name in the pool, with the next sequence number; held
 * back from the edges where the pool's rules say so. */
CH_MUST int ch_work_emit(struct ch_work *w, const char *pool, const char *name,
	uint64_t version, enum ch_record_kind kind, const uint8_t *record, size_t record_len,
	const uint8_t *chain_id);
/* A NAME or TOMBSTONE record under a fresh version; a TOMBSTONE takes along what else the pool
 * has of the name, and a name that comes back is told to have none of it. */
CH_MUST int ch_work_emit_plain(struct ch_work *w, const char *pool, const char *name,
	enum ch_record_kind kind, uint64_t *ret_version);
/* A name whose first record is not a NAME record: what else its pool had of it, when it was
 * there before, is taken back. */
CH_MUST int ch_work_come_back(struct ch_work *w, const char *pool, const char *name);
/* With a name go its policy and its second certificate. */
CH_MUST int ch_work_drop_extras(struct ch_work *w, const char *pool, const char *name);

/* Whether the pool has a record under this key, held back or not. */
CH_MUST int ch_work_has_record(
	struct ch_work *w, const char *pool, const char *key, bool *ret_has);

/* ---- sql_hold.c ---- */
/* The pool's, read once per operation: those that change them emit nothing. */
CH_MUST int ch_work_hold_rules(
	struct ch_work *w, const char *pool, struct ch_hold_rules *ret_rules);
/* Instead of ch_work_emit's own: numbered, but held back. */
CH_MUST int ch_work_hold(struct ch_work *w, const char *pool, const char *name,
	uint64_t version, enum ch_record_kind kind, const uint8_t *record, size_t record_len,
	const uint8_t *chain_id);
/* Why what is held back of the name is; the code stays NULL when nothing is.  *ret_held: it is,
 * even if only for a moment more. */
CH_MUST int ch_work_held_ask(struct ch_work *w, const char *pool, const char *name);
CH_MUST int ch_work_held_reason(struct ch_work *w, const char *pool, const char *name,
	bool *ret_held, struct ch_store_reason *ret_reason);
/* An edge acknowledges: for the soak, when it is its pool's canary. */
CH_MUST int ch_work_canary_ack(struct ch_work *w, const struct ch_op_edge_ack *ack);

/* ---- sql_policy.c ---- */
/* A POLICY record of what the name's row says now.  Nothing when all is as by default and the
 * pool was never told otherwise. */
CH_MUST int ch_work_emit_policy(struct ch_work *w, const char *name);
/* The same of a name whose row is to be so. */
CH_MUST int ch_work_emit_policy_of(struct ch_work *w, const struct ch_name_row *row);
/* The same for every name that has a tenant: what names from before there were policies lack.
 */
CH_MUST int ch_work_emit_tenants(struct ch_work *w);

/* ---- sql_put.c ---- */
/* A new name, with its www name if the item says so, that gets the record of a certificate
 * under this version in the same operation, and so no NAME record. */
CH_MUST int ch_work_create_adopted(struct ch_work *w, const struct ch_store_put_item *item,
	enum ch_keys keys, uint64_t version);

/* ---- sql_publish.c ---- */
struct ch_work_adopted {
	bool second;
	enum ch_key_type key;
	bool other;	/* it covers more names than these */
	const char *ca; /* that is asked when to renew it; NULL: none */
};
/* Makes a certificate live that no order has brought: in->id is its version, which the names,
 * none of them in an order, do not have yet; fence, next_at_ms and answer are not used.
 * CH_EINVAL "bad-record". */
CH_MUST int ch_work_publish_adopted(struct ch_work *w, struct ch_op_publish *in,
	const struct ch_order_names *names, const struct ch_work_adopted *what);

/* The same, but only to be put back (ch_work_put_back). */
CH_MUST int ch_work_keep_adopted(struct ch_work *w, struct ch_op_publish *in,
	const struct ch_order_names *names, enum ch_key_type key);

/* ---- sql_sweep.c ---- */
struct ch_sweep {
	int64_t before_ms; /* only what is older goes, */
	int64_t least;	   /* and of the history of a name that is there not the last so many */
	int64_t max_rows;
	/* out: */
	int64_t removed;
	bool more;
};
CH_MUST int ch_work_sweep_history(struct ch_work *w, struct ch_sweep *sweep);
CH_MUST int ch_work_sweep_audit(struct ch_work *w, struct ch_sweep *sweep);

/* ---- sql_rekey.c ---- */
/* The name has a new certificate. */
CH_MUST int ch_work_rekeyed(struct ch_work *w, const char *name, bool second);

/* ---- sql_issuers.c ---- */
CH_MUST int ch_work_prune_issuers(
	struct ch_work *w, int64_t before, int64_t max_rows, int64_t *ret_removed);

/* ---- sql_wanted.c ---- */
CH_MUST int ch_work_prune_wanted(
	struct ch_work *w, int64_t before, int64_t max_rows, int64_t *ret_removed);

/* ---- sql_tickets.c ---- */
/* The set of before a restore, if it is newer than the pool's. */
CH_MUST int ch_work_tickets_back(
	struct ch_work *w, const struct ch_op_tickets *tickets, bool *ret_taken);
CH_MUST int ch_work_prune_tickets(struct ch_work *w, int64_t *ret_removed);

/* ---- sql_row.c: what the operations need of a name's and an order's row ---- */
struct ch_name_row {
	char name[CH_NAME_MAX + 1];
	char tenant[CH_STORE_LABEL_MAX + 1];
	char pool[CH_STORE_LABEL_MAX + 1];
	bool www;
	char www_of[CH_NAME_MAX + 1]; /* "": none */
	enum ch_name_state state;
	int64_t next_at; /* 0: none */
	uint64_t failures;
	uint64_t version;
	uint64_t order_id; /* 0: none */
	bool solo;
	uint64_t cert; /* 0: none */
	uint64_t prev_cert;
	char policy[CH_POLICY_TAG_COUNT][CH_STORE_POLICY_MAX + 1]; /* "": the default */
	enum ch_keys keys;
	enum ch_key_type cert_key; /* of cert, if there is one */
	uint64_t second_cert;	   /* 0: none */
	uint64_t second_prev;
	int64_t second_at; /* 0: none */
	uint64_t second_failures;
	bool imported;
	char cas[CH_STORE_CAS_TEXT_B];		/* "": any */
	char standby[CH_STORE_CA_NAME_MAX + 1]; /* "": the issuers' default */
	uint64_t standby_cert;			/* 0: none */
	int64_t standby_at;			/* 0: none */
	uint64_t standby_failures;
	uint64_t second_standby_cert; /* 0: none */
	int64_t wanted_at;	      /* 0: not */
	/* It is looked at before its time, in place of this next_at; 0: it is not. */
	int64_t look_was_at;
};
/* What is selected of the table `name` for ch_name_row_read. */
#define CH_NAME_ROW                                                                            \
	"name, tenant, pool, www, www_of, state, next_at, failures, version, order_id, solo, " \
	"cert, prev_cert, keys, cert_key, second_cert, second_prev, second_at, "               \
	"second_failures, upstream, hsts, redirect, imported, cas, standby, standby_cert, "    \
	"standby_at, standby_failures, second_standby_cert, wanted_at, look_was_at"
/* An error is latched in *rc. */
void ch_name_row_read(struct ch_stmt *stmt, struct ch_name_row *ret_row, int *rc);
/* CH_ENOTFOUND. */
CH_MUST int ch_name_row_ask(struct ch_db *db, const char *name);
CH_MUST int ch_name_row_load(struct ch_db *db, const char *name, struct ch_name_row *ret_row);
/* The other name of its group: "" when it has none. */
void ch_name_row_mate(const struct ch_name_row *row, char ret_name[CH_NAME_MAX + 1]);

struct ch_order_row {
	uint64_t id;
	enum ch_order_state state;
	enum ch_key_type key;
	bool second;
	bool standby;
	char pool[CH_STORE_LABEL_MAX + 1];
	uint64_t fence;
	int64_t ended_at; /* 0: open */
	bool has_csr;
	bool has_leaf;
	uint8_t leaf_sha256[32];
	uint64_t rollback;	  /* 0: none */
	uint64_t rollback_second; /* beside it, under the next version; 0: none */
};
CH_MUST int ch_order_row_ask(struct ch_db *db, uint64_t id);
CH_MUST int ch_order_row_load(struct ch_db *db, uint64_t id, struct ch_order_row *ret_row);

struct ch_order_name_row {
	char name[CH_NAME_MAX + 1];
	bool had_cert;
	enum ch_name_state prev_state;
	bool gone;
};
struct ch_order_names {
	struct ch_order_name_row rows[CH_STORE_ORDER_NAMES_MAX];
	size_t n;
};
CH_MUST int ch_order_names_ask(struct ch_db *db, uint64_t id);
CH_MUST int ch_order_names_load(
	struct ch_db *db, uint64_t id, struct ch_order_names *ret_names);

/* What a name's state is while its order is in this state. */
enum ch_name_state ch_name_state_during(enum ch_order_state order, bool had_cert);

/* ---- sql_answerer.c ---- */
/* The hint of the account under which the name's challenges are answered, once all edges have
 * its newest records; 0: the first that is pinned there. */
CH_MUST int ch_work_answerer_ask(struct ch_work *w, const char *pool, const char *name);
CH_MUST int ch_work_answerer(
	struct ch_work *w, const char *pool, const char *name, uint64_t *ret_hint);
/* From now on under this one: a CHALLENGE record, when that is a change. */
CH_MUST int ch_work_answer_under(
	struct ch_work *w, const char *pool, const char *name, uint64_t hint);
/* A CHALLENGE record that an issuer has signed, which a name's challenge is answered from until
 * that is ended.  The record is checked by the caller. */
CH_MUST int ch_work_begin_challenge(struct ch_work *w, const char *pool, const char *name,
	const struct ch_store_record_bytes *record);
/* Whether an order in this state may have such records. */
bool ch_work_is_validated(enum ch_order_state state);
/* It is in no such state any more: for its names that are not gone, edges answer nothing. */
CH_MUST int ch_work_end_challenges_ask(
	struct ch_work *w, const char *pool, const struct ch_order_names *names);
CH_MUST int ch_work_end_challenges(
	struct ch_work *w, const char *pool, const struct ch_order_names *names);

/* ---- sql_redirect.c ---- */
/* Whether the name may redirect there.  *ret_why: why not, in the operation's arena, or NULL.
 */
CH_MUST int ch_work_check_redirect(
	struct ch_work *w, const char *name, const char *redirect, const char **ret_why);

/* ---- sql_lease.c ---- */
CH_MUST int ch_work_lease_ask(struct ch_work *w, const struct ch_op_lease *lease);
CH_MUST int ch_work_lease_ask_more(struct ch_work *w, const struct ch_op_lease *lease);
/* The name is in the order from now on.  quiet: of a standby, which leaves its state alone. */
CH_MUST int ch_work_add_member(
	struct ch_work *w, uint64_t id, const struct ch_name_row *row, bool quiet, bool second);

/* ---- sql_lease_open.c ---- */
/* The next of lease->orders: of it only id, pool, second and standby are known for now, and
 * the names of one that was just made. */
CH_MUST int ch_work_lease_order(
	struct ch_work *w, struct ch_op_lease *lease, const struct ch_store_order *order);
/* In the end, of all of them. */
CH_MUST int ch_work_lease_load(struct ch_work *w, struct ch_op_lease *lease);
/* Those that are open and due, until there are so many. */
CH_MUST int ch_work_lease_open(struct ch_work *w, struct ch_op_lease *lease, size_t most);
CH_MUST int ch_work_lease_open_ask(
	struct ch_work *w, const struct ch_op_lease *lease, size_t most);
/* The names of those. */
CH_MUST int ch_work_lease_open_ask_names(
	struct ch_work *w, const struct ch_op_lease *lease, size_t most);

/* ---- sql_rollback.c ---- */
/* Whether the record is what was live under the version to put back.  CH_EINVAL. */
CH_MUST int ch_work_check_rollback(
	struct ch_work *w, uint64_t version, const struct ch_record *record);
/* Fills in what was live under order->old and order->old_second. */
CH_MUST int ch_db_rollback_load(
	struct ch_db *db, struct ch_arena *arena, struct ch_store_order *order);

/* ---- sql_cancel.c ---- */
/* Takes a name that is removed, moved or paused out of its open order, if it has one.  An order
 * before `finalizing`, or left without names, is canceled; its other name begins again. */
CH_MUST int ch_work_detach(struct ch_work *w, const char *name, uint64_t order_id);

/* ---- sql_certs_write.c ---- */
/* Forgets all certificates of the name; a certificate goes with its last name. */
CH_MUST int ch_work_forget_certs(struct ch_work *w, const char *name);
/* Forgets those of the name that are not among these; 0: none.  A standby of the second
 * certificate lies apart, under the key of such records (ch_record_key): stores that do not
 * know of it leave it alone. */
#define CH_KEPT_CERTS 5
CH_MUST int ch_work_trim_certs(
	struct ch_work *w, const char *name, const uint64_t keep[CH_KEPT_CERTS]);

/* Of those of its second certificate that are kept as standbys only this one stays; 0: none. */
CH_MUST int ch_work_trim_second_standbys(struct ch_work *w, const char *name, uint64_t keep);
/* Where the record of a version of name `x` may be: WHERE x.name IN this. */
#define CH_KEPT_AS(x) "(" x ", " x " || '/6')"

/* ---- sql_cas.c ---- */
/* *ret_detail: which CA of the item's is neither in known, nor told of by any issuer before,
 * nor what the name has; in the operation's arena.  NULL: all are known, or known is NULL. */
CH_MUST int ch_work_judge_cas(struct ch_work *w, const struct ch_store_put_item *item,
	const char *known, const struct ch_name_row *row, const char **ret_detail);

/* ---- sql_claim.c ---- */
/* *ret_refused: rejected, the item says why. */
CH_MUST int ch_work_check_claim(struct ch_work *w, struct ch_store_put_item *item,
	const char *tenant, bool *ret_refused);
/* A name is removed; one is registered. */
CH_MUST int ch_work_note_holder(struct ch_work *w, const char *name, const char *tenant);
CH_MUST int ch_work_forget_holder(struct ch_work *w, const char *name);
CH_MUST int ch_work_prune_holders(
	struct ch_work *w, int64_t before, int64_t max_rows, int64_t *ret_removed);

/* ---- sql_second.c ---- */
/* After a name without an open order was made `active`: takes that back as long as a
 * certificate that it is to have fails, or is missing and on its way. */
CH_MUST int ch_work_settle(struct ch_work *w, const char *name);
/* Names that stores of before left `renewing` though nothing comes before their renewal. */
CH_MUST int ch_work_settle_renewing(struct ch_work *w, int64_t max_rows, int64_t *ret_settled);
/* Names that stores of before have paused and said that the platform must act. */
CH_MUST int ch_work_settle_paused(struct ch_work *w, int64_t max_rows, int64_t *ret_settled);
/* Brings a name to these keys: what is no longer wanted is stopped or withdrawn, what is
 * missing is due. */
CH_MUST int ch_work_change_keys(struct ch_work *w, const char *name, enum ch_keys keys);
/* Of a name that is due: it has an RSA certificate that makes room for an ECDSA one.  Those
 * that can use RSA only get their own before. */
bool ch_work_second_goes_first(const struct ch_work *w, const struct ch_name_row *row);
/* Whether it is for the second certificate that a name stands in the line of an account. */
CH_MUST int ch_work_second_waits(
	struct ch_work *w, const struct ch_name_row *row, bool *ret_waits);
/* When the name is in danger, and when it ends, by whichever of its live certificates is first.
 */
CH_MUST int ch_work_both_end(struct ch_work *w, const char *name);
/* Takes the second certificate from the edges, if there is one. */
CH_MUST int ch_work_withdraw_second(struct ch_work *w, const struct ch_name_row *row);
/* Why the second certificate, which the name's open order id is to bring, is where it is. */
CH_MUST int ch_work_second_reason(
	struct ch_work *w, const char *name, uint64_t id, const struct ch_store_reason *reason);
/* What becomes of a name when the order of its second certificate has failed. */
CH_MUST int ch_work_fail_second(struct ch_work *w, const struct ch_name_row *row,
	const struct ch_store_outcome *outcome, bool another_failed);

/* ---- sql_rollback.c ---- */
/* What is put back as a name's certificate and as its second one; 0: that one stays. */
struct ch_put_back {
	uint64_t first;
	uint64_t second;
	const char *event;
};
/* An order that puts them back, whose records are kept with each of the names; mate NULL: of
 * row alone. */
CH_MUST int ch_work_put_back(struct ch_work *w, const struct ch_name_row *row,
	const struct ch_name_row *mate, const struct ch_put_back *what);
/* Whether the name's mate has records of the same, and shares what is live in their places.
 * CH_ENOTFOUND: the name goes alone. */
CH_MUST int ch_work_shares(struct ch_work *w, const struct ch_name_row *row,
	const struct ch_put_back *what, struct ch_name_row *ret_mate);

/* ---- sql_standby.c ---- */
/* Names whose standby may be ordered: by themselves, or as long as there is a default. */
#define CH_STANDBY_DUE                                                                         \
	"standby_at IS NOT NULL AND order_id IS NULL AND cert IS NOT NULL AND failures = 0 "   \
	"AND state NOT IN ('paused', 'moved')"
#define CH_STANDBY_OWN "standby NOT IN ('', 'none') AND " CH_STANDBY_DUE
#define CH_STANDBY_DEFAULT "standby = '' AND " CH_STANDBY_DUE
/* The same of the second certificate. */
#define CH_SECOND_STANDBY_DUE                                                                  \
	"second_standby_at IS NOT NULL AND order_id IS NULL AND second_cert IS NOT NULL "      \
	"AND cert IS NOT NULL AND failures = 0 AND state NOT IN ('paused', 'moved')"
#define CH_SECOND_STANDBY_OWN "standby NOT IN ('', 'none') AND " CH_SECOND_STANDBY_DUE
#define CH_SECOND_STANDBY_DEFAULT "standby = '' AND " CH_SECOND_STANDBY_DUE
/* What issuers call their CAs, and from which one standbys are to be. */
CH_MUST int ch_work_note_cas(struct ch_work *w, const struct ch_op_lease *lease);
CH_MUST int ch_work_change_standby(
	struct ch_work *w, const struct ch_name_row *row, const char *standby);
/* second, here and below: of the second certificate. */
CH_MUST int ch_work_standby_reason(struct ch_work *w, const char *name,
	const struct ch_order_row *order, const struct ch_store_reason *reason);
CH_MUST int ch_work_fail_standby(struct ch_work *w, const struct ch_name_row *row, bool second,
	const struct ch_store_outcome *outcome);
/* Nothing is to come any more of what the name's reason says, if it says so. */
CH_MUST int ch_work_served(struct ch_work *w, const char *name);
/* After a certificate has become live under this version: when the next standby is due. */
CH_MUST int ch_work_plan_standby(
	struct ch_work *w, const struct ch_name_row *row, bool second, uint64_t version);
/* What is read and waits for something else: no account has room for a standby before. */
CH_MUST int ch_work_hold_standbys(struct ch_work *w, int64_t until_ms);
/* An issuer asks for work that cannot bring the standbys of second certificates: when those are
 * due, nobody is woken for them for a while. */
CH_MUST int ch_work_pass_over_seconds(struct ch_work *w);
/* A name's own setting, or the default: "" when none is wanted. */
CH_MUST int ch_db_standby_wanted(
	struct ch_db *db, const char *own, char ret_ca[CH_STORE_CA_NAME_MAX + 1]);
CH_MUST int ch_db_standby_setting_ask(struct ch_db *db);
/* INT64_MAX: never. */
CH_MUST int ch_db_standby_due_ask(struct ch_db *db);
CH_MUST int ch_db_standby_due(struct ch_db *db, int64_t *ret_at_ms);

/* ---- sql_put_live.c ---- */
CH_MUST int ch_work_standby(struct ch_work *w, struct ch_op_standby *op);

/* ---- sql_edges_write.c ---- */
/* How far the edges are with the names of the order that are not gone. */
CH_MUST int ch_work_edges_state(struct ch_work *w, const char *pool,
	const struct ch_order_names *names, struct ch_store_edges_state *ret_state);
CH_MUST int ch_work_edges_ask(
	struct ch_work *w, const char *pool, const struct ch_order_names *names);
/* The answer of a patch or publication; order: as it is after that. */
CH_MUST int ch_work_order_answer(struct ch_work *w, const struct ch_order_row *order,
	struct ch_store_order_answer *ret_answer);

/* ---- sql_order_load.c: for reads and operations ---- */
/* Everything of an order but its edges; private_parts: acme, csr, sealed, leaf. */
CH_MUST int ch_db_order_load(struct ch_db *db, uint64_t id, int64_t now, bool private_parts,
	struct ch_arena *arena, struct ch_store_order *ret_order);
CH_MUST int ch_db_order_ask(struct ch_db *db, uint64_t id, bool second, bool standby);
/* When a certificate is needed; 0: no hurry.  From column `first` on: not_before, not_after,
 * ari_start and ari_end of the one that is to be renewed, and its turn of `rekey`. */
int64_t ch_db_needed_by(struct ch_stmt *stmt, int first, int64_t now);

#endif
