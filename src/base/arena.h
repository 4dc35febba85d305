/* Memory that is released together: one arena per request, operation or order step.
 *
 * Not safe for two threads at once; whoever fills it and whoever frees it agree on a hand-over.
 * Secrets do not belong here (base/secret.h). */
#ifndef CH_BASE_ARENA_H
#define CH_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct ch_arena;

/* max_b: the sum of all allocations stays under this; 0: 64 MiB.  CH_ENOMEM. */
CH_MUST int ch_arena_new(size_t max_b, struct ch_arena **ret_arena);
/* Releases everything that was taken from it; NULL allowed. */
void ch_arena_free(struct ch_arena *arena);

/* Zero-filled, aligned for any type; NULL when out of memory or over the limit.  Valid until
 * the arena is freed. */
void *ch_arena_alloc(struct ch_arena *arena, size_t size_b);
/* n elements of size_b; NULL also when the product overflows. */
void *ch_arena_array(struct ch_arena *arena, size_t n, size_t size_b);
/* A copy of len bytes followed by a NUL that is not counted. */
void *ch_arena_copy(struct ch_arena *arena, const void *bytes, size_t len);
/* A copy of text; NULL for NULL. */
char *ch_arena_str(struct ch_arena *arena, const char *text);
char *ch_arena_fmt(struct ch_arena *arena, const char *fmt, ...) CH_PRINTF(2, 3);

CH_DEFINE_CLEANUP(struct ch_arena *, ch_arena_free)
#define CH_AUTO_ARENA CH_CLEANUP(ch_arena_free_p)

#endif
