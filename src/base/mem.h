/* Cleanup attributes and ownership transfer. */
#ifndef CH_BASE_MEM_H
#define CH_BASE_MEM_H

#include <stdlib.h>
#include <unistd.h>

#define CH_CLEANUP(fn) __attribute__((cleanup(fn)))
#define CH_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Hands the pointer over: yields its value and leaves NULL behind, so that the cleanup
 * attribute of the variable has nothing to do. */
#define TAKE_PTR(p)                                                                            \
	({                                                                                     \
		__typeof__(p) *ch_take_from = &(p);                                            \
		__typeof__(p) ch_taken = *ch_take_from;                                        \
		*ch_take_from = NULL;                                                          \
		ch_taken;                                                                      \
	})

/* Defines fn_p(type *p) for CH_CLEANUP: calls fn(*p) when it is not NULL. */
#define CH_DEFINE_CLEANUP(type, fn)                                                            \
	static inline void fn##_p(type *p)                                                     \
	{                                                                                      \
		if (*p)                                                                        \
			fn(*p);                                                                \
	}

static inline void ch_free_p(void *p)
{
	free(*(void **)p);
}

static inline void ch_close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define CH_AUTO_FREE CH_CLEANUP(ch_free_p)
#define CH_AUTO_CLOSE CH_CLEANUP(ch_close_p)

#endif
