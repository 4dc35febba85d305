/* When those who wait have their turn: the scheduler and the buckets, run ahead in virtual time
 * from where they stand.  Pure: no clock, no I/O; times are Unix milliseconds.
 *
 * What it does not know: who comes later, who fails and comes back, and how long an order takes
 * at the CA.  A turn is when an order may begin. */
#ifndef CH_PACE_FORECAST_H
#define CH_PACE_FORECAST_H

#include <stdint.h>

#include "pace/bucket.h"
#include "pace/scheduler.h"

/* A turn after that is not looked for. */
#define CH_FORECAST_SPAN_MS (366 * CH_DAY_MS)
#define CH_FORECAST_LEVELS 3
/* After an hour, a day, a week. */
extern const int64_t ch_forecast_level_ms[CH_FORECAST_LEVELS];

/* Which limit decides. */
enum ch_forecast_limit {
	CH_FORECAST_NONE, /* its turn is now */
	CH_FORECAST_ACCOUNT,
	CH_FORECAST_DOMAIN, /* it waits for that of its registered domain too */
};

struct ch_forecast_item {
	uint32_t tenant;
	uint32_t domain;
	uint8_t class; /* enum ch_class */
	/* out: */
	uint8_t limit; /* enum ch_forecast_limit */
	uint32_t ahead;
	int64_t at_ms; /* its turn; INT64_MAX: not within the span */
};

/* Of one class, in which it has its place: 0: the next one; and in one line. */
struct ch_forecast_tenant {
	uint8_t class;
	uint8_t line;
	uint32_t place;
};

struct ch_forecast_bucket {
	struct ch_limit limit; /* size 0: none */
	struct ch_bucket bucket;
	/* out: */
	uint32_t waiting;	/* of a domain */
	int64_t short_until_ms; /* the last turn for which it was short; 0: for none */
	uint32_t left[CH_FORECAST_LEVELS];
	struct ch_bucket after; /* all turns */
};

struct ch_forecast_class {
	uint32_t n;
	uint32_t n_done; /* within the span */
	/* When the first has its turn, the middle one and the last; INT64_MAX: not within the
	 * span. */
	int64_t first_ms;
	int64_t half_ms;
	int64_t done_ms;
	uint32_t limits[CH_FORECAST_DOMAIN + 1]; /* how many wait for which */
};

struct ch_forecast {
	int64_t now_ms;
	uint64_t turn; /* as ch_sched_class counts them */
	/* By class and tenant each in the order of its arrival. */
	struct ch_forecast_item *items;
	struct ch_forecast_tenant *tenants;
	struct ch_forecast_bucket *accounts; /* the first that has a token is used */
	/* By line: which accounts those who stand there may use, as bits; 0: they need none. */
	unsigned lines[CH_SCHED_LINES];
	unsigned n_lines;
	struct ch_forecast_bucket *domains;
	uint32_t n_items;
	uint32_t n_tenants;
	uint32_t n_accounts;
	uint32_t n_domains;
	/* out: */
	struct ch_forecast_class classes[CH_CLASS_COUNT];
	int64_t account_short_ms; /* for so long somebody waits for an account */
	int64_t domain_short_ms;  /* the longest wait for a domain */
};

/* Costs the items, each times the logarithm of tenants and domains.  CH_ENOMEM. */
CH_MUST int ch_forecast_run(struct ch_forecast *forecast);

#endif
