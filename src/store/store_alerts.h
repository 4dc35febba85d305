/* What operators should know of: a part of store.h.
 *
 * Whoever looks reports all that is wrong now, each time.  What is wrong anew opens an alert;
 * what has not been reported for a while closes it: so there is one alert for as long as
 * something lasts, however often it is seen.  Opening and closing are told to people by
 * whoever leases that; what fails is leased again later. */
#ifndef CH_STORE_STORE_ALERTS_H
#define CH_STORE_STORE_ALERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct ch_store;

#define CH_STORE_ALERT_KIND_MAX 63
#define CH_STORE_ALERT_SUBJECT_MAX 200
#define CH_STORE_ALERT_DETAIL_MAX 1000
#define CH_STORE_TROUBLES_MAX 2000 /* of one report */
#define CH_STORE_TELL_MAX 8
#define CH_STORE_TOLD_MAX 64
/* What was not seen for so long is over. */
#define CH_STORE_ALERT_HOLD_MS INT64_C(120000)
/* … and if nobody looks any more, after so long. */
#define CH_STORE_ALERT_STALE_MS INT64_C(900000)
/* Told at most so often; then it is only in the list. */
#define CH_STORE_ALERT_TRIES_MAX 20

struct ch_store_trouble {
	const char *kind;
	const char *subject;
	const char *source;
	const char *detail;
	bool critical;
};

struct ch_store_alert {
	uint64_t id;
	const char *kind;
	const char *subject;
	const char *source;
	const char *severity;
	const char *detail;
	int64_t opened_ms;
	int64_t seen_ms;
	int64_t closed_ms; /* 0: it is open */
	uint64_t tries;
};

struct ch_store_told {
	uint64_t id;
	bool closed;   /* which of the two was told, */
	bool critical; /* and how severe it was then */
	bool failed;   /* it could not be: again later */
};

/* CH_OP_ALERTS.  source: who has seen these troubles, all that it sees; what others see stays,
 * but for what is stale. */
struct ch_op_alerts {
	const char *source;
	const struct ch_store_trouble *troubles;
	size_t n_troubles;
	const struct ch_store_told *told;
	size_t n_told;
	int64_t lease_ms; /* of what is to be told; 0: nothing is leased */
	/* out: */
	struct ch_store_alert *tell;
	size_t n_tell;
};

/* Newest first, the open ones before the others; at most limit. */
CH_MUST int ch_store_list_alerts(struct ch_store *store, bool closed_too, size_t limit,
	struct ch_arena *arena, struct ch_store_alert **ret_alerts, size_t *ret_n);

#define CH_STORE_DANGER_MAX 10000
#define CH_STORE_LATELY_MAX 5000
struct ch_store_danger {
	/* Certificates with under a tenth of their lifetime left; so many are counted at most.
	 */
	uint64_t n;
	const char *name; /* of the one of these that ends first */
	int64_t ends_ms;  /* may have passed */
	/* Names that the CA has paused for our account until a person acts; so many are counted
	 * at most. */
	uint64_t paused;
	const char *paused_name;   /* of one of them */
	const char *paused_detail; /* its reason, with the page to visit */
	/* Of the latest CH_STORE_LATELY_MAX events of a week: names with a certificate that
	 * came to fail, within a day of its renewal's time, and do still; and certificates that
	 * were published. */
	uint64_t failing;
	uint64_t published;
};
/* Costs what is counted, and these events.  In danger is no name that is paused or moved, nor
 * one whose certificate ended over a week ago. */
CH_MUST int ch_store_get_danger(
	struct ch_store *store, struct ch_arena *arena, struct ch_store_danger *ret_danger);

#endif
