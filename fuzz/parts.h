/* What several targets share: inputs of several parts, and what is checked of every refusal. */
#ifndef CH_FUZZ_PARTS_H
#define CH_FUZZ_PARTS_H

#include <stdbool.h>

#include "base/err.h"
#include "fuzz.h"

/* Parts are separated by lines that hold "%%" and nothing else. */
struct ch_fuzz_parts {
	const char *at; /* NULL: at the end */
	size_t left;
};
void ch_fuzz_parts_init(struct ch_fuzz_parts *parts, const uint8_t *data, size_t size);
/* False at the end; the part is borrowed from the input and has no NUL behind it. */
bool ch_fuzz_parts_next(struct ch_fuzz_parts *parts, const char **ret_text, size_t *ret_len);
/* The next line of a part, its end ("\n" or "\r\n") left out; false at the end. */
bool ch_fuzz_line(const char **text, size_t *len, const char **ret_line, size_t *ret_line_len);

/* As RFC 3629 has it: no surrogates, nothing overlong. */
bool ch_fuzz_is_utf8(const char *text);
/* No control characters. */
bool ch_fuzz_is_plain(const char *text);
/* An error says which one it is, by a stable code, and what is wrong. */
void ch_fuzz_check_err(const struct ch_err *err);

/* From now on the time is ch_fuzz_now_ms, which only the target moves. */
extern int64_t ch_fuzz_now_ms;
void ch_fuzz_stop_clock(void);
#define CH_FUZZ_BEGIN_MS INT64_C(1800000000000) /* 2027-01-15 */

#endif
