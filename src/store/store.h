/* Persistence: everything that the API (doc/api.md) reads and writes, over any database.
 *
 * Writes are operations: fill a struct ch_store_op, submit it, and done() is called once it is
 * committed to disk, or has failed and changed nothing.  A backend may commit many operations
 * together; one operation's failure does not harm the others.  Operations of one store process
 * take effect in the order of submission; those of several processes in any order.
 *
 * Reads run on the calling thread, see one consistent state per call, and see everything whose
 * done() has been called.
 *
 * Time is the store's: the backend takes the time of an operation itself (base/clock.h, or the
 * database's clock where several stores share one).  All *_ms are Unix milliseconds, 0 = none.
 *
 * Memory: inputs are borrowed, until done() for an operation, until the return for a read.
 * Outputs live in the arena that the caller gave (the operation's, or the read's argument),
 * which the caller frees; an operation's arena is the backend's from submit until done().
 * Optional text is NULL where there is none.  Names are normalized already (wire/name.h).
 *
 * Errors of all calls, beside those named: CH_ENOMEM (also: arena full), CH_EIO, CH_EFULL (no
 * space left), CH_ECORRUPT, CH_EAGAIN (busy: try again), CH_ECANCELED (the store is closing).
 * err->problem is the stable code of doc/api.md. */
#ifndef CH_STORE_STORE_H
#define CH_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/calendar.h"
#include "store/pace.h"
#include "store/queue.h"
#include "store/store_adopt.h"
#include "store/store_handback.h"
#include "store/store_house.h"
#include "store/store_issuers.h"
#include "store/store_look.h"
#include "store/store_pool.h"
#include "store/store_alerts.h"
#include "store/store_rekey.h"
#include "store/store_standby.h"
#include "store/store_status.h"
#include "store/store_wanted.h"
#include "wire/feed.h"
#include "wire/record.h"
#include "wire/state.h"

#define CH_STORE_LABEL_MAX 63 /* tenant, pool, edge id: 1 … 63 bytes */
#define CH_STORE_LABEL_DEFAULT "default"
#define CH_STORE_POLICY_MAX 255			 /* bytes of one text of a policy */
#define CH_STORE_POLICY_FIRST CH_POLICY_UPSTREAM /* the tenant, below it, has its own field */
#define CH_STORE_PUT_MAX 1000	     /* items of one CH_OP_PUT; split longer batches */
#define CH_STORE_LEASE_MAX 256	     /* orders of one CH_OP_LEASE */
#define CH_STORE_LIST_MAX 1000	     /* rows of one page */
#define CH_STORE_RECORDS_MAX 5000    /* rows that one ch_store_read_records looks at */
#define CH_STORE_ACME_MAX_B 32768u   /* the issuer's notes */
#define CH_STORE_CSR_MAX_B 8192u     /* DER */
#define CH_STORE_SEALED_MAX_B 16384u /* the sealed key copies, opaque here */
#define CH_STORE_CODE_MAX 63	     /* bytes of a reason's code */
#define CH_STORE_DETAIL_MAX 1000     /* bytes of a reason's or event's detail; longer: cut */
#define CH_STORE_BEHIND_MAX 8	     /* edges named in ch_store_edges_state.behind */
#define CH_STORE_LAG_MAX 10000	     /* ch_store_edge.lag is counted up to here */
#define CH_STORE_WHY_MAX 255	     /* bytes of the reason of a freeze */
#define CH_STORE_SOAK_MAX_MS INT64_C(604800000)
#define CH_STORE_POOLS_MAX 1000 /* pools of one list */
#define CH_STORE_FALLBACK_MAX 7 /* accounts beside the first of a CH_OP_LEASE */
#define CH_STORE_CAS_MAX 8	/* of a name's list */
#define CH_STORE_CA_NAME_MAX 31
#define CH_STORE_CAS_TEXT_B 256 /* "main,backup", with NUL */
#define CH_STORE_CLAIM_PREFIX "certherd-claim="
#define CH_STORE_CLAIM_B 64 /* with NUL */
#define CH_STORE_ID_MAX ((1ULL << 53) - 1)

