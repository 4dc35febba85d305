/* What all workers share, and the calls to the CA through it. */
#ifndef CH_ISSUERD_ISSUER_H
#define CH_ISSUERD_ISSUER_H

#include <pthread.h>
#include <stdatomic.h>

#include "acme/client.h"
#include "crypto/jws.h"
#include "crypto/keys.h"
#include "crypto/sign.h"
#include "crypto/x509.h"
#include "issuerd/config.h"
#include "issuerd/preflight.h"
#include "issuerd/write.h"

/* The ACME account: found or made at the CA by the first step that needs it, so that a CA that
 * is down at start stops nothing. */
struct ch_account {
	pthread_mutex_t lock; /* also held while the CA is asked: the others need its result */
	bool ready;
	int64_t retry_at_ms; /* do not ask the CA before */
	enum ch_acme_fate fate;
	struct ch_err err; /* of the last failure */
};

/* Closed while the CA does not answer: one step that found out spares all others the try. */
struct ch_gate {
	pthread_mutex_t lock;
	unsigned outages; /* in a row */
	int64_t open_at_ms;
	struct ch_err err;
};

#define CH_ISSUER_PACE_B 256

/* Requests of this process to the CA. */
struct ch_rate {
	pthread_mutex_t lock;
	struct ch_bucket new_orders;
	struct ch_bucket requests; /* all others */
};

struct ch_issuer {
	const struct ch_issuer_config *config;
	struct ch_acme *acme;
	EVP_PKEY *account_key;
	char thumbprint[CH_THUMBPRINT_TEXT_B];
	char pace_account[CH_ISSUER_PACE_B]; /* "CA's host/thumbprint": who is limited */
	uint64_t account_hint;		     /* first 8 bytes of the thumbprint */
	struct ch_secret *eab_hmac;
	struct ch_sign_key *signer; /* of edge records */
	struct ch_sign_key *notary; /* the account key: signs what the store keeps for us */
	struct ch_trust *roots;
	pthread_mutex_t recipients_lock;
	struct ch_recipients recipients;
	struct ch_account account;
	struct ch_gate gate;
	struct ch_rate rate;
	/* Confirms that visitors get the leaf: CH_OK, and err's detail, when there is one, says
	 * what was not asked; CH_ECONFLICT: another certificate is shown; other codes: nobody
	 * answers.  Replaced in tests. */
	int (*probe)(const struct ch_issuer *issuer, const char *name,
		enum ch_probe_offer offer, const uint8_t leaf_sha256[CH_SHA256_B],
		struct ch_err *err);
	/* Whether an address that a name leads to may be asked: ch_probe_is_global, which tests
	 * on loopback replace. */
	bool (*may_ask)(const char *address);
	struct ch_preflight *preflight; /* NULL: off */
	/* A preflight of this order has ended; NULL until there is a queue. */
	void (*wake)(void *arg, uint64_t order_id);
	void *wake_arg;
	_Atomic int64_t resolver_warned_ms;
	/* Probes under way: dead addresses take time, and must not take all workers. */
	atomic_int probing;
	/* 1: begin nothing new; from stop_by_ms (monotonic) on, requests are canceled. */
	atomic_int stopping;
	_Atomic int64_t stop_by_ms;
};

/* Opens every secret and checks every file; asks nobody.  ret_issuer is borrowed by threads:
 * free it after they have ended. */
CH_MUST int ch_issuer_open(const struct ch_issuer_config *config, struct ch_issuer **ret_issuer,
	struct ch_err *err);
void ch_issuer_free(struct ch_issuer *issuer);
/* step_preflight.c: starts its threads, when it is on.  Before ch_issuer_free, and with no
 * queue behind wake any more, comes ch_issuer_stop_preflight. */
CH_MUST int ch_issuer_start_preflight(struct ch_issuer *issuer, struct ch_err *err);
void ch_issuer_stop_preflight(struct ch_issuer *issuer);
/* Reads the recipients again; on failure the old ones stay. */
CH_MUST int ch_issuer_reload_recipients(struct ch_issuer *issuer, struct ch_err *err);
void ch_issuer_recipients(struct ch_issuer *issuer, struct ch_recipients *ret_recipients);
/* A new client of the CA, one per thread. */
CH_MUST int ch_issuer_new_http(
	struct ch_issuer *issuer, struct ch_http **ret_http, struct ch_err *err);
/* The hook for HTTP clients: non-zero when transfers must end. */
int ch_issuer_canceled(void *issuer);
/* The same for what need not be finished once a stop has begun. */
int ch_issuer_stopping(void *issuer);

/* One call to the CA under the account: gate, account, request.  ans is initialized by the
 * caller and tells everything; returns ans->fate. */
enum ch_acme_fate ch_issuer_ask_ca(struct ch_issuer *issuer, struct ch_http *http,
	const struct ch_acme_request *req, struct ch_acme_answer *ans);

/* account.c */
void ch_account_load(struct ch_issuer *issuer); /* account_state, if it fits key and CA */
enum ch_acme_fate ch_account_ensure(
	struct ch_issuer *issuer, struct ch_http *http, struct ch_acme_answer *ans);
/* The CA does not know the account (any more): ask again before the next request. */
void ch_account_forget(struct ch_issuer *issuer);

/* gate.c */
void ch_gate_init(struct ch_gate *gate);
/* True when the CA may be asked; else ans says why not and until when. */
bool ch_gate_pass(struct ch_gate *gate, struct ch_acme_answer *ans);
bool ch_gate_is_closed(struct ch_gate *gate);
/* What came of asking; sets ans->retry_at_ms for an outage. */
void ch_gate_note(struct ch_gate *gate, struct ch_acme_answer *ans);

/* rate.c */
/* Waits, for some seconds at most, until the CA's limits allow one more such request.  False:
 * they do not yet, and ans says until when. */
bool ch_rate_pass(struct ch_issuer *issuer, enum ch_acme_kind kind, struct ch_acme_answer *ans);

/* probe.c */
int ch_issuer_probe(const struct ch_issuer *issuer, const char *name, enum ch_probe_offer offer,
	const uint8_t leaf_sha256[CH_SHA256_B], struct ch_err *err);

#endif
