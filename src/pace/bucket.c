#include "pace/bucket.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define US_PER_MS INT64_C(1000)
#define MARGIN_PART 50

int ch_limit_parse(const char *text, struct ch_limit *ret_limit)
{
	int64_t span_ms;
	uint64_t size;
	char *end;

	if (strcmp(text, "none") == 0) {
		*ret_limit = (struct ch_limit){0, 0};
		return CH_OK;
	}
	if (*text < '1' || *text > '9')
		return CH_EINVAL;
	errno = 0;
	size = strtoull(text, &end, 10);
	if (errno || *end != '/' || size > CH_LIMIT_SIZE_MAX)
		return CH_EINVAL;
	if (ch_duration_parse(end + 1, &span_ms) || span_ms < 1 ||
		span_ms > CH_LIMIT_REFILL_MAX_MS)
		return CH_EINVAL;
	/* Rounded up: never faster than the CA. */
	ret_limit->refill_us = (span_ms * US_PER_MS + (int64_t)size - 1) / (int64_t)size;
	ret_limit->size = (uint32_t)size;
	return CH_OK;
}

const char *ch_limit_str(const struct ch_limit *limit, char ret_text[CH_LIMIT_TEXT_B])
{
	char span[CH_TIME_STR_B];

	if (!limit->size) {
		strcpy(ret_text, "none");
		return ret_text;
	}
	(void)ch_duration_str(
		(limit->refill_us * limit->size + US_PER_MS / 2) / US_PER_MS, span);
	snprintf(ret_text, CH_LIMIT_TEXT_B, "%" PRIu32 " in %s", limit->size, span);
	return ret_text;
}

struct ch_limit ch_limit_with_margin(const struct ch_limit *limit)
{
	struct ch_limit less = *limit;

	if (less.size > 1)
		less.size -= less.size > MARGIN_PART ? less.size / MARGIN_PART : 1;
	return less;
}

/* The bucket is empty when tat is this far ahead of now. */
static int64_t full_us(const struct ch_limit *limit)
{
	return (int64_t)limit->size * limit->refill_us;
}

static int64_t now_us(int64_t now_ms)
{
	return now_ms * US_PER_MS;
}

uint32_t ch_bucket_level(
	const struct ch_bucket *bucket, const struct ch_limit *limit, int64_t now_ms)
{
	int64_t used_us = bucket->tat_us - now_us(now_ms);
	int64_t left_us;

	if (!limit->size)
		return UINT32_MAX;
	if (used_us <= 0)
		return limit->size;
	left_us = full_us(limit) - used_us;
	return left_us > 0 ? (uint32_t)(left_us / limit->refill_us) : 0;
}

int64_t ch_bucket_ready_at_ms(const struct ch_bucket *bucket, const struct ch_limit *limit,
	uint32_t n, int64_t now_ms)
{
	int64_t at_us;

	if (!limit->size)
		return now_ms;
	n = n < limit->size ? n : limit->size;
	at_us = bucket->tat_us - (int64_t)(limit->size - n) * limit->refill_us;
	if (at_us <= now_us(now_ms))
		return now_ms;
	return (at_us + US_PER_MS - 1) / US_PER_MS;
}

bool ch_bucket_take(struct ch_bucket *bucket, const struct ch_limit *limit, int64_t now_ms)
{
	if (!limit->size)
		return true;
	if (ch_bucket_level(bucket, limit, now_ms) == 0)
		return false;
	if (bucket->tat_us < now_us(now_ms))
		bucket->tat_us = now_us(now_ms);
	bucket->tat_us += limit->refill_us;
	return true;
}

void ch_bucket_give_back(struct ch_bucket *bucket, const struct ch_limit *limit)
{
	if (limit->size)
		bucket->tat_us -= limit->refill_us;
}

void ch_bucket_learn(struct ch_bucket *bucket, const struct ch_limit *limit, int64_t until_ms)
{
	int64_t tat_us = now_us(until_ms) + full_us(limit) - limit->refill_us;

	if (limit->size && bucket->tat_us < tat_us)
		bucket->tat_us = tat_us;
}
