/* JSON, queries and paths from strangers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stored/json_in.h"
#include "net/query.h"
#include "stored/routes.h"

static json_t *parse(const char *text, const char *problem)
{
	struct ch_err err = {0};
	json_t *value = NULL;
	int rc = ch_json_in_parse(text, strlen(text), &value, &err);

	assert_string_equal(rc ? err.problem : "", problem);
	return value;
}

static void a_json_object_is_taken(void **state)
{
	json_t *value = parse("{\"a\":[1,{\"b\":\"[[[[[[[[[[[[[[[[[[[[\\\"{\"}]}", "");

	assert_non_null(value);
	json_decref(value);
}

static void what_is_no_json_object_is_refused(void **state)
{
	static const char *const bad[] = {"", "[]", "1", "null", "\"x\"", "{", "{}x",
		"{\"a\":}", "{\"a\":1,\"a\":2}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}",
		"{'a':1}", "{\"a\":1e999}", "{\"a\":99999999999999999999}", "}",
		"\xef\xbb\xbf{}"};

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++)
		assert_null(parse(bad[i], "body-not-json"));
}

static void nesting_stops_at_sixteen(void **state)
{
	char text[64] = "{\"a\":";
	json_t *value;

	memset(text + 5, '[', 15);
	memset(text + 20, ']', 15);
	strcpy(text + 35, "}");
	value = parse(text, "");
	assert_non_null(value);
	json_decref(value);
	memset(text + 5, '[', 16);
	memset(text + 21, ']', 16);
	strcpy(text + 37, "}");
	assert_null(parse(text, "json-too-deep"));
}

static void a_flood_of_empty_objects_is_refused_before_it_is_parsed(void **state)
{
	size_t n = CH_JSON_CONTAINERS_MAX;
	char *text = malloc(3 * n + 16);
	char *at = text;

	assert_non_null(text);
	at += sprintf(at, "{\"a\":[");
	for (size_t i = 0; i < n; i++)
		at += sprintf(at, i ? ",{}" : "{}");
	strcpy(at, "]}");
	assert_null(parse(text, "body-too-large"));
	free(text);
}

/* Reads "v" of the object with each kind of getter in turn. */
static void read_as(struct ch_json_in *in, char kind)
{
	uint8_t bytes[2];
	struct ch_buf buf;

	ch_buf_init(&buf, 4);
	switch (kind) {
	case 's':
		(void)ch_json_in_str(in, "v", CH_JSON_REQUIRED, 4);
		break;
	case 'i':
		(void)ch_json_in_int(in, "v", CH_JSON_REQUIRED, -5, 5);
		break;
	case 'b':
		(void)ch_json_in_bool(in, "v", false);
		break;
	case 't':
		(void)ch_json_in_time(in, "v", CH_JSON_REQUIRED);
		break;
	case 'x':
		ch_json_in_hex(in, "v", CH_JSON_REQUIRED, bytes, sizeof(bytes));
		break;
	case '6':
		ch_json_in_bytes(in, "v", CH_JSON_REQUIRED, &buf);
		break;
	case 'a':
		(void)ch_json_in_array(in, "v", CH_JSON_REQUIRED, 2);
		break;
	default:
		(void)ch_json_in_object(in, "v", CH_JSON_REQUIRED);
	}
	ch_buf_done(&buf);
}

static void check_read(char kind, const char *text, const char *problem)
{
	json_t *value = parse(text, "");
	struct ch_json_in in;
	int rc;

	ch_json_in_init(&in, value, "outer.");
	read_as(&in, kind);
	rc = ch_json_in_finish(&in);
	assert_string_equal(rc ? in.err.problem : "", problem);
	if (rc && strcmp(problem, "unknown-field") != 0)
		assert_string_equal(in.field, "outer.v");
	json_decref(value);
}

static void fields_of_the_right_type_are_read(void **state)
{
	check_read('s', "{\"v\":\"four\"}", "");
	check_read('s', "{\"v\":\"\"}", "");
	check_read('i', "{\"v\":-5}", "");
	check_read('i', "{\"v\":5}", "");
	check_read('b', "{\"v\":true}", "");
	check_read('b', "{}", "");
	check_read('t', "{\"v\":\"2026-11-22T10:12:00.123Z\"}", "");
	check_read('x', "{\"v\":\"00ff\"}", "");
	check_read('6', "{\"v\":\"AAAAAA\"}", "");
	check_read('a', "{\"v\":[1,2]}", "");
	check_read('o', "{\"v\":{}}", "");
}