struct ch_store;

struct ch_store_change {
	uint64_t feed_head; /* newest sequence number */
	bool feed;	    /* edge records changed: feed_head has moved */
	bool acks;	    /* an edge acknowledged */
	bool held;	    /* a record is held back, or another rule holds: CH_OP_RELEASE */
	int64_t due_ms;	    /* earliest time at which touched names or orders are due;
			     * INT64_MAX: nothing that can be leased was touched */
	bool is_outdated;   /* alone: a newer store has brought a schema that is not for this
			     * program; it writes no more and has to end */
};

struct ch_store_options {
	/* "sqlite:PATH", made with mode 0600 when missing, or "postgresql://…", an existing
	 * database, as libpq takes it but without a password. */
	const char *database;
	int64_t edge_timeout_ms; /* an edge not seen for so long holds nothing up */
	size_t queue_max;	 /* operations waiting to be written; 0: 4,096 */
	unsigned readers;	 /* reads at once, further ones wait; 0: 8 */
};

/* Migrates the schema first; two processes may start at once.  CH_EUNSUPPORTED: a newer
 * program's schema that is not for this one, or another kind of database; CH_ECONFLICT: another
 * process uses a database that allows only one. */
CH_MUST int ch_store_open(const struct ch_store_options *options, struct ch_store **ret_store,
	struct ch_err *err);
/* Writes what is queued, calls the done() of each, then releases everything.  No other thread
 * may be inside the store any more.  NULL allowed. */
void ch_store_close(struct ch_store *store);

/* fn(change, arg) after each commit that changed something, before the done() of its
 * operations, on a backend's thread: it must be short and must not call ch_store_run.  With
 * several stores on one database also for the commits of the others (then fields may say more
 * than changed).  Set it once, before the first submit. */
void ch_store_on_commit(struct ch_store *store,
	void (*fn)(const struct ch_store_change *change, void *arg), void *arg);

/* ---- what is read ---- */

struct ch_store_cert {
	uint64_t version; /* id of the order that brought it */
	uint64_t origin;  /* rolled back: the version that it is again; else 0 */
	const char *serial;
	const char *issuer;
	const char *ca; /* that was asked for it, as issuers call it; NULL: not known */
	int64_t not_before_ms;
	int64_t not_after_ms;
	int64_t renew_at_ms;
	/* What the CA says of when to renew it; asked_at 0: it has not said yet, ari_id
	 * NULL: it cannot be asked. */
	const char *ari_id;
	int64_t ari_start_ms;
	int64_t ari_end_ms;
	const char *ari_explanation;
	int64_t ari_asked_at_ms;
	int64_t published_at_ms;
	const char *const *names; /* names it was published for, sorted */
	size_t n_names;
	uint8_t spki_sha256[32];
	uint8_t leaf_sha256[32];
	/* Only from ch_store_get_certs, else NULL: */
	const uint8_t *leaf; /* DER */
	size_t leaf_len;
	const uint8_t *chain; /* chain block (wire/record.h), NULL: no intermediates */
	size_t chain_len;
	const uint8_t (*recipients)[CH_RECIPIENT_ID_B]; /* who can open this name's key */
	size_t n_recipients;
};

/* Of one name; each may be NULL. */
struct ch_store_certs {
	const struct ch_store_cert *current;
	const struct ch_store_cert *previous; /* live before it */
	const struct ch_store_cert *second;   /* live */
	const struct ch_store_cert *standby;
	const struct ch_store_cert *second_standby;
};

