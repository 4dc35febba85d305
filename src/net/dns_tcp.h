/* One DNS message to one server and its answer, over TCP (RFC 7766); waits for it. */
#ifndef CH_NET_DNS_TCP_H
#define CH_NET_DNS_TCP_H

#include "base/buf.h"
#include "net/dns_message.h"

#define CH_DNS_TCP_ANSWER_MAX_B 65535u

struct ch_dns_server {
	char address[CH_DNS_ADDR_B];
	uint16_t port;
};

/* out is initialized and takes the answer.  canceled(arg), asked several times a second, ends
 * it with CH_ECANCELED when it says so; NULL: never.  CH_ENETWORK, CH_ETIMEOUT, CH_ETOOBIG
 * (over out's limit); the detail names the server.  timeout_ms: for everything together. */
CH_MUST int ch_dns_tcp_ask(const struct ch_dns_server *server, const struct ch_buf *message,
	int64_t timeout_ms, int (*canceled)(void *arg), void *arg, struct ch_buf *out,
	struct ch_err *err);

/* "192.0.2.53", "[2001:db8::1]:5353", as ch_probe_target_parse. */
CH_MUST int ch_dns_server_parse(const char *text, struct ch_dns_server *ret_server);

#endif
