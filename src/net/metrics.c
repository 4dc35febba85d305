#include "net/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include "base/mem.h"
#include "net/dns_tcp.h"

#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define CONNECTIONS_MAX 16u
#define TIMEOUT_S 10u
#define REQUEST_MAX_B (16u * 1024u)

struct ch_metrics {
	struct ch_metrics_options options;
	struct MHD_Daemon *daemon;
	pthread_mutex_t lock;
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int read_address(const char *listen, union address *ret_address)
{
	struct ch_dns_server server;
	union address a = {.any = {0}};
	const char *colon = strrchr(listen, ':');

	/* Without a port it would be that of the DNS. */
	if (!colon || strchr(colon, ']') || ch_dns_server_parse(listen, &server) ||
		server.port == 0)
		return CH_EINVAL;
	if (inet_pton(AF_INET, server.address, &a.v4.sin_addr) == 1) {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons(server.port);
		if (ntohl(a.v4.sin_addr.s_addr) >> 24 != 127)
			return CH_EINVAL;
	} else if (inet_pton(AF_INET6, server.address, &a.v6.sin6_addr) == 1) {
		a.v6.sin6_family = AF_INET6;
		a.v6.sin6_port = htons(server.port);
		if (!IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr))
			return CH_EINVAL;
	} else {
		return CH_EINVAL;
	}
	*ret_address = a;
	return CH_OK;
}

bool ch_metrics_is_loopback(const char *text)
{
	union address address;

	return read_address(text, &address) == CH_OK;
}

const char *ch_metrics_from_conf(struct ch_conf *conf, const char *section)
{
	const char *listen = ch_conf_str(conf, section, "metrics", "");

	if (!*listen)
		return NULL;
	if (!ch_metrics_is_loopback(listen))
		ch_conf_fail(conf, section, "metrics",
			"\"%s\" is not an address of this host's loopback with a port, as "
			"127.0.0.1:9101",
			listen);
	return listen;
}

static enum MHD_Result answer(struct MHD_Connection *conn, unsigned status, const char *type,
	const void *bytes, size_t len)
{
	/* MHD copies it. */
	struct MHD_Response *response = MHD_create_response_from_buffer(
		len, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result done = MHD_NO;

	if (!response)
		return MHD_NO;
	if (MHD_add_response_header(response, "Content-Type", type) == MHD_YES &&
		(status != MHD_HTTP_METHOD_NOT_ALLOWED ||
			MHD_add_response_header(response, "Allow", "GET, HEAD") == MHD_YES))
		done = MHD_queue_response(conn, status, response);
	MHD_destroy_response(response);
	return done;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_b,
	void **con_cls)
{
	static const char missing[] = "There is only /metrics here.\n";
	struct ch_metrics *metrics = cls;
	CH_AUTO_BUF struct ch_buf out;

	ch_buf_init(&out, CH_METRICS_MAX_B);
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return answer(conn, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", "", 0);
	if (strcmp(url, "/metrics") != 0)
		return answer(
			conn, MHD_HTTP_NOT_FOUND, "text/plain", missing, sizeof(missing) - 1);
	pthread_mutex_lock(&metrics->lock);
	metrics->options.write(metrics->options.arg, &out);
	pthread_mutex_unlock(&metrics->lock);
	if (out.rc)
		return answer(conn, MHD_HTTP_INTERNAL_SERVER_ERROR, "text/plain", "", 0);
	return answer(conn, MHD_HTTP_OK, CONTENT_TYPE, out.data, out.len);
}

static struct MHD_Daemon *start_daemon(struct ch_metrics *metrics, const union address *address)
{
	unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO;
	struct MHD_Daemon *daemon;
	sigset_t all;
	sigset_t before;

	if (address->any.sa_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, metrics,
		MHD_OPTION_SOCK_ADDR, &address->any, MHD_OPTION_CONNECTION_LIMIT,
		CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_MAX_B, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return daemon;
}

int ch_metrics_start(const struct ch_metrics_options *options, struct ch_metrics **ret_metrics,
	struct ch_err *err)
{
	struct ch_metrics *metrics;
	union address address;
	int rc;

	if (read_address(options->listen, &address))
		return ch_err_set(err, CH_EINVAL, "metrics", "no address: %s", options->listen);
	metrics = calloc(1, sizeof(*metrics));
	if (!metrics)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	metrics->options = *options;
	pthread_mutex_init(&metrics->lock, NULL);
	metrics->daemon = start_daemon(metrics, &address);
	if (!metrics->daemon) {
		rc = ch_err_set(err, CH_EIO, "metrics", "cannot listen on %s for metrics: %s",
			options->listen, strerror(errno));
		ch_metrics_stop(metrics);
		return rc;
	}
	*ret_metrics = metrics;
	return CH_OK;
}

void ch_metrics_stop(struct ch_metrics *metrics)
{
	if (!metrics)
		return;
	if (metrics->daemon)
		MHD_stop_daemon(metrics->daemon);
	pthread_mutex_destroy(&metrics->lock);
	free(metrics);
}

void ch_metrics_head(struct ch_buf *out, const char *name, const char *kind, const char *help)
{
	ch_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

void ch_metrics_value(struct ch_buf *out, const char *name, const char *kind, const char *help,
	uint64_t value)
{
	ch_metrics_head(out, name, kind, help);
	ch_buf_addf(out, "%s %" PRIu64 "\n", name, value);
}

void ch_metrics_moment(struct ch_buf *out, const char *name, const char *help, int64_t at_ms)
{
	ch_metrics_head(out, name, "gauge", help);
	if (at_ms > 0 && at_ms != INT64_MAX)
		ch_buf_addf(
			out, "%s %" PRId64 ".%03d\n", name, at_ms / 1000, (int)(at_ms % 1000));
}
