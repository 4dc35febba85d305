/* Independent pieces of work on several threads. */
#ifndef CH_ISSUERD_CREW_H
#define CH_ISSUERD_CREW_H

#include <stddef.h>

#define CH_CREW_MAX 64

/* Calls work(arg, i, who) once for each i below n, in no order, and returns when all is done.
 * who is below threads, and no two calls at a time have the same.  Where threads cannot be
 * started, fewer do it: the caller at least. */
void ch_crew_run(
	unsigned threads, size_t n, void (*work)(void *arg, size_t i, unsigned who), void *arg);
/* The host's processors, at most CH_CREW_MAX. */
unsigned ch_crew_default(void);

#endif
