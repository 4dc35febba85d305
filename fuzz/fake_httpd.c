#include "fake_httpd.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "stored/httpd_private.h"

struct MHD_Connection {
	const struct ch_fuzz_request *request;
	char length[24]; /* Content-Length */
	struct ch_conn own;
	union MHD_ConnectionInfo info;
	unsigned answers;
	struct ch_fuzz_reply reply;
};

struct MHD_Response {
	struct ch_fuzz_reply reply;
};

static pthread_mutex_t wake_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake_cond = PTHREAD_COND_INITIALIZER;

/* ---- libmicrohttpd's: the program's own definitions come before a shared library's ---- */

const char *MHD_lookup_connection_value(
	struct MHD_Connection *conn, enum MHD_ValueKind kind, const char *key)
{
	const struct ch_fuzz_request *r = conn->request;

	CH_FUZZ_CHECK(kind == MHD_HEADER_KIND);
	for (size_t i = 0; i < r->n_headers; i++)
		if (strcasecmp(r->headers[i].name, key) == 0)
			return r->headers[i].value;
	if (r->body_len && strcasecmp(key, "Content-Length") == 0)
		return conn->length;
	if (r->body_len && strcasecmp(key, "Content-Type") == 0)
		return "application/json";
	return NULL;
}

/* A socket that nobody closes. */
static int open_socket(void)
{
	static int pair[2] = {-1, -1};

	if (pair[0] < 0)
		CH_FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	return pair[0];
}

const union MHD_ConnectionInfo *MHD_get_connection_info(
	struct MHD_Connection *conn, enum MHD_ConnectionInfoType type, ...)
{
	switch (type) {
	case MHD_CONNECTION_INFO_SOCKET_CONTEXT:
		conn->info.socket_context = &conn->own;
		return &conn->info;
	case MHD_CONNECTION_INFO_CONNECTION_FD:
		conn->info.connect_fd = open_socket();
		return &conn->info;
	case MHD_CONNECTION_INFO_GNUTLS_SESSION: /* ch_auth_check below finds its way back */
		conn->info.tls_session = conn;
		return &conn->info;
	default:
		return NULL;
	}
}

struct MHD_Response *MHD_create_response_from_buffer_with_free_callback(
	size_t size, void *buffer, MHD_ContentReaderFreeCallback fn)
{
	struct MHD_Response *response = calloc(1, sizeof(*response));

	CH_FUZZ_CHECK(response && fn == free);
	response->reply.body = malloc(size + 1);
	CH_FUZZ_CHECK(response->reply.body);
	memcpy(response->reply.body, buffer, size);
	response->reply.body[size] = 0;
	response->reply.body_len = size;
	fn(buffer);
	return response;
}

struct MHD_Response *MHD_create_response_from_buffer(
	size_t size, void *buffer, enum MHD_ResponseMemoryMode mode)
{
	CH_FUZZ_CHECK(size == 0);
	return calloc(1, sizeof(struct MHD_Response));
}

enum MHD_Result MHD_add_response_header(
	struct MHD_Response *response, const char *name, const char *value)
{
	struct ch_fuzz_reply *reply = &response->reply;

	/* libmicrohttpd refuses these, and the answer would be lost. */
	CH_FUZZ_CHECK(*value && ch_fuzz_is_plain(value));
	if (strcasecmp(name, "Content-Type") == 0)
		snprintf(reply->content_type, sizeof(reply->content_type), "%s", value);
	else if (strcasecmp(name, "Allow") == 0)
		snprintf(reply->allow, sizeof(reply->allow), "%s", value);
	else if (strcasecmp(name, "Retry-After") == 0)
		snprintf(reply->retry_after, sizeof(reply->retry_after), "%s", value);
	return MHD_YES;
}

enum MHD_Result MHD_queue_response(
	struct MHD_Connection *conn, unsigned status, struct MHD_Response *response)
{
	conn->answers++;
	ch_fuzz_reply_done(&conn->reply);
	conn->reply = response->reply;
	conn->reply.status = (int)status;
	response->reply.body = NULL;
	return MHD_YES;
}

void MHD_destroy_response(struct MHD_Response *response)
{
	ch_fuzz_reply_done(&response->reply);
	free(response);
}

/* ---- the server's: as in stored/httpd.c, auth.c and polls.c, without their threads ---- */

int ch_auth_check(struct ch_auth *auth, gnutls_session_t session, struct ch_auth_memo *memo,
	struct ch_who *ret_who, struct ch_err *err)
{
	const struct MHD_Connection *conn = (const void *)session;
	struct ch_who who = {.role = conn->request->role};

