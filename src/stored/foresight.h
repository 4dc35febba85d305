/* When those who wait have their turn: a thread that looks ahead (pace/forecast.h) once a
 * minute, or sooner when somebody asks and a look costs little; what it found is kept small, so
 * that asking about a name costs a search in memory and no walk over those who wait. */
#ifndef CH_STORED_FORESIGHT_H
#define CH_STORED_FORESIGHT_H

#include <stdint.h>

#include <jansson.h>

#include "store/store.h"
#include "stored/issuers.h"

struct ch_foresight;

/* Starts the thread.  store and issuers outlive it. */
CH_MUST int ch_foresight_start(struct ch_store *store, struct ch_issuers *issuers,
	struct ch_foresight **ret_foresight, struct ch_err *err);
void ch_foresight_stop(struct ch_foresight *foresight); /* NULL allowed, as everywhere here */

/* An issuer has said something new. */
void ch_foresight_wake(struct ch_foresight *foresight);

struct ch_expected {
	int64_t at_ms;	   /* INT64_MAX: not within the span of a forecast */
	const char *limit; /* enum ch_paced as text; NULL: its turn is now */
	int64_t ahead;	   /* turns of others before it; -1: not counted */
};
/* Of a name that has to wait for a limit.  CH_ENOTFOUND: nothing is known (yet), or it does not
 * wait. */
CH_MUST int ch_foresight_name(struct ch_foresight *foresight,
	const struct ch_store_domain *domain, struct ch_expected *ret_expected);

json_t *ch_expected_json(const struct ch_expected *expected);

#define CH_FORESIGHT_DOMAINS 20 /* of a list, those for which most names wait */

struct ch_foresight_bucket {
	enum ch_paced paced;
	const char *of;
	const char *ca;	     /* as the issuer calls it, or else its host */
	bool renewals_count; /* of an account */
	struct ch_forecast_bucket bucket;
	int64_t tail_ms; /* turns that are promised to names that are not in line */
};

/* Borrows from the request's arena. */
struct ch_foresight_report {
	int64_t now_ms; /* when it was looked; 0: not yet */
	bool known;	/* whether an issuer has said under which limits it works */
	bool limited;	/* whether there is any */
	size_t n_cas;	/* that it has */
	uint64_t waiting;
	bool more; /* than were looked at */
	struct ch_forecast_class classes[CH_CLASS_COUNT];
	const struct ch_foresight_bucket *buckets;
	size_t n_buckets;
	int64_t account_short_ms;
	int64_t domain_short_ms;
};
CH_MUST int ch_foresight_report(struct ch_foresight *foresight, struct ch_arena *arena,
	struct ch_foresight_report *ret_report);

#endif
