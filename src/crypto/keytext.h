/* Inside src/crypto only: keys as one printable line, PREFIX base64url(key || checksum), the
 * checksum being the first 4 bytes of the key's SHA-256; and files of such lines. */
#ifndef CH_CRYPTO_KEYTEXT_H
#define CH_CRYPTO_KEYTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CH_KEYTEXT_MAX_B 65 /* bytes of a key */

/* CH_ENOTFOUND when text does not start with prefix; CH_EINVAL when the rest is not key_len
 * bytes with the right checksum.  ret_key is wiped on failure. */
CH_MUST int ch_keytext_decode(const char *text, size_t text_len, const char *prefix,
	uint8_t *ret_key, size_t key_len);
/* CH_ETOOBIG when text_b is too small. */
CH_MUST int ch_keytext_encode(
	const char *prefix, const uint8_t *key, size_t key_len, char *ret_text, size_t text_b);

/* Calls line(text, number, arg, err) for each line that is neither empty nor a '#' comment,
 * trimmed; stops at the first error.  A line over 256 characters is an error. */
CH_MUST int ch_keytext_lines(const char *text,
	int (*line)(const char *text, unsigned number, void *arg, struct ch_err *err),
	void *arg, struct ch_err *err);

/* ch_file_read that refuses (CH_EAUTH) a file that group or others may write: whoever writes
 * it decides who can read keys, or whose records are believed. */
CH_MUST int ch_keytext_read_guarded(
	const char *path, size_t max_b, char **ret_text, size_t *ret_len, struct ch_err *err);

#endif
