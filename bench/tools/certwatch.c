/* Until when a server on loopback serves an old certificate of a name: certwatch PORT
 *
 * For each line "NAME SHA-256-OF-THE-LEAF" on standard input makes full handshakes for that
 * name, one after another with a short rest, until that certificate is served; says "watching"
 * when the first one is over, and then "NANOSECONDS HANDSHAKES": what CLOCK_MONOTONIC said when
 * the first handshake with the new certificate was done.  A handshake that fails, or the wait
 * of too long a time, ends it with status 1. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REST_US 500
#define PATIENCE_NS INT64_C(30000000000)

static void die(const char *what)
{
	fprintf(stderr, "certwatch: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0)
		die("cannot connect");
	return fd;
}

/* *ret_ns: when the handshake was done. */
static bool is_served(SSL_CTX *ctx, uint16_t port, const char *name,
	const unsigned char wanted[EVP_MAX_MD_SIZE], int64_t *ret_ns)
{
	int fd = connect_to(port);
	SSL *ssl = SSL_new(ctx);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;
	bool same;

	if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set_tlsext_host_name(ssl, name) != 1)
		die("out of memory");
	if (SSL_connect(ssl) != 1)
		die("a handshake failed");
	*ret_ns = now_ns();
	if (X509_digest(SSL_get0_peer_certificate(ssl), EVP_sha256(), digest, &len) != 1)
		die("out of memory");
	same = memcmp(digest, wanted, len) == 0;
	SSL_free(ssl);
	close(fd);
	return same;
}

static void watch(SSL_CTX *ctx, uint16_t port, const char *name, const char *hex)
{
	unsigned char wanted[EVP_MAX_MD_SIZE];
	int64_t until_ns = now_ns() + PATIENCE_NS;
	int64_t seen_ns;
	size_t len;
	unsigned long n = 0;

	if (OPENSSL_hexstr2buf_ex(wanted, sizeof(wanted), &len, hex, 0) != 1 || len != 32)
		die("NAME SHA-256 expected");
	for (bool served = false; !served; n++) {
		served = is_served(ctx, port, name, wanted, &seen_ns);
		if (n == 0) {
			printf("watching\n");
			fflush(stdout);
		}
		if (!served && seen_ns > until_ns)
			die("the new certificate did not come");
		if (!served)
			usleep(REST_US);
	}
	printf("%lld %lu\n", (long long)seen_ns, n);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char name[300];
	char hex[80];

	if (argc != 2 || !ctx)
		return 2;
	while (scanf("%299s %79s", name, hex) == 2)
		watch(ctx, (uint16_t)atoi(argv[1]), name, hex);
	SSL_CTX_free(ctx);
	return 0;
}
