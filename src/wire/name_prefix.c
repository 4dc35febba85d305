/* What names begin with, as people write it. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "wire/name.h"

/* What makes the labels of a prefix a name. */
#define REST "example.com"
#define GIVEN_MAX_B 4096u

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if (*text & 0x80)
			return false;
	return true;
}

/* Behind the last dot of any script (RFC 3490 section 3.1): "." and those that a Chinese,
 * Japanese or Korean keyboard has. */
static const char *behind_last_dot(const char *text)
{
	static const char *const dots[] = {".", "\u3002", "\uff0e", "\uff61"};
	const char *behind = text;

	for (size_t i = 0; i < CH_ARRAY_LEN(dots); i++) {
		const char *at = text;

		while ((at = strstr(at, dots[i])) != NULL) {
			at += strlen(dots[i]);
			if (at > behind)
				behind = at;
		}
	}
	return behind;
}

/* The ASCII form of labels that are whole, with the dot after the last: that of any name that
 * begins so. */
static int labels_to_ascii(
	const char *labels, size_t len, char ret_ascii[CH_NAME_TEXT_B], struct ch_err *err)
{
	const struct ch_name_rules rules = {.allow_wildcard = true};
	CH_AUTO_BUF struct ch_buf name = {.max_b = GIVEN_MAX_B};
	char whole[CH_NAME_TEXT_B];
	int rc;

	if (ch_buf_add(&name, labels, len) || ch_buf_add_str(&name, REST))
		return ch_err_set(
			err, CH_EINVAL, "name-too-long", "the prefix is longer than a name");
	rc = ch_name_normalize(ch_buf_str(&name), name.len, &rules, whole, err);
	if (rc)
		return rc;
	whole[strlen(whole) - strlen(REST)] = 0;
	strcpy(ret_ascii, whole);
	return CH_OK;
}

static int refuse_beginning(const char *given, struct ch_err *err)
{
	CH_AUTO_BUF struct ch_buf whole = {.max_b = GIVEN_MAX_B};
	char ascii[CH_NAME_TEXT_B] = "";
	int rc;

	ch_buf_addf(&whole, "%s.", given);
	rc = labels_to_ascii(ch_buf_str(&whole), whole.len, ascii, err);
	return ch_err_set(err, CH_EINVAL, "prefix",
		"the prefix is of the names' ASCII form, which the beginning of a label with "
		"other letters does not have: give the label whole, with its dot%s%s%s%s%s",
		rc ? "" : ", \"", rc ? "" : ch_buf_str(&whole), rc ? "" : "\" (",
		rc ? "" : ascii, rc ? "" : ")");
}

int ch_name_prefix(const char *given, char ret_prefix[CH_NAME_PREFIX_B], struct ch_err *err)
{
	const char *rest = behind_last_dot(given);
	char ascii[CH_NAME_TEXT_B] = "";
	int rc = CH_OK;

	if (is_ascii(given))
		rest = given;
	else if (!is_ascii(rest))
		return refuse_beginning(given, err);
	else
		rc = labels_to_ascii(given, (size_t)(rest - given), ascii, err);
	if (rc)
		return rc;
	if (strlen(rest) >= CH_NAME_TEXT_B)
		return ch_err_set(
			err, CH_EINVAL, "name-too-long", "the prefix is longer than a name");
	snprintf(ret_prefix, CH_NAME_PREFIX_B, "%s%s", ascii, rest);
	return CH_OK;
}
