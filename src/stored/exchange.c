/* One request's way through the server: headers, authentication, body, handler, answer. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listen.h"
#include "stored/httpd_private.h"

#define URI_MAX_B 6144u
/* A body that will be refused is read and dropped up to here, so that the client gets to read
 * the answer; beyond, the connection is closed. */
#define DRAIN_MAX_B (16u * 1024u * 1024u)
#define BODY_MAX_MS (60 * CH_SECOND_MS)
/* A body that took longer: the client is authenticated again. */
#define AUTH_FRESH_MS (1 * CH_SECOND_MS)
#define REFUSED_INTERVAL_MS (10 * CH_SECOND_MS)
#define REFUSED_LINES 10

static const char *header(const struct ch_req *req, const char *name)
{
	return MHD_lookup_connection_value(req->conn, MHD_HEADER_KIND, name);
}

/* One line per refused authentication, but no flood. */
static void log_refused(struct ch_req *req, const struct ch_err *err)
{
	struct ch_httpd *httpd = req->httpd;
	int64_t now = ch_mono_ms();
	unsigned skipped = 0;
	unsigned n;

	pthread_mutex_lock(&httpd->sync.lock);
	if (now - httpd->refused_from_ms >= REFUSED_INTERVAL_MS) {
		if (httpd->refused_n > REFUSED_LINES)
			skipped = httpd->refused_n - REFUSED_LINES;
		httpd->refused_from_ms = now;
		httpd->refused_n = 0;
	}
	n = ++httpd->refused_n;
	pthread_mutex_unlock(&httpd->sync.lock);
	if (skipped)
		ch_log_warn("%u more requests were refused", skipped);
	if (n <= REFUSED_LINES)
		ch_log_warn("refused %s %s: %s", req->method, req->uri, err->detail);
}