static void fields_of_a_wrong_type_or_size_are_refused_by_name(void **state)
{
	check_read('s', "{\"v\":\"fives\"}", "bad-field");
	check_read('s', "{\"v\":4}", "bad-field");
	check_read('i', "{\"v\":6}", "bad-field");
	check_read('i', "{\"v\":-6}", "bad-field");
	check_read('i', "{\"v\":1.0}", "bad-field");
	check_read('i', "{\"v\":\"1\"}", "bad-field");
	check_read('b', "{\"v\":0}", "bad-field");
	check_read('b', "{\"v\":\"true\"}", "bad-field");
	check_read('t', "{\"v\":\"today\"}", "bad-field");
	check_read('x', "{\"v\":\"00f\"}", "bad-field");
	check_read('x', "{\"v\":\"00fg\"}", "bad-field");
	check_read('6', "{\"v\":\"AAAAAAA\"}", "bad-field");
	check_read('6', "{\"v\":\"AA==\"}", "bad-field");
	check_read('a', "{\"v\":[1,2,3]}", "bad-field");
	check_read('a', "{\"v\":{}}", "bad-field");
	check_read('o', "{\"v\":[]}", "bad-field");
}

static void missing_and_unknown_fields_are_refused(void **state)
{
	check_read('s', "{}", "missing-field");
	check_read('i', "{\"v\":null}", "missing-field");
	check_read('s', "{\"v\":\"x\",\"w\":1}", "unknown-field");
}

static void the_first_error_stays(void **state)
{
	json_t *value = parse("{\"a\":1,\"b\":2}", "");
	struct ch_json_in in;

	ch_json_in_init(&in, value, "");
	assert_null(ch_json_in_str(&in, "a", CH_JSON_REQUIRED, 9));
	assert_int_equal(ch_json_in_int(&in, "b", CH_JSON_REQUIRED, 0, 9), 0);
	assert_int_equal(ch_json_in_finish(&in), CH_EINVAL);
	assert_string_equal(in.field, "a");
	json_decref(value);
}

static void a_query_is_decoded(void **state)
{
	struct ch_query query;
	int64_t limit;

	assert_int_equal(
		ch_query_parse(&query, "prefix=a%2Eb+c&&limit=10", "limit prefix tenant", NULL),
		CH_OK);
	assert_string_equal(ch_query_get(&query, "prefix"), "a.b c");
	assert_null(ch_query_get(&query, "tenant"));
	assert_null(ch_query_get(&query, "pre"));
	assert_int_equal(ch_query_int(&query, "limit", 5, 1, 10, &limit, NULL), CH_OK);
	assert_int_equal(limit, 10);
	assert_int_equal(ch_query_int(&query, "tenant", 5, 1, 10, &limit, NULL), CH_OK);
	assert_int_equal(limit, 5);
	assert_int_equal(ch_query_parse(&query, NULL, "", NULL), CH_OK);
}

static void bad_queries_are_refused(void **state)
{
	static const char *const bad[] = {"other=1", "limit=1&limit=1", "limi=1", "limit%00=1",
		"limit=%", "limit=%1", "limit=%zz", "limit=%00", "=1", "limit prefix=1"};
	struct ch_query query;
	struct ch_err err;
	char *text;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		assert_int_equal(
			ch_query_parse(&query, bad[i], "limit prefix", &err), CH_EINVAL);
		assert_string_equal(err.problem, "bad-query");
	}
	text = malloc(CH_QUERY_TEXT_B + 16);
	assert_non_null(text);
	strcpy(text, "limit=");
	memset(text + 6, 'a', CH_QUERY_TEXT_B);
	text[6 + CH_QUERY_TEXT_B] = 0;
	assert_int_equal(ch_query_parse(&query, text, "limit", &err), CH_EINVAL);
	free(text);
}

static void bad_numbers_in_queries_are_refused(void **state)
{
	static const char *const bad[] = {"n=", "n=-1", "n=+1", "n=0", "n=11", "n=1e1", "n=0x1",
		"n=99999999999999999999", "n=1%20", "n= 1"};
	struct ch_query query;
	int64_t n;

	for (size_t i = 0; i < CH_ARRAY_LEN(bad); i++) {
		assert_int_equal(ch_query_parse(&query, bad[i], "n", NULL), CH_OK);
		assert_int_equal(ch_query_int(&query, "n", 1, 1, 10, &n, NULL), CH_EINVAL);
	}
}

