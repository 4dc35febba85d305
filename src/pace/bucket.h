/* A limit of a CA as a token bucket that refills steadily, kept as one number (GCRA): the time
 * at which the bucket would be full again.  Pure: no clock; times are Unix milliseconds. */
#ifndef CH_PACE_BUCKET_H
#define CH_PACE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define CH_LIMIT_SIZE_MAX 100000000u
#define CH_LIMIT_REFILL_MAX_MS (366 * CH_DAY_MS)

/* size 0: there is no such limit. */
struct ch_limit {
	uint32_t size;	   /* tokens in a full bucket */
	int64_t refill_us; /* microseconds for a token to come back */
};

/* All zero: full. */
struct ch_bucket {
	int64_t tat_us; /* theoretical arrival time: when it is full again */
};

/* "300/3h": as many in a bucket, refilled in that time; "none": no limit.  CH_EINVAL. */
CH_MUST int ch_limit_parse(const char *text, struct ch_limit *ret_limit);
/* The form above. */
#define CH_LIMIT_TEXT_B 64
const char *ch_limit_str(const struct ch_limit *limit, char ret_text[CH_LIMIT_TEXT_B]);
/* The limit to keep to, so that requests which overtake one another, or a CA's clock, do not
 * make it one too many there: a fiftieth of the bucket less, one token at least (but not of 1).
 */
struct ch_limit ch_limit_with_margin(const struct ch_limit *limit);

/* How many tokens are there now. */
uint32_t ch_bucket_level(
	const struct ch_bucket *bucket, const struct ch_limit *limit, int64_t now_ms);
/* When there will be n (1 … size; more is taken for size): <= now_ms when there are. */
int64_t ch_bucket_ready_at_ms(const struct ch_bucket *bucket, const struct ch_limit *limit,
	uint32_t n, int64_t now_ms);
/* Takes a token if there is one; false: nothing was taken. */
bool ch_bucket_take(struct ch_bucket *bucket, const struct ch_limit *limit, int64_t now_ms);
/* Gives a token back that the CA did not count. */
void ch_bucket_give_back(struct ch_bucket *bucket, const struct ch_limit *limit);
/* The CA said that there is nothing until then: empty, and the next token not before that.  How
 * far that may be is for the caller to bound. */
void ch_bucket_learn(struct ch_bucket *bucket, const struct ch_limit *limit, int64_t until_ms);

#endif
