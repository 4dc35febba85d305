#include "dns_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct writer {
	uint8_t *bytes;
	size_t len;
	size_t max;
};

static void put(struct writer *w, const void *bytes, size_t n)
{
	assert(w->len + n <= w->max);
	memcpy(w->bytes + w->len, bytes, n);
	w->len += n;
}

static void put_u16(struct writer *w, unsigned v)
{
	uint8_t two[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	put(w, two, 2);
}

static void put_name(struct writer *w, const char *name)
{
	while (*name) {
		uint8_t n = (uint8_t)strcspn(name, ".");

		put(w, &n, 1);
		put(w, name, n);
		name += n + (name[n] == '.');
	}
	put(w, "", 1);
}

static void put_data(struct writer *w, const struct test_dns_entry *e)
{
	uint8_t address[16];
	uint8_t n;
	char tag[64];
	unsigned flags;
	int used;

	switch (e->type) {
	case CH_DNS_A:
		assert(inet_pton(AF_INET, e->value, address) == 1);
		put(w, address, 4);
		break;
	case CH_DNS_AAAA:
		assert(inet_pton(AF_INET6, e->value, address) == 1);
		put(w, address, 16);
		break;
	case TEST_DNS_CNAME:
		put_name(w, e->value);
		break;
	case CH_DNS_TXT:
		n = (uint8_t)strlen(e->value);
		put(w, &n, 1);
		put(w, e->value, n);
		break;
	default:
		assert(sscanf(e->value, "%u %63s %n", &flags, tag, &used) == 2);
		n = (uint8_t)flags;
		put(w, &n, 1);
		n = (uint8_t)strlen(tag);
		put(w, &n, 1);
		put(w, tag, n);
		put(w, e->value + used, strlen(e->value + used));
	}
}

static void put_record(struct writer *w, const struct test_dns_entry *e)
{
	size_t at;

	put_name(w, e->name);
	put_u16(w, (unsigned)e->type);
	put_u16(w, 1);
	put(w, "\0\0\0\1", 4);
	at = w->len;
	put_u16(w, 0);
	put_data(w, e);
	w->bytes[at] = (uint8_t)((w->len - at - 2) >> 8);
	w->bytes[at + 1] = (uint8_t)(w->len - at - 2);
}

static const struct test_dns_entry *find(
	const struct test_dns_entry *entries, size_t n, const char *name, int type)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(entries[i].name, name) == 0 &&
			(type == 0 || entries[i].type == type))
			return &entries[i];
	return NULL;
}

static size_t answer(const struct test_dns_entry *entries, size_t n, const char *name, int type,
	bool tcp, uint8_t *ret_bytes, size_t bytes_b)
{
	struct writer w = {ret_bytes, 0, bytes_b};
	const struct test_dns_entry *cname;
	const char *end = name;
	unsigned flags = 0x8180;
	unsigned count = 0;

	if (find(entries, n, name, TEST_DNS_SILENT))
		return 0;
	if (find(entries, n, name, TEST_DNS_SERVFAIL))
		flags |= 2;
	else if (*name && !find(entries, n, name, 0))
		flags |= 3;
	if (!tcp && find(entries, n, name, TEST_DNS_TRUNCATED))
		flags |= 0x200;
	put_u16(&w, 0);
	put_u16(&w, flags);
	put_u16(&w, 1);
	put(&w, "\0\0\0\0\0\0", 6);
	put_name(&w, name);
	put_u16(&w, (unsigned)type);
	put_u16(&w, 1);
	for (int hops = 0; hops < 20 && (cname = find(entries, n, end, TEST_DNS_CNAME));
		hops++) {
		put_record(&w, cname);
		end = cname->value;
		count++;
	}
	if (count && !find(entries, n, end, 0))
		w.bytes[3] |= 3;
	for (size_t i = 0; !(flags & 0x20f) && i < n; i++) {
		if (strcasecmp(entries[i].name, end) != 0 || entries[i].type != type)
			continue;
		put_record(&w, &entries[i]);
		count++;
	}
	w.bytes[6] = (uint8_t)(count >> 8);
	w.bytes[7] = (uint8_t)count;
	return w.len;
}

