/* How far an import is: one line that is rewritten on a terminal, else a line now and then. */
#ifndef CH_CLI_IMPORT_PROGRESS_H
#define CH_CLI_IMPORT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ch_import_progress {
	uint64_t created;
	uint64_t existing;
	uint64_t changed; /* of these */
	uint64_t rejected;
	uint64_t size_b; /* of the file; 0: not known */
	int64_t began_ms;
	int64_t shown_ms;
	bool tty;
	bool on_screen;
};

void ch_import_progress_begin(struct ch_import_progress *progress, uint64_t size_b);
/* After a batch; on stderr. */
void ch_import_progress_show(
	struct ch_import_progress *progress, uint64_t lines, uint64_t read_b);
/* Makes room for another line of output. */
void ch_import_progress_clear(struct ch_import_progress *progress);
/* "12,000 lines (48 %), 5,210 a second, 2m 3s left"; text_b at least 128. */
void ch_import_progress_text(const struct ch_import_progress *progress, uint64_t lines,
	uint64_t read_b, int64_t now_ms, char *ret_text, size_t text_b);

#endif
