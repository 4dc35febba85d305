/* Lists of CAs as text: "main,backup". */
#ifndef CH_STORE_CAS_H
#define CH_STORE_CAS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Whether list names this one, of len bytes. */
static inline bool ch_cas_have(const char *list, const char *ca, size_t len)
{
	for (size_t n; *list; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		if (n == len && memcmp(list, ca, len) == 0)
			return true;
	}
	return false;
}

#endif
