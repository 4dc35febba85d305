/* Makes TLS 1.3 handshakes with one nginx by tickets that another has given: X25519, no
 * request.
 *
 *   resumeload --port P --suffix S --names N [--count C] [--from I] [--given-by P2]
 *
 * One connection after the other, names n<number>.S in turn from I on.  With --given-by each
 * name is visited at port P2 first, and the ticket that comes from there must be resumed at P;
 * without, every handshake must be a full one.  Prints one line of JSON: handshakes, tickets
 * (that came from P). */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME_B 300

#define PARALLEL 8

/* Of a thread: its connection's last ticket (owned), and how many came in all. */
static __thread SSL_SESSION *given;
static __thread uint64_t tickets;

struct plan {
	SSL_CTX *ctx;
	uint16_t port;
	const char *suffix;
	uint64_t names;
	uint64_t count;
	SSL_SESSION **sessions; /* of each connection; NULL ones are to come */
	bool collects;		/* the tickets, into sessions */
};

struct share {
	const struct plan *plan;
	uint64_t first;
	uint64_t tickets;
	pthread_t thread;
};

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "resumeload: %s: %s\n", what, detail);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static void must(bool good, const char *what)
{
	if (!good)
		die(what, errno ? strerror(errno) : "failed");
}

static int take_ticket(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(given);
	/* A copy: how the connection ends may spoil the session itself. */
	given = SSL_SESSION_dup(session);
	must(given, "out of memory");
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
	SSL_CTX_sess_set_new_cb(ctx, take_ticket);
	SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	return ctx;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	/* A reset at the end: the ports of so many connections must not linger. */
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0,
		"connect");
	return fd;
}

/* Ends with the server's FIN, so that what it does for the connection is over. */
static void visit(SSL_CTX *ctx, uint16_t port, const char *name, SSL_SESSION *session)
{
	int fd = connect_to(port);
	SSL *ssl = SSL_new(ctx);
	char rest[64];

	must(ssl && SSL_set_fd(ssl, fd) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1,
		"SSL_new");
	if (session)
		must(SSL_set_session(ssl, session) == 1, "SSL_set_session");
	if (SSL_connect(ssl) != 1)
		die("the handshake failed", name);
	if (SSL_session_reused(ssl) != (session != NULL))
		die(session ? "not resumed" : "resumed", name);
	must(SSL_shutdown(ssl) >= 0, "close_notify");
	if (SSL_read(ssl, rest, sizeof(rest)) > 0)
		die("data came unasked for", name);
	SSL_free(ssl);
	close(fd);
}

static void *make_share(void *arg)
{
	struct share *share = arg;
	const struct plan *plan = share->plan;

	for (uint64_t i = share->first; i < plan->count; i += PARALLEL) {
		char name[NAME_B];

		snprintf(name, sizeof(name), "n%" PRIu64 ".%s", i % plan->names, plan->suffix);
		visit(plan->ctx, plan->port, name, plan->sessions[i]);
		if (!plan->collects)
			continue;
		if (!given)
			die("no ticket came", name);
		plan->sessions[i] = given;
		given = NULL;
	}
	share->tickets = tickets;
	SSL_SESSION_free(given);
	return NULL;
}

/* Returns the tickets that came. */
static uint64_t run(const struct plan *plan)
{
	struct share shares[PARALLEL];
	uint64_t came = 0;

	for (unsigned i = 0; i < PARALLEL; i++) {
		shares[i] = (struct share){.plan = plan, .first = i};
		must(pthread_create(&shares[i].thread, NULL, make_share, &shares[i]) == 0,
			"threads");
	}
	for (unsigned i = 0; i < PARALLEL; i++) {
		must(pthread_join(shares[i].thread, NULL) == 0, "threads");
		came += shares[i].tickets;
	}
	return came;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {{"port", 1, NULL, 'p'},
		{"given-by", 1, NULL, 'g'}, {"suffix", 1, NULL, 's'}, {"names", 1, NULL, 'n'},
		{"count", 1, NULL, 'c'}, {NULL, 0, NULL, 0}};
	uint64_t numbers[128] = {0};
	struct plan plan = {.ctx = make_context()};
	uint64_t came;
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == '?')
			return 2;
		if (option == 's')
			plan.suffix = optarg;
		else
			numbers[option] = strtoull(optarg, NULL, 10);
	}
	plan.names = numbers['n'];
	plan.count = numbers['c'];
	if (!numbers['p'] || !plan.names || !plan.count || !plan.suffix)
		die("arguments", "see the head of bench/tools/resumeload.c");
	plan.sessions = calloc(plan.count, sizeof(*plan.sessions));
	must(plan.sessions, "out of memory");
	if (numbers['g']) {
		plan.port = (uint16_t)numbers['g'];
		plan.collects = true;
		(void)run(&plan);
	}
	plan.port = (uint16_t)numbers['p'];
	plan.collects = false;
	came = run(&plan);
	printf("{\"handshakes\": %" PRIu64 ", \"tickets\": %" PRIu64 "}\n", plan.count, came);
	for (uint64_t i = 0; i < plan.count; i++)
		SSL_SESSION_free(plan.sessions[i]);
	free(plan.sessions);
	SSL_CTX_free(plan.ctx);
	return 0;
}
