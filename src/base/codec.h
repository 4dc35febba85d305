/* Hex and base64url (RFC 4648 section 5, unpadded, strict). */
#ifndef CH_BASE_CODEC_H
#define CH_BASE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Lower-case hex with a NUL: ret_text has room for 2 * len + 1. */
void ch_hex_encode(const uint8_t *bytes, size_t len, char *ret_text);
/* Exactly 2 * len hex digits.  CH_EINVAL. */
CH_MUST int ch_hex_decode(const char *text, uint8_t *ret_bytes, size_t len);

/* Bytes needed for the text of len bytes, NUL included. */
#define CH_B64U_TEXT_B(len) (((len)*4 + 2) / 3 + 1)
void ch_b64u_encode(const void *bytes, size_t len, char *ret_text);
int ch_b64u_add(struct ch_buf *out, const void *bytes, size_t len);
/* Refuses padding, white space, non-zero trailing bits.  *ret_len ≤ max_b.
 * CH_EINVAL, CH_ETOOBIG. */
CH_MUST int ch_b64u_decode(
	const char *text, size_t text_len, uint8_t *ret_bytes, size_t max_b, size_t *ret_len);
/* Into a fresh allocation that the caller frees. */
CH_MUST int ch_b64u_decode_alloc(
	const char *text, size_t max_b, uint8_t **ret_bytes, size_t *ret_len);

#endif
