#include "stored/advice.h"

#include <stdio.h>
#include <string.h>

void ch_advice_init(struct ch_advice *advice)
{
	pthread_mutex_init(&advice->lock, NULL);
	advice->n = 0;
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

void ch_advice_take(
	struct ch_advice *advice, struct ch_json_in *in, const char *key, json_t *list)
{
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
		snprintf(advice->values[i], sizeof(advice->values[i]), "%s",
			json_string_value(json_array_get(list, i)));
	advice->n = n < CH_ADVICE_MAX ? n : CH_ADVICE_MAX;
	pthread_mutex_unlock(&advice->lock);
}

json_t *ch_advice_json(struct ch_advice *advice, bool wildcard)
{
	json_t *list = json_array();

	pthread_mutex_lock(&advice->lock);
	for (size_t i = 0; list && i < advice->n; i++)
		(void)json_array_append_new(
			list, json_sprintf("0 %s \"%s\"", wildcard ? "issuewild" : "issue",
				      advice->values[i]));
	pthread_mutex_unlock(&advice->lock);
	return list;
}
