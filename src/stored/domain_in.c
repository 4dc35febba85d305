#include "stored/domain_in.h"

#include <string.h>

#include "wire/name.h"
#include "wire/policy.h"

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

bool ch_domain_in_is_key(const char *text)
{
	return is_of(text, "abcdefghijklmnopqrstuvwxyz0123456789._-*/", CH_RECORD_KEY_B - 1);
}

static const char *read_label(struct ch_json_in *in, const char *key)
{
	const char *text = ch_json_in_str(in, key, CH_JSON_OPTIONAL, CH_STORE_LABEL_MAX);

	if (text && !ch_domain_in_is_label(text))
		ch_json_in_fail(in, key, "\"%s\" must be 1 to %d of a-z, 0-9, '.', '_', '-'.",
			key, CH_STORE_LABEL_MAX);
	return text;
}

static const char *read_policy(struct ch_json_in *in, enum ch_policy_tag tag)
{
	const char *key = ch_policy_word(tag);
	const char *text = ch_json_in_str(in, key, CH_JSON_OPTIONAL, CH_POLICY_TEXT_B - 1);
	char normal[CH_POLICY_TEXT_B];
	struct ch_err err = {0};
	json_t *kept;

	if (!text)
		return NULL;
	if (ch_policy_normalize(tag, text, normal, &err)) {
		ch_json_in_fail_err(in, key, &err);
		return NULL;
	}
	kept = json_string(normal);
	if (json_object_set_new(in->object, key, kept)) {
		(void)ch_err_set(&err, CH_ENOMEM, "internal", "out of memory");
		ch_json_in_fail_err(in, key, &err);
		return NULL;
	}
	return json_string_value(kept);
}

static void read_keys(struct ch_json_in *in, struct ch_store_put_item *item)
{
	const char *text = ch_json_in_str(in, "keys", CH_JSON_OPTIONAL, 16);

	item->has_keys = text != NULL;
	if (text && ch_keys_parse(text, &item->keys))
		ch_json_in_fail(in, "keys",
			"\"keys\" must be ecdsa, p384, rsa, ecdsa+rsa or p384+rsa.");
}

bool ch_domain_in_is_ca(const char *text)
{
	size_t len = text ? strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;

	return len > 0 && len <= CH_STORE_CA_NAME_MAX && !text[len];
}

static bool is_named_before(const json_t *list, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (json_equal(json_array_get(list, i), json_array_get(list, at)))
			return true;
	return false;
}

/* The names with commas in between; NULL: kept as it is, or wrong. */
static const char *read_cas(struct ch_json_in *in)
{
	const json_t *list = ch_json_in_array(in, "cas", CH_JSON_OPTIONAL, CH_STORE_CAS_MAX);
	char text[CH_STORE_CAS_MAX * (CH_STORE_CA_NAME_MAX + 1) + 1] = "";
	struct ch_err err = {0};
	json_t *kept;

	if (!list)
		return NULL;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *ca = json_string_value(json_array_get(list, i));

		if (!ch_domain_in_is_ca(ca) || is_named_before(list, i)) {
			ch_json_in_fail(in, "cas",
				"\"cas\" must be a list of CAs, each once, as the issuer's "
				"configuration calls them: main, or NAME of a section [ca "
				"NAME].");
			return NULL;
		}
		if (i)
			strcat(text, ",");
		strcat(text, ca);
	}
	kept = json_string(text);
	if (json_object_set_new(in->object, "cas", kept)) {
		(void)ch_err_set(&err, CH_ENOMEM, "internal", "out of memory");
		ch_json_in_fail_err(in, "cas", &err);
		return NULL;
	}
	return json_string_value(kept);
}

/* NULL: kept as it is, or wrong. */
static const char *read_standby(struct ch_json_in *in)
{
	const char *text =
		ch_json_in_str(in, "standby", CH_JSON_OPTIONAL, CH_STORE_CA_NAME_MAX);

	if (!text || !*text || ch_domain_in_is_ca(text))
		return text;
	ch_json_in_fail(in, "standby",
		"\"standby\" must be a CA as the issuer's configuration calls it, none, or "
		"empty.");
	return NULL;
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
	read_keys(in, item);
	item->cas = read_cas(in);
	item->standby = read_standby(in);
	for (int tag = CH_STORE_POLICY_FIRST; tag < CH_POLICY_TAG_COUNT; tag++)
		item->policy[tag] = read_policy(in, tag);
}
