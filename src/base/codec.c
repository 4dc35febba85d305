#include "base/codec.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void ch_hex_encode(const uint8_t *bytes, size_t len, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		ret_text[2 * i] = digits[bytes[i] >> 4];
		ret_text[2 * i + 1] = digits[bytes[i] & 15];
	}
	ret_text[2 * len] = 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int ch_hex_decode(const char *text, uint8_t *ret_bytes, size_t len)
{
	if (strlen(text) != 2 * len)
		return CH_EINVAL;
	for (size_t i = 0; i < len; i++) {
		int hi = hex_digit(text[2 * i]);
		int lo = hex_digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return CH_EINVAL;
		ret_bytes[i] = (uint8_t)(hi << 4 | lo);
	}
	return CH_OK;
}

static const char b64u[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void ch_b64u_encode(const void *bytes, size_t len, char *ret_text)
{
	const uint8_t *in = bytes;
	uint32_t acc = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < len; i++) {
		acc = acc << 8 | in[i];
		for (bits += 8; bits >= 6; bits -= 6)
			*ret_text++ = b64u[acc >> (bits - 6) & 63];
	}
	if (bits)
		*ret_text++ = b64u[acc << (6 - bits) & 63];
	*ret_text = 0;
}

int ch_b64u_add(struct ch_buf *out, const void *bytes, size_t len)
{
	uint8_t *at;

	if (len > SIZE_MAX / 8) {
		out->rc = CH_ETOOBIG;
		return out->rc;
	}
	at = ch_buf_room(out, CH_B64U_TEXT_B(len));
	if (!at)
		return out->rc;
	ch_b64u_encode(bytes, len, (char *)at);
	out->len += strlen((char *)at);
	return CH_OK;
}

/* -1: none of the alphabet. */
static int b64u_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int ch_b64u_decode(
	const char *text, size_t text_len, uint8_t *ret_bytes, size_t max_b, size_t *ret_len)
{
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t out = 0;

	if (text_len % 4 == 1)
		return CH_EINVAL;
	for (size_t i = 0; i < text_len; i++) {
		int digit = b64u_digit(text[i]);

		if (digit < 0)
			return CH_EINVAL;
		acc = acc << 6 | (uint32_t)digit;
		bits += 6;
		if (bits >= 8) {
			if (out == max_b)
				return CH_ETOOBIG;
			bits -= 8;
			ret_bytes[out++] = (uint8_t)(acc >> bits);
		}
	}
	if (acc & ((1u << bits) - 1))
		return CH_EINVAL;
	*ret_len = out;
	return CH_OK;
}

int ch_b64u_decode_alloc(const char *text, size_t max_b, uint8_t **ret_bytes, size_t *ret_len)
{
	size_t text_len = strlen(text);
	CH_AUTO_FREE uint8_t *bytes = NULL;
	int rc;

	if (text_len / 4 * 3 > max_b)
		return CH_ETOOBIG;
	bytes = malloc(text_len / 4 * 3 + 3);
	if (!bytes)
		return CH_ENOMEM;
	rc = ch_b64u_decode(text, text_len, bytes, max_b, ret_len);
	if (rc)
		return rc;
	*ret_bytes = TAKE_PTR(bytes);
	return CH_OK;
}
