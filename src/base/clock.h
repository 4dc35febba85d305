/* The one clock.  Tests and the simulator replace it to run a year in seconds. */
#ifndef CH_BASE_CLOCK_H
#define CH_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CH_SECOND_MS INT64_C(1000)
#define CH_MINUTE_MS (60 * CH_SECOND_MS)
#define CH_HOUR_MS (60 * CH_MINUTE_MS)
#define CH_DAY_MS (24 * CH_HOUR_MS)

/* Wall clock, Unix milliseconds. */
int64_t ch_now_ms(void);
/* Monotonic milliseconds; only differences mean anything. */
int64_t ch_mono_ms(void);

/* From now on ch_now_ms and ch_mono_ms return fn(arg); NULL restores the real clock.
 * Call before threads start. */
void ch_clock_set(int64_t (*fn)(void *arg), void *arg);

/* RFC 3339 in UTC with milliseconds: "2026-11-22T10:12:00.123Z". */
#define CH_TIME_STR_B 32
const char *ch_time_str(int64_t at_ms, char ret_text[CH_TIME_STR_B]);
/* Accepts the form above, the milliseconds optional.  CH_EINVAL otherwise. */
CH_MUST int ch_time_parse(const char *text, int64_t *ret_ms);

/* "250ms", "30s", "10m", "3h", "90d"; no sign, at most 100 years.  CH_EINVAL otherwise. */
CH_MUST int ch_duration_parse(const char *text, int64_t *ret_ms);
/* For people: "3d 4h", "12m 5s", "0s"; two units at most. */
const char *ch_duration_str(int64_t span_ms, char ret_text[CH_TIME_STR_B]);

#endif
