/* A CA and our account there: everything that is apart for each of several. */
#ifndef CH_ISSUERD_CA_H
#define CH_ISSUERD_CA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "acme/client.h"
#include "crypto/jws.h"
#include "crypto/x509.h"
#include "issuerd/config.h"
#include "issuerd/habit.h"
#include "pace/bucket.h"

/* The ACME account: found or made at the CA by the first step that needs it, so that a CA that
 * is down at start stops nothing. */
struct ch_account {
	pthread_mutex_t lock; /* also held while the CA is asked: the others need its result */
	bool ready;
	int64_t retry_at_ms; /* do not ask the CA before */
	unsigned failures;   /* of the passing kind, in a row */
	enum ch_acme_fate fate;
	struct ch_err err; /* of the last failure */
	/* A person must act, the CA says, at this page. */
	int64_t must_act_until_ms; /* unless it is said again; 0: it is not so */
	struct ch_err must_act;
	char page[CH_ACME_URL_B]; /* "": none was named */
	int64_t doubted_ms;	  /* when it was asked for again last, though it was there */
};

/* Closed while the CA does not answer, or answers to nobody as it should: some steps that found
 * out spare all others the try.  One request closes nothing: connections break, and requests
 * fail, at the best of CAs.  Nor does one order alone whose answers cannot be used, however
 * often: the CA may be at odds with that order only. */
struct ch_gate {
	pthread_mutex_t lock;
	unsigned failed;	/* requests in a row; see ch_gate_note */
	uint64_t last_order_id; /* whose request was the last of them */
	unsigned outages;	/* times that it was closed, in a row */
	int64_t open_at_ms;
	struct ch_err err;
};

/* New orders pause after a limit that the CA did not name: whoever has an order already, in
 * this process, asks no more than the others, whom the store keeps from making one. */
struct ch_hold {
	pthread_mutex_t lock;
	unsigned guesses; /* in a row: limits without a time */
	int64_t until_ms;
	struct ch_err err;
};

/* Requests of this process to the CA. */
struct ch_rate {
	pthread_mutex_t lock;
	struct ch_bucket new_orders;
	struct ch_bucket new_nonces;
	struct ch_bucket requests;  /* all others */
	const atomic_int *stopping; /* nobody waits any more; NULL: never */
};

#define CH_PACE_ACCOUNT_B 256

struct ch_ca {
	const struct ch_ca_config *config;
	struct ch_acme *acme;
	EVP_PKEY *account_key;
	char thumbprint[CH_THUMBPRINT_TEXT_B];
	char pace_account[CH_PACE_ACCOUNT_B]; /* "CA's host/thumbprint": who is limited */
	uint64_t account_hint;		      /* first 8 bytes of the thumbprint */
	struct ch_secret *eab_hmac;
	struct ch_trust *roots;
	struct ch_account account;
	struct ch_gate gate;
	struct ch_hold hold;
	struct ch_rate rate;
	struct ch_habit validating;
	struct ch_habit issuing;
};

/* Opens every secret and checks every file; asks nobody.  ret_ca is zeroed by the caller, and
 * is to be closed after a failure too. */
CH_MUST int ch_ca_open(
	const struct ch_ca_config *config, struct ch_ca *ret_ca, struct ch_err *err);
void ch_ca_close(struct ch_ca *ca);
/* So many bytes of pace_account are the CA's host. */
size_t ch_ca_host_len(const struct ch_ca *ca);
/* Whether an order begun now has a chance: the CA answers, as far as is known, and does not
 * refuse the account. */
bool ch_ca_is_usable(struct ch_ca *ca);

/* account.c */
void ch_account_load(struct ch_ca *ca); /* account_state, if it fits key and CA */
enum ch_acme_fate ch_account_ensure(
	struct ch_ca *ca, struct ch_http *http, struct ch_acme_answer *ans);
/* The CA does not know the account (any more): ask again before the next request. */
void ch_account_forget(struct ch_ca *ca);
/* ans refuses what the account signed.  Its key may have been replaced (`certherd account
 * --rollover`), here or on another host: when it was, ans says so, and what to do. */
void ch_account_doubt(struct ch_ca *ca, struct ch_http *http, struct ch_acme_answer *ans);
/* The CA has refused the account, and is not to be asked about it yet. */
bool ch_account_is_refused(struct ch_ca *ca);
/* Notes an answer that says that a person must act for the account; others change nothing. */
void ch_account_note(struct ch_ca *ca, const struct ch_acme_answer *ans);
/* The CA has given the account an order. */
void ch_account_acts(struct ch_ca *ca);
/* Whether a person must act, as far as is known, and why. */
bool ch_account_must_act(struct ch_ca *ca, char *ret_text, size_t text_b);
/* What the CA said of the account last; false: nothing. */
bool ch_account_why(struct ch_ca *ca, char *ret_text, size_t text_b);

/* rate.c: waits, for some seconds at most, until the CA's limits allow one more such request of
 * the CA `arg`.  False: they do not yet, and ans says until when.  What asks when to renew has
 * a pace of its own (renewal.c). */
bool ch_rate_pass(void *arg, enum ch_acme_kind kind, struct ch_acme_answer *ans);

/* gate.c */
void ch_gate_init(struct ch_gate *gate);
/* True when the CA may be asked; else ans says why not and until when. */
bool ch_gate_pass(struct ch_gate *gate, struct ch_acme_answer *ans);
bool ch_gate_is_closed(struct ch_gate *gate);
unsigned ch_gate_outages(struct ch_gate *gate); /* in a row; 0 once the CA has answered */
/* Why it was closed last. */
void ch_gate_why(struct ch_gate *gate, char *ret_text, size_t text_b);
/* What came of asking for that order; when that closed the gate, ans->retry_at_ms is not before
 * it opens.  Silence counts each time, an answer that cannot be used once for each order in
 * turn; any other answer ends the row, also one that refuses.  A Retry-After with silence
 * closes it at once, for half an hour at most. */
void ch_gate_note(struct ch_gate *gate, uint64_t order_id, struct ch_acme_answer *ans);

/* hold.c */
void ch_hold_init(struct ch_hold *hold);
void ch_hold_done(struct ch_hold *hold);
/* True when an order may be asked for; else ans says why not and until when. */
bool ch_hold_pass(struct ch_hold *hold, struct ch_acme_answer *ans);
/* ans is a limit on new orders: until its time, or, where that is guessed, for a minute, twice
 * as long when it comes again; for an hour at most.  Returns the end of that; ans->retry_at_ms
 * is not before, and as late as the CA has said. */
int64_t ch_hold_note(struct ch_hold *hold, struct ch_acme_answer *ans);
/* The CA has given an order. */
void ch_hold_end(struct ch_hold *hold);

#endif