struct ch_store_domain {
	const char *name;
	const char *tenant;
	const char *pool;
	bool www;	    /* shares its certificate with its www name */
	const char *www_of; /* on a www name: the first name; else NULL */
	enum ch_name_state state;
	struct ch_store_reason reason;
	int64_t next_at_ms;		  /* the next try, step or renewal */
	uint64_t failures;		  /* failed attempts in a row */
	uint64_t checks_failed;		  /* of these: found before the CA was asked */
	int64_t away_since_ms;		  /* its DNS was found to lead elsewhere; 0: not */
	int64_t wanted_at_ms;		  /* a visitor asked for it; 0: not */
	uint64_t version;		  /* of its newest edge record */
	uint64_t order_id;		  /* the open order, 0 = none */
	const struct ch_store_cert *cert; /* NULL: none is live */
	/* From CH_STORE_POLICY_FIRST on; NULL: default. */
	const char *policy[CH_POLICY_TAG_COUNT];
	enum ch_keys keys;
	const char *cas; /* "main,backup": the CAs that it may use, in order; NULL: any */
	const struct ch_store_second *second;	/* NULL: none is wanted (ch_keys_both) */
	const struct ch_store_standby *standby; /* NULL: none, and none is wanted */
	int64_t created_at_ms;
	int64_t updated_at_ms;
};

struct ch_store_event {
	int64_t at_ms;
	const char *event; /* "created", "order", "published", "failed", … */
	const char *detail;
	enum ch_actor actor;
};

struct ch_store_edges_state {
	bool ready;   /* all known edges have the newest record of each name, and known > 0 */
	size_t known; /* edges of the pool seen within edge_timeout, whatever their epoch */
	size_t caught_up;	   /* those of them that have the newest record of each name */
	const char *const *behind; /* "edge/<pool>/<id>" of the first CH_STORE_BEHIND_MAX */
	size_t n_behind;
	/* Why a record is held back from the edges, which then are all behind; code NULL: none
	 * is.  "feed-frozen", "canary-soak", "canary-stuck". */
	struct ch_store_reason held;
};

struct ch_store_order_name {
	const char *name;
	uint64_t failures;
	uint64_t checks_failed; /* of these: found before the CA was asked */
	int64_t away_since_ms;	/* its DNS was found to lead elsewhere; 0: not */
	int64_t needed_by_ms;	/* when what is live ends, or has to go; 0: no hurry */
	bool gone;		/* removed or moved meanwhile: left out of the publication */
	/* Only in leased orders that are `new`: the account under which edges answer. */
	uint64_t account_hint;
};

struct ch_store_order {
	uint64_t id;
	uint64_t fence;
	enum ch_order_state state;
	const char *pool;
	struct ch_store_order_name names[CH_STORE_ORDER_NAMES_MAX];
	size_t n_names;
	uint64_t attempts;
	enum ch_key_type key;
	const char *account; /* "CA/ACCOUNT" under which it was made; NULL: not known */
	bool second;	     /* brings the names' second certificate: records of kind SECOND */
	bool standby;	     /* brings the names' standby: records of kind CERT for no edge */
	bool renewal; /* every name had such a certificate live when the order was made */
	int64_t next_at_ms;
	struct ch_store_reason reason; /* code NULL: none yet */
	const char *lease_issuer;      /* NULL: not leased (or the lease ran out) */
	int64_t lease_until_ms;
	int64_t created_at_ms;
	int64_t updated_at_ms;
	/* Only in leased orders: */
	struct ch_store_edges_state edges;
	const char *cas;      /* of the first name, as ch_store_domain.cas */
	const char *replaces; /* ari_id of the certificate that it renews; NULL: none */
	const char *acme;     /* as written; NULL: none */
	const uint8_t *csr;
	size_t csr_len;
	const uint8_t *sealed;
	size_t sealed_len;
	bool has_leaf; /* published */
	uint8_t leaf_sha256[32];
	bool has_second_leaf; /* … together with a second one, which all its names still have */
	uint8_t second_leaf_sha256[32];
	/* A roll-back: what is put back, version 0: nothing; and as the second certificate
	 * beside it, under the version that follows the order's id. */
	struct ch_store_old old;
	struct ch_store_old old_second;
};

struct ch_store_edge {
	const char *id; /* "edge/<pool>/<id>" */
	const char *pool;
	uint8_t epoch[CH_EPOCH_B];
	uint64_t seq;
	uint64_t lag;	/* records of its pool behind, counted up to CH_STORE_LAG_MAX */
	uint64_t names; /* as it reports */
	const char *software;
	const char *error; /* NULL: none */
	int64_t seen_at_ms;
	bool live;  /* seen within edge_timeout */
	bool empty; /* it has no name, though it has acknowledged records of some */
};

