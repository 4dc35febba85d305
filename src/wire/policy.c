#include "wire/policy.h"

#include <stdio.h>
#include <string.h>

#include "wire/name.h"

#define UPSTREAM_MAX 63

const char *ch_policy_word(enum ch_policy_tag tag)
{
	switch (tag) {
	case CH_POLICY_UPSTREAM:
		return "upstream";
	case CH_POLICY_HSTS:
		return "hsts";
	case CH_POLICY_REDIRECT:
		return "redirect";
	case CH_POLICY_TENANT:
	case CH_POLICY_TAG_COUNT:
		break;
	}
	return NULL;
}

static int normalize_redirect(
	const char *text, char ret_text[CH_POLICY_TEXT_B], struct ch_err *err)
{
	static const struct ch_name_rules rules = {.allow_wildcard = false};
	char name[CH_NAME_TEXT_B];
	struct ch_err why;

	if (strcmp(text, "none") == 0)
		strcpy(name, text);
	else if (ch_name_normalize(text, strlen(text), &rules, name, &why))
		return ch_err_set(err, CH_EINVAL, "bad-field",
			"redirect must be \"none\" or the name to redirect to: %s", why.detail);
	memcpy(ret_text, name, strlen(name) + 1);
	return CH_OK;
}

int ch_policy_normalize(enum ch_policy_tag tag, const char *text,
	char ret_text[CH_POLICY_TEXT_B], struct ch_err *err)
{
	if (strlen(text) >= CH_POLICY_TEXT_B)
		return ch_err_set(err, CH_EINVAL, "bad-field", "%s may be %d bytes long",
			ch_policy_word(tag), CH_POLICY_TEXT_B - 1);
	if (tag == CH_POLICY_REDIRECT && *text)
		return normalize_redirect(text, ret_text, err);
	if (tag == CH_POLICY_UPSTREAM && !ch_policy_is_normal(tag, text, strlen(text)))
		return ch_err_set(err, CH_EINVAL, "bad-field",
			"upstream must be a name of 1 to %d of a-z, 0-9, '.', '_', '-' that "
			"the edges' configuration maps to addresses",
			UPSTREAM_MAX);
	if (tag == CH_POLICY_HSTS && !ch_policy_is_normal(tag, text, strlen(text)))
		return ch_err_set(err, CH_EINVAL, "bad-field",
			"hsts must be like \"max-age=31536000; includeSubDomains; preload\" "
			"(RFC 6797)");
	memcpy(ret_text, text, strlen(text) + 1);
	return CH_OK;
}
