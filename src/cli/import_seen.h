/* Names that an import has met in lines that the store took, with what their lines said: of two
 * lines for one name that say different things the last would win, and each run of the import
 * would turn it around. */
#ifndef CH_CLI_IMPORT_SEEN_H
#define CH_CLI_IMPORT_SEEN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* 50 MB: of a longer file the names that come after are not remembered. */
#define CH_IMPORT_SEEN_SLOTS ((size_t)1 << 21)

struct ch_import_seen {
	size_t slots_max;		   /* a power of two: CH_IMPORT_SEEN_SLOTS, or less */
	struct ch_import_seen_slot *slots; /* NULL: none yet */
	size_t n_slots;
	size_t n;
	uint64_t salt; /* names are strangers': they cannot foresee what falls together */
};

/* A line with this item (of a request's body).  CH_ECONFLICT: the same name stands in
 * *ret_line, with other settings.  CH_ENOMEM. */
CH_MUST int ch_import_seen_add(
	struct ch_import_seen *seen, const json_t *item, uint64_t line, uint64_t *ret_line);
/* The store has refused that line with this item: another one for the name may come. */
void ch_import_seen_refused(struct ch_import_seen *seen, const json_t *item, uint64_t line);
void ch_import_seen_done(struct ch_import_seen *seen);

#endif
