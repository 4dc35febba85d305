/* Characters of text that strangers wrote. */
#ifndef CH_BASE_UTF8_H
#define CH_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes the character that begins text, which ends with a NUL (RFC 3629), and returns its
 * length; 0: these bytes are no UTF-8. */
size_t ch_utf8_next(const char *text, uint32_t *ret_c);
/* Control characters, and those that change the direction of writing, break lines, or cannot be
 * seen: shown as they are they could make a text look like another one. */
bool ch_utf8_is_harmful(uint32_t c);

#endif
