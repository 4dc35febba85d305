#include "net/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/mem.h"
#include "crypto/quick.h"

CH_DEFINE_CLEANUP(SSL_CTX *, SSL_CTX_free)
CH_DEFINE_CLEANUP(SSL *, SSL_free)
CH_DEFINE_CLEANUP(X509 *, X509_free)
CH_DEFINE_CLEANUP(BIO *, BIO_free_all)

static int make_sockaddr(
	const char *address, uint16_t port, struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		*len = sizeof(*v4);
		return CH_OK;
	}
	if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		*len = sizeof(*v6);
		return CH_OK;
	}
	return CH_EINVAL;
}

/* CH_OK when fd is ready, CH_ETIMEOUT. */
static int wait_for(int fd, short events, int64_t until_ms)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		int64_t left_ms = until_ms - ch_mono_ms();
		int n;

		if (left_ms <= 0)
			return CH_ETIMEOUT;
		n = poll(&p, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
		if (n > 0)
			return CH_OK;
		if (n < 0 && errno != EINTR)
			return CH_EIO;
	}
}

static int connect_to(
	const char *address, uint16_t port, int64_t until_ms, int *ret_fd, struct ch_err *err)
{
	struct sockaddr_storage ss;
	socklen_t len;
	CH_AUTO_CLOSE int fd = -1;
	int error = 0;
	socklen_t error_len = sizeof(error);
	int rc;

	if (make_sockaddr(address, port, &ss, &len))
		return ch_err_set(err, CH_EINVAL, "probe-address",
			"\"%s\" is not an IP address", address);
	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ch_err_set(
			err, CH_ENETWORK, "probe-connect", "no socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&ss, len) < 0) {
		if (errno != EINPROGRESS)
			return ch_err_set(err, CH_ENETWORK, "probe-connect",
				"cannot connect: %s", strerror(errno));
		rc = wait_for(fd, POLLOUT, until_ms);
		if (rc == CH_ETIMEOUT)
			return ch_err_set(err, rc, "probe-timeout", "nobody answers");
		if (rc || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0)
			error = errno;
		if (error)
			return ch_err_set(err, CH_ENETWORK, "probe-connect",
				"cannot connect: %s", strerror(error));
	}
	*ret_fd = fd;
	fd = -1;
	return CH_OK;
}

static int tls_error(int how, struct ch_err *err)
{
	unsigned long code = ERR_get_error();
	int reason = ERR_GET_REASON(code);

	ERR_clear_error();
	if (how == SSL_ERROR_SYSCALL || !code || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		return ch_err_set(err, CH_EPROTO, "probe-tls",
			"the connection was closed during the TLS handshake");
	if (reason >= SSL_AD_REASON_OFFSET)
		return ch_err_set(err, CH_EPROTO, "probe-alert",
			"the server refused with TLS alert %d (%s)",
			reason - SSL_AD_REASON_OFFSET,
			SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
	return ch_err_set(err, CH_EPROTO, "probe-tls", "the TLS handshake failed: %s",
		ERR_reason_error_string(code) ? ERR_reason_error_string(code)
					      : "no reason given");
}

static int handshake(SSL *ssl, int fd, int64_t until_ms, struct ch_err *err)
{
	for (;;) {
		int n = SSL_connect(ssl);
		int how = n == 1 ? 0 : SSL_get_error(ssl, n);
		int rc;

		if (n == 1)
			return CH_OK;
		if (how != SSL_ERROR_WANT_READ && how != SSL_ERROR_WANT_WRITE)
			return tls_error(how, err);
		rc = wait_for(fd, how == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until_ms);
		if (rc)
			return ch_err_set(err, rc, "probe-timeout",
				"the TLS handshake was not answered in time");
	}
}

static int time_of(const ASN1_TIME *at, int64_t *ret_s)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(at, &tm) != 1)
		return CH_EPROTO;
	*ret_s = (int64_t)timegm(&tm);
	return CH_OK;
}

static int describe(SSL *ssl, struct ch_probe_result *ret_result)
{
	CH_CLEANUP(X509_free_p) X509 *leaf = SSL_get1_peer_certificate(ssl);
	CH_CLEANUP(BIO_free_all_p) BIO *text = BIO_new(BIO_s_mem());
	struct ch_probe_result r = {0};
	const ASN1_INTEGER *serial;
	unsigned len = sizeof(r.leaf_sha256);
	int n;

	if (!leaf || !text || X509_digest(leaf, EVP_sha256(), r.leaf_sha256, &len) != 1 ||
		time_of(X509_get0_notBefore(leaf), &r.not_before_s) ||
		time_of(X509_get0_notAfter(leaf), &r.not_after_s))
		return CH_EPROTO;
	serial = X509_get0_serialNumber(leaf);
	if (ASN1_STRING_length(serial) < 1 || ASN1_STRING_length(serial) > 39)
		return CH_EPROTO;
	ch_hex_encode(
		ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial), r.serial);
	if (X509_NAME_print_ex(text, X509_get_issuer_name(leaf), 0, XN_FLAG_RFC2253) < 0)
		return CH_EPROTO;
	n = BIO_read(text, r.issuer, sizeof(r.issuer) - 1);
	r.issuer[n > 0 ? n : 0] = 0;
	snprintf(r.tls, sizeof(r.tls), "%s", SSL_get_version(ssl));
	*ret_result = r;
	return CH_OK;
}

#define RSA_SIGALGS                                                                            \
	"RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512"

static SSL_CTX *probe_ctx;
static pthread_once_t probe_once = PTHREAD_ONCE_INIT;

