#include "stored/describe.h"

#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "stored/problem.h"
#include "stored/routes.h"

CH_DEFINE_CLEANUP(json_t *, json_decref)

static json_t *role_list(unsigned roles)
{
	json_t *list = json_array();

	for (int i = 0; i < CH_ROLE_COUNT; i++)
		if (roles & (1u << i))
			(void)json_array_append_new(
				list, json_string(ch_role_str((enum ch_role)i)));
	return list;
}

/* Of a text with words separated by spaces. */
static json_t *word_list(const char *text)
{
	json_t *list = json_array();

	while (*text) {
		size_t len = strcspn(text, " ");

		(void)json_array_append_new(list, json_stringn(text, len));
		text += len;
		text += strspn(text, " ");
	}
	return list;
}

static json_t *describe_route(const struct ch_route *route)
{
	static const char *const bodies[] = {
		[CH_BODY_NONE] = "none",
		[CH_BODY_OPTIONAL] = "optional",
		[CH_BODY_REQUIRED] = "required",
	};

	return json_pack("{s:s, s:s, s:o, s:s, s:I, s:o, s:s}", "method", route->method, "path",
		route->pattern, "roles", role_list(route->roles), "body", bodies[route->body],
		"body_max", (json_int_t)route->body_max_b, "query", word_list(route->query),
		"summary", route->summary);
}

static json_t *describe_routes(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ch_routes_n; i++)
		(void)json_array_append_new(list, describe_route(&ch_routes[i]));
	return list;
}

static json_t *describe_problems(void)
{
	json_t *list = json_array();
	struct ch_problem_kind kind;

	for (size_t i = 0; ch_problem_kind(i, &kind) == CH_OK; i++)
		(void)json_array_append_new(
			list, json_pack("{s:s, s:i, s:s}", "code", kind.code, "status",
				      kind.status, "title", kind.title));
	return list;
}

static json_t *describe_words(void)
{
#define X(name, text) text " "
	return json_pack("{s:o, s:o, s:o, s:o}", "domain_state",
		word_list(CH_NAME_STATE_LIST(X)), "order_state",
		word_list(CH_ORDER_STATE_LIST(X)), "actor", word_list(CH_ACTOR_LIST(X)), "role",
		word_list(CH_ROLE_LIST(X)));
#undef X
}

int ch_describe_print(FILE *out)
{
	CH_CLEANUP(json_decref_p)
	json_t *all = json_pack("{s:o, s:o, s:o}", "routes", describe_routes(), "problems",
		describe_problems(), "words", describe_words());

	if (!all)
		return CH_ENOMEM;
	if (json_dumpf(all, out, JSON_INDENT(2)) || fputc('\n', out) == EOF)
		return CH_EIO;
	return CH_OK;
}
