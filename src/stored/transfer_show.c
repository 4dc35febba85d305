#include "stored/transfer_show.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define TTY_EVERY_MS 200
#define PLAIN_EVERY_MS 5000

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	stopped = 1;
}

static void show_rows(struct ch_transfer_show *show, const char *doing, uint64_t rows,
	uint64_t all_rows, int64_t now)
{
	int64_t spent_ms = now - show->began_ms;
	char left[CH_TIME_STR_B] = "";
	char text[160];
	int len;

	if (strcmp(doing, "wait") == 0) {
		len = snprintf(text, sizeof(text),
			"all is copied: stop the store now; what has changed since follows "
			"then");
	} else if (!all_rows) {
		len = snprintf(text, sizeof(text), "%s", doing);
	} else {
		len = snprintf(text, sizeof(text), "%s %" PRIu64 " of %" PRIu64 " (%d %%)",
			doing, rows, all_rows, (int)(rows * 100 / all_rows));
		if (spent_ms > 0 && rows)
			snprintf(text + len, sizeof(text) - (size_t)len,
				", %" PRIu64 " rows a second, %s left",
				rows * 1000 / (uint64_t)spent_ms,
				ch_duration_str(
					(int64_t)((double)spent_ms * (double)(all_rows - rows) /
						  (double)rows),
					left));
	}
	fprintf(stderr, show->tty ? "\r%s\033[K" : "%s\n", text);
	fflush(stderr);
	show->on_screen = show->tty;
}

static int tell(const char *doing, uint64_t rows, uint64_t all_rows, void *arg)
{
	struct ch_transfer_show *show = arg;
	int64_t now = ch_mono_ms();
	bool another = strcmp(doing, show->doing) != 0;

	if (stopped)
		return CH_ECANCELED;
	if (another) {
		snprintf(show->doing, sizeof(show->doing), "%s", doing);
		show->began_ms = now;
	}
	/* That the store is to be stopped is told at once, and once. */
	if (strcmp(doing, "wait") == 0
			? !another
			: now - show->shown_ms < (show->tty ? TTY_EVERY_MS : PLAIN_EVERY_MS))
		return CH_OK;
	show->shown_ms = now;
	show_rows(show, doing, rows, all_rows, now);
	return CH_OK;
}

void ch_transfer_show_begin(struct ch_transfer_show *show, struct ch_transfer *ret_how)
{
	struct sigaction action = {.sa_handler = on_signal};

	*show = (struct ch_transfer_show){
		.began_ms = ch_mono_ms(), .tty = isatty(STDERR_FILENO)};
	show->shown_ms = show->began_ms;
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	*ret_how = (struct ch_transfer){.progress = tell, .arg = show};
}

void ch_transfer_show_end(struct ch_transfer_show *show)
{
	if (!show->on_screen)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	show->on_screen = false;
}

json_t *ch_transfer_info_json(const struct ch_backup_info *info)
{
	char made[CH_TIME_STR_B];

	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "made_at",
		ch_time_str(info->made_at_ms, made), "source", info->source, "version",
		info->version, "schema", (json_int_t)info->schema, "rows",
		(json_int_t)info->rows, "names", (json_int_t)info->names, "certificates",
		(json_int_t)info->certs, "open_orders", (json_int_t)info->open_orders, "bytes",
		(json_int_t)info->size_b);
}

void ch_transfer_info_print(const struct ch_backup_info *info, FILE *out)
{
	char made[CH_TIME_STR_B];

	fprintf(out,
		"Made at       %s by certherd %s, of %s\n"
		"Names         %" PRIu64 "\n"
		"Certificates  %" PRIu64 ", with their keys as the store has them: sealed\n"
		"Open orders   %" PRIu64 "\n"
		"Size          %.1f MB, %" PRIu64 " rows\n",
		ch_time_str(info->made_at_ms, made), info->version,
		strcmp(info->source, "sqlite") == 0 ? "SQLite" : "PostgreSQL", info->names,
		info->certs, info->open_orders, (double)info->size_b / 1e6, info->rows);
}
