#include "reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define URN "urn:ietf:params:acme:error:"
#define REPLY_MAX_B (64u * 1024u * 1024u)

void sim_reply_init(struct sim_reply *reply)
{
	memset(reply, 0, sizeof(*reply));
	reply->status = 200;
	reply->type = "application/json";
	ch_buf_init(&reply->body, REPLY_MAX_B);
}

static void drop_headers(struct sim_reply *reply)
{
	while (reply->n_headers > 0)
		free(reply->headers[--reply->n_headers].value);
}

void sim_reply_done(struct sim_reply *reply)
{
	json_decref(reply->json);
	ch_buf_done(&reply->body);
	drop_headers(reply);
}

static void add_header(struct sim_reply *reply, const char *name, char *value)
{
	SIM_NEED(reply->n_headers < SIM_HEADERS_MAX);
	reply->headers[reply->n_headers].name = name;
	reply->headers[reply->n_headers++].value = value;
}

void sim_reply_header(struct sim_reply *reply, const char *name, const char *fmt, ...)
{
	char *value;
	va_list args;

	va_start(args, fmt);
	SIM_NEED(vasprintf(&value, fmt, args) >= 0);
	va_end(args);
	add_header(reply, name, value);
}

void sim_reply_drop_header(struct sim_reply *reply, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < reply->n_headers; i++) {
		if (strcmp(reply->headers[i].name, name) == 0)
			free(reply->headers[i].value);
		else
			reply->headers[kept++] = reply->headers[i];
	}
	reply->n_headers = kept;
}

void sim_reply_json(struct sim_reply *reply, unsigned status, json_t *json)
{
	SIM_NEED(json);
	json_decref(reply->json);
	reply->json = json;
	reply->status = status;
	reply->type = "application/json";
}

CH_PRINTF(3, 0)
static json_t *problem(unsigned status, const char *type, const char *fmt, va_list args)
{
	CH_AUTO_FREE char *detail = NULL;
	char urn[128];
	json_t *doc;

	SIM_NEED(vasprintf(&detail, fmt, args) >= 0);
	snprintf(urn, sizeof(urn), URN "%s", type);
	doc = json_pack("{sssssi}", "type", urn, "detail", detail, "status", (int)status);
	SIM_NEED(doc);
	return doc;
}

json_t *sim_problem_json(unsigned status, const char *type, const char *fmt, ...)
{
	json_t *doc;
	va_list args;

	va_start(args, fmt);
	doc = problem(status, type, fmt, args);
	va_end(args);
	return doc;
}

void sim_problem(
	struct sim_reply *reply, unsigned status, const char *type, const char *fmt, ...)
{
	va_list args;

	drop_headers(reply);
	va_start(args, fmt);
	sim_reply_json(reply, status, problem(status, type, fmt, args));
	va_end(args);
	reply->type = "application/problem+json";
}

void sim_reply_retry_after(struct sim_reply *reply, const json_t *value)
{
	sim_reply_drop_header(reply, "Retry-After");
	if (json_is_string(value))
		sim_reply_header(reply, "Retry-After", "%s", json_string_value(value));
	else if (json_is_number(value))
		sim_reply_header(
			reply, "Retry-After", "%lld", (long long)json_number_value(value));
}

const char *sim_date(int64_t at_ms, char ret_text[CH_TIME_STR_B])
{
	ch_time_str(at_ms, ret_text);
	ret_text[10] = ' ';
	strcpy(ret_text + 19, " UTC");
	return ret_text;
}
