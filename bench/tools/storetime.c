/* The store with BENCH_NAMES names (default 100,000), on SQLite in a folder under $TMPDIR or in
 * the empty database whose URL is the argument: what it costs when names come in, work is
 * found, steps are written and the feed is read.  One line of JSON: CPU time of the whole
 * process, and what a clock on the wall saw. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/db_postgres.h"
#include "store/sql_store.h"

#define CLIENTS 16
#define MORE 20
#define SINGLE_EACH 100
#define LEASES 500
#define LOOKS 10000

static struct ch_store *store;
static long total = 100000;
static bool far; /* the database is a server's */

static void must(int rc, const char *what)
{
	if (rc) {
		fprintf(stderr, "storetime: %s: %s\n", what, ch_rc_str(rc));
		exit(1);
	}
}

static double now_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* Of the thread that writes, which is idle now. */
static double trips(void)
{
	return far ? (double)ch_db_postgres_trips(ch_sql_of(store)->writer) : 0;
}

struct span {
	double cpu_us;
	double wall_us;
};

static struct span begin(void)
{
	return (struct span){now_us(CLOCK_PROCESS_CPUTIME_ID), now_us(CLOCK_MONOTONIC)};
}

/* The time since began, for one of n. */
static struct span per(struct span began, double n)
{
	struct span now = begin();

	return (struct span){
		(now.cpu_us - began.cpu_us) / n, (now.wall_us - began.wall_us) / n};
}

/* Names come in no order, as those of strangers do. */
static const char *make_name(struct ch_arena *arena, const char *kind, long i)
{
	return ch_arena_fmt(arena, "%s%08x.example.com", kind, (uint32_t)i * 2654435761u);
}

static void put(const char *kind, long from, size_t n)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	struct ch_store_op op = {.type = CH_OP_PUT};

	must(ch_arena_new(0, &arena), "arena");
	op.arena = arena;
	op.u.put.items = ch_arena_array(arena, n, sizeof(*op.u.put.items));
	op.u.put.n_items = n;
	for (size_t i = 0; i < n; i++)
		op.u.put.items[i].name = make_name(arena, kind, from + (long)i);
	must(ch_store_run(store, &op), "put");
}

static struct span batched_puts(long from, long n)
{
	struct span began = begin();

	for (long at = from; at < from + n; at += CH_STORE_PUT_MAX)
		put("n", at, CH_STORE_PUT_MAX);
	return per(began, (double)n);
}

static void *single_client(void *arg)
{
	for (long i = 0; i < SINGLE_EACH; i++)
		put("s", (long)(intptr_t)arg * SINGLE_EACH + i, 1);
	return NULL;
}

static struct span single_puts(void)
{
	pthread_t threads[CLIENTS];
	struct span began = begin();

	for (intptr_t i = 0; i < CLIENTS; i++)
		must(pthread_create(&threads[i], NULL, single_client, (void *)i), "thread");
	for (size_t i = 0; i < CLIENTS; i++)
		pthread_join(threads[i], NULL);
	return per(began, CLIENTS * SINGLE_EACH);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* One lease of one order and one step written back: the turn of a worker. */
static double steps(double *ret_p50_us, double *ret_p99_us)
{
	double taken[LEASES];
	struct span whole = begin();

	for (size_t i = 0; i < LEASES; i++) {
		CH_AUTO_ARENA struct ch_arena *arena = NULL;
		struct ch_store_op lease = {.type = CH_OP_LEASE};
		struct ch_store_op patch = {.type = CH_OP_PATCH};
		struct span began = begin();

		must(ch_arena_new(0, &arena), "arena");
		lease.arena = patch.arena = arena;
		lease.u.lease = (struct ch_op_lease){
			.issuer = "issuer/default/i1", .max = 1, .lease_ms = 60000};
		must(ch_store_run(store, &lease), "lease");
		must(lease.u.lease.n_orders != 1, "one order");
		patch.u.patch = (struct ch_op_patch){.id = lease.u.lease.orders[0].id,
			.fence = lease.u.lease.orders[0].fence,
			.has_state = true,
			.state = CH_ORDER_ORDERED,
			.acme = "{}",
			.next_at_ms = INT64_C(4000000000000)};
		must(ch_store_run(store, &patch), "patch");
		taken[i] = per(began, 1).wall_us;
	}
	qsort(taken, LEASES, sizeof(taken[0]), by_size);
	*ret_p50_us = taken[LEASES / 2];
	*ret_p99_us = taken[LEASES * 99 / 100];
	return per(whole, LEASES).cpu_us;
}

/* When the next work is due: what issuers wait for, asked again and again. */
static void looks(double *ret_p50_us, double *ret_p99_us)
{
	static double taken[LOOKS];

	for (size_t i = 0; i < LOOKS; i++) {
		struct span began = begin();
		int64_t at_ms;

		must(ch_store_next_due(store, &at_ms), "next due");
		taken[i] = per(began, 1).wall_us;
	}
	qsort(taken, LOOKS, sizeof(taken[0]), by_size);
	*ret_p50_us = taken[LOOKS / 2];
	*ret_p99_us = taken[LOOKS * 99 / 100];
}

static int count_row(const struct ch_store_feed_row *row, void *arg)
{
	++*(long *)arg;
	return 0;
}

static struct span feed_read(void)
{
	struct ch_store_feed_info info;
	struct span began = begin();
	long n = 0;

