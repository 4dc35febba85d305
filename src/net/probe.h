/* What a visitor gets: one TLS handshake with a name at one address. */
#ifndef CH_NET_PROBE_H
#define CH_NET_PROBE_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CH_PROBE_TARGETS_MAX 32
#define CH_PROBE_ADDR_B 46 /* text of an IPv6 address and a NUL */

struct ch_probe_result {
	uint8_t leaf_sha256[32]; /* of the DER of the certificate that was shown */
	char serial[80];	 /* hex, lower case */
	char issuer[256];	 /* one line, RFC 2253 */
	int64_t not_before_s;	 /* Unix seconds */
	int64_t not_after_s;
	char tls[16]; /* "TLSv1.3" */
};

/* Connects to an IPv4 or IPv6 address in text form and makes a handshake with the server name
 * sni.  The certificate is not verified (the caller compares it with what should be there) and
 * nothing is sent after the handshake.  The program must ignore SIGPIPE.  timeout_ms: for
 * everything together. CH_EINVAL (not an address), CH_ENETWORK (problem probe-connect: nobody
 * answers there), CH_ETIMEOUT (probe-timeout), CH_EPROTO (probe-tls: no handshake; probe-alert:
 * the server refused the name or the handshake with an alert; the detail names it). */
enum ch_probe_offer {
	CH_PROBE_OFFER_ALL,
	CH_PROBE_OFFER_RSA, /* a visitor that can verify RSA signatures only */
};
CH_MUST int ch_probe(const char *address, uint16_t port, const char *sni,
	enum ch_probe_offer offer, int64_t timeout_ms, struct ch_probe_result *ret_result,
	struct ch_err *err);

/* Where a name leads: what ch_probe takes. */
struct ch_probe_target {
	char address[CH_PROBE_ADDR_B];
	uint16_t port;
};

struct ch_probe_targets {
	struct ch_probe_target list[CH_PROBE_TARGETS_MAX];
	size_t n;
	size_t n_over; /* more than fit: nobody will ask them, and the caller says so */
};

/* All A and AAAA addresses of the name as this host's resolver sees them, without doubles, each
 * with the port.  CH_ENOTFOUND (probe-no-address), CH_EAGAIN (probe-resolver). */
CH_MUST int ch_probe_resolve(const char *name, uint16_t port,
	struct ch_probe_targets *ret_targets, struct ch_err *err);

/* What stands behind ch_probe_resolve: getaddrinfo(3) and freeaddrinfo(3). */
struct ch_resolver {
	int (*lookup)(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret_list);
	void (*release)(struct addrinfo *list);
};
/* From now on this one is asked (tests); NULL restores the host's.  Call before threads start.
 */
void ch_probe_set_resolver(const struct ch_resolver *resolver);

/* False for an address that nobody reaches over the public Internet (loopback, private,
 * link-local, multicast, documentation, IPv4 within IPv6, …) and for what is no address: who
 * lets strangers say where to connect goes to no other. */
CH_MUST bool ch_probe_is_global(const char *address);

/* "192.0.2.1:443", "[2001:db8::1]:443", or without port (port = fallback_port).  CH_EINVAL. */
CH_MUST int ch_probe_target_parse(const char *text, uint16_t fallback_port,
	char ret_address[CH_PROBE_ADDR_B], uint16_t *ret_port);

#endif
