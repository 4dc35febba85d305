#include "store/schema.h"

#include <inttypes.h>

int ch_schema_check(int64_t version, int64_t compatible_from, unsigned knows,
	const char *database, struct ch_err *err)
{
	if (version <= (int64_t)knows || compatible_from <= (int64_t)knows)
		return CH_OK;
	return ch_err_set(err, CH_EUNSUPPORTED, "schema-newer",
		"%.300s has schema %" PRId64
		", made by a newer certherd, for programs that know "
		"schema %" PRId64
		" or newer; this one knows up to %u: start the newer program, or "
		"put back the backup from before the upgrade",
		database, version, compatible_from, knows);
}
