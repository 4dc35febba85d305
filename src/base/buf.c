#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ch_buf_init(struct ch_buf *buf, size_t max_b)
{
	*buf = (struct ch_buf){.max_b = max_b};
}

void ch_buf_done(struct ch_buf *buf)
{
	free(buf->data);
	ch_buf_init(buf, buf->max_b);
}

void ch_buf_reset(struct ch_buf *buf)
{
	buf->len = 0;
	buf->rc = CH_OK;
	if (buf->data)
		buf->data[0] = 0;
}

uint8_t *ch_buf_room(struct ch_buf *buf, size_t extra_b)
{
	size_t want_b;
	uint8_t *grown;

	if (buf->rc)
		return NULL;
	if (extra_b > buf->max_b || buf->len > buf->max_b - extra_b) {
		buf->rc = CH_ETOOBIG;
		return NULL;
	}
	want_b = buf->len + extra_b + 1;
	if (want_b > buf->cap_b) {
		size_t cap_b = buf->cap_b ? buf->cap_b : 256;

		while (cap_b < want_b)
			cap_b *= 2;
		grown = realloc(buf->data, cap_b);
		if (!grown) {
			buf->rc = CH_ENOMEM;
			return NULL;
		}
		buf->data = grown;
		buf->cap_b = cap_b;
	}
	return buf->data + buf->len;
}

int ch_buf_add(struct ch_buf *buf, const void *bytes, size_t len)
{
	uint8_t *at = ch_buf_room(buf, len);

	if (!at)
		return buf->rc;
	if (len)
		memcpy(at, bytes, len);
	buf->len += len;
	buf->data[buf->len] = 0;
	return CH_OK;
}

int ch_buf_add_str(struct ch_buf *buf, const char *text)
{
	return ch_buf_add(buf, text, strlen(text));
}

static int add_int(struct ch_buf *buf, uint64_t v, unsigned bytes)
{
	uint8_t be[8];

	for (unsigned i = 0; i < bytes; i++)
		be[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
	return ch_buf_add(buf, be, bytes);
}

int ch_buf_add_u8(struct ch_buf *buf, uint8_t v)
{
	return add_int(buf, v, 1);
}

int ch_buf_add_u16(struct ch_buf *buf, uint16_t v)
{
	return add_int(buf, v, 2);
}

int ch_buf_add_u32(struct ch_buf *buf, uint32_t v)
{
	return add_int(buf, v, 4);
}

int ch_buf_add_u64(struct ch_buf *buf, uint64_t v)
{
	return add_int(buf, v, 8);
}

int ch_buf_addf(struct ch_buf *buf, const char *fmt, ...)
{
	va_list args;
	int len;
	uint8_t *at;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0) {
		if (!buf->rc)
			buf->rc = CH_EINVAL;
		return buf->rc;
	}
	at = ch_buf_room(buf, (size_t)len);
	if (!at)
		return buf->rc;
	va_start(args, fmt);
	vsnprintf((char *)at, (size_t)len + 1, fmt, args);
	va_end(args);
	buf->len += (size_t)len;
	return CH_OK;
}

const char *ch_buf_str(const struct ch_buf *buf)
{
	return buf->data && buf->len ? (const char *)buf->data : "";
}

void ch_reader_init(struct ch_reader *r, const void *bytes, size_t len)
{
	*r = (struct ch_reader){.at = bytes, .left = len};
}

const uint8_t *ch_read_bytes(struct ch_reader *r, size_t len)
{
	const uint8_t *at = r->at;

	if (r->rc || len > r->left) {
		r->rc = CH_EPROTO;
		return NULL;
	}
	r->at += len;
	r->left -= len;
	return at;
}

static uint64_t read_int(struct ch_reader *r, unsigned bytes)
{
	const uint8_t *at = ch_read_bytes(r, bytes);
	uint64_t v = 0;

	for (unsigned i = 0; at && i < bytes; i++)
		v = v << 8 | at[i];
	return v;
}

uint8_t ch_read_u8(struct ch_reader *r)
{
	return (uint8_t)read_int(r, 1);
}

uint16_t ch_read_u16(struct ch_reader *r)
{
	return (uint16_t)read_int(r, 2);
}

uint32_t ch_read_u32(struct ch_reader *r)
{
	return (uint32_t)read_int(r, 4);
}

uint64_t ch_read_u64(struct ch_reader *r)
{
	return read_int(r, 8);
}
