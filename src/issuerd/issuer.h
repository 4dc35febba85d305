/* What all workers share, and the calls to the CA through it. */
#ifndef CH_ISSUERD_ISSUER_H
#define CH_ISSUERD_ISSUER_H

#include <pthread.h>
#include <stdatomic.h>

#include "crypto/jws.h"
#include "crypto/keys.h"
#include "crypto/sign.h"
#include "crypto/x509.h"
#include "issuerd/ca.h"
#include "issuerd/config.h"
#include "issuerd/dns_desk.h"
#include "issuerd/figures.h"
#include "issuerd/preflight.h"
#include "issuerd/scribe.h"
#include "issuerd/write.h"

struct ch_issuer {
	const struct ch_issuer_config *config;
	struct ch_ca cas[CH_CAS_MAX]; /* as config->cas */
	size_t n_cas;
	struct ch_sign_key *signer; /* of edge records, and of what the store keeps for us */
	pthread_mutex_t recipients_lock;
	struct ch_recipients recipients;
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
	struct ch_dns_desk *dns_desk;	/* NULL: off */
	/* A preflight, or DNS work, of this order has ended, 0: a look at a name without one;
	 * NULL until there is a queue. */
	void (*wake)(void *arg, uint64_t order_id);
	void *wake_arg;
	_Atomic int64_t resolver_warned_ms;
	struct ch_figures figures;
	struct ch_scribe scribe; /* of all that workers write */
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
/* Whether names are looked at before there is an order: where validation comes to them. */
bool ch_issuer_scouts(const struct ch_issuer *issuer);
/* step_dns.c: the same for DNS challenges. */
CH_MUST int ch_issuer_start_dns(struct ch_issuer *issuer, struct ch_err *err);
void ch_issuer_stop_dns(struct ch_issuer *issuer);
/* step_preflight.c: the values of the CAA records that we recommend, of each CA whose identity
 * and account are known.  A new array; NULL when out of memory. */
json_t *ch_issuer_caa_advice(struct ch_issuer *issuer);
/* The standing TXT records of dns-persist-01, without a wildcard's policy; empty when no name
 * is validated so.  The caller owns it. */
json_t *ch_issuer_persist_advice(struct ch_issuer *issuer);
/* Reads the recipients again; on failure the old ones stay. */
CH_MUST int ch_issuer_reload_recipients(struct ch_issuer *issuer, struct ch_err *err);
void ch_issuer_recipients(struct ch_issuer *issuer, struct ch_recipients *ret_recipients);
/* A new client of this CA, one per thread. */
CH_MUST int ch_issuer_new_http(struct ch_issuer *issuer, const struct ch_ca *ca,
	struct ch_http **ret_http, struct ch_err *err);
/* The hook for HTTP clients: non-zero when transfers must end. */
int ch_issuer_canceled(void *issuer);
/* The same for what need not be finished once a stop has begun. */
int ch_issuer_stopping(void *issuer);

/* One call to the CA for an order, under our account there: gate, account, request.  ans
 * is initialized by the caller and tells everything; returns ans->fate. */
enum ch_acme_fate ch_issuer_ask_ca(struct ch_issuer *issuer, struct ch_ca *ca,
	struct ch_http *http, uint64_t order_id, const struct ch_acme_request *req,
	struct ch_acme_answer *ans);
/* The CA that this account's hint belongs to; NULL: none that is configured. */
struct ch_ca *ch_issuer_ca_of(struct ch_issuer *issuer, uint64_t account_hint);
/* … by what the configuration calls it, */
struct ch_ca *ch_issuer_ca_named(struct ch_issuer *issuer, const char *name);
/* … and by the text under which the store paces it. */
struct ch_ca *ch_issuer_ca_paced(struct ch_issuer *issuer, const char *pace_account);

/* probe.c */
int ch_issuer_probe(const struct ch_issuer *issuer, const char *name, enum ch_probe_offer offer,
	const uint8_t leaf_sha256[CH_SHA256_B], struct ch_err *err);

#endif
