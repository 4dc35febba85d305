#include "cli/import_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define PLAIN_EVERY_MS 5000

void ch_import_progress_begin(struct ch_import_progress *p, uint64_t size_b)
{
	memset(p, 0, sizeof(*p));
	p->size_b = size_b;
	p->began_ms = ch_mono_ms();
	p->shown_ms = p->began_ms;
	p->tty = isatty(STDERR_FILENO);
}

void ch_import_progress_text(const struct ch_import_progress *p, uint64_t lines,
	uint64_t read_b, int64_t now_ms, char *ret_text, size_t text_b)
{
	int64_t spent_ms = now_ms - p->began_ms;
	char left[CH_TIME_STR_B];
	int len = snprintf(ret_text, text_b, "%" PRIu64 " lines", lines);

	if (len > 0 && p->size_b && read_b <= p->size_b)
		len += snprintf(ret_text + len, text_b - (size_t)len, " (%" PRIu64 " %%)",
			read_b * 100 / p->size_b);
	if (spent_ms <= 0)
		return;
	len += snprintf(ret_text + len, text_b - (size_t)len, ", %" PRIu64 " a second",
		lines * 1000 / (uint64_t)spent_ms);
	if (p->size_b && read_b && read_b < p->size_b)
		snprintf(ret_text + len, text_b - (size_t)len, ", %s left",
			ch_duration_str(
				(int64_t)((double)spent_ms * (double)(p->size_b - read_b) /
					  (double)read_b),
				left));
}

void ch_import_progress_show(struct ch_import_progress *p, uint64_t lines, uint64_t read_b)
{
	int64_t now_ms = ch_mono_ms();
	char text[160];

	if (!p->tty && now_ms - p->shown_ms < PLAIN_EVERY_MS)
		return;
	p->shown_ms = now_ms;
	ch_import_progress_text(p, lines, read_b, now_ms, text, sizeof(text));
	if (!p->tty) {
		fprintf(stderr, "%s\n", text);
		return;
	}
	fprintf(stderr, "\r%s\033[K", text);
	fflush(stderr);
	p->on_screen = true;
}

void ch_import_progress_clear(struct ch_import_progress *p)
{
	if (!p->on_screen)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	p->on_screen = false;
}
