#include "server.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "fault.h"
#include "nonce.h"
#include "routes.h"
#include "timer.h"

#define PEM_MAX_B (64u * 1024u)
#define CONNECTIONS_MAX 4000u
/* Holds the headers of an answer, hostile ones too. */
#define CONNECTION_MEMORY_B (256u * 1024u)
#define GIGABYTE_B (UINT64_C(1) << 30)
#define BLOCK_B 32768u

struct exchange {
	struct sim_req req;
	struct sim_reply reply;
	char ip[INET6_ADDRSTRLEN];
	bool manage, answered, waited;
	struct MHD_Connection *conn;
	struct ch_buf out; /* the body as it goes out */
};

static void find_ip(struct MHD_Connection *conn, char ret_ip[INET6_ADDRSTRLEN])
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr_in *in = info ? (void *)info->client_addr : NULL;

	strcpy(ret_ip, "?");
	if (in && in->sin_family == AF_INET)
		inet_ntop(AF_INET, &in->sin_addr, ret_ip, INET6_ADDRSTRLEN);
}

static const char *header_of(struct MHD_Connection *conn, const char *name)
{
	const char *value = MHD_lookup_connection_value(conn, MHD_HEADER_KIND, name);

	return value ? value : "";
}

static struct exchange *exchange_new(struct sim *sim, struct MHD_Connection *conn,
	const char *url, const char *method, bool manage)
{
	struct exchange *x = calloc(1, sizeof(*x));

	SIM_NEED(x);
	x->conn = conn;
	x->manage = manage;
	x->req.sim = sim;
	x->req.method = method;
	x->req.path = sim_copy(url);
	find_ip(conn, x->ip);
	x->req.ip = x->ip;
	x->req.type = header_of(conn, "Content-Type");
	ch_buf_init(&x->req.body, manage ? 64 * SIM_BODY_MAX_B : SIM_BODY_MAX_B);
	ch_buf_init(&x->out, 64u * 1024u * 1024u);
	sim_reply_init(&x->reply);
	return x;
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
	enum MHD_RequestTerminationCode code)
{
	struct exchange *x = *con_cls;

	if (!x)
		return;
	free((char *)x->req.path);
	ch_buf_done(&x->req.body);
	sim_jws_done(&x->req.jws);
	EVP_PKEY_free(x->req.key);
	sim_reply_done(&x->reply);
	ch_buf_done(&x->out);
	free(x);
	*con_cls = NULL;
}

static void add_nonce(struct exchange *x)
{
	struct sim *sim = x->req.sim;
	char nonce[SIM_NONCE_B];

	pthread_mutex_lock(&sim->lock);
	sim_nonce_make(sim->nonces, sim_now_ms(sim), nonce);
	pthread_mutex_unlock(&sim->lock);
	sim_reply_header(&x->reply, "Replay-Nonce", "%s", nonce);
}

static void answer_acme(struct exchange *x)
{
	struct sim_reply *reply = &x->reply;
	const struct sim_route *route = sim_route_find(&x->req);
	bool struck = !x->req.body.rc && sim_fault_before(x->req.sim, reply);

	if (x->req.body.rc)
		sim_problem(reply, 413, "malformed", "Request body too large");
	else if (!struck)
		sim_answer(&x->req, route, reply);
	if (!struck && (reply->manner == SIM_SEND || reply->manner == SIM_LATE))
		sim_fault_after(x->req.sim, reply);
	sim_reply_header(reply, "Link", "<%s/dir>;rel=\"index\"", x->req.sim->base);
	if (!reply->no_nonce)
		add_nonce(x);
}

static void render(struct exchange *x)
{
	struct sim_reply *reply = &x->reply;
	char *text;

	if (reply->json) {
		text = json_dumps(reply->json, JSON_COMPACT | JSON_PRESERVE_ORDER);
		SIM_NEED(text);
		ch_buf_add_str(&x->out, text);
		free(text);
	} else {
		ch_buf_add(&x->out, reply->body.data, reply->body.len);
	}
	SIM_NEED(x->out.rc == CH_OK);
}

/* Bodies that are not simply sent. */
static ssize_t on_read(void *cls, uint64_t pos, char *to, size_t max)
{
	struct exchange *x = cls;
	size_t left = pos < x->out.len ? x->out.len - pos : 0;
	size_t n = left < max ? left : max;

	switch (x->reply.manner) {
	case SIM_CUT:
		if (pos >= x->out.len / 2)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		n = n < x->out.len / 2 - pos ? n : x->out.len / 2 - pos;
		break;
	case SIM_DRIP:
		if (left == 0)
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (pos > 0 && !x->waited) {
			x->waited = true;
			sim_timer_suspend(x->conn, x->reply.ms);
			return 0;
		}
		x->waited = false;
		n = 1;
		break;
	default:
		if (pos >= GIGABYTE_B)
			return MHD_CONTENT_READER_END_OF_STREAM;
		if (n == 0) {
			n = max;
			memset(to, ' ', n);
			return (ssize_t)n;
		}
		break;
	}
	memcpy(to, x->out.data + pos, n);
	return (ssize_t)n;
}