static const char *find(const char *method, const char *path, struct ch_route_match *match)
{
	const struct ch_route *route;
	struct ch_err err = {0};
	char allow[64];

	if (ch_route_find(method, path, &route, match, allow, sizeof(allow), &err))
		return strcmp(err.problem, "method-not-allowed")
			       ? err.problem[0] == 'n' ? "none" : "bad"
			       : "method";
	return route->pattern;
}

static void paths_find_their_route(void **state)
{
	struct ch_route_match match;

	assert_string_equal(find("GET", "/v1/domains", &match), "/v1/domains");
	assert_string_equal(find("GET", "/v1/domains/a.b", &match), "/v1/domains/{name}");
	assert_string_equal(match.params[0], "a.b");
	assert_string_equal(
		find("DELETE", "/v1/edges/p%20q/%2Fid", &match), "/v1/edges/{pool}/{id}");
	assert_string_equal(match.params[0], "p q");
	assert_string_equal(match.params[1], "/id");
	assert_string_equal(find("PUT", "/v1/edges/self", &match), "/v1/edges/self");
	assert_string_equal(
		find("POST", "/v1/domains/retry/retry", &match), "/v1/domains/{name}/retry");
	assert_string_equal(match.params[0], "retry");
	assert_string_equal(find("GET", "/v1/domains/a+b", &match), "/v1/domains/{name}");
	assert_string_equal(match.params[0], "a+b");
}

static void other_paths_find_none(void **state)
{
	static const char *const none[] = {"", "/", "//", "/v1", "/v1/", "/v1/domains/",
		"/v1//domains", "v1/domains", "/v1/domains/a/", "/v1/domains/a/b/c",
		"/v1/domains/a/other", "/V1/domains", "/v1/domainsx", "/v1/domain", "*",
		"/v1/%64omains"};
	struct ch_route_match match;

	for (size_t i = 0; i < CH_ARRAY_LEN(none); i++)
		assert_string_equal(find("GET", none[i], &match), "none");
	assert_string_equal(find("GET", "/v1/domains/%", &match), "bad");
	assert_string_equal(find("GET", "/v1/domains/%00", &match), "bad");
	assert_string_equal(find("GET", "/v1/domains/a%2", &match), "bad");
}

static void other_methods_are_told_what_is_allowed(void **state)
{
	const struct ch_route *route;
	struct ch_route_match match;
	struct ch_err err;
	char allow[64];

	assert_int_equal(ch_route_find("PATCH", "/v1/domains/a.b", &route, &match, allow,
				 sizeof(allow), &err),
		CH_EINVAL);
	assert_string_equal(err.problem, "method-not-allowed");
	assert_string_equal(allow, "PUT, GET, DELETE");
	assert_string_equal(find("HEAD", "/v1/health", &match), "method");
	assert_string_equal(find("get", "/v1/health", &match), "method");
}

static void every_route_but_health_needs_a_role(void **state)
{
	for (size_t i = 0; i < ch_routes_n; i++) {
		const struct ch_route *r = &ch_routes[i];
		bool is_health = strcmp(r->pattern, "/v1/health") == 0;

		assert_int_equal(r->roles == CH_ROLES_ANYBODY, is_health);
		assert_int_equal(r->roles & (1u << CH_ROLE_STORE), 0);
		assert_int_equal(r->body == CH_BODY_NONE, r->body_max_b == 0);
		assert_non_null(r->run);
		assert_non_null(r->summary);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_json_object_is_taken),
		cmocka_unit_test(what_is_no_json_object_is_refused),
		cmocka_unit_test(nesting_stops_at_sixteen),
		cmocka_unit_test(a_flood_of_empty_objects_is_refused_before_it_is_parsed),
		cmocka_unit_test(fields_of_the_right_type_are_read),
		cmocka_unit_test(fields_of_a_wrong_type_or_size_are_refused_by_name),
		cmocka_unit_test(missing_and_unknown_fields_are_refused),
		cmocka_unit_test(the_first_error_stays),
		cmocka_unit_test(a_query_is_decoded),
		cmocka_unit_test(bad_queries_are_refused),
		cmocka_unit_test(bad_numbers_in_queries_are_refused),
		cmocka_unit_test(paths_find_their_route),
		cmocka_unit_test(other_paths_find_none),
		cmocka_unit_test(other_methods_are_told_what_is_allowed),
		cmocka_unit_test(every_route_but_health_needs_a_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
