#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

#define BACKLOG 512

/* Splits at the last colon; brackets around IPv6 are required. */
static int split(const char *address, char host[CH_LISTEN_TEXT_B], char port[8])
{
	const char *colon = strrchr(address, ':');
	size_t len = colon ? (size_t)(colon - address) : 0;

	if (!colon || len == 0 || len >= CH_LISTEN_TEXT_B || strlen(colon + 1) > 5 ||
		colon[1] == 0 || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
		strtoul(colon + 1, NULL, 10) > UINT16_MAX)
		return CH_EINVAL;
	if (address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	} else if (memchr(address, ':', len)) {
		return CH_EINVAL;
	}
	memcpy(host, address, len);
	host[len] = 0;
	strcpy(port, colon + 1);
	return CH_OK;
}

static int describe(int fd, unsigned *ret_port, char *ret_text)
{
	struct sockaddr_storage bound;
	socklen_t bound_len = sizeof(bound);
	char host[CH_LISTEN_TEXT_B - 10];
	char port[8];

	if (getsockname(fd, (struct sockaddr *)&bound, &bound_len) != 0 ||
		getnameinfo((struct sockaddr *)&bound, bound_len, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return CH_EIO;
	snprintf(ret_text, CH_LISTEN_TEXT_B, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s",
		host, port);
	(void)sscanf(port, "%u", ret_port);
	return CH_OK;
}

bool ch_listen_is_loopback(const char *address)
{
	char host[CH_LISTEN_TEXT_B];
	char port[8];
	struct in6_addr v6;
	struct in_addr v4;

	if (split(address, host, port))
		return false;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

int ch_listen_open(const char *address, int *ret_fd, unsigned *ret_port, char *ret_text,
	struct ch_err *err)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *info = NULL;
	char host[CH_LISTEN_TEXT_B];
	char port[8];
	CH_AUTO_CLOSE int fd = -1;
	int one = 1;
	int bad;

	if (split(address, host, port) || getaddrinfo(host, port, &hints, &info) != 0)
		return ch_err_set(err, CH_EINVAL, "config-listen",
			"\"%s\" is not an address like 127.0.0.1:8443 or [::1]:8443", address);
	fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bad = fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0;
	if (!bad && info->ai_family == AF_INET6)
		bad = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) != 0;
	bad = bad || bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0;
	freeaddrinfo(info);
	if (bad || describe(fd, ret_port, ret_text))
		return ch_err_set(err, CH_EIO, "config-listen", "cannot listen on %s: %s",
			address, strerror(errno));
	*ret_fd = fd;
	fd = -1;
	return CH_OK;
}

bool ch_listen_is_gone(int fd)
{
	struct pollfd client = {.fd = fd, .events = POLLRDHUP};

	return poll(&client, 1, 0) > 0 &&
	       (client.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}
