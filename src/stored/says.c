#include "stored/says.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "store/store.h"
#include "stored/domain_in.h"

static const char *const limit_keys[] = {"orders", "domain", "set"}; /* by enum ch_paced */

/* People paste it into zone files. */
static bool is_plain(const char *value)
{
	size_t len = value ? strlen(value) : 0;

	for (size_t i = 0; i < len; i++)
		if (value[i] < ' ' || value[i] > '~' || value[i] == '"' || value[i] == '\\')
			return false;
	return len > 0 && len <= CH_SAYS_RECORD_MAX;
}

void ch_says_check_records(struct ch_json_in *in, const char *key)
{
	const json_t *list = ch_json_in_array(in, key, CH_JSON_OPTIONAL, CH_SAYS_RECORDS_MAX);

	for (size_t i = 0; i < json_array_size(list); i++)
		if (!is_plain(json_string_value(json_array_get(list, i)))) {
			ch_json_in_fail(in, key,
				"\"%s\" must be texts of up to %d printable ASCII characters, "
				"without quotation marks and backslashes.",
				key, CH_SAYS_RECORD_MAX);
			return;
		}
}

json_t *ch_says_from_lease(const json_t *lease)
{
	static const char *const keys[] = {
		"pace", "fallback", "standby", "caa", "persist", "persist_all"};
	json_t *says = json_object();

	for (size_t i = 0; says && i < CH_ARRAY_LEN(keys); i++) {
		json_t *value = json_object_get(lease, keys[i]);

		if (value && !json_is_null(value) && json_object_set(says, keys[i], value)) {
			json_decref(says);
			return NULL;
		}
	}
	return says;
}

json_t *ch_says_caa(const json_t *says, bool wildcard)
{
	const json_t *from = json_object_get(says, "caa");
	json_t *list = json_array();

	for (size_t i = 0; list && i < json_array_size(from); i++) {
		const char *value = json_string_value(json_array_get(from, i));

		if (is_plain(value))
			(void)json_array_append_new(
				list, json_sprintf("0 %s \"%s\"",
					      wildcard ? "issuewild" : "issue", value));
	}
	return list;
}

json_t *ch_says_persist(const json_t *says, const char *name)
{
	const json_t *from = json_object_get(says, "persist");
	bool wildcard = strncmp(name, "*.", 2) == 0;
	bool holds = wildcard || json_is_true(json_object_get(says, "persist_all"));
	json_t *list = json_array();

	for (size_t i = 0; list && holds && i < json_array_size(from); i++) {
		const char *value = json_string_value(json_array_get(from, i));

		if (is_plain(value))
			(void)json_array_append_new(
				list, json_pack("{soso}", "name",
					      json_sprintf("_validation-persist.%s",
						      name + (wildcard ? 2 : 0)),
					      "txt",
					      json_sprintf("%s%s", value,
						      wildcard ? "; policy=wildcard" : "")));
	}
	return list;
}

static const json_t *pace_at(const json_t *says, size_t at)
{
	return at ? json_array_get(json_object_get(says, "fallback"), at - 1)
		  : json_object_get(says, "pace");
}

static const char *text_of(const json_t *object, const char *key, size_t max_b)
{
	const json_t *value = json_object_get(object, key);
	size_t len = json_string_length(value);

	return len > 0 && len <= max_b ? json_string_value(value) : NULL;
}

/* NULL: has no name that a list of a name's could say. */
static const char *ca_of(const json_t *pace)
{
	const char *ca = text_of(pace, "ca", CH_STORE_CA_NAME_MAX);

	return ch_domain_in_is_ca(ca) ? ca : NULL;
}

static int read_pace(const json_t *from, struct ch_arena *arena, struct ch_store_pace *pace)
{
	const char *ca = ca_of(from);

	*pace = (struct ch_store_pace){
		.account = ch_arena_str(arena, text_of(from, "account", CH_STORE_ACCOUNT_MAX)),
		.ca = ch_arena_str(arena, ca),
		.out = json_is_true(json_object_get(from, "out")),
		.renewals_count = json_is_false(json_object_get(from, "renewals_exempt"))};
	if (!pace->account || (ca && !pace->ca))
		return CH_ENOMEM;
	for (int k = 0; k < CH_PACED_COUNT; k++) {
		const char *limit = text_of(from, limit_keys[k], CH_LIMIT_TEXT_B);

		if (limit && ch_limit_parse(limit, &pace->limits[k]))
			pace->limits[k] = (struct ch_limit){.size = 0};
	}
	return CH_OK;
}

int ch_says_paces(const json_t *says, struct ch_arena *arena,
	struct ch_store_pace ret_paces[CH_SAYS_PACES_MAX], size_t *ret_n)
{
	size_t n = 0;

	for (size_t i = 0; i < CH_SAYS_PACES_MAX; i++) {
		const json_t *from = pace_at(says, i);
		int rc = CH_OK;

		if (text_of(from, "account", CH_STORE_ACCOUNT_MAX))
			rc = read_pace(from, arena, &ret_paces[n++]);
		if (rc)
			return rc;
	}
	*ret_n = n;
	return CH_OK;
}

size_t ch_says_cas(const json_t *says, const char *ret_cas[CH_SAYS_PACES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < CH_SAYS_PACES_MAX; i++) {
		const char *ca = ca_of(pace_at(says, i));

		if (ca)
			ret_cas[n++] = ca;
	}
	return n;
}
