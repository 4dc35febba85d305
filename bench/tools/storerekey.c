/* What it costs the store to plan new certificates for all names (`certherd rekey --all`), and
 * what others notice of it: clients that put names and an issuer that leases, one request after
 * the other.  The arguments are the database and the certificates in one request; without the
 * second the database is only made.  One line of JSON. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"

#define ALONE 1000
#define TIMES_MAX 400000

struct times {
	double ms[TIMES_MAX];
	size_t n;
};

static struct ch_store *store;
static size_t batch;
static atomic_bool stop;
static struct times writes, leases, counts, plans;

static void must(int rc, const char *what)
{
	if (rc) {
		fprintf(stderr, "storerekey: %s: %s\n", what, ch_rc_str(rc));
		exit(1);
	}
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void run(struct ch_store_op *op, struct times *times, const char *what)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	double began = now_ms();

	must(ch_arena_new(0, &arena), "arena");
	op->arena = arena;
	must(ch_store_run(store, op), what);
	if (times->n < TIMES_MAX)
		times->ms[times->n++] = now_ms() - began;
}

static void put_one(void)
{
	static unsigned long next;
	char name[64];
	struct ch_store_put_item item = {.name = name, .tenant = "t"};
	struct ch_store_op op = {.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};

	snprintf(name, sizeof(name), "w%08x.example.org", (uint32_t)next++ * 2654435761u);
	run(&op, &writes, "put");
}

static void lease_one(void)
{
	struct ch_store_op op = {.type = CH_OP_LEASE,
		.u.lease = {.issuer = "issuer/default/i1", .max = 1, .lease_ms = 60000}};

	run(&op, &leases, "lease");
}

static void go_through(bool dry_run, struct times *times, size_t *ret_matched)
{
	struct ch_store_op op = {.type = CH_OP_REKEY,
		.u.rekey = {.max = batch,
			.begin = true,
			.dry_run = dry_run,
			.at_ms = ch_now_ms() + CH_HOUR_MS,
			.spacing_us = 1000}};

	*ret_matched = 0;
	do {
		run(&op, times, "rekey");
		*ret_matched += op.u.rekey.matched;
		op.u.rekey.at_ms += (int64_t)op.u.rekey.matched;
		op.u.rekey.after = op.u.rekey.last;
		op.u.rekey.begin = false;
	} while (op.u.rekey.more);
}

static void *others(void *arg)
{
	while (!atomic_load(&stop)) {
		put_one();
		lease_one();
	}
	return NULL;
}

static void tell(const char *key, struct times *times)
{
	double sum = 0;

	for (size_t i = 0; i < times->n; i++)
		sum += times->ms[i];
	qsort(times->ms, times->n, sizeof(times->ms[0]), by_size);
	printf("\"%s_s\": %.3f, \"%s_p50_ms\": %.3f, \"%s_p99_ms\": %.3f, "
	       "\"%s_max_ms\": %.3f, ",
		key, sum / 1e3, key, times->ms[times->n / 2], key,
		times->ms[times->n * 99 / 100], key, times->ms[times->n - 1]);
	times->n = 0;
}

static long peak_kib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

static void measure(void)
{
	size_t counted;
	size_t planned;
	size_t again;
	pthread_t thread;

	for (int i = 0; i < ALONE; i++) {
		put_one();
		lease_one();
	}
	tell("put_alone", &writes);
	tell("lease_alone", &leases);
	must(pthread_create(&thread, NULL, others, NULL), "thread");
	go_through(true, &counts, &counted);
	go_through(false, &plans, &planned);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	tell("put_beside", &writes);
	tell("lease_beside", &leases);
	tell("count", &counts);
	tell("plan", &plans);
	go_through(false, &plans, &again);
	tell("again", &plans);
	printf("\"counted\": %zu, \"planned\": %zu, \"peak_mib\": %.1f}\n", counted, planned,
		(double)peak_kib() / 1024);
}

int main(int argc, char **argv)
{
	struct ch_store_options options = {.database = argv[1], .edge_timeout_ms = 60000};
	struct ch_err err;

	must(argc < 2, "usage");
	must(ch_store_open(&options, &store, &err), "open");
	if (argc > 2) {
		batch = strtoul(argv[2], NULL, 10);
		printf("{");
		measure();
	}
	ch_store_close(store);
	return 0;
}
