/* A growable byte buffer with a cap, and a reader over borrowed bytes.  Both latch the first
 * error: write or read a whole message, then check once.  Integers are big-endian. */
#ifndef CH_BASE_BUF_H
#define CH_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct ch_buf {
	uint8_t *data; /* owned; always followed by a NUL that is not counted in len */
	size_t len;
	size_t cap_b;
	size_t max_b; /* grow no further than this */
	int rc;	      /* first error, or 0 */
};

/* max_b: the limit in bytes; allocates nothing yet. */
void ch_buf_init(struct ch_buf *buf, size_t max_b);
/* Frees and wipes nothing: secrets do not belong here (base/secret.h).  Ready for reuse. */
void ch_buf_done(struct ch_buf *buf);
/* Keeps the memory, forgets content and error. */
void ch_buf_reset(struct ch_buf *buf);

/* These return buf->rc: CH_ETOOBIG over the cap, CH_ENOMEM, or an earlier error. */
int ch_buf_add(struct ch_buf *buf, const void *bytes, size_t len);
int ch_buf_add_str(struct ch_buf *buf, const char *text);
int ch_buf_add_u8(struct ch_buf *buf, uint8_t v);
int ch_buf_add_u16(struct ch_buf *buf, uint16_t v);
int ch_buf_add_u32(struct ch_buf *buf, uint32_t v);
int ch_buf_add_u64(struct ch_buf *buf, uint64_t v);
int ch_buf_addf(struct ch_buf *buf, const char *fmt, ...) CH_PRINTF(2, 3);
/* Makes room for extra_b more bytes and returns where to write them (NULL on error); the
 * caller adds what it wrote to buf->len. */
uint8_t *ch_buf_room(struct ch_buf *buf, size_t extra_b);
/* The content as a C string; "" when empty.  Borrowed until the next change. */
const char *ch_buf_str(const struct ch_buf *buf);

struct ch_reader {
	const uint8_t *at; /* borrowed */
	size_t left;
	int rc; /* CH_EPROTO after a read past the end */
};

void ch_reader_init(struct ch_reader *r, const void *bytes, size_t len);
/* 0 (or NULL) after an error, which stays latched in r->rc. */
uint8_t ch_read_u8(struct ch_reader *r);
uint16_t ch_read_u16(struct ch_reader *r);
uint32_t ch_read_u32(struct ch_reader *r);
uint64_t ch_read_u64(struct ch_reader *r);
const uint8_t *ch_read_bytes(struct ch_reader *r, size_t len);

#define CH_AUTO_BUF CH_CLEANUP(ch_buf_done)

#endif
