#include "server.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t get(SSL *ssl, int fd, char *to, size_t len)
{
	return ssl ? SSL_read(ssl, to, (int)len) : read(fd, to, len);
}

static void put(SSL *ssl, int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = ssl ? SSL_write(ssl, bytes, (int)len)
				: send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		bytes += n;
		len -= (size_t)n;
	}
}

/* Whether bytes came before the test ended. */
static int wait_readable(const struct test_server *s, SSL *ssl, int fd)
{
	struct pollfd p[2] = {
		{.fd = fd, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};

	if (ssl && SSL_pending(ssl))
		return 1;
	return poll(p, 2, -1) > 0 && !p[1].revents;
}

static int is_complete(const char *text, size_t len)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strcasestr(text, "content-length:");
	size_t body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;

	return end && len >= (size_t)(end + 4 - text) + body;
}

/* 0 when the client has gone. */
static int read_request(struct test_server *s, SSL *ssl, int fd)
{
	char text[8192] = "";
	size_t len = 0;

	while (!is_complete(text, len)) {
		ssize_t n;

		if (!wait_readable(s, ssl, fd))
			return 0;
		n = get(ssl, fd, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			return 0;
		len += (size_t)n;
		text[len] = 0;
	}
	if (s->n_requests < TEST_ANSWERS_MAX)
		memcpy(s->requests[s->n_requests++], text, len + 1);
	return 1;
}

static const char *next_answer(const struct test_server *s)
{
	size_t at = s->n_requests;

	return s->answers[at < s->n_answers ? at : s->n_answers ? s->n_answers - 1 : 0];
}

/* What came in is left unread: closing then resets the connection. */
static int resets(struct test_server *s, SSL *ssl, int fd)
{
	const char *answer = next_answer(s);

	if (!answer || strcmp(answer, TEST_RESET) != 0 || s->n_requests == TEST_ANSWERS_MAX ||
		!wait_readable(s, ssl, fd))
		return 0;
	s->requests[s->n_requests++][0] = 0;
	return 1;
}

static void serve(struct test_server *s, int fd)
{
	const char *answer = NULL;
	SSL *ssl = s->ctx ? SSL_new(s->ctx) : NULL;

	if (ssl) {
		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) != 1)
			goto out;
	}
	while (!resets(s, ssl, fd)) {
		answer = next_answer(s);
		if (!read_request(s, ssl, fd))
			break;
		if (!answer) {
			char byte;

			if (wait_readable(s, ssl, fd))
				(void)!get(ssl, fd, &byte, 1);
			break;
		}
		put(ssl, fd, answer, strlen(answer));
		if (!*answer || strcasestr(answer, "connection: close"))
			break;
	}
	if (ssl)
		SSL_shutdown(ssl);
out:
	SSL_free(ssl);
	close(fd);
}

static void *run(void *arg)
{
	struct test_server *s = arg;

	for (;;) {
		struct pollfd p[2] = {
			{.fd = s->fd, .events = POLLIN}, {.fd = s->stop[0], .events = POLLIN}};
		int fd;

		if (poll(p, 2, -1) < 0 || p[1].revents)
			return NULL;
		fd = accept(s->fd, NULL, NULL);
		if (fd < 0)
			return NULL;
		s->n_connections++;
		serve(s, fd);
	}
}

