/* Gives edges what was held back from them when it may go on: a thread that has the store look
 * when a rule or what is held changed, and while something waits for a canary. */
#ifndef CH_STORED_RELEASE_H
#define CH_STORED_RELEASE_H

#include "base/err.h"
#include "store/store.h"

struct ch_release;

/* store outlives it.  Sets no hook: its owner calls ch_release_on_commit, before the start too.
 */
CH_MUST int ch_release_new(
	struct ch_store *store, struct ch_release **ret_release, struct ch_err *err);
CH_MUST int ch_release_start(struct ch_release *release, struct ch_err *err);
void ch_release_stop(struct ch_release *release); /* NULL and not started allowed */
void ch_release_free(struct ch_release *release); /* stopped; NULL allowed */

void ch_release_on_commit(struct ch_release *release, const struct ch_store_change *change);

#endif
