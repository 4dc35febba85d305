/* The levelled renewal calendar: when a certificate is to be renewed, so that renewals come
 * evenly.
 *
 * Time is cut into slots of an hour, and somebody keeps how many renewals are planned in each.
 * A certificate may be renewed within a span of time, and takes the emptiest slot of it; of
 * equally empty ones the last, which uses most of the lifetime.  So many names that come on one
 * day are spread over the whole span the first time already, and never come back together; and
 * where a slot stayed empty (an outage, names that left) it is filled again by those that
 * follow.
 *
 * Pure: no clock, no I/O.  Times are Unix milliseconds. */
#ifndef CH_PACE_CALENDAR_H
#define CH_PACE_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define CH_CALENDAR_SLOT_MS CH_HOUR_MS
/* The most slots that a span is looked at: 128 days.  Of a longer span the last so many. */
#define CH_CALENDAR_SLOTS_MAX 3072
#define CH_CALENDAR_RING_SLOTS 8192 /* a power of two: 341 days */

/* What is known about a certificate. */
struct ch_calendar_cert {
	int64_t not_before_ms;
	int64_t not_after_ms;
	/* The window that the CA suggests (RFC 9773 section 4.2); end <= start: none. */
	int64_t ari_start_ms;
	int64_t ari_end_ms;
	/* So much of the lifetime is left at the latest; at least half of it for lifetimes
	 * under 10 days.  1 … 90. */
	unsigned left_percent;
	/* Whether the ordinary limits let it be renewed before that too: a renewal of the same
	 * set of names counts against the limit of the exact set only. */
	bool room;
};

struct ch_calendar_span {
	int64_t from_ms;
	int64_t until_ms; /* >= from_ms; the same: at once */
};

/* When the certificate may be renewed: to the first half of the CA's window, so that retries
 * stay inside of it, or until left_percent is left; with room from a tenth of the lifetime on,
 * else only from the beginning of the window, or a twentieth of the lifetime before the latest.
 * Never in the past; a window that is over, and a date that has passed, mean now.  A window
 * that comes late is kept to until half of what left_percent says is left. */
void ch_calendar_span(
	const struct ch_calendar_cert *cert, int64_t now_ms, struct ch_calendar_span *ret_span);

/* Where the counts are: in the store's database, or in a ring (below). */
struct ch_calendar_source {
	/* Writes how many renewals are planned in each of n <= CH_CALENDAR_SLOTS_MAX slots from
	 * number `first` on.  0, or an error, which ch_calendar_choose returns. */
	int (*counts)(void *arg, int64_t first, size_t n, uint32_t *ret_counts);
	void *arg;
};

/* By when the next certificate is needed: when this one ends, or, where the CA's window is over
 * much sooner than it would be of itself (it is going to revoke it), a day after that window.
 */
int64_t ch_calendar_needed_by_ms(const struct ch_calendar_cert *cert);

/* With so much of the lifetime left a renewal waits for nobody that is not as urgent, and
 * people are told. */
#define CH_CALENDAR_DANGER_PERCENT 10
/* Since when that is so: the same as the store's databases have it for each name. */
int64_t ch_calendar_danger_ms(int64_t not_before_ms, int64_t not_after_ms);

/* The number of the slot of a time. */
int64_t ch_calendar_slot(int64_t at_ms);

/* The time in the span to renew at.  spread: 0 … 1, where in its slot (of the name: it keeps
 * those of one slot apart).  Counting it is the caller's part.  Costs the slots of the span. */
CH_MUST int ch_calendar_choose(const struct ch_calendar_source *source,
	const struct ch_calendar_span *span, double spread, int64_t *ret_at_ms);

/* Counts in memory, for slots from now on. */
struct ch_calendar_ring {
	int64_t first; /* the first slot that counts; what is before it is forgotten */
	uint32_t counts[CH_CALENDAR_RING_SLOTS];
};

void ch_calendar_ring_init(struct ch_calendar_ring *ring, int64_t now_ms);
/* Forgets the slots before that of now. */
void ch_calendar_ring_turn(struct ch_calendar_ring *ring, int64_t now_ms);
/* One more (+1) or one fewer (-1) is planned at that time; outside of the ring nothing happens.
 */
void ch_calendar_ring_add(struct ch_calendar_ring *ring, int64_t at_ms, int by);
/* So many are planned in that slot; outside of the ring nothing happens. */
void ch_calendar_ring_set(struct ch_calendar_ring *ring, int64_t slot, uint32_t n);
/* Borrows the ring. */
struct ch_calendar_source ch_calendar_ring_source(struct ch_calendar_ring *ring);

#endif
