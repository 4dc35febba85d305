#include <string.h>

#include "issuerd/work.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-_."

/* NULL when there is none. */
static json_t *dns_json(const struct ch_notes *notes)
{
	json_t *list = notes->n_dns ? json_array() : NULL;

	for (size_t i = 0; i < notes->n_dns; i++)
		(void)json_array_append_new(list,
			json_pack("{sIssss}", "name", (json_int_t)notes->dns[i].name, "target",
				notes->dns[i].txt.target, "value", notes->dns[i].txt.value));
	return list;
}

/* NULL when there is none. */
static json_t *tokens_json(const struct ch_notes *notes)
{
	json_t *list = notes->tokens_until_ms ? json_array() : NULL;

	for (size_t i = 0; list && i < CH_WORK_NAMES_MAX; i++)
		(void)json_array_append_new(list, json_string(notes->tokens[i]));
	return list;
}

json_t *ch_notes_json(const struct ch_notes *notes)
{
	json_auto_t *authz = json_array();
	json_t *dns;
	json_t *tokens;

	for (size_t i = 0; i < notes->n_authz; i++)
		if (json_array_append_new(authz, json_string(notes->authz[i])))
			return NULL;
	dns = dns_json(notes);
	tokens = tokens_json(notes);
	return json_pack("{sssssOsIsIsIsIsIsIsIsbso*so*so*sIss*}", "order", notes->order,
		"finalize", notes->finalize, "authz", authz, "expires",
		(json_int_t)notes->expires_ms, "since", (json_int_t)notes->since_ms, "polls",
		(json_int_t)notes->polls, "waits", (json_int_t)notes->waits, "probes",
		(json_int_t)notes->probes, "errors_before", (json_int_t)notes->errors_before,
		"edges_since", (json_int_t)notes->edges_since_ms, "told", notes->told,
		"presumed", notes->presumed ? json_true() : NULL, "dns", dns, "tokens", tokens,
		"tokens_until", (json_int_t)notes->tokens_until_ms, "waits_for",
		notes->waits_for[0] ? notes->waits_for : NULL);
}

static int read_url(const json_t *v, char ret_url[CH_ACME_URL_B])
{
	const char *url = json_string_value(v);

	if (!url || (url[0] && !ch_acme_url_ok(url)))
		return CH_ECORRUPT;
	strcpy(ret_url, url);
	return CH_OK;
}

/* It comes from the store, and goes into the DNS when it is to be taken away. */
static int read_dns(const json_t *list, struct ch_notes *notes)
{
	notes->n_dns = json_array_size(list);
	if (notes->n_dns > CH_WORK_NAMES_MAX)
		return CH_ECORRUPT;
	for (size_t i = 0; i < notes->n_dns; i++) {
		struct ch_notes_dns *one = &notes->dns[i];
		const json_t *doc = json_array_get(list, i);
		const char *target = json_string_value(json_object_get(doc, "target"));
		const char *value = json_string_value(json_object_get(doc, "value"));
		json_int_t name = json_integer_value(json_object_get(doc, "name"));

		if (!target || !value || strlen(target) >= CH_DNS_NAME_B || !target[0] ||
			target[strspn(target, NAME_CHARACTERS)] || name < 0 ||
			name >= CH_WORK_NAMES_MAX || strlen(value) != CH_DNS_CHALLENGE_B - 1 ||
			!ch_acme_token_ok(value))
			return CH_ECORRUPT;
		one->name = (unsigned)name;
		strcpy(one->txt.target, target);
		strcpy(one->txt.value, value);
	}
	return CH_OK;
}

static int read_tokens(const json_t *list, struct ch_notes *notes)
{
	if (json_array_size(list) > CH_WORK_NAMES_MAX)
		return CH_ECORRUPT;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *token = json_string_value(json_array_get(list, i));

		if (!token || (token[0] && !ch_acme_token_ok(token)))
			return CH_ECORRUPT;
		strcpy(notes->tokens[i], token);
	}
	return CH_OK;
}

int ch_notes_read(const json_t *doc, struct ch_notes *ret_notes)
{
	struct ch_notes notes = {0};
	const json_t *authz = json_object_get(doc, "authz");
	const char *waits_for = json_string_value(json_object_get(doc, "waits_for"));
	json_int_t errors_before;

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
	notes.tokens_until_ms = json_integer_value(json_object_get(doc, "tokens_until"));
	errors_before = json_integer_value(json_object_get(doc, "errors_before"));
	if (notes.expires_ms < 0 || errors_before < 0 || notes.since_ms < 0 ||
		notes.edges_since_ms < 0 || notes.tokens_until_ms < 0)
		return CH_ECORRUPT;
	if (read_dns(json_object_get(doc, "dns"), &notes) ||
		read_tokens(json_object_get(doc, "tokens"), &notes))
		return CH_ECORRUPT;
	if (waits_for && strlen(waits_for) < sizeof(notes.waits_for))
		strcpy(notes.waits_for, waits_for);
	notes.polls = (unsigned)json_integer_value(json_object_get(doc, "polls"));
	notes.waits = (unsigned)json_integer_value(json_object_get(doc, "waits"));
	notes.probes = (unsigned)json_integer_value(json_object_get(doc, "probes"));
	notes.errors_before = (uint64_t)errors_before;
	notes.presumed = json_is_true(json_object_get(doc, "presumed"));
	notes.told = json_is_true(json_object_get(doc, "told"));
	*ret_notes = notes;
	return CH_OK;
}