static struct MHD_Response *make_response(struct exchange *x)
{
	uint64_t size = x->out.len;

	render(x);
	size = x->reply.manner == SIM_GIGABYTE ? GIGABYTE_B : x->out.len;
	if (x->reply.manner == SIM_SEND || x->reply.manner == SIM_LATE)
		return MHD_create_response_from_buffer(
			x->out.len, x->out.data, MHD_RESPMEM_MUST_COPY);
	if (x->reply.chunked)
		size = MHD_SIZE_UNKNOWN;
	return MHD_create_response_from_callback(size, BLOCK_B, on_read, x, NULL);
}

static enum MHD_Result send_answer(struct exchange *x)
{
	struct MHD_Response *response = make_response(x);
	enum MHD_Result done;

	SIM_NEED(response);
	if (x->out.len > 0 || x->reply.manner == SIM_GIGABYTE)
		MHD_add_response_header(response, "Content-Type", x->reply.type);
	for (size_t i = 0; i < x->reply.n_headers; i++)
		MHD_add_response_header(
			response, x->reply.headers[i].name, x->reply.headers[i].value);
	done = MHD_queue_response(x->conn, x->reply.status, response);
	MHD_destroy_response(response);
	return done;
}

/* With a reset, not an end, when it is closed. */
static enum MHD_Result reset(struct exchange *x)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(x->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (info)
		(void)setsockopt(
			info->connect_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	return MHD_NO;
}

static enum MHD_Result go_out(struct exchange *x)
{
	switch (x->reply.manner) {
	case SIM_RESET:
		return reset(x);
	case SIM_SILENCE:
	case SIM_LATE:
		if (!x->waited) {
			x->waited = true;
			sim_timer_suspend(x->conn, x->reply.ms);
			return MHD_YES;
		}
		return x->reply.manner == SIM_LATE ? send_answer(x) : reset(x);
	default:
		return send_answer(x);
	}
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
	const char *method, const char *upload, size_t *upload_b, void **con_cls, bool manage)
{
	struct exchange *x = *con_cls;

	if (!x) {
		*con_cls = exchange_new(cls, conn, url, method, manage);
		return MHD_YES;
	}
	if (*upload_b > 0) {
		(void)ch_buf_add(&x->req.body, upload, *upload_b);
		*upload_b = 0;
		return MHD_YES;
	}
	if (!x->answered) {
		x->answered = true;
		if (manage) {
			pthread_mutex_lock(&x->req.sim->lock);
			sim_manage(&x->req, &x->reply);
			pthread_mutex_unlock(&x->req.sim->lock);
		} else {
			answer_acme(x);
		}
	}
	return go_out(x);
}

static enum MHD_Result on_acme(void *cls, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_b,
	void **con_cls)
{
	return on_request(cls, conn, url, method, upload, upload_b, con_cls, false);
}

static enum MHD_Result on_manage(void *cls, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_b,
	void **con_cls)
{
	return on_request(cls, conn, url, method, upload, upload_b, con_cls, true);
}

static struct sockaddr_in parse_listen(const char *listen)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	const char *colon = strrchr(listen, ':');
	char host[64];

	if (!colon || (size_t)(colon - listen) >= sizeof(host))
		sim_die("%s: ADDRESS:PORT is wanted", listen);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - listen), listen);
	at.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, host, &at.sin_addr) != 1 || at.sin_port == 0)
		sim_die("%s: ADDRESS:PORT is wanted", listen);
	return at;
}

static char *read_pem(const char *path)
{
	struct ch_err err;
	char *text;
	size_t len;

	if (ch_file_read(path, PEM_MAX_B, &text, &len, &err))
		sim_die("%s", err.detail);
	return text;
}

#define FLAGS (MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC)

void sim_server_start(
	struct sim *sim, const char *listen, const char *cert_file, const char *key_file)
{
	struct sockaddr_in at = parse_listen(listen);
	CH_AUTO_FREE char *cert = read_pem(cert_file);
	CH_AUTO_FREE char *key = read_pem(key_file);

	snprintf(sim->base, sizeof(sim->base), "https://%s", listen);
	if (!MHD_start_daemon(FLAGS | MHD_USE_TLS, 0, NULL, NULL, on_acme, sim,
		    MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_THREAD_POOL_SIZE, 2u,
		    MHD_OPTION_HTTPS_MEM_CERT, cert, MHD_OPTION_HTTPS_MEM_KEY, key,
		    MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
		    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_B,
		    MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END))
		sim_die("cannot serve on %s", listen);
}

void sim_manage_start(struct sim *sim, const char *listen)
{
	struct sockaddr_in at = parse_listen(listen);

	if (ntohl(at.sin_addr.s_addr) >> 24 != 127)
		sim_die("%s: the management listens on loopback only", listen);
	if (!MHD_start_daemon(FLAGS, 0, NULL, NULL, on_manage, sim, MHD_OPTION_SOCK_ADDR, &at,
		    MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END))
		sim_die("cannot serve on %s", listen);
}