struct ch_store_audit {
	uint64_t id;
	int64_t at_ms;
	const char *who;    /* "operator/default/admin" */
	const char *action; /* "domain.create", "domain.change", "domain.delete", … */
	const char *target;
};

/* ---- writes ---- */

enum ch_store_op_type {
	CH_OP_PUT,
	CH_OP_DELETE,
	CH_OP_RETRY,
	CH_OP_PAUSE,
	CH_OP_RESUME,
	CH_OP_LEASE,
	CH_OP_PATCH,
	CH_OP_PUBLISH,
	CH_OP_EDGE_ACK,
	CH_OP_EDGE_FORGET,
	CH_OP_TICKETS,
	CH_OP_HOUSEKEEP,
	CH_OP_POOL,
	CH_OP_RELEASE,
	CH_OP_ROLLBACK,
	CH_OP_STANDBY,
	CH_OP_REKEY,
	CH_OP_ASK_LEASE,
	CH_OP_ASK_WRITE,
	CH_OP_ALERTS,
	CH_OP_ADOPT,
	CH_OP_HANDBACK,
	CH_OP_ISSUER,
	CH_OP_WANTED,
	CH_OP_TYPE_COUNT
};

enum ch_store_tri { CH_TRI_KEEP, CH_TRI_NO, CH_TRI_YES };
enum ch_store_put_result { CH_PUT_CREATED, CH_PUT_EXISTS, CH_PUT_REJECTED };

struct ch_store_put_item {
	const char *name;
	const char *tenant; /* NULL: keep; "default" for a new name */
	const char *pool;   /* NULL: keep; "default" for a new name */
	/* CH_TRI_YES registers the www name too (or takes in one that is there); CH_TRI_NO
	 * parts them: the www name stays, on its own */
	enum ch_store_tri www;
	/* By enum ch_policy_tag, from CH_STORE_POLICY_FIRST on; NULL: keep; "": the default. */
	const char *policy[CH_POLICY_TAG_COUNT];
	/* Taking the name from a tenant that holds or held it, or its www name, takes proof:
	 * what `claim` said, once it was found in the DNS.  Otherwise rejected as
	 * "claim-needed". */
	bool ask_proof;
	const char *proof;   /* NULL: none */
	const char *cas;     /* as ch_store_domain.cas; NULL: keep; "": any */
	const char *standby; /* its CA; NULL: keep; "": the issuers' default; or "none" */
	bool has_keys;	     /* false: keep; what the operation says for a new name */
	enum ch_keys keys;
	/* out: */
	enum ch_store_put_result result;
	bool changed;	     /* EXISTS: it was not as it is asked to be */
	const char *problem; /* rejected: code, static; else NULL */
	const char *detail;  /* rejected: sentence; else NULL */
	const char *claim;   /* claim-needed: a TXT record of _certherd.<name>, in the arena */
};

/* CH_OP_PUT.  A new name is pending and due now, with a NAME record in its pool's feed.
 * Changing the pool of a name removes it from the old pool's edges (tombstone) and begins again
 * in the new one: keys are sealed for a pool.  The www name follows its first name's tenant,
 * pool, keys and policy, but for the redirect: that is each name's own.  Changed keys: an order
 * for a key that is no longer wanted is stopped (as DELETE does), what is missing is due now,
 * and what is live stays until there is something in its place; only a second certificate that
 * is no longer wanted is withdrawn at once.  The operation succeeds when items are rejected:
 * look at each.  Rejections: "bad-field" (www of a www or wildcard name; a www name that would
 * be too long; tenant, pool, keys or policy but the redirect of a www name, not its first
 * name's). */
struct ch_op_put {
	struct ch_store_put_item *items; /* in and out; the backend's until done() */
	size_t n_items;			 /* 1 … CH_STORE_PUT_MAX, else CH_ETOOBIG */
	enum ch_keys keys;		 /* of new names that say nothing */
	/* "main,backup": the CAs that issuers have.  One that is not among them, of which no
	 * issuer has told before, and which the name does not have, is not given to it, in cas
	 * or standby: rejected as "ca-unknown".  NULL: all are taken. */
	const char *known_cas;
};

