/* How long a CA takes until what it was asked for is done, learned from when it was: so that it
 * is asked neither too early, which costs both sides a request, nor long afterwards. */
#ifndef CH_ISSUERD_HABIT_H
#define CH_ISSUERD_HABIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Shared by threads; that two of them note at once loses one note at the most.  All 0: nothing
 * is known. */
struct ch_habit {
	atomic_int_fast64_t wait_us; /* before the first look; 0: not learned */
	atomic_int score; /* first looks that were enough, with those that were not */
};

/* Before the first look: at first a fifth of poll_interval_ms, and whatever is learned, from a
 * twenty-fifth of it to all of it. */
int64_t ch_habit_wait_ms(const struct ch_habit *habit, int64_t poll_interval_ms);
/* Whether it was done at the first look, which came after that wait. */
void ch_habit_note(struct ch_habit *habit, int64_t poll_interval_ms, bool done);
/* It will be done by the first look, as nearly always. */
bool ch_habit_is_sure(const struct ch_habit *habit);

#endif
