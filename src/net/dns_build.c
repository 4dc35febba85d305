#include "net/dns_build.h"

#include <ctype.h>
#include <string.h>

#define LABEL_MAX 63
#define WIRE_NAME_MAX 255

static int bad_name(struct ch_buf *out)
{
	if (!out->rc)
		out->rc = CH_EINVAL;
	return out->rc;
}

int ch_dns_add_name(struct ch_buf *out, const char *name)
{
	size_t before = out->len;

	while (*name) {
		size_t len = strcspn(name, ".");

		if (len == 0 || len > LABEL_MAX)
			return bad_name(out);
		ch_buf_add_u8(out, (uint8_t)len);
		for (size_t i = 0; i < len; i++)
			ch_buf_add_u8(out, (uint8_t)tolower((unsigned char)name[i]));
		name += len;
		name += *name == '.';
	}
	ch_buf_add_u8(out, 0);
	if (out->len - before > WIRE_NAME_MAX)
		return bad_name(out);
	return out->rc;
}

int ch_dns_query_build(uint16_t id, const char *name, enum ch_dns_type type, struct ch_buf *out)
{
	ch_buf_add_u16(out, id);
	ch_buf_add_u16(out, 0);
	ch_buf_add_u16(out, 1); /* one question, and nothing else */
	ch_buf_add_u16(out, 0);
	ch_buf_add_u32(out, 0);
	ch_dns_add_name(out, name);
	ch_buf_add_u16(out, (uint16_t)type);
	return ch_buf_add_u16(out, CH_DNS_CLASS_IN);
}
