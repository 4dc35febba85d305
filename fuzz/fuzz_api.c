/* Requests to the store's API, one after the other, as everybody who may reach it could send
 * them: routes, queries, headers, bodies, and what the handlers and the database make of them.
 *
 * An input is a sequence of requests, separated as in parts.h.  Each is a line
 *     <role> <method> <path and query>
 * with header lines, an empty line and a body as in HTTP; "stranger" has no certificate.
 * Every input begins with the same store (api_scene.h). */
#include <stdio.h>
#include <string.h>

#include "api_scene.h"
#include "memory_store.h"
#include "wire/record.h"

#define REQUESTS_MAX 8
#define URI_MAX_B 8192u

static const char *str(const json_t *doc, const char *key)
{
	return json_string_value(json_object_get(doc, key));
}

/* RFC 9457, and a code that doc/api.md lists. */
static void check_problem(const struct ch_fuzz_reply *reply, const json_t *doc)
{
	const char *code = str(doc, "code");
	struct ch_problem_kind kind;
	char type[160];
	bool known = false;

	CH_FUZZ_CHECK(strcmp(reply->content_type, "application/problem+json") == 0);
	CH_FUZZ_CHECK(code && code[0] && str(doc, "title") && str(doc, "title")[0]);
	CH_FUZZ_CHECK(str(doc, "detail") && str(doc, "detail")[0]);
	CH_FUZZ_CHECK(json_integer_value(json_object_get(doc, "status")) == reply->status);
	snprintf(type, sizeof(type), "urn:certherd:error:%s", code);
	CH_FUZZ_CHECK(str(doc, "type") && strcmp(str(doc, "type"), type) == 0);
	for (size_t i = 0; ch_problem_kind(i, &kind) == CH_OK; i++)
		if (strcmp(kind.code, code) == 0) {
			known = true;
			CH_FUZZ_CHECK(kind.status == reply->status);
		}
	CH_FUZZ_CHECK(
		known || strncmp(code, "name-", 5) == 0 || strncmp(code, "label-", 6) == 0);
	CH_FUZZ_CHECK((reply->status == 405) == (reply->allow[0] != 0));
	CH_FUZZ_CHECK(
		(reply->status == 429 || reply->status == 503) == (reply->retry_after[0] != 0));
}

/* One result for each item, and a reason with each that was rejected. */
static void check_batch(const struct ch_fuzz_request *request, const json_t *doc)
{
	json_t *asked = json_loadb(request->body, request->body_len, 0, NULL);
	const json_t *results = json_object_get(doc, "results");
	const char *const words[] = {"created", "exists", "rejected"};
	json_int_t counts[3] = {0};
	json_int_t changed = 0;

	CH_FUZZ_CHECK(json_is_array(results));
	CH_FUZZ_CHECK(
		json_array_size(results) == json_array_size(json_object_get(asked, "domains")));
	for (size_t i = 0; i < json_array_size(results); i++) {
		const json_t *one = json_array_get(results, i);
		const char *status = str(one, "status");
		bool rejected;

		CH_FUZZ_CHECK(status);
		rejected = strcmp(status, "rejected") == 0;
		for (size_t w = 0; w < 3; w++)
			counts[w] += strcmp(status, words[w]) == 0;
		CH_FUZZ_CHECK(rejected || str(one, "domain"));
		CH_FUZZ_CHECK((strcmp(status, "exists") == 0) ==
			      json_is_boolean(json_object_get(one, "changed")));
		changed += json_is_true(json_object_get(one, "changed"));
		CH_FUZZ_CHECK(rejected == (str(one, "code") && str(one, "code")[0]));
		CH_FUZZ_CHECK(rejected == (str(one, "detail") && str(one, "detail")[0]));
	}
	for (size_t w = 0; w < 3; w++)
		CH_FUZZ_CHECK(json_integer_value(json_object_get(doc, words[w])) == counts[w]);
	CH_FUZZ_CHECK(
		counts[0] + counts[1] + counts[2] == (json_int_t)json_array_size(results));
	CH_FUZZ_CHECK(json_integer_value(json_object_get(doc, "changed")) == changed);
	json_decref(asked);
}

