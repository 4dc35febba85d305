/* What every fuzz target defines (libFuzzer's entry point).  A target aborts when a promise of
 * the code under test is broken; sanitizers find the rest. */
#ifndef CH_FUZZ_H
#define CH_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Optional: called after a folder of seeds was replayed.  Aborts when the seeds no longer reach
 * what they are there for. */
void ch_fuzz_replayed(void) __attribute__((weak));

#define CH_FUZZ_CHECK(condition)                                                               \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__,       \
				#condition);                                                   \
			abort();                                                               \
		}                                                                              \
	} while (0)

#endif
