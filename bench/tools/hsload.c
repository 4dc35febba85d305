/* Makes full TLS 1.3 handshakes with a server on loopback, never resumed: X25519, no request.
 *
 *   hsload --port P --suffix S --names N [--count C] [--seed X | --from I] [--zipf]
 *          [--expect NAME | --unknown] [--parallel K] [--rate R] [--wait[=SECONDS]]
 *
 * asks for names n<number>.S: C of them uniformly at random by the seed, or in turn from I on,
 * or by Zipf's law with exponent 1, the popular ones spread over all numbers; K connections at
 * once, R new ones a second (else as fast as they end).  Each certificate must be that of the
 * name asked for, or of --expect, and come with one intermediate.  --unknown: for names
 * u<number>.S instead, each of which must be refused with the alert unrecognized_name.
 * --wait: one handshake with a server that is about to start (within 30 seconds, or so many);
 * says "ready" when it begins to knock.
 *
 * A connection ends with the client's close_notify and the server's FIN, so that what the
 * server does for it is over when this tool is.  On success one line of JSON:
 *
 *   handshakes, tickets (session tickets that came), bytes (read), first_ns (CLOCK_MONOTONIC
 * when the first handshake was done), wall_s, late_ms (with R: the most that a connection was
 * begun later than planned) */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PARALLEL_MAX 64
#define PATIENCE_MS 30000
#define WAIT_S 30
#define KNOCK_US 50
#define NAME_B 300

struct plan {
	uint16_t port;
	const char *suffix;
	const char *expect; /* NULL: the name asked for */
	uint64_t names;
	uint64_t count;
	uint64_t seed;
	int64_t from; /* negative: at random */
	unsigned parallel;
	double rate; /* 0: without a limit */
	bool zipf;
	bool unknown;
	long wait_s; /* 0: it listens */
};

struct visit {
	SSL *ssl; /* NULL: free */
	int fd;
	short events;
	bool closing;
	bool refused;
	char name[NAME_B];
};

static uint64_t tickets;
static uint64_t bytes;
static int64_t first_ns;
static int64_t began_ns;
static int64_t late_ns;

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "hsload: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void must(bool good, const char *what)
{
	if (!good)
		die(what, errno ? strerror(errno) : NULL);
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static int count_ticket(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	(void)session;
	tickets++;
	return 0;
}

static SSL_CTX *make_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	must(ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
			SSL_CTX_set1_groups_list(ctx, "X25519") == 1,
		"client settings");
	SSL_CTX_set_session_cache_mode(
		ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(ctx, count_ticket);
	SSL_CTX_set_options(
		ctx, SSL_OP_IGNORE_UNEXPECTED_EOF); /* nginx sends no close_notify */
	return ctx;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* -1: nobody listens. */
static int try_connect(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(fd >= 0, "socket");
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		if (errno != ECONNREFUSED)
			die("connect", strerror(errno));
		close(fd);
		return -1;
	}
	must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
			fcntl(fd, F_SETFL, O_NONBLOCK) == 0,
		"socket options");
	return fd;
}

static int connect_to(const struct plan *plan)
{
	int64_t deadline = now_ns() + plan->wait_s * INT64_C(1000000000);
	int fd;

	while ((fd = try_connect(plan->port)) < 0) {
		if (!plan->wait_s || now_ns() > deadline)
			die("connect", "nobody listens");
		usleep(KNOCK_US);
	}
	return fd;
}

/* The rank of a name is about what the law's integral says; a multiplier without a common
 * factor spreads the ranks. */
static uint64_t pick(struct plan *plan, uint64_t number)
{
	uint64_t random = next_random(&plan->seed);
	double share = (double)(random >> 11) / (double)(UINT64_C(1) << 53);

	if (plan->from >= 0)
		return ((uint64_t)plan->from + number) % plan->names;
	if (!plan->zipf)
		return random % plan->names;
	return ((uint64_t)exp(share * log((double)plan->names + 1)) - 1) *
	       UINT64_C(2147483647) % plan->names;
}

