#include "stored/advice.h"

#include <stdio.h>
#include <string.h>

void ch_advice_init(struct ch_advice *advice)
{
	pthread_mutex_init(&advice->lock, NULL);
	for (size_t i = 0; i < CH_ADVICE_KINDS; i++)
		advice->lists[i].n = 0;
	advice->persist_all = false;
}

void ch_advice_done(struct ch_advice *advice)
{
	pthread_mutex_destroy(&advice->lock);
}

/* People paste it into zone files. */
static bool is_plain(const char *value)
{
	size_t len = strlen(value);

	for (size_t i = 0; i < len; i++)
		if (value[i] < ' ' || value[i] > '~' || value[i] == '"' || value[i] == '\\')
			return false;
	return len > 0 && len <= CH_ADVICE_VALUE_MAX;
}

void ch_advice_take(struct ch_advice *advice, enum ch_advice_kind kind, struct ch_json_in *in,
	const char *key, json_t *list)
{
	struct ch_advice_list *to = &advice->lists[kind];
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n; i++) {
		const char *value = json_string_value(json_array_get(list, i));

		if (!value || !is_plain(value)) {
			ch_json_in_fail(in, key,
				"\"%s\" must be texts of up to %d printable ASCII characters, "
				"without quotation marks and backslashes.",
				key, CH_ADVICE_VALUE_MAX);
			return;
		}
	}
	if (!list)
		return;
	pthread_mutex_lock(&advice->lock);
	for (size_t i = 0; i < n && i < CH_ADVICE_MAX; i++)
		snprintf(to->values[i], sizeof(to->values[i]), "%s",
			json_string_value(json_array_get(list, i)));
	to->n = n < CH_ADVICE_MAX ? n : CH_ADVICE_MAX;
	pthread_mutex_unlock(&advice->lock);
}

void ch_advice_persist_all(struct ch_advice *advice, bool all)
{
	pthread_mutex_lock(&advice->lock);
	advice->persist_all = all;
	pthread_mutex_unlock(&advice->lock);
}

json_t *ch_advice_caa(struct ch_advice *advice, bool wildcard)
{
	const struct ch_advice_list *from = &advice->lists[CH_ADVICE_CAA];
	json_t *list = json_array();

	pthread_mutex_lock(&advice->lock);
	for (size_t i = 0; list && i < from->n; i++)
		(void)json_array_append_new(
			list, json_sprintf("0 %s \"%s\"", wildcard ? "issuewild" : "issue",
				      from->values[i]));
	pthread_mutex_unlock(&advice->lock);
	return list;
}

json_t *ch_advice_persist(struct ch_advice *advice, const char *name)
{
	const struct ch_advice_list *from = &advice->lists[CH_ADVICE_PERSIST];
	bool wildcard = strncmp(name, "*.", 2) == 0;
	json_t *list = json_array();

	pthread_mutex_lock(&advice->lock);
	for (size_t i = 0; list && (wildcard || advice->persist_all) && i < from->n; i++)
		(void)json_array_append_new(
			list, json_pack("{soso}", "name",
				      json_sprintf("_validation-persist.%s",
					      name + (wildcard ? 2 : 0)),
				      "txt",
				      json_sprintf("%s%s", from->values[i],
					      wildcard ? "; policy=wildcard" : "")));
	pthread_mutex_unlock(&advice->lock);
	return list;
}
