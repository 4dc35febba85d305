#include "script.h"

#include <string.h>

static int answer(void *arg, const char *path, json_t **ret_answer, struct ch_err *err)
{
	struct script *script = arg;
	size_t used = strlen(script->asked);

	snprintf(script->asked + used, sizeof(script->asked) - used, "%s\n", path);
	for (const struct script_line *l = script->lines; l && l->path; l++) {
		if (strncmp(path, l->path, strlen(l->path)) != 0)
			continue;
		if (!l->json)
			return ch_err_set(err, l->rc, l->problem, "%s", l->detail);
		*ret_answer = json_loads(l->json, JSON_DECODE_ANY, NULL);
		return *ret_answer ? CH_OK : ch_err_set(err, CH_EPROTO, "script", "bad JSON");
	}
	*ret_answer = json_object();
	return CH_OK;
}

struct ch_ui_store script_store(struct script *script)
{
	script->asked[0] = 0;
	return (struct ch_ui_store){.get = answer, .arg = script};
}
