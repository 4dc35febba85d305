#include "acme/json.h"

#include <string.h>
#include <strings.h>

static bool too_deep(const char *text, size_t len)
{
	bool in_string = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > CH_ACME_DEPTH_MAX)
				return true;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return false;
}

int ch_acme_json_load(const void *bytes, size_t len, json_t **ret_doc, struct ch_err *err)
{
	json_error_t why;
	json_t *doc;

	if (len > CH_ACME_OBJECT_MAX_B)
		return ch_err_set(err, CH_ETOOBIG, "ca-answer-too-big",
			"The CA's answer is longer than %u bytes.", CH_ACME_OBJECT_MAX_B);
	/* The library's own limit on nesting is too generous for a stranger's bytes. */
	if (too_deep(bytes, len))
		return ch_err_set(err, CH_EPROTO, "ca-answer-too-deep",
			"The CA's answer is nested more than %d deep.", CH_ACME_DEPTH_MAX);
	doc = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(doc)) {
		json_decref(doc);
		return ch_err_set(err, CH_EPROTO, "ca-answer-not-json",
			"The CA's answer is not the JSON object that was expected.");
	}
	*ret_doc = doc;
	return CH_OK;
}

bool ch_acme_url_ok(const char *url)
{
	static const char scheme[] = "https://";
	const char *host;
	size_t len;

	if (!url)
		return false;
	len = strnlen(url, CH_ACME_URL_B);
	if (len >= CH_ACME_URL_B || strncmp(url, scheme, sizeof(scheme) - 1) != 0)
		return false;
	for (size_t i = 0; i < len; i++)
		if (url[i] <= ' ' || url[i] > '~' || url[i] == '\\' || url[i] == '"')
			return false;
	host = url + sizeof(scheme) - 1;
	return !strchr("/?#:", host[0]); /* nor the end */
}

/* What stands between "https://" and the path, without the default port. */
static const char *authority(const char *url, size_t *ret_len)
{
	const char *at = url + strlen("https://");
	size_t len = strcspn(at, "/?#");

	if (len > 4 && memcmp(at + len - 4, ":443", 4) == 0)
		len -= 4;
	*ret_len = len;
	return at;
}

bool ch_acme_url_same_host(const char *a, const char *b)
{
	size_t a_len;
	size_t b_len;

	if (!ch_acme_url_ok(a) || !ch_acme_url_ok(b))
		return false;
	a = authority(a, &a_len);
	b = authority(b, &b_len);
	return a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

static bool b64u_text_ok(const char *text, size_t most)
{
	static const char set[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t len;

	if (!text)
		return false;
	len = strnlen(text, most + 1);
	return len > 0 && len <= most && strspn(text, set) == len;
}

bool ch_acme_token_ok(const char *token)
{
	return b64u_text_ok(token, CH_ACME_TOKEN_B - 1);
}

bool ch_acme_nonce_ok(const char *nonce)
{
	return b64u_text_ok(nonce, CH_ACME_NONCE_B - 1);
}

const char *ch_acme_json_str(const json_t *doc, const char *key)
{
	return json_string_value(json_object_get(doc, key));
}

const char *ch_acme_text(const char *text, char *ret_text, size_t text_b)
{
	size_t len = text ? strlen(text) : 0;

	if (len >= text_b) {
		len = text_b - 1;
		while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
			len--;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		ret_text[i] = c < 0x20 || c == 0x7F ? ' ' : text[i];
	}
	ret_text[len] = 0;
	return ret_text;
}
