#include "ui/server.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sync.h"
#include "net/listen.h"
#include "net/strangers.h"

#define CONNECTIONS_MAX 512u
/* The rest is for those who are known; some strangers are still on their way out, too.  So
 * many, that he who asks at once has been heard before as many others have come after him. */
#define STRANGERS_MAX 384u
#define PATIENCE_MS (5 * CH_SECOND_MS)
#define KNOWN_MS (2 * CH_MINUTE_MS)
/* Of silence; a connection whose page is being made does not count as silent. */
#define TIMEOUT_S 45u
#define CONNECTION_MEMORY_B (32u * 1024u)

/* One request. */
struct job {
	STAILQ_ENTRY(job) link;
	struct MHD_Connection *conn;
	struct ch_ui_reply reply;
	int64_t until_ms; /* monotonic */
	atomic_bool made; /* the reply; what follows is not written while it is being made */
	bool begun;
	bool too_long;
	char uri[CH_UI_URI_MAX_B + 1];
};

struct ch_ui_server {
	struct ch_ui_app app;
	struct MHD_Daemon *daemon;
	struct ch_strangers *strangers;
	pthread_t threads[CH_UI_STORES_MAX];
	size_t n_threads;
	struct ch_sync sync;	    /* guards what follows */
	STAILQ_HEAD(, job) waiting; /* for a thread */
	struct ch_ui_store idle[CH_UI_STORES_MAX];
	size_t n_idle;
	bool stopping;
};

/* Paths and queries are decoded by net/query.h, strictly. */
static size_t no_unescape(void *cls, struct MHD_Connection *conn, char *text)
{
	return strlen(text);
}

/* The address as it was sent, with its query. */
static void *on_uri(void *cls, const char *text, struct MHD_Connection *conn)
{
	struct job *job = calloc(1, sizeof(*job));
	size_t len = strlen(text);

	if (!job)
		return NULL;
	job->conn = conn;
	job->too_long = len > CH_UI_URI_MAX_B;
	if (!job->too_long)
		memcpy(job->uri, text, len);
	ch_ui_reply_init(&job->reply);
	return job;
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
	enum MHD_RequestTerminationCode code)
{
	struct job *job = *con_cls;

	if (!job)
		return;
	ch_ui_reply_done(&job->reply);
	free(job);
	*con_cls = NULL;
}

static int fd_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

static void on_connection(void *cls, struct MHD_Connection *conn, void **socket_context,
	enum MHD_ConnectionNotificationCode code)
{
	struct ch_ui_server *server = cls;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		ch_strangers_leave(server->strangers, *socket_context);
		*socket_context = NULL;
	} else {
		*socket_context = ch_strangers_enter(server->strangers, fd_of(conn));
	}
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

/* False: it is not listed, for want of memory, so that nothing would end its time. */
static bool know(struct ch_ui_server *server, struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	if (!info || !info->socket_context)
		return false;
	ch_strangers_know(server->strangers, info->socket_context);
	return true;
}

/* Once it is listed, it is the other thread's until it has been resumed. */
static enum MHD_Result hand_over(struct ch_ui_server *server, struct job *job)
{
	enum MHD_Result done = MHD_NO;

	pthread_mutex_lock(&server->sync.lock);
	if (!server->stopping) {
		MHD_suspend_connection(job->conn);
		STAILQ_INSERT_TAIL(&server->waiting, job, link);
		pthread_cond_signal(&server->sync.changed);
		done = MHD_YES;
	}
	pthread_mutex_unlock(&server->sync.lock);
	return done;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_b,
	void **con_cls)
{
	struct ch_ui_server *server = cls;
	struct job *job = *con_cls;
	struct ch_ui_request request = {.method = method,
		.host = header(conn, "Host"),
		.cookie = header(conn, "Cookie"),
		.fetch_site = header(conn, "Sec-Fetch-Site")};
	bool done;

	if (!job)
		return MHD_NO;
	if (job->begun)
		return atomic_load(&job->made) ? send_reply(conn, &job->reply) : MHD_YES;
	job->begun = true;
	job->until_ms = ch_mono_ms() + CH_UI_PAGE_MS;
	request.uri = job->too_long ? NULL : job->uri;
	done = ch_ui_app_answer(&server->app, &request, &job->reply);
	if (job->reply.known && !know(server, conn))
		return MHD_NO;
	return done ? send_reply(conn, &job->reply) : hand_over(server, job);
}

