/* The file of names that a worker of nginx writes, so that the one that is started next can
 * open their keys in advance:
 *
 *   certherd names 1
 *   shop.example.com        most used first; lower-case A-labels, "*." allowed in front
 *   …
 *   end 2                   how many there are
 *
 * It may come from anybody who can write there, so that it is worth no more than a hint: names
 * to look up, in a replica that says which of them are served. */
#ifndef CH_EDGE_NAMELIST_H
#define CH_EDGE_NAMELIST_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/record.h"

#define CH_NAMELIST_MAX 100000u
#define CH_NAMELIST_FRAME_B 64u
/* The longest file with so many names. */
#define CH_NAMELIST_B(n) (CH_NAMELIST_FRAME_B + (size_t)(n) * (CH_NAME_MAX + 1))

struct ch_namelist { /* borrows the text */
	const char *text;
	size_t len; /* without the last line */
	size_t at;
	size_t n;
	size_t taken;
};

/* Looks at the first line and the last one only, so that it costs the same for any length.
 * CH_EPROTO: no such file, or cut. */
CH_MUST int ch_namelist_open(const char *text, size_t len, struct ch_namelist *ret_list);
/* The next name, not NUL-terminated.  CH_ENOTFOUND: that was all; CH_EPROTO: no name follows,
 * or more or fewer than were promised. */
CH_MUST int ch_namelist_next(struct ch_namelist *list, const char **ret_name, size_t *ret_len);

/* Errors latch in out. */
void ch_namelist_begin(struct ch_buf *out);
void ch_namelist_add(struct ch_buf *out, const char *name, size_t len);
void ch_namelist_end(struct ch_buf *out, size_t n);

#endif
