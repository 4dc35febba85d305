/* Deprecated since c-ares 1.28, but what 1.18 has. */
#define CARES_NO_DEPRECATED

#include "net/dns.h"

#include <ares.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define TIMEOUT_MS (2 * CH_SECOND_MS)
#define TRIES 2
#define TICK_MS 100
#define SOCKETS_MAX 64
#define SERVERS_MAX 8
#define CLASS_IN 1
#define UDP_BUFFER_B (4 << 20)
#define EDNS_B 1232
/* While questions are open, one that any resolver can answer goes along so often. */
#define BEAT_MS (2 * CH_SECOND_MS)
#define DOWN_AFTER_MS (5 * CH_SECOND_MS)

struct question {
	struct question *next;
	struct ch_dns *dns;
	ch_dns_done *done;
	void *arg;
	enum ch_dns_type type;
	bool beat;
	int64_t until_ms; /* monotonic: not given up before */
	char name[CH_DNS_NAME_B];
};

struct ch_dns {
	pthread_t thread;
	pthread_mutex_t lock;
	struct question *first; /* asked, not sent yet; in their order */
	struct question **last;
	size_t n_open;
	bool stopping;
	int wake_fd;
	/* Of the thread alone: */
	ares_channel channel;
	struct pollfd fds[SOCKETS_MAX + 1];
	size_t n_fds;
	int64_t patience_ms;
	bool beating;
	int64_t beat_ms;
	struct ch_dns_answer answer; /* what callbacks are handed */
	/* When a resolver last answered, or when the questions that are open began. */
	_Atomic int64_t answered_ms;
	_Atomic int64_t began_ms; /* 0: none is open */
};

static pthread_once_t ares_once = PTHREAD_ONCE_INIT;
static int ares_ready = ARES_ENOTINITIALIZED;

static void init_ares(void)
{
	ares_ready = ares_library_init(ARES_LIB_INIT_ALL);
}

/* c-ares says which sockets it waits for. */
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct ch_dns *dns = arg;
	size_t i = 1;

	while (i < dns->n_fds && dns->fds[i].fd != fd)
		i++;
	if (!readable && !writable) {
		if (i < dns->n_fds)
			dns->fds[i] = dns->fds[--dns->n_fds];
		return;
	}
	/* One that finds no place has its questions time out. */
	if (i > SOCKETS_MAX)
		return;
	if (i == dns->n_fds)
		dns->n_fds++;
	dns->fds[i] = (struct pollfd){.fd = fd,
		.events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0))};
}

/* "a, b" as c-ares wants it: without blanks. */
static int squeeze(const char *text, char *ret_csv, size_t csv_b)
{
	size_t n = 0;
	size_t servers = 1;

	for (; *text; text++) {
		if (*text == ' ' || *text == '\t')
			continue;
		servers += *text == ',';
		if (n + 1 >= csv_b || servers > SERVERS_MAX)
			return CH_EINVAL;
		ret_csv[n++] = *text;
	}
	ret_csv[n] = 0;
	return n ? CH_OK : CH_EINVAL;
}

static int open_channel(
	const struct ch_dns_options *options, struct ch_dns *dns, ares_channel *ret_channel)
{
	struct ares_options o = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS |
			 ARES_FLAG_NOCHECKRESP | (options->tcp ? ARES_FLAG_USEVC : 0),
		.timeout = (int)(options->timeout_ms ? options->timeout_ms : TIMEOUT_MS),
		.tries = TRIES,
		.ednspsz = EDNS_B,
		.socket_receive_buffer_size = UDP_BUFFER_B,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = dns,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
		   ARES_OPT_SOCK_RCVBUF | ARES_OPT_SOCK_STATE_CB;
	char csv[512];

#ifdef ARES_OPT_QUERY_CACHE
	/* The resolvers have a cache; a second one would show what was mended as broken. */
	o.qcache_max_ttl = 0;
	mask |= ARES_OPT_QUERY_CACHE;
#endif
	pthread_once(&ares_once, init_ares);
	if (ares_ready != ARES_SUCCESS || ares_init_options(ret_channel, &o, mask))
		return CH_ENOMEM;
	if (!options->resolvers || !options->resolvers[0])
		return CH_OK;
	if (squeeze(options->resolvers, csv, sizeof(csv)) ||
		ares_set_servers_ports_csv(*ret_channel, csv) != ARES_SUCCESS) {
		ares_destroy(*ret_channel);
		return CH_EINVAL;
	}
	return CH_OK;
}

static void ignore_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
}

int ch_dns_check_resolvers(const char *text)
{
	struct ares_options o = {.sock_state_cb = ignore_socket};
	ares_channel channel;
	char csv[512];
	int rc;

	pthread_once(&ares_once, init_ares);
	if (squeeze(text, csv, sizeof(csv)))
		return CH_EINVAL;
	if (ares_ready != ARES_SUCCESS ||
		ares_init_options(&channel, &o, ARES_OPT_SOCK_STATE_CB))
		return CH_ENOMEM;
	rc = ares_set_servers_ports_csv(channel, csv) == ARES_SUCCESS ? CH_OK : CH_EINVAL;
	ares_destroy(channel);
	return rc;
}