/* CH_OP_DELETE, CH_OP_RETRY, CH_OP_PAUSE, CH_OP_RESUME.  CH_ENOTFOUND "domain-not-found".
 * DELETE: tombstone, history stays; a first name takes its www name along.  Orders that have
 * not reached `finalizing` are canceled (the other name begins again at once); later ones go on
 * without the name.
 * RETRY: due now, failures = 0.  CH_ECONFLICT "domain-paused".
 * PAUSE: cancels as DELETE does; a live certificate stays.  RESUME: due now, or at the renewal
 * of its certificate.  Both succeed when there is nothing to do. */
struct ch_op_name {
	const char *name;
};

/* An order brings one certificate.  A name that is to have two gets the second when the first
 * is live and does not fail (before the first in one case: it has an RSA certificate and is to
 * have an ECDSA one in its place); each has its own failures, next try and renewal.  The name
 * is active when everything that it is to have is live, and failed when either failed last.
 *
 * CH_OP_LEASE: first open orders whose next_at has come, the longest due first; when those are
 * fewer than max, new orders for names that are due. */
struct ch_op_lease {
	const char *issuer; /* "issuer/default/i1" */
	size_t max;	    /* 1 … CH_STORE_LEASE_MAX; with looking also 0 */
	int64_t lease_ms;
	struct ch_store_pace pace; /* of the new ones */
	/* Other accounts, for what the limits of the ones before do not allow now.  Those that
	 * are out are passed over as long as another one is not.  A name that has a list goes
	 * by that; when it has none of these CAs, it waits as "ca-unknown". */
	struct ch_store_pace fallback[CH_STORE_FALLBACK_MAX];
	size_t n_fallback;
	const char *standby;  /* the CA of standbys of names that say nothing; NULL: none */
	bool second_standbys; /* it can bring those of second certificates, and put them live */
	struct ch_store_looking *looking; /* NULL: names that are due get an order at once */
	/* out: */
	struct ch_store_order *orders;
	size_t n_orders; /* 0: nothing is due */
	int64_t now_ms;
};

struct ch_store_outcome {
	const char *name;
	int64_t next_at_ms;	  /* not used with CH_NAME_PAUSED */
	bool failed;		  /* at fault: one more failure in a row */
	enum ch_name_state state; /* CH_NAME_FAILED, CH_NAME_MOVED or CH_NAME_PAUSED */
	bool check;		  /* failed: before the CA was asked, */
	bool away;		  /* because its DNS leads elsewhere */
	struct ch_store_reason reason;
};

/* Under which account the edges are to answer a name's challenges. */
struct ch_store_answerer {
	const char *name;
	uint64_t account_hint;
};

struct ch_store_record_bytes {
	const uint8_t *bytes;
	size_t len;
};

struct ch_store_order_answer {
	uint64_t id;
	uint64_t fence;
	enum ch_order_state state;
	struct ch_store_edges_state edges;
};

/* CH_OP_PATCH.  CH_ENOTFOUND "order-not-found"; CH_ECONFLICT "fence-lost" or "order-state"
 * (backwards; `new` after publication; done before it; sealed without csr and sealed or these
 * with another state; failed without an outcome for each name that is not gone; a finished
 * order, unless the same final state is written again: then answered as the first time);
 * CH_ETOOBIG "bad-field".
 * With state failed: a name that failed counts it and waits for its next_at.  A name with
 * failed = false: if none of the order's names failed (the CA's fault, say), it waits for the
 * given next_at; else, without a live certificate or with its own renewal due, it gets an order
 * for itself alone now.  In both cases, a name with a live certificate that is not due keeps
 * its state and next_at.  A name that is `moved` is tried at its next_at as any other; until
 * the order of such a try gets past `new` it stays `moved`. */