static void start(struct visit *visit, struct plan *plan, SSL_CTX *ctx, uint64_t number)
{
	uint64_t name = pick(plan, number);

	snprintf(visit->name, sizeof(visit->name), "%c%" PRIu64 ".%s",
		plan->unknown ? 'u' : 'n', name, plan->suffix);
	visit->fd = connect_to(plan);
	visit->ssl = SSL_new(ctx);
	visit->closing = visit->refused = false;
	must(visit->ssl && SSL_set_fd(visit->ssl, visit->fd) == 1 &&
			SSL_set_tlsext_host_name(visit->ssl, visit->name) == 1,
		"SSL_new");
	visit->events = POLLOUT;
}

static void check(const struct visit *visit, const struct plan *plan)
{
	const char *name = plan->expect ? plan->expect : visit->name;
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(visit->ssl);

	if (X509_check_host(SSL_get0_peer_certificate(visit->ssl), name, 0,
		    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1)
		die("another name's certificate was served for", visit->name);
	if (sk_X509_num(chain) != 2)
		die("not a leaf and an intermediate were served for", visit->name);
	if (SSL_version(visit->ssl) != TLS1_3_VERSION || SSL_session_reused(visit->ssl))
		die("no full TLS 1.3 handshake for", visit->name);
}

static void end(struct visit *visit)
{
	/* A reset: the ports of so many connections must not linger. */
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	bytes += BIO_number_read(SSL_get_rbio(visit->ssl));
	setsockopt(visit->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	SSL_free(visit->ssl);
	close(visit->fd);
	visit->ssl = NULL;
}

/* What is waited for next; false when the connection failed. */
static bool may_wait(struct visit *visit, int ret)
{
	int error = SSL_get_error(visit->ssl, ret);

	visit->events = error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static bool at_end(struct visit *visit)
{
	char rest[64];
	int ret = SSL_read(visit->ssl, rest, sizeof(rest));

	if (ret > 0)
		die("data came unasked for", visit->name);
	if (SSL_get_error(visit->ssl, ret) != SSL_ERROR_ZERO_RETURN) {
		if (!may_wait(visit, ret))
			die("the connection broke at its end", visit->name);
		return false;
	}
	/* If it was a close_notify: only the FIN says that the server is done. */
	if (recv(visit->fd, rest, sizeof(rest), 0) < 0 && errno == EAGAIN) {
		visit->events = POLLIN;
		return false;
	}
	return true;
}

/* Only the FIN says that the server is done; it may come with a reset. */
static bool at_end_of_refused(struct visit *visit)
{
	char rest[64];
	ssize_t n = recv(visit->fd, rest, sizeof(rest), 0);

	visit->events = POLLIN;
	return n == 0 || (n < 0 && errno != EAGAIN);
}

static void see_refusal(struct visit *visit, const struct plan *plan)
{
	if (!plan->unknown || ERR_GET_REASON(ERR_peek_error()) != SSL_R_TLSV1_UNRECOGNIZED_NAME)
		die("the handshake failed for", visit->name);
	visit->refused = true;
}

/* Returns true when the visit is over. */
static bool advance(struct visit *visit, const struct plan *plan)
{
	int ret;

	ERR_clear_error();
	if (!visit->closing && !visit->refused) {
		ret = SSL_connect(visit->ssl);
		if (ret != 1) {
			if (may_wait(visit, ret))
				return false;
			see_refusal(visit, plan);
		}
	}
	if (visit->refused) {
		if (!at_end_of_refused(visit))
			return false;
		end(visit);
		return true;
	}
	if (!visit->closing) {
		if (plan->unknown)
			die("a name that nobody knows was served", visit->name);
		first_ns = first_ns ? first_ns : now_ns();
		check(visit, plan);
		must(SSL_shutdown(visit->ssl) >= 0, "close_notify");
		visit->closing = true;
		visit->events = POLLIN;
	}
	if (!at_end(visit))
		return false;
	end(visit);
	return true;
}

/* Whether the next connection may begin; else *ret_ms is the time until it may. */
static bool is_due(const struct plan *plan, uint64_t number, int *ret_ms)
{
	int64_t late = 0;

	if (plan->rate > 0)
		late = now_ns() - began_ns - (int64_t)((double)number / plan->rate * 1e9);
	*ret_ms = PATIENCE_MS;
	if (late < 0)
		*ret_ms = (int)(-late / 1000000) + 1;
	else if (late > late_ns)
		late_ns = late;
	return late >= 0;
}

static void run(struct plan *plan, SSL_CTX *ctx)
{
	struct visit visits[PARALLEL_MAX] = {0};
	struct pollfd polled[PARALLEL_MAX];
	uint64_t begun = 0;
	uint64_t over = 0;
	int wait_ms = PATIENCE_MS;

	began_ns = now_ns();
	while (over < plan->count) {
		for (unsigned i = 0; i < plan->parallel; i++) {
			if (!visits[i].ssl && begun < plan->count &&
				is_due(plan, begun, &wait_ms))
				start(&visits[i], plan, ctx, begun++);
			polled[i].fd = visits[i].ssl ? visits[i].fd : -1;
			polled[i].events = visits[i].events;
		}
		if (poll(polled, plan->parallel, wait_ms) <= 0 && wait_ms == PATIENCE_MS)
			die("nothing happens any more", NULL);
		wait_ms = PATIENCE_MS;
		for (unsigned i = 0; i < plan->parallel; i++)
			if (visits[i].ssl && polled[i].revents)
				over += advance(&visits[i], plan);
	}
}

static struct plan read_plan(int argc, char **argv)
{
	static const struct option known[] = {{"port", 1, NULL, 'p'}, {"suffix", 1, NULL, 's'},
		{"names", 1, NULL, 'n'}, {"count", 1, NULL, 'c'}, {"seed", 1, NULL, 'x'},
		{"from", 1, NULL, 'f'}, {"expect", 1, NULL, 'e'}, {"parallel", 1, NULL, 'k'},
		{"rate", 1, NULL, 'r'}, {"zipf", 0, NULL, 'z'}, {"unknown", 0, NULL, 'u'},
		{"wait", 2, NULL, 'w'}, {NULL, 0, NULL, 0}};
	struct plan plan = {.count = 1, .from = -1, .parallel = 1};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'p':
			plan.port = (uint16_t)atoi(optarg);
			break;
		case 's':
			plan.suffix = optarg;
			break;
		case 'n':
			plan.names = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			plan.count = strtoull(optarg, NULL, 10);
			break;
		case 'x':
			plan.seed = strtoull(optarg, NULL, 10);
			break;
		case 'f':
			plan.from = atoll(optarg);
			break;
		case 'e':
			plan.expect = optarg;
			break;
		case 'k':
			plan.parallel = (unsigned)atoi(optarg);
			break;
		case 'r':
			plan.rate = atof(optarg);
			break;
		case 'z':
			plan.zipf = true;
			break;
		case 'u':
			plan.unknown = true;
			break;
		case 'w':
			plan.wait_s = optarg ? atol(optarg) : WAIT_S;
			break;
		default:
			exit(2);
		}
	}
	if (!plan.port || !plan.suffix || !plan.names || plan.parallel < 1 ||
		plan.parallel > PARALLEL_MAX)
		die("see the head of bench/tools/hsload.c", NULL);
	return plan;
}

int main(int argc, char **argv)
{
	struct plan plan = read_plan(argc, argv);
	SSL_CTX *ctx = make_context();

	if (plan.wait_s) {
		printf("ready\n");
		fflush(stdout);
	}
	run(&plan, ctx);
	printf("{\"handshakes\": %" PRIu64 ", \"tickets\": %" PRIu64 ", \"bytes\": %" PRIu64
	       ", \"first_ns\": %" PRId64 ", \"wall_s\": %.6f, \"late_ms\": %.3f}\n",
		plan.count, tickets, bytes, first_ns, (double)(now_ns() - began_ns) / 1e9,
		(double)late_ns / 1e6);
	SSL_CTX_free(ctx);
	return 0;
}
