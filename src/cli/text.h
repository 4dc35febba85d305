/* Text for a terminal.  What the store says may have come from strangers: control characters,
 * bidirectional overrides and broken UTF-8 never get through. */
#ifndef CH_CLI_TEXT_H
#define CH_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"

/* The character set is the locale's; what letters are, and which belong together, is not. */
void ch_text_init(void);
/* Whether the locale's character set is UTF-8; else everything beyond ASCII is shown as '?'. */
bool ch_text_is_utf8(void);
/* Appends text with '?' in place of every byte or character that must not reach a terminal. */
int ch_text_add_clean(struct ch_buf *out, const char *text);
/* Columns that a clean text takes. */
size_t ch_text_width(const char *clean);
/* Prints text cleaned. */
void ch_text_print(FILE *out, const char *text);

#endif
