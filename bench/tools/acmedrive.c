/* The ceiling of a CA: how fast a client that does nothing else gets certificates from it.
 *
 *     acmedrive DIRECTORY CA.pem HTTP_PORT PREFIX COUNT THREADS
 *
 * Registers an account, then orders PREFIX-<i>.drive.example.com for i < COUNT, THREADS at a
 * time, each over a connection of its own that is kept open: newOrder, authorization,
 * challenge, authorization, finalize, order, certificate.  http-01 is answered on HTTP_PORT by
 * a thread of this process.  Keys and CSRs are made before the clock starts.  Prints one line
 * of JSON: wall and CPU seconds, requests sent. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "acme/client.h"
#include "base/clock.h"
#include "base/mem.h"
#include "crypto/jws.h"
#include "crypto/keys.h"
#include "crypto/x509.h"

#define THREADS_MAX 128
/* The pause before each poll, per thread: about as long as all of them take for one request
 * each.  Shorter ones only cost the CA more polls. */
#define POLL_US 1250
#define POLLS_MAX 5000

struct order {
	char name[128];
	struct ch_buf csr;
};

static struct ch_acme *acme;
static const char *ca_file;
static char thumbprint[CH_THUMBPRINT_TEXT_B];
static struct order *orders;
static size_t n_orders;
static useconds_t poll_us;
static atomic_size_t next_order;
static atomic_ulong requests;

static void must(int rc, const char *what)
{
	if (rc) {
		fprintf(stderr, "acmedrive: %s: %s\n", what, ch_rc_str(rc));
		exit(1);
	}
}

static double now_s(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void run(
	struct ch_http *http, const struct ch_acme_request *req, struct ch_acme_answer *ans)
{
	ch_acme_answer_init(ans);
	atomic_fetch_add(&requests, 1);
	if (ch_acme_run(acme, http, req, ans) == CH_ACME_OK)
		return;
	fprintf(stderr, "acmedrive: %s: %s\n", ch_acme_kind_str(req->kind), ans->err.detail);
	exit(1);
}

/* One challenge: the token is what follows the last slash of the path. */
static void answer_one(int fd)
{
	static const char path[] = "GET /.well-known/acme-challenge/";
	char in[4096], out[512];
	size_t len = 0;
	ssize_t n;
	char *token;
	int out_len;

	do {
		n = read(fd, in + len, sizeof(in) - 1 - len);
		if (n <= 0)
			return;
		len += (size_t)n;
		in[len] = 0;
	} while (!strstr(in, "\r\n\r\n") && len < sizeof(in) - 1);
	if (strncmp(in, path, strlen(path)) != 0)
		return;
	token = in + strlen(path);
	token[strcspn(token, " ?")] = 0;
	out_len = snprintf(out, sizeof(out),
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%.128s.%s",
		strlen(token) + 1 + strlen(thumbprint), token, thumbprint);
	n = write(fd, out, (size_t)out_len);
	must(n != out_len, "answer");
}

static void *responder_main(void *arg)
{
	int listener = *(int *)arg;
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		answer_one(fd);
		close(fd);
	}
	return NULL;
}

static void start_responder(unsigned port)
{
	static int listener;
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	pthread_t thread;
	int one = 1;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(listener < 0 ||
			setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
			bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
			listen(listener, 512),
		"listen");
	must(pthread_create(&thread, NULL, responder_main, &listener), "thread");
	pthread_detach(thread);
}

static struct ch_http *new_http(void)
{
	struct ch_http_options options = {.ca_file = ca_file, .user_agent = "acmedrive"};
	struct ch_http *http;
	struct ch_err err;

	must(ch_http_new_curl(&options, &http, &err), "http");
	return http;
}

static void order_begin(struct ch_http *http, const struct order *order,
	struct ch_acme_answer *ret_order, char ret_authz[CH_ACME_URL_B])
{
	const char *name = order->name;
	struct ch_acme_request req = {.kind = CH_ACME_NEW_ORDER, .names = &name, .n_names = 1};

	run(http, &req, ret_order);
	must(ret_order->order.n_authz != 1, "one authorization");
	strcpy(ret_authz, ret_order->order.authz[0]);
}

static void validate(struct ch_http *http, const char *authz)
{
	struct ch_acme_request get = {.kind = CH_ACME_GET_AUTHZ, .url = authz};
	struct ch_acme_request post = {.kind = CH_ACME_ANSWER_CHALLENGE};
	CH_AUTO_ANSWER struct ch_acme_answer first;
	CH_AUTO_ANSWER struct ch_acme_answer posted;

	run(http, &get, &first);
	must(!first.authz.challenges[CH_ACME_HTTP_01].url, "http-01");
	post.url = first.authz.challenges[CH_ACME_HTTP_01].url;
	run(http, &post, &posted);
	for (int i = 0; i < POLLS_MAX; i++) {
		CH_AUTO_ANSWER struct ch_acme_answer ans;

		usleep(poll_us);
		run(http, &get, &ans);
		must(ans.authz.status == CH_ACME_INVALID, "validation");
		if (ans.authz.status == CH_ACME_VALID)
			return;
	}
	must(CH_ETIMEOUT, "validation");
}

