/* A scripted HTTP server on loopback, in a thread of the test. */
#ifndef CH_TEST_SERVER_H
#define CH_TEST_SERVER_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdint.h>

#define TEST_ANSWERS_MAX 8
#define TEST_RESET "reset" /* an answer: closes when a request begins, reading nothing */

struct test_server {
	uint16_t port;
	char url[64];			       /* "http://127.0.0.1:PORT" or https */
	const char *answers[TEST_ANSWERS_MAX]; /* raw; the last repeats; "": closes; NULL: says
						  nothing */
	size_t n_answers;
	char requests[TEST_ANSWERS_MAX][8192]; /* as received; read them after the answer */
	size_t n_requests;
	size_t n_connections;
	SSL_CTX *ctx; /* owned; NULL: plain */
	int fd;
	int stop[2];
	pthread_t thread;
};

/* answers: NULL-terminated list of raw answers, or one NULL for a server that never answers. */
void test_server_start(struct test_server *s, SSL_CTX *ctx, const char *const *answers);
void test_server_stop(struct test_server *s);

/* A throw-away CA and certificates under it. */
struct test_ca {
	X509 *cert;
	EVP_PKEY *key;
};
void test_ca_make(struct test_ca *ca, const char *name);
void test_ca_done(struct test_ca *ca);
/* Writes the CA's certificate in PEM. */
void test_ca_write(const struct test_ca *ca, const char *path);
/* A context with a certificate for san ("DNS:…" or "IP:…"). */
SSL_CTX *test_ca_server_ctx(const struct test_ca *ca, const char *san);
/* The same of somebody who has copied the certificate: the private key is another. */
SSL_CTX *test_ca_impostor_ctx(const struct test_ca *ca, const char *san);
/* Writes a client certificate and its key. */
void test_ca_write_client(
	const struct test_ca *ca, const char *cert_path, const char *key_path);

#endif
