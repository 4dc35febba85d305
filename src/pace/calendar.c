#include "pace/calendar.h"

#include <string.h>

#define SHORT_LIFE_MS (10 * CH_DAY_MS)
#define SHORT_LEFT_PERCENT 50
/* Not before a tenth of the lifetime is over, whatever is empty. */
#define EARLIEST_PERCENT 10
/* How long before the latest a renewal begins when there is no room for earlier ones. */
#define NO_ROOM_PERCENT 5
/* A window that is over with so much of the lifetime left is of a CA that wants it back: no CA
 * names one before half of it is over for another reason.  Then it has a day (CA/Browser
 * Forum, Baseline Requirements 4.9.1.1). */
#define TAKEN_BACK_PERCENT 55
#define TAKEN_BACK_MS CH_DAY_MS
#define RING_SLOTS ((int64_t)CH_CALENDAR_RING_SLOTS)

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void ch_calendar_span(
	const struct ch_calendar_cert *cert, int64_t now_ms, struct ch_calendar_span *ret_span)
{
	int64_t life_ms = later(cert->not_after_ms - cert->not_before_ms, 0);
	int64_t percent_ms = life_ms / 100;
	unsigned left = cert->left_percent;
	int64_t from_ms = cert->not_before_ms + EARLIEST_PERCENT * percent_ms;
	int64_t until_ms;
	int64_t latest_ms;

	if (life_ms < SHORT_LIFE_MS && left < SHORT_LEFT_PERCENT)
		left = SHORT_LEFT_PERCENT;
	until_ms = cert->not_after_ms - (int64_t)left * percent_ms;
	latest_ms = cert->not_after_ms - (int64_t)left * percent_ms / 2;
	if (cert->ari_start_ms < cert->ari_end_ms) {
		int64_t half_ms = (cert->ari_end_ms - cert->ari_start_ms) / 2;

		until_ms = cert->ari_end_ms <= now_ms ? now_ms : cert->ari_start_ms + half_ms;
		if (until_ms > latest_ms)
			until_ms = latest_ms;
		/* A CA that moves its window forward knows why. */
		from_ms =
			cert->room ? earlier(from_ms, cert->ari_start_ms) : cert->ari_start_ms;
	} else if (!cert->room) {
		from_ms = until_ms - NO_ROOM_PERCENT * percent_ms;
	}
	ret_span->from_ms = later(earlier(from_ms, until_ms), now_ms);
	ret_span->until_ms = later(until_ms, now_ms);
}

int64_t ch_calendar_danger_ms(int64_t not_before_ms, int64_t not_after_ms)
{
	return not_after_ms - (not_after_ms - not_before_ms) / 100 * CH_CALENDAR_DANGER_PERCENT;
}

int64_t ch_calendar_needed_by_ms(const struct ch_calendar_cert *cert)
{
	int64_t percent_ms = later(cert->not_after_ms - cert->not_before_ms, 0) / 100;
	int64_t early_ms = cert->not_after_ms - TAKEN_BACK_PERCENT * percent_ms;

	if (cert->ari_start_ms < cert->ari_end_ms && cert->ari_end_ms < early_ms)
		return cert->ari_end_ms + TAKEN_BACK_MS;
	return cert->not_after_ms;
}

int64_t ch_calendar_slot(int64_t at_ms)
{
	int64_t slot = at_ms / CH_CALENDAR_SLOT_MS;

	return slot * CH_CALENDAR_SLOT_MS > at_ms ? slot - 1 : slot;
}

/* The last of the emptiest. */
static size_t emptiest(const uint32_t *counts, size_t n)
{
	uint32_t least = counts[0];
	size_t at = n;

	for (size_t i = 1; i < n; i++)
		least = counts[i] < least ? counts[i] : least;
	while (counts[--at] != least)
		;
	return at;
}

int ch_calendar_choose(const struct ch_calendar_source *source,
	const struct ch_calendar_span *span, double spread, int64_t *ret_at_ms)
{
	uint32_t counts[CH_CALENDAR_SLOTS_MAX];
	/* Whole slots only: half a slot that takes as much as a whole one is no level. */
	int64_t first = ch_calendar_slot(span->from_ms + CH_CALENDAR_SLOT_MS - 1);
	int64_t end = ch_calendar_slot(span->until_ms);
	size_t n;
	int rc;

	if (!(spread >= 0 && spread < 1))
		spread = 0;
	if (end <= first) {
		*ret_at_ms = span->from_ms +
			     (int64_t)(spread * (double)(span->until_ms - span->from_ms));
		return CH_OK;
	}
	first = later(first, end - CH_CALENDAR_SLOTS_MAX);
	n = (size_t)(end - first);
	rc = source->counts(source->arg, first, n, counts);
	if (rc)
		return rc;
	*ret_at_ms = (first + (int64_t)emptiest(counts, n)) * CH_CALENDAR_SLOT_MS +
		     (int64_t)(spread * CH_CALENDAR_SLOT_MS);
	return CH_OK;
}

static size_t place(int64_t slot)
{
	return (size_t)(slot & (RING_SLOTS - 1));
}

void ch_calendar_ring_init(struct ch_calendar_ring *ring, int64_t now_ms)
{
	memset(ring, 0, sizeof(*ring));
	ring->first = ch_calendar_slot(now_ms);
}

void ch_calendar_ring_turn(struct ch_calendar_ring *ring, int64_t now_ms)
{
	int64_t now = ch_calendar_slot(now_ms);

	if (now - ring->first >= RING_SLOTS)
		ch_calendar_ring_init(ring, now_ms);
	for (; ring->first < now; ring->first++)
		ring->counts[place(ring->first)] = 0;
}

void ch_calendar_ring_add(struct ch_calendar_ring *ring, int64_t at_ms, int by)
{
	int64_t slot = ch_calendar_slot(at_ms);
	uint32_t *count = &ring->counts[place(slot)];

	if (slot < ring->first || slot - ring->first >= RING_SLOTS)
		return;
	if (by > 0 && *count < UINT32_MAX)
		++*count;
	else if (by < 0 && *count > 0)
		--*count;
}

void ch_calendar_ring_set(struct ch_calendar_ring *ring, int64_t slot, uint32_t n)
{
	if (slot >= ring->first && slot - ring->first < RING_SLOTS)
		ring->counts[place(slot)] = n;
}

static int ring_counts(void *arg, int64_t first, size_t n, uint32_t *ret_counts)
{
	const struct ch_calendar_ring *ring = arg;
	size_t done = 0;

	/* What the ring does not hold is empty.  Two pieces at most where it wraps. */
	for (; done < n && first + (int64_t)done < ring->first; done++)
		ret_counts[done] = 0;
	while (done < n && first + (int64_t)done - ring->first < RING_SLOTS) {
		size_t at = place(first + (int64_t)done);
		int64_t left = RING_SLOTS - (first + (int64_t)done - ring->first);
		size_t piece = (size_t)earlier(left, RING_SLOTS - (int64_t)at);

		piece = piece < n - done ? piece : n - done;
		memcpy(ret_counts + done, ring->counts + at, piece * sizeof(*ret_counts));
		done += piece;
	}
	for (; done < n; done++)
		ret_counts[done] = 0;
	return CH_OK;
}

struct ch_calendar_source ch_calendar_ring_source(struct ch_calendar_ring *ring)
{
	return (struct ch_calendar_source){ring_counts, ring};
}