void test_server_start(struct test_server *s, SSL_CTX *ctx, const char *const *answers)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	signal(SIGPIPE, SIG_IGN);
	memset(s, 0, sizeof(*s));
	s->ctx = ctx;
	while (answers[s->n_answers]) {
		s->answers[s->n_answers] = answers[s->n_answers];
		s->n_answers++;
	}
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&addr, len), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&addr, &len), 0);
	s->port = ntohs(addr.sin_port);
	snprintf(s->url, sizeof(s->url), "%s://127.0.0.1:%u", ctx ? "https" : "http", s->port);
	assert_int_equal(pipe(s->stop), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

void test_server_stop(struct test_server *s)
{
	assert_int_equal(write(s->stop[1], "x", 1), 1);
	pthread_join(s->thread, NULL);
	close(s->stop[0]);
	close(s->stop[1]);
	close(s->fd);
	SSL_CTX_free(s->ctx);
}

static void add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static X509 *make_cert(const char *name, EVP_PKEY *key, const struct test_ca *ca)
{
	static long serial = 4096;
	X509 *cert = X509_new();
	X509_NAME *subject = X509_NAME_new();

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(
		subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_subject_name(cert, subject);
	X509_set_issuer_name(cert, ca ? X509_get_subject_name(ca->cert) : subject);
	X509_set_pubkey(cert, key);
	X509_NAME_free(subject);
	return cert;
}

void test_ca_make(struct test_ca *ca, const char *name)
{
	ca->key = EVP_EC_gen("P-256");
	ca->cert = make_cert(name, ca->key, NULL);
	add_extension(ca->cert, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(ca->cert, ca->key, EVP_sha256()) > 0);
}

void test_ca_done(struct test_ca *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
}

static void write_pem(const char *path, X509 *cert, EVP_PKEY *key)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	if (cert)
		assert_int_equal(PEM_write_X509(f, cert), 1);
	if (key)
		assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
}

void test_ca_write(const struct test_ca *ca, const char *path)
{
	write_pem(path, ca->cert, NULL);
}

static SSL_CTX *make_server_ctx(
	const struct test_ca *ca, const char *san, EVP_PKEY *shown, EVP_PKEY *used)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *cert = make_cert("server", shown, ca);

	add_extension(cert, NID_subject_alt_name, san);
	add_extension(cert, NID_ext_key_usage, "serverAuth");
	assert_true(X509_sign(cert, ca->key, EVP_sha256()) > 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, used), 1);
	X509_free(cert);
	return ctx;
}

SSL_CTX *test_ca_server_ctx(const struct test_ca *ca, const char *san)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	SSL_CTX *ctx = make_server_ctx(ca, san, key, key);

	EVP_PKEY_free(key);
	return ctx;
}

/* OpenSSL compares the public halves only. */
static EVP_PKEY *with_scalar_of(EVP_PKEY *other, EVP_PKEY *key)
{
	EVP_PKEY_CTX *make = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	OSSL_PARAM *of_key, *of_other, *merged;
	EVP_PKEY *mixed = NULL;

	assert_int_equal(EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &of_key), 1);
	assert_int_equal(EVP_PKEY_todata(other, EVP_PKEY_KEYPAIR, &of_other), 1);
	/* Of what is in both, the second's counts. */
	merged = OSSL_PARAM_merge(of_other, of_key);
	assert_int_equal(EVP_PKEY_fromdata_init(make), 1);
	assert_int_equal(EVP_PKEY_fromdata(make, &mixed, EVP_PKEY_KEYPAIR, merged), 1);
	OSSL_PARAM_free(merged);
	OSSL_PARAM_free(of_key);
	OSSL_PARAM_free(of_other);
	EVP_PKEY_CTX_free(make);
	return mixed;
}

SSL_CTX *test_ca_impostor_ctx(const struct test_ca *ca, const char *san)
{
	EVP_PKEY *shown = EVP_EC_gen("P-256");
	EVP_PKEY *own = EVP_EC_gen("P-256");
	EVP_PKEY *used = with_scalar_of(own, shown);
	SSL_CTX *ctx = make_server_ctx(ca, san, shown, used);

	EVP_PKEY_free(shown);
	EVP_PKEY_free(own);
	EVP_PKEY_free(used);
	return ctx;
}

void test_ca_write_client(const struct test_ca *ca, const char *cert_path, const char *key_path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = make_cert("client", key, ca);

	add_extension(cert, NID_ext_key_usage, "clientAuth");
	assert_true(X509_sign(cert, ca->key, EVP_sha256()) > 0);
	write_pem(cert_path, cert, NULL);
	write_pem(key_path, NULL, key);
	X509_free(cert);
	EVP_PKEY_free(key);
}
