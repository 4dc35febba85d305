#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

static const char *log_role = "certherd";
static enum ch_log_level log_level = CH_LOG_INFO;
static const char *const level_words[] = {"error", "warn", "info", "debug"};

void ch_log_init(const char *role, enum ch_log_level level)
{
	log_role = role;
	log_level = level;
}

int ch_log_level_parse(const char *text, enum ch_log_level *ret_level)
{
	for (unsigned i = 0; i < sizeof(level_words) / sizeof(level_words[0]); i++) {
		if (strcmp(text, level_words[i]) == 0) {
			*ret_level = (enum ch_log_level)i;
			return CH_OK;
		}
	}
	return CH_EINVAL;
}

/* What could act on a terminal, or make a line look like another one, becomes '?': some of the
 * text is strangers'.  Returns the length. */
static size_t clean(char *line)
{
	size_t len = 0;

	for (const char *at = line; *at;) {
		uint32_t c = 0;
		size_t taken = ch_utf8_next(at, &c);

		if (taken == 0 || ch_utf8_is_harmful(c)) {
			line[len++] = '?';
			at += taken ? taken : 1;
			continue;
		}
		for (; taken > 0; taken--)
			line[len++] = *at++;
	}
	line[len] = '\0';
	return len;
}

void ch_log(enum ch_log_level level, const char *fmt, ...)
{
	char line[2048];
	char when[CH_TIME_STR_B];
	va_list args;
	int head;
	int body;
	size_t len;

	if (level > log_level)
		return;
	head = snprintf(line, sizeof(line), "%s %-5s %s  ", ch_time_str(ch_now_ms(), when),
		level_words[level], log_role);
	if (head < 0 || (size_t)head >= sizeof(line) - 2)
		return;
	va_start(args, fmt);
	body = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, args);
	va_end(args);
	if (body < 0)
		return;
	len = clean(line);
	line[len++] = '\n';
	/* One write, so that lines of several threads and processes do not mix. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}