	must(ch_store_read_feed(store, "default", 0, count_row, &n, &info), "feed");
	return per(began, (double)n);
}

static double status_us(void)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	struct ch_store_status status;
	struct span began = begin();

	must(ch_arena_new(0, &arena), "arena");
	must(ch_store_get_status(store, arena, &status), "status");
	return per(began, 1).cpu_us;
}

/* A filter that fits no name at all: what a page may cost at most. */
static double empty_page_us(void)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	struct ch_store_domain_filter filter = {.limit = 100, .pool = "none"};
	struct ch_store_domain_page page;
	struct span began = begin();

	must(ch_arena_new(0, &arena), "arena");
	must(ch_store_list_domains(store, &filter, arena, &page), "list");
	return per(began, 1).cpu_us;
}

static void open_store(const char *database)
{
	struct ch_store_options options = {.database = database, .edge_timeout_ms = 60000};
	struct ch_err err;

	must(ch_store_open(&options, &store, &err), "open");
}

static void remove_files(const char *dir, const char *database)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};

	for (size_t i = 0; i < CH_ARRAY_LEN(suffixes); i++) {
		char path[600];

		snprintf(path, sizeof(path), "%s%s", database + strlen("sqlite:"), suffixes[i]);
		unlink(path);
	}
	rmdir(dir);
}

static long peak_kib(void)
{
	struct rusage usage;

	must(getrusage(RUSAGE_SELF, &usage), "getrusage");
	return usage.ru_maxrss;
}

int main(int argc, char **argv)
{
	const char *tmp = getenv("TMPDIR");
	const char *names = getenv("BENCH_NAMES");
	char dir[256], database[512];
	struct span batched, more, single, feed;
	double step, p50, p99, before, single_trips, step_trips;

	if (names && atol(names) >= CH_STORE_PUT_MAX)
		total = atol(names) / CH_STORE_PUT_MAX * CH_STORE_PUT_MAX;
	snprintf(dir, sizeof(dir), "%.200s/certherd-bench-XXXXXX", tmp ? tmp : "/tmp");
	if (argc < 2) {
		must(mkdtemp(dir) == NULL, "mkdtemp");
		snprintf(database, sizeof(database), "sqlite:%s/bench.db", dir);
	}
	far = argc >= 2;
	open_store(far ? argv[1] : database);
	batched = batched_puts(0, total);
	/* Those before came into a store that was ever smaller than that. */
	more = batched_puts(total, MORE * CH_STORE_PUT_MAX);
	before = trips();
	single = single_puts();
	single_trips = trips() - before;
	before = trips();
	step = steps(&p50, &p99);
	step_trips = trips() - before;
	printf("{\"names\": %ld, \"put_batched_cpu_us\": %.2f, \"put_batched_per_s\": %.0f, ",
		total, batched.cpu_us, 1e6 / batched.wall_us);
	printf("\"put_more_cpu_us\": %.2f, \"put_more_per_s\": %.0f, ", more.cpu_us,
		1e6 / more.wall_us);
	printf("\"put_single_cpu_us\": %.2f, \"put_single_per_s\": %.0f, ", single.cpu_us,
		1e6 / single.wall_us);
	printf("\"step_cpu_us\": %.2f, \"step_p50_ms\": %.3f, \"step_p99_ms\": %.3f, ", step,
		p50 / 1e3, p99 / 1e3);
	printf("\"put_single_trips\": %.2f, \"step_trips\": %.2f, ",
		single_trips / (CLIENTS * SINGLE_EACH), step_trips / LEASES);
	feed = feed_read();
	looks(&p50, &p99);
	printf("\"due_p50_ms\": %.4f, \"due_p99_ms\": %.4f, ", p50 / 1e3, p99 / 1e3);
	printf("\"feed_cpu_us\": %.3f, \"feed_per_s\": %.0f, \"status_cpu_us\": %.1f, ",
		feed.cpu_us, 1e6 / feed.wall_us, status_us());
	printf("\"page_cpu_us\": %.1f, ", empty_page_us());
	printf("\"peak_mib\": %.1f}\n", (double)peak_kib() / 1024);
	ch_store_close(store);
	if (argc < 2)
		remove_files(dir, database);
	return 0;
}
