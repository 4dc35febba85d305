/* What it costs the store to prune old history, and what writers notice of it.  The argument is
 * the database; with a second one, "make", it is only made.  One line of JSON. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"

#define LEAST 2
#define WRITES 3000
/* As the store's own housekeeping (src/stored/house.c). */
#define ROWS 250
#define BREATH_NS 100000000L
#define BATCHES 400

static struct ch_store *store;
static atomic_bool stop;

static void must(int rc, const char *what)
{
	if (rc) {
		fprintf(stderr, "storeprune: %s: %s\n", what, ch_rc_str(rc));
		exit(1);
	}
}

static double now_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void put(long i)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	struct ch_store_put_item item = {.tenant = "t"};
	struct ch_store_op op = {.type = CH_OP_PUT, .u.put = {.items = &item, .n_items = 1}};

	must(ch_arena_new(0, &arena), "arena");
	op.arena = arena;
	item.name = ch_arena_fmt(arena, "w%08x.example.org", (uint32_t)i * 2654435761u);
	must(ch_store_run(store, &op), "put");
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* A client that puts one new name after the other. */
static void write_singly(double *ret_p50_ms, double *ret_p99_ms)
{
	static long next;
	static double taken[WRITES];

	for (size_t i = 0; i < WRITES; i++) {
		double began = now_ms(CLOCK_MONOTONIC);

		put(next++);
		taken[i] = now_ms(CLOCK_MONOTONIC) - began;
	}
	qsort(taken, WRITES, sizeof(taken[0]), by_size);
	*ret_p50_ms = taken[WRITES / 2];
	*ret_p99_ms = taken[WRITES * 99 / 100];
}

static struct ch_op_housekeep prune_some(void)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	struct ch_store_op op = {.type = CH_OP_HOUSEKEEP,
		.u.housekeep = {.tombstone_keep_ms = 30 * CH_DAY_MS,
			.history_keep_ms = 400 * CH_DAY_MS,
			.history_least = LEAST,
			.orders_keep_ms = 90 * CH_DAY_MS,
			.audit_keep_ms = 400 * CH_DAY_MS,
			.max_rows = ROWS}};

	must(ch_arena_new(0, &arena), "arena");
	op.arena = arena;
	must(ch_store_run(store, &op), "housekeep");
	return op.u.housekeep;
}

static void *prune_beside(void *arg)
{
	const struct timespec breath = {.tv_nsec = BREATH_NS};

	while (!atomic_load(&stop) && prune_some().more)
		nanosleep(&breath, NULL);
	return NULL;
}

static uint64_t pruned(void)
{
	CH_AUTO_ARENA struct ch_arena *arena = NULL;
	struct ch_store_status status;

	must(ch_arena_new(0, &arena), "arena");
	must(ch_store_get_status(store, arena, &status), "status");
	return status.pruned.history;
}

static void measure_beside(void)
{
	double p50, p99, beside_p50, beside_p99, began;
	pthread_t thread;

	write_singly(&p50, &p99);
	began = now_ms(CLOCK_MONOTONIC);
	must(pthread_create(&thread, NULL, prune_beside, NULL), "thread");
	write_singly(&beside_p50, &beside_p99);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	printf("\"write_p50_ms\": %.3f, \"write_p99_ms\": %.3f, ", p50, p99);
	printf("\"write_beside_p50_ms\": %.3f, \"write_beside_p99_ms\": %.3f, ", beside_p50,
		beside_p99);
	printf("\"rows_per_s_beside\": %.0f, ",
		(double)pruned() / (now_ms(CLOCK_MONOTONIC) - began) * 1e3);
}

static void measure_alone(void)
{
	static double taken[BATCHES];
	double cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID);
	double wall = now_ms(CLOCK_MONOTONIC);
	uint64_t before = pruned();
	uint64_t rows;
	size_t n = 0;
	bool more = true;

	while (more && n < BATCHES) {
		double began = now_ms(CLOCK_MONOTONIC);

		more = prune_some().more;
		taken[n++] = now_ms(CLOCK_MONOTONIC) - began;
	}
	cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	wall = now_ms(CLOCK_MONOTONIC) - wall;
	rows = pruned() - before;
	must(rows == 0, "rows to prune");
	qsort(taken, n, sizeof(taken[0]), by_size);
	printf("\"rows\": %ju, \"rows_per_s\": %.0f, \"row_cpu_us\": %.2f, ", (uintmax_t)rows,
		(double)rows / wall * 1e3, cpu * 1e3 / (double)rows);
	printf("\"batch_p50_ms\": %.2f, \"batch_p99_ms\": %.2f}\n", taken[n / 2],
		taken[n * 99 / 100]);
}

int main(int argc, char **argv)
{
	struct ch_store_options options = {.database = argv[1], .edge_timeout_ms = 60000};
	struct ch_err err;

	must(argc < 2, "usage");
	must(ch_store_open(&options, &store, &err), "open");
	if (argc == 2) {
		printf("{");
		measure_beside();
		measure_alone();
	}
	ch_store_close(store);
	return 0;
}
