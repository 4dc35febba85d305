/* Progress of long work on stderr, and how a stop by a signal gets into it. */
#ifndef CH_STORED_TRANSFER_SHOW_H
#define CH_STORED_TRANSFER_SHOW_H

#include <jansson.h>
#include <stdio.h>

#include "store/transfer.h"

struct ch_transfer_show {
	int64_t began_ms;
	int64_t shown_ms;
	bool tty;
	bool on_screen;
	char doing[16]; /* what is being shown */
};

/* From now on SIGINT and SIGTERM end the work, which then leaves nothing behind. */
void ch_transfer_show_begin(struct ch_transfer_show *show, struct ch_transfer *ret_how);
void ch_transfer_show_end(struct ch_transfer_show *show);
/* NULL: no memory. */
json_t *ch_transfer_info_json(const struct ch_backup_info *info);
void ch_transfer_info_print(const struct ch_backup_info *info, FILE *out);

#endif
