/* Whole files: read with a cap, written so that a crash leaves the old or the new content. */
#ifndef CH_BASE_FILE_H
#define CH_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* A NUL follows the content and is not counted; the caller frees *ret_text.
 * CH_ENOTFOUND, CH_ETOOBIG over max_b, CH_EIO. */
CH_MUST int ch_file_read(
	const char *path, size_t max_b, char **ret_text, size_t *ret_len, struct ch_err *err);
/* Temporary file beside it, fsync, rename, fsync of the folder.  Replaces what is there. */
CH_MUST int ch_file_write_atomic(
	const char *path, const void *bytes, size_t len, mode_t mode, struct ch_err *err);
/* The same but refuses (CH_EEXIST) when path exists: nothing is ever overwritten. */
CH_MUST int ch_file_create(
	const char *path, const void *bytes, size_t len, mode_t mode, struct ch_err *err);

/* What a process that was killed left of a file that it was writing by one of the two above: a
 * regular file whose name is that one's with ".tmp." and 16 hexadecimal digits behind it, and
 * that nobody has written to for CH_FILE_STALE_MS.  It is removed, if it can be.  For the
 * process that the folder belongs to, when it starts. */
#define CH_FILE_STALE_MS (60 * 60 * INT64_C(1000))
void ch_file_sweep(const char *path);
/* Of all files of a folder whose names `is_ours` knows. */
void ch_file_sweep_folder(const char *folder, bool (*is_ours)(const char *name));

#endif
