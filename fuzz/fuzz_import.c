/* The file of `certherd domain import`: every line is a row or a rejection with a reason. */
#include <stdio.h>
#include <string.h>

#include "cli/import_read.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ch_import_reader reader;
	FILE *in = size ? fmemopen((void *)data, size, "r") : NULL;
	uint64_t line = 0;
	int rc = CH_OK;

	if (!in)
		return 0;
	ch_import_reader_init(&reader, in);
	while (rc == CH_OK || rc == CH_EINVAL || rc == CH_ETOOBIG) {
		struct ch_import_row row;
		struct ch_err err = {0};

		rc = ch_import_read(&reader, &row, &err);
		if (rc == CH_ENOTFOUND)
			break;
		CH_FUZZ_CHECK(reader.line > line || rc == CH_EIO);
		line = reader.line;
		CH_FUZZ_CHECK(strlen(reader.given) <= CH_IMPORT_LINE_MAX_B);
		if (rc == CH_OK)
			CH_FUZZ_CHECK(row.name && strlen(row.name) <= CH_IMPORT_LINE_MAX_B &&
				      row.www >= -1 && row.www <= 1);
		else
			CH_FUZZ_CHECK(err.problem[0] && err.detail[0]);
	}
	fclose(in);
	return 0;
}
