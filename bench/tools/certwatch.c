/* Until when a server on loopback serves an old certificate of a name: certwatch PORT [SECONDS]
 *
 * For each line "NAME SHA-256-OF-THE-LEAF" on standard input makes full handshakes for that
 * name, one after another with a short rest, until that certificate is served; says "watching"
 * when the first one is over, and then "NANOSECONDS HANDSHAKES FAILED": what CLOCK_MONOTONIC
 * said when the first handshake with the new certificate was done, how many there were, and how
 * many of them failed.  With SECONDS these are only counted, else the first one ends it with
 * status 1; so does a wait of more than SECONDS, or 30. */
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
#define PATIENCE_S 30

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
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) < 0)
		die("no socket");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	close(fd);
	return -1;
}

enum seen { SEEN_OTHER, SEEN_WANTED, SEEN_FAILURE };

/* *ret_ns: when the handshake was done. */
static enum seen look(SSL_CTX *ctx, uint16_t port, const char *name,
	const unsigned char wanted[EVP_MAX_MD_SIZE], int64_t *ret_ns)
{
	int fd = connect_to(port);
	SSL *ssl = SSL_new(ctx);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;
	enum seen seen = SEEN_FAILURE;

	*ret_ns = now_ns();
	if (fd < 0) {
		SSL_free(ssl);
		return seen;
	}
	if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set_tlsext_host_name(ssl, name) != 1)
		die("out of memory");
	if (SSL_connect(ssl) == 1) {
		*ret_ns = now_ns();
		if (X509_digest(SSL_get0_peer_certificate(ssl), EVP_sha256(), digest, &len) !=
			1)
			die("out of memory");
		seen = memcmp(digest, wanted, len) == 0 ? SEEN_WANTED : SEEN_OTHER;
	}
	SSL_free(ssl);
	close(fd);
	return seen;
}

static void watch(SSL_CTX *ctx, uint16_t port, const char *name, const char *hex, long most_s)
{
	unsigned char wanted[EVP_MAX_MD_SIZE];
	int64_t until_ns = now_ns() + (most_s ? most_s : PATIENCE_S) * INT64_C(1000000000);
	int64_t seen_ns;
	size_t len;
	unsigned long n = 0;
	unsigned long failed = 0;
	enum seen seen = SEEN_OTHER;

	if (OPENSSL_hexstr2buf_ex(wanted, sizeof(wanted), &len, hex, 0) != 1 || len != 32)
		die("NAME SHA-256 expected");
	for (; seen != SEEN_WANTED; n++) {
		seen = look(ctx, port, name, wanted, &seen_ns);
		failed += seen == SEEN_FAILURE;
		if (failed && !most_s)
			die("a handshake failed");
		if (n == 0) {
			printf("watching\n");
			fflush(stdout);
		}
		if (seen != SEEN_WANTED && seen_ns > until_ns)
			die("the new certificate did not come");
		if (seen != SEEN_WANTED)
			usleep(REST_US);
	}
	printf("%lld %lu %lu\n", (long long)seen_ns, n, failed);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char name[300];
	char hex[80];

	if (argc < 2 || argc > 3 || !ctx)
		return 2;
	while (scanf("%299s %79s", name, hex) == 2)
		watch(ctx, (uint16_t)atoi(argv[1]), name, hex, argc == 3 ? atol(argv[2]) : 0);
	SSL_CTX_free(ctx);
	return 0;
}