struct ch_op_patch {
	uint64_t id;
	uint64_t fence;
	bool has_state;
	enum ch_order_state state;
	int64_t next_at_ms; /* 0: now */
	bool keep_lease;    /* then next_at_ms is not used */
	const char *acme;   /* NULL: keep; "presumed" in it: doc/api.md */
	const uint8_t *csr; /* NULL: keep; as sealed */
	size_t csr_len;
	const uint8_t *sealed;
	size_t sealed_len;
	bool has_attempts;
	uint64_t attempts;
	bool has_reason;
	struct ch_store_reason reason;
	const struct ch_store_outcome *outcomes;
	size_t n_outcomes;
	struct ch_store_limited limited;
	const struct ch_store_answerer *answerers; /* of names of the order */
	size_t n_answerers;
	/* CHALLENGE records with a token, of names of the order, whatever their version: it
	 * gets a fresh one.  CH_EINVAL "bad-record", CH_ECONFLICT "order-state" unless the
	 * order then is `ordered` or `validating`: when it no longer is, edges are told to
	 * answer nothing.
	 */
	const struct ch_store_record_bytes *challenges;
	size_t n_challenges;
	/* out: */
	struct ch_store_order_answer answer;
};

/* CH_OP_PUBLISH.  The records are CERT, or SECOND for such an order.  Gives the lease back; the
 * order is `confirming`.  Only from `sealed` or `finalizing`, a roll-back's from `new`, else
 * CH_ECONFLICT "order-state".  CH_EINVAL "bad-record": see doc/api.md; also when a name of the
 * order that is still there has no record.  Signatures are for the edges to check.  The same
 * leaf again: answered as the first time, whatever the fence. */
struct ch_op_publish {
	uint64_t id;
	uint64_t fence;
	const uint8_t *leaf; /* DER */
	size_t leaf_len;
	const uint8_t *chain; /* chain block; NULL: none */
	size_t chain_len;
	const struct ch_store_record_bytes *records;
	size_t n_records;
	int64_t renew_at_ms;   /* when to renew it, at the latest */
	int64_t renew_from_ms; /* not before; 0: exactly at renew_at_ms */
	const char *ari_id;    /* by which the CA knows it; NULL: it is not asked */
	int64_t next_at_ms;    /* when the order is due again; 0: now */
	const char *serial;
	const char *issuer;
	int64_t not_before_ms;
	int64_t not_after_ms;
	uint8_t spki_sha256[32];
	/* Put back as the second certificate in the same transaction; NULL: none.  Its id,
	 * fence, next_at_ms and answer are not used. */
	struct ch_op_publish *second;
	/* out: */
	struct ch_store_order_answer answer;
};

/* CH_OP_EDGE_ACK.  CH_EINVAL "bad-cursor": ahead of the head in the current epoch. */
struct ch_op_edge_ack {
	const char *pool;
	const char *id; /* without "edge/<pool>/" */
	uint8_t epoch[CH_EPOCH_B];
	uint64_t seq;
	uint64_t names;
	const char *software;
	const char *error; /* NULL: none */
};

/* CH_OP_EDGE_FORGET.  CH_ENOTFOUND "edge-not-found". */
struct ch_op_edge_forget {
	const char *pool;
	const char *id;
};

/* CH_OP_TICKETS: the pool's newest set of ticket keys, for its feed.  CH_ECONFLICT
 * "tickets-changed": the set that is there is not the one to be replaced, so that of several
 * issuers one wins.  The same record again is answered as the first time.  CH_EINVAL
 * "bad-record": the version does not grow.  Whether it is signed is for the edges to check. */
struct ch_op_tickets {
	const char *pool;
	uint64_t replaces; /* version of the set that is there; 0: none is */
	uint64_t version;
	int64_t until_s;       /* CH_OP_HOUSEKEEP removes it then */
	const uint8_t *record; /* wire/record.h */
	size_t record_len;
};

