/* A resolver in place of this host's: every name leads where the test says. */
#ifndef CH_TEST_FAKE_DNS_H
#define CH_TEST_FAKE_DNS_H

#include <stddef.h>
#include <stdint.h>

struct fake_dns_entry {
	const char *address;
	uint16_t port; /* 0: the one that was asked for */
};

/* From now on every name has these addresses, in this order; borrowed. */
void fake_dns_set(const struct fake_dns_entry *entries, size_t n);
/* From now on every lookup ends with this code of getaddrinfo(3). */
void fake_dns_fail(int code);
/* What was asked last: "name service". */
const char *fake_dns_asked(void);
/* Lists handed out and not released. */
int fake_dns_open(void);
/* The host's own resolver again. */
void fake_dns_end(void);

#endif
