#include "cli/text.h"

#include <langinfo.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#define TEXT_MAX_B (1u << 20)

bool ch_text_is_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* Decodes one character (RFC 3629); 0 when the bytes are not UTF-8. */
static size_t decode(const unsigned char *s, uint32_t *ret_c)
{
	size_t len = s[0] < 0x80       ? 1
		     : s[0] >> 5 == 6  ? 2
		     : s[0] >> 4 == 14 ? 3
		     : s[0] >> 3 == 30 ? 4
				       : 0;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c;

	if (len == 0)
		return 0;
	c = len == 1 ? s[0] : s[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_c = c;
	return len;
}

static bool is_harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || /* C0, DEL, C1 */
	       c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) ||		      /* direction of writing */
	       (c >= 0x2028 && c <= 0x2029) ||		      /* line separators */
	       (c >= 0x200b && c <= 0x200d) || c == 0xfeff || /* invisible */
	       (c >= 0xe0000 && c <= 0xe007f);		      /* tags */
}

int ch_text_add_clean(struct ch_buf *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	bool utf8 = ch_text_is_utf8();

	while (*s) {
		uint32_t c = 0;
		size_t len = decode(s, &c);

		if (len == 0) {
			ch_buf_add_u8(out, '?');
			s++;
			continue;
		}
		if (is_harmful(c) || (c >= 0x80 && !utf8))
			ch_buf_add_u8(out, '?');
		else
			ch_buf_add(out, s, len);
		s += len;
	}
	return out->rc;
}

size_t ch_text_width(const char *clean)
{
	const unsigned char *s = (const unsigned char *)clean;
	size_t width = 0;

	while (*s) {
		uint32_t c = 0;
		size_t len = decode(s, &c);
		int columns = len ? wcwidth((wchar_t)c) : 1;

		width += columns < 0 ? 1 : (size_t)columns;
		s += len ? len : 1;
	}
	return width;
}

void ch_text_print(FILE *out, const char *text)
{
	struct ch_buf clean;

	ch_buf_init(&clean, TEXT_MAX_B);
	ch_text_add_clean(&clean, text);
	fputs(ch_buf_str(&clean), out);
	ch_buf_done(&clean);
}