static void collect(
	struct ch_http *http, const struct order *order, const struct ch_acme_answer *begun)
{
	struct ch_acme_request req = {.kind = CH_ACME_FINALIZE,
		.url = begun->order.finalize,
		.csr = order->csr.data,
		.csr_len = order->csr.len};

	for (int i = 0; i < POLLS_MAX; i++) {
		CH_AUTO_ANSWER struct ch_acme_answer ans;
		CH_AUTO_ANSWER struct ch_acme_answer pem;

		ch_acme_answer_init(&pem);
		run(http, &req, &ans);
		must(ans.order.status == CH_ACME_INVALID, "finalize");
		if (ans.order.certificate) {
			struct ch_acme_request get = {
				.kind = CH_ACME_GET_CERTIFICATE, .url = ans.order.certificate};

			run(http, &get, &pem);
			return;
		}
		req = (struct ch_acme_request){
			.kind = CH_ACME_GET_ORDER, .url = begun->location};
		usleep(poll_us);
	}
	must(CH_ETIMEOUT, "finalize");
}

static void *worker_main(void *arg)
{
	struct ch_http *http = arg;
	size_t i;

	while ((i = atomic_fetch_add(&next_order, 1)) < n_orders) {
		CH_AUTO_ANSWER struct ch_acme_answer begun;
		char authz[CH_ACME_URL_B];

		order_begin(http, &orders[i], &begun, authz);
		validate(http, authz);
		collect(http, &orders[i], &begun);
	}
	return NULL;
}

static void make_orders(const char *prefix)
{
	orders = calloc(n_orders, sizeof(*orders));
	must(!orders, "memory");
	for (size_t i = 0; i < n_orders; i++) {
		CH_AUTO_PKEY EVP_PKEY *key = NULL;
		const char *name = orders[i].name;

		snprintf(orders[i].name, sizeof(orders[i].name), "%.60s-%zu.drive.example.com",
			prefix, i);
		ch_buf_init(&orders[i].csr, 8192);
		must(ch_key_generate(&key), "key");
		must(ch_csr_make(key, &name, 1, &orders[i].csr), "csr");
	}
}

static void open_account(const char *directory)
{
	struct ch_acme_signup signup = {.n_contacts = 0};
	struct ch_acme_request req = {.kind = CH_ACME_NEW_ACCOUNT, .signup = &signup};
	CH_AUTO_PKEY EVP_PKEY *key = NULL;
	CH_AUTO_ANSWER struct ch_acme_answer ans;
	struct ch_http *http = new_http();
	struct ch_err err;

	must(ch_key_generate(&key), "key");
	must(ch_jwk_thumbprint(key, thumbprint), "thumbprint");
	must(ch_acme_new(directory, key, &acme, &err), "directory");
	run(http, &req, &ans);
	ch_acme_set_account(acme, ans.location);
	ch_http_free(http);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];
	struct ch_http *https[THREADS_MAX];
	size_t n_threads = argc == 7 ? strtoul(argv[6], NULL, 10) : 0;
	double wall, cpu;

	if (n_threads == 0 || n_threads > THREADS_MAX) {
		fprintf(stderr, "usage: acmedrive DIRECTORY CA.pem HTTP_PORT PREFIX COUNT "
				"THREADS\n");
		return 2;
	}
	poll_us = (useconds_t)(POLL_US * n_threads);
	ca_file = argv[2];
	n_orders = strtoul(argv[5], NULL, 10);
	start_responder((unsigned)strtoul(argv[3], NULL, 10));
	make_orders(argv[4]);
	open_account(argv[1]);
	for (size_t i = 0; i < n_threads; i++)
		https[i] = new_http();
	atomic_store(&requests, 0);
	wall = now_s(CLOCK_MONOTONIC);
	cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < n_threads; i++)
		must(pthread_create(&threads[i], NULL, worker_main, https[i]), "thread");
	for (size_t i = 0; i < n_threads; i++)
		pthread_join(threads[i], NULL);
	printf("{\"wall_s\": %.4f, \"cpu_s\": %.4f, \"requests\": %lu}\n",
		now_s(CLOCK_MONOTONIC) - wall, now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu,
		atomic_load(&requests));
	return 0;
}
