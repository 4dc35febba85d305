#include "parts.h"

#include <string.h>

#include "base/clock.h"

#define MARK "\n%%\n"

int64_t ch_fuzz_now_ms = CH_FUZZ_BEGIN_MS;

void ch_fuzz_parts_init(struct ch_fuzz_parts *parts, const uint8_t *data, size_t size)
{
	parts->at = size ? (const char *)data : NULL;
	parts->left = size;
}

bool ch_fuzz_parts_next(struct ch_fuzz_parts *parts, const char **ret_text, size_t *ret_len)
{
	const char *mark;

	if (!parts->at)
		return false;
	mark = memmem(parts->at, parts->left, MARK, strlen(MARK));
	*ret_text = parts->at;
	*ret_len = mark ? (size_t)(mark - parts->at) : parts->left;
	parts->left -= *ret_len + (mark ? strlen(MARK) : 0);
	parts->at = mark ? mark + strlen(MARK) : NULL;
	return true;
}

bool ch_fuzz_line(const char **text, size_t *len, const char **ret_line, size_t *ret_line_len)
{
	const char *end;
	size_t n;

	if (*len == 0)
		return false;
	end = memchr(*text, '\n', *len);
	n = end ? (size_t)(end - *text) : *len;
	*ret_line = *text;
	*ret_line_len = n && (*text)[n - 1] == '\r' ? n - 1 : n;
	n += end != NULL;
	*text += n;
	*len -= n;
	return true;
}

/* The length of the character at s, 0 when it is none. */
static size_t utf8_len(const unsigned char *s)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7Fu >> n);

	if ((s[0] >= 0x80 && s[0] < 0xC0) || s[0] >= 0xF8)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3F);
	}
	return c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF) ? 0 : n;
}

bool ch_fuzz_is_utf8(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t n = utf8_len(s);

		if (n == 0)
			return false;
		s += n;
	}
	return true;
}

bool ch_fuzz_is_plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7F)
			return false;
	return true;
}

void ch_fuzz_check_err(const struct ch_err *err)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	CH_FUZZ_CHECK(err->rc < 0);
	CH_FUZZ_CHECK(err->problem[0] && strspn(err->problem, set) == strlen(err->problem));
	CH_FUZZ_CHECK(err->detail[0]);
}

static int64_t fuzz_clock(void *arg)
{
	return ch_fuzz_now_ms;
}

void ch_fuzz_stop_clock(void)
{
	ch_clock_set(fuzz_clock, NULL);
}
