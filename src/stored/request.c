#include "stored/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define URI_MAX_B 6144u
#define ARENA_MAX_B (64u * 1024u * 1024u)
#define RETRY_AFTER_S 1

struct ch_req *ch_req_new(struct ch_httpd *httpd, struct MHD_Connection *conn, const char *uri)
{
	struct ch_req *req = calloc(1, sizeof(*req));

	if (!req)
		return NULL;
	req->httpd = httpd;
	req->conn = conn;
	ch_buf_init(&req->body, 0);
	/* A longer one is cut here and refused when the headers are complete. */
	req->uri = strndup(uri, URI_MAX_B + 1);
	if (!req->uri || ch_arena_new(ARENA_MAX_B, &req->arena)) {
		ch_req_free(req);
		return NULL;
	}
	return req;
}

static void answer_clear(struct ch_req_answer *answer)
{
	free(answer->body);
	answer->body = NULL;
	answer->body_len = 0;
	answer->content_type = NULL;
	answer->retry_after_s = 0;
}

void ch_req_free(struct ch_req *req)
{
	if (!req)
		return;
	json_decref(req->json);
	answer_clear(&req->answer);
	ch_buf_done(&req->body);
	ch_arena_free(req->arena);
	free(req->uri);
	free(req);
}

static void answer_text(struct ch_req *req, int status, const char *content_type, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct ch_req_answer *answer = &req->answer;

	json_decref(body);
	answer_clear(answer);
	answer->status = text ? status : 500;
	answer->content_type = content_type;
	answer->body = text;
	answer->body_len = text ? strlen(text) : 0;
}

void ch_req_json(struct ch_req *req, int status, json_t *body)
{
	answer_text(req, status, "application/json", body);
}

void ch_req_empty(struct ch_req *req, int status)
{
	answer_clear(&req->answer);
	req->answer.status = status;
}

void ch_req_bytes(struct ch_req *req, int status, const char *content_type, struct ch_buf *body)
{
	if (body->rc) {
		ch_req_fail_rc(req, body->rc, "make the answer");
		return;
	}
	answer_clear(&req->answer);
	req->answer.status = status;
	req->answer.content_type = content_type;
	req->answer.body = (char *)TAKE_PTR(body->data);
	req->answer.body_len = body->len;
	ch_buf_done(body);
}

json_t *ch_req_problem_json(
	const struct ch_req *req, const struct ch_err *err, const char *field)
{
	if (ch_problem_status(err) == 500)
		ch_log_error("%s %s failed: %s: %s", req->method, req->uri, err->problem,
			err->detail);
	return ch_problem_json(err, field);
}

void ch_req_fail(struct ch_req *req, const struct ch_err *err, const char *field)
{
	int status = ch_problem_status(err);

	answer_text(
		req, status, "application/problem+json", ch_req_problem_json(req, err, field));
	if (status == 503 || status == 429)
		req->answer.retry_after_s = RETRY_AFTER_S;
}

void ch_req_err(int rc, const char *activity, struct ch_err *ret_err)
{
	*ret_err = (struct ch_err){.rc = CH_OK};
	(void)ch_err_set(ret_err, rc,
		rc == CH_EAGAIN	 ? "store-busy"
		: rc == CH_EFULL ? "store-full"
				 : "internal",
		"%s: %s", activity, ch_rc_str(rc));
}

void ch_req_fail_rc(struct ch_req *req, int rc, const char *activity)
{
	struct ch_err err;

	ch_req_err(rc, activity, &err);
	ch_req_fail(req, &err, NULL);
}

void ch_req_problem(
	struct ch_req *req, int rc, const char *code, const char *field, const char *fmt, ...)
{
	struct ch_err err = {0};
	char detail[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	(void)ch_err_set(&err, rc, code, "%s", detail);
	ch_req_fail(req, &err, field);
}

bool ch_req_body_ok(struct ch_req *req, struct ch_json_in *in)
{
	if (ch_json_in_finish(in) == CH_OK)
		return true;
	ch_req_fail(req, &in->err, in->field);
	return false;
}
