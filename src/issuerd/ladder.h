/* When to try again, when to poll, when to renew: pure functions of configuration and time. */
#ifndef CH_ISSUERD_LADDER_H
#define CH_ISSUERD_LADDER_H

#include <stdint.h>

#include "issuerd/config.h"
#include "pace/calendar.h"
#include "pace/retry.h"

/* A name that has failed once more. */
struct ch_retried {
	const char *name;
	uint64_t failures; /* in a row, before that */
	uint64_t salt;
	int64_t left_ms; /* until it needs its certificate; <= 0: too late, or no hurry */
};

/* The wait until it is tried again: retry_ladder, more or less retry_jitter_percent, or less in
 * time of need (ch_wait_in_time_ms); limit: of failures, at the CA. */
int64_t ch_ladder_wait_ms(const struct ch_issuer_config *config, const struct ch_limit *limit,
	const struct ch_retried *name);

/* The same on preflight_ladder. */
int64_t ch_preflight_wait_ms(
	const struct ch_issuer_config *config, const struct ch_retried *name);

/* The wait of a name that has moved, away for so long: an eighth of that; at least the ladder's
 * last rung, at most 30 d. */
int64_t ch_moved_wait_ms(const struct ch_issuer_config *config, const char *name,
	int64_t away_ms, uint64_t salt);

/* The wait before poll number polls: before the first (0), where nothing is known of the CA's
 * habit (habit.h), a fifth of poll_interval, before the second all of it, and then doubling up
 * to 30 s. */
int64_t ch_poll_wait_ms(const struct ch_issuer_config *config, unsigned polls);
/* The wait for edges that are behind: 250 ms growing to 5 s. */
int64_t ch_edges_wait_ms(unsigned waits);
/* How long edges ordinarily need at most until they have said that they have a record: 10 s, or
 * edge_wait if that is less.  Only one that needs longer is behind. */
int64_t ch_edges_ordinary_ms(const struct ch_issuer_config *config);
/* The wait while the store holds back what the edges are to have: 5 s growing to 10 min;
 * the store ends it when it lets that go. */
int64_t ch_held_wait_ms(unsigned waits);
/* The wait before probe number probes + 1: 1 s, doubling up to 1 min. */
int64_t ch_probe_wait_ms(unsigned probes);
/* The wait after passing error number attempts of an order in its state (1 = the first): most
 * are over at once, and a long order meets several, so a second, doubling up to 16 s; then
 * minutes, up to an hour.  By spread (0 … 1) up to half as long again. */
int64_t ch_error_wait_ms(uint64_t attempts, double spread);

struct ch_renewal {
	int64_t not_before_ms;
	int64_t not_after_ms;
	int64_t issued_ms; /* when it was published, or is */
	/* The CA's window; end <= start: none. */
	int64_t start_ms;
	int64_t end_ms;
};

/* Within which span to renew: pace/calendar.h, of which the store chooses the emptiest hour.
 * Not so soon that the CA's limit of the same set of names would stop the one after; where
 * there are no hours to choose from, in the last renew_jitter_percent of the lifetime before
 * the end. However long a window is over, a hundredth of the lifetime is waited, so that a CA
 * that says so of every new certificate does not have it renewed without end. */
void ch_renew_span(const struct ch_issuer_config *config, const struct ch_limit *set,
	const struct ch_renewal *renewal, int64_t now_ms, struct ch_calendar_span *ret_span);

#endif
