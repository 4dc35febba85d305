#include <string.h>

#include "issuerd/work.h"

json_t *ch_notes_json(const struct ch_notes *notes)
{
	json_auto_t *authz = json_array();

	for (size_t i = 0; i < notes->n_authz; i++)
		if (json_array_append_new(authz, json_string(notes->authz[i])))
			return NULL;
	return json_pack("{sssssOsIsIsIsIsIsIsb}", "order", notes->order, "finalize",
		notes->finalize, "authz", authz, "expires", (json_int_t)notes->expires_ms,
		"since", (json_int_t)notes->since_ms, "polls", (json_int_t)notes->polls,
		"waits", (json_int_t)notes->waits, "probes", (json_int_t)notes->probes,
		"edges_since", (json_int_t)notes->edges_since_ms, "told", notes->told);
}

static int read_url(const json_t *v, char ret_url[CH_ACME_URL_B])
{
	const char *url = json_string_value(v);

	if (!url || (url[0] && !ch_acme_url_ok(url)))
		return CH_ECORRUPT;
	strcpy(ret_url, url);
	return CH_OK;
}

int ch_notes_read(const json_t *doc, struct ch_notes *ret_notes)
{
	struct ch_notes notes = {0};
	const json_t *authz = json_object_get(doc, "authz");

	if (!doc || json_is_null(doc)) {
		*ret_notes = notes;
		return CH_OK;
	}
	notes.n_authz = json_array_size(authz);
	if (notes.n_authz > CH_WORK_NAMES_MAX ||
		read_url(json_object_get(doc, "order"), notes.order) ||
		read_url(json_object_get(doc, "finalize"), notes.finalize))
		return CH_ECORRUPT;
	for (size_t i = 0; i < notes.n_authz; i++)
		if (read_url(json_array_get(authz, i), notes.authz[i]))
			return CH_ECORRUPT;
	notes.expires_ms = json_integer_value(json_object_get(doc, "expires"));
	notes.since_ms = json_integer_value(json_object_get(doc, "since"));
	notes.edges_since_ms = json_integer_value(json_object_get(doc, "edges_since"));
	if (notes.expires_ms < 0 || notes.since_ms < 0 || notes.edges_since_ms < 0)
		return CH_ECORRUPT;
	notes.polls = (unsigned)json_integer_value(json_object_get(doc, "polls"));
	notes.waits = (unsigned)json_integer_value(json_object_get(doc, "waits"));
	notes.probes = (unsigned)json_integer_value(json_object_get(doc, "probes"));
	notes.told = json_is_true(json_object_get(doc, "told"));
	*ret_notes = notes;
	return CH_OK;
}
