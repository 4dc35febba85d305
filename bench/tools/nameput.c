/* Puts names into a store, one by one over one connection, as a platform's backend does:
 *   nameput URL CA CERT KEY < names
 * One name a line.  Exits with 1 at the first that is not taken. */
#include <stdio.h>
#include <string.h>

#include "net/api.h"

static int put(struct ch_api *api, const char *name)
{
	json_auto_t *body = json_object();
	struct ch_api_call call = {.method = "PUT", .body = body};
	struct ch_err err = {0};
	char path[300];
	int rc;

	snprintf(path, sizeof(path), "/v1/domains/%s", name);
	call.path = path;
	rc = ch_api_call(api, &call, &err);
	json_decref(call.answer);
	if (rc)
		fprintf(stderr, "nameput: %s: %s\n", name, err.detail);
	return rc;
}

int main(int argc, char **argv)
{
	struct ch_api_options options = {0};
	struct ch_api *api = NULL;
	struct ch_err err = {0};
	char name[256];
	int rc = CH_OK;

	if (argc != 5)
		return 2;
	options.http.ca_file = argv[2];
	options.http.cert_file = argv[3];
	options.http.key_file = argv[4];
	if (ch_api_options_add_url(&options, argv[1]) || ch_api_new(&options, &api, &err)) {
		fprintf(stderr, "nameput: %s: %s\n", argv[1], err.detail);
		return 2;
	}
	while (!rc && fgets(name, sizeof(name), stdin)) {
		name[strcspn(name, "\n")] = 0;
		rc = put(api, name);
	}
	ch_api_free(api);
	return rc ? 1 : 0;
}
