#include "cli/text.h"

#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <wchar.h>

#include "base/utf8.h"

#define TEXT_MAX_B (1u << 20)

void ch_text_init(void)
{
	setlocale(LC_CTYPE, "");
	/* Names, headers and words of protocols are compared as ASCII wherever we run: in
	 * Turkish 'I' is no capital 'i', in Latin-1 there are more letters than DNS names have.
	 */
	if (!ch_text_is_utf8() || !setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "C");
}

bool ch_text_is_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

int ch_text_add_clean(struct ch_buf *out, const char *text)
{
	bool utf8 = ch_text_is_utf8();

	while (*text) {
		uint32_t c = 0;
		size_t len = ch_utf8_next(text, &c);

		if (len == 0) {
			ch_buf_add_u8(out, '?');
			text++;
			continue;
		}
		if (ch_utf8_is_harmful(c) || (c >= 0x80 && !utf8))
			ch_buf_add_u8(out, '?');
		else
			ch_buf_add(out, text, len);
		text += len;
	}
	return out->rc;
}

size_t ch_text_width(const char *clean)
{
	size_t width = 0;

	while (*clean) {
		uint32_t c = 0;
		size_t len = ch_utf8_next(clean, &c);
		int columns = len ? wcwidth((wchar_t)c) : 1;

		width += columns < 0 ? 1 : (size_t)columns;
		clean += len ? len : 1;
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