struct ch_store_op {
	enum ch_store_op_type type;
	const char *who; /* for the audit log, written in the same commit; NULL: not logged */
	struct ch_arena *arena; /* for outputs */
	/* Called exactly once per accepted submit, on a backend's thread; must be short, must
	 * not call ch_store_run; may submit and may free the operation. */
	void (*done)(struct ch_store_op *op, void *user);
	void *user;
	union {
		struct ch_op_put put;
		struct ch_op_name name; /* DELETE RETRY PAUSE RESUME */
		struct ch_op_lease lease;
		struct ch_op_patch patch;
		struct ch_op_publish publish;
		struct ch_op_edge_ack edge_ack;
		struct ch_op_edge_forget edge_forget;
		struct ch_op_tickets tickets;
		struct ch_op_housekeep housekeep;
		struct ch_op_pool pool;
		struct ch_op_release release;
		struct ch_op_rollback rollback;
		struct ch_op_standby standby;
		struct ch_op_rekey rekey;
		struct ch_op_ask_lease ask_lease;
		struct ch_op_ask_write ask_write;
		struct ch_op_alerts alerts;
		struct ch_op_adopt adopt;
		struct ch_op_handback handback;
		struct ch_op_issuer issuer;
		struct ch_op_wanted wanted;
	} u;
	/* out: valid in done() and after */
	int rc;
	struct ch_err err;
	struct ch_store_op *backend_next; /* the backend's, while queued */
};

/* CH_EAGAIN "store-busy": the queue is full, done() will not be called.  On 0 it will. */
CH_MUST int ch_store_submit(struct ch_store *store, struct ch_store_op *op);
/* Submits and waits; op->done and op->user are overwritten.  Returns op->rc.  Never from
 * done() or an on_commit function. */
CH_MUST int ch_store_run(struct ch_store *store, struct ch_store_op *op);

/* ---- reads ---- */

/* CH_ENOTFOUND. */
CH_MUST int ch_store_get_domain(struct ch_store *store, const char *name,
	struct ch_arena *arena, struct ch_store_domain *ret_domain);

struct ch_store_domain_filter {
	bool has_state;
	enum ch_name_state state;
	bool has_actor;
	enum ch_actor actor;
	const char *tenant; /* NULL: any */
	const char *pool;   /* NULL: any */
	const char *prefix; /* NULL: any */
	const char *after;  /* cursor: names above this; NULL: from the beginning */
	size_t limit;	    /* 1 … CH_STORE_LIST_MAX */
};
struct ch_store_domain_page {
	struct ch_store_domain *domains;
	size_t n_domains;  /* may be below the limit, even 0, while there is more */
	const char *after; /* cursor of the next page; NULL: this was the last */
};
CH_MUST int ch_store_list_domains(struct ch_store *store,
	const struct ch_store_domain_filter *filter, struct ch_arena *arena,
	struct ch_store_domain_page *ret_page);

/* Newest first, at most limit.  An empty list for a name never seen. */
CH_MUST int ch_store_get_history(struct ch_store *store, const char *name, size_t limit,
	struct ch_arena *arena, struct ch_store_event **ret_events, size_t *ret_n);

/* CH_ENOTFOUND. */
CH_MUST int ch_store_get_certs(struct ch_store *store, const char *name, struct ch_arena *arena,
	struct ch_store_certs *ret_certs);

CH_MUST int ch_store_get_order(struct ch_store *store, uint64_t id, struct ch_arena *arena,
	struct ch_store_order *ret_order);

struct ch_store_order_filter {
	const char *name; /* NULL: any */
	bool has_state;
	enum ch_order_state state;
	uint64_t before; /* cursor: ids below this; 0: from the newest */
	size_t limit;	 /* 1 … CH_STORE_LIST_MAX */
};
struct ch_store_order_page {
	struct ch_store_order *orders; /* newest first */
	size_t n_orders;
	uint64_t before; /* cursor of the next page; 0: this was the last */
};
CH_MUST int ch_store_list_orders(struct ch_store *store,
	const struct ch_store_order_filter *filter, struct ch_arena *arena,
	struct ch_store_order_page *ret_page);