static void forget(struct question *q)
{
	struct ch_dns *dns = q->dns;

	pthread_mutex_lock(&dns->lock);
	dns->n_open--;
	if (dns->n_open == 0)
		atomic_store(&dns->began_ms, 0);
	pthread_mutex_unlock(&dns->lock);
	free(q);
}

static enum ch_dns_status status_without_message(int status)
{
	switch (status) {
	case ARES_ENODATA:
		return CH_DNS_NO_DATA;
	case ARES_ENOTFOUND:
		return CH_DNS_NO_NAME;
	case ARES_ETIMEOUT:
	case ARES_ECONNREFUSED:
		return CH_DNS_TIMEOUT;
	case ARES_ECANCELLED:
	case ARES_EDESTRUCTION:
		return CH_DNS_CANCELED;
	default:
		return CH_DNS_FAILED;
	}
}

static void send_question(struct ch_dns *dns, struct question *q);

static void on_answer(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct question *q = arg;
	struct ch_dns *dns = q->dns;
	struct ch_dns_answer *answer = &dns->answer;

	/* Newer versions measure the resolver and time out long before they are told to: what
	 * it knows at once says nothing about what it has to ask others for. */
	if (status == ARES_ETIMEOUT && ch_mono_ms() < q->until_ms) {
		send_question(dns, q);
		return;
	}
	if (bytes && len > 0 && status != ARES_EDESTRUCTION)
		/* What is broken has the status FAILED. */
		(void)!ch_dns_message_read(bytes, (size_t)len, q->name, q->type, answer);
	else {
		memset(answer, 0, sizeof(*answer));
		answer->status = status_without_message(status);
	}
	if (answer->status != CH_DNS_TIMEOUT && answer->status != CH_DNS_CANCELED)
		atomic_store(&dns->answered_ms, ch_mono_ms());
	if (q->beat)
		dns->beating = false;
	else
		q->done(answer, q->arg);
	if (q->beat)
		free(q);
	else
		forget(q);
}

static void send_question(struct ch_dns *dns, struct question *q)
{
	/* May call on_answer at once: when nothing can be sent, or the name is none. */
	ares_query(dns->channel, q->name, CLASS_IN, (int)q->type, on_answer, q);
}

static struct question *take_asked(struct ch_dns *dns, bool *ret_stopping)
{
	struct question *list;

	pthread_mutex_lock(&dns->lock);
	list = dns->first;
	dns->first = NULL;
	dns->last = &dns->first;
	*ret_stopping = dns->stopping;
	pthread_mutex_unlock(&dns->lock);
	return list;
}

/* The root's servers: every resolver knows them, whatever has become of the names. */
static void beat(struct ch_dns *dns)
{
	int64_t now_ms = ch_mono_ms();
	struct question *q;

	if (dns->beating || atomic_load(&dns->began_ms) == 0 || now_ms - dns->beat_ms < BEAT_MS)
		return;
	q = calloc(1, sizeof(*q));
	if (!q)
		return;
	*q = (struct question){.dns = dns, .type = CH_DNS_NS, .beat = true};
	dns->beating = true;
	dns->beat_ms = now_ms;
	send_question(dns, q);
}

