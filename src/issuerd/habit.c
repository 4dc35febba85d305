#include "issuerd/habit.h"

#define FIRST 5
#define LEAST 25
/* A look that came too early costs as much as many that came a little late. */
#define LESS 64		 /* a part of the wait */
#define MORE_PERCENT 150 /* of the wait */
#define SCORE_MOST 32
#define SCORE_SURE 16
#define SCORE_LOST 8

static int64_t wait_us(const struct ch_habit *habit, int64_t poll_interval_ms)
{
	int64_t learned = atomic_load(&habit->wait_us);

	return learned ? learned : poll_interval_ms * 1000 / FIRST;
}

int64_t ch_habit_wait_ms(const struct ch_habit *habit, int64_t poll_interval_ms)
{
	return wait_us(habit, poll_interval_ms) / 1000;
}

void ch_habit_note(struct ch_habit *habit, int64_t poll_interval_ms, bool done)
{
	int64_t least = poll_interval_ms * 1000 / LEAST;
	int64_t most = poll_interval_ms * 1000;
	int64_t wait = wait_us(habit, poll_interval_ms);
	int score = atomic_load(&habit->score);

	wait = done ? wait - wait / LESS : wait * MORE_PERCENT / 100;
	score = done ? score + 1 : score - SCORE_LOST;
	atomic_store(&habit->wait_us, wait < least ? least : wait > most ? most : wait);
	atomic_store(&habit->score, score < 0 ? 0 : score > SCORE_MOST ? SCORE_MOST : score);
}

bool ch_habit_is_sure(const struct ch_habit *habit)
{
	return atomic_load(&habit->score) >= SCORE_SURE;
}