struct ch_store_feed_row {
	uint64_t seq;
	const uint8_t *record; /* wire/record.h; borrowed until the callback returns */
	size_t record_len;
	/* Set in the first row of the call that needs this chain, else NULL: */
	const uint8_t *chain_id;
	const uint8_t *chain;
	size_t chain_len;
};
struct ch_store_feed_info {
	uint8_t epoch[CH_EPOCH_B];
	uint64_t head;	/* newest sequence number of all pools; not above the one at which the
			 * pool was frozen */
	uint64_t floor; /* removals up to here may be forgotten: max(base, after) below it
			 * cannot be continued */
	bool more;	/* rows of the pool remain that were not handed out */
};
/* Hands the rows of the pool with seq > after to row(), ascending, until row() returns 1 (the
 * row was not taken and comes again next time) or none is left.  A negative return value ends
 * the call and is its result.  Whoever has read up to a row has missed none that became
 * visible with a lower seq.  row NULL: only *ret_info.  The pool's ticket keys are a row too.
 * This is what all edges of the pool get but a canary, which gets what is held back for it too.
 */
CH_MUST int ch_store_read_feed(struct ch_store *store, const char *pool, uint64_t after,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_feed_info *ret_info);
/* The same as this edge (its id alone) gets it; NULL: any but a canary. */
CH_MUST int ch_store_read_feed_as(struct ch_store *store, const char *pool, const char *edge,
	uint64_t after, int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_feed_info *ret_info);
struct ch_store_records_filter {
	const char *pool;
	const char *edge;  /* as this edge (its id alone) gets them; NULL: any but a canary */
	const char *after; /* keys (ch_record_key) above this; NULL: from the beginning */
	const char *until; /* keys up to this, itself included; NULL: to the end */
	size_t limit;	   /* 1 … CH_STORE_RECORDS_MAX keys that are looked at */
	bool chains;	   /* hand out chains too, as ch_store_read_feed does, and, */
	bool tickets;	   /* where after is NULL, the pool's ticket keys, first of all */
};
struct ch_store_records_info {
	uint8_t epoch[CH_EPOCH_B];
	uint64_t head;	    /* newest sequence number of this pool, 0: it is empty */
	uint64_t feed_head; /* … and of all pools, */
	uint64_t floor;	    /* as in ch_store_feed_info */
	bool more;
	char last[CH_RECORD_KEY_B]; /* with more: what to go on after */
};
/* Hands the pool's records that are no tombstones to row(), in the order of the bytes of their
 * keys, until row() returns 1 (the row was not taken: it is the first of the next page); its
 * seq is 0, its chain NULL unless asked for.  A page may be short, even empty, while there is
 * more: names of other pools and tombstones are looked at too.  A negative value ends the call
 * and is its result. */
CH_MUST int ch_store_read_records(struct ch_store *store,
	const struct ch_store_records_filter *filter,
	int (*row)(const struct ch_store_feed_row *row, void *arg), void *arg,
	struct ch_store_records_info *ret_info);
struct ch_store_pool_head {
	uint64_t seq; /* newest sequence number in the feed of the pool, 0 when it is empty */
	char canary[CH_STORE_LABEL_MAX + 1]; /* "": none */
	uint64_t canary_seq;		     /* the newest that the canary gets */
};
/* Cheap. */
CH_MUST int ch_store_pool_head(
	struct ch_store *store, const char *pool, struct ch_store_pool_head *ret_head);

/* Pools that have edges or rules, by name.  pool: only this one, there or not; NULL: all, at
 * most CH_STORE_POOLS_MAX. */
CH_MUST int ch_store_list_pools(struct ch_store *store, const char *pool,
	struct ch_arena *arena, struct ch_store_pool **ret_pools, size_t *ret_n);

CH_MUST int ch_store_list_edges(struct ch_store *store, struct ch_arena *arena,
	struct ch_store_edge **ret_edges, size_t *ret_n);

/* When something can be leased next: INT64_MAX when nothing ever. */
CH_MUST int ch_store_next_due(struct ch_store *store, int64_t *ret_at_ms);

/* Newest first; before as in ch_store_order_filter. */
CH_MUST int ch_store_list_audit(struct ch_store *store, uint64_t before, size_t limit,
	struct ch_arena *arena, struct ch_store_audit **ret_entries, size_t *ret_n,
	uint64_t *ret_before);

#endif
