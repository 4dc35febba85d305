/* The one type that holds secret bytes.  Memory comes from its own mapping: locked when the
 * limit allows, left out of core dumps, not inherited by a fork, wiped before it is released.
 */
#ifndef CH_BASE_SECRET_H
#define CH_BASE_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ch_secret; /* opaque; never copy the bytes into a general buffer */

/* len: 1 … 1 MiB, zero-filled.  CH_ETOOBIG, CH_ENOMEM. */
CH_MUST int ch_secret_new(size_t len, struct ch_secret **ret_secret);
/* Copies bytes in; the caller wipes its own copy. */
CH_MUST int ch_secret_from(const void *bytes, size_t len, struct ch_secret **ret_secret);
/* Reads a whole file, at most max_b.  Refuses (CH_EAUTH) a file that group or others can
 * access, unless it is owned by root and only group-readable. */
CH_MUST int ch_secret_read_file(
	const char *path, size_t max_b, struct ch_secret **ret_secret, struct ch_err *err);
/* Wipes and releases; NULL allowed. */
void ch_secret_free(struct ch_secret *secret);

uint8_t *ch_secret_bytes(struct ch_secret *secret);
size_t ch_secret_len(const struct ch_secret *secret);

/* Wipes memory in a way the compiler keeps. */
void ch_wipe(void *bytes, size_t len);

/* No core dumps and no ptrace by the same user from here on: call first thing in a process
 * that handles secrets. */
void ch_secret_harden_process(void);

static inline void ch_secret_free_p(struct ch_secret **secret)
{
	ch_secret_free(*secret);
}
#define CH_AUTO_SECRET __attribute__((cleanup(ch_secret_free_p)))

#endif
