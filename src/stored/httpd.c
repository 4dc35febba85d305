#include "stored/httpd.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "stored/httpd_private.h"
#include "net/listen.h"

/* Holds the request line and the headers, so it bounds them. */
#define CONNECTION_MEMORY_B (32u * 1024u)
#define CERT_MAX_B (64u * 1024u)
#define KEY_MAX_B (16u * 1024u)
#define STOP_GRACE_MS 3000
#define STOP_LOOK_MS 20

/* TLS 1.2 and 1.3, AEAD and ephemeral keys only; no tickets, so that every connection shows its
 * certificate. */
static const char priorities[] =
	"NONE:+VERS-TLS1.3:+VERS-TLS1.2:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305:"
	"+ECDHE-ECDSA:+ECDHE-RSA:+AEAD:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:"
	"+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-ECDSA-SHA256:"
	"+SIGN-ECDSA-SHA384:+SIGN-EDDSA-ED25519:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256:"
	"+CTYPE-X509:+COMP-NULL:%SERVER_PRECEDENCE:%NO_TICKETS:%PROFILE_MEDIUM";

static __thread char last_message[256];

/* libmicrohttpd reports every broken connection of a stranger here. */
static void CH_PRINTF(2, 0) on_log(void *cls, const char *fmt, va_list args)
{
	vsnprintf(last_message, sizeof(last_message), fmt, args);
	last_message[strcspn(last_message, "\n")] = 0;
	ch_log_debug("http: %s", last_message);
}

/* Paths and queries are decoded by net/query.h, strictly. */
static size_t no_unescape(void *cls, struct MHD_Connection *conn, char *text)
{
	return strlen(text);
}

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *conn)
{
	struct ch_httpd *httpd = cls;
	struct ch_req *req = ch_req_new(httpd, conn, uri);

	if (req)
		atomic_fetch_add(&httpd->active, 1);
	return req;
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
	enum MHD_RequestTerminationCode code)
{
	struct ch_httpd *httpd = cls;
	struct ch_req *req = *con_cls;

	if (!req)
		return;
	/* It was woken, but its client is gone, so the handler does not run again. */
	if (req->parked)
		ch_httpd_unparked(httpd);
	ch_req_free(req);
	*con_cls = NULL;
	atomic_fetch_sub(&httpd->active, 1);
}

static void on_connection(void *cls, struct MHD_Connection *conn, void **socket_context,
	enum MHD_ConnectionNotificationCode code)
{
	struct ch_httpd *httpd = cls;
	struct ch_conn *mine = *socket_context;
	const union MHD_ConnectionInfo *info;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (mine) {
			ch_crowd_leave(httpd->crowd, &mine->place);
			ch_strangers_leave(httpd->strangers, mine->stranger);
		}
		free(mine);
		*socket_context = NULL;
		return;
	}
	/* Without one the connection cannot be authenticated. */
	mine = calloc(1, sizeof(*mine));
	info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (mine && info)
		mine->stranger = ch_strangers_enter(httpd->strangers, info->connect_fd);
	*socket_context = mine;
}

bool ch_req_park(struct ch_req *req, ch_req_fn *next)
{
	struct ch_httpd *httpd = req->httpd;

	pthread_mutex_lock(&httpd->sync.lock);
	if (httpd->stopping) {
		pthread_mutex_unlock(&httpd->sync.lock);
		ch_req_problem(req, CH_EAGAIN, "stopping", NULL, "The store is stopping.");
		return false;
	}
	httpd->n_parked++;
	pthread_mutex_unlock(&httpd->sync.lock);
	req->parked = true;
	req->next = next;
	req->reauth = false;
	atomic_store(&req->woken, false);
	/* Before the request is handed over, so that no wake-up can come too early. */
	MHD_suspend_connection(req->conn);
	return true;
}

void ch_req_wake(struct ch_req *req)
{
	/* The request may be gone as soon as woken is set and the connection runs. */
	struct MHD_Connection *conn = req->conn;

	atomic_store(&req->woken, true);
	MHD_resume_connection(conn);
}

void ch_httpd_unparked(struct ch_httpd *httpd)
{
	pthread_mutex_lock(&httpd->sync.lock);
	if (--httpd->n_parked == 0)
		pthread_cond_broadcast(&httpd->sync.changed);
	pthread_mutex_unlock(&httpd->sync.lock);
}

bool ch_httpd_is_stopping(struct ch_httpd *httpd)
{
	bool stopping;

	pthread_mutex_lock(&httpd->sync.lock);
	stopping = httpd->stopping;
	pthread_mutex_unlock(&httpd->sync.lock);
	return stopping;
}

/* Who comes while the store stops goes to another one at once.  Not by MHD_quiesce_daemon: it
 * takes the listening socket out of the threads' epoll sets while they do so themselves, and
 * whoever comes second aborts the process (libmicrohttpd 0.9.75 and 1.0). */
static enum MHD_Result on_accept(void *arg, const struct sockaddr *from, socklen_t from_len)
{
	return ch_httpd_is_stopping(arg) ? MHD_NO : MHD_YES;
}

