#include "ui/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/listen.h"

#define CONNECTIONS_MAX 32u
/* Longer than a page takes: a connection is not idle while the store is asked. */
#define TIMEOUT_S 45u
#define CONNECTION_MEMORY_B (32u * 1024u)

struct ch_ui_server {
	struct ch_ui_app app;
	struct MHD_Daemon *daemon;
};

struct uri {
	bool too_long;
	char text[CH_UI_URI_MAX_B + 1];
};

/* Paths and queries are decoded by net/query.h, strictly. */
static size_t no_unescape(void *cls, struct MHD_Connection *conn, char *text)
{
	return strlen(text);
}

/* The address as it was sent, with its query. */
static void *on_uri(void *cls, const char *text, struct MHD_Connection *conn)
{
	struct uri *uri = calloc(1, sizeof(*uri));
	size_t len = strlen(text);

	if (!uri)
		return NULL;
	uri->too_long = len > CH_UI_URI_MAX_B;
	if (!uri->too_long)
		memcpy(uri->text, text, len);
	return uri;
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
	enum MHD_RequestTerminationCode code)
{
	free(*con_cls);
	*con_cls = NULL;
}

static bool add_headers(struct MHD_Response *response, const struct ch_ui_reply *reply)
{
	const struct {
		const char *name;
		const char *value;
	} headers[] = {{"Content-Type", reply->type}, {"Content-Security-Policy", CH_UI_CSP},
		{"X-Content-Type-Options", "nosniff"}, {"X-Frame-Options", "DENY"},
		{"Referrer-Policy", "no-referrer"}, {"Cache-Control", "no-store"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"}, {"Location", reply->location},
		{"Set-Cookie", reply->set_cookie},
		{"Allow", reply->status == 405 ? "GET, HEAD" : ""}};

	for (size_t i = 0; i < CH_ARRAY_LEN(headers); i++)
		if (*headers[i].value && MHD_add_response_header(response, headers[i].name,
						 headers[i].value) != MHD_YES)
			return false;
	return true;
}

static enum MHD_Result send_reply(struct MHD_Connection *conn, const struct ch_ui_reply *reply)
{
	const struct ch_buf *body = &reply->html.buf;
	struct MHD_Response *response;
	enum MHD_Result done = MHD_NO;

	if (body->rc)
		return MHD_NO;
	/* MHD copies it. */
	response = MHD_create_response_from_buffer(
		body->len, (void *)(uintptr_t)ch_buf_str(body), MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	if (add_headers(response, reply))
		done = MHD_queue_response(conn, (unsigned)reply->status, response);
	MHD_destroy_response(response);
	return done;
}

static const char *header(struct MHD_Connection *conn, const char *name)
{
	return MHD_lookup_connection_value(conn, MHD_HEADER_KIND, name);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_b,
	void **con_cls)
{
	const struct ch_ui_server *server = cls;
	const struct uri *uri = *con_cls;
	struct ch_ui_request request = {.method = method,
		.host = header(conn, "Host"),
		.cookie = header(conn, "Cookie"),
		.fetch_site = header(conn, "Sec-Fetch-Site")};
	struct ch_ui_reply reply;
	enum MHD_Result done;

	if (!uri)
		return MHD_NO;
	request.uri = uri->too_long ? NULL : uri->text;
	ch_ui_reply_init(&reply);
	ch_ui_app_answer(&server->app, &request, &reply);
	done = send_reply(conn, &reply);
	ch_ui_reply_done(&reply);
	return done;
}

static int start_daemon(struct ch_ui_server *server, int fd, struct ch_err *err)
{
	server->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0,
		NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL, MHD_OPTION_UNESCAPE_CALLBACK,
		no_unescape, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
		TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_B,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_END);
	if (!server->daemon)
		return ch_err_set(err, CH_EIO, "ui-listen", "cannot serve on %s: %s",
			server->app.address, strerror(errno));
	return CH_OK;
}

int ch_ui_server_start(const struct ch_ui_server_options *options,
	struct ch_ui_server **ret_server, struct ch_err *err)
{
	struct ch_ui_server *server;
	char text[CH_LISTEN_TEXT_B];
	CH_AUTO_CLOSE int fd = -1;
	unsigned port = 0;
	int rc;

	if (!ch_listen_is_loopback(options->listen))
		return ch_err_set(err, CH_EINVAL, "ui-listen",
			"\"%s\" is not an address of this host's loopback with a port, as "
			"127.0.0.1:8420: from elsewhere, forward that port with ssh -L",
			options->listen);
	rc = ch_listen_open(options->listen, &fd, &port, text, err);
	if (rc)
		return rc;
	server = calloc(1, sizeof(*server));
	if (!server)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	rc = ch_ui_app_init(&server->app, text, port, options->store, err);
	if (!rc)
		rc = start_daemon(server, fd, err);
	if (rc) {
		ch_ui_server_stop(server);
		return rc;
	}
	/* The daemon closes it. */
	fd = -1;
	*ret_server = server;
	return CH_OK;
}

void ch_ui_server_stop(struct ch_ui_server *server)
{
	if (!server)
		return;
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	ch_ui_app_done(&server->app);
	free(server);
}

const struct ch_ui_app *ch_ui_server_app(const struct ch_ui_server *server)
{
	return &server->app;
}
