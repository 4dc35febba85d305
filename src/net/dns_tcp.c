#include "net/dns_tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/probe.h"

#define DNS_PORT 53
#define TICK_MS INT64_C(100)

struct exchange {
	const struct ch_dns_server *server;
	int fd;
	int64_t until_ms; /* monotonic */
	int (*canceled)(void *arg);
	void *arg;
	struct ch_err *err;
};

int ch_dns_server_parse(const char *text, struct ch_dns_server *ret_server)
{
	_Static_assert(CH_PROBE_ADDR_B == CH_DNS_ADDR_B, "the same text");

	return ch_probe_target_parse(text, DNS_PORT, ret_server->address, &ret_server->port);
}

static int failed(const struct exchange *e, int rc, const char *what)
{
	return ch_err_set(e->err, rc, "dns-server-unreachable", "the DNS server %s port %u %s",
		e->server->address, e->server->port, what);
}

static int wait_for(const struct exchange *e, short events)
{
	for (;;) {
		struct pollfd fd = {.fd = e->fd, .events = events};
		int64_t left_ms = e->until_ms - ch_mono_ms();

		if (e->canceled && e->canceled(e->arg))
			return ch_err_set(e->err, CH_ECANCELED, "stopping", "stopping");
		if (left_ms <= 0)
			return failed(e, CH_ETIMEOUT, "does not answer in time");
		if (poll(&fd, 1, (int)(left_ms < TICK_MS ? left_ms : TICK_MS)) > 0)
			return CH_OK;
	}
}

static bool fill_address(
	const struct ch_dns_server *server, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, server->address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(server->port);
		*ret_len = sizeof(*v4);
		return true;
	}
	if (inet_pton(AF_INET6, server->address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(server->port);
		*ret_len = sizeof(*v6);
		return true;
	}
	return false;
}

static int begin(struct exchange *e)
{
	struct sockaddr_storage address;
	socklen_t len;
	int error = 0;
	socklen_t error_b = sizeof(error);
	int rc;

	if (!fill_address(e->server, &address, &len))
		return failed(e, CH_EINVAL, "has no address");
	e->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (e->fd < 0)
		return failed(e, CH_ENETWORK, "cannot be reached from this host");
	if (connect(e->fd, (struct sockaddr *)&address, len) == 0)
		return CH_OK;
	if (errno != EINPROGRESS)
		return failed(e, CH_ENETWORK, "cannot be reached");
	rc = wait_for(e, POLLOUT);
	if (rc)
		return rc;
	if (getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &error, &error_b) < 0 || error)
		return failed(e, CH_ENETWORK, "does not take the connection");
	return CH_OK;
}

static int send_all(struct exchange *e, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = send(e->fd, bytes, len, MSG_NOSIGNAL);
		int rc;

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return failed(e, CH_ENETWORK, "has closed the connection");
		rc = wait_for(e, POLLOUT);
		if (rc)
			return rc;
	}
	return CH_OK;
}

static int take_all(struct exchange *e, uint8_t *bytes, size_t len)
{
	while (len) {
		int rc = wait_for(e, POLLIN);
		ssize_t n;

		if (rc)
			return rc;
		n = recv(e->fd, bytes, len, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return failed(e, CH_ENETWORK, "has closed the connection");
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return CH_OK;
}

static int exchange(struct exchange *e, const struct ch_buf *message, struct ch_buf *out)
{
	uint8_t head[2] = {(uint8_t)(message->len >> 8), (uint8_t)message->len};
	CH_AUTO_BUF struct ch_buf framed;
	uint8_t *room;
	size_t len;
	int rc;

	ch_buf_init(&framed, sizeof(head) + message->len);
	ch_buf_add(&framed, head, sizeof(head));
	/* In one piece: there are servers that take the length alone for the message. */
	if (ch_buf_add(&framed, message->data, message->len))
		return framed.rc;
	rc = begin(e);
	if (rc == CH_OK)
		rc = send_all(e, framed.data, framed.len);
	if (rc == CH_OK)
		rc = take_all(e, head, sizeof(head));
	if (rc)
		return rc;
	len = (size_t)head[0] << 8 | head[1];
	room = ch_buf_room(out, len);
	if (!room)
		return failed(e, out->rc, "has sent too long an answer");
	rc = take_all(e, room, len);
	if (rc == CH_OK)
		out->len += len;
	return rc;
}

int ch_dns_tcp_ask(const struct ch_dns_server *server, const struct ch_buf *message,
	int64_t timeout_ms, int (*canceled)(void *arg), void *arg, struct ch_buf *out,
	struct ch_err *err)
{
	struct exchange e = {.server = server,
		.fd = -1,
		.until_ms = ch_mono_ms() + timeout_ms,
		.canceled = canceled,
		.arg = arg,
		.err = err};
	int rc;

	if (message->rc || message->len > CH_DNS_TCP_ANSWER_MAX_B)
		return ch_err_set(err, CH_EINVAL, "internal", "no DNS message");
	rc = exchange(&e, message, out);
	if (e.fd >= 0)
		close(e.fd);
	return rc;
}
