/* What no backup of the database holds and a restore needs: keys and lists in files of the
 * roles, as far as they are on this host.  A backup that had them would undo the separation. */
#ifndef CH_STORED_KEPT_H
#define CH_STORED_KEPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/conf.h"

#define CH_KEPT_MAX 64

enum ch_kept_state {
	CH_KEPT_UNCHECKED, /* it is here; no folder with copies was named */
	CH_KEPT_GOOD,	   /* a copy with the same content is in the folder */
	CH_KEPT_MISSING,   /* it is here, and no copy is */
	CH_KEPT_UNREADABLE,
};

struct ch_kept_item {
	char path[4096];
	const char *what; /* a sentence: what is lost with it */
	enum ch_kept_state state;
};

struct ch_kept {
	struct ch_kept_item items[CH_KEPT_MAX];
	size_t n;
};

/* folder: with copies, searched with what lies in it; NULL: nothing is compared. */
CH_MUST int ch_kept_check(
	struct ch_conf *conf, const char *folder, struct ch_kept *ret_kept, struct ch_err *err);
size_t ch_kept_count(const struct ch_kept *kept, enum ch_kept_state state);
void ch_kept_print(const struct ch_kept *kept, FILE *out);
/* NULL: no memory. */
json_t *ch_kept_json(const struct ch_kept *kept);

#endif
