/* When to renew: what the store is told with a publication, and what the CAs are asked about
 * certificates that are live (RFC 9773).
 *
 * The asking has threads, connections and a pace of its own, so that a million certificates
 * twice a day never delay an order.  The store says which are due; what is heard goes back to
 * it in one piece for many.  Nothing is kept here: a process that dies has lost some requests,
 * which the next one makes again.  A CA that cannot be asked, or says nonsense, changes no
 * plan. */
#ifndef CH_ISSUERD_RENEWAL_H
#define CH_ISSUERD_RENEWAL_H

#include "issuerd/issuer.h"
#include "issuerd/queue.h"
#include "net/api.h"

#define CH_ASKERS_MAX 32
#define CH_ASK_BATCH 100

/* Adds renew_at, renew_from and, if the CA can be asked about it, ari_id. */
void ch_renewal_describe(const struct ch_issuer *issuer, const struct ch_ca *ca,
	const struct ch_cert_info *info, const uint8_t *leaf, size_t leaf_len, json_t *body);

/* What the threads that ask share. */
struct ch_asking {
	struct ch_issuer *issuer;
	struct ch_queue *queue; /* what their sleep ends with */
	pthread_mutex_t lock;
	struct {
		int64_t next_mono_ms; /* of the pace */
		int64_t pause_until_ms;
		unsigned outages; /* in a row */
		bool backlog;	  /* more is due than one thread takes */
	} cas[CH_CAS_MAX];
};

void ch_asking_init(struct ch_asking *asking, struct ch_issuer *issuer, struct ch_queue *queue);
void ch_asking_done(struct ch_asking *asking);

struct ch_asker {
	struct ch_asking *asking;
	struct ch_api *api;		   /* owned: the store */
	struct ch_http *https[CH_CAS_MAX]; /* owned: the CAs; made when first needed */
	bool leads; /* looks for work by itself; the others help when it does not keep the pace
		     */
	bool told;  /* the store is away, or knows nothing of this */
};

/* So many threads as keep the pace with a CA that takes half a second to answer, within
 * CH_ASKERS_MAX; 0: the CAs are not asked. */
size_t ch_askers_needed(const struct ch_issuer_config *config);
/* api NULL: one is made from the configuration; else it is taken over, on success. */
CH_MUST int ch_asker_init(struct ch_asker *asker, struct ch_asking *asking, bool leads,
	struct ch_api *api, struct ch_err *err);
void ch_asker_done(struct ch_asker *asker);
/* Asks about what is due, up to CH_ASK_BATCH for each CA; returns how long to wait then. */
CH_MUST int64_t ch_asker_round(struct ch_asker *asker);
/* Thread function; arg: struct ch_asker *.  Returns when the queue is closed. */
void *ch_asker_main(void *asker);

#endif
