#include "fake_dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/probe.h"

static struct {
	const struct fake_dns_entry *entries;
	size_t n;
	int code;
	int open;
	char asked[320];
} dns;

static struct addrinfo *make_one(const struct fake_dns_entry *entry, const char *service)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *list;
	char port[8];

	snprintf(port, sizeof(port), "%u", entry->port);
	assert_int_equal(
		getaddrinfo(entry->address, entry->port ? port : service, &hints, &list), 0);
	assert_null(list->ai_next);
	return list;
}

static int lookup(const char *name, const char *service, const struct addrinfo *hints,
	struct addrinfo **ret_list)
{
	struct addrinfo **end = ret_list;

	snprintf(dns.asked, sizeof(dns.asked), "%s %s", name, service);
	assert_int_equal(hints->ai_socktype, SOCK_STREAM);
	assert_int_equal(hints->ai_family, AF_UNSPEC);
	if (dns.code)
		return dns.code;
	for (size_t i = 0; i < dns.n; i++) {
		*end = make_one(&dns.entries[i], service);
		end = &(*end)->ai_next;
	}
	dns.open++;
	return 0;
}

static void release(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		list->ai_next = NULL;
		freeaddrinfo(list);
		list = next;
	}
	dns.open--;
}

static const struct ch_resolver resolver = {lookup, release};

void fake_dns_set(const struct fake_dns_entry *entries, size_t n)
{
	dns.entries = entries;
	dns.n = n;
	dns.code = 0;
	ch_probe_set_resolver(&resolver);
}

void fake_dns_fail(int code)
{
	dns.code = code;
	ch_probe_set_resolver(&resolver);
}

const char *fake_dns_asked(void)
{
	return dns.asked;
}

int fake_dns_open(void)
{
	return dns.open;
}

void fake_dns_end(void)
{
	ch_probe_set_resolver(NULL);
}
