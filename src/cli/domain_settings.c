#include "cli/domain_settings.h"

#include "base/err.h"
#include "base/mem.h"

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
	};

	for (size_t i = 0; i < CH_ARRAY_LEN(given); i++)
		if (given[i].text &&
			json_object_set_new(body, given[i].key, json_string(given[i].text)))
			return CH_EINVAL;
	return CH_OK;
}
