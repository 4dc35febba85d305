#include "cli/domain_settings.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define BETWEEN ", "

static int put_cas(const char *text, json_t *body)
{
	json_t *list = json_array();

	for (size_t len; text += strspn(text, BETWEEN), *text; text += len) {
		len = strcspn(text, BETWEEN);
		if (json_array_append_new(list, json_stringn(text, len))) {
			json_decref(list);
			return CH_EINVAL;
		}
	}
	return json_object_set_new(body, "cas", list) ? CH_EINVAL : CH_OK;
}

int ch_domain_settings_put(const struct ch_domain_settings *settings, json_t *body)
{
	const struct {
		const char *key;
		const char *text;
	} given[] = {
		{"tenant", settings->tenant},
		{"pool", settings->pool},
		{"upstream", settings->upstream},
		{"hsts", settings->hsts},
		{"redirect", settings->redirect},
		{"keys", settings->keys},
		{"standby", settings->standby},
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(given); i++)
		if (given[i].text &&
			json_object_set_new(body, given[i].key, json_string(given[i].text)))
			return CH_EINVAL;
	return settings->cas ? put_cas(settings->cas, body) : CH_OK;
}
