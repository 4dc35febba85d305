/* Renewal information (RFC 9773): by which name a CA knows a certificate, and when it wants it
 * renewed. */
#ifndef CH_ACME_ARI_H
#define CH_ACME_ARI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* The longest of each part that is taken, and both as text with a dot and a NUL.  A serial has
 * at most 20 bytes (RFC 5280 section 4.1.2.2), a key identifier is a digest. */
#define CH_ACME_CERT_ID_PART_B 64
#define CH_ACME_CERT_ID_B 176

struct ch_acme_window {
	int64_t start_ms;
	int64_t end_ms; /* > start_ms */
	const char
		*explanation; /* an https URL for people, borrowed from the document; or NULL */
};

/* The certID of section 4.1, of exactly one certificate in DER.  CH_EPROTO (not a certificate),
 * CH_ENOTFOUND (it has no authority key identifier, or one that is too long: the CA cannot be
 * asked). */
CH_MUST int ch_acme_cert_id(
	const uint8_t *der, size_t len, char ret_id[CH_ACME_CERT_ID_B], struct ch_err *err);
/* Whether the text has the form of one.  NULL allowed. */
bool ch_acme_cert_id_ok(const char *id);

/* A RenewalInfo object.  CH_EPROTO: no window, or one that ends before it begins, which counts
 * as a fetch that failed (section 4.2).  An explanation that is no https URL is left out. */
CH_MUST int ch_acme_window_read(
	const json_t *doc, struct ch_acme_window *ret_window, struct ch_err *err);

#endif
