#include "wire/checksum.h"

#include <string.h>

#include "crypto/keys.h"

_Static_assert(CH_CHECKSUM_B == CH_SHA256_B, "a checksum is a SHA-256");

int ch_checksum_add(struct ch_checksum *sum, const uint8_t *record, size_t len,
	uint8_t ret_record[CH_CHECKSUM_B])
{
	uint8_t both[2 * CH_CHECKSUM_B];
	uint8_t digest[CH_CHECKSUM_B];
	int rc = ch_sha256(record, len, both + CH_CHECKSUM_B);

	if (rc)
		return rc;
	memcpy(both, sum->digest, CH_CHECKSUM_B);
	rc = ch_sha256(both, sizeof(both), digest);
	if (rc)
		return rc;
	memcpy(sum->digest, digest, CH_CHECKSUM_B);
	sum->count++;
	if (ret_record)
		memcpy(ret_record, both + CH_CHECKSUM_B, CH_CHECKSUM_B);
	return CH_OK;
}