/* Whatever was put into the store, edges can read what comes out. */
static void check_feed(const struct ch_fuzz_reply *reply)
{
	struct ch_feed_header header;
	struct ch_feed_frame frame;
	struct ch_record record;
	struct ch_chain chain;
	struct ch_reader r;
	uint64_t last = 0;
	int rc;

	ch_reader_init(&r, (const uint8_t *)reply->body, reply->body_len);
	CH_FUZZ_CHECK(reply->body_len <= CH_FEED_ANSWER_MAX_B);
	CH_FUZZ_CHECK(ch_feed_read_header(&r, &header) == CH_OK);
	while ((rc = ch_feed_read_frame(&r, &frame)) == CH_OK) {
		CH_FUZZ_CHECK(frame.seq >= last && frame.seq <= header.head);
		last = frame.seq;
		if (frame.type == CH_FEED_RECORD)
			CH_FUZZ_CHECK(ch_record_decode(frame.payload, frame.payload_len,
					      &record) == CH_OK);
		else
			CH_FUZZ_CHECK(
				frame.payload_len > CH_CHAIN_ID_B &&
				ch_chain_decode(frame.payload + CH_CHAIN_ID_B,
					frame.payload_len - CH_CHAIN_ID_B, &chain) == CH_OK);
	}
	CH_FUZZ_CHECK(rc == CH_ENOTFOUND);
}

static void check_reply(
	const struct ch_fuzz_request *request, const struct ch_fuzz_reply *reply, json_t *doc)
{
	bool is_json = strncmp(reply->content_type, "application/", 12) == 0 &&
		       strcmp(reply->content_type, CH_FEED_CONTENT_TYPE) != 0;

	/* A client's bytes never break anything inside. */
	CH_FUZZ_CHECK(reply->status >= 200 && reply->status < 599 && reply->status != 500);
	CH_FUZZ_CHECK(is_json == json_is_object(doc));
	CH_FUZZ_CHECK((reply->status == 204) == (reply->body == NULL));
	if (request->stranger)
		CH_FUZZ_CHECK(reply->status == 401 || reply->status == 414 ||
			      strncmp(request->uri, "/v1/health", 10) == 0);
	if (reply->status >= 400)
		check_problem(reply, doc);
	else if (reply->status == 200 && strcmp(request->method, "POST") == 0 &&
		 strcmp(request->uri, "/v1/domains") == 0)
		check_batch(request, doc);
	else if (strcmp(reply->content_type, CH_FEED_CONTENT_TYPE) == 0)
		check_feed(reply);
}

/* Which routes have answered a request as asked. */
static bool served[64];

static void note_served(const struct ch_fuzz_request *request, int status)
{
	static struct ch_route_match match;
	const struct ch_route *route;
	struct ch_err err;
	char path[256];
	char allow[64];

	snprintf(path, sizeof(path), "%.*s", (int)strcspn(request->uri, "?"), request->uri);
	CH_FUZZ_CHECK(ch_routes_n <= sizeof(served) / sizeof(served[0]));
	if (status <= 299 && ch_route_find(request->method, path, &route, &match, allow,
				     sizeof(allow), &err) == CH_OK)
		served[route - ch_routes] = true;
}

/* A new route without a seed is not fuzzed, and neither is one whose seeds name what the scene
 * no longer has. */
void ch_fuzz_replayed(void)
{
	bool all = true;

	for (size_t i = 0; i < ch_routes_n; i++) {
		if (served[i])
			continue;
		all = false;
		fprintf(stderr, "no seed in corpus/api is answered by %s %s\n",
			ch_routes[i].method, ch_routes[i].pattern);
	}
	CH_FUZZ_CHECK(all);
}

