/* Connections of clients that have not shown yet who they are: each has a short time for that,
 * however slowly it sends, so that strangers cannot hold all the places.  Who is known has to
 * show it again before long, with another request: a right that was taken away ends, even for
 * who sends or reads slowly, or asks only for what everybody may have.  libmicrohttpd's own
 * timeout only counts silence. */
#ifndef CH_NET_STRANGERS_H
#define CH_NET_STRANGERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ch_strangers;
struct ch_stranger;

/* Starts a thread that shuts a connection down after patience_ms, or known_ms after it was
 * known last.  most: when more than so many are unknown at a time, the oldest has to go for the
 * newest, so that there is always a place for somebody who shows at once who he is. */
CH_MUST int ch_strangers_new(int64_t patience_ms, int64_t known_ms, size_t most,
	struct ch_strangers **ret_strangers, struct ch_err *err);
/* Every stranger has left.  NULL allowed. */
void ch_strangers_free(struct ch_strangers *strangers);

/* fd stays open until ch_strangers_leave.  NULL when out of memory. */
struct ch_stranger *ch_strangers_enter(struct ch_strangers *strangers, int fd);
/* It is known now, for known_ms from each such call on. */
void ch_strangers_know(struct ch_strangers *strangers, struct ch_stranger *stranger);
/* It was refused: it is a stranger, if it is not one yet, and its time runs from now on. */
void ch_strangers_doubt(struct ch_strangers *strangers, struct ch_stranger *stranger);
/* The connection closes; frees stranger.  NULL allowed. */
void ch_strangers_leave(struct ch_strangers *strangers, struct ch_stranger *stranger);

#endif