size_t test_dns_answer(const struct test_dns_entry *entries, size_t n, const char *name,
	int type, uint8_t *ret_bytes, size_t bytes_b)
{
	return answer(entries, n, name, type, true, ret_bytes, bytes_b);
}

static size_t respond(struct test_dns *dns, const uint8_t *query, size_t len, bool tcp,
	uint8_t *bytes, size_t bytes_b)
{
	char name[CH_DNS_NAME_B] = "";
	size_t at = 12;
	size_t used = 0;

	if (!dns->entries || len < 17)
		return 0;
	while (at < len && query[at]) {
		used += (size_t)snprintf(name + used, sizeof(name) - used, "%s%.*s",
			used ? "." : "", query[at], (const char *)query + at + 1);
		at += 1u + query[at];
	}
	used = answer(dns->entries, dns->n, name, query[at + 1] << 8 | query[at + 2], tcp,
		bytes, bytes_b);
	memcpy(bytes, query, used ? 2 : 0);
	return used;
}

static void serve_udp(struct test_dns *dns)
{
	static uint8_t bytes[65536];
	uint8_t query[1024];
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	ssize_t n =
		recvfrom(dns->fd, query, sizeof(query), 0, (struct sockaddr *)&from, &from_len);
	size_t len = n > 0 ? respond(dns, query, (size_t)n, false, bytes, sizeof(bytes)) : 0;

	if (len)
		assert(sendto(dns->fd, bytes, len, 0, (struct sockaddr *)&from, from_len) > 0);
}

static void serve_tcp(struct test_dns *dns)
{
	static uint8_t bytes[65536];
	uint8_t query[1024];
	int fd = accept(dns->tcp_fd, NULL, NULL);
	ssize_t n;

	while (fd >= 0 && (n = read(fd, query, sizeof(query))) > 2) {
		size_t len = respond(
			dns, query + 2, (size_t)n - 2, true, bytes + 2, sizeof(bytes) - 2);

		if (!len)
			break;
		bytes[0] = (uint8_t)(len >> 8);
		bytes[1] = (uint8_t)len;
		assert(write(fd, bytes, len + 2) > 0);
	}
	close(fd);
}

static void *run(void *arg)
{
	struct test_dns *dns = arg;

	for (;;) {
		struct pollfd fds[] = {{dns->stop[0], POLLIN, 0}, {dns->fd, POLLIN, 0},
			{dns->tcp_fd, POLLIN, 0}};

		assert(poll(fds, 3, -1) > 0);
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents)
			serve_udp(dns);
		if (fds[2].revents)
			serve_tcp(dns);
	}
}

void test_dns_start(struct test_dns *dns, const struct test_dns_entry *entries, size_t n)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);

	*dns = (struct test_dns){.entries = entries, .n = n};
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	dns->tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(bind(dns->tcp_fd, (struct sockaddr *)&in, len) == 0 &&
		listen(dns->tcp_fd, 16) == 0);
	assert(getsockname(dns->tcp_fd, (struct sockaddr *)&in, &len) == 0);
	dns->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert(bind(dns->fd, (struct sockaddr *)&in, len) == 0);
	snprintf(dns->resolvers, sizeof(dns->resolvers), "127.0.0.1:%u", ntohs(in.sin_port));
	assert(pipe(dns->stop) == 0 && pthread_create(&dns->thread, NULL, run, dns) == 0);
}

void test_dns_stop(struct test_dns *dns)
{
	assert(write(dns->stop[1], "", 1) == 1);
	pthread_join(dns->thread, NULL);
	close(dns->fd);
	close(dns->tcp_fd);
	close(dns->stop[0]);
	close(dns->stop[1]);
}
