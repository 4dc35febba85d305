/* A DNS server on loopback, in a thread of the test: UDP, and TCP on the same port. */
#ifndef CH_TEST_DNS_SERVER_H
#define CH_TEST_DNS_SERVER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "net/dns_message.h"

#define TEST_DNS_CNAME 5
/* As the type of an entry: what becomes of every question for the name. */
#define TEST_DNS_SERVFAIL 1000
#define TEST_DNS_SILENT 1001
#define TEST_DNS_TRUNCATED 1002 /* over UDP; over TCP it has the other records */

struct test_dns_entry {
	const char *name;
	int type;
	const char *value; /* address, CNAME's target, TXT; CAA: "0 issue ca.test" */
};

struct test_dns {
	char resolvers[32];		      /* "127.0.0.1:PORT" */
	const struct test_dns_entry *entries; /* borrowed; NULL: it never answers */
	size_t n;
	int fd;
	int tcp_fd;
	int stop[2];
	pthread_t thread;
};

void test_dns_start(struct test_dns *dns, const struct test_dns_entry *entries, size_t n);
void test_dns_stop(struct test_dns *dns);

/* The answer to a question as the server gives it; returns its length, 0: none. */
size_t test_dns_answer(const struct test_dns_entry *entries, size_t n, const char *name,
	int type, uint8_t *ret_bytes, size_t bytes_b);

#endif
