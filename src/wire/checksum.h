/* Whether two places hold the same records: the store and a replica compute it alike.
 *
 *   d[0] = 32 zero bytes;  d[i] = SHA-256(d[i-1] || SHA-256(record[i]))
 *
 * over the records (wire/record.h; name, version and certificate are all in them) in the order
 * of the bytes of their keys.  Tombstones are left out: they are forgotten at different times
 * in different places. */
#ifndef CH_WIRE_CHECKSUM_H
#define CH_WIRE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CH_CHECKSUM_B 32

struct ch_checksum { /* begins as {0} */
	uint8_t digest[CH_CHECKSUM_B];
	uint64_t count;
};

/* ret_record, which may be NULL: the SHA-256 of this record alone.  CH_ECRYPTO. */
CH_MUST int ch_checksum_add(struct ch_checksum *sum, const uint8_t *record, size_t len,
	uint8_t ret_record[CH_CHECKSUM_B]);

#endif