static void wait_sockets(struct ch_dns *dns)
{
	struct pollfd ready[SOCKETS_MAX + 1];
	size_t n = dns->n_fds;
	uint64_t count;

	/* A copy: callbacks change the list. */
	memcpy(ready, dns->fds, n * sizeof(ready[0]));
	if (poll(ready, n, atomic_load(&dns->began_ms) ? TICK_MS : -1) < 0)
		return;
	if (ready[0].revents && read(dns->wake_fd, &count, sizeof(count)) < 0 &&
		errno != EAGAIN)
		return;
	for (size_t i = 1; i < n; i++) {
		ares_socket_t in = ready[i].revents & (POLLIN | POLLERR | POLLHUP)
					   ? ready[i].fd
					   : ARES_SOCKET_BAD;
		ares_socket_t out = ready[i].revents & POLLOUT ? ready[i].fd : ARES_SOCKET_BAD;

		if (ready[i].revents)
			ares_process_fd(dns->channel, in, out);
	}
	/* For the timeouts. */
	ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void cancel(struct question *q)
{
	struct ch_dns_answer *answer = &q->dns->answer;

	memset(answer, 0, sizeof(*answer));
	answer->status = CH_DNS_CANCELED;
	q->done(answer, q->arg);
	forget(q);
}

static void *run(void *arg)
{
	struct ch_dns *dns = arg;
	bool stopping = false;

	while (!stopping) {
		struct question *list = take_asked(dns, &stopping);

		while (list) {
			struct question *q = list;

			list = q->next;
			if (stopping)
				cancel(q);
			else
				send_question(dns, q);
		}
		if (stopping)
			break;
		beat(dns);
		wait_sockets(dns);
	}
	ares_destroy(dns->channel);
	return NULL;
}

int ch_dns_new(
	const struct ch_dns_options *options, struct ch_dns **ret_dns, struct ch_err *err)
{
	struct ch_dns *dns = calloc(1, sizeof(*dns));
	int rc = CH_ENOMEM;

	if (!dns)
		return ch_err_set(err, CH_ENOMEM, "out-of-memory", "out of memory");
	pthread_mutex_init(&dns->lock, NULL);
	dns->last = &dns->first;
	dns->patience_ms = 3 * (options->timeout_ms ? options->timeout_ms : TIMEOUT_MS) - 1;
	dns->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	dns->fds[0] = (struct pollfd){.fd = dns->wake_fd, .events = POLLIN};
	dns->n_fds = 1;
	if (dns->wake_fd >= 0)
		rc = open_channel(options, dns, &dns->channel);
	if (rc == CH_OK && pthread_create(&dns->thread, NULL, run, dns) != 0) {
		ares_destroy(dns->channel);
		rc = CH_ENOMEM;
	}
	if (rc == CH_OK) {
		*ret_dns = dns;
		return CH_OK;
	}
	if (dns->wake_fd >= 0)
		close(dns->wake_fd);
	pthread_mutex_destroy(&dns->lock);
	free(dns);
	return rc == CH_EINVAL
		       ? ch_err_set(err, rc, "resolvers",
				 "resolvers must be addresses, comma-separated, with :PORT "
				 "where it is not 53; at most %d",
				 SERVERS_MAX)
		       : ch_err_set(err, rc, "out-of-memory", "the resolver cannot be started");
}

static void wake(struct ch_dns *dns)
{
	uint64_t one = 1;

	/* Full: then it is awake anyhow. */
	if (write(dns->wake_fd, &one, sizeof(one)) < 0)
		return;
}

void ch_dns_stop(struct ch_dns *dns)
{
	bool stopped;

	if (!dns)
		return;
	pthread_mutex_lock(&dns->lock);
	stopped = dns->stopping;
	dns->stopping = true;
	pthread_mutex_unlock(&dns->lock);
	if (stopped)
		return;
	wake(dns);
	pthread_join(dns->thread, NULL);
}

void ch_dns_free(struct ch_dns *dns)
{
	if (!dns)
		return;
	ch_dns_stop(dns);
	close(dns->wake_fd);
	pthread_mutex_destroy(&dns->lock);
	free(dns);
}

int ch_dns_ask(struct ch_dns *dns, const char *name, enum ch_dns_type type, ch_dns_done *done,
	void *arg)
{
	struct question *q = calloc(1, sizeof(*q));
	int rc = CH_OK;

	if (!q)
		return CH_ENOMEM;
	*q = (struct question){.dns = dns,
		.done = done,
		.arg = arg,
		.type = type,
		.until_ms = ch_mono_ms() + dns->patience_ms};
	snprintf(q->name, sizeof(q->name), "%s", name);
	pthread_mutex_lock(&dns->lock);
	if (dns->n_open == CH_DNS_OPEN_MAX || dns->stopping)
		rc = CH_EAGAIN;
	else {
		if (dns->n_open++ == 0)
			atomic_store(&dns->began_ms, ch_mono_ms());
		*dns->last = q;
		dns->last = &q->next;
	}
	pthread_mutex_unlock(&dns->lock);
	if (rc)
		free(q);
	else
		wake(dns);
	return rc;
}

struct look {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool ended;
	struct ch_dns_answer *answer;
};

static void on_looked(const struct ch_dns_answer *answer, void *arg)
{
	struct look *look = arg;

	pthread_mutex_lock(&look->lock);
	*look->answer = *answer;
	look->ended = true;
	pthread_cond_signal(&look->cond);
	pthread_mutex_unlock(&look->lock);
}

int ch_dns_look(struct ch_dns *dns, const char *name, enum ch_dns_type type,
	struct ch_dns_answer *ret_answer)
{
	struct look look = {.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
		.answer = ret_answer};
	int rc = ch_dns_ask(dns, name, type, on_looked, &look);

	if (rc)
		return rc;
	pthread_mutex_lock(&look.lock);
	while (!look.ended)
		pthread_cond_wait(&look.cond, &look.lock);
	pthread_mutex_unlock(&look.lock);
	return CH_OK;
}

bool ch_dns_is_up(struct ch_dns *dns)
{
	int64_t began_ms = atomic_load(&dns->began_ms);
	int64_t answered_ms = atomic_load(&dns->answered_ms);
	int64_t since_ms = answered_ms > began_ms ? answered_ms : began_ms;

	return began_ms == 0 || ch_mono_ms() - since_ms < DOWN_AFTER_MS;
}
