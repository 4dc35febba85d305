/* A line to a far server: longline SOCKET MICROSECONDS
 *
 * Takes connections on a port of 127.0.0.1, which it prints, and carries them to the Unix
 * socket; what is sent either way arrives MICROSECONDS later.  It ends when standard input
 * does. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL
#define PIECE_B 65536
#define PIECES 64 /* under way at most; what comes then waits at the near end */

struct piece {
	int64_t at_ns;
	size_t n;
	char bytes[PIECE_B];
};

struct way {
	int from;
	int to;
	unsigned first;
	unsigned n;
	struct piece pieces[PIECES];
};

static struct sockaddr_un far_end = {.sun_family = AF_UNIX};
static int64_t delay_ns;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS + now.tv_nsec;
}

static void must(int failed, const char *what)
{
	if (failed) {
		perror(what);
		exit(1);
	}
}

/* False at the end of what is sent, which is a piece of no bytes. */
static int take(struct way *way)
{
	struct piece *piece = &way->pieces[(way->first + way->n) % PIECES];
	ssize_t got = read(way->from, piece->bytes, PIECE_B);

	piece->n = got > 0 ? (size_t)got : 0;
	piece->at_ns = now_ns() + delay_ns;
	way->n++;
	return got > 0;
}

/* False when there is no more to bring. */
static int bring(struct way *way)
{
	struct piece *piece = &way->pieces[way->first];
	size_t done = 0;

	while (done < piece->n) {
		ssize_t sent =
			send(way->to, piece->bytes + done, piece->n - done, MSG_NOSIGNAL);

		if (sent <= 0)
			return 0;
		done += (size_t)sent;
	}
	way->first = (way->first + 1) % PIECES;
	way->n--;
	return piece->n > 0;
}

static void *carry(void *arg)
{
	struct way *way = arg;
	int open = 1;

	for (;;) {
		struct pollfd near_end = {
			.fd = open && way->n < PIECES ? way->from : -1, .events = POLLIN};
		int64_t left = way->n ? way->pieces[way->first].at_ns - now_ns() : 0;
		struct timespec wait = {left > 0 ? left / NS : 0, left > 0 ? left % NS : 0};

		if (ppoll(&near_end, 1, way->n ? &wait : NULL, NULL) > 0)
			open = take(way);
		if (way->n && way->pieces[way->first].at_ns <= now_ns() && !bring(way))
			break;
	}
	(void)shutdown(way->to, SHUT_WR);
	free(way);
	return NULL;
}

/* Files stay open until the line ends: there are only as many as a store has connections. */
static void begin_way(int from, int to)
{
	struct way *way = calloc(1, sizeof(*way));
	pthread_t thread;

	must(!way, "memory");
	way->from = from;
	way->to = to;
	must(pthread_create(&thread, NULL, carry, way), "thread");
	pthread_detach(thread);
}

static void connect_through(int listener)
{
	int near_end = accept(listener, NULL, NULL);
	int far_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int one = 1;

	must(near_end < 0, "accept");
	must(connect(far_fd, (struct sockaddr *)&far_end, sizeof(far_end)), far_end.sun_path);
	must(setsockopt(near_end, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)), "TCP_NODELAY");
	begin_way(near_end, far_fd);
	begin_way(far_fd, near_end);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct pollfd waiting[2] = {
		{.fd = listener, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};

	if (argc != 3 || strlen(argv[1]) >= sizeof(far_end.sun_path)) {
		fprintf(stderr, "longline SOCKET MICROSECONDS\n");
		return 2;
	}
	strcpy(far_end.sun_path, argv[1]);
	delay_ns = atoll(argv[2]) * 1000;
	/* It stands for a wire, which no other work on this machine may hold up. */
	(void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
	(void)prctl(PR_SET_TIMERSLACK, 1UL);
	must(bind(listener, (struct sockaddr *)&address, len) || listen(listener, 64) ||
			getsockname(listener, (struct sockaddr *)&address, &len),
		"listen");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	while (poll(waiting, 2, -1) > 0 && !waiting[1].revents)
		if (waiting[0].revents)
			connect_through(listener);
	return 0;
}
