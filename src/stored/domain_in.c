#include "stored/domain_in.h"

#include <string.h>

#include "wire/name.h"

static bool is_of(const char *text, const char *characters, size_t max)
{
	size_t len = strlen(text);

	return len >= 1 && len <= max && strspn(text, characters) == len;
}

bool ch_domain_in_is_label(const char *text)
{
	return is_of(text, "abcdefghijklmnopqrstuvwxyz0123456789._-", CH_STORE_LABEL_MAX);
}

bool ch_domain_in_is_name(const char *text)
{
	return is_of(text, "abcdefghijklmnopqrstuvwxyz0123456789._-*", CH_NAME_TEXT_B - 1);
}

static const char *read_label(struct ch_json_in *in, const char *key)
{
	const char *text = ch_json_in_str(in, key, CH_JSON_OPTIONAL, CH_STORE_LABEL_MAX);

	if (text && !ch_domain_in_is_label(text))
		ch_json_in_fail(in, key, "\"%s\" must be 1 to %d of a-z, 0-9, '.', '_', '-'.",
			key, CH_STORE_LABEL_MAX);
	return text;
}

void ch_domain_in_read(struct ch_json_in *in, struct ch_store_put_item *item)
{
	item->www = CH_TRI_KEEP;
	if (ch_json_in_has(in, "www"))
		item->www = ch_json_in_bool(in, "www", false) ? CH_TRI_YES : CH_TRI_NO;
	else
		(void)ch_json_in_bool(in, "www", false);
	item->tenant = read_label(in, "tenant");
	item->pool = read_label(in, "pool");
}
