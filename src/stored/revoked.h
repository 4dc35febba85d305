/* The revocation list: one `sha256:<hex of the certificate>` or `uri:certherd://…` a line,
 * '#' comments.  The file is looked at before every use and read again when it changed.  A list
 * that cannot be read or understood refuses everybody. */
#ifndef CH_STORED_REVOKED_H
#define CH_STORED_REVOKED_H

#include <stdint.h>

#include "base/err.h"

struct ch_revoked; /* thread-safe */

/* Fails when the list cannot be read now.  path is copied. */
CH_MUST int ch_revoked_new(
	const char *path, struct ch_revoked **ret_revoked, struct ch_err *err);
void ch_revoked_free(struct ch_revoked *revoked); /* NULL allowed */

/* digest: SHA-256 of the DER certificate.  CH_EAUTH when either is on the list or when the list
 * cannot be read (then *err says so). */
CH_MUST int ch_revoked_check(struct ch_revoked *revoked, const uint8_t digest[32],
	const char *uri, struct ch_err *err);

#endif
