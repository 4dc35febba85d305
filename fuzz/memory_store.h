/* A store in memory that goes back to a state it was in, quickly: real SQLite, real writer
 * thread, no files. */
#ifndef CH_FUZZ_MEMORY_STORE_H
#define CH_FUZZ_MEMORY_STORE_H

#include "store/store.h"

/* Once per process.  The epoch of the feed is 00 01 … 0f. */
struct ch_store *ch_fuzz_store_open(void);
/* The next order or version gets this number, so that seeds can name it whatever else takes
 * numbers.  Only upwards. */
void ch_fuzz_store_number(uint64_t next);
/* The state that ch_fuzz_store_reset goes back to.  Nothing is under way in the store. */
void ch_fuzz_store_keep(void);
void ch_fuzz_store_reset(void);

#endif