	if (conn->request->stranger)
		return ch_err_set(
			err, CH_EAUTH, "not-authenticated", "The client sent no certificate.");
	snprintf(who.uri.role, sizeof(who.uri.role), "%s", ch_role_str(who.role));
	snprintf(who.uri.scope, sizeof(who.uri.scope), "default");
	snprintf(who.uri.id, sizeof(who.uri.id), "fuzz");
	snprintf(who.text, sizeof(who.text), "certherd://%s/default/fuzz",
		ch_role_str(who.role));
	*ret_who = who;
	return CH_OK;
}

bool ch_req_park(struct ch_req *req, ch_req_fn *next)
{
	CH_FUZZ_CHECK(!req->parked && !req->answer.status);
	req->parked = true;
	req->next = next;
	req->reauth = false;
	atomic_store(&req->woken, false);
	return true;
}

void ch_req_wake(struct ch_req *req)
{
	pthread_mutex_lock(&wake_lock);
	CH_FUZZ_CHECK(!atomic_exchange(&req->woken, true));
	pthread_cond_signal(&wake_cond);
	pthread_mutex_unlock(&wake_lock);
}

void ch_httpd_unparked(struct ch_httpd *httpd)
{
}

bool ch_httpd_is_stopping(struct ch_httpd *httpd)
{
	return false;
}

uint64_t ch_polls_seen(struct ch_polls *polls, enum ch_poll_kind kind)
{
	return 1;
}

size_t ch_polls_waiting(struct ch_polls *polls, enum ch_poll_kind kind)
{
	return 0;
}

/* Nothing happens meanwhile but that the time comes. */
int ch_polls_wait(struct ch_polls *polls, struct ch_req *req, struct ch_poll *poll,
	uint64_t seen, ch_req_fn *next)
{
	int64_t until_ms = poll->deadline_ms;

	CH_FUZZ_CHECK(seen == 1 && poll->deadline_ms - req->began_ms <= 60000);
	CH_FUZZ_CHECK(poll->deadline_ms > ch_fuzz_now_ms);
	if (poll->kind == CH_POLL_LEASES && poll->due_ms < until_ms)
		until_ms = poll->due_ms;
	if (until_ms > ch_fuzz_now_ms)
		ch_fuzz_now_ms = until_ms;
	CH_FUZZ_CHECK(ch_req_park(req, next));
	req->reauth = true;
	ch_req_wake(req);
	return CH_OK;
}

/* ---- one exchange ---- */

static void await(struct ch_req *req)
{
	pthread_mutex_lock(&wake_lock);
	while (!atomic_load(&req->woken))
		pthread_cond_wait(&wake_cond, &wake_lock);
	pthread_mutex_unlock(&wake_lock);
}

static void call(struct MHD_Connection *conn, struct ch_req *req, const char *upload, size_t n)
{
	const struct ch_fuzz_request *r = conn->request;
	void *con_cls = req;
	size_t left = n;

	CH_FUZZ_CHECK(ch_httpd_on_request(NULL, conn, r->uri, r->method, "HTTP/1.1", upload,
			      &left, &con_cls) == MHD_YES);
	CH_FUZZ_CHECK(left == 0);
}

/* Head, body in two pieces, end; then as often as it was parked. */
static void run(struct MHD_Connection *conn, struct ch_req *req)
{
	const struct ch_fuzz_request *r = conn->request;
	size_t half = r->body_len / 2;

	call(conn, req, NULL, 0);
	if (conn->answers)
		return;
	if (half)
		call(conn, req, r->body, half);
	if (r->body_len)
		call(conn, req, r->body + half, r->body_len - half);
	call(conn, req, NULL, 0);
	while (req->parked) {
		await(req);
		call(conn, req, NULL, 0);
	}
}

void ch_fuzz_exchange(struct ch_service *service, const struct ch_fuzz_request *request,
	struct ch_fuzz_reply *ret_reply)
{
	static struct ch_httpd httpd;
	struct MHD_Connection *conn = calloc(1, sizeof(*conn));
	struct ch_req *req = conn ? ch_req_new(&httpd, conn, request->uri) : NULL;

	CH_FUZZ_CHECK(req);
	if (!httpd.crowd)
		CH_FUZZ_CHECK(ch_crowd_new(1, &httpd.crowd, NULL) == CH_OK);
	httpd.service = service;
	conn->request = request;
	snprintf(conn->length, sizeof(conn->length), "%zu", request->body_len);
	run(conn, req);
	CH_FUZZ_CHECK(conn->answers == 1);
	*ret_reply = conn->reply;
	ch_crowd_leave(httpd.crowd, &conn->own.place);
	ch_req_free(req);
	free(conn);
}

void ch_fuzz_reply_done(struct ch_fuzz_reply *reply)
{
	free(reply->body);
	*reply = (struct ch_fuzz_reply){.body = NULL};
}
