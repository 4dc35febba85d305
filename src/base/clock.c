#include "base/clock.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIME_FORM "0000-00-00T00:00:00"

static int64_t (*clock_fn)(void *arg);
static void *clock_arg;

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t ch_now_ms(void)
{
	return clock_fn ? clock_fn(clock_arg) : read_clock(CLOCK_REALTIME);
}

int64_t ch_mono_ms(void)
{
	return clock_fn ? clock_fn(clock_arg) : read_clock(CLOCK_MONOTONIC);
}

void ch_clock_set(int64_t (*fn)(void *arg), void *arg)
{
	clock_fn = fn;
	clock_arg = arg;
}

const char *ch_time_str(int64_t at_ms, char ret_text[CH_TIME_STR_B])
{
	int64_t ms = at_ms % 1000;
	time_t s = (time_t)(at_ms / 1000);
	struct tm tm;

	if (ms < 0) {
		ms += 1000;
		s--;
	}
	if (!gmtime_r(&s, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
		snprintf(ret_text, CH_TIME_STR_B, "-");
		return ret_text;
	}
	snprintf(ret_text, CH_TIME_STR_B, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		(unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
		(unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
		(unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100, (unsigned)ms % 1000);
	return ret_text;
}

/* sscanf would take signs and spaces for digits. */
static bool begins_as_time(const char *text)
{
	for (const char *form = TIME_FORM; *form; form++, text++)
		if (*form == '0' ? *text < '0' || *text > '9' : *text != *form)
			return false;
	return true;
}

int ch_time_parse(const char *text, int64_t *ret_ms)
{
	struct tm tm = {0};
	struct tm back;
	int64_t ms = 0;
	time_t s;

	if (!begins_as_time(text) ||
		sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			&tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return CH_EINVAL;
	text += sizeof(TIME_FORM) - 1;
	if (*text == '.') {
		int scale = 100;

		for (text++; *text >= '0' && *text <= '9'; text++, scale /= 10)
			ms += (*text - '0') * scale;
	}
	if (strcmp(text, "Z") != 0)
		return CH_EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	back = tm;
	s = timegm(&back);
	/* timegm normalizes 31 February: a date that changes is not a date. */
	if (back.tm_mday != tm.tm_mday || back.tm_mon != tm.tm_mon ||
		back.tm_hour != tm.tm_hour || back.tm_min != tm.tm_min ||
		back.tm_sec != tm.tm_sec)
		return CH_EINVAL;
	*ret_ms = (int64_t)s * 1000 + ms;
	return CH_OK;
}

static const struct {
	const char *unit;
	int64_t ms;
} units[] = {
	{"d", CH_DAY_MS},
	{"h", CH_HOUR_MS},
	{"m", CH_MINUTE_MS},
	{"s", CH_SECOND_MS},
	{"ms", 1},
};

int ch_duration_parse(const char *text, int64_t *ret_ms)
{
	const int64_t most_ms = 36525 * CH_DAY_MS;
	int64_t n = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		n = n * 10 + (*at - '0');
		if (n > most_ms)
			return CH_EINVAL;
	}
	if (at == text)
		return CH_EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(at, units[i].unit) == 0) {
			if (n > most_ms / units[i].ms)
				return CH_EINVAL;
			*ret_ms = n * units[i].ms;
			return CH_OK;
		}
	}
	return CH_EINVAL;
}

const char *ch_duration_str(int64_t span_ms, char ret_text[CH_TIME_STR_B])
{
	const char *sign = span_ms < 0 ? "-" : "";
	int64_t span = span_ms < 0 ? -span_ms : span_ms;

	for (size_t i = 0; i < 3; i++) {
		if (span >= units[i].ms) {
			snprintf(ret_text, CH_TIME_STR_B, "%s%" PRId64 "%s %" PRId64 "%s", sign,
				span / units[i].ms, units[i].unit,
				span % units[i].ms / units[i + 1].ms, units[i + 1].unit);
			return ret_text;
		}
	}
	snprintf(ret_text, CH_TIME_STR_B, "%s%" PRId64 "s", sign, span / CH_SECOND_MS);
	return ret_text;
}