/* SSL_VERIFY_NONE alone would still build the chain, for a verdict that nobody asks for.  That
 * the server has the certificate's private key, OpenSSL checks all the same: it is part of the
 * handshake. */
static int take_any_chain(X509_STORE_CTX *store, void *arg)
{
	return 1;
}

/* Shared by all probes and never freed: making one costs a third of a handshake.  Kinds of keys
 * that the quick context has no decoder for are not those of our certificates: such a server
 * fails the handshake. */
static void make_ctx(void)
{
	CH_CLEANUP(SSL_CTX_free_p)
	SSL_CTX *ctx = SSL_CTX_new_ex(ch_quick_ctx(), NULL, TLS_client_method());

	if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
		return;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, take_any_chain, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	probe_ctx = TAKE_PTR(ctx);
}

int ch_probe(const char *address, uint16_t port, const char *sni, enum ch_probe_offer offer,
	int64_t timeout_ms, struct ch_probe_result *ret_result, struct ch_err *err)
{
	int64_t until_ms = ch_mono_ms() + timeout_ms;
	CH_AUTO_CLOSE int fd = -1;
	CH_CLEANUP(SSL_free_p) SSL *ssl = NULL;
	int rc = connect_to(address, port, until_ms, &fd, err);

	if (rc)
		return rc;
	ERR_clear_error();
	pthread_once(&probe_once, make_ctx);
	ssl = probe_ctx ? SSL_new(probe_ctx) : NULL;
	if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set_tlsext_host_name(ssl, sni) != 1 ||
		(offer == CH_PROBE_OFFER_RSA && SSL_set1_sigalgs_list(ssl, RSA_SIGALGS) != 1))
		return ch_err_set(err, CH_ECRYPTO, "probe-tls", "OpenSSL failed");
	rc = handshake(ssl, fd, until_ms, err);
	if (rc)
		return rc;
	if (describe(ssl, ret_result))
		return ch_err_set(err, CH_EPROTO, "probe-tls",
			"the certificate that was shown cannot be read");
	(void)SSL_shutdown(ssl);
	ERR_clear_error();
	return CH_OK;
}

static const struct ch_resolver host_resolver = {getaddrinfo, freeaddrinfo};
static const struct ch_resolver *resolver = &host_resolver;

void ch_probe_set_resolver(const struct ch_resolver *other)
{
	resolver = other ? other : &host_resolver;
}

static bool is_double(const struct addrinfo *list, const struct addrinfo *one)
{
	for (; list != one; list = list->ai_next)
		if (list->ai_addrlen == one->ai_addrlen &&
			memcmp(list->ai_addr, one->ai_addr, one->ai_addrlen) == 0)
			return true;
	return false;
}

/* An address that has no text of ours (one with a zone) counts among those not asked. */
static void collect(const struct addrinfo *list, struct ch_probe_targets *targets)
{
	for (const struct addrinfo *a = list; a; a = a->ai_next) {
		struct ch_probe_target *to = &targets->list[targets->n];
		char port[8];

		if (is_double(list, a))
			continue;
		if (targets->n == CH_PROBE_TARGETS_MAX ||
			getnameinfo(a->ai_addr, a->ai_addrlen, to->address, sizeof(to->address),
				port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
			targets->n_over++;
			continue;
		}
		to->port = (uint16_t)strtoul(port, NULL, 10);
		targets->n++;
	}
}

int ch_probe_resolve(const char *name, uint16_t port, struct ch_probe_targets *ret_targets,
	struct ch_err *err)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	char service[8];
	int code;

	snprintf(service, sizeof(service), "%u", port);
	code = resolver->lookup(name, service, &hints, &list);
	if (code == EAI_NONAME || code == EAI_NODATA)
		return ch_err_set(err, CH_ENOTFOUND, "probe-no-address",
			"%s has no A or AAAA record", name);
	if (code)
		return ch_err_set(err, CH_EAGAIN, "probe-resolver", "%s cannot be resolved: %s",
			name, code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
	*ret_targets = (struct ch_probe_targets){.n = 0};
	collect(list, ret_targets);
	resolver->release(list);
	return CH_OK;
}

int ch_probe_target_parse(const char *text, uint16_t fallback_port,
	char ret_address[CH_PROBE_ADDR_B], uint16_t *ret_port)
{
	char address[CH_PROBE_ADDR_B];
	const char *from = text;
	size_t len;
	const char *rest;
	struct sockaddr_storage ss;
	socklen_t ss_len;
	long port = fallback_port;

	if (*text == '[') {
		from++;
		len = strcspn(from, "]");
		rest = from + len + (from[len] == ']');
		if (rest == from + len)
			return CH_EINVAL;
	} else {
		/* More than one colon without brackets: an IPv6 address without a port. */
		const char *colon = strchr(text, ':');

		len = colon && !strchr(colon + 1, ':') ? (size_t)(colon - text) : strlen(text);
		rest = text + len;
	}
	if (len >= sizeof(address))
		return CH_EINVAL;
	memcpy(address, from, len);
	address[len] = 0;
	if (*rest == ':') {
		size_t digits = strspn(rest + 1, "0123456789");

		if (!digits || digits > 5 || rest[1 + digits])
			return CH_EINVAL;
		port = strtol(rest + 1, NULL, 10);
	} else if (*rest) {
		return CH_EINVAL;
	}
	if (port < 1 || port > 65535 || make_sockaddr(address, 0, &ss, &ss_len))
		return CH_EINVAL;
	memcpy(ret_address, address, sizeof(address));
	*ret_port = (uint16_t)port;
	return CH_OK;
}
