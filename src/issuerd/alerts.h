/* Reports what this issuer sees of what operators should know, and tells people what the store
 * hands out to be told.  Any number of issuers may do so, and be killed: what was leased and
 * not told is handed out again. */
#ifndef CH_ISSUERD_ALERTS_H
#define CH_ISSUERD_ALERTS_H

#include "issuerd/issuer.h"
#include "issuerd/queue.h"
#include "net/api.h"

#define CH_ALERT_TOLD_MAX 64 /* of one report, as the store takes */

struct ch_alert_keeper {
	struct ch_issuer *issuer;
	struct ch_queue *queue; /* what its sleep ends with */
	struct ch_api *api;	/* owned: the store */
	struct ch_http *http;	/* owned; NULL: no webhook */
	struct ch_secret *secret;
	json_t *told;			     /* owned: what the store does not know yet */
	int64_t closed_since_ms[CH_CAS_MAX]; /* monotonic: a CA is out of order; 0: it is not */
	bool complained;
	bool clock_told;
};

/* api NULL: one is made from the configuration; else it is taken over, on success. */
CH_MUST int ch_alert_keeper_init(struct ch_alert_keeper *keeper, struct ch_issuer *issuer,
	struct ch_queue *queue, struct ch_api *api, struct ch_err *err);
void ch_alert_keeper_done(struct ch_alert_keeper *keeper);

/* One report, and the telling of what came back; returns how long to wait then. */
CH_MUST int64_t ch_alert_round(struct ch_alert_keeper *keeper);
/* Thread function; arg: struct ch_alert_keeper *.  Returns when the queue is closed. */
void *ch_alert_main(void *keeper);

/* Reads section [alerts]. */
void ch_issuer_config_alerts(struct ch_conf *conf, struct ch_alert_config *config);

#endif