static void resume(struct job *job)
{
	/* The job may be gone as soon as this is set and the connection runs. */
	struct MHD_Connection *conn = job->conn;

	atomic_store(&job->made, true);
	MHD_resume_connection(conn);
}

static void make_page(
	const struct ch_ui_app *app, const struct ch_ui_store *store, struct job *job)
{
	if (store->begin)
		store->begin(store->arg, job->until_ms, fd_of(job->conn));
	ch_ui_app_show(app, store, job->uri, &job->reply);
	resume(job);
}

static void *run(void *arg)
{
	struct ch_ui_server *server = arg;
	struct ch_ui_store store;
	struct job *job;

	pthread_mutex_lock(&server->sync.lock);
	for (;;) {
		while (!server->stopping && STAILQ_EMPTY(&server->waiting))
			pthread_cond_wait(&server->sync.changed, &server->sync.lock);
		if (server->stopping)
			break;
		job = STAILQ_FIRST(&server->waiting);
		STAILQ_REMOVE_HEAD(&server->waiting, link);
		/* As many as threads; its connection to the store is the warmest. */
		store = server->idle[--server->n_idle];
		pthread_mutex_unlock(&server->sync.lock);
		make_page(&server->app, &store, job);
		pthread_mutex_lock(&server->sync.lock);
		server->idle[server->n_idle++] = store;
	}
	pthread_mutex_unlock(&server->sync.lock);
	return NULL;
}

static int start_daemon(struct ch_ui_server *server, int fd, struct ch_err *err)
{
	server->daemon = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_ALLOW_SUSPEND_RESUME, 0,
		NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL, MHD_OPTION_UNESCAPE_CALLBACK,
		no_unescape, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT,
		CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_B,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_END);
	if (!server->daemon)
		return ch_err_set(err, CH_EIO, "ui-listen", "cannot serve on %s: %s",
			server->app.address, strerror(errno));
	return CH_OK;
}

static int start_threads(struct ch_ui_server *server,
	const struct ch_ui_server_options *options, struct ch_err *err)
{
	for (size_t i = 0; i < options->n_stores; i++)
		server->idle[server->n_idle++] = options->stores[i];
	while (server->n_threads < options->n_stores) {
		if (pthread_create(&server->threads[server->n_threads], NULL, run, server) != 0)
			return ch_err_set(err, CH_EAGAIN, "threads", "cannot start a thread");
		server->n_threads++;
	}
	return CH_OK;
}

static int start(struct ch_ui_server *server, const struct ch_ui_server_options *options,
	int fd, struct ch_err *err)
{
	int rc =
		ch_strangers_new(PATIENCE_MS, KNOWN_MS, STRANGERS_MAX, &server->strangers, err);

	if (!rc)
		rc = start_threads(server, options, err);
	return rc ? rc : start_daemon(server, fd, err);
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
	if (!server || ch_sync_init(&server->sync)) {
		free(server);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	STAILQ_INIT(&server->waiting);
	rc = ch_ui_app_init(&server->app, text, port, err);
	if (!rc)
		rc = start(server, options, fd, err);
	if (rc) {
		ch_ui_server_stop(server);
		return rc;
	}
	/* The daemon closes it. */
	fd = -1;
	*ret_server = server;
	return CH_OK;
}

/* From now on no request waits; those that did are closed without a page. */
static void stop_threads(struct ch_ui_server *server)
{
	struct job *job;

	pthread_mutex_lock(&server->sync.lock);
	server->stopping = true;
	pthread_cond_broadcast(&server->sync.changed);
	pthread_mutex_unlock(&server->sync.lock);
	for (size_t i = 0; i < server->n_threads; i++)
		pthread_join(server->threads[i], NULL);
	while ((job = STAILQ_FIRST(&server->waiting))) {
		STAILQ_REMOVE_HEAD(&server->waiting, link);
		resume(job);
	}
}

void ch_ui_server_stop(struct ch_ui_server *server)
{
	if (!server)
		return;
	stop_threads(server);
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	ch_strangers_free(server->strangers);
	ch_sync_done(&server->sync);
	ch_ui_app_done(&server->app);
	free(server);
}

const struct ch_ui_app *ch_ui_server_app(const struct ch_ui_server *server)
{
	return &server->app;
}