static void ask(struct ch_service *service, const struct ch_fuzz_request *request)
{
	const char *next;
	struct ch_fuzz_reply reply;
	json_t *doc;
	char uri[1024];

	ch_fuzz_exchange(service, request, &reply);
	doc = reply.body ? json_loadb(reply.body, reply.body_len, JSON_REJECT_DUPLICATES, NULL)
			 : NULL;
	check_reply(request, &reply, doc);
	note_served(request, reply.status);
	/* A page's cursor is good for the next page. */
	next = reply.status == 200 ? str(doc, "next_cursor") : NULL;
	if (next) {
		struct ch_fuzz_request more = *request;
		size_t path = strcspn(request->uri, "?");

		snprintf(uri, sizeof(uri), "%.*s?limit=1&cursor=%s",
			path < 200 ? (int)path : 200, request->uri, next);
		more.uri = uri;
		ch_fuzz_reply_done(&reply);
		ch_fuzz_exchange(service, &more, &reply);
		CH_FUZZ_CHECK(reply.status == 200);
	}
	json_decref(doc);
	ch_fuzz_reply_done(&reply);
}

/* Cuts text at the first character of set; NULL when there is none. */
static char *cut(char *text, const char *set)
{
	char *end = text + strcspn(text, set);

	if (!*end)
		return NULL;
	*end = 0;
	return end + 1;
}

static void read_header(struct ch_fuzz_request *request, char *line)
{
	char *value = cut(line, ":");

	if (!value || request->n_headers == CH_FUZZ_HEADERS_MAX)
		return;
	request->headers[request->n_headers].name = line;
	request->headers[request->n_headers++].value = value + strspn(value, " ");
}

/* text is written to, and request borrows from it.  False: not a request. */
static bool read_request(struct ch_fuzz_request *request, char *text, size_t len)
{
	char *end = text + len;
	char *head = text;
	char *uri;

	text = cut(text, "\n");
	if (!text)
		text = end;
	request->method = cut(head, " ");
	uri = request->method ? cut((char *)request->method, " ") : NULL;
	/* These are what libmicrohttpd takes for the parts of a request line. */
	if (!uri || !request->method[0] || uri[0] != '/' || strlen(uri) > URI_MAX_B ||
		strcspn(uri, " \t\r") != strlen(uri))
		return false;
	request->uri = uri;
	request->stranger = strcmp(head, "stranger") == 0;
	if (!request->stranger && ch_role_parse(head, &request->role))
		return false;
	while (text < end && *text != '\n') {
		char *line = text;

		text = cut(text, "\n");
		if (!text)
			text = end;
		read_header(request, line);
	}
	if (text < end) {
		request->body = text + 1;
		request->body_len = (size_t)(end - request->body);
	}
	return true;
}

/* What the status page counts is what was ever put in and not taken out. */
static void check_status(struct ch_service *service)
{
	const struct ch_fuzz_request request = {
		.role = CH_ROLE_OPERATOR, .method = "GET", .uri = "/v1/status"};
	struct ch_fuzz_reply reply;
	json_int_t total = 0;
	const char *key;
	json_t *names;
	json_t *value;
	json_t *doc;

	ch_fuzz_exchange(service, &request, &reply);
	CH_FUZZ_CHECK(reply.status == 200);
	doc = json_loadb(reply.body, reply.body_len, 0, NULL);
	names = json_object_get(doc, "names");
	json_object_foreach(names, key, value)
	{
		CH_FUZZ_CHECK(json_integer_value(value) >= 0);
		total += strcmp(key, "total") != 0 ? json_integer_value(value) : 0;
	}
	CH_FUZZ_CHECK(total == json_integer_value(json_object_get(names, "total")));
	json_decref(doc);
	ch_fuzz_reply_done(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ch_service *service = ch_fuzz_scene();
	struct ch_fuzz_parts parts;
	bool wrote = false;
	const char *text;
	size_t len;

	ch_fuzz_now_ms = CH_FUZZ_BEGIN_MS;
	ch_fuzz_parts_init(&parts, data, size);
	for (int n = 0; n < REQUESTS_MAX && ch_fuzz_parts_next(&parts, &text, &len); n++) {
		struct ch_fuzz_request request = {.role = CH_ROLE_VIEWER};
		char *copy = malloc(len + 1);

		CH_FUZZ_CHECK(copy);
		memcpy(copy, text, len);
		copy[len] = 0;
		if (read_request(&request, copy, len)) {
			wrote = wrote || strcmp(request.method, "GET") != 0;
			ask(service, &request);
		}
		free(copy);
	}
	if (wrote) {
		check_status(service);
		ch_fuzz_store_reset();
	}
	return 0;
}