static struct MHD_Daemon *start_daemon(
	struct ch_httpd *httpd, const struct ch_httpd_options *o, int fd)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS |
			 MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_ITC;
	struct MHD_OptionItem pool[] = {
		{MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)o->threads, NULL},
		{MHD_OPTION_END, 0, NULL},
	};

	return MHD_start_daemon(flags, 0, on_accept, httpd, ch_httpd_on_request, httpd,
		MHD_OPTION_EXTERNAL_LOGGER, on_log, httpd, /* first, to catch all messages */
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_HTTPS_MEM_KEY,
		(const char *)ch_secret_bytes(httpd->key), MHD_OPTION_HTTPS_MEM_CERT,
		httpd->cert, MHD_OPTION_HTTPS_MEM_TRUST, ch_auth_trust_pem(o->auth),
		MHD_OPTION_HTTPS_PRIORITIES, priorities, MHD_OPTION_URI_LOG_CALLBACK, on_uri,
		httpd, MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, httpd, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, httpd, MHD_OPTION_CONNECTION_LIMIT, o->connections_max,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, o->per_ip_max,
		MHD_OPTION_CONNECTION_TIMEOUT, o->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY_B, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY,
		/* A pool of one thread is no pool to libmicrohttpd. */
		o->threads > 1 ? pool : pool + 1, MHD_OPTION_END);
}

static int load_identity(
	struct ch_httpd *httpd, const struct ch_httpd_options *o, struct ch_err *err)
{
	CH_AUTO_SECRET struct ch_secret *pem = NULL;
	size_t len;
	int rc = ch_file_read(o->cert_file, CERT_MAX_B, &httpd->cert, &len, err);

	if (!rc)
		rc = ch_secret_read_file(o->key_file, KEY_MAX_B, &pem, err);
	/* libmicrohttpd wants a NUL after it. */
	if (!rc && ch_secret_new(ch_secret_len(pem) + 1, &httpd->key))
		rc = ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	if (!rc)
		memcpy(ch_secret_bytes(httpd->key), ch_secret_bytes(pem), ch_secret_len(pem));
	return rc;
}

static int add_listener(struct ch_httpd *httpd, const struct ch_httpd_options *o,
	const char *address, struct ch_err *err)
{
	CH_AUTO_CLOSE int fd = -1;
	char text[CH_LISTEN_TEXT_B];
	unsigned port = 0;
	struct MHD_Daemon *daemon;
	int rc = ch_listen_open(address, &fd, &port, text, err);

	if (rc)
		return rc;
	last_message[0] = 0;
	daemon = start_daemon(httpd, o, fd);
	if (!daemon)
		return ch_err_set(err, CH_EINVAL, "config-tls",
			"cannot serve on %s with %s and %s: %s", text, o->cert_file,
			o->key_file, last_message);
	fd = -1; /* the daemon's now */
	if (httpd->n_daemons == 0)
		httpd->port = port;
	httpd->daemons[httpd->n_daemons++] = daemon;
	(void)ch_buf_addf(&httpd->addresses, "%s%s", httpd->addresses.len ? ", " : "", text);
	return CH_OK;
}

int ch_httpd_start(
	const struct ch_httpd_options *options, struct ch_httpd **ret_httpd, struct ch_err *err)
{
	struct ch_httpd *httpd = calloc(1, sizeof(*httpd));
	int rc;

	if (!httpd || ch_sync_init(&httpd->sync)) {
		free(httpd);
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	}
	httpd->auth = options->auth;
	httpd->service = options->service;
	ch_buf_init(&httpd->addresses, CH_HTTPD_LISTEN_MAX * (CH_LISTEN_TEXT_B + 2));
	rc = ch_strangers_new(options->patience_ms, options->known_ms,
		options->connections_max / 2, &httpd->strangers, err);
	if (!rc)
		rc = ch_crowd_new(options->per_identity_max, &httpd->crowd, err);
	if (!rc)
		rc = load_identity(httpd, options, err);
	if (!rc && (options->n_listen == 0 || options->n_listen > CH_HTTPD_LISTEN_MAX))
		rc = ch_err_set(err, CH_EINVAL, "config-listen",
			"expected 1 to %d addresses to listen on", CH_HTTPD_LISTEN_MAX);
	for (size_t i = 0; !rc && i < options->n_listen; i++)
		rc = add_listener(httpd, options, options->listen[i], err);
	if (rc) {
		ch_httpd_begin_stop(httpd);
		ch_httpd_stop(httpd);
		return rc;
	}
	*ret_httpd = httpd;
	return CH_OK;
}

void ch_httpd_begin_stop(struct ch_httpd *httpd)
{
	pthread_mutex_lock(&httpd->sync.lock);
	httpd->stopping = true;
	pthread_mutex_unlock(&httpd->sync.lock);
}

static void wait_until_idle(struct ch_httpd *httpd)
{
	int64_t until_ms;

	pthread_mutex_lock(&httpd->sync.lock);
	while (httpd->n_parked > 0)
		pthread_cond_wait(&httpd->sync.changed, &httpd->sync.lock);
	until_ms = ch_mono_ms() + STOP_GRACE_MS;
	/* Requests end without a signal: look now and then. */
	while (atomic_load(&httpd->active) > 0 && ch_mono_ms() < until_ms)
		ch_sync_wait(&httpd->sync, STOP_LOOK_MS);
	pthread_mutex_unlock(&httpd->sync.lock);
}

void ch_httpd_stop(struct ch_httpd *httpd)
{
	if (!httpd)
		return;
	wait_until_idle(httpd);
	for (size_t i = 0; i < httpd->n_daemons; i++)
		MHD_stop_daemon(httpd->daemons[i]);
	ch_strangers_free(httpd->strangers);
	ch_crowd_free(httpd->crowd);
	ch_secret_free(httpd->key);
	free(httpd->cert);
	ch_buf_done(&httpd->addresses);
	ch_sync_done(&httpd->sync);
	free(httpd);
}

const char *ch_httpd_addresses(const struct ch_httpd *httpd)
{
	return ch_buf_str(&httpd->addresses);
}

unsigned ch_httpd_port(const struct ch_httpd *httpd)
{
	return httpd->port;
}
