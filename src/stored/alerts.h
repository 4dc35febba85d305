/* What the store sees of all that operators should know: looked at from a bounded number of
 * rows, however many names there are. */
#ifndef CH_STORED_ALERTS_H
#define CH_STORED_ALERTS_H

#include "store/store.h"

#define CH_TROUBLES_OWN "store" /* the source of what the store itself sees */

/* Every kind of alert: X(kind).  doc/alerts.md has a section for each. */
#define CH_ALERT_KINDS(X)                                                                      \
	X("certificates-in-danger")                                                            \
	X("names-failing")                                                                     \
	X("work-waits")                                                                        \
	X("platform-must-act")                                                                 \
	X("limit-short")                                                                       \
	X("edge-silent")                                                                       \
	X("edge-in-trouble")                                                                   \
	X("edge-behind")                                                                       \
	X("canary-stuck")                                                                      \
	X("feed-frozen")                                                                       \
	X("ca-out-of-order")                                                                   \
	X("account-refused")                                                                   \
	X("account-paused")                                                                    \
	X("clock-wrong")

struct ch_troubles {
	struct ch_arena *arena;
	struct ch_store_trouble *list; /* CH_STORE_TROUBLES_MAX */
	size_t n;
};

bool ch_alert_kind_is_known(const char *kind);

/* What the store sees now; the list is in the arena. */
CH_MUST int ch_troubles_look(
	struct ch_store *store, struct ch_arena *arena, struct ch_troubles *ret_troubles);

#endif
