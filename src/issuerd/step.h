/* The steps of an order.  A step looks at the work, asks the CA (or edges' state, or a probe)
 * and says what the store has to write; it writes nothing itself.  Every step may be repeated:
 * it may have been done before by a process that died before its write. */
#ifndef CH_ISSUERD_STEP_H
#define CH_ISSUERD_STEP_H

#include "issuerd/issuer.h"
#include "issuerd/ladder.h"
#include "issuerd/work.h"
#include "issuerd/write.h"

struct ch_step {
	struct ch_issuer *issuer;
	struct ch_ca *ca;	      /* of the order; ch_step_run sets it */
	bool is_orphan;		      /* that is not here: ca is the first */
	struct ch_http *const *https; /* to the CAs, in the order of issuer->cas */
	const struct ch_work *work;
	struct ch_write *out; /* initialized, empty */
};

/* step_ca.c: the CA of the order, for a step that is not begun by ch_step_run. */
void ch_step_find_ca(struct ch_step *step);

/* Fills *step->out.  Never fails: trouble becomes a reason and a time. */
void ch_step_run(struct ch_step *step);

/* One function per group of states; step_*.c. */
void ch_step_order(struct ch_step *step);    /* new */
void ch_step_rollback(struct ch_step *step); /* new, of a roll-back */
/* new, before ch_step_order: true when the CA may be asked; else it fills *step->out. */
bool ch_step_preflight(struct ch_step *step);
void ch_step_ordered(struct ch_step *step);  /* ordered: answer the challenges */
void ch_step_validate(struct ch_step *step); /* validating: poll the authorizations */
void ch_step_key(struct ch_step *step);	     /* valid: key, CSR, sealing */
/* sealed, of an order whose names are presumed to be validated: whether they are; else it fills
 * *step->out. */
bool ch_step_is_validated(struct ch_step *step);
void ch_step_finalize(struct ch_step *step); /* sealed, finalizing */
void ch_step_confirm(struct ch_step *step);  /* confirming */

/* step_ca.c.  Each true when it has filled *step->out. */
bool ch_step_is_orphan(struct ch_step *step); /* it ends, its CA is not configured */
/* new: the edges are told, or waited for, that are to answer under this account. */
bool ch_step_tell_edges(struct ch_step *step);
/* The CA cannot be asked, and another one can: the order ends, nobody is at fault. */
bool ch_step_move_on(struct ch_step *step, const struct ch_acme_answer *ans);

/* Used by several of them.  Each fills *step->out. */

/* Asks the CA; ans is initialized by the caller. */
enum ch_acme_fate ch_step_ask(
	struct ch_step *step, struct ch_acme_request *req, struct ch_acme_answer *ans);
/* The same state again at at_ms; notes are written when given. */
void ch_step_wait(struct ch_step *step, int64_t at_ms, const struct ch_notes *notes);
void ch_step_reason(struct ch_step *step, const char *code, enum ch_actor actor,
	const char *detail_fmt, ...) CH_PRINTF(4, 5);
/* A new order, after a passing error's wait and not before why->retry_at_ms; fails the order
 * when it was begun too often. */
void ch_step_begin_again(struct ch_step *step, const struct ch_err *why);
/* What an answer that is not CH_ACME_OK means for the order. */
void ch_step_ca_error(struct ch_step *step, const struct ch_acme_answer *ans);
/* The order fails because of a problem document about validation (in an order or an answer to
 * finalize): the names that it blames failed, the others are not at fault. */
void ch_step_fail_by_problem(struct ch_step *step, const json_t *doc, enum ch_acme_where where,
	const struct ch_err *whole);
/* The order fails; all its names do, because of err. */
void ch_step_fail_all(struct ch_step *step, const struct ch_err *err);
/* Fills one verdict: the ladder's wait, but not before err->retry_at_ms. */
void ch_step_blame(struct ch_step *step, size_t i, const struct ch_err *err);
/* The same for what the preflight found: no attempt at the CA was spent, so it waits less. */
void ch_step_blame_preflight(
	struct ch_step *step, size_t i, bool away, const struct ch_err *err);
/* … of a name's first certificate, with an order or without. */
void ch_verdict_preflight(const struct ch_issuer_config *config, const struct ch_retried *name,
	bool away, int64_t away_since_ms, const struct ch_err *err, struct ch_verdict *ret_v);
void ch_step_acquit(struct ch_step *step, size_t i, const char *because_of);
/* The order fails with the verdicts that were filled in. */
void ch_step_failed(struct ch_step *step);
/* Sets the wait for edges that do not have the names' newest records, and what is said of it:
 * that they are behind only after the time that an edge ordinarily needs.  False when there is
 * nothing to wait for, or when they are not waited for (any longer): of those that are behind
 * is said so nevertheless. */
bool ch_step_wait_for_edges(struct ch_step *step);
/* The CA is asked again later, for the notes->polls-th time: when it wishes (retry_at_ms not
 * 0), or after ch_poll_wait_ms. */
void ch_step_poll(struct ch_step *step, int64_t retry_at_ms, const struct ch_notes *notes);
/* The same for the first time: when the CA will have done it, by its habit. */
void ch_step_look_soon(struct ch_step *step, const struct ch_habit *habit, int64_t retry_at_ms,
	const struct ch_notes *notes);
/* Whether it had, if this is the first look. */
void ch_step_learn(struct ch_step *step, struct ch_habit *habit, bool done);
/* The notes for a new state, counted from now on. */
struct ch_notes ch_step_notes_for_next(const struct ch_step *step);

/* step_publish.c: checks the certificate, signs the records and asks for publication. */
void ch_step_publish(struct ch_step *step, const char *pem, size_t pem_len);

#endif