static struct ch_conn *connection(const struct ch_req *req)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(req->conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static int check_identity(struct ch_req *req, struct ch_err *err)
{
	struct ch_conn *conn = connection(req);
	const union MHD_ConnectionInfo *info;

	if (!conn)
		return ch_err_set(err, CH_ENOMEM, "store-busy", "The store is out of memory.");
	info = MHD_get_connection_info(req->conn, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	return ch_auth_check(
		req->httpd->auth, info ? info->tls_session : NULL, &conn->memo, &req->who, err);
}

/* Who is not let in, or no longer, has a stranger's time from now on, and the connection ends
 * with the answer. */
static bool turn_away(struct ch_req *req, struct ch_conn *conn, const struct ch_err *err)
{
	if (conn)
		ch_crowd_leave(req->httpd->crowd, &conn->place);
	if (conn && conn->stranger)
		ch_strangers_doubt(req->httpd->strangers, conn->stranger);
	log_refused(req, err);
	ch_req_fail(req, err, NULL);
	req->answer.close = true;
	return false;
}

/* False: the answer is a refusal. */
static bool authenticate(struct ch_req *req)
{
	struct ch_conn *conn = connection(req);
	struct ch_err err = {0};

	if (check_identity(req, &err) ||
		ch_crowd_join(req->httpd->crowd, req->who.text, &conn->place, &err))
		return turn_away(req, conn, &err);
	req->auth_at_ms = ch_mono_ms();
	if (conn->stranger)
		ch_strangers_know(req->httpd->strangers, conn->stranger);
	return true;
}

/* Who is asking comes before whether there is such a route: a stranger learns nothing. */
static bool find_route(struct ch_req *req)
{
	CH_AUTO_FREE char *path = strndup(req->uri, strcspn(req->uri, "?"));
	const struct ch_route *route = NULL;
	char allow[sizeof(req->answer.allow)] = "";
	struct ch_err err = {0};
	int rc = CH_ENOMEM;

	if (path)
		rc = ch_route_find(
			req->method, path, &route, &req->match, allow, sizeof(allow), &err);
	if (!rc && route->roles == CH_ROLES_ANYBODY) {
		req->route = route;
		return true;
	}
	if (!authenticate(req))
		return false;
	if (rc) {
		if (strcmp(err.problem, "method-not-allowed") == 0)
			memcpy(req->answer.allow, allow, sizeof(allow));
		ch_req_fail(req, &err, NULL);
		return false;
	}
	req->route = route;
	if (route->roles & (1u << req->who.role))
		return true;
	(void)ch_err_set(&err, CH_EAUTH, "not-allowed", "The role \"%s\" may not do this.",
		ch_role_str(req->who.role));
	log_refused(req, &err);
	ch_req_fail(req, &err, NULL);
	return false;
}

/* "application/json", with or without parameters. */
static bool is_json(const char *type)
{
	size_t len = type ? strcspn(type, "; \t") : 0;

	return len == strlen("application/json") &&
	       strncasecmp(type, "application/json", len) == 0;
}

static uint64_t content_length(const struct ch_req *req)
{
	const char *text = header(req, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text ? strtoull(text, NULL, 10) : 0;
}

static bool has_body(const struct ch_req *req)
{
	return content_length(req) > 0 || header(req, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

static void refuse_size(struct ch_req *req)
{
	if (req->route->body == CH_BODY_NONE)
		ch_req_problem(
			req, CH_ETOOBIG, "body-too-large", NULL, "This request takes no body.");
	else
		ch_req_problem(req, CH_ETOOBIG, "body-too-large", NULL,
			"The body is longer than %zu bytes.", req->route->body_max_b);
}

/* Judges the headers; an error becomes the answer, which is sent after the body. */
static void judge_head(struct ch_req *req)
{
	struct ch_err err = {0};
	const char *query;

	if (strlen(req->uri) > URI_MAX_B) {
		ch_req_problem(req, CH_ETOOBIG, "uri-too-long", NULL,
			"The path and query are longer than %u bytes.", URI_MAX_B);
		return;
	}
	if (!find_route(req))
		return;
	query = strchr(req->uri, '?');
	if (ch_query_parse(&req->query, query ? query + 1 : NULL, req->route->query, &err)) {
		ch_req_fail(req, &err, NULL);
		return;
	}
	if (!has_body(req))
		return;
	if (req->route->body == CH_BODY_NONE || content_length(req) > req->route->body_max_b) {
		refuse_size(req);
		return;
	}
	if (!is_json(header(req, MHD_HTTP_HEADER_CONTENT_TYPE)) ||
		header(req, MHD_HTTP_HEADER_CONTENT_ENCODING))
		ch_req_problem(req, CH_EINVAL, "content-type", NULL,
			"Send the body as Content-Type: application/json, not encoded.");
	req->body.max_b = req->route->body_max_b;
}

static enum MHD_Result send_answer(struct ch_req *req, bool close_after)
{
	struct ch_req_answer *answer = &req->answer;
	struct MHD_Response *response;
	char seconds[16];
	enum MHD_Result ok;

	if (answer->status == 0)
		ch_req_fail_rc(req, CH_EIO, "answer");
	ch_log_debug("%d %s %s %s %" PRId64 " ms", answer->status,
		req->who.text[0] ? req->who.text : "-", req->method, req->uri,
		ch_mono_ms() - req->head_at_ms);
	response = answer->body ? MHD_create_response_from_buffer_with_free_callback(
					  answer->body_len, answer->body, free)
				: MHD_create_response_from_buffer(
					  0, (void *)"", MHD_RESPMEM_PERSISTENT);
	if (!response)
		return MHD_NO;
	answer->body = NULL; /* the response's now */
	ok = MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (ok && answer->content_type)
		ok = MHD_add_response_header(
			response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
	if (ok && answer->allow[0])
		ok = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
	if (ok && answer->retry_after_s) {
		snprintf(seconds, sizeof(seconds), "%d", answer->retry_after_s);
		ok = MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
	}
	if (ok && (close_after || answer->close))
		ok = MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (ok)
		ok = MHD_queue_response(req->conn, (unsigned)answer->status, response);
	MHD_destroy_response(response);
	return ok;
}

static enum MHD_Result on_head(struct ch_req *req, const char *method)
{
	snprintf(req->method, sizeof(req->method), "%s", method);
	req->has_head = true;
	req->head_at_ms = ch_mono_ms();
	judge_head(req);
	/* A client that asks first, or would send too much, is told at once. */
	if (req->answer.status &&
		(header(req, MHD_HTTP_HEADER_EXPECT) || content_length(req) > DRAIN_MAX_B))
		return send_answer(req, true);
	return MHD_YES;
}

static enum MHD_Result on_body(struct ch_req *req, const char *bytes, size_t len)
{
	req->received_b += len;
	if (req->received_b > DRAIN_MAX_B || ch_mono_ms() - req->head_at_ms > BODY_MAX_MS)
		return MHD_NO;
	if (req->answer.status)
		return MHD_YES;
	if (req->body.len + len > req->body.max_b) {
		refuse_size(req);
		ch_buf_done(&req->body);
		return MHD_YES;
	}
	if (ch_buf_add(&req->body, bytes, len))
		ch_req_fail_rc(req, CH_ENOMEM, "read the body");
	return MHD_YES;
}

static bool decode_body(struct ch_req *req)
{
	struct ch_err err = {0};

	if (req->route->body == CH_BODY_NONE)
		return true;
	if (req->body.len == 0 && req->route->body == CH_BODY_OPTIONAL) {
		req->json = json_object();
		return true;
	}
	if (ch_json_in_parse(ch_buf_str(&req->body), req->body.len, &req->json, &err)) {
		ch_req_fail(req, &err, NULL);
		return false;
	}
	ch_buf_done(&req->body);
	return true;
}

static void begin(struct ch_req *req)
{
	req->began_ms = ch_mono_ms();
	if (req->route->roles != CH_ROLES_ANYBODY &&
		req->began_ms - req->auth_at_ms > AUTH_FRESH_MS && !authenticate(req))
		return;
	if (ch_httpd_is_stopping(req->httpd)) {
		ch_req_problem(req, CH_EAGAIN, "stopping", NULL, "The store is stopping.");
		return;
	}
	req->service = req->httpd->service;
	if (decode_body(req))
		req->route->run(req);
}

static void go_on(struct ch_req *req)
{
	req->parked = false;
	ch_httpd_unparked(req->httpd);
	if (req->reauth && !authenticate(req))
		return;
	if (req->reauth && ch_httpd_is_stopping(req->httpd)) {
		ch_req_problem(req, CH_EAGAIN, "stopping", NULL, "The store is stopping.");
		return;
	}
	req->next(req);
}

enum MHD_Result ch_httpd_on_request(void *cls, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_b,
	void **con_cls)
{
	struct ch_req *req = *con_cls;

	if (!req)
		return MHD_NO;
	if (!req->has_head)
		return on_head(req, method);
	if (*upload_b) {
		size_t len = *upload_b;

		*upload_b = 0;
		return on_body(req, upload, len);
	}
	if (req->parked) {
		if (!atomic_load(&req->woken))
			return MHD_YES;
		go_on(req);
	} else if (!req->answer.status) {
		begin(req);
	}
	/* From here on a parked request is somebody else's: look at what is ours only. */
	return req->parked ? MHD_YES : send_answer(req, false);
}

const char *ch_req_user_agent(const struct ch_req *req)
{
	return header(req, MHD_HTTP_HEADER_USER_AGENT);
}

bool ch_req_is_gone(const struct ch_req *req)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(req->conn, MHD_CONNECTION_INFO_CONNECTION_FD);

	return !info || ch_listen_is_gone(info->connect_fd);
}
