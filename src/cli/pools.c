#include "cli/pools.h"

#include <stdio.h>

#include "cli/text.h"

#define TOLD_MAX 10

void ch_pools_warn(struct ch_client *client, json_t *pools)
{
	CH_AUTO_JSON json_t *answer = NULL;
	const char *pool;
	const json_t *edge;
	json_t *value;
	struct ch_err err;
	size_t told = 0;
	size_t i;

	if (json_object_size(pools) == 0 ||
		ch_client_call(client, "GET", "/v1/edges", NULL, &answer, &err))
		return;
	json_array_foreach(json_object_get(answer, "edges"), i, edge)(void)
		json_object_del(pools, ch_json_str(edge, "pool"));
	json_object_foreach(pools, pool, value)
	{
		if (told++ == TOLD_MAX) {
			fprintf(stderr, "... and %zu more such pools\n",
				json_object_size(pools) - TOLD_MAX);
			return;
		}
		fputs("Pool ", stderr);
		ch_text_print(stderr, pool);
		fputs(" has no edge (yet): its names wait until one reports. "
		      "`certherd status` shows the edges and their pools.\n",
			stderr);
	}
}
